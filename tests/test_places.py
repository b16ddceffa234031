"""Places and routes from GeoJSON: what a feature says is what is read; what is refused is in `tests.test_bad_config`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyproj import Geod
from shapely.geometry import MultiPolygon, Polygon

from monitor.places import KINDS, Geofences, circle, load_geofences, require
from tests.build import geofences_of

GEOD = Geod(ellps="WGS84")
SQUARE = [[-79.4, 43.7], [-79.3, 43.7], [-79.3, 43.8], [-79.4, 43.8], [-79.4, 43.7]]
HOLE = [[-79.37, 43.73], [-79.33, 43.73], [-79.33, 43.77], [-79.37, 43.77], [-79.37, 43.73]]
POINT = {"type": "Point", "coordinates": [-79.4, 43.7]}


def feature(geometry: object, **properties: Any) -> dict[str, Any]:
    """A yard called depot, unless said otherwise."""
    return {"type": "Feature", "properties": {"id": "depot", "kind": "yard"} | properties, "geometry": geometry}


def polygon(*rings: object) -> dict[str, Any]:
    """A polygon of rings."""
    return {"type": "Polygon", "coordinates": list(rings)}


def test_a_place_is_read_whole() -> None:
    """All that matters, and the rest as the file has it."""
    said = {
        "name": "The depot", "carrier": "north", "max_dwell": "1h30m", "hours": "Mo-Fr 06:00-18:00", "timezone": "America/Halifax",
        "security": ["fence", "gate"], "source": "its owner",
    }  # fmt: skip
    [place] = geofences_of([feature(polygon(SQUARE), **said)]).places
    assert (place.id, place.name, place.kind, place.carrier) == ("depot", "The depot", "yard", "north")
    assert place.max_dwell == timedelta(minutes=90)
    assert place.hours is not None
    assert (place.hours.text, place.hours.zone) == ("Mo-Fr 06:00-18:00", ZoneInfo("America/Halifax"))
    assert place.properties["security"] == ["fence", "gate"]


def test_a_place_that_says_little_is_everybodys_and_always_open() -> None:
    """Its name is its id."""
    [place] = geofences_of([feature(polygon(SQUARE))]).places
    assert (place.name, place.carrier, place.max_dwell, place.hours) == ("depot", None, None, None)


def test_the_id_may_stand_beside_the_properties() -> None:
    """As GeoJSON has it."""
    said = feature(polygon(SQUARE)) | {"id": "beside"}
    del said["properties"]["id"]
    assert geofences_of([said]).places[0].id == "beside"


def test_hours_are_in_the_zone_of_the_settings_where_a_place_names_none() -> None:
    """A carrier has one zone, mostly."""
    [place] = geofences_of([feature(polygon(SQUARE), hours="24/7")], "America/Vancouver").places
    assert place.hours is not None
    assert place.hours.zone == ZoneInfo("America/Vancouver")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_kind(kind: str) -> None:
    """Those where one may stand, and those that watch."""
    assert geofences_of([feature(polygon(SQUARE), kind=kind)]).places[0].kind == kind


def test_holes_and_several_parts_are_kept() -> None:
    """Polygon and MultiPolygon."""
    parts = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [[[x - 1, y] for x, y in SQUARE]]]}
    one, two = geofences_of([feature(polygon(SQUARE, HOLE)), feature(parts, id="two")]).places
    assert isinstance(one.geometry, Polygon)
    assert isinstance(two.geometry, MultiPolygon)
    assert two.geometry.area == pytest.approx(0.01 + one.geometry.area)


def test_a_point_with_a_radius_is_a_circle() -> None:
    """Of the same area, and as far all around, within half a percent."""
    area, _ = GEOD.geometry_area_perimeter(geofences_of([feature(POINT, radius_m=500)]).places[0].geometry)
    assert abs(area) == pytest.approx(3.14159265 * 500**2, rel=0.005)
    distances = [GEOD.inv(-79.4, 43.7, lon, lat)[2] for lon, lat in circle(-79.4, 43.7, 500).exterior.coords]
    assert distances == pytest.approx([500] * 65, rel=0.005)


def test_a_route_is_a_line_with_a_corridor() -> None:
    """Or without, where the settings say it; heights are left away."""
    line = {"type": "LineString", "coordinates": [[-79.4, 43.7, 90], [-76.5, 44.2, 80]]}
    wide, plain = geofences_of(
        [feature(line, kind="route", corridor_m=800, name="The 401"), feature(line, kind="route", id="b")]
    ).routes
    assert (wide.id, wide.name, wide.corridor_m, wide.line) == ("depot", "The 401", 800.0, ((-79.4, 43.7), (-76.5, 44.2)))
    assert (plain.name, plain.corridor_m) == ("b", None)


def test_a_polygon_that_crosses_itself_keeps_both_its_halves() -> None:
    """Repaired, with a warning; a spike is cut off."""
    bow = polygon([[-79.4, 43.7], [-79.3, 43.8], [-79.3, 43.7], [-79.4, 43.8], [-79.4, 43.7]])
    spiked = polygon([*SQUARE[:3], [-79.2, 43.8], *SQUARE[2:]])
    found = geofences_of([feature(bow), feature(spiked, id="spiked")])
    assert [place.geometry.geom_type for place in found.places] == ["MultiPolygon", "Polygon"]
    assert [place.geometry.area for place in found.places] == pytest.approx([0.005, 0.01])
    assert len(found.warnings) == 2


def test_files_are_read_in_the_order_of_their_names_and_nothing_else_is(tmp_path: Path) -> None:
    """The folder may hold a README."""
    for name in ("b", "a"):
        collection = {"type": "FeatureCollection", "features": [feature(POINT, id=name, radius_m=100)]}
        (tmp_path / f"{name}.geojson").write_text(json.dumps(collection), encoding="utf-8")
    (tmp_path / "README.md").write_text("# Places", encoding="utf-8")
    assert [place.id for place in load_geofences(tmp_path, "UTC").places] == ["a", "b"]


def test_the_version_is_that_of_the_content() -> None:
    """The same content is the same version, wherever it lies."""
    versions = [geofences_of([feature(POINT, radius_m=radius)]).version for radius in (100, 100, 101)]
    assert versions[0] == versions[1] != versions[2]
    assert len(versions[0]) == 16
    assert Geofences().version == ""


def test_three_places_are_too_few_to_call_one_an_outlier() -> None:
    """A carrier may have a depot abroad."""
    far = [
        feature({"type": "Point", "coordinates": [lon, lat]}, id=str(lon), radius_m=100) for lon, lat in ((-79, 43), (43, -79))
    ]
    assert len(geofences_of(far).places) == 2


def test_a_place_far_from_all_others_whose_axes_are_right_is_taken() -> None:
    """Rotterdam is far from Ontario, and not its mirror."""
    points = [(-79.0, 43.0), (-79.5, 43.5), (-76.5, 44.2), (4.4, 51.9)]
    found = geofences_of([feature({"type": "Point", "coordinates": p}, id=str(n), radius_m=100) for n, p in enumerate(points)])
    assert len(found.places) == 4


def test_an_id_that_there_is_not_is_told_with_the_one_that_may_be_meant() -> None:
    """None where all is well."""
    assert require(["depot"], "depot", "origin") is None
    assert require(["depot"], "deport", "origin") == "origin = 'deport': there is none of that id; did you mean depot?"
    assert require([], "depot", "origin") == "origin = 'depot': there is none of that id"
