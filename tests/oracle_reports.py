"""Reports by hand, with what doors and alarms say and with permits, for tests of the oracle; else as `tests.handmade`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from monitor.fixes import Alarm, Fleet, normalised
from monitor.permits import Authorization, Lockdown, Permits
from monitor.settings import load_settings
from monitor.signals import Signal, log_order
from monitor.trips import Trip
from tests.handmade import FIVE_MINUTES, NAN, TRUCK, at, degrees
from tests.oracle import OraclePlace, OracleRoute, Watch

QUIET = Alarm(0)


class Said(NamedTuple):
    """One report: metres from the point (NaN: no position), m/s, the door, the alarms, and the ignition."""

    clock: str
    east: float = 0.0
    north: float = 0.0
    speed: float = 0.0
    door: int = -1
    alarms: Alarm = QUIET
    accuracy: float = NAN
    ignition: int = -1


def hear(
    reports: Iterable[Said], *, places: Sequence[OraclePlace] = (), routes: Sequence[OracleRoute] = (), trips: Sequence[Trip] = (),
    said: Sequence[str] = (), until: str | None = None, authorizations: Sequence[Authorization] = (),
    lockdowns: Sequence[Lockdown] = (),
) -> Watch:  # fmt: skip
    """One truck's track, to its last report or `until`."""
    rows, fleet = list(reports), Fleet()
    position = np.array([(NAN, NAN) if math.isnan(row.east) else degrees(row.east, row.north) for row in rows])
    fixes = normalised(
        fleet, np.full(len(rows), fleet.code(TRUCK), np.int32), np.array([at(row.clock) for row in rows]).astype("datetime64[ms]"),
        position[:, 0], position[:, 1], speed=np.array([row.speed for row in rows]),
        accuracy=np.array([row.accuracy for row in rows]), door=np.array([row.door for row in rows], np.int8),
        ignition=np.array([row.ignition for row in rows], np.int8),
        alarms=np.array([int(row.alarms) for row in rows], np.uint32),
    )  # fmt: skip
    horizon = at(until) if until else int(fixes.time.view(np.int64).max())
    chosen, permits = load_settings(None, [*FIVE_MINUTES, *said]), Permits(tuple(authorizations), tuple(lockdowns))
    known = {place.id: place for place in places}
    return Watch(TRUCK, fixes, known, {route.id: route for route in routes}, list(trips), chosen, horizon, permits)


def of(track: Watch, kind: str) -> list[Signal]:
    """What one detector finds, in log order."""
    return sorted((signal for signal in track.signals() if signal.kind == kind), key=log_order)


def lockdown(start: str = "00:00", end: str = "23:59", *, place: str | None = None, unit: bool = False) -> Lockdown:
    """One of a place, of the truck, or of all of its carrier."""
    whose = {"place": place} if place else {"carrier": TRUCK.carrier, "vehicle": TRUCK.vehicle if unit else None}
    return Lockdown("lock", at(start), at(end), "theft nearby", "security", **whose)


def authorization(start: str, end: str, **where: str | float) -> Authorization:
    """The truck may stand in a place, about a spot, or anywhere."""
    return Authorization("may", *TRUCK, at(start), at(end), "rest", "dispatch", **where)  # type: ignore[arg-type]
