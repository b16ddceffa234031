"""The week of a long-haul truck: out of its yard, to a dock, on to another dock nearby, and home; as often as the week allows.

Hours of service decide where the day ends. What happens on the way is drawn by distance: `habits` says how often and how long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.week import habits
from benchmarks.week.country import Country, Dock, Halt, Road, carrier, route_id
from benchmarks.week.habits import DAY, HOUR, MINUTE, Random
from benchmarks.week.lines import Line, joined, measured, moved, through
from benchmarks.week.motion import Journey
from monitor.trips import Trip

RED_ZONE_M = 330_000.0
JAM_EVERY_M, DETOUR_EVERY_M, CHECK_EVERY_M, TUNNEL_EVERY_M, COFFEE_EVERY_M = 2.2e6, 3e6, 5e6, 1.2e6, 9e5
FUEL_EVERY_M = 1.5e6
ALLOWS = {"rest_area": ("night", "break", "coffee"), "parking": ("night", "break", "coffee"), "fuel": ("fuel", "break", "coffee")}
"""What a driver does where; a truck stop is parking to whoever enters it, so that nobody spends a night at a fuel station."""
Event = tuple[float, str]
"""At how many metres of a run, what."""


@dataclass(frozen=True)
class Run:
    """A line to drive from end to end, with what lies along it."""

    line: Line
    halts: tuple[Halt, ...]
    """Of each the `s` is metres along this line."""
    port: tuple[float, float] | None
    dark: tuple[float, float] | None
    no_stop_before_m: float = 0.0
    """A high-value load makes no stop of its driver's choice before this."""


@dataclass
class Hauler:
    """A long-haul truck while its week is made."""

    name: str
    country: Country
    yard: str
    load: str
    rng: Random
    epoch_ms: int
    trailer: str | None = None
    journey: Journey = field(init=False)
    trips: list[Trip] = field(default_factory=list)
    plot: Callable[[Hauler, Run, float], float] | None = None
    """What a thief has planned: done once; gives how far along the run the truck is then."""
    plot_from: float = 0.0
    plot_after_m: float = 0.0
    """On the first run after that time, and after how many metres of it."""
    over: bool = False
    driven: float = 0.0
    unbroken: float = 0.0
    may_drive: float = 0.0
    break_after: float = 0.0
    since_fuel: float = 0.0

    def __post_init__(self) -> None:
        self.journey = Journey(moved(self.country.yards[self.yard], *self.rng.uniform(-120, 120, 2)))
        self.since_fuel = float(self.rng.uniform(0, FUEL_EVERY_M))

    def week(self, days: int) -> None:
        """Make the whole week."""
        end = days * DAY
        self.journey.stand(float(self.rng.uniform(5, 9)) * HOUR, "yard", ignition=False)
        while not self.over and self.journey.time < min(end, 5.5 * DAY):
            road = self._road(end - self.journey.time)
            if road is None:
                break
            self._round(road)
            if not self.over:
                self._home()
        if not self.over:
            self.journey.stand(max(0.0, end - self.journey.time) + HOUR, "yard", ignition=False)

    def _road(self, left: float) -> Road | None:
        """A road whose round trip fits what is left of the week."""
        own = [road for road in self.country.roads if road.yard == self.yard]
        if self.load == "high_value":
            own = [road for road in own if road.line.length > RED_ZONE_M + 60e3]
        fits = [road for road in own if 2 * road.line.length / 800e3 * DAY + 0.5 * DAY < left]
        weight = np.array([road.line.length for road in fits])
        return fits[int(self.rng.choice(len(fits), p=weight / weight.sum()))] if fits else None

    def _round(self, road: Road) -> None:
        """Out with one load, home with another."""
        out, back = (road.docks[int(k)] for k in self.rng.choice(len(road.docks), 2, replace=False))
        started, red = self.journey.time - 30 * MINUTE, RED_ZONE_M if self.load == "high_value" else 0.0
        self._new_day()
        self._leave_yard(road)
        way = road.to(out)
        halts = tuple(halt for halt in road.halts if halt.s < out.junction)
        self.drive(Run(way, halts, road.port, road.dark, red))
        if self.over:
            self._trip(road, out, started, 8 * DAY, back=False)
            return
        emptied = self._dock(out)
        self._trip(road, out, started, emptied, back=False)
        self._reposition(road, out, back)
        loaded = self._dock(back)
        way = road.to(back).reversed()
        turned = [Halt(h.id, h.kind, h.spot, h.known, h.radius_m, way.length - h.s) for h in road.halts if h.s < back.junction]
        ends = [(way.length - zone[1], way.length - zone[0]) if zone else None for zone in (road.port, road.dark)]
        self.drive(Run(way, tuple(reversed(turned)), ends[0], ends[1], red))
        self._trip(road, back, loaded, self.journey.time + 20 * MINUTE, back=True)

    def _dock(self, dock: Dock) -> float:
        """Load or unload; gives when dispatch closes the one trip or opens the next, for one in twenty too late."""
        arrived, lasts = self.journey.time, habits.dock(self.rng)
        self.journey.stand(lasts, "loading dock", dock.halt.id, ignition=bool(self.rng.random() < 0.3))
        late = float(self.rng.uniform(20, 90)) * MINUTE if self.rng.random() < 0.05 else 0.0
        if self.driven > self.may_drive - 45 * MINUTE:
            self.journey.stand(habits.night(self.rng), "night at the dock", dock.halt.id, ignition=False)
            self._new_day()
        return arrived + float(self.rng.uniform(0.1, 0.9)) * (self.journey.time - arrived) + late

    def _reposition(self, road: Road, a: Dock, b: Dock) -> None:
        """Empty, without a trip, from one dock to the next."""
        line = joined([a.way.reversed(), road.line.between(a.junction, b.junction), b.way])
        self._drive(line, 14.0, "driving between docks")

    def _leave_yard(self, road: Road) -> None:
        gate = road.line.at(0.0)
        self.journey.drive(through([self.journey.here, gate]), 5.0, self.rng, "yard")

    def _home(self) -> None:
        """Into the yard, and home until a morning."""
        bay = moved(self.country.yards[self.yard], *self.rng.uniform(-120, 120, 2))
        self.journey.drive(through([self.journey.here, bay]), 5.0, self.rng, "yard")
        rested = self.journey.time + 10 * HOUR
        morning = np.ceil((rested - 5 * HOUR) / DAY) * DAY + 5 * HOUR
        self.journey.stand(morning - self.journey.time + float(self.rng.uniform(0, 4)) * HOUR, "yard", ignition=False)

    def _new_day(self) -> None:
        self.driven = self.unbroken = 0.0
        self.may_drive = float(self.rng.uniform(8, 11)) * HOUR
        self.break_after = float(self.rng.uniform(4, 6)) * HOUR

    def drive(self, run: Run) -> None:
        """Drive a run from end to end, with all that happens on the way."""
        p, cruise = 0.0, float(self.rng.normal(25.0, 1.0))
        while p < run.line.length - 1.0 and not self.over:
            at, what = min(self._events(run, p, cruise))
            at = min(at, run.line.length)
            if at > p + 1.0:
                self._drive(run.line.between(p, at), cruise, "driving")
                p = at
            if what == "plot" and self.plot is not None:
                p, self.plot = self.plot(self, run, p), None
            elif what:
                p = self._happens(what, run, p)

    def _events(self, run: Run, p: float, cruise: float) -> list[Event]:
        """What may come next, and where; what is drawn by distance is drawn anew each time, which changes nothing about it."""
        rng, length = self.rng, run.line.length
        found: list[Event] = [(length, ""), (p + 250_000.0, "")]
        for every, what in (
            (JAM_EVERY_M, "jam"),
            (DETOUR_EVERY_M, "detour"),
            (CHECK_EVERY_M, "check"),
            (TUNNEL_EVERY_M, "tunnel"),
        ):
            at = p + float(rng.exponential(every))
            if not run.port or not run.port[0] - 30_000 < at < run.port[1] + 1000:
                found.append((at, what) if at < length - 25_000 else (length, ""))
        if self.plot is not None and self.journey.time >= self.plot_from and p <= self.plot_after_m:
            near = any(abs(halt.s - self.plot_after_m) < 900.0 for halt in run.halts)
            found.append((self.plot_after_m + (1800.0 if near else 0.0), "plot"))
        if run.port and p < run.port[0]:
            found.append((run.port[0], "port"))
        if run.dark and p < run.dark[0]:
            found.append((run.dark[0], "dark"))
        wanted = [
            (p + (self.may_drive - self.driven) * cruise - 15_000, "night"),
            (p + (self.break_after - self.unbroken) * cruise, "break"),
            (p + FUEL_EVERY_M - self.since_fuel, "fuel"),
            (p + float(rng.exponential(COFFEE_EVERY_M)), "coffee"),
        ]
        for at, what in wanted:
            halt = self._halt_near(run, p, max(at, run.no_stop_before_m if what != "night" else 0.0), what)
            if halt is not None:
                found.append((halt.s, f"{what} {halt.id}"))
        return found

    def _halt_near(self, run: Run, p: float, at: float, what: str) -> Halt | None:
        """The first place from there on; the last one before the end of the drive where the law says so."""
        if at > run.line.length:
            return None
        fit = [halt for halt in run.halts if halt.s > p + 100.0 and what in ALLOWS[halt.kind]]
        if what == "night":
            before = [halt for halt in fit if halt.s <= at + 10_000.0]
            return before[-1] if before else (fit[0] if fit else None)
        return next((halt for halt in fit if halt.s >= at), None)

    def _happens(self, what: str, run: Run, p: float) -> float:
        """Let it happen; gives how far along the run the truck is then."""
        kind, _, identity = what.partition(" ")
        if identity:
            self._halt(kind, next(halt for halt in run.halts if halt.id == identity))
            return p
        if kind == "check":
            self.journey.stand(habits.roadside_check(self.rng), "roadside check")
            return p
        if kind == "jam":
            return p + self.journey.creep(run.line, p, habits.jam(self.rng), habits.JAM_HALTS_S, self.rng, "traffic jam")
        if kind == "detour":
            return self._detour(run, p)
        if kind == "port":
            return self._border(run, p)
        end = run.dark[1] if kind == "dark" and run.dark else min(p + float(self.rng.uniform(1500, 4000)), run.line.length)
        self._drive(run.line.between(p, end), 24.0, "no reception" if kind == "dark" else "tunnel", silent=True)
        return end

    def _halt(self, kind: str, halt: Halt) -> None:
        """Stop at a place beside the road."""
        words = {"night": "night's rest", "break": "break", "fuel": "fuel", "coffee": "short stop"}
        lasts = {"night": habits.night, "break": habits.rest_break, "coffee": habits.short_stop, "fuel": habits.road_fuel}[kind](
            self.rng
        )
        spot = moved(halt.spot, *self.rng.uniform(-60, 60, 2))
        off = {"night": 0.7, "break": 0.6, "fuel": 1.0, "coffee": 0.5}[kind]
        self.journey.visit(spot, lasts, words[kind], halt.id, self.rng, ignition=bool(self.rng.random() > off))
        if kind == "night":
            self._new_day()
        if kind == "fuel":
            self.since_fuel = 0.0
        if lasts >= 30 * MINUTE:
            self.unbroken = 0.0

    def _detour(self, run: Run, p: float) -> float:
        """Off the road, some kilometres beside it, and back."""
        end = min(p + float(self.rng.uniform(6000, 20_000)), run.line.length)
        side = float(self.rng.uniform(1200, 4500)) * float(self.rng.choice([-1, 1]))
        beside = [run.line.beside(s, side) for s in np.linspace(p, end, 8)[1:-1]]
        lon, lat = np.array([run.line.at(p), *beside, run.line.at(end)]).T
        self._drive(measured(lon, lat), 15.0, "detour")
        return end

    def _border(self, run: Run, p: float) -> float:
        """The queue before the booth, the booth, and out of the port."""
        assert run.port is not None
        booth = run.port[1] - 800.0
        seconds = habits.border_queue(self.rng)
        queue = min(booth - p - 50.0, 0.45 * seconds)
        self._drive(run.line.between(p, booth - queue), 8.0, "border queue")
        p = booth - queue + self.journey.creep(run.line, booth - queue, seconds, habits.QUEUE_HALTS_S, self.rng, "border queue")
        self.journey.stand(habits.border_booth(self.rng), "border queue")
        return p

    def _drive(self, line: Line, cruise: float, cause: str, *, silent: bool = False) -> None:
        span = self.journey.drive(line, cruise, self.rng, cause, silent=silent)
        self.driven, self.unbroken = self.driven + span.end - span.begin, self.unbroken + span.end - span.begin
        self.since_fuel += line.length

    def _trip(self, road: Road, dock: Dock, begin: float, end: float, *, back: bool) -> None:
        yard, customer = f"yard-{self.yard}", dock.halt.id
        self.trips.append(
            Trip(
                id=f"{self.name}-{len(self.trips)}",
                carrier=carrier(self.yard),
                vehicle=self.name,
                routes=(route_id(road, dock, back=back),),
                starts_at=self.epoch_ms + int(begin * 1000),
                ends_at=self.epoch_ms + int(end * 1000),
                origin=customer if back else yard,
                destination=yard if back else customer,
                load=self.load,
                trailer=self.trailer,
            )
        )
