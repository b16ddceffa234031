"""Route deviation: a vehicle is beyond every corridor of its trip.

The condition shows beyond the corridor of each route of the trip, outside permitted places and, where the trip names them, away from
its origin and destination. Back within a share of a corridor it ends; between that share and the corridor nothing is said. The
nearest route, in corridors, is the one named.
Limit: the later of the shortest duration and the fix that makes enough of them.
Source: CBSA, Partners in Protection, security profile: the carrier sets routes and checks that drivers keep to them.
Shapes: S seen fixes.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import heard, observed, told
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.fixes import I64, Bool
from monitor.scene import Scene

KIND = "route_deviation"
UNIT = "m"


def watch(scene: Scene) -> Watch:
    """One condition a trip: beyond all its corridors. Measured in metres off the nearest route."""
    seen, nearest = scene.seen, scene.seen.nearest
    clear = scene.world.limits_of_profiles("route_deviation.clear_ratio")
    away = nearest.share > clear[scene.profile[seen.fix]]
    out = np.flatnonzero(away)
    away[out] = ~_exempt(scene, seen.fix[out], seen.may[out])
    chosen = told(away, seen.begins, scene)
    fix, away = seen.fix[chosen], away[chosen]
    watched = observed(
        scene,
        fix,
        np.where(away, np.where(nearest.share[chosen] > 1.0, SHOWS, KEEPS), ENDS),
        since=seen.trip_since[chosen],
        limit=scene.limits(fix, "route_deviation.min_duration"),
        measure=nearest.metres[chosen],
        bound=nearest.corridor[chosen],
        route=nearest.route[chosen],
        least=scene.limits(fix, "route_deviation.min_fixes"),
        follows=False,
    )
    return heard(watched, scene)


def _exempt(scene: Scene, fix: I64, may: Bool) -> Bool:
    """Whether a fix off the corridor is in a permitted place, or near its trip's origin or destination."""
    out = may.copy()
    trip, reach = scene.trip[fix], scene.limits(fix, "route_deviation.terminal_m")
    for ends in (scene.world.origin, scene.world.destination):
        for place in np.unique(ends[trip]):
            there = (ends[trip] == place) & ~out
            if place >= 0 and there.any():
                at = fix[there]
                out[there] = scene.world.atlas.distance_m(int(place), scene.lon[at], scene.lat[at]) <= reach[there]
    return out
