"""Lost signals, through the whole core: a truck that reports, and falls silent.

Under way it reports each minute and drives 1 km east in it; standing it reports from one spot.
"""

from __future__ import annotations

import numpy as np
import pytest

from monitor.fixes import Alarm
from monitor.geodesy import distance_m
from monitor.motion import NONE
from monitor.pipeline import fresh, step
from monitor.signals import Signal, timestamp
from tests.build import heard, on, spoken, square, world
from tests.handmade import NAN, at, clock, degrees, told, trip
from tests.oracle_reports import Said

BLIND = (NAN, NAN, NAN)
DAY = [Said("00:00"), *(Said(f"{2 + hour // 24} {hour % 24:02}:01") for hour in range(25))]
"""A tracker that sleeps: it tells of the stop, then reports once an hour, until 00:01 of 3 March."""


def lost(reports: list[Said], **how: object) -> list[Signal]:
    """The lost signals."""
    return heard(reports, **how).of("signal_lost")  # type: ignore[arg-type]


def under_way(minutes: int, every: int = 1) -> list[Said]:
    """From 10:00 on."""
    return [Said(f"10:{minute:02}", 1000.0 * minute, speed=16.7) for minute in range(0, minutes + 1, every)]


def standing(minutes: int) -> list[Said]:
    """From 10:00 on."""
    return [Said(f"10:{minute:02}") for minute in range(minutes + 1)]


# ── under way ──


def test_ten_minutes_without_a_position_are_told_as_of_the_last_one() -> None:
    """To the millisecond; while it lasts it is measured by its limit, in minutes."""
    assert lost(under_way(5), until=at("10:14:59.999")) == []
    [found] = lost(under_way(5), until=at("10:15"))
    assert told([found]) == [("10:05", "10:15", None, "presumed")]
    assert (found.measure, found.limit, found.unit, found.severity, found.place) == (10.0, 10.0, "min", "warning", None)
    assert (found.lon, found.lat, found.detail) == (*degrees(5000, 0), None)


def test_a_position_at_the_very_deadline_comes_in_time() -> None:
    """A millisecond later it does not, and ends it."""
    assert lost([*under_way(5), Said("10:15", 9000.0, speed=16.7)]) == []
    [found] = lost([*under_way(5), Said("10:15:00.001", 9000.0, speed=16.7)])
    assert told([found]) == [("10:05", "10:15", "10:15", "presumed")]
    assert (found.until, found.closed) == (at("10:15:00.001"), True)


def test_a_device_that_seldom_reports_is_given_three_intervals() -> None:
    """Five minutes each."""
    [found] = lost(under_way(30, every=5), until=at("12:00"))
    assert (clock(found.at), found.limit, found.measure) == ("10:45", 15.0, 15.0)


def test_a_high_value_load_is_missed_after_six_minutes() -> None:
    """Its trip says so."""
    [found] = lost(under_way(5), until=at("12:00"), trips=[trip(load="high_value")])
    assert (clock(found.at), found.limit, found.trip) == ("10:11", 6.0, "trip")


def test_in_a_dead_zone_it_has_three_quarters_of_an_hour() -> None:
    """It is named, the least id of several; beyond it the ordinary limit holds."""
    zones = [square(name, "dead_zone", 5000) for name in ("b", "a")]
    [found] = lost(under_way(5), until=at("12:00"), places=zones)
    assert (clock(found.at), found.limit, found.place) == ("10:50", 45.0, "a")
    assert lost([*under_way(5), Said("10:50", 30_000.0, speed=16.7)], places=zones) == []
    [found] = lost(under_way(6), until=at("12:00"), places=zones)
    assert (clock(found.at), found.limit, found.place) == ("10:16", 10.0, None)


def test_fifty_dark_minutes_and_27_km_are_some_thirty_minutes_unaccounted_for() -> None:
    """At 80 km/h 27 km take 20 minutes; under way that is no more than a warning."""
    [found] = lost([*under_way(5), Said("10:55", 32_000.0, speed=16.7)])
    assert told([found]) == [("10:05", "10:15", "10:55", "presumed")]
    assert found.measure == pytest.approx(50 - 27_000 / 22.222 / 60, abs=0.02)
    assert (found.limit, found.severity) == (10.0, "warning")


@pytest.mark.parametrize("cuts", [(), (at("10:05"),), (at("10:30"),)])
def test_two_silences_in_a_row_are_two_signals(cuts: tuple[int, ...]) -> None:
    """The one position between them ends the first and begins the second."""
    dark = [*under_way(5), Said("10:30", 5000.0, speed=16.7), Said("11:30", 85_000.0, speed=16.7)]
    found = lost(dark, cuts=cuts)
    assert told(found) == [("10:05", "10:15", "10:30", "presumed"), ("10:30", "10:40", "11:30", "presumed")]
    assert [s.measure for s in found] == pytest.approx([25.0, 0.0], abs=0.01)


def test_what_the_way_explains_is_accounted_for() -> None:
    """No less than nothing."""
    [found] = lost([*under_way(5), Said("10:55", 85_000.0, speed=16.7)])
    assert found.measure == 0.0
    [found] = lost([*under_way(5), Said("10:55", 85_000.0, speed=16.7)], said=["detectors.signal_lost.assumed_mps=40.0"])
    assert found.measure == pytest.approx(50 - 80_000 / 40 / 60, abs=0.05)


@pytest.mark.parametrize(("last", "expected"), [("10:15", []), ("10:15:00.001", [("10:05", "10:15", None, "presumed")])])
def test_a_jammed_device_that_keeps_talking_is_silent_too(last: str, expected: list[tuple[str | None, ...]]) -> None:
    """It is told by the first report of any kind after the deadline, before any tick."""
    talk = [Said(f"10:{minute:02}", *BLIND, alarms=Alarm.JAMMING) for minute in range(6, 15)]
    fixes, fleet = spoken([*under_way(5), *talk, Said(last, *BLIND)])
    outcome = step(fresh(fleet.ids, np.zeros(1, np.int32)), fixes, np.array([NONE]), world())
    assert told(s for s in outcome.signals if s.kind == "signal_lost") == expected


def test_a_rough_position_is_heard_and_one_that_cannot_be_is_not() -> None:
    """Of the two only the first tells where the truck is."""
    assert lost([*under_way(5), Said("10:10", 9000.0, accuracy=900.0)], until=at("10:15")) == []
    jump = lost([*under_way(5), Said("10:10", 500_000.0)], until=at("10:15"))
    assert told(jump) == [("10:05", "10:15", None, "presumed")]


# ── parked ──


@pytest.mark.parametrize(("until", "expected"), [("16:09:59", []), ("16:10", [("10:10", "16:10", None, "presumed")])])
def test_a_parked_tracker_may_sleep_six_hours_before_anything_is_known_of_it(
    until: str, expected: list[tuple[str | None, ...]]
) -> None:
    """Three times two hours; then it is a note."""
    found = lost(standing(10), until=at(until))
    assert told(found) == expected
    assert [(s.limit, s.measure, s.severity) for s in found] == [(360.0, 360.0, "note")] * len(expected)


@pytest.mark.parametrize(
    ("asleep", "last", "hours"),
    [
        (DAY, "2026-03-03T00:01:00.000Z", 3),  # a day of hours: three of them
        (DAY[:-1], "2026-03-02T23:01:00.000Z", 6),  # 23 hours and a minute
    ],
)
def test_a_sleeping_tracker_learns_its_interval_in_a_day(asleep: list[Said], last: str, hours: int) -> None:
    """Of standing in one stop, all in all; parked, then dark."""
    [found] = lost(asleep, until=on("3 12:00"))
    assert (timestamp(found.since), found.at - found.since, found.severity) == (last, hours * 3_600_000, "note")
    assert (found.limit, found.presumed) == (hours * 60.0, True)


def test_a_single_oddity_teaches_nothing() -> None:
    """The second longest interval counts: once six hours, else one."""
    odd = [*DAY[:13], *(Said(f"{2 + hour // 24} {hour % 24:02}:01") for hour in range(17, 26))]
    [found] = lost(odd, until=on("3 12:00"))
    assert (timestamp(found.since), found.limit) == ("2026-03-03T01:01:00.000Z", 180.0)


def test_what_a_carrier_says_of_its_trackers_comes_before_what_was_learned() -> None:
    """But it is never less than the limit under way."""
    [found] = lost(standing(10), until=at("23:00"), said=["carrier.north.signal_lost.parked_interval=30m"])
    assert (clock(found.at), found.limit) == ("11:40", 90.0)
    [found] = lost(standing(10), until=at("23:00"), said=["carrier.north.signal_lost.parked_interval=1m"])
    assert (clock(found.at), found.limit) == ("10:20", 10.0)


SOON = ["detectors.signal_lost.parked_interval=10m"]


@pytest.mark.parametrize("cuts", [(), (at("10:10"),), (at("10:05"), at("10:41"))])
@pytest.mark.parametrize(("east", "severity"), [(900, "note"), (1200, "critical")])
def test_a_parked_truck_that_reappears_elsewhere_is_critical(east: float, severity: str, cuts: tuple[int, ...]) -> None:
    """As of then: it was a note while it was dark. 1.2 km take a minute; it was dark for fifty."""
    [dark] = lost(standing(10), said=SOON, until=at("10:59"), cuts=cuts)
    assert (clock(dark.at), dark.until, dark.severity, dark.measure) == ("10:40", None, "note", 30.0)
    [found] = lost([*standing(10), Said("11:00", float(east), speed=9.0)], said=SOON, cuts=cuts)
    assert (clock(found.until), found.severity, found.closed) == ("11:00", severity, True)
    assert found.measure == pytest.approx(50 - east / 22.222 / 60, abs=0.01)
    assert (found.lon, found.lat) == degrees(0, 0)


def test_exactly_so_far_is_not_yet_elsewhere() -> None:
    """Beyond it is."""
    there = distance_m(*degrees(0, 0), *degrees(1200, 0))
    for limit, severity in ((there, "note"), (there - 1e-6, "critical")):
        said = [*SOON, f"detectors.signal_lost.moved_m={limit!r}"]
        [found] = lost([*standing(10), Said("11:00", 1200.0, speed=9.0)], said=said)
        assert found.severity == severity


def test_a_truck_under_way_that_reappears_elsewhere_is_no_more_than_a_warning() -> None:
    """It was on its way."""
    [found] = lost([*under_way(5), Said("10:30", 20_000.0, speed=9.0)])
    assert found.severity == "warning"


@pytest.mark.parametrize(
    ("last", "parked"),
    [
        (Said("10:11", 600.0, speed=0.0), True),  # one position astray, and no speed
        (Said("10:11", 600.0, speed=NAN), False),
        (Said("10:11", 600.0, speed=9.0), False),
        (Said("10:11", 600.0, speed=9.0, ignition=0), True),
        (Said("10:11", 600.0, speed=9.0, ignition=1), False),
        (Said("10:11", 600.0, accuracy=900.0), True),  # heard, but where is not known well
    ],
)
def test_parked_is_also_where_no_speed_is_said_or_the_ignition_is_off(last: Said, parked: bool) -> None:
    """Silence is what one expects then."""
    [found] = lost([*standing(10), last], until=at("23:00"))
    assert (clock(found.at), found.severity) == (("16:11", "note") if parked else ("10:21", "warning"))


def test_a_truck_first_heard_with_its_ignition_off_is_parked() -> None:
    """Whatever it did before."""
    [found] = lost([Said("10:00", ignition=0)], until=at("23:00"))
    assert (clock(found.at), found.severity) == ("16:00", "note")


def test_parked_in_a_dead_zone_the_parked_interval_counts() -> None:
    """The place is named all the same."""
    [found] = lost(standing(10), until=at("23:00"), places=[square("d", "dead_zone")], said=SOON)
    assert (clock(found.at), found.limit, found.place, found.severity) == ("10:40", 30.0, "d", "note")


def test_an_ordinary_day_says_nothing() -> None:
    """Nor does a truck that sleeps as it always does."""
    assert lost(DAY, until=on("3 03:00")) == []
