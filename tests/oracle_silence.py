"""What the oracle reads off the times of a vehicle's positions, and off what nothing could have driven: lost signals and jumps.

Definitions
    *parked interval*: between two successive used fixes at both of which it stands in the same stop; learned is the second longest so
    far, once there are two and they are long enough together.
    A jump is *dropped*, or, as the second within five positioned fixes, *believed*.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from monitor.settings import milliseconds
from monitor.settings.sections import SignalLost
from monitor.signals import Signal
from tests.oracle_geometry import distance
from tests.oracle_track import one_a_time
from tests.oracle_watch import Raise, Watched, place_of

GOOD_FIXES = 5


def signals_lost(track: Watched) -> Iterator[Signal]:
    """One signal for each used fix after which nothing was heard of where the vehicle is for longer than allowed."""
    for index, fix in enumerate(track.used):
        limits = track.limits_at(fix.trip, fix).signal_lost
        stands = track.parked[index]
        zones = [name for name in fix.within if track.places[name].kind == "dead_zone"]
        if stands:
            allowed = max(milliseconds(limits.limit), 3 * parked_interval(track, index, limits))
        else:
            allowed = max(milliseconds(limits.dead_zone_limit if zones else limits.limit), 3 * track.own_interval(index))
        at = fix.time + allowed
        heard = track.used[index + 1] if index + 1 < len(track.used) else None
        if at > track.horizon or (heard and heard.time <= at):
            continue
        lost, severity = float(allowed), "note" if stands else "warning"
        if heard:
            metres = distance(fix.lon, fix.lat, heard.lon, heard.lat)
            then = track.limits_at(heard.trip, heard).signal_lost
            lost = max(0.0, heard.time - fix.time - metres / then.assumed_mps * 1000)
            if stands and track.over(heard, metres, then.moved_m):
                severity = "critical"
        yield track.signal(
            "signal_lost", Raise(at, presumed=True, by=index, decided=at), fix.time, heard.time if heard else None,
            place_of(fix), lost / 60_000, allowed / 60_000, "min", severity, place=min(zones, default=None), trip=fix.trip,
        )  # fmt: skip


def parked_interval(track: Watched, index: int, limits: SignalLost) -> int:
    """What is said, else what was learned up to a used fix, else what is assumed before that (ms)."""
    if limits.parked_interval is not None:
        return milliseconds(limits.parked_interval)
    stops, used = track.stop_at, track.used
    parked = [used[j].time - used[j - 1].time for j in range(1, index + 1) if stops[j] is not None and stops[j] is stops[j - 1]]
    learned = len(parked) >= 2 and sum(parked) >= milliseconds(limits.learned_after)
    return sorted(parked)[-2] if learned else milliseconds(limits.first_parked_interval)


def impossible_movements(track: Watched) -> Iterator[Signal]:
    """From a believed jump to the fifth used fix after the last jump of any kind; measured by the farthest believed one."""
    possible, jumped = {}, {}
    for before, fix in pairwise(track.used):
        possible[fix.time] = track.settings.order.jump_mps * max(1.0, (fix.time - before.time) / 1000)
        jumped[fix.time] = distance(before.lon, before.lat, fix.lon, fix.lat)
    believed = [time for time, metres in jumped.items() if metres > possible[time]]
    dropped = [fix.time for fix in one_a_time(track.fixes, track.settings.motion.low_mps) if fix.time not in track.index]
    jumps = sorted(believed + dropped)
    over = -1
    for at in believed:
        if at <= over:
            continue
        until = None
        for fix in track.used:
            last = max(jump for jump in jumps if jump <= max(fix.time, at))
            good = [other for other in track.used if last < other.time <= fix.time]
            if fix.time > at and len(good) >= GOOD_FIXES:
                until = fix.time
                break
        over = until if until is not None else track.horizon
        worst = max(jumped[time] for time in believed if at <= time <= over)
        index = track.index[at]
        fix = track.used[index]
        yield track.signal(
            "impossible_movement", Raise(at, presumed=False, by=index, decided=at), at, until, place_of(fix), worst, possible[at],
            "m", "note", trip=fix.trip,
        )  # fmt: skip
