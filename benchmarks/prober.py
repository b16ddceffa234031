"""Devices among which some stop where they may not: times each one's message until its PUBACK, then looks for the incident's row.

A PUBACK is sent after the commit, so a row that is there when it arrives was there before: the time is an upper bound. Reads an order
from standard input and writes the report to standard output, both as JSON: `python -m benchmarks.prober`.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import Any

from benchmarks.publisher import Post, Publisher, driving, fix

STOOD_MS = 60_000


def probe(number: int) -> str:
    """The name of a vehicle that stops."""
    return f"probe-{number}"


def stopping(order: dict[str, Any], *, again: bool) -> list[Post]:
    """One fix of each probe: the first of its stop, or the one that shows that it lasted too long."""
    posts, last = [], order["connections"] - 1
    for number in range(order["probes"]):
        ms = order["first_ms"] + (STOOD_MS if again else 0)
        due = (number + 0.5) / order["probe_rate"] if again else 0.0
        posts.append(Post(due, last, probe(number), fix(ms, -100.001234, 40.001234 + number * 0.01, 0.0)))
    return posts


def main() -> None:
    """Carry out one order; the report is the milliseconds of each probe, of all messages, and the probes without a row."""
    order = json.load(sys.stdin)
    publisher = Publisher(order["port"], order["carrier"], order["secret"], order["connections"], order["window"])
    publisher.publish(stopping(order, again=False))
    traffic = driving(order["first_ms"], order["vehicles"], order["messages"], order["connections"] - 1, order["rate"])
    posts = sorted([*traffic, *stopping(order, again=True)], key=lambda post: post.due)
    times = publisher.publish(posts)
    waited = [1000 * (acked - sent) for sent, acked in zip(times.sent, times.acked, strict=True)]
    names = {probe(number) for number in range(order["probes"])}
    with sqlite3.connect(f"file:{order['file']}?mode=ro", uri=True) as database:
        opened = {name for (name,) in database.execute("SELECT vehicle FROM incident")}
    probes = [ms for ms, post in zip(waited, posts, strict=True) if post.vehicle in names]
    missing = len(names - opened)
    seconds = max(times.acked) - min(times.sent)
    json.dump({"probes": probes, "all": waited, "missing": missing, "rate": len(posts) / seconds}, sys.stdout)


if __name__ == "__main__":
    main()
