"""ThingsBoard: the telemetry of a device, and of the devices behind a gateway, as its MQTT API takes it.

    {"ts": 1772344800000, "values": {"latitude": 43.65321, "longitude": -79.38317, "speed": 61}}          (or several, in an array)
    {"Truck 7": [{"ts": 1772344800000, "values": {"latitude": 43.65321, "longitude": -79.38317}}], "Truck 8": [...]}

Source: ThingsBoard, "MQTT Device API" and "MQTT Gateway API". `ts` is in milliseconds. ThingsBoard takes the time of arrival where
there is none; we do not: a fix without its own time is refused, unless the feed names a key for it. Keys and units are the carrier's
own: a feed names them; without a unit the speed is unknown. Behind a gateway the device's name is its id. Attributes, telemetry
in which there is no key of ours, and what connects or disconnects a device legally hold no fix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from monitor.fixes import Alarm
from monitor.ingest.formats.flat import FLAT, Flat
from monitor.ingest.formats.reading import (
    FAULTS,
    HALF,
    MPS,
    Fault,
    Quirks,
    Read,
    Reading,
    checked,
    fault_of,
    half,
    reason,
)

NAME = "thingsboard"
KEYS = FLAT
OWN: Mapping[str, str] = {
    "time": "ts",
    "lat": "latitude",
    "lon": "longitude",
    "speed": "speed",
    "heading": "heading",
    "accuracy": "accuracy",
    "ignition": "ignition",
    "door": "door",
    "alarms": "alarms",
}
ALARMS: Mapping[str, Alarm] = {}

Entry = tuple[str | None, Any]
"""A device's name, where there is one, and what is said of it."""

_PAYLOAD = msgspec.json.Decoder()


def reader(quirks: Quirks) -> Read:
    """Make what reads telemetry with the keys of one carrier."""
    flat, mps = Flat(OWN, quirks, ALARMS), MPS.get(quirks.speed_unit)
    keys = {**OWN, **quirks.keys}
    ours = frozenset(key for word, key in keys.items() if word != "time")
    inside = keys["time"] if "time" in quirks.keys else None

    def read(payload: bytes) -> Sequence[Reading | Fault]:
        try:
            said = _PAYLOAD.decode(checked(payload))
        except FAULTS as error:
            return [fault_of(payload, error)]
        if not isinstance(said, dict | list):
            return [Fault(f"Expected object | array, got {_kind(said)}")]
        return [_reading(flat, device, ts, values, mps, inside) for device, ts, values in _telemetry(said, ours)]

    return read


def _telemetry(said: Any, ours: frozenset[str]) -> Iterator[tuple[str | None, Any, Any]]:
    """Device, time and values of each entry that says anything of ours; what is no entry at all is given to be refused."""
    for device, entry in _entries(said):
        values = entry.get("values", entry) if isinstance(entry, dict) else entry
        if not isinstance(values, dict) or not ours.isdisjoint(values):
            yield device, entry.get("ts") if isinstance(entry, dict) else None, values


def _entries(said: Any) -> Iterator[Entry]:
    """The entries of a device, or of several by name."""
    if isinstance(said, list):
        yield from ((None, entry) for entry in said)
    elif said and all(isinstance(entries, list) and entries and isinstance(entries[0], dict) for entries in said.values()):
        yield from ((device, entry) for device, entries in said.items() for entry in entries)
    else:
        yield None, said


def _reading(flat: Flat, device: str | None, ts: Any, values: Any, mps: float | None, inside: str | None) -> Reading | Fault:
    try:
        said: Any = msgspec.convert(values, flat.kind, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        return Fault(reason(error))
    if half(said.lat, said.lon):
        return Fault(HALF)
    time = flat.time(ts if inside is None or said.time is None else said.time, 1)
    if isinstance(time, Fault):
        return time
    if mps is None:
        said.speed = None
    return flat.reading(said, time, (said.lat, said.lon), mps or 1.0, device)


def _kind(said: Any) -> str:
    return "null" if said is None else type(said).__name__
