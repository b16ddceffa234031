"""Silence: whether a vehicle was parked when it was last heard, and how often it reports while it stands.

Definitions
    A vehicle stands after a used fix if its newest seen fix is evidence of an open stop. It is *parked* if it stands; also if its
    stop is open and the newest seen fix reports no speed (a position may have gone astray), or the used fix reports the ignition
    off: then silence is what one expects. A *parked interval* lies between two used
    fixes in a row at both of which it stands, in one and the same stop. The one *learned* is the second longest so far: a single
    oddity teaches nothing. How long it was heard standing, their sum, tells whether that is enough to go by: a tracker reports often
    when a vehicle has just stopped, and falls asleep later.
Shapes: N used fixes, S seen among them, R vehicles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compiled import advance, kernel
from monitor.fixes import I8, I64, Bool
from monitor.motion import NONE

SILENCE = np.dtype(
    [
        ("stands", "i1"),  # whether it stood at the last used fix
        ("halted", "i1"),  # whether the newest seen fix reported no speed in an open stop
        ("parked", "i1"),  # whether it was parked at the last used fix
        ("stop", "i8"),  # ms: since when, the beginning of that stop
        ("last", "i8"),  # ms: the last used fix
        ("longest", "i8"),
        ("second", "i8"),  # ms: parked intervals; NONE before there is one
        ("sum", "i8"),  # ms: of all of them
    ]
)


class Parked(NamedTuple):
    """What is known at N used fixes."""

    parked: Bool
    """(N,) whether it is parked after the fix."""
    learned: I64
    """(N,) ms, the parked interval learned by then; NONE before there are two."""
    heard: I64
    """(N,) ms, all parked intervals by then."""


def unheard(vehicles: int) -> npt.NDArray[np.void]:
    """(R,) SILENCE of vehicles never heard."""
    state = np.zeros(vehicles, SILENCE)
    for name in ("stop", "last", "longest", "second"):
        state[name] = NONE
    return state


def park(
    state: npt.NDArray[np.void], bounds: I64, time: I64, seen: I64, stands: Bool, halted: Bool, stop_since: I64, off: Bool
) -> Parked:
    """Follow N used fixes; `state` (R,) SILENCE is advanced in place, the other inputs are not modified.

    Vehicle r has the used fixes `bounds[r]` to `bounds[r + 1]`, `time` ms. `seen` (S,) says which of them are seen, `stands` and
    `stop_since` (S,) whether the vehicle stands there and since when (ms), `halted` (S,) whether it reports no speed in an open
    stop; `off` (N,) whether the ignition is reported off.
    """
    return Parked(*advance(state, _run, bounds, time, seen, stands, halted, stop_since, off))


@kernel
def _run(
    memory: tuple[I8, I8, I8, I64, I64, I64, I64, I64],
    bounds: I64,
    time: I64,
    seen: I64,
    stands: Bool,
    halted: Bool,
    stop_since: I64,
    off: Bool,
) -> tuple[Bool, I64, I64]:
    stood, halts, parks, stop, last, longest, second, total = memory
    parked, learned, heard, s = np.zeros(len(time), np.bool_), np.empty(len(time), np.int64), np.empty(len(time), np.int64), 0
    for r in range(len(bounds) - 1):
        for i in range(bounds[r], bounds[r + 1]):
            before, its_stop = stood[r] != 0, stop[r]
            if s < len(seen) and seen[s] == i:
                stood[r], halts[r], stop[r] = stands[s], halted[s], stop_since[s]
                s += 1
            if before and stood[r] != 0 and stop[r] == its_stop:
                interval = time[i] - last[r]
                second[r] = max(second[r], min(longest[r], interval))
                longest[r] = max(longest[r], interval)
                total[r] += interval
            parks[r] = stood[r] != 0 or halts[r] != 0 or off[i]
            parked[i], learned[i], heard[i], last[r] = parks[r] != 0, second[r], total[r], time[i]
    return parked, learned, heard
