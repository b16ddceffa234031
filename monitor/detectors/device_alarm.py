"""Device alarm: the device itself reports panic, jamming, tampering, a power cut or towing.

All reports of one time are one. Each kind of alarm is a condition of its own; it ends with the first report without it. Positions
matter only for where it was.
Limit: at once; jamming lasts a while first, but for a high-value load.
Source: CBSA, Partners in Protection, security profile: anything suspicious is reported; a panic button is a driver's call for help.
Shapes: Q reports.
"""

from __future__ import annotations

import numpy as np

from monitor.detectors.watching import CRITICAL, FIRST_ALARM, NOTHING, WARNING, joined, reported, told
from monitor.episodes import ENDS, SHOWS, Watch
from monitor.fixes import Alarm
from monitor.scene import Scene

KIND = "device_alarm"
UNIT = "s"
GRAVE = (Alarm.PANIC, Alarm.JAMMING, Alarm.TAMPER)
WATCHED = (*GRAVE, Alarm.POWER_CUT, Alarm.TOW)


def watch(scene: Scene) -> Watch:
    """One condition a vehicle and kind of alarm."""
    if not scene.open.any() and not scene.reports.alarms.any():
        return NOTHING
    return joined([_watched(scene, alarm) for alarm in WATCHED])


def _watched(scene: Scene, alarm: Alarm) -> Watch:
    """One kind of alarm."""
    reports, world = scene.reports, scene.world
    rings = (reports.alarms & np.uint32(alarm)) != 0
    chosen = told(rings, reports.begins, scene)
    row, time = reports.row[chosen], reports.time[chosen]
    profile = world.profiles_of(scene.vehicles, row, time, world.trips.assign(scene.vehicles, row, time))
    name = "jamming_limit" if alarm is Alarm.JAMMING else "limit"
    limit = world.limits(profile, f"device_alarm.{name}")
    return reported(
        scene,
        chosen,
        np.where(rings[chosen], SHOWS, ENDS),
        subject=np.full(len(chosen), FIRST_ALARM - (alarm.bit_length() - 1), np.int32),
        limit=limit,
        bound=limit / 1000.0,
        severity=np.full(len(chosen), CRITICAL if alarm in GRAVE else WARNING, np.int8),
    )
