"""Separations through the engine: live in any order as in the sorted replay, beside the signals of each vehicle."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.engine import Engine
from monitor.fixes import empty
from monitor.replay import _in_time_order
from monitor.signals import log_lines
from tests.alerts.scenes import opened
from tests.oracle_separation import convoy
from tests.test_law import again
from tests.test_pairs import part
from tests.tracks import deliveries

QUICK = os.environ.get("MONITOR_TESTS") == "quick"


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=4 if QUICK else 60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_gives_the_log_of_the_sorted_replay(tmp_path: Path, seed: int, schedule_seed: int) -> None:
    example = convoy(seed, minutes=15)
    schedule = deliveries(schedule_seed, example.fixes)
    horizon = schedule[-1][1]
    restarts = set(np.random.default_rng(schedule_seed).integers(1, len(schedule), 2).tolist())
    with opened(tmp_path) as store:
        engine = Engine(store, example.world, example.fleet)
        for number, (index, now) in enumerate(schedule):
            if number in restarts:
                engine = Engine(store, example.world, again(example.fleet, 1))
                engine.resume()
            engine.take(part(example.fixes, index) if len(index) else empty(), (), now)
        engine.take(empty(), (), horizon, horizon=horizon)
        with store.read() as t:
            found = t.signal_log()
    for file in tmp_path.glob("monitor.db*"):
        file.unlink()
    expected, _, _ = _in_time_order([example.fixes], example.fleet, example.world, horizon, None, lambda _done, _all: None)
    assert log_lines(found) == log_lines(expected)
