"""What is old moves from the database into files, one portion of one carrier's day after the other, and is never in neither.

    read      the rows, and which files hold fixes of that day already, in one reading transaction
    written   into a file of another name, flushed to the disk
    renamed   to its own name, the folder flushed
    verified  read back: as many fixes, and the same hash over all that they say
    dropped   in one writing transaction: the rows are still those that were read; the file is listed, they are deleted, the journal told

A program that ends anywhere leaves every fix in the database, in a listed file, or in the database and a file that nobody lists:
such a file is not read, and the next run writes the same one again. What was archived before and came once more is deleted and not
archived again. Fixes that wait to be judged stay until they are.
Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, func, insert, literal_column, select, update

from monitor.errors import StoreError
from monitor.fixes import COLUMNS, I8, Bool, FixBatch
from monitor.settings import Settings, milliseconds
from monitor.store import archive_file, archive_folder
from monitor.store.archive_file import Rows
from monitor.store.archive_folder import unobserved
from monitor.store.codec import fixes_from_rows
from monitor.store.schema import archived as archived_table
from monitor.store.schema import fix as fix_table
from monitor.store.schema import vehicle as vehicle_table
from monitor.store.store import Store
from monitor.store.transaction import WAITING

DAY_MS = 86_400_000
PORTION = 250_000
"""A file takes vehicles until it has this many fixes: what is deleted in one transaction stays a matter of a second."""
TRIES = 3
IDS = 500
"""How many ids one statement names."""


class Moved(NamedTuple):
    """What one portion was."""

    date: str
    carrier: str
    file: str
    """Below the archive's folder; empty where all of it had been archived before."""
    fixes: int
    """In the file."""
    doubles: int
    """Archived before, deleted now."""
    hash: str


class Listed(NamedTuple):
    """One file of the archive, as the database knows it."""

    id: int
    date: str
    carrier: str
    file: str
    """Below the archive's folder; empty: it was kept for as long as it had to be, and is gone."""
    fixes: int
    first: int
    last: int
    hash: str
    written: int


class Portion(NamedTuple):
    """Rows to move, and the files that hold fixes of their day already."""

    day: int
    carrier: str
    ids: list[int]
    rows: Rows
    listed: list[Listed]

    @property
    def date(self) -> str:
        """The day, ISO."""
        return str(np.datetime64(self.day, "D"))


def folder_in(settings: Settings) -> Path | None:
    """The archive's folder; None where there is none."""
    return Path(settings.store.archive) if settings.store.archive else None


def moves_before(settings: Settings, now: int) -> int | None:
    """The beginning of the first day (ms) that stays in the database at `now`; None: all stay.

    What a late fix may still rewind to stays in any case.
    """
    kept = settings.store.keep.fixes
    if kept is None or not settings.store.archive:
        return None
    order = settings.order
    reach = milliseconds(order.rewind_horizon) + milliseconds(order.checkpoint)
    return (now - max(milliseconds(kept), reach)) // DAY_MS * DAY_MS


def archive_due(
    store: Store,
    folder: Path,
    before: int,
    now: int,
    *,
    portion: int = PORTION,
    reached: Callable[[str], None] = unobserved,
) -> Moved | None:
    """Move one portion of the oldest day that lies before `before` (ms, the beginning of a day); None where there is none.

    `reached` is told each step, once it is done. Safe beside a monitor that runs, and in any thread.

    Raises
    ------
    StoreError
        If a file cannot be written or read back, the database is out of reach, or another program moves fixes into this folder.
        Nothing has left the database then.
    """
    with archive_folder.alone(folder):
        day = ""
        for _ in range(TRIES):
            with store.read() as t:
                taken = _next_portion(t.connection, before, portion)
            if taken is None:
                return None
            reached("read")
            moved = _move(store, folder, taken, now, reached)
            if moved is not None:
                return moved
            day = f"{taken.carrier} of {taken.date}"
        raise StoreError(f"{folder}: fixes of {day} keep coming; that day moves with the next run")


def listed(
    connection: Connection, carrier: str | None = None, after: int | None = None, until: int | None = None
) -> list[Listed]:
    """The files of the archive, by date and carrier: of one carrier, with fixes of after < time <= until (ms); None: without bound."""
    c = archived_table.c
    query = select(*(c[name] for name in Listed._fields))
    if carrier is not None:
        query = query.where(c.carrier == carrier)
    if after is not None:
        query = query.where(c.last > after)
    if until is not None:
        query = query.where(c.first <= until)
    return [Listed(*row) for row in connection.execute(query.order_by(c.date, c.carrier, c.id))]


def stored_rows(connection: Connection, vehicle_id: int, begin: int, end: int, *, waiting: bool) -> tuple[FixBatch, I8]:
    """The rows of one vehicle with begin <= time < end (ms), coded 0, and what is said of their lateness; with those that wait, or not."""
    c = fix_table.c
    flags = (func.coalesce(c[name], -1) for name in ("ignition", "door"))
    columns = (c.time, c.digest, c.lon, c.lat, c.speed, c.heading, c.accuracy, *flags, c.alarms, c.quality)
    query = select(literal_column("0"), *columns, c.late).where(c.vehicle_id == vehicle_id, c.time >= begin, c.time < end)
    if not waiting:
        query = query.where(c.late < WAITING)
    rows = connection.execute(query.order_by(c.time, c.digest)).fetchall()
    return fixes_from_rows([tuple(row[:-1]) for row in rows]), np.array([row[-1] for row in rows], np.int8)


def _next_portion(connection: Connection, before: int, portion: int) -> Portion | None:
    """The oldest day of all, the first carrier in it, of its vehicles as many as make a portion."""
    c = fix_table.c
    mine = (c.vehicle_id == vehicle_table.c.id, c.time < before, c.late < WAITING)
    first = select(c.time).where(*mine).order_by(c.time).limit(1).scalar_subquery()
    found = connection.execute(select(vehicle_table.c.id, vehicle_table.c.carrier, vehicle_table.c.name, first))
    days = [(row[3] // DAY_MS, row[1], row[2], row[0]) for row in found if row[3] is not None]
    if not days:
        return None
    days.sort()
    day, carrier, _, _ = days[0]
    names, ids, batches, late = list[str](), list[int](), list[FixBatch](), list[I8]()
    for other_day, other, name, vehicle_id in days:
        if (other_day, other) != (day, carrier) or sum(map(len, late)) >= portion:
            break
        fixes, said = stored_rows(connection, vehicle_id, day * DAY_MS, (day + 1) * DAY_MS, waiting=False)
        fixes.vehicle[:] = len(names)
        names.append(name)
        ids.append(vehicle_id)
        batches.append(fixes)
        late.append(said)
    all_fixes = FixBatch(*(np.concatenate([getattr(batch, name) for batch in batches]) for name in COLUMNS))
    rows = Rows(tuple(names), all_fixes, np.concatenate(late))
    return Portion(day, carrier, ids, rows, listed(connection, carrier, day * DAY_MS - 1, (day + 1) * DAY_MS - 1))


def _move(store: Store, folder: Path, taken: Portion, now: int, reached: Callable[[str], None]) -> Moved | None:
    """Write, verify and drop a portion; None where its rows changed meanwhile."""
    fresh = taken.rows.take(~_archived_before(folder, taken))
    doubles = len(taken.rows) - len(fresh)
    content, file = "", ""
    if len(fresh):
        content = archive_file.content_hash(taken.carrier, fresh)
        file = f"{archive_file.folder_of(taken.date, taken.carrier)}/{archive_file.name_of(content)}"
        archive_folder.write(folder / file, archive_file.encoded(taken.carrier, taken.date, fresh), reached)
        archive_folder.verified(folder / file, taken.carrier, len(fresh), content)
        reached("verified")
    moved = Moved(taken.date, taken.carrier, file, len(fresh), doubles, content)
    with store.begin() as t:
        if not _drop(t.connection, taken):
            return None
        if file:
            time = fresh.fixes.time.view(np.int64)
            values = {"first": int(time.min()), "last": int(time.max()), "written": now}
            values |= {name: getattr(moved, name) for name in ("date", "carrier", "file", "fixes", "hash")}
            t.connection.execute(insert(archived_table).values(values))
        t.record("monitor", "archive", moved._asdict(), now)
        reached("deleted")
    reached("dropped")
    _clear(store, folder, taken)
    return moved


def _clear(store: Store, folder: Path, taken: Portion) -> None:
    """Remove what interrupted runs left beside the listed files of a day, where these hold every fix of it."""
    found = archive_folder.files(folder, archive_file.folder_of(taken.date, taken.carrier))
    with store.read() as t:
        parts = {part.file for part in listed(t.connection, taken.carrier, taken.day * DAY_MS - 1, (taken.day + 1) * DAY_MS - 1)}
    left = [file for file in found if file not in parts]
    known: set[archive_file.Key] = set()
    for file in [file for file in found if file in parts] if left else ():
        known.update(archive_file.read_rows(folder / file, taken.carrier).each())
    for file in left:
        if known.issuperset(archive_file.read_rows(folder / file, taken.carrier).each()):
            archive_folder.remove(folder / file)


def _archived_before(folder: Path, taken: Portion) -> Bool:
    """(N,) which rows a listed file of their day holds already."""
    known: set[archive_file.Key] = set()
    for part in taken.listed:
        if part.file:
            known.update(archive_file.read_rows(folder / part.file, taken.carrier, taken.rows.names).each())
    return np.array([key in known for key in taken.rows.each()], bool) if known else np.zeros(len(taken.rows), bool)


def _drop(connection: Connection, taken: Portion) -> bool:
    """Delete the rows of a portion; says False, and deletes nothing, where they are not those that were read."""
    c = fix_table.c
    day = (c.time >= taken.day * DAY_MS, c.time < (taken.day + 1) * DAY_MS, c.late < WAITING)
    sums = (
        func.count(),
        func.sum(c.digest.op("&")(literal_column("4294967295"))),
        func.sum(c.digest.op(">>")(literal_column("32"))),
    )
    found = [0, 0, 0]
    for some in _some(taken.ids):
        said = connection.execute(select(*sums).where(c.vehicle_id.in_(some), *day)).one()
        found = [before + int(more or 0) for before, more in zip(found, said, strict=True)]
    digest = taken.rows.fixes.digest
    if found != [len(digest), int((digest & 0xFFFFFFFF).sum()), int((digest >> 32).sum())]:
        return False  # another fix of that day came, or one that waited was judged
    last, held = (taken.day + 1) * DAY_MS - 1, vehicle_table.c.archived
    for some in _some(taken.ids):
        connection.execute(delete(fix_table).where(c.vehicle_id.in_(some), *day))
        newer = vehicle_table.c.id.in_(some) & (held.is_(None) | (held < last))
        connection.execute(update(vehicle_table).where(newer).values(archived=last))
    return True


def _some(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[begin : begin + IDS] for begin in range(0, len(ids), IDS))
