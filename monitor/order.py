"""Order: which fixes of a vehicle are used, its own report interval, and what counts as a gap.

Definitions
    Of several positions at one time the one of the lowest digest is used. A *jump* implies more than a given speed from the last used
    fix; it takes no part, but the second jump within five positioned fixes does and becomes the reference.
    A vehicle's *own interval* is the lower median of its last five intervals between used fixes, a default before there are three.
    The second jump is an *impossible movement*; how many used fixes there were since the last jump is counted.
    A *gap* is a silence longer than ten minutes and than three own intervals; for the automaton of stops, which does not see imprecise
    fixes, it came before the next fix that it does see.
Shapes: N fixes, R vehicles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compiled import advance, kernel
from monitor.fixes import F64, I64, Bool
from monitor.geodesy import distance_m
from monitor.motion import NONE
from monitor.settings import Order, milliseconds

INTERVALS = 5
ENOUGH = 3
WINDOW = 5
DEGREE_M = 112_000.0
"""No degree is longer."""
MANY = 1_000_000
"""Good fixes are not counted beyond this."""

ORDER = np.dtype(
    [
        ("frontier", "i8"),  # the newest time processed, a fix's or a fired deadline's
        ("last", "i8"),  # the last used fix
        ("gapped", "i8"),  # whether a gap came since the last used fix that the automaton saw
        ("intervals", "i8", INTERVALS),
        ("known", "i8"),  # how many intervals there ever were
        ("since_jump", "i8"),  # positioned fixes since the last jump that was dropped; 0: none in the window
        ("good", "i8"),  # used fixes since the last jump
        ("lon", "f8"),
        ("lat", "f8"),  # the last used fix
    ]
)


class Used(NamedTuple):
    """The used fixes among N, and what their order says."""

    fix: I64
    allowance: I64
    """ms of silence after it that presume nothing."""
    threefold: I64
    """ms: three own intervals, as known after it."""
    gap: Bool
    """Whether a gap came before it, for the automaton of stops; only where it is precise."""
    jumped_m: F64
    """Metres from the last good fix where it is the second jump that became the reference; else NaN."""
    reach_m: F64
    """Metres that were possible."""
    good: I64
    """Used fixes since the last jump: 0 for the reference itself."""
    patience: I64
    """(N,) of every fix, used or not: ms of silence after it that presume nothing."""


def unseen(vehicles: int) -> npt.NDArray[np.void]:
    """(R,) ORDER of vehicles never seen."""
    state = np.zeros(vehicles, ORDER)
    state["frontier"] = state["last"] = NONE
    state["good"] = MANY
    return state


def order(
    state: npt.NDArray[np.void], bounds: I64, time: I64, lon: F64, lat: F64, positioned: Bool, precise: Bool, settings: Order
) -> Used:
    """Choose the used fixes of R vehicles; `state` (R,) ORDER is advanced in place, the other inputs are not modified.

    Vehicle r has the fixes `bounds[r]` to `bounds[r + 1]`, sorted by (time, digest); `time` ms, `lon`, `lat` degrees.
    """
    rules = (
        settings.jump_mps,
        milliseconds(settings.first_interval),
        milliseconds(settings.gap),
        milliseconds(settings.allowance),
    )
    return Used(*advance(state, _run, bounds, time, lon, lat, positioned, precise, rules))


@kernel
def _run(
    memory: tuple[I64, I64, I64, I64, I64, I64, I64, F64, F64],
    bounds: I64,
    time: I64,
    lon: F64,
    lat: F64,
    positioned: Bool,
    precise: Bool,
    rules: tuple[float, int, int, int],
) -> tuple[I64, I64, I64, Bool, F64, F64, I64, I64]:
    frontier, last, gapped, intervals, known, since_jump, good, last_lon, last_lat = memory
    jump_mps, first_interval, gap_floor, allowance_floor = rules
    used, threefold, gap, n = np.empty(len(time), np.int64), np.empty(len(time), np.int64), np.zeros(len(time), np.bool_), 0
    jumped, reached = np.full(len(time), np.nan), np.full(len(time), np.nan)
    steady, patience = np.empty(len(time), np.int64), np.empty(len(time), np.int64)
    for r in range(len(bounds) - 1):
        own = _own_interval(intervals[r], known[r], first_interval)
        taken = NONE  # the time at which a position was looked at last
        for i in range(bounds[r], bounds[r + 1]):
            t = time[i]
            frontier[r] = max(frontier[r], t)
            patience[i] = max(allowance_floor, 3 * own)
            if not positioned[i] or t == taken:
                continue
            taken, same, good[r] = t, False, min(good[r] + 1, MANY)
            if last[r] != NONE:
                reach_m = jump_mps * max(1.0, (t - last[r]) / 1000.0)
                apart_m = _apart_m(last_lon[r], last_lat[r], lon[i], lat[i], reach_m)
                dropped = _dropped(since_jump, r, apart_m, reach_m)
                if apart_m > reach_m:
                    good[r] = 0
                    if dropped:
                        continue
                    jumped[n], reached[n] = apart_m, reach_m
                gapped[r] |= t - last[r] > max(gap_floor, 3 * own)
                slot = known[r] % INTERVALS
                same = known[r] >= INTERVALS and intervals[r, slot] == t - last[r]  # then the median stays
                intervals[r, slot] = t - last[r]
                known[r] += 1
            if precise[i]:
                gap[n], gapped[r] = gapped[r] != 0, 0
            last[r], last_lon[r], last_lat[r] = t, lon[i], lat[i]
            if not same:
                own = _own_interval(intervals[r], known[r], first_interval)
            patience[i] = max(allowance_floor, 3 * own)
            used[n], threefold[n], steady[n] = i, 3 * own, good[r]
            n += 1
    chosen, far, could = used[:n].copy(), jumped[:n].copy(), reached[:n].copy()
    return chosen, patience[chosen], threefold[:n].copy(), gap[:n].copy(), far, could, steady[:n].copy(), patience


@kernel
def _apart_m(lon1: float, lat1: float, lon2: float, lat2: float, reach_m: float) -> float:
    """Metres between two positions; no more than `reach_m` where their degrees rule out more, which saves the measuring."""
    at_most = DEGREE_M * (abs(lon2 - lon1) + abs(lat2 - lat1))
    return at_most if at_most <= reach_m else distance_m(lon1, lat1, lon2, lat2)


@kernel
def _dropped(since_jump: I64, r: int, metres: float, reach_m: float) -> bool:
    """Whether a position is a jump that takes no part; keeps count of the fixes since the last one."""
    if since_jump[r] > 0:
        since_jump[r] += 1
        if since_jump[r] > WINDOW:
            since_jump[r] = 0
    if metres <= reach_m:
        return False
    if since_jump[r] > 0:
        since_jump[r] = 0
        return False
    since_jump[r] = 1
    return True


@kernel
def _own_interval(intervals: I64, known: int, first_interval: int) -> int:
    """The lower median of the last five intervals, ms."""
    count = min(known, INTERVALS)
    if count < ENOUGH:
        return first_interval
    for candidate in intervals[:count]:
        below, equal = 0, 0
        for other in intervals[:count]:
            below += other < candidate
            equal += other == candidate
        if below <= (count - 1) // 2 < below + equal:
            return int(candidate)
    return first_interval
