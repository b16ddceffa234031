"""A track of 24 hours of one vehicle, out of 100 M stored fixes: at most 100 ms, in the database, in the archive and across both.

The database is filled through the driver, and the oldest days move into the archive as they do in a program that runs. Each query
is for another vehicle and another day; the file system's cache is as the queries before left it, and the first query, which opens
everything, is told apart. Beside it: the same rows by the driver alone.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.table import percentile, show
from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.store import archive, tracks
from monitor.store.store import Store

EVERY_MS = 30_000
A_DAY = archive.DAY_MS // EVERY_MS
FIRST = 20_000 * archive.DAY_MS
CARRIERS = 4
PATIENCE = timedelta(seconds=60)


def days_of(fleet: Fleet, vehicle: VehicleId, days: int) -> FixBatch:
    """All days of a vehicle: a random walk of seven decimals."""
    own, n = fleet.code(vehicle), days * A_DAY
    rng, code = np.random.default_rng(own), np.full(n, own, np.int32)
    when = FIRST + np.arange(n) * EVERY_MS
    walk = np.cumsum(rng.normal(0, 2e-4, (2, n)), axis=1) % 1.0
    speed, heading = np.round(rng.uniform(0, 30, n), 1), np.round(rng.uniform(0, 359, n))
    lon, lat = np.round(-80 + walk[0], 7), np.round(43 + walk[1], 7)
    return normalised(fleet, code, when.view("datetime64[ms]"), lon, lat, speed=speed, heading=heading)


def fill(store: Store, folder: Path, fleet: Fleet, vehicles: list[VehicleId], days: int, archived: int) -> None:
    """Store all days; those before `archived` move."""
    for number, vehicle in enumerate(vehicles):
        batch = days_of(fleet, vehicle, days)
        with store.begin() as t:
            t.add_fixes(fleet, batch, np.zeros(len(batch), np.int8))
        print(f"\r{number + 1} of {len(vehicles)} vehicles", end="" if number + 1 < len(vehicles) else "\n", flush=True)
    while moved := archive.archive_due(store, folder, FIRST + archived * archive.DAY_MS, 0):
        print(f"\r{moved.date} {moved.carrier} is archived", end="", flush=True)
    print()


def measured(ask: Callable[[VehicleId, int], int], vehicles: list[VehicleId], begin: int, end: int, turns: int) -> list[float]:
    """Milliseconds: the first query, the median, the 99th percentile; of tracks that begin in [begin, end)."""
    rng, times = np.random.default_rng(1), []
    for _ in range(turns):
        vehicle, since = vehicles[rng.integers(len(vehicles))], int(rng.integers(begin, max(begin + 1, end)))
        begun = time.perf_counter()
        found = ask(vehicle, since)
        times.append(1000 * (time.perf_counter() - begun))
        assert found == A_DAY, found
    return [times[0], percentile(times[1:], 0.5), percentile(times[1:], 0.99)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fixes", type=int, default=100_000_000, help="how many are stored (%(default)s)")
    parser.add_argument("--vehicles", type=int, default=1000, help="of how many vehicles (%(default)s)")
    parser.add_argument("--archived", type=float, default=0.5, help="which share of the days is in the archive (%(default)s)")
    parser.add_argument("--turns", type=int, default=200, help="queries of each kind (%(default)s)")
    parser.add_argument("--url", help="an empty database to fill and leave, such as of PostgreSQL (a file of its own)")
    parser.add_argument("--folder", type=Path, help="where file and archive lie meanwhile (the system's for temporary files)")
    options = parser.parse_args()
    vehicles = [VehicleId(f"carrier-{n % CARRIERS}", f"truck-{n:05d}") for n in range(options.vehicles)]
    days = max(4, options.fixes // (len(vehicles) * A_DAY))
    archived = int(days * options.archived)
    place = Path(tempfile.mkdtemp(prefix="monitor-benchmark-", dir=options.folder))
    try:
        _measure(options, place, vehicles, days, archived)
    finally:
        shutil.rmtree(place)


def _measure(options: argparse.Namespace, place: Path, vehicles: list[VehicleId], days: int, archived: int) -> None:
    file, folder, fleet = place / "monitor.db", place / "archive", Fleet()
    store = Store.open(options.url or f"sqlite:///{file}", PATIENCE)
    fill(store, folder, fleet, vehicles, days, archived)
    store.close()
    store = Store.open(options.url or f"sqlite:///{file}", PATIENCE)

    def ours(vehicle: VehicleId, since: int) -> int:
        with store.read() as t:
            return len(tracks.fixes(t, folder, Fleet(), [vehicle], since, since + archive.DAY_MS))

    edge, end, day = FIRST + archived * archive.DAY_MS, FIRST + (days - 1) * archive.DAY_MS, archive.DAY_MS
    rows = [
        ["in the database", *measured(ours, vehicles, edge, end, options.turns)],
        ["in the archive", *measured(ours, vehicles, FIRST, edge - day, options.turns)],
        ["across both", *measured(ours, vehicles, edge - day + EVERY_MS, edge - EVERY_MS, options.turns)],
    ]
    if not options.url:
        rows.append(["the driver alone, database", *measured(_driver(file), vehicles, edge, end, options.turns)])
    held = sum(one.stat().st_size for one in folder.rglob("*.parquet")) / 1e9
    title = f"24 h of one of {len(vehicles):,} vehicles out of {days * len(vehicles) * A_DAY:,} fixes, {archived} of {days} days archived"
    show(f"{title} ({held:.2f} GB); allowed: 100 ms", ["track", "first ms", "median ms", "p99 ms"], rows)
    store.close()


def _driver(file: Path) -> Callable[[VehicleId, int], int]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    words = (
        "SELECT f.* FROM fix AS f WHERE f.vehicle_id = (SELECT id FROM vehicle WHERE carrier = ? AND name = ?) "
        "AND f.time >= ? AND f.time < ? ORDER BY f.time, f.digest"
    )

    def ask(vehicle: VehicleId, since: int) -> int:
        return len(connection.execute(words, (*vehicle, since, since + archive.DAY_MS)).fetchall())

    return ask


if __name__ == "__main__":
    main()
