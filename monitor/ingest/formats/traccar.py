"""Traccar: the positions and events that a server forwards as JSON, and the positions that its API lists.

    {"device": {"uniqueId": "860000000000001"}, "position": {"id": 0, "fixTime": "2026-03-01T06:00:00.000+00:00", "valid": true,
     "outdated": false, "latitude": 43.65321, "longitude": -79.38317, "speed": 33.0, "course": 71, "accuracy": 0,
     "attributes": {"ignition": true, "alarm": "tow,powerCut"}}}

Source: traccar, org.traccar.model.Position and Event, org.traccar.forward.PositionData and EventData, BaseProtocolDecoder.getLastLocation.
`speed` is in knots; `accuracy` 0 is unknown; `id` is 0 before the position is stored, so it is no key. An `outdated` position is that
of an earlier fix with its `fixTime`: its time is `deviceTime` and its coordinates are copied. `valid` false: the receiver had no
lock. `alarm` may be several, separated by commas. An event without a position legally holds no fix, unless it is itself an alarm:
then it is a fix without a position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from monitor.fixes import Alarm, Quality
from monitor.ingest.formats.reading import (
    HALF,
    Fault,
    Latitude,
    Longitude,
    OneOrMany,
    Quirks,
    Read,
    Reading,
    alarm_bits,
    half,
    heading,
    of_text,
    scaled,
    unlocked,
)

NAME = "traccar"
KEYS: frozenset[str] = frozenset()
ALARMS: Mapping[str, Alarm] = {
    "sos": Alarm.PANIC,
    "jamming": Alarm.JAMMING,
    "tampering": Alarm.TAMPER,
    "removing": Alarm.TAMPER,
    "gpsantennacut": Alarm.TAMPER,
    "powercut": Alarm.POWER_CUT,
    "poweroff": Alarm.POWER_CUT,
    "tow": Alarm.TOW,
    "unlock": Alarm.UNLOCK,
    "door": Alarm.DOOR,
}
"""Its names in lower case; any other is `OTHER`."""


class Attributes(msgspec.Struct, gc=False):
    """What a tracker adds to a position or an event."""

    alarm: str | None = None
    ignition: bool | None = None
    door: bool | None = None


class Position(msgspec.Struct, rename="camel", gc=False):
    """A position, as the server has it."""

    fix_time: str | None = None
    device_time: str | None = None
    valid: bool = True
    outdated: bool = False
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    speed: float | None = None
    course: float | None = None
    accuracy: float | None = None
    attributes: Attributes | None = None


class Event(msgspec.Struct, rename="camel", gc=False):
    """What the server made of a position, or of its absence."""

    event_time: str | None = None
    attributes: Attributes | None = None


class Device(msgspec.Struct, rename="camel", gc=False):
    """Whose it is."""

    unique_id: str | None = None


class Forwarded(Position, rename="camel", gc=False):
    """What is forwarded: a position or an event with its device; or a position by itself, as the API lists it."""

    position: Position | None = None
    event: Event | None = None
    device: Device | None = None


_FORM = OneOrMany(Forwarded, strict=False)


def reader(quirks: Quirks) -> Read:
    """Make what reads what a server forwards."""
    mps = quirks.mps("knots")

    def read(payload: bytes) -> Sequence[Reading | Fault]:
        found = [item if isinstance(item, Fault) else _reading(item, mps) for item in _FORM.read(payload)]
        return [item for item in found if item is not None]

    return read


def _reading(said: Forwarded, mps: float) -> Reading | Fault | None:
    device = said.device.unique_id if said.device else None
    alarms = _alarms(said.event.attributes if said.event else None)
    if said.position is not None:
        return _positioned(said.position, device, alarms, mps)
    if said.event is None:
        return _positioned(said, device, alarms, mps)
    if not alarms or said.event.event_time is None:
        return None
    time = of_text(said.event.event_time, "event.eventTime")
    return time if isinstance(time, Fault) else Reading(time, alarms=alarms, device=device)


def _positioned(said: Position, device: str | None, alarms: int, mps: float) -> Reading | Fault:
    """A position as a reading; the alarms of its event are added to its own."""
    key, text = ("deviceTime", said.device_time) if said.outdated else ("fixTime", said.fix_time)
    if text is None:
        return Fault(f"{key}: a position has it, an outdated one its deviceTime")
    if half(said.latitude, said.longitude):
        return Fault(HALF)
    time = of_text(text, key)
    if isinstance(time, Fault):
        return time
    more = said.attributes or Attributes()
    reading = Reading(
        time,
        said.latitude,
        said.longitude,
        scaled(said.speed, mps),
        heading(said.course),
        said.accuracy or None,
        more.ignition,
        more.door,
        alarms | _alarms(more),
        device=device,
    )
    return unlocked(reading, (Quality.COPIED if said.outdated else 0) | (0 if said.valid else Quality.NO_LOCK))


def _alarms(said: Attributes | None) -> int:
    return alarm_bits(said.alarm.split(","), ALARMS) if said and said.alarm else 0
