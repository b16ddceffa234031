"""Checks of the database: in reach, of this release, writable, its journal unbroken, and no younger than the clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from monitor.doctor.lines import Installation, Line, fail, ok, warn
from monitor.errors import MonitorError
from monitor.findings import CLOCK_STEPPED, STORE_FAULT
from monitor.settings import Store as Said
from monitor.store import findings_store, migrations
from monitor.store.journal import BEGINNING, entry_hash
from monitor.store.schema import REVISION, journal, journal_head
from monitor.store.store import Store, file_of
from monitor.store.transaction import Transaction

WHAT = "database"
RECENT = 10_000
"""Entries of the journal that are looked at; `monitor verify` looks at all."""
AHEAD_MS = 60_000
TROUBLES = (STORE_FAULT, CLOCK_STEPPED)


def database(installation: Installation) -> Iterator[Line]:
    """It can be used as it is; one of an earlier release is left to the start of the monitor."""
    said = installation.configuration.settings.store
    file = file_of(said.url)
    if file is not None and not file.exists():
        yield ok(WHAT, f"{file} is not there yet; the first start makes it")
        return
    try:
        revision = _revision(said)
    except (DBAPIError, OSError) as error:
        words = error.orig if isinstance(error, DBAPIError) else error
        yield fail(
            WHAT,
            f"cannot be read: {str(words).strip().splitlines()[0]}",
            "look at store.url, its rights, and whether the server runs",
        )
        return
    if revision != REVISION:
        yield from _of_another_release(revision)
        return
    try:
        yield from _opened(said, installation.now)
    except MonitorError as error:
        yield fail(WHAT, str(error), "put that right, then ask again")


def _of_another_release(revision: str | None) -> Iterator[Line]:
    if revision is None:
        yield warn(WHAT, "holds nothing of a monitor yet", "the first start makes the tables, if the database is empty")
    elif revision in migrations.revisions():
        yield warn(
            WHAT, f"is of an earlier release (schema {revision})", "make a backup; the next start brings it to this release"
        )
    else:
        yield fail(WHAT, f"was made by a newer release (schema {revision}; this one knows {REVISION})", "install that release")


def _opened(said: Said, now: int) -> Iterator[Line]:
    store = Store.of(said, create=False)
    try:
        with store.begin():
            yield ok(WHAT, f"{store.name} can be read and written, schema {REVISION}")
        for text in store.warnings:
            yield warn(WHAT, text, "change that on the server")
        with store.read() as transaction:
            yield from _journal(transaction, now)
            yield from _troubles(transaction)
    finally:
        store.close()


def _journal(transaction: Transaction, now: int) -> Iterator[Line]:
    """Its newest entries are chained, up to the head, and not from a time to come."""
    newest = select(journal).order_by(journal.c.seq.desc()).limit(RECENT)
    rows = transaction.connection.execute(newest).all()[::-1]
    head = transaction.connection.execute(select(journal_head.c.seq, journal_head.c.hash)).one_or_none()
    previous = rows[0].previous if rows and rows[0].seq > 1 else BEGINNING
    for row in rows:
        own = entry_hash(row.seq, row.at, str(row.actor), str(row.kind), str(row.body), previous)
        if (row.previous, row.hash) != (previous, own):
            yield fail(
                "journal",
                f"entry {row.seq} was edited, or one before it is missing",
                "keep a copy, and look with `monitor verify`",
            )
            return
        previous = row.hash
    count = transaction.connection.execute(select(func.count()).select_from(journal)).scalar_one()
    if head is None or (head.hash, head.seq) != (previous, count):
        yield fail("journal", "its end is missing", "keep a copy, and look with `monitor verify`")
        return
    yield ok("journal", f"the last {len(rows)} of {count} entries verify")
    if rows and rows[-1].at > now + AHEAD_MS:
        ahead = (rows[-1].at - now) // 1000
        yield warn("clock", f"the journal's last entry is {ahead} s ahead of it", "the clock was set back, or is wrong: set it")


def _troubles(transaction: Transaction) -> Iterator[Line]:
    for each in findings_store.listed(transaction):
        if each.kind in TROUBLES:
            yield warn("findings", f"{each.kind}: {each.detail}", f"look into it, then `monitor findings --close {each.id}`")


def _revision(said: Said) -> str | None:
    """The schema's revision, read without changing anything."""
    engine = create_engine(_plain(said))
    try:
        with engine.connect() as connection:
            return migrations.revision_of(connection)
    finally:
        engine.dispose()


def _plain(said: Said) -> URL:
    url, file = make_url(said.url), file_of(said.url)
    if file is not None:
        return URL.create("sqlite", database=f"file:{file.absolute()}", query={"mode": "ro", "uri": "true"})
    if said.password_file:
        url = url.set(password=Path(said.password_file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r"))
    return url.set(drivername="postgresql+psycopg")
