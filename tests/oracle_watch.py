"""A vehicle's whole track under the eyes of the detectors, for the oracle: what all of them ask of it.

Definitions
    *report*: all that the vehicle said at one time, positioned or not: alarms OR-ed, the door open where any says so.
    *reach*: the instant from which a showing fix raises, max(since + limit, judged), where *judged* is the first fix of the
    unbroken run judged under this limit. *presumed*: raised by the silence after a showing fix.
Times are ms since 1970 UTC; distances metres on the WGS 84 ellipsoid.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from monitor.fixes import FixBatch, VehicleId
from monitor.permits import Permits
from monitor.settings import Detectors, Settings, milliseconds
from monitor.signals import Signal
from monitor.trips import Trip
from tests import oracle_geometry
from tests.oracle_geometry import OracleRoute, distance, to_edge, to_line
from tests.oracle_limits import exists, limits_of, limits_under, overridden
from tests.oracle_track import CLOSE, Cluster, Track, Used, Visit

NOWHERE = (math.nan, math.nan)


class Moment(Protocol):
    """What can show a condition: it has a time, and a silence after it that is still ordinary (ms)."""

    @property
    def time(self) -> int:
        """When."""

    @property
    def allowance(self) -> int:
        """How long silence after it says nothing."""


class Report(NamedTuple):
    """All that a vehicle said at one time."""

    time: int
    alarms: int
    door: int
    """1 open, 0 closed, -1 unknown."""
    moves: bool
    """Whether it says that it drives with its door open."""
    last: Used | None
    """The last used fix at or before it."""
    allowance: int
    trip: Trip | None


class Raise(NamedTuple):
    """When a condition reached its limit, and how."""

    at: int
    presumed: bool
    by: int
    """Index of the showing fix that raised, or after which silence did."""
    decided: int


class Near(NamedTuple):
    """The nearest of a trip's routes, in corridors: how far it is, and the half-width of its corridor."""

    metres: float
    corridor: float
    route: str


class Watched(Track):
    """A track, its reports, the limits that hold along it and what was permitted.

    A yard lets stand at all hours: those it has, in `hours`, are about leaving it.
    """

    def __init__(
        self, identity: VehicleId, fixes: FixBatch, places: Mapping[str, oracle_geometry.OraclePlace],
        routes: dict[str, OracleRoute], trips: list[Trip], settings: Settings, horizon: int, permits: Permits | None = None,
    ) -> None:  # fmt: skip
        self.fixes, self.permits = fixes, permits or Permits()
        self.known_limits: dict[tuple[int, str], Detectors] = {}
        self.open_before: dict[int, bool] = {}
        self.hours = {name: place.hours for name, place in places.items()}
        at_any_hour = {
            name: dataclasses.replace(place, hours=None) if place.kind == "yard" else place for name, place in places.items()
        }
        super().__init__(identity, fixes, at_any_hour, routes, trips, settings, horizon)

    # ── what it said, and where it was ──

    @cached_property
    def reports(self) -> list[Report]:
        """All that was said, one a time, in time order."""
        out, order = [], self.settings.order
        high, time = self.settings.motion.high_mps, self.fixes.time.view(np.int64)
        for now in sorted(set(time.tolist())):
            at = time == now
            doors, speeds = self.fixes.door[at], self.fixes.speed[at]
            door = 1 if (doors == 1).any() else 0 if (doors == 0).any() else -1
            moves = bool((speeds[doors == 1] >= high).any())
            last = max((fix for fix in self.used if fix.time <= now), key=lambda fix: fix.time, default=None)
            first = max(milliseconds(order.allowance), 3 * milliseconds(order.first_interval))
            alarms = int(np.bitwise_or.reduce(self.fixes.alarms[at]))
            out.append(Report(now, alarms, door, moves, last, last.allowance if last else first, self.trip_at(now)))
        return out

    def trip_at(self, time: int) -> Trip | None:
        """The trip under way: of several the one of the latest start, then of the greatest id."""
        under_way = [trip for trip in self.trips if trip.starts_at <= time < trip.ends_at]
        return max(under_way, key=lambda trip: (trip.starts_at, trip.id), default=None)

    def own_interval(self, index: int) -> int:
        """The lower median of the last five intervals up to a used fix, the first interval while there are fewer than three."""
        intervals = sorted(b.time - a.time for a, b in pairwise(self.used[max(0, index - 5) : index + 1]))
        return intervals[(len(intervals) - 1) // 2] if len(intervals) >= 3 else milliseconds(self.settings.order.first_interval)

    @cached_property
    def index(self) -> dict[int, int]:
        """Time of a used fix -> its index."""
        return {fix.time: index for index, fix in enumerate(self.used)}

    @cached_property
    def stop_at(self) -> list[Cluster | None]:
        """(N used) the open stop at which it stands as known after each used fix: what the newest seen fix showed."""
        shown = {fix.time: cluster for fix, cluster in zip(self.seen, self.standing, strict=True)}
        out: list[Cluster | None] = []
        for fix in self.used:
            out.append(shown[fix.time] if not fix.coarse else out[-1] if out else None)
        return out

    def inside(self, fix: Used, cluster: Cluster) -> bool:
        """Within the radius, and not under way by its own account; remembers whether a stop was open before this fix."""
        self.open_before.setdefault(fix.time, self.clusters[-1].opened(milliseconds(self.settings.motion.shortest_stop)))
        return super().inside(fix, cluster)

    @cached_property
    def parked(self) -> list[bool]:
        """(N used) whether it stands, or is slow as last seen in a stop still open, or has its ignition off."""
        shortest, low = milliseconds(self.settings.motion.shortest_stop), self.settings.motion.low_mps
        following = {fix.time: self.open_before.get(later.time, False) for fix, later in pairwise(self.seen)}
        out, slow, still = [], False, False
        for fix, stop in zip(self.used, self.stop_at, strict=True):
            if not fix.coarse:
                slow = fix.speed <= low
                still = following.get(fix.time, self.clusters[-1].opened(shortest))
            out.append(stop is not None or (still and slow) or self.ignition_off(fix))
        return out

    def ignition_off(self, fix: Used) -> bool:
        """Whether a used fix says that the engine is off."""
        here = np.flatnonzero((self.fixes.time.view(np.int64) == fix.time) & self.fixes.positioned)
        return bool(self.fixes.ignition[here[0]] == 0)

    def ended_at(self, visit: Visit) -> int | None:
        """When a fix showed that a visit was over."""
        return self.used[visit.after].time if visit.after < len(self.used) else None

    def terminal(self, fix: Used, name: str | None, metres: float) -> bool:
        """Whether the fix is within so many metres of a named place, whenever that exists; an unknown one is nowhere."""
        place = self.places.get(name or "")
        if place is None:
            return False
        away = 0.0 if super().covered(fix, place) else to_edge(place.polygon, fix.lon, fix.lat)
        return not self.over(fix, away, metres)

    def nearest_route(self, fix: Used) -> Near | None:
        """The nearest of its trip's routes that are known, None without any; notes the fix where two are about as near."""
        trip = fix.trip
        if trip is None or not (known := [self.routes[name] for name in trip.routes if name in self.routes]):
            return None
        nears = [Near(to_line(self.lines[r.id], fix.lon, fix.lat), self.corridor(r, trip), r.id) for r in known]
        nears.sort(key=lambda near: near.metres / near.corridor)
        shares = [near.metres / near.corridor for near in nears]
        if len(nears) > 1 and shares[1] <= shares[0] * (1 + CLOSE):
            self.fragile.add(fix.time)
        return nears[0]

    # ── what is permitted and what the limits are ──

    def outside(self, fix: Used, place: oracle_geometry.OraclePlace) -> float:
        """Metres outside a place, 0 inside it and on its edge; a place that does not exist then is nowhere."""
        return super().outside(fix, place) if exists(place, fix.time) else math.inf

    def covered(self, fix: Used, place: oracle_geometry.OraclePlace) -> bool:
        """Whether it is inside a place, or on its edge, that exists then."""
        return exists(place, fix.time) and super().covered(fix, place)

    def permitted(self, fix: Used) -> bool:
        """Whether it may stand here: by the place, or because somebody said so; in no restricted place."""
        if any(self.places[name].kind == "restricted" for name in fix.within):
            return False
        return super().permitted(fix) or self.authorized(fix)

    def authorized(self, fix: Used) -> bool:
        """Whether somebody said that it may stand: in this place, about this spot, or anywhere."""
        for said in self.permits.authorizations:
            if (said.carrier, said.vehicle) != self.identity or not said.starts_at <= fix.time < said.ends_at:
                continue
            if said.place is not None:
                granted = said.place in fix.within
            elif said.lon is not None and said.lat is not None:
                granted = not self.over(fix, distance(fix.lon, fix.lat, said.lon, said.lat), said.radius_m)
            else:
                granted = True
            if granted:
                return True
        return False

    def limits_at(self, trip: Trip | None, fix: Used | None) -> Detectors:
        """The limits under a trip: what is said for the trip > load class > carrier > place of a used fix, if any > all."""
        place = self.place_saying(fix)
        key = (self.trips.index(trip) if trip else -1, place.id if place else "")
        if key not in self.known_limits:
            self.known_limits[key] = limits_under(self.settings, self.identity.carrier, trip, place)
        return self.known_limits[key]

    def place_saying(self, fix: Used | None) -> oracle_geometry.OraclePlace | None:
        """Of the places that a fix is in and that have limits, the one of the least id."""
        saying = [name for name in (fix.within if fix else ()) if limits_of(self.places[name])]
        return self.places[min(saying)] if saying else None

    def corridor(self, route: OracleRoute, trip: Trip) -> float:
        """What is said for the trip, else for the load class, the carrier, the route itself, and all."""
        said = overridden(self.settings, self.identity.carrier, trip, "route_deviation", "corridor_m")
        said = route.corridor_m if said is None else said
        return float(self.settings.detectors.route_deviation.corridor_m if said is None else said)

    # ── from showing to a signal ──

    def reached(
        self, sequence: Sequence[Moment], shows: Iterable[tuple[int, int]], heard: Sequence[int] | None = None
    ) -> Raise | None:
        """The first of the (index, reach) that raises, by itself or by the silence after it.

        `sequence` is what is watched; `heard` the times that break a silence, those of the used fixes unless said otherwise.
        """
        times = [fix.time for fix in self.used] if heard is None else heard
        for index, reach in shows:
            fix = sequence[index]
            if fix.time >= reach:
                return Raise(reach, presumed=False, by=index, decided=fix.time)
            deadline = max(reach, fix.time + fix.allowance)
            following = next((time for time in times if time > fix.time), None)
            if (deadline <= self.horizon) if following is None else (following > deadline):
                return Raise(deadline, presumed=True, by=index, decided=deadline)
        return None

    def signal(
        self, kind: str, found: Raise, since: int, until: int | None, where: tuple[float, float],
        measure: float, limit: float, unit: str, severity: str,
        *, place: str | None = None, route: str | None = None, trip: Trip | None = None, detail: str | None = None,
    ) -> Signal:  # fmt: skip
        """Put one finding into the words of the log."""
        return Signal(
            kind, self.identity.carrier, self.identity.vehicle, place, route, trip.id if trip else None, since, found.at, until,
            found.presumed, *where, measure, limit, unit, severity, found.decided, max(found.decided, until or 0),
            until is not None, detail,
        )  # fmt: skip


def run_starts(fixes: Sequence[Moment], keys: Sequence[Hashable]) -> list[int]:
    """(N,) the time of the first fix of the unbroken run of equal keys that each fix lies in."""
    starts: list[int] = []
    for index, fix in enumerate(fixes):
        starts.append(starts[-1] if index and keys[index] == keys[index - 1] else fix.time)
    return starts


def place_of(fix: Used | None) -> tuple[float, float]:
    """(lon, lat) of a fix; nowhere without one."""
    return (fix.lon, fix.lat) if fix else NOWHERE
