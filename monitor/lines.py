"""Lines under trees of boxes: how far a fix is off a line of many segments, without a look at each of them.

Every line has a tree of boxes, six segments or boxes to a box. What has been found near bounds the search: a box further away is
not looked into, so that the cost grows with the logarithm of the length. Exact all the same. The plane of a fix is that of its latitude.
Shapes: N fixes, L lines, E segments, B boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monitor.compiled import kernel
from monitor.fixes import F64, I32, I64
from monitor.geodesy import distance_m, metres_per_degree, nearest_on_segment

FAN = 6
"""Segments or boxes in a box."""
TRUSTED_M = 2000.0
"""A first guess at the nearest segment that is further away than this is replaced by a better one."""


class Lines(NamedTuple):
    """Several lines of segments, each under a tree of boxes.

    Line l has the segments `start[l]` to `start[l + 1]` and the boxes `root[l]` to `root[l + 1]`, level by level from the one
    around them all. The smallest hold `FAN` segments, the others `FAN` boxes.
    """

    start: I64
    segment: F64
    """(E, 4) lon, lat, lon, lat."""
    root: I64
    box: F64
    """(B, 4) west, south, east, north."""
    within: I64
    """(B,) the first box within it; of the smallest boxes -1 less their first segment."""
    after: I64
    """(B,) where to go on after all that is within it: the box beside it, else that beside the one around it; at last `root[l + 1]`."""


def lay(parts: Sequence[F64]) -> Lines:
    """Lay several lines end to end, and their trees."""
    start, trees = _starts(parts), [_tree(part) for part in parts]
    root = _starts([box for box, _, _ in trees])
    box, segment = (np.concatenate([np.empty((0, 4)), *some]) for some in ([box for box, _, _ in trees], parts))
    within, after = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for (_, inner, following), b, e in zip(trees, root.tolist(), start.tolist(), strict=False):
        within.append(np.where(inner < 0, inner - e, inner + b))
        after.append(following + b)
    return Lines(start, segment, root, box, np.concatenate(within), np.concatenate(after))


def _starts(parts: Sequence[F64]) -> I64:
    return np.cumsum([0, *map(len, parts)]).astype(np.int64)


def _tree(segment: F64) -> tuple[F64, I64, I64]:
    """The boxes over (E, 4) segments of one line, what is within each and what comes after it; see `Lines`."""
    levels = [_boxes(np.hstack([np.minimum(segment[:, :2], segment[:, 2:]), np.maximum(segment[:, :2], segment[:, 2:])]))]
    while len(levels[-1]) > 1:
        levels.append(_boxes(levels[-1]))
    levels.reverse()
    begin = _starts(levels)
    within, after = [], [begin[-1:]]
    for depth, level in enumerate(levels):
        number = np.arange(len(level))
        within.append(begin[depth + 1] + number * FAN if depth < len(levels) - 1 else -1 - number * FAN)
        if depth:
            last = (number % FAN == FAN - 1) | (number == len(level) - 1)
            after.append(np.where(last, after[-1][number // FAN], begin[depth] + number + 1))
    return np.concatenate(levels), np.concatenate(within), np.concatenate(after)


def _boxes(boxes: F64) -> F64:
    """The boxes around each `FAN` of some boxes."""
    begins = np.arange(0, len(boxes), FAN)
    return np.hstack([np.minimum.reduceat(boxes[:, :2], begins), np.maximum.reduceat(boxes[:, 2:], begins)])


@kernel
def measure(lon: F64, lat: F64, group: I64, group_start: I64, line_of: I64, lines: Lines) -> tuple[F64, I32]:
    """(N, K) metres from each fix to each line of its group, NaN beyond the group's count; and (N, K) which line, -1 for none.

    Group g (-1: none) has the lines `line_of[group_start[g]:group_start[g + 1]]`; K is the largest count.
    """
    most = 0
    for g in range(len(group_start) - 1):
        most = max(most, group_start[g + 1] - group_start[g])
    metres, which = np.full((len(lon), most), np.nan), np.full((len(lon), most), -1, np.int32)
    hint = np.full(len(lines.start), -1)  # the segment that was nearest to the fix before: a good first guess
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
    """Metres to the nearest point of a line, and the segment it lies on; `hint` (-1: none) is measured first.

    What is found bounds the rest: a box further away than that is not looked into.
    """
    east, north = metres_per_degree(lat)
    nearest, best2, best_x, best_y = hint, np.inf, 0.0, 0.0
    if hint >= 0:
        best_x, best_y = to_segment(lon, lat, hint, east, north, lines.segment)
        best2 = best_x * best_x + best_y * best_y
    if best2 > TRUSTED_M * TRUSTED_M:
        nearest = _guess(lon, lat, line, east, north, lines)
        best_x, best_y = to_segment(lon, lat, nearest, east, north, lines.segment)
        best2 = best_x * best_x + best_y * best_y
    box = lines.root[line]
    while box < lines.root[line + 1]:
        if box2(lon, lat, box, east, north, lines.box) >= best2:
            box = lines.after[box]
            continue
        inner = lines.within[box]
        if inner < 0:
            for e in range(-1 - inner, min(FAN - 1 - inner, lines.start[line + 1])):
                dx, dy = to_segment(lon, lat, e, east, north, lines.segment)
                if dx * dx + dy * dy < best2:
                    best2, best_x, best_y, nearest = dx * dx + dy * dy, dx, dy, e
        box = lines.after[box] if inner < 0 else inner
    return distance_m(lon, lat, lon + best_x / east, lat + best_y / north), nearest


@kernel
def _guess(lon: float, lat: float, line: int, east: float, north: float, lines: Lines) -> int:
    """A segment that is probably near: down the tree by the nearest box."""
    box = lines.root[line]
    while lines.within[box] >= 0:
        inner = nearest = lines.within[box]
        best2 = np.inf
        while inner != lines.after[box]:
            away2 = box2(lon, lat, inner, east, north, lines.box)
            if away2 < best2:
                nearest, best2 = inner, away2
            inner = lines.after[inner]
        box = nearest
    return int(-1 - lines.within[box])


@kernel
def box2(lon: float, lat: float, b: int, east: float, north: float, box: F64) -> float:
    """Square metres to a box, 0 inside it: no point of it is nearer."""
    x = max(0.0, max(box[b, 0] - lon, lon - box[b, 2])) * east
    y = max(0.0, max(box[b, 1] - lat, lat - box[b, 3])) * north
    return float(x * x + y * y)


@kernel
def to_segment(lon: float, lat: float, e: int, east: float, north: float, segment: F64) -> tuple[float, float]:
    """East and north metres from a point to the nearest point of a segment."""
    return nearest_on_segment(lon, lat, segment[e, 0], segment[e, 1], segment[e, 2], segment[e, 3], east, north)


@kernel
def crosses(lon: float, lat: float, e: int, segment: F64) -> bool:
    """Whether an edge crosses the line from a point due east."""
    x1, y1, x2, y2 = segment[e, 0], segment[e, 1], segment[e, 2], segment[e, 3]
    return bool((y1 > lat) != (y2 > lat) and lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1)
