"""Real tracks: a diary, delivery vans, buses and taxis that others recorded. Not part of the repository; absent ones are skipped.

Each folder holds `fixes.csv`: `vehicle_id,time,lon,lat,speed_mps,heading_deg,label`.
Shapes: N fixes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy.ours import find, standing_world, stood
from benchmarks.accuracy.peers import Finder
from benchmarks.accuracy.scenes import RADIUS_M
from benchmarks.accuracy.scoring import f1, iou, within
from benchmarks.accuracy.tracks import Interval, Track
from monitor.fixes import Bool
from monitor.geodesy import distances_m
from monitor.replay import replay, stop_lines
from monitor.signals import log_lines

ABSENT = "Skipped: the recording is not here."
SHORTEST = timedelta(seconds=60)
NAIVE_MPS = 2.5
KNOWN = ("vehicle_id", "time", "lon", "lat", "speed_mps", "heading_deg")
"""The columns that say what a fix is; a row that repeats all of them is a duplicate."""
SPARSE = {
    "wuxi_taxi": "475 taxis, a fix every 150 s, no speed",
    "liverpool_bus14": "8 buses, a fix every 24 s, no speed",
    "limerick_bus304": "1 bus, a fix every 1 to 2 s, no speed",
    "munich_drive_1hz": "1 car, a fix a second, no speed",
}
FITTED_DIARY = (25.0, "motion.break_count=16")
FITTED_VANS = (15.0, "motion.shortest_stop=10s", "motion.establish=10s")
"""Radius and settings with which the monitor does best on a recording, of those tried: they were fitted to the very fixes."""
Found = Mapping[str, list[list[Interval]]]
"""Contestant to the stretches of standing on each track."""


def labelled(file: Path) -> tuple[list[Track], list[list[str]]]:
    """The tracks of a file, a vehicle each, and the labels of their fixes."""
    table = pd.read_csv(file, dtype={"vehicle_id": str, "label": str}, keep_default_na=True)
    table["ms"] = pd.to_datetime(table["time"], format="ISO8601", utc=True).astype("datetime64[ms, UTC]").astype("int64")
    tracks, labels = [], []
    for name, rows in table.sort_values(["vehicle_id", "ms"], kind="stable").groupby("vehicle_id"):
        lon, lat, speed = (rows[column].to_numpy(np.float64) for column in ("lon", "lat", "speed_mps"))
        tracks.append(Track(str(name), rows["ms"].to_numpy(np.int64), lon, lat, speed))
        labels.append([str(label) for label in rows["label"]])
    return tracks, labels


def everybody(tracks: Sequence[Track], finders: Mapping[str, Finder], fitted: tuple[float, *tuple[str, ...]]) -> Found:
    """The stretches of standing that the monitor's trip log and the peers find, and the monitor with settings fitted to the recording."""
    radius, *said = fitted
    words = f"monitor, fitted (radius {radius:g} m, {', '.join(said)})"
    found = {"monitor": [list(track.stands) for track in find(tracks, RADIUS_M)]}
    found[words] = [list(track.stands) for track in find(tracks, radius, *said)]
    return found | {name: [finder(track, RADIUS_M, SHORTEST) for track in tracks] for name, finder in finders.items()}


@dataclass(frozen=True)
class Claim:
    """What one contestant made of a recording."""

    name: str
    f1: float
    """Per fix."""
    found: int = 0
    """True stops found."""
    claimed: int = 0
    """Stretches of standing claimed."""


def fix_f1(tracks: Sequence[Track], labels: Sequence[Sequence[str]], standing: str, found: list[list[Interval]]) -> float:
    """Per-fix F1 of one contestant."""
    true = np.concatenate([np.array(label) == standing for label in labels])
    return f1(true, np.concatenate([within(track.time, said) for track, said in zip(tracks, found, strict=True)]))


def diary(data: Path, finders: Mapping[str, Finder]) -> list[Claim]:
    """For each contestant: per-fix F1, stops of 150 s and longer found with an IoU of a half; none without the data."""
    file = data / "stopgo_diary" / "fixes.csv"
    if not file.exists():
        return []
    tracks, labels = labelled(file)
    table = pd.read_csv(file.with_name("truth_stops.csv"))
    table = table[table["dur"] >= 150]
    truth = [_span(begin, end) for begin, end in zip(table["start"], table["end"], strict=True)]
    claims = []
    for name, found in everybody(tracks, finders, FITTED_DIARY).items():
        hit = sum(max((iou(stop, said) for said in found[0]), default=0.0) >= 0.5 for stop in truth)
        claims.append(Claim(name, fix_f1(tracks, labels, "stop", found), hit, len(found[0])))
    return claims


def _span(begin: str, end: str) -> Interval:
    return int(pd.Timestamp(begin).timestamp() * 1000), int(pd.Timestamp(end).timestamp() * 1000)


def deliveries(data: Path, finders: Mapping[str, Finder]) -> list[Claim]:
    """For each contestant, and for the naive pace, the per-fix F1 of standing; none without the data."""
    file = data / "goal_delivery_even" / "fixes.csv"
    if not file.exists():
        return []
    tracks, labels = labelled(file)
    true = np.concatenate([np.array(label) == "OnFoot" for label in labels])
    naive = Claim(f"naive: pace below {NAIVE_MPS} m/s", f1(true, np.concatenate([slow(track) for track in tracks])))
    found = everybody(tracks, finders, FITTED_VANS)
    return [naive, *(Claim(name, fix_f1(tracks, labels, "OnFoot", stretches)) for name, stretches in found.items())]


def slow(track: Track) -> Bool:
    """(N,) whether the pace from the fix before (of the first: to the next) is below the naive threshold."""
    metres = distances_m(track.lon[:-1].copy(), track.lat[:-1].copy(), track.lon[1:].copy(), track.lat[1:].copy())
    pace = metres / np.maximum(np.diff(track.time) / 1000.0, 1e-3)
    return np.asarray(np.concatenate([pace[:1], pace]) < NAIVE_MPS, bool)


def duplicates(data: Path) -> str:
    """Whether the bus day gives the same signals and stops with its duplicate rows and without them."""
    file = data / "capmetro_2016-05-30" / "fixes.csv"
    if not file.exists():
        return ABSENT
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    unique = table.drop_duplicates(list(KNOWN))
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "unique.csv"
        unique.to_csv(other, index=False)
        world = standing_world(RADIUS_M)
        logs = []
        for each in (file, other):
            said = replay([each], world)
            logs.append((log_lines(said.signals), stop_lines(said.stops)))
    same = "the same bytes." if logs[0] == logs[1] else "**different logs**."
    counts = f"{len(logs[0][0])} signals and {len(logs[0][1])} stops with, {len(logs[1][0])} and {len(logs[1][1])} without"
    return f"{len(table):,} rows, {len(table) - len(unique):,} of them again what the same bus had said: {counts}: {same}"


def sparse(data: Path) -> list[list[str]]:
    """For each feed without speeds and each limit: alerts, those presumed, and those that the sampling cannot support."""
    rows = []
    for name, words in SPARSE.items():
        file = data / name / "fixes.csv"
        if file.exists():
            tracks, _ = labelled(file)
            rows += [[words, limit, *map(str, supported(tracks, limit))] for limit in ("5m", "30m")]
        else:
            rows.append([words, "", f"skipped: no {name} here", "", "", ""])
    return rows


def supported(tracks: Sequence[Track], limit: str) -> tuple[int, int, int, int]:
    """Counts of alerts; of presumed ones; of the others, those on one silence longer than the limit, and of these, those on one fix before.

    The last are the weakest: a single fix, a silence, and a fix in the same spot is all that is known.
    """
    signals, _ = stood(tracks, standing_world(RADIUS_M, f"detectors.unauthorized_stop.limit={limit}"))
    time = {track.name: track.time for track in tracks}
    presumed = silent = single = 0
    for signal in signals:
        mine = time[signal.vehicle]
        seen = mine[np.searchsorted(mine, signal.since) : np.searchsorted(mine, signal.at) + 1]
        silence = np.diff(seen)
        presumed += signal.presumed
        if not signal.presumed and len(seen) > 1 and silence.max() > 1000 * signal.limit:
            silent += 1
            single += int(silence.argmax()) == 0
    return len(signals), presumed, silent, single
