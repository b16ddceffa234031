"""The true motion of one truck: where it is at every instant of the week, and why.

A path (a polyline) and knots of time, metres along the path and speed; between two knots the acceleration is constant.
Shapes: K knots, N instants. Times are seconds from the start of the week.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

import numpy as np

from benchmarks.week.habits import Random
from benchmarks.week.lines import Line, Spot, joined, through
from monitor.fixes import F64

ACCELERATION = 0.5
"""m/s², getting under way and braking."""


@dataclass(frozen=True)
class Span:
    """What a truck was doing over an interval."""

    begin: float
    end: float
    cause: str
    standing: bool = False
    ignition: bool = True
    silent: bool = False
    """Whether no position gets out."""
    place: str | None = None
    """The stop place it stood at."""

    def said(self, known: Set[str]) -> str:
        """Its cause, and whether the place is known to the monitor."""
        return self.cause if self.place is None else f"{self.cause}, {'known' if self.place in known else 'unknown'} place"


@dataclass
class Journey:
    """A truck's week, made piece by piece; `time` is how far it has been made."""

    start: Spot
    time: float = 0.0
    spans: list[Span] = field(default_factory=list)
    """One after the other, without a hole."""
    halts: list[Span] = field(default_factory=list)
    """What happened inside of a span: red lights."""
    _lines: list[Line] = field(default_factory=list)
    _knots: list[tuple[float, float, float]] = field(default_factory=list)
    _s: float = 0.0

    def __post_init__(self) -> None:
        self._knots.append((self.time, 0.0, 0.0))

    @property
    def here(self) -> Spot:
        """Where the truck now stands."""
        if not self._lines:
            return self.start
        return float(self._lines[-1].lon[-1]), float(self._lines[-1].lat[-1])

    def stand(self, seconds: float, cause: str, place: str | None = None, *, ignition: bool = True, silent: bool = False) -> Span:
        """Stand still."""
        begin = self.time
        self._knot(seconds, 0.0, 0.0)
        self.spans.append(Span(begin, self.time, cause, True, ignition, silent, place))  # noqa: FBT003 - as declared
        return self.spans[-1]

    def stand_until(self, time: float) -> None:
        """Let the last stand end at this time, sooner or later than it would have."""
        while self.spans[-1].begin > time:
            self._undo()
        last = self._undo()
        self.stand(time - last.begin, last.cause, last.place, ignition=last.ignition)

    def _undo(self) -> Span:
        """Take back the last stand."""
        last = self.spans.pop()
        if not last.standing:
            raise ValueError(f"{last}: only a stand can be taken back")
        self._knots.pop()
        self.time = last.begin
        return last

    def drive(
        self, line: Line, cruise: float, rng: Random, cause: str, *, light_every_m: float = 0.0, silent: bool = False
    ) -> Span:
        """Drive a line from end to end; it begins where the truck stands. With lights, some are red."""
        begin, done = self.time, 0.0
        while line.length - done > 1e-6:
            left = line.length - done
            stretch = min(left, float(rng.uniform(0.5, 1.7)) * light_every_m) if light_every_m else left
            self._stretch(stretch, cruise, rng)
            done += stretch
            if line.length - done > 1e-6 and rng.random() < 0.45:
                red = self.time
                self._knot(float(rng.uniform(30, 90)), 0.0, 0.0)
                self.halts.append(Span(red, self.time, "red light", standing=True))
        self._lines.append(line)
        self.spans.append(Span(begin, self.time, cause, silent=silent))
        return self.spans[-1]

    def creep(self, line: Line, from_m: float, seconds: float, halts_s: tuple[float, float], rng: Random, cause: str) -> float:
        """Creep at 1 to 6 km/h with halts in between; gives the metres it came along the line."""
        begin, first = self.time, self._s
        while self.time - begin < seconds and self._s - first < line.length - from_m - 100.0:
            pace, stretch = float(rng.uniform(1, 6)) / 3.6, float(rng.uniform(15, 60))
            self._knot(2.0, pace, pace)
            self._knot(stretch, pace * stretch, pace)
            self._knot(2.0, pace, 0.0)
            self._knot(float(rng.uniform(*halts_s)), 0.0, 0.0)
        came = self._s - first
        self._lines.append(line.between(from_m, from_m + came))
        self._s = first + self._lines[-1].length
        self._knots[-1] = (self.time, self._s, 0.0)
        self.spans.append(Span(begin, self.time, cause))
        return came

    def visit(self, spot: Spot, seconds: float, cause: str, place: str, rng: Random, *, ignition: bool) -> None:
        """Turn off to a spot, stand there, and come back to the road."""
        road = self.here
        self.drive(through([road, spot]), 7.0, rng, "driving")
        self.stand(seconds, cause, place, ignition=ignition)
        self.drive(through([spot, road]), 7.0, rng, "driving")

    def _stretch(self, length: float, cruise: float, rng: Random) -> None:
        """From standing to standing, at a speed that wavers."""
        ramp = min(length / 2, cruise**2 / (2 * ACCELERATION))
        top, left = float(np.sqrt(2 * ACCELERATION * ramp)), length - 2 * ramp
        speed = top
        self._knot(2 * ramp / top, ramp, top)
        while left > 1e-6:
            piece = left if left < 4000.0 else 2000.0
            target = top if piece == left else max(2.0, top + float(rng.normal(0.0, 0.05)) * top)
            self._knot(2 * piece / (speed + target), piece, target)
            left, speed = left - piece, target
        self._knot(2 * ramp / top, ramp, 0.0)

    def _knot(self, seconds: float, metres: float, speed: float) -> None:
        self.time, self._s = self.time + seconds, self._s + metres
        self._knots.append((self.time, self._s, speed))

    def motion(self) -> Motion:
        """What has been made."""
        line = joined(self._lines) if self._lines else through([self.start, self.start])
        time, s, speed = np.array(self._knots).T
        return Motion(line, time, s, speed, tuple(self.spans), tuple(self.halts))


@dataclass(frozen=True)
class Motion:
    """A finished week of one truck. `time`, `s`, `speed` (K,) are its knots."""

    line: Line
    time: F64
    s: F64
    speed: F64
    spans: tuple[Span, ...]
    halts: tuple[Span, ...]

    def at(self, time: F64) -> tuple[F64, F64, F64]:
        """(N,) longitude, latitude and m/s at some instants."""
        i = np.clip(np.searchsorted(self.time, time, side="right") - 1, 0, len(self.time) - 2)
        lasts = np.maximum(self.time[i + 1] - self.time[i], 1e-9)
        dt = np.clip(time - self.time[i], 0.0, lasts)
        push = (self.speed[i + 1] - self.speed[i]) / lasts
        s = self.s[i] + self.speed[i] * dt + 0.5 * push * dt**2
        return np.interp(s, self.line.s, self.line.lon), np.interp(s, self.line.s, self.line.lat), self.speed[i] + push * dt
