"""The example places and routes hold what their README says, so that whoever copies them starts from something sound."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyproj import Geod
from shapely.geometry import LineString, Point, Polygon, shape

FOLDER = Path(__file__).parent.parent / "geofences"
GEOD = Geod(ellps="WGS84")
MAY_STAND = {
    "yard", "customer", "drop", "rest_area", "fuel", "parking", "repair", "port_of_entry", "inspection_station",
}  # fmt: skip


def features(name: str) -> list[dict[str, Any]]:
    collection = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    assert "Example data" in collection["note"]
    found: list[dict[str, Any]] = collection["features"]
    return found


PLACES, BELTS, ROUTES = features("places.geojson"), features("no_stop.geojson"), features("routes.geojson")
EVERYTHING = PLACES + BELTS + ROUTES


def positions(coordinates: Any) -> list[list[float]]:
    """Every position of a geometry, whatever its nesting."""
    if isinstance(coordinates[0], (int, float)):
        return [coordinates]
    return [position for part in coordinates for position in positions(part)]


def outline(feature: dict[str, Any]) -> Polygon:
    """The area of a place in degrees."""
    geometry = shape(feature["geometry"])
    if isinstance(geometry, Point):
        lon, lat, radius = geometry.x, geometry.y, feature["properties"]["radius_m"]
        return Polygon([GEOD.fwd(lon, lat, azimuth, radius)[:2] for azimuth in range(0, 360, 5)])
    assert isinstance(geometry, Polygon)
    return geometry


@pytest.mark.parametrize("feature", EVERYTHING, ids=lambda feature: feature["properties"]["id"])
def test_every_feature_has_a_name_a_source_and_a_sound_geometry(feature: dict[str, Any]) -> None:
    said = feature["properties"]
    assert said["name"]
    assert "example" in said["source"]
    geometry = shape(feature["geometry"])
    assert geometry.is_valid
    if isinstance(geometry, Polygon):
        assert geometry.exterior.is_ccw, "RFC 7946: the outer ring runs anticlockwise"
    for lon, lat in positions(feature["geometry"]["coordinates"]):
        assert -80 < lon < -73
        assert 42 < lat < 46
        assert (round(lon, 2), round(lat, 2)) != (lon, lat), "two decimals: too coarse to tell a stop"


def test_ids_are_unique() -> None:
    counts = Counter(feature["properties"]["id"] for feature in EVERYTHING)
    assert [name for name, count in counts.items() if count > 1] == []


def test_places_cover_the_kinds_a_trip_needs() -> None:
    kinds = {feature["properties"]["kind"] for feature in PLACES}
    assert kinds == MAY_STAND - {"repair"}


@pytest.mark.parametrize("feature", ROUTES, ids=lambda feature: feature["properties"]["id"])
def test_a_route_is_finely_drawn_and_joins_two_places(feature: dict[str, Any]) -> None:
    line = feature["geometry"]["coordinates"]
    assert feature["properties"]["corridor_m"] > 0
    legs = [GEOD.inv(*a, *b)[2] for a, b in pairwise(line)]
    assert max(legs) <= 10_000
    ends = [place for place in PLACES if place["properties"]["kind"] in {"yard", "customer"}]
    for position in (line[0], line[-1]):
        assert any(outline(place).contains(Point(position)) for place in ends)


def test_rest_areas_fuel_and_ports_lie_beside_a_route() -> None:
    lines = [LineString(feature["geometry"]["coordinates"]) for feature in ROUTES]
    for place in PLACES:
        centre = outline(place).centroid
        nearest = min(lines, key=lambda line: line.distance(centre))
        beside = nearest.interpolate(nearest.project(centre))
        distance = GEOD.inv(centre.x, centre.y, beside.x, beside.y)[2]
        assert distance < 1500, f"{place['properties']['id']} lies {distance:.0f} m from every route"


def test_a_port_of_entry_holds_its_approach_on_the_route() -> None:
    for port in (place for place in PLACES if place["properties"]["kind"] == "port_of_entry"):
        area = outline(port)
        inside = max(
            (LineString(route["geometry"]["coordinates"]).intersection(area) for route in ROUTES), key=lambda g: g.length
        )
        assert GEOD.geometry_length(inside) > 2000


def test_the_no_stop_belts_hold_yards_that_win_over_them() -> None:
    yards = [place for place in PLACES if place["properties"]["id"] in {"yard-brampton", "yard-mississauga"}]
    assert [any(outline(belt).contains(outline(yard)) for belt in BELTS) for yard in yards] == [True, True]
