"""Teltonika: the records of its trackers in Codec JSON, as they publish them over MQTT.

    {"state": {"reported": {"ts": 1772344800000, "pr": 0, "latlng": "43.653210,-79.383170", "alt": 90, "ang": 71, "sat": 12, "sp": 61,
     "evt": 240, "239": 1, "240": 1}}}

Source: Teltonika wiki, "Codec JSON", "Codec" (records without valid coordinates), "FMB AVL ID". `ts` is in milliseconds, `sp` in
km/h; values may be texts. The keys that are numbers are AVL ids: 239 ignition, 249 jamming, 252 unplugged, 246 towed, 236 an alarm, 69
what the receiver does (1: has a fix); 240, movement, is not taken. A record made without a fix has the coordinates of the last one and
`sat` 0: no lock, and copied. "0,0" is no fix. A clock that was not set is in 2004. What answers a command (`RSP`) legally holds no fix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from monitor.fixes import Alarm, Quality
from monitor.ingest.formats.flat import FLAT, Fields, Flat
from monitor.ingest.formats.reading import Fault, OneOrMany, Quirks, Read, Reading, unlocked

NAME = "teltonika"
KEYS = FLAT - {"lat", "lon"}
OWN: Mapping[str, str] = {"time": "ts", "speed": "sp", "heading": "ang", "ignition": "239"}
ALARMS: Mapping[str, Alarm] = {
    "249": Alarm.JAMMING,
    "252": Alarm.POWER_CUT,
    "246": Alarm.TOW,
    "236": Alarm.OTHER,
}
"""AVL ids that are 1 while something is wrong."""
MORE: Fields = (("latlng", str | None, "latlng"), ("satellites", int | None, "sat"), ("receiver", int | None, "69"))
HAS_FIX = 1
PAIR = re.compile(r"\s*([+-]?[0-9]{1,3}(?:\.[0-9]{1,15})?)\s*,\s*([+-]?[0-9]{1,3}(?:\.[0-9]{1,15})?)\s*", re.ASCII)


class _Answer(msgspec.Struct, rename={"said": "RSP"}, gc=False):
    """What a tracker says to a command."""

    said: Any


_ANSWER = msgspec.json.Decoder(_Answer)


def reader(quirks: Quirks) -> Read:
    """Make what reads the records of a tracker."""
    flat, mps = Flat(OWN, quirks, ALARMS, MORE), quirks.mps("kmh")
    state = msgspec.defstruct("State", [("reported", flat.kind)], gc=False)
    record: Any = msgspec.defstruct("Record", [("state", state)], gc=False)
    form = OneOrMany(record, strict=False)

    def read(payload: bytes) -> Sequence[Reading | Fault]:
        found = [item if isinstance(item, Fault) else _reading(flat, item.state.reported, mps) for item in form.read(payload)]
        return () if _answers(payload, found) else found

    return read


def _answers(payload: bytes, found: Sequence[Reading | Fault]) -> bool:
    """Whether what could not be read is an answer to a command."""
    if len(found) != 1 or not isinstance(found[0], Fault):
        return False
    try:
        return bool(_ANSWER.decode(payload))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _reading(flat: Flat, said: Any, mps: float) -> Reading | Fault:
    position = _position(said.latlng)
    if isinstance(position, Fault):
        return position
    time = flat.time(said.time, 1)
    if isinstance(time, Fault):
        return time
    return unlocked(flat.reading(said, time, position, mps, None), _quality(said))


def _position(latlng: str | None) -> tuple[float | None, float | None] | Fault:
    """Latitude and longitude of a text that has both."""
    if latlng is None or not latlng.strip():
        return None, None
    pair = PAIR.fullmatch(latlng)
    if pair is None:
        return Fault('latlng is not "latitude,longitude" in degrees')
    lat, lon = float(pair[1]), float(pair[2])
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        return Fault("latlng: allowed are -90 to 90 and -180 to 180")
    return lat, lon


def _quality(said: Any) -> int:
    without = said.satellites == 0 or said.receiver not in (None, HAS_FIX)
    return int(Quality.NO_LOCK | Quality.COPIED) if without else 0
