"""The scenes: what the vehicles do and how their devices report, one difficulty at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot

import numpy as np

from benchmarks.accuracy.tracks import Device, Motion, Random, Track

RADIUS_M = 75.0
"""The default radius of a cluster; the peers get its double as the diameter of a stop."""
SUITS = 3.0
"""A radius suits errors of a standard deviation that it is at least this many times as large as."""


def hold_radius_m(radius_m: float) -> float:
    """Within this the monitor holds a vehicle that says it is slow: by default 200 m, and it grows with the radius."""
    return max(200.0, 2 * radius_m)


@dataclass(frozen=True)
class Scene:
    """Some tracks of one difficulty; `radius_m` is what all contestants are told about the size of a stop."""

    name: str
    plan: Callable[[Motion], None]
    device: Device = Device()
    radius_m: float = RADIUS_M
    vehicles: int = 12
    queue: bool = False
    """A true stop is a border queue: the vehicle moves in it, so that a stretch of standing is no false move."""

    @property
    def fit(self) -> bool:
        """Whether the radius suits the noise, and what holds a parked vehicle its drift; where not, nothing is aimed at."""
        held_m = hold_radius_m(self.radius_m) if self.device.slow_when_parked else self.radius_m
        noise_m, drift_m = self.device.noise_m, self.device.drift_m
        return self.radius_m >= SUITS * noise_m and held_m >= SUITS * hypot(noise_m, drift_m)

    def tracks(self) -> list[Track]:
        """The same tracks at every call."""
        seed = [ord(letter) for letter in self.plan.__name__]
        return [self._track(np.random.default_rng([*seed, number]), number) for number in range(self.vehicles)]

    def _track(self, rng: Random, number: int) -> Track:
        motion = Motion(rng)
        self.plan(motion)
        return self.device.reported(motion, f"truck-{number}")


def round_trip(motion: Motion, stops: int = 8) -> None:
    """Drives of 8 to 20 minutes between stops of 5 to 40."""
    for _ in range(stops):
        motion.drive(int(motion.rng.uniform(480, 1200)))
        motion.stand(int(motion.rng.uniform(310, 2400)))
    motion.drive(900)


def short_trip(motion: Motion) -> None:
    """Fewer and shorter legs, for reports each second."""
    for _ in range(5):
        motion.drive(int(motion.rng.uniform(240, 480)))
        motion.stand(int(motion.rng.uniform(310, 900)))
    motion.drive(300)


def lights(motion: Motion) -> None:
    """City driving: a halt of 30 to 90 s every one to three minutes, and a true stop now and then."""
    for _ in range(6):
        for _ in range(int(motion.rng.integers(4, 9))):
            motion.drive(int(motion.rng.uniform(60, 180)))
            motion.stand(int(motion.rng.uniform(30, 90)), counts=False)
        motion.drive(120)
        motion.stand(int(motion.rng.uniform(310, 1800)))
    motion.drive(300)


def halting_queue(motion: Motion) -> None:
    """Two border queues of 45 to 90 minutes, creeping and halting."""
    for _ in range(2):
        motion.drive(1500)
        motion.queue(int(motion.rng.uniform(2700, 5400)), halts=True)
    motion.drive(1500)


def steady_queue(motion: Motion) -> None:
    """Two border queues of 45 to 90 minutes, always creeping."""
    for _ in range(2):
        motion.drive(1500)
        motion.queue(int(motion.rng.uniform(2700, 5400)), halts=False)
    motion.drive(1500)


def night(motion: Motion) -> None:
    """Parked for eight hours."""
    motion.drive(1200)
    motion.stand(8 * 3600)
    motion.drive(1200)


def hop(motion: Motion) -> None:
    """Pairs of stops with a drive of 600 m between them."""
    for _ in range(4):
        motion.drive(900)
        motion.stand(int(motion.rng.uniform(480, 1200)))
        motion.drive_metres(600)
        motion.stand(int(motion.rng.uniform(480, 1200)))
    motion.drive(900)


SCENES = (
    Scene("noise 5 m", round_trip, Device(noise_m=5)),
    Scene("noise 15 m (the scene the others change)", round_trip),
    Scene("noise 50 m, radius left at 75 m", round_trip, Device(noise_m=50)),
    Scene("noise 50 m, radius 200 m", round_trip, Device(noise_m=50), radius_m=200),
    Scene("noise 50 m, radius 200 m, no speed", round_trip, Device(noise_m=50, speed="missing"), radius_m=200),
    Scene("parked drift of 40 m", round_trip, Device(drift_m=40)),
    Scene("parked drift of 40 m, no speed", round_trip, Device(drift_m=40, speed="missing")),
    Scene("parked drift of 40 m, radius 150 m, no speed", round_trip, Device(drift_m=40, speed="missing"), radius_m=150),
    Scene("1 % outliers", round_trip, Device(outliers=0.01)),
    Scene("1 % outliers, no speed", round_trip, Device(outliers=0.01, speed="missing")),
    Scene("traffic lights of 30 to 90 s", lights),
    Scene("traffic lights, no speed", lights, Device(speed="missing")),
    Scene("gaps of 12 to 40 min", round_trip, Device(gaps=3)),
    Scene("border queue, creep and halt", halting_queue, vehicles=8, queue=True),
    Scene("border queue, steady creep", steady_queue, vehicles=8, queue=True),
    Scene("border queue, creep and halt, no speed", halting_queue, Device(speed="missing"), vehicles=8, queue=True),
    Scene("parked 8 h", night, vehicles=8),
    Scene("parked 8 h, a 250 m spike an hour", night, Device(spike_m=250), vehicles=8),
    Scene("parked 8 h, a 250 m spike an hour, no speed", night, Device(spike_m=250, speed="missing"), vehicles=8),
    Scene("speed missing", round_trip, Device(speed="missing")),
    Scene("speed frozen at 0", round_trip, Device(speed="0")),
    Scene("speed frozen at 5 m/s", round_trip, Device(speed="5")),
    Scene("speed frozen at 5 m/s, reports every 1 s", short_trip, Device(every_s=1, speed="5"), vehicles=4),
    Scene("speed frozen at 5 m/s, reports every 120 s", round_trip, Device(every_s=120, speed="5")),
    Scene("speed in whole km/h", round_trip, Device(speed="whole")),
    Scene("speed in whole km/h, reports every 1 s", short_trip, Device(every_s=1, speed="whole"), vehicles=4),
    Scene("600 m between two stops", hop),
    Scene("600 m between two stops, no speed", hop, Device(speed="missing")),
    Scene("reports every 1 s", short_trip, Device(every_s=1), vehicles=4),
    Scene("reports every 1 s, no speed", short_trip, Device(every_s=1, speed="missing"), vehicles=4),
    Scene("reports every 10 s", round_trip, Device(every_s=10), vehicles=6),
    Scene("reports every 10 s, no speed", round_trip, Device(every_s=10, speed="missing"), vehicles=6),
    Scene("reports every 60 s", round_trip, Device(every_s=60)),
    Scene("reports every 60 s, no speed", round_trip, Device(every_s=60, speed="missing")),
    Scene("reports every 120 s", round_trip, Device(every_s=120)),
    Scene("reports every 120 s, no speed", round_trip, Device(every_s=120, speed="missing")),
)
