"""The doctor: what is in order is said to be, each fault is found and named with what to do, and nothing is changed."""

from __future__ import annotations

import argparse
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from monitor.clock import world_clock
from monitor.commands import doctor
from monitor.configuration import load_configuration
from monitor.doctor import examine
from monitor.doctor.lines import Installation, Line, State
from monitor.findings import CLOCK_STEPPED, Finding
from monitor.store import findings_store
from monitor.store.schema import REVISION
from monitor.store.store import Store
from tests.postgres import Server, postgres

__all__ = ["postgres"]

ROOT = Path(__file__).resolve().parents[1]
CONTACTS = """
[contacts.dispatch]
name = "dispatch"
role = "dispatch"
channels = [{ channel = "console" }, { channel = "email", address = "night@carrier.example" }]

[contacts.record]
name = "the record"
role = "record"
channels = [{ channel = "log" }]

[contacts.police]
name = "police"
role = "police"
phone = "1"
source = "a public page"
"""
VERIFIED = 'verified_on = 2026-03-01\nverified_by = "N. N."\n'


class Patient:
    """An installation in a folder of its own, in good health."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config, self.file = folder, folder / "config", folder / "monitor.db"
        shutil.copytree(ROOT / "config", self.config)
        self.contacts(CONTACTS + VERIFIED)
        self.said = {
            "store.url": f"sqlite:///{self.file}",
            "store.archive": f"{folder}/archive",
            "alerts.notice_log": f"{folder}/notices.log",
            "geofences": f"{ROOT}/geofences",
            "ingest.listener.port": "0",
            "ingest.listener.max_connections": "100",
            "web.port": "0",
            "alerts.smtp.sender": "monitor@carrier.example",
            "health.heartbeat_url": "http://127.0.0.1:9/",
            "health.alive_to": "dispatch",
        }
        self.now = world_clock()

    def contacts(self, text: str) -> None:
        """Write the contacts."""
        (self.config / "contacts.toml").write_text(text, encoding="utf-8")

    def assignments(self) -> list[str]:
        """The settings as they are given on the command line."""
        return [f"{key}={value}" for key, value in self.said.items()]

    def opened(self) -> Store:
        """The database, made where there is none."""
        return Store.open(
            f"sqlite:///{self.file}", load_configuration(self.config, self.assignments()).settings.store.busy_timeout
        )

    def examined(self) -> list[Line]:
        """What the doctor says."""
        return list(examine(Installation(load_configuration(self.config, self.assignments()), self.now)))

    def wrong(self) -> list[Line]:
        """What is not in order."""
        return [line for line in self.examined() if line.state is not State.OK]


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    made = Patient(tmp_path)
    made.opened().close()
    made.file.chmod(0o600)
    return made


@pytest.fixture
def mail(patient: Patient) -> Iterator[None]:
    """A mail server that takes connections, so that e-mail is switched on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        patient.said |= {"alerts.smtp.host": "127.0.0.1", "alerts.smtp.port": str(server.getsockname()[1])}
        yield


def test_what_is_in_good_health_has_nothing_wrong(patient: Patient, mail: None) -> None:
    assert [str(line) for line in patient.wrong() if line.what != "clock"] == []
    before = patient.file.read_bytes()
    patient.examined()
    assert patient.file.read_bytes() == before, "it changes nothing"


def damaged(patient: Patient, statement: str) -> None:
    with closing(sqlite3.connect(patient.file)) as connection:
        connection.execute(statement)
        connection.commit()


def journaled(patient: Patient, ahead_ms: int = 0) -> None:
    store = patient.opened()
    with store.begin() as transaction:
        for word in ("a", "b", "c"):
            transaction.record("monitor", word, {}, patient.now + ahead_ms)
    store.close()


def edited(patient: Patient) -> None:
    journaled(patient)
    damaged(patient, "UPDATE journal SET body = '{\"x\":1}' WHERE seq = 2")


def cut(patient: Patient) -> None:
    journaled(patient)
    damaged(patient, "DELETE FROM journal WHERE seq = 3")


def troubled(patient: Patient) -> None:
    store = patient.opened()
    with store.begin() as transaction:
        findings_store.note(transaction, [Finding(CLOCK_STEPPED, "", "clock", "back by 3600 s")], patient.now)
    store.close()


def secret(patient: Patient) -> None:
    token = patient.folder / "token"
    token.write_text("x", encoding="utf-8")
    token.chmod(0o644)
    patient.said["web.token_file"] = str(token)


def setting(**said: str) -> Callable[[Patient], None]:
    return lambda patient: patient.said.update({key.replace("__", "."): value for key, value in said.items()})


@pytest.mark.parametrize(
    ("harm", "state", "what", "word"),
    [
        (lambda p: damaged(p, "UPDATE alembic_version SET version_num = '0002'"), State.WARN, "database", "make a backup"),
        (lambda p: damaged(p, "UPDATE alembic_version SET version_num = '9999'"), State.FAIL, "database", "install that release"),
        (lambda p: p.file.write_bytes(b"no database at all" * 100), State.FAIL, "database", "cannot be read"),
        (edited, State.FAIL, "journal", "entry 2 was edited"),
        (cut, State.FAIL, "journal", "its end is missing"),
        (lambda p: journaled(p, 3_600_000), State.WARN, "clock", "ahead of it"),
        (troubled, State.WARN, "findings", "findings --close 1"),
        (lambda p: p.file.chmod(0o644), State.WARN, "store.url", "chmod 600"),
        (secret, State.WARN, "web.token_file", "chmod 600"),
        (setting(web__token_file="/nowhere/token"), State.FAIL, "web.token_file", "cannot be read"),
        (lambda p: setattr(p, "now", 946_684_800_000), State.FAIL, "clock", "set the clock"),
        (setting(ingest__listener__max_connections="1000000"), State.WARN, "open files", "LimitNOFILE"),
        (setting(web__host="0.0.0.0"), State.WARN, "web.host", "tokens travel in the clear"),
        (setting(health__heartbeat_url=""), State.WARN, "heartbeat", "set health.heartbeat_url"),
        (setting(health__alive_to=""), State.WARN, "daily word", "told to nobody"),
        (setting(health__alive_to="police"), State.FAIL, "daily word", "allowed are dispatch, record"),
        (setting(health__alive_to="nobody"), State.FAIL, "daily word", "allowed are dispatch, record"),
        (lambda p: p.contacts(CONTACTS), State.WARN, "contacts", "police was verified by nobody"),
        (lambda p: p.contacts(CONTACTS + VERIFIED.replace("2026", "2016")), State.WARN, "contacts", "check it again"),
        (setting(alerts__smtp__host=""), State.FAIL, "policies", "email"),
        (
            lambda p: p.said.update({"alerts.notice_log": f"{p.file}/x/notices.log"}),
            State.FAIL,
            "alerts.notice_log",
            "may not be written",
        ),
        (
            setting(web__tls_certificate="/nowhere/chain.pem", web__tls_key="/nowhere/key.pem"),
            State.FAIL,
            "web.tls_certificate",
            "PEM",
        ),
        (setting(ingest__source="both", ingest__broker__port="9"), State.FAIL, "ingest.broker", "cannot be reached"),
    ],
)
def test_a_fault_is_found_and_named(
    patient: Patient, mail: None, harm: Callable[[Patient], None], state: State, what: str, word: str
) -> None:
    harm(patient)
    assert any(line[:2] == (state, what) and word in str(line) for line in patient.wrong()), [
        str(line) for line in patient.wrong()
    ]


def test_a_folder_that_may_not_be_written_fails(patient: Patient) -> None:
    patient.said["store.archive"] = f"{patient.file}/archive"
    assert (State.FAIL, "store.archive") in [line[:2] for line in patient.wrong()]


def test_a_database_of_an_earlier_release_is_not_migrated(patient: Patient) -> None:
    damaged(patient, "UPDATE alembic_version SET version_num = '0002'")
    patient.examined()
    with closing(sqlite3.connect(patient.file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
    assert REVISION != "0002"


def test_a_database_that_is_not_there_yet_is_not_made(patient: Patient) -> None:
    patient.file.unlink()
    assert any(line.what == "database" and "first start makes it" in line.found for line in patient.examined())
    assert not patient.file.exists()


def test_a_port_that_is_taken_fails_where_no_monitor_runs_and_is_in_order_where_one_does(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        patient.said["web.port"] = str(other.getsockname()[1])
        assert (State.FAIL, "web.port") in [line[:2] for line in patient.wrong()]
        store = patient.opened()
        with store.hold():
            assert (State.FAIL, "web.port") not in [line[:2] for line in patient.wrong()]
        store.close()


@pytest.mark.parametrize(("days", "state", "word"), [(400, State.OK, "runs out in"), (5, State.WARN, "renew it")])
def test_a_certificate_says_when_it_runs_out(patient: Patient, days: int, state: State, word: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, chain = patient.folder / "key.pem", patient.folder / "chain.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
    files = ["-days", str(days), "-keyout", str(key), "-out", str(chain)]
    subprocess.run([openssl, *words, *files], check=True, capture_output=True)
    patient.said |= {"web.tls_certificate": str(chain), "web.tls_key": str(key)}
    [line] = [line for line in patient.examined() if line.what == "web.tls_certificate"]
    assert (line.state, word in str(line)) == (state, True), str(line)
    patient.now += 500 * 86_400_000
    [line] = [line for line in patient.examined() if line.what == "web.tls_certificate"]
    assert (line.state, "ran out" in line.found) == (State.FAIL, True)


def asked(patient: Patient) -> argparse.Namespace:
    return argparse.Namespace(config=patient.config, set=patient.assignments())


def test_the_command_gives_1_where_something_fails_and_0_where_it_does_not(
    patient: Patient, mail: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.examined(asked(patient)) == 0
    assert "0 failed" in capsys.readouterr().out.splitlines()[-1]
    patient.said["health.alive_to"] = "nobody"
    assert doctor.examined(asked(patient)) == 1
    assert "1 failed" in capsys.readouterr().out.splitlines()[-1]


def test_a_configuration_with_a_fault_is_all_that_is_said(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patient.said["motion.radius_m"] = "nonsense"
    assert doctor.examined(asked(patient)) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("FAIL  configuration: ")


def test_a_database_on_a_server_is_looked_at_and_not_migrated(patient: Patient, postgres: Server) -> None:
    bare, made = postgres.bare(), postgres.empty()
    try:
        for url, words in ((bare, "holds nothing of a monitor yet"), (made, "can be read and written")):
            patient.said["store.url"] = url
            assert any(line.what == "database" and words in line.found for line in patient.examined())
        patient.said["store.url"] = bare
        assert any("holds nothing" in line.found for line in patient.examined()), "the tables were not made"
        patient.said["store.url"] = made.replace("127.0.0.1", "127.0.0.2").rpartition(":")[0] + ":9/none"
        assert any(line[:2] == (State.FAIL, "database") for line in patient.wrong())
    finally:
        postgres.drop(bare)
        postgres.drop(made)
