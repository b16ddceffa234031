"""Where in words: the nearest known place, distance and compass bearing, then decimal coordinates; when in words: local and UTC.

A position within 150 m of a landmark is "at" it. Instants are whole milliseconds since 1970 UTC, positions degrees WGS 84.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from monitor.geodesy import bearing_deg, distance_m
from monitor.signals import EPOCH

Landmark = tuple[str, float, float]
"""Name, longitude, latitude in degrees."""
AT_M = 150.0

POINTS: Mapping[str, tuple[str, ...]] = {
    "en": ("N", "NE", "E", "SE", "S", "SW", "W", "NW"),
    "fr": ("au nord", "au nord-est", "à l'est", "au sud-est", "au sud", "au sud-ouest", "à l'ouest", "au nord-ouest"),
}
DAYS: Mapping[str, tuple[str, ...]] = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "fr": ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."),
}
MONTHS: Mapping[str, tuple[str, ...]] = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juill.", "août", "sept.", "oct.", "nov.", "déc."),
}
FRENCH_ZONES: Mapping[str, str] = {
    f"{zone}{season}T": f"H{french_season}{french}"
    for zone, french in {"N": "T", "A": "A", "E": "E", "C": "C", "M": "R", "P": "P"}.items()
    for season, french_season in {"S": "N", "D": "A"}.items()
}
"""EST -> HNE and the like: heure normale and heure avancée."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What turns positions and instants into words: the zone people live in, known points, names of places and routes by id."""

    zone: ZoneInfo
    landmarks: Sequence[Landmark] = ()
    names: Mapping[str, str] | None = None
    command: str = "monitor"
    """What people type to run the program here."""

    def name(self, identity: str) -> str:
        """The name of a place or route; its id where it has none."""
        return (self.names or {}).get(identity, identity)


def where(lon: float, lat: float, surroundings: Surroundings, language: str) -> str:
    """The nearest landmark, then latitude and longitude: "2.4 km NE of Milton yard (43.51234, -79.88123)"."""
    return f"{landmark_words(lon, lat, surroundings, language)} ({lat:.5f}, {lon:.5f})".strip()


def landmark_words(lon: float, lat: float, surroundings: Surroundings, language: str) -> str:
    """The nearest landmark with distance and bearing, without coordinates; empty where there is none."""
    near = nearest(lon, lat, surroundings.landmarks)
    if near is None:
        return ""
    (name, to_lon, to_lat), metres = near
    if metres <= AT_M:
        return f"{'à :' if language == 'fr' else 'at'} {name}"
    point = POINTS[language][round(bearing_deg(to_lon, to_lat, lon, lat) / 45) % 8]
    if language == "fr":
        of = f"d'{name}" if name[:1].lower() in "aeiouyhâàéèêîôû" else f"de {name}"
        return f"à {length(metres, language)} {point} {of}"
    return f"{length(metres, language)} {point} of {name}"


def nearest(lon: float, lat: float, landmarks: Sequence[Landmark]) -> tuple[Landmark, float] | None:
    """The nearest landmark and its distance in metres; None where there are none."""
    found = ((mark, distance_m(mark[1], mark[2], lon, lat)) for mark in landmarks)
    return min(found, key=lambda pair: (pair[1], pair[0]), default=None)


def length(metres: float, language: str) -> str:
    """A distance as people say it: "340 m", "2.4 km", "61 km"."""
    if metres < 950:
        return f"{round(metres / 10) * 10 if metres >= 100 else round(metres)} m"
    return decimal(f"{metres / 1000:.1f}" if metres < 20_000 else f"{metres / 1000:.0f}", language) + " km"


def decimal(text: str, language: str) -> str:
    """The decimal sign of the language."""
    return text.replace(".", ",") if language == "fr" else text


def span(milliseconds: float) -> str:
    """A duration as people say it, the same in both languages: "40 s", "32 min", "2 h 05"."""
    seconds = max(0, round(milliseconds / 1000))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d}"


def clock_time(ms: int, zone: ZoneInfo, language: str) -> str:
    """The hour where people live: "14:05 EST", "14:05 HNE"."""
    local = (EPOCH + timedelta(milliseconds=ms)).astimezone(zone)
    name = local.tzname() or ""
    return f"{local:%H:%M} {FRENCH_ZONES.get(name, name) if language == 'fr' else name}".strip()


def date_time(ms: int, zone: ZoneInfo, language: str) -> str:
    """Day and hour where people live, and UTC: "Sun 22 Nov 2026 14:05 EST (19:05 UTC)", with the UTC day where it differs."""
    universal = EPOCH + timedelta(milliseconds=ms)
    local = universal.astimezone(zone)
    day = f"{DAYS[language][local.weekday()]} {local.day} {MONTHS[language][local.month - 1]} {local.year}"
    other = (
        "" if local.date() == universal.astimezone(UTC).date() else f"{universal.day} {MONTHS[language][universal.month - 1]} "
    )
    return f"{day} {clock_time(ms, zone, language)} ({other}{universal:%H:%M} UTC)"
