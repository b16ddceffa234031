"""Corridors: at least 4 million fixes a second on one core, with 200 routes of 1,000 vertices; every distance exact.

Vehicles drive their road, are 600 m beside it, or are anywhere; the first have the road a few metres away, the last must look far.
Below it the cost against the number of vertices and of routes, beside a copy of the same columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.history import ROAD_M, lines
from benchmarks.table import best_of, show
from monitor.atlas import Atlas, off_lines
from monitor.fixes import F64, I64
from monitor.places import Geofences, Route

VEHICLES, EACH, TURNS = 500, 1000, 5
STEP_M = 600.0
"""Driven between two fixes: 20 m/s for 30 s."""

Columns = tuple[F64, F64, I64]


def fixes(rng: np.random.Generator, road: F64, beside_deg: float) -> Columns:
    """Longitude, latitude and route of vehicles that drive their road at 20 m/s, so far north of it."""
    vertices, group = road.shape[1], np.arange(VEHICLES) % len(road)
    along = (rng.uniform(0, vertices - 1, (VEHICLES, 1)) + np.arange(EACH) * STEP_M / ROAD_M * vertices) % (vertices - 1)
    segment, share = along.astype(np.int64), (along % 1.0)[..., None]
    where = road[group[:, None], segment] * (1 - share) + road[group[:, None], segment + 1] * share
    where += rng.normal((0.0, beside_deg), 5e-5, where.shape)
    return where[..., 0].ravel(), where[..., 1].ravel(), np.repeat(group, EACH)


def anywhere(rng: np.random.Generator, columns: Columns) -> Columns:
    """The same fixes in no order: none says anything about the next."""
    turn = rng.permutation(len(columns[0]))
    return columns[0][turn], columns[1][turn], columns[2][turn]


def run(there: Atlas, columns: Columns) -> None:
    """Every fix against its own route."""
    routes = np.arange(len(there.routes))
    off_lines(there, *columns, np.arange(len(routes) + 1), routes)


def copy(columns: Columns) -> list[np.ndarray]:
    """The same bytes, and nothing done with them."""
    return [column.copy() for column in columns]


def atlas(road: F64) -> Atlas:
    """Routes and nothing else."""
    return Atlas(
        Geofences((), tuple(Route(f"r{n}", f"Route {n}", tuple(map(tuple, line))) for n, line in enumerate(road.tolist())))
    )


def main() -> None:
    """Measure and print."""
    contestants: dict[str, Callable[[], object]] = {}
    for routes, vertices in ((200, 1000), (200, 100), (200, 10_000), (20, 1000), (2000, 1000)):
        rng = np.random.default_rng(7)
        road = lines(rng, routes, vertices)
        there, name = atlas(road), f"{routes:,} routes of {vertices:,}"
        scenes = {"on the road": fixes(rng, road, 0.0)}
        if (routes, vertices) == (200, 1000):
            scenes["600 m beside it"] = fixes(rng, road, 600 / 111_200)
            scenes["in no order"] = anywhere(rng, scenes["on the road"])
            contestants["a copy"] = partial(copy, scenes["on the road"])
        for scene, columns in scenes.items():
            contestants[f"{name}, {scene}"] = partial(run, there, columns)
    best = best_of(TURNS, contestants)
    number = VEHICLES * EACH
    rows = [[name, number / seconds / 1e6, seconds / best["a copy"]] for name, seconds in best.items()]
    show(f"corridor, one core, one batch of {number:,} fixes, best of {TURNS}", ["", "M fixes/s", "times a copy"], rows)


if __name__ == "__main__":
    main()
