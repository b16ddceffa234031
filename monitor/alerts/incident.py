"""An incident: what people handle. Signals of one vehicle that belong together become one, and it stays until a person ends it.

Definitions
    A signal *joins* one incident, and may be *linked* to others: shown there, but of no weight (`monitor.alerts.fold`).
    The severity is the worst of the signals that joined and were not withdrawn. An incident is *latched* once a signal above
    `note` joined it: its conditions ending is then a fact about it, never a transition, because a truck that drives on after an
    unexplained stop still needs a human. A mere note closes by itself when it ends.
    An *operational* incident is about all vehicles of a carrier, or of all carriers: its signals are of many (`monitor.alerts.silence`).
Everything here is a value; instants are whole milliseconds since 1970 UTC.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from monitor.errors import MonitorError
from monitor.signals import Signal, timestamp

SEVERITIES = ("note", "warning", "critical")
FOREVER = 2**62
LONGEST_WORDS = 500
"""Characters of a name or a reason."""
MACHINE = "monitor"
EVERYTHING = ""
"""Instead of a vehicle: all of the carrier's. Instead of a carrier: all carriers."""


class State(StrEnum):
    """Where the handling of an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Link(StrEnum):
    """How a signal belongs to an incident."""

    JOINED = "joined"
    LINKED = "linked"


class Outcome(StrEnum):
    """What it turned out to be, in the words of a person."""

    TRUE = "true"
    GPS_ERROR = "gps_error"
    CONGESTION = "congestion"
    ROAD_CLOSURE = "road_closure"
    BREAKDOWN = "breakdown"
    LAWFUL_REST = "lawful_rest"
    INSPECTION = "inspection"
    YARD_MOVE = "yard_move"
    AUTHORIZED_NOT_TOLD = "authorized_not_told"
    TRAINING = "training"


class What(StrEnum):
    """What happened to an incident: one line of its timeline."""

    OPENED = "opened"
    REOPENED = "reopened"
    JOINED = "joined"
    LINKED = "linked"
    REVISED = "revised"
    ENDED = "ended"  # one of its signals
    WITHDRAWN = "withdrawn"  # one of its signals
    SEVERITY_RAISED = "severity_raised"
    SEVERITY_LOWERED = "severity_lowered"
    CLEARED = "cleared"  # the last of its signals ended
    RESUMED = "resumed"  # a condition holds again
    ALL_WITHDRAWN = "all_withdrawn"
    CLOSED = "closed"  # a note, by itself
    GROUPED = "grouped"  # closed, because it is part of an operational incident
    HEARD_AGAIN = "heard_again"  # part of what an operational incident is about
    PARTED = "parted"  # one of its signals became an incident of its own
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Event(NamedTuple):
    """One line of a timeline: what, why, and of which signal."""

    what: What
    why: str
    signal: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A signal of an incident. `withdrawn` is the reason why it no longer counts, None while it does."""

    id: int
    signal: Signal
    link: Link = Link.JOINED
    withdrawn: str | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """What people handle. A negative `id` is provisional: the store has not given one yet."""

    id: int
    carrier: str
    vehicle: str
    severity: str
    state: State
    since: int
    """ms; the earliest beginning of its signals."""
    at: int
    """ms; when the first of its signals reached its limit."""
    opened: int
    """ms; when we learned of it."""
    members: tuple[Member, ...] = ()
    cleared: int | None = None
    """ms; when the last of its signals ended, None while one holds."""
    withdrawn: bool = False
    """Whether every signal that joined was withdrawn."""
    acknowledged_by: str | None = None
    acknowledged_at: int | None = None
    resolved_by: str | None = None
    resolved_at: int | None = None
    outcome: str | None = None
    why: str | None = None
    version: int = 0
    facts: Mapping[str, int] | None = None
    """What else was noted of it, ms by name."""

    @property
    def operational(self) -> bool:
        """Whether it is about many vehicles at once."""
        return self.vehicle == EVERYTHING

    @property
    def subject(self) -> str:
        """Whom it is about, in a list of incidents."""
        return self.vehicle or (f"all of {self.carrier}" if self.carrier else "all vehicles")

    @property
    def joined(self) -> list[Member]:
        """The signals that make the incident, whether withdrawn since or not."""
        return [member for member in self.members if member.link is Link.JOINED]

    @property
    def standing(self) -> list[Member]:
        """The signals that count: joined, not withdrawn."""
        return [member for member in self.joined if member.withdrawn is None]

    @property
    def latched(self) -> bool:
        """Whether only a person can end it: something graver than a note ever joined."""
        return any(member.signal.severity != SEVERITIES[0] for member in self.joined)

    @property
    def span(self) -> tuple[int, int]:
        """From the first beginning to the last end of the signals that count (of all, where none counts any more)."""
        signals = [member.signal for member in self.standing or self.joined]
        return min(signal.since for signal in signals), max(signal_end(signal) for signal in signals)


class IncidentChange(NamedTuple):
    """What happened to one incident: before (None: there was none), after, and the lines for its timeline."""

    before: Incident | None
    after: Incident
    events: tuple[Event, ...]

    def said(self, what: What) -> bool:
        """Whether this is among what happened."""
        return any(event.what is what for event in self.events)


def worst(severities: Iterable[str]) -> str:
    """The gravest of some severities."""
    return max(severities, key=SEVERITIES.index)


def acknowledge(incident: Incident, by: str, now: int) -> IncidentChange:
    """A named person has seen it and handles it: the ringing stops.

    Raises
    ------
    MonitorError
        If nobody is named, or the incident is not open.
    """
    name = _named(by)
    if incident.state is State.RESOLVED:
        raise MonitorError(f"incident {incident.id} is resolved, {_by_at(incident.resolved_by, incident.resolved_at)}")
    if incident.state is State.ACKNOWLEDGED:
        said = _by_at(incident.acknowledged_by, incident.acknowledged_at)
        raise MonitorError(f"incident {incident.id} is already acknowledged, {said}")
    after = dataclasses.replace(
        incident, state=State.ACKNOWLEDGED, acknowledged_by=name, acknowledged_at=now, version=incident.version + 1
    )
    return IncidentChange(incident, after, (Event(What.ACKNOWLEDGED, f"by {name}"),))


def resolve(incident: Incident, by: str, outcome: str, why: str, now: int) -> IncidentChange:
    """A named person says what it turned out to be, and for a latched one why; it is then over.

    Raises
    ------
    MonitorError
        If nobody is named, it is resolved already, the outcome is none of `Outcome`, or a latched one is given no reason.
    """
    name = _named(by)
    if incident.state is State.RESOLVED:
        raise MonitorError(f"incident {incident.id} is already resolved, {_by_at(incident.resolved_by, incident.resolved_at)}")
    if outcome not in list(Outcome):
        raise MonitorError(f"outcome {outcome!r}: allowed is {', '.join(Outcome)}")
    reason = _printable(why, "the reason")
    if incident.latched and not reason:
        raise MonitorError(f"incident {incident.id} is a {incident.severity}: resolving it takes a reason")
    after = dataclasses.replace(
        incident,
        state=State.RESOLVED,
        resolved_by=name,
        resolved_at=now,
        outcome=outcome,
        why=reason,
        version=incident.version + 1,
    )
    said = f"{outcome}, by {name}" + (f": {after.why}" if after.why else "")
    return IncidentChange(incident, after, (Event(What.RESOLVED, said),))


def _named(by: str) -> str:
    if not by.strip():
        raise MonitorError("who does this must be named")
    return _printable(by, "the name")


def _printable(said: str, what: str) -> str:
    """Words as they may be shown on any terminal: bounded, and nothing in them that is not for reading."""
    text = " ".join(said.split())
    if not text.isprintable() or len(text) > LONGEST_WORDS:
        raise MonitorError(f"{what} {text[:40]!a}: allowed are up to {LONGEST_WORDS} printable characters")
    return text


def _by_at(who: str | None, at: int | None) -> str:
    return f"by {who} at {timestamp(at or 0)}"


def signal_end(signal: Signal) -> int:
    """When a signal ended; FOREVER while it is open."""
    return FOREVER if signal.until is None else signal.until
