"""Explanations: why a signal was raised, and why a stop was not, in one sentence with the numbers, English or French.

A sentence is a function of the signal (or the stop) and the world alone, so that nothing need be stored for it: what is said today of
a signal of last year is what its log line and the places, trips and settings of then say. A limit is given a reason only where the
world still says that limit; else only its number is told. Words are neutral: what was seen, never who is to blame.
Every kind has its function and its title in both languages, side by side in `EXPLANATIONS` and `TITLES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from monitor.explain import english, french
from monitor.explain.case import Case, Rest
from monitor.explain.figures import typeset
from monitor.places import Geofences
from monitor.settings import Settings
from monitor.signals import Signal
from monitor.stops import Stop
from monitor.trips import Trips
from monitor.world import World

LANGUAGES = ("en", "fr")

EXPLANATIONS: Mapping[str, Mapping[str, Callable[[Case], str]]] = {"en": english.KINDS, "fr": french.KINDS}
"""Language -> kind -> the sentence of a signal of that kind."""
TITLES: Mapping[str, Mapping[str, str]] = {"en": english.TITLES, "fr": french.TITLES}
"""Language -> kind -> what it is called."""
ALARMS: Mapping[str, Mapping[str, str]] = {"en": english.ALARMS, "fr": french.ALARMS}
"""Language -> name of an alarm -> what it is called."""
SEVERITIES: Mapping[str, Mapping[str, str]] = {"en": english.SEVERITIES, "fr": french.SEVERITIES}
RESTS: Mapping[str, Callable[[Rest], str]] = {"en": english.rest, "fr": french.rest}
NOWHERE = World(Settings(), Geofences(), Trips())
"""A world of which nothing is known: no place, no trip, the settings as shipped."""
OTHERS: Mapping[str, Callable[[Case], str]] = {"en": english.other, "fr": french.other}
"""What is said of a kind that nobody knows any more."""


def explain(signal: Signal, world: World, language: str) -> str:
    """Why a signal was raised: "stood 34 min at 43.62000, -79.71000, 2.1 km from ...; limit 5 min: high-value load, ..."."""
    case = Case(signal, world)
    return typeset(EXPLANATIONS[language].get(signal.kind, OTHERS[language])(case), language)


def title(signal: Signal, language: str) -> str:
    """What a signal is called: "unscheduled stop, not yet explained"."""
    if signal.detail is not None:
        return ALARMS[language].get(signal.detail, signal.detail)
    return TITLES[language].get(signal.kind, signal.kind.replace("_", " "))


def why_not(stop: Stop, world: World, language: str, signals: Sequence[Signal] = ()) -> str:
    """Why nobody was told of a stop: "approved rest area Puslinch; 8 h 10 of 11 h 00"; or what was raised during it.

    `signals` are those of the log that it came with; what is none of this vehicle's, or at another time, does not count.
    """
    return typeset(RESTS[language](Rest(stop, world, signals)), language)
