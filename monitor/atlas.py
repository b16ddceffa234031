"""The atlas: which places a fix lies in or near, and how far it is off a line.

A grid of cells finds the few places that may matter to a fix: each place is entered in the cells it touches or comes within
`NEAR_M` of, at the level of cell size that suits its extent, with a mark where it covers the cell whole. Only in the cells of its
edge is the exact test made: even-odd over all rings (holes count; the boundary belongs to the place), and metres to the nearest
edge. Edges of places are straight in longitude and latitude, as GeoJSON says; routes are geodesics, densified to 5 km.
Shapes: N fixes, P places, E edges, M (fix, place) pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from shapely.geometry import MultiPolygon, Polygon

from monitor.compiled import kernel
from monitor.fixes import F64, I32, I64
from monitor.geodesy import distance_m, metres_per_degree, nearest_on_segment
from monitor.places import Geofences, Place, Route

NEAR_M = 200.0
"""A place matters to fixes inside it and up to this far outside."""
ON_EDGE_M = 0.001
CELL_DEG = (0.01, 0.04, 0.16, 0.64, 2.56, 10.24)
CELLS_A_PLACE = 1024
DENSE_M = 5000.0
BLOCK = 16

WGS84 = pyproj.Geod(ellps="WGS84")


class Pairs(NamedTuple):
    """M (fix, place) pairs, by fix; `outside_m` is 0 inside, else metres to the edge, at most `NEAR_M`."""

    fix: I64
    place: I32
    outside_m: F64


class Lines(NamedTuple):
    """Several lines of segments: line l has the segments `start[l]` to `start[l + 1]`, boxed in blocks of `BLOCK`."""

    start: I64
    segment: F64
    """(E, 4) lon, lat, lon, lat."""
    block: I64
    """(L + 1,) the blocks of each line."""
    box: F64
    """(B, 4) west, south, east, north of a block."""


class Grid(NamedTuple):
    """Cells to candidate places, in an open-addressing hash table."""

    level: I64
    """The levels of cell size in use."""
    key: I64
    """(H,) the cell, -1 for a free slot."""
    begin: I64
    end: I64
    """(H,) its candidates."""
    place: I32
    whole: npt.NDArray[np.bool_]
    """Candidates: which place, and whether it covers the whole cell."""


class Atlas:
    """Places and routes as arrays, ready to be asked about many fixes at once."""

    def __init__(self, geofences: Geofences) -> None:
        self.places: tuple[Place, ...] = geofences.places
        self.routes: tuple[Route, ...] = geofences.routes
        self.version = geofences.version
        self.place_code = {place.id: code for code, place in enumerate(self.places)}
        self.route_code = {route.id: code for code, route in enumerate(self.routes)}
        self.edges = _lines([_rings(place.geometry) for place in self.places])
        self.grid = _grid(self.places)
        self.segments = _lines([_geodesic(route.line) for route in self.routes])

    def locate(self, lon: F64, lat: F64) -> Pairs:
        """Find the places that N positions (degrees) lie in or within `NEAR_M` of."""
        if not self.places or not len(lon):
            return Pairs(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
        return Pairs(*_locate(lon, lat, self.grid, self.edges))

    def distance_m(self, place: int, lon: F64, lat: F64) -> F64:
        """(N,) geodesic metres from positions to a place's edge, 0 inside it."""
        inside = shapely.intersects_xy(self.places[place].geometry, lon, lat)
        away, _ = _off_lines(lon, lat, np.zeros(len(lon), np.int64), np.array([0, 1]), np.array([place]), self.edges)
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


def _lines(parts: Sequence[F64]) -> Lines:
    """Lay several lines end to end, with the boxes of their blocks."""
    segment = np.concatenate(parts) if parts else np.empty((0, 4))
    start = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    boxes, block = [], [0]
    for part in parts:
        for begin in range(0, len(part), BLOCK):
            ends = part[begin : begin + BLOCK].reshape(-1, 2)
            boxes.append(np.concatenate([ends.min(axis=0), ends.max(axis=0)]))
        block.append(len(boxes))
    return Lines(start, segment, np.array(block, np.int64), np.array(boxes).reshape(-1, 4))


def _cells(place: Place) -> Iterable[tuple[int, int, int, bool]]:
    """The cells that a place touches or comes near: level, column, row, and whether it covers the cell."""
    west, south, east, north = place.geometry.bounds
    scale = metres_per_degree(min(85.0, max(abs(south), abs(north))))
    margin_lon, margin_lat = 1.05 * NEAR_M / scale[0], 1.05 * NEAR_M / scale[1]
    corners = (west - margin_lon, south - margin_lat, east + margin_lon, north + margin_lat)
    for level, size in enumerate(CELL_DEG):
        column, row, last_column, last_row = (int(np.floor(value / size)) for value in corners)
        if (last_column - column + 1) * (last_row - row + 1) <= CELLS_A_PLACE or level == len(CELL_DEG) - 1:
            break
    columns, rows = np.meshgrid(np.arange(column, last_column + 1), np.arange(row, last_row + 1))
    x, y = columns.ravel(), rows.ravel()
    boxes = shapely.box(x * size, y * size, (x + 1) * size, (y + 1) * size)
    shapely.prepare(place.geometry)
    near = shapely.dwithin(place.geometry, boxes, max(margin_lon, margin_lat))
    whole = shapely.contains_properly(place.geometry, boxes)
    return [(level, int(i), int(j), bool(w)) for i, j, w in zip(x[near], y[near], whole[near], strict=True)]


def _grid(places: Sequence[Place]) -> Grid:
    """Enter every place in its cells."""
    entries: dict[int, list[tuple[int, bool]]] = {}
    levels: set[int] = set()
    for code, place in enumerate(places):
        for level, column, row, whole in _cells(place):
            levels.add(level)
            entries.setdefault(_key(level, column, row), []).append((code, whole))
    slots = 1 << max(4, (2 * len(entries)).bit_length())
    key, begin, end = np.full(slots, -1, np.int64), np.zeros(slots, np.int64), np.zeros(slots, np.int64)
    candidates: list[tuple[int, bool]] = []
    for cell, found in entries.items():
        slot = _slot(cell, slots)
        while key[slot] >= 0:
            slot = (slot + 1) & (slots - 1)
        key[slot], begin[slot] = cell, len(candidates)
        candidates += found
        end[slot] = len(candidates)
    place_of = np.array([code for code, _ in candidates], np.int32)
    return Grid(np.array(sorted(levels), np.int64), key, begin, end, place_of, np.array([w for _, w in candidates], np.bool_))


@kernel
def _key(level: int, column: int, row: int) -> int:
    return (level << 56) | ((column + (1 << 26)) << 28) | (row + (1 << 26))


@kernel
def _slot(cell: int, slots: int) -> int:
    mixed = (cell ^ (cell >> 29)) * 0x2545F491_4F6CDD1D & 0x7FFFFFFFFFFFFFFF
    return (mixed ^ (mixed >> 32)) & (slots - 1)


@kernel
def _locate(lon: F64, lat: F64, grid: Grid, edges: Lines) -> tuple[I64, I32, F64]:
    fix, place, outside = np.empty(len(lon) + 16, np.int64), np.empty(len(lon) + 16, np.int32), np.empty(len(lon) + 16)
    found, mask = 0, len(grid.key) - 1
    for i in range(len(lon)):
        for level in grid.level:
            size = CELL_DEG[level]
            cell = _key(level, int(np.floor(lon[i] / size)), int(np.floor(lat[i] / size)))
            slot = _slot(cell, len(grid.key))
            while grid.key[slot] >= 0 and grid.key[slot] != cell:
                slot = (slot + 1) & mask
            if grid.key[slot] < 0:
                continue
            for j in range(grid.begin[slot], grid.end[slot]):
                code = grid.place[j]
                away = 0.0 if grid.whole[j] else _outside_m(lon[i], lat[i], code, edges)
                if away <= NEAR_M:
                    if found == len(fix):
                        fix, place, outside = _longer(fix), _longer(place), _longer(outside)
                    fix[found], place[found], outside[found] = i, code, away
                    found += 1
    return fix[:found].copy(), place[:found].copy(), outside[:found].copy()


@kernel
def _longer(values):  # type: ignore[no-untyped-def]
    out = np.empty(2 * len(values), values.dtype)
    out[: len(values)] = values
    return out


@kernel
def _outside_m(lon: float, lat: float, place: int, edges: Lines) -> float:
    """Metres outside a place: 0 inside or on its edge; more than `NEAR_M` where it is not near."""
    east, north = metres_per_degree(lat)
    inside, nearest2 = False, 4.0 * NEAR_M * NEAR_M
    for e in range(edges.start[place], edges.start[place + 1]):
        x1, y1, x2, y2 = edges.segment[e]
        if (y1 > lat) != (y2 > lat) and lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1:
            inside = not inside
        dx, dy = nearest_on_segment(lon, lat, x1, y1, x2, y2, east, north)
        nearest2 = min(nearest2, dx * dx + dy * dy)
    return 0.0 if inside or nearest2 <= ON_EDGE_M * ON_EDGE_M else nearest2**0.5


class Offsets(NamedTuple):
    """How far N fixes are off the lines of their group, in columns by line."""

    metres: F64
    line: I64


@kernel
def _off_lines(lon: F64, lat: F64, group: I64, group_start: I64, line_of: I64, lines: Lines) -> tuple[F64, I64]:
    """(N, K) metres from each fix to each line of its group, NaN beyond the group's count; and (N, K) which line, -1 for none.

    Group g (-1: none) has the lines `line_of[group_start[g]:group_start[g + 1]]`; K is the largest count.
    """
    most = 0
    for g in range(len(group_start) - 1):
        most = max(most, group_start[g + 1] - group_start[g])
    metres, which = np.full((len(lon), most), np.nan), np.full((len(lon), most), -1)
    hint = np.zeros(len(lines.block), np.int64)  # the block that was nearest to the fix before: a good first guess
    for i in range(len(lon)):
        g = group[i]
        if g < 0:
            continue
        for k in range(group_start[g + 1] - group_start[g]):
            line = line_of[group_start[g] + k]
            which[i, k] = line
            metres[i, k], hint[line] = _off_line(lon[i], lat[i], line, hint[line], lines)
    return metres, which


@kernel
def _off_line(lon: float, lat: float, line: int, hint: int, lines: Lines) -> tuple[float, int]:
    """Metres to the nearest point of a line, and the block it lies in."""
    east, north = metres_per_degree(lat)
    best2, best_x, best_y, best_block = np.inf, 0.0, 0.0, 0
    blocks = lines.block[line + 1] - lines.block[line]
    for turn in range(-1, blocks):
        b = min(hint, blocks - 1) if turn < 0 else turn
        west, south, far_east, far_north = lines.box[lines.block[line] + b]
        away_x = max(0.0, max(west - lon, lon - far_east)) * east
        away_y = max(0.0, max(south - lat, lat - far_north)) * north
        if away_x * away_x + away_y * away_y >= best2:
            continue
        begin = lines.start[line] + b * BLOCK
        for e in range(begin, min(begin + BLOCK, lines.start[line + 1])):
            x1, y1, x2, y2 = lines.segment[e]
            dx, dy = nearest_on_segment(lon, lat, x1, y1, x2, y2, east, north)
            if dx * dx + dy * dy < best2:
                best2, best_x, best_y, best_block = dx * dx + dy * dy, dx, dy, b
    return distance_m(lon, lat, lon + best_x / east, lat + best_y / north), best_block


def off_lines(atlas: Atlas, lon: F64, lat: F64, group: I64, group_start: I64, route_of: I64) -> Offsets:
    """(N, K) metres from each fix to each route of its group, and which route; see `_off_lines`."""
    return Offsets(*_off_lines(lon, lat, group, group_start, route_of, atlas.segments))
