"""The fixes on PostgreSQL lie in one partition a month or a day of event time, made when the first fix of it comes.

What is older than `FIRST` or newer than `LAST` lies in one partition each, made with the table: a device with a broken clock must not
make thousands. For the same reason a day is given a partition of its own only near the newest; further back it is its whole month. A
new one takes the place there is between its neighbours, so that months and days may stand side by side.
A new partition is made as a table and then attached, which readers do not notice; making it in its place would have to wait for all
of them, a backup of hours among them.
Instants are ms since 1970 UTC; a span is half open.
Shapes: N fixes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

EVER = (-(2**63), 2**63 - 1)
FIRST, LAST = (int(np.datetime64(year, "ms").astype(np.int64)) for year in ("2015-01-01", "2200-01-01"))
NEAR = 100 * 86_400_000
"""How far back from the newest partition days have one of their own."""
UNITS = {"month": "M", "day": "D"}
"""What `store.partition` may say, as numpy calls it."""

STANDING = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'fix'::regclass
"""
BOUNDS = re.compile(r"FROM \((MINVALUE|'-?\d+')\) TO \((MAXVALUE|'-?\d+')\)")


class Part(NamedTuple):
    """A partition: the fixes with begin <= time < end."""

    begin: int
    end: int
    name: str


def standing(connection: Connection) -> list[Part]:
    """The partitions there are, in order; one that somebody made for all the rest counts as holding everything."""
    parts = []
    for name, said in connection.exec_driver_sql(STANDING):
        match = BOUNDS.search(said)
        begin, end = match.groups() if match else ("MINVALUE", "MAXVALUE")
        parts.append(Part(_bound(begin), _bound(end), name))
    return sorted(parts)


def make_room(connection: Connection, time: npt.NDArray[np.int64], partition: str) -> None:
    """See that there is a partition for each of these instants, (N,)."""
    parts = standing(connection)
    if any(part[:2] == EVER for part in parts):
        return
    while len(homeless := _homeless(time, parts)):
        made = span(int(homeless[0]), partition, parts)
        _make(connection, made)
        parts = sorted([*parts, made])


def span(time: int, partition: str, parts: list[Part]) -> Part:
    """The partition to make for an instant that none of `parts` holds."""
    newest = max((part.end for part in parts if part.end <= LAST), default=FIRST)
    unit = UNITS[partition] if newest - time < NEAR else "M"
    begin = np.datetime64(time, "ms").astype(f"M8[{unit}]")
    low, high = (int(each.astype("M8[ms]").astype(np.int64)) for each in (begin, begin + 1))
    low = max([low, *(part.end for part in parts if part.end <= time)])
    high = min([high, *(part.begin for part in parts if part.begin > time)])
    return Part(low, high, f"fix_{_day(low)}_{_day(high)}")


def drop_if_empty(connection: Connection, part: str) -> bool:
    """Drop a partition that holds nothing, unless somebody's reading would have to be waited for."""
    if connection.exec_driver_sql(f'SELECT EXISTS (SELECT FROM "{part}")').scalar_one():  # noqa: S608 (a name from the database)
        return False
    connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")  # who wants to read meanwhile queues behind us
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f'DROP TABLE "{part}"')
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != "55P03":
            raise
        return False
    return True


def _make(connection: Connection, part: Part) -> None:
    connection.exec_driver_sql(f'CREATE TABLE "{part.name}" (LIKE fix INCLUDING ALL)')
    connection.exec_driver_sql(f'ALTER TABLE fix ATTACH PARTITION "{part.name}" FOR VALUES FROM ({part.begin}) TO ({part.end})')


def _homeless(time: npt.NDArray[np.int64], parts: list[Part]) -> npt.NDArray[np.int64]:
    """The instants that no partition holds."""
    begin, end = (np.array([part[side] for part in parts], dtype=np.int64) for side in (0, 1))
    at = np.searchsorted(begin, time, side="right") - 1
    homeless: npt.NDArray[np.int64] = time[(at < 0) | ((time >= end[at]) & (end[at] != EVER[1]))]
    return homeless


def _bound(said: str) -> int:
    return {"MINVALUE": EVER[0], "MAXVALUE": EVER[1]}.get(said) or int(said.strip("'"))


def _day(time: int) -> str:
    return str(np.datetime64(time, "ms").astype("M8[D]")).replace("-", "")
