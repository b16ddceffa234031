"""Anchors by hand: one fix a minute; where a vehicle last stood or might move, and how far it is from there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from monitor.anchor import Outing, nowhere, set_out
from monitor.motion import NONE
from tests.handmade import degrees


@dataclass(frozen=True)
class At:
    """A seen fix: metres east, and what holds there; the minute since when it is in a yard, and until when its place is locked."""

    east: float
    stands: bool = False
    barred: bool = True
    locked: bool = False
    yard: int | None = None
    until: int | None = None


def follow(fixes: list[At], state: npt.NDArray[np.void] | None = None, first: int = 0, *, rows: int = 1) -> Outing:
    """All of them of the first of some vehicles, from minute `first` on."""
    lon, lat = np.array([degrees(fix.east, 0.0) for fix in fixes]).T.copy()

    def minute(said: int | None) -> int:
        return NONE if said is None else said

    return set_out(
        nowhere(rows) if state is None else state,
        np.array([0] + [len(fixes)] * rows, np.int64),
        np.arange(first, first + len(fixes), dtype=np.int64),
        lon,
        lat,
        np.array([fix.stands for fix in fixes]),
        np.array([minute(fix.yard) for fix in fixes], np.int64),
        np.array([fix.barred for fix in fixes]),
        np.array([fix.locked for fix in fixes]),
        np.array([minute(fix.until) for fix in fixes], np.int64),
    )


def metres(*fixes: At) -> list[int]:
    """From the anchor."""
    return [round(away) for away in follow(list(fixes)).moved_m]


def test_the_first_fix_is_an_anchor_until_there_is_a_better_one() -> None:
    """Though it is barred, and under way."""
    assert metres(At(0), At(100), At(300)) == [0, 100, 300]


def test_the_anchor_is_the_newest_fix_that_might_move_or_stood() -> None:
    """There it has moved nothing."""
    assert metres(At(0), At(100, barred=False), At(300), At(400, stands=True), At(500), At(200)) == [0, 0, 200, 0, 100, 200]


def test_a_locked_vehicle_is_barred() -> None:
    """Whatever its hours say."""
    out = follow([At(0, barred=False), At(300, barred=False, locked=True), At(900, barred=False)])
    assert out.barred.tolist() == out.locked.tolist() == [False, True, False]
    assert np.rint(out.moved_m).tolist() == [0, 300, 0]


@pytest.mark.parametrize(
    ("fixes", "locked"),
    [
        ([At(0, until=9), At(300), At(600)], [True, True, True]),  # it was in a locked place, and left
        ([At(0, until=2), At(300), At(600)], [True, True, False]),  # half-open
        ([At(0, until=9), At(300, stands=True), At(600)], [True, False, False]),  # it stood outside
        ([At(0, until=9), At(300, stands=True, until=9), At(600)], [True, True, True]),  # it stood inside
        ([At(0), At(300, until=9), At(600)], [False, True, True]),  # it came in on its way
        ([At(0, until=9), At(300, until=2), At(600)], [True, True, True]),  # the longer of two
    ],
)
def test_the_lockdown_of_a_place_follows_what_left_it(fixes: list[At], locked: list[bool]) -> None:
    """Until it has stood outside, or the lockdown is over."""
    assert follow([At(fix.east, fix.stands, False, until=fix.until) for fix in fixes]).locked.tolist() == locked


@pytest.mark.parametrize(
    ("since", "same"),
    [(0, True), (1, True), (2, False), (None, False)],  # the anchor is at minute 1
)
def test_a_move_is_inside_a_yard_where_its_visit_was_under_way_at_the_anchor(since: int | None, same: bool) -> None:
    """Begun before, or with it; another visit, or none, is another matter."""
    out = follow([At(0, barred=False), At(0, barred=False, yard=since), At(300, yard=since)])
    assert out.same_yard.tolist() == [False, False, same]


TRACK = [
    At(0, until=6), At(300), At(600, stands=True), At(900, barred=False), At(1000, yard=3), At(1400, locked=True),
    At(1500, stands=True, until=9), At(1800, barred=False), At(2100), At(2500),
]  # fmt: skip


@pytest.mark.parametrize("cut", range(1, len(TRACK)))
def test_a_cut_changes_nothing(cut: int) -> None:
    """The anchor and the lockdown of a place are remembered."""
    whole, state = follow(TRACK), nowhere(1)
    parts = follow(TRACK[:cut], state), follow(TRACK[cut:], state, cut)
    for name in Outing._fields:
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name)), name


def test_of_a_vehicle_without_a_fix_nothing_is_remembered() -> None:
    """Another one's anchor is not its own."""
    state = nowhere(2)
    follow([At(500, stands=True)], state, 7, rows=2)
    assert state["at"].tolist() == [7, NONE]
    assert (state["lon"][0], state["lat"][0]) == degrees(500, 0)
