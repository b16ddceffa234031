"""The way along a route by hand: metres along it, fix by fix, and what that says of going back (at 100 m; over at 30 m)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from monitor.motion import NONE
from monitor.progress import BACK, FORWARD, UNKNOWN, Progress, progress, unstarted

NAN = math.nan
SAYS = {FORWARD: ">", UNKNOWN: "?", BACK: "<"}
Fix = float | tuple[float, str]
"""Metres along, NaN unknown; with marks: `t` the first on another trip, `s` on the second route of the trip, `-` on no route."""


def follow(fixes: list[Fix], state: npt.NDArray[np.void] | None = None, first: int = 0, *, rows: int = 1) -> Progress:
    """All of the first of some vehicles: fix k is at k ms, k degrees east and -k north."""
    along, marks = zip(*((fix if isinstance(fix, tuple) else (fix, "")) for fix in fixes), strict=True)
    number = np.arange(first, first + len(fixes), dtype=np.int64)
    route = np.array([-1 if "-" in mark else int("s" in mark) for mark in marks], np.int64)
    return progress(
        unstarted(rows) if state is None else state,
        np.array([0] + [len(fixes)] * rows, np.int64),
        number,
        number.astype(np.float64),
        -number.astype(np.float64),
        np.array(["t" in mark for mark in marks]),
        route,
        np.array(along, np.float64),
        np.full(len(fixes), 100.0),
        np.full(len(fixes), 30.0),
    )


@pytest.mark.parametrize(
    ("fixes", "says"),
    [
        ([0, 500, 401, 400], ">>><"),  # exactly so far back is so far back
        ([0, 500, 400, 420, 429, 430], ">><<<>"),  # exactly so far forward ends it
        ([500, 400, 300, 320, 329, 330], "><<<<>"),  # from the lowest
        ([500, 400, 430, 331, 330], "><>><"),  # and the furthest is where it turned
        ([500, 450, 490, 401, 400], ">>>><"),  # before it goes back, forth and back changes nothing
        ([500, 400, NAN, 500, NAN, 400], "><?>?<"),
        ([500, NAN, 400], ">?<"),
        ([500, 400, (NAN, "-"), 300], "><>>"),  # off every route it begins anew
        ([500, 400, (300, "t"), 200], "><><"),  # and on another trip
        ([500, 400, (NAN, "t"), 300, 200], "><>><"),
        ([500, 400, (300, "s"), (200, "s")], "><><"),  # and on another of its routes
        ([500, 400, (NAN, "s"), 399], "><?<"),  # but not by a fix that knows nothing
        ([500, (450, "s"), 400, 300], ">>><"),  # there and back begins anew twice
    ],
)
def test_what_each_fix_says(fixes: list[Fix], says: str) -> None:
    """Forward, nothing, or back."""
    assert "".join(SAYS[int(each)] for each in follow(fixes).says) == says


def test_back_is_told_from_the_furthest_point_and_from_the_first_fix_that_showed_it() -> None:
    """When and where that was, and how far back it is."""
    found = follow([0.0, 500.0, 420.0, 390.0, 300.0, 335.0, 200.0])
    assert found.back_m.tolist() == [0, 0, 80, 110, 200, 0, 135]
    back = found.says == BACK
    assert np.flatnonzero(back).tolist() == [3, 4, 6]
    assert found.since[back].tolist() == [1, 1, 5]
    assert found.began[back].tolist() == [3, 3, 6]
    assert found.lon[back].tolist() == [1, 1, 5]
    assert found.lat[back].tolist() == [-1, -1, -5]


def test_the_earliest_of_equals_is_the_furthest() -> None:
    """Further by less than a hand is the same spot, however often."""
    found = follow([499.0, 500.0, 500.0, 500.09, 500.1, 400.0])
    assert (found.says[-1], found.since[-1]) == (BACK, 1)
    assert follow([499.0, 500.0, 500.11, 400.0]).since[-1] == 2


TRACK: list[Fix] = [0, 500, NAN, 400, 300, 331, (250, "s"), (140, "s"), (NAN, "t"), 600, (NAN, "-"), 550, 450, 420, 451]


@pytest.mark.parametrize("cut", range(1, len(TRACK)))
def test_a_cut_changes_nothing(cut: int) -> None:
    """All of it is remembered."""
    whole, state = follow(TRACK), unstarted(1)
    parts = follow(TRACK[:cut], state), follow(TRACK[cut:], state, cut)
    for name in Progress._fields:
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name)), name


def test_of_a_vehicle_without_a_fix_nothing_is_remembered() -> None:
    """Another one's way is not its own."""
    state = unstarted(2)
    follow([500.0, 400.0], state, rows=2)
    assert state["route"].tolist() == [0, -1]
    assert state["furthest"].tolist() == [500, 0]
    assert state["furthest_at"].tolist()[0] == 0
    assert state["began"].tolist() == [1, 0]


def test_nothing_is_known_of_a_fix_that_says_nothing() -> None:
    """Its times are none."""
    found = follow([500.0, NAN, (NAN, "-")])
    assert (found.since[1], found.began[1], found.since[2]) == (NONE, NONE, NONE)
    assert found.back_m.tolist() == [0, 0, 0]
