"""A notice: one message to one recipient, in neutral words, English or French. It describes; it never accuses.

What it says, in this order: how severe and who, what, where in words, since when (local and UTC), how it stands, what happens
next, how to stop the ringing. The words of every kind of signal are one row of `KINDS`; a kind without a row is named as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from monitor.alerts.incident import SEVERITIES, Incident, State
from monitor.alerts.whereabouts import Surroundings, clock_time, date_time, length, span, where
from monitor.signals import Signal


class Occasion(StrEnum):
    """Why a notice is written."""

    RAISED = "raised"
    REPEAT = "repeat"
    SEVERITY = "severity"
    REOPENED = "reopened"
    CLEARED = "cleared"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one recipient. `key` is the same however often it is sent; `repeat` says that it may have arrived before."""

    id: int
    incident: int
    key: str
    occasion: str
    severity: str
    contact: str
    channel: str
    address: str
    language: str
    subject: str
    body: str
    created: int
    """ms; when it was written."""
    why: str = ""
    attempts: int = 0
    repeat: bool = False


class Outlook(NamedTuple):
    """What happens next: whom the monitor rings, and when (None: nobody)."""

    at: int | None
    names: tuple[str, ...] = ()


class Text(NamedTuple):
    """The words of a notice: one line, and the rest of it."""

    subject: str
    body: str


KINDS: Mapping[str, Mapping[str, str]] = {
    "unauthorized_stop": {
        "en": "unscheduled stop, not yet explained",
        "fr": "arrêt imprévu, pas encore expliqué",
    },
    "route_deviation": {
        "en": "away from the planned route, not yet explained",
        "fr": "hors de l'itinéraire prévu, pas encore expliqué",
    },
    "long_dwell": {
        "en": "a stay longer than planned",
        "fr": "séjour plus long que prévu",
    },
}

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "note": "NOTE",
        "warning": "WARNING",
        "critical": "CRITICAL",
        "raised": "",
        "repeat": "still open: ",
        "severity": "now more serious: ",
        "reopened": "again: ",
        "cleared": "has ended: ",
        "withdrawn": "withdrawn: ",
        "who": "Who",
        "who_text": "{vehicle} of {carrier}",
        "what": "What",
        "where": "Where",
        "since": "Since",
        "until": "{since}, until {until}",
        "state": "State",
        "next": "Next",
        "stop": "To stop the ringing: {command} ack {id} --by YOUR-NAME",
        "s": "for {measure} ({limit} allowed)",
        "min": "{measure} not accounted for ({limit} allowed)",
        "m": "up to {measure} from the route ({limit} allowed)",
        "presumed": "presumed: nothing was heard since the last report, which showed it",
        "at_place": "at {place}, ",
        "open": "open; nobody has acknowledged it",
        "acknowledged": "acknowledged by {who} at {at}",
        "resolved": "resolved by {who}: {outcome}",
        "closed": "closed by itself",
        "still": " The condition has ended; the incident still needs a person.",
        "gone": " Late data took it back ({why}); the incident still needs a person.",
        "ring": "rings {names} again at {at} unless acknowledged",
        "quiet": "nobody is rung",
        "number": "incident {id}",
        "also": "; also {others}",
        "colon": ":",
    },
    "fr": {
        "note": "NOTE",
        "warning": "AVERTISSEMENT",
        "critical": "CRITIQUE",
        "raised": "",
        "repeat": "toujours ouvert : ",
        "severity": "désormais plus grave : ",
        "reopened": "de nouveau : ",
        "cleared": "terminé : ",
        "withdrawn": "retiré : ",
        "who": "Qui",
        "who_text": "{vehicle} de {carrier}",
        "what": "Quoi",
        "where": "Où",
        "since": "Depuis",
        "until": "{since}, jusqu'au {until}",
        "state": "État",
        "next": "Suite",
        "stop": "Pour faire cesser les rappels : {command} ack {id} --by VOTRE-NOM",
        "s": "pendant {measure} ({limit} permis)",
        "min": "{measure} sans explication ({limit} permis)",
        "m": "jusqu'à {measure} de l'itinéraire ({limit} permis)",
        "presumed": "présumé : rien reçu depuis le dernier signalement, qui le montrait",
        "at_place": "à : {place}, ",
        "open": "ouvert; personne n'en a accusé réception",
        "acknowledged": "réception accusée par {who} à {at}",
        "resolved": "réglé par {who} : {outcome}",
        "closed": "fermé de lui-même",
        "still": " La situation a pris fin; l'incident attend encore quelqu'un.",
        "gone": " Des données tardives l'ont retiré ({why}); l'incident attend encore quelqu'un.",
        "ring": "rappel à {names} à {at} sauf accusé de réception",
        "quiet": "personne n'est appelé",
        "number": "incident {id}",
        "also": "; aussi {others}",
        "colon": " :",
    },
}


def write(
    occasion: Occasion, incident: Incident, outlook: Outlook, surroundings: Surroundings, language: str, *, ring: bool = True
) -> Text:
    """The words of a notice about an incident. `ring` says whether an acknowledgement would stop anything."""
    words = WORDS[language]
    severity, colon = words[incident.severity], words["colon"]
    signal = principal(incident)
    lines = [
        (words["who"], words["who_text"].format(vehicle=incident.vehicle, carrier=incident.carrier)),
        (words["what"], f"{what(incident, language)}{colon} {measured(signal, language)}{also(incident, language)}"),
        (words["where"], place(signal, surroundings, language)),
        (words["since"], _since(incident, surroundings, language)),
        (words["state"], standing(incident, surroundings, language)),
        (words["next"], ahead(outlook, surroundings, language)),
    ]
    width = max(len(label + colon) for label, _ in lines)
    body = "\n".join(f"{label + colon:<{width}} {text}" for label, text in lines)
    if ring:
        body += "\n" + words["stop"].format(id=incident.id, command=surroundings.command)
    number = words["number"].format(id=incident.id)
    return Text(f"[{severity}] {incident.vehicle}{colon} {words[occasion]}{what(incident, language)} ({number})", body)


def principal(incident: Incident) -> Signal:
    """The signal that the incident is described by: the gravest that counts, of these the first."""
    members = incident.standing or incident.joined
    return min((member.signal for member in members), key=lambda signal: (-SEVERITIES.index(signal.severity), signal.at))


def what(incident: Incident, language: str) -> str:
    """What was seen, of several the gravest: "unscheduled stop, not yet explained"."""
    return _named(principal(incident).kind, language)


def also(incident: Incident, language: str) -> str:
    """What else was seen: "; also away from the planned route, not yet explained", or nothing."""
    first = principal(incident).kind
    kinds = dict.fromkeys(member.signal.kind for member in incident.standing or incident.joined)
    others = ", ".join(_named(kind, language) for kind in kinds if kind != first)
    return WORDS[language]["also"].format(others=others) if others else ""


def measured(signal: Signal, language: str) -> str:
    """How much, against what is allowed; whether only silence says so."""
    words = WORDS[language]
    size = {"s": 1000.0, "min": 60_000.0}.get(signal.unit)
    if size is not None:
        values: Sequence[str] = [span(value * size) for value in (signal.measure, signal.limit)]
    else:
        values = [length(value, language) for value in (signal.measure, signal.limit)]
    text = words.get(signal.unit, "{measure}, {limit}").format(measure=values[0], limit=values[1])
    return f"{text} ({words['presumed']})" if signal.presumed else text


def place(signal: Signal, surroundings: Surroundings, language: str) -> str:
    """Where the signal began, in words; the place it is about comes first."""
    spot = where(signal.lon, signal.lat, surroundings, language)
    if signal.place is None or surroundings.name(signal.place) in spot:
        return spot
    return WORDS[language]["at_place"].format(place=surroundings.name(signal.place)) + spot


def standing(incident: Incident, surroundings: Surroundings, language: str) -> str:
    """How the handling stands, and whether the condition still holds."""
    words, zone = WORDS[language], surroundings.zone
    if incident.state is State.RESOLVED:
        outcome = incident.outcome or incident.why or ""
        return words["resolved"].format(who=incident.resolved_by, outcome=outcome) if incident.outcome else words["closed"]
    text = words["open"]
    if incident.state is State.ACKNOWLEDGED:
        at = clock_time(incident.acknowledged_at or 0, zone, language)
        text = words["acknowledged"].format(who=incident.acknowledged_by, at=at)
    if incident.withdrawn:
        why = "; ".join(sorted({member.withdrawn for member in incident.joined if member.withdrawn}))
        return f"{text}.{words['gone'].format(why=why)}"
    return f"{text}.{words['still']}" if incident.cleared is not None else text


def ahead(outlook: Outlook, surroundings: Surroundings, language: str) -> str:
    """What happens next: "rings dispatch again at 14:05 EST unless acknowledged"."""
    words = WORDS[language]
    if outlook.at is None:
        return words["quiet"]
    return words["ring"].format(names=", ".join(outlook.names), at=clock_time(outlook.at, surroundings.zone, language))


def _named(kind: str, language: str) -> str:
    return KINDS.get(kind, {}).get(language, kind.replace("_", " "))


def _since(incident: Incident, surroundings: Surroundings, language: str) -> str:
    """Since when it holds; until when, once it has ended."""
    since = date_time(incident.since, surroundings.zone, language)
    if incident.cleared is None:
        return since
    until = date_time(incident.cleared, surroundings.zone, language)
    return WORDS[language]["until"].format(since=since, until=until)
