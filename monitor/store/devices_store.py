"""The register of devices: for each carrier, which vehicle a device is on that a gateway's payloads name by its id.

An id that is in nobody's register is listed with what came of it. Adopting it says whose it is, from now on and for what is quarantined;
ending that says that what comes is unknown again. A device changes its vehicle by an end and another adoption; what was taken stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, func, insert, select, update

from monitor.errors import MonitorError
from monitor.findings import UNKNOWN_DEVICE
from monitor.fixes import NAME
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import NAMES_ALLOWED, Feeds
from monitor.ingest.formats.reading import device_fault
from monitor.ingest.identity import Adoptions
from monitor.ingest.topics import sent_by
from monitor.store import findings_store
from monitor.store.schema import device as device_table
from monitor.store.schema import reject as reject_table
from monitor.store.store import Store
from monitor.store.transaction import Transaction

FRESH_SECONDS = 1.0
"""An adoption counts, or is ended, within this of its commit."""
PAGE = 200
"""Quarantined payloads that are looked at together."""

WAITS = reject_table.c.device.is_not(None) & reject_table.c.released.is_(None)
"""Payloads in quarantine."""
REGISTERED = (
    (device_table.c.carrier == reject_table.c.carrier)
    & (device_table.c.device == reject_table.c.device)
    & device_table.c.ended.is_(None)
)
"""Where a payload's device is on a vehicle."""


class Registered(NamedTuple):
    """One adoption."""

    carrier: str
    device: str
    vehicle: str
    adopted: int
    by: str
    ended: int | None


class Unknown(NamedTuple):
    """A device that is in nobody's register, and what came of it."""

    carrier: str
    device: str
    payloads: int
    """How many are in quarantine."""
    first: int
    last: int


class Quarantined(NamedTuple):
    """A kept payload of a device that somebody has adopted since."""

    id: int
    message: Message


def adopt(transaction: Transaction, carrier: str, device: str, vehicle: str, now: int, by: str) -> Registered:
    """Say which vehicle a device is on; what is quarantined of it is taken by the monitor that runs.

    Raises
    ------
    MonitorError
        If a name cannot be one, or the device is on a vehicle already.
    """
    for what, name in (("carrier", carrier), ("vehicle", vehicle)):
        if not NAME.fullmatch(name):
            raise MonitorError(f"{what} {name!r}: allowed are {NAMES_ALLOWED}")
    if fault := device_fault(device):
        raise MonitorError(f"device {device!r}: {fault}")
    found = _in_force(transaction, carrier, device)
    if found is not None:
        raise MonitorError(
            f"device {device!r} of {carrier} is on {found}: end that first: monitor devices end {carrier} {device!r}"
        )
    registered = Registered(carrier, device, vehicle, now, by, None)
    transaction.connection.execute(insert(device_table).values(registered._asdict()))
    findings_store.close(transaction, UNKNOWN_DEVICE, carrier, device, f"it is on {vehicle}", now, by=by)
    transaction.record(by, "device.adopted", {"carrier": carrier, "device": device, "vehicle": vehicle}, now)
    return registered


def end(transaction: Transaction, carrier: str, device: str, now: int, by: str) -> str:
    """Say that a device is on no vehicle any more, and give the one that it was on; the row stays.

    Raises
    ------
    MonitorError
        If it is on none.
    """
    vehicle = _in_force(transaction, carrier, device)
    if vehicle is None:
        raise MonitorError(f"device {device!r} of {carrier} is in nobody's register; `monitor devices list` shows those that are")
    mine = (device_table.c.carrier == carrier) & (device_table.c.device == device) & device_table.c.ended.is_(None)
    transaction.connection.execute(update(device_table).where(mine).values(ended=now))
    transaction.record(by, "device.ended", {"carrier": carrier, "device": device, "vehicle": vehicle}, now)
    return vehicle


def listed(transaction: Transaction) -> list[Registered]:
    """Every adoption, ended ones too, by carrier, device and time."""
    columns = [device_table.c[name] for name in Registered._fields]
    query = select(*columns).order_by(device_table.c.carrier, device_table.c.device, device_table.c.adopted, device_table.c.id)
    return [Registered(*row) for row in transaction.connection.execute(query)]


def unknown(transaction: Transaction) -> list[Unknown]:
    """The devices that are in nobody's register and of which something is quarantined, the one heard last first."""
    columns = reject_table.c
    query = select(columns.carrier, columns.device, func.count(), func.min(columns.received), func.max(columns.received))
    query = query.select_from(reject_table.outerjoin(device_table, REGISTERED)).where(WAITS, device_table.c.id.is_(None))
    rows = transaction.connection.execute(query.group_by(columns.carrier, columns.device))
    return sorted((Unknown(*row) for row in rows), key=lambda each: (-each.last, each.carrier, each.device))


def registered(transaction: Transaction) -> dict[tuple[str, str], str]:
    """The register: carrier and device to vehicle."""
    query = select(device_table.c.carrier, device_table.c.device, device_table.c.vehicle).where(device_table.c.ended.is_(None))
    return {(carrier, device): vehicle for carrier, device, vehicle in transaction.connection.execute(query)}


def quarantined(transaction: Transaction, feeds: Feeds, most: int = PAGE) -> list[Quarantined]:
    """Kept payloads of devices that are adopted by now, the oldest first, as messages to be decoded again.

    One whose feed is in the configuration no more stays where it is. Take them first, then say so by `release`: what is taken twice,
    because the program ended in between, ends as a duplicate.
    """
    found: list[Quarantined] = []
    after: int | None = None
    while len(found) < most:
        rows = transaction.connection.execute(_adopted(after)).all()
        if not rows:
            break
        for row in rows:
            came = sent_by(row.topic, feeds)
            if came is not None:
                found.append(
                    Quarantined(row.id, Message(row.carrier, row.vehicle, row.topic, row.payload, came.feed, came.device))
                )
        after = rows[-1].id
    return found[:most]


def release(transaction: Transaction, taken: Sequence[Quarantined], now: int) -> None:
    """Note that quarantined payloads were taken after all."""
    for at in range(0, len(taken), PAGE):
        ids = [each.id for each in taken[at : at + PAGE]]
        transaction.connection.execute(update(reject_table).where(reject_table.c.id.in_(ids)).values(released=now))


class Devices:
    """The register as of a second ago at most; for the main loop's thread, and any other."""

    def __init__(self, store: Store, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store, self._seconds = store, seconds
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._state: tuple[int, ...] = ()
        self._known: Adoptions = {}

    def adopted(self) -> Adoptions:
        """Carrier and device to vehicle.

        Raises
        ------
        StoreError
            If the register cannot be read.
        """
        with self._lock:
            now = self._seconds()
            if now - self._looked >= FRESH_SECONDS:
                self._refresh()
                self._looked = now
            return self._known

    def _refresh(self) -> None:
        """Read the register anew, if a row was added or ended since."""
        with self._store.read() as transaction:
            counts = select(func.count(), func.count(device_table.c.ended), func.coalesce(func.max(device_table.c.id), 0))
            state = tuple(transaction.connection.execute(counts.select_from(device_table)).one())
            if state != self._state:
                self._known, self._state = registered(transaction), state


def _in_force(transaction: Transaction, carrier: str, device: str) -> str | None:
    """The vehicle that a device is on; None for none."""
    mine = (device_table.c.carrier == carrier) & (device_table.c.device == device) & device_table.c.ended.is_(None)
    return transaction.connection.execute(select(device_table.c.vehicle).where(mine)).scalar_one_or_none()


def _adopted(after: int | None) -> Select[Any]:
    """A page of what is quarantined of devices that are in the register by now, beyond an id."""
    query = select(reject_table).join(device_table, REGISTERED).where(WAITS).order_by(reject_table.c.id).limit(PAGE)
    return query if after is None else query.where(reject_table.c.id > after)
