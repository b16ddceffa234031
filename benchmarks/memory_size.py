"""What the monitor remembers of a vehicle takes at most 1 kB of memory: of one under way, and of one in a visit with a stop open.

`numpy` counts the rows; `tracemalloc` everything that Python allocated for them, the vehicle's name included.
"""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

import numpy as np

from benchmarks.table import show
from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.memory import Memory
from monitor.motion import NONE
from monitor.pipeline import step
from monitor.places import load_geofences
from monitor.settings import load_settings
from monitor.trips import Trips
from monitor.world import World

VEHICLES, EACH = 20_000, 6
START_MS = 1_772_345_000_000
YARD = (
    '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":"yard","name":"Yard","kind":"customer"},'
    '"geometry":{"type":"Polygon","coordinates":[[[-80,43],[-79,43],[-79,44],[-80,44],[-80,43]]]}}]}'
)


def world() -> World:
    """One place, a degree wide."""
    settings = load_settings(None, [])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "yard.geojson").write_text(YARD, encoding="utf-8")
        return World(settings, load_geofences(Path(folder), settings.timezone), Trips())


def fixes(fleet: Fleet, *, standing: bool, lat: float) -> FixBatch:
    """Some fixes of each vehicle, half a minute apart."""
    code = np.repeat(np.array([fleet.code(VehicleId("acme", f"truck-{v}")) for v in range(VEHICLES)], np.int32), EACH)
    turn = np.tile(np.arange(EACH), VEHICLES)
    speed = np.full(len(code), 0.0 if standing else 20.0)
    lon = np.where(standing, -79.501234, -79.901234 + turn * 600 / 80_000)
    time = (START_MS + 30_000 * turn).astype("datetime64[ms]")
    return normalised(fleet, code, time, lon, np.full(len(code), lat), speed=speed)


def measure(*, standing: bool, lat: float) -> list[float]:
    """Visits, episodes and bytes a vehicle."""
    there = world()
    tracemalloc.start()
    fleet = Fleet()
    memory = Memory(fleet)
    batch = fixes(fleet, standing=standing, lat=lat)
    outcome = step(memory.rows(range(VEHICLES)), batch, np.full(VEHICLES, NONE), there)
    visits, episodes = len(outcome.rows.visits) / VEHICLES, len(outcome.rows.episodes) / VEHICLES
    memory.put(outcome.rows)
    del outcome, batch
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return [visits, episodes, memory.nbytes() / VEHICLES, held / VEHICLES]


def main() -> None:
    """Measure and print."""
    cases = {
        "under way, in no place": (False, 45.0),
        "standing where it may not": (True, 45.0),
        "standing in a customer's yard": (True, 43.5),
    }
    measure(standing=True, lat=43.5)  # what compiling leaves behind is not the vehicles'
    rows = [[name, *measure(standing=standing, lat=lat)] for name, (standing, lat) in cases.items()]
    heads = ["vehicle", "visits", "episodes", "bytes of rows", "bytes in all"]
    show(f"memory a vehicle, {VEHICLES:,} vehicles; allowed: 1,000 bytes", heads, rows)


if __name__ == "__main__":
    main()
