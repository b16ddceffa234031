"""One fixture a rule of the configuration, named by its fault.

Each is refused in one line that names file, key or feature, value and what is allowed; what can be repaired is repaired with a
warning that names the feature.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.errors import ConfigurationError
from monitor.places import load_geofences
from monitor.settings import load_settings
from monitor.trips import load_trips
from monitor.world import checked_world

BAD = Path(__file__).parent / "bad_config"
A_DURATION = 'allowed is a duration such as "90s", "5m" or "2h", from '
A_PLACE = "feature 0 (depot): "
A_TIME = "allowed is an RFC 3339 time with a zone, such as 2026-03-01T06:00:00Z"

SETTINGS = {
    "carrier_detector_not_a_table": "carrier.north.long_dwell = '4h': allowed is a table",
    "carrier_with_a_bad_value": "carrier.north.route_deviation.corridor_m = 5.0: allowed is a number from 20.0 to 100,000.0",
    "choice_not_offered": 'ingest.source = \'carrier-pigeon\': allowed is "listener" or "broker"',
    "duration_as_a_number": "detectors.unauthorized_stop.limit = 30: " + A_DURATION + "1s to 30d",
    "duration_beyond_all_bounds": "order.gap = '99999999999999999999d': " + A_DURATION + "1m to 1d",
    "duration_of_unknown_unit": "detectors.unauthorized_stop.limit = '2w': " + A_DURATION + "1s to 30d",
    "duration_that_must_be_given": "order.gap = 'none': " + A_DURATION + "1m to 1d",
    "duration_too_long": "detectors.unauthorized_stop.limit = '31d': " + A_DURATION + "1s to 30d",
    "duration_too_short": "detectors.unauthorized_stop.limit = '0s': " + A_DURATION + "1s to 30d",
    "duration_without_unit": "detectors.unauthorized_stop.limit = '30': " + A_DURATION + "1s to 30d",
    "load_class_not_a_table": "load.local = '45m': allowed is a table",
    "load_class_of_an_unknown_detector": "load.local.unauthorised_stop: there is no such setting; "
    "did you mean load.local.unauthorized_stop?",
    "load_class_with_an_unknown_limit": "load.local.unauthorized_stop.limits: there is no such setting; "
    "did you mean load.local.unauthorized_stop.limit?",
    "load_not_a_table": "load = 'local': allowed is a table",
    "not_toml": "not readable as TOML: Invalid value (at line 1, column 12)",
    "not_utf8": "not readable as TOML: 'utf-8' codec can't decode byte 0xe9",
    "number_as_text": "motion.radius_m = '75': allowed is a number from 5.0 to 2,000.0",
    "number_not_whole": "motion.break_count = 2.5: allowed is a whole number from 1 to 100",
    "number_that_is_a_flag": "motion.radius_m = True: allowed is a number from 5.0 to 2,000.0",
    "number_that_is_none": "motion.radius_m = nan: allowed is a number from 5.0 to 2,000.0",
    "number_too_large": "ingest.listener.port = 70000: allowed is a whole number from 0 to 65,535",
    "number_too_small": "motion.radius_m = 1.0: allowed is a number from 5.0 to 2,000.0",
    "optional_duration_wrong": "detectors.long_dwell.yard = 'never': " + A_DURATION + '1s to 365d or "none"',
    "section_not_a_table": "motion = 75: allowed is a table",
    "text_as_number": "geofences = 7: allowed is a text",
    "text_of_a_wrong_form": "ingest.broker.client_id = 'two words': allowed is a text that matches",
    "high_speed_below_the_low_one": "motion.high_mps = 0.8: allowed is a number above motion.low_mps = 1.0",
    "unknown_key": "motion.radius: there is no such setting; did you mean motion.radius_m?",
    "unknown_key_unlike_any": "motion.zzz: there is no such setting; one of radius_m, hold_radius_m, low_mps",
    "unknown_load_class": "load.precious: there is no such setting; one of standard, local, high_value, dangerous",
    "unknown_section": "motoin: there is no such setting; did you mean motion?",
    "unknown_time_zone": "timezone = 'Toronto': allowed is an IANA time zone such as America/Toronto",
}
A_GEOMETRY = "allowed is a GeoJSON Polygon, MultiPolygon, Point with radius_m, or LineString of a route"
NO_NUMBERS = "geometry: empty, or with coordinates that are no numbers: " + A_GEOMETRY
A_COLLECTION = "allowed is a GeoJSON FeatureCollection"
A_FEATURE = "feature 0: allowed is a GeoJSON Feature with properties"
AN_AREA = "allowed is Polygon, MultiPolygon, or Point with radius_m"
A_LINE = "allowed is a LineString of two points or more"
A_RADIUS = "allowed is a number of metres from 1 to 500,000"
A_CORRIDOR = "allowed is a number of metres from 20 to 100,000"
A_DWELL = 'allowed is a duration such as "4h" from 1s to 365d'
A_ZONE = "allowed is an IANA time zone such as America/Toronto"
SOME_HOURS = 'hours such as "Mo-Fr 06:00-18:00; Sa 08:00-12:00" or "24/7"'
GEOFENCES = {
    "a_list": A_COLLECTION,
    "carrier_that_is_a_number": A_PLACE + "carrier = 12: allowed is a carrier's id",
    "carrier_that_is_empty": A_PLACE + "carrier = '': allowed is a carrier's id",
    "coordinates_missing": A_PLACE + "geometry = {'type': 'Polygon'}: not readable: " + A_GEOMETRY,
    "coordinates_that_are_no_numbers": A_PLACE
    + "geometry = {'type': 'Point', 'coordinates': ['west', 'north']}: not readable: "
    + A_GEOMETRY,
    "corridor_of_zero": A_PLACE + "corridor_m = 0: " + A_CORRIDOR,
    "corridor_that_is_a_text": A_PLACE + "corridor_m = '1 km': " + A_CORRIDOR,
    "empty_polygon": A_PLACE + NO_NUMBERS,
    "feature_that_is_none": A_FEATURE,
    "feature_without_an_id": "feature 0: id = None: allowed is a text of its own",
    "feature_without_properties": A_FEATURE,
    "features_not_a_list": A_COLLECTION,
    "geometry_for_a_feature": A_FEATURE,
    "hours_of_another_form": A_PLACE + "hours = '9 to 5': '9 to 5' is not of the form of " + SOME_HOURS,
    "hours_that_never_open": A_PLACE + "hours = ';': ';' never opens; allowed are " + SOME_HOURS,
    "id_that_is_a_list": "feature 0: id = ['depot']: allowed is a text of its own",
    "infinite_coordinates": A_PLACE + NO_NUMBERS,
    "line_for_a_place": A_PLACE + "geometry = LineString: " + AN_AREA,
    "longitude_out_of_range": A_PLACE
    + "geometry spans -281,43.7 to -281,43.7: allowed is longitude -180 to 180, latitude -90 to 90",
    "max_dwell_as_a_number": A_PLACE + "max_dwell = 4: " + A_DWELL,
    "max_dwell_of_a_century": A_PLACE + "max_dwell = '36500d': " + A_DWELL,
    "max_dwell_of_nothing": A_PLACE + "max_dwell = '0s': " + A_DWELL,
    "max_dwell_without_unit": A_PLACE + "max_dwell = '4': " + A_DWELL,
    "no_geometry": A_PLACE + "geometry = None: not readable: " + A_GEOMETRY,
    "no_kind": A_PLACE + "kind = None: allowed is yard, customer,",
    "not_a_collection": A_COLLECTION,
    "not_json": "not JSON: Expecting property name",
    "not_utf8": "not JSON: 'utf-8' codec can't decode byte 0xe9",
    "point_of_no_radius": A_PLACE + "radius_m = 0: " + A_RADIUS,
    "point_without_radius": A_PLACE + "radius_m = None: " + A_RADIUS,
    "polygon_of_two_points": A_PLACE
    + "geometry = {'type': 'Polygon', 'coordinates': [[[-79.4, 43.7], [-79.3, : not readable: "
    + A_GEOMETRY,
    "polygon_with_a_nan_vertex": A_PLACE + NO_NUMBERS,
    "polygon_without_area": A_PLACE + "geometry: Too few points in geometry component[-79.4 43.7]; and no area is left",
    "radius_that_is_a_text": A_PLACE + "radius_m = '100 m': " + A_RADIUS,
    "route_of_one_point": A_PLACE + "geometry = LineString: " + A_LINE,
    "route_that_is_a_polygon": A_PLACE + "geometry = Polygon: " + A_LINE,
    "route_with_a_nan_vertex": A_PLACE + NO_NUMBERS,
    "swapped_axes_far_from_the_others": "feature 3 (swapped): geometry lies at longitude 43.500, latitude -79.500, "
    "far from all others; longitude comes first in GeoJSON: are they swapped?",
    "swapped_axes_out_of_range": A_PLACE + "geometry spans 43.7,-123.1 to 43.7,-123.1: allowed is longitude -180 to 180, "
    "latitude -90 to 90; latitude and longitude may be swapped",
    "time_zone_that_is_a_list": A_PLACE + "timezone = ['America/Toronto']: " + A_ZONE,
    "two_features_of_one_id": "feature 1 (depot): id = 'depot': each id once; ",
    "unknown_geometry": A_PLACE + "geometry = {'type': 'Circle', 'coordinates': [-79, 43]}: not readable: " + A_GEOMETRY,
    "unknown_kind": A_PLACE + "kind = 'yrad': allowed is yard, customer, drop, rest_area, fuel, parking, repair, port_of_entry, "
    "inspection_station, no_stop, high_risk, restricted, dead_zone, jurisdiction or route; did you mean yard?",
    "unknown_kind_unlike_any": A_PLACE + "kind = 'zzz': allowed is yard, customer,",
    "unknown_time_zone": A_PLACE + "timezone = 'Eastern': " + A_ZONE,
}
REPAIRED = {
    "draft": A_PLACE + "is a draft and does not count until a named person confirms it",
    "hole_outside_shell": A_PLACE + "geometry was repaired: Hole lies outside shell",
    "self_crossing_polygon": A_PLACE + "geometry was repaired: Self-intersection",
}
SOME_IDS = "allowed is a list of ids"
TRIPS = {
    "empty.csv": ":1: the header lacks ends_at, id, starts_at, vehicle; allowed are id, carrier, vehicle,",
    "ends_as_it_starts.jsonl": ":1: ends_at = '2026-03-02T10:00:00Z': allowed is a time after starts_at = '2026-03-02T10:00:00Z'",
    "ends_before_it_starts.csv": ":2: ends_at = '2026-03-02T09:00:00Z': allowed is a time after starts_at = '2026-03-02T10",
    "header_without_times.csv": ":1: the header lacks ends_at, starts_at; allowed are id, carrier, vehicle,",
    "id_that_is_a_list.jsonl": ":1: id = ['t1']: allowed is a text",
    "line_that_is_a_list.jsonl": ':1: ["t1", "T-1"]: allowed is one JSON object a line',
    "no_id.jsonl": ":1: id: is required",
    "no_start.jsonl": ":1: starts_at: is required",
    "no_vehicle.jsonl": ":1: vehicle: is required",
    "not_json.jsonl": ":1: not JSON: Expecting property name",
    "not_utf8.csv": ": not readable: 'utf-8' codec can't decode byte 0xe9",
    "not_utf8.jsonl": ": not readable: 'utf-8' codec can't decode byte 0xe9",
    "places_that_are_a_table.jsonl": ":1: authorized_places = {'depot': True}: " + SOME_IDS,
    "routes_of_tables.jsonl": ":1: routes = [{}]: " + SOME_IDS,
    "routes_that_are_a_number.jsonl": ":1: routes = 401: " + SOME_IDS,
    "time_that_is_none.jsonl": ":1: ends_at = 'tomorrow': " + A_TIME,
    "time_without_zone.jsonl": ":1: starts_at = '2026-03-02T10:00:00': " + A_TIME,
    "two_trips_of_one_id.csv": ":3: id = 't1': each id once; it stands in line 2 too",
    "unknown_load.csv": ":2: load = 'gold': allowed is standard, local, high_value, dangerous",
    "vehicle_that_is_a_flag.jsonl": ":1: vehicle = True: allowed is a text",
}
UNKNOWN = {
    "unknown_authorized_place.jsonl": "trip t1: authorized_places = 'warehouse': there is none of that id",
    "unknown_destination.jsonl": "trip t1: destination = 'zzz': there is none of that id",
    "unknown_origin.jsonl": "trip t1: origin = 'depto': there is none of that id; did you mean depot?",
    "unknown_route.jsonl": "trip t1: route = '410': there is none of that id; did you mean 401?",
}
DEPOT = """{"type": "FeatureCollection", "features": [
 {"type": "Feature", "properties": {"id": "depot", "kind": "yard", "radius_m": 200},
  "geometry": {"type": "Point", "coordinates": [-79.4, 43.7]}},
 {"type": "Feature", "properties": {"id": "401", "kind": "route"},
  "geometry": {"type": "LineString", "coordinates": [[-79.4, 43.7], [-76.5, 44.2]]}}]}"""


def the_fault(read: Callable[[], object]) -> str:
    """The one line that a refusal says."""
    with pytest.raises(ConfigurationError) as caught:
        read()
    [line] = caught.value.faults
    assert "\n" not in line
    return line


def folder_of(file: Path, into: Path) -> Path:
    """A folder with this one file of geofences."""
    shutil.copy(file, into)
    return into


@pytest.mark.parametrize("name", SETTINGS)
def test_a_bad_setting_is_named_with_its_value_and_what_is_allowed(name: str) -> None:
    """File, key, value, what is allowed."""
    file = BAD / "settings" / f"{name}.toml"
    line = the_fault(lambda: load_settings(file))
    assert line.startswith(f"{file}: {SETTINGS[name]}")


@pytest.mark.parametrize("name", GEOFENCES)
def test_a_bad_feature_is_named_with_its_value_and_what_is_allowed(name: str, tmp_path: Path) -> None:
    """File, number and id of the feature, value, what is allowed."""
    folder = folder_of(BAD / "geofences" / f"{name}.geojson", tmp_path)
    line = the_fault(lambda: load_geofences(folder, "America/Toronto"))
    assert line.startswith(f"{folder / name}.geojson: {GEOFENCES[name]}")


@pytest.mark.parametrize("name", REPAIRED)
def test_what_can_be_repaired_or_left_out_is_a_warning_that_names_the_feature(name: str, tmp_path: Path) -> None:
    """A mended polygon is valid and has an area; a draft is no place."""
    geofences = load_geofences(folder_of(BAD / "geofences" / "repaired" / f"{name}.geojson", tmp_path), "UTC")
    [warning] = geofences.warnings
    assert warning.startswith(f"{tmp_path / name}.geojson: {REPAIRED[name]}")
    assert all(place.geometry.is_valid and place.geometry.area > 0 for place in geofences.places)
    assert len(geofences.places) == (0 if name == "draft" else 1)


@pytest.mark.parametrize("name", TRIPS)
def test_a_bad_trip_is_named_by_its_line_with_its_value_and_what_is_allowed(name: str) -> None:
    """File, line, field, value, what is allowed."""
    file = BAD / "trips" / name
    line = the_fault(lambda: load_trips(file))
    assert line.startswith(f"{file}{TRIPS[name]}")


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_trip_that_names_what_there_is_not_is_refused(name: str, tmp_path: Path) -> None:
    """The trip, the field, the id, and the id that may be meant."""
    (tmp_path / "depot.geojson").write_text(DEPOT, encoding="utf-8")
    geofences, trips = load_geofences(tmp_path, "UTC"), load_trips(BAD / "trips" / "unknown" / name)
    line = the_fault(lambda: checked_world(load_settings(None), geofences, trips, name))
    assert line == f"{name}: {UNKNOWN[name]}"


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        ("settings", {f"{name}.toml" for name in SETTINGS}),
        ("geofences", {f"{name}.geojson" for name in GEOFENCES}),
        ("geofences/repaired", {f"{name}.geojson" for name in REPAIRED}),
        ("trips", set(TRIPS)),
        ("trips/unknown", set(UNKNOWN)),
    ],
)
def test_every_fixture_is_tested(folder: str, known: set[str]) -> None:
    """A file nobody reads is no fixture."""
    assert {file.name for file in (BAD / folder).iterdir() if file.is_file()} == known


def test_what_is_nested_too_deep_is_a_fault(tmp_path: Path) -> None:
    """A hundred thousand brackets, in every file that people write."""
    deep = "[" * 100_000
    for name in ("a.geojson", "trips.jsonl", "monitor.toml"):
        (tmp_path / name).write_text(f"timezone = {deep}" if name.endswith("toml") else deep, encoding="utf-8")
    assert "not JSON: " in the_fault(lambda: load_geofences(tmp_path, "UTC"))
    assert "not JSON: " in the_fault(lambda: load_trips(tmp_path / "trips.jsonl"))
    assert "not readable as TOML" in the_fault(lambda: load_settings(tmp_path / "monitor.toml"))


def test_a_table_that_cannot_be_cut_into_fields_is_a_fault(tmp_path: Path) -> None:
    """A quote that is never closed."""
    (tmp_path / "trips.csv").write_text('id,vehicle,starts_at,ends_at\nt1,"' + "x" * 140_000, encoding="utf-8")
    assert "not readable: field larger than field limit" in the_fault(lambda: load_trips(tmp_path / "trips.csv"))


@pytest.mark.parametrize("read", [load_settings, load_trips, lambda file: load_geofences(file, "UTC")])
def test_a_file_that_is_not_there_is_one_line(read: Callable[[Path], object], tmp_path: Path) -> None:
    """It names the file."""
    assert str(tmp_path / "nowhere") in the_fault(lambda: read(tmp_path / "nowhere"))


def test_a_geofence_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    """A folder with the name of a file; the others are still read."""
    (tmp_path / "a.geojson").mkdir()
    assert the_fault(lambda: load_geofences(tmp_path, "UTC")).startswith(f"{tmp_path / 'a.geojson'}: not readable: ")


def test_a_geofence_file_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    """Its size is said, and what is allowed."""
    with (tmp_path / "huge.geojson").open("wb") as file:
        file.truncate(256 * 1024 * 1024 + 1)  # sparse: it takes no room
    assert the_fault(lambda: load_geofences(tmp_path, "UTC")).endswith(": 268,435,457 bytes; allowed are 268,435,456")


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    """Nobody has to start the monitor once for each."""
    for name in ("unknown_kind", "not_json"):
        shutil.copy(BAD / "geofences" / f"{name}.geojson", tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_geofences(tmp_path, "UTC")
    assert [line.split(": ")[0] for line in caught.value.faults] == [
        f"{tmp_path}/{name}.geojson" for name in ("not_json", "unknown_kind")
    ]


def test_no_geofences_are_no_fault(tmp_path: Path) -> None:
    """An empty folder is an empty world."""
    found = load_geofences(tmp_path, "UTC")
    assert (found.places, found.routes, found.warnings) == ((), (), ())
