"""Places and routes for the oracle, and metres on the ellipsoid: to a point, to a polygon's edge, to a line of geodesics.

Every distance that is compared is `pyproj.Geod`'s; a local projection only finds which point is the nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from pyproj import Geod
from shapely.geometry import MultiPolygon, Point, Polygon
from shapely.ops import nearest_points

from monitor.fixes import F64

GEOD = Geod(ellps="WGS84")
SEGMENT_M = 2000.0


@dataclass(frozen=True)
class OraclePlace:
    """A geofence: its polygon in degrees, whose it is, how long and when one may stand there."""

    id: str
    kind: str
    polygon: Polygon | MultiPolygon
    carrier: str | None = None
    max_dwell: int | None = None
    hours: Callable[[int], bool] | None = None


@dataclass(frozen=True)
class OracleRoute:
    """A line of geodesics between (lon, lat) vertices, and its corridor where it has its own."""

    id: str
    line: list[tuple[float, float]]
    corridor_m: float | None = None


def distance(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """Geodesic metres between two points."""
    return float(GEOD.inv(lon, lat, other_lon, other_lat)[2])


def metres_per_degree(lat: float) -> F64:
    """(2,) metres of a degree of longitude and of latitude there."""
    sine2 = math.sin(math.radians(lat)) ** 2
    east = GEOD.a / math.sqrt(1 - GEOD.es * sine2) * math.cos(math.radians(lat))
    north = GEOD.a * (1 - GEOD.es) / (1 - GEOD.es * sine2) ** 1.5
    scale: F64 = np.radians(np.array([east, north]))
    return scale


def to_edge(polygon: Polygon | MultiPolygon, lon: float, lat: float) -> float:
    """Geodesic metres to the nearest point of a polygon's boundary."""
    scale, here = metres_per_degree(lat), np.array([lon, lat])
    local = shapely.transform(polygon.boundary, lambda degrees: (degrees - here) * scale)
    near, _ = nearest_points(local, Point(0.0, 0.0))
    return distance(lon, lat, lon + near.x / scale[0], lat + near.y / scale[1])


def densified(line: Sequence[tuple[float, float]]) -> F64:
    """(K, 2) degrees: the vertices and points between them on the geodesic, at most 2 km apart."""
    points = [line[0]]
    for (lon, lat), (next_lon, next_lat) in pairwise(line):
        count = int(distance(lon, lat, next_lon, next_lat) // SEGMENT_M)
        points += [(x, y) for x, y in GEOD.npts(lon, lat, next_lon, next_lat, count)] if count else []
        points.append((next_lon, next_lat))
    return np.array(points)


def to_line(points: F64, lon: float, lat: float) -> float:
    """Geodesic metres to the nearest point of a line of (K, 2) degrees."""
    scale = metres_per_degree(lat)
    local = (points - [lon, lat]) * scale
    start, along = local[:-1], np.diff(local, axis=0)
    share = np.clip(-(start * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0.0, 1.0)
    nearest = start + along * share[:, None]
    best = nearest[np.argmin((nearest**2).sum(axis=1))]
    return distance(lon, lat, lon + best[0] / scale[0], lat + best[1] / scale[1])
