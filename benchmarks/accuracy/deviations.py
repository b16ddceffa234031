"""Deviation scenes: trucks on their routes at any vertex spacing, and trucks beside them, against the geodesic.

A road is made of geodesic legs between vertices, turning up to ten degrees at each; the truck drives at 22 m/s and reports every 30 s.
The truth of a distance is `pyproj.Geod` to points of the road 10 m apart.
Shapes: N fixes, K vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyproj import Geod

from benchmarks.accuracy import rules
from benchmarks.accuracy.ours import CARRIER, judged
from benchmarks.accuracy.tracks import START_MS, Random, Track
from monitor.fixes import F64
from monitor.geodesy import metres_per_degree
from monitor.places import Geofences, Route
from monitor.settings import load_settings
from monitor.trips import Trip, Trips
from monitor.world import World

GEOD = Geod(ellps="WGS84")
SPACINGS_M = (100, 500, 1000, 2000, 5000, 10_000, 20_000)
LATITUDES = (41, 49, 60, 70)
HEADINGS = {"north": 0.0, "east": 90.0}
OFFSETS_M = (1500, 6000)
LENGTH_M, PACE_MPS, EVERY_S = 80_000, 22.0, 30
OFF_M = (30_000, 45_000)
"""The stretch of the road beside which a straying truck drives."""
CONTESTANTS = ("monitor", "Fleetbase rule", "OpenTMS rule")


@dataclass(frozen=True)
class Road:
    """A road of geodesic legs."""

    vertices: F64
    """(K, 2) degrees."""
    azimuth: F64
    """(K - 1,) degrees, at the start of each leg."""
    spacing_m: float

    def at(self, along_m: F64, beside_m: F64) -> tuple[F64, F64]:
        """(N,) degrees of points so far along the road, and so far to the right of it."""
        leg = np.minimum((along_m / self.spacing_m).astype(np.int64), len(self.azimuth) - 1)
        lon, lat, back = GEOD.fwd(self.vertices[leg, 0], self.vertices[leg, 1], self.azimuth[leg], along_m - leg * self.spacing_m)
        lon, lat, _ = GEOD.fwd(lon, lat, np.asarray(back) + 180.0 + 90.0, beside_m)
        return np.asarray(lon), np.asarray(lat)


def road(rng: Random, lat: float, heading: float, spacing_m: float) -> Road:
    """A winding road of 80 km."""
    legs = max(1, int(LENGTH_M / spacing_m))
    vertices, azimuths = [(-78.5, lat)], []
    turns = np.clip(np.cumsum(rng.uniform(-10, 10, legs)), -20, 20)
    for turn in turns:
        lon, lat, _ = GEOD.fwd(*vertices[-1], heading + turn, spacing_m)
        azimuths.append(heading + turn)
        vertices.append((lon, lat))
    return Road(np.array(vertices), np.array(azimuths), spacing_m)


def drive(rng: Random, way: Road, beside_m: float, noise_m: float) -> Track:
    """A truck along the whole road, beside it for a stretch."""
    along = np.arange(0.0, LENGTH_M, PACE_MPS * EVERY_S)
    off = np.where((along >= OFF_M[0]) & (along < OFF_M[1]), beside_m, 0.0)
    lon, lat = way.at(along, off)
    east, north = metres_per_degree(float(lat.mean()))
    lon, lat = lon + rng.normal(0, noise_m, len(lon)) / east, lat + rng.normal(0, noise_m, len(lat)) / north
    time = START_MS + 1000 * EVERY_S * np.arange(len(along), dtype=np.int64)
    return Track("truck-0", time, lon, lat, np.full(len(along), PACE_MPS))


def routed_world(way: Road, track: Track) -> World:
    """A world of one route and one trip on it, settings as they come."""
    line = tuple((float(lon), float(lat)) for lon, lat in way.vertices)
    trip = Trip("trip", CARRIER, track.name, ("road",), int(track.time[0]), int(track.time[-1]) + 1)
    return World(load_settings(None, []), Geofences((), (Route("road", "road", line),), "road"), Trips([trip]))


def true_m(way: Road, track: Track) -> F64:
    """(N,) metres from each fix to the road along the geodesic."""
    dense = np.arange(0.0, LENGTH_M, 10.0)
    lon, lat = way.at(dense, np.zeros(len(dense)))
    repeat = len(lon)
    return np.array(
        [np.min(GEOD.inv(np.full(repeat, x), np.full(repeat, y), lon, lat)[2]) for x, y in zip(track.lon, track.lat, strict=True)]
    )


def false_deviations() -> dict[int, dict[str, int]]:
    """For each spacing, how often each contestant calls a truck off its route that is on it; a truck for each latitude and heading."""
    out: dict[int, dict[str, int]] = {}
    for spacing in SPACINGS_M:
        counts = dict.fromkeys(CONTESTANTS, 0)
        for lat in LATITUDES:
            for heading in HEADINGS.values():
                rng = np.random.default_rng([spacing, lat, int(heading)])
                way = road(rng, lat, heading, spacing)
                track = drive(rng, way, 0.0, 15.0)
                counts["monitor"] += len(_signals(way, track))
                beyond = rules.fleetbase(track.lon, track.lat, way.vertices) > rules.FLEETBASE_M
                counts["Fleetbase rule"] += rules.begins(beyond)
                seen = rules.polled(track.time)
                beyond = rules.opentms(track.lon[seen], track.lat[seen], way.vertices) > rules.OPENTMS_M
                counts["OpenTMS rule"] += rules.begins(beyond)
        out[spacing] = counts
    return out


def _signals(way: Road, track: Track) -> list[float]:
    """The measures of the monitor's deviations, metres."""
    signals, _ = judged([track], routed_world(way, track))
    return [signal.measure for signal in signals if signal.kind == "route_deviation"]


@dataclass(frozen=True)
class Strayed:
    """What contestants say of a truck that strayed: metres at the worst, NaN where it was not found."""

    lat: int
    heading: str
    offset_m: int
    true_m: float
    said_m: dict[str, float]

    def error(self, contestant: str) -> float:
        """Share by which the distance is wrong."""
        return abs(self.said_m[contestant] - self.true_m) / self.true_m


def strayed() -> list[Strayed]:
    """One truck a latitude, heading and offset, without noise, its road's vertices 5 km apart."""
    out = []
    for lat in LATITUDES:
        for name, heading in HEADINGS.items():
            for offset in OFFSETS_M:
                rng = np.random.default_rng([lat, int(heading), offset])
                way = road(rng, lat, heading, 5000)
                out.append(_strayed(lat, name, offset, way, drive(rng, way, offset, 0.0)))
    return out


def _strayed(lat: int, heading: str, offset: int, way: Road, track: Track) -> Strayed:
    away, seen = true_m(way, track), rules.polled(track.time)
    off = away > offset / 2
    said = {
        "monitor": max(_signals(way, track), default=np.nan),
        "Fleetbase rule": _worst(rules.fleetbase(track.lon[off], track.lat[off], way.vertices), rules.FLEETBASE_M),
        "OpenTMS rule": _worst(
            rules.opentms(track.lon[seen][off[seen]], track.lat[seen][off[seen]], way.vertices), rules.OPENTMS_M
        ),
    }
    return Strayed(lat, heading, offset, float(away.max()), said)


def _worst(metres: F64, limit: float) -> float:
    return float(metres.max()) if len(metres) and metres.max() > limit else float("nan")
