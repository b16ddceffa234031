"""What a database must be able to do for the store: the one place that says where two kinds of them differ.

The statements of the store are written once, as SQLite wants them: `?` is a parameter, `CROSS JOIN` keeps the order of the tables.
A list of keys travels as one JSON parameter, so that its length has no limit; in a statement `{asked}` stands for that list as a
table, `{key}` for the index of an element in it, `{value}` for an element that is a number, `{n0}`, `{n1}`... and `{t0}`, `{t1}`...
for the numbers and texts of an element that is a list. `said` puts the words of the database in their place.
Shapes: N fixes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sqlalchemy import Column, ColumnElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from monitor.fixes import I8, Bool, FixBatch
from monitor.store.partitions import Part

Upsert = sqlite.Insert | postgresql.Insert
"""An INSERT that can say what to do `on_conflict`."""
PLACES = range(5)
"""As many values has an element of a list that is asked for, at the most."""


class Held:
    """The right to be the one monitor of a database, until it is closed."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def close(self) -> None:
        """Let another have it."""
        self._end()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Database(Protocol):
    """One database, whatever it is. All of it may be used by any number of threads; one at a time is between `writing`'s ends."""

    insists: Callable[[], bool]
    """Whether to go on asking, beyond `busy_timeout`, what became of a commit whose answer was lost."""

    @property
    def name(self) -> str:
        """What it is called in messages: without a password."""

    @property
    def url(self) -> str:
        """What opens it again, from any folder; without a password."""

    @property
    def file(self) -> Path | None:
        """The file that it is; None for one on a server."""

    @property
    def warnings(self) -> Sequence[str]:
        """What about it puts at risk what was acknowledged; known once it was written to."""

    def locate(self, *, create: bool) -> None:
        """Find out early whether it can be used, with a clear word; raises StoreError."""

    def prepare(self) -> None:
        """Set what holds for the whole database, once it is known to be ours."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that holds the one write lock: on the disk when left, or undone when left by an exception."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one instant and may not write."""

    def rebuilding(self) -> AbstractContextManager[None]:
        """While tables are rebuilt by a migration."""

    def broken_references(self, connection: Connection) -> bool:
        """Whether a row refers to one that is missing."""

    def explain(self, error: DBAPIError) -> str:
        """What the driver's words mean to a person, in one line without the name of the database."""

    def hold(self) -> Held:
        """Be the one monitor on it, until what is given back is closed or the program ends, however; raises StoreError."""

    def holder(self) -> int | None:
        """The process of this machine that holds it; None where that is not known."""

    def close(self) -> None:
        """Give back every connection."""

    # the words

    def said(self, statement: str) -> str:
        """A statement of the store in the words of this database."""

    def upsert(self, table: Table) -> Upsert:
        """An INSERT of this database."""

    def says(self, column: Column[str], key: str, number: int) -> ColumnElement[bool]:
        """Whether a JSON text has this number under this key."""

    def put_fixes(self, connection: Connection, ids: npt.NDArray[np.int64], fixes: FixBatch, late: Bool | I8) -> None:
        """Insert fixes; `ids` is (N,), the database's id of each fix's vehicle."""

    def partitions(self, connection: Connection) -> Sequence[Part]:
        """The parts that the fixes lie in, oldest first; none where they are one table."""
