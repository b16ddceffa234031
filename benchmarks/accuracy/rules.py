"""The rules of other trackers, re-implemented here from a description of their defaults, in our own words; not their programs.

Traccar: a device moves once a position of the last 180 s lies 200 m or more away, and stands once none does and three minutes are
known; the event bears the time of the fix that showed it, and without a message nothing is looked at.
Fleetbase FleetOps: the last position alone; a deviation where the nearest *vertex* of the route is more than 500 m away.
OpenTMS: every ten minutes the last position; a deviation where the route is more than 5 km away, in degrees of 111.32 km, a degree of
longitude taken for as long as one of latitude.
Shapes: N fixes, K vertices of a route.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from benchmarks.accuracy.tracks import Interval, Track
from monitor.fixes import F64, I64
from monitor.geodesy import distances_m

TRACCAR_M, TRACCAR_MS = 200.0, 180_000
FLEETBASE_M = 500.0
OPENTMS_M, OPENTMS_MS, OPENTMS_DEGREE_M = 5000.0, 600_000, 111_320.0


def traccar(track: Track, _radius_m: float, _shortest: timedelta) -> list[Interval]:
    """Stops from the event that says so to the event that says it moves; radius and least duration are its own."""
    out: list[Interval] = []
    moving, first, since = True, 0, 0
    for i, now in enumerate(track.time.tolist()):
        while first + 1 < i and now - track.time[first + 1] >= TRACCAR_MS:
            first += 1
        window = slice(first, i + 1)
        here = np.full(i + 1 - first, track.lon[i]), np.full(i + 1 - first, track.lat[i])
        away = distances_m(track.lon[window], track.lat[window], *here) >= TRACCAR_M
        if away.any():
            if not moving:
                out.append((since, now))
            moving = True
        elif moving and now - track.time[first] >= TRACCAR_MS:
            moving, since = False, now
    return out if moving else [*out, (since, int(track.time[-1]))]


def fleetbase(lon: F64, lat: F64, route: F64) -> F64:
    """(N,) metres to the nearest vertex of a route, (K, 2) degrees."""
    return np.array(
        [
            distances_m(route[:, 0].copy(), route[:, 1].copy(), np.full(len(route), x), np.full(len(route), y)).min()
            for x, y in zip(lon, lat, strict=True)
        ]
    )


def opentms(lon: F64, lat: F64, route: F64) -> F64:
    """(N,) metres to a route, (K, 2) degrees, as if a degree were as long everywhere and in every direction."""
    begin, along = route[:-1], np.diff(route, axis=0)
    point = np.stack([lon, lat], axis=1)[:, None, :]
    share = np.clip(((point - begin) * along).sum(axis=2) / (along**2).sum(axis=1), 0.0, 1.0)
    away = point - begin - share[..., None] * along
    return np.asarray(np.sqrt((away**2).sum(axis=2)).min(axis=1) * OPENTMS_DEGREE_M)


def polled(time: I64) -> I64:
    """The fixes that a look every ten minutes sees: the last before each."""
    looks = np.arange(time[0] + OPENTMS_MS, time[-1] + OPENTMS_MS, OPENTMS_MS)
    return np.unique(np.searchsorted(time, looks, side="right") - 1)


def begins(beyond: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """How often a condition begins."""
    return int(np.count_nonzero(beyond & ~np.concatenate([[False], beyond[:-1]])))
