"""What the second step, over pairs of vehicles, reads: the fixes of both, and what is stored of their signals.

Nothing here decides anything. Shapes: N fixes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from monitor.fixes import IMPRECISE, UNPOSITIONED, FixBatch, VehicleId
from monitor.signals import StoredSignal
from monitor.store.codec import FIX_COLUMNS, SIGNAL_FIELDS, fixes_from_rows, signal_from_row
from monitor.store.transaction import Transaction

_PRECISE = f"quality & {int(UNPOSITIONED | IMPRECISE)} = 0"
FIXES_BEYOND = f"""
SELECT {{key}}, {FIX_COLUMNS} FROM {{asked}}
CROSS JOIN vehicle AS v ON v.carrier = {{t0}} AND v.name = {{t1}}
CROSS JOIN fix AS f ON f.vehicle_id = v.id AND f.time > {{n2}} AND f.time <= coalesce(
  (SELECT n.time FROM fix AS n WHERE n.vehicle_id = v.id AND n.time >= {{n3}} AND n.{_PRECISE}
   ORDER BY n.time LIMIT 1), {{n3}})
WHERE f.{_PRECISE} ORDER BY {{key}}, f.time, f.digest
"""  # noqa: S608 (the names of columns and a number, from this program)
ENDS = f"""
SELECT v.carrier, v.name, s.trip, max(coalesce(s.until, {2**62})) FROM signal AS s JOIN vehicle AS v ON v.id = s.vehicle_id
WHERE s.kind = ? AND s.state != 'withdrawn' GROUP BY 1, 2, 3
"""  # noqa: S608 (likewise)
_READ = ", ".join(f's."{name}"' for name in SIGNAL_FIELDS)
SIGNALS_BEYOND = f"""
SELECT v.carrier, v.name, s.id, s.state, {_READ} FROM {{asked}}
CROSS JOIN vehicle AS v ON v.carrier = {{t0}} AND v.name = {{t1}}
CROSS JOIN signal AS s ON s.vehicle_id = v.id AND s.kind = ? AND s.trip = {{t2}}
WHERE s.state != 'withdrawn' AND (s.until IS NULL OR s.until > {{n3}}) ORDER BY s.id
"""  # noqa: S608 (likewise)


class Stretch(NamedTuple):
    """The fixes of a vehicle from after an instant to an end, and the first at or after the end; ms."""

    vehicle: VehicleId
    after: int
    end: int


class Ended(NamedTuple):
    """The signals of a vehicle's trip that are open, or ended after an instant; ms."""

    vehicle: VehicleId
    trip: str
    after: int


def fixes_beyond(transaction: Transaction, stretches: Sequence[Stretch]) -> FixBatch:
    """The precise fixes of all stretches; `vehicle` is the stretch's index, by which they are sorted, then by time and digest."""
    asked = json.dumps([[*stretch.vehicle, stretch.after, stretch.end] for stretch in stretches])
    return fixes_from_rows(transaction.run(FIXES_BEYOND, (asked,)).fetchall())


def latest_ends(transaction: Transaction, kind: str) -> dict[tuple[VehicleId, str], int]:
    """Of every vehicle and trip with signals of a kind, when the last of them ended: ms, 2**62 for one that is open."""
    rows = transaction.run(ENDS, (kind,))
    return {(VehicleId(carrier, name), trip): until for carrier, name, trip, until in rows}


def signals_beyond(transaction: Transaction, kind: str, asked: Sequence[Ended]) -> list[StoredSignal]:
    """The signals of a kind that are open or ended later than asked, and were not withdrawn, by id."""
    body = json.dumps([[*each.vehicle, each.trip, each.after] for each in asked])
    rows = transaction.run(SIGNALS_BEYOND, (body, kind)).fetchall()
    return [StoredSignal(row[2], signal_from_row(row[0], row[1], row[4:], row[3])) for row in rows]
