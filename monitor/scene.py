"""The scene: all that is known of a batch of fixes, as columns, for the detectors to watch.

*Used* fixes are those with a position, one a time, without jumps. *Seen* fixes are the used ones precise enough to tell a stop or a
corridor.
Shapes: N used fixes sorted by (row, time), S seen ones among them, R rows (vehicles), M (fix, place) pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.atlas import Offsets
from monitor.fixes import F64, I32, I64, Bool
from monitor.motion import Movement
from monitor.settings import Detectors
from monitor.visits import Presence, Standing
from monitor.world import World

ALLOWED = -1
"""The limit, in ms, of a fix at which the vehicle may stand."""


@dataclass(frozen=True)
class Seen:
    """What is known of the S seen fixes."""

    fix: I64
    """(S,) which of the used fixes."""
    first: Bool
    """(S,) whether it is its vehicle's first in this batch."""
    may: Bool
    """(S,) whether the vehicle may stand there."""
    limit: I64
    """(S,) ms that it may stand there outside a permitted place; ALLOWED where it may stand."""
    limit_since: I64
    """(S,) ms: the first fix of the run with this limit."""
    may_not_since: I64
    """(S,) ms: the first fix of the run at which it may not stand; meaningless where it may."""
    red_zone: Bool
    """(S,) whether it is a high-value load in the red zone of its origin."""
    no_stop: I32
    """(S,) the no-stop place that set the limit, or -1."""
    trip_since: I64
    """(S,) ms: where this fix is the first under another trip than the fix before, its time; else NONE."""
    movement: Movement
    offsets: Offsets
    """(S, K) metres off each route of the trip, and which."""


@dataclass(frozen=True)
class Placed:
    """N used fixes: where they are, and under which trip, limits and places."""

    world: World
    row: I32
    time: I64
    lon: F64
    lat: F64
    allowance: I64
    """(N,) ms of silence after each fix that presume nothing."""
    trip: I32
    profile: I32
    """(N,) the limits that hold for each fix."""
    presence: Presence
    standing: Standing

    def limits(self, fix: I64, read: Callable[[Detectors], float]) -> F64:
        """One number of the limits of some of the used fixes."""
        return self.world.limits(self.profile[fix], read)


@dataclass(frozen=True)
class Scene(Placed):
    """A batch of fixes and what the layers below the detectors say of it."""

    seen: Seen


def run_starts(value: I64, first: Bool, begins: I64, carried_value: I64, carried_since: I64) -> I64:
    """(S,) when the run of equal values that each fix belongs to began.

    `begins` is when a run that starts at a fix is said to have begun;
    `carried_value` and `carried_since` (one for each `first`) are those of the fix before the batch.
    """
    changed = np.ones(len(value), bool)
    changed[1:] = value[1:] != value[:-1]
    since = begins.copy()
    starts = np.flatnonzero(first)
    same = value[starts] == carried_value
    since[starts[same]] = carried_since[same]
    at = np.where(changed | first, np.arange(len(value)), 0)
    return since[np.maximum.accumulate(at)]
