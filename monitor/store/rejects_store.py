"""Rejects as rows, for people to read: what was not taken, and why."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from monitor.store.schema import reject
from monitor.store.transaction import Transaction


class StoredReject(NamedTuple):
    """What was not taken."""

    id: int
    received: int
    carrier: str
    vehicle: str
    topic: str
    reason: str
    payload: bytes
    device: str | None
    released: int | None


def newest(transaction: Transaction, limit: int, carrier: str | None = None) -> list[StoredReject]:
    """The newest rejects, of one carrier or all, the newest first; not those that were taken after all."""
    columns = [reject.c[name] for name in StoredReject._fields]
    query = select(*columns).where(reject.c.released.is_(None)).order_by(reject.c.id.desc()).limit(limit)
    if carrier is not None:
        query = query.where(reject.c.carrier == carrier)
    return [StoredReject(*row) for row in transaction.connection.execute(query)]
