"""Route deviations, through the whole core: a truck drives west to east along a line; off is metres north of it.

The corridor is 1,000 m, three fixes and two minutes are asked for, within 700 m it is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from monitor.places import Place, Route
from monitor.signals import Signal
from monitor.trips import Trip
from tests.build import line, square, watch
from tests.handmade import Report, at, clock, told, trip

ON_401 = trip(routes=("401",))


def drive(*off: float, first: str = "10:00") -> list[Report]:
    """A report a minute, 500 m further each, so many metres off; the truck is under way."""
    start = at(first)
    return [(clock(start + 60_000 * k) or "", 500.0 * k, metres, 15.0) for k, metres in enumerate(off)]


def deviations(
    reports: Sequence[Report], plan: Trip | None = ON_401, routes: Sequence[Route] = (line("401"),), until: int | None = None,
    places: Sequence[Place] = (), said: Sequence[str] = (), accuracy: Sequence[float] | None = None,
) -> list[Signal]:  # fmt: skip
    """The deviations of a trip."""
    trips = [plan] if plan else []
    return watch(reports, routes=routes, trips=trips, places=places, said=said, until=until, accuracy=accuracy).of(
        "route_deviation"
    )


def test_a_deviation_is_raised_at_the_third_fix_and_two_minutes() -> None:
    """Whichever is later; one fix more than 1,000 m off begins it."""
    assert told(deviations(drive(0, 1500, 1500))) == []
    assert told(deviations(drive(0, 1500, 1500, 1500))) == [("10:01", "10:03", None)]
    quick: list[Report] = [(f"10:0{k // 6}:{k % 6}0", 100.0 * k, 1500, 10) for k in range(14)]
    assert told(deviations(quick)) == [("10:00", "10:02", None)]
    slow: list[Report] = [("10:00", 0, 1500, 10), ("10:05", 2000, 1500, 10), ("10:10", 4000, 1500, 10)]
    assert told(deviations(slow)) == [("10:00", "10:10", None)]


def test_a_deviation_is_beyond_the_corridor_and_not_near_its_edge() -> None:
    """20 m inside is inside."""
    assert deviations(drive(*[980] * 5), until=at("12:00")) == []
    assert len(deviations(drive(*[1020] * 5))) == 1


def test_a_deviation_is_measured_in_metres_at_its_worst() -> None:
    """It lies where it began, and names route, trip and corridor."""
    [found] = deviations(drive(0, 1500, 4000, 2000))
    assert (found.unit, found.limit, found.route, found.trip, found.place) == ("m", 1000, "401", "trip", None)
    assert found.measure == pytest.approx(4000, rel=0.005)
    assert found.severity == "warning"


def test_a_deviation_ends_within_seven_tenths_of_the_corridor() -> None:
    """Between there and the corridor nothing is said."""
    assert told(deviations(drive(1500, 1500, 1500, 900, 800, 1500, 600))) == [("10:00", "10:02", "10:06")]


def test_fixes_between_neither_count_nor_end() -> None:
    """The third beyond is at five minutes."""
    assert told(deviations(drive(1500, 900, 900, 1500, 900, 1500))) == [("10:00", "10:05", None)]


def test_a_short_excursion_is_none() -> None:
    """Two fixes, and back."""
    assert deviations(drive(0, 1500, 1500, 0, 0), until=at("12:00")) == []


@pytest.mark.parametrize("plan", [None, trip(), trip(routes=("nowhere",)), trip(end="10:00", routes=("401",))])
def test_without_a_trip_over_a_known_route_nothing_is_a_deviation(plan: Trip | None) -> None:
    """Nobody said where to drive."""
    assert deviations(drive(*[5000] * 6), plan) == []


def test_the_nearest_route_counts_in_corridors() -> None:
    """2,000 m off a corridor of 3,000 is on it; beyond all, the nearest in corridors is named."""
    routes = [line("narrow", corridor=500), line("wide", north=-1000, corridor=3000)]
    plan = trip(routes=("narrow", "wide"))
    assert deviations(drive(*[1000] * 6), plan, routes) == []
    [found] = deviations(drive(*[4000] * 6), plan, routes)
    assert (found.route, found.limit) == ("wide", 3000)
    assert found.measure == pytest.approx(5000, rel=0.005)


@pytest.mark.parametrize(
    ("said", "own", "load", "corridor"),
    [
        ((), None, "standard", 1000),
        ((), 800, "standard", 800),
        ((), 800, "high_value", 500),
        (("carrier.north.route_deviation.corridor_m=600",), 800, "standard", 600),
        (("carrier.north.route_deviation.corridor_m=600",), 800, "high_value", 500),
        (("detectors.route_deviation.corridor_m=700",), None, "standard", 700),
    ],
)
def test_a_corridor_is_the_load_classes_then_the_carriers_then_the_routes(
    said: Sequence[str], own: float | None, load: str, corridor: float
) -> None:
    """Then the general one."""
    [found] = deviations(drive(*[1500] * 5), trip(routes=("401",), load=load), [line("401", corridor=own)], said=said)
    assert found.limit == corridor


def test_in_a_place_where_it_may_stand_nothing_is_a_deviation() -> None:
    """And entering one ends it."""
    rest = square("rest", "rest_area", east=1500, north=1500, half=300)
    assert told(deviations(drive(*[1500] * 4), places=[rest])) == [("10:00", "10:02", "10:03")]
    assert deviations(drive(0, 0, 0, 1500, 0), places=[rest]) == []


@pytest.mark.parametrize("end", ["origin", "destination"])
def test_near_its_origin_and_destination_nothing_is_a_deviation(end: str) -> None:
    """Within 5 km of the edge."""
    near, far = (square("depot", "yard", east=0, north=1500 + 100 + metres) for metres in (4500, 8000))
    plan = trip(routes=("401",), **{end: "depot"})  # type: ignore[arg-type]
    assert deviations(drive(*[1500] * 4), plan, places=[near]) == []
    assert len(deviations(drive(*[1500] * 4), plan, places=[far])) == 1
    assert len(deviations(drive(*[1500] * 4), plan, places=[replace(near, carrier="south")])) == 1  # another carrier's is nowhere


def test_another_trip_ends_it_and_begins_its_own() -> None:
    """At its first fix."""
    trips = [trip("a", end="10:04", routes=("401",)), trip("b", start="10:04", routes=("401",))]
    found = watch(drive(*[1500] * 8), routes=[line("401")], trips=trips).of("route_deviation")
    assert [(s.trip, clock(s.since), clock(s.at), clock(s.until)) for s in found] == [
        ("a", "10:00", "10:02", "10:04"),
        ("b", "10:04", "10:06", None),
    ]


def test_the_end_of_the_trip_ends_it() -> None:
    """At the first fix without one."""
    assert told(deviations(drive(*[1500] * 8), trip(end="10:05", routes=("401",)))) == [("10:00", "10:02", "10:05")]


def test_a_coarse_fix_is_not_seen() -> None:
    """It cannot tell a corridor."""
    assert deviations(drive(0, 1500, 1500, 1500), accuracy=[5, 5, 5, 300]) == []


def test_silence_beyond_the_corridor_is_presumed_only_after_fixes_enough() -> None:
    """Three in twenty seconds, then nothing: after two minutes."""
    quick: list[Report] = [(f"10:00:{k}0", 100.0 * k, 1500, 10) for k in range(3)]
    [found] = deviations(quick, until=at("11:00"))
    assert (clock(found.at), found.presumed) == ("10:02", True)
    assert deviations(quick[:2], until=at("11:00")) == []


def test_one_fix_may_be_enough() -> None:
    """By setting."""
    said = ["detectors.route_deviation.min_fixes=1", "detectors.route_deviation.min_duration=0s"]
    assert told(deviations(drive(0, 1500), said=said)) == [("10:01", "10:01", None)]
