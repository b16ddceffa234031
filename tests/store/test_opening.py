"""A database is made, migrated and checked when it is opened; each fault is one line that says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from monitor.errors import ConfigurationError, StoreError
from monitor.store import migrations
from monitor.store.schema import REVISION, metadata
from monitor.store.store import Store
from tests.store.samples import opened

SOON = timedelta(milliseconds=50)


def pragma(store: Store, name: str) -> object:
    with store.begin() as transaction:
        return transaction.connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def _ours(_thing: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Whether it is of the schema, and not a partition of the fixes, nor a reference that only a file has."""
    return not (kind == "table" and (name or "").startswith("fix_")) and name != "fk_fix_vehicle_id"


def _definitions(connection: Connection) -> list[list[str]]:
    """The parts of every CREATE, in no order: a table's columns and constraints, an index's columns and condition."""
    query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name <> 'alembic_version' ORDER BY name"
    texts = connection.exec_driver_sql(query).scalars()
    parts = [[part.strip(" ,)\t").replace('"', "") for part in text.replace(", ", "\n").splitlines()] for text in texts]
    return [sorted(filter(None, each)) for each in parts]


def test_the_migrations_lead_from_nothing_to_exactly_this_schema(store: Store) -> None:
    assert migrations.revisions()[-1] == REVISION
    with store.read() as transaction:
        assert migrations.revision_of(transaction.connection) == REVISION
        context = MigrationContext.configure(transaction.connection, opts={"include_object": _ours})
        assert compare_metadata(context, metadata) == []


def test_a_migrated_database_and_one_made_of_the_schema_have_the_same_tables_and_checks(in_file: Store) -> None:
    fresh = create_engine("sqlite://")
    metadata.create_all(fresh)
    with in_file.read() as transaction, fresh.connect() as connection:
        assert _definitions(transaction.connection) == _definitions(connection)


def test_commits_are_on_the_disk_and_references_hold(in_file: Store) -> None:
    assert [pragma(in_file, name) for name in ("journal_mode", "synchronous", "foreign_keys")] == ["wal", 2, 1]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/var/deep/monitor.db")
    store.close()
    assert (tmp_path / "var" / "deep" / "monitor.db").is_file()


def test_a_path_may_hold_any_character_and_outlives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "été 100% #1").mkdir()
    monkeypatch.chdir(tmp_path / "été 100% #1")
    store = opened("sqlite:///m.db")
    monkeypatch.chdir(tmp_path)
    with store.begin() as transaction:
        assert transaction.record("ana", "kind", {}, 1) == 1
    store.close()
    assert (tmp_path / "été 100% #1" / "m.db").is_file()
    assert not (tmp_path / "m.db").exists()


def test_a_second_opening_finds_what_the_first_left(url: str) -> None:
    store = opened(url)
    with store.begin() as transaction:
        transaction.record("ana", "kind", {}, 1)
    store.close()
    again = opened(url)
    with again.begin() as transaction:
        assert transaction.record("ana", "kind", {}, 2) == 2
    again.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db",
        "mysql://db/monitor",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?uri=true",
        "sqlite:///a.db?mode=ro",
        "var/x.db",
    ],
)
def test_a_url_that_is_neither_file_nor_server_is_a_fault_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.url = .*allowed is sqlite:///PATH"):
        Store.open(url, SOON)


def test_a_password_in_a_url_is_not_shown() -> None:
    for url in ("mysql://ana:hunter2@db/monitor", "postgresql://ana:hunter2@db:port/monitor"):
        with pytest.raises(ConfigurationError) as caught:
            Store.open(url, SOON)
        assert "hunter2" not in str(caught.value)


def _newer(file: Path) -> None:
    opened(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def _foreign(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE accounts (id)")
    connection.close()


def _text(file: Path) -> None:
    file.write_text("this is a letter to my mother " * 100)


def _damaged(file: Path) -> None:
    opened(f"sqlite:///{file}").close()
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * 4096 * 8)


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (_newer, r"newer release of the monitor \(schema 9999; this one knows 0003\); install"),
    (_foreign, "database of another program; name another"),
    (_text, "is not a database; name another file"),
    (_damaged, "is damaged; restore it from a copy"),
    (Path.mkdir, "is a folder; store.url must name a file"),
]


@pytest.mark.parametrize(("spoil", "said"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    file = tmp_path / "monitor.db"
    spoil(file)
    with pytest.raises(StoreError, match=said) as caught:
        opened(f"sqlite:///{file}")
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_database_of_another_program_is_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "monitor.db"
    _foreign(file)
    before = file.read_bytes()
    with pytest.raises(StoreError):
        opened(f"sqlite:///{file}")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("/proc/nowhere", "cannot be made: No such file"),
        ("/proc/self", "may not be written"),
        ("/dev/null", "is not a folder"),
        ("/dev/null/var", "is not a folder"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(folder: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        opened(f"sqlite:///{folder}/monitor.db")
    assert "\n" not in str(caught.value)


def test_a_database_locked_by_another_program_is_one_line_and_can_be_tried_again(in_file: Store, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    hasty = opened(in_file.url, SOON)  # opening a database of this schema needs no lock
    for _ in range(2):
        with pytest.raises(StoreError, match="locked for 50ms: end that program"), hasty.begin():
            pass
    with hasty.read() as transaction:
        assert transaction.vehicles() == []
    other.execute("ROLLBACK")
    with hasty.begin() as transaction:
        assert transaction.record("ana", "kind", {}, 1) == 1
    hasty.close()
    other.close()


def test_a_new_database_that_another_program_holds_is_one_line(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "monitor.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked for 50ms"):
        opened(f"sqlite:///{tmp_path}/monitor.db", SOON)
    other.close()
