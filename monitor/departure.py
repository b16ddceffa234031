"""Departure: a vehicle left a yard that was closed.

A visit to a yard with hours ended while the yard was closed; the next fix, if it is in no yard, confirms that the vehicle left: a
single position gone astray is no departure.
Shapes: N used fixes, R vehicles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compiled import advance, kernel
from monitor.fixes import F64, I32, I64, Bool
from monitor.motion import NONE

DEPARTURE = np.dtype(
    [
        ("place", "i8"),  # the yard that it may have left: a place code, -1 for none
        ("left", "i8"),  # ms: when
        ("lon", "f8"),
        ("lat", "f8"),  # the fix that showed it
    ]
)


class Departures(NamedTuple):
    """What N used fixes confirm."""

    place: I32
    """(N,) the yard that was left, as this fix confirms; -1."""
    left: I64
    """(N,) ms: when; NONE."""
    lon: F64
    lat: F64
    """(N,) where the fix was that first showed it."""


def at_home(vehicles: int) -> npt.NDArray[np.void]:
    """(R,) DEPARTURE of vehicles that left nothing."""
    state = np.zeros(vehicles, DEPARTURE)
    state["place"], state["left"] = -1, NONE
    return state


def depart(state: npt.NDArray[np.void], bounds: I64, lon: F64, lat: F64, in_yard: Bool, place: I32, left: I64) -> Departures:
    """Follow N used fixes; `state` (R,) DEPARTURE is advanced in place, the other inputs are not modified.

    Vehicle r has the used fixes `bounds[r]` to `bounds[r + 1]`. `in_yard`: in a visit to any yard; `place`, `left`: the closed yard
    that the fix shows to have been left (-1 for none), and when.
    """
    return Departures(*advance(state, _run, bounds, lon, lat, in_yard, place, left))


@kernel
def _run(
    memory: tuple[I64, I64, F64, F64], bounds: I64, lon: F64, lat: F64, in_yard: Bool, place: I32, left: I64
) -> tuple[I32, I64, F64, F64]:
    its_place, its_left, its_lon, its_lat = memory
    n = len(lon)
    yard, when, where_lon, where_lat = np.full(n, -1, np.int32), np.full(n, NONE), np.zeros(n), np.zeros(n)
    for r in range(len(bounds) - 1):
        for i in range(bounds[r], bounds[r + 1]):
            if its_place[r] >= 0 and not in_yard[i]:
                yard[i], when[i], where_lon[i], where_lat[i] = its_place[r], its_left[r], its_lon[r], its_lat[r]
            its_place[r], its_left[r], its_lon[r], its_lat[r] = place[i], left[i], lon[i], lat[i]
    return yard, when, where_lon, where_lat
