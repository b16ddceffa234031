"""The program: builds the parts from the configuration and runs them. The flow from a device to a notice is `run`, below.

One thread, the caller's, takes deliveries through engine and store. The metronome ticks once a second in another: due escalation
steps become notices, and the outbox sends what is due. The MQTT listener has a thread of its own.
"""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from apscheduler.schedulers.background import BackgroundScheduler
from rich.console import Console

from monitor.alerts import handling
from monitor.alerts.channels import CHANNELS, build_channels
from monitor.alerts.outbox import deliver_due
from monitor.alerts.policies import switched_off
from monitor.announcing import Announcer
from monitor.clock import Clock
from monitor.configuration import Configuration
from monitor.doors import Doors
from monitor.engine import Engine
from monitor.errors import StoreError
from monitor.fixes import Fleet
from monitor.ingest.delivery import Delivery
from monitor.ingest.ingress import Ingress
from monitor.ingest.sequence import Receipt
from monitor.intake import Intake, Took, parts_of
from monitor.operations import Operations, Standing
from monitor.register import Register
from monitor.signals import Change
from monitor.store.archive import archive_due, folder_in, moves_before
from monitor.store.retention import expire_due
from monitor.store.store import Store
from monitor.store.transaction import Transaction
from monitor.upkeep import Upkeep
from monitor.warm import warm
from monitor.world import World

log = logging.getLogger("monitor")
T = TypeVar("T")

TICK_S = 1
LATE_TICK_S = 10
"""A metronome that has not ticked for this long is started anew: it stops when the clock is put back."""
LATE_S = 6 * 3600
"""How late a daily job may still be done."""
RETRY_S = 1.0
AT_HAND = ("console", "log")
"""Channels that need nobody else: what is due by them is sent before the program ends."""


@dataclass
class Counts:
    """What has been going on since the start, for people to see."""

    fixes: int = 0
    rejects: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """What is wrong with the monitor itself."""


class App:
    """The monitor, running. `run` blocks; `stop`, `reload` and `adjudicate` may be called from any thread or a signal handler."""

    def __init__(self, configuration: Configuration, clock: Clock, screen: Console, command: str = "monitor") -> None:
        self.configuration, self.settings, self.clock = configuration, configuration.settings, clock
        self.desk, self.counts = configuration.desk(command), Counts()
        self.channels = build_channels(self.settings.alerts, screen)
        self.warnings = switched_off(configuration.policies, configuration.contacts, self.channels)
        self.store = Store.of(self.settings.store)
        self._alone = self.store.hold()
        self.register = Register(self.store, self.settings, configuration.said(), clock())
        self.engine = Engine(self.store, self.register.world(), Fleet(), self._handle, folder_in(self.settings))
        self.upkeep = Upkeep(configuration, self.register, self.engine, clock, self._go_by)
        self._command = command
        self.operations = Operations(self.settings, self.store, clock, self._standing)
        self.intake = Intake(self.store, self.engine, self.register, self.settings.ingest, clock)
        self.doors = Doors(self.settings, self.store, clock, self.intake, self.operations)
        self.ingress = Ingress(self.doors.all, self.settings.ingest.batch_messages)
        self.announcer = Announcer(self.store, self.doors.publish, clock)
        self._stopping, self._started = threading.Event(), False
        self.store.insist(lambda: not self._stopping.is_set())
        self._metronome = BackgroundScheduler(timezone="UTC")
        self._intervals: dict[str, float] = {}
        self._ticked = time.monotonic()
        self._faults: dict[str, str] = {}
        """What is wrong beside the detectors and the upkeep, until it is put right."""

    @property
    def web_port(self) -> int | None:
        """The TCP port of our HTTP server; None where there is none."""
        return self.doors.web.port if self.doors.web else None

    @property
    def port(self) -> int | None:
        """The TCP port that devices connect to; None where they talk to a broker."""
        return self.doors.listener.port if self.doors.listener else None

    def start(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
        """Fill Memory from the database, bind, and set the metronome going.

        Raises
        ------
        MonitorError
            If the address or the broker is in the way.
        """
        warm()
        self._allow_connections()
        with self.store.begin() as transaction:
            transaction.record("monitor", "start", {"configuration": self.configuration.world.version}, self.clock())
        self.engine.resume(progress, self.clock())
        self.upkeep.begin()
        if self._stopping.is_set():
            return
        self.ingress.start()
        self._started = True
        self._every(TICK_S, self._tick, "tick")
        for name in CHANNELS:  # each by itself: one that hangs holds up none of the others
            self._every(TICK_S, partial(self._deliver, name), name)
        if self.settings.health.heartbeat_url:
            self._every(self.settings.health.heartbeat_every.total_seconds(), self.operations.heartbeat.beat, "heartbeat")
        self._daily(self.settings.order.adjudicate_at, self.upkeep.adjudicate.set, "adjudicate")
        self._daily(self.settings.store.archive_at, self._put_away, "archive")
        self.operations.begin()
        self._metronome.start()

    def run(self) -> None:
        """Take deliveries until stopped: decode, store, judge and handle in one transaction each, then acknowledge."""
        for delivery in self.ingress if self._started else ():
            self._take(delivery)
            self.upkeep.turn()
            self._take_adopted()
            stepped = self.operations.turn()
            if stepped:
                self.engine.memory.stepped(self.clock())
            self._watch_metronome(stepped=stepped)

    def stop(self) -> None:
        """End `run` after the delivery under way."""
        self._stopping.set()
        if self._started:
            self.ingress.close()

    def reload(self) -> None:
        """Read the configuration anew after the delivery under way."""
        self.upkeep.reload.set()

    def adjudicate(self) -> None:
        """Judge anew the vehicles that wait, one after each delivery."""
        self.upkeep.adjudicate.set()

    def close(self) -> None:
        """Send what is due, save where everything stands, give the database back."""
        self._stopping.set()
        if self._metronome.running:
            self._metronome.shutdown()
        for name in AT_HAND:
            self._deliver(name, last=True)
        self.engine.checkpoint()
        self.store.close()
        self._alone.close()

    def _take(self, delivery: Delivery) -> None:
        """One turn of the loop; while the database is out of reach it is tried again, and nothing is acknowledged."""
        receipts: dict[tuple[str, str, str], Receipt] = {}
        for part in parts_of(delivery):
            took = self.intake.take(part, self._stored)
            if took is None:
                return
            receipts |= {(*receipt.vehicle, receipt.boot): receipt for receipt in took.receipts}
            self._count(took)
        delivery.acknowledge(list(receipts.values()))

    def _count(self, took: Took) -> None:
        """Keep what people see up to date."""
        self.operations.judged(took.taken.faults)
        self.counts.faults = {**took.taken.faults, **self.upkeep.faults, **self._faults}
        self.counts.fixes += took.taken.fixes
        self.counts.rejects += len(took.committed.rejects)
        self.operations.metrics.took(took.committed)

    def _take_adopted(self) -> None:
        """Take what was quarantined of devices that somebody has adopted since."""
        try:
            self.counts.fixes += self.intake.take_adopted()
        except StoreError as error:
            log.error("what was adopted waits: %s", error)

    def _stored(self, act: Callable[[], T]) -> T | None:
        """Do it until the database was within reach; None where the program ends before."""
        while True:
            try:
                done = act()
            except StoreError as error:
                self.operations.waiting(error)
                self.counts.faults["store"] = str(error)
                if self._stopping.wait(RETRY_S):
                    return None
            else:
                self.operations.reached()
                return done

    def _go_by(self, configuration: Configuration) -> None:
        """Take over what was read anew."""
        self.configuration = configuration
        self.intake.feeds.replace(configuration.settings.ingest.feed)
        if fault := self.doors.reload(configuration.settings):
            self._faults["doors"] = f"not reloaded, as before: {fault}"
        else:
            self._faults.pop("doors", None)
        self.desk = configuration.desk(self._command)
        self.warnings = switched_off(configuration.policies, configuration.contacts, self.channels)

    def _handle(self, transaction: Transaction, changes: Sequence[Change], now: int, world: World) -> None:
        handling.process(transaction, changes, now, replace(self.desk, world=world))

    def _tick(self) -> None:
        """The metronome: due steps become notices."""
        self._ticked = time.monotonic()
        now = self.clock()
        try:
            with self.store.begin() as transaction:
                handling.tick(transaction, now, replace(self.desk, world=self.engine.world))
                self.operations.tick(transaction, self.desk.contacts)
            self.operations.ticked()
            self.announcer.turn()
        except StoreError as error:
            self.operations.missed(error)

    def _deliver(self, channel: str, *, last: bool = False) -> None:
        """Send what is due by one channel; at the end of the program one last time, where that takes no time."""
        try:
            wanted = (lambda: True) if last else (lambda: not self._stopping.is_set())
            deliver_due(self.store, self.channels, self.clock, self.settings.alerts, [channel], wanted)
        except StoreError as error:
            log.error("notices by %s wait: %s", channel, error)

    def _put_away(self) -> None:
        """Move what is old to the archive, and delete what is kept no longer, a portion at a time."""
        folder, before = folder_in(self.settings), moves_before(self.settings, self.clock())
        try:
            while not self._stopping.is_set() and folder and before is not None:
                if not archive_due(self.store, folder, before, self.clock()):
                    self.store.drop_empty_partitions(before)
                    break
            while not self._stopping.is_set() and expire_due(self.store, self.settings, self.clock()):
                pass
        except StoreError as error:
            log.error("nothing more is put away until %s: %s", self.settings.store.archive_at, error)
            self._faults["archive"] = str(error)
        else:
            self._faults.pop("archive", None)

    def _daily(self, at: str, job: Callable[[], object], name: str) -> None:
        """Have a job done at a time of day; one that the machine was too busy for is done late, not left out."""
        hour, minute = at.split(":")
        zone = self.settings.timezone
        self._metronome.add_job(
            job, "cron", id=name, hour=hour, minute=minute, timezone=zone, coalesce=True, misfire_grace_time=LATE_S
        )

    def _every(self, seconds: float, job: Callable[[], object], name: str) -> None:
        self._intervals[name] = seconds
        self._metronome.add_job(job, "interval", seconds=seconds, id=name, max_instances=1, coalesce=True)

    def _watch_metronome(self, *, stepped: bool) -> None:
        """Set all that is due at some time anew, where the clock was stepped or the metronome stands still."""
        if not stepped and time.monotonic() - self._ticked <= LATE_TICK_S:
            return
        self._ticked = time.monotonic()
        log.warning("the metronome is started anew: %s", "the clock was stepped" if stepped else "it stood still")
        for name, seconds in self._intervals.items():
            self._metronome.reschedule_job(name, trigger="interval", seconds=seconds)

    def _allow_connections(self) -> None:
        """Raise the number of files that may be open as far as the system allows: every connection is one."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def _standing(self) -> Standing:
        doors, waiting = self.ingress.doors, self.ingress.inbox.waiting
        warnings = [*self.warnings, *self.store.warnings]
        return Standing(doors, waiting, dict(self.counts.faults), warnings, len(self.engine.fleet.ids))
