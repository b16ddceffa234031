"""Wrong way: a vehicle goes back along the route of its trip.

How far along the nearest route it is, is known within the corridor, where the route does not come back near itself, and on a trip
that does not go there and back (`progress`).
The condition holds from the furthest point on; it is shown once the vehicle has fallen back far enough, and ends when it has come
forward again from the point furthest back.
Limit: metres back from the furthest point.
Source: CBSA, Partners in Protection, security profile: the carrier sets routes and checks that drivers keep to them; a stolen load
often goes back the way it came, inside its own corridor.
Shapes: S seen fixes.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import NOTHING, observed, told
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.motion import NONE
from monitor.progress import BACK, FORWARD, UNKNOWN
from monitor.scene import Scene

KIND = "wrong_way"
UNIT = "m"


def watch(scene: Scene) -> Watch:
    """One condition a trip and route: going back. Measured in metres back from the furthest point."""
    seen, way = scene.seen, scene.seen.progress
    chosen = told(way.says != FORWARD, seen.begins, scene)
    if not len(chosen):
        return NOTHING
    fix, says = seen.fix[chosen], way.says[chosen]
    back = says == BACK
    return observed(
        scene,
        fix,
        np.where(back, SHOWS, np.where(says == UNKNOWN, KEEPS, ENDS)),
        since=np.where(back, way.since[chosen], NONE),
        judged=np.where(back, way.began[chosen], NONE),
        measure=way.back_m[chosen],
        bound=scene.limits(fix, "wrong_way.back_m"),
        route=seen.nearest.route[chosen],
        lon=np.where(back, way.lon[chosen], np.nan),
        lat=np.where(back, way.lat[chosen], np.nan),
    )
