"""Fold: what a delivery's changes of the signal log, and the passing of time, do to the incidents.

`monitor.alerts.folding` says how signals of one vehicle become one incident. Vehicles that fall silent together make one operational
incident instead of many (`monitor.alerts.silence`): those that had an incident of nothing but that, in nobody's hands, are closed as
part of it, and open again for a vehicle that stays silent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from monitor.alerts.folding import Folding, closed, opened_again, stored
from monitor.alerts.incident import EVERYTHING, MACHINE, SEVERITIES, Incident, IncidentChange, Link, Member, State, What
from monitor.alerts.silence import FEWEST, HEARD_AGAIN, TOGETHER, Heard, due, is_lost, last_heard, lasts, lost_in, silent_with
from monitor.settings import Alerts
from monitor.signals import Change, ChangeKind, log_order


def fold(
    incidents: Sequence[Incident], changes: Sequence[Change], now: int, alerts: Alerts, heard: Heard | None = None
) -> list[IncidentChange]:
    """What a delivery's changes of the signal log do to the incidents, one change an incident, in the order they were touched.

    `incidents` must hold, of the vehicles concerned, all that are unresolved, those resolved within `alerts.reopen`, and those
    that any of the changed signals belongs to; where a `signal_lost` is raised also, of all vehicles, those that are unresolved or
    operational and have one that lasts, and `heard` must be known. New incidents have provisional ids -1, -2, ...; a raised signal
    must have its id.
    """
    folding = _Gathering(incidents, now, alerts, heard or {})
    folding.update([change for change in changes if change.what is not ChangeKind.RAISED])
    # What is new comes last and in the log's order, so that a signal that replaces a withdrawn one finds its incident.
    raised = sorted((c for c in changes if c.what is ChangeKind.RAISED), key=lambda change: log_order(change.signal))
    for change in folding.gather(raised):
        folding.admit(change)
    return folding.changes()


def part(incidents: Sequence[Incident], now: int, alerts: Alerts, heard: Heard) -> list[IncidentChange]:
    """What the passing of time does to operational incidents: those that are heard again lose, after a while, what stays silent.

    `incidents` must hold, besides the operational ones, what `fold` needs of every vehicle that is lost in them.
    """
    folding = _Gathering(incidents, now, alerts, heard)
    for incident in incidents:
        if incident.operational and due(incident, heard, now):
            folding.watch(incident)
    return folding.changes()


class _Gathering(Folding):
    """The incidents while one delivery is folded into them, those of many vehicles included."""

    def __init__(self, incidents: Sequence[Incident], now: int, alerts: Alerts, heard: Heard) -> None:
        super().__init__(incidents, now, alerts)
        self.heard = heard

    def update(self, changes: Iterable[Change]) -> None:
        """Known signals changed; one that is critical now leaves the operational incident it is in."""
        super().update(changes)
        for number in [number for number, incident in self.after.items() if incident.operational]:
            self.release(number, [each for each in self.after[number].standing if each.signal.severity == SEVERITIES[-1]])

    def gather(self, raised: Sequence[Change]) -> list[Change]:
        """Put what was lost together into operational incidents; what remains, in the same order, is admitted one by one."""
        scopes: dict[str, list[Change]] = {}
        for change in raised:
            scope = silent_with(change.signal.carrier, self.heard, self.now) if is_lost(change.signal) else None
            if scope is not None:
                scopes.setdefault(scope, []).append(change)
        gathered: set[int | None] = set()
        for scope, lost in scopes.items():
            gathered |= {change.id for change in self.group(scope, lost)}
        return [change for change in raised if change.id not in gathered]

    def group(self, scope: str, lost: Sequence[Change]) -> Sequence[Change]:
        """Let lost vehicles join the silence of a carrier or of the monitor, or begin it; gives those that did."""
        for incident in self.of_scope(scope):
            if incident.state is not State.RESOLVED and HEARD_AGAIN not in (incident.facts or {}) and lasts(incident, self.heard):
                joining = [change for change in lost if change.signal.at >= incident.since]
                self.take_in(incident, [Member(stored(change), change.signal) for change in joining])
                return joining
        together = (last_heard(scope, self.heard) or 0) - TOGETHER
        known = [incident for incident in self.after.values() if incident.state is not State.RESOLVED]
        known = [incident for incident in known if scope in (EVERYTHING, incident.carrier)]
        starting = [change for change in lost if change.signal.since >= together]
        members = {stored(change): Member(stored(change), change.signal) for change in starting}
        for incident in known:
            members |= {member.id: member for member in lost_in(incident) if member.signal.since >= together}
        if len({(member.signal.carrier, member.signal.vehicle) for member in members.values()}) < FEWEST:
            return []
        self.begin(scope, [members[number] for number in sorted(members)])
        for incident in known:
            self.close_into(incident, members.keys())
        return starting

    def of_scope(self, scope: str) -> list[Incident]:
        """The operational incidents of a carrier, or of the monitor."""
        return [self.after[number] for number in self.of_vehicle.get((scope, EVERYTHING), ())]

    def begin(self, scope: str, members: Sequence[Member]) -> None:
        """Open an operational incident."""
        number = -1 - (len(self.after) - len(self.before))
        self.of_vehicle.setdefault((scope, EVERYTHING), []).append(number)
        signals = [member.signal for member in members]
        since, at = min(signal.since for signal in signals), min(signal.at for signal in signals)
        incident = Incident(number, scope, EVERYTHING, signals[0].severity, State.OPEN, since, at, self.now)
        self.note(incident, What.OPENED, f"{len(signals)} vehicles fell silent together", members[0].id)
        self.take_in(incident, members)

    def take_in(self, incident: Incident, members: Sequence[Member]) -> None:
        """Let vehicles join an operational incident."""
        ordered = tuple(sorted((*incident.members, *members), key=lambda each: each.id))
        joined = dataclasses.replace(incident, members=ordered)
        for member in members:
            self.note(joined, What.JOINED, f"{member.signal.carrier}/{member.signal.vehicle}", member.id)

    def close_into(self, incident: Incident, numbers: Iterable[int]) -> None:
        """Close an incident that is in nobody's hands and about nothing but these signals, which an operational one has now."""
        theirs = {member.id for member in incident.standing}
        if incident.state is State.OPEN and theirs and theirs <= set(numbers):
            why = "all vehicles fell silent together: part of the operational incident"
            self.note(closed(incident, why, self.now), What.GROUPED, why, min(theirs))

    def watch(self, incident: Incident) -> None:
        """Notice that part of an operational incident is heard again; after a while let go of what is not."""
        facts = incident.facts or {}
        if HEARD_AGAIN in facts:
            self.release(incident.id, lost_in(incident))
        else:
            heard_again = dataclasses.replace(incident, facts={**facts, HEARD_AGAIN: self.now})
            self.note(heard_again, What.HEARD_AGAIN, "part of the vehicles are heard again", None)

    def release(self, number: int, members: Sequence[Member]) -> None:
        """Let signals go from an operational incident, which goes on showing them: each needs somebody by itself."""
        if not members:
            return
        gone, incident = {member.id for member in members}, self.after[number]
        if all(each.id in gone for each in incident.standing):
            incident = closed(incident, "each vehicle has an incident of its own", self.now)
        else:
            kept = [dataclasses.replace(each, link=Link.LINKED) if each.id in gone else each for each in incident.members]
            incident = dataclasses.replace(incident, members=tuple(kept))
        for member in members:
            self.note(incident, What.PARTED, f"{member.signal.carrier}/{member.signal.vehicle}", member.id)
        for change in self.gather([Change(ChangeKind.RAISED, member.id, member.signal) for member in members]):
            self.alone(change)

    def alone(self, change: Change) -> None:
        """A signal that left an operational incident: the incident it had before is open again; else it is as if it were new."""
        theirs = [incident for incident in self.theirs(change.signal) if any(each.id == change.id for each in incident.members)]
        if not theirs:
            self.admit(change)
        for incident in theirs:
            if incident.state is State.RESOLVED and incident.resolved_by == MACHINE:
                self.note(opened_again(incident), What.REOPENED, "others are heard again, this vehicle is not", change.id)
