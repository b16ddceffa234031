"""The stop automaton handles at least 100 million fixes a second on one core, in one batch of five million.

Three scenes of vehicles that report every ten seconds: all parked, half of them, all under way; beside each the time to copy the same
columns. A fourth scene, for information, has no speeds: then every position must be measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.table import best_of, show
from monitor.fixes import F64, I64, Bool
from monitor.motion import MOTION, move
from monitor.settings import Motion

FIXES, VEHICLES, TURNS = 5_000_000, 5_000, 15
SCENES = {"all parked": (0.0, True), "half under way": (0.5, True), "all under way": (1.0, True), "half, no speeds": (0.5, False)}

Columns = tuple[I64, I64, F64, F64, npt.NDArray[np.float32], Bool]


def scene(share: float, *, speeds: bool) -> Columns:
    """Bounds and columns of vehicles of which a share drives north at 20 m/s; the rest stands. The noise is 5 m."""
    rng, each = np.random.default_rng(1), FIXES // VEHICLES
    driving = np.repeat(rng.random(VEHICLES) < share, each)
    time = np.tile(np.arange(each, dtype=np.int64) * 10_000, VEHICLES)
    north = np.where(driving, time / 1000.0 * 20.0, 0.0) / 111_000.0
    lat = 45.0 + north + rng.normal(0.0, 5e-5, FIXES)
    lon = -75.0 + rng.normal(0.0, 5e-5, FIXES)
    speed = np.where(driving, 20.0, 0.2).astype(np.float32) if speeds else np.full(FIXES, np.nan, np.float32)
    return np.arange(VEHICLES + 1, dtype=np.int64) * each, time, lon, lat, speed, np.zeros(FIXES, np.bool_)


def run(columns: Columns) -> None:
    """One batch from nothing."""
    bounds, time, lon, lat, speed, never = columns
    move(np.zeros(VEHICLES, MOTION), bounds, time, lon, lat, speed, never, never, Motion())


def copy(columns: Columns) -> list[npt.NDArray[np.generic]]:
    """The same bytes, and nothing done with them."""
    return [column.copy() for column in columns]


def main() -> None:
    """Measure and print."""
    contestants: dict[str, Callable[[], object]] = {}
    for name, (share, speeds) in SCENES.items():
        columns = scene(share, speeds=speeds)
        contestants |= {name: partial(run, columns), f"copy {name}": partial(copy, columns)}
    best = best_of(TURNS, contestants)
    rows = [[n, FIXES / best[n] / 1e6, FIXES / best[f"copy {n}"] / 1e6, best[n] / best[f"copy {n}"]] for n in SCENES]
    title = f"stop automaton, one core, one batch of {FIXES // 10**6} M fixes of {VEHICLES:,} vehicles, best of {TURNS}"
    show(title, ["scene", "M fixes/s", "copy M fixes/s", "times a copy"], rows)


if __name__ == "__main__":
    main()
