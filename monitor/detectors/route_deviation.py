"""Route deviation: a vehicle is beyond every corridor of its trip.

The condition shows beyond the corridor of each route of the trip, outside permitted places and, where the trip names them, away from
its origin and destination. Back within a share of a corridor it ends; between that share and the corridor nothing is said. The
nearest route, in corridors, is the one named.
Limit: the later of the shortest duration and the fix that makes enough of them.
Source: CBSA, Partners in Protection, security profile: the carrier sets routes and checks that drivers keep to them.
Shapes: S seen fixes, K routes of a trip.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monitor.compiled import kernel
from monitor.detectors.watching import WARNING, heard, told
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.fixes import F64, I32, I64, Bool
from monitor.motion import NONE
from monitor.scene import Scene
from monitor.settings import milliseconds

KIND = "route_deviation"
UNIT = "m"


def watch(scene: Scene) -> Watch:
    """One condition a trip: beyond all its corridors. Measured in metres off the nearest route."""
    seen = scene.seen
    clear = scene.world.limits_of_profiles(lambda limits: limits.route_deviation.clear_ratio)
    nearest = Nearest(*_nearest(*seen.offsets, scene.trip[seen.fix], scene.world.corridor_start, scene.world.corridor_m))
    away = nearest.share > clear[scene.profile[seen.fix]]
    out = np.flatnonzero(away)
    away[out] = ~_exempt(scene, seen.fix[out], seen.may[out])
    chosen = told(away, seen.first)
    fix, away = seen.fix[chosen], away[chosen]
    shows = np.where(away, np.where(nearest.share[chosen] > 1.0, SHOWS, KEEPS), ENDS).astype(np.int8)
    time, none = scene.time[fix], np.full(len(fix), -1, np.int32)
    observed = Watch(
        row=scene.row[fix],
        subject=none,
        time=time,
        shown=time,
        allowance=scene.allowance[fix],
        shows=shows,
        since=seen.trip_since[chosen],
        judged=np.full(len(fix), NONE),
        limit=scene.limits(fix, lambda limits: milliseconds(limits.route_deviation.min_duration)).astype(np.int64),
        end=time,
        measure=nearest.metres[chosen],
        bound=nearest.corridor[chosen],
        place=none,
        route=nearest.route[chosen],
        trip=scene.trip[fix],
        severity=np.full(len(fix), WARNING, np.int8),
        lon=scene.lon[fix],
        lat=scene.lat[fix],
        least=scene.limits(fix, lambda limits: limits.route_deviation.min_fixes).astype(np.int64),
        follows=False,
    )
    return heard(observed, scene)


class Nearest(NamedTuple):
    """Of each fix the route that is nearest in corridors; 0 and -1 off any trip."""

    share: F64
    """Metres off it, in corridors."""
    metres: F64
    corridor: F64
    """Its half-width, m."""
    route: I32


@kernel
def _nearest(metres: F64, line: I32, trip: I32, start: I64, corridor_m: F64) -> tuple[F64, F64, F64, I32]:
    """The columns of `Nearest`; `start[trip]` is the number of a trip's first corridor. Of routes equally near, the first."""
    share, best, corridor = np.zeros(len(trip)), np.zeros(len(trip)), np.zeros(len(trip))
    route = np.full(len(trip), -1, np.int32)
    for i in range(len(trip)):
        for k in range(metres.shape[1]):
            if line[i, k] < 0:
                break
            width = corridor_m[start[trip[i]] + k]
            if k == 0 or metres[i, k] / width < share[i]:
                share[i], best[i], corridor[i], route[i] = metres[i, k] / width, metres[i, k], width, line[i, k]
    return share, best, corridor, route


def _exempt(scene: Scene, fix: I64, may: Bool) -> Bool:
    """Whether a fix off the corridor is in a permitted place, or near its trip's origin or destination."""
    out = may.copy()
    trip, reach = scene.trip[fix], scene.limits(fix, lambda limits: limits.route_deviation.terminal_m)
    for ends in (scene.world.origin, scene.world.destination):
        for place in np.unique(ends[trip]):
            there = (ends[trip] == place) & ~out
            if place >= 0 and there.any():
                at = fix[there]
                out[there] = scene.world.atlas.distance_m(int(place), scene.lon[at], scene.lat[at]) <= reach[there]
    return out
