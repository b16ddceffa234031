"""The daily word that the monitor is alive, and how many vehicles it heard: one that does not come is noticed by who expects it.

It is due once for each day at a time of day; one that could not be written then is written as soon as the monitor runs again, and
none is written twice, because its key is the day's. A vehicle is *heard* with a fix of the day before that time; one that was heard
in the week before, but not in that day, is named as not heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from monitor.alerts.contacts import Contact
from monitor.alerts.notice import Notice, Text
from monitor.alerts.whereabouts import date_time
from monitor.explain import SEVERITIES
from monitor.explain.figures import typeset

KIND, SEVERITY = "alive", "note"
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
NAMED, CARRIERS = 5, 50
"""Vehicles of a carrier, and carriers, that are named."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "none": "the monitor is alive: no vehicle heard",
        "one": "the monitor is alive: 1 vehicle heard",
        "many": "the monitor is alive: {count} vehicles heard",
        "since": "Heard from {since} to {until}.",
        "carrier": "{carrier}: {heard} of {known} vehicles heard",
        "missing": "; not heard: {names}",
        "more": " and {count} more",
        "carriers": "and {count} more carriers",
        "well": "All of the monitor's own parts are in order.",
        "unwell": "Not in order: {what}",
    },
    "fr": {
        "none": "le système de surveillance fonctionne : aucun véhicule entendu",
        "one": "le système de surveillance fonctionne : 1 véhicule entendu",
        "many": "le système de surveillance fonctionne : {count} véhicules entendus",
        "since": "Période : du {since} au {until}.",
        "carrier": "{carrier} : entendus {heard} sur {known}",
        "missing": "; non entendus : {names}",
        "more": " et {count} autres",
        "carriers": "et {count} autres transporteurs",
        "well": "Toutes les composantes du système fonctionnent.",
        "unwell": "À vérifier : {what}",
    },
}


class Roll(NamedTuple):
    """Of one carrier, how many vehicles were heard, and which others of the week before were not."""

    carrier: str
    heard: int
    silent: tuple[str, ...]


def due(now: int, at: str, zone: ZoneInfo) -> tuple[date, int]:
    """The day whose word is the newest that is due at `now` (ms), and since when (ms)."""
    local = datetime.fromtimestamp(now / 1000, zone)
    day = local.date()
    moment = _instant(day, at, zone)
    if moment > now:
        day -= timedelta(days=1)
        moment = _instant(day, at, zone)
    return day, moment


def roll(newest: Iterable[tuple[str, str, int]], until: int) -> list[Roll]:
    """Call the roll: (carrier, vehicle, ms of its newest fix), as of `until` (ms)."""
    heard: dict[str, int] = {}
    silent: dict[str, list[str]] = {}
    for carrier, vehicle, at in newest:
        if at > until - DAY_MS:
            heard[carrier] = heard.get(carrier, 0) + 1
        elif at > until - WEEK_MS:
            silent.setdefault(carrier, []).append(vehicle)
    return [Roll(name, heard.get(name, 0), tuple(sorted(silent.get(name, ())))) for name in sorted({*heard, *silent})]


def notices(
    day: date, until: int, rolls: Sequence[Roll], contact: Contact, zone: ZoneInfo, reasons: Sequence[str], now: int
) -> list[Notice]:
    """The word of a day to a contact, by each of its channels."""
    text = write(until, rolls, contact.language, zone, reasons)
    return [
        Notice(
            id=0,
            incident=None,
            key=f"{KIND}-{day.isoformat()}-{contact.id}-{number}",
            occasion=KIND,
            severity=SEVERITY,
            contact=contact.id,
            channel=reach.channel,
            address=reach.address,
            language=contact.language,
            subject=text.subject,
            body=text.body,
            created=now,
            why="health.alive_to names this contact",
        )
        for number, reach in enumerate(contact.channels, 1)
    ]


def write(until: int, rolls: Sequence[Roll], language: str, zone: ZoneInfo, reasons: Sequence[str]) -> Text:
    """The words."""
    words, count = WORDS[language], sum(each.heard for each in rolls)
    subject = words["none" if not count else "one" if count == 1 else "many"].format(count=count)
    since = date_time(until - DAY_MS, zone, language)
    lines = [words["since"].format(since=since, until=date_time(until, zone, language))]
    lines += [_line(each, words) for each in rolls[:CARRIERS]]
    if len(rolls) > CARRIERS:
        lines.append(words["carriers"].format(count=len(rolls) - CARRIERS))
    lines.append(words["unwell"].format(what="; ".join(reasons)) if reasons else words["well"])
    return Text(typeset(f"[{SEVERITIES[language][SEVERITY]}] {subject}", language), typeset("\n".join(lines), language))


def _line(each: Roll, words: Mapping[str, str]) -> str:
    text = words["carrier"].format(carrier=each.carrier, heard=each.heard, known=each.heard + len(each.silent))
    if each.silent:
        more = len(each.silent) - NAMED
        names = ", ".join(each.silent[:NAMED]) + (words["more"].format(count=more) if more > 0 else "")
        text += words["missing"].format(names=names)
    return text


def _instant(day: date, at: str, zone: ZoneInfo) -> int:
    """When a time of day is, on a day; one that the clock leaps over is as late as if it had not."""
    return int(datetime.combine(day, time.fromisoformat(at), zone).astimezone(UTC).timestamp() * 1000)
