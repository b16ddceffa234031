"""Standing and under way: the stop automaton, one per vehicle, O(1) state.

Definitions
    `d` is the distance of a fix from the running centroid of the current *cluster*; `v` its reported speed, where unknown counts as
    the middle of the two thresholds.
    *in* (d <= radius, v < high): joins the centroid. *hold* (v <= low, radius < d <= hold radius, cluster established, no gap):
    parked drift; extends, the centroid unmoved. *out* otherwise: counts 1 if slow, else 2. Fixes that are out build a *candidate*
    cluster. The cluster breaks if it was never established, or the count reaches its limit, or a gap came before; the candidate
    then becomes the cluster. An in or hold fix drops the candidate.
    A member is *standing evidence* if it is slow or its speed is unknown. A *stop* is open once a cluster's evidence spans the
    shortest stop of interest; it lasts from the first evidence to the last. The vehicle *stands* at a fix that is evidence of an
    open stop.
    A gap makes no stop: what goes on over one is an open stop that the last fix lay in (in or hold), where the fix after it is in;
    any other cluster, and the candidate, start anew at that fix.
    A speed above low is *frozen*, and counts as unknown until it changes, once five fixes or more in a row said exactly it and the
    vehicle lay within the radius of a mark when it should, at that speed, have come twice as far. The mark is the first of these
    fixes; it moves on to each fix at which the vehicle should have come that far, and lay outside.
Sums are whole centimetres in a plane local to a cluster's first fix, and times whole milliseconds, so that no result depends on
how a stream is cut.
Shapes: N fixes (precise, one a time, jumps dropped), R vehicles, S stops.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compiled import advance, kernel
from monitor.fixes import F64, I64, Bool
from monitor.geodesy import distance_m, metres_per_degree, turned
from monitor.settings import Motion, milliseconds

NONE = int(np.iinfo(np.int64).min)
"""No instant."""
DEGREE_M = 110_500.0
"""No degree of latitude is shorter."""

ENOUGH = 5
"""Fixes in a row with exactly one speed, before it can be frozen."""

MOTION = np.dtype(
    [
        ("count", "i8"),  # fixes out
        ("cluster", "i8", 7),
        ("candidate", "i8", 7),
        ("origin", "f8", 4),  # of both
        ("repeats", "i8", 3),
        ("repeated", "f8", 3),  # a speed above low that the last fixes said
    ]
)
"""What the automaton remembers of a vehicle, 200 bytes. All zero: never seen."""


class Cluster(NamedTuple):
    """Fixes that lie together. A cluster without members (`n` = 0) is none."""

    n: int
    x_cm: int
    y_cm: int
    """Members of the centroid, and the sums of their coordinates in the plane."""
    first: int
    last: int
    """ms: the span of its fixes, held ones included."""
    evidence_first: int
    evidence_last: int
    """ms: the span of its standing evidence; NONE without."""
    lon: float
    lat: float
    """Degrees: its first fix, the origin of the plane."""
    east: float
    north: float
    """Metres a degree there; 0 until first needed."""


class Repeat(NamedTuple):
    """A speed above low that the last `n` fixes said; none if `n` is 0."""

    n: int
    frozen: int
    """1 or 0."""
    time: int
    """ms, of the mark."""
    speed: float
    """m/s."""
    lon: float
    lat: float
    """Degrees, of the mark."""


class Movement(NamedTuple):
    """What the automaton says of N fixes and of S stretches of stops (a stop is one, unless it was asked to be cut)."""

    stop: npt.NDArray[np.int32]
    """(N,) the open stop at each fix, an index into the stretches; -1 for none."""
    stands: Bool
    """(N,) whether the fix is evidence of that stop."""
    since: I64
    """(S,) ms, the stop's first evidence."""
    until: I64
    """(S,) ms, its last evidence at the end of the stretch."""
    lon: F64
    lat: F64
    """(S,) degrees, its centroid at the end of the stretch."""


def move(
    state: npt.NDArray[np.void],
    bounds: I64,
    time: I64,
    lon: F64,
    lat: F64,
    speed: npt.NDArray[np.float32],
    gap: Bool,
    cut: Bool,
    settings: Motion,
) -> Movement:
    """Run the automaton over N fixes of R vehicles; `state` (R,) MOTION is advanced in place, the other inputs are not modified.

    Vehicle r has the fixes `bounds[r]` to `bounds[r + 1]`, in time order. `time` ms; `lon`, `lat` degrees; `speed` m/s, NaN unknown;
    `gap` (N,) whether a gap came before the fix; `cut` (N,) whether a
    stop that goes on is to be told as a new stretch from this fix on. Stretches are in the order in which they begin.
    """
    rules = (
        settings.radius_m * 100.0,
        settings.hold_radius_m * 100.0,
        settings.low_mps,
        settings.high_mps,
        milliseconds(settings.establish),
        milliseconds(settings.shortest_stop),
        settings.break_count,
    )
    stop, stands, since, until, where = advance(state, _run, bounds, time, lon, lat, speed, gap, cut, rules)
    return Movement(stop, stands, since, until, where[:, 0], where[:, 1])


@kernel
def _again(s: Repeat, time: int, lon: float, lat: float, radius_m: float) -> Repeat:
    """The same speed once more."""
    if s.frozen or s.speed * (time - s.time) < 2000.0 * radius_m:
        return Repeat(s.n + 1, s.frozen, s.time, s.speed, s.lon, s.lat)
    if abs(lat - s.lat) * DEGREE_M > radius_m or distance_m(s.lon, s.lat, lon, lat) > radius_m:
        return Repeat(s.n + 1, 0, time, s.speed, lon, lat)
    return Repeat(s.n + 1, int(s.n + 1 >= ENOUGH), s.time, s.speed, s.lon, s.lat)


@kernel
def _started(time: int, lon: float, lat: float, evidence: bool) -> Cluster:
    seen = time if evidence else NONE
    return Cluster(1, 0, 0, time, time, seen, seen, lon, lat, 0.0, 0.0)


@kernel
def _scaled(c: Cluster) -> Cluster:
    """The cluster with the scale of its plane, which costs a cosine: most clusters of a moving vehicle never need one."""
    east, north = metres_per_degree(c.lat)
    return Cluster(c.n, c.x_cm, c.y_cm, c.first, c.last, c.evidence_first, c.evidence_last, c.lon, c.lat, east, north)


@kernel
def _extended(c: Cluster, time: int, n: int, x: int, y: int, evidence: bool) -> Cluster:
    """The cluster with one fix more; a held one (n = 0) does not move its centroid."""
    first = time if evidence and c.evidence_first == NONE else c.evidence_first
    last = time if evidence else c.evidence_last
    return Cluster(c.n + n, c.x_cm + x, c.y_cm + y, c.first, time, first, last, c.lon, c.lat, c.east, c.north)


@kernel
def _plane(c: Cluster, lon: float, lat: float) -> tuple[int, int]:
    """Whole centimetres east and north of the cluster's first fix."""
    x = math.floor(turned(lon - c.lon) * c.east * 100.0 + 0.5)
    y = math.floor((lat - c.lat) * c.north * 100.0 + 0.5)
    return int(x), int(y)


@kernel
def _within(c: Cluster, x: int, y: int, radius_cm: float) -> bool:
    """Whether a point of the plane lies within a radius of the centroid (compared times n, so that nothing is divided)."""
    dx, dy, bound = float(x * c.n - c.x_cm), float(y * c.n - c.y_cm), radius_cm * c.n
    return dx * dx + dy * dy <= bound * bound


@kernel
def _read(numbers: I64, origin: F64) -> Cluster:
    east, north = metres_per_degree(origin[1])
    n, x, y, first, last, since, until = numbers
    return Cluster(n, x, y, first, last, since, until, origin[0], origin[1], east, north)


@kernel
def _write(c: Cluster, numbers: I64, origin: F64) -> None:
    numbers[:] = (c.n, c.x_cm, c.y_cm, c.first, c.last, c.evidence_first, c.evidence_last)
    origin[:] = (c.lon, c.lat)


# One long function, because the clusters must stay in registers: split in two it takes twice as long.
@kernel
def _run(
    memory: tuple[I64, I64, I64, F64, I64, F64],
    bounds: I64,
    time: I64,
    lon: F64,
    lat: F64,
    speed: npt.NDArray[np.float32],
    gap: Bool,
    cut: Bool,
    rules: tuple[float, float, float, float, int, int, int],
) -> tuple[npt.NDArray[np.int32], Bool, I64, I64, F64]:
    count, cluster, candidate, origin, repeats, repeated = memory
    radius, hold_radius, low, high, establish, shortest, break_count = rules
    n_fixes, unknown, metres = len(time), (low + high) / 2.0, radius / 100.0
    stop, stands = np.full(n_fixes, -1, np.int32), np.zeros(n_fixes, np.bool_)
    room = n_fixes + len(bounds)  # a stop more than that there cannot be; pages never touched cost nothing
    since, until, where, stops = np.empty(room, np.int64), np.empty(room, np.int64), np.empty((room, 2)), 0
    for r in range(len(bounds) - 1):
        begin, end = bounds[r], bounds[r + 1]
        if begin == end:
            continue
        c, k, out = _read(cluster[r], origin[r, :2]), _read(candidate[r], origin[r, 2:]), count[r]
        s = Repeat(repeats[r, 0], repeats[r, 1], repeats[r, 2], repeated[r, 0], repeated[r, 1], repeated[r, 2])
        number = -1
        for i in range(begin, end):
            if number >= 0 and cut[i]:
                since[number], until[number], where[number] = c.evidence_first, c.evidence_last, _centroid(c)
                number = -1
            t = time[i]
            v: float = np.float64(speed[i])
            evidence = not v > low  # unknown (NaN) is evidence too
            if evidence:
                if s.n:
                    s = Repeat(0, 0, 0, 0.0, 0.0, 0.0)
                if v != v:
                    v = unknown
            elif v != s.speed:
                s = Repeat(1, 0, t, v, lon[i], lat[i])
            else:
                s = _again(s, t, lon[i], lat[i], metres)
                if s.frozen:
                    evidence, v = True, unknown
            broken, near, x, y = False, v < high or v <= low, 0, 0
            if c.n == 0:
                c = _started(t, lon[i], lat[i], evidence)
            elif gap[i] and (out > 0 or not _opened(c, shortest)):
                k, broken = _started(t, lon[i], lat[i], evidence), True
            else:
                if near:
                    if c.east == 0.0:
                        c = _scaled(c)
                    x, y = _plane(c, lon[i], lat[i])
                established = c.last - c.first >= establish
                if v < high and _within(c, x, y, radius):
                    c, out = _extended(c, t, 1, x, y, evidence), 0
                    k = _none()
                elif v <= low and established and not gap[i] and _within(c, x, y, hold_radius):
                    c, out = _extended(c, t, 0, 0, 0, evidence), 0
                    k = _none()
                else:
                    if established and not gap[i]:
                        out += 1 if v <= low else 2
                        k = _tried(k, t, v, lon[i], lat[i], evidence, high, radius)
                        broken = out >= break_count
                    else:
                        k, broken = _started(t, lon[i], lat[i], evidence), True
                    evidence = False
            if broken:
                if number >= 0:
                    since[number], until[number], where[number] = c.evidence_first, c.evidence_last, _centroid(c)
                c, k, out, number = k, _none(), 0, -1
                evidence = c.evidence_last == t
            if number < 0 and _opened(c, shortest):
                number, stops = stops, stops + 1
            stop[i], stands[i] = number, evidence and number >= 0
        if number >= 0:
            since[number], until[number], where[number] = c.evidence_first, c.evidence_last, _centroid(c)
        count[r] = out
        repeats[r], repeated[r] = (s.n, s.frozen, s.time), (s.speed, s.lon, s.lat)
        _write(c, cluster[r], origin[r, :2])
        _write(k, candidate[r], origin[r, 2:])
    return stop, stands, since[:stops].copy(), until[:stops].copy(), where[:stops].copy()


@kernel
def _opened(c: Cluster, shortest: int) -> bool:
    """Whether its evidence spans a stop."""
    return c.evidence_first != NONE and c.evidence_last - c.evidence_first >= shortest


@kernel
def _none() -> Cluster:
    return Cluster(0, 0, 0, 0, 0, NONE, NONE, 0.0, 0.0, 0.0, 0.0)


@kernel
def _tried(k: Cluster, time: int, speed: float, lon: float, lat: float, evidence: bool, high: float, radius: float) -> Cluster:
    """The candidate with a fix that is out of the cluster: joined where it lies within it, else anew."""
    if k.n > 0 and speed < high:
        if k.east == 0.0:
            k = _scaled(k)
        x, y = _plane(k, lon, lat)
        if _within(k, x, y, radius):
            return _extended(k, time, 1, x, y, evidence)
    return _started(time, lon, lat, evidence)


@kernel
def _centroid(c: Cluster) -> tuple[float, float]:
    return c.lon + c.x_cm / c.n / 100.0 / c.east, c.lat + c.y_cm / c.n / 100.0 / c.north
