"""Random places and routes: a few kilometres of ground in Ontario, Quebec or New York, as GeoJSON and as the oracle reads it.

Shapes are drawn on a plane around an anchor, metres east and north, and become degrees of six decimals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
from shapely.geometry import MultiPolygon, Polygon, shape

from monitor.fixes import F64
from monitor.settings import milliseconds, parse_duration, read_limits
from monitor.signals import instant, timestamp
from tests.oracle import OraclePlace, OracleRoute
from tests.oracle_geometry import metres_per_degree

Feature = dict[str, Any]
ZONE = "America/Toronto"
HOURS = ("Mo-Fr 06:00-18:00", "Mo-Su 17:30-18:20", "Tu-Su 00:00-24:00", "Mo 06:00-23:00")
SPREAD_M = 5000.0
ANCHORS = ((-76.48, 44.23), (-79.62, 43.71), (-73.57, 45.5), (-76.14, 43.05), (-75.7, 45.42), (-74.72, 45.01))
"""Kingston, Mississauga, Montréal, Syracuse, Ottawa, Cornwall."""
KINDS = (
    "customer", "rest_area", "yard", "no_stop", "port_of_entry", "parking", "fuel", "restricted", "high_risk", "drop", "no_stop",
    "dead_zone", "yard", "restricted",
)  # fmt: skip
LIMITS: dict[str, list[Any]] = {
    "unauthorized_stop.limit": ["30s", "2m", "5m"], "route_deviation.corridor_m": [200.0, 400.0],
    "route_deviation.min_duration": ["30s", "90s"], "long_dwell.customer": ["60s", "3m"], "long_dwell.rest_area": ["30s", "2m"],
    "signal_lost.limit": ["90s", "4m"], "device_alarm.jamming_limit": ["0s", "30s", "2m"], "wrong_way.back_m": [250.0, 600.0],
    "after_hours_movement.moved_m": [100.0, 300.0], "door_open.limit": ["30s"], "zone_breach.limit": ["30s"],
}  # fmt: skip
"""What a trip or a place may say of limits."""


class Ground:
    """A plane around an anchor: metres east and north, to degrees of six decimals.

    `haunts` are points where rules apply, `rooms` the circles (x, y, radius) that places fill roughly, `lines` the routes' vertices.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        lon, lat = ANCHORS[rng.integers(len(ANCHORS))]
        self.anchor: F64 = np.array([lon, lat]) + rng.uniform(-0.1, 0.1, 2)
        self.scale = metres_per_degree(float(self.anchor[1]))
        self.haunts: list[tuple[float, float]] = [(0.0, 0.0)]
        self.rooms: list[tuple[float, float, float]] = []
        self.lines: list[list[tuple[float, float]]] = []

    def degrees(self, metres: Sequence[tuple[float, float]]) -> list[list[float]]:
        """(lon, lat) of points, as GeoJSON has them."""
        rounded: list[list[float]] = np.round(np.array(metres) / self.scale + self.anchor, 6).tolist()
        return rounded


def random_places(rng: np.random.Generator, ground: Ground, start: int) -> list[Feature]:
    """A handful of places, half of them overlapping another; some exist for a while, in the hours after `start` (ms)."""
    out = []
    for number, kind in enumerate(rng.permutation(KINDS)[: rng.integers(4, len(KINDS) + 1)].tolist()):
        centre = rng.uniform(-SPREAD_M, SPREAD_M, 2)
        if rng.random() < 0.5:
            centre = np.array(ground.haunts[rng.integers(len(ground.haunts))]) + rng.normal(size=2) * 150
        radius = float(rng.uniform(300, 1500) if kind in {"no_stop", "restricted", "high_risk"} else rng.uniform(60, 400))
        ground.haunts += [(float(centre[0]), float(centre[1])), (float(centre[0] + radius), float(centre[1]))]
        ground.rooms.append((float(centre[0]), float(centre[1]), radius))
        properties = {"id": f"{kind}-{number}", "name": f"{kind} {number}", "kind": kind, "source": "invented"}
        if kind == "port_of_entry" or rng.random() < 0.3:
            properties["max_dwell"] = str(rng.choice(["30s", "60s", "90s", "2m", "5m"]))
        if (kind == "yard" and rng.random() < 0.7) or rng.random() < 0.1:
            properties["carrier"] = str(rng.choice(["north", "south"]))
        if rng.random() < (0.7 if kind == "yard" else 0.25):
            properties["hours"] = str(rng.choice(HOURS))
            properties["timezone"] = ZONE
        if rng.random() < 0.08:
            properties["status"] = "draft"
        if rng.random() < 0.1:
            properties["valid_from"] = timestamp(start + 1000 * int(rng.integers(0, 2 * 3600)))
        if rng.random() < 0.1:
            properties["valid_until"] = timestamp(start + 1000 * int(rng.integers(2 * 3600, 4 * 3600)))
        if rng.random() < 0.15:
            properties["limits"] = random_limits(rng)
        geometry = random_geometry(rng, ground, (float(centre[0]), float(centre[1])), radius)
        out.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return out


def random_limits(rng: np.random.Generator) -> dict[str, Any]:
    """What a trip or a place says of some limits."""
    keys = rng.permutation(list(LIMITS)).tolist()[: rng.integers(1, 5)]
    return {key: LIMITS[key][rng.integers(len(LIMITS[key]))] for key in keys}


def random_geometry(rng: np.random.Generator, ground: Ground, centre: tuple[float, float], radius: float) -> Feature:
    """A star-shaped polygon, sometimes with a hole in it, sometimes with a second one beside it."""

    def star(middle: tuple[float, float], scale: float) -> list[list[list[float]]]:
        n = int(rng.integers(4, 10))
        angles = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) * (2 * math.pi / n)
        radii = scale * rng.uniform(0.7, 1.3, n)
        ring = [(middle[0] + r * math.cos(a), middle[1] + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
        rings = [[*ring, ring[0]]]
        if rng.random() < 0.2:
            hole = [(middle[0] + (x - middle[0]) * 0.4, middle[1] + (y - middle[1]) * 0.4) for x, y in reversed(ring)]
            rings.append([*hole, hole[0]])
        return [ground.degrees(ring) for ring in rings]

    if rng.random() < 0.15:
        return {"type": "MultiPolygon", "coordinates": [star(centre, radius), star((centre[0] + 3 * radius, centre[1]), radius)]}
    return {"type": "Polygon", "coordinates": star(centre, radius)}


def random_routes(rng: np.random.Generator, ground: Ground) -> list[Feature]:
    """One or two routes across the plane, near some of the haunts."""
    out: list[Feature] = []
    for number in range(rng.integers(1, 3)):
        start, end = rng.uniform(-SPREAD_M, SPREAD_M, (2, 2)) * [0.3, 1.0] + [[-7000, 0], [7000, 0]]
        steps = np.linspace(0, 1, int(rng.integers(3, 7)))[:, None]
        line = start + (end - start) * steps + rng.normal(size=(len(steps), 2)) * 500
        points = [(float(x), float(y)) for x, y in line]
        if rng.random() < 0.3:  # out and back, beside itself
            points += [(x + float(rng.uniform(20, 400)), y + float(rng.uniform(20, 400))) for x, y in reversed(points)]
        ground.lines.append(points)
        for x, y in points:
            ground.haunts += [(x, y), (x, y)]
        properties: Feature = {"id": f"route-{number}", "name": f"Route {number}", "kind": "route", "source": "invented"}
        if rng.random() < 0.6:
            properties["corridor_m"] = float(rng.choice([150, 300, 700]))
        geometry = {"type": "LineString", "coordinates": ground.degrees(points)}
        out.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return out


def oracle_places(features: Sequence[Feature]) -> list[OraclePlace]:
    """Read the places from their features; drafts are no places."""
    out = []
    for feature in features:
        said = feature["properties"]
        if said["kind"] == "route" or said.get("status") == "draft":
            continue
        dwell = milliseconds(parse_duration(said["max_dwell"])) if "max_dwell" in said else None
        hours = opening(said["hours"]) if "hours" in said else None
        begin, end = (instant(said[name]) if name in said else None for name in ("valid_from", "valid_until"))
        limits, _ = read_limits(said.get("limits", {}), said["id"])
        polygon = cast(Polygon | MultiPolygon, shape(feature["geometry"]))
        out.append(OraclePlace(said["id"], said["kind"], polygon, said.get("carrier"), dwell, hours, limits, begin, end))
    return out


def oracle_routes(features: Sequence[Feature]) -> list[OracleRoute]:
    """Read the routes from their features."""
    return [
        OracleRoute(
            feature["properties"]["id"],
            [(lon, lat) for lon, lat in feature["geometry"]["coordinates"]],
            feature["properties"].get("corridor_m"),
        )
        for feature in features
        if feature["properties"]["kind"] == "route"
    ]


def opening(text: str) -> Callable[[int], bool]:
    """Read one rule such as "Mo-Fr 06:00-18:00", in the zone of all places here; half-open."""
    days, _, span = text.partition(" ")
    names = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
    first, last = names.index(days[:2]), names.index(days[-2:])
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in span.split("-"))

    def open_at(ms: int) -> bool:
        local = datetime.fromtimestamp(ms // 1000, ZoneInfo(ZONE))
        return first <= local.weekday() <= last and begin <= local.hour * 60 + local.minute < end

    return open_at
