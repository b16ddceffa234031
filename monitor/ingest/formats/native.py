"""Our own payload: one fix as a JSON object, or several in an array.

    {"time": "2026-03-01T06:00:00Z", "lat": 43.65321, "lon": -79.38317, "speed_mps": 22.4, "heading_deg": 71, "accuracy_m": 4,
     "ignition": true, "door": false, "alarms": ["panic"], "boot": "a7", "seq": 1842}

`time` is RFC 3339 with a zone and is required; a fix without `lat` and `lon` carries no position, only its time and alarms. `boot` and
`seq` number the fixes, so that a device can be told which are on disk. `device` is the id of one behind a gateway; `vehicle` and
`carrier`, where given, must be those that it is known as. Unknown keys are ignored, unknown alarms count as "other". What is wrong is
said with the key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

from monitor.ingest.formats.reading import (
    HALF,
    Boot,
    Fault,
    Latitude,
    Longitude,
    OneOrMany,
    Quirks,
    Read,
    Reading,
    Seq,
    alarm_bits,
    half,
    milliseconds,
    scaled,
)

NAME = "native"
KEYS = frozenset({"time", "lat", "lon", "speed", "heading", "accuracy", "ignition", "door", "alarms"})
FIELDS: Mapping[str, str] = {"speed": "speed_mps", "heading": "heading_deg", "accuracy": "accuracy_m"}
"""Our own keys that are named by their unit."""

Degrees = Annotated[float, Meta(ge=0, le=360)]
Zoned = Annotated[datetime, Meta(tz=True)]
Metres = Annotated[float, Meta(ge=0)]
Alarms = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=64)]
Name = Annotated[str, Meta(max_length=128)]


class Body(msgspec.Struct, gc=False):
    """What a fix may say beside its time."""

    lat: Latitude | None = None
    lon: Longitude | None = None
    speed_mps: float | None = None
    heading_deg: Degrees | None = None
    accuracy_m: Metres | None = None
    ignition: bool | None = None
    door: bool | None = None
    alarms: Alarms | None = None
    device: Name | None = None
    vehicle: Name | None = None
    carrier: Name | None = None
    boot: Boot | None = None
    seq: Seq | None = None


class Fix(Body, kw_only=True, gc=False):
    """One fix as a device tells it."""

    time: Zoned


class Row(Body, kw_only=True, gc=False):
    """The same with its time as a text: those of many fixes are read at once, later."""

    time: str


quick: Callable[[bytes], Row | list[Row]] = msgspec.json.Decoder(Row | list[Row]).decode
"""Reads a payload, not yet its times; raises one of `FAULTS` where anything else in it is wrong."""
_FORM = OneOrMany(Fix)


def read(payload: bytes) -> list[Fix | Fault]:
    """Read one payload: its fixes, and what is wrong with those that are wrong."""
    return [_whole(fix) for fix in _FORM.read(payload)]


def reader(quirks: Quirks) -> Read:
    """Make what reads payloads like ours, in which keys or the unit of speed may differ."""
    names = {FIELDS.get(key, key): said for key, said in quirks.keys.items()}
    kind = msgspec.defstruct("Fix", _fields(), rename=names, gc=False) if names else Fix
    form, mps = OneOrMany(kind), quirks.mps("mps")

    def payload_read(payload: bytes) -> Sequence[Reading | Fault]:
        return [item if isinstance(item, Fault) else reading(item, mps) for item in map(_whole, form.read(payload))]

    return payload_read


PLAIN = reader(Quirks())
"""What reads our own form, a fix at a time: for payloads in which something is wrong."""


def reading(fix: Any, mps: float = 1.0) -> Reading:
    """A whole fix as a reading."""
    return Reading(
        milliseconds(fix.time),
        fix.lat,
        fix.lon,
        scaled(fix.speed_mps, mps),
        fix.heading_deg,
        fix.accuracy_m,
        fix.ignition,
        fix.door,
        alarm_bits(fix.alarms or ()),
        0,
        fix.device,
        fix.vehicle,
        fix.carrier,
        fix.boot,
        fix.seq,
    )


def timed(row: Row, where: str = "") -> Reading | Fault:
    """A row whose time is not an ordinary one, or what is wrong with that."""
    try:
        time = msgspec.convert({"time": row.time}, _Timed).time
    except msgspec.ValidationError as error:
        return Fault(f"{where}{error}".replace("`", ""), row.boot or "", row.seq or 0)
    return reading(msgspec.convert({**msgspec.structs.asdict(row), "time": time}, Fix))


class _Timed(msgspec.Struct):
    """The time of a fix, by itself."""

    time: Zoned


def _whole(fix: Any) -> Any:
    """A fix, unless it has half a position."""
    return Fault(HALF, fix.boot or "", fix.seq or 0) if not isinstance(fix, Fault) and half(fix.lat, fix.lon) else fix


def _fields() -> list[tuple[str, Any] | tuple[str, Any, Any]]:
    """The fields of a fix, as a kind of it with other keys is made from."""
    types = get_type_hints(Fix, include_extras=True)
    return [("time", types.pop("time")), *((name, kind, None) for name, kind in types.items())]
