"""The database as a file of this machine: SQLite in WAL mode.

Readers never wait for the writer, and a commit is on the disk when it returns (synchronous FULL). Every writing transaction begins
IMMEDIATE, because one that reads first and then writes is refused at once when another process wrote meanwhile, however long it was
told to wait. Writers of other processes wait in the database for `busy_timeout`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import URL, Column, ColumnElement, Connection, Engine, Table, create_engine, event, func
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from monitor.errors import StoreError
from monitor.fixes import I8, Bool, FixBatch
from monitor.store.codec import INSERT_FIX, fix_rows
from monitor.store.database import PLACES, Held
from monitor.store.partitions import Part

FAULTS = {
    "is locked": "another program has held it locked for {patience}: end that program, or raise store.busy_timeout",
    "not a database": "is not a database; name another file in store.url, or move this one away",
    "malformed": "is damaged; restore it from a copy",
    "unable to open": "cannot be opened; store.url must name a file that may be read and written",
    "readonly": "may not be written",
    "is full": "the disk is full",
    "disk I/O error": "the disk fails to read or write",
}
"""What the database's own words mean to a person."""

WORDS = {
    "asked": "json_each(?) AS asked",
    "key": "asked.key",
    "value": "asked.value",
    **{f"{kind}{place}": f"json_extract(asked.value, '$[{place}]')" for kind in "nt" for place in PLACES},
}
"""A list of keys as a table, and the parts of its elements."""


@lru_cache(maxsize=256)
def _said(statement: str) -> str:
    return statement.format_map(WORDS)


class SqliteFile:
    """A database in a file. See `database.Database`."""

    warnings: Sequence[str] = ()

    def __init__(self, file: Path, patience: timedelta, waited: str) -> None:
        self.file: Path = file
        """As it was named."""
        self.name = str(file)
        self._path = file.absolute()
        self._waited = waited
        self._writing = _engine(self._path, patience, "BEGIN IMMEDIATE")
        self._reading = _engine(self._path, patience, "BEGIN")
        self._inode: tuple[int, int] | None = None
        self.insists: Callable[[], bool] = lambda: False  # an answer is never lost

    @property
    def url(self) -> str:
        """What opens it again, from any folder."""
        return f"sqlite:///{self._path}"

    def locate(self, *, create: bool) -> None:
        """Make the folder if need be; find out early what the database would say less clearly."""
        file = self.file
        if not create and not file.exists():
            raise StoreError(f"{file}: there is no such database yet: `monitor run` makes it; else store.url names another")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise StoreError(f"{file.parent}: is not a folder; store.url must name a file in one") from None
        except OSError as error:
            raise StoreError(f"{file.parent}: the folder of the database cannot be made: {error.strerror}") from None
        if not os.access(file.parent, os.W_OK | os.X_OK):
            raise StoreError(f"{file.parent}: the folder of the database may not be written")
        if file.is_dir():
            raise StoreError(f"{file}: is a folder; store.url must name a file")
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            raise StoreError(f"{file}: may not be read and written")

    def prepare(self) -> None:
        """Remember which file it is, and have readers not wait for the writer."""
        status = self._path.stat()
        self._inode = (status.st_dev, status.st_ino)
        self._pragma("journal_mode = WAL")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock."""
        with self._writing.connect() as connection, connection.begin():
            yield connection
            self._check_present()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one instant and may not write."""
        with self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def rebuilding(self) -> Iterator[None]:
        """References are not watched: a table that is rebuilt is missing for a moment."""
        self._pragma("foreign_keys = OFF")
        yield
        self._pragma("foreign_keys = ON")

    def broken_references(self, connection: Connection) -> bool:
        """Whether a row refers to one that is missing."""
        return connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None

    def explain(self, error: DBAPIError) -> str:
        """What the driver's words mean to a person."""
        said = str(error.orig)
        meaning = next((text for word, text in FAULTS.items() if word in said), said)
        return meaning.format(patience=self._waited)

    def hold(self) -> Held:
        """Be the one monitor on it: a lock on a file beside it, in which the process is written."""
        lock = self._lock_file.open("a", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StoreError(
                f"{self.name}: another monitor runs on this database; end that one, or name another in store.url"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return Held(lock.close)

    def holder(self) -> int | None:
        """The process that holds it."""
        try:
            return int(self._lock_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        """Give the file back."""
        self._reading.dispose()
        self._writing.dispose()

    # the words

    def said(self, statement: str) -> str:
        """A statement of the store, with the lists it asks for taken from JSON."""
        return _said(statement)

    def upsert(self, table: Table) -> sqlite.Insert:
        """An INSERT of SQLite."""
        return sqlite.insert(table)

    def says(self, column: Column[str], key: str, number: int) -> ColumnElement[bool]:
        """Whether a JSON text has this number under this key."""
        return func.json_extract(column, f"$.{key}") == number

    def put_fixes(self, connection: Connection, ids: npt.NDArray[np.int64], fixes: FixBatch, late: Bool | I8) -> None:
        """Insert fixes, as raw tuples."""
        connection.exec_driver_sql(INSERT_FIX, list(fix_rows(ids, fixes, late)))

    def partitions(self, connection: Connection) -> Sequence[Part]:  # noqa: ARG002 (the fixes are one table)
        """None."""
        return ()

    @property
    def _lock_file(self) -> Path:
        return self._path.with_name(self._path.name + ".lock")

    def _check_present(self) -> None:
        """Refuse to commit into a file that was removed or replaced: it would be gone with this process."""
        try:
            status = self._path.stat()
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._inode:
            raise StoreError(f"{self.file}: was removed or replaced while in use; put it back, or start again with a new one")

    def _pragma(self, words: str) -> None:
        """Set what can only be set outside of transactions, on the one connection that writes."""
        connection = self._writing.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA {words}")
            cursor.fetchall()  # some change only once the answer is read
        finally:
            connection.close()


def _engine(file: Path, patience: timedelta, begin: str) -> Engine:
    """Connections whose transactions begin as we say, not as the driver thinks."""
    writes = begin != "BEGIN"
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": patience.total_seconds(), "check_same_thread": False},
        pool_size=1 if writes else 5,
        max_overflow=0 if writes else 20,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")

    @event.listens_for(engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
