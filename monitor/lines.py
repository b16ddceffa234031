"""Lines under trees of boxes: how far a fix is off a line of many segments, without a look at each of them.

Every line has a tree of boxes, six segments or boxes to a box. What has been found near bounds the search: a box further away is
not looked into, so that the cost grows with the logarithm of the length. Exact all the same. The plane of a fix is that of its latitude.
A line whose lengths are known also says how far along it the nearest point is, but where it comes back near itself that is unknown:
two stretches lie there, and a position cannot tell which of them is driven.
Shapes: N fixes, L lines, E segments, B boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from monitor.compiled import kernel
from monitor.fixes import F64, I32, I64, Bool
from monitor.geodesy import distance_m, metres_per_degree, nearest_on_segment, turned

FAN = 6
"""Segments or boxes in a box."""
TRUSTED_M = 2000.0
"""A first guess at the nearest segment that is further away than this is replaced by a better one."""
BESIDE_M, APART_M = 250.0, 5000.0
"""A line comes back near itself where a stretch of it, more than `APART_M` further along or back, is within `BESIDE_M`."""


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


class Lengths(NamedTuple):
    """How far along their line the segments are."""

    along: F64
    """(E, 2) metres from the line's first vertex to where a segment begins and ends."""
    doubtful: Bool
    """(E,) whether the line may come back near itself somewhere on a segment."""


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


def lengths_of(lines: Lines, metres: Sequence[F64]) -> Lengths:
    """Add up the metres of the segments of each line."""
    along, doubtful = [np.empty((0, 2))], [np.empty(0, np.bool_)]
    for begin, some in zip(lines.start.tolist(), metres, strict=False):
        ends = np.cumsum([0.0, *some])
        along.append(np.stack([ends[:-1], ends[1:]], axis=1))
        doubtful.append(_doubtful(lines.segment[begin : begin + len(some)], along[-1]))
    return Lengths(np.concatenate(along), np.concatenate(doubtful))


def _doubtful(segment: F64, along: F64) -> Bool:
    """(E,) whether some point of each segment of a line may be within `BESIDE_M` of one of another, `APART_M` away along the line.

    In a plane in which distances are rather too short: no such segment is missed.
    """
    metres = segment * np.tile(metres_per_degree(float(np.abs(segment[:, 1::2]).max())), 2)
    low, high = np.minimum(metres[:, :2], metres[:, 2:]), np.maximum(metres[:, :2], metres[:, 2:])
    boxes, grown = shapely.box(*low.T, *high.T), shapely.box(*(low - (1.01 * BESIDE_M)).T, *(high + (1.01 * BESIDE_M)).T)
    one, other = shapely.STRtree(boxes).query(grown)
    later = along[other, 1] - along[one, 0] > APART_M
    one, other = one[later], other[later]
    begin, end, length = along[:, 0], along[:, 1], np.maximum(1e-3, along[:, 1] - along[:, 0])
    before = _clipped(metres[one], np.zeros(len(one)), (end[other] - APART_M - begin[one]) / length[one])
    after = _clipped(metres[other], (begin[one] + APART_M - begin[other]) / length[other], np.ones(len(other)))
    near = shapely.dwithin(before, after, 1.01 * BESIDE_M)
    one, other = one[near], other[near]
    doubtful = np.zeros(len(segment), np.bool_)
    doubtful[one] = doubtful[other] = True
    return doubtful


def _clipped(segment: F64, begin: F64, end: F64) -> npt.NDArray[np.object_]:
    """(M,) lines from one share of (M, 4) segments to another."""
    shares = np.clip(np.stack([begin, end], axis=1), 0.0, 1.0)[..., None]
    return np.asarray(shapely.linestrings(segment[:, None, :2] * (1.0 - shares) + segment[:, None, 2:] * shares))


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
def measure(lon: F64, lat: F64, group: I64, group_start: I64, line_of: I64, lines: Lines) -> tuple[F64, I32, I64]:
    """(N, K) metres from each fix to each line of its group, which line, and which segment of it is nearest.

    Beyond the group's count they are NaN, -1 and -1.
    Group g (-1: none) has the lines `line_of[group_start[g]:group_start[g + 1]]`; K is the largest count.
    """
    most = 0
    for g in range(len(group_start) - 1):
        most = max(most, group_start[g + 1] - group_start[g])
    metres, which = np.full((len(lon), most), np.nan), np.full((len(lon), most), -1, np.int32)
    nearest = np.full((len(lon), most), -1)
    hint = np.full(len(lines.start), -1)  # the segment that was nearest to the fix before: a good first guess
    for i in range(len(lon)):
        g = group[i]
        if g < 0:
            continue
        for k in range(group_start[g + 1] - group_start[g]):
            line = line_of[group_start[g] + k]
            which[i, k] = line
            metres[i, k], hint[line] = _off_line(lon[i], lat[i], line, hint[line], lines)
            nearest[i, k] = hint[line]
    return metres, which, nearest


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
def progress(lon: F64, lat: F64, line: I32, nearest: I64, lines: Lines, lengths: Lengths) -> F64:
    """(N, K) metres from the first vertex of each line to the point of it that is nearest to a fix, along the line.

    `line` and `nearest` are those of `measure`. NaN where the line comes back near itself, and where there is none.
    """
    along = np.full(line.shape, np.nan)
    for i in range(len(lon)):
        east, north = metres_per_degree(lat[i])
        for k in range(line.shape[1]):
            e = nearest[i, k]
            if e < 0:
                break
            x, y = to_segment(lon[i], lat[i], e, east, north, lines.segment)
            x1, y1 = turned(lines.segment[e, 0] - lon[i]) * east, (lines.segment[e, 1] - lat[i]) * north
            x2, y2 = turned(lines.segment[e, 2] - lon[i]) * east, (lines.segment[e, 3] - lat[i]) * north
            length2 = (x2 - x1) ** 2 + (y2 - y1) ** 2
            share = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length2 if length2 > 0.0 else 0.0
            spot = lengths.along[e, 0] + share * (lengths.along[e, 1] - lengths.along[e, 0])
            if not lengths.doubtful[e] or not _beside(
                lon[i] + x / east, lat[i] + y / north, spot, line[i, k], lines, lengths.along
            ):
                along[i, k] = spot
    return along


@kernel
def _beside(lon: float, lat: float, spot: float, line: int, lines: Lines, along: F64) -> bool:
    """Whether a line comes within `BESIDE_M` of a point of it more than `APART_M` further along or back."""
    east, north = metres_per_degree(lat)
    box, end = lines.root[line], lines.start[line + 1]
    while box < lines.root[line + 1]:
        if box2(lon, lat, box, east, north, lines.box) > BESIDE_M * BESIDE_M:
            box = lines.after[box]
            continue
        inner = lines.within[box]
        if inner < 0:
            for e in range(-1 - inner, min(FAN - 1 - inner, end)):
                begins, ends = along[e, 0], along[e, 1]
                for first, last in ((begins, min(ends, spot - APART_M)), (max(begins, spot + APART_M), ends)):
                    if first < last:
                        lon1, lat1 = _spot(e, (first - begins) / (ends - begins), lines.segment)
                        lon2, lat2 = _spot(e, (last - begins) / (ends - begins), lines.segment)
                        x, y = nearest_on_segment(lon, lat, lon1, lat1, lon2, lat2, east, north)
                        if x * x + y * y <= BESIDE_M * BESIDE_M:
                            return True
        box = lines.after[box] if inner < 0 else inner
    return False


@kernel
def _spot(e: int, share: float, segment: F64) -> tuple[float, float]:
    """Longitude and latitude of the point that a share of a segment lies before."""
    x1, y1 = segment[e, 0], segment[e, 1]
    return x1 + share * turned(segment[e, 2] - x1), y1 + share * (segment[e, 3] - y1)


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
