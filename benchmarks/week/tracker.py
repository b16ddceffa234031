"""What a tracker reports of a truck's true motion.

Under way it reports every 30 to 60 s. Parked with the ignition off, it sleeps after some minutes and then reports once in one to four
hours, or it goes on every five minutes. Positions are 5 to 15 m off, most of it an error that wanders over two minutes; one in a
hundred is astray by 100 m to 3 km. Speeds are honest, or missing. In a tunnel and without reception nothing is reported.
Shapes: N reports. Times are seconds from the start of the week.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.week.habits import HOUR, MINUTE, Random
from benchmarks.week.motion import Motion, Span
from monitor.fixes import F64, I8, Bool
from monitor.ingest.fleet.roads import metres_per_degree

PARKED_EVERY_S = 5 * MINUTE
ASTRAY = 0.01
WANDERS_S = 120.0


@dataclass(frozen=True)
class Device:
    """How one tracker reports."""

    every_s: float
    sleeps_s: float
    """The period of its sleep; 0: it does not sleep."""
    linger_s: float
    """How long it goes on after the ignition is off."""
    noise_m: float
    speed: bool


@dataclass(frozen=True)
class Reports:
    """What a tracker said, and the truth about it."""

    time: F64
    lon: F64
    lat: F64
    speed: F64
    """(N,) m/s, NaN unknown."""
    ignition: I8
    astray: Bool
    """(N,) whether the position is an outlier."""
    asleep: tuple[tuple[float, float], ...]


def device(rng: Random) -> Device:
    """Any of the trackers that fleets have."""
    sleeps = float(rng.choice([1, 2, 4])) * HOUR if rng.random() < 0.6 else 0.0
    linger = float(rng.uniform(3, 10)) * MINUTE
    return Device(float(rng.uniform(30, 60)), sleeps, linger, float(rng.uniform(5, 15)), bool(rng.random() > 0.15))


def reports(motion: Motion, tracker: Device, rng: Random, silent_after: float, end: float) -> Reports:
    """What it says of a week; nothing after it was torn out."""
    pieces, asleep, due = [], list[tuple[float, float]](), float(rng.uniform(0, tracker.every_s))
    for span in motion.spans:
        times, due, slept = _reports_of(span, tracker, max(due, span.begin), rng)
        asleep += slept
        if not span.silent:
            pieces.append((times, np.full(len(times), span.ignition, np.int8)))
    time = np.concatenate([piece[0] for piece in pieces])
    ignition = np.concatenate([piece[1] for piece in pieces])
    kept = (time < silent_after) & (time < end)
    time, ignition = np.round(time[kept]), ignition[kept]
    lon, lat, speed = motion.at(time)
    off_east, off_north, astray = _error(time, tracker.noise_m, rng)
    north, east = metres_per_degree(lat)
    said = np.abs(speed + np.where(speed > 0.2, rng.normal(0.0, 0.2, len(speed)), 0.0))
    return Reports(
        time=time,
        lon=lon + off_east / east,
        lat=lat + off_north / north,
        speed=said if tracker.speed else np.full(len(time), np.nan),
        ignition=ignition,
        astray=astray,
        asleep=tuple(asleep),
    )


def _reports_of(span: Span, tracker: Device, first: float, rng: Random) -> tuple[F64, float, list[tuple[float, float]]]:
    """When it reports in a span, when next, and when it slept."""
    if span.ignition:
        times = _every(first, span.end, tracker.every_s, rng)
        return times, (times[-1] if len(times) else first - tracker.every_s) + tracker.every_s, []
    lingers = _every(first, min(span.end, span.begin + tracker.linger_s), tracker.every_s, rng)
    last = float(lingers[-1]) if len(lingers) else span.begin
    period = tracker.sleeps_s or PARKED_EVERY_S
    parked = _every(last + period, span.end, period, rng)
    slept = [(last, span.end)] if tracker.sleeps_s and span.end > last + MINUTE else []
    return np.concatenate((lingers, parked)), span.end + float(rng.uniform(5, 30)), slept


def _every(begin: float, end: float, period: float, rng: Random) -> F64:
    """Times a period apart, give or take a little."""
    if begin >= end:
        return np.empty(0)
    times = np.arange(begin, end, period)
    shaken = times + rng.uniform(0.0, min(3.0, period / 20), len(times))
    return np.asarray(shaken[shaken < end], np.float64)


def _error(time: F64, noise_m: float, rng: Random) -> tuple[F64, F64, Bool]:
    """Metres east and north of the truth: a wandering part, a white part, and the strays."""
    n = len(time)
    keep = np.exp(-np.diff(time, prepend=time[:1]) / WANDERS_S)
    astray = rng.random(n) < ASTRAY
    far, turn = np.exp(rng.uniform(np.log(100), np.log(3000), n)), rng.uniform(0, 2 * np.pi, n)
    axes = []
    for part in (np.sin(turn), np.cos(turn)):
        push = rng.normal(0.0, 0.8 * noise_m, n) * np.sqrt(1 - keep**2)
        wander, value = np.empty(n), float(rng.normal(0.0, 0.8 * noise_m))
        for i in range(n):
            value = keep[i] * value + push[i]
            wander[i] = value
        axes.append(wander + rng.normal(0.0, 0.6 * noise_m, n) + np.where(astray, far * part, 0.0))
    return axes[0], axes[1], astray
