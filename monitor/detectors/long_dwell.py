"""Long dwell: a vehicle stays in one place longer than that place allows.

A *visit* is a run of fixes of one vehicle in one place, with hysteresis (`visits`). Its limit is the place's `max_dwell`, else its
kind's; a place without either is not watched. What limits a visit may change while it lasts, with the trip: a limit counts from the
first fix that shows the visit under it.
Source: CBSA, Partners in Protection, security profile: procedures for regular inspections after long stops.
Shapes: M (fix, place) pairs.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import NOTE, WARNING, observed
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.motion import NONE
from monitor.scene import Scene

KIND = "long_dwell"
UNIT = "s"


def watch(scene: Scene) -> Watch:
    """One condition a visit: inside the place. It ends when the visit does, or when no limit holds any more.

    A fix that may be the first outside says nothing: the next one shows whether the visit ended there.
    """
    presence, limits = scene.presence, scene.world.place_limits()
    limited = np.any(np.isfinite(limits), axis=0)[presence.place]
    chosen = np.flatnonzero(limited | scene.open[scene.row[presence.fix]])  # what is open must be told of its end
    chosen = chosen[np.lexsort((presence.fix[chosen], presence.place[chosen], scene.row[presence.fix[chosen]]))]
    fix, place, ended = presence.fix[chosen], presence.place[chosen], presence.ended[chosen]
    limit = limits[scene.profile[fix], place]
    limited = limited[chosen] & np.isfinite(limit)
    here = np.where(presence.leaving[chosen], KEEPS, np.where(limited, SHOWS, ENDS))
    return observed(
        scene,
        fix,
        np.where(ended == NONE, here, ENDS),
        subject=place,
        since=presence.since[chosen],
        judged=scene.time[fix],
        limit=np.rint(np.where(limited, limit, 0.0) * 1000.0).astype(np.int64),
        end=np.where(ended == NONE, scene.time[fix], ended),
        bound=limit,
        place=place,
        severity=np.where(scene.world.permissions.customer[place], NOTE, WARNING).astype(np.int8),
    )
