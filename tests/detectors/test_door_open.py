"""Open doors, through the whole core: a truck that reports each minute from 10:00 whether its cargo door is open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.fixes import Fleet, VehicleId, concatenate
from monitor.signals import Signal
from tests.build import heard, run, spoken, square, world
from tests.handmade import NAN, at, clock, degrees, told, trip
from tests.oracle_reports import Said, authorization

BLIND = (NAN, NAN, NAN)
YARD = [square("y", "yard", half=1000)]


def doors(*door: int, speed: float = 0.0) -> list[Said]:
    """The door, minute by minute: 1 open, 0 closed, -1 not said."""
    return [Said(f"10:{minute:02}", speed=speed, door=said) for minute, said in enumerate(door)]


def opened(reports: list[Said], **how: object) -> list[Signal]:
    """The open doors."""
    return heard(reports, **how).of("door_open")  # type: ignore[arg-type]


def test_a_door_open_where_it_may_not_be_is_told_at_once_and_ends_when_closed() -> None:
    """Measured in seconds."""
    [found] = opened(doors(0, 1, 1, 0))
    assert told([found]) == [("10:01", "10:01", "10:03")]
    assert (found.measure, found.limit, found.unit, found.severity, found.place) == (120.0, 0.0, "s", "warning", None)
    assert (found.lon, found.lat, found.detail) == (*degrees(0, 0), None)


def test_a_report_that_does_not_say_says_nothing_between_open_and_closed() -> None:
    """It neither ends an open door nor shows one."""
    assert told(opened(doors(1, -1, 1, -1, 0, -1, 1))) == [("10:00", "10:00", "10:04"), ("10:06", "10:06", None)]
    [found] = opened(doors(1, -1, -1))
    assert (found.until, found.measure) == (None, 0.0)
    assert opened(doors(-1, 0, -1)) == []


@pytest.mark.parametrize(
    ("speed", "expected"),
    [(1.0, []), (2.4, []), (NAN, []), (2.5, [("10:00", "10:00", None)]), (5.0, [("10:00", "10:00", None)])],
)
def test_docking_with_open_doors_is_no_breach_and_driving_off_is(speed: float, expected: list[tuple[str | None, ...]]) -> None:
    """In a yard, at so many metres a second."""
    assert told(opened(doors(1, speed=speed), places=YARD)) == expected


def test_it_ends_when_the_truck_stops_where_the_door_may_be_open() -> None:
    """At the report that shows it."""
    reports = [Said("10:00", door=1, speed=1.0), Said("10:01", door=1, speed=5.0), Said("10:02", door=1, speed=1.0)]
    assert told(opened(reports, places=YARD)) == [("10:01", "10:01", "10:02")]


@pytest.mark.parametrize("cuts", [(), (at("10:00"),)])
def test_a_report_without_a_position_is_where_the_truck_was_last(cuts: tuple[int, ...]) -> None:
    """Whether it may be open there was settled then."""
    blind = Said("10:11", *BLIND, door=1)
    assert opened([Said("10:00"), blind], places=YARD, cuts=cuts) == []
    [found] = opened([Said("10:00", 1500.0), blind], places=YARD, cuts=cuts)
    assert (clock(found.since), found.lon, found.lat) == ("10:11", *degrees(1500, 0))
    drop = [square("d", "drop", hours="Mo 09:00-10:10")]
    assert opened([Said("10:00"), blind], places=drop, cuts=cuts) == []
    assert told(opened([Said("10:00"), Said("10:11", door=1)], places=drop, cuts=cuts)) == [("10:11", "10:11", None)]


def test_of_a_truck_that_was_never_anywhere_nothing_is_said() -> None:
    """Not even at speed, until it is somewhere."""
    blind = Said("10:00", NAN, NAN, 20.0, door=1)
    assert opened([blind]) == []
    assert told(opened([blind, Said("10:01", door=1)])) == [("10:01", "10:01", None)]


@pytest.mark.parametrize(("first", "second"), [("T-0", "T-9"), ("T-9", "T-0")])
def test_where_another_vehicle_is_does_not_matter(first: str, second: str) -> None:
    """One drives with its door closed, the other was never anywhere."""
    fleet, parts = Fleet(), []
    for name, reports in ((first, doors(0, 0)), (second, [Said("10:01", *BLIND, door=1)])):
        parts.append(spoken(reports, VehicleId("north", name), fleet)[0])
    assert run(world(), fleet.ids, concatenate(parts), at("10:02")).of("door_open") == []
    parts.append(spoken([Said("10:02", 400.0, door=1)], VehicleId("north", second), fleet)[0])
    [found] = run(world(), fleet.ids, concatenate(parts), at("10:02")).of("door_open")
    assert (found.vehicle, clock(found.since), found.lon, found.lat) == (second, "10:02", *degrees(400, 0))


def test_of_several_reports_of_one_time_an_open_door_counts() -> None:
    """And the speed of those that say so."""
    assert told(opened([Said("10:00", door=0), Said("10:00", door=1, speed=1.0)])) == [("10:00", "10:00", None)]
    assert told(opened([*doors(1), Said("10:01", door=0), Said("10:01", speed=1.0)])) == [("10:00", "10:00", "10:01")]
    assert opened([Said("10:00", door=1), Said("10:00", door=0, speed=9.0)], places=YARD) == []
    assert len(opened([Said("10:00", door=1), Said("10:00", door=1, speed=9.0)], places=YARD)) == 1


def test_in_a_restricted_place_no_door_may_be_open() -> None:
    """Be it in a yard."""
    assert len(opened(doors(1), places=[*YARD, square("r", "restricted")])) == 1


def test_an_authorization_lets_a_door_be_open() -> None:
    """While it holds."""
    reports = opened(doors(1, 1, 1), authorizations=[authorization("10:01", "10:02")])
    assert told(reports) == [("10:00", "10:00", "10:01"), ("10:02", "10:02", None)]


def test_an_open_door_of_a_high_value_load_is_critical() -> None:
    """Of the trip under way when it is raised."""
    [found] = opened(doors(1, 1), trips=[trip("a", end="10:00", load="standard"), trip("b", "10:00", load="high_value")])
    assert (found.severity, found.trip) == ("critical", "b")


# ── where a limit is set ──

FIVE = ["detectors.door_open.limit=5m"]


def test_with_a_limit_it_is_told_at_the_limit() -> None:
    """By the report that shows it there; not by one a moment before."""
    assert told(opened(doors(*[1] * 6), said=FIVE)) == [("10:00", "10:05", None)]
    assert opened([*doors(1), Said("10:04:59.999", door=1)], said=FIVE) == []
    assert told(opened([*doors(1, -1, -1), Said("10:07", door=1)], said=FIVE)) == [("10:00", "10:05", None)]


@pytest.mark.parametrize("cuts", [(), (at("10:00"),)])
def test_silence_is_presumed_to_leave_it_open(cuts: tuple[int, ...]) -> None:
    """But any report breaks it, even one that says nothing of the door."""
    assert told(opened(doors(1), said=FIVE, until=at("10:05"), cuts=cuts)) == [("10:00", "10:05", None, "presumed")]
    assert opened(doors(1), said=FIVE, until=at("10:04:59.999"), cuts=cuts) == []
    assert opened(doors(1, -1), said=FIVE, until=at("10:30"), cuts=cuts) == []


def test_a_trip_may_say_a_limit_and_a_place_may_not() -> None:
    """What a door says is not judged by places."""
    limits = {"door_open": {"limit": timedelta(minutes=2)}}
    assert told(opened(doors(*[1] * 4), trips=[replace(trip(), limits=limits)])) == [("10:00", "10:02", None)]
    belt = replace(square("b", "high_risk"), limits=limits)
    assert told(opened(doors(*[1] * 4), places=[belt])) == [("10:00", "10:00", None)]
