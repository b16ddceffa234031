"""Intake: one delivery decoded, judged and committed, with what came beside the fixes: numbers, statuses, findings, trips."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from monitor.clock import Clock
from monitor.dispatch import read_plans
from monitor.engine import Engine, Taken, nothing_beside
from monitor.ingest.decode import decode, in_parts
from monitor.ingest.delivery import Delivery, Message
from monitor.ingest.feeds import Feeds
from monitor.ingest.identity import Adoptions
from monitor.ingest.sequence import Receipt
from monitor.metrics import Committed
from monitor.register import Register
from monitor.settings import Ingest
from monitor.store.devices_store import Devices, quarantined, registered, release
from monitor.store.ledger import Book, Ledger
from monitor.store.store import Store
from monitor.store.transaction import Transaction

T = TypeVar("T")
ADOPT_S = 1.0
"""How soon what was quarantined is taken after an adoption."""
LOOKS = 3
"""Times that the quarantine is looked through after an adoption, in case something was on its way into it."""


class Patience(Protocol):
    """Does something until the database was within reach; None where the program ends before."""

    def __call__(self, act: Callable[[], T], /) -> T | None:
        """Do it, again for as long as it raises `StoreError`."""
        ...


class Took(NamedTuple):
    """What a part of a delivery came to."""

    taken: Taken
    receipts: Sequence[Receipt]
    committed: Committed


class Intake:
    """Takes deliveries, for the main loop's thread."""

    def __init__(self, store: Store, engine: Engine, register: Register, settings: Ingest, clock: Clock) -> None:
        self.feeds, self.devices = Feeds(settings.feed), Devices(store)
        self._store, self._engine, self._register, self._settings, self._clock = store, engine, register, settings, clock
        self._book = Book()
        self._looked = float("-inf")
        self._adopted: Adoptions | None = None
        self._looks = 0
        """How often the quarantine is looked through still: it may be large, and changes only with the register."""

    def take(self, part: Delivery, patiently: Patience) -> Took | None:
        """Decode, judge and commit; None where the program ends before the database can be reached: then nothing is acknowledged."""
        now, begun, receipts = self._clock(), time.monotonic(), list[Receipt]()
        devices = patiently(self.devices.adopted)
        if devices is None:
            return None
        decoded = decode(part.messages, now, self._engine.fleet, self._settings, devices, self.feeds)
        rows, wrong = read_plans(decoded.plans, self._register.rows, now)
        rejects = [*part.rejects, *decoded.rejects, *wrong]
        notes = Ledger(decoded.numbered, part.statuses, [*part.findings, *decoded.findings])

        def beside(transaction: Transaction) -> None:
            receipts[:] = self._book.save(transaction, notes, now)

        also = beside if notes else nothing_beside
        taken = patiently(lambda: self._engine.take(decoded.fixes, rejects, now, beside=also))
        if taken is None:
            return None
        if notes:
            self._book.committed()
        if patiently(lambda: self._register.lay(self._engine, rows, now)) is None:
            return None
        if any((reject.carrier, reject.device) in self.devices.adopted() for reject in decoded.rejects if reject.device):
            self._looks = LOOKS  # adopted between the decoding and the commit
        took = time.monotonic() - begun
        return Took(taken, receipts, Committed(part.messages, rejects, notes.findings, decoded.fixes, taken.fixes, now, took))

    def take_adopted(self) -> int:
        """Take what was quarantined of devices that somebody has adopted since; gives how many fixes.

        Raises
        ------
        StoreError
            If the database is out of reach; it is for the next time then.
        """
        if time.monotonic() - self._looked < ADOPT_S:
            return 0
        self._looked, now = time.monotonic(), self._clock()
        if self.devices.adopted() is not self._adopted:
            self._adopted, self._looks = self.devices.adopted(), LOOKS
        if not self._looks:
            return 0
        with self._store.read() as transaction:
            kept, devices = quarantined(transaction, self.feeds), registered(transaction)
        self._looks = LOOKS if kept else self._looks - 1
        if not kept:
            return 0
        messages = next(iter(in_parts([each.message for each in kept])))
        kept = kept[: len(messages)]
        decoded = decode(messages, now, self._engine.fleet, self._settings, devices, self.feeds)
        notes = Ledger(decoded.numbered, (), decoded.findings)

        def beside(transaction: Transaction) -> None:
            release(transaction, kept, now)
            self._book.save(transaction, notes, now)

        wrong = [reject for reject in decoded.rejects if reject.device is None]  # the others are kept already
        fixes = self._engine.take(decoded.fixes, wrong, now, beside=beside).fixes
        self._book.committed()
        return fixes


def parts_of(delivery: Delivery) -> Sequence[Delivery]:
    """A delivery in parts that bounded memory can judge; what came beside the messages is with the first."""
    some: list[Sequence[Message]] = list(in_parts(delivery.messages))
    first = Delivery(some[0], delivery.rejects, statuses=delivery.statuses, findings=delivery.findings)
    return [first, *(Delivery(messages) for messages in some[1:])]
