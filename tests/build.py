"""Worlds and runs for tests of the core: places and routes around the truck of `tests.handmade`, and steps over a cut stream.

A run steps through fixes cut at any instants, with or without ticks there, and gives the signal log and the stops at its horizon.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from shapely.geometry import Polygon

from monitor.fixes import FixBatch, Fleet, VehicleId, empty, normalised
from monitor.hours import parse_hours
from monitor.motion import NONE
from monitor.permits import Authorization, Lockdown, Permits
from monitor.pipeline import Rows, fresh, step, stops_of
from monitor.places import Geofences, Place, Route, load_geofences
from monitor.settings import Settings, load_settings, parse_duration
from monitor.signals import Signal
from monitor.stops import Stop
from monitor.trips import Trip, Trips
from monitor.world import World
from tests import tracks
from tests.handmade import FIVE_MINUTES, NAN, TRUCK, Report, at, batch, degrees
from tests.oracle_reports import Said

UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Log:
    """What a run found at its horizon."""

    signals: list[Signal]
    stops: list[Stop]
    rows: Rows

    def of(self, kind: str) -> list[Signal]:
        """The signals of one kind."""
        return [signal for signal in self.signals if signal.kind == kind]


def unchanged(rows: Rows) -> Rows:
    """Hand the rows from one step to the next as they are."""
    return rows


def run(
    world: World,
    vehicles: Sequence[VehicleId],
    fixes: FixBatch,
    horizon: int,
    cuts: Iterable[int] = (),
    *,
    ticks: bool = False,
    between: Callable[[Rows], Rows] = unchanged,
) -> Log:
    """Step through the fixes up to the horizon (ms), cut after each of the instants in `cuts`.

    With `ticks`, deadlines fire up to each cut; `between` is what happens to the rows from one step to the next.
    """
    time = fixes.time.view(np.int64)
    rows = fresh(vehicles, np.arange(len(vehicles), dtype=np.int32))
    over: list[Signal] = []
    still: list[Signal] = []
    stops: list[Stop] = []
    before = NONE
    for cut in [*sorted({c for c in cuts if c < horizon}), horizon]:
        until = np.full(len(vehicles), cut if ticks or cut == horizon else NONE)
        outcome = step(rows, fixes.take((time > before) & (time <= cut)), until, world)
        assert not outcome.faults
        over += [signal for signal in outcome.signals if signal.closed]
        still = [signal for signal in outcome.signals if not signal.closed]
        stops += outcome.stops
        rows, before = between(outcome.rows), cut
    return Log(over + still, stops + stops_of(rows, rows.episodes, world), rows)


def world(
    *,
    places: Sequence[Place] = (),
    routes: Sequence[Route] = (),
    trips: Sequence[Trip] = (),
    said: Sequence[str] = (),
    authorizations: Sequence[Authorization] = (),
    lockdowns: Sequence[Lockdown] = (),
    earlier: Sequence[tuple[int, Settings]] = (),
) -> World:
    """A world in which stops, and dwells at customers, are allowed five minutes unless something else is said."""
    permits = Permits(tuple(authorizations), tuple(lockdowns))
    return World(settings(*said), Geofences(tuple(places), tuple(routes), "v"), Trips(trips), permits, earlier)


def settings(*said: str) -> Settings:
    """Five minutes for stops, and for dwells at customers, unless something else is said."""
    return load_settings(None, [*FIVE_MINUTES, *said])


def watch(
    reports: Iterable[Report],
    *,
    places: Sequence[Place] = (),
    routes: Sequence[Route] = (),
    trips: Sequence[Trip] = (),
    said: Sequence[str] = (),
    until: int | None = None,
    accuracy: Sequence[float] | None = None,
    cuts: Iterable[int] = (),
) -> Log:
    """One truck's log, to its last report or `until` (ms)."""
    fixes, fleet = batch(reports, accuracy)
    horizon = int(fixes.time.view(np.int64).max()) if until is None else until
    return run(world(places=places, routes=routes, trips=trips, said=said), fleet.ids, fixes, horizon, cuts)


def heard(reports: Iterable[Said], *, until: int | None = None, cuts: Iterable[int] = (), **how: Any) -> Log:
    """One truck's log, of all that its reports say; `how` is that of `world`."""
    fixes, fleet = spoken(reports)
    horizon = int(fixes.time.view(np.int64).max()) if until is None else until
    return run(world(**how), fleet.ids, fixes, horizon, cuts)


def spoken(reports: Iterable[Said], vehicle: VehicleId = TRUCK, fleet: Fleet | None = None) -> tuple[FixBatch, Fleet]:
    """One vehicle's reports as fixes, and the fleet that it belongs to: a new one unless one is given."""
    rows, fleet = list(reports), Fleet() if fleet is None else fleet
    position = np.array([(NAN, NAN) if np.isnan(row.east) else degrees(row.east, row.north) for row in rows])
    fixes = normalised(
        fleet,
        np.full(len(rows), fleet.code(vehicle), np.int32),
        np.array([on(row.clock) for row in rows]).astype("datetime64[ms]"),
        position[:, 0].copy(),
        position[:, 1].copy(),
        speed=np.array([row.speed for row in rows], np.float64),
        accuracy=np.array([row.accuracy for row in rows], np.float64),
        ignition=np.array([row.ignition for row in rows], np.int8),
        door=np.array([row.door for row in rows], np.int8),
        alarms=np.array([int(row.alarms) for row in rows], np.uint32),
    )
    return fixes, fleet


def on(clock: str) -> int:
    """Milliseconds of a clock on 2 March, or of "3 10:00" on the third."""
    day, _, time = clock.rpartition(" ")
    return at(time) + (int(day or 2) - 2) * 86_400_000


def square(
    name: str,
    kind: str,
    east: float = 0,
    north: float = 0,
    half: float = 100,
    *,
    carrier: str | None = None,
    max_dwell: str | None = None,
    hours: str | None = None,
) -> Place:
    """A place of 2 x half metres a side; its hours are in UTC."""
    corners = [degrees(east + x * half, north + y * half) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    dwell: timedelta | None = None if max_dwell is None else parse_duration(max_dwell)
    return Place(name, name, kind, Polygon(corners), carrier, dwell, None if hours is None else parse_hours(hours, UTC))


def line(name: str, north: float = 0, corridor: float | None = None) -> Route:
    """A route from 20 km west to 20 km east of the truck."""
    return Route(name, name, tuple(degrees(east, north) for east in (-20_000, -10_000, 0, 10_000, 20_000)), corridor)


def nobody() -> tuple[FixBatch, Fleet]:
    """No fixes of no vehicles."""
    return empty(), Fleet()


def world_of(random: tracks.World) -> World:
    """A random world, in the form that the core takes."""
    return World(random.settings, geofences_of(random.features, random.settings.timezone), Trips(random.trips), random.permits)


def geofences_of(features: Sequence[Any], timezone: str = "UTC") -> Geofences:
    """GeoJSON features, read from a file as every feature is."""
    with tempfile.TemporaryDirectory() as folder:
        collection = {"type": "FeatureCollection", "features": list(features)}
        (Path(folder) / "all.geojson").write_text(json.dumps(collection), encoding="utf-8")
        return load_geofences(Path(folder), timezone)
