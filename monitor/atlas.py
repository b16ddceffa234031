"""The atlas: which places a fix lies in or near, and how far it is off a line.

A grid of cells finds the few places that may matter to a fix: each place is entered in the cells it touches or comes within
`NEAR_M` of, large ones within it and small ones along its edge, with a mark where it covers the cell whole. Only in the cells of
its edge is the exact test made: even-odd over all rings (holes count; the boundary belongs to the place), and metres to the nearest
edge; `lines` says how that is done without a look at every edge. Edges of places are straight in longitude and latitude, as GeoJSON
says; routes are geodesics, densified to 5 km.
Shapes: N fixes, P places, E edges, M (fix, place) pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, repeat
from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from shapely.geometry import MultiPolygon, Polygon

from monitor.compiled import kernel
from monitor.fixes import F64, I32, I64, Bool
from monitor.geodesy import metres_per_degree
from monitor.lines import FAN, Lines, box2, crosses, lay, measure, to_segment
from monitor.places import Geofences, Place, Route

NEAR_M = 200.0
"""A place matters to fixes inside it and up to this far outside."""
ON_EDGE_M = 0.001
CELL_DEG = 0.01
LEVELS = 6
"""A cell of one level is 4 by 4 of the level below, of which the lowest has cells of `CELL_DEG`."""
QUARTERS = np.indices((4, 4)).reshape(2, 16)
"""Column and row of the 16 cells within one of the next level."""
FIRST_CELLS = 36
CELLS_A_PLACE = 2048
"""About as many cells as a place may be entered in at one level."""
DENSE_M = 5000.0

WGS84 = pyproj.Geod(ellps="WGS84")


class Pairs(NamedTuple):
    """M (fix, place) pairs, by fix; `outside_m` is 0 inside, else metres to the edge, at most `NEAR_M`."""

    fix: I64
    place: I32
    outside_m: F64


class Grid(NamedTuple):
    """Cells to candidate places, in an open-addressing hash table. With a cell, those it lies in are there too."""

    top: int
    """The highest level in use."""
    key: I64
    """(H,) the cell, -1 for a free slot."""
    begin: I64
    end: I64
    """(H,) its candidates."""
    deeper: Bool
    """(H,) whether there are cells within it."""
    place: I32
    whole: Bool
    """Candidates: which place, and whether it covers the whole cell."""


class Atlas:
    """Places and routes as arrays, ready to be asked about many fixes at once."""

    def __init__(self, geofences: Geofences) -> None:
        self.places: tuple[Place, ...] = geofences.places
        self.routes: tuple[Route, ...] = geofences.routes
        self.version = geofences.version
        self.place_code = {place.id: code for code, place in enumerate(self.places)}
        self.route_code = {route.id: code for code, route in enumerate(self.routes)}
        self.edges = lay([_rings(place.geometry) for place in self.places])
        self.grid = _grid(self.places)
        self.segments = lay([_geodesic(route.line) for route in self.routes])

    def locate(self, lon: F64, lat: F64) -> Pairs:
        """Find the places that N positions (degrees) lie in or within `NEAR_M` of."""
        if not self.places or not len(lon):
            return Pairs(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
        return Pairs(*_locate(lon, lat, self.grid, self.edges))

    def distance_m(self, place: int, lon: F64, lat: F64) -> F64:
        """(N,) geodesic metres from positions to a place's edge, 0 inside it."""
        inside = shapely.intersects_xy(self.places[place].geometry, lon, lat)
        away, _ = measure(lon, lat, np.zeros(len(lon), np.int64), np.array([0, 1]), np.array([place]), self.edges)
        return np.where(inside, 0.0, away[:, 0])


def _rings(area: Polygon | MultiPolygon) -> F64:
    """(E, 4) the edges of all rings of an area."""
    rings = [ring for part in shapely.get_parts(area) for ring in (part.exterior, *part.interiors)]
    return np.concatenate([np.hstack([c[:-1], c[1:]]) for c in map(shapely.get_coordinates, rings)])


def _geodesic(line: Sequence[tuple[float, float]]) -> F64:
    """(E, 4) segments of at most 5 km along the geodesics between the vertices."""
    points: list[tuple[float, float]] = [line[0]]
    for (lon1, lat1), (lon2, lat2) in pairwise(line):
        between = int(WGS84.inv(lon1, lat1, lon2, lat2)[2] // DENSE_M)
        points += WGS84.npts(lon1, lat1, lon2, lat2, between) if between else []
        points.append((lon2, lat2))
    array = np.array(points)
    return np.hstack([array[:-1], array[1:]])


def _cells(place: Place) -> Iterable[tuple[int, int, int, bool]]:
    """The cells that a place touches or comes near: level, column, row, and whether it covers the cell.

    A few large ones first; those of its edge are then cut in 16, for as long as that gives not too many.
    """
    west, south, east, north = place.geometry.bounds
    scale = metres_per_degree(min(85.0, max(abs(south), abs(north))))
    margin_lon, margin_lat = 1.05 * NEAR_M / scale[0], 1.05 * NEAR_M / scale[1]
    level, column, row = _covering(west - margin_lon, south - margin_lat, east + margin_lon, north + margin_lat)
    shapely.prepare(place.geometry)
    found: list[tuple[int, int, int, bool]] = []
    while True:
        size = CELL_DEG * 4**level
        boxes = shapely.box(column * size, row * size, (column + 1) * size, (row + 1) * size)
        near = shapely.dwithin(place.geometry, boxes, max(margin_lon, margin_lat))
        column, row, whole = column[near], row[near], shapely.contains_properly(place.geometry, boxes[near])
        last = level == 0 or 16 * np.count_nonzero(~whole) > CELLS_A_PLACE
        told = np.ones(len(whole), bool) if last else whole
        found += zip(repeat(level), column[told].tolist(), row[told].tolist(), whole[told].tolist(), strict=False)
        if last:
            return found
        level -= 1
        column, row = (np.add.outer(4 * of[~whole], part).ravel() for of, part in zip((column, row), QUARTERS, strict=True))


def _covering(west: float, south: float, east: float, north: float) -> tuple[int, I64, I64]:
    """The columns and rows of the cells that cover a box, at the lowest level at which they are few."""
    for level in range(LEVELS):
        column, row, last_column, last_row = (int(np.floor(v / (CELL_DEG * 4**level))) for v in (west, south, east, north))
        if (last_column - column + 1) * (last_row - row + 1) <= FIRST_CELLS:
            break
    columns, rows = np.meshgrid(np.arange(column, last_column + 1), np.arange(row, last_row + 1))
    return level, columns.ravel(), rows.ravel()


def _grid(places: Sequence[Place]) -> Grid:
    """Enter every place in its cells."""
    entries: dict[int, list[tuple[int, bool]]] = {}
    deeper: set[int] = set()
    for code, place in enumerate(places):
        for level, column, row, whole in _cells(place):
            entries.setdefault(_key(level, column, row), []).append((code, whole))
            for up in range(1, LEVELS - level):
                deeper.add(_key(level + up, column >> 2 * up, row >> 2 * up))
    top = max((cell >> 56 for cell in entries), default=0)
    cells = sorted(entries.keys() | {cell for cell in deeper if cell >> 56 <= top})
    slots = 1 << max(4, (2 * len(cells)).bit_length())
    key, begin, end = np.full(slots, -1, np.int64), np.zeros(slots, np.int64), np.zeros(slots, np.int64)
    candidates: list[tuple[int, bool]] = []
    for cell in cells:
        slot = _slot(cell, key)
        key[slot], begin[slot] = cell, len(candidates)
        candidates += entries.get(cell, ())
        end[slot] = len(candidates)
    place_of = np.array([code for code, _ in candidates], np.int32)
    whole_of = np.array([whole for _, whole in candidates], np.bool_)
    return Grid(top, key, begin, end, np.array([int(cell) in deeper for cell in key]), place_of, whole_of)


@kernel
def _key(level: int, column: int, row: int) -> int:
    return (level << 56) | ((column + (1 << 26)) << 28) | (row + (1 << 26))


@kernel
def _slot(cell: int, key: I64) -> int:
    """Where a cell stands in a table, or the free slot where it would."""
    mixed = (cell ^ (cell >> 29)) * 0x2545F491_4F6CDD1D & 0x7FFFFFFFFFFFFFFF
    slot = (mixed ^ (mixed >> 32)) & (len(key) - 1)
    while key[slot] >= 0 and key[slot] != cell:
        slot = (slot + 1) & (len(key) - 1)
    return int(slot)


@kernel
def _locate(lon: F64, lat: F64, grid: Grid, edges: Lines) -> tuple[I64, I32, F64]:
    """Go down the levels for each fix, from the highest, for as long as there are cells within the cell it is in."""
    fix, place, outside = np.empty(len(lon) + 16, np.int64), np.empty(len(lon) + 16, np.int32), np.empty(len(lon) + 16)
    found, cells, slots = 0, np.full(LEVELS, -1), np.zeros(LEVELS, np.int64)  # the cells of the fix before, and their slots
    for i in range(len(lon)):
        column, row = int(np.floor(lon[i] / CELL_DEG)), int(np.floor(lat[i] / CELL_DEG))
        for level in range(grid.top, -1, -1):
            cell = _key(level, column >> 2 * level, row >> 2 * level)
            if cell != cells[level]:
                cells[level], slots[level] = cell, _slot(cell, grid.key)
            slot = slots[level]
            for j in range(grid.begin[slot], grid.end[slot]):
                code = grid.place[j]
                away = 0.0 if grid.whole[j] else _outside_m(lon[i], lat[i], code, edges)
                if away <= NEAR_M:
                    if found == len(fix):
                        fix, place, outside = _longer(fix), _longer(place), _longer(outside)
                    fix[found], place[found], outside[found] = i, code, away
                    found += 1
            if not grid.deeper[slot]:
                break
    return fix[:found].copy(), place[:found].copy(), outside[:found].copy()


@kernel
def _longer(values):  # type: ignore[no-untyped-def]
    out = np.empty(2 * len(values), values.dtype)
    out[: len(values)] = values
    return out


@kernel
def _outside_m(lon: float, lat: float, place: int, edges: Lines) -> float:
    """Metres outside a place: 0 inside or on its edge; more than `NEAR_M` where it is not near.

    Only boxes are looked into that may hold the nearest edge, or edges that cross the line from the fix due east.
    """
    east, north = metres_per_degree(lat)
    inside, nearest2 = False, 1.1 * NEAR_M * NEAR_M  # an edge further away than that need not be found
    box, end = edges.root[place], edges.start[place + 1]
    while box < edges.root[place + 1]:
        crossed = edges.box[box, 1] <= lat and lat < edges.box[box, 3] and lon <= edges.box[box, 2]
        if not crossed and box2(lon, lat, box, east, north, edges.box) >= nearest2:
            box = edges.after[box]
            continue
        inner = edges.within[box]
        if inner < 0:
            for e in range(-1 - inner, min(FAN - 1 - inner, end)):
                if crosses(lon, lat, e, edges.segment):
                    inside = not inside
                dx, dy = to_segment(lon, lat, e, east, north, edges.segment)
                nearest2 = min(nearest2, dx * dx + dy * dy)
        box = edges.after[box] if inner < 0 else inner
    return 0.0 if inside or nearest2 <= ON_EDGE_M * ON_EDGE_M else nearest2**0.5


class Offsets(NamedTuple):
    """How far N fixes are off the lines of their group, in columns by line."""

    metres: F64
    line: I32


def off_lines(atlas: Atlas, lon: F64, lat: F64, group: I64, group_start: I64, route_of: I64) -> Offsets:
    """(N, K) metres from each fix to each route of its group, and which route; see `measure`."""
    return Offsets(*measure(lon, lat, group, group_start, route_of, atlas.segments))
