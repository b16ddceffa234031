"""The ledger: what a delivery leaves beside its fixes, in the same transaction: numbers, statuses, findings.

Of every vehicle's boots the newest few are kept; a device that sends numbers is owed a receipt for each boot it sent numbers of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, tuple_, update

from monitor.findings import NUMBERS_LOST, SEQUENCE_GAP, Finding
from monitor.fixes import VehicleId
from monitor.ingest.delivery import Message
from monitor.ingest.sequence import LARGEST, NOTHING, Numbered, Receipt, Received, given_up, lost, received
from monitor.store import findings_store
from monitor.store.schema import received as received_table
from monitor.store.schema import status as status_table
from monitor.store.schema import vehicle as vehicle_table
from monitor.store.transaction import Transaction

BOOTS = 4
"""Boots of a vehicle that are remembered."""
STATUS_BYTES = 16_384
"""A status larger than this is not kept."""
REMEMBERED = 200_000
"""Boots whose numbers are remembered."""

SAVE = (
    "INSERT INTO received (vehicle_id, boot, through, missing, highest, heard) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (vehicle_id, boot) DO UPDATE SET "
    "through = excluded.through, missing = excluded.missing, highest = excluded.highest, heard = excluded.heard"
)

Count = tuple[VehicleId, str]
"""A vehicle and a boot of its device."""


class Ledger(NamedTuple):
    """What is to be noted."""

    numbered: Sequence[Numbered] = ()
    statuses: Sequence[Message] = ()
    findings: Sequence[Finding] = ()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.numbered or self.statuses or self.findings)


class Book:
    """Notes ledgers, and remembers the numbers of every boot, so that the database is asked once about each."""

    def __init__(self) -> None:
        self._known: dict[Count, Received] = {}
        self._fresh: dict[Count, Received] = {}
        """What the last ledger made of them; it counts once `committed` says so."""

    def save(self, transaction: Transaction, ledger: Ledger, now: int) -> list[Receipt]:
        """Note a ledger; gives what the devices are to be told once it is committed."""
        self._fresh = {}
        numbers: dict[Count, list[int]] = {}
        boots: dict[VehicleId, set[str]] = {}
        for vehicle, boot, seq in ledger.numbered:
            mine = boots.setdefault(vehicle, set())
            if boot not in mine and len(mine) == BOOTS:  # no device has so many at once; more is kept of none
                continue
            mine.add(boot)
            if not boot.isprintable():  # no database keeps every control character as it is; such a device goes without receipts
                continue
            numbers.setdefault((vehicle, boot), []).append(seq)
        oldest: dict[Count, int] = {}
        for message in ledger.statuses:
            _keep_status(transaction, message, now)
            said = _said(message.payload)
            if said is not None:
                count = (VehicleId(message.carrier, message.vehicle), said[0])
                oldest[count] = said[1]
                numbers.setdefault(count, [])
        receipts = [self._receive(transaction, count, some, oldest.get(count, 1), now) for count, some in numbers.items()]
        self._write(transaction, now)
        findings_store.note(transaction, ledger.findings, now)
        return receipts

    def committed(self) -> None:
        """Remember what the last ledger noted."""
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known |= self._fresh
        self._fresh = {}

    def _receive(self, transaction: Transaction, count: Count, numbers: Sequence[int], oldest: int, now: int) -> Receipt:
        before = self._known.get(count)
        if before is None:
            before = _stored(transaction, count)
            if before is None:
                before = NOTHING
                _forget(transaction, count)
        after = received(before, numbers)
        kept = given_up(after, oldest)
        self._fresh[count] = kept
        if before.missing or kept.missing or oldest > 1:
            _tell_of_gaps(transaction, count, (before, after, kept), now)
        return Receipt(*count, kept.through, kept.missing)

    def _write(self, transaction: Transaction, now: int) -> None:
        rows = [
            (
                transaction.vehicle_id(vehicle),
                boot,
                state.through,
                json.dumps(state.missing) if state.missing else "[]",
                state.highest,
                now,
            )
            for (vehicle, boot), state in self._fresh.items()
        ]
        if rows:
            transaction.run(SAVE, rows)


def statuses(transaction: Transaction, carrier: str) -> Mapping[str, bytes]:
    """The last status of each vehicle of a carrier."""
    query = select(status_table.c.vehicle, status_table.c.payload).where(status_table.c.carrier == carrier)
    return {name: bytes(payload) for name, payload in transaction.connection.execute(query)}


def standing(transaction: Transaction, vehicles: Sequence[VehicleId]) -> list[Receipt]:
    """What vehicles are told of each boot that is remembered, the newest of each first."""
    c, named = vehicle_table.c, [tuple(vehicle) for vehicle in vehicles]
    query = select(received_table, c.carrier, c.name).join(vehicle_table).where(tuple_(c.carrier, c.name).in_(named))
    rows = transaction.connection.execute(query.order_by(received_table.c.heard.desc(), received_table.c.boot))
    return [Receipt(VehicleId(row.carrier, row.name), row.boot, row.through, _ranges(row.missing)) for row in rows]


def _stored(transaction: Transaction, count: Count) -> Received | None:
    vehicle, boot = count
    mine = (received_table.c.vehicle_id == transaction.vehicle_id(vehicle)) & (received_table.c.boot == boot)
    row = transaction.connection.execute(select(received_table).where(mine)).one_or_none()
    return None if row is None else Received(row.through, _ranges(row.missing), row.highest)


def _tell_of_gaps(transaction: Transaction, count: Count, states: tuple[Received, Received, Received], now: int) -> None:
    before, after, kept = states
    (carrier, name), boot = count
    gone = lost(after, kept)
    if gone:
        detail = f"boot {boot}: the device no longer has {gone} of the numbers up to {kept.through}"
        findings_store.note(transaction, [Finding(NUMBERS_LOST, carrier, name, detail)], now)
    if kept.missing and kept.missing != before.missing:
        holes = ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in kept.missing[:5])
        more = f" and {len(kept.missing) - 5} more holes" if len(kept.missing) > 5 else ""
        findings_store.note(
            transaction, [Finding(SEQUENCE_GAP, carrier, name, f"boot {boot}: {holes}{more} did not arrive")], now
        )
    elif before.missing and not kept.missing:
        findings_store.close(
            transaction, SEQUENCE_GAP, carrier, name, f"boot {boot}: everything up to {kept.through} is there", now
        )


def _forget(transaction: Transaction, count: Count) -> None:
    """Make room for a new boot among the newest few; devices that make up a new one with each message fill no table."""
    mine = received_table.c.vehicle_id == transaction.vehicle_id(count[0])
    query = select(received_table.c.boot).where(mine).order_by(received_table.c.heard.desc(), received_table.c.boot)
    old = transaction.connection.execute(query).scalars().all()[BOOTS - 1 :]
    if old:
        transaction.connection.execute(delete(received_table).where(mine & received_table.c.boot.in_(old)))


def _keep_status(transaction: Transaction, message: Message, now: int) -> None:
    mine = (status_table.c.carrier == message.carrier) & (status_table.c.vehicle == message.vehicle)
    if not message.payload or len(message.payload) > STATUS_BYTES:
        transaction.connection.execute(delete(status_table).where(mine))
        return
    values = {"at": now, "payload": message.payload}
    if not transaction.connection.execute(update(status_table).where(mine).values(values)).rowcount:
        named = {"carrier": message.carrier, "vehicle": message.vehicle}
        transaction.connection.execute(insert(status_table).values(named | values))


def _said(payload: bytes) -> tuple[str, int] | None:
    """Boot and oldest number of a status, where it names them: `{"boot": "a7", "oldest": 1842}`."""
    try:
        said: Any = json.loads(payload[:STATUS_BYTES])
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    boot, oldest = said.get("boot"), said.get("oldest")
    if (
        not isinstance(boot, str)
        or not 0 < len(boot) <= 64
        or not boot.isprintable()
        or not isinstance(oldest, int)
        or isinstance(oldest, bool)
    ):
        return None
    return (boot, oldest) if 1 <= oldest <= LARGEST else None


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    return tuple((first, last) for first, last in json.loads(text))
