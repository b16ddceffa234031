"""Journeys that end otherwise than planned: dark minutes, a return along the own corridor, and queues at a border that has its place.

Fifty dark minutes: a truck at 22 m/s falls silent, and its next position is fifty minutes later and 27 km on; at 80 km/h 20.25 minutes
explain that, so that 29.75 are unaccounted for. A return: it drives 40 km along its route, turns, and drives 25 km back in its own lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shapely import affinity
from shapely.geometry import LineString

from benchmarks.accuracy.deviations import EVERY_S, PACE_MPS, road, routed_world
from benchmarks.accuracy.ours import judged, standing_settings
from benchmarks.accuracy.scenes import RADIUS_M, SCENES, Scene
from benchmarks.accuracy.scoring import joined
from benchmarks.accuracy.tracks import ORIGIN, START_MS, Interval, Track
from monitor.fixes import F64
from monitor.geodesy import metres_per_degree
from monitor.places import Geofences, Place
from monitor.settings import load_settings
from monitor.signals import Signal
from monitor.trips import Trips
from monitor.world import World

DARK_S, DARK_M, ASSUMED_MPS = 50 * 60, 27_000.0, 80 / 3.6
AHEAD_M, BACK_M = 40_000.0, 25_000.0
DWELL = "30m"
QUEUE_M = 200.0
"""How far a port of entry reaches around the queue in it."""


@dataclass(frozen=True)
class Journey:
    """What the monitor said of one journey, and what it should say: one signal of one kind and measure."""

    words: str
    kind: str
    measure: float
    tolerance: float
    unit: str
    said: Sequence[Signal]

    @property
    def told(self) -> str:
        """The signals in words."""
        return "; ".join(f"{s.kind}, {s.measure:,.1f} {s.unit}" for s in self.said) or "nothing"

    @property
    def met(self) -> bool:
        """Whether it said that and nothing else."""
        return [s.kind for s in self.said] == [self.kind] and abs(self.said[0].measure - self.measure) <= self.tolerance


def dark() -> Journey:
    """Fifty dark minutes, and 27 km on."""
    first = np.arange(0.0, 20_000, PACE_MPS * EVERY_S)
    along = np.concatenate([first, first[-1] + DARK_M + np.arange(0.0, 15_000, PACE_MPS * EVERY_S)])
    second = EVERY_S * np.arange(len(along), dtype=np.int64)
    second[len(first) :] += DARK_S - EVERY_S
    minutes = (DARK_S - DARK_M / ASSUMED_MPS) / 60
    return Journey("50 dark minutes, 27 km on", "signal_lost", minutes, 0.5, "min", _driven(along, second))


def back() -> Journey:
    """Back along the own corridor."""
    along = np.concatenate(
        [np.arange(0.0, AHEAD_M, PACE_MPS * EVERY_S), np.arange(AHEAD_M, AHEAD_M - BACK_M, -PACE_MPS * EVERY_S)]
    )
    second = EVERY_S * np.arange(len(along), dtype=np.int64)
    fallen = float(along.max() - along[-1])
    return Journey("back along its own corridor for 25 km", "wrong_way", fallen, 100.0, "m", _driven(along, second))


def _driven(along_m: F64, second: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[Signal]:
    """The signals of a truck on a road of 80 km, its vertices 5 km apart, with 15 m of noise."""
    rng = np.random.default_rng(1)
    way = road(rng, 45, 90.0, 5000)
    lon, lat = way.at(along_m, np.zeros(len(along_m)))
    east, north = metres_per_degree(45.0)
    lon, lat = lon + rng.normal(0, 15, len(lon)) / east, lat + rng.normal(0, 15, len(lat)) / north
    track = Track("truck-0", START_MS + 1000 * second, lon, lat, np.full(len(lon), PACE_MPS) + rng.normal(0, 0.15, len(lon)))
    return judged([track], routed_world(way, track))[0]


def journeys() -> list[Journey]:
    """Both journeys."""
    return [dark(), back()]


def queues() -> dict[str, tuple[int, int, int]]:
    """For each scene of border queues, each queue within its port of entry: queues, alerts, and incidents."""
    return {scene.name: queued(scene) for scene in SCENES if scene.queue}


def queued(scene: Scene) -> tuple[int, int, int]:
    """Queues, alerts and incidents of one scene."""
    tracks = scene.tracks()
    alerts: list[list[Interval]] = []
    for track in tracks:
        signals, _ = judged([track], _port(track))
        end = int(track.time[-1])
        alerts.append([(signal.since, end if signal.until is None else signal.until) for signal in signals])
    return sum(len(track.stops) for track in tracks), sum(map(len, alerts)), sum(len(joined(own)) for own in alerts)


def _port(track: Track) -> World:
    """A port of entry around each queue of a track; half an hour may be dwelt there, and five minutes be stood elsewhere."""
    east, north = metres_per_degree(ORIGIN[1])
    places = []
    for number, (begin, end) in enumerate(track.stops):
        within = (track.time >= begin) & (track.time <= end)
        metres = np.stack([(track.lon[within] - ORIGIN[0]) * east, (track.lat[within] - ORIGIN[1]) * north], axis=1)
        approach = affinity.scale(LineString(metres).buffer(QUEUE_M), 1 / east, 1 / north, origin=(0, 0))
        places.append(Place(f"port-{number}", "port", "port_of_entry", affinity.translate(approach, *ORIGIN)))
    settings = load_settings(None, [*standing_settings(RADIUS_M), f"detectors.long_dwell.port_of_entry={DWELL}"])
    return World(settings, Geofences(tuple(places), (), "ports"), Trips(()))
