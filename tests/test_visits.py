"""Visits: runs of fixes in one place with hysteresis, told by how many metres outside each fix is; and where a vehicle may stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.atlas import Atlas, Pairs
from monitor.motion import NONE
from monitor.places import Geofences, Place
from monitor.trips import Trip
from monitor.visits import VISIT, Permissions, Presence, Standing, visit
from tests.build import square
from tests.handmade import at, trip

FAR = math.inf
Outside = Sequence[Sequence[float]]
"""For each fix, metres outside each place; FAR where the atlas does not call it near."""


def followed(outside: Outside, cuts: Sequence[int] = (), allowed: bool = True) -> tuple[list[tuple[int, int, int, int]], bytes]:
    """What each fix of one vehicle showed (fix, place, since, ended), and the visits under way at the end. Times are 0, 1, 2."""
    shown: list[tuple[int, int, int, int]] = []
    carried = np.empty(0, VISIT)
    for begin, end in zip([0, *cuts], [*cuts, len(outside)], strict=True):
        pairs = [(k, p, m) for k, row in enumerate(outside[begin:end]) for p, m in enumerate(row) if m <= 200]
        fix, place, metres = (np.array([pair[i] for pair in pairs]) for i in range(3))
        near = Pairs(fix.astype(np.int64), place.astype(np.int32), metres.astype(np.float64))
        time = np.arange(begin, end)
        presence, carried = visit(carried, np.array([0, end - begin]), time, near, np.full(len(pairs), allowed))
        columns = (presence.fix + begin, presence.place, presence.since, presence.ended)
        shown += list(zip(*(column.tolist() for column in columns), strict=True))
    return shown, carried.tobytes()


def visits(*outside: float) -> list[tuple[int, int | None]]:
    """Since and end of the visits of one place; None while it lasts."""
    ends: dict[int, int | None] = {}
    for _, _, since, ended in followed([[metres] for metres in outside])[0]:
        ends[since] = None if ended == NONE else ended
    return list(ends.items())


def inside(*outside: float) -> list[int]:
    """The fixes at which the vehicle is in the place."""
    return [fix for fix, _, _, ended in followed([[metres] for metres in outside])[0] if ended == NONE]


# ── entering and leaving ──


def test_a_visit_begins_with_one_fix_inside() -> None:
    """Near is not inside."""
    assert visits(FAR, 150, 5, 0, 0) == [(3, None)]


def test_within_thirty_metres_of_the_edge_it_goes_on() -> None:
    """However often."""
    assert visits(0, 30, 29, 10, 30) == [(0, None)]


def test_one_fix_by_more_than_two_hundred_metres_ends_it() -> None:
    """At that fix."""
    assert visits(0, 0, FAR, 0) == [(0, 2), (3, None)]


def test_two_fixes_by_more_than_thirty_metres_end_it_at_the_first() -> None:
    """The second shows it."""
    assert visits(0, 31, 31, 31) == [(0, 1)]
    assert inside(0, 31, 31, 31) == [0, 1]


def test_one_fix_by_more_than_thirty_metres_leaves_it_pending() -> None:
    """The vehicle still counts as inside, and back within thirty metres nothing happened."""
    assert visits(0, 31, 30, 31, 0) == [(0, None)]
    assert inside(0, 31, 30, 31, 0) == [0, 1, 2, 3, 4]


def test_a_pending_visit_that_ends_far_away_ended_at_the_first_fix_outside() -> None:
    """Not at the far one."""
    assert visits(0, 31, FAR) == [(0, 1)]


def test_a_place_that_does_not_exist_for_a_vehicle_is_not_visited() -> None:
    """Another carrier's yard."""
    assert followed([[0.0], [0.0]], allowed=False) == ([], b"")


def test_visits_to_several_places_run_side_by_side() -> None:
    """More of them than there was room for at first."""
    shown, after = followed([[0.0] * 12, [0.0, *[FAR] * 11]])
    assert [place for fix, place, _, _ in shown if fix == 0] == list(range(12))
    assert {place: ended for fix, place, _, ended in shown if fix == 1} == {0: NONE} | dict.fromkeys(range(1, 12), 1)
    assert len(after) == VISIT.itemsize


def test_many_visits_are_carried_from_batch_to_batch() -> None:
    """More of them than there was room for at first."""
    assert followed([[0.0] * 40] * 3, [1]) == followed([[0.0] * 40] * 3)


def test_vehicles_are_each_in_their_own_places() -> None:
    """Row by row, those without fixes too."""
    carried = np.zeros(2, VISIT)
    carried["row"], carried["place"], carried["pending"] = [0, 2], [5, 7], NONE
    pairs = Pairs(np.array([0]), np.array([7], np.int32), np.array([0.0]))
    presence, after = visit(carried, np.array([0, 0, 1, 1]), np.array([9]), pairs, np.ones(1, bool))
    assert (presence.fix.tolist(), presence.place.tolist(), presence.since.tolist()) == ([0], [7], [9])
    assert [(row, place) for row, place, *_ in after.tolist()] == [(0, 5), (1, 7), (2, 7)]


def plainly(outside: Sequence[float]) -> list[tuple[int, int | None]]:
    """The definition, with the whole track in view."""
    out: list[tuple[int, int | None]] = []
    k, n = 0, len(outside)
    while k < n:
        if outside[k] > 0:
            k += 1
            continue
        since = k
        after = next((j for j in range(k + 1, n) if outside[j] > 200 or (outside[j] > 30 and outside[j - 1] > 30)), n)
        out.append((since, None if after == n else after - 1 if outside[after - 1] > 30 else after))
        k = after
    return out


metres = st.sampled_from([0.0, 0.0, 10.0, 30.0, 31.0, 199.0, FAR])


@settings(max_examples=200, deadline=None)
@given(st.lists(metres, max_size=25))
def test_visits_agree_with_the_definition_read_over_the_whole_track(outside: list[float]) -> None:
    """Since and end of each."""
    assert visits(*outside) == plainly(outside)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(metres, metres, metres), max_size=20), st.lists(st.integers(0, 20), max_size=4))
def test_a_cut_changes_nothing(outside: list[tuple[float, float, float]], cuts: list[int]) -> None:
    """Neither what fixes show nor what is carried on (in whatever order places are told)."""
    whole, after = followed(outside)
    parts, carried = followed(outside, sorted(min(c, len(outside)) for c in cuts))
    assert sorted(parts) == sorted(whole)
    assert len(carried) == len(after)


# ── may it stand ──


def judged(places: Sequence[Place], plan: Trip | None = None, clock: str = "10:00") -> Standing:
    """What holds at a fix inside all the places."""
    n, trips = len(places), () if plan is None else (plan,)
    presence = Presence(
        np.zeros(n, np.int64), np.arange(n, dtype=np.int32), np.zeros(n, np.int64), np.full(n, NONE), np.zeros(n, bool)
    )
    on = np.array([0 if plan else -1], np.int32)
    return Permissions(Atlas(Geofences(tuple(places))), trips).standing_at(presence, np.array([at(clock)]), on, np.zeros(1, bool))


@pytest.mark.parametrize(
    ("kinds", "may"),
    [
        ("", False),
        ("rest_area", True),
        ("yard", True),
        ("inspection_station", True),
        ("high_risk", False),
        ("dead_zone jurisdiction", False),
        ("no_stop", False),
        ("no_stop drop", True),
        ("high_risk drop", True),
        ("drop restricted", False),
        ("drop parking no_stop restricted", False),
    ],
)
def test_in_which_kinds_of_places_a_vehicle_may_stand(kinds: str, may: bool) -> None:
    """A permitted place wins over `no_stop` and `high_risk`, `restricted` over all."""
    assert judged([square(kind, kind) for kind in kinds.split()]).may.tolist() == [may]


@pytest.mark.parametrize(
    ("kind", "plan", "may"),
    [
        ("customer", None, True),
        ("customer", trip(), True),
        ("customer", trip(named=()), False),
        ("customer", trip(named=("x",)), False),
        ("yard", trip(named=("x",)), False),
        ("yard", trip(named=("x", "a")), True),
        ("yard", trip(named=("x",), origin="a"), True),
        ("customer", trip(named=("x",), destination="a"), True),
        ("rest_area", trip(named=("x",)), True),
    ],
)
def test_where_a_trip_names_places_customers_and_yards_count_only_if_named(kind: str, plan: Trip | None, may: bool) -> None:
    """Or as its origin or destination; of other kinds all count."""
    assert judged([square("a", kind)], plan).may.tolist() == [may]


@pytest.mark.parametrize(("clock", "may"), [("08:59:59.999", False), ("09:00", True), ("09:59:59.999", True), ("10:00", False)])
def test_a_closed_place_permits_nothing(clock: str, may: bool) -> None:
    """2 March 2026 is a Monday."""
    assert judged([square("a", "drop", hours="Mo 09:00-10:00")], clock=clock).may.tolist() == [may]


def test_the_place_named_is_the_permitted_one_of_least_id() -> None:
    """Else any of least id; the atlas's order is not asked."""
    assert judged([square(name, "drop") for name in "cab"]).place.tolist() == [1]
    assert judged([square("a", "no_stop"), square("z", "drop"), square("y", "drop")]).place.tolist() == [2]
    assert judged([square("b", "no_stop"), square("a", "high_risk")]).place.tolist() == [1]
    assert judged([]).place.tolist() == [-1]


def test_a_no_stop_place_counts_only_where_it_may_not_stand() -> None:
    """Of several the least id."""
    belts = [square("c", "no_stop"), square("b", "no_stop"), square("a", "high_risk")]
    assert judged(belts).no_stop.tolist() == [1]
    assert judged([*belts, square("d", "drop")]).no_stop.tolist() == [-1]
    assert judged([*belts, square("d", "drop"), square("e", "restricted")]).no_stop.tolist() == [1]


def test_a_visit_that_has_ended_permits_nothing() -> None:
    """The fix that shows it is outside."""
    presence = Presence(np.array([0]), np.array([0], np.int32), np.array([0]), np.array([0]), np.array([False]))
    permissions = Permissions(Atlas(Geofences((square("a", "drop"),))), ())
    assert permissions.standing_at(
        presence, np.array([at("10:00")]), np.array([-1], np.int32), np.zeros(1, bool)
    ).may.tolist() == [False]
