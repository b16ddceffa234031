"""Replay: the signal log of files of fixes, by the very step that runs live.

In time order it is the pure core alone, batch after batch. In arrival order the batches go, as the files have them, through the same
engine and database as live: duplicates, late fixes, checkpoints and rewinds included. Both give the same bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from monitor.engine import Engine
from monitor.fixes import FixBatch, Fleet, concatenate, empty
from monitor.ingest.files import read_fixes
from monitor.motion import NONE
from monitor.pipeline import fresh, step, stops_of
from monitor.separation import all_separations
from monitor.signals import Signal, json_line, timestamp
from monitor.stops import Stop
from monitor.store.store import Store
from monitor.world import World

Progress = Callable[[int, int], None]
"""Told after each batch: fixes done, of how many."""


@dataclass(frozen=True)
class Replayed:
    """What a replay found at its horizon."""

    signals: list[Signal]
    stops: list[Stop]
    fixes: int
    rejects: list[str]
    faults: dict[str, str]
    imprecise: int
    """Fixes whose position is too rough to tell a stop or a corridor."""


def replay(
    files: Sequence[Path],
    world: World,
    *,
    until: int | None = None,
    batch: int | None = None,
    arrival_order: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> Replayed:
    """Give the signal log and the stops of some files at a horizon (`until`, ms; None: the newest time in all of them).

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    fleet, rejects, batches = Fleet(), [], []
    for file in files:
        read = read_fixes(file, fleet, batch if arrival_order else None)
        batches += read.fixes
        rejects += read.rejects
    newest = max((int(b.time.view(np.int64).max()) for b in batches if len(b)), default=NONE)
    horizon = newest if until is None else until
    batches = [b.take(b.time.view(np.int64) <= horizon) for b in batches]
    run = _as_they_arrived if arrival_order else _in_time_order
    signals, stops, faults = run(batches, fleet, world, horizon, batch, progress)
    imprecise = sum(int(np.count_nonzero(b.positioned & ~b.precise)) for b in batches)
    return Replayed(signals, stops, sum(map(len, batches)), rejects, faults, imprecise)


Found = tuple[list[Signal], list[Stop], dict[str, str]]


def _in_time_order(
    batches: Sequence[FixBatch], fleet: Fleet, world: World, horizon: int, batch: int | None, progress: Progress
) -> Found:
    """Step through all fixes in the order of their times."""
    fixes = concatenate(batches) if batches else empty()
    rows = fresh(fleet.ids, np.arange(len(fleet.ids), dtype=np.int32))
    never = np.full(len(fleet.ids), NONE)
    over: list[Signal] = []
    signals: list[Signal] = []
    stops: list[Stop] = []
    faults: dict[str, str] = {}
    bounds, order = cuts(fixes, batch)
    for begin, end in pairwise(bounds):
        part = fixes.take(np.sort(order[begin:end]))
        outcome = step(rows, part, np.full(len(fleet.ids), horizon) if end == len(fixes) else never, world)
        rows, signals = outcome.rows, outcome.signals
        over += [signal for signal in signals if signal.closed]
        stops += outcome.stops
        faults.update(outcome.faults)
        progress(end, len(fixes))
    open_ones = [signal for signal in signals if not signal.closed]
    signals = over + open_ones + all_separations(fixes, fleet.ids, world, horizon)
    return signals, stops + stops_of(rows, rows.episodes, world), faults


def cuts(fixes: FixBatch, batch: int | None) -> tuple[list[int], np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Where to cut the fixes, ordered by time; all fixes of one instant stay together."""
    order = np.argsort(fixes.time, kind="stable")
    if batch is None or not len(fixes):
        return [0, len(fixes)], order
    time = fixes.time[order]
    begins = np.searchsorted(time, time[np.arange(0, len(fixes), batch)], side="left")
    return [*np.unique(begins).tolist(), len(fixes)], order


def _as_they_arrived(
    batches: Sequence[FixBatch], fleet: Fleet, world: World, horizon: int, _batch: int | None, progress: Progress
) -> Found:
    """Take the batches one after the other, as if they came in live, into a database that is thrown away."""
    done, total = 0, sum(map(len, batches))
    faults: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="monitor-replay-") as folder:
        store = Store.open(f"sqlite:///{folder}/replay.db", timedelta(seconds=30))
        try:
            engine = Engine(store, world, fleet)
            for fixes in batches:
                faults.update(engine.take(fixes, (), 0, NONE).faults)
                done += len(fixes)
                progress(done, total)
            faults.update(engine.take(empty(), (), 0, horizon).faults)
            for vehicle in engine.waiting():
                faults.update(engine.adjudicate(vehicle, 0, horizon).faults)
            with store.read() as t:
                signals = t.signal_log()
                stored = [t.fixes_of(fleet, code, None) for code in range(len(fleet.ids))]
        finally:
            store.close()
    _, stops, _ = _in_time_order(stored, fleet, world, horizon, None, lambda _done, _all: None)
    return signals, stops, faults


def stop_lines(stops: Sequence[Stop]) -> list[str]:
    """The stops as JSON lines, by (since, carrier, vehicle)."""
    return [
        json_line(
            vehicle=stop.vehicle.vehicle,
            since=timestamp(stop.since),
            until=timestamp(stop.until),
            lon=stop.lon,
            lat=stop.lat,
            place=stop.place,
            authorized=stop.authorized,
        )
        for stop in sorted(stops, key=lambda stop: (stop.since, stop.vehicle))
    ]
