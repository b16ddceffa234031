"""The week: a hundred long-haul and a hundred city trucks, what their trackers reported, and what truly happened.

The same seed gives the same week. It begins on a Monday at midnight in Toronto, in a week without a change of clocks.
Shapes: N fixes of all vehicles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.week import country, thefts
from benchmarks.week.city import Courier, territory
from benchmarks.week.country import Country, carrier
from benchmarks.week.habits import DAY, HOUR, Random
from benchmarks.week.lines import joined, moved, through
from benchmarks.week.longhaul import Hauler
from benchmarks.week.motion import Motion, Span
from benchmarks.week.thefts import Theft
from benchmarks.week.tracker import Device, Reports, device, reports
from monitor.fixes import I8, FixBatch, Fleet, VehicleId, normalised
from monitor.trips import Trip, Trips

EPOCH_MS = 1_777_867_200_000
"""Monday 4 May 2026, 00:00 in Toronto."""
LOADS = ("standard",) * 7 + ("high_value",) * 2 + ("dangerous",)
SUNDAY_AT_TWO = 6 * DAY + 2 * HOUR
LEARNED = 2.2 * DAY
"""Most thieves come when the monitor has seen a truck stand for a night or two; those of the drop come on the first day."""
TRAILER_EVERY_S = 60.0
LOADING, DOOR_S = {"customer", "loading dock"}, 120.0
SORTS = ("long-haul", "city", "trailer")


@dataclass(frozen=True)
class Vehicle:
    """A truck or a trailer: who it is, what it did, and what its tracker said."""

    id: VehicleId
    sort: str
    """One of `SORTS`."""
    motion: Motion
    reports: Reports
    ordinary_until: float
    """Seconds: from there on it is stolen, and nothing about it is ordinary."""


@dataclass(frozen=True)
class Week:
    """All of it. Of `trailers` each names its tractor."""

    country: Country
    vehicles: tuple[Vehicle, ...]
    trips: tuple[Trip, ...]
    """As planned; what the monitor is told of them names only places that it knows."""
    thefts: tuple[Theft, ...]
    days: int

    def ordinary_days(self) -> dict[str, float]:
        """Days that each sort of vehicle was about its ordinary business."""
        days = dict.fromkeys(SORTS, 0.0)
        for vehicle in self.vehicles:
            days[vehicle.sort] += min(vehicle.ordinary_until, self.days * DAY) / DAY
        return days

    def trips_as_told(self, known: Set[str]) -> Trips:
        """The trips, without the places that the monitor does not know."""
        return Trips(
            replace(
                trip,
                origin=trip.origin if trip.origin in known else None,
                destination=trip.destination if trip.destination in known else None,
                authorized_places=None
                if trip.authorized_places is None
                else tuple(p for p in trip.authorized_places if p in known),
            )
            for trip in self.trips
        )

    def fixes(self, of: Sequence[Vehicle], *, doors: bool = False) -> tuple[FixBatch, Fleet]:
        """What some vehicles reported, as the monitor takes it; with a door sensor on each, or on none."""
        fleet = Fleet()
        code = [np.full(len(v.reports.time), fleet.code(v.id), np.int32) for v in of]
        said = [v.reports for v in of]
        time = EPOCH_MS + np.rint(1000 * np.concatenate([r.time for r in said])).astype(np.int64)
        return normalised(
            fleet,
            np.concatenate(code),
            time.astype("datetime64[ms]"),
            np.concatenate([r.lon for r in said]),
            np.concatenate([r.lat for r in said]),
            speed=np.concatenate([r.speed for r in said]),
            ignition=np.concatenate([r.ignition for r in said]),
            door=np.concatenate([_door(v) for v in of]) if doors else None,
        ), fleet


def _door(vehicle: Vehicle) -> I8:
    """(N,) whether the cargo door is open at each report: while loading, but for two minutes at either end."""
    time = vehicle.reports.time
    door = np.zeros(len(time), np.int8)
    for span in vehicle.motion.spans:
        if span.cause in LOADING:
            door[np.searchsorted(time, span.begin + DOOR_S) : np.searchsorted(time, span.end - DOOR_S)] = 1
    return door


def simulated(
    seed: int,
    haulers: int = 100,
    couriers: int = 100,
    days: int = 7,
    *,
    plots: Mapping[str, str] = thefts.PLANTED,
    turn: int = 0,
) -> Week:
    """Make a week. `plots`: which trucks thieves choose, and for what kind of theft; from a yard it takes a Sunday.

    Another `turn` is another week of the same trucks, in the same country and to the same customers.
    """
    land = country.made(np.random.default_rng([seed, 0]))
    making = _Making(land, (seed, turn), days, plots)
    for number in range(haulers):
        making.hauler(number)
    for number in range(couriers):
        making.courier(number)
    return Week(land, tuple(making.vehicles), tuple(making.trips), tuple(making.thefts), days)


class _Making:
    """Makes one vehicle after the other, each from a seed of its own."""

    def __init__(self, land: Country, seed: tuple[int, int], days: int, plots: Mapping[str, str]) -> None:
        self.land, self.seed, self.days, self.plots = land, seed, days, plots
        self.vehicles: list[Vehicle] = []
        self.trips: list[Trip] = []
        self.thefts: list[Theft] = []

    def hauler(self, number: int) -> None:
        """A long-haul truck, and its trailer where that is tracked: high values always, one in twelve others."""
        rng = np.random.default_rng([*self.seed, 1, number])
        yards = sorted({road.yard for road in self.land.roads})
        load, name = LOADS[number % 10], f"haul-{number:03d}"
        trailer = f"trailer-{number:03d}" if load == "high_value" or number % 12 == 0 else None
        truck = Hauler(name, self.land, yards[number % len(yards)], load, rng, EPOCH_MS, trailer)
        kind, before = self.plots.get(name), len(self.thefts)
        tracker = device(rng)
        if kind == thefts.YARD:
            self._from_yard(truck, rng)
        else:
            tracker = self._plot(truck, kind, tracker)
            truck.week(self.days)
        self.trips += truck.trips
        done = self.thefts[before] if len(self.thefts) > before else None
        owner = carrier(truck.yard)
        self._vehicle(VehicleId(owner, name), "long-haul", truck.journey.motion(), tracker, rng, done)
        if trailer:
            motion = truck.journey.motion()
            left = done.dropped if done and done.dropped is not None else None
            own = device(rng)
            own = Device(TRAILER_EVERY_S, own.sleeps_s, own.linger_s, own.noise_m, own.speed)
            self._vehicle(VehicleId(owner, trailer), "trailer", _left_behind(motion, left), own, rng, done)

    def courier(self, number: int) -> None:
        """A city truck."""
        rng, own = np.random.default_rng([*self.seed, 2, number]), np.random.default_rng([self.seed[0], 3, number])
        city = self.land.cities[number % len(self.land.cities)]
        truck = Courier(f"city-{number:03d}", self.land, city, territory(city, own), rng, EPOCH_MS)
        tracker, before = device(rng), len(self.thefts)
        if self.plots.get(truck.name) == thefts.YARD:
            truck.week(6)
            journey = truck.journey
            journey.stand_until(SUNDAY_AT_TWO)
            away = through([journey.here, moved(journey.here, 15_000.0, 9000.0)])
            thefts.from_the_yard(truck.name, journey, away, 14.0, rng, self.thefts.append)
        else:
            truck.week(self.days)
        self.trips += truck.trips
        done = self.thefts[before] if len(self.thefts) > before else None
        self._vehicle(VehicleId(carrier(truck.yard), truck.name), "city", truck.journey.motion(), tracker, rng, done)

    def _plot(self, truck: Hauler, kind: str | None, tracker: Device) -> Device:
        """Plan a theft on the road; gives the tracker, which for two kinds must be of a certain sort."""
        plans = {
            thefts.DROP: thefts.drop(self.thefts.append),
            thefts.BACK: thefts.back(self.thefts.append),
            thefts.JAMMED: thefts.jammed(self.thefts.append),
            thefts.JAMMED_PARKED: thefts.jammed_parked(self.thefts.append, thefts.JAMMED_PARKED),
            thefts.JAMMED_ASLEEP: thefts.jammed_parked(self.thefts.append, thefts.JAMMED_ASLEEP),
        }
        if kind is None:
            return tracker
        truck.plot = plans[kind]
        truck.plot_from = 0.0 if kind == thefts.DROP else LEARNED
        truck.plot_after_m = 130_000.0 if kind == thefts.DROP else 95_000.0
        sleeps = {thefts.JAMMED_PARKED: 0.0, thefts.JAMMED_ASLEEP: 2 * HOUR}.get(kind, tracker.sleeps_s)
        return Device(tracker.every_s, sleeps, tracker.linger_s, tracker.noise_m, tracker.speed)

    def _from_yard(self, truck: Hauler, rng: Random) -> None:
        """An ordinary week, home by Friday, until Sunday at two."""
        truck.week(5)
        truck.journey.stand_until(SUNDAY_AT_TWO)
        road = next(road for road in self.land.roads if road.yard == truck.yard)
        away = joined([through([truck.journey.here, road.line.at(0.0)]), road.line.between(0.0, 40_000.0)])
        thefts.from_the_yard(truck.name, truck.journey, away, 22.0, rng, self.thefts.append)

    def _vehicle(self, identity: VehicleId, sort: str, motion: Motion, tracker: Device, rng: Random, theft: Theft | None) -> None:
        until = theft.begin if theft else np.inf
        silent_after = theft.end if theft and theft.ends_the_week else np.inf
        said = reports(motion, tracker, rng, silent_after, self.days * DAY)
        self.vehicles.append(Vehicle(identity, sort, motion, said, until))


def _left_behind(motion: Motion, when: float | None) -> Motion:
    """The motion of a trailer: its tractor's, or until it was left behind, and then none."""
    if when is None:
        return motion
    kept = motion.time < when
    s = float(np.interp(when, motion.time, motion.s))
    end = float(motion.time[-1])
    spans = [span for span in motion.spans if span.begin < when]
    spans[-1] = replace(spans[-1], end=when)
    return Motion(
        line=motion.line,
        time=np.concatenate((motion.time[kept], [when, end])),
        s=np.concatenate((motion.s[kept], [s, s])),
        speed=np.concatenate((motion.speed[kept], [0.0, 0.0])),
        spans=(*spans, Span(when, end, f"theft: {thefts.DROP}", standing=True, ignition=False)),
        halts=motion.halts,
    )
