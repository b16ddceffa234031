"""Movements after hours, through the whole core: a truck that stands, and sets out when it may not.

It reports each minute. Hours are in UTC; vehicles may move until 10:00 unless something else is said.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.geodesy import distance_m
from monitor.signals import Signal
from tests.build import heard, square
from tests.handmade import at, clock, degrees, told, trip
from tests.oracle_reports import Said, lockdown

HOURS = ["timezone=UTC", "detectors.after_hours_movement.hours=Mo-Fr 06:00-10:00"]
WITHOUT_TRIP = ["detectors.after_hours_movement.without_trip=true"]


def moved(reports: list[Said], **how: object) -> list[Signal]:
    """The movements."""
    return heard(reports, **{"said": HOURS} | how).of("after_hours_movement")  # type: ignore[arg-type]


def out(*east: float, start: int = 0) -> list[Said]:
    """Three minutes at the point until 09:59 or so, then under way: one report a minute, so many metres east."""
    return [*(Said(f"09:{minute}") for minute in (57, 58, 59)), *driven(*east, start=start)]


def driven(*east: float, start: int = 0) -> list[Said]:
    return [Said(f"10:{start + minute:02}", metres, speed=8.0) for minute, metres in enumerate(east)]


def test_a_movement_is_told_by_the_second_fix_far_enough_away() -> None:
    """Measured in metres from where it last stood."""
    [found] = moved(out(150, 300, 900, 1500))
    assert told([found]) == [("10:01", "10:02", None)]
    assert found.measure == pytest.approx(1500, abs=1.0)
    assert (found.limit, found.unit, found.severity, found.place, found.presumed) == (200.0, "m", "warning", None, False)
    assert (found.lon, found.lat) == degrees(300, 0)


def test_one_fix_is_not_enough_however_long_the_silence() -> None:
    """Nothing is presumed; a rough position is none."""
    assert moved(out(150, 300), until=at("12:00")) == []
    rough = [*out(150, 300), Said("10:02", 900.0, speed=8.0, accuracy=900.0)]
    assert moved(rough) == []
    assert told(moved([*rough, Said("10:03", 1500.0, speed=8.0)])) == [("10:01", "10:03", None)]


def test_of_a_high_value_load_one_fix_is_enough() -> None:
    """On its trip."""
    assert told(moved(out(150, 300), trips=[trip(load="high_value")])) == [("10:01", "10:01", None)]


def test_exactly_so_far_is_far_enough() -> None:
    """And a hair less is not."""
    there = distance_m(*degrees(0, 0), *degrees(300, 0))
    for limit, expected in ((there, 1), (there + 1e-6, 0)):
        said = [*HOURS, f"detectors.after_hours_movement.moved_m={limit!r}"]
        assert len(moved(out(300, 300), said=said)) == expected


def test_it_ends_when_the_truck_stands() -> None:
    """At the fix that shows a stop: a minute of standing."""
    stood = [Said(f"10:{minute:02}", 2100.0) for minute in (4, 5, 6)]
    [found] = moved([*out(150, 300, 900, 1500), *stood])
    assert told([found]) == [("10:01", "10:02", "10:05")]
    assert found.measure == pytest.approx(2100, abs=1.0)


def test_it_ends_when_the_truck_may_move_again() -> None:
    """And sets out anew from there when it may not."""
    said = [HOURS[0], "detectors.after_hours_movement.hours=Mo-Fr 06:00-10:00,10:04-10:05"]
    found = moved(out(150, 300, 900, 1500, 2100, 2250, 2500, 3100), said=said)
    assert told(found) == [("10:01", "10:02", "10:04"), ("10:06", "10:07", None)]  # at 10:05 it is 150 m from where it might
    assert found[1].measure == pytest.approx(1000, abs=1.0)


def test_a_truck_first_heard_under_way_is_measured_from_there() -> None:
    """What was before nobody knows."""
    assert told(moved(driven(5000, 5150, 5300, 5900))) == [("10:02", "10:03", None)]


def test_coming_back_near_says_nothing() -> None:
    """It is one movement until it stands."""
    assert told(moved(out(300, 600, 100, 300))) == [("10:00", "10:01", None)]


def test_hours_are_those_of_the_general_time_zone() -> None:
    """In Toronto it is five in the morning."""
    local = ["timezone=America/Toronto", "detectors.after_hours_movement.hours=Mo-Fr 04:00-05:00"]
    assert told(moved(out(150, 300, 900), said=local)) == [("10:01", "10:02", None)]
    local[1] = "detectors.after_hours_movement.hours=Mo-Fr 05:00-10:00"
    assert moved(out(150, 300, 900), said=local) == []


def test_where_nothing_is_configured_nothing_is_watched() -> None:
    """Carriers work at night."""
    assert moved(out(150, 300, 900), said=()) == []
    assert moved(out(150, 300, 900), said=["timezone=UTC", "carrier.south.after_hours_movement.hours=Mo-Fr 06:00-10:00"]) == []
    assert (
        len(moved(out(150, 300, 900), said=["timezone=UTC", "carrier.north.after_hours_movement.hours=Mo-Fr 06:00-10:00"])) == 1
    )


def test_the_hours_of_a_trip_come_first() -> None:
    """It was planned for the night."""
    night = replace(trip(), limits={"after_hours_movement": {"hours": "24/7"}})
    assert moved(out(150, 300, 900), trips=[night]) == []
    assert len(moved(out(150, 300, 900), trips=[trip()])) == 1


def test_in_a_place_its_own_hours_hold() -> None:
    """At a customer who loads at night it may move; on the road it is measured from where it last might."""
    night = replace(square("c", "customer", half=500), limits={"after_hours_movement": {"hours": "24/7"}})
    [found] = moved(out(150, 300, 520, 900, 1500), places=[night])  # 20 m beyond the fence the visit goes on
    assert told([found]) == [("10:03", "10:04", None)]
    assert found.measure == pytest.approx(980, abs=1.0)


def test_without_a_trip_nothing_moves_where_trips_are_fed() -> None:
    """A trip that ends under way: from the last fix on it; the next trip ends the signal."""
    assert told(moved(out(150, 300, 900), said=WITHOUT_TRIP)) == [("10:01", "10:02", None)]
    trips = [trip("a", end="10:02"), trip("b", start="10:05")]
    found = moved(driven(0, 1000, 1150, 1300, 1450, 1600), said=WITHOUT_TRIP, trips=trips)
    assert [(*told([s])[0], s.trip) for s in found] == [("10:03", "10:04", "10:05", None)]


def test_moves_inside_one_yard_do_not_count() -> None:
    """But leaving it does, and so does another kind of place, or a yard that it came into."""
    shunted = out(300, 600, 300)
    assert moved(shunted, places=[square("y", "yard", half=1000)]) == []
    assert len(moved(shunted, places=[square("c", "customer", half=1000)])) == 1
    assert len(moved(shunted, places=[square("y", "yard", 500, half=250)])) == 1
    left = moved(out(300, 600, 900, 1500, 2100), places=[square("y", "yard", half=1000)])
    assert told(left) == [("10:03", "10:04", None)]
    assert left[0].measure == pytest.approx(2100, abs=1.0)


def test_under_a_lockdown_it_is_critical() -> None:
    """By the fix that raises it."""
    for start, severity in (("10:02", "critical"), ("10:02:01", "warning")):
        [found] = moved(out(150, 300, 900, 1500), lockdowns=[lockdown(start)])
        assert (clock(found.at), found.severity) == ("10:02", severity)
