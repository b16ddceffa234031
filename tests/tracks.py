"""Random small worlds (places, routes, trips, settings, and fixes of a few vehicles) in which much happens; and how fixes arrive.

A world is a pure function of its seed and size, so that a failure is told by two numbers. Its limits are a few minutes, in steps
of half a minute, so that fixes fall exactly on limits and deadlines; no fix lies on an edge in space (`oracle.fragile`), where
honest roundings differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.permits import Authorization, Lockdown, Permits
from monitor.settings import LOADS, Limits, Settings, load_settings, read_limits
from monitor.trips import Trip
from tests.driving import Driver, Row, mangled, wired
from tests.ground import HOURS, Feature, Ground, oracle_places, oracle_routes, random_limits, random_places, random_routes
from tests.oracle import OraclePlace, OracleRoute, fragile, signals

Index = npt.NDArray[np.intp]
IDENTITIES = (VehicleId("north", "T-9"), VehicleId("south", "A-1"), VehicleId("north", "É 10"))


@dataclass(frozen=True, repr=False)
class World:
    """A configuration, in the form the monitor reads and in the form the oracle reads, and fixes under it."""

    seed: int
    size: int
    assignments: tuple[str, ...]
    """The settings as `KEY=VALUE`."""
    settings: Settings
    features: list[Feature]
    """Places and routes as GeoJSON features; one of them may be a draft, which the oracle is not shown."""
    places: list[OraclePlace]
    routes: list[OracleRoute]
    trips: list[Trip]
    permits: Permits
    fleet: Fleet
    fixes: FixBatch
    horizon: int
    """ms; often the newest fix, sometimes before it or up to an hour after."""

    def __repr__(self) -> str:
        return f"random_world({self.seed}, {self.size})"

    @property
    def vehicles(self) -> list[VehicleId]:
        """By code."""
        return self.fleet.ids

    def under(self, horizon: int) -> tuple[Any, ...]:
        """Give the arguments of the oracle's functions, at another horizon than the world's own."""
        return (self.fixes, self.vehicles, self.places, self.routes, self.trips, self.settings, horizon, self.permits)


def worlds(largest: int = 250) -> st.SearchStrategy[World]:
    """Worlds whose vehicles have 30 to `largest` fixes each."""
    return st.builds(random_world, st.integers(0, 2**32 - 1), st.integers(30, largest))


def random_world(seed: int, size: int = 120) -> World:
    """One world; each vehicle has about `size` fixes."""
    rng = np.random.default_rng(seed)
    ground = Ground(rng)
    start = int(datetime(2026, 3, 2, 22, 0, tzinfo=UTC).timestamp()) * 1000 + int(rng.integers(0, 3600)) * 1000
    features = [*random_places(rng, ground, start), *random_routes(rng, ground)]
    places, routes = oracle_places(features), oracle_routes(features)
    assignments = tuple(random_settings(rng))
    settings = load_settings(None, assignments)
    fleet = Fleet()
    for code in rng.permutation(len(IDENTITIES))[: rng.integers(1, len(IDENTITIES) + 1)]:
        fleet.code(IDENTITIES[code])
    fixes = random_fixes(rng, ground, fleet, start, size)
    trips = astray(np.random.default_rng((seed, 1)), random_trips(rng, fleet, fixes, places, routes), places)
    permits = random_permits(rng, fleet, fixes, places)
    world = World(seed, size, assignments, settings, features, places, routes, trips, permits, fleet, fixes, 0)
    fixes = away_from_edges(world)
    return replace(world, fixes=fixes, horizon=random_horizon(rng, replace(world, fixes=fixes)))


def random_horizon(rng: np.random.Generator, world: World) -> int:
    """The newest fix, or some time before or after it, or the very instant at which a signal is raised."""
    newest = int(world.fixes.time.view(np.int64).max())
    instants = [signal.at for signal in signals(*world.under(newest + 3_600_000))]
    if instants and rng.random() < 0.4:
        return int(rng.choice(instants)) - int(rng.integers(0, 2))
    return newest + 1000 * int(rng.choice([0, 0, 0, 90, 300, 3600, -60, -900]))


def away_from_edges(world: World) -> FixBatch:
    """The world's fixes without those near a spatial edge; each one left out may bring others near, so it asks again."""
    fixes = world.fixes
    forever = int(fixes.time.view(np.int64).max())
    while True:
        near = fragile(fixes, world.vehicles, world.places, world.routes, world.trips, world.settings, forever, world.permits)
        if not near:
            return fixes
        keys = zip(fixes.vehicle.tolist(), fixes.time.view(np.int64).tolist(), strict=True)
        fixes = fixes.take(np.array([key not in near for key in keys], dtype=bool))


def random_settings(rng: np.random.Generator) -> list[str]:
    """Limits of half a minute to five, corridors of a few hundred metres; what is not said keeps its default."""
    short = ["30s", "60s", "90s", "2m", "3m", "5m"]
    stop, route, dwell = ("detectors." + name for name in ("unauthorized_stop", "route_deviation", "long_dwell"))
    lost, moving, wrong = ("detectors." + name for name in ("signal_lost", "after_hours_movement", "wrong_way"))
    alarm, door, zone = ("detectors." + name for name in ("device_alarm", "door_open", "zone_breach"))
    said: list[tuple[str, list[Any], float]] = [
        (f"{stop}.limit", short, 1.0), (f"{stop}.no_stop_limit", ["15s", "30s", "60s", "2m"], 1.0),
        (f"{stop}.red_zone_limit", ["15s", "30s", "60s"], 1.0), (f"{stop}.red_zone_m", [1000.0, 3000.0, 322000.0], 1.0),
        ("load.high_value.unauthorized_stop.limit", short, 1.0), ("load.high_value.unauthorized_stop.no_stop_limit", short, 0.7),
        ("load.local.unauthorized_stop.limit", short, 1.0), ("carrier.south.unauthorized_stop.limit", short, 0.3),
        (f"{route}.corridor_m", [150.0, 300.0, 600.0], 1.0), (f"{route}.min_fixes", [1, 2, 3, 5], 0.7),
        (f"{route}.min_duration", ["0s", "30s", "60s", "2m"], 0.8), (f"{route}.clear_ratio", [0.3, 0.7, 1.0], 0.4),
        (f"{route}.terminal_m", [0.0, 300.0, 1500.0], 0.9), ("load.high_value.route_deviation.corridor_m", [100.0, 250.0], 0.7),
        ("carrier.north.route_deviation.corridor_m", [200.0, 400.0], 0.2), (f"{dwell}.customer", short, 0.9),
        (f"{dwell}.rest_area", short, 0.9), (f"{dwell}.fuel", short, 0.9), (f"{dwell}.yard", short, 0.3),
        (f"{dwell}.parking", [*short, "none"], 0.9), ("carrier.north.long_dwell.customer", short, 0.2),
        (f"{lost}.limit", ["60s", "2m", "3m", "5m"], 1.0), (f"{lost}.dead_zone_limit", ["4m", "10m"], 1.0),
        ("load.high_value.signal_lost.limit", ["60s", "2m"], 0.7), (f"{lost}.first_parked_interval", ["60s", "2m", "5m"], 0.9),
        (f"{lost}.learned_after", ["30s", "2m", "10m"], 0.9), (f"{lost}.parked_interval", ["1m", "2m"], 0.2),
        (f"{lost}.moved_m", [200.0, 1000.0], 0.9), (f"{lost}.assumed_mps", [5.0, 22.222], 0.5), (f"{alarm}.limit", ["30s"], 0.1),
        (f"{alarm}.jamming_limit", ["0s", "30s", "60s", "2m"], 0.7), ("load.local.device_alarm.jamming_limit", ["30s", "90s"], 0.4),
        (f"{door}.limit", ["30s", "60s"], 0.15), (f"{zone}.limit", ["30s", "60s"], 0.15),
        (f"{moving}.moved_m", [100.0, 200.0, 500.0], 0.6), (f"{moving}.min_fixes", [1, 2, 4], 0.5),
        (f"{moving}.hours", list(HOURS), 0.35), (f"{moving}.without_trip", ["true"], 0.35),
        ("carrier.south.after_hours_movement.without_trip", ["true", "false"], 0.3),
        (f"{wrong}.back_m", [250.0, 500.0, 1000.0], 1.0), (f"{wrong}.clear_m", [50.0, 100.0, 200.0], 1.0),
        ("load.high_value.wrong_way.back_m", [300.0, 700.0], 0.4),
        ("motion.radius_m", [50.0, 75.0, 120.0], 0.4), ("motion.hold_radius_m", [150.0, 200.0, 300.0], 0.4),
        ("motion.establish", ["0s", "30s", "60s", "2m"], 0.4), ("motion.shortest_stop", ["1s", "30s", "60s", "90s"], 0.6),
        ("motion.break_count", [1, 3, 6], 0.3), ("order.gap", ["2m", "5m", "10m"], 0.5),
        ("order.allowance", ["15s", "60s", "3m"], 0.5), ("order.first_interval", ["5s", "30s", "60s"], 0.3),
    ]  # fmt: skip
    return [f"{key}={choices[rng.integers(len(choices))]}" for key, choices, chance in said if rng.random() < chance]


def random_trips(
    rng: np.random.Generator, fleet: Fleet, fixes: FixBatch, places: Sequence[OraclePlace], routes: Sequence[OracleRoute]
) -> list[Trip]:
    """Up to three trips a vehicle, often overlapping, sometimes of one start, sometimes over a route that nobody knows."""
    out: list[Trip] = []
    for code, (carrier, vehicle) in enumerate(fleet.ids):
        time = fixes.time.view(np.int64)[fixes.vehicle == code]
        near = [place.id for place in places if place.carrier in (None, carrier)]
        others = [other.vehicle for other in IDENTITIES if other != (carrier, vehicle)]
        for number in range(rng.choice(4, p=[0.15, 0.35, 0.3, 0.2])):
            start, end = sorted(rng.choice(time, 2).tolist()) if rng.random() < 0.4 else (int(time.min()), int(time.max()) + 1)
            if out and rng.random() < 0.1:
                start = out[-1].starts_at
            ids = rng.permutation([*(route.id for route in routes), "unknown"]).tolist()
            least = 0 if rng.random() < 0.2 else 1
            named = rng.permutation(near).tolist()[: rng.integers(1, 4)]
            origin, destination = (None if not near or rng.random() < 0.4 else str(rng.choice(near)) for _ in range(2))
            out.append(
                Trip(
                    f"trip-{rng.integers(10)}-{code}-{number}", carrier, vehicle, tuple(ids[: rng.integers(least, 4)]),
                    start, max(end, start + 1000), origin, destination, tuple(named) if rng.random() < 0.5 and named else None,
                    str(rng.choice(LOADS, p=[0.3, 0.15, 0.45, 0.1])), trailer=str(rng.choice(others)) if rng.random() < 0.15 else None,
                    limits=read_limits(random_limits(rng), "limits")[0] if rng.random() < 0.2 else {},
                )
            )  # fmt: skip
    return out


def astray(rng: np.random.Generator, trips: Sequence[Trip], places: Sequence[OraclePlace]) -> list[Trip]:
    """Some of the trips with another carrier's place for an end, or with limits where places have none, or none where they have."""
    ids = [place.id for place in places]

    def end(named: str | None) -> str | None:
        return str(rng.choice(ids)) if ids and rng.random() < 0.15 else named

    def limits(said: Limits) -> Limits:
        if rng.random() >= 0.3:
            return said
        kinds = {"yard": "60s", "drop": "2m", "rest_area": "none", "parking": "none", "port_of_entry": "none"}
        more, _ = read_limits({f"long_dwell.{kind}": kinds[kind] for kind in rng.permutation(list(kinds))[:3].tolist()}, "limits")
        return {**said, "long_dwell": {**said.get("long_dwell", {}), **more["long_dwell"]}}

    return [
        replace(trip, origin=end(trip.origin), destination=end(trip.destination), limits=limits(trip.limits)) for trip in trips
    ]


def random_permits(rng: np.random.Generator, fleet: Fleet, fixes: FixBatch, places: Sequence[OraclePlace]) -> Permits:
    """Some vehicles may stand somewhere for a while; some, or some places, move for nobody."""
    authorizations, lockdowns = [], []
    for code, (carrier, vehicle) in enumerate(fleet.ids):
        mine = np.flatnonzero(fixes.vehicle == code)
        for number in range(rng.integers(0, 3)):
            starts_at, ends_at = interval(rng, fixes.time.view(np.int64)[mine])
            said: dict[str, Any] = {}
            at = mine[rng.integers(len(mine))]
            if (sort := rng.random()) < 0.4:
                said = {"place": str(rng.choice([place.id for place in places]))}
            elif sort < 0.8 and fixes.positioned[at]:
                said = {"lon": float(fixes.lon[at]), "lat": float(fixes.lat[at]), "radius_m": float(rng.choice([100, 250, 800]))}
            authorizations.append(
                Authorization(f"a-{code}-{number}", carrier, vehicle, starts_at, ends_at, "rest", "dispatch", **said)
            )
    for number in range(rng.integers(0, 4)):
        carrier, vehicle = fleet.ids[rng.integers(len(fleet.ids))]
        choices = (
            {"carrier": carrier, "vehicle": vehicle},
            {"carrier": carrier},
            {"place": str(rng.choice([p.id for p in places]))},
        )
        starts_at, ends_at = interval(rng, fixes.time.view(np.int64))
        said = choices[rng.choice(3, p=[0.3, 0.2, 0.5])]
        lockdowns.append(Lockdown(f"l-{number}", starts_at, ends_at, "theft nearby", "security", **said))
    return Permits(tuple(authorizations), tuple(lockdowns))


def interval(rng: np.random.Generator, times: npt.NDArray[np.int64]) -> tuple[int, int]:
    """From one of some times to a later one; not always the same as what a fix has."""
    start, end = sorted(rng.choice(times, 2).tolist())
    return start - int(rng.integers(0, 2)), max(end, start + 1000) + int(rng.integers(0, 2))


def random_fixes(rng: np.random.Generator, ground: Ground, fleet: Fleet, start: int, size: int) -> FixBatch:
    """What the vehicles' devices report, through the same door as every feed."""
    rows: list[tuple[int, Row]] = []
    for code in range(len(fleet.ids)):
        day = Driver(rng, start + 1000 * int(rng.integers(0, 600)), ground.haunts, ground.rooms, ground.lines).live(size)
        rows += [(code, row) for row in mangled(rng, wired(rng, day))]
    position = np.array(ground.degrees([(row.x, row.y) for _, row in rows]))
    odd = rng.random(len(rows))
    position[odd < 0.008] = np.round(position[odd < 0.008], 2)
    position[odd > 0.992] = 0.0
    position[odd > 0.996] = np.nan
    names = ("time", "speed", "accuracy", "door", "alarms", "ignition")
    column = {name: np.array([getattr(row, name) for _, row in rows]) for name in names}
    return normalised(
        fleet, np.array([code for code, _ in rows], np.int32), column["time"].astype("datetime64[ms]"),
        position[:, 0], position[:, 1], speed=column["speed"], accuracy=column["accuracy"],
        ignition=column["ignition"].astype(np.int8), door=column["door"].astype(np.int8), alarms=column["alarms"].astype(np.uint32),
    )  # fmt: skip


def deliveries(seed: int, fixes: FixBatch) -> list[tuple[Index, int]]:
    """How the fixes arrive: (indices in any order, some twice; now in ms), now never falling; no indices: a tick.

    Most come within seconds, some by themselves hours late, some as a block that the device had kept. The last entry is a tick;
    its now is the horizon of a live run under this schedule. Every fix arrives at least once, none before its own time.
    """
    rng = np.random.default_rng(seed)
    n, time = len(fixes), fixes.time.view(np.int64)
    arrival = time + rng.integers(0, 5000, n)
    late = rng.random(n) < rng.choice([0.0, 0.05, 0.5])
    arrival[late] += rng.integers(0, 3 * 3_600_000, int(late.sum()))
    for _ in range(rng.integers(0, 4)):
        first = int(rng.integers(0, n))
        block = slice(first, min(n, first + int(rng.integers(2, 60))))
        arrival[block] = np.maximum(arrival[block], time[block].max() + rng.integers(0, 2 * 3_600_000))
    again = rng.choice(n, int(rng.integers(0, n // 4 + 1)))
    index = np.concatenate([np.arange(n), again])
    when = np.concatenate([arrival, arrival[again] + rng.integers(0, 3_600_000, len(again))])
    order = np.argsort(when, kind="stable")
    index, when = index[order], when[order]
    cuts = np.flatnonzero(rng.random(len(index)) < rng.choice([0.02, 0.1, 0.5]))
    out = [
        (rng.permutation(part).astype(np.intp), int(now.max()))
        for part, now in zip(np.split(index, cuts), np.split(when, cuts), strict=True)
        if len(part)
    ]
    ticks = rng.integers(int(when.min()), int(when.max()) + 1, int(rng.integers(0, 40)))
    out += [(np.empty(0, np.intp), int(tick)) for tick in ticks]
    out.sort(key=lambda delivery: delivery[1])
    return [*out, (np.empty(0, np.intp), out[-1][1] + 1000 * int(rng.choice([0, 60, 3600])))]
