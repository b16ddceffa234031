"""What tractors with trailers cost a delivery: 1,000 pairs under way, judged from what is stored, beside the storing itself.

For information. `all report` is a delivery in which both vehicles of every pair report; in `a tenth` those of every tenth pair do.
`parted` is the former after the trailers were left behind ten minutes ago; `from the start` the first delivery after a restart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.table import percentile, show
from monitor.fixes import I64, FixBatch, Fleet, VehicleId, normalised
from monitor.pairs import Pairs
from monitor.places import Geofences
from monitor.settings import Settings
from monitor.store.store import Store
from monitor.trips import Trip, Trips
from monitor.world import World

PAIRS, EVERY_MS, START_MS, TURNS = 1000, 10_000, 1_772_323_200_000, 20


def reports(fleet: Fleet, turn: int, which: I64, left: int | None) -> FixBatch:
    """What both vehicles of some pairs report in one turn, on roads of their own; the trailers stand since the turn `left`."""
    n = len(which)
    code = np.array([fleet.code(VehicleId("acme", f"{what}-{pair}")) for what in "TR" for pair in which.tolist()], np.int32)
    along = np.concatenate([np.full(n, turn), np.full(n, turn if left is None else min(turn, left))]).astype(np.float64)
    when = np.full(2 * n, START_MS + turn * EVERY_MS) + np.repeat([0, 3000], n)
    lon, lat = -80.0 + 0.0025 * along, 44.0 + 0.005 * np.tile(which, 2).astype(np.float64)
    return normalised(fleet, code, when.astype("datetime64[ms]"), lon, lat, speed=np.full(2 * n, 20.0))


def taken(store: Store, pairs: Pairs, fleet: Fleet, fixes: FixBatch) -> tuple[float, float]:
    """Seconds of processor time that the judging took, and the whole transaction."""
    begun = time.process_time()
    with store.begin() as t:
        new = t.add_fixes(fleet, fixes, np.zeros(len(fixes), bool))
        looking = time.process_time()
        look = pairs.look(t, fleet, new, 0)
        t.apply_changes(look.changes, 0)
        looked = time.process_time() - looking
    pairs.put(look)
    return looked, time.process_time() - begun


def main() -> None:
    """Measure and print."""
    trips = [Trip(f"t{k}", "acme", f"T-{k}", (), START_MS, START_MS + 10**9, trailer=f"R-{k}") for k in range(PAIRS)]
    plan = World(Settings(), Geofences((), (), "none"), Trips(trips))
    everyone = np.arange(PAIRS)
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        store, fleet, turn = Store.open(f"sqlite:///{Path(folder) / 'pairs.db'}", timedelta(seconds=30)), Fleet(), 0

        def measured(name: str, pairs: Pairs, turns: int, whose: Callable[[int], I64], left: int | None = None) -> None:
            nonlocal turn
            found = []
            for _ in range(turns):
                found.append(taken(store, pairs, fleet, reports(fleet, turn, whose(turn), left)))
                turn += 1
            looked, whole = ([1000 * each[part] for each in found] for part in (0, 1))
            rows.append([name, percentile(looked, 0.5), percentile(looked, 0.95), percentile(whole, 0.5)])

        pairs = Pairs(plan)
        measured("(the quarter hour before)", pairs, 90, lambda _turn: everyone)
        measured("all report", pairs, TURNS, lambda _turn: everyone)
        measured("a tenth", pairs, TURNS, lambda now: everyone[now % 10 :: 10])
        left = turn
        measured("(the trailers are left)", pairs, 60, lambda _turn: everyone, left)
        measured("parted", pairs, TURNS, lambda _turn: everyone, left)
        measured("from the start", Pairs(plan), 1, lambda _turn: everyone, left)
        store.close()
    show(
        f"{PAIRS} pairs, milliseconds of processor time a delivery", ["", "judged, median", "judged, 95 %", "with storing"], rows
    )


if __name__ == "__main__":
    main()
