"""Parked intervals by hand: one vehicle heard at whole minutes, or a few of them side by side; or a fleet.

Each case is `heard`: minute, then what its fix shows: `S` stands in the stop it began in, `s` in another, `h` halted, `m` on its
way, `.` not seen (imprecise); a `!` after it says that the ignition is off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from monitor.motion import NONE
from monitor.silence import Parked, park, unheard

MINUTE = 60_000


def follow(heard: str, state: npt.NDArray[np.void] | None = None) -> tuple[list[str], list[int | None], list[int]]:
    """Of each fix "p" for parked else "-", minutes learned (None for nothing), and minutes heard standing; `state` is advanced."""
    parked = run([heard], unheard(1) if state is None else state)
    learned = [None if ms == NONE else ms // MINUTE for ms in parked.learned.tolist()]
    return ["p" if one else "-" for one in parked.parked], learned, [ms // MINUTE for ms in parked.heard.tolist()]


def run(vehicles: list[str], state: npt.NDArray[np.void]) -> Parked:
    """Several vehicles at once."""
    told = [[(int(said.rstrip("Sshm.!")), said.lstrip("0123456789")) for said in heard.split()] for heard in vehicles]
    flat = [fix for fixes in told for fix in fixes]
    what = [said[0] for _, said in flat]
    seen = np.flatnonzero(np.array([one != "." for one in what]))
    shown = np.array([what[i] for i in seen])
    return park(
        state,
        np.cumsum([0, *map(len, told)]).astype(np.int64),
        np.array([minute * MINUTE for minute, _ in flat], np.int64),
        seen.astype(np.int64),
        np.isin(shown, ["S", "s"]),
        np.isin(shown, ["S", "s", "h"]),
        np.where(shown == "S", 0, np.where(shown == "s", 7, NONE)).astype(np.int64),
        np.array([said.endswith("!") for _, said in flat]),
    )


@pytest.mark.parametrize(
    ("heard", "learned"),
    [
        ("0S 10S", [None, None]),  # one interval teaches nothing
        ("0S 10S 30S", [None, None, 10]),
        ("0S 10S 30S 60S", [None, None, 10, 20]),  # the second longest
        ("0S 30S 50S 60S", [None, None, 20, 20]),
        ("0S 30S 60S", [None, None, 30]),  # equals count twice
        ("0S 10S 20m 30m", [None, None, None, None]),
    ],
)
def test_the_second_longest_interval_is_learned(heard: str, learned: list[int | None]) -> None:
    """As of the fix that ends it."""
    assert follow(heard)[1] == learned


@pytest.mark.parametrize(
    ("heard", "total"),
    [
        ("0S 10S 30S", [0, 10, 30]),
        ("0m 10S 30S", [0, 0, 20]),  # it must stand at both ends
        ("0S 10m 30S 40S", [0, 0, 0, 10]),
        ("0S 10s 30s", [0, 0, 20]),  # in one and the same stop
        ("0S 10h 30S", [0, 0, 0]),  # halted is not standing
        ("0S 10. 30S 31m 40.", [0, 10, 30, 30, 30]),  # a rough fix stands where the one before did
        ("0. 10. 30S", [0, 0, 0]),
    ],
)
def test_a_parked_interval_lies_between_two_fixes_of_one_stop(heard: str, total: list[int]) -> None:
    """Their sum tells how long it was heard standing."""
    assert follow(heard)[2] == total


@pytest.mark.parametrize(
    ("heard", "parked"),
    [
        ("0m 1S 2m", "-p-"),
        ("0S 1h 2m", "pp-"),
        ("0S 1. 2m 3.", "pp--"),
        ("0m 1h 2. 3.", "-ppp"),
        ("0m! 1m 2m!", "p-p"),
        ("0.! 1. 2.!", "p-p"),  # the ignition is that of the very fix
        ("0m! 1.", "p-"),
        ("0S! 1S", "pp"),
    ],
)
def test_parked_is_standing_or_halted_or_with_the_ignition_off(heard: str, parked: str) -> None:
    """After each fix."""
    assert "".join(follow(heard)[0]) == parked


def test_it_goes_on_where_it_left_off() -> None:
    """Cut anywhere, the same; what is handed in is not modified but for the state."""
    heard = "0S 10S 30. 40S 41h 50. 70S 75S! 80m 81.! 90s 100s 130s 131."
    fixes = heard.split()
    whole, state = follow(heard), unheard(1)
    in_pieces = [follow(fix, state) for fix in fixes]
    for k in range(3):
        assert [piece[k][0] for piece in in_pieces] == list(whole[k])
    assert whole[2][-1] == 10 + 20 + 10 + 5 + 10 + 30 + 1
    assert whole[1][-1] == 20
    for cut in range(1, len(fixes)):
        state = unheard(1)
        halves = [follow(" ".join(part), state) for part in (fixes[:cut], fixes[cut:])]
        assert tuple(first + second for first, second in zip(*halves, strict=True)) == whole


def test_vehicles_do_not_teach_each_other() -> None:
    """Three at once, one of them never heard."""
    state = unheard(3)
    parked = run(["0S 10S 30S", "", "0m! 5S 7S 8S"], state)
    assert parked.learned.tolist() == [NONE, NONE, 10 * MINUTE, NONE, NONE, NONE, MINUTE]
    assert parked.parked.tolist() == [True] * 7
    assert state["sum"].tolist() == [30 * MINUTE, 0, 3 * MINUTE]
    assert state["last"].tolist() == [30 * MINUTE, NONE, 8 * MINUTE]
    assert state["parked"].tolist() == [1, 0, 1]
