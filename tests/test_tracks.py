"""Random worlds are what they promise: busy, repeatable, away from edges; and deliveries bring everything."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from monitor.detectors import DETECTORS
from tests import oracle
from tests.tracks import World, deliveries, random_world, worlds


@settings(max_examples=25, deadline=None)
@given(worlds(120))
def test_in_random_worlds_signals_are_ordered_in_time(world: World) -> None:
    """Since <= at <= until, nothing lies beyond the horizon, and no fix lies on an edge."""
    found = oracle.signals(*world.under(world.horizon))
    assert all(s.since <= s.at <= (s.until if s.until is not None else world.horizon) for s in found)
    assert all(s.raised <= world.horizon for s in found)
    assert oracle.fragile(*world.under(world.horizon)) == set()


def test_random_worlds_are_busy_and_repeat() -> None:
    """Twelve worlds show every kind, presumed and seen, open and ended; a seed is a world."""
    found = [s for seed in range(12) for s in oracle.signals(*random_world(seed, 90).under(2**45))]
    assert {s.kind for s in found} == {detector.KIND for detector in DETECTORS}
    assert {s.presumed for s in found} == {True, False} == {s.until is None for s in found}
    assert (random_world(3, 90).fixes.digest == random_world(3, 90).fixes.digest).all()


def test_deliveries_bring_every_fix_after_its_time() -> None:
    """A schedule never goes back in time, brings every fix at least once, and ends in a tick."""
    world = random_world(5, 100)
    schedule = deliveries(7, world.fixes)
    nows = [now for _, now in schedule]
    assert nows == sorted(nows)
    assert set(np.concatenate([index for index, _ in schedule]).tolist()) == set(range(len(world.fixes)))
    assert all((world.fixes.time.view(np.int64)[index] <= now).all() for index, now in schedule)
    assert len(schedule[-1][0]) == 0
