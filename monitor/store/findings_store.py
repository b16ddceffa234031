"""Findings as rows: observations of one kind, carrier and subject count as one until it is closed.

The journal is told when one opens and when it is closed, not each time that it is seen again. A flood of subjects is bounded: beyond
`MOST_OPEN` of a carrier, further ones count under one name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, insert, select, update

from monitor.findings import Finding
from monitor.store.codec import encodable
from monitor.store.schema import finding
from monitor.store.transaction import Transaction

MOST_OPEN = 1000
"""Open findings of one kind and carrier."""
THE_REST = "(many more)"
ACTOR = "monitor"


class StoredFinding(NamedTuple):
    """A finding as it stands."""

    id: int
    kind: str
    carrier: str
    subject: str
    detail: str
    first: int
    last: int
    times: int
    closed: int | None


def note(transaction: Transaction, findings: Sequence[Finding], now: int) -> None:
    """Count what was seen; what was not open is opened."""
    together: dict[tuple[str, str, str], tuple[str, int]] = {}
    for kind, carrier, subject, detail in findings:
        key = (kind, encodable(carrier), encodable(subject))
        together[key] = (encodable(detail), together.get(key, ("", 0))[1] + 1)
    for (kind, carrier, subject), (detail, count) in together.items():
        if not _seen_again(transaction, (kind, carrier, subject), detail, count, now):
            _open(transaction, (kind, carrier, subject), detail, count, now)


def close(transaction: Transaction, kind: str, carrier: str, subject: str, why: str, now: int, *, by: str = ACTOR) -> bool:
    """Close a finding; gives whether it was open."""
    found = update(finding).where(_is(kind, carrier, subject)).values(closed=now)
    closed = transaction.connection.execute(found).rowcount > 0
    if closed:
        body = {"finding": kind, "carrier": carrier, "subject": subject, "why": why}
        transaction.record(by, "finding.closed", body, now)
    return closed


def listed(transaction: Transaction, *, also_closed: bool = False) -> list[StoredFinding]:
    """The findings, the latest seen first."""
    columns = [finding.c["count" if name == "times" else name] for name in StoredFinding._fields]
    query = select(*columns).order_by(finding.c.last.desc(), finding.c.id.desc())
    if not also_closed:
        query = query.where(finding.c.closed.is_(None))
    return [StoredFinding(*row) for row in transaction.connection.execute(query)]


def _seen_again(transaction: Transaction, key: tuple[str, str, str], detail: str, count: int, now: int) -> bool:
    values = {"last": now, "detail": detail, "count": finding.c["count"] + count}
    return transaction.connection.execute(update(finding).where(_is(*key)).values(values)).rowcount > 0


def _open(transaction: Transaction, key: tuple[str, str, str], detail: str, count: int, now: int) -> None:
    kind, carrier, subject = key
    many = select(func.count()).where(finding.c.kind == kind, finding.c.carrier == carrier, finding.c.closed.is_(None))
    if transaction.connection.execute(many).scalar_one() >= MOST_OPEN:
        subject = THE_REST
        if _seen_again(transaction, (kind, carrier, subject), detail, count, now):
            return
    values = {"kind": kind, "carrier": carrier, "subject": subject, "detail": detail, "first": now, "last": now, "count": count}
    transaction.connection.execute(insert(finding).values(values))
    body = {"finding": kind, "carrier": carrier, "subject": subject, "detail": detail}
    transaction.record(ACTOR, "finding.opened", body, now)


def _is(kind: str, carrier: str, subject: str) -> ColumnElement[bool]:
    return (finding.c.kind == kind) & (finding.c.carrier == carrier) & (finding.c.subject == subject) & finding.c.closed.is_(None)
