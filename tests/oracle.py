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

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from monitor.fixes import FixBatch, VehicleId
from monitor.permits import Permits
from monitor.settings import Settings, milliseconds
from monitor.signals import Signal, log_order
from monitor.trips import Trip
from tests import oracle_geometry
from tests.oracle_alarms import device_alarms, doors_open
from tests.oracle_geometry import OracleRoute
from tests.oracle_limits import OraclePlace
from tests.oracle_movement import after_hours_movements, wrong_ways
from tests.oracle_silence import impossible_movements, signals_lost
from tests.oracle_track import STANDING_KINDS, Cluster, Stop, Used
from tests.oracle_visits import long_dwells, zone_breaches
from tests.oracle_watch import Watched, run_starts

__all__ = ["OraclePlace", "OracleRoute", "Stop", "fragile", "signals", "stops", "tracks_of"]

Places = Sequence[oracle_geometry.OraclePlace]


def signals(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Places, routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int, permits: Permits | None = None,
) -> list[Signal]:  # fmt: skip
    """The signal log at the horizon, in log order. `vehicles` are indexed by the batch's vehicle codes."""
    tracks = tracks_of(fixes, vehicles, places, routes, trips, settings, horizon, permits)
    return sorted((signal for track in tracks for signal in track.signals()), key=log_order)


def stops(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Places, routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int, permits: Permits | None = None,
) -> list[Stop]:  # fmt: skip
    """Every stop that had opened by the horizon, by vehicle and time."""
    tracks = tracks_of(fixes, vehicles, places, routes, trips, settings, horizon, permits)
    return sorted((stop for track in tracks for stop in track.stops()), key=lambda stop: (stop.vehicle, stop.since))


def fragile(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Places, routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int, permits: Permits | None = None,
) -> set[tuple[int, int]]:  # fmt: skip
    """(vehicle code, time) of the fixes that lie so near an edge, in space, that an honest rounding could decide otherwise."""
    out = set()
    for track in tracks_of(fixes, vehicles, places, routes, trips, settings, horizon, permits):
        track.signals()
        code = vehicles.index(track.identity)
        out |= {(code, time) for time in track.fragile}
    return out


def tracks_of(
    fixes: FixBatch, vehicles: Sequence[VehicleId], places: Places, routes: Sequence[OracleRoute],
    trips: Sequence[Trip], settings: Settings, horizon: int, permits: Permits | None = None,
) -> Iterator[Watch]:  # fmt: skip
    """Every vehicle's track: its places are those that exist for it, its trips also those on which it is the trailer."""
    for code, identity in enumerate(vehicles):
        mine = fixes.take((fixes.vehicle == code) & (fixes.time.view(np.int64) <= horizon))
        visible = {place.id: place for place in places if place.carrier in (None, identity.carrier)}
        plans = [trip for trip in trips if trip.carrier == identity.carrier and identity.vehicle in (trip.vehicle, trip.trailer)]
        yield Watch(identity, mine, visible, {route.id: route for route in routes}, plans, settings, horizon, permits)


class Limit(NamedTuple):
    """How long it may stand here, because of which no-stop place, and whether because of the red zone."""

    ms: int
    place: str | None
    red: bool


class Off(NamedTuple):
    """One fix against its trip's routes: `shows`, `neutral` or `ends`; the nearest route and how far off it."""

    state: str
    route: str
    metres: float
    corridor: float


class Watch(Watched):
    """A track under the eyes of the detectors."""

    def signals(self) -> list[Signal]:
        """All that the detectors find, in no order."""
        return [
            *self.unauthorized_stops(), *self.route_deviations(), *wrong_ways(self), *long_dwells(self), *zone_breaches(self),
            *after_hours_movements(self), *signals_lost(self), *doors_open(self), *device_alarms(self), *impossible_movements(self),
        ]  # fmt: skip

    def stop_limit(self, fix: Used) -> Limit | None:
        """How long it may stand here; None where it may as long as it likes."""
        if fix.may_stand:
            return None
        limits = self.limits_at(fix.trip, fix).unauthorized_stop
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

    def off_route(self, fix: Used) -> Off:
        """How far it is off the nearest of its trip's routes, and whether that shows or ends a deviation."""
        trip, near = fix.trip, self.nearest_route(fix)
        if trip is None or near is None:
            return Off("ends", "", 0.0, 0.0)
        limits = self.limits_at(trip, fix).route_deviation
        metres, corridor, route_id = near
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
            limits = [self.limits_at(trip, fix).route_deviation for fix in self.seen[first:after]]
            least, start = [milliseconds(said.min_duration) for said in limits], first
            judged, first = run_starts(self.seen[first:after], least), after
            shows = []
            for count, j in enumerate(shown, 1):
                needed = limits[j - start].min_fixes
                if count >= needed:
                    reach = max(since + least[j - start], judged[j - start], self.seen[shown[needed - 1]].time)
                    shows.append((j, reach))
            found = self.reached(self.seen, shows)
            if found:
                until = None if after == n else self.seen[after].time
                worst, where = max(offs[j].metres for j in shown), (self.seen[start].lon, self.seen[start].lat)
                nearest = offs[start]
                yield self.signal(
                    "route_deviation", found, since, until, where, worst, nearest.corridor, "m", "warning",
                    route=nearest.route, trip=trip,
                )  # fmt: skip
