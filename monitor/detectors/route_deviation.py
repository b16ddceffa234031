"""Route deviation: a vehicle is beyond every corridor of its trip.

The condition shows beyond the corridor of each route of the trip, outside permitted places and, where the trip names them, away from
its origin and destination. Back within a share of a corridor it ends; between that share and the corridor nothing is said. The
nearest route, in corridors, is the one named.
Limit: the later of the shortest duration and the fix that makes enough of them.
Source: CBSA, Partners in Protection, security profile: the carrier sets routes and checks that drivers keep to them.
Shapes: S seen fixes, K routes of a trip.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import WARNING, heard, told
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.fixes import F64, I64, Bool
from monitor.motion import NONE
from monitor.scene import Scene
from monitor.settings import milliseconds

KIND = "route_deviation"
UNIT = "m"


def watch(scene: Scene) -> Watch:
    """One condition a trip: beyond all its corridors. Measured in metres off the nearest route."""
    seen = scene.seen
    chosen = told(scene.world.routed[scene.trip[seen.fix]], seen.first)
    fix, trip = seen.fix[chosen], scene.trip[seen.fix[chosen]]
    metres, corridor, route = _nearest(scene, chosen, trip)
    share = metres / corridor  # NaN off any trip with routes
    clear = scene.limits(fix, lambda limits: limits.route_deviation.clear_ratio)
    away = share > clear
    away[away] = ~_exempt(scene, fix[away], seen.may[chosen][away])
    shows = np.where(away, np.where(share > 1.0, SHOWS, KEEPS), ENDS).astype(np.int8)
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
        measure=np.nan_to_num(metres),
        bound=np.nan_to_num(corridor),
        place=none,
        route=route,
        trip=trip,
        severity=np.full(len(fix), WARNING, np.int8),
        lon=scene.lon[fix],
        lat=scene.lat[fix],
        least=scene.limits(fix, lambda limits: limits.route_deviation.min_fixes).astype(np.int64),
        follows=False,
    )
    return heard(observed, scene)


def _nearest(scene: Scene, chosen: I64, trip: np.ndarray) -> tuple[F64, F64, np.ndarray]:
    """Metres off the route that is nearest in corridors, its corridor, and its code; NaN and -1 where there is none."""
    metres, line = scene.seen.offsets.metres[chosen], scene.seen.offsets.line[chosen]
    if not metres.shape[1]:
        return np.full(len(chosen), np.nan), np.full(len(chosen), np.nan), np.full(len(chosen), -1, np.int32)
    column = np.arange(metres.shape[1])
    known = line >= 0
    number = np.where(known, scene.world.corridor_start[trip][:, None] + column, 0)
    corridor = np.where(known, scene.world.corridor_m[number], np.nan)
    share = np.where(known, metres / corridor, np.inf)
    best = (np.arange(len(chosen)), share.argmin(axis=1))
    return metres[best], corridor[best], line[best].astype(np.int32)


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
