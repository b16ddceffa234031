"""Stops: every one of them, authorized or not, for the trip log. Followed like a detector's condition, but nobody is told.

Shapes: S seen fixes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monitor.detectors import unauthorized_stop
from monitor.detectors.watching import told
from monitor.episodes import ENDS, LAPSES, SHOWS, Watch
from monitor.fixes import VehicleId
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
    """One condition a stop: the vehicle stands. It counts at once; its measure is whether it ever stood where it may not."""
    seen, movement = scene.seen, scene.seen.movement
    chosen = told(movement.stop >= 0, seen.first)
    stop = movement.stop[chosen]
    shows = np.where(stop >= 0, np.where(movement.stands[chosen], SHOWS, LAPSES), ENDS).astype(np.int8)
    authorized = unauthorized_stop.watch(scene)
    return replace(
        authorized,
        shows=shows,
        since=unauthorized_stop.begun(movement, stop),
        judged=authorized.end,
        limit=np.zeros(len(stop), np.int64),
        measure=(~seen.may[chosen]).astype(np.float64),
        place=scene.standing.place[seen.fix[chosen]],
    )
