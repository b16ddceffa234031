"""The roads of the simulated fleet: routes as lengths in metres, with the places beside them; pure but for the reading.

A *way* is a road driven in one direction; `p` is the distance travelled along it in metres, from 0 to `length`. A *spot* is a
place beside the way: where along it (`p`) and how far from it, as metres to the east and to the north.
Shapes: N positions, V vertices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import Geod
from shapely.geometry import LineString, Point, shape
from shapely.geometry.base import BaseGeometry

from monitor.errors import ConfigurationError

F64 = npt.NDArray[np.float64]
GEOD = Geod(ellps="WGS84")
BESIDE_M = 600.0
"""A place this near a road may be visited from it."""
HALTS = frozenset({"rest_area", "parking", "fuel", "inspection_station"})


@dataclass(frozen=True, slots=True)
class Spot:
    """A place beside a way; `near_side`: reached without crossing the road."""

    id: str
    kind: str
    p: float
    east: float
    north: float
    near_side: bool


@dataclass(frozen=True, slots=True)
class Zone:
    """A place that the way runs through, from `begin` to `end`."""

    id: str
    kind: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Terminal:
    """The place where a way begins or ends."""

    id: str
    kind: str
    max_dwell: str | None


@dataclass(frozen=True, slots=True)
class Road:
    """A route of the atlas. `lon`, `lat` (V,) degrees; `s` (V,) metres from its first vertex; `azimuth` (V-1,) degrees."""

    id: str
    lon: F64
    lat: F64
    s: F64
    azimuth: F64

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return float(self.s[-1])

    def position(self, s: F64, east: F64, north: F64) -> tuple[F64, F64]:
        """(N,) longitudes and latitudes `s` metres along the road and `east`, `north` metres beside it."""
        lat = np.interp(s, self.s, self.lat)
        lon = np.interp(s, self.s, self.lon)
        per_lat, per_lon = metres_per_degree(lat)
        return lon + east / per_lon, lat + north / per_lat

    def heading(self, s: F64) -> F64:
        """(N,) degrees clockwise from north in which the road runs."""
        index = np.clip(np.searchsorted(self.s, s, side="right") - 1, 0, len(self.azimuth) - 1)
        return self.azimuth[index] % 360.0


@dataclass(frozen=True, slots=True)
class Way:
    """A road in one direction, with what lies along it in the order of travel."""

    road: Road
    forward: bool
    origin: Terminal
    destination: Terminal
    spots: tuple[Spot, ...]
    zones: tuple[Zone, ...]

    @property
    def length(self) -> float:
        """Metres from origin to destination."""
        return self.road.length

    def s(self, p: F64) -> F64:
        """(N,) metres from the road's first vertex, of metres travelled."""
        return p if self.forward else self.road.length - p

    def heading(self, p: F64) -> F64:
        """(N,) degrees in which a vehicle faces."""
        return self.road.heading(self.s(p)) if self.forward else (self.road.heading(self.s(p)) + 180.0) % 360.0

    def within(self, p: float, kind: str, margin: float = 0.0) -> Zone | None:
        """Give the zone of this kind that holds p, or comes within `margin` metres of it; of several that of the least id."""
        zones = [zone for zone in self.zones if zone.kind == kind and zone.begin - margin <= p <= zone.end + margin]
        return min(zones, key=lambda zone: zone.id, default=None)


def read_features(folder: Path) -> list[dict[str, Any]]:
    """Read the features of every `*.geojson` of a folder, in the order of their names.

    Raises
    ------
    ConfigurationError
        If there is no such folder, or a file of it cannot be read as a FeatureCollection.
    """
    if not folder.is_dir():
        raise ConfigurationError([f"{folder}: there is no such folder of places and routes"])
    features: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*.geojson")):
        try:
            features += json.loads(file.read_text(encoding="utf-8"))["features"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError([f"{file}: not readable as a FeatureCollection: {error}"]) from None
    return features


def metres_per_degree(lat: F64) -> tuple[F64, F64]:
    """(N,) metres per degree of latitude and of longitude on WGS 84, at latitudes (N,)."""
    e2, a = 0.00669437999014, 6378137.0
    phi = np.radians(lat)
    w = 1.0 - e2 * np.sin(phi) ** 2
    return np.pi / 180.0 * a * (1 - e2) / w**1.5, np.pi / 180.0 * a / np.sqrt(w) * np.cos(phi)


def ways(features: Sequence[Mapping[str, Any]], carrier: str) -> dict[str, tuple[Way, Way]]:
    """Every route of the GeoJSON features as its two ways, in the order of the features.

    Only places of `carrier` or of nobody exist. A route that does not begin and end inside a yard or a customer is left out.
    """
    mine = [f for f in features if f["properties"].get("carrier", carrier) == carrier]
    places = [(f["properties"], shape(f["geometry"])) for f in mine if f["properties"]["kind"] != "route"]
    found: dict[str, tuple[Way, Way]] = {}
    for feature in mine:
        if feature["properties"]["kind"] != "route":
            continue
        road = _road(feature["properties"]["id"], np.array(feature["geometry"]["coordinates"], dtype=np.float64))
        ends = [_terminal(float(road.lon[i]), float(road.lat[i]), places) for i in (0, -1)]
        if ends[0] is not None and ends[1] is not None:
            spots, zones = _spots(road, places), _zones(road, places)
            outward = Way(road, forward=True, origin=ends[0], destination=ends[1], spots=spots, zones=zones)
            found[road.id] = (outward, _returning(outward))
    return found


def _road(identity: str, line: F64) -> Road:
    lon, lat = line[:, 0], line[:, 1]
    azimuth, _, length = GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    return Road(identity, lon, lat, np.concatenate(([0.0], np.cumsum(length))), np.asarray(azimuth, dtype=np.float64))


def _terminal(lon: float, lat: float, places: Sequence[tuple[Mapping[str, Any], BaseGeometry]]) -> Terminal | None:
    for said, area in places:
        if said["kind"] in {"yard", "customer"} and area.contains(Point(lon, lat)):
            return Terminal(said["id"], said["kind"], said.get("max_dwell"))
    return None


def _spots(road: Road, places: Sequence[tuple[Mapping[str, Any], BaseGeometry]]) -> tuple[Spot, ...]:
    """The halts within `BESIDE_M` of the road, in its order."""
    line, found = LineString(np.column_stack((road.lon, road.lat))), []
    for said, area in places:
        if said["kind"] not in HALTS:
            continue
        centre = area.centroid
        share = line.project(centre)
        foot = line.interpolate(share)
        per_lat, per_lon = metres_per_degree(np.array([foot.y]))
        east, north = (centre.x - foot.x) * float(per_lon[0]), (centre.y - foot.y) * float(per_lat[0])
        if np.hypot(east, north) <= BESIDE_M:
            s = _along(road, line, share)
            azimuth = np.radians(road.heading(np.array([s]))[0])
            right = east * np.cos(azimuth) - north * np.sin(azimuth) > 0
            found.append(Spot(said["id"], said["kind"], s, east, north, bool(right)))
    return tuple(sorted(found, key=lambda spot: spot.p))


def _zones(road: Road, places: Sequence[tuple[Mapping[str, Any], BaseGeometry]]) -> tuple[Zone, ...]:
    """The stretches of the road inside ports of entry and no-stop places."""
    line, found = LineString(np.column_stack((road.lon, road.lat))), []
    for said, area in places:
        if said["kind"] in {"port_of_entry", "no_stop"}:
            inside = line.intersection(area)
            for part in getattr(inside, "geoms", [inside]):
                if isinstance(part, LineString) and not part.is_empty:
                    begin, end = (_along(road, line, line.project(Point(part.coords[i]))) for i in (0, -1))
                    found.append(Zone(said["id"], said["kind"], min(begin, end), max(begin, end)))
    return tuple(sorted(found, key=lambda zone: zone.begin))


def _along(road: Road, line: LineString, degrees: float) -> float:
    """Metres along the road, of a length along its line in degrees."""
    vertices = LineString(line).coords
    steps = np.hypot(np.diff([v[0] for v in vertices]), np.diff([v[1] for v in vertices]))
    return float(np.interp(degrees, np.concatenate(([0.0], np.cumsum(steps))), road.s))


def _returning(way: Way) -> Way:
    """The same road the other way."""
    length = way.length
    spots = tuple(Spot(x.id, x.kind, length - x.p, x.east, x.north, not x.near_side) for x in reversed(way.spots))
    zones = tuple(Zone(x.id, x.kind, length - x.end, length - x.begin) for x in reversed(way.zones))
    return Way(way.road, not way.forward, way.destination, way.origin, spots, zones)
