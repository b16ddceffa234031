"""A copy of the database is whole and of one instant, and comes back; whatever goes wrong, a whole database stands there."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from monitor.cli import main
from monitor.errors import InputError, StoreError
from monitor.fixes import Fleet
from monitor.store import backup, journal
from monitor.store.schema import fix
from monitor.store.schema import journal as journal_table
from monitor.store.store import Store
from tests.e2e.program import CONFIG
from tests.postgres import Server
from tests.store.samples import DAY, TRUCK, drive, line_of, none_late, opened, process, raised
from tests.store.test_migration import left_by
from tests.store.test_survival import COMMITS_FOR_EVER


def silent(_done: int, _all: int) -> None:
    """Tell nobody."""


def fill(store: Store, begin: int = 0, n: int = 1000) -> None:
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, range(begin, begin + n))
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
        transaction.apply_changes([raised()], DAY)
        transaction.record("ingest", "delivery", {"fixes": n}, DAY)


def held(store: Store) -> tuple[int, int]:
    """(fixes, entries of the journal)."""
    with store.read() as transaction:
        counts = [transaction.connection.execute(select(func.count()).select_from(table)) for table in (fix, journal_table)]
        fixes, entries = (count.scalar_one() for count in counts)
    return fixes, entries


def there(file: Path) -> tuple[int, int]:
    with closing(opened(f"sqlite:///{file}")) as store:
        assert journal.verify(store) is None
        return held(store)


@pytest.fixture
def copy(in_file: Store, file: Path, tmp_path: Path) -> Path:
    """A copy of a database of 1000 fixes and 2 entries; another 500 came afterwards."""
    fill(in_file)
    made = tmp_path / "copies" / "monday.db"
    made.parent.mkdir()
    assert backup.back_up(file, made, silent) == 2
    fill(in_file, 1000, 500)
    in_file.close()
    return made


def test_a_copy_is_one_file_that_holds_everything(copy: Path) -> None:
    assert [path.name for path in copy.parent.iterdir()] == ["monday.db"]
    assert there(copy) == (1000, 2)


def test_a_copy_is_of_one_instant_while_others_write(
    in_file: Store, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written between two pages of it is not in it."""
    fill(in_file, n=5000)
    monkeypatch.setattr(backup, "PAGES", 5)
    rounds: list[int] = []

    def write(done: int, _all: int) -> None:
        if len(rounds) < 5:
            fill(in_file, 5000 + 10 * len(rounds), 10)
        rounds.append(done)

    backup.back_up(file, tmp_path / "copy.db", write)
    assert len(rounds) > 5
    assert there(tmp_path / "copy.db") == (5000, 2)
    assert held(in_file) == (5050, 12)


def test_a_copy_never_replaces_anything(in_file: Store, file: Path, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear mother")
    with pytest.raises(InputError, match="letter: is there already"):
        backup.back_up(file, tmp_path / "letter", silent)
    assert (tmp_path / "letter").read_text() == "dear mother"


def test_a_copy_that_cannot_be_made_leaves_nothing(in_file: Store, file: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such database"):
        backup.back_up(tmp_path / "nowhere.db", tmp_path / "copy.db", silent)
    with pytest.raises(StoreError, match="cannot be"):
        backup.back_up(file, tmp_path / "no folder" / "copy.db", silent)
    fill(in_file)
    with in_file.begin() as transaction:
        transaction.run("UPDATE journal SET body = 'x' WHERE seq = 2")
    with pytest.raises(StoreError, match="its journal does not verify from entry 2 on"):
        backup.back_up(file, tmp_path / "copy.db", silent)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("copy")]


def test_a_copy_comes_back_and_what_stood_there_is_kept(copy: Path, file: Path) -> None:
    with pytest.raises(InputError, match="a database stands there; --replace moves it aside"):
        backup.restore(copy, file, "ana", DAY, silent, replace=False)
    aside = backup.restore(copy, file, "ana", DAY, silent, replace=True)
    assert aside == file.with_name("monitor.db.replaced-1")
    assert there(file) == (1000, 3)  # and one entry that tells of it
    assert there(aside) == (1500, 4)
    with closing(opened(f"sqlite:///{file}")) as store, store.read() as transaction:
        told = transaction.run("SELECT actor, kind FROM journal ORDER BY seq DESC LIMIT 1").one()
        assert tuple(told) == ("ana", "restored")
    assert backup.restore(copy, file, "ana", DAY, silent, replace=True) == file.with_name("monitor.db.replaced-2")


def test_a_copy_comes_back_where_nothing_stands(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "new machine" / "monitor.db"
    assert backup.restore(copy, file, "ana", DAY, silent, replace=False) is None
    assert there(file) == (1000, 3)
    assert there(copy) == (1000, 2)


def test_a_copy_of_an_earlier_release_is_brought_to_this_one_and_stays_what_it_is(tmp_path: Path, file: Path) -> None:
    copy = tmp_path / "old.db"
    left_by(f"sqlite:///{copy}", "0001")
    before = copy.read_bytes()
    backup.restore(copy, file, "ana", DAY, silent, replace=False)
    assert there(file) == (3, 1)
    assert copy.read_bytes() == before


def _damage(copy: Path) -> None:
    with copy.open("r+b") as raw:
        raw.seek(4096 * 20)
        raw.write(b"\xff" * 4096 * 4)


def _edit(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE journal SET actor = 'nobody' WHERE seq = 1")


def _cut_off(copy: Path) -> None:
    with copy.open("r+b") as raw:
        raw.truncate(copy.stat().st_size // 2)


def _newer(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def _letter(copy: Path) -> None:
    copy.write_text("dear mother")


@pytest.mark.parametrize("spoil", [_damage, _edit, _cut_off, _newer, _letter, Path.unlink])
def test_a_spoiled_copy_is_refused_and_the_database_stays(copy: Path, file: Path, spoil: Callable[[Path], None]) -> None:
    spoil(copy)
    with pytest.raises(StoreError) as caught:
        backup.restore(copy, file, "ana", DAY, silent, replace=True)
    assert "\n" not in str(caught.value)
    assert there(file) == (1500, 4)
    assert sorted(path.name for path in file.parent.iterdir()) == ["copies", "monitor.db", "monitor.db.lock"]


def test_nothing_comes_back_under_a_monitor_that_runs(copy: Path, file: Path) -> None:
    store = opened(f"sqlite:///{file}")
    with store.hold(), pytest.raises(StoreError, match="another monitor runs on this database"):
        backup.restore(copy, file, "ana", DAY, silent, replace=True)
    store.close()
    assert there(file) == (1500, 4)


def test_what_a_killed_monitor_left_beside_its_database_spoils_nothing(tmp_path: Path, file: Path) -> None:
    """Its newest commits lie in a second file, which must not come into the hands of the copy."""
    source = tmp_path / "other.db"
    with closing(opened(f"sqlite:///{source}")) as store:
        fill(store)
    backup.back_up(source, tmp_path / "copy.db", silent)
    with process(COMMITS_FOR_EVER, f"sqlite:///{file}") as child:
        for _ in range(5):
            line_of(child)
        child.kill()
        child.wait(60)
    beside = file.with_name(file.name + "-wal")
    assert beside.stat().st_size > 0
    aside = backup.restore(tmp_path / "copy.db", file, "ana", DAY, silent, replace=True)
    assert aside is not None
    assert not beside.exists()
    assert aside.stat().st_size > 100_000  # the tables at the least: it needs nothing beside it
    for left in file.parent.glob(f"{aside.name}-*"):
        left.unlink()
    fixes, entries = there(aside)
    assert fixes == 10 * entries >= 50
    assert there(file) == (1000, 3)


def test_a_damaged_database_can_be_replaced(copy: Path, file: Path) -> None:
    _damage(file)
    backup.restore(copy, file, "ana", DAY, silent, replace=True)
    assert there(file) == (1000, 3)


@pytest.mark.slow
def test_a_database_on_a_server_comes_back_from_a_dump(postgres: Server, tmp_path: Path) -> None:
    """By the two lines that docs/store.md gives, while it is written to."""
    url, copy = postgres.empty(), tmp_path / "monday.dump"
    store = opened(url)
    fill(store)
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        begin = 1000
        while not stop.is_set():
            fill(store, begin, 10)
            begin += 10
            written.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.wait(60)
        subprocess.run([postgres.programs / "pg_dump", "--format=custom", f"--file={copy}", url], check=True, timeout=120)
    finally:
        stop.set()
        thread.join(60)
    back = postgres.bare()
    words = ["--exit-on-error", "--single-transaction", f"--dbname={back}", str(copy)]
    subprocess.run([postgres.programs / "pg_restore", *words], check=True, timeout=120)
    restored = opened(back)
    assert journal.verify(restored) is None
    fixes, entries = held(restored)
    assert fixes == 1000 + 10 * (entries - 2) // 2
    fill(restored, 100_000, 5)
    assert held(restored)[0] == fixes + 5
    for each in (store, restored):
        each.close()
    for name in (url, back):
        postgres.drop(name)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_commands_copy_and_put_back(in_file: Store, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(in_file)
    in_file.close()
    copy, own = tmp_path / "copy.db", ["--config", str(CONFIG), "--set", f"store.url=sqlite:///{file}"]
    assert main(["backup", str(copy), *own]) == 0
    assert "whole, its journal verifies, 2 entries" in capsys.readouterr().out
    assert main(["backup", str(copy), *own]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["restore", str(copy), "--by", "ana", *own]) == 2
    assert "--replace moves it aside" in capsys.readouterr().err
    assert main(["restore", str(copy), "--by", "ana", "--replace", *own]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"{file}.replaced-1: what stood there before"
    assert there(file) == (1000, 3)


@pytest.mark.parametrize(("command", "said"), [(["backup", "x"], "pg_dump"), (["restore", "x", "--by", "ana"], "pg_restore")])
def test_for_a_server_the_commands_name_its_own_programs(
    command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--config", str(CONFIG), "--set", "store.url=postgresql://db/monitor"]) == 2
    assert said in capsys.readouterr().err
