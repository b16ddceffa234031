"""Times read together are what each of them is alone, and what is not ordinary is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ingest.formats.instants import instants

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001 (each gets a zone below)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def alone(text: str) -> int | None:
    """Milliseconds of one time, by the standard library."""
    try:
        return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError, OverflowError):
        return None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(TIMES, ZONES, st.sampled_from(["seconds", "milliseconds", "microseconds"]), st.booleans()), max_size=20)
)
def test_every_ordinary_time_is_read(drawn: list[tuple[datetime, timezone, str, bool]]) -> None:
    """Of all years, zones and fractions, mixed in one list."""
    texts = [time.replace(tzinfo=UTC).astimezone(zone).isoformat(timespec=unit) for time, zone, unit, _ in drawn]
    texts = [text.replace("+00:00", "Z") if zulu else text for text, (*_, zulu) in zip(texts, drawn, strict=True)]
    ms, known = instants(texts)
    assert known.all()
    assert ms.tolist() == [alone(text) for text in texts]


@settings(max_examples=300, deadline=None)
@given(
    TIMES, st.sampled_from(["Z", "+01:00", ".5Z", ".123456-05:30"]), st.integers(0, 31), st.sampled_from("0123456789:-+.TZtz x")
)
def test_what_is_read_is_right_whatever_stands_in_it(time: datetime, zone: str, place: int, char: str) -> None:
    """A character of an ordinary time replaced by another."""
    text = time.isoformat(timespec="seconds") + zone
    text = text[:place] + char + text[place + 1 :]
    [ms], [known] = instants([text])
    assert not known or int(ms) == alone(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "Z", "2026-03-01", "2026-03-01T06:00:00", "2026-03-01 06:00:00Z", "2026-03-01T06:00:00z", "2026-03-01T06:00Z"),
        *("2026-02-29T06:00:00Z", "2100-02-29T06:00:00Z", "2026-13-01T06:00:00Z", "2026-00-01T06:00:00Z", "2026-03-00T06:00:00Z"),
        *("2026-04-31T06:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T06:60:00Z", "2026-03-01T06:00:60Z", "0000-03-01T06:00:00Z"),
        *("2026-03-01T06:00:00.Z", "2026-03-01T06:00:00.1234567Z", "2026-03-01T06:00:00+24:00", "2026-03-01T06:00:00+01:60"),
        *("2026-03-01T06:00:00+0100", "2026-03-01T06:00:00,5Z", "２０２６-03-01T06:00:00Z", "2026-03-01T06:00:0\x00Z", "x" * 40),
    ],
)
def test_what_is_not_ordinary_is_left_to_who_asks(text: str) -> None:
    """Also beside others of the same length that are."""
    good = "2026-03-01T06:00:00Z"
    ms, known = instants([good, text, good])
    assert known.tolist() == [True, False, True]
    assert ms.tolist() == [1_772_344_800_000, 0, 1_772_344_800_000]


def test_a_leap_day_is_a_day_of_leap_years_alone() -> None:
    ms, known = instants(["2000-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2023-02-29T00:00:00Z"])
    assert known.tolist() == [True, True, False, False]
    assert ms.tolist()[:2] == [951_782_400_000, 1_709_164_800_000]


def test_a_fraction_counts_to_the_millisecond_below() -> None:
    """Before 1970 too."""
    ms, _ = instants(["2026-03-01T06:00:00.9999Z", "1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.5Z"])
    assert ms.tolist() == [1_772_344_800_999, -1, -500]


def test_no_times_are_no_instants() -> None:
    ms, known = instants([])
    assert (len(ms), len(known)) == (0, 0)
