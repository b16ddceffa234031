"""Places as the oracle has them, with limits of their own, and which limits hold: trip > load class > carrier > place > all."""

from __future__ import annotations

import dataclasses
from typing import Any

from monitor.settings import Detectors, Limits, Settings
from monitor.trips import Trip
from tests import oracle_geometry

Place = oracle_geometry.OraclePlace


@dataclasses.dataclass(frozen=True)
class OraclePlace(Place):
    """A geofence, the limits that hold in it (detector -> parameter -> value), and from when until when it exists (ms, half-open)."""

    limits: Limits = dataclasses.field(default_factory=dict)
    valid_from: int | None = None
    valid_until: int | None = None


def exists(place: Place, time: int) -> bool:
    """Whether there is such a place at an instant."""
    if not isinstance(place, OraclePlace):
        return True
    begun = place.valid_from is None or place.valid_from <= time
    return begun and (place.valid_until is None or time < place.valid_until)


def limits_of(said: Trip | Place | None) -> Limits:
    """What a trip or a place says of limits."""
    return said.limits if isinstance(said, Trip | OraclePlace) else {}


def limits_under(settings: Settings, carrier: str, trip: Trip | None, place: Place | None) -> Detectors:
    """The limits of a carrier's vehicle under a trip and in a place."""
    detectors = settings.detectors
    for said in (limits_of(place), settings.carrier.get(carrier, {}), of_load(settings, trip), limits_of(trip)):
        for name, values in said.items():
            section = dataclasses.replace(getattr(detectors, name), **values)
            detectors = dataclasses.replace(detectors, **{name: section})
    return detectors


def overridden(settings: Settings, carrier: str, trip: Trip | None, detector: str, parameter: str) -> Any:
    """What is said of a limit for the trip, else its load class, else the carrier; None where none of them says it."""
    said = next((said[detector] for said in above_places(settings, carrier, trip) if parameter in said.get(detector, {})), {})
    return said.get(parameter)


def is_overridden(settings: Settings, carrier: str, trip: Trip | None, detector: str, parameter: str) -> bool:
    """Whether any of them says it, were it that there is no limit."""
    return any(parameter in said.get(detector, {}) for said in above_places(settings, carrier, trip))


def above_places(settings: Settings, carrier: str, trip: Trip | None) -> tuple[Limits, ...]:
    """What comes before what a place says: the trip, its load class, the carrier."""
    return limits_of(trip), of_load(settings, trip), settings.carrier.get(carrier, {})


def of_load(settings: Settings, trip: Trip | None) -> Limits:
    """What is said for the load class of a trip; without one it is the standard one."""
    return settings.load.get(trip.load if trip else "standard", {})
