"""Trips: the dispatcher's plan for a vehicle over an interval, read from CSV or JSON lines.

A trip holds over `[starts_at, ends_at)`, for its vehicle and for the trailer that it names. Of overlapping trips of one vehicle the
latest start wins, then the greatest id.
Fields: `id`, `vehicle`, `route` or `routes`, `starts_at`, `ends_at`, and optionally `carrier` ("default" where absent), `trailer`,
`driver`, `origin`, `destination`, `authorized_places`, `load` (class), `port_of_entry`, `limits`. Lists are JSON
arrays, or in CSV ids separated by `;`; limits an object, or in CSV `key=value` separated by `;`.
Shapes: N fixes, T trips.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise, repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.compiled import kernel
from monitor.errors import ConfigurationError
from monitor.fixes import I32, I64, VehicleId
from monitor.records import instant_in, read_records, text_in
from monitor.settings import LOADS, Limits, read_limits
from monitor.signals import timestamp

DEFAULT_CARRIER = "default"
FIELDS = (
    "id", "carrier", "vehicle", "trailer", "driver", "route", "routes", "origin", "destination",
    "authorized_places", "starts_at", "ends_at", "load", "port_of_entry", "limits",
)  # fmt: skip
REQUIRED = ("id", "vehicle", "starts_at", "ends_at")


@dataclass(frozen=True, slots=True)
class Trip:
    """What one vehicle is meant to do between two instants (ms since 1970 UTC, half-open)."""

    id: str
    carrier: str
    vehicle: str
    routes: tuple[str, ...]
    starts_at: int
    ends_at: int
    origin: str | None = None
    destination: str | None = None
    authorized_places: tuple[str, ...] | None = None
    load: str = "standard"
    trailer: str | None = None
    driver: str | None = None
    port_of_entry: str | None = None
    limits: Limits = field(default_factory=dict, hash=False)
    """Detector -> parameter -> value, where they differ on this trip."""


class Trips:
    """All trips, found by vehicle and instant."""

    def __init__(self, trips: Iterable[Trip] = ()) -> None:
        self.all: tuple[Trip, ...] = tuple(trips)
        of: dict[VehicleId, list[int]] = defaultdict(list)
        for index, trip in enumerate(self.all):
            for vehicle in {trip.vehicle, trip.trailer or trip.vehicle}:
                of[VehicleId(trip.carrier, vehicle)].append(index)
        for indices in of.values():
            indices.sort(key=lambda i: (self.all[i].starts_at, self.all[i].id))
        self._number = {vehicle: number for number, vehicle in enumerate(of)}
        self._first: I64 = np.cumsum([0, *map(len, of.values()), 0]).astype(np.int64)
        self._index: I64 = np.array([i for indices in of.values() for i in indices], np.int64)
        self._starts: I64 = np.array([self.all[i].starts_at for i in self._index], np.int64)
        self._ends: I64 = np.array([self.all[i].ends_at for i in self._index], np.int64)
        ends = [list(accumulate((self.all[i].ends_at for i in indices), max)) for indices in of.values()]
        self._latest: I64 = np.array([end for running in ends for end in running], np.int64)  # end so far

    def of(self, vehicle: VehicleId) -> Sequence[int]:
        """Indices of a vehicle's trips, the winner of an overlap last."""
        number = self._number.get(vehicle, -1)
        return [] if number < 0 else self._index[self._first[number] : self._first[number + 1]].tolist()

    def overlaps(self) -> list[str]:
        """Where a trip begins before an earlier one of the same vehicle has ended, and which counts then."""
        said = []
        for number, vehicle in enumerate(self._number):
            mine = [self.all[i] for i in self._index[self._first[number] : self._first[number + 1]].tolist()]
            for earlier, later in pairwise(mine):
                if later.starts_at < earlier.ends_at:
                    both = f"{timestamp(later.starts_at)} to {timestamp(min(earlier.ends_at, later.ends_at))}"
                    said.append(
                        f"trips {earlier.id} and {later.id} of {vehicle.carrier}/{vehicle.vehicle} overlap, {both}: {later.id} counts"
                    )
        return said

    def assign(self, vehicles: Sequence[VehicleId], vehicle: npt.NDArray[np.int32], time: I64) -> npt.NDArray[np.int32]:
        """(N,) index of the trip each fix belongs to, -1 for none.

        `vehicle` (N,) indexes `vehicles` and is sorted; `time` (N,) is ms, ascending within a vehicle.
        """
        if not self.all:
            return np.full(len(time), -1, np.int32)
        number = np.fromiter(map(self._number.get, vehicles, repeat(-1)), np.int64, len(vehicles))
        return _assigned(number[vehicle], time, self._first, self._index, self._starts, self._ends, self._latest)


@kernel
def _assigned(number: I64, time: I64, first: I64, index: I64, starts: I64, ends: I64, latest: I64) -> I32:
    """The trip of each fix: of those of its vehicle that have begun, the last that has not ended."""
    out, begun = np.full(len(time), -1, np.int32), 0
    for i in range(len(time)):
        if number[i] < 0:
            continue
        begun = begun if i and number[i] == number[i - 1] else first[number[i]]
        while begun < first[number[i] + 1] and starts[begun] <= time[i]:
            begun += 1
        k = begun - 1
        while k >= first[number[i]] and latest[k] > time[i]:
            if ends[k] > time[i]:
                out[i] = index[k]
                break
            k -= 1
    return out


def load_trips(file: Path) -> Trips:
    """Read a trips file: CSV, or JSON lines where its name ends in .jsonl, .ndjson or .json.

    Raises
    ------
    ConfigurationError
        With one line for each fault: file, line, field, value, what is allowed.
    """
    faults: list[str] = []
    trips: list[Trip] = []
    seen: dict[str, int] = {}
    records = read_records(file, FIELDS, REQUIRED, faults)
    for line, record in records:
        trip = read_trip(record, f"{file}:{line}", faults)
        if trip is None:
            continue
        if trip.id in seen:
            faults.append(f"{file}:{line}: id = {trip.id!r}: each id once; it stands in line {seen[trip.id]} too")
        seen[trip.id] = line
        trips.append(trip)
    if faults:
        raise ConfigurationError(faults)
    return Trips(trips)


def read_trip(record: Mapping[str, Any], where: str, faults: list[str]) -> Trip | None:
    """Read one record; None, with the faults noted, where it is wrong; `where` names it in them."""
    before = len(faults)
    texts = {name: _text(record, name, where, faults) for name in FIELDS if name not in {"routes", "authorized_places", "limits"}}
    for name in REQUIRED:
        if not texts[name] and len(faults) == before:
            faults.append(f"{where}: {name}: is required")
    start, end = (instant_in(texts[name], f"{where}: {name}", faults) for name in ("starts_at", "ends_at"))
    load = texts["load"] or "standard"
    if load not in LOADS:
        faults.append(f"{where}: load = {load!r}: allowed is {', '.join(LOADS)}")
    if start is not None and end is not None and end <= start:
        faults.append(f"{where}: ends_at = {texts['ends_at']!r}: allowed is a time after starts_at = {texts['starts_at']!r}")
    routes = _ids(record.get("routes"), f"{where}: routes", faults) or _ids(texts["route"], f"{where}: route", faults) or ()
    places = _ids(record.get("authorized_places"), f"{where}: authorized_places", faults)
    limits, wrong = read_limits(_table(record.get("limits")), f"{where}: limits")
    faults += wrong
    if len(faults) > before or start is None or end is None:
        return None
    return Trip(
        id=texts["id"] or "",
        carrier=texts["carrier"] or DEFAULT_CARRIER,
        vehicle=texts["vehicle"] or "",
        routes=routes,
        starts_at=start,
        ends_at=end,
        origin=texts["origin"],
        destination=texts["destination"],
        authorized_places=places,
        load=load,
        trailer=texts["trailer"],
        driver=texts["driver"],
        port_of_entry=texts["port_of_entry"],
        limits=limits,
    )


def _table(value: Any) -> Any:
    """The limits of a record: an object, or in CSV "key=value;key=value"."""
    if not isinstance(value, str):
        return {} if value is None else value
    pairs = [part.partition("=") for part in value.split(";") if part.strip()]
    return {key.strip(): _number(text.strip()) for key, _, text in pairs}


def _number(text: str) -> Any:
    """A text as the number it shows, else as it is."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _text(record: Mapping[str, Any], name: str, where: str, faults: list[str]) -> str | None:
    if name == "load" and isinstance(record.get(name), dict):
        record = {name: record[name].get("class")}
    return text_in(record, name, where, faults)


def _ids(value: Any, where: str, faults: list[str]) -> tuple[str, ...] | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = [part.strip() for part in value.split(";") if part.strip()]
    if isinstance(value, list):
        value = [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        faults.append(f"{where} = {value!r}: allowed is a list of ids")
        return None
    return tuple(value)
