"""Impossible movements, through the whole core: a truck that reports each minute from 10:00, now here, now far away.

In a minute 70 m/s are 4,200 m.
"""

from __future__ import annotations

import pytest

from monitor.signals import Signal
from tests.build import heard
from tests.handmade import NAN, at, clock, degrees, told, trip
from tests.oracle_reports import Said

FAR = 100_000.0


def jumps(*east: float, **how: object) -> list[Signal]:
    """The impossible movements of a truck so many metres east, minute by minute."""
    reports = [Said(f"10:{minute:02}", metres, NAN if metres != metres else 0.0, 10.0) for minute, metres in enumerate(east)]
    return heard(reports, **how).of("impossible_movement")  # type: ignore[arg-type]


def test_a_single_spike_says_nothing() -> None:
    """However far."""
    assert jumps(0, 0, FAR, 0, 0, 0, 0, 0, 0) == []
    assert jumps(0, 0, FAR) == []


def test_the_second_jump_is_told_and_is_where_the_truck_is() -> None:
    """An instant; measured against what two minutes allow since the last good fix."""
    [found] = jumps(0, 0, FAR, FAR, trips=[trip(load="high_value")])
    assert (clock(found.since), clock(found.at), clock(found.raised), found.until) == ("10:03", "10:03", "10:03", None)
    assert found.measure == pytest.approx(FAR, rel=0.001)
    assert (found.limit, found.unit, found.severity, found.presumed, found.trip) == (8400.0, "m", "note", False, "trip")
    assert (found.lon, found.lat) == degrees(FAR, 0)


@pytest.mark.parametrize(
    ("east", "expected"),
    [
        ((0, 0, FAR, 0, 0, 0, FAR, FAR), [("10:06", 4200.0)]),  # the fifth from the first, that included
        ((0, 0, FAR, 0, 0, 0, 0, FAR), []),  # the sixth: a first one again
        ((0, 0, FAR, 0, 0, 0, 0, FAR, FAR), [("10:08", 8400.0)]),
        ((0, 0, FAR, NAN, NAN, NAN, NAN, FAR), [("10:07", 25_200.0)]),  # only positions are counted
    ],
)
def test_two_jumps_within_five_positions(east: tuple[float, ...], expected: list[tuple[str, float]]) -> None:
    """Else each is the first."""
    assert [(clock(s.at), s.limit) for s in jumps(*east)] == expected


def test_what_can_be_driven_is_no_jump() -> None:
    """69 m/s are, 71 are not; nothing within a second is less than that."""
    assert jumps(0, 4140, 8280, 12_420) == []
    assert [clock(s.at) for s in jumps(0, 4260, 8520 + 4200)] == ["10:02"]
    assert jumps(0, 4260, 8520, said=["order.jump_mps=75.0"]) == []


@pytest.mark.parametrize(("good", "until"), [(4, None), (5, "10:08"), (6, "10:08")])
@pytest.mark.parametrize("cuts", [(), (at("10:03"), at("10:07"))])
def test_it_ends_with_the_fifth_good_fix(good: int, until: str | None, cuts: tuple[int, ...]) -> None:
    """After the last jump."""
    [found] = jumps(0, 0, FAR, FAR, *[FAR] * good, cuts=cuts)
    assert told([found]) == [("10:03", "10:03", until)]
    assert found.closed == (until is not None)


def test_a_spike_begins_the_count_anew() -> None:
    """It takes no part, and is no good fix."""
    [found] = jumps(0, 0, FAR, FAR, FAR, FAR, 0, FAR, FAR, FAR, FAR, FAR)
    assert told([found]) == [("10:03", "10:03", "10:11")]


def test_further_jumps_are_the_same_signal() -> None:
    """The worst of them measures it, against what was possible at the first."""
    [found] = jumps(0, 0, FAR, FAR, FAR, -FAR, -FAR, *[-FAR] * 5)
    assert told([found]) == [("10:03", "10:03", "10:11")]
    assert found.measure == pytest.approx(2 * FAR, rel=0.001)
    assert found.limit == 8400.0


def test_how_many_good_fixes_is_a_setting() -> None:
    """Two here."""
    assert told(jumps(0, 0, FAR, FAR, FAR, FAR, said=["detectors.impossible_movement.good_fixes=2"])) == [
        ("10:03", "10:03", "10:05")
    ]
