"""One transaction: everything that is stored or read inside it is there whole, or not at all.

A writing transaction holds the database's one write lock from its beginning; a reading one sees a single instant of the database
(both are opened by `store.Store`). The hot inserts and look-ups are SQL text with raw tuples, much faster than dictionaries; it is
written as `database.Database` says, for every kind of database.
Shapes: N fixes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, CursorResult, Table, bindparam, delete, func, insert, select, update

from monitor.errors import StoreError
from monitor.fixes import I8, Bool, FixBatch, Fleet, Reject, VehicleId, arranged
from monitor.signals import Change, ChangeKind, Signal, StoredSignal, log_order
from monitor.store import journal
from monitor.store.codec import (
    SIGNAL_FIELDS,
    encodable,
    fixes_from_rows,
    milliseconds_of,
    signal_from_row,
    signal_values,
)
from monitor.store.database import Database, Upsert
from monitor.store.schema import fix as fix_table
from monitor.store.schema import signal as signal_table
from monitor.store.schema import vehicle as vehicle_table
from monitor.store.schema import waiting as waiting_table
from monitor.store.statements import (
    CHECKPOINT_BEFORE,
    EVER,
    FIXES_BETWEEN,
    FIXES_OF,
    INSERT_REJECT,
    LATE,
    NEWEST_CHECKPOINTS,
    NEWEST_POSITION,
    PRESENT,
    PRUNE_CHECKPOINTS,
    SAVE_CHECKPOINT,
    SIGNALS_FROM,
    VEHICLES,
    WAITING,
)

__all__ = ["EVER", "LATE", "WAITING", "Transaction"]


class Transaction:
    """What can be stored and read, inside one transaction. Not for use after it, nor from a second thread."""

    def __init__(self, connection: Connection, known: Mapping[VehicleId, int], database: Database) -> None:
        self.connection = connection
        """SQLAlchemy's, for the rows of incidents and notices."""
        self.database = database
        self.met: dict[VehicleId, int] = {}
        """Ids learned here; they hold beyond the transaction only once it is committed."""
        self._known = known

    # statements

    def run(self, statement: str, parameters: Sequence[Any] | None = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement written as `database.Database` says, with the values of its `?`, or with a list of rows of them."""
        return self.connection.exec_driver_sql(self.database.said(statement), parameters)

    def upsert(self, table: Table) -> Upsert:
        """An INSERT that can say what to do where the row is there already."""
        return self.database.upsert(table)

    # positions

    def add_fixes(self, fleet: Fleet, fixes: FixBatch, late: Bool | I8) -> FixBatch:
        """Store the fixes that are not stored yet and return these, in the same order.

        `late` is (N,), 0, LATE or WAITING: 0 promises that the fix is newer than anything stored of its vehicle, so that it is not
        looked up. The order of `fixes` is that of every batch.
        """
        if not len(fixes):
            return fixes
        ids = self._vehicle_ids(fleet, fixes.vehicle)
        fresh = np.ones(len(fixes), dtype=np.bool_)
        asked = np.flatnonzero(late)
        if len(asked):
            keys = (ids[asked], milliseconds_of(fixes.time)[asked], fixes.digest[asked])
            triples = json.dumps(list(zip(*(key.tolist() for key in keys), strict=True)))
            present = [row[0] for row in self.run(PRESENT, (triples,))]
            fresh[asked[present]] = False
        if not fresh.all():
            fixes, ids, late = fixes.take(fresh), ids[fresh], late[fresh]
        if len(fixes):
            self.database.put_fixes(self.connection, ids, fixes, late)
        return fixes

    def add_rejects(self, rejects: Sequence[Reject], now: int) -> None:
        """Keep what was not taken, with the reason and the raw bytes."""
        rows = [
            (now, *map(encodable, reject[:4]), reject.payload, reject.device and encodable(reject.device)) for reject in rejects
        ]
        if rows:
            self.run(INSERT_REJECT, rows)

    def fixes_of(self, fleet: Fleet, code: int, after: int | None, until: int | None = None) -> FixBatch:
        """The stored fixes of one vehicle with after < time <= until (ms; None: without bound), exactly as they went in.

        Those that wait to be judged are not among them.
        """
        vehicle_id = self._stored_id(fleet.ids[code])
        low, high = EVER[0] if after is None else after, EVER[1] if until is None else until
        return fixes_from_rows(self.run(FIXES_OF, (code, vehicle_id, low, high)).fetchall())

    def newest_position(self, vehicle: VehicleId) -> tuple[float, float] | None:
        """Longitude and latitude (degrees) of the newest fix of a vehicle that took a position; None where there is none."""
        row = self.run(NEWEST_POSITION, (self._stored_id(vehicle),)).one_or_none()
        return None if row is None else (row[0], row[1])

    def fixes_between(self, fleet: Fleet, begin: int, end: int) -> FixBatch:
        """The stored fixes of all vehicles with begin <= time < end (ms)."""
        fixes = fixes_from_rows(self.run(FIXES_BETWEEN, (begin, end)).fetchall())
        present, position = np.unique(fixes.vehicle, return_inverse=True)
        identity = {row.id: VehicleId(row.carrier, row.name) for row in self.connection.execute(select(vehicle_table))}
        codes = np.array([fleet.code(identity[int(stored)]) for stored in present], dtype=np.int32)
        return arranged(replace(fixes, vehicle=codes[position]))

    def wait(self, vehicle: VehicleId, why: str, now: int) -> None:
        """Note that a vehicle is to be judged anew from its first fix on."""
        values = {"vehicle_id": self.vehicle_id(vehicle), "asked": now, "why": why}
        self.connection.execute(self.upsert(waiting_table).values(values).on_conflict_do_nothing())

    def waiting(self) -> dict[VehicleId, str]:
        """The vehicles that wait to be judged anew, and why."""
        query = select(vehicle_table.c.carrier, vehicle_table.c.name, waiting_table.c.why).join_from(waiting_table, vehicle_table)
        rows = self.connection.execute(query.order_by(vehicle_table.c.carrier, vehicle_table.c.name))
        return {VehicleId(carrier, name): why for carrier, name, why in rows}

    def admit(self, vehicle: VehicleId) -> None:
        """Let a vehicle, and its fixes, wait no longer."""
        mine = self._stored_id(vehicle)
        self.connection.execute(delete(waiting_table).where(waiting_table.c.vehicle_id == mine))
        fixes = (fix_table.c.vehicle_id == mine) & (fix_table.c.late == WAITING)
        self.connection.execute(update(fix_table).where(fixes).values(late=LATE))

    def fired(self) -> dict[VehicleId, int]:
        """Of each vehicle the newest deadline that fired and stands (ms)."""
        newest = func.max(signal_table.c.raised)
        stands = signal_table.c.presumed & (signal_table.c.state != "withdrawn")
        query = select(vehicle_table.c.carrier, vehicle_table.c.name, newest).join_from(signal_table, vehicle_table)
        rows = self.connection.execute(query.where(stands).group_by(vehicle_table.c.carrier, vehicle_table.c.name))
        return {VehicleId(carrier, name): int(raised) for carrier, name, raised in rows}

    def vehicles(self) -> list[VehicleId]:
        """Every vehicle that anything is stored of, in order."""
        return sorted(VehicleId(row.carrier, row.name) for row in self.connection.execute(select(vehicle_table)))

    # checkpoints

    def save_checkpoints(self, rows: Sequence[tuple[VehicleId, int, bytes]]) -> None:
        """Keep the rows of vehicles at their frontiers; one at the same frontier is replaced."""
        if rows:
            values = [(self.vehicle_id(identity), frontier, body) for identity, frontier, body in rows]
            self.run(SAVE_CHECKPOINT, values)

    def checkpoint_before(self, vehicle: VehicleId, before: int | None) -> tuple[int, bytes] | None:
        """The newest checkpoint whose frontier is less than `before` (None: the newest), as (frontier, body)."""
        bound = EVER[1] if before is None else before
        row = self.run(CHECKPOINT_BEFORE, (self._stored_id(vehicle), bound)).one_or_none()
        return None if row is None else (row[0], row[1])

    def newest_checkpoints(self) -> dict[VehicleId, tuple[int, bytes]]:
        """The newest checkpoint of every vehicle that has one, as (frontier, body)."""
        rows = self.run(NEWEST_CHECKPOINTS)
        return {VehicleId(carrier, name): (frontier, body) for carrier, name, frontier, body in rows}

    def drop_checkpoints_after(self, vehicle: VehicleId, frontier: int) -> None:
        """Forget the checkpoints that did not know a late fix: those whose frontier is beyond `frontier`."""
        parameters = (self._stored_id(vehicle), frontier)
        self.run("DELETE FROM checkpoint WHERE vehicle_id = ? AND frontier > ?", parameters)

    def prune_checkpoints(self, vehicle: VehicleId, horizon: int) -> None:
        """Forget the checkpoints older than `horizon`, but for the newest at or before it: a rewind to there needs it."""
        stored = self._stored_id(vehicle)
        self.run(PRUNE_CHECKPOINTS, (stored, stored, horizon))

    # signals

    def signals_from(self, frontiers: Mapping[VehicleId, int]) -> list[StoredSignal]:
        """The signals that these vehicles' next steps may touch: open ones, and closed ones decided after the frontier; by id."""
        known = [(self._known.get(identity) or self._stored_id(identity), identity) for identity in frontiers]
        identities = {stored: identity for stored, identity in known if stored is not None}
        opened = json.dumps(list(identities))
        closed = json.dumps([(stored, frontiers[identity]) for stored, identity in identities.items()])
        rows = self.run(SIGNALS_FROM, (opened, closed)).fetchall()
        return [StoredSignal(row[1], signal_from_row(*identities[row[0]], row[3:], row[2])) for row in rows]

    def apply_changes(self, changes: Sequence[Change], now: int) -> list[Change]:
        """Store the changes, enter all but the measured in the journal; the same changes come back, the raised ones with ids.

        Raises
        ------
        StoreError
            If a change names a signal that is not stored.
        """
        ids = iter(self._insert([change for change in changes if change.what is ChangeKind.RAISED]))
        self._update([change for change in changes if change.what is not ChangeKind.RAISED])
        applied = [replace(change, id=next(ids)) if change.what is ChangeKind.RAISED else change for change in changes]
        told = [_told(change) for change in applied if change.what is not ChangeKind.MEASURED]
        if told:
            journal.append(self, told, now)
        return applied

    def signal_log(self, until: int | None = None) -> list[Signal]:
        """The signals raised by `until` (ms of event time) and not withdrawn, as they stand now, in the order of the log."""
        columns = [signal_table.c[name] for name in SIGNAL_FIELDS]
        query = select(vehicle_table.c.carrier, vehicle_table.c.name, signal_table.c.state, *columns).join_from(
            signal_table, vehicle_table
        )
        query = query.where(signal_table.c.state != "withdrawn", signal_table.c.raised <= (EVER[1] if until is None else until))
        return sorted((signal_from_row(row[0], row[1], row[3:], row[2]) for row in self.connection.execute(query)), key=log_order)

    # journal

    def record(self, actor: str, kind: str, body: Mapping[str, Any], now: int) -> int:
        """Enter into the journal who did what; returns the entry's seq."""
        return journal.append(self, [journal.Told(actor, kind, body)], now)

    # rows behind the values

    def vehicle_id(self, identity: VehicleId) -> int:
        """The database's id of a vehicle, a new one at first sight."""
        stored = self._stored_id(identity)
        if stored is None:
            values = {"carrier": identity.carrier, "name": identity.vehicle}
            query = insert(vehicle_table).values(values).returning(vehicle_table.c.id)
            stored = self.met[identity] = self.connection.execute(query).scalar_one()
        return stored

    def _stored_id(self, identity: VehicleId) -> int | None:
        stored = self._known.get(identity) or self.met.get(identity)
        if stored is None:
            query = "SELECT id FROM vehicle WHERE carrier = ? AND name = ?"
            stored = self.run(query, tuple(identity)).scalar()
            if stored is not None:
                self.met[identity] = stored
        return stored

    def _vehicle_ids(self, fleet: Fleet, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        present, position = np.unique(codes, return_inverse=True)
        identities = [fleet.ids[code] for code in present.tolist()]
        strangers = [identity for identity in identities if identity not in self._known and identity not in self.met]
        if strangers:
            self._meet(strangers)
        ids = [self._known.get(identity) or self.met[identity] for identity in identities]
        return np.array(ids, dtype=np.int64)[position]

    def _meet(self, identities: Sequence[VehicleId]) -> None:
        """Learn the ids of vehicles; those at first sight get new ones."""
        for key, stored in self.run(VEHICLES, (json.dumps(identities),)):
            self.met[identities[key]] = stored
        new = [identity for identity in identities if identity not in self.met]
        if new:
            query = insert(vehicle_table).returning(vehicle_table.c.id, sort_by_parameter_order=True)
            rows = [{"carrier": identity.carrier, "name": identity.vehicle} for identity in new]
            self.met.update(zip(new, self.connection.execute(query, rows).scalars(), strict=True))

    def _insert(self, changes: Sequence[Change]) -> Sequence[int]:
        """Store raised signals; gives their ids, in order."""
        if not changes:
            return []
        rows = [
            {
                **signal_values(change.signal),
                "vehicle_id": self.vehicle_id(VehicleId(change.signal.carrier, change.signal.vehicle)),
                "state": _state(change),
                "late_by": change.late_by,
            }
            for change in changes
        ]
        query = insert(signal_table).returning(signal_table.c.id, sort_by_parameter_order=True)
        return self.connection.execute(query, rows).scalars().all()

    def _update(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        rows = [
            {
                **signal_values(change.signal),
                "row_id": change.id,
                "state": _state(change),
                "withdrawn_reason": change.reason if change.what is ChangeKind.WITHDRAWN else None,
                "counted": int(change.what is not ChangeKind.MEASURED),
            }
            for change in changes
        ]
        written = (*SIGNAL_FIELDS, "state", "withdrawn_reason")
        query = update(signal_table).where(signal_table.c.id == bindparam("row_id"))
        query = query.values(
            {name: bindparam(name) for name in written} | {"version": signal_table.c.version + bindparam("counted")}
        )
        if self.connection.execute(query, rows).rowcount != len(rows):
            raise StoreError(f"of the signals {[change.id for change in changes]} one is not stored")


def _told(change: Change) -> journal.Told:
    body = {
        **asdict(change.signal),
        **signal_values(change.signal),
        "id": change.id,
        "late_by": change.late_by,
        "reason": change.reason,
    }
    return journal.Told("monitor", f"signal.{change.what}", body)


def _state(change: Change) -> str:
    if change.what is ChangeKind.WITHDRAWN:
        return "withdrawn"
    return "closed" if change.signal.closed else "open"
