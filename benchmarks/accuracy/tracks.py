"""Generated tracks: a vehicle's true motion second by second, and what a device reports of it.

The motion is made of legs (drives, stands, creeps) on a plane around a point in Ontario; a *true stop* is what a stand of five
minutes or longer is. A device reports at an interval, with white Gaussian noise of a standard deviation on each axis, which is harder
than the slowly wandering error of real receivers; drift, outliers, spikes and gaps come on top where a scene asks for them.
Shapes: T seconds of a motion, N reports of a track.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.fixes import F64, I64
from monitor.geodesy import metres_per_degree

ORIGIN = (-78.5, 44.0)
"""Degrees: the middle of the plane that the motions lie in."""
START_MS = 1_772_323_200_000
Interval = tuple[int, int]
"""From and to, ms since 1970 UTC."""
Random = np.random.Generator


@dataclass(frozen=True)
class Track:
    """What one device reported, and the truth."""

    name: str
    time: I64
    """(N,) ms."""
    lon: F64
    lat: F64
    speed: F64
    """(N,) m/s as reported, NaN unknown."""
    stops: tuple[Interval, ...] = ()
    """The true stops, in order."""
    parked_h: float = 0.0
    moving_h: float = 0.0
    """Hours the vehicle truly spent in true stops, and outside of them."""


class Motion:
    """A vehicle's true motion, made leg by leg."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.speeds: list[F64] = []
        self.headings: list[F64] = []
        self.heading = float(rng.uniform(0, 2 * np.pi))
        self.seconds = 0
        self.stops: list[tuple[int, int]] = []

    def _add(self, speed: F64, wander: float) -> None:
        turned = self.heading + np.cumsum(self.rng.normal(0.0, wander, len(speed)))
        self.speeds.append(speed)
        self.headings.append(turned)
        self.heading, self.seconds = float(turned[-1]), self.seconds + len(speed)

    def drive(self, seconds: int) -> None:
        """Set off, cruise at 10 to 25 m/s, and brake to a standstill."""
        t, cruise = np.arange(seconds, dtype=np.float64), self.rng.uniform(10, 25)
        self._add(np.minimum(np.minimum(0.8 * t, cruise), 1.0 * (seconds - t)), 0.008)

    def drive_metres(self, metres: float) -> None:
        """The shortest of drives: straight on for a few hundred metres at 12 m/s at the most."""
        cruise, seconds = 12.0, 0
        while True:
            t = np.arange(seconds, dtype=np.float64)
            speed = np.minimum(np.minimum(0.8 * t, cruise), 1.0 * (seconds - t))
            if speed.sum() >= metres:
                return self._add(speed, 0.0)
            seconds += 1

    def stand(self, seconds: int, *, counts: bool = True) -> None:
        """Stand still; a true stop where it counts."""
        if counts:
            self.stops.append((self.seconds, self.seconds + seconds))
        self._add(np.zeros(seconds), 0.0)

    def queue(self, seconds: int, *, halts: bool) -> None:
        """Creep at 1 to 6 km/h, with or without halts of 20 to 120 s; one true stop, as dispatch would see it."""
        self.stops.append((self.seconds, self.seconds + seconds))
        end = self.seconds + seconds
        while self.seconds < end:
            stretch = min(int(self.rng.uniform(15, 60)), end - self.seconds)
            self._add(np.full(stretch, self.rng.uniform(1, 6) / 3.6), 0.0)
            if halts and self.seconds < end:
                self._add(np.zeros(min(int(self.rng.uniform(20, 120)), end - self.seconds)), 0.0)

    def path(self) -> tuple[F64, F64, F64]:
        """(T,) metres east and north, and m/s, at every second."""
        speed, heading = np.concatenate(self.speeds), np.concatenate(self.headings)
        return np.cumsum(speed * np.sin(heading)), np.cumsum(speed * np.cos(heading)), speed


@dataclass(frozen=True)
class Device:
    """How a device reports; every scene changes one thing."""

    every_s: int = 30
    noise_m: float = 15.0
    speed: str = "honest"
    """honest, whole (honest, in whole km/h), missing, or frozen at a number of m/s."""
    outliers: float = 0.0
    """Share of the reports that lie 0.5 to 5 km off."""
    drift_m: float = 0.0
    """Standard deviation of the slow wander of the position while parked."""
    gaps: int = 0
    """How often the device is silent, for 12 to 40 minutes."""
    spike_m: float = 0.0
    """One report an hour lies this far off."""

    @property
    def slow_when_parked(self) -> bool:
        """Whether the speed that it reports of a parked vehicle is next to nothing."""
        return self.speed in ("honest", "whole", "0")

    def reported(self, motion: Motion, name: str) -> Track:
        """What the device says of a motion."""
        rng, (east, north, speed) = motion.rng, motion.path()
        parked = np.zeros(len(speed), bool)
        for begin, end in motion.stops:
            parked[begin:end] = True
        second = np.arange(rng.integers(0, self.every_s), len(speed), self.every_s)
        second = second[self._heard(rng, second, len(speed))]
        x, y = east[second] + self._noise(rng, len(second)), north[second] + self._noise(rng, len(second))
        if self.drift_m:
            x, y = x + self._drift(rng, parked)[second], y + self._drift(rng, parked)[second]
        away = self._away(rng, second)
        turn = rng.uniform(0, 2 * np.pi, len(second))
        east_deg, north_deg = metres_per_degree(ORIGIN[1])
        return Track(
            name=name,
            time=START_MS + 1000 * second.astype(np.int64),
            lon=ORIGIN[0] + (x + away * np.sin(turn)) / east_deg,
            lat=ORIGIN[1] + (y + away * np.cos(turn)) / north_deg,
            speed=self._speed(rng, speed[second]),
            stops=tuple((START_MS + 1000 * begin, START_MS + 1000 * end) for begin, end in motion.stops),
            parked_h=float(parked.sum()) / 3600,
            moving_h=float((~parked).sum()) / 3600,
        )

    def _noise(self, rng: Random, n: int) -> F64:
        return rng.normal(0.0, self.noise_m, n)

    def _heard(self, rng: Random, second: I64, length: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        heard = np.ones(len(second), bool)
        for begin in rng.uniform(0, length, self.gaps):
            heard &= (second < begin) | (second > begin + rng.uniform(12, 40) * 60)
        return heard

    def _drift(self, rng: Random, parked: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> F64:
        """An Ornstein-Uhlenbeck wander with a memory of ten minutes, from zero at the start of each stop; none under way."""
        keep, out, value = np.exp(-1 / 600), np.zeros(len(parked)), 0.0
        pushes = rng.normal(0.0, self.drift_m * np.sqrt(1 - keep**2), len(parked))
        for second in np.flatnonzero(parked).tolist():
            value = value * keep + pushes[second] if parked[second - 1] else 0.0
            out[second] = value
        return out

    def _away(self, rng: Random, second: I64) -> F64:
        away = np.where(rng.random(len(second)) < self.outliers, rng.uniform(500, 5000, len(second)), 0.0)
        if self.spike_m:
            hourly = np.unique(np.searchsorted(second, np.arange(1800, second[-1], 3600)))
            away[hourly] = self.spike_m
        return away

    def _speed(self, rng: Random, true: F64) -> F64:
        if self.speed in ("honest", "whole"):
            said = np.abs(true + rng.normal(0.0, 0.15, len(true)))
            return said if self.speed == "honest" else np.round(said * 3.6) / 3.6
        return np.full(len(true), np.nan if self.speed == "missing" else float(self.speed))
