"""A driver who does everything that the rules speak of, and a device that gets it wrong as devices do; for random tracks.

Rows are (ms, x east in m, y north in m, speed in m/s or NaN, accuracy in m or NaN, door, alarms, ignition) on a plane around an
anchor, in time order until the device has had its way with them; a row without a position has NaN for x and y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NAN = math.nan
INTERVALS_S = (1, 2, 5, 10, 15, 20, 30, 30, 30, 60, 60, 120)
OUTLIER_M = 60_000.0
ALARMS = (1, 2, 4, 8, 16, 32, 64)
"""Bits; those of unlocking and of the door are nobody's alarm."""


class Row(NamedTuple):
    """What the device measured once."""

    time: int
    x: float
    y: float
    speed: float
    accuracy: float = NAN
    door: int = -1
    alarms: int = 0
    ignition: int = -1


class Driver:
    """One vehicle's day: `rows` grow with everything it does.

    `haunts` are the points it likes to go to and to pass, `rooms` the places (x, y, radius) that it likes to step out of, `lines` the
    routes that it likes to drive along, to and fro.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        start: int,
        haunts: Sequence[tuple[float, float]],
        rooms: Sequence[tuple[float, float, float]],
        lines: Sequence[Sequence[tuple[float, float]]] = (),
    ) -> None:
        self.rng, self.time, self.haunts, self.rooms, self.lines = rng, start, haunts, rooms, lines
        self.rows: list[Row] = []
        self.x, self.y = self.somewhere()
        self.whole_seconds = bool(rng.random() < 0.75)
        self.interval = int(rng.choice(INTERVALS_S))

    def somewhere(self) -> tuple[float, float]:
        """Give a haunt, often missed by a little, sometimes by a lot."""
        x, y = self.haunts[int(self.rng.integers(len(self.haunts)))]
        miss = self.rng.choice([0.0, 40.0, 150.0, 600.0, 2000.0])
        return x + self.rng.normal() * miss, y + self.rng.normal() * miss

    def live(self, n: int) -> list[Row]:
        """Go on until there are n rows."""
        deeds = (
            self.stand, self.sleep, self.sleep, self.drift, self.crawl, self.drive, self.drive, self.detour, self.lights,
            self.detour, self.astray, self.silence, self.step_out, self.step_out, self.follow, self.follow, self.follow, self.leap,
            self.nap, self.stuck,
        )  # fmt: skip
        if self.rng.random() < 0.4:
            self.sleep()
        while len(self.rows) < n:
            if self.rng.random() < 0.3:
                self.interval = int(self.rng.choice(INTERVALS_S))
            deeds[self.rng.integers(len(deeds))]()
        return self.rows[:n]

    def report(self, speed: float, noise: float) -> None:
        """Let an interval pass and report the position, with noise."""
        self.time += self.interval * 1000
        if not self.whole_seconds or self.rng.random() < 0.05:
            self.time += int(self.rng.integers(1, 999))
        dx, dy = self.rng.normal(size=2) * noise
        self.rows.append(Row(self.time, self.x + dx, self.y + dy, speed))

    def stand(self) -> None:
        """Stand still, with noise of 0 to 50 m; the speed is zero, small, unknown, or mostly one of these."""
        noise = float(self.rng.choice([0.0, 5.0, 15.0, 30.0, 50.0]))
        odd = self.rng.random() < 0.3
        for _ in range(self.rng.integers(3, 25)):
            speed = float(self.rng.choice([0.0, 0.4, 1.0, NAN, 1.6, 3.0], p=[0.4, 0.15, 0.1, 0.2, 0.1, 0.05])) if odd else 0.0
            self.report(speed, noise)

    def stuck(self) -> None:
        """Stand while the device goes on saying the speed that it measured last."""
        said, noise = float(self.rng.choice([1.4, 3.0, 5.0])), float(self.rng.choice([0.0, 5.0, 15.0]))
        for _ in range(self.rng.integers(6, 25)):
            self.report(said, noise)

    def drift(self) -> None:
        """Stand while the position wanders off and back, up to some 250 m."""
        home, reach = (self.x, self.y), self.rng.uniform(60, 250)
        heading = self.rng.uniform(0, 2 * math.pi)
        n = int(self.rng.integers(8, 25))
        for i in range(n):
            off = reach * math.sin(math.pi * i / n)
            self.x, self.y = home[0] + off * math.cos(heading), home[1] + off * math.sin(heading)
            self.report(float(self.rng.choice([0.0, 0.5, NAN])), 5.0)
        self.x, self.y = home

    def crawl(self) -> None:
        """Roll on at walking pace."""
        heading, speed = self.rng.uniform(0, 2 * math.pi), self.rng.uniform(0.3, 2.4)
        for _ in range(self.rng.integers(4, 15)):
            self.move(heading, speed * self.interval)
            self.report(round(speed * self.rng.uniform(0.7, 1.3), 2), 3.0)

    def drive(self) -> None:
        """Drive to a haunt, at most thirty reports long."""
        self.towards(self.somewhere())

    def detour(self) -> None:
        """Drive away from everything for a while."""
        angle, metres = self.rng.uniform(0, 2 * math.pi), self.rng.uniform(300, 4000)
        self.towards((self.x + metres * math.cos(angle), self.y + metres * math.sin(angle)))

    def astray(self) -> None:
        """Drive away from everything and say nothing for a while, or till the end."""
        self.detour()
        self.pause()

    def lights(self) -> None:
        """Wait at lights for a few reports, then drive on a little."""
        for _ in range(self.rng.integers(1, 5)):
            self.report(0.0, 4.0)
        heading = self.rng.uniform(0, 2 * math.pi)
        for _ in range(self.rng.integers(1, 4)):
            self.move(heading, min(10.0 * self.interval, 300.0))
            self.report(10.0, 5.0)

    def silence(self) -> None:
        """Say nothing for two minutes to an hour, in whole seconds, and often move meanwhile."""
        self.time += int(self.rng.choice([120, 180, 240, 300, 601, 900, 1800, 3600])) * 1000
        if self.rng.random() < 0.4:
            self.x, self.y = self.somewhere()
        self.stand()

    def sleep(self) -> None:
        """Stand for a few reports, often at odd intervals, then say nothing until going on."""
        odd = self.rng.random() < 0.5
        for _ in range(self.rng.integers(2, 7)):
            self.interval = int(self.rng.choice(INTERVALS_S)) if odd else self.interval
            self.report(float(self.rng.choice([0.0, NAN])), 8.0)
        self.pause()

    def pause(self) -> None:
        """Say nothing for one to thirty minutes."""
        self.time += int(self.rng.choice([60, 90, 120, 150, 180, 300, 600, 1800])) * 1000

    def step_out(self) -> None:
        """Be in a place for a while, step out of it by some 30 to 250 m, then fall silent, come back or leave."""
        x, y, radius = self.rooms[int(self.rng.integers(len(self.rooms)))]
        speed = float(self.rng.choice([0.0, 1.5, 5.0]))
        for _ in range(self.rng.integers(1, 4)):
            self.x, self.y = x, y
            for _ in range(self.rng.integers(1, 8)):
                self.report(speed, 10.0)
            if self.rng.random() < 0.3:
                self.pause()
            for _ in range(self.rng.integers(1, 3)):
                self.x, self.y = x + radius + self.rng.uniform(-20, 250), y
                self.report(speed, 3.0)
            if self.rng.random() < 0.5:
                self.pause()

    def follow(self) -> None:
        """Drive along a route from somewhere on it: ahead, back, and often ahead again."""
        if not self.lines:
            return self.drive()
        line = np.array(self.lines[int(self.rng.integers(len(self.lines)))])
        along = np.cumsum([0.0, *np.hypot(*np.diff(line, axis=0).T)])
        stage = min(float(self.rng.uniform(8, 25)) * self.interval, 400.0)
        at = float(self.rng.uniform(0, along[-1]))
        for sign in self.rng.choice([1, -1]) * np.array([1, -1, 1][: self.rng.integers(1, 4)]):
            for _ in range(self.rng.integers(2, 9)):
                self.x, self.y = (float(np.interp(at, along, column)) for column in line.T)
                self.report(round(stage / self.interval, 2), 10.0)
                at = min(max(at + sign * stage, 0.0), float(along[-1]))
        return None

    def leap(self) -> None:
        """Be somewhere else at once, for a few reports, and perhaps be back as fast."""
        here, heading, metres = (self.x, self.y), self.rng.uniform(0, 2 * math.pi), self.rng.uniform(5_000, 40_000)
        self.interval = int(self.rng.choice([1, 5, 10, 30]))
        self.move(heading, metres)
        for _ in range(self.rng.integers(1, 8)):
            self.report(float(self.rng.choice([0.0, 15.0])), 4.0)
        self.x, self.y = here if self.rng.random() < 0.6 else self.somewhere()
        for _ in range(self.rng.integers(1, 8)):
            self.report(float(self.rng.choice([0.0, 15.0])), 4.0)

    def nap(self) -> None:
        """Stand, and report now and then: every minute or so, then every few; be elsewhere at the last report, perhaps."""
        for _ in range(3):
            self.report(0.0, 3.0)
        for seconds in self.rng.choice([60, 90, 120, 180, 240, 420, 600], self.rng.integers(2, 6)).tolist():
            self.time += int(seconds) * 1000
            self.rows.append(Row(self.time, self.x, self.y, 0.0))
        if self.rng.random() < 0.5:
            self.pause()
            self.move(self.rng.uniform(0, 2 * math.pi), self.rng.uniform(100, 3000))
            self.report(0.0, 3.0)

    def towards(self, target: tuple[float, float]) -> None:
        """Drive to a point, reporting on the way."""
        speed = self.rng.uniform(5, 30)
        for _ in range(30):
            dx, dy = target[0] - self.x, target[1] - self.y
            left = math.hypot(dx, dy)
            self.move(math.atan2(dy, dx), min(left, speed * self.interval))
            self.report(round(float(speed * self.rng.uniform(0.9, 1.1)), 2), 5.0)
            if self.rng.random() < 0.05:
                self.pause()
            if left <= speed * self.interval:
                break

    def move(self, heading: float, metres: float) -> None:
        """Change place."""
        self.x += metres * math.cos(heading)
        self.y += metres * math.sin(heading)


def wired(rng: np.random.Generator, rows: Sequence[Row]) -> list[Row]:
    """What door and alarms say meanwhile: they come and go, at times between and beside the positions, or instead of them."""
    restless, door, alarms, blind = float(rng.choice([0.0, 0.03, 0.1])), -1, 0, False
    has_door, has_ignition = rng.random() < 0.6, rng.random() < 0.6
    out: list[Row] = []
    for row in rows:
        if rng.random() < restless:
            alarms |= int(rng.choice(ALARMS))
        elif rng.random() < 0.3:
            alarms &= int(rng.choice([0, 2, 5, 127]))
        if has_door and rng.random() < 0.25:
            door = int(rng.choice([-1, 0, 0, 1]))
        blind = rng.random() < 0.6 if blind else bool(alarms & 2) and rng.random() < 0.2
        off = row.speed < 0.5 and rng.random() < 0.8
        here = row._replace(door=door, alarms=alarms, ignition=int(not off) if has_ignition and rng.random() < 0.9 else -1)
        out.append(here._replace(x=NAN, y=NAN) if blind else here)
        if rng.random() < restless:
            beside = here._replace(
                x=NAN, y=NAN, speed=float(rng.choice([NAN, 0.0, 2.5, 20.0])), time=row.time + 1000 * int(rng.choice([0, 7]))
            )
            out.append(beside._replace(door=int(rng.choice([-1, 0, 1])), alarms=int(rng.choice([0, *ALARMS]))))
    return out


def mangled(rng: np.random.Generator, rows: Sequence[Row]) -> list[Row]:
    """What the device makes of it: outliers, coarse fixes, speeds missing, frozen or absurd, times and whole rows twice."""
    rate = float(rng.choice([0.0, 0.01, 0.04]))
    out: list[Row] = []
    frozen = NAN
    for i, true in enumerate(rows):
        row = true
        if rng.random() < rate:
            angle, metres = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 1.0) * OUTLIER_M
            row = row._replace(x=row.x + metres * math.cos(angle), y=row.y + metres * math.sin(angle))
        if rng.random() < rate:
            row = row._replace(accuracy=float(rng.choice([250.0, 900.0])), x=row.x + rng.normal() * 200)
        elif rng.random() < 0.2:
            row = row._replace(accuracy=float(rng.choice([0.0, -1.0, 4.0, 199.0, 200.0])))
        if rng.random() < rate:
            row = row._replace(speed=float(rng.choice([NAN, 255.0, -1.0, 100.0])))
        if rng.random() < rate / 2:
            frozen = row.speed if math.isnan(frozen) else NAN
        if not math.isnan(frozen):
            row = row._replace(speed=frozen)
        out.append(row)
        if rng.random() < rate:
            out.append(row)
        if rng.random() < rate:
            out.append(row._replace(x=row.x + rng.normal() * rng.choice([20.0, 400.0]), door=int(rng.integers(-1, 2))))
        if rng.random() < rate and i:
            out.append(rows[i - 1]._replace(time=row.time))
    return out
