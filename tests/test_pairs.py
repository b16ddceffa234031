"""Separations live: whatever the order, the batches, duplicates and restarts, the stored signals are those that all fixes show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.fixes import FixBatch, Fleet, VehicleId, arranged, empty
from monitor.history import Effect
from monitor.pairs import REASON, Pairs
from monitor.separation import all_separations
from monitor.signals import Change, ChangeKind, Signal, log_lines
from monitor.store.pairs_store import fixes_beyond
from monitor.store.store import Store
from monitor.trips import Trip
from monitor.world import World
from tests.alerts.scenes import opened
from tests.build import square, world
from tests.handmade import NAN, at, batch
from tests.oracle_separation import Convoy, convoy
from tests.test_separation import TRACTOR, TRAILER, TRIP, driven, merged, stood
from tests.tracks import deliveries

QUICK = os.environ.get("MONITOR_TESTS") == "quick"


class Live:
    """A store and the pairs beside it, as the engine uses them."""

    def __init__(self, store: Store, plan: World, fleet: Fleet) -> None:
        self.store, self.world, self.fleet = store, plan, fleet
        self.pairs = Pairs(plan)
        self.judged: list[int] = []
        """Of each delivery, how many pairs were judged."""

    def restart(self, plan: World | None = None) -> None:
        """Forget everything that is not stored; perhaps another plan holds from now on."""
        self.world = plan or self.world
        self.pairs = Pairs(self.world)

    def take(self, fixes: FixBatch, now: int = 0, effects: Sequence[Effect] = ()) -> list[Change]:
        """Store a delivery and what it shows, in one transaction."""
        with self.store.begin() as t:
            new = t.add_fixes(self.fleet, fixes, np.ones(len(fixes), bool))
            look = self.pairs.look(t, self.fleet, new, now, effects)
            changes = t.apply_changes(look.changes, now)
        self.pairs.put(look)
        self.judged.append(len(look.marks))
        return changes

    def log(self) -> list[Signal]:
        """What is stored."""
        with self.store.read() as t:
            return t.signal_log()


def part(fixes: FixBatch, index: np.ndarray[tuple[int], np.dtype[np.intp]]) -> FixBatch:
    """Some fixes in any order, as a batch."""
    return arranged(FixBatch(*(getattr(fixes, name)[index] for name in FixBatch.__slots__)))


def after_any_order(example: Convoy, schedule_seed: int, folder: Path) -> list[Signal]:
    """The stored log after random deliveries with two restarts."""
    schedule = deliveries(schedule_seed, example.fixes)
    restarts = set(np.random.default_rng(schedule_seed).integers(1, len(schedule), 2).tolist())
    with opened(folder) as store:
        live = Live(store, example.world, example.fleet)
        for number, (index, now) in enumerate(schedule):
            if number in restarts:
                live.restart()
            live.take(part(example.fixes, index), now)
        return live.log()


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=4 if QUICK else 60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_gives_the_log_of_all_fixes_at_once(tmp_path: Path, seed: int, schedule_seed: int) -> None:
    """The law, for two vehicles."""
    example = convoy(seed, minutes=15)
    found = after_any_order(example, schedule_seed, tmp_path)
    for file in tmp_path.glob("monitor.db*"):
        file.unlink()
    expected = all_separations(example.fixes, example.fleet.ids, example.world, at("23:59"))
    assert log_lines(found) == log_lines(expected)
    assert sorted(signal.trip or "" for signal in found) == sorted(signal.trip or "" for signal in expected)


@pytest.fixture
def dropped() -> tuple[FixBatch, Fleet]:
    """A tractor that drives for half an hour and leaves its trailer at 10:10 beside the road."""
    return merged(
        (TRACTOR, driven("10:00", "10:30")), (TRAILER, [*driven("10:00", "10:10"), *stood("10:10:10", "10:30", 15_000)])
    )


def by_time(fixes: FixBatch) -> list[FixBatch]:
    """One delivery an instant."""
    return [fixes.take(fixes.time == time) for time in np.unique(fixes.time)]


def test_a_separation_is_raised_once_and_only_measured_from_then_on(tmp_path: Path, dropped: tuple[FixBatch, Fleet]) -> None:
    fixes, fleet = dropped
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[TRIP]), fleet)
        changes = [change for delivery in by_time(fixes) for change in live.take(delivery)]
        assert [change.what for change in changes if change.what is not ChangeKind.MEASURED] == [ChangeKind.RAISED]
        assert live.log()[0].at == at("10:10:20")


def test_a_late_fix_that_shows_them_together_takes_it_back(tmp_path: Path) -> None:
    """Two wrong positions of the trailer raise; the right one between them comes late."""
    trailer = [
        (when, east + 900 * (when[:8] in ("10:05:00", "10:05:20")), north, v) for when, east, north, v in driven("10:00", "10:30")
    ]
    fixes, fleet = merged((TRACTOR, driven("10:00", "10:30")), (TRAILER, trailer))
    late = (fixes.time.view(np.int64) == at("10:05:10")) & (fixes.vehicle == fleet.code(TRAILER))
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[TRIP]), fleet)
        for delivery in by_time(fixes.take(~late)):
            live.take(delivery)
        [before] = live.log()
        assert (before.since, before.until) == (at("10:05"), at("10:05:30"))
        [change] = live.take(fixes.take(late), at("10:40"))
        assert (change.what, change.reason, live.log()) == (ChangeKind.WITHDRAWN, REASON, [])


def test_a_late_fix_of_the_trailer_counts_for_the_fixes_of_the_tractor_just_before_it(tmp_path: Path) -> None:
    """A mark stands at 10:09:50, against a wrong position; the right one of 10:09:52 comes late."""
    wrong = ("10:09:40", "10:10:00")
    trailer = [(when, east + 900 * (when[:8] in wrong), north, v) for when, east, north, v in driven("10:00", "10:30", every=20)]
    fixes, fleet = merged((TRACTOR, driven("10:00", "10:30")), (TRAILER, [*trailer, *driven("10:09:52", "10:09:52")]))
    late = fixes.time.view(np.int64) == at("10:09:52")
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[TRIP]), fleet)
        for delivery in by_time(fixes.take(~late)):
            live.take(delivery)
        assert [signal.since for signal in live.log()] == [at("10:09:40")]
        live.take(fixes.take(late))
        assert live.log() == all_separations(fixes, fleet.ids, live.world, at("23:59")) == []


def test_what_lies_before_a_mark_still_says_how_the_fixes_after_it_stand(tmp_path: Path) -> None:
    """The mark of 10:01:05 goes on to 10:01:10, which moved since then, and whose nearest fix of the trailer is of 10:00:57."""
    tractor = [*stood("10:00", "10:01:05", 5000, every=5, speed=NAN), *driven("10:01:10", "10:02", every=5, speed=NAN, east=5000)]
    trailer = [row for when in ("10:00:29", "10:00:57", "10:01:25", "10:01:53") for row in stood(when, when, 0)]
    fixes, fleet = merged((TRACTOR, tractor), (TRAILER, trailer))
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[TRIP]), fleet)
        for delivery in by_time(fixes):
            live.take(delivery)
        [signal] = live.log()
        assert (signal.since, signal.at) == (at("10:01:10"), at("10:01:15"))


def test_a_delivery_reads_what_came_since_the_last_mark_and_no_more(
    tmp_path: Path, dropped: tuple[FixBatch, Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the two are apart already."""
    fixes, fleet = dropped
    read: list[int] = []

    def counted(*asked: Any) -> FixBatch:
        found = fixes_beyond(*asked)
        read.append(len(found))
        return found

    monkeypatch.setattr("monitor.pairs.fixes_beyond", counted)
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[TRIP]), fleet)
        for delivery in by_time(fixes):
            live.take(delivery)
    assert max(read[20:]) <= 6


def test_vehicles_of_no_pair_and_times_of_no_trip_are_not_looked_at(tmp_path: Path, dropped: tuple[FixBatch, Fleet]) -> None:
    fixes, fleet = dropped
    stranger, _ = batch(driven("10:00", "10:30"), vehicle=VehicleId("north", "T-7"))
    stranger.vehicle[:] = fleet.code(VehicleId("north", "T-7"))
    before = Trip("before", "north", "T-1", (), at("07:00"), at("08:00"), trailer="R-1")
    later = Trip("later", "north", "T-1", (), at("11:00"), at("12:00"), trailer="R-1")
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[before, later]), fleet)
        live.take(stranger)
        live.take(fixes)
        assert live.judged == [0, 0]
        nothing = Live(store, world(), fleet)
        nothing.take(stranger)
        assert nothing.judged == [0]


def test_the_first_fix_after_a_trip_ends_what_was_open_and_an_earlier_one_that_comes_late_moves_that(
    tmp_path: Path, dropped: tuple[FixBatch, Fleet]
) -> None:
    fixes, fleet = dropped
    trip = Trip("trip", "north", "T-1", (), at("09:00"), at("10:20"), trailer="R-1")
    on, after = fixes.time.view(np.int64) < at("10:20"), fixes.time.view(np.int64) >= at("10:25")
    between = ~on & ~after
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[trip]), fleet)
        live.take(fixes.take(on))
        live.restart()
        assert [change.what for change in live.take(fixes.take(after))] == [ChangeKind.CLEARED]
        assert live.log()[0].until == at("10:25")
        live.restart()
        assert [change.what for change in live.take(fixes.take(between))] == [ChangeKind.REVISED]
        assert live.log()[0].until == at("10:20")
        live.take(fixes.take(after))
        assert live.judged[-1] == 0


def test_a_change_of_the_plan_or_of_a_place_judges_anew_without_any_fix(tmp_path: Path, dropped: tuple[FixBatch, Fleet]) -> None:
    """As the history makes worlds: what is planned otherwise stays, empty, and its successor is added."""
    fixes, fleet = dropped
    alone, never = Trip("trip", "north", "T-1", (), at("09:00"), at("12:00")), replace(TRIP, ends_at=TRIP.starts_at)
    drop = square("drop", "drop", 15_000)
    worlds = [
        (world(trips=[replace(alone, ends_at=alone.starts_at), TRIP]), Effect("north", "T-1", at("09:00")), ChangeKind.RAISED),
        (world(trips=[alone, TRIP], places=[drop]), Effect(None, None, at("10:05")), ChangeKind.WITHDRAWN),
        (world(trips=[alone, TRIP]), Effect("north", None, at("10:05")), ChangeKind.RAISED),
        (world(trips=[alone, replace(TRIP, ends_at=at("10:15"))]), Effect("north", "R-1", at("10:15")), ChangeKind.CLEARED),
        (
            world(trips=[alone, never, replace(TRIP, ends_at=at("10:25"))]),
            Effect("north", "T-1", at("09:00")),
            ChangeKind.REVISED,
        ),
        (world(trips=[alone, never, never]), Effect("north", "T-1", at("09:00")), ChangeKind.WITHDRAWN),
    ]
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[alone]), fleet)
        live.take(fixes)
        for plan, effect, expected in worlds:
            live.pairs = live.pairs.under(plan)
            assert [change.what for change in live.take(empty(), effects=[effect])] == [expected]
            assert log_lines(live.log()) == log_lines(all_separations(fixes, fleet.ids, plan, at("23:59")))
        assert live.take(empty(), effects=[Effect("south", None, at("09:00"))]) == []


def test_what_is_not_committed_is_not_remembered(tmp_path: Path, dropped: tuple[FixBatch, Fleet]) -> None:
    fixes, fleet = dropped
    with opened(tmp_path) as store:
        live = Live(store, world(trips=[TRIP]), fleet)
        late = fixes.time.view(np.int64) >= at("10:15")
        live.take(fixes.take(~late))
        with suppress(RuntimeError), store.begin() as t:
            new = t.add_fixes(fleet, fixes.take(late), np.ones(int(late.sum()), bool))
            live.pairs.look(t, fleet, new, 0)
            raise RuntimeError("the plug is pulled")
        live.take(fixes.take(late))
        assert log_lines(live.log()) == log_lines(all_separations(fixes, fleet.ids, live.world, at("23:59")))
