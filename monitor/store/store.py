"""The store: a database opened, migrated, and handed out one transaction at a time.

What kind of database it is, `store.url` says: a file of this machine (`sqlite`) or one on a server (`postgres`). On both, one transaction
writes at a time, and a commit is on the disk when it returns; readers never wait for the writer. Writers of this process queue on a
lock of our own, which wakes the next one at once; those of other processes wait in the database for `busy_timeout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from monitor.errors import ConfigurationError, StoreError
from monitor.fixes import VehicleId
from monitor.settings import Store as StoreSettings
from monitor.settings import format_duration
from monitor.store import migrations, partitions
from monitor.store.database import Database, Held
from monitor.store.postgres import PostgresServer
from monitor.store.schema import REVISION
from monitor.store.sqlite import SqliteFile
from monitor.store.transaction import Transaction
from monitor.store.turns import Turns

ALLOWED = "sqlite:///PATH, a file of this machine, or postgresql://USER@HOST/DATABASE"


class Store:
    """One database, for any number of threads: one writes at a time, all may read."""

    def __init__(self, database: Database, busy_timeout: timedelta) -> None:
        self.database = database
        self._patience = busy_timeout
        self._turn = Turns()
        self._known: dict[VehicleId, int] = {}

    @classmethod
    def open(
        cls, url: str, busy_timeout: timedelta, *, password_file: str = "", partition: str = "month", create: bool = True
    ) -> Store:
        """Open the database of `url`, make it if there is none and `create` says so, and bring it to this release's schema.

        `password_file` and `partition` count for a server: the file with the password, and what one partition of the fixes holds.

        Raises
        ------
        ConfigurationError
            If `url` is not one that this release can use, or the password file cannot be read.
        StoreError
            If the database cannot be used: one line that says what to do.
        """
        database = _database(url, busy_timeout, password_file, partition)
        with ExitStack() as opened:
            store = cls(database, busy_timeout)
            opened.callback(store.close)
            with store._explained():
                database.locate(create=create)
            store._prepare(create=create)
            opened.pop_all()  # nothing went wrong: it stays open
        return store

    @classmethod
    def of(cls, settings: StoreSettings, *, create: bool = True) -> Store:
        """Open the database that the settings name; see `open`."""
        words = (settings.url, settings.busy_timeout)
        return cls.open(*words, password_file=settings.password_file, partition=settings.partition, create=create)

    @property
    def name(self) -> str:
        """What the database is called in messages: its file as it was named, or its URL without a password."""
        return self.database.name

    @property
    def url(self) -> str:
        """What opens it again, from any folder; without a password."""
        return self.database.url

    @property
    def file(self) -> Path | None:
        """The file that it is; None for a database on a server."""
        return self.database.file

    @property
    def warnings(self) -> Sequence[str]:
        """What about the server puts at risk what was acknowledged."""
        return self.database.warnings

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Write: all of it is on the disk once this is left, or none of it if it is left by an exception.

        Raises
        ------
        StoreError
            If the database stays locked for longer than `busy_timeout`, cannot be written, or is out of reach.
        ServiceError
            If another monitor has taken over a database that this one held.
        """
        if not self._turn.acquire(timeout=self._patience.total_seconds()):
            raise StoreError(
                f"{self.name}: this program's own writers waited for each other for {format_duration(self._patience)}"
            )
        try:
            with self._explained(), self.database.writing() as connection:
                transaction = Transaction(connection, self._known, self.database)
                yield transaction
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
        with self._explained(), self.database.reading() as connection:
            yield Transaction(connection, self._known, self.database)

    def hold(self) -> Held:
        """Make sure that no other monitor runs on the database, until what is given back is closed or the program ends, however it ends.

        Raises
        ------
        StoreError
            If one does.
        """
        with self._explained():
            return self.database.hold()

    def holder(self) -> int | None:
        """The process of this machine that `hold` let run on the database; None where that is not known."""
        with self._explained():
            return self.database.holder()

    def insist(self, while_: Callable[[], bool]) -> None:
        """Where the answer to a commit is lost, have the writer wait for the server beyond `busy_timeout`, as long as this holds.

        Only then is what is in memory sure to be what is on the disk; else the program must begin anew.
        """
        self.database.insists = while_

    def drop_empty_partitions(self, before: int) -> list[str]:
        """Drop the parts of the fixes that end at or before `before` (ms) and hold nothing; gives their names.

        One that a long reading holds is left for another time. A file has no parts.
        """
        with self.read() as transaction:
            candidates = self.database.partitions(transaction.connection)
        over = [part.name for part in candidates if partitions.EVER[0] < part.begin and part.end <= before]
        return [name for name in over if self._dropped(name)]

    def close(self) -> None:
        """Give the database back."""
        self.database.close()

    def _dropped(self, part: str) -> bool:
        with self.begin() as transaction:
            return partitions.drop_if_empty(transaction.connection, part)

    def _prepare(self, *, create: bool) -> None:
        with self.read() as transaction:
            found = self._accepted(transaction)
        if found is None and not create and self.file is None:
            raise StoreError(f"{self.name}: holds nothing of a monitor yet; store.url names another, or start the monitor first")
        with self._explained():
            self.database.prepare()
        if found != REVISION:
            self._upgrade()

    def _upgrade(self) -> None:
        """Bring the schema to this release; meanwhile tables may be rebuilt without their rows being missed by others."""
        with self._explained(), self.database.rebuilding(), self.begin() as transaction:
            if self._accepted(transaction) != REVISION:  # another process may have been faster: look again under the lock
                migrations.upgrade(transaction.connection)
                if self.database.broken_references(transaction.connection):
                    raise StoreError(f"{self.name}: has rows that refer to missing ones; restore it from a copy")

    def _accepted(self, transaction: Transaction) -> str | None:
        """The revision of the database, if this release can go on from it."""
        found = migrations.revision_of(transaction.connection)
        if found is None and not migrations.is_empty(transaction.connection):
            raise StoreError(f"{self.name}: is a database of another program; name another in store.url")
        if found not in (None, REVISION) and found not in migrations.revisions():
            raise StoreError(
                f"{self.name}: was made by a newer release of the monitor (schema {found}; this one knows {REVISION}); "
                "install that release, or name another in store.url"
            )
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the driver's words about the database into one line; a broken constraint is a fault of ours and stays as it is."""
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise StoreError(f"{self.name}: {self.database.explain(error)}") from error


def file_of(url: str) -> Path | None:
    """Say which file a URL names; None for a database on a server.

    Raises
    ------
    ConfigurationError
        If it names neither.
    """
    parsed = _parsed(url)
    return Path(parsed.database or "") if parsed.drivername.startswith("sqlite") else None


def _database(url: str, busy_timeout: timedelta, password_file: str, partition: str) -> Database:
    parsed, waited = _parsed(url), format_duration(busy_timeout)
    if parsed.drivername.startswith("sqlite"):
        return SqliteFile(Path(parsed.database or ""), busy_timeout, waited)
    if password_file:
        parsed = parsed.set(password=_first_line(Path(password_file)))
    return PostgresServer(parsed, busy_timeout, waited, partition)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the second: a port that is no number
        shown = url.rpartition("@")[2]  # before it a password may stand
        raise ConfigurationError([f"store.url = {shown!r}: allowed is {ALLOWED}"]) from None
    file = parsed.database or ""
    plain = parsed.drivername in ("sqlite", "sqlite+pysqlite") and not (parsed.query or parsed.host)
    if plain and file and file != ":memory:" and not file.startswith("file:"):
        return parsed
    if parsed.drivername in ("postgresql", "postgresql+psycopg") and parsed.database:
        return parsed
    raise ConfigurationError([f"store.url = {parsed.render_as_string()!r}: allowed is {ALLOWED}"])


def _first_line(file: Path) -> str:
    try:
        line = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigurationError([f"store.password_file = {str(file)!r}: cannot be read: {why}"]) from None
    if not line:
        raise ConfigurationError([f"store.password_file = {str(file)!r}: its first line is empty; allowed is the password"])
    return line
