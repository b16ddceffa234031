"""Figures of what is stored, for those who watch the monitor: one cheap read; and which vehicles were heard, by carrier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, func, select

from monitor.store.schema import archived, escalation_run, finding, incident, journal_head, notice, reject, vehicle, waiting
from monitor.store.schema import fix as fix_table
from monitor.store.transaction import Transaction

HOUR_MS = 3_600_000


class Figures(NamedTuple):
    """What the database says."""

    heard: Mapping[str, int]
    """Carrier -> vehicles with a fix of the last hour."""
    incidents: Mapping[str, int]
    """Severity -> incidents that are not resolved."""
    notices: Mapping[str, int]
    """State -> notices."""
    findings: Mapping[str, int]
    """Kind -> findings that are open."""
    escalation_lag_s: float
    notice_lag_s: float
    waiting: int
    quarantined: int
    journal: int
    size: int
    """Bytes."""
    archived_fixes: int
    archived_files: int


class Heard(NamedTuple):
    """Of one vehicle, the time of its newest fix (ms)."""

    carrier: str
    vehicle: str
    newest: int


def figures(transaction: Transaction, now: int) -> Figures:
    """Read them all, as of `now` (ms)."""
    heard: dict[str, int] = {}
    for each in newest_fixes(transaction):
        if each.newest > now - HOUR_MS:
            heard[each.carrier] = heard.get(each.carrier, 0) + 1
    ask = transaction.connection.execute
    files = ask(select(func.count(), func.coalesce(func.sum(archived.c.fixes), 0)).select_from(archived)).one()
    quarantined = reject.c.device.is_not(None) & reject.c.released.is_(None)
    return Figures(
        heard=heard,
        incidents=_counts(transaction, incident.c.severity, incident.c.state != "resolved"),
        notices=_counts(transaction, notice.c.state),
        findings=_counts(transaction, finding.c.kind, finding.c.closed.is_(None)),
        escalation_lag_s=_lag(transaction, escalation_run, escalation_run.c.state == "running", now),
        notice_lag_s=_lag(transaction, notice, notice.c.state.in_(("queued", "unknown")), now),
        waiting=ask(select(func.count()).select_from(waiting)).scalar_one(),
        quarantined=ask(select(func.count()).select_from(reject).where(quarantined)).scalar_one(),
        journal=ask(select(func.coalesce(func.max(journal_head.c.seq), 0))).scalar_one(),
        size=_size(transaction),
        archived_fixes=int(files[1]),
        archived_files=int(files[0]),
    )


def newest_fixes(transaction: Transaction) -> list[Heard]:
    """Of each vehicle that was ever heard the time of its newest fix, by carrier and name."""
    newest = select(fix_table.c.time).where(fix_table.c.vehicle_id == vehicle.c.id)
    last = newest.order_by(fix_table.c.time.desc()).limit(1).scalar_subquery()
    query = select(vehicle.c.carrier, vehicle.c.name, last).order_by(vehicle.c.carrier, vehicle.c.name)
    return [Heard(*row) for row in transaction.connection.execute(query) if row[2] is not None]


def _counts(transaction: Transaction, column: ColumnElement[str], which: ColumnElement[bool] | None = None) -> dict[str, int]:
    query = select(column, func.count()).group_by(column).order_by(column)
    rows = transaction.connection.execute(query if which is None else query.where(which))
    return {str(kind): int(count) for kind, count in rows}


def _lag(transaction: Transaction, table: Table, which: ColumnElement[bool], now: int) -> float:
    """Seconds that the oldest row has been due."""
    due = transaction.connection.execute(select(func.min(table.c.next_at)).where(which)).scalar_one()
    return 0.0 if due is None else max(0, now - due) / 1000


def _size(transaction: Transaction) -> int:
    """Bytes of the database, without what waits in SQLite's log beside it."""
    if transaction.connection.dialect.name == "postgresql":
        return int(transaction.connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    words = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(transaction.connection.exec_driver_sql(words).scalar_one())
