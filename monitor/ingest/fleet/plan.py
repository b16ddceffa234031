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

from monitor.errors import ConfigurationError
from monitor.ingest.fleet.course import Run, make_run
from monitor.ingest.fleet.halts import KINDS, Trouble
from monitor.ingest.fleet.measuring import EXACT, I64, Counted, Noise, Schedule, fixed, inside, payloads
from monitor.ingest.fleet.roads import Way, ways
from monitor.ingest.fleet.script import SPEAKING, Script
from monitor.signals import timestamp

BACKLOG_MS = 20 * 60_000
"""Devices have been measuring for this long when the fleet starts, and upload it on connecting."""
INTERVALS_S = (15, 20, 30, 30, 45, 60)
PATTERN = (0, 0, 1, 0, 2, 1, 0, 1, 2, 0)
"""Which route each vehicle of ten drives."""
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
    """One true trouble: the signal it should cause, why, from when to when (ms since 1970 UTC), and where: in words or a place's id."""

    vehicle: str
    kind: str
    cause: str
    since: int
    until: int
    where: str
    lon: float
    lat: float


class Plan:
    """The itineraries of a simulated fleet.

    `features` are GeoJSON features of places and routes, `start` is ms since 1970 UTC. `script`: what goes wrong; None: as in the
    demonstration, and the devices are `EXACT` there. `interval` (ms): between two reports; None: each vehicle has its own. Not for
    use by several threads at once.

    Raises
    ------
    ConfigurationError
        If no route begins and ends in a yard or at a customer of this carrier.
    """

    def __init__(
        self,
        seed: int,
        start: int,
        features: Sequence[Mapping[str, Any]],
        *,
        vehicles: int = 50,
        carrier: str = "demo",
        script: Script | None = None,
        noise: Noise = EXACT,
        interval: int | None = None,
        backlog: int = BACKLOG_MS,
    ) -> None:
        self.seed, self.start, self.carrier, self._script, self._noise = seed, start, carrier, script, noise
        self.first = start - backlog
        """The instant before which no device has measured anything."""
        self.vehicles = tuple(f"truck-{index + 1:03d}" for index in range(vehicles))
        routes = list(ways(features, carrier).values())
        if not routes:
            raise ConfigurationError([f"geofences: no route of carrier {carrier!r} begins and ends in a yard or at a customer"])
        self._ways = [routes[PATTERN[index % len(PATTERN)] % len(routes)] for index in range(vehicles)]
        drawn = [[fixed(seed, index, word) for word in range(4)] for index in range(vehicles)]
        intervals = [interval or 1000 * INTERVALS_S[d[0] % len(INTERVALS_S)] for d in drawn]
        intervals[:1] = [interval or 1000 * min(INTERVALS_S)]
        self._schedules = [
            Schedule(self.first + d[1] % every, every, noise.jitter, d[3]) for d, every in zip(drawn, intervals, strict=True)
        ]
        self._share = [d[2] % 900 / 1000 for d in drawn]
        self._starts: list[list[int]] = [[] for _ in range(vehicles)]
        self._silences: list[list[int]] = [[] for _ in range(vehicles)]
        self._run = lru_cache(maxsize=max(KEPT_RUNS, 2 * vehicles))(self._make_run)

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
                        where = self._where(run, max(since, self.first) - start)
                        found += [
                            Label(vehicle, kind, mark.trouble.value, max(since, self.first), until, mark.where, *where)
                            for kind in KINDS[mark.trouble]
                        ]
        return sorted(found, key=lambda label: (label.since, label.vehicle))

    @staticmethod
    def _where(run: Run, ms: int) -> tuple[float, float]:
        """Give longitude and latitude of a vehicle so long after the start of a run."""
        p, east, north = (np.interp([ms / 1000.0], run.t, column) for column in (run.p, run.east, run.north))
        lon, lat = run.way.road.position(run.way.s(p), east, north)
        return float(lon[0]), float(lat[0])

    # -- what the devices measure --

    def interval_ms(self, index: int) -> int:
        """Milliseconds between two reports of a vehicle."""
        return self._schedules[index].interval

    def next_report(self, index: int, after: int) -> int:
        """Give the instant of a vehicle's first report later than `after`, were it not silent then."""
        return self._schedules[index].next(after)

    def fixes(self, index: int, begin: int, end: int) -> list[dict[str, Any]]:
        """Give what a vehicle measures in [begin, end), in time order, as payloads of the monitor's own format."""
        reports = self._schedules[index].between(max(begin, self.first), end)
        out: list[dict[str, Any]] = []
        if len(reports) == 0:
            return out
        numbers = self._numbers(index, int(reports[0]), end)
        parked = reports[reports < self._begin(index)]
        if len(parked):
            out += self._measured(index, parked, self._run(index, 0), self._begin(index))
        for number in numbers:
            run, start = self._run(index, number), self._starts[index][number]
            mine = reports[(reports >= start) & (reports < start + run.duration_ms)]
            heard = ~inside((mine - start) / 1000.0, run.silent)
            out += self._measured(index, mine[heard], run, start)
        return out

    def instant(self, index: int, boot: int, seq: int) -> int:
        """Give the instant of a report, by its count since the device was switched on for the `boot`-th time."""
        schedule = self._schedules[index]
        return int(schedule.instants(np.array([schedule.number(self._on(index, boot)) + seq - 1]))[0])

    def boots(self, index: int, through: int) -> int:
        """Give how often a device was switched on up to an instant."""
        self._numbers(index, through, through + 1)
        return 1 + bisect_right(self._silences[index], through)

    def _on(self, index: int, boot: int) -> int:
        """Give the first report since the device was switched on for the `boot`-th time."""
        return self.next_report(index, self._silences[index][boot - 2] - 1 if boot > 1 else self._schedules[index].phase - 1)

    def _measured(self, index: int, time: I64, run: Run, start: int) -> list[dict[str, Any]]:
        schedule = self._schedules[index]
        boots = 1 + np.searchsorted(np.array(self._silences[index], dtype=np.int64), time, side="right")
        begins = {boot: schedule.number(self._on(index, boot)) for boot in np.unique(boots).tolist()}
        first = np.array([begins[boot] for boot in boots.tolist()], np.int64)
        counted = Counted(boots, 1 + (time - schedule.phase) // schedule.interval - first)
        return payloads(run, start, time, schedule, counted, self._noise)

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
        if self._script is None and index % 2 == 0 and run.marks:
            minute = OPENING[opening][1] if opening < len(OPENING) else LATER_MINUTES * (opening - len(OPENING) + 1)
            return self.start + round(60_000 * minute) - round(min(mark.since for mark in run.marks) * 1000)
        return self.start - round(run.duration_ms * self._share[index])

    def _make_run(self, index: int, number: int) -> Run:
        rng = np.random.default_rng([self.seed, index, number])
        way: Way = self._ways[index][number % 2]
        load = str(rng.choice(["standard", "high_value", "dangerous"], p=[0.6, 0.2, 0.2]))
        troubles: list[Trouble] = []
        if self._script is not None:
            troubles = self._script.draw(rng)
        elif index % 2 == 0:
            drawn = rng.choice(len(SPEAKING), size=int(rng.integers(1, 3)), replace=False)
            troubles = [SPEAKING[one] for one in drawn]
            if number == 0 and index // 2 < len(OPENING):
                opening = OPENING[index // 2]
                troubles, load = [opening[0]], opening[2]
        troubles = _possible(way, troubles)
        hours = rng.uniform(8.0, 11.0) if way.destination.kind == "yard" else rng.uniform(1.0, 2.5)
        own = np.random.default_rng([self.seed, index])
        parking = (float(own.uniform(-80, 80)), float(own.uniform(-80, 80)))
        interval_s, tunnels = self.interval_ms(index) / 1000.0, self._script.tunnels if self._script else 0.0
        return make_run(way, load, troubles, rng, parking, 3600.0 * float(hours), interval_s=interval_s, tunnels=tunnels)


def _possible(way: Way, troubles: Sequence[Trouble]) -> list[Trouble]:
    """Give the troubles, those that cannot happen on this way replaced by their like."""
    if not any(zone.kind == "no_stop" for zone in way.zones):
        troubles = [Trouble.ROADSIDE_STOP if t is Trouble.BELT_STOP else t for t in troubles]
    if way.destination.kind != "customer":
        troubles = [Trouble.LONG_FUEL if t is Trouble.LONG_UNLOADING else t for t in troubles]
    return list(dict.fromkeys(troubles))
