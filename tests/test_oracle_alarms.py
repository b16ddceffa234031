"""The definitions of what reports say, one small case each, computed by hand: device alarms, an open door, visits that must not be.

They hold the oracle, and the oracle holds the core. How reports are written: `tests.oracle_reports`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from monitor.fixes import Alarm
from monitor.signals import Signal
from tests.handmade import NAN, at, clock, square, told, trip
from tests.oracle_reports import Said, authorization, hear, of

LOST = (NAN, NAN, 0.0, -1)


def alarmed(*alarms: Alarm | int) -> list[Said]:
    """One report a minute from 10:00 with these alarms."""
    return [Said(f"10:{minute:02}", alarms=Alarm(bits)) for minute, bits in enumerate(alarms)]


def severities(found: list[Signal]) -> dict[str | None, str]:
    """What was told, and how bad it is."""
    return {signal.detail: signal.severity for signal in found}


# ── device alarms ──


def test_an_alarm_is_told_by_its_first_report_and_ended_by_the_first_without_it() -> None:
    """Limit nothing: at = since; until = the first report without the bit; measured in seconds."""
    [found] = of(hear(alarmed(0, Alarm.PANIC, Alarm.PANIC, 0)), "device_alarm")
    assert (told([found]), found.measure, found.limit, found.detail) == ([("10:01", "10:01", "10:03")], 120, 0, "panic")


def test_five_alarms_are_watched_each_by_itself() -> None:
    """Panic, jamming and tampering are critical; a power cut and a tow warn; an unlocking and a door are nobody's alarm."""
    everything = Alarm(255)
    found = of(hear(alarmed(everything, everything, everything)), "device_alarm")
    assert severities(found) == {
        "panic": "critical", "jamming": "critical", "tamper": "critical", "power_cut": "warning", "tow": "warning",
    }  # fmt: skip
    assert {clock(signal.at) for signal in found if signal.detail == "jamming"} == {"10:01"}  # after 60 s


def test_the_alarms_of_all_reports_of_one_time_count() -> None:
    """They are one report: one that says nothing does not end what another says at the same time."""
    reports = [Said("10:00", alarms=Alarm.TOW), Said("10:01", alarms=Alarm.TOW), Said("10:01", east=5), Said("10:02")]
    assert told(of(hear(reports), "device_alarm")) == [("10:00", "10:00", "10:02")]


def test_an_alarm_lies_where_the_vehicle_was_last_known_to_be() -> None:
    """At the last used fix at or before; nowhere, if there was none."""
    before, blind = Said("10:00", east=100), Said("10:01", *LOST, Alarm.PANIC)
    [known] = of(hear([before, blind]), "device_alarm")
    [unknown] = of(hear([blind, Said("10:02", east=100)]), "device_alarm")
    assert (known.lon, known.lat) == (hear([before]).used[0].lon, hear([before]).used[0].lat)
    assert math.isnan(unknown.lon)
    assert math.isnan(unknown.lat)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("10:01:29", []),
        ("10:01:30", [("10:00", "10:01:30", None, "presumed")]),
        ("10:05", [("10:00", "10:01:30", None, "presumed")]),
    ],
)
def test_silence_presumes_that_jamming_goes_on(last: str, expected: list[tuple[str | None, ...]]) -> None:
    """From the report that shows it until the limit and the ordinary silence (90 s here) are over."""
    assert told(of(hear([Said("10:00", alarms=Alarm.JAMMING)], until=last), "device_alarm")) == expected


def test_any_report_breaks_the_silence_of_jamming() -> None:
    """A jammed device that keeps talking without a position is judged by what it says."""
    talk = [Said("10:00", alarms=Alarm.JAMMING), Said("10:00:40", *LOST, Alarm.JAMMING), Said("10:01:20", *LOST, Alarm.JAMMING)]
    assert told(of(hear(talk), "device_alarm")) == [("10:00", "10:01", None)]


def test_jamming_of_a_high_value_load_is_told_at_once() -> None:
    """Its limit is nothing there."""
    track = hear(alarmed(Alarm.JAMMING), trips=[trip(load="high_value")])
    assert told(of(track, "device_alarm")) == [("10:00", "10:00", None)]


# ── an open door ──


def doors(*doors: int, speed: float = 0.0) -> list[Said]:
    """One report a minute from 10:00 with the door like this."""
    return [Said(f"10:{minute:02}", speed=speed, door=door) for minute, door in enumerate(doors)]


def test_a_door_open_where_it_may_not_be_is_told_at_once() -> None:
    """Closed: over. Unknown: neither."""
    assert told(of(hear(doors(0, 1, -1, 1, 0, 1)), "door_open")) == [("10:01", "10:01", "10:04"), ("10:05", "10:05", None)]


def test_a_door_may_be_open_where_the_vehicle_may_stand_but_not_under_way() -> None:
    """Under way: by the speed of the report itself, 2.5 m/s or more."""
    places = [square("a", "yard", half=1000)]
    assert of(hear(doors(1, 1), places=places), "door_open") == []
    assert told(of(hear(doors(1, 1, speed=2.5), places=places), "door_open")) == [("10:00", "10:00", None)]
    stopping = [*doors(1, speed=9), Said("10:01", speed=0, door=1)]
    assert told(of(hear(stopping, places=places), "door_open")) == [("10:00", "10:00", "10:01")]


def test_where_a_door_may_be_open_is_asked_of_the_last_position() -> None:
    """A report without a position stands where the vehicle was; without any, nothing is known."""
    blind = Said("10:01", *LOST[:3], door=1)
    assert told(of(hear([Said("10:00"), blind]), "door_open")) == [("10:01", "10:01", None)]
    assert of(hear([Said("10:00"), blind], places=[square("a", "yard")]), "door_open") == []
    assert of(hear([blind]), "door_open") == []


def test_of_several_reports_of_one_time_an_open_door_counts() -> None:
    """Open if any says so, else closed if any says so; it moves if one with the door open says so."""
    assert told(of(hear([Said("10:00", door=0), Said("10:00", door=1, speed=1)]), "door_open")) == [("10:00", "10:00", None)]
    places = [square("a", "yard")]
    assert of(hear([Said("10:00", door=1), Said("10:00", door=0, speed=9)], places=places), "door_open") == []


def test_an_open_door_of_a_high_value_load_is_critical() -> None:
    """Else it warns."""
    assert severities(of(hear(doors(1), trips=[trip(load="high_value")]), "door_open")) == {None: "critical"}
    assert severities(of(hear(doors(1)), "door_open")) == {None: "warning"}


def test_an_authorization_lets_a_door_be_open() -> None:
    """The vehicle may stand there then."""
    track = hear(doors(1, 1, 1), authorizations=[authorization("10:01", "10:02")])
    assert told(of(track, "door_open")) == [("10:00", "10:00", "10:01"), ("10:02", "10:02", None)]


# ── places that must not be entered, or left ──


def test_a_restricted_place_is_told_by_the_first_fix_inside() -> None:
    """Until the visit's end; a fix that has just left ends nothing yet."""
    inside = [Said("10:00", east=-400), Said("10:01"), Said("10:02")]
    track = hear([*inside, Said("10:03", east=150), Said("10:04", east=150)], places=[square("a", "restricted")])
    [found] = of(track, "zone_breach")
    assert (told([found]), found.place, found.measure) == ([("10:01", "10:01", "10:03")], "a", 120)
    assert told(of(hear([*inside, Said("10:03", east=150)], places=[square("a", "restricted")]), "zone_breach"))[0][2] is None


AWAY = [Said("10:00"), Said("10:01"), Said("10:02", 150), Said("10:03", 160), Said("10:04", 300)]


@pytest.mark.parametrize(
    ("opens", "kind", "expected"),
    [
        (("09:00", "10:02"), "yard", [("10:02", "10:02", "10:02")]),
        (("09:00", "10:03"), "yard", []),  # still open at the first fix outside
        (("09:00", "10:02"), "customer", []),
        (None, "yard", []),
    ],
)
def test_leaving_a_closed_yard_is_told(opens: tuple[str, str] | None, kind: str, expected: list[tuple[str | None, ...]]) -> None:
    """At the first fix outside, decided by the one after the fix that shows that it left; the position is the latter's."""
    track = hear(AWAY, places=[square("a", kind, opens=opens)])
    found = of(track, "zone_breach")
    assert told(found) == expected
    assert [(clock(s.raised), s.lon, s.measure, s.place) for s in found] == [("10:04", track.used[3].lon, 0, "a")] * len(expected)


def test_leaving_a_closed_yard_takes_a_fix_that_is_in_none() -> None:
    """Nothing is told before the next fix, nor if that is back in a yard; of several left at once the least id is named."""
    yards = [square("b", "yard", opens=("09:00", "10:00")), square("a", "yard", opens=("09:00", "10:00"))]
    assert of(hear(AWAY[:4], places=yards), "zone_breach") == []
    assert of(hear([*AWAY[:4], Said("10:04")], places=yards), "zone_breach") == []
    assert [signal.place for signal in of(hear(AWAY, places=yards), "zone_breach")] == ["a"]


def test_a_place_is_there_from_when_until_when_it_exists() -> None:
    """A visit begins and ends with it; half-open."""
    place = replace(square("a", "restricted"), valid_from=at("10:01"), valid_until=at("10:03"))
    assert told(of(hear([Said(f"10:0{i}") for i in range(5)], places=[place]), "zone_breach")) == [("10:01", "10:01", "10:03")]
