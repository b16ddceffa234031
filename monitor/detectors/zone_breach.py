"""Zone breach: a vehicle is inside a restricted place, or leaves a yard outside its hours.

A *visit* is a run of fixes of one vehicle in one place, with hysteresis (`visits`). A visit to a restricted place shows the condition
for as long as it lasts. A yard is left at the end of the visit, as the next fix confirms: where it is closed then, that instant is
the whole of it.
Limit: of a restricted place, how long the visit may last.
Source: CBSA, Partners in Protection, security profile: access to restricted areas, and to conveyances outside working hours.
Shapes: M (fix, place) pairs.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import NOTHING, joined, observed
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.motion import NONE
from monitor.scene import Scene

KIND = "zone_breach"
UNIT = "s"


def watch(scene: Scene) -> Watch:
    """One condition a visit to a restricted place; and one, shown and ended at once, for each yard that was left while closed."""
    inside, left = _inside(scene), _left(scene)
    return joined([inside, *left]) if left or len(inside.row) else NOTHING


def _inside(scene: Scene) -> Watch:
    """Visits to restricted places; a fix that may be the first outside says nothing."""
    presence = scene.presence
    chosen = np.flatnonzero(scene.world.permissions.restricted[presence.place])
    if not len(chosen):
        return NOTHING
    fix, place, ended = presence.fix[chosen], presence.place[chosen], presence.ended[chosen]
    limit = scene.limits(fix, "zone_breach.limit")
    return observed(
        scene,
        fix,
        np.where(ended == NONE, np.where(presence.leaving[chosen], KEEPS, SHOWS), ENDS),
        subject=place,
        since=presence.since[chosen],
        limit=limit,
        end=np.where(ended == NONE, scene.time[fix], ended),
        bound=limit / 1000.0,
        place=place,
    )


def _left(scene: Scene) -> tuple[Watch, ...]:
    """The instants at which a closed yard was left: what shows them, and what ends them."""
    departures = scene.departures
    fix = np.flatnonzero(departures.place >= 0)
    if not len(fix):
        return ()
    place, left = departures.place[fix], departures.left[fix]
    where = {"lon": departures.lon[fix], "lat": departures.lat[fix]}
    shown = observed(scene, fix, np.full(len(fix), SHOWS), subject=place, since=left, end=left, place=place, **where)
    return shown, shown._replace(shows=np.full(len(fix), ENDS, np.int8), since=np.full(len(fix), NONE))
