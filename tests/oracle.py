"""What the signal log must be, read off the whole track at once from the definitions: plain, slow, independent of the core.

The core walks a track fix by fix, in integers, and keeps a small state. The oracle has the whole track before it, asks for what
comes next, keeps every member of a cluster, and measures with `pyproj.Geod`: a mistake has to be made twice to go unseen.

Definitions
    *shows*: at this fix the condition holds. *reach*: the instant from which a showing fix raises, max(since + limit, judged),
    where *judged* is the first fix of the unbroken run judged under this limit.
    *presumed*: raised by the silence after a showing fix.
Times are ms since 1970 UTC; distances metres on the WGS 84 ellipsoid.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from monitor.fixes import FixBatch, VehicleId
from monitor.settings import Settings, milliseconds
from monitor.signals import Signal, log_order
from monitor.trips import Trip
from tests.oracle_geometry import OraclePlace, OracleRoute, to_line
from tests.oracle_track import CLOSE, NEAR_M, STANDING_KINDS, Cluster, Stop, Track, Used, Visit

__all__ = ["OraclePlace", "OracleRoute", "Stop", "fragile", "signals", "stops"]


def signals(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Sequence[OraclePlace], routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int,
) -> list[Signal]:  # fmt: skip
    """The signal log at the horizon, in log order. `vehicles` are indexed by the batch's vehicle codes."""
    tracks = _tracks(fixes, vehicles, places, routes, trips, settings, horizon)
    return sorted((signal for track in tracks for signal in track.signals()), key=log_order)


def stops(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Sequence[OraclePlace], routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int,
) -> list[Stop]:  # fmt: skip
    """Every stop that had opened by the horizon, by vehicle and time."""
    tracks = _tracks(fixes, vehicles, places, routes, trips, settings, horizon)
    return sorted((stop for track in tracks for stop in track.stops()), key=lambda stop: (stop.vehicle, stop.since))


def fragile(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Sequence[OraclePlace], routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int,
) -> set[tuple[int, int]]:  # fmt: skip
    """(vehicle code, time) of the fixes that lie so near an edge, in space, that an honest rounding could decide otherwise."""
    out = set()
    for track in _tracks(fixes, vehicles, places, routes, trips, settings, horizon):
        track.signals()
        code = vehicles.index(track.identity)
        out |= {(code, time) for time in track.fragile}
    return out


def _tracks(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Sequence[OraclePlace], routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int,
) -> Iterator[Watch]:  # fmt: skip
    for code, identity in enumerate(vehicles):
        mine = fixes.take((fixes.vehicle == code) & (fixes.time.view(np.int64) <= horizon))
        visible = {place.id: place for place in places if place.carrier in (None, identity.carrier)}
        plans = [trip for trip in trips if (trip.carrier, trip.vehicle) == identity]
        yield Watch(identity, mine, visible, {route.id: route for route in routes}, plans, settings, horizon)


class Limit(NamedTuple):
    """How long it may stand here, because of which no-stop place, and whether because of the red zone."""

    ms: int
    place: str | None
    red: bool


class Raise(NamedTuple):
    """When a condition reached its limit, and how."""

    at: int
    presumed: bool
    by: int
    """Index of the showing fix that raised, or after which silence did."""
    decided: int


class Off(NamedTuple):
    """One fix against its trip's routes: `shows`, `neutral` or `ends`; the nearest route and how far off it."""

    state: str
    route: str
    metres: float
    corridor: float


class Watch(Track):
    """A track under the eyes of the three detectors."""

    def signals(self) -> list[Signal]:
        """All that the detectors find, in no order."""
        return [*self.unauthorized_stops(), *self.route_deviations(), *self.long_dwells()]

    def reached(self, sequence: list[Used], shows: Sequence[tuple[int, int]]) -> Raise | None:
        """The first of the (index, reach) that raises, by itself or by the silence after it; `sequence` is what is watched."""
        for index, reach in shows:
            fix = sequence[index]
            if fix.time >= reach:
                return Raise(reach, presumed=False, by=index, decided=fix.time)
            deadline = max(reach, fix.time + fix.allowance)
            following = next((other.time for other in self.used if other.time > fix.time), None)
            if (deadline <= self.horizon) if following is None else (following > deadline):
                return Raise(deadline, presumed=True, by=index, decided=deadline)
        return None

    def stop_limit(self, fix: Used) -> Limit | None:
        """How long it may stand here; None where it may as long as it likes."""
        if fix.may_stand:
            return None
        limits = self.limits(fix.trip).unauthorized_stop
        choices = [Limit(milliseconds(limits.limit), None, red=False)]
        belts = [name for name in fix.within if self.places[name].kind == "no_stop"]
        if belts:
            choices.append(Limit(milliseconds(limits.no_stop_limit), min(belts), red=False))
        trip = fix.trip
        if trip and trip.load == "high_value" and self.terminal(fix, trip.origin, limits.red_zone_m):
            choices.append(Limit(milliseconds(limits.red_zone_limit), None, red=True))
        least = min(choice.ms for choice in choices)
        ties = [choice for choice in choices if choice.ms == least]
        return Limit(least, next((c.place for c in ties if c.place), None), red=any(c.red for c in choices))

    def terminal(self, fix: Used, name: str | None, metres: float) -> bool:
        """Whether the fix is within so many metres of a named place; an unknown one is nowhere."""
        place = self.places.get(name or "")
        return place is not None and not self.over(fix, self.outside(fix, place), metres)

    def ended_at(self, visit: Visit) -> int | None:
        """When a fix showed that a visit was over."""
        return self.used[visit.after].time if visit.after < len(self.used) else None

    def unauthorized_stops(self) -> Iterator[Signal]:
        """One signal for each stop and each time that it began to be unlawful."""
        limits = [self.stop_limit(fix) for fix in self.seen]
        barred = run_starts(self.seen, [limit is None for limit in limits])
        for index, limit in enumerate(limits):
            if limit is not None and barred[index] == self.seen[index].time:
                ends = [v.until for v in self.visits if self.ended_at(v) == barred[index] and v.place.kind in STANDING_KINDS]
                begun = max((end for end in ends if end is not None), default=barred[index])
                run = range(index, len(limits))
                for later in run:
                    if limits[later] is None:
                        break
                    barred[later] = begun
        judged = run_starts(self.seen, [limit and limit.ms for limit in limits])
        shows: dict[tuple[Cluster, int], list[tuple[int, int]]] = {}
        for index, (cluster, limit) in enumerate(zip(self.standing, limits, strict=True)):
            if cluster and limit:
                since = max(cluster.evidence[0].time, barred[index])
                reach = max(since + limit.ms, judged[index])
                shows.setdefault((cluster, since), []).append((index, reach))
        for (cluster, since), shown in shows.items():
            found = self.reached(self.seen, shown)
            if found is None:
                continue
            last = shown[-1][0]
            lapsed = self.seen[last + 1] if last + 1 < len(self.seen) else None
            until = None if lapsed is None else self.seen[last].time if self.seen[last].time >= found.at else lapsed.time
            limit, trip = limits[found.by], self.seen[found.by].trip
            assert limit is not None
            stood = (until if until is not None else max(self.seen[last].time, found.at)) - since
            yield self.signal(
                "unauthorized_stop", found, since, until, cluster.centroid, stood / 1000, limit.ms / 1000, "s",
                "critical" if limit.red else "warning", place=limit.place, trip=trip,
            )  # fmt: skip

    def long_dwells(self) -> Iterator[Signal]:
        """At most one signal a visit; a visit lasts while fixes are in the place or one has just left it."""
        for visit in self.visits:
            fixes = self.used[visit.first : visit.after]
            limits = [self.dwell_limit(visit.place, fix.trip) for fix in fixes]
            judged, since = run_starts(fixes, limits), fixes[0].time
            leaving = [self.over(fix, self.outside(fix, visit.place), NEAR_M) for fix in fixes]
            shows = [
                (visit.first + offset, max(since + limit, judged[offset]))
                for offset, limit in enumerate(limits)
                if limit is not None and not leaving[offset]
            ]
            found = self.reached(self.used, shows)
            if found is None:
                continue
            until = visit.until
            if until is not None and until < found.at:
                until = self.used[visit.after].time
            shown = max(fix.time for fix, away in zip(fixes, leaving, strict=True) if not away)
            dwelt = (until if until is not None else max(shown, found.at)) - since
            limit = limits[found.by - visit.first] or 0
            yield self.signal(
                "long_dwell", found, since, until, (fixes[0].lon, fixes[0].lat), dwelt / 1000, limit / 1000, "s",
                "note" if visit.place.kind == "customer" else "warning",
                place=visit.place.id, trip=self.used[found.by].trip,
            )  # fmt: skip

    def dwell_limit(self, place: OraclePlace, trip: Trip | None) -> int | None:
        """What is said for the load class or carrier, else the place's own, else its kind's; None for no limit."""
        of_kind = getattr(self.limits(trip).long_dwell, place.kind, None)
        overriding = (
            self.settings.load.get(trip.load if trip else "standard", {}),
            self.settings.carrier.get(self.identity.carrier, {}),
        )
        if place.max_dwell is not None and not any(place.kind in said.get("long_dwell", {}) for said in overriding):
            return place.max_dwell
        return None if of_kind is None else milliseconds(of_kind)

    def corridor(self, route: OracleRoute, trip: Trip) -> float:
        """What is said for the load class, else for the carrier, else the route's own, else the general one."""
        for said in (self.settings.load.get(trip.load, {}), self.settings.carrier.get(self.identity.carrier, {})):
            if "corridor_m" in said.get("route_deviation", {}):
                return float(said["route_deviation"]["corridor_m"])
        return route.corridor_m if route.corridor_m is not None else self.settings.detectors.route_deviation.corridor_m

    def off_route(self, fix: Used) -> Off:
        """How far it is off the nearest of its trip's routes, and whether that shows or ends a deviation."""
        trip = fix.trip
        if trip is None or not (known := [self.routes[name] for name in trip.routes if name in self.routes]):
            return Off("ends", "", 0.0, 0.0)
        limits = self.limits(trip).route_deviation
        offs = [(to_line(self.lines[route.id], fix.lon, fix.lat), self.corridor(route, trip), route.id) for route in known]
        offs.sort(key=lambda off: off[0] / off[1])
        metres, corridor, route_id = offs[0]
        if len(offs) > 1 and offs[1][0] / offs[1][1] <= metres / corridor * (1 + CLOSE):
            self.fragile.add(fix.time)
        exempt = fix.may_stand or any(self.terminal(fix, end, limits.terminal_m) for end in (trip.origin, trip.destination))
        if exempt or not self.over(fix, metres, corridor * limits.clear_ratio):
            return Off("ends", route_id, metres, corridor)
        return Off("shows" if self.over(fix, metres, corridor) else "neutral", route_id, metres, corridor)

    def route_deviations(self) -> Iterator[Signal]:
        """From the first fix beyond every corridor to the first near a route again, exempt, or of another trip."""
        offs, first = [self.off_route(fix) for fix in self.seen], 0
        n = len(offs)
        while first < n:
            trip, since = self.seen[first].trip, self.seen[first].time
            if offs[first].state != "shows" or trip is None:
                first += 1
                continue
            after = next((j for j in range(first, n) if offs[j].state == "ends" or self.seen[j].trip != trip), n)
            shown = [j for j in range(first, after) if offs[j].state == "shows"]
            limits, start = self.limits(trip).route_deviation, first
            first = after
            if len(shown) < limits.min_fixes:
                continue
            reach = max(since + milliseconds(limits.min_duration), self.seen[shown[limits.min_fixes - 1]].time)
            found = self.reached(self.seen, [(j, reach) for j in shown[limits.min_fixes - 1 :]])
            if found:
                until = None if after == n else self.seen[after].time
                worst, where = max(offs[j].metres for j in shown), (self.seen[start].lon, self.seen[start].lat)
                nearest = offs[start]
                yield self.signal(
                    "route_deviation", found, since, until, where, worst, nearest.corridor, "m", "warning",
                    route=nearest.route, trip=trip,
                )  # fmt: skip

    def signal(
        self, kind: str, found: Raise, since: int, until: int | None, where: tuple[float, float],
        measure: float, limit: float, unit: str, severity: str,
        *, place: str | None = None, route: str | None = None, trip: Trip | None = None,
    ) -> Signal:  # fmt: skip
        """Put one finding into the words of the log."""
        return Signal(
            kind, self.identity.carrier, self.identity.vehicle, place, route, trip.id if trip else None, since, found.at, until,
            found.presumed, *where, measure, limit, unit, severity, found.decided, max(found.decided, until or 0),
            until is not None,
        )  # fmt: skip


def run_starts(fixes: Sequence[Used], keys: Sequence[Hashable]) -> list[int]:
    """(N,) the time of the first fix of the unbroken run of equal keys that each fix lies in."""
    starts: list[int] = []
    for index, fix in enumerate(fixes):
        starts.append(starts[-1] if index and keys[index] == keys[index - 1] else fix.time)
    return starts
