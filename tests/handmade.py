"""Tracks by hand: reports from one truck near Kingston, Ontario, on 2 March 2026 (UTC), and the oracle's view of them.

A report is `(clock, east, north, speed)`: metres from a point, m/s. Limits of stops and of dwells at customers are five minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from shapely.geometry import Polygon

from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.settings import load_settings
from monitor.signals import Signal, instant, log_order, timestamp
from monitor.trips import Trip
from tests.oracle import OraclePlace, OracleRoute, Stop, Watch
from tests.oracle_geometry import metres_per_degree

NAN = math.nan
LON, LAT = -76.501234, 44.251234
EAST, NORTH = (float(metres) for metres in metres_per_degree(LAT))
TRUCK = VehicleId("north", "T-1")
FIVE_MINUTES = ("detectors.unauthorized_stop.limit=5m", "detectors.long_dwell.customer=5m")
Report = tuple[str, float, float, float]


def at(clock: str) -> int:
    """Milliseconds of "10:00", "10:00:30" or "10:00:30.500" on the day."""
    return instant(f"2026-03-02T{clock if clock.count(':') == 2 else clock + ':00'}Z")


def clock(ms: int | None) -> str | None:
    """The other way round: "10:00", or with seconds where there are some; None for None."""
    return None if ms is None else timestamp(ms)[11:19].removesuffix(":00")


def degrees(east: float, north: float) -> tuple[float, float]:
    return round(LON + east / EAST, 6), round(LAT + north / NORTH, 6)


def every(seconds: int, first: str, last: str, east: float = 0, north: float = 0, speed: float = 0) -> list[Report]:
    """Reports from one spot, the first and the last included."""
    return [(timestamp(ms)[11:23], east, north, speed) for ms in range(at(first), at(last) + 1, seconds * 1000)]


def batch(
    reports: Iterable[Report], accuracy: Sequence[float] | None = None, vehicle: VehicleId = TRUCK
) -> tuple[FixBatch, Fleet]:
    rows, fleet = list(reports), Fleet()
    position = np.array([degrees(east, north) for _, east, north, _ in rows])
    fixes = normalised(
        fleet, np.full(len(rows), fleet.code(vehicle), np.int32),
        np.array([at(row[0]) for row in rows]).astype("datetime64[ms]"), position[:, 0], position[:, 1],
        speed=np.array([row[3] for row in rows], np.float64),
        accuracy=None if accuracy is None else np.array(accuracy, np.float64),
    )  # fmt: skip
    return fixes, fleet


def watch(
    reports: Iterable[Report], *, places: Sequence[OraclePlace] = (), routes: Sequence[OracleRoute] = (),
    trips: Sequence[Trip] = (), said: Sequence[str] = (), until: str | None = None, accuracy: Sequence[float] | None = None,
) -> Watch:  # fmt: skip
    """One truck's track under the limits said, to the last fix or `until`."""
    fixes, _ = batch(reports, accuracy)
    horizon = at(until) if until else int(fixes.time.view(np.int64).max())
    fixes = fixes.take(fixes.time.view(np.int64) <= horizon)
    visible = {place.id: place for place in places if place.carrier in (None, TRUCK.carrier)}
    chosen = load_settings(None, [*FIVE_MINUTES, *said])
    return Watch(TRUCK, fixes, visible, {route.id: route for route in routes}, list(trips), chosen, horizon)


def spans(found: Iterable[Stop]) -> list[tuple[str | None, str | None]]:
    return [(clock(stop.since), clock(stop.until)) for stop in found]


def told(found: Iterable[Signal]) -> list[tuple[str | None, ...]]:
    """Since, at and until of signals, with "presumed" where silence raised one."""
    return [
        (clock(s.since), clock(s.at), clock(s.until), *(["presumed"] if s.presumed else []))
        for s in sorted(found, key=log_order)
    ]  # fmt: skip


def square(
    name: str, kind: str, east: float = 0, north: float = 0, half: float = 100, *, carrier: str | None = None,
    max_dwell: int | None = None, opens: tuple[str, str] | None = None,
) -> OraclePlace:  # fmt: skip
    """A place of 2 x half metres a side; `opens` are the clocks between which it is open."""
    corners = [degrees(east + x * half, north + y * half) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    hours = None if opens is None else lambda ms: at(opens[0]) <= ms < at(opens[1])
    return OraclePlace(name, kind, Polygon(corners), carrier, max_dwell, hours)


def trip(
    name: str = "trip", start: str = "00:00", end: str = "23:59", *, routes: tuple[str, ...] = (), load: str = "standard",
    origin: str | None = None, destination: str | None = None, named: tuple[str, ...] | None = None,
) -> Trip:  # fmt: skip
    return Trip(name, *TRUCK, routes, at(start), at(end), origin, destination, named, load)


def line(name: str, north: float = 0, corridor: float | None = None) -> OracleRoute:
    """A route from 20 km west to 20 km east."""
    return OracleRoute(name, [degrees(east, north) for east in (-20_000, -10_000, 0, 10_000, 20_000)], corridor)
