"""The scene: all that is known of a batch of fixes, as columns, for the detectors to watch.

*Reports* are all fixes, those of one time as one. *Used* fixes are those with a position, one a time, without jumps. *Seen* fixes
are the used ones precise enough to tell a stop or a corridor.
Shapes: Q reports sorted by (row, time), N used fixes likewise, S seen ones among them, R rows (vehicles), M (fix, place) pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.anchor import Outing
from monitor.departure import Departures
from monitor.fixes import F64, I32, I64, Bool, VehicleId
from monitor.motion import Movement
from monitor.order import Used
from monitor.progress import Progress
from monitor.silence import Parked
from monitor.visits import Presence, Standing
from monitor.world import World

EVERY = slice(None)
ALLOWED = -1
"""The limit, in ms, of a fix at which the vehicle may stand."""


class Begins(NamedTuple):
    """Where the fixes of each vehicle begin that has any in a batch."""

    row: I64
    at: I64


@dataclass(frozen=True)
class Seen:
    """What is known of the S seen fixes."""

    fix: I64
    """(S,) which of the used fixes."""
    begins: Begins
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
    nearest: Nearest
    progress: Progress
    outing: Outing | None
    """How it lies to where it last stood or might move; None where nothing forbids a movement."""


class Nearest(NamedTuple):
    """Of each seen fix the route of its trip that is nearest in corridors; 0 and -1 off any trip."""

    share: F64
    """Metres off it, in corridors."""
    metres: F64
    corridor: F64
    """Its half-width, m."""
    route: I32
    number: I64
    """Which of the trip's routes it is."""
    along_m: F64
    """Metres along it, growing the way that the trip goes; NaN where that is not known."""


@dataclass(frozen=True)
class Reports:
    """Q reports, positioned or not: what devices say beside where they are."""

    row: I32
    time: I64
    begins: Begins
    alarms: npt.NDArray[np.uint32]
    """(Q,) of `Alarm`, of all fixes of that time."""
    door: npt.NDArray[np.int8]
    """(Q,) 1 open, 0 closed, -1 unknown."""
    door_speed: npt.NDArray[np.float32]
    """(Q,) m/s, the greatest reported with an open door; NaN unknown."""
    allowance: I64
    """(Q,) ms of silence after it that presume nothing."""
    used: I64
    """(Q,) the newest used fix at or before it; -1: that lies before the batch, if there is one."""


@dataclass(frozen=True)
class Before:
    """What is remembered of R vehicles from before the batch: of the last used fix."""

    time: I64
    """(R,) ms; NONE: there is none."""
    lon: F64
    lat: F64
    parked: Bool
    may: Bool


@dataclass(frozen=True)
class Placed:
    """N used fixes: where they are, and under which trip, limits and places."""

    world: World
    row: I32
    time: I64
    lon: F64
    lat: F64
    used: Used
    begins: Begins
    trip: I32
    profile: I32
    """(N,) the limits that hold for each fix."""
    presence: Presence
    standing: Standing

    @property
    def allowance(self) -> I64:
        """(N,) ms of silence after each fix that presume nothing."""
        return self.used.allowance

    def limits(self, fix: I64 | slice, name: str) -> npt.NDArray[Any]:
        """One of the limits of some of the used fixes, "detector.parameter"; `EVERY` for all of them. Durations are ms."""
        return self.world.limits(self.profile[fix], name)


@dataclass(frozen=True)
class Scene(Placed):
    """A batch of fixes and what the layers below the detectors say of it."""

    vehicles: Sequence[VehicleId]
    seen: Seen
    parked: Parked
    departures: Departures
    reports: Reports
    before: Before
    open: Bool
    """(R,) whether something of the kind that is asked for is open, so that even a fix that shows nothing must be told."""


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
