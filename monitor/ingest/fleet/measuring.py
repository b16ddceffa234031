"""What a device makes of where its vehicle truly is: when it reports, how far off it is, what it says; pure and seeded.

Nothing here has a memory: the error of a position, the speed and the instant of a report are functions of the device's key and the
number of the report, so that any interval may be asked for, in any order and again.
Shapes: N reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.ingest.fleet.course import Run
from monitor.ingest.fleet.halts import Spell
from monitor.ingest.fleet.roads import F64
from monitor.signals import timestamp

I64 = npt.NDArray[np.int64]

DRIFTS_S = (2700.0, 640.0)
"""How long the slow waves take by which a position wanders."""
ASTRAY_M = 30_000.0
ASTRAY_MPS = 450.0
"""How far astray positions are: no vehicle gets there from one report to the next."""


class Noise(NamedTuple):
    """How exact devices are."""

    position_m: float = 3.0
    """Standard deviation to the east and to the north, anew with each report."""
    drift_m: float = 0.0
    """How far a position wanders slowly besides, at the most and in each direction."""
    speed_step_mps: float = 0.0
    """Speeds are told in whole steps; 0 for centimetres a second."""
    jitter: float = 0.0
    """How late a report may be, as a share of the interval below 1."""


EXACT = Noise()
"""Devices of the demonstration."""
REAL = Noise(position_m=3.0, drift_m=4.0, speed_step_mps=1.0 / 3.6, jitter=0.2)
"""Devices as they are: slow drift, whole kilometres an hour, reports that come somewhat late."""


class Schedule(NamedTuple):
    """When a device reports: number k at `phase + k * interval`, and somewhat later by chance. Instants in ms."""

    phase: int
    interval: int
    jitter: float
    key: int

    def instants(self, number: I64) -> I64:
        """(N,) when reports are due, by their numbers."""
        late = np.floor(self.jitter * self.interval * unit(self.key + 1, number)).astype(np.int64) if self.jitter else 0
        return self.phase + number * self.interval + late

    def number(self, instant: int) -> int:
        """The number of the report of an instant."""
        return (instant - self.phase) // self.interval

    def next(self, after: int) -> int:
        """The instant of the first report later than `after`."""
        number = max(0, self.number(after))
        due = self.instants(np.array([number, number + 1], np.int64))
        return int(due[0] if due[0] > after else due[1])

    def between(self, begin: int, end: int) -> I64:
        """(N,) the instants in [begin, end)."""
        due = self.instants(np.arange(max(0, self.number(begin)), max(0, self.number(end) + 1), dtype=np.int64))
        return due[(due >= begin) & (due < end)]


class Counted(NamedTuple):
    """(N,) how a device counts its reports: since when it is on, and which one since then."""

    boot: I64
    seq: I64


def payloads(run: Run, start: int, time: I64, schedule: Schedule, counted: Counted, noise: Noise) -> list[dict[str, Any]]:
    """Give the payloads at instants (N,) of one run, which starts at `start`; before that the vehicle waits at its origin."""
    t = np.maximum(time - start, 0) / 1000.0
    p, east, north = (np.interp(t, run.t, column) for column in (run.p, run.east, run.north))
    error = noise.position_m * normal(schedule.key, (time - schedule.phase) // schedule.interval)
    off = error + drift(schedule.key, time, noise.drift_m)
    ahead = run.way.heading(p)
    off = off + np.where(inside(t, run.spells_of(Spell.ASTRAY)), astray(ahead, schedule.interval), 0.0)
    lon, lat = run.way.road.position(run.way.s(p), east + off[0], north + off[1])
    along, aside = speeds(run, t)
    speed = np.hypot(along, aside) * (time >= start)
    speed = np.where(speed > 0, np.maximum(speed + 0.3 * error[0] / max(noise.position_m, 1e-9), 0.0), 0.0)
    if noise.speed_step_mps:
        speed = np.rint(speed / noise.speed_step_mps) * noise.speed_step_mps
    heading = np.round(ahead + 180.0 * (along < 0), 1) % 360.0
    blind, ignition = inside(t, run.spells_of(Spell.BLIND, Spell.JAMMING)), ~inside(t, run.parked) & (time >= start)
    door = inside(t, run.spells_of(Spell.DOOR))
    alarms = [(name, inside(t, run.spells_of(spell))) for spell, name in ((Spell.PANIC, "panic"), (Spell.JAMMING, "jamming"))]
    return [
        {"time": timestamp(int(time[i]))}
        | (
            {}
            if blind[i]
            else {
                "lat": round(float(lat[i]), 6),
                "lon": round(float(lon[i]), 6),
                "speed_mps": round(float(speed[i]), 2),
                "heading_deg": float(heading[i]),
                "accuracy_m": round(3.0 + abs(float(error[0, i])), 1),
            }
        )
        | {
            "ignition": bool(ignition[i]),
            "door": bool(door[i]),
            "alarms": [name for name, raised in alarms if raised[i]],
            "boot": str(counted.boot[i]),
            "seq": int(counted.seq[i]),
        }
        for i in range(len(time))
    ]


def speeds(run: Run, t: F64) -> tuple[F64, F64]:
    """(N,) metres a second along the way and beside it, at instants (N,) of a run."""
    index = np.clip(np.searchsorted(run.t, t, side="right") - 1, 0, len(run.t) - 2)
    span = np.maximum(np.diff(run.t)[index], 1e-9)
    return np.diff(run.p)[index] / span, np.hypot(np.diff(run.east), np.diff(run.north))[index] / span


def inside(t: F64, intervals: Sequence[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    """(N,) whether each instant lies in one of the intervals, their ends left out."""
    found = np.zeros(len(t), dtype=bool)
    for begin, end in intervals:
        found |= (t >= begin) & (t < end)
    return found


def drift(key: int, time: I64, drift_m: float) -> F64:
    """(2, N) metres by which positions have wandered to the east and to the north: slow waves of the device's own phases."""
    out = np.zeros((2, len(time)))
    for number, period in enumerate(DRIFTS_S if drift_m else ()):
        for axis in (0, 1):
            phase = 2 * np.pi * unit(key + 2, np.array([2 * number + axis]))[0]
            out[axis] += drift_m / len(DRIFTS_S) * np.sin(2 * np.pi * time / (1000.0 * period) + phase)
    return out


def astray(heading: F64, interval: int) -> F64:
    """(2, N) metres to the right of where a vehicle is going: no part of its own road is there, and no vehicle gets there so soon."""
    right, far = np.radians(heading + 90.0), max(ASTRAY_M, ASTRAY_MPS * interval / 1000.0)
    return far * np.stack((np.sin(right), np.cos(right)))


def normal(key: int, number: I64) -> F64:
    """(2, N) standard normal numbers, a function of the device's key and the number of its report (Box and Muller)."""
    first, second = (unit(key + i, 2 * number) for i in (0, 1))
    radius, angle = np.sqrt(-2.0 * np.log(first)), 2 * np.pi * second
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)))


def unit(key: int, number: I64) -> F64:
    """(N,) numbers in (0, 1], a function of a key and of numbers, by the finaliser of SplitMix64."""
    state = number.astype(np.uint64) + np.uint64(key & 0xFFFFFFFFFFFFFFFF)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state = state ^ (state >> np.uint64(31))
    return ((state >> np.uint64(11)).astype(np.float64) + 1.0) / 2.0**53


def fixed(*words: int) -> int:
    """Give a fixed 63-bit number for some integers."""
    return int(np.random.SeedSequence([word & 0xFFFFFFFF for word in words]).generate_state(1, np.uint64)[0] >> np.uint64(1))
