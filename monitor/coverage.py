"""Coverage: what a vehicle's reporting can show, and how much of each trip it showed. Shown, not hidden.

Definitions
    A vehicle's *interval* for a set of its fixes is the time-weighted median of the intervals between them while it moved (further
    than a stop holds together, or faster than a standing vehicle): half of the time under way lies in intervals no longer than that.
    Where it never moved, it is that of all.
    A condition that lasts as long as n intervals surely shows in n reports; one shorter than an interval may fall between two.
    A detector needs so many reports of a condition, of the fixes that count for it, and is asked to show it where it lasts as long as
    the limit (or another length that matters). It is *supported* where such a condition surely shows in enough reports, *coarse*
    where it surely shows in one, and *unsupported* where it may fall between two, or where what it reads is never reported.
    A trip is *observed* but for its gaps: silences longer than `order.gap` and than three own intervals, those before the first and
    after the last report included. A vehicle without trips is judged from its first report to its last.
Shapes: N fixes of one vehicle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from monitor.fixes import I64, Bool, FixBatch, Quality, VehicleId
from monitor.geodesy import distances_m
from monitor.order import ENOUGH, INTERVALS, order, unseen
from monitor.settings import Detectors, milliseconds
from monitor.trips import Trip
from monitor.world import World

BRIEF_MS = 5 * 60_000
"""The shortest event of interest where a detector has no limit of time: a door opened, a place entered."""
DETOUR_MS = 10 * 60_000
"""The shortest detour, or movement at a wrong time, of interest."""


class Level(StrEnum):
    """How well a detector is served."""

    SUPPORTED = "supported"
    COARSE = "coarse"
    UNSUPPORTED = "unsupported"


class Lack(StrEnum):
    """Why a detector is not served, or not well."""

    NONE = ""
    SLOW = "slow"  # reports come too seldom
    SILENT = "silent"  # no two positions
    IMPRECISE = "imprecise"  # no two positions that can tell a stop or a corridor
    NO_SPEED = "no_speed"
    NO_DOOR = "no_door"
    NO_ALARM = "no_alarm"
    NO_ROUTE = "no_route"
    NO_TRAILER = "no_trailer"
    UNPAIRED = "unpaired"  # the trailer's positions come at other times


class Counted(StrEnum):
    """Which fixes count for a detector."""

    USED = "used"
    SEEN = "seen"  # the precise ones of them
    PAIRED = "paired"  # of these the ones beside which, in time, the trip's trailer has one


@dataclass(frozen=True, slots=True)
class Need:
    """What a detector needs of a feed."""

    reports: Callable[[Detectors], int]
    """Reports of a condition that it takes to show it."""
    lasting: Callable[[Detectors, Feed], int]
    """ms: how long the condition lasts that it is to show."""
    counts: Counted = Counted.SEEN
    lacks: tuple[Lack, ...] = ()
    """What else it may lack: of these NO_SPEED and NO_ALARM leave it coarse, the others unserved."""


def _stop_ms(limits: Detectors, feed: Feed) -> int:
    """The least limit of a stop that the vehicle may come under."""
    stop = limits.unauthorized_stop
    said = [stop.limit]
    if any(place.kind == "no_stop" for place in feed.world.atlas.places):
        said.append(stop.no_stop_limit)
    if any(trip.load == "high_value" and trip.origin for trip in feed.trips):
        said.append(stop.red_zone_limit)
    return min(map(milliseconds, said))


def _dwell_ms(limits: Detectors, feed: Feed) -> int:
    """The least limit of a visit, of any place or kind of place."""
    said = [*vars(limits.long_dwell).values(), *(place.max_dwell for place in feed.world.atlas.places)]
    return min((milliseconds(limit) for limit in said if limit is not None), default=DETOUR_MS)


def _back_ms(limits: Detectors, _feed: Feed) -> int:
    """How long it takes to drive back far enough."""
    return round(1000.0 * limits.wrong_way.back_m / limits.signal_lost.assumed_mps)


NEEDS: Mapping[str, Need] = {
    "unauthorized_stop": Need(lambda _: 2, _stop_ms, lacks=(Lack.NO_SPEED,)),
    "route_deviation": Need(lambda d: d.route_deviation.min_fixes, lambda _, __: DETOUR_MS, lacks=(Lack.NO_ROUTE,)),
    "wrong_way": Need(lambda _: 2, _back_ms, lacks=(Lack.NO_ROUTE,)),
    "long_dwell": Need(lambda _: 2, _dwell_ms, counts=Counted.USED),
    "zone_breach": Need(lambda _: 1, lambda _, __: BRIEF_MS, counts=Counted.USED),
    "after_hours_movement": Need(lambda d: d.after_hours_movement.min_fixes, lambda _, __: DETOUR_MS),
    "separation": Need(lambda d: d.separation.min_fixes, lambda _, __: BRIEF_MS, Counted.PAIRED, (Lack.NO_TRAILER,)),
    "signal_lost": Need(lambda _: 3, lambda d, _: milliseconds(d.signal_lost.limit), counts=Counted.USED),
    "door_open": Need(lambda _: 1, lambda _, __: BRIEF_MS, counts=Counted.USED, lacks=(Lack.NO_DOOR,)),
    "device_alarm": Need(
        lambda _: 1,
        lambda d, _: max(BRIEF_MS, milliseconds(d.device_alarm.jamming_limit)),
        counts=Counted.USED,
        lacks=(Lack.NO_ALARM,),
    ),
    "impossible_movement": Need(lambda _: 2, lambda _, __: DETOUR_MS, counts=Counted.USED),
}
"""By the kind of every detector."""


@dataclass(frozen=True, slots=True)
class Support:
    """How well one detector is served, and why not better."""

    kind: str
    level: Level
    lack: Lack = Lack.NONE
    interval: int = 0
    """ms between two reports that count; 0 unknown."""
    shortest: int = 0
    """ms: a condition shorter than this may not be shown; 0 unknown."""
    wanted: int = 0
    """ms: the condition that it should show."""


@dataclass(frozen=True, slots=True)
class Observed:
    """How much of a trip, or of all between the first and the last report, was observed."""

    trip: str | None
    begin: int
    end: int
    """ms."""
    share: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one vehicle's reporting can show."""

    vehicle: VehicleId
    reports: int
    moving_interval: int
    standing_interval: int
    """ms between two positions, while it moved and while it did not; 0 unknown."""
    imprecise: float
    two_decimals: float
    """Shares of the positions."""
    speed: bool
    ignition: bool
    door: bool
    alarms: bool
    """Whether it was ever reported."""
    observed: tuple[Observed, ...]
    detectors: tuple[Support, ...]

    def share(self) -> float:
        """The share of all its trips' time that was observed."""
        whole = sum(each.end - each.begin for each in self.observed)
        return sum(each.share * (each.end - each.begin) for each in self.observed) / whole if whole else 0.0


def coverage(
    vehicle: VehicleId, fixes: FixBatch, world: World, horizon: int, positions: Mapping[VehicleId, I64] = MappingProxyType({})
) -> Coverage:
    """What the N fixes of one vehicle can show, up to `horizon` (ms).

    `positions` are the times (ms, ascending) of the precise positions of each vehicle that reports. `fixes` is not modified.
    """
    time = fixes.time.view(np.int64)
    used = order(
        unseen(1), np.array([0, len(fixes)]), time, fixes.lon, fixes.lat, fixes.positioned, fixes.precise, world.settings.order
    ).fix
    seen = used[fixes.precise[used]]
    trips = [world.trips.all[code] for code in world.trips.of(vehicle)]
    trips = [trip for trip in trips if trip.starts_at < horizon]
    positioned = max(1, int(np.count_nonzero(fixes.positioned)))
    chosen = {
        Counted.USED: used,
        Counted.SEEN: seen,
        Counted.PAIRED: seen[_paired(time[seen], world, _pulling(vehicle, trips), positions)],
    }
    rhythms = {counted: _rhythms(fixes, some, world) for counted, some in chosen.items()}
    feed = Feed(fixes, world, rhythms, trips, positions)
    moving, standing = rhythms[Counted.USED]
    two = (fixes.quality & np.uint8(Quality.TWO_DECIMALS)) != 0
    return Coverage(
        vehicle=vehicle,
        reports=len(fixes),
        moving_interval=moving,
        standing_interval=standing,
        imprecise=float(np.count_nonzero(fixes.positioned & ~fixes.precise)) / positioned,
        two_decimals=float(np.count_nonzero(fixes.positioned & two)) / positioned,
        speed=feed.speed,
        ignition=bool((fixes.ignition >= 0).any()),
        door=feed.door,
        alarms=feed.alarms,
        observed=tuple(_observed(time[used], trips, world, horizon)),
        detectors=tuple(feed.support(kind, need, vehicle) for kind, need in NEEDS.items()),
    )


NEVER: Mapping[Counted, Lack] = {Counted.USED: Lack.SILENT, Counted.SEEN: Lack.IMPRECISE, Counted.PAIRED: Lack.UNPAIRED}
"""What is lacking where there are no two fixes that count; those that count for less come first."""


class Feed:
    """One vehicle's feed, held against the needs."""

    def __init__(
        self,
        fixes: FixBatch,
        world: World,
        rhythms: Mapping[Counted, tuple[int, int]],
        trips: Sequence[Trip],
        positions: Mapping[VehicleId, I64],
    ) -> None:
        self.world, self.rhythms, self.trips, self.positions = world, rhythms, trips, positions
        self.speed = bool(np.isfinite(fixes.speed).any())
        self.door, self.alarms = bool((fixes.door >= 0).any()), bool((fixes.alarms != 0).any())

    def support(self, kind: str, need: Need, vehicle: VehicleId) -> Support:
        """How well one detector is served under the tightest limits that the vehicle had."""
        lacks = [lack for lack in need.lacks if self._lacks(lack, vehicle)]
        barring: list[Lack] = [lack for lack in lacks if lack not in (Lack.NO_SPEED, Lack.NO_ALARM)]
        for counted, lack in NEVER.items():
            if not any(self.rhythms[counted]):
                return Support(kind, Level.UNSUPPORTED, (barring or [lack])[0] if counted is Counted.PAIRED else lack)
            if counted is need.counts:
                break
        moving, standing = self.rhythms[need.counts]
        interval = moving or standing
        if barring:
            return Support(kind, Level.UNSUPPORTED, barring[0], interval)
        every = self._limits(vehicle)
        wanted, shortest = min(need.lasting(limits, self) for limits in every), interval * max(map(need.reports, every))
        if shortest > wanted:
            level = Level.COARSE if interval <= wanted else Level.UNSUPPORTED
            return Support(kind, level, Lack.SLOW, interval, shortest, wanted)
        return Support(
            kind, Level.COARSE if lacks else Level.SUPPORTED, lacks[0] if lacks else Lack.NONE, interval, shortest, wanted
        )

    def _limits(self, vehicle: VehicleId) -> list[Detectors]:
        """The limits of each of its trips; without any, those of a vehicle on none."""
        settings = self.world.settings
        said = [settings.limits(trip.carrier, trip.load, trip.limits) for trip in self.trips]
        return said or [settings.limits(vehicle.carrier, "standard")]

    def _lacks(self, lack: Lack, vehicle: VehicleId) -> bool:
        """Whether a feed lacks something."""
        if lack is Lack.NO_ROUTE:
            return not any(trip.routes for trip in self.trips)
        if lack is Lack.NO_TRAILER:
            return not any(
                VehicleId(trip.carrier, trip.trailer or "") in self.positions for trip in _pulling(vehicle, self.trips)
            )
        return not {Lack.NO_SPEED: self.speed, Lack.NO_DOOR: self.door, Lack.NO_ALARM: self.alarms}[lack]


def _pulling(vehicle: VehicleId, trips: Sequence[Trip]) -> list[Trip]:
    """Its trips but for those on which it is itself the trailer."""
    return [trip for trip in trips if trip.vehicle == vehicle.vehicle]


def _paired(time: I64, world: World, trips: Sequence[Trip], positions: Mapping[VehicleId, I64]) -> Bool:
    """(S,) which seen fixes (ms) lie on a trip whose trailer has a position at about the same time."""
    out = np.zeros(len(time), bool)
    for trip in trips:
        theirs = positions.get(VehicleId(trip.carrier, trip.trailer or ""), np.empty(0, np.int64))
        if not len(theirs):
            continue
        after = np.searchsorted(theirs, time)
        apart = np.minimum(
            np.abs(time - theirs[np.maximum(after - 1, 0)]), np.abs(theirs[np.minimum(after, len(theirs) - 1)] - time)
        )
        limits = world.settings.limits(trip.carrier, trip.load, trip.limits)
        out |= (apart <= milliseconds(limits.separation.synchronous)) & (time >= trip.starts_at) & (time < trip.ends_at)
    return out


def _rhythms(fixes: FixBatch, chosen: I64, world: World) -> tuple[int, int]:
    """The intervals (ms) of some fixes while the vehicle moved, and while it did not; 0 where there is none."""
    time, lon, lat = fixes.time.view(np.int64)[chosen], fixes.lon[chosen], fixes.lat[chosen]
    lasted = np.diff(time)
    metres, motion = distances_m(lon[:-1], lat[:-1], lon[1:], lat[1:]), world.settings.motion
    moved = (metres > motion.hold_radius_m) | (metres > motion.low_mps * lasted / 1000.0)
    return weighted_median(lasted[moved]), weighted_median(lasted[~moved])


def weighted_median(interval: I64) -> int:
    """The least of some intervals such that those no longer make half of their sum; 0 for none."""
    if not len(interval):
        return 0
    ascending = np.sort(interval)
    return int(ascending[np.searchsorted(2 * np.cumsum(ascending), ascending.sum())])


def patience(time: I64, world: World) -> I64:
    """(N,) ms of silence after each of N used fixes (ms) that are no gap yet: the floor, or three own intervals where they are longer."""
    rules, interval = world.settings.order, np.diff(time)
    own = np.full(len(time), milliseconds(rules.first_interval), np.int64)
    for k in range(ENOUGH, len(time)):
        recent = np.sort(interval[max(0, k - INTERVALS) : k])
        own[k] = recent[(len(recent) - 1) // 2]
    return np.asarray(np.maximum(milliseconds(rules.gap), 3 * own), np.int64)


def _observed(time: I64, trips: Sequence[Trip], world: World, horizon: int) -> Iterator[Observed]:
    """How much of each trip is observed by used fixes (ms), or of all there is where there is no trip."""
    spans: list[tuple[str | None, int, int]] = [(trip.id, trip.starts_at, min(trip.ends_at, horizon)) for trip in trips]
    if not trips and len(time) > 1:
        spans = [(None, int(time[0]), int(time[-1]))]
    limit = patience(time, world)
    for trip, begin, end in spans:
        yield Observed(trip, begin, end, _share(time, limit, begin, end, milliseconds(world.settings.order.gap)))


def _share(time: I64, limit: I64, begin: int, end: int, floor: int) -> float:
    """The share of an interval that lies in no gap."""
    if not len(time) or end <= begin:
        return 0.0
    silent_from, silent_to = np.append(begin, time), np.append(time, end)
    silent_from[0] = min(begin, int(time[0]))
    gap = silent_to - silent_from > np.append(floor, limit)
    missed = np.clip(np.minimum(silent_to, end) - np.maximum(silent_from, begin), 0, None)[gap].sum()
    return float(1.0 - missed / (end - begin))
