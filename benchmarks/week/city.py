"""The week of a city truck: out in the morning, eight to fifteen customers, lunch, fuel, and back into the yard; Sundays off."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.week import habits
from benchmarks.week.country import City, Country, Halt, carrier
from benchmarks.week.habits import DAY, HOUR, MINUTE, Random
from benchmarks.week.lines import metres, moved, through
from benchmarks.week.motion import Journey
from monitor.trips import Trip

TERRITORY = 45
"""Customers that a truck goes to again and again."""
LIGHT_EVERY_M = 600.0


def territory(city: City, rng: Random) -> tuple[Halt, ...]:
    """The customers of one truck."""
    return tuple(city.customers[int(k)] for k in rng.choice(len(city.customers), TERRITORY, replace=False))


@dataclass
class Courier:
    """A city truck while its week is made."""

    name: str
    country: Country
    city: City
    territory: tuple[Halt, ...]
    """The customers it goes to."""
    rng: Random
    epoch_ms: int
    journey: Journey = field(init=False)
    trips: list[Trip] = field(default_factory=list)
    names_places: bool = field(init=False)
    """Whether its dispatcher names the customers of the day in the trip."""

    def __post_init__(self) -> None:
        self.journey = Journey(self._bay())
        self.names_places = bool(self.rng.random() < 0.5)

    @property
    def yard(self) -> str:
        """The name of its yard."""
        return f"{self.city.id}-city"

    def week(self, days: int) -> None:
        """Make the whole week."""
        for day in range(days):
            works = day < 5 or (day == 5 and self.rng.random() < 0.5)
            if works:
                leaves = day * DAY + float(self.rng.uniform(5.5, 8.0)) * HOUR
                self.journey.stand(leaves - self.journey.time, "yard", ignition=False)
                self._day(day)
            if self.rng.random() < 0.2:
                self._yard_move(day)
        self.journey.stand(max(0.0, days * DAY - self.journey.time) + HOUR, "yard", ignition=False)

    def _day(self, day: int) -> None:
        """One day's tour."""
        begun = self.journey.time
        plan = self._plan(int(self.rng.integers(8, 16)))
        lunch_at, pump = begun + float(self.rng.uniform(4, 5)) * HOUR, day % 2 == 0
        jam_at = begun + float(self.rng.uniform(0, 9)) * HOUR if self.rng.random() < 0.1 else np.inf
        eaten = False
        for number, stop in enumerate(plan):
            if self.journey.time > begun + 10.5 * HOUR:
                break
            if self.journey.time > jam_at:
                jam_at = np.inf
                line = through([self.journey.here, moved(self.journey.here, 2500.0, 300.0)])
                self.journey.creep(line, 0.0, habits.jam(self.rng), habits.JAM_HALTS_S, self.rng, "traffic jam")
            if not eaten and self.journey.time > lunch_at:
                eaten = True
                self._go(self._nearest(self.city.lunches), "lunch", habits.lunch(self.rng))
            if pump and number == len(plan) // 2:
                self._go(self._nearest(self.city.pumps), "fuel", habits.city_fuel(self.rng))
            self._go(stop, "customer", habits.customer(self.rng))
        self._drive_to(self._bay())
        named = tuple(stop.id for stop in plan) if self.names_places else None
        self.trips.append(
            Trip(
                id=f"{self.name}-{day}",
                carrier=carrier(self.yard),
                vehicle=self.name,
                routes=(),
                starts_at=self.epoch_ms + int((begun - 20 * MINUTE) * 1000),
                ends_at=self.epoch_ms + int((self.journey.time + 20 * MINUTE) * 1000),
                origin=f"yard-{self.yard}",
                destination=f"yard-{self.yard}",
                authorized_places=named,
                load="local",
            )
        )

    def _plan(self, count: int) -> list[Halt]:
        """The customers of a day, each the nearest of those left."""
        left = [self.territory[int(k)] for k in self.rng.choice(len(self.territory), count, replace=False)]
        here, plan = self.journey.here, list[Halt]()
        while left:
            plan.append(min(left, key=lambda halt: metres(here, halt.spot)))
            here = plan[-1].spot
            left.remove(plan[-1])
        return plan

    def _nearest(self, halts: tuple[Halt, ...]) -> Halt:
        """One of the three nearest."""
        near = sorted(halts, key=lambda halt: metres(self.journey.here, halt.spot))[:3]
        return near[int(self.rng.integers(len(near)))]

    def _go(self, halt: Halt, what: str, seconds: float) -> None:
        """Drive to a place and stand there."""
        self._drive_to(moved(halt.spot, *self.rng.uniform(-35, 35, 2)))
        off = {"customer": 0.7, "lunch": 0.8, "fuel": 1.0}[what]
        self.journey.stand(seconds, what, halt.id, ignition=bool(self.rng.random() > off))

    def _drive_to(self, spot: tuple[float, float]) -> None:
        here = self.journey.here
        corner = (spot[0], here[1]) if self.rng.random() < 0.5 else (here[0], spot[1])
        self.journey.drive(
            through([here, corner, spot]), float(self.rng.uniform(10, 14)), self.rng, "driving", light_every_m=LIGHT_EVERY_M
        )

    def _yard_move(self, day: int) -> None:
        """At night, from one bay to another."""
        at = day * DAY + float(self.rng.uniform(20, 27)) * HOUR
        if at > self.journey.time:
            self.journey.stand(at - self.journey.time, "yard", ignition=False)
            self.journey.drive(through([self.journey.here, self._bay()]), 3.0, self.rng, "yard move")

    def _bay(self) -> tuple[float, float]:
        return moved(self.country.yards[self.yard], *self.rng.uniform(-150, 150, 2))
