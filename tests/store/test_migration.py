"""A database of the first schema is brought to this one with everything in it, and judged by as before."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command, config
from sqlalchemy import create_engine

from monitor.errors import StoreError
from monitor.fixes import Fleet
from monitor.store import configuration_store, credentials, journal, migrations
from monitor.store.store import Store
from tests.store.samples import DAY, TRUCK, opened

FIRST = """
INSERT INTO vehicle (id, carrier, name) VALUES (1, 'north', 'truck-1');
INSERT INTO fix VALUES (1, {day}, 7, -79.5, 43.5, NULL, NULL, NULL, 1, NULL, 0, 0, 0);
INSERT INTO signal (id, vehicle_id, kind, trip, since, at, presumed, lon, lat, measure, "limit", unit, severity, raised, decided, state)
VALUES (1, 1, 'unauthorized_stop', 'T-7', {day}, {day}, 0, -79.65, 43.70, 312.5, 300.0, 's', 'critical', {day}, {day}, 'open');
INSERT INTO incident (id, carrier, vehicle, severity, state, since, at, opened)
VALUES (1, 'north', 'truck-1', 'critical', 'open', {day}, {day}, {day});
INSERT INTO incident_signal VALUES (1, 1, 'joined');
INSERT INTO credential (id, carrier, kind, secret, created) VALUES (1, 'north', 'token', '{secret}', {day});
"""


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A database that the first release left, with a row in each table that changes."""
    file = tmp_path / "first.db"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        settings = config.Config(attributes={"connection": connection})
        settings.set_main_option("script_location", str(migrations.FOLDER))
        settings.set_main_option("path_separator", "os")
        command.upgrade(settings, "0001")
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(FIRST.format(day=DAY, secret="ab" * 32))
    return file


def test_what_was_stored_is_there_as_it_was(first: Path) -> None:
    store = opened(first)
    with store.read() as transaction:
        [stored] = transaction.signals_from({TRUCK: DAY})
        fixes = transaction.fixes_of(fleet := Fleet(), fleet.code(TRUCK), None)
        assert (stored.id, stored.signal.trip, stored.signal.lon, stored.signal.detail) == (1, "T-7", -79.65, None)
        assert (fixes.time.view("int64").tolist(), fixes.ignition.tolist()) == ([DAY], [1])
        assert [(each.kind, each.role) for each in credentials.listed(transaction)] == [("token", "device")]
        assert configuration_store.load(transaction) == []
        assert transaction.waiting() == {}
        links = transaction.connection.exec_driver_sql("SELECT * FROM incident_signal").all()
        assert [tuple(link) for link in links] == [(1, 1, "joined")]
    store.close()


def test_references_hold_again_afterwards(first: Path) -> None:
    store = opened(first)
    with store.begin() as transaction:
        assert transaction.connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert transaction.connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        indexes = transaction.connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE tbl_name = 'signal' AND type = 'index'"
        )
        assert sorted(indexes.scalars()) == ["ix_signal_open", "ix_signal_vehicle_id_decided"]
    assert journal.verify(store) is None
    store.close()


def test_a_database_whose_rows_refer_to_nothing_is_left_as_it_was(first: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(first)) as connection:
        connection.execute("DELETE FROM signal")
        connection.commit()
    before = shutil.copy(first, tmp_path / "copy.db")
    with pytest.raises(StoreError, match="has rows that refer to missing ones"):
        opened(first)
    for file in (first, before):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
            assert connection.execute("SELECT count(*) FROM incident_signal").fetchone() == (1,)


def test_a_store_is_a_store(first: Path) -> None:
    """Opened twice, it is migrated once."""
    opened(first).close()
    store = opened(first)
    assert isinstance(store, Store)
    store.close()
