"""Geofences: at least 20 million fixes a second on one core with 1,000 places, 3 million with 50,000.

Vehicles drive winding roads beside which the places lie: two in three are circles of 100 to 1,000 m, the others polygons of up to 300
corners and 10 km; ten are regions of 2,000 corners and some 200 km. Every fix gets all places it is in or within 200 m of.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from shapely.geometry import Polygon

from benchmarks.corridor import Columns, copy, fixes
from benchmarks.history import lines
from benchmarks.table import best_of, show
from monitor.atlas import Atlas
from monitor.fixes import F64
from monitor.places import Geofences, Place, circle

TURNS, REGIONS, ROADS = 5, 10, 500


def blob(rng: np.random.Generator, spot: F64, corners: int, reach_deg: float) -> Polygon:
    """A polygon with bays around a spot."""
    angle = np.sort(rng.uniform(0.0, 2 * np.pi, corners))
    bays = np.sin(np.outer(angle, np.arange(1, 9)) + rng.uniform(0.0, 2 * np.pi, 8)) @ (0.3 / np.arange(1, 9))
    reach = (0.6 + 0.4 * bays + rng.normal(0.0, 0.002, corners)) * reach_deg
    return Polygon(spot + np.stack([np.cos(angle) * reach * 1.4, np.sin(angle) * reach], axis=1))


def geofences(rng: np.random.Generator, road: F64, count: int) -> Geofences:
    """So many places beside the roads."""
    roads, vertices, _ = road.shape
    spots = road[rng.integers(0, roads, count), rng.integers(0, vertices, count)] + rng.normal(0.0, 0.01, (count, 2))
    areas = []
    for n, spot in enumerate(spots):
        if n < REGIONS:
            areas.append(blob(rng, spot, 2000, 1.5))
        elif n % 3:
            areas.append(circle(spot[0], spot[1], rng.uniform(100.0, 1000.0)))
        else:
            areas.append(blob(rng, spot, int(rng.integers(4, 300)), rng.uniform(0.002, 0.09)))
    return Geofences(tuple(Place(f"p{n}", f"Place {n}", "yard", area) for n, area in enumerate(areas)), ())


def run(there: Atlas, columns: Columns) -> int:
    """All places of every fix; gives how many pairs there are."""
    return len(there.locate(columns[0], columns[1]).fix)


def main() -> None:
    """Measure and print."""
    contestants, pairs, built = {}, {}, {}
    rng = np.random.default_rng(7)
    Atlas(Geofences((Place("p", "Place", "yard", circle(-75.0, 45.0, 100.0)),)))  # compiled before it is timed
    road = lines(rng, ROADS, 1000)
    columns = fixes(rng, road, 0.0)
    for count in (100, 1000, 10_000, 50_000):
        fenced = geofences(rng, road, count)
        begun = time.thread_time()
        there = Atlas(fenced)
        built[f"{count:,} places"] = time.thread_time() - begun
        pairs[f"{count:,} places"] = run(there, columns) / len(columns[0])
        contestants[f"{count:,} places"] = partial(run, there, columns)
    best = best_of(TURNS, {**contestants, "a copy": partial(copy, columns)})
    number = len(columns[0])
    rows = [[n, number / s / 1e6, s / best["a copy"], pairs.get(n, 0.0), built.get(n, 0.0)] for n, s in best.items()]
    show(
        f"geofences, one core, one batch of {number:,} fixes, best of {TURNS}",
        ["", "M fixes/s", "times a copy", "pairs a fix", "built in s of CPU"],
        rows,
    )


if __name__ == "__main__":
    main()
