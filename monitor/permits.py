"""Permits: what a named person allowed or forbade for a while. An *authorization* lets a vehicle stand; a *lockdown* lets none move.

Both hold over `[starts_at, ends_at)` of event time, so that a replay agrees with what was in force. An authorization wins over a
`no_stop` place, never over a `restricted` one.
Shapes: N fixes.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.fixes import VehicleId

SPOT_M = 250.0


@dataclass(frozen=True, slots=True)
class Authorization:
    """A vehicle may stand in a place, or within a radius of a spot, or anywhere where neither is named; why, and who says so."""

    id: str
    carrier: str
    vehicle: str
    starts_at: int
    ends_at: int
    """ms since 1970 UTC, half-open."""
    why: str
    by: str
    place: str | None = None
    lon: float | None = None
    lat: float | None = None
    radius_m: float = SPOT_M

    @property
    def of(self) -> VehicleId:
        """Whose it is."""
        return VehicleId(self.carrier, self.vehicle)


@dataclass(frozen=True, slots=True)
class Lockdown:
    """A place, or a vehicle, or every vehicle of a carrier moves for nobody; why, and who says so."""

    id: str
    starts_at: int
    ends_at: int
    """ms since 1970 UTC, half-open."""
    why: str
    by: str
    carrier: str | None = None
    vehicle: str | None = None
    """With its carrier; None: all of the carrier's."""
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Permits:
    """All of them, whenever they held."""

    authorizations: tuple[Authorization, ...] = ()
    lockdowns: tuple[Lockdown, ...] = ()


NO_PERMITS = Permits()
