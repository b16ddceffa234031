"""Warm: compiles every loop of the core for the types it meets, so that the first fix is judged as fast as the millionth.

Compiled code is cached; after the first time this takes a moment. `python -m monitor.warm` does it once after an installation.
"""

from __future__ import annotations

import numpy as np
from shapely.geometry import box

from monitor.fixes import Fleet, VehicleId, normalised
from monitor.memory import Memory
from monitor.pipeline import step
from monitor.places import Geofences, Place, Route
from monitor.settings import Settings
from monitor.trips import Trip, Trips
from monitor.world import World

START_MS = 1_772_344_800_000


def warm() -> None:
    """Step one vehicle through a small world in which every loop has something to do."""
    fleet, count = Fleet(), 8
    code = fleet.code(VehicleId("warm", "warm"))
    places = (
        Place("a", "a", "customer", box(-75.001, 44.999, -74.999, 45.001)),
        Place("b", "b", "no_stop", box(-76, 44, -74, 46)),
    )
    routes = (Route("r", "r", ((-75.0, 45.0), (-74.0, 45.5))),)
    trip = Trip("t", "warm", "warm", ("r",), START_MS, START_MS + 10**9, "a", "a", ("a",), "high_value")
    world = World(Settings(), Geofences(places, routes), Trips([trip]))
    time = START_MS + np.arange(count) * 120_000
    lon, lat = -75.0 + np.array([0, 0, 0, 0.5, 0.51, 0.51, 0.51, 0.9]), np.full(count, 45.0000001)
    fixes = normalised(fleet, np.full(count, code, np.int32), time.view("datetime64[ms]"), lon, lat, speed=np.zeros(count))
    memory, horizon = Memory(fleet), np.full(1, START_MS + 10**8)
    for part in (fixes.take(slice(0, 4)), fixes.take(slice(4, count))):
        memory.put(step(memory.rows([code]), part, horizon, world).rows)
    memory.due(START_MS, 0, 0)


if __name__ == "__main__":
    warm()
