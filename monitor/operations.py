"""Operations: the monitor watches itself, and others are told how it is.

    turn       after every delivery, at least once a second: the clock compared, findings written down, systemd told
    tick       with the metronome: the database was in reach, and the daily word that all is alive is written when it is due
    beat       the heartbeat, while all is well
    alive, ready, exposition    what /healthz, /readyz and /metrics answer
While the database is out of reach nothing can be written: the log, the board and /readyz say so, and when it is back a finding
tells from when to when.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from monitor.alerts import alive
from monitor.alerts.contacts import Contacts
from monitor.alerts.incident import MACHINE
from monitor.clock import Clock, FastClock
from monitor.errors import StoreError
from monitor.heartbeat import Heartbeat
from monitor.ingest.ingress import Door
from monitor.metrics import Metrics, Present
from monitor.settings import Settings
from monitor.store import findings_store, notices_store
from monitor.store.figures import Figures, figures, newest_fixes
from monitor.store.store import Store
from monitor.store.transaction import Transaction
from monitor.systemd import ALIVE, notify
from monitor.upkeep import FAULT
from monitor.watchkeeping import Report, Surroundings, Watch

log = logging.getLogger("monitor")

FIGURES_S = 10.0
"""What was read of the database is as old as this at most."""
NOTIFY_S = 5.0
STORE_FAULT, DOORS_FAULT = "store", "doors"
"""Under which names a database out of reach, and doors that could not be reloaded, are shown to people."""
NO_DANGER = frozenset({FAULT, DOORS_FAULT})
"""What was there before is in force."""
TOLD_ELSEWHERE = NO_DANGER | {STORE_FAULT}
BROKEN_S = 900.0
"""A detector that broke counts as broken for this long: that it did not break since may mean that nothing was judged since."""


class Standing(NamedTuple):
    """How the program's parts stand, as only these know."""

    doors: Sequence[Door]
    waiting: int
    faults: Mapping[str, str]
    warnings: Sequence[str]
    vehicles: int


@runtime_checkable
class Served(Protocol):
    """A door that others connect to."""

    @property
    def connections(self) -> int:
        """How many there are."""
        ...


@runtime_checkable
class Linked(Protocol):
    """A door that connects to another side, again and again."""

    @property
    def connected(self) -> bool:
        """Whether it is."""
        ...


class Operations:
    """The watch over one running monitor; `turn` is the main loop's, all else is for any thread."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, standing: Callable[[], Standing]) -> None:
        self._settings, self._store, self._clock, self._standing = settings, store, clock, standing
        self._zone = ZoneInfo(settings.timezone)
        rate = clock.rate if isinstance(clock, FastClock) else 1.0
        self.watch = Watch(time.monotonic(), clock(), rate)
        self.metrics = Metrics(self._present, self._figures)
        self.heartbeat = Heartbeat(settings.health.heartbeat_url, lambda: self.ready().well)
        self._told: date | None = None
        self._asked: date | None = None
        """The day whose word the tick under way looked for."""
        self._broken: dict[str, tuple[float, str]] = {}
        self._notified = float("-inf")
        self._read: tuple[float, Figures | None] = (float("-inf"), None)
        self._reading = threading.Lock()

    # -- told by the program --

    def begin(self) -> None:
        """Every part is about to do its work."""
        self._turned()
        self.watch.ticked(time.monotonic())
        self.reached()

    def reached(self) -> None:
        """The database did what was asked."""
        self.watch.reached(time.monotonic(), self._clock())

    def waiting(self, error: StoreError) -> None:
        """The main loop waits for the database: it turns all the same."""
        self._turned()
        self.missed(error)

    def missed(self, error: StoreError) -> None:
        """The database is out of reach, and is tried again."""
        if self.watch.missed(self._clock(), str(error)):
            self.metrics.missed()
            log.error("%s; trying again, nothing is acknowledged meanwhile", error)

    def judged(self, faults: Mapping[str, str]) -> None:
        """A delivery was judged: detectors that broke over it, and how."""
        if faults:
            now = time.monotonic()
            self._broken = self._broken | {name: (now, text) for name, text in faults.items()}
            self.metrics.broke(faults)

    def turn(self) -> bool:
        """One turn of the main loop; gives whether the clock was stepped, so that what waits for a time must be set anew."""
        self._turned()
        stepped = self.watch.compared(time.monotonic(), self._clock())
        if stepped:
            log.error("the clock was stepped by %d s", stepped // 1000)
        self._write_down()
        return bool(stepped)

    def tick(self, transaction: Transaction, contacts: Contacts) -> None:
        """Write the daily word, if it is due and not written yet."""
        health, now = self._settings.health, self._clock()
        contact = contacts.get(health.alive_to)
        day, until = alive.due(now, health.alive_at, self._zone)
        self._asked = day
        if contact is None or day == self._told:
            return
        rolls = alive.roll(newest_fixes(transaction), until)
        for notice in alive.notices(day, until, rolls, contact, self._zone, self.ready().reasons, now):
            if notices_store.add_notice(transaction, notice, now):
                body = {"key": notice.key, "contact": notice.contact, "channel": notice.channel, "why": notice.why}
                transaction.record(MACHINE, "notice.queued", body, now)

    def ticked(self) -> None:
        """The metronome has ticked, and its transaction is committed."""
        self.watch.ticked(time.monotonic())
        self._told = self._asked
        self.reached()

    # -- asked by others --

    def alive(self) -> Report:
        """Whether the main loop turns."""
        return self.watch.alive(time.monotonic())

    def ready(self) -> Report:
        """Whether all is well."""
        standing = self._standing()
        around = Surroundings(
            doors=[why for door in standing.doors if (why := _closed(door))],
            free=self.free(),
            faults=self._degraded() | {what: text for what, text in standing.faults.items() if what not in TOLD_ELSEWHERE},
            warnings=[*standing.warnings, *(f"{what}: {text}" for what, text in standing.faults.items() if what in NO_DANGER)],
        )
        return self.watch.ready(time.monotonic(), around)

    def exposition(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return self.metrics.exposition()

    # -- within --

    def _turned(self) -> None:
        now = time.monotonic()
        self.watch.turned(now)
        if now - self._notified >= NOTIFY_S:
            self._notified = now
            notify(ALIVE)

    def _write_down(self) -> None:
        found = self.watch.findings()
        if not found:
            return
        try:
            with self._store.begin() as transaction:
                findings_store.note(transaction, found, self._clock())
        except StoreError as error:
            self.watch.keep(found)
            log.error("a finding waits: %s", error)

    def free(self) -> dict[str, int | None]:
        """Bytes that are free where the program writes, one entry a file system."""
        told: dict[int, tuple[str, Path]] = {}
        for what, folder in self._written():
            try:
                told.setdefault(folder.stat().st_dev, (what, folder))
            except OSError:
                told.setdefault(-1, (what, folder))
        return {what: _free_in(folder) for what, folder in told.values()}

    def _written(self) -> list[tuple[str, Path]]:
        file = self._store.file
        written = [("database", file.absolute().parent)] if file is not None else []
        if self._settings.store.archive:
            written.append(("archive", _existing(Path(self._settings.store.archive))))
        if self._settings.alerts.notice_log:
            written.append(("notice log", _existing(Path(self._settings.alerts.notice_log).parent)))
        return written

    def _present(self) -> Present:
        standing = self._standing()
        connections = {type(door).__name__.removesuffix("Door").lower(): _connections(door) for door in standing.doors}
        degraded = list(self._degraded())
        return Present(standing.waiting, connections, degraded, self.ready().well, standing.vehicles)

    def _degraded(self) -> dict[str, str]:
        now = time.monotonic()
        return {name: text for name, (at, text) in self._broken.items() if now - at < BROKEN_S}

    def _figures(self) -> Figures | None:
        """What the database says, read at most every few seconds; while one reads, all others are told what was read before."""
        if self._reading.acquire(blocking=False):
            try:
                if time.monotonic() - self._read[0] >= FIGURES_S:
                    self._read = (time.monotonic(), self._read_now())
            finally:
                self._reading.release()
        return self._read[1]

    def _read_now(self) -> Figures | None:
        try:
            with self._store.read() as transaction:
                return figures(transaction, self._clock())
        except StoreError:
            return None


def _closed(door: Door) -> str | None:
    """Why nothing comes by a door at the moment."""
    lost = "not connected to the other side; it is tried again" if isinstance(door, Linked) and not door.connected else None
    return door.fault() or lost


def _connections(door: Door) -> int:
    if isinstance(door, Served):
        return door.connections
    return int(isinstance(door, Linked) and door.connected)


def _existing(folder: Path) -> Path:
    """The folder, or where it would be made."""
    folder = folder.absolute()
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path("/"))


def _free_in(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
