"""Figures as people read them: lengths, spans and hours in a sentence, and how French sets them.

French takes a decimal comma, a narrow no-break space between a number and its unit and within "8 h 10", and a no-break space before
a colon, so that no line ends between them (Office québécois de la langue française, Banque de dépannage linguistique: espacement).
"""

from __future__ import annotations

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

from monitor import signals
from monitor.alerts import whereabouts

NARROW, FIXED = "\u202f", "\u00a0"
"""No-break spaces."""
UNIT = re.compile(r"(?<=\d) (?=(?:km/h|km|m|min|h|s)\b|%)")
MINUTES = re.compile(rf"(?<=\d{NARROW}h) (?=\d\d\b)")
COLON = re.compile(r" (?=:)")


def typeset(text: str, language: str) -> str:
    """The text with the spaces of its language."""
    if language != "fr":
        return text
    return COLON.sub(FIXED, MINUTES.sub(NARROW, UNIT.sub(NARROW, text)))


def position(lon: float, lat: float) -> str:
    """Latitude and longitude as a map takes them, the same in both languages: "43.62000, -79.71000"."""
    return f"{lat:.5f}, {lon:.5f}"


def span(milliseconds: float) -> str:
    """A duration as people say it, the same in both languages: "40 s", "32 min", "2 h 05", "11 h"."""
    return whereabouts.span(milliseconds).removesuffix(" 00")


def day(ms: int, zone: ZoneInfo, language: str) -> str:
    """The day where people live: "Mon 2 Mar 2026"."""
    local = (signals.EPOCH + timedelta(milliseconds=ms)).astimezone(zone)
    return (
        f"{whereabouts.DAYS[language][local.weekday()]} {local.day} {whereabouts.MONTHS[language][local.month - 1]} {local.year}"
    )


def interval(begin: int, end: int, zone: ZoneInfo, language: str) -> tuple[str, str]:
    """The hours of two instants (ms): "05:00", "05:40 EST"; with the day of the second where it is another, and then both zones."""
    first, last = ((signals.EPOCH + timedelta(milliseconds=ms)).astimezone(zone) for ms in (begin, end))
    until = whereabouts.clock_time(end, zone, language)
    if first.date() == last.date() and first.tzname() == last.tzname():
        return f"{first:%H:%M}", until
    day = "" if first.date() == last.date() else f"{whereabouts.DAYS[language][last.weekday()]} {last.day} "
    month = f"{whereabouts.MONTHS[language][last.month - 1]} " if day else ""
    return whereabouts.clock_time(begin, zone, language), f"{day}{month}{until}"
