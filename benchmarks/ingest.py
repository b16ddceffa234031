"""From the socket to the disk, QoS 1, every PUBACK awaited: decoding, judging and the commit are included.

One bulk connection (a gateway) with up to 1,000 messages under way takes at least 25,000 fixes a second. With 500 connections what
counts is the CPU time of the monitor for each message. Beside them: the same rows through nothing but sqlite3's `executemany`, in
transactions of as many rows as the monitor's deliveries had.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from benchmarks.running import Running, running
from benchmarks.table import best_of, show
from monitor.clock import world_clock

VEHICLES, TURNS = 500, 2
MESSAGES = 60_000
CASES = {  # connections, messages under way on each, messages a second (0: as fast as they are acknowledged), messages, fixes in each
    "1 connection, 100 under way, 50 fixes each": (1, 100, 0, MESSAGES // 10, 50),
    "1 connection, 1,000 under way": (1, 1000, 0, MESSAGES, 1),
    "500 connections, 1 under way": (500, 1, 0, MESSAGES // 2, 1),
    "500 connections, 5,000/s": (500, 10, 5000, MESSAGES // 2, 1),
    "500 connections, 500/s": (500, 10, 500, 3000, 1),
}
HOUR_MS = 3_600_000


def measure(case: tuple[int, int, int, int, int]) -> dict[str, float]:
    """One run on a new database: messages a second, CPU microseconds a message, fixes a delivery."""
    connections, window, rate, messages, fixes = case
    with running() as monitor:
        first = world_clock() - 24 * HOUR_MS
        order = {"vehicles": VEHICLES, "connections": connections, "window": window}
        monitor.order(
            "benchmarks.publisher", first_ms=first, messages=VEHICLES, rate=0, **order
        )  # compiles, and names the vehicles
        before = deliveries(monitor)
        report, spent = monitor.order(
            "benchmarks.publisher", first_ms=first + HOUR_MS, messages=messages, rate=rate, fixes=fixes, **order
        )
        taken, total = deliveries(monitor) - before, messages * fixes
        check(monitor, VEHICLES + total)
        plain = bare(monitor.file, total, max(1, total // taken))
    return {
        "rate": total / report["seconds"],
        "cpu": spent / total * 1e6,
        "batch": total / taken,
        "plain": total / plain,
    }


def deliveries(monitor: Running) -> int:
    """How many deliveries were committed."""
    with monitor.app.store.read() as transaction:
        query = "SELECT count(*) FROM journal WHERE kind = 'delivery'"
        return int(transaction.connection.exec_driver_sql(query).scalar_one())


def check(monitor: Running, expected: int) -> None:
    """Every acknowledged fix is on disk."""
    with monitor.app.store.read() as transaction:
        stored = transaction.connection.exec_driver_sql("SELECT count(*) FROM fix").scalar_one()
    if stored != expected:
        raise SystemExit(f"{stored} fixes are stored; {expected} were acknowledged")


def bare(source: Path, rows: int, batch: int) -> float:
    """Seconds to write the same rows with nothing but the driver, each batch on disk before the next."""
    with sqlite3.connect(source) as connection:
        schema = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'fix'").fetchone()[0]
        fixes = connection.execute("SELECT * FROM fix ORDER BY time LIMIT ?", (rows,)).fetchall()
    batches = [sorted(fixes[begin : begin + batch], key=lambda row: row[:3]) for begin in range(0, rows, batch)]
    marks = ", ".join("?" * len(fixes[0]))

    def write() -> None:
        with tempfile.TemporaryDirectory(prefix="monitor-benchmark-") as folder:
            target = sqlite3.connect(Path(folder, "bare.db"), isolation_level=None)
            target.execute("PRAGMA journal_mode = WAL")
            target.execute("PRAGMA synchronous = FULL")
            target.execute(schema)
            for some in batches:
                target.execute("BEGIN IMMEDIATE")
                target.executemany(f"INSERT INTO fix VALUES ({marks})", some)
                target.execute("COMMIT")
            target.close()

    return best_of(1, {"bare": write})["bare"]


def main() -> None:
    """Measure and print."""
    rows = []
    for name, case in CASES.items():
        runs = [measure(case) for _ in range(TURNS)]
        best = max(runs, key=lambda run: run["rate"]) if not case[2] else min(runs, key=lambda run: run["cpu"])
        row = [name, int(best["rate"]), int(best["batch"]), best["cpu"], int(best["plain"]), best["plain"] / best["rate"]]
        rows.append(row[:5] + (["paced"] if case[2] else row[5:]))
    heads = ["case", "fixes/s", "a delivery", "CPU us/fix", "bare sqlite3 fixes/s", "bare / ours"]
    show(f"socket to disk, QoS 1, {VEHICLES} vehicles, best of {TURNS}", heads, rows)


if __name__ == "__main__":
    main()
