"""The law: the signal log is a function of the fixes, the configuration and the horizon, and of nothing else.

Live, through engine and database, with random batches, delays up to hours, duplicates, ticks and restarts, gives to the byte the log
of the sorted replay; both say what a plain whole-track oracle says that was written from the definitions alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.engine import Engine
from monitor.fixes import FixBatch, Fleet, arranged, empty
from monitor.motion import NONE
from monitor.pipeline import fresh, step, stops_of
from monitor.places import load_geofences
from monitor.replay import cuts
from monitor.separation import all_separations
from monitor.signals import Signal, log_lines
from monitor.stops import Stop
from monitor.store.store import Store
from monitor.trips import Trips
from monitor.world import World
from tests import oracle, tracks
from tests.oracle_agreement import differences

PATIENT = timedelta(seconds=30)
QUICK = os.environ.get("MONITOR_TESTS") == "quick"
OFTEN = settings(max_examples=6 if QUICK else 60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated database to copy: making one costs more than a whole example."""
    file = tmp_path_factory.mktemp("blank") / "blank.db"
    Store.open(f"sqlite:///{file}", PATIENT).close()
    return file


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a database that each example begins anew with `renewed`."""
    return f"sqlite:///{tmp_path / 'law.db'}"


def renewed(url: str, blank: Path) -> Store:
    file = Path(url.removeprefix("sqlite:///"))
    for name in (file, file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm")):
        name.unlink(missing_ok=True)
    shutil.copy(blank, file)
    return Store.open(url, PATIENT)


def world_of(example: tracks.World, folder: Path) -> World:
    """The monitor's world of an example, read from GeoJSON as any other."""
    folder.mkdir(exist_ok=True)
    (folder / "all.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": example.features}))
    return World(example.settings, load_geofences(folder, example.settings.timezone), Trips(example.trips), example.permits)


def sorted_replay(example: tracks.World, world: World, horizon: int, batch: int | None = None) -> tuple[list[Signal], list[Stop]]:
    """The log, of pairs too, and the stops by the pure core alone, in time order, cut into batches."""
    fixes = example.fixes.take(example.fixes.time.view(np.int64) <= horizon)
    rows = fresh(example.vehicles, np.arange(len(example.vehicles), dtype=np.int32))
    over: list[Signal] = []
    signals: list[Signal] = []
    stops: list[Stop] = []
    bounds, order = cuts(fixes, batch)
    for begin, end in pairwise(bounds):
        until = np.full(len(example.vehicles), horizon if end == len(fixes) else NONE)
        outcome = step(rows, fixes.take(np.sort(order[begin:end])), until, world)
        assert not outcome.faults
        rows, signals = outcome.rows, outcome.signals
        over += [signal for signal in signals if signal.closed]
        stops += outcome.stops
    apart = all_separations(fixes, example.vehicles, world, horizon)
    return over + [signal for signal in signals if not signal.closed] + apart, stops + stops_of(rows, rows.episodes, world)


Schedule = Sequence[tuple[tracks.Index, int]]


def live(example: tracks.World, world: World, store: Store, schedule: Schedule, restarts: set[int]) -> list[Signal]:
    """The log after all deliveries of a schedule, some of them followed by a start from what the database holds."""
    engine = Engine(store, world, example.fleet)
    for number, (index, now) in enumerate(schedule):
        if number in restarts:
            engine = Engine(store, world, again(example.fleet, number))
            engine.resume()
        fixes = arranged(recoded(example, engine.fleet, index)) if len(index) else empty()
        assert not engine.take(fixes, (), now).faults
    engine.take(empty(), (), schedule[-1][1], horizon=schedule[-1][1])
    with store.read() as transaction:
        return transaction.signal_log()


def again(fleet: Fleet, number: int) -> Fleet:
    """A fleet as another process would meet it: other codes for the same vehicles."""
    other = Fleet()
    for identity in fleet.ids[:: 1 if number % 2 else -1]:
        other.code(identity)
    return other


def recoded(example: tracks.World, fleet: Fleet, index: tracks.Index) -> FixBatch:
    """Some fixes of the example with the codes of another fleet."""
    codes = np.array([fleet.code(identity) for identity in example.fleet.ids], np.int32)
    columns = {name: getattr(example.fixes, name)[index] for name in FixBatch.__slots__}
    return FixBatch(**(columns | {"vehicle": codes[example.fixes.vehicle[index]]}))


@given(st.integers(0, 2**32 - 1), st.integers(30, 90), st.integers(0, 2**32 - 1))
@OFTEN
def test_any_order_gives_the_log_of_the_sorted_replay(
    database: str, blank: Path, tmp_path: Path, seed: int, size: int, schedule_seed: int
) -> None:
    """Delays, batches, duplicates, ticks and restarts change when we know, never what we conclude."""
    example = tracks.random_world(seed, size)
    world = world_of(example, tmp_path / "geofences")
    schedule = tracks.deliveries(schedule_seed, example.fixes)
    restarts = set(np.random.default_rng(schedule_seed).integers(1, len(schedule), 2).tolist())
    expected, _ = sorted_replay(example, world, schedule[-1][1])
    store = renewed(database, blank)
    try:
        found = live(example, world, store, schedule, restarts)
    finally:
        store.close()
    assert log_lines(found) == log_lines(expected)


@given(st.integers(0, 2**32 - 1), st.integers(30, 200), st.integers(1, 60))
@example(seed=128, size=128, batch=1)  # trips that end where they began
@example(seed=3558511913, size=151, batch=1)  # another limit at a fix that may be the first outside a place
@settings(parent=OFTEN, max_examples=15 if QUICK else 150)
def test_the_core_says_what_the_definitions_say(tmp_path: Path, seed: int, size: int, batch: int) -> None:
    """However the stream is cut, the log and the stops are those of the whole-track oracle."""
    example = tracks.random_world(seed, size)
    world = world_of(example, tmp_path / "geofences")
    found, stops = sorted_replay(example, world, example.horizon, batch)
    of_one = [signal for signal in found if signal.kind != "separation"]  # of pairs, `tests.oracle_separation` speaks
    assert differences(of_one, oracle.signals(*example.under(example.horizon))) == []
    whole = oracle.stops(*example.under(example.horizon))
    assert sorted((s.vehicle, s.since, s.until) for s in stops) == sorted((s.vehicle, s.since, s.until) for s in whole)
