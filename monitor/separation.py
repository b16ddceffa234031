"""Separation: the tractor of a trip is under way, and the trailer that the trip names is not with it.

Two vehicles are looked at, so that this is no detector of the per-vehicle step but a second one, over the positions of both.

Definitions
    A *pair* is a trip that names a trailer: its vehicle is the tractor, the trailer is a vehicle of the same carrier. Only precise
    fixes of the two count, one a time (of the lowest digest), within the trip's interval; of the tractor not those on which
    another trip of its wins.
    A tractor's fix is judged against the trailer's fix nearest in time (of two equally near ones the earlier), if they are
    *synchronous*: at most `synchronous` apart. In that time the two may have moved on, by the greater of their speeds.
    It *shows* a separation where the two are further apart than `apart_m` and what they may have moved, the tractor is under way, and
    neither of them is in a `drop` or a `yard`: a trailer left there is where it belongs. The tractor is under way if it reports
    `motion.high_mps` or more, or reports no speed and came as far since its fix before.
    It *ends* one where the two are synchronous and at most `apart_m` apart; it casts *doubt* on one where they are further apart, but
    no further than what they may have moved: then what is not raised yet is forgotten. Any other fix says nothing.
    The limits are those in force at the trip's start.
    A separation is raised at the `min_fixes`-th showing fix, of which each counts that has another fix of the trailer than the one
    counted before: one wrong position of the trailer is not two. It begins at the first showing fix and is over at the fix that ends
    it, or at the first fix of either vehicle at or after the trip's end. Its measure is the furthest that they were seen apart.
Source: CBSA, Partners in Protection: security of conveyances and trailers in transit (tracked unit parted from its power unit).
Shapes: K pairs, N fixes of tractors, M of trailers, each sorted by (pair, time, digest).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from monitor.fixes import F64, I64, Bool, FixBatch, VehicleId
from monitor.geodesy import distances_m
from monitor.motion import NONE
from monitor.settings import milliseconds
from monitor.settings.sections import Separation
from monitor.signals import Signal
from monitor.trips import Trip
from monitor.world import World

KIND = "separation"
UNIT = "m"
SEVERITY = "critical"
WHERE_IT_BELONGS = ("drop", "yard")
UNKNOWN_MPS = 25.0
"""What a vehicle that reports no speed may have driven."""
MARK_MS = 600_000
"""Of so long a time one mark is kept."""
FOREVER = 2**62


class Apart(NamedTuple):
    """What the showing fixes of a pair say so far; instants are ms."""

    since: int
    lon: float
    lat: float
    """Where the tractor was at `since`, degrees."""
    fixes: int
    """Showing fixes that counted."""
    counted: int
    """The time of the trailer's fix of the one counted last."""
    at: int
    """When it was raised; NONE before that."""
    raised: int
    """The newest time that decided it."""
    worst_m: float


class Mark(NamedTuple):
    """Where a pair stood after a fix of its tractor at `time` (ms): from here the later fixes can be judged without the earlier."""

    time: int
    apart: Apart | None


class Pair(NamedTuple):
    """A trip, as its index in the world's trips, its limits, and the mark to go on from; None: from the trip's start."""

    trip: int
    limits: Separation
    mark: Mark | None = None


class Judged(NamedTuple):
    """What came of one pair: its separations beyond its mark, and marks to go on from later, in order of time."""

    signals: list[Signal]
    marks: list[Mark]


def paired(world: World) -> list[int]:
    """The trips that name a trailer, by index; one that was planned otherwise since is there, but empty, and none."""
    return [number for number, trip in enumerate(world.trips.all) if trip.trailer and trip.starts_at < trip.ends_at]


def limits_of(world: World, trips: Sequence[int]) -> list[Separation]:
    """The limits of some trips, by index: those in force at a trip's start hold to its end."""
    plans = [world.trips.all[number] for number in trips]
    tractors = [VehicleId(plan.carrier, plan.vehicle) for plan in plans]
    starts = np.array([plan.starts_at for plan in plans], np.int64)
    profiles = world.profiles_of(tractors, np.arange(len(plans), dtype=np.int32), starts, np.array(trips, np.int32))
    return [world.profiles[profile].separation for profile in profiles.tolist()]


def all_separations(fixes: FixBatch, vehicles: Sequence[VehicleId], world: World, horizon: int) -> list[Signal]:
    """The separations that all fixes show, up to a horizon (ms); `vehicles` are those of the fixes, by code."""
    code = {vehicle: number for number, vehicle in enumerate(vehicles)}
    found = []
    for number in paired(world):
        trip = world.trips.all[number]
        both = [code.get(VehicleId(trip.carrier, name), -1) for name in (trip.vehicle, trip.trailer or "")]
        tractor, trailer = (fixes.take(slice(*np.searchsorted(fixes.vehicle, [one, one + 1]).tolist())) for one in both)
        found += separations(number, tractor, trailer, world, horizon)
    return found


def separations(trip: int, tractor: FixBatch, trailer: FixBatch, world: World, horizon: int) -> list[Signal]:
    """The separations of one trip (an index) that the fixes of its two vehicles up to a horizon (ms) show, in order of time."""
    both = (fixes.take(fixes.time.view(np.int64) <= horizon) for fixes in (tractor, trailer))
    one, other = (replace(fixes, vehicle=np.zeros(len(fixes), np.int32)) for fixes in both)
    [limits] = limits_of(world, [trip])
    return judge([Pair(trip, limits)], one, other, world)[0].signals


def judge(pairs: Sequence[Pair], tractor: FixBatch, trailer: FixBatch, world: World) -> list[Judged]:
    """Judge K pairs: of each its separations beyond its mark, and new marks.

    The `vehicle` of the fixes is the pair (0 to K - 1) that they are of. Of a pair with a mark at T they must hold the tractor's fix
    at T and all later ones, and the trailer's from T less `synchronous`; otherwise all since the trip's start.
    """
    sync = np.array([milliseconds(pair.limits.synchronous) for pair in pairs], np.int64)
    over = np.full(len(pairs), FOREVER, np.int64)
    tractor, trailer = (_on_trip(pairs, fixes, over, world) for fixes in (tractor, trailer))
    tractor = tractor.take(_winning(pairs, tractor, world))
    first, second = tractor.vehicle.astype(np.int64), trailer.vehicle.astype(np.int64)
    match, gap = _nearest(first, tractor.time.view(np.int64), second, trailer.time.view(np.int64))
    synchronous = gap <= sync[first]
    match = np.where(synchronous, match, 0)
    metres = np.full(len(first), np.nan)
    i, j = np.flatnonzero(synchronous), match[synchronous]
    metres[i] = distances_m(tractor.lon[i], tractor.lat[i], trailer.lon[j], trailer.lat[j])
    apart_m = np.array([pair.limits.apart_m for pair in pairs])[first]
    ends = synchronous & (metres <= apart_m)
    i = np.flatnonzero(synchronous & ~ends)
    beyond = metres[i] > apart_m[i] + _fastest(tractor, i, trailer, match[i]) * gap[i] / 1000.0
    doubts = np.zeros(len(first), bool)
    doubts[i[~beyond]] = True
    i = i[beyond & _under_way(tractor, world)[i]]
    belongs = _belongs(pairs, tractor.take(i), world) | _belongs(pairs, trailer.take(match[i]), world)
    shows = np.zeros(len(first), bool)
    shows[i[~belongs]] = True
    evidence = _Evidence(tractor, trailer, match, metres, shows, ends, doubts)
    bounds = np.searchsorted(first, np.arange(len(pairs) + 1))
    return [
        _judged(pair, evidence, int(begin), int(end), int(last), world)
        for pair, begin, end, last in zip(pairs, bounds[:-1], bounds[1:], over, strict=True)
    ]


class _Evidence(NamedTuple):
    """What N fixes of tractors say, each against the matched of M fixes of trailers."""

    tractor: FixBatch
    trailer: FixBatch
    match: I64
    metres: F64
    shows: Bool
    ends: Bool
    doubts: Bool


def _judged(pair: Pair, evidence: _Evidence, begin: int, end: int, over: int, world: World) -> Judged:
    """Go through one pair's fixes `begin` to `end`; `over` is the first fix after the trip (FOREVER: none yet)."""
    trip, limit, mark = world.trips.all[pair.trip], pair.limits, pair.mark
    time = evidence.tractor.time.view(np.int64)[begin:end]
    begin += 0 if mark is None else int(np.searchsorted(time, mark.time, side="right"))
    time = evidence.tractor.time.view(np.int64)[begin:end]
    apart = None if mark is None else mark.apart
    signals: list[Signal] = []
    steps: list[tuple[int, Apart | None]] = [(NONE, apart)]
    if apart is not None or evidence.shows[begin:end].any():
        said = evidence.shows[begin:end] | evidence.ends[begin:end] | evidence.doubts[begin:end]
        for i in (begin + np.flatnonzero(said)).tolist():
            if evidence.shows[i]:
                apart = _further(apart, limit, evidence, i)
            elif apart is not None and (evidence.ends[i] or apart.at == NONE):
                signals += _said(trip, limit, apart, int(time[i - begin]), _decided(evidence, i))
                apart = None
            steps.append((int(time[i - begin]), apart))
    if apart is not None:
        until = None if over == FOREVER else over
        signals += _said(trip, limit, apart, until, apart.raised if until is None else over)
    return Judged(signals, _marks(time, steps, milliseconds(limit.synchronous)))


def _further(apart: Apart | None, limit: Separation, evidence: _Evidence, i: int) -> Apart:
    """What stands after another showing fix."""
    time, counted = int(evidence.tractor.time.view(np.int64)[i]), int(evidence.trailer.time.view(np.int64)[evidence.match[i]])
    metres = float(evidence.metres[i])
    if apart is None:
        apart = Apart(time, float(evidence.tractor.lon[i]), float(evidence.tractor.lat[i]), 0, NONE, NONE, NONE, metres)
    apart = apart._replace(worst_m=max(apart.worst_m, metres))
    if counted != apart.counted:
        apart = apart._replace(fixes=apart.fixes + 1, counted=counted)
    if apart.at == NONE and apart.fixes >= limit.min_fixes:
        apart = apart._replace(at=time, raised=_decided(evidence, i))
    return apart


def _decided(evidence: _Evidence, i: int) -> int:
    """The newer of a tractor's fix and the trailer's that it was judged against."""
    return int(max(evidence.tractor.time.view(np.int64)[i], evidence.trailer.time.view(np.int64)[evidence.match[i]]))


def _said(trip: Trip, limit: Separation, apart: Apart, until: int | None, decided: int) -> list[Signal]:
    """The signal of a separation, if it was ever raised."""
    if apart.at == NONE:
        return []
    return [
        Signal(
            kind=KIND,
            carrier=trip.carrier,
            vehicle=trip.vehicle,
            place=None,
            route=None,
            trip=trip.id,
            since=apart.since,
            at=apart.at,
            until=until,
            presumed=False,
            lon=apart.lon,
            lat=apart.lat,
            measure=apart.worst_m,
            limit=limit.apart_m,
            unit=UNIT,
            severity=SEVERITY,
            raised=apart.raised,
            decided=decided,
            closed=until is not None,
        )
    ]


def _marks(time: I64, steps: Sequence[tuple[int, Apart | None]], sync: int) -> list[Mark]:
    """A mark for every ten minutes, and one at the newest fix that a trailer's next is not likely to be near."""
    settled = time[: np.searchsorted(time, time[-1] - sync, side="right")] if len(time) else time
    last = np.flatnonzero(np.append(np.diff(settled // MARK_MS) != 0, True)) if len(settled) else np.empty(0, np.intp)
    known = [begin for begin, _ in steps]
    return [Mark(at, steps[bisect_right(known, at) - 1][1]) for at in settled[last].tolist()]


def _on_trip(pairs: Sequence[Pair], fixes: FixBatch, over: I64, world: World) -> FixBatch:
    """The precise fixes within the trips, one a time; `over` (K,) becomes the time of the first after the trip, if that is earlier."""
    trips = [world.trips.all[each.trip] for each in pairs]
    starts, ends = (np.array([getattr(trip, name) for trip in trips], np.int64) for name in ("starts_at", "ends_at"))
    fixes = fixes.take(fixes.precise)
    pair, time = fixes.vehicle, fixes.time.view(np.int64)
    after = time >= ends[pair]
    np.minimum.at(over, pair[after], time[after])
    kept = ~after & (time >= starts[pair])
    kept[1:] &= (time[1:] != time[:-1]) | (pair[1:] != pair[:-1])
    return fixes.take(kept)


def _winning(pairs: Sequence[Pair], tractor: FixBatch, world: World) -> Bool:
    """(N,) whether no other trip of the tractor wins at its fix: one that began later, or together and has a greater id."""
    wins, time = np.ones(len(tractor), bool), tractor.time.view(np.int64)
    for k, pair in enumerate(pairs):
        trip = world.trips.all[pair.trip]
        theirs = list(world.trips.of(VehicleId(trip.carrier, trip.vehicle)))
        begin, end = np.searchsorted(tractor.vehicle, [k, k + 1]).tolist()
        for number in theirs[theirs.index(pair.trip) + 1 :]:
            other = world.trips.all[number]
            if other.starts_at < trip.ends_at:
                wins[begin:end] &= (time[begin:end] < other.starts_at) | (time[begin:end] >= other.ends_at)
    return wins


def _nearest(first: I64, time: I64, second: I64, other: I64) -> tuple[I64, I64]:
    """(N,) of each of N times the nearest of M other times of the same pair, the earlier of two, and how many ms lie between."""
    if not len(time) or not len(other):
        return np.zeros(len(time), np.int64), np.full(len(time), FOREVER, np.int64)
    low = min(time.min(), other.min())
    width = max(time.max(), other.max()) - low + 1
    right = np.searchsorted(second * width + (other - low), first * width + (time - low))
    match, gap = np.zeros(len(time), np.int64), np.full(len(time), FOREVER, np.int64)
    for candidate in (right - 1, right):
        index = np.clip(candidate, 0, len(other) - 1)
        same = (candidate == index) & (second[index] == first)
        away = np.where(same, np.abs(time - other[index]), FOREVER)
        match, gap = np.where(away < gap, index, match), np.minimum(gap, away)
    return match, gap


def _fastest(tractor: FixBatch, i: I64, trailer: FixBatch, j: I64) -> F64:
    """The greater speed of fixes `i` of tractors and their matches `j`, m/s."""
    speeds = [fixes.speed[index].astype(np.float64) for fixes, index in ((tractor, i), (trailer, j))]
    return np.maximum(*(np.where(np.isnan(speed), UNKNOWN_MPS, speed) for speed in speeds))


def _under_way(tractor: FixBatch, world: World) -> Bool:
    """(N,) whether the tractor is under way: as it reports, or where it reports no speed, as far as it came."""
    high, speed = world.settings.motion.high_mps, tractor.speed.astype(np.float64)
    came = np.zeros(len(tractor), bool)
    if len(tractor) > 1 and np.isnan(speed).any():
        moved = distances_m(tractor.lon[:-1], tractor.lat[:-1], tractor.lon[1:], tractor.lat[1:])
        time = tractor.time.view(np.int64)
        seconds = (time[1:] - time[:-1]) / 1000.0
        came[1:] = (tractor.vehicle[1:] == tractor.vehicle[:-1]) & (moved >= high * seconds)
    return np.where(np.isnan(speed), came, speed >= high)


def _belongs(pairs: Sequence[Pair], fixes: FixBatch, world: World) -> Bool:
    """(N,) whether fixes lie in a place where a trailer may be left: a drop or a yard of the carrier or of everybody."""
    inside = np.zeros(len(fixes), bool)
    found = world.atlas.locate(fixes.lon, fixes.lat)
    kind = np.array([place.kind in WHERE_IT_BELONGS for place in world.atlas.places], bool)
    near = np.flatnonzero(found.outside_m == 0.0)
    near = near[kind[found.place[near]]] if len(kind) else near
    near_fix, trips = found.fix[near], [world.trips.all[each.trip] for each in pairs]
    vehicles = [VehicleId(trip.carrier, trip.vehicle) for trip in trips]
    theirs = world.visible_to(vehicles, fixes.vehicle[near_fix], fixes.time.view(np.int64)[near_fix], found.place[near])
    inside[near_fix[theirs]] = True
    return inside
