"""What the detectors share in writing down what they watch. Shapes: S seen fixes."""

from __future__ import annotations

import numpy as np

from monitor.fixes import I64, Bool

SEVERITIES = ("note", "warning", "critical")
NOTE, WARNING, CRITICAL = range(3)


def told(concerns: Bool, first: Bool) -> I64:
    """Choose the fixes that a detector must speak of: those that concern it, the ones right after, and each vehicle's first.

    The first of a batch ends what an earlier batch left open; all others have nothing to say.
    """
    chosen = concerns | first
    chosen[1:] |= concerns[:-1]
    return np.flatnonzero(chosen)
