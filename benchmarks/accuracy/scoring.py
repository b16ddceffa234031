"""Scoring: what a contestant found, against the truth.

Definitions
    An *alert* says that the vehicle stands, over an interval. It belongs to the true stop it overlaps most; one that overlaps none is
    *false*. `alerts` is the alerts that belong to true stops over the true stops (1 is perfect); `incidents` the same after alerts of
    a vehicle within ten minutes of each other became one. `recall` is the share of true stops that any alert belongs to; `shown` the
    same of those stops alone within which reports lie five minutes apart, so that five minutes could be seen at all. `bias` is the
    median over these of the first alert's start minus the true start. `known` is the share of true stops with any stretch of standing,
    alert or not. A *false move* is a second, third... stretch of standing within one true stop: the contestant believed that the
    vehicle drove away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.accuracy.tracks import Interval, Track
from monitor.fixes import I64, Bool

JOIN_MS = 600_000
LIMIT_MS = 300_000
"""The alerts asked for are of five minutes."""


@dataclass(frozen=True)
class Found:
    """What a contestant found on one track."""

    alerts: Sequence[Interval]
    stands: Sequence[Interval]
    """Every stretch of standing it knows of; for the peers the alerts themselves."""


@dataclass(frozen=True)
class Score:
    """One contestant on one scene; NaN where there is nothing to divide by."""

    stops: int
    alerts: float
    incidents: float
    recall: float
    shown: float
    known: float
    bias_s: float
    false_moves: float
    """A parked eight hours."""
    false_alerts: float
    """An hour under way."""


def score(tracks: Sequence[Track], found: Sequence[Found], *, queue: bool = False) -> Score:
    """Score one contestant over the tracks of a scene; in a `queue` the vehicle moves, so that there are no false moves."""
    stops = sum(len(track.stops) for track in tracks)
    alerts = incidents = hit = showable = shown = known = false = moves = 0
    starts: list[float] = []
    for track, said in zip(tracks, found, strict=True):
        theirs = belonging(track.stops, said.alerts)
        hit += sum(bool(own) for own in theirs)
        long_enough = [reported_ms(track, stop) >= LIMIT_MS for stop in track.stops]
        showable += sum(long_enough)
        shown += sum(enough and bool(own) for enough, own in zip(long_enough, theirs, strict=True))
        alerts += sum(map(len, theirs))
        false += len(said.alerts) - sum(map(len, theirs))
        incidents += sum(len(joined(own)) for own in theirs)
        stretches = [len(own) for own in belonging(track.stops, said.stands)]
        known += sum(map(bool, stretches))
        moves += sum(max(0, count - 1) for count in stretches)
        starts += [(min(own)[0] - stop[0]) / 1000 for stop, own in zip(track.stops, theirs, strict=True) if own]
    parked, moving = sum(track.parked_h for track in tracks), sum(track.moving_h for track in tracks)
    return Score(
        stops=stops,
        alerts=ratio(alerts, stops),
        incidents=ratio(incidents, stops),
        recall=ratio(hit, stops),
        shown=ratio(shown, showable),
        known=ratio(known, stops),
        bias_s=median(starts) if starts else float("nan"),
        false_moves=float("nan") if queue or not known else ratio(8.0 * moves, parked),
        false_alerts=ratio(false, moving),
    )


def reported_ms(track: Track, stop: Interval) -> int:
    """From the first report within a true stop to the last; 0 without any."""
    within = track.time[(track.time >= stop[0]) & (track.time < stop[1])]
    return int(within[-1] - within[0]) if len(within) else 0


def ratio(part: float, whole: float) -> float:
    """A quotient, NaN where nothing is to be divided by."""
    return part / whole if whole else float("nan")


def belonging(stops: Sequence[Interval], alerts: Sequence[Interval]) -> list[list[Interval]]:
    """For each true stop the alerts that belong to it."""
    out: list[list[Interval]] = [[] for _ in stops]
    for alert in alerts:
        shared = [overlap_ms(stop, alert) for stop in stops]
        if shared and max(shared) > 0:
            out[shared.index(max(shared))].append(alert)
    return out


def overlap_ms(a: Interval, b: Interval) -> int:
    """How long two intervals hold at once; a single instant within counts as one millisecond."""
    return max(0, min(a[1], b[1]) - max(a[0], b[0]) + (1 if b[0] == b[1] else 0))


def joined(alerts: Sequence[Interval]) -> list[Interval]:
    """Alerts within ten minutes of each other as one incident."""
    out: list[Interval] = []
    for begin, end in sorted(alerts):
        if out and begin - out[-1][1] <= JOIN_MS:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((begin, end))
    return out


def iou(a: Interval, b: Interval) -> float:
    """The shared time of two intervals over the time that either covers."""
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return ratio(shared, (a[1] - a[0]) + (b[1] - b[0]) - shared)


def f1(true: Bool, said: Bool) -> float:
    """(N,) the harmonic mean of precision and recall of a claim made of every fix."""
    return ratio(2.0 * int(np.count_nonzero(true & said)), int(np.count_nonzero(true)) + int(np.count_nonzero(said)))


def within(time: I64, stretches: Sequence[Interval]) -> Bool:
    """(N,) whether each instant lies in one of the stretches, ends included."""
    out = np.zeros(len(time), bool)
    for begin, end in stretches:
        out |= (time >= begin) & (time <= end)
    return out
