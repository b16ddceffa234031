"""Stops: every one of them, authorized or not, for the trip log. Followed like a detector's condition, but nobody is told.

Shapes: S seen fixes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.detectors.watching import observed, told
from monitor.episodes import ENDS, SHOWS, Watch
from monitor.fixes import VehicleId
from monitor.motion import NONE
from monitor.scene import Scene


@dataclass(frozen=True, slots=True)
class Stop:
    """A vehicle stood here, from the first evidence to the last so far (ms); `authorized` where it might at every fix of it."""

    vehicle: VehicleId
    since: int
    until: int
    lon: float
    lat: float
    place: str | None
    authorized: bool
    decided: int
    """ms: the fix that showed its end; of an open one, its last evidence."""


def watch(scene: Scene) -> Watch:
    """One condition a stop: it is open. It counts at once, and is shown up to its last evidence.

    Its measure is whether the vehicle ever stood where it may not; its bound, whether it might not where the stop opened, which may
    be after its last evidence.
    """
    seen, movement = scene.seen, scene.seen.movement
    chosen = told(movement.stop >= 0, seen.begins, scene)
    fix, stop = seen.fix[chosen], movement.stop[chosen]
    barred, none = ~seen.may[chosen], np.full(len(fix), NONE)
    return observed(
        scene,
        fix,
        np.where(stop >= 0, SHOWS, ENDS),
        shown=np.append(movement.until, NONE)[stop],
        since=np.append(movement.since, NONE)[stop],
        judged=none,
        end=none,
        measure=(barred & movement.stands[chosen]).astype(np.float64),
        bound=barred.astype(np.float64),
        place=scene.standing.place[fix],
        lon=np.append(movement.lon, np.nan)[stop],
        lat=np.append(movement.lat, np.nan)[stop],
        centred=True,
    )
