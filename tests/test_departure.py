"""Departures from closed yards by hand: each fix shows the yard that it was seen to have left, whether it is in one, or neither."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from monitor.departure import at_home, depart
from monitor.motion import NONE

IN, OUT = None, -1
"""In a visit to a yard; in none, and none was left. Else the code of the closed yard that was left, and is in none."""
Fix = int | None | tuple[int]
"""A tuple: the yard of this code was left, for another."""
Told = list[tuple[int, int, int, float, float]]


def follow(fixes: list[list[Fix]], state: npt.NDArray[np.void], first: int = 0) -> Told:
    """What vehicles' fixes, numbered from `first`, confirm: which fix, which yard, and when and where it was left.

    Fix k is at k degrees east and -k north, and shows a yard to have been left at k x 1,000 ms.
    """
    flat = [fix for mine in fixes for fix in mine]
    number = np.arange(first, first + len(flat))
    in_yard = np.array([fix is IN or isinstance(fix, tuple) for fix in flat], bool)
    place = np.array([-1 if fix is IN else fix[0] if isinstance(fix, tuple) else fix for fix in flat], np.int32)
    left = np.where(place >= 0, number * 1000, NONE).astype(np.int64)
    bounds = np.cumsum([0, *map(len, fixes)]).astype(np.int64)
    found = depart(state, bounds, number.astype(np.float64), -number.astype(np.float64), in_yard, place, left)
    silent = found.place < 0
    assert (found.left[silent] == NONE).all()
    told = np.flatnonzero(~silent)
    return [(first + i, int(found.place[i]), int(found.left[i]), float(found.lon[i]), float(found.lat[i])) for i in told.tolist()]


@pytest.mark.parametrize(
    ("fixes", "expected"),
    [
        ([IN, 4, OUT, OUT], [(2, 4, 1000, 1.0, -1.0)]),  # the next fix confirms it, once
        ([IN, 4], []),
        ([IN, 4, IN, OUT], []),  # one position astray
        ([IN, OUT, OUT], []),  # it was open
        ([IN, 4, 5, OUT], [(2, 4, 1000, 1.0, -1.0), (3, 5, 2000, 2.0, -2.0)]),
        ([IN, 4, (5,), OUT], [(3, 5, 2000, 2.0, -2.0)]),  # from the first of these yards into another one
        ([IN, (4,), OUT], [(2, 4, 1000, 1.0, -1.0)]),
        ([IN, 0, OUT], [(2, 0, 1000, 1.0, -1.0)]),  # the first of all places has the code 0
    ],
)
def test_a_departure_is_confirmed_by_the_next_fix_outside_every_yard(fixes: list[Fix], expected: Told) -> None:
    """It was when, and the fix where, it was first shown."""
    assert follow([fixes], at_home(1)) == expected


@pytest.mark.parametrize("cut", range(1, 7))
def test_a_cut_changes_nothing(cut: int) -> None:
    """What waits to be confirmed is remembered."""
    fixes: list[Fix] = [IN, 4, OUT, IN, 5, 6, OUT]
    state = at_home(1)
    assert follow([fixes[:cut]], state) + follow([fixes[cut:]], state, cut) == follow([fixes], at_home(1))


def test_vehicles_leave_each_for_itself() -> None:
    """The last fix of one is not followed by the first of another."""
    state = at_home(3)
    assert follow([[IN, 4], [], [OUT, 7, OUT]], state) == [(4, 7, 3000, 3.0, -3.0)]
    assert state["place"].tolist() == [4, -1, -1]
    assert state["left"].tolist() == [1000, NONE, NONE]
    assert follow([[OUT], [OUT], [OUT]], state, 5) == [(5, 4, 1000, 1.0, -1.0)]
