"""Unauthorized stop: a vehicle stands where it may not.

A *stop* is what the automaton of `motion` finds. The condition shows at each fix that is evidence of an open stop while the vehicle
is in no place where it may stand; it began with the stop, or when the permission ended if that was later. A fix of the stop that
shows nothing lapses it: the vehicle may be on its way, or a single position may have gone astray.
Limit: by load class; less in a `no_stop` place; less for a high-value load within the red zone of its origin. The least counts.
Source: CBSA, Partners in Protection, security profile: procedures to check for unauthorized stops; thieves need some thirty
minutes to empty a trailer.
Shapes: S seen fixes.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import CRITICAL, WARNING, heard, observed, told
from monitor.episodes import ENDS, LAPSES, SHOWS, Watch
from monitor.fixes import F64, I32
from monitor.motion import NONE
from monitor.scene import Scene

KIND = "unauthorized_stop"
UNIT = "s"


def watch(scene: Scene) -> Watch:
    """One condition a stop: standing where it may not. Its limit and the place that set it follow the fixes until it is raised.

    An imprecise fix shows nothing, but breaks the silence.
    """
    seen, movement = scene.seen, scene.seen.movement
    chosen = told(movement.stop >= 0, seen.begins, scene)
    fix, stop = seen.fix[chosen], movement.stop[chosen]
    open_stop, may = stop >= 0, seen.may[chosen]
    shows = np.where(open_stop, np.where(movement.stands[chosen] & ~may, SHOWS, LAPSES), ENDS)
    since, may_not_since = np.append(movement.since, NONE)[stop], seen.may_not_since[chosen]
    limit = seen.limit[chosen]
    watched = observed(
        scene,
        fix,
        shows,
        since=np.where(shows == SHOWS, np.maximum(since, may_not_since), since),
        judged=seen.limit_since[chosen],
        limit=limit,
        end=np.full(len(fix), NONE),
        bound=limit / 1000.0,
        place=seen.no_stop[chosen],
        severity=np.where(seen.red_zone[chosen], CRITICAL, WARNING).astype(np.int8),
        lon=_centroid(movement.lon, stop),
        lat=_centroid(movement.lat, stop),
        centred=True,
    )
    return heard(watched, scene)


def _centroid(degrees: F64, stop: I32) -> F64:
    """A coordinate of each of some stops, NaN for -1."""
    return np.append(degrees, np.nan)[stop]
