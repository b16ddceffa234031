"""What the detectors share in writing down what they watch. Shapes: S seen fixes."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.episodes import KEEPS, Watch
from monitor.fixes import I64, Bool
from monitor.motion import NONE
from monitor.scene import Scene

SEVERITIES = ("note", "warning", "critical")
NOTE, WARNING, CRITICAL = range(3)


def told(concerns: Bool, first: Bool) -> I64:
    """Choose the fixes that a detector must speak of: those that concern it, the ones right after, and each vehicle's first.

    The first of a batch ends what an earlier batch left open; all others have nothing to say.
    """
    chosen = concerns | first
    chosen[1:] |= concerns[:-1]
    return np.flatnonzero(chosen)


def heard(watch: Watch, scene: Scene) -> Watch:
    """The watch of a detector of seen fixes, told of the imprecise ones too: they show nothing, but the vehicle is not silent."""
    rest = np.setdiff1d(np.arange(len(scene.time)), scene.seen.fix, assume_unique=True)
    if not len(rest):
        return watch
    none, zero = np.full(len(rest), NONE), np.zeros(len(rest))
    nothing = np.full(len(rest), -1, np.int32)
    keeps = Watch(
        row=scene.row[rest],
        subject=nothing,
        time=scene.time[rest],
        shown=scene.time[rest],
        allowance=scene.allowance[rest],
        shows=np.full(len(rest), KEEPS, np.int8),
        since=none,
        judged=none,
        limit=np.zeros(len(rest), np.int64),
        end=none,
        measure=zero,
        bound=zero,
        place=nothing,
        route=nothing,
        trip=nothing,
        severity=np.zeros(len(rest), np.int8),
        lon=np.full(len(rest), np.nan),
        lat=np.full(len(rest), np.nan),
        least=np.ones(len(rest), np.int64),
    )
    order = np.lexsort((np.concatenate([watch.time, keeps.time]), np.concatenate([watch.row, keeps.row])))
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(watch, name), getattr(keeps, name)])[order] for name in Watch._fields[:-2]
    }
    return watch._replace(**columns)
