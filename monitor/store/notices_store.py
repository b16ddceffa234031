"""The outbox as rows: notices waiting, leased, sent; and every attempt at sending one.

A lease is taken in one transaction and ended in another, with the sending between them and outside of both. A notice whose lease
ran out may have arrived: it is sent again under the same key, and says so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, case, insert, select, update

from monitor.alerts.incident import SEVERITIES, State
from monitor.alerts.notice import Notice
from monitor.store.schema import attempt, incident, notice
from monitor.store.transaction import Transaction

URGENCY = case({severity: -rank for rank, severity in enumerate(SEVERITIES)}, value=notice.c.severity, else_=0)
WAITING = ("queued", "unknown")


class Lease(NamedTuple):
    """A notice that is ours to send, and the attempt it was leased for."""

    notice: Notice
    attempt: int


class Told(NamedTuple):
    """A notice and how it stands, for people to look at."""

    notice: Notice
    state: str
    at: int
    """ms; of the last attempt, else when it was written."""
    detail: str


def add_notice(transaction: Transaction, value: Notice, next_at: int) -> bool:
    """Queue a notice; False if its key is known, which changes nothing."""
    row = {
        "incident_id": value.incident,
        "kind": value.occasion,
        "severity": value.severity,
        "contact": value.contact,
        "channel": value.channel,
        "address": value.address,
        "subject": value.subject,
        "body": value.body,
        "language": value.language,
        "key": value.key,
        "created": value.created,
        "next_at": next_at,
        "state": "queued",
        "why": value.why,
    }
    written = transaction.upsert(notice).values(row).on_conflict_do_nothing().returning(notice.c.id)
    return transaction.connection.execute(written).first() is not None


def is_due(transaction: Transaction, channels: Collection[str] | None, now: int) -> bool:
    """Whether there is anything to lease, at the cost of a read."""
    return transaction.connection.execute(_due(channels, now).limit(1)).first() is not None


def lease_next(transaction: Transaction, channels: Collection[str] | None, now: int, until: int) -> Lease | None:
    """Take the most urgent due notice for these channels (None: all) until `until`, noting the attempt; None if none is due."""
    query = _due(channels, now).order_by(URGENCY, notice.c.created, notice.c.id)
    row = transaction.connection.execute(query.limit(1)).one_or_none()
    if row is None:
        return None
    leased = {"state": "leased", "lease_until": until, "attempts": row.attempts + 1}
    transaction.connection.execute(update(notice).where(notice.c.id == row.id).values(leased))
    # Until its outcome is recorded, an attempt is one of unknown outcome: that is what a crash leaves.
    earlier = select(attempt.c.id).where(attempt.c.notice_id == row.id, attempt.c.outcome == "unknown").limit(1)
    repeat = transaction.connection.execute(earlier).first() is not None
    written = insert(attempt).values(notice_id=row.id, at=now, outcome="unknown", detail="under way")
    number = transaction.connection.execute(written.returning(attempt.c.id)).scalar_one()
    return Lease(_notice(row, row.attempts + 1, repeat=repeat), number)


def still_wanted(transaction: Transaction, value: Notice) -> str:
    """Why a notice need not be sent any more; empty while it must. A mere note, or a word about the monitor, is always sent."""
    if value.severity == SEVERITIES[0] or value.incident is None:
        return ""
    query = select(incident.c.state, incident.c.acknowledged_by, incident.c.resolved_by).where(incident.c.id == value.incident)
    state, acknowledged_by, resolved_by = transaction.connection.execute(query).one()
    if state == State.OPEN:
        return ""
    return f"the incident was {state} by {resolved_by if state == State.RESOLVED else acknowledged_by} before it was sent"


def finish(transaction: Transaction, lease: Lease, outcome: str, detail: str, state: str, next_at: int | None) -> bool:
    """Record what became of an attempt and of its notice; False if somebody else has leased the notice since."""
    transaction.connection.execute(update(attempt).where(attempt.c.id == lease.attempt).values(outcome=outcome, detail=detail))
    ours = (notice.c.id == lease.notice.id) & (notice.c.state == "leased") & (notice.c.attempts == lease.notice.attempts)
    values = {"state": state, "next_at": next_at, "lease_until": None}
    return transaction.connection.execute(update(notice).where(ours).values(values)).rowcount == 1


def suppress(transaction: Transaction, lease: Lease, why: str) -> None:
    """Do not send a leased notice: its attempt never was one."""
    transaction.connection.execute(attempt.delete().where(attempt.c.id == lease.attempt))
    values = {"state": "suppressed", "why": why, "next_at": None, "lease_until": None}
    transaction.connection.execute(update(notice).where(notice.c.id == lease.notice.id).values(values))


def suppress_waiting(transaction: Transaction, number: int, why: str) -> int:
    """Suppress what waits to be sent about an incident, but for records of notes; returns how many."""
    waiting = notice.c.state.in_(WAITING) & (notice.c.incident_id == number) & (notice.c.severity != SEVERITIES[0])
    values = {"state": "suppressed", "why": why, "next_at": None}
    return transaction.connection.execute(update(notice).where(waiting).values(values)).rowcount


def told_contacts(transaction: Transaction, number: int) -> list[str]:
    """The contacts that anything about an incident was written to, in the order of the first."""
    query = select(notice.c.contact).where(notice.c.incident_id == number, notice.c.state != "suppressed").order_by(notice.c.id)
    return list(dict.fromkeys(transaction.connection.execute(query).scalars()))


def recent_notices(transaction: Transaction, limit: int) -> list[Told]:
    """The newest notices, newest first, with how they stand."""
    newest = transaction.connection.execute(select(notice).order_by(notice.c.id.desc()).limit(limit)).all()
    out = []
    for row in newest:
        tried = select(attempt.c.at, attempt.c.detail).where(attempt.c.notice_id == row.id).order_by(attempt.c.id.desc()).limit(1)
        last = transaction.connection.execute(tried).one_or_none()
        at, detail = (last.at, last.detail) if last is not None else (row.created, "")
        out.append(Told(_notice(row, row.attempts, repeat=False), row.state, at, detail))
    return out


def _due(channels: Collection[str] | None, now: int) -> Select[Any]:
    """The notices to send now: waiting and due, or leased to somebody whose lease ran out."""
    waiting = notice.c.state.in_(WAITING) & (notice.c.next_at <= now)
    abandoned = (notice.c.state == "leased") & (notice.c.lease_until <= now)
    query = select(notice).where(waiting | abandoned)
    return query if channels is None else query.where(notice.c.channel.in_(list(channels)))


def _notice(row: Row[Any], attempts: int, *, repeat: bool) -> Notice:
    return Notice(
        id=row.id,
        incident=row.incident_id,
        key=row.key,
        occasion=row.kind,
        severity=row.severity,
        contact=row.contact,
        channel=row.channel,
        address=row.address,
        language=row.language,
        subject=row.subject,
        body=row.body,
        created=row.created,
        why=row.why,
        attempts=attempts,
        repeat=repeat,
    )
