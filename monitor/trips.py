"""Trips: the dispatcher's plan for a vehicle over an interval, read from CSV or JSON lines.

A trip holds over `[starts_at, ends_at)`. Of overlapping trips of one vehicle the latest start wins, then the greatest id.
Fields: `id`, `vehicle`, `route` or `routes`, `starts_at`, `ends_at`, and optionally `carrier` ("default" where absent), `trailer`,
`driver`, `origin`, `destination`, `authorized_places`, `load` (class), `port_of_entry`. Lists are JSON arrays, or in CSV ids
separated by `;`.
Shapes: N fixes, T trips.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.compiled import kernel
from monitor.errors import ConfigurationError
from monitor.fixes import I32, I64, VehicleId
from monitor.settings import LOADS
from monitor.signals import instant

DEFAULT_CARRIER = "default"
FIELDS = (
    "id", "carrier", "vehicle", "trailer", "driver", "route", "routes", "origin", "destination",
    "authorized_places", "starts_at", "ends_at", "load", "port_of_entry",
)  # fmt: skip


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


class Trips:
    """All trips, found by vehicle and instant."""

    def __init__(self, trips: Iterable[Trip] = ()) -> None:
        self.all: tuple[Trip, ...] = tuple(trips)
        of: dict[VehicleId, list[int]] = defaultdict(list)
        for index, trip in enumerate(self.all):
            of[VehicleId(trip.carrier, trip.vehicle)].append(index)
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
    try:
        records = list(_records(file, faults))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError([f"{file}: not readable: {error}"]) from None
    for line, record in records:
        trip = _trip(record, f"{file}:{line}", faults)
        if trip is None:
            continue
        if trip.id in seen:
            faults.append(f"{file}:{line}: id = {trip.id!r}: each id once; it stands in line {seen[trip.id]} too")
        seen[trip.id] = line
        trips.append(trip)
    if faults:
        raise ConfigurationError(faults)
    return Trips(trips)


def _records(file: Path, faults: list[str]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Pairs of line number and record."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix in {".jsonl", ".ndjson", ".json"}:
            for number, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                try:
                    record = json.loads(text)
                except (json.JSONDecodeError, RecursionError) as error:
                    faults.append(f"{file}:{number}: not JSON: {error}")
                    continue
                if isinstance(record, dict):
                    yield number, record
                else:
                    faults.append(f"{file}:{number}: {text.strip()[:60]}: allowed is one JSON object a line")
        else:
            reader = csv.DictReader(lines)
            missing = {"id", "vehicle", "starts_at", "ends_at"} - set(reader.fieldnames or ())
            if missing:
                faults.append(f"{file}:1: the header lacks {', '.join(sorted(missing))}; allowed are {', '.join(FIELDS)}")
                return
            for record in reader:
                yield reader.line_num, record


def _trip(record: Mapping[str, Any], where: str, faults: list[str]) -> Trip | None:
    """Read one record; None, with the faults noted, where it is wrong."""
    before = len(faults)
    texts = {name: _text(record, name, where, faults) for name in FIELDS if name not in {"routes", "authorized_places"}}
    for name in ("id", "vehicle", "starts_at", "ends_at"):
        if not texts[name] and len(faults) == before:
            faults.append(f"{where}: {name}: is required")
    start, end = (_instant(texts[name], f"{where}: {name}", faults) for name in ("starts_at", "ends_at"))
    load = texts["load"] or "standard"
    if load not in LOADS:
        faults.append(f"{where}: load = {load!r}: allowed is {', '.join(LOADS)}")
    if start is not None and end is not None and end <= start:
        faults.append(f"{where}: ends_at = {texts['ends_at']!r}: allowed is a time after starts_at = {texts['starts_at']!r}")
    routes = _ids(record.get("routes"), f"{where}: routes", faults) or _ids(texts["route"], f"{where}: route", faults) or ()
    places = _ids(record.get("authorized_places"), f"{where}: authorized_places", faults)
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
    )


def _text(record: Mapping[str, Any], name: str, where: str, faults: list[str]) -> str | None:
    value = record.get(name)
    if name == "load" and isinstance(value, dict):
        value = value.get("class")
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        faults.append(f"{where}: {name} = {value!r}: allowed is a text")
        return None
    return value.strip() or None


def _instant(text: str | None, where: str, faults: list[str]) -> int | None:
    if text is None:
        return None
    try:
        return instant(text)
    except (ValueError, OverflowError):
        faults.append(f"{where} = {text!r}: allowed is an RFC 3339 time with a zone, such as 2026-03-01T06:00:00Z")
        return None


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
