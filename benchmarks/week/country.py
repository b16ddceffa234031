"""The country: roads between real towns, the places beside them, and which of them the carrier knows.

The towns lie where they lie; the roads between them, the docks, rests and customers are made up. Four in ten of the places where
trucks stop are known to the monitor, drawn without regard to how often they are visited; yards and ports of entry are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
from shapely.geometry import Polygon

from benchmarks.week.habits import Random
from benchmarks.week.lines import Line, Spot, joined, metres, moved, through, winding
from monitor.geodesy import metres_per_degree
from monitor.hours import parse_hours
from monitor.places import Geofences, Place, Route, circle

ZONE = ZoneInfo("America/Toronto")
KNOWN = 0.4
YARD_HOURS = "Mo-Sa 04:00-23:00"
REST_EVERY_M = 28_000.0
DOCKS = 6
CUSTOMERS, LUNCHES, PUMPS = 150, 20, 10
TOWNS: dict[str, Spot] = {
    "brampton": (-79.66, 43.73), "lachine": (-73.69, 45.44), "kitchener": (-80.45, 43.41), "ottawa": (-75.62, 45.39),
    "windsor": (-82.95, 42.27), "sudbury": (-80.95, 46.47), "quebec": (-71.30, 46.80), "saint-john": (-66.10, 45.30),
    "albany": (-73.80, 42.70), "harrisburg": (-76.85, 40.28), "columbus": (-82.95, 39.98), "indianapolis": (-86.20, 39.75),
    "syracuse": (-76.10, 43.08), "boston": (-71.20, 42.35), "hamilton": (-79.85, 43.22), "laval": (-73.75, 45.58),
}  # fmt: skip
ROADS: tuple[tuple[str, str, float], ...] = (
    ("brampton", "lachine", 0), ("brampton", "sudbury", 0), ("brampton", "harrisburg", 0.30), ("brampton", "columbus", 0.45),
    ("brampton", "indianapolis", 0.42), ("kitchener", "ottawa", 0), ("kitchener", "quebec", 0), ("kitchener", "indianapolis", 0.38),
    ("kitchener", "syracuse", 0.32), ("lachine", "windsor", 0), ("lachine", "saint-john", 0), ("lachine", "albany", 0.25),
    ("lachine", "boston", 0.22), ("lachine", "harrisburg", 0.12),
)  # fmt: skip
"""From, to, and at which share of the way the border is (0: none)."""
CITIES = ("hamilton", "laval", "ottawa", "windsor")


@dataclass(frozen=True)
class Halt:
    """A place where trucks stop: beside a road at `s` metres, or somewhere in a city."""

    id: str
    kind: str
    spot: Spot
    known: bool
    radius_m: float
    s: float = 0.0


@dataclass(frozen=True)
class Dock:
    """A shipper or receiver, off a road's far end."""

    halt: Halt
    junction: float
    """Metres along the road where the way to it begins."""
    way: Line


@dataclass(frozen=True)
class Road:
    """A road from a yard to a town."""

    id: str
    yard: str
    line: Line
    halts: tuple[Halt, ...]
    docks: tuple[Dock, ...]
    port: tuple[float, float] | None
    """From where to where it runs through a port of entry."""
    dark: tuple[float, float] | None
    """From where to where there is no reception."""

    def to(self, dock: Dock) -> Line:
        """From the yard to a dock."""
        return joined([self.line.between(0.0, dock.junction), dock.way])


@dataclass(frozen=True)
class City:
    """A town with a yard and customers all around it."""

    id: str
    customers: tuple[Halt, ...]
    lunches: tuple[Halt, ...]
    pumps: tuple[Halt, ...]


@dataclass
class Country:
    """Everything there is; `places` and `routes` are what the monitor is told."""

    roads: list[Road] = field(default_factory=list)
    cities: list[City] = field(default_factory=list)
    yards: dict[str, Spot] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)
    """Every stop place."""

    @property
    def hidden(self) -> list[Halt]:
        """The stop places that the monitor does not know."""
        return [halt for halt in self.halts if not halt.known]

    def geofences(self, more: Iterable[str] = ()) -> Geofences:
        """What the monitor is told, and some more stop places."""
        added = set(more)
        places = (*self.places, *(_place(halt) for halt in self.hidden if halt.id in added))
        return Geofences(places, tuple(self.routes), f"week and {len(added)}")


def route_id(road: Road, dock: Dock, *, back: bool) -> str:
    """The name of the route between a road's yard and a dock."""
    return f"{dock.halt.id}-{road.yard}" if back else f"{road.yard}-{dock.halt.id}"


def carrier(yard: str) -> str:
    """Whose a yard and its trucks are."""
    return f"carrier-{yard}"


def made(rng: Random, known: float = KNOWN) -> Country:
    """Lay out the country; four in ten of its stop places are known."""
    country = Country()
    knowing = _Knowing(rng, known)
    for name in sorted({road[0] for road in ROADS}):
        _yard(country, name, TOWNS[name])
    for name in CITIES:
        _yard(country, f"{name}-city", TOWNS[name])
        country.cities.append(_city(name, rng, knowing))
    for number, (a, b, border) in enumerate(ROADS):
        country.roads.append(_road(country, (a, b), border, number, rng, knowing))
    country.halts = knowing.made
    country.places += [_place(halt) for halt in country.halts if halt.known]
    return country


class _Knowing:
    """Makes stop places, and draws which of them are known: of any ten in a row, four."""

    def __init__(self, rng: Random, share: float) -> None:
        self.rng, self.share, self.drawn = rng, share, list[bool]()
        self.made: list[Halt] = []

    def halt(self, name: str, kind: str, spot: Spot, radius_m: float, s: float = 0.0) -> Halt:
        """A stop place."""
        if not self.drawn:
            self.drawn = [bool(known) for known in self.rng.permutation(10) < round(10 * self.share)]
        self.made.append(Halt(name, kind, spot, self.drawn.pop(), radius_m, s))
        return self.made[-1]


def _place(halt: Halt) -> Place:
    return Place(halt.id, halt.id, halt.kind, circle(*halt.spot, halt.radius_m))


def _yard(country: Country, name: str, spot: Spot) -> None:
    corners = [moved(spot, *corner) for corner in ((-220.0, -180.0), (220.0, -180.0), (220.0, 180.0), (-220.0, 180.0))]
    hours = parse_hours(YARD_HOURS, ZONE)
    country.yards[name] = spot
    country.places.append(Place(f"yard-{name}", name, "yard", Polygon(corners), carrier(name), None, hours))


def _road(country: Country, ends: tuple[str, str], border: float, number: int, rng: Random, knowing: _Knowing) -> Road:
    name = "-".join(ends)
    line = winding(TOWNS[ends[0]], TOWNS[ends[1]], rng)
    halts, s = list[Halt](), 25_000.0
    while s < line.length - 15_000.0:
        kind = str(rng.choice(["rest_area", "parking", "fuel"], p=[0.35, 0.35, 0.3]))
        spot = line.beside(s, float(rng.uniform(150, 400)) * float(rng.choice([-1, 1])))
        halts.append(knowing.halt(f"{kind.replace('_', '-')}-{name}-{len(halts)}", kind, spot, 180.0, s))
        s += float(rng.uniform(0.5, 1.5)) * REST_EVERY_M
    docks = []
    for k in range(DOCKS):
        junction = line.length - float(rng.uniform(500, 9000))
        halt = knowing.halt(f"dock-{name}-{k}", "customer", line.beside(junction, float(rng.uniform(-3500, 3500))), 200.0)
        docks.append(Dock(halt, junction, _street(line.at(junction), halt.spot)))
    port = None
    if border:
        port = (border * line.length, border * line.length + 5000.0)
        country.places.append(Place(f"port-{name}", name, "port_of_entry", _along(line.between(*port), 400.0)))
    dark = (0.62 * line.length, 0.62 * line.length + 15_000.0) if name in {"brampton-sudbury", "lachine-saint-john"} else None
    if dark and name == "brampton-sudbury":
        country.places.append(Place(f"dark-{name}", name, "dead_zone", _along(line.between(*dark), 1500.0)))
    road = Road(f"road-{number}", ends[0], line, tuple(halts), tuple(docks), port, dark)
    for dock in docks:
        way = road.to(dock)
        for back, run in ((False, way), (True, way.reversed())):
            vertices = tuple(zip(run.lon.tolist(), run.lat.tolist(), strict=True))
            country.routes.append(Route(route_id(road, dock, back=back), road.id, vertices))
    return road


def _street(a: Spot, b: Spot) -> Line:
    """Two blocks of a street, the second at a right angle to the first."""
    return through([a, (b[0], a[1]), b])


def _along(line: Line, half_m: float) -> Polygon:
    """A strip around a line."""
    east, _ = metres_per_degree(float(line.lat.mean()))
    right = [line.beside(float(s), half_m) for s in np.linspace(0, line.length, 12)]
    left = [line.beside(float(s), -half_m) for s in np.linspace(line.length, 0, 12)]
    strip = Polygon([*right, *left])
    whole = strip if strip.is_valid else strip.buffer(half_m / east)
    return Polygon(whole.exterior) if isinstance(whole, Polygon) else Polygon(whole.convex_hull.exterior)


def _city(name: str, rng: Random, knowing: _Knowing) -> City:
    def around(count: int, kind: str, radius_m: float) -> tuple[Halt, ...]:
        found: list[Halt] = []
        while len(found) < count:
            away = 1500.0 + 11_000.0 * float(np.sqrt(rng.random()))
            angle = float(rng.uniform(0, 2 * np.pi))
            spot = moved(TOWNS[name], away * float(np.sin(angle)), away * float(np.cos(angle)))
            if all(metres(spot, other.spot) > 2.2 * radius_m for other in found):
                found.append(knowing.halt(f"{kind}-{name}-{len(found)}", kind, spot, radius_m))
        return tuple(found)

    return City(name, around(CUSTOMERS, "customer", 110.0), around(LUNCHES, "parking", 90.0), around(PUMPS, "fuel", 90.0))
