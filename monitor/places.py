"""Places and routes: what a GeoJSON folder says of where vehicles may go and stand.

A *place* is a geofence with a kind: a Polygon or MultiPolygon (holes count), or a Point with `radius_m`. A *route* is a LineString of
kind `route` with a corridor half-width. What can be repaired is repaired with a warning that names the feature; the rest is refused
with a fault that names file, feature, value and what is allowed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry

from monitor.errors import ConfigurationError
from monitor.geodesy import metres_per_degree
from monitor.hours import Hours, parse_hours
from monitor.settings import Limits, format_duration, parse_duration, read_limits
from monitor.signals import instant

STANDING_KINDS = (
    "yard", "customer", "drop", "rest_area", "fuel", "parking", "repair", "port_of_entry", "inspection_station",
)  # fmt: skip
WATCHING_KINDS = ("no_stop", "high_risk", "restricted", "dead_zone", "jurisdiction")
KINDS = STANDING_KINDS + WATCHING_KINDS
CIRCLE_QUARTER = 16
LONGEST_DWELL = timedelta(days=365)
GEOMETRIES = "a GeoJSON Polygon, MultiPolygon, Point with radius_m, or LineString of a route"
ZONES = available_timezones()
UNCONFIRMED = {
    "draft": "is a draft and does not count until a named person confirms it",
    "dismissed": "was dismissed and does not count",
}
LARGEST_FILE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Place:
    """A geofence: where it is, what kind, whose, and what it allows."""

    id: str
    name: str
    kind: str
    geometry: Polygon | MultiPolygon
    """Degrees, WGS 84."""
    carrier: str | None = None
    """Whose; None: everybody's."""
    max_dwell: timedelta | None = None
    hours: Hours | None = None
    limits: Limits = field(default_factory=dict, hash=False)
    """Detector -> parameter -> value, where they differ here."""
    valid_from: int | None = None
    valid_until: int | None = None
    """ms since 1970 UTC, half-open: when it exists; None without bound."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """As the file has them: security, contact, source and what else."""

    @property
    def key(self) -> str:
        """Its id, and since when it is as it is: no other place has that."""
        return self.id if self.valid_from is None else f"{self.id}@{self.valid_from}"


@dataclass(frozen=True)
class Route:
    """A line and the half-width of the corridor along it."""

    id: str
    name: str
    line: tuple[tuple[float, float], ...]
    """Longitude and latitude of its vertices, degrees."""
    corridor_m: float | None = None
    """None: what the settings say."""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Geofences:
    """What a folder of GeoJSON holds; `version` is the hash of its content, `warnings` name what was repaired or left out."""

    places: tuple[Place, ...] = ()
    routes: tuple[Route, ...] = ()
    version: str = ""
    warnings: tuple[str, ...] = ()


def load_geofences(folder: Path, timezone: str) -> Geofences:
    """Read every `*.geojson` of a folder, in the order of their names.

    `timezone` is that of `hours` where a place names none. Drafts are left out, with a warning.

    Raises
    ------
    ConfigurationError
        With one line for each fault.
    """
    if not folder.is_dir():
        raise ConfigurationError([f"{folder}: there is no such folder of GeoJSON files"])
    reader, digest = _Reader(timezone), hashlib.sha256()
    for file in sorted(folder.glob("*.geojson")):
        try:
            if file.stat().st_size > LARGEST_FILE_BYTES:
                reader.faults.append(f"{file}: {file.stat().st_size:,} bytes; allowed are {LARGEST_FILE_BYTES:,}")
                continue
            content = file.read_bytes()
        except OSError as error:
            reader.faults.append(f"{file}: not readable: {error.strerror}")
            continue
        digest.update(content)
        reader.file(str(file), content)
    reader.outliers()
    if reader.faults:
        raise ConfigurationError(reader.faults)
    return Geofences(tuple(reader.places), tuple(reader.routes), digest.hexdigest()[:16], tuple(reader.warnings))


def read_feature(feature: Any, where: str, timezone: str) -> Place | Route:
    """Read one confirmed feature; `where` names it in faults, `timezone` is that of `hours` where it names none.

    Raises
    ------
    ConfigurationError
        With one line for each fault.
    """
    reader = _Reader(timezone)
    reader.feature(feature, where)
    if reader.faults:
        raise ConfigurationError(reader.faults)
    found: list[Place | Route] = [*reader.places, *reader.routes]
    return found[0]


def circle(lon: float, lat: float, radius_m: float) -> Polygon:
    """A polygon of 64 sides around a point, whose area is that of the circle."""
    sides = 4 * CIRCLE_QUARTER
    reach = radius_m * math.sqrt(2 * math.pi / sides / math.sin(2 * math.pi / sides))
    east, north = metres_per_degree(lat)
    angles = [2 * math.pi * k / sides for k in range(sides)]
    return Polygon([(lon + reach * math.cos(a) / east, lat + reach * math.sin(a) / north) for a in angles])


class _Reader:
    """Collects places, routes, warnings and faults over several files."""

    def __init__(self, timezone: str) -> None:
        self.timezone = timezone
        self.places: list[Place] = []
        self.routes: list[Route] = []
        self.warnings: list[str] = []
        self.faults: list[str] = []
        self.seen: dict[str, str] = {}
        self.unconfirmed: list[tuple[str, str]] = []
        """Of the file at hand: which features, and their status."""

    def file(self, name: str, content: bytes) -> None:
        """Read one file."""
        try:
            collection = json.loads(content)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            self.faults.append(f"{name}: not JSON: {error}")
            return
        features = collection.get("features") if isinstance(collection, dict) else None
        if not isinstance(features, list) or collection.get("type") != "FeatureCollection":
            self.faults.append(f"{name}: allowed is a GeoJSON FeatureCollection")
            return
        self.unconfirmed.clear()
        for number, feature in enumerate(features):
            self.feature(feature, f"{name}: feature {number}")
        drafts = [where for where, status in self.unconfirmed if status == "draft"]
        if len(self.unconfirmed) > 1:
            dismissed = f", {len(self.unconfirmed) - len(drafts)} were dismissed" if len(drafts) < len(self.unconfirmed) else ""
            self.warnings.append(f"{name}: {len(drafts)} drafts do not count until a named person confirms them{dismissed}")
        else:
            self.warnings += [f"{where}: {UNCONFIRMED[status]}" for where, status in self.unconfirmed]

    def feature(self, feature: Any, where: str) -> None:
        """Read one feature."""
        properties = feature.get("properties") if isinstance(feature, dict) else None
        if not isinstance(properties, dict) or feature.get("type") != "Feature":
            self.faults.append(f"{where}: allowed is a GeoJSON Feature with properties")
            return
        try:
            json.dumps(properties, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, TypeError):  # of which a UnicodeEncodeError is one
            self.faults.append(f"{where}: properties: allowed are JSON values of text and of finite numbers")
            return
        before, identity = len(self.faults), properties.get("id", feature.get("id"))
        if isinstance(identity, int) and not isinstance(identity, bool):
            identity = str(identity)
        if not isinstance(identity, str) or not identity:
            self.faults.append(f"{where}: id = {identity!r}: allowed is a text of its own")
            return
        where = f"{where} ({identity})"
        if identity in self.seen:
            self.faults.append(f"{where}: id = {identity!r}: each id once; {self.seen[identity]} has it too")
        self.seen[identity] = where
        if (status := properties.get("status")) in UNCONFIRMED:
            self.unconfirmed.append((where, status))
            return
        kind = properties.get("kind")
        if kind not in (*KINDS, "route"):
            near = difflib.get_close_matches(str(kind), (*KINDS, "route"), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.faults.append(f"{where}: kind = {kind!r}: allowed is {', '.join(KINDS)} or route{hint}")
            return
        geometry = self.geometry(feature.get("geometry"), where)
        if geometry is None or len(self.faults) > before:
            return
        if kind == "route":
            self.route(identity, properties, geometry, where)
        else:
            self.place(identity, kind, properties, geometry, where)

    def geometry(self, raw: Any, where: str) -> BaseGeometry | None:
        """Read a geometry whose coordinates are degrees."""
        try:
            geometry = shape(raw)
            numbers = shapely.get_coordinates(geometry)
        except (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
            self.faults.append(f"{where}: geometry = {str(raw)[:60]}: not readable: allowed is {GEOMETRIES}")
            return None
        if not len(numbers) or not np.isfinite(numbers).all():
            self.faults.append(f"{where}: geometry: empty, or with coordinates that are no numbers: allowed is {GEOMETRIES}")
            return None
        west, south, east, north = geometry.bounds
        if west < -180 or east > 180 or south < -90 or north > 90:
            hint = "; latitude and longitude may be swapped" if west >= -90 and east <= 90 else ""
            self.faults.append(
                f"{where}: geometry spans {west:g},{south:g} to {east:g},{north:g}: "
                f"allowed is longitude -180 to 180, latitude -90 to 90{hint}"
            )
            return None
        return geometry

    def place(self, identity: str, kind: str, properties: Mapping[str, Any], geometry: BaseGeometry, where: str) -> None:
        """Read a place."""
        area = self.area(properties, geometry, where)
        dwell, hours = self.dwell(properties.get("max_dwell"), where), self.hours(properties, where)
        carrier = properties.get("carrier")
        if carrier is not None and (not isinstance(carrier, str) or not carrier):
            self.faults.append(f"{where}: carrier = {carrier!r}: allowed is a carrier's id")
        limits, faults = read_limits(properties.get("limits", {}), f"{where}: limits")
        self.faults += faults
        begins, ends = (self.instant(properties.get(name), f"{where}: {name}") for name in ("valid_from", "valid_until"))
        if begins is not None and ends is not None and ends <= begins:
            self.faults.append(f"{where}: valid_until = {properties['valid_until']!r}: allowed is a time after valid_from")
        if area is not None:
            name = str(properties.get("name") or identity)
            self.places.append(Place(identity, name, kind, area, carrier, dwell, hours, limits, begins, ends, dict(properties)))

    def area(self, properties: Mapping[str, Any], geometry: BaseGeometry, where: str) -> Polygon | MultiPolygon | None:
        """Make a valid area of a polygon, or of a point with its radius."""
        if geometry.geom_type == "Point":
            radius = properties.get("radius_m")
            if isinstance(radius, bool) or not isinstance(radius, int | float) or not 1 <= radius <= 500_000:
                self.faults.append(f"{where}: radius_m = {radius!r}: allowed is a number of metres from 1 to 500,000")
                return None
            return circle(shapely.get_x(geometry), shapely.get_y(geometry), float(radius))
        if not isinstance(geometry, Polygon | MultiPolygon):
            self.faults.append(
                f"{where}: geometry = {geometry.geom_type}: allowed is Polygon, MultiPolygon, or Point with radius_m"
            )
            return None
        if geometry.is_valid:
            return geometry
        reason, mended = shapely.is_valid_reason(geometry), shapely.make_valid(geometry, method="structure", keep_collapsed=False)
        areas = [part for part in shapely.get_parts(shapely.get_parts(mended)) if isinstance(part, Polygon) and part.area > 0]
        if not areas:
            self.faults.append(f"{where}: geometry: {reason}; and no area is left when it is repaired")
            return None
        self.warnings.append(f"{where}: geometry was repaired: {reason}")
        return areas[0] if len(areas) == 1 else MultiPolygon(areas)

    def route(self, identity: str, properties: Mapping[str, Any], geometry: BaseGeometry, where: str) -> None:
        """Read a route."""
        line = tuple((float(lon), float(lat)) for lon, lat in shapely.get_coordinates(geometry))
        if geometry.geom_type != "LineString" or len(set(line)) < 2:
            self.faults.append(f"{where}: geometry = {geometry.geom_type}: allowed is a LineString of two points or more")
            return
        corridor = properties.get("corridor_m")
        wrong = isinstance(corridor, bool) or not isinstance(corridor, int | float) or not 20 <= corridor <= 100_000
        if corridor is not None and wrong:
            self.faults.append(f"{where}: corridor_m = {corridor!r}: allowed is a number of metres from 20 to 100,000")
            return
        width = None if corridor is None else float(corridor)
        self.routes.append(Route(identity, str(properties.get("name") or identity), line, width, dict(properties)))

    def dwell(self, text: Any, where: str) -> timedelta | None:
        """Read `max_dwell`."""
        if text is None:
            return None
        try:
            dwell = parse_duration(text) if isinstance(text, str) else timedelta(-1)
        except (ValueError, OverflowError):
            dwell = timedelta(-1)
        if not timedelta(seconds=1) <= dwell <= LONGEST_DWELL:
            wish = f'a duration such as "4h" from 1s to {format_duration(LONGEST_DWELL)}'
            self.faults.append(f"{where}: max_dwell = {text!r}: allowed is {wish}")
        return dwell

    def instant(self, text: Any, where: str) -> int | None:
        """Read an instant, None for none."""
        if text is None:
            return None
        try:
            return instant(text)
        except (ValueError, TypeError, OverflowError):
            self.faults.append(f"{where} = {text!r}: allowed is an RFC 3339 time with a zone, such as 2026-03-01T06:00:00Z")
            return None

    def hours(self, properties: Mapping[str, Any], where: str) -> Hours | None:
        """Read `hours`, in the place's `timezone`."""
        text, zone = properties.get("hours"), properties.get("timezone", self.timezone)
        if not isinstance(zone, str) or zone not in ZONES:
            self.faults.append(f"{where}: timezone = {zone!r}: allowed is an IANA time zone such as America/Toronto")
            return None
        if text is None:
            return None
        try:
            return parse_hours(str(text), ZoneInfo(zone))
        except ValueError as error:
            self.faults.append(f"{where}: hours = {text!r}: {error}")
            return None

    def outliers(self) -> None:
        """Warn of places so far from all others that their axes may be swapped."""
        if len(self.places) < 4:
            return
        centres = [(place, place.geometry.centroid) for place in self.places]
        lats, lons = sorted(c.y for _, c in centres), sorted(c.x for _, c in centres)
        lat, lon = lats[len(lats) // 2], lons[len(lons) // 2]
        for place, centre in centres:
            swapped = abs(centre.x - lat) + abs(centre.y - lon)
            if abs(centre.x - lon) + abs(centre.y - lat) > 60 and swapped < 30:
                self.faults.append(
                    f"{self.seen[place.id]}: geometry lies at longitude {centre.x:.3f}, latitude {centre.y:.3f}, far from all others; "
                    "longitude comes first in GeoJSON: are they swapped?"
                )


def require(known: Sequence[str], value: str, what: str) -> str | None:
    """Give the fault of a value that is not known, or None."""
    if value in known:
        return None
    near = difflib.get_close_matches(value, known, 1)
    return f"{what} = {value!r}: there is none of that id" + (f"; did you mean {near[0]}?" if near else "")
