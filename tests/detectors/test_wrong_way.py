"""The wrong way, through the whole core: a truck on a route of 40 km from west to east, that turns back. One report a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from monitor.places import Place, Route
from monitor.signals import Signal
from tests.build import heard, line, square
from tests.handmade import at, clock, degrees, told, trip
from tests.oracle_reports import Said

PLAN = trip(routes=("r",))
EAST = tuple(range(-20_000, 1, 2000))
"""Metres east of the middle of the route, from 10:00 to 10:10."""
BACK = (*EAST, -2500, -5000, -7500, -9990)
"""To 10:14."""


def back(*east: float, **how: object) -> list[Signal]:
    """The ways back of a truck so many metres east of the middle."""
    return driven([(metres, 0.0) for metres in east], **how)


def driven(spots: Sequence[tuple[float, float]], **how: object) -> list[Signal]:
    """The ways back of a truck at these spots, metres."""
    reports = [Said(f"10:{minute:02}", *spot, 30.0) for minute, spot in enumerate(spots)]
    return heard(reports, **{"routes": [line("r")], "trips": [PLAN]} | how).of("wrong_way")  # type: ignore[arg-type]


@pytest.mark.parametrize("cuts", [(), (at("10:10"), at("10:13")), (at("10:15"),)])
def test_ten_kilometres_back_are_told_as_of_the_furthest_point(cuts: tuple[int, ...]) -> None:
    """By the fix that shows them; there it was still right."""
    assert back(*BACK, cuts=cuts) == []
    [found] = back(*BACK, -10_010, cuts=cuts)
    assert told([found]) == [("10:10", "10:15", None)]
    assert found.measure == pytest.approx(10_010, abs=5.0)
    assert (found.limit, found.unit, found.severity) == (10_000.0, "m", "warning")
    assert (found.lon, found.lat) == degrees(0, 0)
    assert (found.route, found.trip, found.place, found.presumed) == ("r", "trip", None, False)


def test_a_kilometre_forward_from_furthest_back_ends_it() -> None:
    """The worst measures it."""
    [found] = back(*BACK, -10_010, -12_000, -11_020)
    assert (found.until, found.closed) == (None, False)
    [found] = back(*BACK, -10_010, -12_000, -11_020, -10_990)
    assert told([found]) == [("10:10", "10:15", "10:18")]
    assert found.measure == pytest.approx(12_000, abs=5.0)
    assert found.closed


def test_after_that_the_furthest_point_is_where_it_turned() -> None:
    """Another ten kilometres back from there are another signal."""
    found = back(*EAST, -4000, -8000, -12_000, -10_000, -14_000, -18_000, -19_000)
    assert told(found) == [("10:10", "10:13", "10:14")]
    found = back(*EAST, -4000, -8000, -12_000, -8000, -12_000, -16_000, -18_100)
    assert told(found) == [("10:10", "10:13", "10:14"), ("10:14", "10:17", None)]


def test_forth_and_back_before_it_is_told_changes_nothing() -> None:
    """The furthest point stays the furthest."""
    [found] = back(*EAST, -4000, -8000, -5000, -8000, -10_010)
    assert told([found]) == [("10:10", "10:15", None)]


@pytest.mark.parametrize(
    "then",
    [
        [trip("b", start="10:16", routes=("r",))],
        [trip("b", start="10:16")],  # along no route
        [],
    ],
)
@pytest.mark.parametrize("cuts", [(), (at("10:15"),)])
def test_another_trip_ends_it(then: list[object], cuts: tuple[int, ...]) -> None:
    """Or none; the way back on the next trip is the way."""
    plans = [trip("a", end="10:16", routes=("r",)), *then]
    found = back(*BACK, -10_010, -11_000, -12_000, trips=plans, cuts=cuts)
    assert [(*told([s])[0], s.trip) for s in found] == [("10:10", "10:15", "10:16", "a")]


def test_off_the_corridor_nothing_is_said() -> None:
    """Neither that it goes back nor that it does not, nor how far it came."""
    off = [(float(x), 1500.0) for x in (3000, 2000, -2000, -6000, -10_100)]
    on = [(float(x), 0.0) for x in EAST]
    assert driven([*on, *off]) == []
    [found] = driven([*on, *off, (-10_100.0, 0.0), (-8000.0, 1500.0)])
    assert told([found]) == [("10:10", "10:16", None)]
    assert len(driven([*on, *off], said=["detectors.route_deviation.corridor_m=2000"])) == 1


def test_a_rough_position_says_nothing() -> None:
    """The next precise one does."""
    reports = [Said(f"10:{minute:02}", float(east), speed=30.0) for minute, east in enumerate(BACK)]
    rough = Said("10:15", -10_010.0, speed=30.0, accuracy=900.0)
    assert heard([*reports, rough], routes=[line("r")], trips=[PLAN]).of("wrong_way") == []


@pytest.mark.parametrize(
    "corners",
    [
        ((-20_000, 0), (20_000, 0), (-20_000, 0)),  # out and back on one road
        ((-20_000, 0), (20_000, 0), (20_000, 200), (-20_000, 200)),  # on the other carriageway
    ],
)
def test_a_route_out_and_back_says_nothing(corners: Sequence[tuple[float, float]]) -> None:
    """A position cannot tell which way the truck goes."""
    there = Route("r", "r", tuple(degrees(*corner) for corner in corners))
    assert back(*BACK, -10_010, -12_000, routes=[there]) == []


def test_a_route_back_on_another_road_is_told_apart() -> None:
    """A kilometre beside it, with a corridor of 400 m."""
    corners = ((-20_000, 0), (20_000, 0), (20_000, 1000), (-20_000, 1000))
    there = Route("r", "r", tuple(degrees(*corner) for corner in corners), 400.0)
    assert told(back(*BACK, -10_010, routes=[there])) == [("10:10", "10:15", None)]
    assert driven([(float(-x), 1000.0) for x in (*EAST, 2000)], routes=[there]) == []  # the way home, westward


WEST_END, EAST_END = square("w", "yard", -20_000, 3000), square("e", "customer", 20_000, 3000)


@pytest.mark.parametrize(("origin", "destination"), [("w", "e"), ("w", None), (None, "e"), ("w", "elsewhere")])
def test_which_way_is_told_by_where_the_trip_begins_and_ends(origin: str | None, destination: str | None) -> None:
    """By one of both too. The trip home goes the other way, and back is east there."""
    plan, ends = trip(routes=("r",), origin=origin, destination=destination), (WEST_END, EAST_END)
    assert told(back(*BACK, -10_010, trips=[plan], places=ends)) == [("10:10", "10:15", None)]
    home = trip(routes=("r",), origin=destination, destination=origin)
    assert told(back(*(-x for x in (*BACK, -10_010)), trips=[home], places=ends)) == [("10:10", "10:15", None)]
    assert back(*BACK[10:], -10_010, trips=[home], places=ends) == []


@pytest.mark.parametrize(("origin", "destination"), [(None, None), ("elsewhere", None), (None, "elsewhere")])
def test_a_trip_that_names_no_known_end_goes_as_the_line_is_drawn(origin: str | None, destination: str | None) -> None:
    """East as it is drawn, west once it is drawn the other way round."""
    plan, drawn = trip(routes=("r",), origin=origin, destination=destination), line("r")
    west = replace(drawn, line=drawn.line[::-1])
    assert told(back(*BACK, -10_010, trips=[plan])) == [("10:10", "10:15", None)]
    assert back(*BACK[10:], -10_010, trips=[plan], routes=[west]) == []


@pytest.mark.parametrize("yard", [WEST_END, EAST_END, square("m", "yard", -7000, 4000), square("f", "yard", 60_000, -30_000)])
def test_a_trip_that_ends_where_it_began_goes_there_and_back(yard: Place) -> None:
    """Wherever that is, and whichever way the line is drawn."""
    plan = trip(routes=("r",), origin=yard.id, destination=yard.id)
    drawn = line("r")
    for there in (drawn, replace(drawn, line=drawn.line[::-1])):
        assert back(*BACK, -10_010, -18_000, trips=[plan], places=[yard], routes=[there]) == []


@pytest.mark.parametrize(("apart_m", "says"), [(115, False), (135, True)])
def test_both_ways_fit_as_well_within_250_metres(apart_m: int, says: bool) -> None:
    """From one place to another beside it: further by as much from one end of the line, nearer by as much to the other."""
    ends = (square("a", "yard", 0, 0), square("b", "drop", apart_m, 0))
    plan = trip(routes=("r",), origin="a", destination="b")
    assert bool(back(*BACK, -10_010, trips=[plan], places=ends)) == says


def test_of_a_place_midway_nothing_is_told() -> None:
    """The origin alone, as far from one end of the line as from the other."""
    assert back(*BACK, -10_010, trips=[trip(routes=("r",), origin="m")], places=[square("m", "yard", 100, 2000)]) == []
    assert len(back(*BACK, -10_010, trips=[trip(routes=("r",), origin="m")], places=[square("m", "yard", -200, 2000)])) == 1


@pytest.mark.parametrize(("apart_m", "as_drawn"), [(240, True), (270, False)])
def test_around_a_line_that_ends_where_it_begins_it_goes_as_drawn(apart_m: int, as_drawn: bool) -> None:
    """Whatever the origin and the destination: a way back is a way back on a round trip too. Else both ways are right."""
    corners = ((-20_000, 0), (20_000, 0), (20_000, 8000), (-20_000, 8000), (-20_000, apart_m))
    ring = Route("r", "r", tuple(degrees(*corner) for corner in corners))
    plan = trip(routes=("r",), origin="w", destination="w")
    assert bool(back(*BACK, -10_010, routes=[ring], trips=[plan], places=[WEST_END])) == as_drawn


@pytest.mark.parametrize(("carrier", "told_so"), [("north", False), (None, False), ("south", True)])
def test_a_place_of_another_carrier_tells_no_way(carrier: str | None, told_so: bool) -> None:
    """As if the trip named none: as the line is drawn."""
    yard = square("e", "yard", 20_000, 3000, carrier=carrier)
    plan = trip(routes=("r",), origin="e", destination=None)
    assert bool(back(*BACK[10:], -10_010, trips=[plan], places=[yard])) == told_so


def test_another_route_of_the_trip_begins_anew() -> None:
    """The nearest counts: on the second it goes no less west, but not back from where it came onto it."""
    roads, plan = [line("r"), line("s", 3000)], trip(routes=("r", "s"))
    west = [(float(x), 3000.0) for x in (-2000, -6000, -10_000, -11_980)]
    on = [(float(x), 0.0) for x in EAST]
    assert driven([*on, *west], routes=roads, trips=[plan]) == []
    [found] = driven([*on, *west, (-12_020.0, 3000.0)], routes=roads, trips=[plan])
    assert (told([found]), found.route) == ([("10:11", "10:15", None)], "s")


def test_parked_beyond_the_end_the_truck_was_furthest_when_it_came() -> None:
    """All positions there are as far along as the route goes."""
    spots = [(float(x), 0.0) for x in (12_000, 14_000, 16_000, 18_000)]
    parked = [(20_100.0, 10.0), (20_130.0, 40.0), (20_120.0, -30.0), (20_140.0, 5.0)]
    home = [(float(x), 0.0) for x in (17_000, 13_000, 9_900)]
    [found] = driven([*spots, *parked, *home])
    assert told([found]) == [("10:04", "10:10", None)]
    assert (found.lon, found.lat) == degrees(20_100, 10)


def test_how_far_is_what_the_trip_says() -> None:
    """5 km back, 3 km forward."""
    plan = replace(PLAN, limits={"wrong_way": {"back_m": 5000.0, "clear_m": 3000.0}})
    found = back(*EAST, -2500, -5010, -2500, -2000, trips=[plan])
    assert [(*told([s])[0], s.limit) for s in found] == [("10:10", "10:12", "10:14", 5000.0)]


def test_without_a_trip_or_a_route_there_is_no_way() -> None:
    """The same track says nothing."""
    for plans in ([], [trip()], [trip(routes=("elsewhere",))]):
        assert back(*BACK, -10_010, trips=plans) == []
    assert clock(back(*BACK, -10_010)[0].at) == "10:15"
