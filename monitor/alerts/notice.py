"""A notice: one message to one recipient, in neutral words, English or French. It describes; it never accuses.

What it says, in this order: how severe and who, what, where in words, since when (local and UTC), how it stands, what happens
next, how to stop the ringing. What was seen, and why that was worth a signal, is in the words of `monitor.explain`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from monitor.alerts.incident import EVERYTHING, SEVERITIES, Incident, State
from monitor.alerts.whereabouts import Surroundings, clock_time, date_time, where
from monitor.explain import NOWHERE, explain, title
from monitor.explain import SEVERITIES as SAID
from monitor.explain.figures import typeset
from monitor.signals import Signal
from monitor.world import World

NAMED = 5
"""So many vehicles that fell silent together are named."""


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
    incident: int | None
    """None: it is about the monitor itself."""
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


LATE_MS = 600_000
"""An incident of which we learned this long after it reached its limit says so: longer than any settle time."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "raised": "",
        "repeat": "still open: ",
        "severity": "now more serious: ",
        "reopened": "again: ",
        "cleared": "has ended: ",
        "withdrawn": "withdrawn: ",
        "who": "Who",
        "who_text": "{vehicle} of {carrier}",
        "all_of": "all vehicles of {carrier}",
        "all": "all vehicles",
        "together": "{count} vehicles fell silent together, not yet explained",
        "together_why": "no position of any since {newest}; the first thing to look at is the feed: {names}",
        "and_more": ", and {count} more",
        "unknown": "position not known",
        "what": "What",
        "where": "Where",
        "since": "Since",
        "until": "{since}, until {until}",
        "late": "{text} (LATE: we learned of it only at {at})",
        "state": "State",
        "next": "Next",
        "stop": "To stop the ringing: {command} ack {id} --by YOUR-NAME",
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
        "raised": "",
        "repeat": "toujours ouvert : ",
        "severity": "désormais plus grave : ",
        "reopened": "de nouveau : ",
        "cleared": "terminé : ",
        "withdrawn": "retiré : ",
        "who": "Qui",
        "who_text": "{vehicle} de {carrier}",
        "all_of": "tous les véhicules de {carrier}",
        "all": "tous les véhicules",
        "together": "{count} véhicules devenus silencieux ensemble, pas encore expliqué",
        "together_why": "aucune position d'aucun depuis {newest}; vérifier d'abord le flux de données : {names}",
        "and_more": ", et {count} autres",
        "unknown": "position inconnue",
        "what": "Quoi",
        "where": "Où",
        "since": "Depuis",
        "until": "{since}, jusqu'au {until}",
        "late": "{text} (TARDIF : appris seulement à {at})",
        "state": "État",
        "next": "Suite",
        "stop": "Pour faire cesser les rappels : {command} ack {id} --by VOTRE-NOM",
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
    occasion: Occasion,
    incident: Incident,
    outlook: Outlook,
    surroundings: Surroundings,
    language: str,
    *,
    ring: bool = True,
    world: World = NOWHERE,
) -> Text:
    """The words of a notice about an incident. `ring` says whether an acknowledgement would stop anything."""
    words = WORDS[language]
    severity, colon = SAID[language][incident.severity], words["colon"]
    signal = principal(incident)
    lines = [
        (words["who"], who(incident, language)),
        (words["what"], f"{what(incident, language)}{colon} {why(incident, world, language)}{also(incident, language)}"),
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
    subject = f"[{severity}] {incident.vehicle or who(incident, language)}{colon} {words[occasion]}{what(incident, language)} ({number})"
    return Text(typeset(subject, language), typeset(body, language))


def principal(incident: Incident) -> Signal:
    """The signal that the incident is described by: the gravest that counts, of these the first."""
    members = incident.standing or incident.joined
    return min((member.signal for member in members), key=lambda signal: (-SEVERITIES.index(signal.severity), signal.at))


def who(incident: Incident, language: str) -> str:
    """Whom it is about: "truck-17 of northline"; where it is operational, "all vehicles of northline"."""
    form = "who_text" if not incident.operational else "all_of" if incident.carrier != EVERYTHING else "all"
    return WORDS[language][form].format(vehicle=incident.vehicle, carrier=incident.carrier)


def what(incident: Incident, language: str) -> str:
    """What was seen, of several the gravest: "unscheduled stop, not yet explained"; of many that fell silent, how many."""
    if incident.operational:
        return WORDS[language]["together"].format(count=len(_vehicles(incident)))
    return title(principal(incident), language)


def why(incident: Incident, world: World, language: str) -> str:
    """Why that was raised, in one sentence with the numbers; of many that fell silent, since when, and which."""
    if not incident.operational:
        return explain(principal(incident), world, language)
    words, vehicles = WORDS[language], _vehicles(incident)
    newest = max(member.signal.since for member in incident.standing or incident.joined)
    names = ", ".join(vehicles[:NAMED]) + (words["and_more"].format(count=len(vehicles) - NAMED) if len(vehicles) > NAMED else "")
    since = clock_time(newest, ZoneInfo(world.settings.timezone), language)
    return typeset(words["together_why"].format(newest=since, names=names), language)


def also(incident: Incident, language: str) -> str:
    """What else was seen: "; also away from the planned route, not yet explained", or nothing."""
    first = title(principal(incident), language)
    seen = dict.fromkeys(title(member.signal, language) for member in incident.standing or incident.joined)
    others = ", ".join(each for each in seen if each != first)
    return WORDS[language]["also"].format(others=others) if others else ""


def place(signal: Signal, surroundings: Surroundings, language: str) -> str:
    """Where the signal began, in words; the place it is about comes first."""
    if not (math.isfinite(signal.lon) and math.isfinite(signal.lat)):
        return WORDS[language]["unknown"] if signal.place is None else surroundings.name(signal.place)
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


def _vehicles(incident: Incident) -> list[str]:
    """The vehicles of its signals that count; with their carriers where these differ."""
    signals = [member.signal for member in incident.standing or incident.joined]
    alone = incident.carrier != EVERYTHING
    return sorted({signal.vehicle if alone else f"{signal.carrier}/{signal.vehicle}" for signal in signals})


def _since(incident: Incident, surroundings: Surroundings, language: str) -> str:
    """Since when it holds; until when, once it has ended; when we learned of it, where that was late."""
    words, text = WORDS[language], date_time(incident.since, surroundings.zone, language)
    if incident.cleared is not None:
        text = words["until"].format(since=text, until=date_time(incident.cleared, surroundings.zone, language))
    if incident.opened - incident.at < LATE_MS:
        return text
    return words["late"].format(text=text, at=date_time(incident.opened, surroundings.zone, language))
