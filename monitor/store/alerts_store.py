"""Incidents and escalation runs as rows: what `monitor.alerts` thinks in values, kept inside one transaction of the store.

An incident is saved with its links to signals; the signals themselves are the signal log's rows, so that a loaded incident always
shows them as they stand. Nothing here decides anything.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, insert, or_, select, tuple_, update

from monitor.alerts.escalation import Policy, Run, RunState
from monitor.alerts.incident import FOREVER, Incident, Link, Member, State
from monitor.signals import Change
from monitor.store.codec import SIGNAL_FIELDS, signal_from_row
from monitor.store.schema import escalation_run, incident, incident_signal, journal, signal, vehicle
from monitor.store.transaction import Transaction

P = TypeVar("P")
AT_ONCE = 5000
"""Parameters in one question: a database takes some tens of thousands."""
KEPT = tuple(
    name for name in (item.name for item in dataclasses.fields(Incident)) if name not in ("id", "members", "cleared", "state")
)
"""The fields of an incident that are columns under the same name and as they are."""


def incidents_for(transaction: Transaction, changes: Sequence[Change], now: int, reopen: int) -> list[Incident]:
    """What folding these needs: the vehicles' incidents unresolved or resolved within `reopen` ms, and those of the signals."""
    vehicles = sorted({(change.signal.carrier, change.signal.vehicle) for change in changes})
    recent = or_(incident.c.state != State.RESOLVED, incident.c.resolved_at >= now - reopen)
    known = [change.id for change in changes if change.id is not None]
    found: dict[int, Incident] = {}
    for some in _in_parts(vehicles):
        theirs = tuple_(incident.c.carrier, incident.c.vehicle).in_(some) & recent
        found |= {one.id: one for one in _load(transaction, theirs)}
    for part in _in_parts(known):
        holding = select(incident_signal.c.incident_id).where(incident_signal.c.signal_id.in_(part))
        found |= {one.id: one for one in _load(transaction, incident.c.id.in_(holding))}
    return [found[number] for number in sorted(found)]


def _in_parts(items: Sequence[P]) -> Iterator[Sequence[P]]:
    """As many at a time as a database takes parameters for."""
    return (items[begin : begin + AT_ONCE] for begin in range(0, len(items), AT_ONCE))


def find_incident(transaction: Transaction, number: int) -> Incident | None:
    """One incident by its id; None if there is none."""
    found = _load(transaction, incident.c.id == number)
    return found[0] if found else None


def find_incidents(transaction: Transaction, numbers: Iterable[int]) -> dict[int, Incident]:
    """Incidents by id."""
    return {found.id: found for found in _load(transaction, incident.c.id.in_(list(numbers)))}


def unresolved(transaction: Transaction) -> list[Incident]:
    """Every incident that still needs somebody, by id."""
    return _load(transaction, incident.c.state != State.RESOLVED)


def latest(transaction: Transaction, limit: int) -> list[Incident]:
    """The newest incidents of any state, by id."""
    newest = select(incident.c.id).order_by(incident.c.id.desc()).limit(limit)
    return _load(transaction, incident.c.id.in_(newest))


def save_incident(transaction: Transaction, value: Incident) -> Incident:
    """Store an incident with its links; the same comes back, with an id if it had none."""
    end = value.span[1]
    row: dict[str, Any] = {name: getattr(value, name) for name in KEPT}
    row |= {
        "state": str(value.state),
        "clear": value.cleared is not None,
        "cleared_at": value.cleared,
        "until": None if end == FOREVER else end,
    }
    if value.id < 0:
        given = transaction.connection.execute(insert(incident).values(row).returning(incident.c.id)).scalar_one()
        value = dataclasses.replace(value, id=given)
    else:
        transaction.connection.execute(update(incident).where(incident.c.id == value.id).values(row))
    links = [{"incident_id": value.id, "signal_id": member.id, "link": str(member.link)} for member in value.members]
    query = transaction.upsert(incident_signal)
    kept = query.on_conflict_do_update(index_elements=["incident_id", "signal_id"], set_={"link": query.excluded.link})
    transaction.connection.execute(kept, links)
    return value


def find_run(transaction: Transaction, number: int) -> Run | None:
    """The escalation of one incident; None if it never had one."""
    return find_runs(transaction, [number]).get(number)


def find_runs(transaction: Transaction, numbers: Iterable[int]) -> dict[int, Run]:
    """The escalations of incidents, by incident."""
    rows = transaction.connection.execute(select(escalation_run).where(escalation_run.c.incident_id.in_(list(numbers))))
    return {row.incident_id: _run(row) for row in rows}


def due_runs(transaction: Transaction, now: int, limit: int) -> list[Run]:
    """The escalations that have something to do at `now`, the longest due first."""
    query = select(escalation_run).where(escalation_run.c.state == RunState.RUNNING, escalation_run.c.next_at <= now)
    return [_run(row) for row in transaction.connection.execute(query.order_by(escalation_run.c.next_at).limit(limit))]


def save_run(transaction: Transaction, run: Run) -> None:
    """Store an escalation over the incident's earlier one."""
    row = {
        "incident_id": run.incident,
        "policy": run.policy.as_json(),
        "step": run.step,
        "next_at": run.next_at,
        "loops": run.loops,
        "state": str(run.state),
        "version": run.version,
    }
    query = transaction.upsert(escalation_run).values(row)
    transaction.connection.execute(query.on_conflict_do_update(index_elements=["incident_id"], set_=row))


class Moment(NamedTuple):
    """One line of an incident's timeline."""

    at: int
    actor: str
    what: str
    why: str


def timeline(transaction: Transaction, number: int) -> list[Moment]:
    """Everything that happened to an incident and its notices, who did it and why, in the order of the journal."""
    whose = transaction.database.says(journal.c.body, "incident", number)
    about = or_(journal.c.kind.startswith("incident."), journal.c.kind.startswith("notice."))
    query = select(journal.c.at, journal.c.actor, journal.c.kind, journal.c.body).where(about, whose).order_by(journal.c.seq)
    moments = []
    for at, actor, kind, text in transaction.connection.execute(query):
        body = json.loads(text)
        to = f"{body['contact']} by {body['channel']}: " if "contact" in body else ""
        moments.append(Moment(at, actor, kind, to + (body.get("why") or body.get("detail") or "")))
    return moments


def _run(row: Row[Any]) -> Run:
    policy = Policy.from_json(row.policy)
    return Run(row.incident_id, policy, row.step, row.next_at, row.loops, RunState(row.state), row.version)


def _load(transaction: Transaction, condition: ColumnElement[bool]) -> list[Incident]:
    rows = transaction.connection.execute(select(incident).where(condition).order_by(incident.c.id)).all()
    members = _members(transaction, [row.id for row in rows])
    return [
        Incident(
            id=row.id,
            members=tuple(members[row.id]),
            cleared=row.cleared_at,
            state=State(row.state),
            **{name: row._mapping[name] for name in KEPT},
        )
        for row in rows
    ]


def _members(transaction: Transaction, incidents: Sequence[int]) -> dict[int, list[Member]]:
    """The signals of incidents, in the order they came; those of an operational one are of many vehicles."""
    out: dict[int, list[Member]] = defaultdict(list)
    columns = [signal.c[name] for name in SIGNAL_FIELDS]
    query = (
        select(
            incident_signal.c.incident_id,
            incident_signal.c.link,
            signal.c.id,
            signal.c.state,
            signal.c.withdrawn_reason,
            vehicle.c.carrier,
            vehicle.c.name,
            *columns,
        )
        .join_from(incident_signal, signal)
        .join(vehicle)
        .order_by(incident_signal.c.incident_id, signal.c.id)
    )
    parts = [query.where(incident_signal.c.incident_id.in_(some)) for some in _in_parts(incidents)]
    rows = (row for part in parts for row in transaction.connection.execute(part))
    for number, link, known, state, reason, carrier, name, *values in rows:
        gone = (reason or "withdrawn") if state == "withdrawn" else None
        out[number].append(Member(known, signal_from_row(carrier, name, values, state), Link(link), gone))
    return out
