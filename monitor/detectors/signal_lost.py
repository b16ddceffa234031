"""Signal lost: a vehicle gives no position for longer than its reporting explains.

Silence counts from each used fix, so that a jammed device that keeps talking is silent too. Of a vehicle under way the limit is no
less than three of its own intervals; of a standing one than three of its parked intervals (the carrier's profile, else what was
learned, else a first guess); in a `dead_zone` it has a limit of its own. When a position comes again, what the way to it does
not explain is *unaccounted for*.
Source: CBSA, Partners in Protection, security profile: conveyances are tracked; cargo thieves jam or remove the tracker first.
Shapes: N used fixes.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import CRITICAL, NOTE, WARNING, observed
from monitor.episodes import ENDS, SHOWS, Watch
from monitor.fixes import F64, I8, I32, I64, Bool
from monitor.geodesy import distances_m
from monitor.motion import NONE
from monitor.scene import EVERY, Scene

KIND = "signal_lost"
UNIT = "min"
MINUTE_MS = 60_000.0


def watch(scene: Scene) -> Watch:
    """One condition a used fix: silence since then. It ends at the next, which tells how much is unaccounted for.

    Only the fixes before and after a long silence are told, and each vehicle's first and last.
    """
    first = np.zeros(len(scene.row), bool)
    first[scene.begins.at] = True
    dead_zone = _dead_zone(scene)
    limit = _limit(scene, dead_zone)
    lost = np.ones(len(first), bool)  # the last of each vehicle may be
    lost[:-1] = first[1:] | (scene.time[1:] - scene.time[:-1] > limit[:-1])
    chosen = first | lost
    chosen[1:] |= lost[:-1]
    fix = np.flatnonzero(chosen)
    minutes, severity = _reappeared(scene, fix, first[fix])
    parked, limit = scene.parked.parked[fix], limit[fix]
    return observed(
        scene,
        fix,
        np.where(lost[fix], SHOWS, ENDS),
        allowance=np.zeros(len(fix), np.int64),
        since=scene.time[fix],
        limit=limit,
        measure=limit / MINUTE_MS,
        bound=limit / MINUTE_MS,
        place=dead_zone[fix],
        severity=np.where(parked, NOTE, WARNING).astype(np.int8),
        final=minutes,
        final_severity=severity,
    )


def _dead_zone(scene: Scene) -> I32:
    """(N,) the dead zone that each fix is in, the least id of several; -1."""
    presence, permissions = scene.presence, scene.world.permissions
    chosen = np.flatnonzero(permissions.dead_zone[presence.place] & (presence.ended == NONE))
    chosen = chosen[np.argsort(-permissions.rank[presence.place[chosen]], kind="stable")]
    out = np.full(len(scene.row), -1, np.int32)
    out[presence.fix[chosen]] = presence.place[chosen]
    return out


def _limit(scene: Scene, dead_zone: I32) -> I64:
    """(N,) ms of silence after each fix that are as they should be."""

    def of(name: str) -> I64:
        return scene.limits(EVERY, f"signal_lost.{name}")

    under_way = np.where(dead_zone >= 0, of("dead_zone_limit"), of("limit"))
    known = (scene.parked.learned != NONE) & (scene.parked.heard >= of("learned_after"))
    learned = np.where(known, scene.parked.learned, of("first_parked_interval"))
    given = of("parked_interval")
    interval = np.where(given != NONE, given, learned)
    return np.where(scene.parked.parked, np.maximum(of("limit"), 3 * interval), np.maximum(under_way, scene.used.threefold))


def _reappeared(scene: Scene, fix: I64, first: Bool) -> tuple[F64, I8]:
    """Of some fixes the minutes unaccounted for since the fix before, and how grave it is that they are where they are; -1 as before."""
    row, before = scene.row[fix], scene.before
    since, stood = scene.time[fix - 1], scene.parked.parked[fix - 1]
    lon, lat = scene.lon[fix - 1], scene.lat[fix - 1]
    since[first], stood[first] = before.time[row[first]], before.parked[row[first]]
    lon[first], lat[first] = before.lon[row[first]], before.lat[row[first]]
    apart = distances_m(lon, lat, scene.lon[fix], scene.lat[fix])
    explained = apart / scene.limits(fix, "signal_lost.assumed_mps")
    unaccounted = np.maximum(0.0, (scene.time[fix] - since) / MINUTE_MS - explained / 60.0)
    moved = stood & (apart > scene.limits(fix, "signal_lost.moved_m"))
    known = since != NONE
    return np.where(known, unaccounted, np.nan), np.where(known & moved, CRITICAL, -1).astype(np.int8)
