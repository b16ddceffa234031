"""The monitor as a contestant: the pure step over a scene's tracks, with alerts for standing five minutes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.scenes import hold_radius_m
from benchmarks.accuracy.scoring import Found
from benchmarks.accuracy.tracks import Track
from monitor.detectors import unauthorized_stop
from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.pipeline import fresh, step, stops_of
from monitor.places import Geofences
from monitor.settings import load_settings
from monitor.signals import Signal
from monitor.stops import Stop
from monitor.trips import Trips
from monitor.world import World

CARRIER = "acme"


def fixes_of(tracks: Sequence[Track]) -> tuple[FixBatch, Fleet]:
    """All tracks as one batch."""
    fleet = Fleet()
    code = [np.full(len(track.time), fleet.code(VehicleId(CARRIER, track.name)), np.int32) for track in tracks]
    column = {name: np.concatenate([getattr(track, name) for track in tracks]) for name in ("time", "lon", "lat", "speed")}
    time = column["time"].astype("datetime64[ms]")
    return normalised(fleet, np.concatenate(code), time, column["lon"], column["lat"], speed=column["speed"]), fleet


def judged(tracks: Sequence[Track], world: World) -> tuple[list[Signal], list[Stop]]:
    """The signal log and the stops of some tracks at the newest of their times."""
    fixes, fleet = fixes_of(tracks)
    vehicles = len(fleet.ids)
    rows = fresh(fleet.ids, np.arange(vehicles, dtype=np.int32))
    outcome = step(rows, fixes, np.full(vehicles, fixes.time.view(np.int64).max()), world)
    if outcome.faults:
        raise SystemExit(str(dict(outcome.faults)))
    return outcome.signals, outcome.stops + stops_of(outcome.rows, outcome.rows.episodes, world)


def standing_settings(radius_m: float) -> list[str]:
    """Five minutes of standing are an alert."""
    return [
        "detectors.unauthorized_stop.limit=5m",
        f"motion.radius_m={radius_m}",
        f"motion.hold_radius_m={hold_radius_m(radius_m)}",
    ]


def standing_world(radius_m: float, *said: str) -> World:
    """No places and no trips: any five minutes of standing is an alert."""
    return World(load_settings(None, [*standing_settings(radius_m), *said]), Geofences((), (), "none"), Trips(()))


def stood(tracks: Sequence[Track], world: World) -> tuple[list[Signal], list[Stop]]:
    """The signals of standing, and the stops; of what else the monitor watches nothing is asked here."""
    signals, stops = judged(tracks, world)
    return [signal for signal in signals if signal.kind == unauthorized_stop.KIND], stops


def find(tracks: Sequence[Track], radius_m: float, *said: str) -> list[Found]:
    """What the monitor finds on each track."""
    signals, stops = stood(tracks, standing_world(radius_m, *said))
    end = max(int(track.time[-1]) for track in tracks)
    return [
        Found(
            [(signal.since, end if signal.until is None else signal.until) for signal in signals if signal.vehicle == track.name],
            [(stop.since, stop.until) for stop in stops if stop.vehicle.vehicle == track.name],
        )
        for track in tracks
    ]
