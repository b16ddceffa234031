"""The archive takes at most 12 bytes a fix, and moving a day there holds up the writing of others for a second at most.

Fleets: the simulated one of the demo; the same with a finer receiver (positions of seven decimals, speeds and headings as they come
out of a filter, milliseconds of jitter): the worst of those that are usual; and the real tracks where they are (MONITOR_DATA), a
day's worth each. Beside the archive: the same columns as a plain Parquet file (zstd), as CSV (gzip), and in the database.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.table import show
from monitor.fixes import COLUMNS, FixBatch, Fleet, VehicleId, normalised
from monitor.ingest.files import read_fixes
from monitor.ingest.fleet.plan import Plan
from monitor.ingest.simulate import read_features
from monitor.signals import instant
from monitor.store import archive
from monitor.store.store import Store

DAY = 20_700 * archive.DAY_MS
CARRIER = "demo"
DATA = Path(os.environ.get("MONITOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
REAL = ("capmetro_2016-05-30", "wuxi_taxi", "goal_delivery_even")


def simulated(fleet: Fleet, vehicles: int) -> FixBatch:
    """One day of the demo's fleet."""
    plan = Plan(7, DAY, list(read_features(Path("geofences"))), vehicles=vehicles, carrier=CARRIER)
    names = ("lon", "lat", "speed_mps", "heading_deg", "accuracy_m", "ignition")
    rows = [
        (fleet.code(VehicleId(CARRIER, vehicle)), instant(said["time"]), *(float(said[name]) for name in names))
        for index, vehicle in enumerate(plan.vehicles)
        for said in plan.fixes(index, DAY, DAY + archive.DAY_MS)
    ]
    code, when, lon, lat, speed, heading, accuracy, ignition = (np.array(column) for column in zip(*rows, strict=True))
    return normalised(
        fleet,
        code.astype(np.int32),
        when.astype(np.int64).view("datetime64[ms]"),
        lon,
        lat,
        speed=speed,
        heading=heading,
        accuracy=accuracy,
        ignition=ignition.astype(np.int8),
    )


def finer(fleet: Fleet, fixes: FixBatch) -> FixBatch:
    """The same fixes from a receiver that rounds less."""
    rng = np.random.default_rng(3)
    n, still = len(fixes), fixes.speed == 0
    walk = rng.normal(0, 5e-6, (2, n))
    when = fixes.time.view(np.int64) + np.minimum(rng.exponential(300, n), 1500).astype(np.int64)
    return normalised(
        fleet,
        fixes.vehicle,
        np.clip(when, DAY, DAY + archive.DAY_MS - 1).view("datetime64[ms]"),
        np.round(fixes.lon + walk[0], 7),
        np.round(fixes.lat + walk[1], 7),
        speed=np.where(still, 0.0, np.round(np.abs(fixes.speed + rng.normal(0, 0.2, n)), 3)),
        heading=np.round((fixes.heading + np.where(still, 0.0, rng.normal(0, 1.0, n))) % 360.0, 2),
        accuracy=np.round(fixes.accuracy, 1).astype(np.float64),
        ignition=fixes.ignition,
    )


def real(name: str) -> tuple[Fleet, FixBatch]:
    """A real track, all its days laid over each other."""
    fleet = Fleet()
    [fixes] = read_fixes(DATA / name / "fixes.csv", fleet, carrier=CARRIER).fixes
    when = (fixes.time.view(np.int64) % archive.DAY_MS + DAY).view("datetime64[ms]")
    again = normalised(fleet, fixes.vehicle, when, fixes.lon, fixes.lat, speed=_known(fixes.speed), heading=_known(fixes.heading))
    return fleet, again


def _known(column: np.ndarray[tuple[int], np.dtype[np.float32]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return column.astype(np.float64)


def plain(fixes: FixBatch, fleet: Fleet) -> tuple[int, int]:
    """Bytes of a plain Parquet file, and of a packed CSV file, of the same columns."""
    names = np.array([vehicle.vehicle for vehicle in fleet.ids], object)
    table = pd.DataFrame({name: getattr(fixes, name) for name in COLUMNS if name != "digest"} | {"vehicle": names[fixes.vehicle]})
    parquet = io.BytesIO()
    table.to_parquet(parquet, compression="zstd", index=False)
    return len(parquet.getvalue()), len(gzip.compress(table.to_csv(index=False).encode(), 6))


def moved(fixes: FixBatch, fleet: Fleet) -> tuple[int, int, float, float]:
    """Bytes in the archive, bytes in the database, seconds in all, and the longest that writing was held up."""
    with tempfile.TemporaryDirectory(prefix="monitor-benchmark-") as place:
        file, folder = Path(place, "monitor.db"), Path(place, "archive")
        store = Store.open(f"sqlite:///{file}", timedelta(seconds=30))
        with store.begin() as t:
            t.add_fixes(fleet, fixes, np.zeros(len(fixes), np.int8))
        store.close()
        store = Store.open(f"sqlite:///{file}", timedelta(seconds=30))
        stored, begun = file.stat().st_size, time.perf_counter()
        held = [0.0]
        taken = list(_portions(store, folder, held))
        seconds = time.perf_counter() - begun
        assert sum(one.fixes for one in taken) == len(fixes)
        size = sum((folder / one.file).stat().st_size for one in taken)
        store.close()
    return size, stored, seconds, max(held)


def _portions(store: Store, folder: Path, held: list[float]) -> Iterator[archive.Moved]:
    """Move everything; `held` gets how long each writing transaction took."""
    at: dict[str, float] = {}

    def reached(step: str) -> None:
        at[step] = time.perf_counter()
        if step == "dropped":
            held.append(at["dropped"] - at["verified"])

    while one := archive.archive_due(store, folder, DAY + 2 * archive.DAY_MS, 0, reached=reached):
        yield one


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, default=100, help="of the simulated fleet (%(default)s)")
    vehicles = parser.parse_args().vehicles
    fleet = Fleet()
    demo = simulated(fleet, vehicles)
    cases = {f"demo, {vehicles} vehicles": (fleet, demo), "the same, finer": (fleet, finer(fleet, demo))}
    cases |= {name: real(name) for name in REAL if (DATA / name).is_dir()}
    rows = []
    for name, (whose, fixes) in cases.items():
        size, stored, seconds, held = moved(fixes, whose)
        parquet, csv = plain(fixes, whose)
        n = len(fixes)
        rows.append([name, f"{n:,}", size / n, parquet / n, csv / n, stored / n, f"{n / seconds:,.0f}", 1000 * held])
    heads = ["one day of", "fixes", "B a fix", "plain Parquet", "CSV.gz", "database", "fixes/s moved", "held up ms"]
    show("bytes a fix in the archive; aim: 12", heads, rows)


if __name__ == "__main__":
    main()
