"""Long dwell: a vehicle stays in one place longer than that place allows.

A *visit* is a run of fixes of one vehicle in one place, with hysteresis (`visits`). Its limit is the place's `max_dwell`, else its
kind's; a place without either is not watched.
Source: CBSA, Partners in Protection, security profile: procedures for regular inspections after long stops.
Shapes: M (fix, place) pairs.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import NOTE, WARNING
from monitor.episodes import ENDS, SHOWS, Watch
from monitor.motion import NONE
from monitor.scene import Scene

KIND = "long_dwell"
UNIT = "s"


def watch(scene: Scene) -> Watch:
    """One condition a visit: inside the place. It ends when the visit does."""
    presence = scene.presence
    limit = scene.world.place_limits()[scene.profile[presence.fix], presence.place]
    chosen = np.flatnonzero(np.isfinite(limit))
    chosen = chosen[np.lexsort((presence.fix[chosen], presence.place[chosen], scene.row[presence.fix[chosen]]))]
    fix, place, ended = presence.fix[chosen], presence.place[chosen], presence.ended[chosen]
    return Watch(
        row=scene.row[fix],
        subject=place,
        time=scene.time[fix],
        shown=scene.time[fix],
        allowance=scene.allowance[fix],
        shows=np.where(ended == NONE, SHOWS, ENDS).astype(np.int8),
        since=presence.since[chosen],
        judged=np.full(len(fix), NONE),
        limit=np.rint(limit[chosen] * 1000.0).astype(np.int64),
        end=ended,
        measure=np.zeros(len(fix)),
        bound=limit[chosen],
        place=place,
        route=np.full(len(fix), -1, np.int32),
        trip=scene.trip[fix],
        severity=np.where(scene.world.permissions.customer[place], NOTE, WARNING).astype(np.int8),
        lon=scene.lon[fix],
        lat=scene.lat[fix],
    )
