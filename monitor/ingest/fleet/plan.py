"""The simulated fleet as a function of program time: who drives what and when, what each device measures, what is wrong; pure.

The same seed, start, size and atlas give the same fleet for ever: a device may be asked for any interval, in any order and again,
and answers the same. Vehicles go back and forth between the ends of their route. Every second one meets troubles; the first of
these are timed so that a monitor which starts with the fleet soon has something to tell, and more keeps coming.
Shapes: N reports.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.errors import ConfigurationError
from monitor.ingest.fleet.course import Run, make_run
from monitor.ingest.fleet.halts import KIND, Trouble
from monitor.ingest.fleet.roads import F64, Way, ways
from monitor.signals import timestamp

I64 = npt.NDArray[np.int64]

BACKLOG_MS = 20 * 60_000
"""Devices have been measuring for this long when the fleet starts, and upload it on connecting."""
INTERVALS_S = (15, 20, 30, 30, 45, 60)
PATTERN = (0, 0, 1, 0, 2, 1, 0, 1, 2, 0)
"""Which route each vehicle of ten drives."""
NOISE_M = 3.0
KEPT_RUNS = 256

OPENING: tuple[tuple[Trouble, float, str], ...] = (
    (Trouble.BELT_STOP, -1.5, "high_value"),
    (Trouble.DETOUR, 1.0, "standard"),
    (Trouble.ROADSIDE_STOP, -18.0, "standard"),
    (Trouble.BELT_STOP, 3.0, "standard"),
    (Trouble.SILENT_STOP, -14.0, "standard"),
    (Trouble.LONG_FUEL, -19.0, "dangerous"),
)
"""The first run of the first troubled vehicles: what goes wrong, in which minute after the start, and the load."""
LATER_MINUTES = 12.0
"""The first troubles of the vehicles after those follow each other at this pace."""


class Label(NamedTuple):
    """One true trouble: the signal it should cause, why, from when to when (ms since 1970 UTC), and where."""

    vehicle: str
    kind: str
    cause: str
    since: int
    until: int
    where: str


class Plan:
    """The itineraries of a simulated fleet.

    `features` are GeoJSON features of places and routes, `start` is ms since 1970 UTC. Not for use by several threads at once.

    Raises
    ------
    ConfigurationError
        If no route begins and ends in a yard or at a customer of this carrier.
    """

    def __init__(
        self, seed: int, start: int, features: Sequence[Mapping[str, Any]], *, vehicles: int = 50, carrier: str = "demo"
    ) -> None:
        self.seed, self.start, self.carrier = seed, start, carrier
        self.first = start - BACKLOG_MS
        """The instant before which no device has measured anything."""
        self.vehicles = tuple(f"truck-{index + 1:03d}" for index in range(vehicles))
        routes = list(ways(features, carrier).values())
        if not routes:
            raise ConfigurationError([f"geofences: no route of carrier {carrier!r} begins and ends in a yard or at a customer"])
        self._ways = [routes[PATTERN[index % len(PATTERN)] % len(routes)] for index in range(vehicles)]
        drawn = [[_hash(seed, index, word) for word in range(4)] for index in range(vehicles)]
        self._interval = [1000 * INTERVALS_S[d[0] % len(INTERVALS_S)] for d in drawn]
        self._interval[:1] = [1000 * min(INTERVALS_S)]
        self._phase = [self.first + d[1] % interval for d, interval in zip(drawn, self._interval, strict=True)]
        """The instant of each vehicle's very first report."""
        self._share = [d[2] % 900 / 1000 for d in drawn]
        self._noise = [d[3] for d in drawn]
        self._starts: list[list[int]] = [[] for _ in range(vehicles)]
        self._silences: list[list[int]] = [[] for _ in range(vehicles)]
        self._run = lru_cache(maxsize=KEPT_RUNS)(self._make_run)

    # -- what the dispatcher knows --

    def trips(self, begin: int, end: int) -> list[dict[str, Any]]:
        """Give the trips that overlap [begin, end), one a run, as records of a trips file."""
        found = []
        for index, vehicle in enumerate(self.vehicles):
            for number in self._numbers(index, begin, end):
                run, start = self._run(index, number), self._starts[index][number]
                found.append(
                    {
                        "id": f"{vehicle}-{number + 1:04d}",
                        "carrier": self.carrier,
                        "vehicle": vehicle,
                        "trailer": f"trailer-{index + 1:03d}",
                        "route": run.way.road.id,
                        "origin": run.way.origin.id,
                        "destination": run.way.destination.id,
                        "starts_at": timestamp(start),
                        "ends_at": timestamp(start + run.duration_ms),
                        "load": run.load,
                    }
                    | ({"port_of_entry": run.port} if run.port else {})
                )
        return found

    def truth(self, begin: int, end: int) -> list[Label]:
        """Give the troubles that overlap [begin, end), by their beginning; nothing before the first report exists."""
        found = []
        for index, vehicle in enumerate(self.vehicles):
            for number in self._numbers(index, begin, end):
                run, start = self._run(index, number), self._starts[index][number]
                for mark in run.marks:
                    since, until = start + round(mark.since * 1000), start + round(mark.until * 1000)
                    if since < end and until > max(begin, self.first):
                        kind, cause = KIND[mark.trouble], mark.trouble.value
                        found.append(Label(vehicle, kind, cause, max(since, self.first), until, mark.where))
        return sorted(found, key=lambda label: (label.since, label.vehicle))

    # -- what the devices measure --

    def interval_ms(self, index: int) -> int:
        """Milliseconds between two reports of a vehicle."""
        return self._interval[index]

    def next_report(self, index: int, after: int) -> int:
        """Give the instant of a vehicle's first report later than `after`, were it not silent then."""
        interval, phase = self._interval[index], self._phase[index]
        return phase + max(0, (after - phase) // interval + 1) * interval

    def fixes(self, index: int, begin: int, end: int) -> list[dict[str, Any]]:
        """Give what a vehicle measures in [begin, end), in time order, as payloads of the monitor's own format."""
        first = self.next_report(index, begin - 1)
        reports = np.arange(first, max(first, end), self._interval[index], dtype=np.int64)
        out: list[dict[str, Any]] = []
        if len(reports) == 0:
            return out
        parked = reports[reports < self._begin(index)]
        if len(parked):
            out += self._payloads(index, parked, self._run(index, 0), self._begin(index))
        for number in self._numbers(index, begin, end):
            run, start = self._run(index, number), self._starts[index][number]
            mine = reports[(reports >= start) & (reports < start + run.duration_ms)]
            heard = ~_inside((mine - start) / 1000.0, run.silent)
            out += self._payloads(index, mine[heard], run, start)
        return out

    def _payloads(self, index: int, time: I64, run: Run, start: int) -> list[dict[str, Any]]:
        """Payloads at instants (N,) of one run; before its start the vehicle waits at its origin."""
        t = np.maximum(time - start, 0) / 1000.0
        p, east, north = (np.interp(t, run.t, column) for column in (run.p, run.east, run.north))
        speed = _speeds(run, t) * (time >= start)
        number = (time - self._phase[index]) // self._interval[index]
        noise = NOISE_M * _normal(self._noise[index], number)
        lon, lat = run.way.road.position(run.way.s(p), east + noise[0], north + noise[1])
        speed = np.where(speed > 0, np.maximum(speed + 0.3 * noise[0] / NOISE_M, 0.0), 0.0)
        heading, ignition = run.way.heading(p), ~_inside(t, run.parked) & (time >= start)
        boots = np.searchsorted(np.array(self._silences[index], dtype=np.int64), time, side="right")
        return [
            {
                "time": timestamp(int(time[i])),
                "lat": round(float(lat[i]), 6),
                "lon": round(float(lon[i]), 6),
                "speed_mps": round(float(speed[i]), 2),
                "heading_deg": round(float(heading[i]), 1) % 360.0,
                "accuracy_m": round(3.0 + abs(float(noise[0, i])), 1),
                "ignition": bool(ignition[i]),
                "door": False,
                "alarms": [],
                "boot": 1 + int(boots[i]),
                "seq": self._sequence(index, int(time[i]), int(boots[i])),
            }
            for i in range(len(time))
        ]

    def _sequence(self, index: int, time: int, boots: int) -> int:
        """Count the reports since the device was last switched on."""
        on = self._silences[index][boots - 1] if boots else self._phase[index] - 1
        return (time - self.next_report(index, on - 1)) // self._interval[index]

    # -- itineraries --

    def _begin(self, index: int) -> int:
        """Give the start of a vehicle's first run."""
        if not self._starts[index]:
            self._append(index)
        return self._starts[index][0]

    def _numbers(self, index: int, begin: int, end: int) -> range:
        """Give the numbers of a vehicle's runs that overlap [begin, end)."""
        starts = self._starts[index]
        self._begin(index)
        while starts[-1] < end:
            self._append(index)
        return range(max(0, bisect_right(starts, begin) - 1), bisect_left(starts, end))

    def _append(self, index: int) -> None:
        """Work out when the next run starts, and the silences of the one before it."""
        starts = self._starts[index]
        if not starts:
            starts.append(self._first_start(index))
            return
        run, start = self._run(index, len(starts) - 1), starts[-1]
        self._silences[index] += [start + round(end * 1000) for _, end in run.silent if start + round(end * 1000) > self.first]
        starts.append(start + run.duration_ms)

    def _first_start(self, index: int) -> int:
        """Time the first run: a troubled one by its trouble, another by chance, under way when the fleet starts."""
        run, opening = self._run(index, 0), index // 2
        if index % 2 == 0 and run.marks:
            minute = OPENING[opening][1] if opening < len(OPENING) else LATER_MINUTES * (opening - len(OPENING) + 1)
            return self.start + round(60_000 * minute) - round(min(mark.since for mark in run.marks) * 1000)
        return self.start - round(run.duration_ms * self._share[index])

    def _make_run(self, index: int, number: int) -> Run:
        rng = np.random.default_rng([self.seed, index, number])
        way: Way = self._ways[index][number % 2]
        load = str(rng.choice(["standard", "high_value", "dangerous"], p=[0.6, 0.2, 0.2]))
        troubles: list[Trouble] = []
        if index % 2 == 0:
            drawn = rng.choice(len(Trouble), size=int(rng.integers(1, 3)), replace=False)
            troubles = [list(Trouble)[one] for one in drawn]
            if number == 0 and index // 2 < len(OPENING):
                opening = OPENING[index // 2]
                troubles, load = [opening[0]], opening[2]
            troubles = _possible(way, troubles)
        hours = rng.uniform(8.0, 11.0) if way.destination.kind == "yard" else rng.uniform(1.0, 2.5)
        own = np.random.default_rng([self.seed, index])
        parking = (float(own.uniform(-80, 80)), float(own.uniform(-80, 80)))
        return make_run(way, load, troubles, rng, parking, 3600.0 * float(hours))


def _possible(way: Way, troubles: Sequence[Trouble]) -> list[Trouble]:
    """Give the troubles, those that cannot happen on this way replaced by their like."""
    if not any(zone.kind == "no_stop" for zone in way.zones):
        troubles = [Trouble.ROADSIDE_STOP if t is Trouble.BELT_STOP else t for t in troubles]
    if way.destination.kind != "customer":
        troubles = [Trouble.LONG_FUEL if t is Trouble.LONG_UNLOADING else t for t in troubles]
    return list(dict.fromkeys(troubles))


def _speeds(run: Run, t: F64) -> F64:
    """(N,) metres a second at instants (N,) of a run."""
    index = np.clip(np.searchsorted(run.t, t, side="right") - 1, 0, len(run.t) - 2)
    span = np.diff(run.t)[index]
    along, aside = np.diff(run.p)[index], np.hypot(np.diff(run.east), np.diff(run.north))[index]
    return np.hypot(along, aside) / np.maximum(span, 1e-9)


def _inside(t: F64, intervals: Sequence[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    """(N,) whether each instant lies in one of the intervals, their ends left out."""
    inside = np.zeros(len(t), dtype=bool)
    for begin, end in intervals:
        inside |= (t >= begin) & (t < end)
    return inside


def _hash(*words: int) -> int:
    """Give a fixed 63-bit number for some integers."""
    return int(np.random.SeedSequence([word & 0xFFFFFFFF for word in words]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _normal(key: int, number: I64) -> F64:
    """(2, N) standard normal numbers, a function of the vehicle's key and the number of its report (Box and Muller)."""
    first, second = (_unit(number.astype(np.uint64) * np.uint64(2) + np.uint64(i) + np.uint64(key)) for i in (0, 1))
    radius, angle = np.sqrt(-2.0 * np.log(first)), 2 * np.pi * second
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)))


def _unit(state: npt.NDArray[np.uint64]) -> F64:
    """(N,) numbers in (0, 1], by the finaliser of SplitMix64."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state = state ^ (state >> np.uint64(31))
    return ((state >> np.uint64(11)).astype(np.float64) + 1.0) / 2.0**53
