"""After-hours movement: a vehicle moves when it should not.

It should not under a lockdown (of its own, its carrier's, or of the place where it is), outside the hours that its limits say, or on
no trip where its carrier feeds trips; where none of these is configured nothing is watched. The *anchor* is where it last stood or
might move (`anchor`). The condition shows at each fix under way so far from the anchor, but for moves inside one yard; it ends when
the vehicle stands, or may move again.
Limit: metres from the anchor, at some fixes.
Source: CBSA, Partners in Protection, security profile: conveyances are secured outside working hours.
Shapes: S seen fixes.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import CRITICAL, NOTHING, WARNING, observed, told
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.scene import Scene

KIND = "after_hours_movement"
UNIT = "m"


def watch(scene: Scene) -> Watch:
    """One condition a vehicle: moved. Measured in metres from its anchor."""
    seen, outing = scene.seen, scene.seen.outing
    if outing is None:
        return NOTHING
    out = outing.barred & ~seen.movement.stands
    chosen = told(out, seen.begins, scene)
    if not len(chosen):
        return NOTHING
    fix = seen.fix[chosen]
    limit = scene.limits(fix, "after_hours_movement.moved_m")
    moved = (outing.moved_m[chosen] >= limit) & ~outing.same_yard[chosen]
    return observed(
        scene,
        fix,
        np.where(out[chosen], np.where(moved, SHOWS, KEEPS), ENDS),
        measure=outing.moved_m[chosen],
        bound=limit,
        severity=np.where(outing.locked[chosen], CRITICAL, WARNING).astype(np.int8),
        least=scene.limits(fix, "after_hours_movement.min_fixes"),
    )
