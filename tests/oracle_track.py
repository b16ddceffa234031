"""One vehicle's whole track, for the oracle: which fixes are used, where they were, and which of them show a stop.

Definitions
    *used* fixes: positioned, of several at one time the lowest digest's, without jumps. *seen* fixes: used and not coarse.
    *own interval*: lower median of the last five intervals between used fixes, 30 s while fewer than three.
    *gap*: longer than 10 min and than three own intervals. *allowance*: the silence that is still ordinary after a fix.
Times are ms since 1970 UTC; the fixes of one vehicle are lists in time order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
from shapely.geometry import Point

from monitor.fixes import FixBatch, VehicleId
from monitor.settings import Detectors, Settings, milliseconds
from monitor.trips import Trip
from tests.oracle_geometry import OraclePlace, OracleRoute, densified, distance, to_edge

STANDING_KINDS = frozenset(
    ("yard", "customer", "drop", "rest_area", "fuel", "parking", "repair", "port_of_entry", "inspection_station")
)
NAMED_KINDS = frozenset({"customer", "yard"})
UNKNOWN_SPEED_MPS = 1.75
SAME_SPEED = 5
NEAR_M, FAR_M = 30.0, 200.0
EDGE_DEGREES = 5e-7
CLOSE = 0.006
"""Share of a threshold within which two honest distances may fall on different sides of it."""


@dataclass(frozen=True)
class Stop:
    """A vehicle standing still from its first to its last standing evidence, at the centroid."""

    vehicle: VehicleId
    since: int
    until: int
    lon: float
    lat: float


@dataclass(eq=False)
class Used:
    """A used fix and what is known of it."""

    time: int
    lon: float
    lat: float
    speed: float
    evidence: bool
    coarse: bool
    gap: int = 0
    """An interval before this fix that is longer than this is a gap."""
    allowance: int = 0
    trip: Trip | None = None
    within: set[str] = field(default_factory=set)
    """Ids of the places it is in."""
    may_stand: bool = False


@dataclass(eq=False)
class Cluster:
    """The fixes that make a cluster: `joined` make its centroid, `members` are those and the held ones, in time order."""

    joined: list[Used]
    members: list[Used]

    @property
    def centroid(self) -> tuple[float, float]:
        """(lon, lat), the mean of the joined fixes."""
        n = len(self.joined)
        return sum(fix.lon for fix in self.joined) / n, sum(fix.lat for fix in self.joined) / n

    @property
    def span(self) -> int:
        """Ms from its first member to its last."""
        return self.members[-1].time - self.members[0].time

    @property
    def evidence(self) -> list[Used]:
        """Its members that show standing: slow, or of unknown speed."""
        return [fix for fix in self.members if fix.evidence]

    def opened(self, shortest: int) -> bool:
        """Whether its evidence spans a stop."""
        evidence = self.evidence
        return bool(evidence) and evidence[-1].time - evidence[0].time >= shortest

    def join(self, fix: Used) -> None:
        """Take a fix into the centroid."""
        self.joined.append(fix)
        self.members.append(fix)


class Visit(NamedTuple):
    """A run of used fixes in one place."""

    place: OraclePlace
    first: int
    """Index of the first used fix inside."""
    after: int
    """Index of the used fix that ended it, N while it lasts."""
    until: int | None


class Track:
    """One vehicle's whole track under one configuration."""

    def __init__(
        self, identity: VehicleId, fixes: FixBatch, places: dict[str, OraclePlace], routes: dict[str, OracleRoute],
        trips: list[Trip], settings: Settings, horizon: int,
    ) -> None:  # fmt: skip
        self.identity, self.places, self.routes, self.trips = identity, places, routes, trips
        self.settings, self.horizon = settings, horizon
        self.fragile: set[int] = set()
        self.known: dict[tuple[int, str], float] = {}
        self.lines = {route.id: densified(route.line) for route in routes.values()}
        self.used = self.without_jumps(one_a_time(fixes, settings.motion.low_mps))
        self.visits = [visit for place in places.values() for visit in self.visits_of(place)]
        self.annotate()
        self.seen = [fix for fix in self.used if not fix.coarse]
        self.disbelieve()
        self.clusters: list[Cluster] = []
        self.standing = self.motion()

    def stops(self) -> list[Stop]:
        """Every stop that opened, in time order."""
        shortest = milliseconds(self.settings.motion.shortest_stop)
        opened = [cluster for cluster in self.clusters if cluster.opened(shortest)]
        return [Stop(self.identity, c.evidence[0].time, c.evidence[-1].time, *c.centroid) for c in opened]

    # ── every fix ──

    def over(self, fix: Used, metres: float, limit: float, margin: float = CLOSE) -> bool:
        """Whether a distance exceeds a limit; notes the fix where that is a close call."""
        if abs(metres - limit) <= limit * margin:
            self.fragile.add(fix.time)
        return metres > limit

    def without_jumps(self, positioned: list[Used]) -> list[Used]:
        """Drop the fixes that nothing could reach in time; the second within five is believed."""
        used: list[Used] = []
        dropped: int | None = None
        for index, fix in enumerate(positioned):
            if used:
                seconds = max(1.0, (fix.time - used[-1].time) / 1000)
                metres = distance(fix.lon, fix.lat, used[-1].lon, used[-1].lat)
                jump = self.over(fix, metres, self.settings.order.jump_mps * seconds)
                if jump and (dropped is None or index - dropped > 4):
                    dropped = index
                    continue
                if jump:
                    dropped = None
            used.append(fix)
        return used

    def annotate(self) -> None:
        """Fill in what each used fix is judged by: gap, allowance, trip, places, permission."""
        order = self.settings.order
        before = milliseconds(order.first_interval)
        for index, fix in enumerate(self.used):
            fix.gap = max(milliseconds(order.gap), 3 * before)
            recent = self.used[max(0, index - 5) : index + 1]
            intervals = sorted(b.time - a.time for a, b in pairwise(recent))
            before = intervals[(len(intervals) - 1) // 2] if len(intervals) >= 3 else milliseconds(order.first_interval)
            fix.allowance = max(milliseconds(order.allowance), 3 * before)
            under_way = [trip for trip in self.trips if trip.starts_at <= fix.time < trip.ends_at]
            fix.trip = max(under_way, key=lambda trip: (trip.starts_at, trip.id), default=None)
        for visit in self.visits:
            for fix in self.used[visit.first : visit.after]:
                fix.within.add(visit.place.id)
        for fix in self.used:
            fix.may_stand = self.permitted(fix)

    def limits(self, trip: Trip | None) -> Detectors:
        """Give the limits under a trip, or under none."""
        return self.settings.limits(self.identity.carrier, trip.load if trip else "standard")

    # ── places ──

    def outside(self, fix: Used, place: OraclePlace) -> float:
        """Metres outside a place, 0 inside it and on its edge."""
        key = (fix.time, place.id)
        if key not in self.known:
            self.known[key] = 0.0 if self.covered(fix, place) else to_edge(place.polygon, fix.lon, fix.lat)
        return self.known[key]

    def covered(self, fix: Used, place: OraclePlace) -> bool:
        """Whether it is inside a place or on its edge; notes the fix where it is within a hand of the edge."""
        point = Point(fix.lon, fix.lat)
        if place.polygon.boundary.distance(point) < EDGE_DEGREES:
            self.fragile.add(fix.time)
        return bool(place.polygon.covers(point))

    def visits_of(self, place: OraclePlace) -> Iterator[Visit]:
        """From a fix inside to two outside by more than 30 m, or to one by more than 200 m."""
        used, n, first = self.used, len(self.used), 0

        def beyond(index: int, metres: float) -> bool:
            return self.over(used[index], self.outside(used[index], place), metres)

        while first < n:
            if not self.covered(used[first], place):
                first += 1
                continue
            left = (j for j in range(first + 1, n) if beyond(j, FAR_M) or (beyond(j, NEAR_M) and beyond(j - 1, NEAR_M)))
            after = next(left, n)
            until = None if after == n else used[after - 1].time if beyond(after - 1, NEAR_M) else used[after].time
            yield Visit(place, first, after, until)
            first = after

    def permitted(self, fix: Used) -> bool:
        """Whether it may stand here: in a standing place that counts, within its hours, and in no restricted one."""
        within = [self.places[name] for name in fix.within]
        trip = fix.trip
        if any(place.kind == "restricted" for place in within):
            return False
        for place in within:
            counts = place.kind in STANDING_KINDS and (place.hours is None or place.hours(fix.time))
            if counts and place.kind in NAMED_KINDS and trip and trip.authorized_places is not None:
                counts = place.id in (*trip.authorized_places, trip.origin, trip.destination)
            if counts:
                return True
        return False

    # ── standing and under way ──

    def disbelieve(self) -> None:
        """Make frozen speeds unknown: said five times running and contradicted by where the fixes lie, until they change."""
        radius_m = self.settings.motion.radius_m
        for (speed, slow_or_unknown), fixes in groupby(self.seen, key=lambda fix: (fix.speed, fix.evidence)):
            run, frozen = list(fixes), False
            mark = run[0]
            for number, fix in enumerate(run, start=1):
                if slow_or_unknown:
                    continue
                if not frozen and speed * (fix.time - mark.time) / 1000 >= 2 * radius_m:
                    if self.over(fix, distance(fix.lon, fix.lat, mark.lon, mark.lat), radius_m, margin=0.002):
                        mark = fix
                    else:
                        frozen = number >= SAME_SPEED
                if frozen:
                    fix.speed, fix.evidence = UNKNOWN_SPEED_MPS, True

    def motion(self) -> list[Cluster | None]:
        """(N seen) the cluster whose open stop this fix is evidence of, when it came; None where it shows no stop."""
        m = self.settings.motion
        out: list[Cluster | None] = []
        counter, candidate = 0, None
        for index, fix in enumerate(self.seen):
            before = self.seen[index - 1].time if index else fix.time
            since = [other for other in self.used if before <= other.time <= fix.time]
            gap = any(b.time - a.time > b.gap for a, b in pairwise(since))
            cluster = self.clusters[-1] if self.clusters else None
            within = cluster is not None and self.inside(fix, cluster)
            if cluster is None or (gap and (counter or not cluster.opened(milliseconds(m.shortest_stop)))):
                self.clusters.append(Cluster([fix], [fix]))
                counter, candidate = 0, None
            elif within:
                cluster.join(fix)
                counter, candidate = 0, None
            elif not gap and self.holds(fix, cluster):
                cluster.members.append(fix)
                counter, candidate = 0, None
            else:
                counter += 1 if fix.speed <= m.low_mps else 2
                if candidate and not gap and self.inside(fix, candidate):
                    candidate.join(fix)
                else:
                    candidate = Cluster([fix], [fix])
                if not (gap or counter >= m.break_count or cluster.span < milliseconds(m.establish)):
                    out.append(None)
                    continue
                self.clusters.append(candidate)
                counter, candidate = 0, None
            opened = self.clusters[-1].opened(milliseconds(m.shortest_stop))
            out.append(self.clusters[-1] if opened and fix.evidence else None)
        return out

    def inside(self, fix: Used, cluster: Cluster) -> bool:
        """Within the radius, and not under way by its own account."""
        far = self.over(fix, distance(fix.lon, fix.lat, *cluster.centroid), self.settings.motion.radius_m, margin=0.002)
        return not far and fix.speed < self.settings.motion.high_mps

    def holds(self, fix: Used, cluster: Cluster) -> bool:
        """Drift while parked: slow, not far, and the cluster is established."""
        m = self.settings.motion
        slow = fix.speed <= m.low_mps and cluster.span >= milliseconds(m.establish)
        return slow and not self.over(fix, distance(fix.lon, fix.lat, *cluster.centroid), m.hold_radius_m, margin=0.002)


def one_a_time(fixes: FixBatch, low_mps: float) -> list[Used]:
    """The positioned fixes, of several at one time the first (lowest digest), with unknown speeds in the middle."""
    out: list[Used] = []
    for i in np.flatnonzero(fixes.positioned):
        time, speed = int(fixes.time.view(np.int64)[i]), float(fixes.speed[i])
        if out and out[-1].time == time:
            continue
        unknown = math.isnan(speed)
        out.append(
            Used(
                time, float(fixes.lon[i]), float(fixes.lat[i]), UNKNOWN_SPEED_MPS if unknown else speed,
                evidence=unknown or speed <= low_mps, coarse=not fixes.precise[i],
            )
        )  # fmt: skip
    return out
