"""The planted thefts: four kinds, and what must be said of each while it is going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.week.habits import HOUR, MINUTE, Random
from benchmarks.week.lines import Line, through
from benchmarks.week.longhaul import Hauler, Run
from benchmarks.week.motion import Journey

DROP, BACK, YARD = "eight-minute trailer drop", "return along the own corridor", "weekend yard theft"
JAMMED, JAMMED_PARKED, JAMMED_ASLEEP = "jammed and moved, under way", "jammed and moved, parked", "jammed and moved, asleep"
EXPECTED = {
    DROP: ("separation", "unauthorized_stop"),
    BACK: ("wrong_way",),
    YARD: ("zone_breach", "after_hours_movement"),
    JAMMED: ("signal_lost",),
    JAMMED_PARKED: ("signal_lost",),
    JAMMED_ASLEEP: ("signal_lost",),
}
"""Of each kind of theft the detectors of which one must tell."""
HARDER = frozenset({JAMMED_ASLEEP})
"""Beyond what is promised: silence that is no longer than the tracker's sleep is not told from it."""
PLANTED = {
    "haul-007": DROP,
    "haul-017": DROP,
    "haul-028": DROP,
    "haul-024": DROP,
    "haul-060": DROP,
    "haul-003": BACK,
    "haul-049": BACK,
    "haul-085": BACK,
    "haul-031": YARD,
    "haul-075": YARD,
    "city-099": YARD,
    "haul-013": JAMMED,
    "haul-057": JAMMED,
    "haul-093": JAMMED,
    "haul-021": JAMMED_PARKED,
    "haul-067": JAMMED_PARKED,
    "haul-039": JAMMED_ASLEEP,
}
"""Which trucks thieves choose; the first three of the drop carry high values, the other two a standard load."""
JAMMED_S, JAMMED_M = 50 * MINUTE, 27_000.0
ROBBED_S = 2 * HOUR
"""How long the truck stands where it was taken before its tracker is torn out."""


@dataclass(frozen=True)
class Theft:
    """One theft: of which truck, over which seconds of the week."""

    kind: str
    vehicle: str
    begin: float
    end: float
    dropped: float | None = None
    """When the trailer was left behind."""
    ends_the_week: bool = True


Told = Callable[[Theft], None]
Plot = Callable[[Hauler, Run, float], float]


def drop(told: Told) -> Plot:
    """Stop for eight minutes where nothing is, leave the trailer, and drive on as if nothing had happened."""

    def plot(hauler: Hauler, _run: Run, p: float) -> float:
        begin = hauler.journey.time
        hauler.journey.stand(8 * MINUTE, f"theft: {DROP}")
        told(Theft(DROP, hauler.name, begin, begin + 2 * HOUR, dropped=begin + 5 * MINUTE, ends_the_week=False))
        return p

    return plot


def back(told: Told) -> Plot:
    """Turn round after a break, drive 25 km back along the own corridor, and leave it to a shed."""

    def plot(hauler: Hauler, run: Run, p: float) -> float:
        hauler.journey.stand(20 * MINUTE, "break", "nowhere")
        begin = hauler.journey.time
        hauler.journey.drive(run.line.between(p, p - 25_000.0), 24.0, hauler.rng, f"theft: {BACK}")
        _shed(hauler, run, p - 25_000.0, BACK)
        told(Theft(BACK, hauler.name, begin, hauler.journey.time))
        return p

    return plot


def jammed(told: Told) -> Plot:
    """Jam the tracker of a moving truck, take it 27 km on in fifty minutes, and let it be heard again."""

    def plot(hauler: Hauler, run: Run, p: float) -> float:
        begin = hauler.journey.time
        hauler.journey.drive(run.line.between(p, p + JAMMED_M), JAMMED_M / JAMMED_S, hauler.rng, f"theft: {JAMMED}", silent=True)
        _shed(hauler, run, p + JAMMED_M, JAMMED)
        told(Theft(JAMMED, hauler.name, begin, hauler.journey.time))
        return p

    return plot


def jammed_parked(told: Told, kind: str) -> Plot:
    """The same to a truck that rests for the night."""

    def plot(hauler: Hauler, run: Run, p: float) -> float:
        hauler.journey.stand(4 * HOUR, "night's rest", "nowhere", ignition=False)
        begin = hauler.journey.time
        hauler.journey.stand(JAMMED_S / 3, f"theft: {kind}", ignition=False, silent=True)
        moves = JAMMED_S * 2 / 3
        hauler.journey.drive(run.line.between(p, p + JAMMED_M), JAMMED_M / moves, hauler.rng, f"theft: {kind}", silent=True)
        _shed(hauler, run, p + JAMMED_M, kind)
        told(Theft(kind, hauler.name, begin, hauler.journey.time))
        return p

    return plot


def from_the_yard(name: str, journey: Journey, away: Line, cruise: float, rng: Random, told: Told) -> None:
    """Start a truck that stands in its yard, and drive it off."""
    begin = journey.time
    journey.drive(away, cruise, rng, f"theft: {YARD}")
    journey.stand(ROBBED_S, f"theft: {YARD}")
    told(Theft(YARD, name, begin, journey.time))


def _shed(hauler: Hauler, run: Run, s: float, kind: str) -> None:
    """Off the corridor to a shed, and the truck's week is over."""
    hauler.journey.drive(through([hauler.journey.here, run.line.beside(s, 2500.0)]), 10.0, hauler.rng, f"theft: {kind}")
    hauler.journey.stand(ROBBED_S, f"theft: {kind}")
    hauler.over = True
