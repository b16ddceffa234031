"""What `monitor replay` promises to those who build on it: its lines, its options, and the same bytes in any order."""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.cli import main
from tests.e2e.laid_down import Record, lay_down, write_csv, write_parquet
from tests.e2e.program import GEOFENCES
from tests.e2e.real_data import SHORT, TRACKS, needs_tracks
from tests.replaying import HEADER, Replay, driving, parked, replay
from tests.tracks import World, worlds

SIGNAL_KEYS = [
    "kind", "vehicle", "carrier", "since", "at", "until", "place", "route", "lon", "lat", "measure", "limit", "unit", "presumed",
]  # fmt: skip
STOP_KEYS = ["vehicle", "since", "until", "lon", "lat", "place", "authorized"]
__all__ = ["replay"]  # the fixture


# What a line is


def test_a_parked_vehicle_gives_this_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The keys, their order, times in UTC with milliseconds and Z, six decimals, null while open."""
    file = tmp_path / "fixes.csv"
    file.write_text("\n".join([HEADER, *parked("06:00", "06:40")]), encoding="utf-8")
    assert main(["replay", str(file)]) == 0
    assert capsys.readouterr().out == (
        '{"kind":"unauthorized_stop","vehicle":"T-1","carrier":"default","since":"2026-03-02T06:00:00.000Z",'
        '"at":"2026-03-02T06:30:00.000Z","until":null,"place":null,"route":null,"lon":-79.123457,"lat":43.765432,'
        '"measure":2400.0,"limit":1800.0,"unit":"s","presumed":false}\n'
    )


def test_a_stop_that_ended_says_when_and_how_long(replay: Replay) -> None:
    _, [signal], _ = replay([*parked("06:00", "06:40"), *driving("06:41", "06:50")])
    assert (signal["until"], signal["measure"], signal["presumed"]) == ("2026-03-02T06:40:00.000Z", 2400.0, False)
    assert list(signal) == SIGNAL_KEYS


def test_silence_raises_at_its_deadline_and_says_that_it_is_presumed(replay: Replay) -> None:
    """The last word at 06:10; nobody has seen it at 06:30."""
    _, [signal], _ = replay(parked("06:00", "06:10"), "--until", "2026-03-02T06:30:00Z")
    assert (signal["at"], signal["presumed"], signal["until"]) == ("2026-03-02T06:30:00.000Z", True, None)


def test_before_its_deadline_there_is_no_signal(replay: Replay) -> None:
    status, signals, _ = replay(parked("06:00", "06:10"), "--until", "2026-03-02T06:29:59.999Z")
    assert (status, signals) == (0, [])


def test_the_horizon_is_the_newest_time_of_all_files_unless_said(replay: Replay, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("\n".join([HEADER, *driving("06:31", "06:31", "T-2")]), encoding="utf-8")
    assert replay(parked("06:00", "06:10"))[1] == []
    assert [signal["vehicle"] for signal in replay(parked("06:00", "06:10"), other)[1]] == ["T-1"]


def test_what_lies_beyond_the_horizon_is_as_if_it_were_not_there(replay: Replay) -> None:
    whole = replay([*parked("06:00", "06:40"), *driving("06:41", "06:50")], "--until", "2026-03-02T06:35:00+00:00")
    part = replay(parked("06:00", "06:35"))
    assert whole[1] == part[1] != []


def test_the_horizon_may_name_any_zone(replay: Replay) -> None:
    assert len(replay(parked("06:00", "06:10"), "--until", "2026-03-02T01:30:00-05:00")[1]) == 1


@pytest.mark.parametrize("text", ["2026-03-02T06:30:00", "yesterday", "", "2026-13-01T00:00:00Z"])
def test_a_horizon_that_is_no_instant_is_one_clear_line(replay: Replay, text: str) -> None:
    status, signals, said = replay(parked("06:00", "06:10"), "--until", text)
    assert (status, signals, said.count("\n")) == (2, [], 1)
    assert f"--until {text}: allowed is an RFC 3339 time with a zone" in said


def test_lines_are_ordered_by_at_then_vehicle_then_kind(replay: Replay) -> None:
    rows = [*parked("06:05", "06:50", "A"), *parked("06:00", "06:50", "C"), *parked("06:00", "06:50", "B")]
    _, signals, _ = replay(rows)
    assert [signal["vehicle"] for signal in signals] == ["B", "C", "A"]


def test_names_are_written_as_they_are(replay: Replay) -> None:
    """Not escaped: the log is UTF-8."""
    _, [signal], _ = replay(parked("06:00", "06:40", "Camión É 10"))
    assert signal["vehicle"] == "Camión É 10"


# Options


def test_a_setting_is_laid_over(replay: Replay) -> None:
    _, [signal], _ = replay(parked("06:00", "06:40"), "--set", "detectors.unauthorized_stop.limit=20m")
    assert (signal["at"], signal["limit"]) == ("2026-03-02T06:20:00.000Z", 1200.0)


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("motion.radius=5", "motion.radius"),
        ("motion.radius_m=wide", "wide"),
        ("motion.radius_m=1", "5"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_wrong_setting_is_named(replay: Replay, assignment: str, named: str) -> None:
    status, _, said = replay(parked("06:00", "06:40"), "--set", assignment)
    assert status == 2
    assert named in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", ["0", "-1"])
def test_a_batch_has_at_least_one_fix(replay: Replay, number: str) -> None:
    status, _, said = replay(parked("06:00", "06:40"), "--batch", number)
    assert (status, said) == (2, f"monitor: --batch {number}: allowed is a whole number from 1\n")


def write_geofences(folder: Path, *features: dict[str, Any]) -> Path:
    """A folder of GeoJSON."""
    folder.mkdir()
    (folder / "places.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return folder


def spot(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """A place of 300 m around where the vehicles of `parked` stand."""
    properties = {"id": name, "name": name, "kind": kind, "radius_m": 300, "source": "invented", **more}
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": [-79.1234567, 43.7654321]}}


ROUTE = {
    "type": "Feature",
    "properties": {"id": "east", "name": "East", "kind": "route", "corridor_m": 500, "source": "invented"},
    "geometry": {"type": "LineString", "coordinates": [[-79.2, 43.7654321], [-78.9, 43.7654321]]},
}


def test_places_are_where_vehicles_may_stand_and_for_how_long(replay: Replay, tmp_path: Path) -> None:
    folder = write_geofences(tmp_path / "places", spot("mill", "customer", max_dwell="25m"))
    _, [signal], _ = replay(parked("06:00", "06:40"), "--geofences", folder)
    assert (signal["kind"], signal["place"], signal["at"]) == ("long_dwell", "mill", "2026-03-02T06:25:00.000Z")


def test_trips_without_a_carrier_are_those_of_the_vehicles_in_files(replay: Replay, tmp_path: Path) -> None:
    """Off the route of its trip from 06:00 on; no trip, no deviation."""
    folder = write_geofences(tmp_path / "places", ROUTE)
    trips = tmp_path / "trips.csv"
    trips.write_text("id,vehicle,route,starts_at,ends_at\nW-1,T-1,east,2026-03-02T05:00:00Z,2026-03-02T20:00:00Z\n")
    rows = [*driving("06:00", "06:10"), *driving("06:00", "06:10", "T-2")]
    _, [signal], _ = replay(rows, "--geofences", folder, "--trips", trips)
    assert (signal["kind"], signal["vehicle"], signal["route"], signal["unit"]) == ("route_deviation", "T-1", "east", "m")
    assert (signal["since"], signal["at"], signal["limit"]) == ("2026-03-02T06:00:00.000Z", "2026-03-02T06:02:00.000Z", 500.0)
    assert signal["measure"] == pytest.approx(3885, rel=0.01)


def test_a_trip_over_an_unknown_route_is_named(replay: Replay, tmp_path: Path) -> None:
    trips = tmp_path / "trips.jsonl"
    trip = {
        "id": "W-1",
        "vehicle": "T-1",
        "route": "west",
        "starts_at": "2026-03-02T05:00:00Z",
        "ends_at": "2026-03-02T20:00:00Z",
    }
    trips.write_text(json.dumps(trip))
    status, _, said = replay(
        parked("06:00", "06:40"), "--geofences", write_geofences(tmp_path / "places", ROUTE), "--trips", trips
    )
    assert status == 2
    assert "W-1" in said
    assert "west" in said


def test_stops_are_listed_authorized_or_not(replay: Replay, tmp_path: Path) -> None:
    folder, out = write_geofences(tmp_path / "places", spot("depot", "yard")), tmp_path / "stops.jsonl"
    elsewhere = parked("07:00", "07:05", lon=-78.4204, lat=43.8104)
    rows = [*parked("06:00", "06:05"), *driving("06:06", "06:59"), *elsewhere]
    status, signals, _ = replay(rows, "--geofences", folder, "--stops", out)
    first, second = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
    assert (status, signals, list(first), list(second)) == (0, [], STOP_KEYS, STOP_KEYS)
    assert first == {
        "vehicle": "T-1", "since": "2026-03-02T06:00:00.000Z", "until": "2026-03-02T06:05:00.000Z", "lon": -79.123457,
        "lat": 43.765432, "place": "depot", "authorized": True,
    }  # fmt: skip
    assert (second["since"], second["place"], second["authorized"]) == ("2026-03-02T07:00:00.000Z", None, False)


def test_signals_go_to_a_file_where_one_is_named(replay: Replay, tmp_path: Path) -> None:
    out = tmp_path / "signals.jsonl"
    status, signals, _ = replay(parked("06:00", "06:40"), "--out", out)
    assert (status, signals) == (0, [])
    assert list(json.loads(out.read_text(encoding="utf-8"))) == SIGNAL_KEYS


def test_a_file_that_cannot_be_written_is_one_clear_line(replay: Replay, tmp_path: Path) -> None:
    status, _, said = replay(parked("06:00", "06:40"), "--out", tmp_path / "nowhere" / "signals.jsonl")
    assert (status, said.splitlines()[-1]) == (
        2,
        f"monitor: {tmp_path}/nowhere/signals.jsonl: cannot be written: No such file or directory",
    )


def test_a_configuration_folder_says_settings_and_geofences(replay: Replay, tmp_path: Path) -> None:
    folder = write_geofences(tmp_path / "places", spot("mill", "customer"))
    text = f'geofences = "{folder}"\n[detectors.long_dwell]\ncustomer = "20m"\n'
    (tmp_path / "monitor.toml").write_text(text, encoding="utf-8")
    _, [signal], _ = replay(parked("06:00", "06:40"), "--config", tmp_path)
    assert (signal["kind"], signal["limit"]) == ("long_dwell", 1200.0)


# The same bytes, whatever the order


def logs(options: list[str], *files: Path, more: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """The bytes of signals and stops."""
    folder = files[0].parent
    signals, stops = folder / "signals.jsonl", folder / "stops.jsonl"
    assert main(["replay", *map(str, files), *options, *more, "--out", str(signals), "--stops", str(stops)]) == 0
    return signals.read_bytes(), stops.read_bytes()


def shuffled(seed: int, records: list[Record]) -> list[Record]:
    """In any order, a tenth of them twice."""
    chance = random.Random(seed)
    out = [*records, *chance.sample(records, len(records) // 10)]
    chance.shuffle(out)
    return out


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(90), st.integers(0, 2**16), st.integers(1, 400))
def test_batches_formats_files_and_arrival_give_the_same_bytes(world: World, seed: int, batch: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        laid = lay_down(world, folder)
        mixed = shuffled(seed, laid.records)
        half = len(mixed) // 2
        whole = write_csv(folder / "whole.csv", laid.records)
        expected = logs(laid.options, whole)
        assert logs(laid.options, whole, more=("--batch", str(batch))) == expected
        assert logs(laid.options, write_parquet(folder / "mixed.parquet", mixed)) == expected
        parts = (write_csv(folder / "first.csv", mixed[:half]), write_parquet(folder / "second.parquet", mixed[half:]))
        assert logs(laid.options, *parts) == expected
        arriving = ("--arrival-order", "--batch", str(max(batch, 20)))
        assert logs(laid.options, *parts, more=arriving) == expected


@pytest.mark.slow
@needs_tracks
@pytest.mark.parametrize("name", TRACKS)
def test_real_tracks_give_the_same_bytes_in_any_order(tmp_path: Path, name: str) -> None:
    table = pd.read_csv(TRACKS[name], dtype=str, keep_default_na=False)
    mixed = tmp_path / "mixed.csv"
    table.sample(frac=1.0, random_state=7).to_csv(mixed, index=False)
    options = ["--geofences", str(GEOFENCES), "--set", SHORT[0]]
    same = tmp_path / "same.csv"
    same.write_bytes(TRACKS[name].read_bytes())
    expected = logs(options, same)
    assert expected[1]
    assert logs(options, same, more=("--batch", "97")) == expected
    assert logs(options, same, more=("--arrival-order", "--batch", "211")) == expected
    assert logs(options, mixed, more=("--arrival-order", "--batch", "1009")) == expected
