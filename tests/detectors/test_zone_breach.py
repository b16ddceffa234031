"""Zone breaches, through the whole core: a truck in a restricted place, or one that leaves a yard that is closed."""

from __future__ import annotations

import pytest

from monitor.signals import Signal
from tests.build import heard, square
from tests.handmade import at, clock, degrees, told, trip
from tests.oracle_reports import Said

FENCED = square("r", "restricted")
YARD = square("y", "yard", hours="Mo 06:00-10:00")


def breaches(reports: list[Said], **how: object) -> list[Signal]:
    """The breaches."""
    return heard(reports, **how).of("zone_breach")  # type: ignore[arg-type]


def seen(*east: float, start: int = 0) -> list[Said]:
    """One report a minute from 10:00, so many metres east."""
    return [Said(f"10:{start + minute:02}", metres, speed=3.0) for minute, metres in enumerate(east)]


# ── restricted places ──


def test_a_restricted_place_is_told_with_the_first_fix_inside() -> None:
    """Whoever it is."""
    [found] = breaches(seen(500, 0, 50), places=[FENCED], trips=[trip(load="high_value")])
    assert told([found]) == [("10:01", "10:01", None)]
    assert (found.place, found.measure, found.limit, found.unit, found.severity) == ("r", 60.0, 0.0, "s", "warning")
    assert (found.lon, found.lat, found.trip) == (*degrees(0, 0), "trip")


@pytest.mark.parametrize(
    ("east", "until", "measure"),
    [
        ((0, 0, 150, 190), "10:02", 120.0),  # the first of two outside
        ((0, 0, 350), "10:02", 120.0),  # one far outside
        ((0, 0, 150), None, 60.0),  # the first outside says nothing
        ((0, 0, 150, 90), None, 180.0),  # nor when the next is inside
        ((0, 0, 125, 125), None, 180.0),  # beside the fence is inside still
    ],
)
def test_it_lasts_as_long_as_the_visit(east: tuple[float, ...], until: str | None, measure: float) -> None:
    """With the hysteresis of every visit."""
    [found] = breaches(seen(*east), places=[FENCED])
    assert (clock(found.until), found.measure, found.closed) == (until, measure, until is not None)


def test_each_visit_is_a_signal_and_so_is_each_place() -> None:
    """Two visits to two places, one within the other, told by place."""
    both = [square("b", "restricted", half=400), square("a", "restricted")]
    found = breaches(seen(0, 50, 350, 0, 900), places=both)
    assert sorted((s.place, clock(s.since), clock(s.until)) for s in found) == [
        ("a", "10:00", "10:02"), ("a", "10:03", "10:04"), ("b", "10:00", "10:04"),
    ]  # fmt: skip


def test_a_rough_position_inside_is_inside() -> None:
    """A place is entered by any position used; another carrier's is no place."""
    assert told(breaches([Said("10:00", accuracy=900.0)], places=[FENCED])) == [("10:00", "10:00", None)]
    assert breaches(seen(0, 0), places=[square("r", "restricted", carrier="south")]) == []


def test_a_limit_says_how_long_the_visit_may_last() -> None:
    """Reached by a fix, or by silence."""
    said = ["detectors.zone_breach.limit=2m"]
    assert breaches(seen(0, 0), places=[FENCED], said=said) == []
    assert told(breaches(seen(0, 0, 0), places=[FENCED], said=said)) == [("10:00", "10:02", None)]
    dark = breaches(seen(0, 0), places=[FENCED], said=said, until=at("10:02:30"))
    assert told(dark) == [("10:00", "10:02:30", None, "presumed")]  # three intervals of 30 s after 10:01
    assert breaches(seen(0, 0), places=[FENCED], said=said, until=at("10:02:29")) == []


# ── yards left while closed ──


@pytest.mark.parametrize("cuts", [(), (at("10:01"),)])
def test_a_yard_left_a_minute_after_it_closed_is_told_by_the_fix_after(cuts: tuple[int, ...]) -> None:
    """An instant: where and when it was first outside."""
    reports = [Said("09:59"), *seen(500, 1500, 2500, start=1)]
    [found] = breaches(reports, places=[YARD], trips=[trip(start="10:02")], cuts=cuts)
    assert (clock(found.since), clock(found.at), clock(found.until), found.measure) == ("10:01", "10:01", "10:01", 0.0)
    assert (clock(found.raised), clock(found.decided), found.closed, found.presumed) == ("10:02", "10:02", True, False)
    assert (found.lon, found.lat) == degrees(500, 0)
    assert (found.place, found.limit, found.severity, found.trip) == ("y", 0.0, "warning", "trip")


@pytest.mark.parametrize(("left", "expected"), [("09:59:59", []), ("10:00", ["10:00"])])
def test_a_yard_is_closed_from_the_very_instant_that_its_hours_say(left: str, expected: list[str]) -> None:
    """Not before."""
    reports = [Said("09:58"), Said(left, 500.0), Said("10:03", 900.0)]
    assert [clock(s.at) for s in breaches(reports, places=[YARD])] == expected


def test_it_was_left_where_the_visit_ended() -> None:
    """The first of two fixes just outside: before the hour it was open, after it closed. The position is that of the second."""
    assert breaches([Said("09:58"), Said("09:59", 150.0), *seen(190, 900)], places=[YARD]) == []
    [found] = breaches([Said("09:58"), *seen(150, 190, 900)], places=[YARD])
    assert (clock(found.at), clock(found.raised), found.lon, found.lat) == ("10:00", "10:02", *degrees(190, 0))


def test_one_stray_position_is_no_departure() -> None:
    """Nor is one that nothing has confirmed yet."""
    assert breaches([Said("09:59"), *seen(500, 0, 0)], places=[YARD]) == []
    assert breaches([Said("09:59"), *seen(500)], places=[YARD], until=at("12:00")) == []
    assert [clock(s.at) for s in breaches([Said("09:59"), *seen(500, 0, 500, 900)], places=[YARD])] == ["10:02"]


def test_from_one_yard_into_the_next_is_no_departure() -> None:
    """But from that one it is."""
    yards = [YARD, square("z", "yard", 1500, hours="Mo 06:00-10:00")]
    found = breaches([Said("09:59"), *seen(500, 1500, 2500, 3500)], places=yards)
    assert [(s.place, clock(s.at)) for s in found] == [("z", "10:02")]


def test_of_two_yards_left_at_once_the_least_id_is_named() -> None:
    """One departure, in whatever order they were drawn."""
    yards = [square("b", "yard", hours="Mo 06:00-10:00"), square("a", "yard", half=150, hours="Mo 06:00-10:00")]
    for order in (yards, yards[::-1]):
        assert [s.place for s in breaches([Said("09:59"), *seen(500, 900)], places=order)] == ["a"]


def test_only_yards_with_hours_are_closed_and_no_limit_holds_it_back() -> None:
    """A customer's hours say when one may stand there."""
    away = [Said("09:59"), *seen(500, 900)]
    assert breaches(away, places=[square("y", "yard"), square("c", "customer", hours="Mo 06:00-10:00")]) == []
    assert len(breaches(away, places=[YARD], said=["detectors.zone_breach.limit=1h"])) == 1


def test_in_a_closed_yard_a_truck_may_stand() -> None:
    """Its hours say when it may be left."""
    track = heard([Said(f"10:{minute:02}") for minute in range(20)], places=[YARD])
    assert track.signals == []
