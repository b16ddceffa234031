"""What the monitor says of a week, and why: each signal with the cause that was going on, and each theft with what told of it.

An *alert* is a signal of severity warning or critical; notes are counted apart. The cause of a signal is what its vehicle was truly
doing for most of [since, at]; of a position astray, that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from benchmarks.week.habits import DAY
from benchmarks.week.motion import Span
from benchmarks.week.simulate import EPOCH_MS, Vehicle, Week
from benchmarks.week.thefts import EXPECTED, Theft
from monitor.fixes import VehicleId
from monitor.pipeline import fresh, step, stops_of
from monitor.places import Geofences
from monitor.separation import all_separations
from monitor.settings import load_settings
from monitor.signals import Signal, log_order
from monitor.stops import Stop
from monitor.world import World

VEHICLES_A_STEP = 25
JOIN_S = 600.0
BEFORE_S = 1800.0
"""A condition begins at the last fix before a theft, or at the furthest point before it."""
POSITION_KINDS = {"zone_breach", "after_hours_movement", "route_deviation", "wrong_way", "impossible_movement", "separation"}
"""Detectors that a single position astray may mislead."""
STOLEN = "stolen"


@dataclass(frozen=True)
class Told:
    """A signal, of which sort of vehicle, and what truly was going on; `cause` begins with "theft" where it tells of one."""

    signal: Signal
    sort: str
    cause: str


@dataclass(frozen=True)
class Found:
    """A theft, and the first alert of each kind that began and was raised while it was going on, in order."""

    theft: Theft
    told: tuple[Signal, ...]

    @property
    def expected(self) -> bool:
        """Whether a detector told of it that must."""
        return any(signal.kind in EXPECTED[self.theft.kind] for signal in self.told)

    def after_min(self, signal: Signal) -> float:
        """Minutes from its beginning to an alert."""
        return (seconds(signal.at) - self.theft.begin) / 60.0


@dataclass(frozen=True)
class Score:
    """What the monitor said of a week under one set of settings and places."""

    told: tuple[Told, ...]
    found: tuple[Found, ...]
    stops: tuple[Stop, ...]
    days: Mapping[str, float]
    """Ordinary days of each sort of vehicle."""

    @property
    def truck_days(self) -> float:
        """Days of trucks; those of trailers are not counted."""
        return sum(days for sort, days in self.days.items() if sort != "trailer")

    def trucks(self) -> list[Told]:
        """The ordinary alerts of trucks."""
        return [told for told in self.ordinary() if told.sort != "trailer"]

    def notes(self, sort: str) -> list[Told]:
        """The ordinary notes of one sort of vehicle."""
        return [told for told in self.ordinary(notes=True, sort=sort) if told.signal.severity == "note"]

    def ordinary(self, *, notes: bool = False, sort: str = "") -> list[Told]:
        """The signals that tell of no theft; of one sort of vehicle where it is named."""
        return [
            t
            for t in self.told
            if not t.cause.startswith("theft")
            and t.cause != STOLEN
            and (notes or t.signal.severity != "note")
            and sort in ("", t.sort)
        ]

    def table(self) -> list[tuple[str, str, Counter[str], int]]:
        """Detector, cause, how many of each severity are of trucks, and how many alerts of trailers; the most alerts first."""
        trucks: dict[tuple[str, str], Counter[str]] = {}
        trailers: Counter[tuple[str, str]] = Counter()
        for told in self.ordinary(notes=True):
            row = trucks.setdefault((told.signal.kind, told.cause), Counter())
            if told.sort != "trailer":
                row[told.signal.severity] += 1
            elif told.signal.severity != "note":
                trailers[told.signal.kind, told.cause] += 1
        rows = [(kind, cause, count, trailers[kind, cause]) for (kind, cause), count in trucks.items()]
        return sorted(rows, key=lambda row: (-row[2]["warning"] - row[2]["critical"], -row[3], -row[2]["note"], row[0], row[1]))

    def incidents(self, *, notes: bool = False) -> int:
        """How many incidents the ordinary alerts make: those of a vehicle within ten minutes are one."""
        of: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for told in self.ordinary(notes=notes):
            signal = told.signal
            last = signal.at if signal.until is None else max(signal.at, signal.until)
            of.setdefault((signal.carrier, signal.vehicle), []).append((seconds(signal.since), seconds(last)))
        count = 0
        for intervals in of.values():
            reach = float(-np.inf)
            for begin, end in sorted(intervals):
                count += begin > reach + JOIN_S
                reach = max(reach, end)
        return count


def seconds(ms: int) -> float:
    """Seconds from the start of the week."""
    return (ms - EPOCH_MS) / 1000.0


def scored(
    week: Week,
    geofences: Geofences,
    said: Sequence[str] = (),
    *,
    doors: bool = False,
) -> Score:
    """Let the monitor judge a week, with these places, with settings besides the defaults, and with door sensors or without."""
    known = {place.id for place in geofences.places}
    world = World(load_settings(None, said), geofences, week.trips_as_told(known))
    signals, stops = parted(week, world), list[Stop]()
    for begin in range(0, len(week.vehicles), VEHICLES_A_STEP):
        some = judged(week, week.vehicles[begin : begin + VEHICLES_A_STEP], world, doors=doors)
        signals, stops = signals + some[0], stops + some[1]
    of = {vehicle.id: vehicle for vehicle in week.vehicles}
    told = [_told(signal, of[VehicleId(signal.carrier, signal.vehicle)], known) for signal in signals]
    return Score(tuple(told), tuple(_found(theft, signals) for theft in week.thefts), tuple(stops), week.ordinary_days())


def judged(week: Week, vehicles: Sequence[Vehicle], world: World, *, doors: bool = False) -> tuple[list[Signal], list[Stop]]:
    """The signal log and the stops of some vehicles at the end of the week: the very step that runs live."""
    fixes, fleet = week.fixes(vehicles, doors=doors)
    rows = fresh(fleet.ids, np.arange(len(vehicles), dtype=np.int32))
    outcome = step(rows, fixes, np.full(len(vehicles), _end(week)), world)
    if outcome.faults:
        raise SystemExit(str(dict(outcome.faults)))
    return outcome.signals, outcome.stops + stops_of(outcome.rows, outcome.rows.episodes, world)


def parted(week: Week, world: World) -> list[Signal]:
    """What is said of tractors and trailers that are not together."""
    named = {VehicleId(trip.carrier, name) for trip in world.trips.all if trip.trailer for name in (trip.vehicle, trip.trailer)}
    both = [vehicle for vehicle in week.vehicles if vehicle.id in named]
    if not both:
        return []
    fixes, fleet = week.fixes(both)
    return all_separations(fixes, fleet.ids, world, _end(week))


def _end(week: Week) -> int:
    return EPOCH_MS + int(week.days * DAY * 1000)


def _found(theft: Theft, signals: Sequence[Signal]) -> Found:
    """What told of a theft."""
    alerts = [
        signal
        for signal in signals
        if signal.vehicle == theft.vehicle
        and signal.severity != "note"
        and theft.begin - BEFORE_S <= seconds(signal.since)
        and theft.begin <= seconds(signal.at) <= theft.end
    ]
    first: dict[str, Signal] = {}
    for signal in sorted(alerts, key=log_order):
        first.setdefault(signal.kind, signal)
    return Found(theft, tuple(first.values()))


def _told(signal: Signal, vehicle: Vehicle, known: Set[str]) -> Told:
    return Told(signal, vehicle.sort, _cause(signal.kind, seconds(signal.since), seconds(signal.at), vehicle, known))


def _cause(kind: str, since: float, at: float, vehicle: Vehicle, known: Set[str]) -> str:
    """What the vehicle was truly doing."""
    spans, said = vehicle.motion.spans, vehicle.reports
    theft = next((s for s in spans if s.cause.startswith("theft") and s.begin <= at + 1 and s.end >= since), None)
    if theft is not None:
        return theft.cause
    if at >= vehicle.ordinary_until:
        return STOLEN
    if kind in POSITION_KINDS and said.astray[np.abs(said.time - since) < 1.0].any():
        return "position astray"
    if kind == "signal_lost" and any(begin - 1 <= since < end for begin, end in said.asleep):
        return f"tracker asleep: {_longest(spans, since, since + 60).cause}"
    during = _longest(spans, since, max(at, since + 1.0))
    red = [halt for halt in vehicle.motion.halts if halt.begin <= since < halt.end]
    return red[0].cause if red and during.cause == "driving" and at - since < 120 else during.said(known)


def _longest(spans: Sequence[Span], begin: float, end: float) -> Span:
    """The span that fills most of an interval."""
    return max(spans, key=lambda span: min(span.end, end) - max(span.begin, begin))
