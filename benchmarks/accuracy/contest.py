"""The contest: every contestant on every generated scene, and what of it is worse than a peer or than was aimed at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from benchmarks.accuracy import ours
from benchmarks.accuracy.peers import Finder
from benchmarks.accuracy.scenes import SCENES, Scene
from benchmarks.accuracy.scoring import Found, Score, score

MONITOR = "monitor"
SHORTEST = timedelta(minutes=5)
Scores = Mapping[str, Mapping[str, Score]]
"""Scene to contestant to score."""


@dataclass(frozen=True)
class Metric:
    """One figure of a score: what it is called, how it is shown, how far from perfect it is, and what counts as a difference."""

    title: str
    explained: str
    read: Callable[[Score], float]
    loss: Callable[[float], float]
    shown: str = "{:.2f}"
    margin: float = 0.005


METRICS = (
    Metric("Alerts per true stop", "1 is perfect", lambda s: s.alerts, lambda x: abs(x - 1.0)),
    Metric(
        "Incidents per true stop",
        "alerts within ten minutes of each other are one incident, for all contestants; 1 is perfect",
        lambda s: s.incidents,
        lambda x: abs(x - 1.0),
    ),
    Metric(
        "Recall",
        "share of true stops with an alert; a stop hardly longer than five minutes cannot show that in reports a minute or two apart",
        lambda s: s.recall,
        lambda x: 1.0 - x,
    ),
    Metric(
        "Recall of what the reports show",
        "the same of those true stops alone within which two reports lie five minutes apart",
        lambda s: s.shown,
        lambda x: 1.0 - x,
    ),
    Metric(
        "Known to the trip log",
        "share of true stops with any stretch of standing, alert or not; the peers have nothing but the alerts",
        lambda s: s.known,
        lambda x: 1.0 - x,
    ),
    Metric("Start bias", "median, seconds; 0 is perfect, + is late", lambda s: s.bias_s, abs, "{:+.1f}", 1.0),
    Metric("False moves", "a parked 8 h; 0 is perfect", lambda s: s.false_moves, abs),
    Metric("False stops", "alerts outside of true stops, an hour under way; 0 is perfect", lambda s: s.false_alerts, abs),
)


def contest(finders: Mapping[str, Finder], scenes: Iterable[Scene] = SCENES) -> dict[str, dict[str, Score]]:
    """Score every contestant on every scene, telling on the error stream where it is."""
    out: dict[str, dict[str, Score]] = {}
    for scene in scenes:
        print(f"scene: {scene.name}", file=sys.stderr, flush=True)
        tracks = scene.tracks()
        scores = {MONITOR: score(tracks, ours.find(tracks, scene.radius_m), queue=scene.queue)}
        for name, finder in finders.items():
            stretches = [finder(track, scene.radius_m, SHORTEST) for track in tracks]
            scores[name] = score(tracks, [Found(found, found) for found in stretches], queue=scene.queue)
        out[scene.name] = scores
    return out


def worse(scores: Scores) -> list[str]:
    """Where the monitor is worse than a contestant, one line a metric and scene, with the figures."""
    out = []
    for metric in METRICS:
        for scene, of in scores.items():
            mine = metric.read(of[MONITOR])
            loss = metric.loss(mine) if mine == mine else float("inf")
            rivals = {
                name: metric.read(said) for name, said in of.items() if name != MONITOR and metric.read(said) == metric.read(said)
            }
            better = [
                f"{name} {metric.shown.format(value)}"
                for name, value in rivals.items()
                if metric.loss(value) < loss - metric.margin
            ]
            if better:
                shown = metric.shown.format(mine) if mine == mine else "nothing found"
                out.append(f"{metric.title}, {scene}: {shown}; {', '.join(better)}")
    return out


@dataclass(frozen=True)
class Aim:
    """One thing aimed at, and the scenes that miss it with their figures."""

    words: str
    missed: list[str]


def aims(scores: Scores, scenes: Iterable[Scene] = SCENES) -> list[Aim]:
    """What is aimed at on generated tracks, and where it is missed."""
    mine = [(scene, scores[scene.name][MONITOR]) for scene in scenes if scene.name in scores]
    fit = [(scene, said) for scene, said in mine if scene.fit and not scene.queue]
    gapless = [(scene, said) for scene, said in fit if not scene.device.gaps]

    def missed(
        of: Iterable[tuple[Scene, Score]], good: Callable[[Scene, Score], bool], read: Callable[[Score], float]
    ) -> list[str]:
        values = [(scene.name, read(said)) for scene, said in of if not good(scene, said)]
        return [f"{name}: {'nothing found' if value != value else f'{value:.2f}'}" for name, value in values]

    return [
        Aim(
            "one alert per true stop that has any, where the radius suits the noise",
            missed(fit, lambda _, s: abs(s.alerts - s.recall) < 1e-9 and s.recall > 0, lambda s: s.alerts),
        ),
        Aim("recall 1.00, gaps apart", missed(gapless, lambda _, s: s.recall == 1.0, lambda s: s.recall)),
        Aim(
            "recall 1.00 of the stops within which reports lie five minutes apart",
            missed(fit, lambda _, s: s.shown == 1.0, lambda s: s.shown),
        ),
        Aim(
            "start bias at most one report interval",
            missed(fit, lambda scene, s: abs(s.bias_s) <= scene.device.every_s, lambda s: s.bias_s),
        ),
        Aim("at most 0.05 false moves a parked 8 h", missed(fit, lambda _, s: s.false_moves <= 0.05, lambda s: s.false_moves)),
        Aim(
            "one incident per border queue that lies in no place",
            missed([(c, s) for c, s in mine if c.queue], lambda _, s: s.incidents == 1.0, lambda s: s.incidents),
        ),
        Aim("no false stop", missed(mine, lambda _, s: s.false_alerts == 0.0, lambda s: s.false_alerts)),
    ]
