"""Live: a delivery of 1,000 fixes from 1,000 vehicles takes `step` at most 1 ms; one vehicle's backlog of 5,000 fixes at most 5 ms.

The world is that of `history`: 1,000 places, 200 routes of 1,000 vertices, a trip for every vehicle. Besides, 1,000 vehicles with
neither trips nor places, and the cost against the number of vehicles in a delivery.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.history import history, lines, world
from benchmarks.table import best_of, show
from monitor.fixes import FixBatch, Fleet
from monitor.motion import NONE
from monitor.pipeline import Outcome, Rows, fresh, step
from monitor.places import Geofences
from monitor.settings import Settings
from monitor.trips import Trips
from monitor.world import World

VEHICLES, EACH, WARM, TURNS = 1000, 5000, 200, 30


def live(rows: Rows, fixes: FixBatch, there: World) -> Outcome:
    """One delivery."""
    return step(rows, fixes, np.full(len(rows.code), NONE), there)


def after(fixes: FixBatch, fleet: Fleet, vehicles: int, there: World) -> tuple[Rows, FixBatch]:
    """The rows of some vehicles that have reported for a while, and the next fix of each."""
    turn = np.arange(len(fixes)) % EACH
    mine = fixes.vehicle < vehicles
    rows = fresh(fleet.ids[:vehicles], np.arange(vehicles, dtype=np.int32))
    return live(rows, fixes.take(mine & (turn < WARM)), there).rows, fixes.take(mine & (turn == WARM))


def main() -> None:
    """Measure and print."""
    rng, fleet = np.random.default_rng(7), Fleet()
    routes = lines(rng)
    there, nowhere = world(rng, routes, VEHICLES), World(Settings(), Geofences((), ()), Trips())
    fixes = history(rng, routes, fleet, VEHICLES, EACH)
    contestants, number = {}, {}
    for vehicles in (1, 10, 100, 1000):
        name = f"{vehicles:,} vehicles, a fix each"
        contestants[name], number[name] = partial(live, *after(fixes, fleet, vehicles, there), there), vehicles
    name = "1,000 vehicles without trips or places"
    contestants[name], number[name] = partial(live, *after(fixes, fleet, VEHICLES, nowhere), nowhere), VEHICLES
    name, one = "a backlog of one vehicle", fresh(fleet.ids[:1], np.zeros(1, np.int32))
    contestants[name], number[name] = partial(live, one, fixes.take(fixes.vehicle == 0), there), EACH
    best = best_of(TURNS, contestants)
    rows = [[n, number[n], s * 1e3, s / number[n] * 1e6] for n, s in best.items()]
    show(f"one delivery through the step, one core, best of {TURNS}", ["", "fixes", "ms", "us a fix"], rows)


if __name__ == "__main__":
    main()
