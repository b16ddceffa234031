"""Opening hours: the weekly part of OpenStreetMap's form, in the place's own zone, half-open, through both changes of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.hours import DAYS, local_text, parse_hours
from monitor.signals import instant

TORONTO, KOLKATA = ZoneInfo("America/Toronto"), ZoneInfo("Asia/Kolkata")


def is_open(text: str, *times: str, zone: ZoneInfo = TORONTO) -> list[bool]:
    """Whether a place with these hours is open at each of the times (RFC 3339)."""
    opened: list[bool] = parse_hours(text, zone).open_at(np.array([instant(time) for time in times])).tolist()
    return opened


def test_a_place_is_open_from_its_first_minute_to_just_before_its_last() -> None:
    """Open is half-open: at 18:00 exactly the place is closed. 2 March 2026 is a Monday; Toronto is five hours behind."""
    times = ("2026-03-02T10:59:59.999Z", "2026-03-02T11:00:00Z", "2026-03-02T22:59:59.999Z", "2026-03-02T23:00:00Z")
    assert is_open("Mo-Fr 06:00-18:00", *times) == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "local", "opened"),
    [
        ("24/7", "2026-03-01T03:00:00-05:00", True),
        ("Mo-Fr 06:00-18:00; Sa 08:00-12:00", "2026-03-07T08:00:00-05:00", True),
        ("Mo-Fr 06:00-18:00; Sa 08:00-12:00", "2026-03-07T12:00:00-05:00", False),
        ("Mo-Fr 06:00-18:00; Sa 08:00-12:00", "2026-03-08T09:00:00-04:00", False),
        ("Mo,We, Fr 06:00-07:00,20:00-21:00", "2026-03-04T20:30:00-05:00", True),
        ("Mo,We, Fr 06:00-07:00,20:00-21:00", "2026-03-05T20:30:00-05:00", False),
        ("Sa-Mo 10:00-11:00", "2026-03-01T10:30:00-05:00", True),  # a range of days may pass Sunday
        ("Sa-Mo 10:00-11:00", "2026-03-03T10:30:00-05:00", False),
        ("Fr 22:00-06:00", "2026-03-07T05:59:00-05:00", True),  # a range of times may pass midnight
        ("Fr 22:00-06:00", "2026-03-06T05:59:00-05:00", False),
        ("Su 22:00-06:00", "2026-03-02T05:59:00-05:00", True),  # and the end of the week
        ("Mo 00:00-24:00", "2026-03-02T23:59:00-05:00", True),
        ("Mo 00:00-24:00", "2026-03-03T00:00:00-05:00", False),
        ("06:00-18:00", "2026-03-01T12:00:00-05:00", True),  # without days: every day
        ("06:00-06:00", "2026-03-01T03:00:00-05:00", True),  # once around the clock
        ("Mo 06:00-07:00;", "2026-03-02T06:30:00-05:00", True),
    ],
)
def test_what_hours_mean(text: str, local: str, opened: bool) -> None:
    """Days, lists and ranges of them; times, lists of them, past midnight."""
    assert is_open(text, local) == [opened]


def test_hours_follow_the_clock_on_the_wall_when_it_springs_forward() -> None:
    """On 8 March 2026 at 02:00 the clocks of Toronto go to 03:00: 06:00 comes an hour sooner, and 02:30 never."""
    assert is_open("06:00-18:00", "2026-03-08T09:59:00Z", "2026-03-08T10:00:00Z", "2026-03-08T22:00:00Z") == [False, True, False]
    assert is_open("02:00-03:00", "2026-03-08T06:59:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:59:00Z") == [False] * 3


def test_hours_follow_the_clock_on_the_wall_when_it_falls_back() -> None:
    """On 1 November 2026 at 02:00 the clocks of Toronto go to 01:00: 01:30 comes twice, and the place is open both times."""
    assert is_open("01:00-02:00", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:00:00Z") == [True, True, False]
    assert is_open("06:00-18:00", "2026-11-01T10:59:00Z", "2026-11-01T11:00:00Z") == [False, True]


def test_a_zone_of_half_an_hour_is_one() -> None:
    """Kolkata is five hours and a half ahead."""
    assert is_open("Mo 06:00-07:00", "2026-03-02T00:29:00Z", "2026-03-02T00:30:00Z", zone=KOLKATA) == [False, True]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 3 * 365 * 1440 * 60),
    st.integers(0, 6), st.integers(0, 6), st.integers(0, 1439), st.integers(0, 1440),
)  # fmt: skip
def test_hours_agree_with_a_calendar(seconds: int, first: int, last: int, begin: int, end: int) -> None:
    """Open on a day of the range, from begin to end, or from begin to midnight and from midnight to end on the day after."""
    when = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    days = {DAYS[(first + step) % 7] for step in range((last - first) % 7 + 1)}
    text = f"{DAYS[first]}-{DAYS[last]} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    local = when.astimezone(TORONTO)
    minute, today, yesterday = local.hour * 60 + local.minute, DAYS[local.weekday()], DAYS[(local.weekday() - 1) % 7]
    if end > begin:
        expected = today in days and begin <= minute < end
    else:
        expected = (today in days and minute >= begin) or (yesterday in days and minute < end)
    assert is_open(text, when.isoformat()) == [expected]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "never opens"),
        (" ; ", "never opens"),
        ("sometimes", "'sometimes' is not of the form"),
        ("Mo-Fr 6-18", "is not of the form"),
        ("Mo-Xx 06:00-18:00", "'Mo-Xx' is no day; days are Mo, Tu"),
        ("Lundi 06:00-18:00", "'Lundi' is no day"),
        ("Mo 06:00-25:00", "'25:00' is no time of day; allowed is 00:00 to 24:00"),
        ("Mo 06:60-07:00", "'06:60' is no time of day"),
        ("Mo 06:00-24:01", "'24:01' is no time of day"),
    ],
)
def test_hours_that_cannot_be_read_say_what_is_allowed(text: str, fault: str) -> None:
    """A fault names what was said and what is allowed."""
    with pytest.raises(ValueError, match=fault):
        parse_hours(text, TORONTO)


def test_an_instant_is_told_in_local_time_with_its_zone() -> None:
    """As people read it, summer and winter."""
    assert local_text(instant("2026-03-01T11:00:00Z"), TORONTO) == "2026-03-01 06:00 EST"
    assert local_text(instant("2026-07-01T10:00:00Z"), TORONTO) == "2026-07-01 06:00 EDT"
