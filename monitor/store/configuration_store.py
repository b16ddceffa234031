"""The history of the configuration as rows of the database, inside one transaction of the store; see `monitor.history`.

A row *applied* is one that every vehicle has been judged by. A command writes rows that are not: the monitor that runs, or the next
one that starts, lays them over the history and judges anew whom they concern, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, false, insert, select, true, update

from monitor.history import GONE, Row
from monitor.store import journal
from monitor.store.schema import configuration
from monitor.store.transaction import Transaction

FIELDS = ("kind", "name", "body", "valid_from", "valid_until", "source", "by", "recorded", "id")


def load(transaction: Transaction) -> list[Row]:
    """The history as it is applied, in the order of its rows."""
    return _rows(transaction, applied=True)


def pending(transaction: Transaction) -> list[Row]:
    """What commands have written since; most often nothing."""
    return _rows(transaction, applied=False)


def save(transaction: Transaction, before: Sequence[Row], after: Sequence[Row]) -> tuple[Row, ...]:
    """Store an edited history over the one before: intervals closed, rows added or applied; gives it with the ids of all rows."""
    known = {row.id: row for row in before}
    changed = [row for row in after if row.id and row != known.get(row.id)]
    if changed:
        query = (
            update(configuration)
            .where(configuration.c.id == bindparam("row"))
            .values(applied=True, valid_until=bindparam("until"))
        )
        transaction.connection.execute(query, [{"row": row.id, "until": row.valid_until} for row in changed])
    ids = iter(_insert(transaction, [row for row in after if not row.id], applied=True))
    return tuple(row if row.id else replace(row, id=next(ids)) for row in after)


def ask(transaction: Transaction, row: Row) -> None:
    """Write a row for the monitor to apply."""
    _insert(transaction, [row], applied=False)


def _insert(transaction: Transaction, rows: Sequence[Row], *, applied: bool) -> Sequence[int]:
    """Store rows, and tell of them in the journal; gives their ids, in order."""
    if not rows:
        return []
    values = [{name: getattr(row, name) for name in FIELDS if name != "id"} | {"applied": applied} for row in rows]
    query = insert(configuration).returning(configuration.c.id, sort_by_parameter_order=True)
    ids = transaction.connection.execute(query, values).scalars().all()
    told = [journal.Told(row.by, "configuration", _told(row, number)) for row, number in zip(rows, ids, strict=True)]
    journal.append(transaction, told, max(row.recorded for row in rows))
    return ids


def _told(row: Row, number: int) -> dict[str, object]:
    said = {name: getattr(row, name) for name in FIELDS if name not in ("id", "by", "recorded")}
    return said | {"id": number, "what": "withdrawn" if row.body == GONE else "stated"}


def _rows(transaction: Transaction, *, applied: bool) -> list[Row]:
    columns = [configuration.c[name] for name in FIELDS]
    query = select(*columns).where(configuration.c.applied == (true() if applied else false()))
    return [Row(*values) for values in transaction.connection.execute(query.order_by(configuration.c.id))]
