"""The commands: what each prints, where, and with which exit status; and that README tells of every one."""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from monitor.cli import main
from monitor.settings import effective, load_settings
from tests.alerts.scenes import happens, hour, opened, raised, seen
from tests.e2e.program import CONFIG, GEOFENCES, ROOT

TOKEN = re.compile(r"token: +([\w-]{43})\n")


class Answer(NamedTuple):
    """What a command gave."""

    status: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def monitor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command on the shipped configuration and a database of the test's own."""

    def run(*words: str, config: Path = CONFIG) -> Answer:
        own = [f"store.url=sqlite:///{tmp_path}/monitor.db", f"geofences={GEOFENCES}"]
        options = ["--config", str(config), *(word for said in own for word in ("--set", said))]
        status = main([*words, *options])
        return Answer(status, *capsys.readouterr())

    return run


@pytest.fixture
def two_incidents(tmp_path: Path) -> None:
    """A database in which two trucks stand where they should not, the second a critical matter."""
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00", vehicle="truck-17"))], hour("10:30"))
        happens(store, [raised(seen("10:05", vehicle="truck-18", severity="critical"))], hour("10:35"))


def one_line(answer: Answer, *parts: str) -> None:
    """It failed, and said why in one line that names these."""
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("monitor: ")
    assert [part for part in parts if part not in answer.err] == []


def commands(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The commands that the program itself lists."""
    with pytest.raises(SystemExit) as over:
        main(["--help"])
    assert over.value.code == 0
    return re.findall(r"^    ([a-z-]+)(?: |$)", capsys.readouterr().out, re.MULTILINE)


def test_readme_tells_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = commands(capsys)
    assert {"demo", "run", "replay", "check", "incidents", "ack", "resolve", "carrier", "verify", "simulate"} <= set(found)
    assert [name for name in found if not re.search(rf"(monitor|make) {name}\b", readme)] == []


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in commands(capsys):
        with pytest.raises(SystemExit) as over:
            main([name, "--help"])
        assert over.value.code == 0
        assert "usage: monitor " + name in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["dance"], ["run", "--loudly"], ["ack", "seven", "--by", "Ann"], ["ack", "1"]])
def test_a_command_that_is_none_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as over:
        main(words)
    assert over.value.code == 2


# check


def test_check_prints_every_setting_and_finds_no_fault_in_what_is_shipped(monitor: Command) -> None:
    answer = monitor("check")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.endswith("\nno fault\n")
    told = [line for line in answer.out.splitlines() if not line.startswith("warning: ")]  # of this machine, perhaps
    keys = [line.partition(" = ")[0] for line in told if " = " in line]
    assert keys == [setting.key for setting in effective(load_settings(CONFIG / "monitor.toml"))]
    assert 'detectors.unauthorized_stop.limit = "30m"' in answer.out
    assert "authorities not verified by anybody: " in answer.out


def test_check_shows_what_is_in_force_not_what_the_file_says(monitor: Command) -> None:
    assert "motion.radius_m = 80.0\n" in monitor("check", "--set", "motion.radius_m=80").out


def shipped_with(folder: Path, **replaced: str) -> Path:
    """The shipped configuration in a folder, with some files replaced."""
    for file in CONFIG.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name, text in replaced.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def test_check_names_every_fault_of_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Contacts and geofences are faulty at once: both are told."""
    places = tmp_path / "places"
    places.mkdir()
    (places / "bad.geojson").write_text('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', encoding="utf-8")
    contacts = '[contacts.dispatch]\nname = "d"\nrole = "dispatch"\ncolour = "red"\n'
    config = shipped_with(tmp_path, contacts=contacts, monitor=f'geofences = "{places}"\n')
    assert main(["check", "--config", str(config)]) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path}/contacts.toml: " in out
    assert f"{places}/bad.geojson: " in out
    assert re.search(r"\n[2-9] faults\n$", out)


def test_check_counts_the_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = shipped_with(tmp_path, monitor="[motion]\nradius_m = -4\nradios_m = 3\n")
    assert main(["check", "--config", str(config)]) == 1
    first, second, count = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}/monitor.toml: motion.radi")
    assert "radius_m" in first + second
    assert count == "2 faults"


def test_check_does_not_make_a_database(monitor: Command, tmp_path: Path) -> None:
    monitor("check")
    assert not (tmp_path / "monitor.db").exists()


def test_a_configuration_that_is_not_there_is_one_line(monitor: Command, tmp_path: Path) -> None:
    one_line(monitor("incidents", config=tmp_path / "none"), str(tmp_path / "none"))
    answer = monitor("check", config=tmp_path / "none")
    assert answer.status == 1
    assert str(tmp_path / "none") in answer.out


# incidents, ack, resolve


@pytest.mark.usefixtures("two_incidents")
def test_incidents_come_with_the_gravest_first(monitor: Command) -> None:
    answer = monitor("incidents")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.index("truck-18") < answer.out.index("truck-17")


@pytest.mark.parametrize("words", [["incidents"], ["ack", "1", "--by", "Ann"], ["verify"], ["carrier", "list"]])
def test_a_database_that_is_not_there_is_named_and_not_made(monitor: Command, tmp_path: Path, words: list[str]) -> None:
    one_line(monitor(*words), str(tmp_path / "monitor.db"))
    assert not (tmp_path / "monitor.db").exists()


def test_no_incident_is_said_too(monitor: Command, tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    assert monitor("incidents") == (0, "no incident needs anybody\n", "")


@pytest.mark.usefixtures("two_incidents")
def test_an_acknowledged_incident_rings_no_more(monitor: Command, tmp_path: Path) -> None:
    answer = monitor("ack", "1", "--by", "Ann Lee")
    assert (answer.status, answer.out, answer.err) == (0, "incident 1: truck-17, acknowledged by Ann Lee\n", "")
    with closing(sqlite3.connect(tmp_path / "monitor.db")) as database:
        assert database.execute("SELECT state, acknowledged_by FROM incident WHERE id = 1").fetchall() == [
            ("acknowledged", "Ann Lee")
        ]
        assert database.execute("SELECT state FROM escalation_run WHERE incident_id = 1").fetchall() == [("stopped",)]


@pytest.mark.usefixtures("two_incidents")
def test_a_resolved_incident_is_listed_only_with_all(monitor: Command) -> None:
    answer = monitor("resolve", "1", "--by", "Ann Lee", "--outcome", "breakdown", "--why", "a flat tyre")
    assert (answer.status, answer.out) == (0, "incident 1: truck-17, resolved by Ann Lee: breakdown\n")
    assert "truck-17" not in monitor("incidents").out
    assert "truck-17" in monitor("incidents", "--all").out


@pytest.mark.usefixtures("two_incidents")
def test_what_cannot_be_handled_is_one_line(monitor: Command) -> None:
    one_line(monitor("ack", "9", "--by", "Ann"), "there is no incident 9")
    one_line(monitor("ack", "1", "--by", " "))
    one_line(monitor("resolve", "1", "--by", "Ann", "--outcome", "breakdown"))
    assert monitor("ack", "1", "--by", "Ann").status == 0
    one_line(monitor("ack", "1", "--by", "Bob"))


# carrier


def test_a_carriers_token_is_shown_once(monitor: Command, tmp_path: Path) -> None:
    answer = monitor("carrier", "add", "north")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("user name: north\n")
    found = TOKEN.search(answer.out)
    assert found
    assert found[1].encode() not in (tmp_path / "monitor.db").read_bytes()
    assert found[1] not in monitor("carrier", "list").out


def test_credentials_are_listed_and_revoked_by_number(monitor: Command) -> None:
    monitor("carrier", "add", "north")
    monitor("carrier", "add", "north/truck-1")
    first, second = monitor("carrier", "list").out.splitlines()
    assert re.fullmatch(r"1  north  token  since .*  in force", first)
    assert re.fullmatch(r"2  north/truck-1  token  since .*  in force", second)
    assert monitor("carrier", "revoke", "2").out.startswith("revoked: 2  north/truck-1")
    assert monitor("carrier", "list").out.splitlines()[1].endswith("revoked")


def test_a_password_comes_from_standard_input(monitor: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery staple\n"))
    assert monitor("carrier", "add", "north", "--password-stdin").out == "north may connect with that password\n"
    assert "password" in monitor("carrier", "list").out


@pytest.mark.parametrize("subject", ["", "no rth", "north/", "north/a/b", "+", "../x"])
def test_a_name_that_no_topic_can_carry_is_refused(monitor: Command, subject: str) -> None:
    one_line(monitor("carrier", "add", subject))


def test_what_cannot_be_revoked_is_one_line(monitor: Command) -> None:
    monitor("carrier", "add", "north")
    one_line(monitor("carrier", "revoke", "south"), "south")
    one_line(monitor("carrier", "revoke", "7"), "7")
    one_line(monitor("carrier", "revoke"))


# verify


@pytest.mark.usefixtures("two_incidents")
def test_a_journal_that_nobody_touched_verifies(monitor: Command) -> None:
    assert monitor("verify") == (0, "the journal verifies\n", "")


@pytest.mark.usefixtures("two_incidents")
def test_an_edited_journal_does_not_verify(monitor: Command, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "monitor.db")) as database, database:
        database.execute("UPDATE journal SET body = replace(body, 'truck-17', 'truck-71') WHERE seq = 2")
    assert monitor("verify") == (1, "the journal does not verify from entry 2 on\n", "")


def test_a_file_that_is_no_database_is_one_line(monitor: Command, tmp_path: Path) -> None:
    (tmp_path / "monitor.db").write_text("a shopping list, long enough to be taken for a database" * 100)
    one_line(monitor("verify"), str(tmp_path / "monitor.db"), "is not a database")
