"""The shipped configuration is the defaults, whole; and a folder is read and checked together."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.configuration import Configuration, landmarks, load_configuration
from monitor.errors import ConfigurationError
from monitor.settings import effective, load_settings
from tests.build import geofences_of

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "config"
GEOFENCES = f"geofences={ROOT / 'geofences'}"
TRIP = '{"id":"t1","vehicle":"T-1","route":"nowhere","starts_at":"2026-03-02T10:00:00Z","ends_at":"2026-03-02T18:00:00Z"}\n'


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys of a table."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped folder."""
    shutil.copytree(SHIPPED, tmp_path / "config")
    return tmp_path / "config"


def faults(folder: Path, *said: str) -> list[str]:
    """What is wrong with a folder."""
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(folder, said)
    return caught.value.faults


def test_the_shipped_settings_are_the_defaults() -> None:
    """What the file says is what holds without it."""
    assert effective(load_settings(SHIPPED / "monitor.toml")) == effective(load_settings(None))


def test_the_shipped_file_shows_every_setting() -> None:
    """Nobody has to read the source to find one."""
    shown = set(flat(tomllib.loads((SHIPPED / "monitor.toml").read_text(encoding="utf-8"))))
    assert shown == {setting.key for setting in effective(load_settings(None))}


def test_the_shipped_file_explains_every_setting_in_its_own_words() -> None:
    """The comment beside a setting is the one that `monitor check` shows."""
    lines = (SHIPPED / "monitor.toml").read_text(encoding="utf-8").splitlines()
    said = [line.split("# ", 1)[1] for line in lines if " # " in line]
    assert said == [setting.doc for setting in effective(load_settings(None)) if not setting.key.startswith("load.")]


def test_the_shipped_configuration_is_accepted() -> None:
    """Settings, geofences, contacts and policies."""
    configuration = load_configuration(SHIPPED, [GEOFENCES])
    assert isinstance(configuration, Configuration)
    assert configuration.geofences.places
    assert configuration.contacts
    assert configuration.desk().policies is configuration.policies


def test_a_configuration_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """It says how to name another."""
    [fault] = faults(tmp_path / "nowhere")
    assert fault == f"{tmp_path / 'nowhere'}: there is no such configuration folder; --config names another"


def test_a_bad_setting_is_told_alone(folder: Path) -> None:
    """Without settings nothing else can be found."""
    [fault] = faults(folder, "motion.radius_m=1")
    assert "motion.radius_m = 1" in fault


def test_the_faults_of_geofences_and_contacts_come_together(folder: Path) -> None:
    """Each file that could be read is checked."""
    (folder / "contacts.toml").unlink()
    found = faults(folder, f"geofences={folder / 'nowhere'}")
    assert [line.split(": ")[0] for line in found] == [str(folder / "nowhere"), str(folder / "contacts.toml")]


def test_trips_are_checked_against_the_geofences(folder: Path, tmp_path: Path) -> None:
    """A trip over a route that nobody knows is a fault that names the file."""
    (tmp_path / "trips.jsonl").write_text(TRIP, encoding="utf-8")
    [fault] = faults(folder, GEOFENCES, f"trips={tmp_path / 'trips.jsonl'}")
    assert fault.startswith(f"{tmp_path / 'trips.jsonl'}: trip t1: route = 'nowhere': there is none of that id")


def test_people_are_told_where_something_is_by_places_but_not_by_belts() -> None:
    """A no-stop belt is no landmark."""
    point = {"type": "Point", "coordinates": [-79.5, 43.5]}
    features = [
        {"type": "Feature", "geometry": point, "properties": {"id": kind, "name": f"The {kind}", "kind": kind, "radius_m": 90}}
        for kind in ("yard", "no_stop")
    ]
    [(name, lon, lat)] = landmarks(geofences_of(features))
    assert (name, round(lon, 6), round(lat, 6)) == ("The yard", -79.5, 43.5)


def test_a_folder_read_anew_changes_what_may_change_and_names_the_rest(folder: Path) -> None:
    """Limits at once; a port needs a restart."""
    before = load_configuration(folder, [GEOFENCES])
    text = (folder / "monitor.toml").read_text(encoding="utf-8")
    text = text.replace("port = 1883", "port = 1884", 1).replace('limit = "30m"', 'limit = "20m"', 1)
    (folder / "monitor.toml").write_text(text, encoding="utf-8")
    after = before.reread()
    assert before.settings.detectors.unauthorized_stop.limit == timedelta(minutes=30)
    assert after.settings.detectors.unauthorized_stop.limit == timedelta(minutes=20)
    assert after.settings.ingest.listener.port == 1883
    assert after.unheeded == ("ingest.listener.port",)
    assert {key for key, body in after.said().items() if before.said().get(key) != body} == {("settings", "limits")}


def test_permits_are_read_and_checked_against_the_geofences(folder: Path, tmp_path: Path) -> None:
    """A lockdown of a place that nobody knows is a fault; one of a carrier is in the world."""
    file = tmp_path / "lockdowns.csv"
    file.write_text("id,from,until,why,by,place,carrier\nl,2026-03-02T10:00:00Z,2026-03-03T10:00:00Z,theft,Ana,,north\n")
    [lockdown] = load_configuration(folder, [GEOFENCES, f"lockdowns={file}"]).world.permits.lockdowns
    assert (lockdown.id, lockdown.carrier) == ("l", "north")
    file.write_text(file.read_text().replace(",,north", ",nowhere,"))
    [fault] = faults(folder, GEOFENCES, f"lockdowns={file}")
    assert fault == "lockdown l: place = 'nowhere': there is none of that id"
