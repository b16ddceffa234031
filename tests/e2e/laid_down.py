"""A random world laid down as the files and settings that people give the monitor: geofences, trips, `KEY=VALUE`, fixes.

Files of fixes know one carrier, `default`: the northern one of the world goes under that name, and all its vehicles belong to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monitor.fixes import ALARM_NAMES, FixBatch
from monitor.signals import timestamp
from tests.tracks import World

NAMES = {"T-9": "T-9", "A-1": "A-1", "É 10": "E-10"}
"""Names that a topic can carry."""
HEADER = ("vehicle_id", "time", "lon", "lat", "speed_mps", "accuracy_m", "ignition", "door", "alarms")
FLAGS = {-1: None, 0: False, 1: True}
Record = dict[str, Any]


@dataclass(frozen=True)
class LaidDown:
    """The files of a world, and its fixes in the order of its batch."""

    geofences: Path
    trips: Path
    assignments: tuple[str, ...]
    records: list[Record]

    @property
    def options(self) -> list[str]:
        """How `monitor replay` is told of it."""
        said = ["--geofences", str(self.geofences), "--trips", str(self.trips)]
        return said + [word for assignment in self.assignments for word in ("--set", assignment)]


def lay_down(world: World, folder: Path) -> LaidDown:
    """Write a world's places, routes and trips into a folder."""
    geofences = folder / "geofences"
    geofences.mkdir(parents=True, exist_ok=True)
    for feature in (features := json.loads(json.dumps(world.features))):
        if feature["properties"].get("carrier") == "north":
            feature["properties"]["carrier"] = "default"
    collection = {"type": "FeatureCollection", "features": features}
    (geofences / "world.geojson").write_text(json.dumps(collection), encoding="utf-8")
    trips = folder / "trips.jsonl"
    known = {feature["properties"]["id"] for feature in features}
    trips.write_text("".join(json.dumps(trip) + "\n" for trip in _trips(world, known)), encoding="utf-8")
    assignments = tuple(said.replace("carrier.north.", "carrier.default.") for said in world.assignments)
    return LaidDown(geofences, trips, assignments, records_of(world))


def _trips(world: World, known: set[str]) -> Iterable[Record]:
    for trip in world.trips:
        said: Record = {"id": trip.id, "vehicle": NAMES[trip.vehicle], "load": trip.load}
        said |= {"starts_at": timestamp(trip.starts_at), "ends_at": timestamp(trip.ends_at)}
        said |= {"routes": [route for route in trip.routes if route in known], "origin": trip.origin}
        yield said | {"destination": trip.destination, "authorized_places": trip.authorized_places}


def records_of(world: World) -> list[Record]:
    """The fixes of a world, each as a record of the columns of a file."""
    fixes: FixBatch = world.fixes
    vehicles = [NAMES[world.vehicles[code].vehicle] for code in fixes.vehicle.tolist()]
    times = [timestamp(ms) for ms in fixes.time.view(np.int64).tolist()]
    numbers = (fixes.lon.tolist(), fixes.lat.tolist(), fixes.speed.tolist(), fixes.accuracy.tolist())
    flags = ([FLAGS[value] for value in column.tolist()] for column in (fixes.ignition, fixes.door))
    alarms = map(alarm_names, fixes.alarms.tolist())
    return [dict(zip(HEADER, row, strict=True)) for row in zip(vehicles, times, *numbers, *flags, alarms, strict=True)]


def alarm_names(bits: int) -> str | None:
    """Alarms as the cell of a file says them."""
    return "|".join(name for name, alarm in ALARM_NAMES.items() if bits & alarm) or None


def write_csv(file: Path, records: Sequence[Record]) -> Path:
    """Write records as CSV; what is not a number is an empty cell."""
    lines = [",".join(HEADER)]
    lines += [",".join("" if _unknown(record.get(name)) else str(record[name]) for name in HEADER) for record in records]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def write_parquet(file: Path, records: Sequence[Record]) -> Path:
    """Write records as Parquet, with times and numbers in types of their own."""
    table = pd.DataFrame(list(records), columns=list(HEADER))
    table["time"] = pd.to_datetime(table["time"], utc=True, format="ISO8601")
    table.to_parquet(file, index=False)
    return file


def payload(record: Record) -> bytes:
    """One record as our own payload."""
    said = {name: None if _unknown(record.get(name)) else record[name] for name in HEADER[1:]}
    return json.dumps(said | {"alarms": said["alarms"] and said["alarms"].split("|")}).encode()


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
