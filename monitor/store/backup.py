"""A database file copied whole while it is written to, and put back.

A copy is of one instant, one file, and verified before it gets its name: its pages, its references, its schema, the chain of its
journal. A copy that is put back is verified again, before the database that stands there is moved aside. At every instant there is
either the one or the other, whole.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

from monitor.errors import InputError, StoreError
from monitor.store import journal
from monitor.store.sqlite import SqliteFile
from monitor.store.store import Store

PAGES = 2000
"""Copied at a time; then the progress is told."""
PATIENCE = timedelta(seconds=30)

Progress = Callable[[int, int], None]


def back_up(file: Path, target: Path, told: Progress) -> int:
    """Copy the database of a file into a new file; gives how many entries its journal has.

    Raises
    ------
    InputError
        If there is something of that name.
    StoreError
        If it cannot be read, written or verified; then there is no new file.
    """
    if target.exists():
        raise InputError(f"{target}: is there already; name another file")
    with _in_part(target, ".part") as part:
        _copy(file, part, told)
        entries = verified(part)
        part.rename(target)
    _sync(target.parent)
    return entries


def restore(copy: Path, file: Path, by: str, now: int, told: Progress, *, replace: bool) -> Path | None:
    """Put a copy in the place of a database; gives where the one that stood there is now, if one did.

    It is brought to this release's schema, and its journal tells of it.

    Raises
    ------
    InputError
        If a database stands there and `replace` does not say to move it aside.
    StoreError
        If a monitor runs on it, or the copy does not verify; then everything is as it was.
    """
    database = SqliteFile(file, PATIENCE, "30s")
    database.locate(create=True)
    with database.hold():
        if file.exists() and not replace:
            raise InputError(f"{file}: a database stands there; --replace moves it aside")
        with _in_part(file, ".restoring") as part:
            _copy(copy, part, told)
            entries = verified(part)
            with closing(Store.open(f"sqlite:///{part}", PATIENCE, create=False)) as store, store.begin() as transaction:
                transaction.record(by, "restored", {"from": copy.name, "entries": entries}, now)
            _make_one_file(part)
            aside = _moved_aside(file) if file.exists() else None
            part.replace(file)
        _sync(file.parent)
    return aside


def verified(copy: Path) -> int:
    """Check everything in a copy, bring it to this release's schema, and leave it one file; gives how many entries its journal has.

    Raises
    ------
    StoreError
        If anything is wrong with it: one line.
    """
    try:
        with closing(sqlite3.connect(copy)) as connection:
            [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            missing = connection.execute("PRAGMA foreign_key_check").fetchone()
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{copy.name}: is no whole database: {error}") from None
    if found != "ok" or missing is not None or tables == (0,):
        why = found if found != "ok" else "it is empty" if tables == (0,) else f"rows of {missing[0]} refer to missing ones"
        raise StoreError(f"{copy.name}: is no whole database: {why}")
    with closing(Store.open(f"sqlite:///{copy}", PATIENCE, create=False)) as store:
        broken = journal.verify(store)
        if broken is not None:
            raise StoreError(f"{copy.name}: its journal does not verify from entry {broken} on")
        with store.read() as transaction:
            entries = int(transaction.run("SELECT seq FROM journal_head").scalar_one())
    _make_one_file(copy)
    return entries


def _copy(source: Path, target: Path, told: Progress) -> None:
    """Copy one instant of a database, whoever writes to it meanwhile."""
    if not source.is_file():
        raise StoreError(f"{source}: there is no such database")
    try:
        with closing(sqlite3.connect(source, timeout=PATIENCE.total_seconds())) as old, closing(sqlite3.connect(target)) as new:
            old.execute("PRAGMA query_only = ON")
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it is that instant
            old.backup(new, pages=PAGES, progress=lambda _, left, all_: told(all_ - left, all_))
    except sqlite3.Error as error:
        raise StoreError(f"{source}: cannot be copied: {error}") from None


def _make_one_file(file: Path) -> None:
    """Leave nothing of a database beside its file, and all of it on the disk."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _moved_aside(file: Path) -> Path:
    """Give the database a second name, and take away what lies beside it, which would spoil the one that comes."""
    aside = next(name for number in count(1) if not (name := file.with_name(f"{file.name}.replaced-{number}")).exists())
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE.total_seconds())) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        pass  # it may be damaged: that is why another comes; what lies beside it is kept with it
    for suffix in ("-wal", "-shm"):
        beside = file.with_name(file.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    os.link(file, aside)
    return aside


@contextmanager
def _in_part(target: Path, suffix: str) -> Iterator[Path]:
    """A name beside `target` to write under, of which nothing is left unless it was given its own."""
    part = target.with_name(target.name + suffix)
    names = (part, *(part.with_name(part.name + beside) for beside in ("-journal", "-wal", "-shm")))
    try:
        for name in names:
            name.unlink(missing_ok=True)
        yield part
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        for name in (*names, part.with_name(part.name + ".lock")):
            name.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
