"""How fast the whole step goes through history: order, places, stops, routes and detectors, with 1,000 places and 200 routes.

For information; beside it the stop automaton alone on the same fixes, and the same step on deliveries of 1,000 fixes, as live.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.table import best_of, show
from monitor.fixes import F64, FixBatch, Fleet, VehicleId, normalised
from monitor.motion import MOTION, NONE, move
from monitor.pipeline import Outcome, fresh, step
from monitor.places import load_geofences
from monitor.settings import load_settings
from monitor.trips import Trip, Trips
from monitor.world import World

PLACES, ROUTES, VERTICES = 1000, 200, 1000
VEHICLES, EACH, EVERY_MS, TURNS = 500, 1000, 30_000, 5
START_MS = 1_772_323_200_000
ROAD_M = 460_000.0
KINDS = ("customer", "yard", "rest_area", "fuel", "no_stop", "port_of_entry")


def lines(rng: np.random.Generator, routes: int = ROUTES, vertices: int = VERTICES) -> F64:
    """(routes, vertices, 2) degrees: winding roads of some 460 km."""
    turn = np.cumsum(rng.normal(0.0, 2.0 / vertices**0.5, (routes, vertices)), axis=1) + rng.uniform(0, 2 * np.pi, (routes, 1))
    pace = np.stack([np.cos(turn) * 6.0, np.sin(turn) * 4.4], axis=2) / vertices
    begin = rng.uniform((-80.0, 44.0), (-72.0, 48.0), (routes, 2))
    return np.asarray(begin[:, None] + np.cumsum(pace, axis=1))


def world(rng: np.random.Generator, routes: F64, vehicles: int = VEHICLES) -> World:
    """Places beside the roads, and a trip for every vehicle."""
    spots = routes[rng.integers(0, ROUTES, PLACES), rng.integers(0, VERTICES, PLACES)] + rng.normal(0, 0.003, (PLACES, 2))
    features = [
        {
            "type": "Feature",
            "properties": {"id": f"p{n}", "name": f"Place {n}", "kind": KINDS[n % len(KINDS)], "radius_m": 400},
            "geometry": {"type": "Point", "coordinates": spot},
        }
        for n, spot in enumerate(spots.tolist())
    ]
    features += [
        {
            "type": "Feature",
            "properties": {"id": f"r{n}", "name": f"Route {n}", "kind": "route"},
            "geometry": {"type": "LineString", "coordinates": line},
        }
        for n, line in enumerate(routes.tolist())
    ]
    end = START_MS + 100 * EACH * EVERY_MS
    trips = Trips(Trip(f"t{v}", "acme", f"truck-{v}", (f"r{v % ROUTES}",), START_MS, end) for v in range(vehicles))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "all.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
        settings = load_settings(None, [])
        return World(settings, load_geofences(Path(folder), settings.timezone), trips)


def history(rng: np.random.Generator, routes: F64, fleet: Fleet, vehicles: int = VEHICLES, each: int = EACH) -> FixBatch:
    """Vehicles that drive their roads at 20 m/s, and stand for a fifth of the time."""
    code = np.array([fleet.code(VehicleId("acme", f"truck-{v}")) for v in range(vehicles)], np.int32)
    drives = np.repeat(rng.random((vehicles, each // 50)) > 0.2, 50, axis=1)
    along = np.cumsum(np.where(drives, 20.0 * EVERY_MS / 1000.0, 0.0), axis=1) / (ROAD_M / VERTICES) % (VERTICES - 1)
    segment, share = along.astype(np.int64), (along % 1.0)[..., None]
    road = np.arange(vehicles)[:, None] % ROUTES
    where = routes[road, segment] * (1 - share) + routes[road, segment + 1] * share + rng.normal(0, 5e-5, (vehicles, each, 2))
    time = (START_MS + np.tile(np.arange(each) * EVERY_MS, vehicles)).astype("datetime64[ms]")
    speed = np.where(drives, 20.0, 0.1).ravel()
    return normalised(fleet, np.repeat(code, each), time, where[..., 0].ravel(), where[..., 1].ravel(), speed=speed)


def whole(fixes: FixBatch, fleet: Fleet, there: World) -> Outcome:
    """All of history in one step."""
    rows = fresh(fleet.ids, np.arange(VEHICLES, dtype=np.int32))
    return step(rows, fixes, np.full(VEHICLES, NONE), there)


def deliveries(fixes: FixBatch, fleet: Fleet, there: World) -> None:
    """The same in the order of time, a thousand fixes at a time, for a tenth of it."""
    rows = fresh(fleet.ids, np.arange(VEHICLES, dtype=np.int32))
    turn = np.argsort(fixes.time, kind="stable")
    for begin in range(0, len(fixes) // 10, 1000):
        rows = step(rows, fixes.take(np.sort(turn[begin : begin + 1000])), np.full(VEHICLES, NONE), there).rows


def automaton(fixes: FixBatch, there: World) -> None:
    """The stop automaton alone."""
    bounds, never = np.arange(VEHICLES + 1, dtype=np.int64) * EACH, np.zeros(len(fixes), np.bool_)
    state, time = np.zeros(VEHICLES, MOTION), fixes.time.view(np.int64)
    move(state, bounds, time, fixes.lon, fixes.lat, fixes.speed, never, never, there.settings.motion)


def main() -> None:
    """Measure and print."""
    rng, fleet = np.random.default_rng(7), Fleet()
    routes = lines(rng)
    there, fixes = world(rng, routes), history(rng, routes, fleet)
    outcome = whole(fixes, fleet, there)
    if outcome.faults:
        raise SystemExit(str(outcome.faults))
    best = best_of(
        TURNS,
        {
            "whole": lambda: whole(fixes, fleet, there),
            "deliveries": lambda: deliveries(fixes, fleet, there),
            "automaton": lambda: automaton(fixes, there),
        },
    )
    alone = len(fixes) / best["automaton"]
    speeds = {
        "whole step, one batch": len(fixes) / best["whole"],
        "whole step, 1,000 at a time": len(fixes) / 10 / best["deliveries"],
        "stop automaton alone": alone,
    }
    rows = [[name, round(speed), speed / 1e6, alone / speed] for name, speed in speeds.items()]
    found = f"{len(outcome.stops):,} stops, {len(outcome.signals):,} signals"
    title = f"history: {len(fixes):,} fixes, {VEHICLES} vehicles, {PLACES:,} places, {ROUTES} routes; {found}; best of {TURNS}"
    show(title, ["", "fixes/s", "M fixes/s", "times the automaton"], rows)


if __name__ == "__main__":
    main()
