"""Device alarms, through the whole core: what a truck's device reports by itself, position or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.fixes import Alarm
from monitor.signals import Signal, log_line, log_order
from tests.build import heard, square
from tests.handmade import NAN, at, clock, degrees, told, trip
from tests.oracle_reports import QUIET, Said

BLIND = (NAN, NAN, NAN)
"""No position, no speed."""


def alarms(reports: list[Said], **how: object) -> list[Signal]:
    """The alarms, in the order of the log."""
    return sorted(heard(reports, **how).of("device_alarm"), key=log_order)  # type: ignore[arg-type]


def rung(*alarm: Alarm, seconds: int = 60) -> list[Said]:
    """Reports from 10:00 on."""
    return [Said(f"10:{k * seconds // 60:02}:{k * seconds % 60:02}", alarms=said) for k, said in enumerate(alarm)]


def test_a_panic_is_told_at_once_and_ends_with_the_first_report_without_it() -> None:
    """From the first to the last report with it, and on to the one that shows that it is over."""
    [found] = alarms(rung(QUIET, Alarm.PANIC, Alarm.PANIC, QUIET, QUIET))
    assert told([found]) == [("10:01", "10:01", "10:03")]
    assert (found.measure, found.limit, found.unit, found.severity, found.detail) == (120.0, 0.0, "s", "critical", "panic")
    assert (clock(found.raised), clock(found.decided), found.closed, found.place) == ("10:01", "10:03", True, None)


@pytest.mark.parametrize(
    ("alarm", "severity"),
    [
        (Alarm.PANIC, "critical"), (Alarm.TAMPER, "critical"), (Alarm.JAMMING, "critical"),
        (Alarm.POWER_CUT, "warning"), (Alarm.TOW, "warning"),
        (Alarm.UNLOCK, None), (Alarm.DOOR, None), (Alarm.OTHER, None),
    ],
)  # fmt: skip
def test_each_alarm_has_its_severity_and_some_are_not_watched(alarm: Alarm, severity: str | None) -> None:
    """An unlocked door is no alarm of its own."""
    found = alarms(rung(alarm, alarm))
    assert [(s.detail, s.severity) for s in found] == ([] if severity is None else [(str(alarm.name).lower(), severity)])


def test_two_alarms_at_one_time_are_two_signals_that_end_each_by_itself() -> None:
    """They differ in their detail."""
    found = alarms(rung(Alarm.TAMPER | Alarm.PANIC, Alarm.TAMPER | Alarm.PANIC, Alarm.TAMPER, QUIET))
    assert [(s.detail, clock(s.at), clock(s.until)) for s in found] == [("panic", "10:00", "10:02"), ("tamper", "10:00", "10:03")]


def test_an_alarm_that_comes_again_is_another_signal() -> None:
    """It was over in between."""
    found = alarms(rung(Alarm.TOW, QUIET, Alarm.TOW))
    assert told(found) == [("10:00", "10:00", "10:01"), ("10:02", "10:02", None)]


def test_all_reports_of_one_time_are_one() -> None:
    """A second report of the same instant without the alarm does not end it; two alarms of two reports are both told."""
    both = [Said("10:00", alarms=Alarm.PANIC), Said("10:01", alarms=Alarm.PANIC), Said("10:01", *BLIND), Said("10:02")]
    assert told(alarms(both)) == [("10:00", "10:00", "10:02")]
    found = alarms([Said("10:00", alarms=Alarm.PANIC), Said("10:00", alarms=Alarm.TOW)])
    assert [(s.detail, clock(s.since), clock(s.until)) for s in found] == [("panic", "10:00", None), ("tow", "10:00", None)]


def test_where_a_vehicle_was_never_heard_the_log_says_null() -> None:
    """And the alarm's name comes last."""
    [found] = alarms([Said("10:00", *BLIND, alarms=Alarm.PANIC), Said("10:01", 500.0)])
    assert log_line(found) == (
        '{"kind":"device_alarm","vehicle":"T-1","carrier":"north","since":"2026-03-02T10:00:00.000Z",'
        '"at":"2026-03-02T10:00:00.000Z","until":"2026-03-02T10:01:00.000Z","place":null,"route":null,"lon":null,"lat":null,'
        '"measure":60.0,"limit":0.0,"unit":"s","presumed":false,"detail":"panic"}'
    )


@pytest.mark.parametrize("cuts", [(), (at("10:00"),)])
def test_an_alarm_without_a_position_lies_where_the_truck_was_last(cuts: tuple[int, ...]) -> None:
    """However long ago, and however rough that position was; not where it is next."""
    reports = [Said("10:00", 300.0, accuracy=900.0), Said("10:01", *BLIND, alarms=Alarm.PANIC), Said("10:02", 700.0)]
    [found] = alarms(reports, cuts=cuts)
    assert (found.lon, found.lat) == degrees(300, 0)


def test_an_alarm_from_where_the_truck_cannot_be_is_an_alarm_all_the_same() -> None:
    """The position takes no part: 500 km in a minute."""
    [found] = alarms([Said("10:00"), Said("10:01", 500_000.0, alarms=Alarm.PANIC), Said("10:02")])
    assert told([found]) == [("10:01", "10:01", "10:02")]
    assert (found.lon, found.lat) == degrees(0, 0)


# ── jamming ──


def test_jamming_lasts_a_minute_before_it_is_told() -> None:
    """A report exactly at the limit is enough, a millisecond before is not."""
    assert told(alarms(rung(*[Alarm.JAMMING] * 3, seconds=30))) == [("10:00", "10:01", None)]
    assert alarms([Said("10:00", alarms=Alarm.JAMMING), Said("10:00:59.999", alarms=Alarm.JAMMING)]) == []
    assert told(alarms([Said("10:00", alarms=Alarm.JAMMING), Said("10:01:05", alarms=Alarm.JAMMING)])) == [
        ("10:00", "10:01", None)
    ]


@pytest.mark.parametrize(
    ("then", "until", "expected"),
    [
        ([], "10:01:29.999", []),
        ([], "10:01:30", [("10:00", "10:01:30", None, "presumed")]),  # three intervals of 30 s
        ([Said("10:01:30")], "10:05", []),  # a report at the very deadline comes first
        ([Said("10:01:30", alarms=Alarm.JAMMING)], "10:01:30", [("10:00", "10:01", None)]),
        ([Said("10:01:31")], "10:05", [("10:00", "10:01:30", "10:01:31", "presumed")]),
    ],
)
def test_silence_after_jamming_is_presumed_to_be_jamming(
    then: list[Said], until: str, expected: list[tuple[str | None, ...]]
) -> None:
    """Once it has lasted longer than the device's own intervals explain."""
    assert told(alarms([Said("10:00", alarms=Alarm.JAMMING), *then], until=at(until))) == expected


def test_a_jammed_device_that_keeps_talking_is_not_presumed() -> None:
    """Every report breaks this silence, with or without a position."""
    talk = [Said(c, *BLIND, alarms=Alarm.JAMMING) for c in ("10:00:40", "10:01:20")]
    assert told(alarms([Said("10:00", alarms=Alarm.JAMMING), *talk])) == [("10:00", "10:01", None)]
    assert alarms([Said("10:00", alarms=Alarm.JAMMING), talk[0], Said("10:01", *BLIND)], until=at("10:05")) == []


# ── limits ──


def test_the_jamming_of_a_high_value_load_is_told_at_once() -> None:
    """Its limit is nothing."""
    [found] = alarms(rung(Alarm.JAMMING), trips=[trip(load="high_value")])
    assert (clock(found.at), found.limit, found.trip) == ("10:00", 0.0, "trip")


def test_what_a_carrier_says_holds_and_what_a_place_says_does_not() -> None:
    """Where a device cries for help does not matter."""
    panic = rung(*[Alarm.PANIC] * 4)
    assert told(alarms(panic, said=["carrier.north.device_alarm.limit=2m"])) == [("10:00", "10:02", None)]
    lax = replace(square("a", "yard"), limits={"device_alarm": {"limit": timedelta(hours=1)}})
    assert told(alarms(panic, places=[lax])) == [("10:00", "10:00", None)]


def test_the_trip_is_that_of_the_report_that_raised_it() -> None:
    """Not of the one that began it."""
    trips = [trip("a", end="10:00:30"), trip("b", start="10:00:30")]
    [found] = alarms(rung(*[Alarm.JAMMING] * 3, seconds=30), trips=trips)
    assert (clock(found.since), clock(found.at), found.trip) == ("10:00", "10:01", "b")
