"""Watchkeeping: whether the monitor itself is well, from when each of its parts last did its work; no I/O, no clock of its own.

    loop       the main loop turns at least once a second, also while it tries the database again
    metronome  ticks once a second
    database   is reached at least once a second, by the tick or a delivery
    clock      goes as fast as the monotonic one: what it has gained or lost on it since the last look, in one step, is a step

Seconds are of a monotonic clock; instants are ms since 1970 UTC. A `Watch` may be told and asked by any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.findings import CLOCK_STEPPED, STORE_FAULT, Finding
from monitor.signals import timestamp

LOOP_LATE_S, LOOP_DEAD_S = 60.0, 300.0
"""A change of the configuration that concerns every vehicle keeps the loop for a while: late is not dead."""
TICK_LATE_S = 15.0
DATABASE_LATE_S = 15.0
STEP_MS = 60_000
"""A larger difference between the two clocks is a step."""
LEAST_FREE_BYTES = 512 * 2**20


class Report(NamedTuple):
    """How it is, with what is wrong and what somebody should know of."""

    reasons: list[str]
    warnings: list[str]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons


@dataclass(frozen=True)
class Surroundings:
    """What a report goes by, beside when the parts did their work."""

    doors: Sequence[str] = ()
    """Why doors no longer serve."""
    free: Mapping[str, int | None] = field(default_factory=dict)
    """Bytes that are free, by what is kept there; None where that cannot be told."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Detectors that broke, and what else is wrong with the program."""
    warnings: Sequence[str] = ()


class Watch:
    """When each part last did its work, and what became of the database and the clock meanwhile."""

    def __init__(self, seconds: float, now: int, rate: float = 1.0) -> None:
        """`rate`: how many times as fast as the world's the clock runs that `now` is of."""
        self._lock = threading.Lock()
        self._turned = self._ticked = self._reached = seconds
        self._clock, self._rate = (seconds, now), rate
        self._lost: tuple[int, str] | None = None
        self._findings: list[Finding] = []

    def turned(self, seconds: float) -> None:
        """The main loop has come round."""
        self._turned = seconds

    def ticked(self, seconds: float) -> None:
        """The metronome has ticked."""
        self._ticked = seconds

    def reached(self, seconds: float, now: int) -> None:
        """The database did what was asked; where it was out of reach before, that is over and becomes a finding."""
        with self._lock:
            self._reached = seconds
            if self._lost is not None:
                since, why = self._lost
                self._lost = None
                detail = f"out of reach from {timestamp(since)} to {timestamp(now)}: {why}; nothing was acknowledged meanwhile"
                self._findings.append(Finding(STORE_FAULT, "", "database", detail))

    def missed(self, now: int, why: str) -> bool:
        """The database is out of reach; gives whether that is news."""
        with self._lock:
            news = self._lost is None
            self._lost = (now, why) if self._lost is None else (self._lost[0], why)
            return news

    def compared(self, seconds: float, now: int) -> int:
        """By how many ms the clock was stepped since the last comparison; a step becomes a finding, less is 0."""
        with self._lock:
            before, then = self._clock
            self._clock = (seconds, now)
            step = round(now - then - (seconds - before) * 1000 * self._rate)
            if abs(step) <= STEP_MS * self._rate:
                return 0
            way = "forward" if step > 0 else "back"
            detail = f"{way} by {abs(step) // 1000} s, to {timestamp(now)}: set by hand or by time synchronization, or the machine slept"
            self._findings.append(Finding(CLOCK_STEPPED, "", "clock", detail))
            return step

    def findings(self) -> list[Finding]:
        """Take what is to be written down; `keep` gives it back where that did not succeed."""
        with self._lock:
            taken, self._findings = self._findings, []
            return taken

    def keep(self, findings: Sequence[Finding]) -> None:
        """Take back what could not be written down yet."""
        with self._lock:
            self._findings[:0] = findings

    def alive(self, seconds: float) -> Report:
        """Whether the main loop turns: where it does not, only a new start helps."""
        return Report(self._loop(seconds, LOOP_DEAD_S), [])

    def ready(self, seconds: float, around: Surroundings) -> Report:
        """Whether all is well: each reason why not, by the part that it is about."""
        with self._lock:
            lost, reached = self._lost, self._reached
        reasons = self._loop(seconds, LOOP_LATE_S)
        if lost is not None:
            reasons.append(f"database: out of reach since {timestamp(lost[0])}: {lost[1]}")
        else:
            reasons += _late("database: not reached", seconds - reached, DATABASE_LATE_S)
        reasons += _late("metronome: has not ticked", seconds - self._ticked, TICK_LATE_S)
        reasons += [f"door: {why}" for why in around.doors]
        reasons += [f"disk: {text}" for what, free in around.free.items() if (text := _short(what, free))]
        reasons += [f"{what}: {text}" for what, text in around.faults.items()]
        return Report(reasons, list(around.warnings))

    def _loop(self, seconds: float, most_s: float) -> list[str]:
        return _late("loop: has not come round", seconds - self._turned, most_s)


def _late(words: str, for_s: float, most_s: float) -> list[str]:
    return [f"{words} for {for_s:.0f} s; allowed are {most_s:.0f} s"] if for_s > most_s else []


def _short(what: str, free: int | None) -> str:
    if free is None:
        return f"how much is free for the {what} cannot be told"
    mb = 2**20
    return f"{free // mb} MB are free for the {what}; needed are {LEAST_FREE_BYTES // mb}" if free < LEAST_FREE_BYTES else ""
