"""The database: opened, migrated, and handed out one transaction at a time.

SQLite in WAL mode: readers never wait for the writer, and a commit is on the disk when it returns (synchronous FULL). Every
writing transaction begins IMMEDIATE, because one that reads first and then writes is refused at once when another process wrote
meanwhile, however long it was told to wait. Writers of this process queue on a lock of our own, which wakes the next one at once;
those of other processes wait in the database for `busy_timeout`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from monitor.errors import ConfigurationError, StoreError
from monitor.fixes import VehicleId
from monitor.settings import format_duration
from monitor.store import migrations
from monitor.store.schema import REVISION
from monitor.store.transaction import Transaction
from monitor.store.turns import Turns

ALLOWED = "sqlite:///PATH, a file of this machine"

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


class Store:
    """One database, for any number of threads: one writes at a time, all may read."""

    def __init__(self, file: Path, busy_timeout: timedelta) -> None:
        self.file = file
        """As it was named."""
        self._path = file.absolute()
        self._patience = busy_timeout
        self._writing = _engine(self._path, busy_timeout, "BEGIN IMMEDIATE")
        self._reading = _engine(self._path, busy_timeout, "BEGIN")
        self._turn = Turns()
        self._known: dict[VehicleId, int] = {}
        self._inode: tuple[int, int] | None = None

    @classmethod
    def open(cls, url: str, busy_timeout: timedelta, *, create: bool = True) -> Store:
        """Open the database of `url`, make it if there is none and `create` says so, and bring it to this release's schema.

        Raises
        ------
        ConfigurationError
            If `url` is not one that this release can use.
        StoreError
            If the file cannot be used: one line that says what to do.
        """
        file = file_of(url)
        if not create and not file.exists():
            raise StoreError(f"{file}: there is no such database; store.url names another")
        _usable(file)
        with ExitStack() as opened:
            store = cls(file, busy_timeout)
            opened.callback(store.close)
            store._prepare()
            opened.pop_all()  # nothing went wrong: it stays open
        return store

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Write: all of it is on the disk once this is left, or none of it if it is left by an exception.

        Raises
        ------
        StoreError
            If the database stays locked for longer than `busy_timeout`, or cannot be written.
        """
        if not self._turn.acquire(timeout=self._patience.total_seconds()):
            raise StoreError(f"{self.file}: this program's own writers waited for each other for {self._waited}")
        try:
            with self._explained(), self._writing.connect() as connection, connection.begin():
                transaction = Transaction(connection, self._known)
                yield transaction
                self._check_present()
            self._known.update(transaction.met)
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read one instant of the database, whatever is written meanwhile; writing is refused.

        Raises
        ------
        StoreError
            If the database cannot be read.
        """
        with self._explained(), self._reading.connect() as connection, connection.begin():
            yield Transaction(connection, self._known)

    def close(self) -> None:
        """Give the file back."""
        self._reading.dispose()
        self._writing.dispose()

    @property
    def _waited(self) -> str:
        return format_duration(self._patience)

    def _prepare(self) -> None:
        with self.read() as transaction:
            found = self._accepted(transaction)
        status = self._path.stat()
        self._inode = (status.st_dev, status.st_ino)
        with self._explained():
            _pragma(self._writing, "journal_mode = WAL")
        if found != REVISION:
            self._upgrade()

    def _upgrade(self) -> None:
        """Bring the schema to this release; meanwhile tables may be rebuilt without their rows being missed by others."""
        with self._explained():
            _pragma(self._writing, "foreign_keys = OFF")
        with self.begin() as transaction:  # another process may have been faster: look again under the lock
            if self._accepted(transaction) != REVISION:
                migrations.upgrade(transaction.connection)
                if transaction.connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    raise StoreError(f"{self.file}: has rows that refer to missing ones; restore it from a copy")
        with self._explained():
            _pragma(self._writing, "foreign_keys = ON")

    def _check_present(self) -> None:
        """Refuse to commit into a file that was removed or replaced: it would be gone with this process."""
        try:
            status = self._path.stat()
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._inode:
            raise StoreError(f"{self.file}: was removed or replaced while in use; put it back, or start again with a new one")

    def _accepted(self, transaction: Transaction) -> str | None:
        """The revision of the database, if this release can go on from it."""
        found = migrations.revision_of(transaction.connection)
        if found is None and not migrations.is_empty(transaction.connection):
            raise StoreError(f"{self.file}: is a database of another program; name another file in store.url")
        if found not in (None, REVISION) and found not in migrations.revisions():
            raise StoreError(
                f"{self.file}: was made by a newer release of the monitor (schema {found}; this one knows {REVISION}); "
                "install that release, or name another file in store.url"
            )
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the driver's words about the file into one line; a broken constraint is a fault of ours and stays as it is."""
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            said = str(error.orig)
            meaning = next((text for word, text in FAULTS.items() if word in said), said)
            raise StoreError(f"{self.file}: {meaning.format(patience=self._waited)}") from error


def file_of(url: str) -> Path:
    """Say which file a URL names.

    Raises
    ------
    ConfigurationError
        If it names none.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError([f"store.url = {url!r}: allowed is {ALLOWED}"]) from None
    plain = parsed.drivername in ("sqlite", "sqlite+pysqlite") and not (parsed.query or parsed.host)
    if not plain or not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise ConfigurationError([f"store.url = {parsed.render_as_string()!r}: allowed is {ALLOWED}"])
    return Path(parsed.database)


def _usable(file: Path) -> None:
    """Make the folder if need be; find out early what the database would say less clearly."""
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


def _engine(file: Path, busy_timeout: timedelta, begin: str) -> Engine:
    """Connections whose transactions begin as we say, not as the driver thinks."""
    writes = begin != "BEGIN"
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": busy_timeout.total_seconds(), "check_same_thread": False},
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


def _pragma(engine: Engine, words: str) -> None:
    """Set what can only be set outside of transactions, on the one connection that writes."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {words}")
        cursor.fetchall()  # some change only once the answer is read
    finally:
        connection.close()


def alone(file: Path) -> IO[str]:
    """Make sure that no other monitor runs on a database, until what is given back is closed or the program ends, however it ends.

    Raises
    ------
    StoreError
        If one does.
    """
    lock = _lock_of(file).open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreError(f"{file}: another monitor runs on this database; end that one, or name another in store.url") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def pid_beside(file: Path) -> int | None:
    """The process that `alone` let run on a database; None where it does not say."""
    try:
        return int(_lock_of(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _lock_of(file: Path) -> Path:
    return file.with_name(file.name + ".lock")
