"""One run of a simulated vehicle: from a terminal to the other, with its halts, then the dwell; pure and seeded.

A run is a polyline in time: at `t` seconds after its start the vehicle is `p` metres along its way and `east`, `north` metres
beside it; in between it moves evenly. Each trouble on it leaves a mark.
Shapes: K knots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.ingest.fleet.halts import (
    DETOUR_ALONG_MPS,
    DETOUR_ALONG_S,
    DETOUR_M,
    DETOUR_OUT_MPS,
    DETOUR_OUT_S,
    MINUTES,
    Halt,
    Spell,
    Trouble,
    plan_halts,
)  # fmt: skip
from monitor.ingest.fleet.roads import Spot, Way
from monitor.settings import parse_duration

F64 = npt.NDArray[np.float64]

TOWN_MPS, ROAD_MPS, BUSY_MPS, YARD_MPS = (11.0, 14.0), (22.5, 27.0), (17.0, 22.0), (6.0, 8.0)
RAMP_M, RAMP_MPS, ASIDE_MPS = 120.0, 9.0, 5.0
SILENT_AFTER_S, SILENT_AFTER_REPORTS = 240.0, 2.5
SPELL_NAMES = frozenset(spell.value for spell in Spell)
BOOTH_M = 700.0
"""How far before the end of a port of entry its booths are."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A trouble on a run: from when to when, in seconds after the run's start, and where in words or as a place's id."""

    trouble: Trouble
    since: float
    until: float
    where: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run as knots. `t`, `p`, `east`, `north` (K,); `parked` and the spells are intervals in seconds after its start."""

    way: Way
    load: str
    t: F64
    p: F64
    east: F64
    north: F64
    parked: tuple[tuple[float, float], ...]
    spells: tuple[tuple[Spell, float, float], ...]
    marks: tuple[Mark, ...]
    port: str | None

    def spells_of(self, *spells: Spell) -> tuple[tuple[float, float], ...]:
        """When the run is in one of these spells."""
        return tuple((begin, end) for spell, begin, end in self.spells if spell in spells)

    @property
    def silent(self) -> tuple[tuple[float, float], ...]:
        """When its device is off."""
        return self.spells_of(Spell.SILENT)

    @property
    def duration_ms(self) -> int:
        """How long the run takes, dwell included."""
        return round(float(self.t[-1]) * 1000)


def make_run(
    way: Way,
    load: str,
    troubles: Sequence[Trouble],
    rng: np.random.Generator,
    parking: tuple[float, float],
    dwell_s: float,
    *,
    interval_s: float = 30.0,
    tunnels: float = 0.0,
) -> Run:
    """Plan a run. `parking` is the vehicle's own spot at the terminals, metres east and north of their middle.

    `interval_s`: between two reports. `tunnels`: how many of them on 100 km.
    """
    course = _Course(way, rng, parking, interval_s)
    for halt in plan_halts(way, troubles, rng, interval_s, tunnels):
        course.take(halt)
    course.arrive(dwell_s, overlong=Trouble.LONG_UNLOADING in troubles)
    return course.run(load)


@dataclass
class _Course:
    """A run in the making: where the vehicle is now, and the knots so far."""

    way: Way
    rng: np.random.Generator
    parking: tuple[float, float]
    interval_s: float
    knots: list[tuple[float, float, float, float]] = field(default_factory=list)
    parked: list[tuple[float, float]] = field(default_factory=list)
    spells: list[tuple[Spell, float, float]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    port: str | None = None

    def __post_init__(self) -> None:
        self.knots.append((0.0, 0.0, *self.parking))
        self.to(40.0, east=0.0, north=0.0)

    @property
    def t(self) -> float:
        return self.knots[-1][0]

    @property
    def p(self) -> float:
        return self.knots[-1][1]

    def to(self, seconds: float, p: float | None = None, east: float = 0.0, north: float = 0.0) -> None:
        """Move evenly to somewhere, for `seconds`."""
        self.knots.append((self.t + seconds, self.p if p is None else p, east, north))

    def drive(self, target: float) -> None:
        """Drive along the way, slowly at first and at last."""
        target = max(target, self.p)
        if target - self.p > 2 * RAMP_M:
            self.to(RAMP_M / RAMP_MPS, self.p + RAMP_M)
            while self.p < target - RAMP_M:
                length, speed = self._cruise()
                length = min(length, target - RAMP_M - self.p)
                self.to(length / speed, self.p + length)
        if target > self.p:
            self.to((target - self.p) / RAMP_MPS, target)

    def _cruise(self) -> tuple[float, float]:
        """The next metres, and how fast there."""
        to_terminal = min(self.p, self.way.length - self.p)
        if to_terminal < 400:
            return 150.0, self.rng.uniform(*YARD_MPS)
        if to_terminal < 4000:
            return 500.0, self.rng.uniform(*TOWN_MPS)
        busy = self.way.within(self.p, "no_stop")
        return self.rng.uniform(2500.0, 3500.0), self.rng.uniform(*(BUSY_MPS if busy else ROAD_MPS))

    def take(self, halt: Halt) -> None:
        """Drive to a halt and do what it asks."""
        self.drive(halt.p)
        since = self.t
        if halt.what == "visit" and halt.spot is not None:
            self._visit(halt.spot, halt.seconds)
        elif halt.what == "border":
            self._border(halt)
        elif halt.what == "detour":
            self._detour()
        elif halt.what == "back":
            since = self._back(halt)
        elif halt.what in SPELL_NAMES:
            self.drive(halt.clear_until)
            self.spells.append((Spell(halt.what), since, self.t))
        else:
            self.to(halt.seconds)
        if halt.trouble is None:
            return
        if halt.trouble is Trouble.SILENT_STOP:
            after = max(SILENT_AFTER_S, SILENT_AFTER_REPORTS * self.interval_s)
            self.spells.append((Spell.SILENT, since + after, self.t))
        self.marks.append(Mark(halt.trouble, since, self.t, self._where(halt)))

    def _where(self, halt: Halt) -> str:
        belt = self.way.within(halt.p, "no_stop") if halt.trouble is Trouble.BELT_STOP else None
        place = halt.spot or belt
        return place.id if place else f"{self.way.road.id}, km {float(self.way.s(np.array(halt.p))) / 1000:.0f}"

    def _visit(self, spot: Spot, seconds: float) -> None:
        """Leave the road for a place beside it, stand, come back."""
        east, north = spot.east + self.rng.uniform(-25, 25), spot.north + self.rng.uniform(-25, 25)
        aside = float(np.hypot(east, north)) / ASIDE_MPS
        self.to(aside, None, east, north)
        begin = self.t
        self.to(seconds, None, east, north)
        self.parked.append((begin, self.t))
        self.to(aside)

    def _border(self, halt: Halt) -> None:
        """Creep through the queue, stand at the booth and in secondary inspection, all inside the port's place."""
        port = self.way.within(halt.p, "port_of_entry")
        self.port = port.id if port else None
        booth = halt.clear_until - BOOTH_M
        for _ in range(int(self.rng.integers(2, 5))):
            step = max(0.0, min(self.rng.uniform(100.0, 400.0), booth - self.p))
            self.to(step / 4.0, self.p + step)
            self.to(self.rng.uniform(40, 180))
        self.drive(booth)
        self.to(halt.seconds)

    def _back(self, halt: Halt) -> float:
        """Drive to the end of the stretch, back to its beginning, and there again; gives when it turned round."""
        self.drive(halt.clear_until)
        since, length = self.t, halt.clear_until - halt.p
        self.to(RAMP_M / RAMP_MPS, self.p - RAMP_M)
        self.to((length - 2 * RAMP_M) / self.rng.uniform(*ROAD_MPS), halt.p + RAMP_M)
        self.to(RAMP_M / RAMP_MPS, halt.p)
        self.drive(halt.clear_until)
        return since

    def _detour(self) -> None:
        """Leave the way at an angle for 3 to 6 km to its north-west, follow it, come back."""
        ends = self.way.s(np.array([self.p, self.p + DETOUR_M]))
        lon, lat = self.way.road.position(ends, np.zeros(2), np.zeros(2))
        east, north = float((lon[1] - lon[0]) * np.cos(np.radians(lat[0]))), float(lat[1] - lat[0])
        size = self.rng.uniform(3000.0, 6000.0) / np.hypot(east, north)
        aside = np.array([-north, east]) * size
        if aside[1] < aside[0]:
            aside = -aside
        self.to(DETOUR_OUT_S, self.p + DETOUR_OUT_S * DETOUR_OUT_MPS, *aside.tolist())
        self.to(DETOUR_ALONG_S, self.p + DETOUR_ALONG_S * DETOUR_ALONG_MPS, *aside.tolist())
        self.to(DETOUR_OUT_S, self.p + DETOUR_OUT_S * DETOUR_OUT_MPS)

    def arrive(self, dwell_s: float, *, overlong: bool) -> None:
        """Drive to the destination and stay there."""
        self.drive(self.way.length)
        self.to(40.0, None, *self.parking)
        limit = self.way.destination.max_dwell
        if overlong and self.way.destination.kind == "customer":
            dwell_s = parse_duration(limit or "4h").total_seconds() + 60.0 * self.rng.uniform(*MINUTES[Trouble.LONG_UNLOADING])
            self.marks.append(Mark(Trouble.LONG_UNLOADING, self.t, self.t + dwell_s, self.way.destination.id))
        self.parked.append((self.t, self.t + dwell_s))
        self.to(dwell_s, None, *self.parking)

    def run(self, load: str) -> Run:
        """Give the run as it stands."""
        t, p, east, north = np.array(self.knots).T
        return Run(
            self.way, load, t, p, east, north, tuple(self.parked), tuple(self.spells), tuple(self.marks), self.port
        )  # fmt: skip
