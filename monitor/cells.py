"""Cells over places: which edges matter to a fix, so that few need to be looked at.

A tree of square cells covers all places. In each cell a place is entered that covers it whole, or with the few edges that can be the
nearest to a fix in it, or cross it. Whether a fix is inside follows from whether the cell's *middle* is, and from how many edges lie
between the two. Holes count; the boundary belongs to the place. Edges are straight in longitude and latitude, as GeoJSON says.
Crossings are told by the sides that points lie on, each always computed the same way: no rounding lets a fix slip through between two
edges, but for fixes within `ON_EDGE_M` of one, which are on the boundary.
Shapes: N fixes, P places, V vertices, C cells, M entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from monitor.compiled import kernel
from monitor.fixes import F64, I32, I64
from monitor.geodesy import metres_per_degree, nearest_on_segment

NEAR_M = 200.0
"""A place matters to fixes inside it and up to this far outside."""
ON_EDGE_M = 0.001
CELL_DEG, TOP = 0.0025, 4
"""A cell of one level is 4 by 4 of the level below; those of level 0 have this size, and level `TOP` is the highest."""
FEW_EDGES = 8
"""With more edges than that a cell is cut in 16."""
FIRST_CELLS = 16
MIDDLE = 0.5 + 0.001 * 2.0**0.5
"""Where in a cell its middle is taken to be: no map has a vertex just there."""
FURTHEST_DEG = 85.0
SLACK = 1.01
"""What distances in a plane may be wrong by."""
WHOLE, INSIDE, OUTSIDE, BESIDE, MORE = range(5)
"""Of a place in a cell: covers it; its middle is inside, or outside; is near, but not in it; further edges of the same place."""


class Outlines(NamedTuple):
    """The rings of P places, vertex by vertex; an edge goes by the number of the vertex it begins at."""

    vertex: F64
    """(V, 2) longitude and latitude; a ring ends with its first vertex."""
    edge: I64
    """(E,) the edges."""
    start: I64
    """(P + 1,) where the edges of each place begin in `edge`."""

    def edges(self, place: int) -> F64:
        """(E, 4) the edges of one place."""
        edge = self.edge[self.start[place] : self.start[place + 1]]
        return np.hstack([self.vertex[edge], self.vertex[edge + 1]])


class Grid(NamedTuple):
    """The cells: those of the highest level side by side, in others' stead the 16 within them."""

    column: int
    row: int
    """The first of the highest level."""
    columns: int
    rows: int
    """How many of the highest level there are."""
    node: I32
    """(C + 1, 2) of each cell the first of those within it, or -1; and where its entries begin, which end where the next ones begin."""
    entry: I32
    """(M, 4) a place, what is known of it (`WHOLE` and so on), and the first and last vertex of a run of edges."""


def outlines_of(areas: Sequence[Polygon | MultiPolygon]) -> Outlines:
    """The rings of P places."""
    parts, area_of_part = shapely.get_parts(areas, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    vertex, ring = shapely.get_coordinates(rings, return_index=True)
    edge = np.flatnonzero(ring[1:] == ring[:-1])
    area = area_of_part[part_of_ring[ring[edge]]]
    return Outlines(vertex, edge, np.searchsorted(area, np.arange(len(areas) + 1)).astype(np.int64))


def grid_of(outlines: Outlines) -> Grid:
    """Enter every place in its cells."""
    if not len(outlines.edge):
        return Grid(0, 0, 0, 0, np.zeros((1, 2), np.int32), np.empty((0, 4), np.int32))
    low, high = outlines.vertex.min(axis=0), outlines.vertex.max(axis=0)
    column, row, last_column, last_row = _around(low[0], low[1], high[0], high[1], TOP)
    columns, rows = last_column - column + 1, last_row - row + 1
    child, cell, entry = _enter(outlines, column, row, columns, rows)
    order = np.argsort(cell, kind="stable")
    begin = np.searchsorted(cell[order], np.arange(len(child) + 1))
    return Grid(column, row, columns, rows, np.stack([np.append(child, -1), begin], axis=1).astype(np.int32), entry[order])


@kernel
def _around(west: float, south: float, east: float, north: float, level: int) -> tuple[int, int, int, int]:
    """The columns and rows, first and last, of the cells of a level that cover a box and what is near it."""
    scale = metres_per_degree(min(FURTHEST_DEG, max(abs(south), abs(north))))
    reach_lon, reach_lat, size = SLACK * NEAR_M / scale[0], SLACK * NEAR_M / scale[1], CELL_DEG * (1 << 2 * level)
    column, row = int(np.floor((west - reach_lon) / size)), int(np.floor((south - reach_lat) / size))
    return column, row, int(np.floor((east + reach_lon) / size)), int(np.floor((north + reach_lat) / size))


@kernel
def _enter(outlines: Outlines, column: int, row: int, columns: int, rows: int) -> tuple[I32, I32, I32]:
    """The tree, as the first child of each cell or -1; and of each entry its cell, and the entry.

    Every place starts with the few cells around it; those that it covers are entered, and those with many edges near cut in 16.
    """
    child, cells, entries = [-1] * (columns * rows), [0][:0], [0][:0]
    for place in range(len(outlines.start) - 1):
        edges = outlines.edge[outlines.start[place] : outlines.start[place + 1]]
        todo, full = _first_cells(edges, outlines.vertex), len(edges)
        listed = np.append(edges, edges)
        while len(todo):
            level, x, y, begin, end, inside = todo.pop()
            own = full  # the edges near this cell are appended to the list; those near the one around it are there already
            if own + end - begin > len(listed):
                listed = np.append(listed, listed)
            full, touched = _list_near(level, x, y, begin, end, own, listed, outlines.vertex)
            if inside and not touched:
                cells.append(_cell(level, x, y, column, row, columns, child))
                entries.extend((place, WHOLE, 0, 0))
            elif level > 0 and full > own + FEW_EDGES:
                lon, lat = _middle(level, x, y)
                for k in range(16):
                    within_x, within_y = 4 * x + k % 4, 4 * y + k // 4
                    to_lon, to_lat = _middle(level - 1, within_x, within_y)
                    odd = False
                    for n in range(own, full if touched else own):
                        odd ^= _between(lon, lat, to_lon, to_lat, listed[n], outlines.vertex)
                    todo.append((level - 1, within_x, within_y, own, full, inside ^ odd))
            elif full > own:
                cell = _cell(level, x, y, column, row, columns, child)
                known = (INSIDE if inside else OUTSIDE) if touched else BESIDE
                first = listed[own]
                for n in range(own, full):
                    if n + 1 == full or listed[n + 1] != listed[n] + 1:
                        cells.append(cell)
                        entries.extend((place, known, first, listed[n] + 1))
                        known = MORE
                        first = listed[n + 1] if n + 1 < full else 0
    return np.array(child, np.int32), np.array(cells, np.int32), np.array(entries, np.int32).reshape(-1, 4)


@kernel
def _first_cells(edges: I64, vertex: F64) -> list[tuple[int, int, int, int, int, bool]]:
    """Few cells around a place: level, column, row, which of its edges to look at (all), and whether its middle is inside."""
    west = east = vertex[edges[0], 0]
    south = north = vertex[edges[0], 1]
    for e in edges:
        west, east = min(west, vertex[e, 0]), max(east, vertex[e, 0])
        south, north = min(south, vertex[e, 1]), max(north, vertex[e, 1])
    for level in range(TOP + 1):
        column, row, last_column, last_row = _around(west, south, east, north, level)
        if (last_column - column + 1) * (last_row - row + 1) <= FIRST_CELLS:
            break
    first = [(0, 0, 0, 0, 0, False)][:0]
    for x in range(column, last_column + 1):
        for y in range(row, last_row + 1):
            lon, lat = _middle(level, x, y)
            inside = False
            for e in edges:
                inside ^= _between(west - 1.0, south - 1.0, lon, lat, e, vertex)
            first.append((level, x, y, 0, len(edges), inside))
    return first


@kernel
def _list_near(level: int, x: int, y: int, begin: int, end: int, full: int, listed: I64, vertex: F64) -> tuple[int, bool]:
    """Append to `listed`, of which so many are in use, those from `begin` to `end` that may be the nearest to a point of a cell.

    That is, no further from its centre than the nearest, but for twice half a diagonal: once for the one, once for the other. Gives
    how many are then in use, and whether one of them touches the cell.
    """
    size = CELL_DEG * (1 << 2 * level)
    west, south = x * size, y * size
    lon, lat = west + size / 2.0, south + size / 2.0
    east_m, north_m = metres_per_degree(max(-FURTHEST_DEG, min(FURTHEST_DEG, lat)))
    half = SLACK * size / 2.0 * (east_m * east_m + north_m * north_m) ** 0.5
    half *= 1.0 + np.radians(size / 2.0) * north_m / east_m  # a degree of longitude is not everywhere in the cell as long
    away, nearest = np.empty(end - begin), np.inf
    for n in range(begin, end):
        dx, dy = _to_edge(lon, lat, listed[n], east_m, north_m, vertex)
        away[n - begin] = (dx * dx + dy * dy) ** 0.5
        nearest = min(nearest, away[n - begin])
    reach, touched = min(SLACK * NEAR_M + half, nearest + 2.0 * half), False
    for n in range(begin, end):
        if away[n - begin] <= reach:
            listed[full] = listed[n]
            full += 1
            touched |= away[n - begin] <= half and _touches(west, south, size, listed[n], vertex)
    return full, touched


@kernel
def _to_edge(lon: float, lat: float, e: int, east: float, north: float, vertex: F64) -> tuple[float, float]:
    """East and north metres from a point to the nearest point of an edge."""
    return nearest_on_segment(lon, lat, vertex[e, 0], vertex[e, 1], vertex[e + 1, 0], vertex[e + 1, 1], east, north)


@kernel
def _touches(west: float, south: float, size: float, e: int, vertex: F64) -> bool:
    """Whether an edge touches a cell, or does so nearly."""
    low, high = -1e-9, size + 1e-9
    x1, y1, x2, y2 = vertex[e, 0] - west, vertex[e, 1] - south, vertex[e + 1, 0] - west, vertex[e + 1, 1] - south
    if max(x1, x2) < low or min(x1, x2) > high or max(y1, y2) < low or min(y1, y2) > high:
        return False
    dx, dy = x2 - x1, y2 - y1
    middle, reach = dx * (size / 2.0 - y1) - dy * (size / 2.0 - x1), (abs(dx) + abs(dy)) * (size / 2.0 + 1e-9)
    return bool(abs(middle) <= reach)


@kernel
def _middle(level: int, x: int, y: int) -> tuple[float, float]:
    """Longitude and latitude of a cell's middle."""
    size = CELL_DEG * (1 << 2 * level)
    return (x + MIDDLE) * size, (y + MIDDLE) * size


@kernel
def _cell(level: int, x: int, y: int, column: int, row: int, columns: int, child: list[int]) -> int:
    """The number of a cell; it and those around it are made where they are not there yet."""
    up = TOP - level
    cell = ((y >> 2 * up) - row) * columns + (x >> 2 * up) - column
    while up > 0:
        up -= 1
        if child[cell] < 0:
            child[cell] = len(child)
            child.extend([-1] * 16)
        cell = child[cell] + 4 * ((y >> 2 * up) & 3) + ((x >> 2 * up) & 3)
    return cell


@kernel
def _side(lon: float, lat: float, x1: float, y1: float, x2: float, y2: float) -> bool:
    """Whether a point lies to the left of the line from one point to another."""
    return bool((x2 - x1) * (lat - y1) - (y2 - y1) * (lon - x1) > 0.0)


@kernel
def _between(lon: float, lat: float, to_lon: float, to_lat: float, e: int, vertex: F64) -> bool:
    """Whether an edge lies between two points."""
    left = _side(vertex[e, 0], vertex[e, 1], lon, lat, to_lon, to_lat)
    then = _side(vertex[e + 1, 0], vertex[e + 1, 1], lon, lat, to_lon, to_lat)
    return left != then and _parts(lon, lat, to_lon, to_lat, e, vertex)


@kernel
def _parts(lon: float, lat: float, to_lon: float, to_lat: float, e: int, vertex: F64) -> bool:
    """Whether two points lie on different sides of the line that an edge lies on."""
    x1, y1, x2, y2 = vertex[e, 0], vertex[e, 1], vertex[e + 1, 0], vertex[e + 1, 1]
    return _side(lon, lat, x1, y1, x2, y2) != _side(to_lon, to_lat, x1, y1, x2, y2)


def pairs_of(lon: F64, lat: F64, grid: Grid, vertex: F64) -> tuple[I64, I32, F64]:
    """The columns of `Pairs`: of each fix the places entered in the cells it lies in, from the largest to the smallest."""
    fix, place, outside = np.empty(len(lon) + 16, np.int64), np.empty(len(lon) + 16, np.int32), np.empty(len(lon) + 16)
    done, found = _fill(0, 0, lon, lat, grid, vertex, fix, place, outside)
    while done < len(lon):
        fix, place, outside = (np.concatenate([column, np.empty_like(column)]) for column in (fix, place, outside))
        done, found = _fill(done, found, lon, lat, grid, vertex, fix, place, outside)
    return fix[:found], place[:found], outside[:found]


@kernel
def _fill(
    done: int, found: int, lon: F64, lat: F64, grid: Grid, vertex: F64, fix: I64, place: I32, outside: F64
) -> tuple[int, int]:
    """Fill in the pairs of the fixes from `done` on, after those `found`, while there is room; gives how far that went."""
    node, entry = grid.node, grid.entry
    first_column, first_row, columns, rows = grid.column, grid.row, grid.columns, grid.rows
    for i in range(done, len(lon)):
        x, y, before = int(np.floor(lon[i] / CELL_DEG)), int(np.floor(lat[i] / CELL_DEG)), found
        column, row, level = (x >> 2 * TOP) - first_column, (y >> 2 * TOP) - first_row, TOP
        cell = row * columns + column if 0 <= column < columns and 0 <= row < rows else -1
        while cell >= 0:
            j, end = node[cell, 1], node[cell + 1, 1]
            while j < end:
                begin = j
                j += 1
                away = 0.0
                if entry[begin, 1] != WHOLE:
                    while j < end and entry[j, 1] == MORE:
                        j += 1
                    middle_lon, middle_lat = _middle(level, x >> 2 * level, y >> 2 * level)
                    away = _outside_m(lon[i], lat[i], middle_lon, middle_lat, begin, j, entry, vertex)
                if away <= NEAR_M:
                    if found == len(fix):
                        return i, before
                    fix[found], place[found], outside[found] = i, entry[begin, 0], away
                    found += 1
            cell, level = node[cell, 0], level - 1
            if cell >= 0:
                cell += 4 * ((y >> 2 * level) & 3) + ((x >> 2 * level) & 3)
    return len(lon), found


@kernel
def _outside_m(
    lon: float, lat: float, middle_lon: float, middle_lat: float, first: int, end: int, entry: I32, vertex: F64
) -> float:
    """Metres outside a place: 0 inside or on its edge; more than `NEAR_M` where it is not near."""
    inside = entry[first, 1] == INSIDE
    if entry[first, 1] != BESIDE:
        for k in range(first, end):
            left = _side(vertex[entry[k, 2], 0], vertex[entry[k, 2], 1], lon, lat, middle_lon, middle_lat)
            for e in range(entry[k, 2], entry[k, 3]):
                before = left
                left = _side(vertex[e + 1, 0], vertex[e + 1, 1], lon, lat, middle_lon, middle_lat)
                inside ^= left != before and _parts(lon, lat, middle_lon, middle_lat, e, vertex)
    if inside:
        return 0.0
    east, north = metres_per_degree(lat)
    nearest2 = 1.1 * NEAR_M * NEAR_M  # an edge further away than that need not be found
    for k in range(first, end):
        for e in range(entry[k, 2], entry[k, 3]):
            dx, dy = _to_edge(lon, lat, e, east, north, vertex)
            nearest2 = min(nearest2, dx * dx + dy * dy)
    return 0.0 if nearest2 <= ON_EDGE_M * ON_EDGE_M else float(nearest2**0.5)
