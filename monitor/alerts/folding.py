"""Folding: how signals of one vehicle become one incident, and what news does to an incident.

Definitions
    A signal joins an incident of its vehicle when it overlaps the incident's span, or follows or precedes it by at most `join`.
    Where it reaches several, it joins the oldest and is linked to the others.
    A resolved incident is reopened by a signal that joins it at most `reopen` after the resolution; where a person resolved it,
    the span reaches until then. Graver news than a person acknowledged or resolved opens the incident again.
    A new measure of a signal is no news.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from monitor.alerts.incident import (
    MACHINE,
    SEVERITIES,
    Event,
    Incident,
    IncidentChange,
    Link,
    Member,
    State,
    What,
    signal_end,
    worst,
)
from monitor.settings import Alerts, format_duration, milliseconds
from monitor.signals import Change, ChangeKind, Signal


class Folding:
    """The incidents while one delivery is folded into them."""

    def __init__(self, incidents: Sequence[Incident], now: int, alerts: Alerts) -> None:
        self.before = {incident.id: incident for incident in incidents}
        self.after = dict(self.before)
        self.of_vehicle: dict[tuple[str, str], list[int]] = {}
        self.of_signal: dict[int, list[int]] = {}
        for incident in incidents:
            self.of_vehicle.setdefault((incident.carrier, incident.vehicle), []).append(incident.id)
            for member in incident.members:
                self.of_signal.setdefault(member.id, []).append(incident.id)
        self.events: dict[int, list[Event]] = {}
        self.now, self.alerts = now, alerts

    def theirs(self, signal: Signal) -> list[Incident]:
        """The incidents of a signal's vehicle, as they stand now."""
        return [self.after[number] for number in self.of_vehicle.get((signal.carrier, signal.vehicle), ())]

    def note(self, incident: Incident, what: What, why: str, signal: int | None) -> None:
        """Put an incident's new value, with a line for its timeline."""
        self.after[incident.id] = incident
        self.events.setdefault(incident.id, []).append(Event(what, why, signal))

    def update(self, changes: Iterable[Change]) -> None:
        """Known signals were revised, ended, were measured again or were withdrawn."""
        theirs: dict[int, list[Change]] = {}
        for change in changes:
            for number in self.of_signal.get(stored(change), ()):
                theirs.setdefault(number, []).append(change)
        for number, news in theirs.items():
            by_id = {change.id: change for change in news}
            members = tuple(_updated(member, by_id.get(member.id)) for member in self.after[number].members)
            self.after[number] = dataclasses.replace(self.after[number], members=members)
            for change in news:
                if change.what is not ChangeKind.MEASURED:
                    what = {ChangeKind.CLEARED: What.ENDED, ChangeKind.WITHDRAWN: What.WITHDRAWN}.get(change.what, What.REVISED)
                    self.note(self.after[number], what, change.reason or change.signal.kind, stored(change))

    def admit(self, change: Change) -> None:
        """A new signal joins the oldest incident it reaches and is linked to the others; or it opens one."""
        signal = change.signal
        near = [incident for incident in self.theirs(signal) if self.reaches(incident, signal)]
        near = [i for i in near if i.state is not State.RESOLVED] or near
        near.sort(key=lambda incident: (incident.since, incident.opened, abs(incident.id)))
        if not near:
            self.open(change)
        for incident, link in zip(near, [Link.JOINED] + [Link.LINKED] * len(near), strict=False):
            member = Member(stored(change), signal, link)
            members = tuple(sorted((*incident.members, member), key=lambda each: each.id))
            joined = dataclasses.replace(incident, members=members)
            self.note(joined, What(link), _late(signal.kind, change.late_by), member.id)

    def open(self, change: Change) -> None:
        """A signal that belongs to nothing opens an incident."""
        signal = change.signal
        number = -1 - (len(self.after) - len(self.before))
        self.of_vehicle.setdefault((signal.carrier, signal.vehicle), []).append(number)
        member = Member(stored(change), signal)
        incident = Incident(
            id=number,
            carrier=signal.carrier,
            vehicle=signal.vehicle,
            severity=signal.severity,
            state=State.OPEN,
            since=signal.since,
            at=signal.at,
            opened=self.now,
            members=(member,),
        )
        self.note(incident, What.OPENED, _late(signal.kind, change.late_by), member.id)

    def reaches(self, incident: Incident, signal: Signal) -> bool:
        """Whether a signal belongs to an incident of its vehicle; to a resolved one, only within the grace."""
        join, reopen = milliseconds(self.alerts.join), milliseconds(self.alerts.reopen)
        begin, end = incident.span
        last = end + join
        if incident.state is State.RESOLVED:
            resolved = incident.resolved_at or 0
            if self.now > resolved + reopen:
                return False
            if incident.resolved_by != MACHINE:
                last = max(last, resolved + reopen)
        return signal.since <= last and signal_end(signal) >= begin - join

    def changes(self) -> list[IncidentChange]:
        """One change for each incident that something happened to."""
        return [self.settled(number, events) for number, events in self.events.items()]

    def settled(self, number: int, said: list[Event]) -> IncidentChange:
        """What follows for the incident as a whole from what happened to its signals."""
        before, incident = self.before.get(number), self.after[number]
        events = list(said)
        standing = incident.standing
        known = before or incident
        severity = worst(member.signal.severity for member in standing) if standing else known.severity
        ends = [member.signal.until for member in standing]
        holds = not standing or None in ends
        settled = dataclasses.replace(
            incident,
            severity=severity,
            since=min((member.signal.since for member in standing), default=incident.since),
            at=min((member.signal.at for member in standing), default=incident.at),
            cleared=None if holds else max(end for end in ends if end is not None),
            withdrawn=not standing,
            version=incident.version + 1,
        )
        events += _differences(before, settled)
        settled, more = self.moved(before, settled, said)
        return IncidentChange(before, settled, (*events, *more))

    def moved(self, before: Incident | None, incident: Incident, said: list[Event]) -> tuple[Incident, list[Event]]:
        """The transitions of state: reopened by what is new or graver, closed by itself where it is a mere note."""
        parted = any(event.what is What.PARTED for event in said)  # what became graver has an incident of its own
        graver = not parted and before is not None and SEVERITIES.index(incident.severity) > SEVERITIES.index(before.severity)
        joined = any(event.what is What.JOINED for event in said)
        events: list[Event] = []
        if incident.state is State.RESOLVED and (joined or graver):
            grace = f"within {format_duration(self.alerts.reopen)} of the resolution" if joined else "graver than was known"
            events.append(Event(What.REOPENED, f"{grace}; it was resolved by {incident.resolved_by}"))
            incident = opened_again(incident)
        elif incident.state is State.ACKNOWLEDGED and graver:
            events.append(Event(What.REOPENED, f"graver than what {incident.acknowledged_by} acknowledged"))
            incident = opened_again(incident)
        if incident.state is not State.RESOLVED and not incident.latched and (incident.withdrawn or incident.cleared is not None):
            why = "its signals were withdrawn" if incident.withdrawn else "it ended"
            events.append(Event(What.CLOSED, why))
            incident = closed(incident, why, self.now)
        return incident, events


def _updated(member: Member, change: Change | None) -> Member:
    """The member as it stands after a change of its signal, None for none."""
    if change is None:
        return member
    gone = (change.reason or "withdrawn") if change.what is ChangeKind.WITHDRAWN else None
    return dataclasses.replace(member, signal=change.signal, withdrawn=gone)


def _differences(before: Incident | None, after: Incident) -> list[Event]:
    """What became different about the incident as a whole."""
    events = []
    if before is not None and before.severity != after.severity:
        graver = SEVERITIES.index(after.severity) > SEVERITIES.index(before.severity)
        what = What.SEVERITY_RAISED if graver else What.SEVERITY_LOWERED
        events.append(Event(what, f"{before.severity} to {after.severity}"))
    if after.withdrawn and (before is None or not before.withdrawn):
        reasons = sorted({member.withdrawn for member in after.joined if member.withdrawn})
        events.append(Event(What.ALL_WITHDRAWN, "; ".join(reasons)))
    if after.cleared is not None and (before is None or before.cleared is None):
        events.append(Event(What.CLEARED, "no condition holds any more"))
    if before is not None and before.cleared is not None and after.cleared is None and not after.withdrawn:
        events.append(Event(What.RESUMED, "a condition holds again"))
    return events


def closed(incident: Incident, why: str, now: int) -> Incident:
    """The incident, ended by no person."""
    return dataclasses.replace(incident, state=State.RESOLVED, resolved_by=MACHINE, resolved_at=now, outcome=None, why=why)


def opened_again(incident: Incident) -> Incident:
    """The incident, in nobody's hands."""
    return dataclasses.replace(
        incident,
        state=State.OPEN,
        acknowledged_by=None,
        acknowledged_at=None,
        resolved_by=None,
        resolved_at=None,
        outcome=None,
        why=None,
    )


def _late(kind: str, late_by: int) -> str:
    """The kind of a signal, and how late we learned of it where that is a minute or more."""
    return f"{kind}, learned {late_by // 60_000} min late" if late_by >= 60_000 else kind


def stored(change: Change) -> int:
    """The store's id of a changed signal."""
    if change.id is None:
        raise ValueError("a signal must be stored before it is folded")
    return change.id
