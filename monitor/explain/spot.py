"""The spot: where a vehicle was when, where it might stand around there and where not, and who says its limits.

Definitions
    A vehicle's *permitted* places at an instant: those of a standing kind, its own carrier's or everybody's, open and in existence
    then and, where its trip names authorized places, named if of a kind that must be. Distances are geodesic, to a place's edge.
    The *reason* of a limit is the most special of those who say it: trip, load class, carrier, place, route, else nobody in
    particular; unknown where what is said now is not what the signal was judged by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from monitor.fixes import F64, VehicleId
from monitor.places import STANDING_KINDS, Place
from monitor.settings import NOTHING_SAID, Detectors, Limits, Settings
from monitor.trips import Trip
from monitor.visits import NAMED_KINDS
from monitor.world import World

WORLDS = 4
"""As many worlds are kept prepared: the one in force, and those of a test or a comparison."""
LEAST_DEGREE_M = 109_500.0
"""No degree of latitude is shorter, with a margin."""
SAME = 1e-6
"""Limits that differ by less, in their unit, are the same."""


class Reason(NamedTuple):
    """Who says a limit: "trip", "load", "carrier", "place", "route", "rule" (for all), or "" (nobody now)."""

    level: str
    name: str = ""
    """Which: the trip's id, the load class, the carrier."""


UNKNOWN = Reason("")


class Bar(NamedTuple):
    """A place around a vehicle in which it may not stand, and why: "closed", "unnamed" or "restricted"."""

    place: Place
    why: str


class Ground:
    """A world's places and trips, found by id and by nearness."""

    def __init__(self, world: World) -> None:
        self.atlas = world.atlas
        self.trips = {trip.id: trip for trip in world.trips.all}
        self.routes = {route.id: route for route in world.atlas.routes}
        self.codes = {id(place): code for code, place in enumerate(world.atlas.places)}
        self.places: dict[str, list[Place]] = {}
        for place in world.atlas.places:
            self.places.setdefault(place.id, []).append(place)
        self.standing = np.array([place.kind in STANDING_KINDS for place in world.atlas.places], bool)
        self.box: F64 = np.array([place.geometry.bounds for place in world.atlas.places], np.float64).reshape(-1, 4)

    def nearest(self, lon: float, lat: float, permitted: Callable[[Place], bool]) -> tuple[Place, float] | None:
        """The nearest place that is permitted, and metres to its edge; of several equally near, the least id. None for none.

        Boxes give the order in which to look: a place whose box is further away than the nearest place so far is not measured.
        """
        codes = np.flatnonzero(self.standing)
        least_m = self._box_m(lon, lat, codes)
        found: tuple[float, str, Place] | None = None
        for k in np.argsort(least_m, kind="stable").tolist():
            if found is not None and least_m[k] > found[0]:
                break
            place = self.atlas.places[codes[k]]
            if permitted(place):
                metres = float(self.atlas.distance_m(int(codes[k]), np.array([lon]), np.array([lat]))[0])
                if found is None or (metres, place.id) < found[:2]:
                    found = (metres, place.id, place)
        return None if found is None else (found[2], found[0])

    def _box_m(self, lon: float, lat: float, codes: np.ndarray[tuple[int], np.dtype[np.intp]]) -> F64:
        """(K,) metres, or a little fewer, from a position to the boxes of some places."""
        west, south, east, north = self.box[codes].T
        furthest = np.maximum(np.maximum(np.abs(south), np.abs(north)), abs(lat))
        away_lon = np.maximum(0.0, np.maximum(west - lon, lon - east)) * np.cos(np.radians(furthest))
        away_lat = np.maximum(0.0, np.maximum(south - lat, lat - north))
        return np.asarray(LEAST_DEGREE_M * np.hypot(away_lon, away_lat))

    def around(self, lon: float, lat: float) -> list[Place]:
        """The places that a position lies in, by id."""
        pairs = self.atlas.locate(np.array([lon]), np.array([lat]))
        inside = [self.atlas.places[code] for code in pairs.place[pairs.outside_m == 0.0]]
        return sorted(inside, key=lambda place: place.id)


@lru_cache(maxsize=WORLDS)
def ground_of(world: World) -> Ground:
    """A world's ground, made once."""
    return Ground(world)


class Spot:
    """A vehicle at a time and a position (ms, degrees; NaN unknown), under a trip or none: where it may stand, where not."""

    def __init__(self, world: World, vehicle: VehicleId, time: int, lon: float, lat: float, trip: Trip | None) -> None:
        self.world, self.vehicle, self.time, self.lon, self.lat, self.trip = world, vehicle, time, lon, lat, trip
        self.ground, self.zone = ground_of(world), ZoneInfo(world.settings.timezone)
        self.known = math.isfinite(lon) and math.isfinite(lat)

    @cached_property
    def around(self) -> tuple[Place, ...]:
        """The places that exist for the vehicle and that it is in."""
        return tuple(filter(self._exists, self.ground.around(self.lon, self.lat))) if self.known else ()

    @cached_property
    def bars(self) -> tuple[Bar, ...]:
        """Of those the ones in which it might stand at another time or on another trip, and the restricted ones."""
        whys = ((place, "restricted" if place.kind == "restricted" else self._barred(place)) for place in self.around)
        return tuple(Bar(place, why) for place, why in whys if why and (place.kind in STANDING_KINDS or why == "restricted"))

    @cached_property
    def nearest(self) -> tuple[Place, float] | None:
        """The nearest permitted place, and metres to it."""
        return self.ground.nearest(self.lon, self.lat, self.permits) if self.known else None

    @property
    def inside(self) -> bool:
        """Whether it is in a permitted place, and in no restricted one."""
        return self.nearest is not None and self.nearest[1] == 0.0 and all(place.kind != "restricted" for place in self.around)

    def permits(self, place: Place) -> bool:
        """Whether the vehicle may stand in a place, as far as the place goes."""
        return place.kind in STANDING_KINDS and self._exists(place) and not self._barred(place)

    def named(self, identity: str | None) -> Place | None:
        """The place of an id, as it is at the time."""
        places = self.ground.places.get(identity or "", [])
        return next(filter(self._exists, places), places[0] if places else None)

    def metres_from(self, place: Place) -> float:
        """Metres to a place's edge, 0 inside it; NaN where the position is unknown."""
        code = self.ground.codes[id(place)]
        return float(self.world.atlas.distance_m(code, np.array([self.lon]), np.array([self.lat]))[0]) if self.known else math.nan

    def settings(self) -> Iterator[tuple[Settings, Detectors, Limits]]:
        """The settings that are or were in force, the newest first; what they make of the vehicle's limits; what its place says."""
        said = [place.limits for place in self.around if place.limits]
        in_place, on_trip = said[0] if said else NOTHING_SAID, self.trip.limits if self.trip else NOTHING_SAID
        for settings in reversed(self.world.epochs):
            yield settings, settings.limits(self.vehicle.carrier, self.load, on_trip, in_place), in_place

    @property
    def load(self) -> str:
        """The class of its load."""
        return self.trip.load if self.trip else "standard"

    def reason(self, detector: str, parameter: str, value: float) -> Reason:
        """Who says that a limit (seconds, or in its own unit) is what it is."""
        for settings, limits, in_place in self.settings():
            if not same(number(getattr(getattr(limits, detector), parameter, None)), value):
                continue
            carrier = self.vehicle.carrier
            levels = (
                (self.trip.limits if self.trip else NOTHING_SAID, Reason("trip", self.trip.id if self.trip else "")),
                (settings.load.get(self.load, NOTHING_SAID), Reason("load", self.load)),
                (settings.carrier.get(carrier, NOTHING_SAID), Reason("carrier", carrier)),
                (in_place, Reason("place")),
            )
            return next((reason for said, reason in levels if parameter in said.get(detector, {})), Reason("rule"))
        return UNKNOWN

    def _exists(self, place: Place) -> bool:
        begin, end = place.valid_from, place.valid_until
        there = (begin is None or begin <= self.time) and (end is None or self.time < end)
        return there and place.carrier in (None, self.vehicle.carrier)

    def _barred(self, place: Place) -> str:
        """Why the vehicle may not stand in a place that exists for it; "" where it may."""
        if place.hours is not None and not place.hours.open_at(np.array([self.time]))[0]:
            return "closed"
        if self.trip is None or self.trip.authorized_places is None or place.kind not in NAMED_KINDS:
            return ""
        return "" if place.id in (*self.trip.authorized_places, self.trip.origin, self.trip.destination) else "unnamed"


def same(one: float, other: float) -> bool:
    """Whether two limits are the same."""
    return abs(one - other) <= SAME


def number(value: object) -> float:
    """A setting as a number: seconds of a duration, else as it is; NaN for none."""
    if isinstance(value, (int, float)):
        return float(value)
    seconds = getattr(value, "total_seconds", None)
    return float(seconds()) if seconds is not None else math.nan
