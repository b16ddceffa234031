"""The database on a PostgreSQL server, by psycopg 3.

Every writing transaction begins by taking one advisory lock of the database, which ends with it: there is one writer at a time, of all
processes, and the journal's order is the order of commits, as on SQLite. Readers see one instant (REPEATABLE READ) and wait for nobody.

A commit whose answer was lost may have been carried out. Each transaction that wrote therefore leaves its number in `last_commit`, in
the row of its writer; when the connection breaks while it commits, the write lock is taken anew, which waits for the lost session to
end, and that row tells. (A transaction's own id would not do: after a crash of the server it can be given out again.)

A monitor holds the database by a second advisory lock, on the very session that writes: without it nothing can be written.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from sqlalchemy import JSON, URL, Column, ColumnElement, Connection, Engine, Table, Text, cast, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from monitor.errors import ServiceError, StoreError
from monitor.fixes import I8, Bool, FixBatch
from monitor.store.codec import milliseconds_of
from monitor.store.copying import COPY_FIXES, packed
from monitor.store.database import PLACES, Held
from monitor.store.partitions import Part, make_room, standing
from monitor.store.sessions import (
    END_LOST,
    HOLD,
    HOLDER,
    KEEPALIVE,
    LOCKS,
    OLDEST,
    WRITE,
    greet,
    meaning,
    own_name,
    process_of,
    risks,
)

log = logging.getLogger("monitor.store")

RETRY_S = 0.5
CLAIM_MS = 5000
"""As long may a lost session of ours, which was told to end, take to do so."""
SECRET = ("password", "sslpassword", "passfile")
"""Words of a URL that are for nobody to see."""
WORDS = {
    "asked": "jsonb_array_elements(?::jsonb) WITH ORDINALITY AS asked(value, key)",
    "key": "asked.key - 1",
    "value": "asked.value::bigint",
    **{f"n{place}": f"(asked.value -> {place})::bigint" for place in PLACES},
    **{f"t{place}": f"(asked.value ->> {place})" for place in PLACES},
}
"""A list of keys as a table, and the parts of its elements."""

TAKE_TURN = f"SELECT pg_advisory_xact_lock({LOCKS}, {WRITE})"
MARK = """
INSERT INTO last_commit (writer, number, at) SELECT %s, %s, (extract(epoch FROM now()) * 1000)::bigint
WHERE pg_current_xact_id_if_assigned() IS NOT NULL
ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
"""
MARKED = "SELECT number FROM last_commit WHERE writer = %s"
FORGET = "DELETE FROM last_commit WHERE at < (extract(epoch FROM now()) * 1000)::bigint - 2592000000"
SAY_HELD = """
INSERT INTO last_commit (writer, number, at) VALUES ('held by', %s, (extract(epoch FROM now()) * 1000)::bigint)
ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
"""
"""Who has held the database last: another number than one's own, and its Memory is no longer the newest."""


@lru_cache(maxsize=256)
def _said(statement: str) -> str:
    return statement.format_map(WORDS).replace("CROSS JOIN", "JOIN").replace("%", "%%").replace("?", "%s")


class PostgresServer:
    """A database on a server. See `database.Database`."""

    file = None

    def __init__(self, url: URL, patience: timedelta, waited: str, partition: str) -> None:
        open_words = {key: value for key, value in url.query.items() if key not in SECRET}
        bare = URL.create("postgresql", url.username, None, url.host, url.port, url.database, open_words)
        self.url = bare.render_as_string()
        """What opens it again, where the password is not needed or known."""
        self.name = bare.set(query={}).render_as_string()
        self.warnings: list[str] = []
        self.insists: Callable[[], bool] = lambda: False
        """Whether to go on asking, beyond `busy_timeout`, what became of a commit."""
        self._session_name = own_name()
        self._patience, self._waited, self._partition = patience, waited, partition
        self._held: int | None = None
        self._claimed = False
        self._numbers = count(1)
        self._writing = self._engine(url, self._writer, pool_size=1, max_overflow=0)
        self._reading = self._engine(url, self._reader, pool_size=5, max_overflow=20)

    def locate(self, *, create: bool) -> None:  # noqa: ARG002 (databases are made by their administrators)
        """Find out early whether the server is one that is served."""
        with self.reading() as connection:
            number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
        if number < OLDEST:
            raise StoreError(f"{self.name}: the server is of version {number // 10000}; allowed is {OLDEST // 10000} or newer")

    def prepare(self) -> None:
        """Nothing: it is all said in each session."""

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock; where the answer to its commit was lost, what became of it is found out."""
        doubt: DBAPIError | None = None
        number = next(self._numbers)
        with self._writing.connect() as connection:
            begun = connection.begin()
            try:
                connection.exec_driver_sql(TAKE_TURN)
                yield connection
                marked = connection.exec_driver_sql(MARK, (self._session_name, number)).rowcount == 1
            except BaseException:
                with suppress(DBAPIError):  # the session is lost, and the transaction with it
                    begun.rollback()
                raise
            try:
                begun.commit()
            except DBAPIError as error:
                if not (marked and error.connection_invalidated):
                    raise
                doubt = error
        if doubt is not None and not self._was_committed(number):
            raise doubt

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one instant and may not write."""
        with self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def rebuilding(self) -> Iterator[None]:
        """Tables are altered in place: nothing is to be done about it."""
        yield

    def broken_references(self, connection: Connection) -> bool:  # noqa: ARG002 (the server sees to it)
        """Never."""
        return False

    def explain(self, error: DBAPIError) -> str:
        """What the driver's words mean to a person."""
        return meaning(error, self._waited)

    def hold(self) -> Held:
        """Be the one monitor on it: by a lock of the session that writes, which every later one takes up again."""
        self._held, self._claimed = secrets.randbits(56), False
        self._writing.dispose()
        try:
            self._writing.connect().close()
        except BaseException:
            self._held = None
            raise
        return Held(self._let_go)

    def holder(self) -> int | None:
        """The process of this machine that holds it."""
        with self.reading() as connection:
            names = connection.exec_driver_sql(HOLDER, (LOCKS, HOLD)).scalars().all()
        return next((found for found in map(process_of, names) if found is not None), None)

    def close(self) -> None:
        """End every session."""
        self._reading.dispose()
        self._writing.dispose()

    # the words

    def said(self, statement: str) -> str:
        """A statement of the store, with the lists it asks for taken from JSON, and the parameters as the driver wants them."""
        return _said(statement)

    def upsert(self, table: Table) -> postgresql.Insert:
        """An INSERT of PostgreSQL."""
        return postgresql.insert(table)

    def says(self, column: Column[str], key: str, number: int) -> ColumnElement[bool]:
        """Whether a JSON text has this number under this key; as a text, so that no other part of it need be understood."""
        return cast(cast(column, JSON)[key], Text) == str(number)

    def put_fixes(self, connection: Connection, ids: npt.NDArray[np.int64], fixes: FixBatch, late: Bool | I8) -> None:
        """Insert fixes by COPY, into partitions that are made where they are missing."""
        make_room(connection, milliseconds_of(fixes.time), self._partition)
        session: Any = connection.connection.driver_connection
        try:
            with session.cursor() as cursor, cursor.copy(COPY_FIXES) as copy:
                copy.write(packed(ids, fixes, late))
        except psycopg.Error as error:
            lost = bool(session.closed)
            raise DBAPIError.instance(COPY_FIXES, None, error, psycopg.Error, connection_invalidated=lost) from error

    def partitions(self, connection: Connection) -> Sequence[Part]:
        """The parts that the fixes lie in."""
        return standing(connection)

    # sessions

    def _engine(self, url: URL, opened: Callable[[psycopg.Connection[Any]], None], pool_size: int, max_overflow: int) -> Engine:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={key: value for key, value in KEEPALIVE.items() if key not in url.query},
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_pre_ping=True,
        )

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, _record: Any, words: Any, named: Any) -> psycopg.Connection[Any]:
            session: psycopg.Connection[Any] = dialect.connect(*words, **named)
            try:
                opened(session)
            except BaseException:
                session.close()
                raise
            session.autocommit = False
            return session

        return engine

    def _reader(self, session: psycopg.Connection[Any]) -> None:
        greet(session, self._session_name, self._patience_ms)
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.read_only = True

    def _writer(self, session: psycopg.Connection[Any]) -> None:
        name = f"{self._session_name} writing"
        greet(session, name, self._patience_ms)
        session.execute(END_LOST, (name,))
        for warning in risks(session):
            if warning not in self.warnings:
                self.warnings.append(warning)
        if self._held is not None:
            (self._claim_again if self._claimed else self._claim)(session, self._held)

    def _claim(self, session: psycopg.Connection[Any], number: int) -> None:
        """Take the lock that says who is the monitor, for the first time."""
        if session.execute(f"SELECT pg_try_advisory_lock({LOCKS}, {HOLD})").fetchone() != (True,):
            raise StoreError(f"{self.name}: another monitor runs on this database; end that one, or name another in store.url")
        for warning in self.warnings:
            log.warning("%s: %s", self.name, warning)
        session.execute(SAY_HELD, (number,))
        session.execute(FORGET)
        self._claimed = True

    def _claim_again(self, session: psycopg.Connection[Any], number: int) -> None:
        """Take it again, for a new session: the lost one may take a moment to end. Who did not hold it all the time must not go on."""
        greet(session, f"{self._session_name} writing", min(CLAIM_MS, self._patience_ms))
        try:
            session.execute(f"SELECT pg_advisory_lock({LOCKS}, {HOLD})")
        except psycopg.errors.LockNotAvailable:
            raise ServiceError(f"{self.name}: another monitor has taken over this database; this one ends") from None
        greet(session, f"{self._session_name} writing", self._patience_ms)
        if session.execute(MARKED, ("held by",)).fetchone() != (number,):
            raise ServiceError(f"{self.name}: another monitor has run on this database meanwhile; this one must begin anew")

    def _let_go(self) -> None:
        self._held = None
        self._writing.dispose()

    def _was_committed(self, number: int) -> bool:
        """Whether a transaction was carried out whose answer was lost."""
        log.warning("%s: the connection broke during a commit; finding out what became of it", self.name)
        until = time.monotonic() + self._patience.total_seconds()
        while True:
            try:
                with self._writing.connect() as connection, connection.begin():
                    connection.exec_driver_sql(TAKE_TURN)
                    return connection.exec_driver_sql(MARKED, (self._session_name,)).scalar() == number
            except DBAPIError as error:
                if time.monotonic() > until and not self.insists():
                    said = f"{self.explain(error)}; whether what was last written is on its disk is not known"
                    raise StoreError(f"{self.name}: {said}") from error
            threading.Event().wait(RETRY_S)

    @property
    def _patience_ms(self) -> int:
        return int(self._patience.total_seconds() * 1000)
