"""Impossible movement: positions lie further apart than any vehicle drives.

A *jump* is a position that no speed explains; it takes no part. The second within five positioned fixes becomes the reference
(`order`) and is told here: a tracker that was moved, spoofed, or is broken. It ends after some fixes in a row without a jump.
Limit: the second jump.
Source: CBSA, Partners in Protection, security profile: conveyances are tracked; a track that cannot be true tracks nothing.
Shapes: N used fixes.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import NOTE, NOTHING, observed, told
from monitor.episodes import ENDS, KEEPS, SHOWS, Watch
from monitor.scene import EVERY, Scene

KIND = "impossible_movement"
UNIT = "m"


def watch(scene: Scene) -> Watch:
    """One condition a vehicle: jumped. Measured in metres from the last good fix, held against those that were possible."""
    used = scene.used
    enough = scene.limits(EVERY, "impossible_movement.good_fixes")
    fix = told(used.good < enough, scene.begins, scene)
    if not len(fix):
        return NOTHING
    jumped = ~np.isnan(used.jumped_m[fix])
    return observed(
        scene,
        fix,
        np.where(jumped, SHOWS, np.where(used.good[fix] < enough[fix], KEEPS, ENDS)),
        measure=np.where(jumped, used.jumped_m[fix], 0.0),
        bound=np.where(jumped, used.reach_m[fix], 0.0),
        severity=np.full(len(fix), NOTE, np.int8),
    )
