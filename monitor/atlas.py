"""The atlas: which places a fix lies in or near, and how far it is off a line.

`cells` finds the few places, and of those the few edges, that may matter to a fix; `lines` measures it against long lines without a
look at every segment. Edges of places are straight in longitude and latitude, as GeoJSON says; routes are geodesics, densified to
5 km.
Shapes: N fixes, P places, E edges, M (fix, place) pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyproj
import shapely

from monitor.cells import NEAR_M as NEAR_M
from monitor.cells import grid_of, outlines_of, pairs_of
from monitor.fixes import F64, I32, I64
from monitor.lines import Lines, lay, lengths_of, measure, progress
from monitor.places import Geofences, Place, Route

DENSE_M = 5000.0

WGS84 = pyproj.Geod(ellps="WGS84")


class Pairs(NamedTuple):
    """M (fix, place) pairs, by fix; `outside_m` is 0 inside, else metres to the edge, at most `NEAR_M`."""

    fix: I64
    place: I32
    outside_m: F64


class Atlas:
    """Places and routes as arrays, ready to be asked about many fixes at once."""

    def __init__(self, geofences: Geofences) -> None:
        self.places: tuple[Place, ...] = geofences.places
        self.routes: tuple[Route, ...] = geofences.routes
        self.version = geofences.version
        self.place_code = {place.id: code for code, place in enumerate(self.places)}
        self.codes_of: dict[str, list[int]] = {}
        """The codes of all places of an id: it may have been drawn anew, and holds at another time then."""
        for code, place in enumerate(self.places):
            self.codes_of.setdefault(place.id, []).append(code)
        self.route_code = {route.id: code for code, route in enumerate(self.routes)}
        self.outlines = outlines_of([place.geometry for place in self.places])
        self.grid = grid_of(self.outlines)
        self._edges: dict[int, Lines] = {}
        segments, metres = _geodesics([route.line for route in self.routes])
        self.segments = lay(segments)
        self.lengths = lengths_of(self.segments, metres)

    def locate(self, lon: F64, lat: F64) -> Pairs:
        """Find the places that N positions (degrees) lie in or within `NEAR_M` of."""
        if not self.places or not len(lon):
            return Pairs(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
        return Pairs(*pairs_of(lon, lat, self.grid, self.outlines.vertex))

    def distance_m(self, place: int, lon: F64, lat: F64) -> F64:
        """(N,) geodesic metres from positions to a place's edge, 0 inside it."""
        inside = shapely.intersects_xy(self.places[place].geometry, lon, lat)
        if place not in self._edges:
            shapely.prepare(self.places[place].geometry)
            self._edges[place] = lay([self.outlines.edges(place)])
        away, _, _ = measure(lon, lat, np.zeros(len(lon), np.int64), np.array([0, 1]), np.array([0]), self._edges[place])
        return np.where(inside, 0.0, away[:, 0])


def _geodesics(lines: Sequence[Sequence[tuple[float, float]]]) -> tuple[list[F64], list[F64]]:
    """Of each line, (E, 4) segments of at most 5 km along the geodesics between the vertices, and (E,) their metres."""
    segments, lengths = [], []
    for line in lines:
        points, metres = [line[0]], []
        lon, lat = np.array(line).T
        for before, after, length in zip(
            line, line[1:], WGS84.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2].tolist(), strict=False
        ):
            between = int(length // DENSE_M)
            points += WGS84.npts(*before, *after, between) if between else []
            points.append(after)
            metres += [length / (between + 1)] * (between + 1)
        array = np.array(points)
        segments.append(np.hstack([array[:-1], array[1:]]))
        lengths.append(np.array(metres))
    return segments, lengths


class Offsets(NamedTuple):
    """Where N fixes are beside the lines of their group, in columns by line."""

    metres: F64
    """(N, K) off the line."""
    line: I32
    along: F64
    """(N, K) metres from the line's first vertex to its nearest point; NaN where the line comes back near itself."""


def off_lines(atlas: Atlas, lon: F64, lat: F64, group: I64, group_start: I64, route_of: I64) -> Offsets:
    """Where each fix is beside each route of its group; see `measure`."""
    metres, line, nearest = measure(lon, lat, group, group_start, route_of, atlas.segments)
    return Offsets(metres, line, progress(lon, lat, line, nearest, atlas.segments, atlas.lengths))
