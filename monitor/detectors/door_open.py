"""Door open: the cargo door is open where it may not be, or under way.

A report says whether the door is open; one that does not says nothing. The door may be open where the vehicle may stand, as its last
position has it, while it does not drive: shunting to a dock with the doors open is no breach, driving off is.
Limit: at once, unless set.
Source: CBSA, Partners in Protection, security profile: no cargo loading or unloading at unauthorized stops; seals and doors checked.
Shapes: Q reports.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import CRITICAL, NOTHING, WARNING, reported, told
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.motion import NONE
from monitor.scene import Scene

KIND = "door_open"
UNIT = "s"


def watch(scene: Scene) -> Watch:
    """One condition a vehicle: open where it may not be."""
    reports, world = scene.reports, scene.world
    door = reports.door
    concerns = door == 1
    concerns[1:] |= (door[1:] == 0) & (door[:-1] != 0)
    chosen = told(concerns, reports.begins, scene)
    if not len(chosen):
        return NOTHING
    door, row, used = door[chosen], reports.row[chosen], reports.used[chosen]
    may, known = scene.before.may[row], (used >= 0) | (scene.before.time[row] != NONE)
    may[used >= 0] = scene.standing.may[used[used >= 0]]
    drives = reports.door_speed[chosen] >= world.settings.motion.high_mps  # not where it is unknown
    shows = (door == 1) & known & (~may | drives)
    trip = world.trips.assign(scene.vehicles, row, reports.time[chosen])
    limits = world.profiles_of(scene.vehicles, row, reports.time[chosen], trip)
    limit = world.limits(limits, "door_open.limit")
    return reported(
        scene,
        chosen,
        np.where(shows, SHOWS, np.where(door < 0, KEEPS, ENDS)),
        limit=limit,
        bound=limit / 1000.0,
        severity=np.where(world.high_value[trip], CRITICAL, WARNING).astype(np.int8),
    )
