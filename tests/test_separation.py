"""Tractor and trailer apart: what shows it, what does not, and the plain oracle over random convoys."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from monitor.fixes import FixBatch, Fleet, VehicleId, concatenate
from monitor.places import Place
from monitor.separation import all_separations
from monitor.signals import Signal
from monitor.trips import Trip
from tests.build import square, world
from tests.handmade import NAN, Report, at, clock, told
from tests.handmade import batch as batch_of
from tests.oracle_separation import Fragile, convoy, exact

TRACTOR, TRAILER = VehicleId("north", "T-1"), VehicleId("north", "R-1")
TRIP = Trip("trip", "north", "T-1", (), at("09:00"), at("12:00"), trailer="R-1")
QUICK = os.environ.get("MONITOR_TESTS") == "quick"


def driven(
    first: str, last: str, *, every: int = 10, offset: float = 0.0, speed: float = 25.0, east: float = 0.0
) -> list[Report]:
    """A drive east at 25 m/s from 10:00 on, `offset` seconds out of step."""
    begin, end = at(first), at(last)
    times = range(begin + round(1000 * offset), end + 1, 1000 * every)
    return [(f"{clock_ms(t)}", east + 25.0 * (t - at("10:00")) / 1000, 0.0, speed) for t in times]


def clock_ms(ms: int) -> str:
    seconds, rest = divmod(ms - at("00:00"), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def stood(first: str, last: str, east: float, *, every: int = 10, speed: float = 0.0) -> list[Report]:
    return [(clock_ms(t), east, 0.0, speed) for t in range(at(first), at(last) + 1, 1000 * every)]


def merged(*reports: tuple[VehicleId, Sequence[Report]]) -> tuple[FixBatch, Fleet]:
    fleet = Fleet()
    batches = []
    for vehicle, rows in reports:
        fixes, _ = batch_of(rows, vehicle=vehicle)
        code = fleet.code(vehicle)
        fixes.vehicle[:] = code
        batches.append(fixes)
    return concatenate(batches), fleet


def found(
    tractor: Sequence[Report], trailer: Sequence[Report], *, places: Sequence[Place] = (), trips: Sequence[Trip] = (TRIP,)
) -> list[Signal]:
    """The separations of a tractor's and a trailer's reports."""
    fixes, fleet = merged((TRACTOR, tractor), (TRAILER, trailer))
    return all_separations(fixes, fleet.ids, world(places=places, trips=trips), at("23:59"))


def test_a_tractor_that_leaves_its_trailer_somewhere_raises_once_at_the_second_synchronous_fix() -> None:
    [signal] = found(driven("10:00", "10:30"), [*driven("10:00", "10:10"), *stood("10:10:10", "10:30", 15_000)])
    assert (clock(signal.since), clock(signal.at), signal.until) == ("10:10:10", "10:10:20", None)
    assert (signal.kind, signal.vehicle, signal.trip, signal.severity) == ("separation", "T-1", "trip", "critical")
    assert signal.measure == pytest.approx(20 * 60 * 25, rel=1e-3)
    assert (signal.limit, signal.unit, signal.presumed, signal.closed) == (150.0, "m", False, False)


def test_it_ends_at_the_fix_that_shows_them_together_again() -> None:
    away = [*driven("10:00", "10:09:50"), *stood("10:10", "10:12", 15_000), *driven("10:12:10", "10:30")]
    assert told(found(driven("10:00", "10:30"), away)) == [("10:10:10", "10:10:20", "10:12:10")]


def test_it_ends_with_the_trip_at_the_first_fix_of_either_after_it() -> None:
    trip = Trip("trip", "north", "T-1", (), at("09:00"), at("10:20:06"), trailer="R-1")
    trailer = [*driven("10:00", "10:10"), *stood("10:10:10", "10:30", 15_000, every=7)]
    assert told(found(driven("10:00", "10:30"), trailer, trips=[trip])) == [("10:10:10", "10:10:20", "10:20:10")]
    assert told(found(driven("10:00", "10:20"), trailer, trips=[trip])) == [("10:10:10", "10:10:20", "10:20:12")]


@pytest.mark.parametrize("kind", ["drop", "yard"])
def test_a_trailer_left_in_a_drop_or_a_yard_is_where_it_belongs(kind: str) -> None:
    trailer = [*driven("10:00", "10:10"), *stood("10:10:10", "10:30", 15_000)]
    assert found(driven("10:00", "10:30"), trailer, places=[square("p", kind, 15_000)]) == []
    assert found(driven("10:00", "10:30"), trailer, places=[square("p", kind, 15_000, carrier="north")]) == []
    assert len(found(driven("10:00", "10:30"), trailer, places=[square("p", kind, 15_000, carrier="south")])) == 1
    assert len(found(driven("10:00", "10:30"), trailer, places=[square("p", "customer", 15_000)])) == 1


def test_a_tractor_that_moves_about_a_yard_is_not_under_way_without_its_trailer() -> None:
    trailer = stood("10:00", "10:30", 5_000)
    assert found(driven("10:01", "10:03"), trailer, places=[square("yard", "yard", 0, half=4_990)]) == []
    assert len(found(driven("10:01", "10:03"), trailer, places=[square("yard", "yard", 0, half=2_000)])) == 1


@pytest.mark.parametrize("offset", [0.0, 1.0, 5.0, 7.5, 14.9])
@pytest.mark.parametrize("speed", [25.0, NAN])
def test_side_by_side_at_90_kmh_never_raises_however_their_reports_are_offset(offset: float, speed: float) -> None:
    tractor = driven("10:00", "10:30", every=30, speed=speed)
    for east in (-20.0, 0.0, 20.0):
        assert found(tractor, driven("10:00", "10:30", every=30, offset=offset, speed=speed, east=east)) == []


def test_positions_further_apart_in_time_than_synchronous_say_nothing() -> None:
    trailer = [*driven("10:00", "10:10"), *stood("10:10:15.001", "10:30", 15_000, every=60)]
    assert found(driven("10:00", "10:30", every=60), trailer) == []
    trailer = [*driven("10:00", "10:10"), *stood("10:10:15", "10:30", 15_000, every=60)]
    assert len(found(driven("10:00", "10:30", every=60), trailer)) == 1


def test_a_silent_trailer_shows_nothing() -> None:
    assert found(driven("10:00", "10:30"), driven("10:00", "10:10")) == []


def test_a_standing_tractor_shows_nothing_whatever_the_trailer_does() -> None:
    assert found(stood("10:00", "10:30", 0), driven("10:00", "10:30")) == []


def test_a_tractor_that_reports_no_speed_is_under_way_as_far_as_it_came() -> None:
    trailer = stood("10:00", "10:30", 0)
    assert told(found(driven("10:00", "10:30", speed=NAN), trailer)) == [("10:00:10", "10:00:20", None)]
    assert found(stood("10:00", "10:30", 800, speed=NAN), trailer) == []


def test_one_wrong_position_of_the_trailer_is_not_two_however_many_fixes_of_the_tractor_are_near_it() -> None:
    wrong = [(clock_text, east + (700 if clock_text == "10:05:00.000" else 0), north, speed)
             for clock_text, east, north, speed in driven("10:00", "10:30", every=20)]  # fmt: skip
    assert found(driven("10:00", "10:30", every=2), wrong) == []


def test_only_the_trip_that_wins_says_which_trailer_is_the_tractors() -> None:
    other = Trip("other", "north", "T-1", (), at("10:05"), at("10:25"), trailer="R-2")
    trailer = [*driven("10:00", "10:10"), *stood("10:10:10", "10:20", 15_000), *driven("10:20:10", "10:30")]
    assert found(driven("10:00", "10:30"), trailer, trips=[TRIP, other]) == []


def test_a_trailer_of_another_carrier_or_none_is_nobodys() -> None:
    fixes, fleet = merged((TRACTOR, driven("10:00", "10:30")), (VehicleId("south", "R-1"), stood("10:00", "10:30", 0)))
    assert all_separations(fixes, fleet.ids, world(trips=[TRIP]), at("23:59")) == []
    alone = Trip("trip", "north", "T-1", (), at("09:00"), at("12:00"))
    assert found(driven("10:00", "10:30"), stood("10:00", "10:30", 0), trips=[alone]) == []


def test_nothing_after_the_horizon_is_known() -> None:
    fixes, fleet = merged((TRACTOR, driven("10:00", "10:30")), (TRAILER, stood("10:00", "10:30", 0)))
    plan = world(trips=[TRIP])
    assert all_separations(fixes, fleet.ids, plan, at("10:00:10")) == []
    [signal] = all_separations(fixes, fleet.ids, plan, at("10:00:20"))
    assert (clock(signal.at), math.floor(signal.measure)) == ("10:00:20", 499)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40 if QUICK else 400, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_says_what_the_definitions_say(seed: int) -> None:
    example = convoy(seed)
    try:
        expected = example.expected
    except Fragile:
        assume(False)
    ours = all_separations(example.fixes, example.fleet.ids, example.world, at("23:59"))
    assert sorted(map(exact, ours)) == sorted(map(exact, expected))
    for one, other in zip(sorted(ours, key=exact), sorted(expected, key=exact), strict=True):
        assert one.measure == pytest.approx(other.measure, rel=1e-4, abs=0.2)
    assert all(signal.since <= signal.at <= (signal.until or signal.at) for signal in ours)
