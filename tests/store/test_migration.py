"""A database of every earlier schema is brought to this one with everything in it, and judged by as before."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command, config
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from monitor.errors import StoreError
from monitor.fixes import Fleet
from monitor.store import configuration_store, credentials, journal, migrations
from monitor.store.schema import incident_signal, notice
from monitor.store.store import Store
from tests.postgres import Server
from tests.store.conftest import KINDS
from tests.store.samples import DAY, SIGNAL, TRUCK, VAN, drive, none_late, opened, raised

FIRST = f"""
INSERT INTO vehicle (carrier, name) VALUES ('north', 'truck-1');
INSERT INTO fix VALUES (1, {DAY}, 7, -79.5, 43.5, NULL, NULL, NULL, 1, NULL, 0, 0, 0);
INSERT INTO fix VALUES (1, {DAY + 90 * 86_400_000}, 8, -79.5, 43.5, 0.25, 359.5, 3.125, 0, 1, 4294967295, 255, 1);
INSERT INTO fix VALUES (1, -5, 9, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 4, 2);
INSERT INTO signal (vehicle_id, kind, trip, since, at, presumed, lon, lat, measure, "limit", unit, severity, raised, decided, state)
VALUES (1, 'unauthorized_stop', 'T-7', {DAY}, {DAY}, FALSE, -79.65, 43.70, 312.5, 300.0, 's', 'critical', {DAY}, {DAY}, 'open');
INSERT INTO incident (carrier, vehicle, severity, state, since, at, opened)
VALUES ('north', 'truck-1', 'critical', 'open', {DAY}, {DAY}, {DAY});
INSERT INTO incident_signal VALUES (1, 1, 'joined');
INSERT INTO notice (incident_id, contact, channel, address, subject, body, language, "key", created, state, why)
VALUES (1, 'dispatch', 'log', '', 's', 'b', 'en', 'k', {DAY}, 'sent', 'w');
INSERT INTO attempt (notice_id, at, outcome) VALUES (1, {DAY}, 'sent');
INSERT INTO reject (received, carrier, vehicle, topic, reason, payload) VALUES ({DAY}, 'north', 'truck-1', 't', 'no time', 'x');
INSERT INTO credential (carrier, kind, secret, created) VALUES ('north', 'token', '{"ab" * 32}', {DAY});
"""
SECOND = f"""
INSERT INTO configuration (kind, name, body, source, "by", recorded, applied) VALUES ('place', 'p', '{{}}', 'file', 'ana', {DAY}, TRUE);
INSERT INTO waiting VALUES (1, {DAY}, 'a very late fix');
INSERT INTO signal
(vehicle_id, kind, since, at, until, presumed, measure, "limit", unit, detail, severity, raised, decided, state)
VALUES (1, 'device_alarm', {DAY}, {DAY}, {DAY}, TRUE, 1, 1, 's', 'tow', 'warning', {DAY}, {DAY}, 'closed');
INSERT INTO credential (carrier, kind, role, secret, created) VALUES ('north', 'token', 'dispatch', '{"cd" * 32}', {DAY});
"""
RELEASED = {"0001": [FIRST], "0002": [FIRST, SECOND]}
"""Every schema that a release left, with rows in each of its tables that changed since."""


@pytest.fixture(params=KINDS)
def bare(request: pytest.FixtureRequest, file: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{file}"
        return
    server: Server = request.getfixturevalue("postgres")
    made = server.bare()
    yield made
    server.drop(made)


def left_by(url: str, revision: str) -> str:
    """Make the database of a URL what a release left."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.begin() as connection:
        settings = config.Config(attributes={"connection": connection})
        settings.set_main_option("script_location", str(migrations.FOLDER))
        settings.set_main_option("path_separator", "os")
        command.upgrade(settings, revision)
        for statement in "".join(RELEASED[revision]).strip().removesuffix(";").split(";\n"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return url


@pytest.fixture(params=RELEASED)
def old(bare: str, request: pytest.FixtureRequest) -> str:
    """A database that an earlier release left."""
    return left_by(bare, request.param)


@pytest.fixture
def brought(old: str) -> Iterator[Store]:
    """The same, opened by this one."""
    store = opened(old)
    yield store
    store.close()


@pytest.fixture
def first(file: Path) -> Path:
    """A file that the first release left."""
    left_by(f"sqlite:///{file}", "0001")
    return file


def test_every_earlier_schema_is_tried() -> None:
    assert [*RELEASED] == migrations.revisions()[:-1]


def test_what_was_stored_is_there_as_it_was(brought: Store) -> None:
    with brought.read() as transaction:
        stored = transaction.signals_from({TRUCK: DAY - 1})[0]
        fixes = transaction.fixes_of(fleet := Fleet(), fleet.code(TRUCK), None)
        assert (stored.id, stored.signal.trip, stored.signal.lon, stored.signal.detail) == (1, "T-7", -79.65, None)
        assert (fixes.time.view("int64").tolist(), fixes.ignition.tolist()) == ([DAY, DAY + 90 * 86_400_000], [1, 0])
        assert (fixes.speed.tolist()[1], fixes.alarms.tolist()[1], fixes.door.tolist()) == (0.25, 2**32 - 1, [-1, 1])
        assert len(transaction.fixes_between(fleet, -10, 0)) == 1
        assert credentials.listed(transaction)[0][:4] == (1, "north", None, "token")
        links = transaction.run("SELECT * FROM incident_signal").all()
        assert [tuple(link) for link in links] == [(1, 1, "joined")]
        assert transaction.connection.execute(select(notice.c.incident_id, notice.c.kind)).one() == (1, "")


@pytest.mark.parametrize("bare", KINDS, indirect=True)
def test_what_the_second_release_stored_is_there_as_it_was(bare: str) -> None:
    store = opened(left_by(bare, "0002"))
    with store.read() as transaction:
        closed = transaction.signals_from({TRUCK: DAY - 1})[1]
        assert (closed.signal.detail, closed.signal.presumed, closed.signal.closed) == ("tow", True, True)
        assert [row.name for row in configuration_store.load(transaction)] == ["p"]
        assert transaction.waiting() == {TRUCK: "a very late fix"}
        assert [each.role for each in credentials.listed(transaction)] == ["device", "dispatch"]
    store.close()


def test_what_comes_afterwards_is_stored_beside_it(brought: Store) -> None:
    fleet = Fleet()
    fixes = drive(fleet, VAN, [0, 10])
    with brought.begin() as transaction:
        before = len(transaction.signals_from({TRUCK: DAY - 1}))
        [change] = transaction.apply_changes([raised(replace(SIGNAL, vehicle="van-2"))], DAY)
        assert change.id == before + 1
        assert len(transaction.add_fixes(fleet, fixes, none_late(fixes))) == 2
        assert len(transaction.fixes_between(fleet, DAY, DAY + 20_000)) == 3
    assert journal.verify(brought) is None


def test_references_and_indexes_hold_again_afterwards(brought: Store) -> None:
    with pytest.raises(IntegrityError), brought.begin() as transaction:
        transaction.connection.execute(incident_signal.insert().values(incident_id=1, signal_id=99, link="joined"))
    with brought.read() as transaction:
        indexes = {index["name"] for index in inspect(transaction.connection).get_indexes("signal")}
    assert indexes == {"ix_signal_open", "ix_signal_vehicle_id_decided"}


def test_a_database_whose_rows_refer_to_nothing_is_left_as_it_was(first: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(first)) as connection:
        connection.execute("DELETE FROM signal")
        connection.commit()
    before = shutil.copy(first, tmp_path / "copy.db")
    with pytest.raises(StoreError, match="has rows that refer to missing ones"):
        opened(f"sqlite:///{first}")
    for file in (first, before):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
            assert connection.execute("SELECT count(*) FROM incident_signal").fetchone() == (1,)


def test_a_store_is_migrated_once(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(old).close()
    asked: list[Callable[..., None]] = []
    monkeypatch.setattr(migrations, "upgrade", asked.append)
    opened(old).close()
    assert asked == []
