"""Stops: every one of them, authorized or not, for the trip log. Followed like a detector's condition, but nobody is told.

Shapes: S seen fixes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.detectors import unauthorized_stop
from monitor.detectors.watching import told
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
    chosen = told(movement.stop >= 0, seen.first)
    stop = movement.stop[chosen]
    barred = ~seen.may[chosen]
    authorized = unauthorized_stop.observe(scene)
    return authorized._replace(
        shows=np.where(stop >= 0, SHOWS, ENDS).astype(np.int8),
        shown=np.append(movement.until, NONE)[stop],
        since=unauthorized_stop.begun(movement, stop),
        judged=authorized.end,
        limit=np.zeros(len(stop), np.int64),
        measure=(barred & movement.stands[chosen]).astype(np.float64),
        bound=barred.astype(np.float64),
        place=scene.standing.place[seen.fix[chosen]],
    )
