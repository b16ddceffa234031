"""The world: everything fixes are judged under besides the fixes themselves. Settings, atlas, trips and permits, as arrays.

It holds all that was ever in force, and is asked by event time: trips and permits have their intervals, places may, and earlier
settings the instant until which their limits held. Limits are inherited trip > load class > carrier > (route or place) > global. A
*profile* is one set of limits, shared by all fixes of the same carrier and load class, at the same time, on a trip or in a place
with limits of its own. A corridor is as wide as the settings say at its trip's start.
Shapes: T trips, C corridors (a route of a trip), N fixes, K epochs (of settings).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import shapely

from monitor.atlas import Atlas
from monitor.errors import ConfigurationError
from monitor.fixes import F64, I32, I64, Bool, VehicleId
from monitor.geodesy import distances_m
from monitor.hours import Hours, parse_hours
from monitor.lines import BESIDE_M
from monitor.motion import NONE
from monitor.permits import NO_PERMITS, Permits
from monitor.places import Geofences, Place, Route, require
from monitor.settings import NOTHING_SAID, Detectors, Limits, Settings, effective, milliseconds
from monitor.trips import Trip, Trips
from monitor.visits import Permissions, Presence

AnyLimits = npt.NDArray[Any]
ALWAYS = (-(2**62), 2**62)


class World:
    """Settings, atlas, trips and permits; a value, never changed once made. `version` is the hash of what they say.

    `earlier` are the settings whose limits held before, each with the instant (ms) until which they did, in order of time.
    """

    def __init__(
        self,
        settings: Settings,
        geofences: Geofences,
        trips: Trips,
        permits: Permits = NO_PERMITS,
        earlier: Sequence[tuple[int, Settings]] = (),
    ) -> None:
        self.settings, self.trips, self.permits = settings, trips, permits
        self.epochs: tuple[Settings, ...] = (*(said for _, said in earlier), settings)
        self._epoch_ends: I64 = np.array([until for until, _ in earlier], np.int64)
        self.atlas = Atlas(geofences)
        self.permissions = Permissions(self.atlas, trips.all, permits.authorizations)
        self.version = _version(settings, geofences, trips, permits, earlier)
        exist = [(place.valid_from, place.valid_until) for place in self.atlas.places]
        self._valid_from: I64 = np.array([ALWAYS[0] if begin is None else begin for begin, _ in exist], np.int64)
        self._valid_until: I64 = np.array([ALWAYS[1] if end is None else end for _, end in exist], np.int64)
        self._passing = any(begin is not None or end is not None for begin, end in exist)
        routes_of = [[self.atlas.route_code[r] for r in trip.routes if r in self.atlas.route_code] for trip in trips.all]
        self.corridor_start: I64 = np.cumsum([0, *map(len, routes_of)]).astype(np.int64)
        self.corridor_route: I64 = np.array([code for codes in routes_of for code in codes], np.int64)
        self.corridor_m: F64 = np.array(
            [
                self._corridor_m(trip, self.atlas.routes[code])
                for trip, codes in zip(trips.all, routes_of, strict=True)
                for code in codes
            ]
        )
        self.routed = np.array([bool(codes) for codes in routes_of] + [False], bool)
        self.high_value = np.array([trip.load == "high_value" for trip in trips.all] + [False], bool)
        self.origin: I32 = self._places([(trip.origin, trip) for trip in trips.all])
        self.destination: I32 = self._places([(trip.destination, trip) for trip in trips.all])
        self.corridor_sense: F64 = self._senses()
        """(C,) 1 where a trip goes along its route as that is drawn, -1 where it goes against it, NaN where it may go both ways."""
        self._profiles: dict[tuple[int, str, str, int, int], int] = {}
        self.profiles: list[Detectors] = []
        self._columns: dict[str, AnyLimits] = {}
        self._place_limits: list[F64] = []
        self._place_table: F64 = np.empty((0, 0))
        self._said: list[set[str]] = []
        """Of each profile, the kinds of place whose dwell its trip, load class or carrier says."""
        self._hours: list[Hours | None] = []
        owners = {place.carrier for place in self.atlas.places if place.carrier}
        self._owners = {name: number for number, name in enumerate(sorted(owners))}
        self._owner: I32 = np.array([self._owners.get(place.carrier or "", -1) for place in self.atlas.places], np.int32)
        self._limited = np.array([bool(place.limits) for place in self.atlas.places], bool)
        """(P,) whether a place has limits of its own."""
        self._trip_profiles: list[I32] = [
            np.array(
                [self.profile(trip.carrier, trip.load, number, epoch=epoch) for number, trip in enumerate(trips.all)] + [-1],
                np.int32,
            )
            for epoch in range(len(self.epochs))
        ]
        """Of each epoch (T + 1,) the number of the limits on each trip."""
        of_their_own = [said.limits for some in (trips.all, self.atlas.places) for said in some]
        self.profile("", "standard")  # there is always one, so that columns of limits always have their types
        self.watches_movement = bool(permits.lockdowns) or any(_watch_movement(said, of_their_own) for said in self.epochs)
        """Whether anything can make a movement one that should not be."""
        self._locked_units, self._locked_places = self._lockdowns()

    def profile(self, carrier: str, load: str, trip: int = -1, place: int = -1, epoch: int = -1) -> int:
        """Give the number of the limits for a carrier and a load class, on a trip and in a place (codes; -1 for none)."""
        epoch %= len(self.epochs)
        settings = self.epochs[epoch]
        on_trip = self.trips.all[trip].limits if trip >= 0 else NOTHING_SAID
        in_place = self.atlas.places[place].limits if place >= 0 else NOTHING_SAID
        key = (epoch, carrier if carrier in settings.carrier else "", load, trip if on_trip else -1, place if in_place else -1)
        if key not in self._profiles:
            self._profiles[key] = len(self.profiles)
            limits = settings.limits(carrier, load, on_trip, in_place)
            self.profiles.append(limits)
            overriding = (settings.carrier.get(carrier, NOTHING_SAID), settings.load.get(load, NOTHING_SAID), on_trip)
            self._said.append({kind for said in overriding for kind in said.get("long_dwell", {})})
            hours = limits.after_hours_movement.hours
            self._hours.append(operating_hours(hours, settings.timezone) if hours else None)
        return self._profiles[key]

    def profiles_of(self, vehicles: Sequence[VehicleId], row: I32, time: I64, trip: I32) -> I32:
        """(N,) the number of the limits for each fix, but for what places say; `row` indexes `vehicles`, `trip` -1 for none."""
        out = np.empty(len(time), np.int32)
        epochs = np.searchsorted(self._epoch_ends, time, side="right") if len(self._epoch_ends) else np.zeros(1, np.int64)
        for epoch in np.unique(epochs).tolist():
            here = slice(None) if len(self.epochs) == 1 else np.flatnonzero(epochs == epoch)
            without = self._without_trip(vehicles, epoch)[row[here]]
            out[here] = np.where(trip[here] >= 0, self._trip_profiles[epoch][trip[here]], without)
        return out

    def _without_trip(self, vehicles: Sequence[VehicleId], epoch: int) -> I32:
        """(R,) the number of the limits of vehicles on no trip."""
        if not self.epochs[epoch].carrier:
            return np.full(len(vehicles), self.profile("", "standard", epoch=epoch), np.int32)
        return np.array([self.profile(vehicle.carrier, "standard", epoch=epoch) for vehicle in vehicles], np.int32)

    def in_places(self, profile: I32, vehicles: Sequence[VehicleId], row: I32, time: I64, trip: I32, presence: Presence) -> I32:
        """(N,) the number of the limits for each fix, with what the places say that it is in; of several, that of the least id."""
        if not self._limited.any():
            return profile
        chosen = np.flatnonzero(self._limited[presence.place] & (presence.ended == NONE))
        chosen = chosen[np.argsort(-self.permissions.rank[presence.place[chosen]], kind="stable")]
        place = np.full(len(profile), -1, np.int32)
        place[presence.fix[chosen]] = presence.place[chosen]
        out = profile.copy()
        for i in np.flatnonzero(place >= 0).tolist():
            number = int(trip[i])
            load = self.trips.all[number].load if number >= 0 else "standard"
            epoch = int(np.searchsorted(self._epoch_ends, time[i], side="right"))
            out[i] = self.profile(vehicles[row[i]].carrier, load, number, int(place[i]), epoch)
        return out

    def closed_at(self, profile: I32, time: I64) -> Bool:
        """(N,) whether the limits of a fix say hours at which vehicles may move, and it lies outside of them."""
        out = np.zeros(len(time), bool)
        for number in np.unique(profile).tolist():
            if (hours := self._hours[number]) is not None:
                here = np.flatnonzero(profile == number)
                out[here] = ~hours.open_at(time[here])
        return out

    def locked(self, vehicles: Sequence[VehicleId], row: I32, time: I64) -> Bool:
        """(N,) whether a lockdown of the vehicle or of its carrier is in force at each fix."""
        out = np.zeros(len(time), bool)
        for r in np.unique(row).tolist() if self._locked_units else ():
            carrier, here = vehicles[r].carrier, np.flatnonzero(row == r)
            for starts_at, ends_at in (
                *self._locked_units.get(vehicles[r], ()),
                *self._locked_units.get(VehicleId(carrier, ""), ()),
            ):
                out[here] |= (time[here] >= starts_at) & (time[here] < ends_at)
        return out

    def places_locked_until(self, presence: Presence, time: I64) -> I64:
        """(N,) ms: the end of the lockdowns in force of the places that each fix is in or just left; NONE without any."""
        out = np.full(len(time), NONE)
        for place, intervals in self._locked_places.items():
            fix = presence.fix[presence.place == place]
            for starts_at, ends_at in intervals:
                held = fix[(time[fix] >= starts_at) & (time[fix] < ends_at)]
                out[held] = np.maximum(out[held], ends_at)
        return out

    def _lockdowns(self) -> tuple[dict[VehicleId, list[tuple[int, int]]], dict[int, list[tuple[int, int]]]]:
        """The intervals of the lockdowns of vehicles (of a whole carrier: the vehicle ""), and of places by their codes."""
        units: dict[VehicleId, list[tuple[int, int]]] = {}
        places: dict[int, list[tuple[int, int]]] = {}
        for one in self.permits.lockdowns:
            for code in self.atlas.codes_of.get(one.place or "", ()):
                places.setdefault(code, []).append((one.starts_at, one.ends_at))
            if one.place is None and one.carrier is not None:
                units.setdefault(VehicleId(one.carrier, one.vehicle or ""), []).append((one.starts_at, one.ends_at))
        return units, places

    def limits(self, profile: I32, name: str) -> AnyLimits:
        """(N,) one of each fix's limits: "detector.parameter"; durations are int64 ms, NONE for none."""
        return self.limits_of_profiles(name)[profile]

    def limits_of_profiles(self, name: str) -> AnyLimits:
        """(profiles,) one of each set of limits."""
        column = self._columns.get(name)
        if column is None or len(column) < len(self.profiles):
            column = self._columns[name] = np.array([_number(attrgetter(name)(limits)) for limits in self.profiles])
        return column

    def place_limits(self) -> F64:
        """(profiles, P) seconds that a visit to each place may last under each set of limits."""
        for number in range(len(self._place_limits), len(self.profiles)):
            limits, said = self.profiles[number], self._said[number]
            own = [place_limit_s(place, limits, first=place.kind in said) for place in self.atlas.places]
            self._place_limits.append(np.array(own, np.float64))
        if len(self._place_table) < len(self.profiles):
            self._place_table = np.array(self._place_limits, np.float64).reshape(len(self.profiles), len(self.atlas.places))
        return self._place_table

    def visible_to(self, vehicles: Sequence[VehicleId], row: I32, time: I64, place: I32) -> Bool:
        """(M,) whether a place exists for a vehicle at an instant: it is its carrier's own, or everybody's, and valid then."""
        out = np.ones(len(place), bool)
        if self._owners and len(place):
            owner, mine = self._owner[place], np.array([self._owners.get(vehicle.carrier, -2) for vehicle in vehicles])[row]
            out &= (owner == -1) | (owner == mine)
        return out & self.exists(place, time) if self._passing else out

    def exists(self, place: I32 | I64, time: I64) -> Bool:
        """(M,) whether there is such a place at an instant."""
        return np.asarray((time >= self._valid_from[place]) & (time < self._valid_until[place]), bool)

    def _places(self, named: Sequence[tuple[str | None, Trip]]) -> I32:
        """(T + 1,) the places that trips name: as drawn at their start, else as drawn last; -1 for none, or another carrier's."""
        return np.array([self._drawn(identity or "", trip) for identity, trip in named] + [-1], np.int32)

    def _drawn(self, identity: str, trip: Trip) -> int:
        own = (None, trip.carrier)
        codes = [code for code in self.atlas.codes_of.get(identity, ()) if self.atlas.places[code].carrier in own]
        then = [code for code in codes if self._valid_from[code] <= trip.starts_at < self._valid_until[code]]
        return (then or codes or [-1])[-1]

    def _senses(self) -> F64:
        """Which way each trip goes along its routes: the way that brings the ends of the line nearer to its origin and destination.

        Where both bring them as near, it goes there and back; but around a line that ends where it begins it goes as that is drawn.
        """
        routes, trip = self.corridor_route, np.repeat(np.arange(len(self.trips.all)), np.diff(self.corridor_start))
        ends = np.array([(*route.line[0], *route.line[-1]) for route in self.atlas.routes]).reshape(-1, 4)[routes]
        centres = shapely.get_coordinates(shapely.centroid([place.geometry for place in self.atlas.places])).reshape(-1, 2)
        worse = np.zeros(len(routes))  # metres by which the line as it is drawn fits worse
        for places, here, there in ((self.origin[trip], 0, 2), (self.destination[trip], 2, 0)):
            named = np.flatnonzero(places >= 0)
            at = centres[places[named]]
            for end, factor in ((here, 1.0), (there, -1.0)):
                worse[named] += factor * distances_m(ends[named, end], ends[named, end + 1], at[:, 0], at[:, 1])
        told = (self.origin[trip] >= 0) | (self.destination[trip] >= 0)
        told &= distances_m(*ends.T.copy()) > BESIDE_M
        return np.where(told & (np.abs(worse) <= BESIDE_M), np.nan, np.where(told & (worse > 0.0), -1.0, 1.0))

    def _corridor_m(self, trip: Trip, route: Route) -> float:
        """Half-width for a trip on a route: what the trip says, else its load class, its carrier, the route, else all."""
        settings = self.epochs[int(np.searchsorted(self._epoch_ends, trip.starts_at, side="right"))]
        for said in (trip.limits, settings.load.get(trip.load, NOTHING_SAID), settings.carrier.get(trip.carrier, NOTHING_SAID)):
            width = said.get("route_deviation", {}).get("corridor_m")
            if width is not None:
                return float(width)
        return route.corridor_m or settings.detectors.route_deviation.corridor_m


def _number(limit: Any) -> Any:
    """A limit as arrays hold it: a duration in ms, none as NONE."""
    if limit is None:
        return NONE
    return milliseconds(limit) if isinstance(limit, timedelta) else limit


def operating_hours(text: str, timezone: str) -> Hours:
    """Read when vehicles may move.

    Raises
    ------
    ConfigurationError
        With what is allowed.
    """
    try:
        return parse_hours(text, ZoneInfo(timezone))
    except ValueError as error:
        raise ConfigurationError([f"detectors.after_hours_movement.hours = {text!r}: {error}"]) from None


def _watch_movement(settings: Settings, of_their_own: Sequence[Limits]) -> bool:
    """Whether some limits say hours, or that vehicles without a trip may not move; those of trips and places among them."""
    general = settings.detectors.after_hours_movement
    said = [
        table.get("after_hours_movement", {}) for table in (*settings.load.values(), *settings.carrier.values(), *of_their_own)
    ]
    return bool(general.hours or general.without_trip) or any(one.get("hours") or one.get("without_trip") for one in said)


def checked_world(
    settings: Settings,
    geofences: Geofences,
    trips: Trips,
    origin: str,
    permits: Permits = NO_PERMITS,
    earlier: Sequence[tuple[int, Settings]] = (),
) -> World:
    """Make a world whose trips name only places and routes there are; `origin` names where the trips came from.

    Raises
    ------
    ConfigurationError
        With one line for each unknown id.
    """
    places, routes = [place.id for place in geofences.places], [route.id for route in geofences.routes]
    faults: list[str] = []
    for trip in trips.all:
        where = f"{origin}: trip {trip.id}"
        asked = [(routes, route, "route") for route in trip.routes]
        asked += [(places, name, what) for name, what in ((trip.origin, "origin"), (trip.destination, "destination")) if name]
        asked += [(places, name, "authorized_places") for name in trip.authorized_places or ()]
        faults += [f"{where}: {fault}" for known, name, what in asked if (fault := require(known, name, what))]
    for authorization in permits.authorizations:
        if authorization.place is not None and (fault := require(places, authorization.place, "place")):
            faults.append(f"authorization {authorization.id}: {fault}")
    for lockdown in permits.lockdowns:
        if lockdown.place is not None and (fault := require(places, lockdown.place, "place")):
            faults.append(f"lockdown {lockdown.id}: {fault}")
    if faults:
        raise ConfigurationError(faults)
    return World(settings, geofences, trips, permits, earlier)


def place_limit_s(place: Place, limits: Detectors, *, first: bool = False) -> float:
    """Seconds that a visit to a place may last: its own `max_dwell`, else its kind's; infinite for no limit.

    `first`: the kind's comes first, because a load class or a carrier says it.
    """
    of_kind = getattr(limits.long_dwell, place.kind, None)
    limit = of_kind if first or place.max_dwell is None else place.max_dwell
    return np.inf if limit is None else limit.total_seconds()


def _version(
    settings: Settings, geofences: Geofences, trips: Trips, permits: Permits, earlier: Sequence[tuple[int, Settings]]
) -> str:
    epochs = [(until, [(s.key, s.value) for s in effective(said)]) for until, said in (*earlier, (ALWAYS[1], settings))]
    said = repr((epochs, geofences.version, trips.all, permits))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
