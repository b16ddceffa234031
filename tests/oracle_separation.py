"""An oracle of separations, written from the definitions alone: lists and loops, one fix after the other, metres by pyproj.

And convoys to hold it against: a tractor or two with trailers that are on and off, devices that report as they like.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shapely.geometry import Point

from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.places import Place
from monitor.signals import Signal
from monitor.trips import Trip
from monitor.world import World
from tests.build import square
from tests.build import world as world_with
from tests.handmade import at, degrees
from tests.oracle_geometry import GEOD

APART_M, MIN_FIXES, SYNCHRONOUS_MS, HIGH_MPS, UNKNOWN_MPS = 150.0, 2, 15_000, 2.5, 25.0
EDGE_M = 0.05
"""A distance this near to what decides it is judged differently by honest roundings."""


class Fragile(Exception):  # noqa: N818 (it is no error)
    """A fix lies on the edge of what decides something."""


@dataclass(frozen=True)
class Report:
    """A precise fix."""

    time: int
    lon: float
    lat: float
    speed: float


@dataclass(frozen=True)
class Parted:
    """A separation as the oracle sees it."""

    carrier: str
    vehicle: str
    trip: str
    since: int
    at: int
    until: int | None
    lon: float
    lat: float
    measure: float


def exact(signal: Signal | Parted) -> tuple[object, ...]:
    """What is exact of a separation: everything but its measure."""
    return (signal.carrier, signal.vehicle, signal.trip, signal.since, signal.at, signal.until or 0, signal.lon, signal.lat)


def oracle(fixes: FixBatch, vehicles: Sequence[VehicleId], trips: Sequence[Trip], places: Sequence[Place]) -> list[Parted]:
    """All separations, by trip and time."""
    out: list[Parted] = []
    for trip in trips:
        if trip.trailer is not None:
            tractor = reports(fixes, vehicles, VehicleId(trip.carrier, trip.vehicle))
            trailer = reports(fixes, vehicles, VehicleId(trip.carrier, trip.trailer))
            rivals = [t for t in trips if (t.carrier, t.vehicle) == (trip.carrier, trip.vehicle)]
            out += of_trip(trip, rivals, tractor, trailer, places)
    return out


def reports(fixes: FixBatch, vehicles: Sequence[VehicleId], vehicle: VehicleId) -> list[Report]:
    best: dict[int, tuple[int, Report]] = {}
    for i in range(len(fixes)):
        if vehicles[fixes.vehicle[i]] != vehicle or not fixes.precise[i]:
            continue
        time, digest = int(fixes.time.view(np.int64)[i]), int(fixes.digest[i])
        if time not in best or digest < best[time][0]:
            best[time] = (digest, Report(time, float(fixes.lon[i]), float(fixes.lat[i]), float(fixes.speed[i])))
    return [best[time][1] for time in sorted(best)]


def of_trip(
    trip: Trip, rivals: Sequence[Trip], tractor: Sequence[Report], trailer: Sequence[Report], places: Sequence[Place]
) -> list[Parted]:
    after = [fix.time for fix in (*tractor, *trailer) if fix.time >= trip.ends_at]
    own = [fix for fix in tractor if winner(rivals, fix.time) is trip]
    others = [fix for fix in trailer if trip.starts_at <= fix.time < trip.ends_at]
    out: list[Parted] = []
    showing: list[Report] = []
    against: list[int] = []
    raised: int | None = None
    worst = 0.0

    def over(until: int | None) -> None:
        if raised is not None:
            first = showing[0]
            out.append(Parted(trip.carrier, trip.vehicle, trip.id, first.time, raised, until, first.lon, first.lat, worst))

    previous: Report | None = None
    for fix in own:
        before, previous = previous, fix
        near = min(others, key=lambda other: (abs(other.time - fix.time), other.time), default=None)
        if near is None or abs(near.time - fix.time) > SYNCHRONOUS_MS:
            continue
        apart = metres(fix, near)
        beyond = APART_M + max(known(fix.speed), known(near.speed)) * abs(near.time - fix.time) / 1000
        if min(abs(apart - APART_M), abs(apart - beyond)) < EDGE_M:
            raise Fragile
        if apart <= APART_M or (apart <= beyond and raised is None):
            over(fix.time)
            showing, against, raised, worst = [], [], None, 0.0
        elif apart > beyond and driving(fix, before) and not parked(trip, fix, places) and not parked(trip, near, places):
            showing.append(fix)
            worst = max(worst, apart)
            if not against or against[-1] != near.time:
                against.append(near.time)
            if raised is None and len(against) >= MIN_FIXES:
                raised = fix.time
    over(min(after, default=None))
    return out


def winner(rivals: Sequence[Trip], time: int) -> Trip | None:
    on = [trip for trip in rivals if trip.starts_at <= time < trip.ends_at]
    return max(on, key=lambda trip: (trip.starts_at, trip.id), default=None)


def metres(one: Report, other: Report) -> float:
    return float(GEOD.inv(one.lon, one.lat, other.lon, other.lat)[2])


def known(speed: float) -> float:
    return UNKNOWN_MPS if math.isnan(speed) else speed


def driving(fix: Report, before: Report | None) -> bool:
    if not math.isnan(fix.speed):
        return fix.speed >= HIGH_MPS
    if before is None:
        return False
    needed = HIGH_MPS * (fix.time - before.time) / 1000
    if abs(metres(fix, before) - needed) < EDGE_M:
        raise Fragile
    return metres(fix, before) >= needed


def parked(trip: Trip, fix: Report, places: Sequence[Place]) -> bool:
    return any(
        place.kind in ("drop", "yard")
        and place.carrier in (None, trip.carrier)
        and place.geometry.intersects(Point(fix.lon, fix.lat))
        for place in places
    )


@dataclass(frozen=True)
class Convoy:
    """Tractors and trailers, their trips and places, and what they reported."""

    fleet: Fleet
    fixes: FixBatch
    trips: list[Trip]
    places: list[Place]

    @property
    def world(self) -> World:
        """As the monitor sees it."""
        return world_with(places=self.places, trips=self.trips)

    @property
    def expected(self) -> list[Parted]:
        """What the oracle says of it; `Fragile` where it cannot say."""
        return oracle(self.fixes, self.fleet.ids, self.trips, self.places)


def convoy(seed: int, minutes: int = 20) -> Convoy:
    """One convoy; a pure function of its arguments."""
    rng = np.random.default_rng(seed)
    fleet, start = Fleet(), at("10:00")
    rows: list[tuple[int, int, float, float, float, float]] = []
    trips: list[Trip] = []
    for number in range(int(rng.integers(1, 3))):
        tractor, trailer = (fleet.code(VehicleId("north", f"{what}-{number}")) for what in ("T", "R"))
        drive, east = speeds(rng, 60 * minutes)
        left = left_behind(rng, east)
        rows += told(rng, tractor, start, drive, east, float(rng.choice([5, 10, 20])))
        rows += told(rng, trailer, start, np.where(left == east, drive, 0.0), left, float(rng.choice([5, 10, 15, 40])))
        trips += plans(rng, number, start, minutes)
    column = [np.array(values) for values in zip(*rows, strict=True)]
    position = np.array([degrees(x, y) for x, y in zip(column[2], column[3], strict=True)])
    position[rng.random(len(rows)) < 0.02] = np.nan
    fixes = normalised(
        fleet, column[0].astype(np.int32), column[1].astype("datetime64[ms]"), position[:, 0], position[:, 1],
        speed=column[4], accuracy=column[5],
    )  # fmt: skip
    kinds = [("drop", None), ("yard", "north"), ("yard", "south"), ("customer", None)]
    places = [
        square(f"place-{i}", kind, float(rng.uniform(0, 20_000)), 0, float(rng.choice([300, 2000])), carrier=carrier)
        for i, (kind, carrier) in enumerate(kinds)
        if rng.random() < 0.5
    ]
    return Convoy(fleet, fixes, trips, places)


Metres = np.ndarray[tuple[int], np.dtype[np.float64]]


def speeds(rng: np.random.Generator, seconds: int) -> tuple[Metres, Metres]:
    """Of every second the speed, in phases, and how far east that is."""
    ends = np.sort(rng.integers(0, seconds, 6))
    phase = rng.choice([0.0, 3.0, 12.0, 25.0, 25.0], 7)
    drive = phase[np.searchsorted(ends, np.arange(seconds), side="right")]
    return drive, np.cumsum(drive)


def left_behind(rng: np.random.Generator, east: Metres) -> Metres:
    """Where the trailer is: with the tractor, or where it was left some time before."""
    out = east.copy()
    for _ in range(int(rng.integers(0, 3))):
        begin = int(rng.integers(0, len(east)))
        end = begin + int(rng.integers(5, 500))
        out[begin:end] = out[begin]
    return out


def told(
    rng: np.random.Generator, code: int, start: int, drive: Metres, east: Metres, interval: float
) -> list[tuple[int, int, float, float, float, float]]:
    """What a device reports: vehicle, time, east, north, speed, accuracy."""
    rows, t = [], float(rng.uniform(0, interval))
    while t < len(east) - 1:
        i, time = int(t), start + 1000 * int(t) + int(rng.choice([0, 0, 250]))
        noise = rng.normal(0, 8, 2) + (rng.choice([-400, 400], 2) if rng.random() < 0.03 else 0)
        speed = math.nan if rng.random() < 0.25 else float(drive[i])
        accuracy = 500.0 if rng.random() < 0.03 else math.nan
        rows.append((code, time, float(east[i] + noise[0]), float(noise[1]), speed, accuracy))
        if rng.random() < 0.03:
            rows.append((code, time, float(east[i] + 200), 0.0, speed, accuracy))
        t += interval * float(rng.choice([1, 1, 1, 0.5, 2])) if rng.random() > 0.01 else 120.0
    return rows


def plans(rng: np.random.Generator, number: int, start: int, minutes: int) -> list[Trip]:
    """The trips of a tractor: one over nearly all, often a second one that wins for a while, with its trailer, another's or none."""
    first = start + 1000 * int(rng.integers(-100, 200))
    last = start + 60_000 * minutes - 1000 * int(rng.integers(-60, 300))
    out = [Trip(f"trip-{number}-a", "north", f"T-{number}", (), first, last, trailer=f"R-{number}")]
    if rng.random() < 0.4:
        begin = int(rng.integers(first, last))
        trailer = [None, f"R-{number}", "R-0", "R-9"][rng.integers(4)]
        out.append(Trip(f"trip-{number}-b", "north", f"T-{number}", (), begin, begin + 300_000, trailer=trailer))
    return out
