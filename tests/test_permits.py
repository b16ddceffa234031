"""Authorizations and lockdowns, through the whole core: a truck that stands for twenty minutes, or sets out, on 2 March 2026."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.permits import Authorization, Lockdown
from tests.build import heard, square
from tests.handmade import at, degrees, told
from tests.oracle_reports import Said, authorization, lockdown

STANDING = [Said(f"10:{minute:02}") for minute in range(21)]
TOLD = [("10:00", "10:05", None)]
Told = list[tuple[str | None, ...]]


def spot(east: float) -> dict[str, float]:
    """A spot so many metres east of where the truck stands."""
    return dict(zip(("lon", "lat"), degrees(east, 0), strict=True))


def stops(*given: Authorization, **how: object) -> Told:
    """The unauthorized stops; five minutes are allowed."""
    return told(heard(STANDING, authorizations=given, **how).of("unauthorized_stop"))  # type: ignore[arg-type]


# ── authorizations: a truck may stand ──


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("10:00", "10:21", []),
        ("00:00", "10:00", TOLD),  # over when it came
        ("10:21", "12:00", TOLD),  # yet to come
        ("10:00", "10:10", [("10:10", "10:15", None)]),  # half-open
        ("10:00", "10:10:01", [("10:11", "10:16", None)]),
        ("10:06", "10:08", [("10:00", "10:05", "10:05"), ("10:08", "10:13", None)]),
        ("10:04", "10:21", []),
    ],
)
def test_an_authorization_holds_over_its_interval(start: str, end: str, expected: Told) -> None:
    """From its first fix to the one before its end."""
    assert stops(authorization(start, end)) == expected


@pytest.mark.parametrize(("east", "radius_m", "expected"), [(240, 250, []), (260, 250, TOLD), (260, 300, []), (60, 50, TOLD)])
def test_about_a_spot_it_reaches_so_far(east: float, radius_m: float, expected: Told) -> None:
    """250 m unless it says otherwise."""
    assert stops(authorization("09:00", "12:00", radius_m=radius_m, **spot(east))) == expected
    assert radius_m != 250 or stops(authorization("09:00", "12:00", **spot(east))) == expected


def test_in_a_place_it_holds_while_the_visit_lasts() -> None:
    """Whatever its kind; beside the fence, too; in another place it does not."""
    fenced = [square("n", "no_stop", 120, half=125), square("other", "high_risk")]
    assert stops(authorization("09:00", "12:00", place="n"), places=fenced) == []
    drift = [Said("10:00", 0.0), *(Said(f"10:{minute:02}", -25.0) for minute in range(1, 21))]
    assert heard(drift, places=fenced, authorizations=[authorization("09:00", "12:00", place="n")]).signals == []
    assert stops(authorization("09:00", "12:00", place="far"), places=[*fenced, square("far", "no_stop", 5000)]) == TOLD


def test_it_holds_for_a_place_drawn_anew() -> None:
    """Both of that id."""
    once = replace(square("n", "high_risk"), valid_until=at("10:10"))
    now = replace(square("n", "high_risk", half=200), valid_from=at("10:10"))
    assert stops(authorization("09:00", "12:00", place="n"), places=[once, now]) == []
    assert stops(authorization("09:00", "12:00", place="n"), places=[once]) == [("10:10", "10:15", None)]


def test_it_wins_over_no_stop_and_never_over_restricted() -> None:
    """In a restricted place nobody stands."""
    assert stops(authorization("09:00", "12:00"), places=[square("n", "no_stop")]) == []
    assert stops(authorization("09:00", "12:00"), places=[square("r", "restricted")]) == TOLD
    breach = heard(STANDING, places=[square("r", "restricted")], authorizations=[authorization("09:00", "12:00", place="r")])
    assert told(breach.of("zone_breach")) == [("10:00", "10:00", None)]


def test_it_is_for_one_vehicle() -> None:
    """Not for another of the carrier, nor for one of that name of another carrier."""
    mine = authorization("09:00", "12:00")
    assert stops(replace(mine, vehicle="T-2")) == stops(replace(mine, carrier="south")) == TOLD
    assert stops(replace(mine, vehicle="T-2"), mine) == []


# ── lockdowns: nobody moves ──

DRIVEN = [
    *(Said(f"09:{minute}") for minute in (57, 58, 59)),
    *(Said(f"10:{minute:02}", metres, speed=8.0) for minute, metres in enumerate((150.0, 400.0, 900.0, 1500.0))),
]
MOVED = [("10:01", "10:02", None)]


def movements(given: Lockdown, *places: object, reports: list[Said] = DRIVEN) -> Told:
    """The movements under it, all of them critical."""
    found = heard(reports, lockdowns=[given], places=places).of("after_hours_movement")
    assert {signal.severity for signal in found} <= {"critical"}
    return told(found)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lockdown(unit=True), MOVED),
        (lockdown(), MOVED),  # of all of its carrier
        (Lockdown("l", at("00:00"), at("23:00"), "theft", "security", "north", "T-2"), []),
        (Lockdown("l", at("00:00"), at("23:00"), "theft", "security", "south"), []),
        (lockdown(end="10:00"), []),
        (lockdown(end="10:02"), []),  # at 10:02 it may move
        (lockdown(end="10:02:01"), [("10:01", "10:02", "10:03")]),
        (lockdown("10:01"), MOVED),  # 250 m from where it was free to move at 10:00
        (lockdown("10:01:01"), [("10:02", "10:03", None)]),
    ],
)
def test_a_lockdown_of_a_vehicle_or_its_carrier_lets_it_not_move(given: Lockdown, expected: Told) -> None:
    """Over its interval, half-open."""
    assert movements(given) == expected


def test_a_movement_ends_with_its_lockdown() -> None:
    """At the first fix after it."""
    assert movements(lockdown(end="10:03")) == [("10:01", "10:02", "10:03")]


def test_the_lockdown_of_a_place_holds_what_was_in_it_when_it_set_out() -> None:
    """Until it has stood outside."""
    gate = square("p", "customer")
    assert movements(lockdown(place="p"), gate) == MOVED
    stood = [Said(f"10:{minute:02}", 2100.0) for minute in (4, 5, 6)]
    again = [Said(f"10:{minute:02}", metres, speed=8.0) for minute, metres in ((7, 2600.0), (8, 3200.0), (9, 3800.0))]
    assert movements(lockdown(place="p"), gate, reports=[*DRIVEN, *stood, *again]) == [("10:01", "10:02", "10:05")]
    over = movements(lockdown(end="10:03", place="p"), gate)
    assert over == [("10:01", "10:02", "10:03")]


def test_the_lockdown_of_a_place_does_not_hold_what_had_left() -> None:
    """Nor what never was there; nor one that began and ended before."""
    gate = square("p", "customer")
    assert movements(lockdown("10:02", place="p"), gate) == []
    assert movements(lockdown(place="p"), square("p", "customer", north=3000)) == []
    assert movements(lockdown(end="09:59", place="p"), gate) == []


def test_it_holds_what_left_in_the_very_minute_in_which_it_began() -> None:
    """The fix that shows the end of the visit is the last of it; a second later none was."""
    gate = square("p", "customer")
    assert movements(lockdown("10:01", place="p"), gate) == MOVED
    assert movements(lockdown("10:01:01", place="p"), gate) == []
