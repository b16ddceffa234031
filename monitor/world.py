"""The world: everything fixes are judged under besides the fixes themselves. Settings, atlas and trips, as arrays.

Limits are inherited load class > carrier > (route or place) > global. A *profile* is one set of limits, shared by all fixes of the
same carrier and load class.
Shapes: T trips, C corridors (a route of a trip), N fixes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from monitor.atlas import Atlas
from monitor.errors import ConfigurationError
from monitor.fixes import F64, I32, I64, VehicleId
from monitor.places import Geofences, Place, Route, require
from monitor.settings import Detectors, Settings, effective
from monitor.trips import Trip, Trips
from monitor.visits import Permissions


class World:
    """Settings, atlas and trips; a value, never changed once made. `version` is the hash of what they say."""

    def __init__(self, settings: Settings, geofences: Geofences, trips: Trips) -> None:
        self.settings, self.trips = settings, trips
        self.atlas = Atlas(geofences)
        self.permissions = Permissions(self.atlas, trips.all)
        self.version = _version(settings, geofences, trips)
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
        self.origin: I32 = self._places([trip.origin for trip in trips.all])
        self.destination: I32 = self._places([trip.destination for trip in trips.all])
        self._profiles: dict[tuple[str, str], int] = {}
        self.profiles: list[Detectors] = []
        self._place_limits: list[F64] = []
        self._said: list[set[str]] = []
        """Of each profile, the kinds of place whose dwell its load class or carrier says."""
        owners = {place.carrier for place in self.atlas.places if place.carrier}
        self._owners = {name: number for number, name in enumerate(sorted(owners))}
        self._owner: I32 = np.array([self._owners.get(place.carrier or "", -1) for place in self.atlas.places], np.int32)
        self.trip_profile: I32 = np.array([self.profile(trip.carrier, trip.load) for trip in trips.all] + [-1], np.int32)

    def profile(self, carrier: str, load: str) -> int:
        """Give the number of the limits for a carrier and a load class."""
        key = (carrier if carrier in self.settings.carrier else "", load)
        if key not in self._profiles:
            self._profiles[key] = len(self.profiles)
            self.profiles.append(self.settings.limits(carrier, load))
            overriding = (self.settings.carrier.get(carrier, {}), self.settings.load.get(load, {}))
            self._said.append({kind for said in overriding for kind in said.get("long_dwell", {})})
        return self._profiles[key]

    def profiles_without_trip(self, vehicles: Sequence[VehicleId]) -> I32:
        """(R,) the number of the limits of vehicles on no trip."""
        if not self.settings.carrier:
            return np.full(len(vehicles), self.profile("", "standard"), np.int32)
        return np.array([self.profile(vehicle.carrier, "standard") for vehicle in vehicles], np.int32)

    def limits(self, profile: I32, read: Callable[[Detectors], float]) -> F64:
        """(N,) one number of each fix's limits."""
        return self.limits_of_profiles(read)[profile]

    def limits_of_profiles(self, read: Callable[[Detectors], float]) -> F64:
        """(profiles,) one number of each set of limits."""
        return np.array([read(limits) for limits in self.profiles], np.float64)

    def place_limits(self) -> F64:
        """(profiles, P) seconds that a visit to each place may last under each set of limits."""
        for number in range(len(self._place_limits), len(self.profiles)):
            limits, said = self.profiles[number], self._said[number]
            own = [place_limit_s(place, limits, first=place.kind in said) for place in self.atlas.places]
            self._place_limits.append(np.array(own, np.float64))
        return np.array(self._place_limits, np.float64).reshape(len(self.profiles), len(self.atlas.places))

    def visible_to(self, vehicles: Sequence[VehicleId], row: I32, place: I32) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(M,) whether a place exists for a vehicle: it is its carrier's own, or everybody's."""
        if not self._owners or not len(place):
            return np.ones(len(place), bool)
        owner, mine = self._owner[place], np.array([self._owners.get(vehicle.carrier, -2) for vehicle in vehicles])[row]
        return np.asarray((owner == -1) | (owner == mine), bool)

    def _places(self, identities: Sequence[str | None]) -> I32:
        return np.array([self.atlas.place_code.get(identity or "", -1) for identity in identities] + [-1], np.int32)

    def _corridor_m(self, trip: Trip, route: Route) -> float:
        """Half-width for a trip on a route: what its load class says, else its carrier, else the route, else all."""
        for said in (self.settings.load.get(trip.load, {}), self.settings.carrier.get(trip.carrier, {})):
            width = said.get("route_deviation", {}).get("corridor_m")
            if width is not None:
                return float(width)
        return route.corridor_m or self.settings.detectors.route_deviation.corridor_m


def checked_world(settings: Settings, geofences: Geofences, trips: Trips, origin: str) -> World:
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
    if faults:
        raise ConfigurationError(faults)
    return World(settings, geofences, trips)


def place_limit_s(place: Place, limits: Detectors, *, first: bool = False) -> float:
    """Seconds that a visit to a place may last: its own `max_dwell`, else its kind's; infinite for no limit.

    `first`: the kind's comes first, because a load class or a carrier says it.
    """
    of_kind = getattr(limits.long_dwell, place.kind, None)
    limit = of_kind if first or place.max_dwell is None else place.max_dwell
    return np.inf if limit is None else limit.total_seconds()


def _version(settings: Settings, geofences: Geofences, trips: Trips) -> str:
    said = repr(([(s.key, s.value) for s in effective(settings)], geofences.version, trips.all))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
