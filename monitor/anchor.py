"""The anchor: where a vehicle was when it last stood or might move, and how far it is from there.

Definitions
    A vehicle is *locked* at a seen fix while a lockdown of its own or of its carrier is in force, or one of a place that it is in,
    or was in when it set out. It is *barred* from moving while it is locked, or for another reason that the caller gives.
    The *anchor* is its newest seen fix at which it was not barred, or stood; its first one before there is any.
Shapes: S seen fixes, R vehicles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compiled import advance, kernel
from monitor.fixes import F64, I64, Bool
from monitor.geodesy import distance_m
from monitor.motion import NONE

ANCHOR = np.dtype(
    [
        ("at", "i8"),  # ms: that fix; NONE before there is one
        ("locked_until", "i8"),  # ms: the end of the lockdown of a place that it was in; NONE
        ("lon", "f8"),
        ("lat", "f8"),
    ]
)


class Outing(NamedTuple):
    """How S seen fixes lie to their anchors."""

    barred: Bool
    locked: Bool
    moved_m: F64
    """Metres from the anchor; 0 at it."""
    same_yard: Bool
    """Whether it is in a visit to a yard that was under way at the anchor."""


def nowhere(vehicles: int) -> npt.NDArray[np.void]:
    """(R,) ANCHOR of vehicles never seen."""
    state = np.zeros(vehicles, ANCHOR)
    state["at"] = state["locked_until"] = NONE
    return state


def set_out(
    state: npt.NDArray[np.void],
    bounds: I64,
    time: I64,
    lon: F64,
    lat: F64,
    stands: Bool,
    yard: I64,
    barred: Bool,
    locked: Bool,
    place_locked_until: I64,
) -> Outing:
    """Follow S seen fixes; `state` (R,) ANCHOR is advanced in place, the other inputs are not modified.

    Vehicle r has the seen fixes `bounds[r]` to `bounds[r + 1]`. `yard` ms: since when it is in a yard, the earliest of several visits,
    NONE in none; `barred`: for another reason than a lockdown; `locked`: by one of its own or its carrier's; `place_locked_until` ms:
    the end of those in force of the places that it is in or just left, NONE for none.
    """
    return Outing(*advance(state, _run, bounds, time, lon, lat, stands, yard, barred, locked, place_locked_until))


@kernel
def _run(
    memory: tuple[I64, I64, F64, F64],
    bounds: I64,
    time: I64,
    lon: F64,
    lat: F64,
    stands: Bool,
    yard: I64,
    barred: Bool,
    locked: Bool,
    place_locked_until: I64,
) -> tuple[Bool, Bool, F64, Bool]:
    at, locked_until, its_lon, its_lat = memory
    n = len(time)
    is_barred, is_locked = np.empty(n, np.bool_), np.empty(n, np.bool_)
    moved, same_yard = np.zeros(n), np.zeros(n, np.bool_)
    for r in range(len(bounds) - 1):
        for i in range(bounds[r], bounds[r + 1]):
            if stands[i]:
                locked_until[r] = place_locked_until[i]
            else:
                locked_until[r] = max(locked_until[r], place_locked_until[i])
            is_locked[i] = locked[i] or time[i] < locked_until[r]
            is_barred[i] = barred[i] or is_locked[i]
            if at[r] == NONE or stands[i] or not is_barred[i]:
                at[r], its_lon[r], its_lat[r] = time[i], lon[i], lat[i]
            else:
                moved[i] = distance_m(its_lon[r], its_lat[r], lon[i], lat[i])
                same_yard[i] = yard[i] != NONE and yard[i] <= at[r]
    return is_barred, is_locked, moved, same_yard
