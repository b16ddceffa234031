"""flespi: the messages of a channel, a device or a stream, whatever tracker they came from.

    {"ident": "860000000000001", "timestamp": 1772344800.25, "position.latitude": 43.65321, "position.longitude": -79.38317,
     "position.speed": 61.2, "position.direction": 71, "position.valid": true, "engine.ignition.status": true}

Source: flespi knowledge base, "Messages: basic information units", and the parameters of its protocols. One message, or several in an
array. `timestamp` is in seconds with a fraction, the device's; `server.timestamp` is when flespi got it and is not taken.
`position.speed` is in km/h. `position.valid` false: the receiver had no lock; `time.valid.status` false: its clock was not set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.fixes import Alarm, Quality
from monitor.ingest.formats.flat import FLAT, Fields, Flat, flag
from monitor.ingest.formats.reading import HALF, Fault, OneOrMany, Quirks, Read, Reading, half, unlocked

NAME = "flespi"
KEYS = FLAT
OWN: Mapping[str, str] = {
    "time": "timestamp",
    "lat": "position.latitude",
    "lon": "position.longitude",
    "speed": "position.speed",
    "heading": "position.direction",
    "accuracy": "position.accuracy",
    "ignition": "engine.ignition.status",
    "door": "door.open.status",
    "alarms": "custom.SOS",
}
ALARMS: Mapping[str, Alarm] = {
    "gsm.jamming.event.trigger": Alarm.JAMMING,
    "gsm.jamming.alarm.status": Alarm.JAMMING,
    "gnss.antenna.cut.status": Alarm.TAMPER,
    "towing.event.trigger": Alarm.TOW,
    "towing.alarm.status": Alarm.TOW,
    "alarm.event.trigger": Alarm.OTHER,
    "alarm.event": Alarm.OTHER,
    "shock.event.trigger": Alarm.OTHER,
}
"""Parameters that are true while something is wrong."""
MORE: Fields = (("ident", str | None, "ident"), ("valid", Any, "position.valid"), ("timed", Any, "time.valid.status"))


def reader(quirks: Quirks) -> Read:
    """Make what reads the messages of a channel."""
    flat, mps = Flat(OWN, quirks, ALARMS, MORE), quirks.mps("kmh")
    form = OneOrMany(flat.kind, strict=False)

    def read(payload: bytes) -> Sequence[Reading | Fault]:
        return [item if isinstance(item, Fault) else _reading(flat, item, mps) for item in form.read(payload)]

    return read


def _reading(flat: Flat, said: Any, mps: float) -> Reading | Fault:
    if flag(said.timed) is False:
        return Fault("time.valid.status is false: the device's clock was not set")
    if half(said.lat, said.lon):
        return Fault(HALF)
    time = flat.time(said.time, 1000)
    if isinstance(time, Fault):
        return time
    reading = flat.reading(said, time, (said.lat, said.lon), mps, said.ident)
    return unlocked(reading, Quality.NO_LOCK if flag(said.valid) is False else 0)
