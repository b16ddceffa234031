"""The facts of a case: what a signal or a stop and the world say together, for the languages to put in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from monitor.explain.spot import UNKNOWN, Reason, Spot, ground_of, number, same
from monitor.fixes import VehicleId
from monitor.hours import parse_hours
from monitor.permits import Authorization, Lockdown
from monitor.places import Place
from monitor.settings import NOTHING_SAID, Settings
from monitor.signals import Signal
from monitor.stops import Stop
from monitor.trips import Trip
from monitor.world import World, place_limit_s


class Case:
    """A signal, and what the world says of it."""

    def __init__(self, signal: Signal, world: World) -> None:
        self.signal, self.world, ground = signal, world, ground_of(world)
        trip = ground.trips.get(signal.trip or "")
        self.spot = Spot(world, VehicleId(signal.carrier, signal.vehicle), signal.since, signal.lon, signal.lat, trip)
        self.place, self.route = self.spot.named(signal.place), ground.routes.get(signal.route or "")

    @property
    def ended(self) -> bool:
        """Whether it holds no more."""
        return self.signal.until is not None

    @property
    def trip(self) -> Trip | None:
        """The trip it was raised on."""
        return self.spot.trip

    @property
    def place_name(self) -> str:
        """What the place it is about is called."""
        return self.place.name if self.place else self.signal.place or ""

    @property
    def route_name(self) -> str:
        """What the route it is about is called."""
        return self.route.name if self.route else self.signal.route or ""

    @cached_property
    def origin(self) -> tuple[Place, float] | None:
        """The origin of the trip, and metres from it."""
        place = self.spot.named(self.trip.origin) if self.trip else None
        return (place, self.spot.metres_from(place)) if place else None

    @cached_property
    def red_zone_m(self) -> float | None:
        """How wide the red zone is that set the limit of a stop; None where none did."""
        if self.signal.severity != "critical" or self.origin is None or self.place is not None:
            return None
        for _, limits, _ in self.spot.settings():
            stop = limits.unauthorized_stop
            if same(number(stop.red_zone_limit), self.signal.limit) and not self.origin[1] > stop.red_zone_m:
                return stop.red_zone_m
        return None

    def stop_reason(self) -> Reason:
        """Why a stop has the limit it has; the red zone and the no-stop place are told apart by the caller."""
        parameter = "red_zone_limit" if self.red_zone_m is not None else "no_stop_limit" if self.place is not None else "limit"
        return self.spot.reason("unauthorized_stop", parameter, self.signal.limit)

    def dwell_reason(self) -> Reason:
        """Why a visit has the limit it has."""
        return dwell_reason(self.spot, self.place, self.signal.limit) if self.place else UNKNOWN

    def corridor_reason(self) -> Reason:
        """Why a corridor is as wide as it is: what trip, load class or carrier says, else the route."""
        said = self.spot.reason("route_deviation", "corridor_m", self.signal.limit)
        if said.level in ("trip", "load", "carrier"):
            return said
        if self.route is not None and self.route.corridor_m is not None:
            return Reason("route") if same(self.route.corridor_m, self.signal.limit) else UNKNOWN
        return said

    @property
    def stood(self) -> bool:
        """Of a lost signal: whether the vehicle stood when it was last heard; of one critical, that is what makes it so."""
        return self.signal.severity != "warning"

    def silence_reason(self) -> Reason:
        """Of a lost signal: who says how long the silence may be; "rhythm" or "first" where three report intervals do."""
        parameter = "dead_zone_limit" if self.place is not None and not self.stood else "limit"
        said = self.spot.reason("signal_lost", parameter, self.signal.limit * 60.0)
        if said.level:
            return said
        third = self.signal.limit * 20.0
        if not self.stood:
            return Reason("rhythm")
        for _, limits, _ in self.spot.settings():
            if limits.signal_lost.parked_interval is not None:
                return self.spot.reason("signal_lost", "parked_interval", third)
            if same(number(limits.signal_lost.first_parked_interval), third):
                return Reason("first")
        return Reason("rhythm")

    @property
    def assumed_kmh(self) -> float:
        """How fast a vehicle that is not heard is taken to drive."""
        return 3.6 * next(limits.signal_lost.assumed_mps for _, limits, _ in self.spot.settings())

    @property
    def jump_kmh(self) -> float:
        """How fast no vehicle drives."""
        return 3.6 * self.world.settings.order.jump_mps

    @cached_property
    def lockdown(self) -> Lockdown | None:
        """The lockdown that a movement was under: the vehicle's, its carrier's, or that of the nearest place it may have left."""
        signal, mine = self.signal, []
        for one in self.world.permits.lockdowns:
            if not one.starts_at <= signal.at < one.ends_at:
                continue
            if one.carrier == signal.carrier and one.vehicle in (None, signal.vehicle):
                mine.append((0.0, one.id, one))
            elif (place := self.spot.named(one.place)) is not None and self.spot.known:
                mine.append((self.spot.metres_from(place), one.id, one))
        return min(mine, key=lambda each: each[:2])[2] if mine else None

    @cached_property
    def hours(self) -> str:
        """When vehicles may move, where that was not when the movement was raised; else ""."""
        hours = next(limits.after_hours_movement.hours for _, limits, _ in self.spot.settings())
        if not hours or parse_hours(hours, self.spot.zone).open_at(np.array([self.signal.at]))[0]:
            return ""
        return hours

    @property
    def tripless(self) -> bool:
        """Whether it moved on no trip where it needs one."""
        return self.trip is None and next(limits.after_hours_movement.without_trip for _, limits, _ in self.spot.settings())


class Rest:
    """A stop of the trip log, and what the world says of it."""

    def __init__(self, stop: Stop, world: World, signals: Sequence[Signal]) -> None:
        self.stop, self.world = stop, world
        code = int(world.trips.assign([stop.vehicle], np.zeros(1, np.int32), np.array([stop.since]))[0])
        trip = world.trips.all[code] if code >= 0 else None
        self.spot = Spot(world, stop.vehicle, stop.since, stop.lon, stop.lat, trip)
        self.place = self.spot.named(stop.place)
        self.raised = tuple(signal for signal in signals if self._during(signal))

    def _during(self, signal: Signal) -> bool:
        """Whether a signal is of this vehicle and holds while it stands here."""
        mine = (signal.carrier, signal.vehicle) == self.stop.vehicle and signal.kind in ("unauthorized_stop", "long_dwell")
        return mine and signal.since <= self.stop.until and (signal.until is None or signal.until >= self.stop.since)

    @property
    def stood_ms(self) -> int:
        """How long it stood."""
        return self.stop.until - self.stop.since

    @cached_property
    def authorization(self) -> Authorization | None:
        """The authorization that let it stand, where no place did."""
        if self.place is not None and self.spot.permits(self.place):
            return None
        mine = [one for one in self.world.permits.authorizations if one.of == self.stop.vehicle]
        held = [one for one in mine if one.starts_at <= self.stop.until and self.stop.since < one.ends_at]
        return min(held, key=lambda one: (one.starts_at, one.id), default=None)

    @property
    def dwell_s(self) -> float:
        """How long it may stay in the place; infinite for no limit."""
        if self.place is None:
            return math.inf
        settings, limits, _ = next(self.spot.settings())
        return place_limit_s(self.place, limits, first=_kind_first(self.spot, settings, self.place.kind))

    @property
    def limit_s(self) -> float:
        """How long it may stand outside permitted places."""
        _, limits, _ = next(self.spot.settings())
        stop, least = limits.unauthorized_stop, number(limits.unauthorized_stop.limit)
        if any(place.kind == "no_stop" for place in self.spot.around):
            least = min(least, number(stop.no_stop_limit))
        origin = self.spot.named(self.spot.trip.origin) if self.spot.trip else None
        if self.spot.load == "high_value" and origin is not None and self.spot.metres_from(origin) <= stop.red_zone_m:
            least = min(least, number(stop.red_zone_limit))
        return least


def dwell_reason(spot: Spot, place: Place, value: float) -> Reason:
    """Who says how long a visit to a place may last."""
    if place.max_dwell is not None and same(number(place.max_dwell), value):
        return Reason("place")
    return spot.reason("long_dwell", place.kind, value)


def _kind_first(spot: Spot, settings: Settings, kind: str) -> bool:
    """Whether trip, load class or carrier say how long a visit to places of a kind may last, which comes before the place's own."""
    said = (settings.carrier.get(spot.vehicle.carrier, NOTHING_SAID), settings.load.get(spot.load, NOTHING_SAID))
    on_trip = spot.trip.limits if spot.trip else NOTHING_SAID
    return any(kind in each.get("long_dwell", {}) for each in (*said, on_trip))
