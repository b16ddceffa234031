"""`monitor places`: from a history to drafts, from drafts to places by named persons; files that people edit too."""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from shapely.geometry import shape

from monitor.commands import geofence_file, placing
from monitor.errors import ConfigurationError, InputError, ServiceError
from monitor.ingest.fleet.plan import Plan
from monitor.ingest.simulate import read_features
from monitor.places import Geofences, load_geofences
from monitor.replay import replay
from monitor.settings import load_settings
from monitor.signals import instant, timestamp
from monitor.trips import Trips
from monitor.world import World
from tests.e2e.program import CONFIG, GEOFENCES
from tests.e2e.real_data import SHORT, TRACKS, needs_tracks
from tests.handmade import degrees
from tests.test_learning import Stay

COLUMNS = ("time", "lon", "lat", "speed_mps", "heading_deg")
Said = list[str]
Places = Callable[..., Said]
MILL, PUMP = "learned-44.2512-76.5012", "learned-44.2513-76.4512"
"""Where both trucks call every day, and where they filled up once."""


@pytest.fixture
def places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Places:
    """Run `monitor places` on the geofences of a folder of its own; gives the lines it said, those of the error stream first."""
    (tmp_path / "geofences").mkdir(exist_ok=True)

    def run(*words: object) -> Said:
        parser = argparse.ArgumentParser()
        placing.register(parser.add_subparsers())
        action, *rest = map(str, words)
        options = parser.parse_args(
            [
                "places",
                action,
                "--config",
                str(CONFIG),
                "--geofences",
                str(tmp_path / "geofences"),
                "--set",
                "timezone=UTC",
                *rest,
            ]
        )
        capsys.readouterr()
        options.run(options)
        said = capsys.readouterr()
        return (said.err + said.out).splitlines()

    return run


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Two trucks that load at a mill on three days and filled up beside the road once: eight stops of 40 minutes, all alerts."""
    stays = [Stay(truck, day, clock, 40) for truck, clock in (("A", "08:00"), ("B", "12:00")) for day in (2, 3, 4)]
    return written(tmp_path / "fixes.csv", [*stays, *(Stay(truck, 5, "09:00", 40, 4000, 10) for truck in "AB")])


def written(file: Path, stays: list[Stay]) -> Path:
    rows = [
        (vehicle, timestamp(ms), *degrees(east, north), speed)
        for stay in stays
        for vehicle, ms, east, north, speed in stay.reports()
    ]
    lines = [",".join(map(str, row)) for row in rows]
    file.write_text("\n".join(["vehicle_id,time,lon,lat,speed_mps", *lines]) + "\n", encoding="utf-8")
    return file


def held(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The properties of what the learned file holds, by id, in its order."""
    collection = json.loads((tmp_path / "geofences" / "learned.geojson").read_text(encoding="utf-8"))
    return {feature["properties"]["id"]: feature["properties"] for feature in collection["features"]}


def alerts(history: Path, folder: Path | None, said: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    """The unauthorized stops of a history under some geofences."""
    geofences = load_geofences(folder, "UTC") if folder else Geofences()
    found = replay([history], World(load_settings(None, said), geofences, Trips()))
    return [(signal.vehicle, signal.since) for signal in found.signals if signal.kind == "unauthorized_stop"]


# learn


def test_learning_tells_what_the_first_drafts_are_worth(places: Places, history: Path) -> None:
    told = places("learn", history, "--top", "1")
    assert f"1  {MILL}  6  75%  customer: stops by day; 6 stops of 2 vehicles on 3 days, 40m in the median" in told
    assert "the first 1 of 2 drafts would explain 75 % of 8 alerts" in told
    assert "376 fixes, 8 stops, 8 unauthorized stops" in told
    assert places("learn", history)[-3] == "the 2 drafts would explain 100 % of 8 alerts"


def test_a_draft_says_what_it_rests_on_and_does_not_count(places: Places, history: Path, tmp_path: Path) -> None:
    places("learn", history)
    assert list(held(tmp_path)) == [MILL, PUMP]
    said = held(tmp_path)[MILL]
    assert (said["status"], said["kind"], said["explains"], said["alerts"]) == ("draft", "customer", 6, 6)
    assert (said["vehicles"], said["days"], said["stops"], said["median_dwell"]) == (2, 3, 6, "40m")
    assert (said["explained_share"], said["raises"]) == (0.75, 0)
    assert said["source"] == "learned from 6 stops, 2026-03-02 to 2026-03-04"
    found = load_geofences(tmp_path / "geofences", "UTC")
    assert found.places == ()
    assert found.warnings


def test_the_same_history_gives_the_same_bytes_in_any_order(places: Places, history: Path, tmp_path: Path) -> None:
    file = tmp_path / "geofences" / "learned.geojson"
    places("learn", history)
    first = file.read_bytes()
    places("learn", history)
    assert file.read_bytes() == first
    header, *rows = history.read_text(encoding="utf-8").splitlines()
    random.Random(1).shuffle(rows)
    halves = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for half, some in zip(halves, (rows[:99], rows[99:]), strict=True):
        half.write_text("\n".join([header, *some]) + "\n", encoding="utf-8")
    file.unlink()
    places("learn", *halves)
    assert file.read_bytes() == first


def test_spots_without_alerts_are_drafts_too(places: Places, tmp_path: Path) -> None:
    """Deliveries of ten minutes: one of them will take half an hour some day."""
    told = places("learn", written(tmp_path / "fixes.csv", [Stay(truck, 2, "10:00", 10) for truck in "AB"]))
    assert "34 fixes, 2 stops, 0 unauthorized stops" in told
    assert not any("would explain" in line for line in told)
    assert [said["explains"] for said in held(tmp_path).values()] == [0]


def test_long_dwells_that_would_come_instead_are_told(places: Places, history: Path, tmp_path: Path) -> None:
    told = places("learn", history, "--set", "detectors.long_dwell.customer=30m")
    assert "as places of the kinds guessed, the drafts would raise 6 signals of their own, such as long dwells" in told
    assert held(tmp_path)[MILL]["raises"] == 6


def test_where_nothing_is_learned_nothing_is_written(places: Places, tmp_path: Path) -> None:
    told = places("learn", written(tmp_path / "fixes.csv", [Stay("A", 2, "10:00", 40)]))
    assert "no spot outside the known places where two vehicles stood, or one on three days" in told
    assert not (tmp_path / "geofences" / "learned.geojson").exists()


def test_a_rerun_keeps_what_people_said_and_replaces_the_rest(places: Places, history: Path, tmp_path: Path) -> None:
    """Of three drafts one is confirmed, one dismissed, one edited by hand; the history goes on."""
    rows = history.read_text(encoding="utf-8")
    more = written(tmp_path / "more.csv", [Stay(truck, 6, "09:00", 40, 8000) for truck in "AB"]).read_text(encoding="utf-8")
    history.write_text(rows + more.partition("\n")[2], encoding="utf-8")
    places("learn", history)
    [third] = held(tmp_path).keys() - {MILL, PUMP}
    places("confirm", MILL, "--by", "R. Roy", "--name", "The mill")
    places("dismiss", PUMP, "--by", "R. Roy", "--why", "a shoulder of the road")
    file = tmp_path / "geofences" / "learned.geojson"
    file.write_text(file.read_text(encoding="utf-8").replace('"name": "Spot at', '"name": "Perhaps', 1), encoding="utf-8")
    before = held(tmp_path)
    assert places("learn", history)[-1].endswith(
        "learned.geojson: 0 drafts; 3 features that people have touched kept as they are"
    )
    assert held(tmp_path) == before
    assert before[third]["name"].startswith("Perhaps")
    later = [Stay(truck, 7, "09:00", 40, 12_000) for truck in "AB"]
    places("learn", history, written(tmp_path / "later.csv", later))
    assert list(held(tmp_path))[:3] == list(before)
    assert [said["status"] for said in list(held(tmp_path).values())[3:]] == ["draft"]


def test_drafts_may_go_elsewhere_and_are_remembered_there_too(places: Places, history: Path, tmp_path: Path) -> None:
    out = tmp_path / "drafts.geojson"
    places("learn", history, "--out", out)
    assert not (tmp_path / "geofences" / "learned.geojson").exists()
    settled = out.read_text(encoding="utf-8").replace('"status": "draft"', '"status": "dismissed"', 1)
    out.write_text(settled, encoding="utf-8")
    places("learn", history, "--out", out)
    again = [feature["properties"] for feature in json.loads(out.read_text(encoding="utf-8"))["features"]]
    assert [(said["id"], said["status"], said["explains"]) for said in again] == [(MILL, "dismissed", 6), (PUMP, "draft", 2)]


def test_ids_in_other_files_are_not_taken_again(places: Places, history: Path, tmp_path: Path) -> None:
    """Each id once in a folder."""
    places("learn", history)
    places("learn", history, "--out", tmp_path / "geofences" / "more.geojson")
    assert load_geofences(tmp_path / "geofences", "UTC").places == ()


def test_a_history_is_of_nobody_in_particular_or_of_the_carrier_named(places: Places, history: Path, tmp_path: Path) -> None:
    """A carrier's own places are known to its vehicles alone, and what is learned from them is its own."""
    mill = {"id": "mill", "kind": "customer", "carrier": "acme", "radius_m": 100}
    feature = {"type": "Feature", "properties": mill, "geometry": {"type": "Point", "coordinates": degrees(0, 0)}}
    own = tmp_path / "geofences" / "own.geojson"
    own.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    places("learn", history)
    assert [said.get("carrier") for said in held(tmp_path).values()] == [None, None]
    places("learn", history, "--carrier", "acme")
    assert [(identity, said["carrier"]) for identity, said in held(tmp_path).items()] == [(PUMP, "acme")]


def test_rows_that_cannot_be_read_are_told(places: Places, history: Path) -> None:
    history.write_text(history.read_text(encoding="utf-8") + "C,yesterday,0,0,0\n", encoding="utf-8")
    assert places("learn", history)[0] == f"monitor: not taken: {history}:378: time = 'yesterday': allowed is an ISO 8601 time"


def test_an_empty_history_teaches_nothing(places: Places, tmp_path: Path) -> None:
    (tmp_path / "fixes.csv").write_text("vehicle_id,time,lon,lat\n", encoding="utf-8")
    assert "0 fixes, 0 stops, 0 unauthorized stops" in places("learn", tmp_path / "fixes.csv")


def test_learning_again_does_not_warn_of_the_drafts_it_replaces(places: Places, history: Path) -> None:
    places("learn", history)
    assert not any("draft and does not count" in line for line in places("learn", history))


def test_confirmed_drafts_end_the_alerts_they_explain(places: Places, history: Path, tmp_path: Path) -> None:
    places("learn", history)
    assert len(alerts(history, None)) == len(alerts(history, tmp_path / "geofences")) == 8
    places("confirm", MILL, "--by", "R. Roy")
    assert len(alerts(history, tmp_path / "geofences")) == 2
    places("confirm", PUMP, "--by", "R. Roy", "--kind", "fuel")
    assert alerts(history, tmp_path / "geofences") == []


@needs_tracks
@pytest.mark.parametrize("name", ["austin", "limerick"])
def test_real_buses_teach_their_terminals(places: Places, tmp_path: Path, name: str) -> None:
    """A stop of three minutes is an alert here. Once confirmed, the drafts raise none of what they explain."""
    said = [word for assignment in SHORT for word in ("--set", assignment)]
    told = places("learn", TRACKS[name], *said)
    before = alerts(TRACKS[name], None, SHORT)
    if name == "limerick":  # one bus on one day: nothing can be a habit
        assert before
        assert "no spot outside the known places where two vehicles stood, or one on three days" in told
        return
    drafts = held(tmp_path)
    assert len(drafts) >= 5
    explained = sum(draft["explains"] for draft in drafts.values())
    assert explained > 0.8 * len(before)
    assert f"the {len(drafts)} drafts would explain {100 * explained / len(before):.0f} % of {len(before)} alerts" in told
    for identity in drafts:
        places("confirm", identity, "--by", "R. Roy")
    after = alerts(TRACKS[name], tmp_path / "geofences", SHORT)
    assert len(after) == len(before) - explained
    assert len(load_geofences(tmp_path / "geofences", "UTC").places) == len(drafts)


@pytest.mark.slow
def test_most_of_what_a_fleet_needs_is_found_and_called_by_its_kind(places: Places, tmp_path: Path) -> None:
    """The demonstration's fleet, four days of it; known are only its routes and the no-stop belts."""
    for name in ("routes", "no_stop"):
        (tmp_path / "geofences" / f"{name}.geojson").write_bytes((GEOFENCES / f"{name}.geojson").read_bytes())
    start = instant("2026-03-02T05:00:00Z")
    plan = Plan(7, start, read_features(GEOFENCES), vehicles=20)
    fixes = [(v, fix) for n, v in enumerate(plan.vehicles) for fix in plan.fixes(n, start, start + 4 * 86_400_000)]
    rows = [{"vehicle_id": vehicle, **{name: fix.get(name) for name in COLUMNS}} for vehicle, fix in fixes]
    pd.DataFrame(rows).to_parquet(tmp_path / "fleet.parquet")
    places("learn", tmp_path / "fleet.parquet")
    truth = [place for place in load_geofences(GEOFENCES, "UTC").places if place.kind != "no_stop"]
    found = json.loads((tmp_path / "geofences" / "learned.geojson").read_text(encoding="utf-8"))["features"]
    right = wrong = nowhere = 0
    for feature in found:
        kinds = {place.kind for place in truth if place.geometry.intersects(shape(feature["geometry"]))}
        explains = feature["properties"]["explains"]
        right += explains * (feature["properties"]["kind"] in kinds)
        wrong += explains * bool(kinds and feature["properties"]["kind"] not in kinds)
        nowhere += explains * (not kinds)
    total = len(alerts(tmp_path / "fleet.parquet", None))
    assert right > 0.7 * total
    assert right > 5 * wrong
    assert nowhere < 0.05 * total


def test_places_of_the_example_are_not_learned_again(places: Places, tmp_path: Path) -> None:
    """They are known: two trucks in a yard of everybody's teach nothing."""
    (tmp_path / "geofences").rmdir()
    (tmp_path / "geofences").symlink_to(GEOFENCES)
    yard = next(p for p in load_geofences(GEOFENCES, "UTC").places if p.kind == "rest_area" and p.carrier is None)
    file = written(tmp_path / "fixes.csv", [Stay(truck, 2, "10:00", 40) for truck in "AB"])
    lon, lat = degrees(0, 0)
    text = (
        file.read_text(encoding="utf-8")
        .replace(f"{lon},", f"{yard.geometry.centroid.x:.6f},")
        .replace(f",{lat},", f",{yard.geometry.centroid.y:.6f},")
    )
    file.write_text(text, encoding="utf-8")
    told = places("learn", file, "--out", tmp_path / "drafts.geojson")
    assert "no spot outside the known places where two vehicles stood, or one on three days" in told


# list


def test_the_list_shows_how_everything_stands(places: Places, history: Path) -> None:
    places("learn", history)
    assert places("list", "--drafts")[1].startswith(
        f"{PUMP}  parking  Spot at 44.2513, -76.4512  draft, would explain 2: parking:"
    )
    places("confirm", MILL, "--by", "R. Roy", "--name", "The mill")
    places("dismiss", PUMP, "--by", "É. Côté", "--why", "a shoulder")
    mill, pump = places("list")
    assert re.fullmatch(rf"{MILL}  customer  The mill  confirmed by R\. Roy on \d{{4}}-\d\d-\d\d", mill)
    assert re.fullmatch(rf"{PUMP}  parking  Spot at .*  dismissed by É\. Côté on \d{{4}}-\d\d-\d\d: a shoulder", pump)
    assert places("list", "--drafts") == ["no drafts"]


def test_the_list_shows_places_that_were_never_drafts(places: Places, tmp_path: Path) -> None:
    assert places("list") == ["no places"]
    (tmp_path / "geofences" / "own.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "id": 7, "properties": {"kind": "yard"}, "geometry": null},'
        '{"type": "Feature", "properties": {"id": "x", "kind": "fuel", "name": "\\u001b[2J"}, "geometry": null}]}'
    )
    assert places("list") == ["7  yard  7  in force", "x  fuel  ?[2J  in force"]


# confirm, dismiss


def test_a_confirmed_draft_is_a_place_with_the_name_of_who_said_so(places: Places, history: Path, tmp_path: Path) -> None:
    places("learn", history)
    told = places("confirm", MILL, "--by", "R.  Roy ", "--name", "The mill", "--kind", "drop")
    assert told == [f"{MILL}: The mill, drop, confirmed by R. Roy; the monitor heeds it once restarted, or reloaded by kill -HUP"]
    [place] = load_geofences(tmp_path / "geofences", "UTC").places
    assert (place.id, place.name, place.kind, place.properties["confirmed_by"]) == (MILL, "The mill", "drop", "R. Roy")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", place.properties["confirmed_on"])
    assert not {"status", "fingerprint"} & place.properties.keys()


def test_who_dismissed_a_draft_may_think_again(places: Places, history: Path, tmp_path: Path) -> None:
    places("learn", history)
    places("dismiss", MILL, "--by", "R. Roy", "--why", "no")
    assert held(tmp_path)[MILL] | {"dismissed_on": ""} == held(tmp_path)[MILL] | {
        "status": "dismissed", "dismissed_by": "R. Roy", "dismissed_on": "", "dismissed_why": "no",
    }  # fmt: skip
    places("confirm", MILL, "--by", "R. Roy")
    assert not [name for name in held(tmp_path)[MILL] if name.startswith("dismissed")]


def test_what_else_a_file_holds_stays_as_it_is(places: Places, tmp_path: Path) -> None:
    """Other members, other features, their order and their numbers; its mode, and the file that a link leads to."""
    file, link = tmp_path / "elsewhere.geojson", tmp_path / "geofences" / "mine.geojson"
    box = {"type": "Polygon", "coordinates": [[[-79.4, 43.7], [-79.3, 43.70], [-79.3, 43.8], [-79.4, 43.7]]]}
    features = [
        {
            "type": "Feature",
            "id": 3,
            "bbox": [1, 2.50, 1e3],
            "properties": {"kind": "yard", "name": "Dépôt"},
            "geometry": box,
        },
        {"type": "Feature", "properties": {"id": "x", "kind": "fuel", "status": "draft"}, "geometry": box},
    ]
    file.write_text(json.dumps({"note": "ours", "type": "FeatureCollection", "features": features, "crs": None}))
    file.chmod(0o640)
    link.symlink_to(file)
    places("confirm", "x", "--by", "R. Roy")
    after = json.loads(file.read_bytes())
    assert after.pop("features")[0] == features[0]
    assert after == {"note": "ours", "type": "FeatureCollection", "crs": None}
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.geojson", "geofences"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("confirm", "learned-44.2512-76.5013", "--by", "R"), rf"geofences: id = .*there is none of that id; did you mean {MILL}\?"),
        (("dismiss", "elsewhere", "--by", "R", "--why", "no"), "there is none of that id"),
        (("confirm", MILL, "--by", " "), r"--by ' ': allowed are 1 to 500 printable characters"),
        (("confirm", MILL, "--by", "R\x1b[2J"), r"--by 'R\\x1b\[2J': allowed are"),
        (("dismiss", MILL, "--by", "R", "--why", ""), "--why '': allowed are"),
        (("confirm", MILL, "--by", "R", "--name", ""), "--name '': allowed are"),
        (("confirm", MILL, "--by", "R", "--kind", "custommer"), "--kind custommer: allowed is yard, .*; did you mean customer"),
        (("learn", "none.csv"), "none.csv: there is no such file"),
        (("learn", "none.csv", "--top", "0"), "--top 0: allowed is a whole number from 1"),
        (("learn", "none.csv", "--out", "drafts.json"), "--out drafts.json: allowed is a file .* that ends in .geojson"),
        (("learn", "none.csv", "--out", "/nowhere/drafts.geojson"), "--out /nowhere/drafts.geojson: allowed is a file in a folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_changes_nothing(
    places: Places, history: Path, tmp_path: Path, words: tuple[str, ...], fault: str
) -> None:
    places("learn", history)
    before = (tmp_path / "geofences" / "learned.geojson").read_bytes()
    with pytest.raises(InputError, match=fault):
        places(*words)
    assert (tmp_path / "geofences" / "learned.geojson").read_bytes() == before


def test_a_place_is_decided_once(places: Places, history: Path) -> None:
    places("learn", history)
    places("confirm", MILL, "--by", "R. Roy")
    for words in (("confirm", MILL, "--by", "Q"), ("dismiss", MILL, "--by", "Q", "--why", "no")):
        with pytest.raises(InputError, match=rf"learned.geojson: {MILL} is no draft: confirmed by R. Roy on "):
            places(*words)


@pytest.mark.parametrize("action", ["confirm", "dismiss"])
def test_nothing_is_decided_without_a_name(places: Places, action: str) -> None:
    with pytest.raises(SystemExit):
        places(action, MILL, "--why", "no") if action == "dismiss" else places(action, MILL)


def test_a_draft_that_could_not_be_read_as_a_place_is_not_confirmed(places: Places, tmp_path: Path) -> None:
    """The monitor would not start with it."""
    file = tmp_path / "geofences" / "mine.geojson"
    draft = {
        "type": "Feature",
        "properties": {"id": "x", "kind": "fule", "status": "draft"},
        "geometry": {"type": "Point", "coordinates": [1, 2]},
    }
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [draft]}))
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(file))}: feature 0 \(x\): kind = 'fule'.*did you mean fuel"):
        places("confirm", "x", "--by", "R. Roy")
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(file))}: feature 0 \(x\): radius_m = None"):
        places("confirm", "x", "--by", "R. Roy", "--kind", "fuel")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "not JSON"),
        ("[]", "allowed is a GeoJSON FeatureCollection"),
        ('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', "whose features have properties"),
    ],
)
def test_a_file_that_is_no_collection_is_named(places: Places, tmp_path: Path, content: str, fault: str) -> None:
    (tmp_path / "geofences" / "broken.geojson").write_text(content)
    with pytest.raises(InputError, match=rf"broken\.geojson: .*{fault}"):
        places("list")


def test_a_folder_that_is_not_there_is_named(places: Places, tmp_path: Path) -> None:
    (tmp_path / "geofences").rmdir()
    with pytest.raises(InputError, match="geofences: there is no such folder"):
        places("list")


def test_a_file_that_cannot_be_read_or_written_is_named(places: Places, history: Path, tmp_path: Path) -> None:
    """A folder stands in its way."""
    folder = tmp_path / "geofences"
    places("learn", history)
    (folder / ".learned.geojson.new").mkdir()
    with pytest.raises(ServiceError, match=r"learned\.geojson: cannot be written: Is a directory"):
        places("confirm", MILL, "--by", "R. Roy")
    (folder / "other.geojson").mkdir()
    with pytest.raises(InputError, match=r"other\.geojson: not readable: Is a directory"):
        places("list")


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "learned.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    mine = geofence_file.GeofenceFile(path)
    path.write_text('{"type": "FeatureCollection", "features": [], "note": "theirs"}')
    with pytest.raises(ServiceError, match="somebody changed it meanwhile; nothing is written"):
        mine.write()
    assert "theirs" in path.read_text()


def test_on_a_terminal_there_are_tables(places: Places, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    told = places("learn", history)
    assert any("together" in line for line in told)
    assert any("1" in line and MILL in line and "stops by day" in line for line in told)
    assert any("standing" in line for line in places("list"))
    for identity in (MILL, PUMP):
        places("confirm", identity, "--by", "R. Roy")
    assert places("list", "--drafts") == ["no drafts"]
