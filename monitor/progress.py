"""Progress: how far along the route of its trip a vehicle is, and how far back from the furthest point it has come.

Definitions
    The *progress* of a seen fix is how far along the nearest route (in corridors) the nearest point of that route is, counted the way
    that the trip goes: as the line is drawn, or against it where that fits the trip's origin and destination; unknown beyond
    the corridor, where the route comes back near itself, and on a trip that may go there and back. The *furthest* is the greatest so
    far on this route of this trip, the *lowest* the least since. A vehicle that has fallen back far enough is *going back* until it
    has come forward again from the lowest; then its furthest is where it is.
Shapes: S seen fixes, R vehicles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compiled import advance, kernel
from monitor.fixes import F64, I8, I64, Bool
from monitor.motion import NONE

PROGRESS = np.dtype(
    [
        ("route", "i2"),  # which of the trip's routes; -1 for none
        ("back", "i1"),  # whether it is going back
        ("furthest_at", "i8"),
        ("began", "i8"),  # ms: when it was furthest, and the first fix that showed it going back
        ("furthest", "f8"),
        ("lowest", "f8"),  # m along the route
        ("lon", "f8"),
        ("lat", "f8"),  # where it was furthest
    ]
)
FORWARD, UNKNOWN, BACK = 0, 1, 2
"""What a fix says: not going back, nothing, going back."""
SAME_SPOT_M = 0.1
"""Further by no more is the same spot: beyond the end of a route all positions have its end as their nearest point."""


class Progress(NamedTuple):
    """What S seen fixes say of the way along their routes."""

    says: I8
    back_m: F64
    """Metres back from the furthest point."""
    since: I64
    """ms: when it was furthest."""
    began: I64
    """ms: the first fix that showed it going back."""
    lon: F64
    lat: F64
    """Degrees: where it was furthest."""


def unstarted(vehicles: int) -> npt.NDArray[np.void]:
    """(R,) PROGRESS of vehicles never seen."""
    state = np.zeros(vehicles, PROGRESS)
    state["route"] = -1
    return state


def progress(
    state: npt.NDArray[np.void],
    bounds: I64,
    time: I64,
    lon: F64,
    lat: F64,
    other_trip: Bool,
    route: I64,
    along_m: F64,
    back_m: F64,
    clear_m: F64,
) -> Progress:
    """Follow S seen fixes; `state` (R,) PROGRESS is advanced in place, the other inputs are not modified.

    Vehicle r has the seen fixes `bounds[r]` to `bounds[r + 1]`. `other_trip`: whether the fix is the first on another trip; `route`:
    which of the trip's routes is the nearest (-1: none); `along_m` along that, NaN unknown; `back_m`, `clear_m`: the limits.
    """
    return Progress(*advance(state, _run, bounds, time, lon, lat, other_trip, route, along_m, back_m, clear_m))


@kernel
def _run(
    memory: tuple[npt.NDArray[np.int16], I8, I64, I64, F64, F64, F64, F64],
    bounds: I64,
    time: I64,
    lon: F64,
    lat: F64,
    other_trip: Bool,
    route: I64,
    along_m: F64,
    back_m: F64,
    clear_m: F64,
) -> tuple[I8, F64, I64, I64, F64, F64]:
    its_route, back, furthest_at, began, furthest, lowest, its_lon, its_lat = memory
    n = len(time)
    says, behind = np.zeros(n, np.int8), np.zeros(n)
    since, first, where_lon, where_lat = np.full(n, NONE), np.full(n, NONE), np.zeros(n), np.zeros(n)
    for r in range(len(bounds) - 1):
        for i in range(bounds[r], bounds[r + 1]):
            if other_trip[i]:
                its_route[r], back[r] = -1, 0
            p = along_m[i]
            if route[i] < 0:
                its_route[r], back[r] = -1, 0
                continue
            if p != p:
                says[i] = FORWARD if other_trip[i] else UNKNOWN
                continue
            again = False
            if its_route[r] == route[i]:
                lowest[r] = min(lowest[r], p)
                again = back[r] != 0 and p >= lowest[r] + clear_m[i]
            if its_route[r] != route[i] or again or p > furthest[r] + SAME_SPOT_M:
                its_route[r], back[r], furthest[r], lowest[r] = route[i], 0, p, p
                furthest_at[r], its_lon[r], its_lat[r] = time[i], lon[i], lat[i]
            behind[i] = furthest[r] - p
            if back[r] != 0 or behind[i] >= back_m[i]:
                if back[r] == 0:
                    back[r], began[r] = 1, time[i]
                says[i] = BACK
            since[i], first[i], where_lon[i], where_lat[i] = furthest_at[r], began[r], its_lon[r], its_lat[r]
    return says, behind, since, first, where_lon, where_lat
