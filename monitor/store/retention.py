"""What is kept no longer, by class: rejects, closed findings and files of the archive, in portions.

Never deleted are signals, incidents, notices and their attempts, configuration, credentials, devices and the journal: they are the
evidence of what was concluded, said and done, and small. Fixes are not deleted either: they move (`archive`), and go with their file.
Every portion is told in the journal: that something is gone on purpose shows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import delete, func, select, update

from monitor.settings import Settings, milliseconds
from monitor.store import archive_folder
from monitor.store.archive import folder_in
from monitor.store.schema import archived as archived_table
from monitor.store.schema import finding as finding_table
from monitor.store.schema import reject as reject_table
from monitor.store.store import Store

PORTION = 5000
"""Rows that one transaction looks at."""


class Expired(NamedTuple):
    """What one portion was."""

    kind: str
    """rejects, findings or archive."""
    rows: int
    """Of the archive: fixes."""
    until: int
    """The newest of them, or the end of the file (ms)."""
    file: str = ""
    """Of the archive: which file."""


def expire_due(store: Store, settings: Settings, now: int) -> Expired | None:
    """Delete one portion of what is kept no longer at `now` (ms); None where nothing is left to delete.

    Raises
    ------
    StoreError
        If the database is out of reach, or a file cannot be removed.
    """
    keep, folder = settings.store.keep, folder_in(settings)
    steps: list[tuple[timedelta | None, Callable[[int], Expired | None]]] = [
        (keep.rejects, lambda before: _rejects(store, before, now)),
        (keep.findings, lambda before: _findings(store, before, now)),
        (keep.archive if folder else None, lambda before: _file(store, folder or Path(), before, now)),
    ]
    for kept, step in steps:
        expired = None if kept is None else step(now - milliseconds(kept))
        if expired is not None:
            return expired
    return None


def _rejects(store: Store, before: int, now: int) -> Expired | None:
    """The oldest, as long as they are old enough: their numbers follow the clock."""
    c = reject_table.c
    with store.begin() as t:
        oldest = t.connection.execute(select(c.id, c.received).order_by(c.id).limit(PORTION)).all()
        old = [row for row in oldest if row.received < before]
        if not old:
            return None
        going = c.id.between(old[0].id, old[-1].id) & (c.received < before)
        t.connection.execute(delete(reject_table).where(going))
        expired = Expired("rejects", len(old), max(row.received for row in old))
        t.record("monitor", "expired", expired._asdict(), now)
    return expired


def _findings(store: Store, before: int, now: int) -> Expired | None:
    c = finding_table.c
    with store.begin() as t:
        old = t.connection.execute(select(c.id, c.closed).where(c.closed < before).order_by(c.id).limit(PORTION)).all()
        if not old:
            return None
        going = c.id.between(old[0].id, old[-1].id) & (c.closed < before)
        t.connection.execute(delete(finding_table).where(going))
        expired = Expired("findings", len(old), max(row.closed for row in old))
        t.record("monitor", "expired", expired._asdict(), now)
    return expired


def _file(store: Store, folder: Path, before: int, now: int) -> Expired | None:
    """One file of the archive whose newest fix is old enough. Its row stays, without a name: what it was, and that it is gone.

    The file goes first: one that a program's end leaves without its row would stay for ever.
    """
    c = archived_table.c
    with archive_folder.alone(folder):
        with store.read() as t:
            query = select(c.id, c.file, c.fixes, c.last).where(c.last < before, func.length(c.file) > 0)
            row = t.connection.execute(query.order_by(c.last, c.id).limit(1)).one_or_none()
        if row is None:
            return None
        archive_folder.remove(folder / row.file)
        expired = Expired("archive", row.fixes, row.last, row.file)
        with store.begin() as t:
            t.connection.execute(update(archived_table).where(c.id == row.id).values(file=""))
            t.record("monitor", "expired", expired._asdict(), now)
    return expired
