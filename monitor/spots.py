"""Spots: points that lie together, without a chain of them becoming one; and the area around them.

Definitions
    Points within 150 m of each other are linked. What is linked and spans at most 500 m is one spot. What spans more is a chain: it
    is carved into discs of 150 m, each around the point that has the most of the rest near it, until none is left.
    The area of a spot is the convex hull of its points with 60 m around it, less what is taken already, unless that would cut
    through it or cut off a point.
Source: linking and counting neighbours are those of DBSCAN (Ester, Kriegel, Sander and Xu 1996); the bound is ours.
Shapes: N points, K cells of about 20 m (which keep the pairs few where thousands stood), M pairs of neighbouring cells. The order of
points matters only to the order of sums: sort them first for the same bytes.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import shapely
from shapely.geometry import MultiPoint, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from monitor.fixes import F64, I64
from monitor.geodesy import distances_m, metres_per_degree

LINK_M = 150.0
WIDEST_M = 500.0
MARGIN_M = 60.0
CELL_DEG = 2e-4
GRID_DEG = 1e-6
CORNERS = 4
"""Sides of a quarter circle."""
EARTH = shapely.box(-180, -90, 180, 90)


def spots(lon: F64, lat: F64) -> list[I64]:
    """Group N points (degrees) into spots; gives the indices of each, the spots and the indices in ascending order."""
    if not len(lon):
        return []
    _, cell = np.unique(np.round(np.column_stack([lat, lon]) / CELL_DEG), axis=0, return_inverse=True)
    weight = np.bincount(cell)
    cell_lon, cell_lat = np.bincount(cell, lon) / weight, np.bincount(cell, lat) / weight
    first, second = _pairs(cell_lon, cell_lat)
    linked = _linked(len(weight), first, second)
    spot = linked.copy()
    for each in np.unique(linked):
        cells = np.flatnonzero(linked == each)
        if _span_m(cell_lon[cells], cell_lat[cells]) > WIDEST_M:
            spot[cells] = _carve(cells, weight, first, second)
    of = spot[cell]
    order = np.argsort(of, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(of[order])) + 1)
    return sorted(groups, key=lambda group: int(group[0]))


def _pairs(lon: F64, lat: F64) -> tuple[I64, I64]:
    """(M,) the pairs of cells within `LINK_M` of each other, both ways, by the first; a cell is no neighbour of itself."""
    east, north = np.array([metres_per_degree(float(at)) for at in lat]).T
    wide, high = 1.01 * LINK_M / east, 1.01 * LINK_M / north
    first, second = shapely.STRtree(np.asarray(shapely.points(lon, lat))).query(
        shapely.box(lon - wide, lat - high, lon + wide, lat + high)
    )
    near = (distances_m(lon[first], lat[first], lon[second], lat[second]) <= LINK_M) & (first != second)
    first, second = first[near], second[near]
    order = np.lexsort((second, first))
    return first[order].astype(np.int64), second[order].astype(np.int64)


def _linked(count: int, first: I64, second: I64) -> I64:
    """(K,) the least cell that each can be reached from over pairs."""
    least = np.arange(count)
    while True:
        lower = least.copy()
        np.minimum.at(lower, first, least[second])
        lower = lower[lower]
        if np.array_equal(lower, least):
            return least
        least = lower


def _span_m(lon: F64, lat: F64) -> float:
    """Metres between the two points furthest apart."""
    corners = shapely.get_coordinates(MultiPoint(np.column_stack([lon, lat])).convex_hull)
    one, other = np.triu_indices(len(corners))
    return float(distances_m(corners[one, 0], corners[one, 1], corners[other, 0], corners[other, 1]).max())


def _carve(cells: I64, weight: I64, first: I64, second: I64) -> I64:
    """(cells,) the middle of the disc that each cell of a chain falls to."""
    begin, end = np.searchsorted(first, cells), np.searchsorted(first, cells, side="right")
    near = [np.searchsorted(cells, second[b:e]) for b, e in zip(begin, end, strict=True)]
    crowd = np.array([weight[cell] + weight[cells[others]].sum() for cell, others in zip(cells, near, strict=True)])
    middle = np.full(len(cells), -1)
    while (middle < 0).any():
        best = int(np.argmax(np.where(middle < 0, crowd, -1)))
        fallen = np.append(near[best][middle[near[best]] < 0], best)
        middle[fallen] = best
        for each in fallen:
            crowd[near[each]] -= weight[cells[each]]
    return np.asarray(cells[middle], np.int64)


class Plane:
    """Metres east and north of a point in degrees, near it."""

    def __init__(self, lon: float, lat: float) -> None:
        self.origin = np.array([lon, lat])
        self.scale = np.array(metres_per_degree(lat))

    def metres(self, degrees: F64) -> F64:
        """(N, 2) metres of longitudes and latitudes."""
        return np.asarray((degrees - self.origin) * self.scale, np.float64)

    def degrees(self, metres: F64) -> F64:
        """(N, 2) longitudes and latitudes of metres."""
        return np.asarray(metres / self.scale + self.origin, np.float64)


def area(lon: F64, lat: F64, taken: BaseGeometry) -> Polygon:
    """Draw the area of a spot (degrees of six decimals) beside what is taken."""
    points = np.column_stack([lon, lat])
    plane = Plane(*points.mean(axis=0).tolist())
    hull = MultiPoint(plane.metres(points)).convex_hull.buffer(MARGIN_M, quad_segs=CORNERS)
    whole = shapely.set_precision(shapely.transform(hull, plane.degrees).intersection(EARTH), GRID_DEG)
    cut = shapely.set_precision(whole.difference(taken), GRID_DEG)
    parts = [part for part in (*shapely.get_parts(cut), whole) if shapely.intersects_xy(part, lon, lat).all()]
    return orient(cast(Polygon, shapely.normalize(parts[0])))
