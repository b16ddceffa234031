"""Lines that trucks drive along: polylines measured in metres, cut and joined, and points beside them.

Shapes: N vertices of a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.fixes import F64
from monitor.ingest.fleet.roads import metres_per_degree

Spot = tuple[float, float]
"""Longitude and latitude, degrees."""


@dataclass(frozen=True)
class Line:
    """A polyline: (N,) degrees, and metres from its first vertex."""

    lon: F64
    lat: F64
    s: F64

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return float(self.s[-1])

    def at(self, s: float) -> Spot:
        """The point some metres along it."""
        return float(np.interp(s, self.s, self.lon)), float(np.interp(s, self.s, self.lat))

    def beside(self, s: float, right_m: float) -> Spot:
        """A point some metres to the right of it."""
        a, b = self.at(max(0.0, s - 200.0)), self.at(min(self.length, s + 200.0))
        north, east = (float(x) for x in metres_per_degree(np.array(a[1])))
        dx, dy = (b[0] - a[0]) * east, (b[1] - a[1]) * north
        size = float(np.hypot(dx, dy))
        return moved(self.at(s), right_m * dy / size, -right_m * dx / size)

    def between(self, a: float, b: float) -> Line:
        """The part from a to b metres, backwards where b is less."""
        low, high = min(a, b), max(a, b)
        inner = (self.s > low + 1e-6) & (self.s < high - 1e-6)
        ends = [self.at(low), self.at(high)]
        lon = np.concatenate(([ends[0][0]], self.lon[inner], [ends[1][0]]))
        lat = np.concatenate(([ends[0][1]], self.lat[inner], [ends[1][1]]))
        return measured(lon, lat) if a <= b else measured(lon[::-1], lat[::-1])

    def reversed(self) -> Line:
        """The same line the other way."""
        return measured(self.lon[::-1], self.lat[::-1])


def moved(spot: Spot, east_m: float, north_m: float) -> Spot:
    """A point some metres from another."""
    north, east = (float(x) for x in metres_per_degree(np.array(spot[1])))
    return spot[0] + east_m / east, spot[1] + north_m / north


def metres(a: Spot, b: Spot) -> float:
    """Metres between two points that are near each other."""
    north, east = (float(x) for x in metres_per_degree(np.array((a[1] + b[1]) / 2)))
    return float(np.hypot((a[0] - b[0]) * east, (a[1] - b[1]) * north))


def measured(lon: F64, lat: F64) -> Line:
    """A line of these vertices."""
    north, east = metres_per_degree((lat[1:] + lat[:-1]) / 2)
    steps = np.hypot(np.diff(lon) * east, np.diff(lat) * north)
    return Line(lon, lat, np.concatenate(([0.0], np.cumsum(steps))))


def through(spots: Sequence[Spot]) -> Line:
    """A line through some points."""
    lon, lat = np.array(spots, np.float64).T
    return measured(lon, lat)


def joined(lines: Sequence[Line]) -> Line:
    """Lines one after the other; each begins where the one before ends."""
    lon = np.concatenate([lines[0].lon[:1], *(line.lon[1:] for line in lines)])
    lat = np.concatenate([lines[0].lat[:1], *(line.lat[1:] for line in lines)])
    return measured(lon, lat)


def winding(a: Spot, b: Spot, rng: np.random.Generator) -> Line:
    """A road between two towns: a vertex a kilometre, bends of many sizes."""
    straight = metres(a, b)
    share = np.linspace(0.0, 1.0, max(2, int(straight / 1000.0)))
    across = np.zeros(len(share))
    for wave_m, height_m in ((90_000.0, 3500.0), (14_000.0, 500.0), (5_000.0, 120.0)):
        across += height_m * np.sin(2 * np.pi * (share * straight / wave_m + rng.random()))
    across *= np.minimum(1.0, np.minimum(share, 1.0 - share) * straight / 20_000.0)
    lon, lat = a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
    north, east = metres_per_degree(lat)
    dx, dy = (b[0] - a[0]) * float(east.mean()), (b[1] - a[1]) * float(north.mean())
    return measured(lon + across * dy / straight / east, lat - across * dx / straight / north)
