"""Claim: a delivery costs little more than its rows: our transaction stores fixes at more than 60 % of the bare driver's rate.

`python -m benchmarks.inserting [--rows N] [--delivery N]`. The same fixes, in deliveries of the same size, each a commit that waits for
the disk: by the store's transaction (vehicles looked up, an entry in the journal, the write lock), and by nothing but the driver:
`sqlite3.executemany` and psycopg's COPY by row, into a table of the same columns and key, of rows made beforehand. SQLite and a
PostgreSQL server of the benchmark's own (left out where none is installed), in turns in one run; the best of the rounds counts.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg

from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.store.codec import INSERT_FIX, fix_rows
from monitor.store.copying import TYPES
from monitor.store.store import Store
from tests.postgres import Server, binaries, serving

BEGIN = 1_790_000_000_000
VEHICLES = 500
ROUNDS = 3


def fleet_of(rows: int) -> tuple[Fleet, FixBatch]:
    """As many fixes of 500 vehicles, at a report each ten seconds."""
    fleet, number = Fleet(), np.arange(rows)
    code = np.array([fleet.code(VehicleId("bench", f"truck-{i}")) for i in range(VEHICLES)], np.int32)[number % VEHICLES]
    moment = (BEGIN + number // VEHICLES * 10_000).astype("datetime64[ms]")
    lon, lat = (-79.5 + number % 997 * 1e-5).astype(np.float64), (43.5 + number % 991 * 1e-5).astype(np.float64)
    return fleet, normalised(
        fleet, code, moment, lon, lat, speed=(number % 30).astype(np.float64), heading=(number % 360).astype(np.float64)
    )


def deliveries(fixes: FixBatch, size: int) -> Iterator[FixBatch]:
    """The fixes in the order of their times, cut."""
    order = np.argsort(fixes.time, kind="stable")
    for begin in range(0, len(fixes), size):
        yield fixes.take(np.sort(order[begin : begin + size]))


def by_the_store(url: str, rows: int, size: int) -> float:
    """Seconds for all of them through our transaction."""
    fleet, fixes = fleet_of(rows)
    parts = list(deliveries(fixes, size))
    with closing(Store.open(url, timedelta(seconds=30))) as store:
        began = time.perf_counter()
        for part in parts:
            with store.begin() as transaction:
                transaction.add_fixes(fleet, part, np.zeros(len(part), bool))
                transaction.record("ingest", "delivery", {"fixes": len(part)}, BEGIN)
        return time.perf_counter() - began


def by_sqlite3(file: Path, rows: int, size: int) -> float:
    """Seconds for the same rows through nothing but `sqlite3`."""
    _, fixes = fleet_of(rows)
    parts = [
        list(fix_rows(part.vehicle.astype(np.int64), part, np.zeros(len(part), np.int8))) for part in deliveries(fixes, size)
    ]
    with closing(sqlite3.connect(file, isolation_level=None)) as bare:
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("PRAGMA synchronous = FULL")
        columns = ", ".join(TYPES)
        bare.execute(f"CREATE TABLE fix ({columns}, PRIMARY KEY (vehicle_id, time, digest)) WITHOUT ROWID")
        began = time.perf_counter()
        for part in parts:
            bare.execute("BEGIN IMMEDIATE")
            bare.executemany(INSERT_FIX, part)
            bare.execute("COMMIT")
        return time.perf_counter() - began


def by_psycopg(url: str, rows: int, size: int) -> float:
    """Seconds for the same rows through nothing but psycopg's COPY."""
    _, fixes = fleet_of(rows)
    parts = [
        list(fix_rows(part.vehicle.astype(np.int64), part, np.zeros(len(part), np.int8))) for part in deliveries(fixes, size)
    ]
    kinds = {">i8": "bigint", ">f8": "double precision", ">f4": "real", ">i2": "smallint"}
    with psycopg.connect(url) as bare:
        columns = ", ".join(f"{name} {kinds[kind]}" for name, kind in TYPES.items())
        bare.execute(f"CREATE TABLE fix ({columns}, PRIMARY KEY (vehicle_id, time, digest))".encode())
        bare.commit()
        began = time.perf_counter()
        for rows_of_one in parts:
            with bare.cursor() as cursor, cursor.copy("COPY fix FROM STDIN") as copy:
                for row in rows_of_one:
                    copy.write_row(row)
            bare.commit()
        return time.perf_counter() - began


def told(name: str, rows: int, ours: Callable[[int], float], bare: Callable[[int], float]) -> None:
    """One line of the table."""
    pairs = [(ours(number), bare(number)) for number in range(ROUNDS)]
    mine, theirs = (rows / min(column) for column in zip(*pairs, strict=True))
    print(f"| {name} | {mine:,.0f} | {theirs:,.0f} | {mine / theirs:.0%} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--delivery", type=int, default=5000, help="fixes a commit")
    options = parser.parse_args()
    rows, size = options.rows, options.delivery
    print(f"{rows:,} fixes, {size:,} a commit; fixes/s\n\n| | ours | the bare driver | ours / bare |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        told(
            "SQLite",
            rows,
            lambda n: by_the_store(f"sqlite:///{folder}/ours-{n}.db", rows, size),
            lambda n: by_sqlite3(Path(folder, f"bare-{n}.db"), rows, size),
        )
    if binaries() is None:
        print("PostgreSQL is not installed")
        return
    with serving() as server:
        measure_server(server, rows, size)


def measure_server(server: Server, rows: int, size: int) -> None:
    """The line of the server."""
    told("PostgreSQL", rows, lambda _: by_the_store(server.empty(), rows, size), lambda _: by_psycopg(server.bare(), rows, size))


if __name__ == "__main__":
    main()
