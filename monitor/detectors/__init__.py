"""The detectors, in reading order. A new one is a module beside these and a line here.

Each module states its rule, its definitions and its source, and has `KIND`, `UNIT` (of its measure and limit; "s" means that the
measure is how long the condition held) and `watch(scene)`, one pure function from what is known of every fix to a `Watch`.
"""

from __future__ import annotations

from typing import Protocol

from monitor.detectors import (
    after_hours_movement,
    device_alarm,
    door_open,
    impossible_movement,
    long_dwell,
    route_deviation,
    signal_lost,
    unauthorized_stop,
    wrong_way,
    zone_breach,
)
from monitor.episodes import Watch
from monitor.scene import Scene


class Detector(Protocol):
    """What a detector's module has."""

    KIND: str
    UNIT: str

    def watch(self, scene: Scene) -> Watch:
        """Say what is watched in a scene; the scene is not modified."""
        ...


DETECTORS: tuple[Detector, ...] = (
    unauthorized_stop,
    route_deviation,
    wrong_way,
    long_dwell,
    zone_breach,
    after_hours_movement,
    signal_lost,
    door_open,
    device_alarm,
    impossible_movement,
)
