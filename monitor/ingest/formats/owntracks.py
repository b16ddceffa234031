"""OwnTracks: what its apps, and the trackers bridged to it, publish as JSON.

    {"_type": "location", "tst": 1772344800, "lat": 43.65321, "lon": -79.38317, "acc": 12, "vel": 61, "cog": 271, "t": "u"}

Source: OwnTracks booklet, "JSON" and "HTTP". `tst` is in seconds, `vel` in km/h. `acc`, `cog` and `vel` are left out where they are zero,
so that what is missing is unknown, never zero. A ping (`t` is `p`) has the current time and the coordinates of an earlier fix, and
the last known position of a Greenwich (`t` is `l` or `L`) is one too: copied. A `transition` is a fix where a region was entered
or left. Every other type, and an empty payload (a retained message taken back), legally holds no fix. What is `encrypted` cannot
be read, which is said.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    half,
    heading,
    scaled,
    since_1970,
    unlocked,
)

NAME = "owntracks"
KEYS: frozenset[str] = frozenset()
LOCATION, TRANSITION, ENCRYPTED = "location", "transition", "encrypted"
COPIED = frozenset({"p", "l", "L"})
"""Triggers of reports that tell no new position."""
POWER_OFF = "e"
"""The trigger of a Queclink tracker whose external power is off."""


class Message(msgspec.Struct, rename={"kind": "_type"}, gc=False):
    """What a location or a transition says, as far as it is read."""

    kind: str
    tst: float | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    vel: float | None = None
    cog: float | None = None
    acc: float | None = None
    t: str = ""
    topic: str | None = None
    tid: str | None = None
    ign: bool | None = None
    tow: bool | None = None


class _Kind(msgspec.Struct, rename={"kind": "_type"}, gc=False):
    """Which type a message is of."""

    kind: str


_FORM = OneOrMany(Message)
_KIND = msgspec.json.Decoder(_Kind)


def reader(quirks: Quirks) -> Read:
    """Make what reads the messages of an app."""
    mps = quirks.mps("kmh")

    def read(payload: bytes) -> Sequence[Reading | Fault]:
        if not payload or _holds_none(payload):
            return ()
        found = [item if isinstance(item, Fault) else _reading(item, mps) for item in _FORM.read(payload)]
        return [item for item in found if item is not None]

    return read


def _holds_none(payload: bytes) -> bool:
    """Whether a message is of a type without a fix: its other keys mean something else then."""
    try:
        return _KIND.decode(payload).kind not in (LOCATION, TRANSITION, ENCRYPTED)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _reading(said: Message, mps: float) -> Reading | Fault | None:
    """The fix of a message; None where it legally has none."""
    if said.kind == ENCRYPTED:
        return Fault("the message is encrypted and there is no key: allowed is an app without its own encryption, over TLS")
    if said.kind not in (LOCATION, TRANSITION):
        return None
    if said.tst is None:
        return Fault("tst: a location has the time of its fix")
    if said.kind == LOCATION and said.lat is None and said.lon is None:
        return Fault("lat and lon: a location has both")
    if half(said.lat, said.lon):
        return Fault(HALF)
    if said.lat is None:
        return None
    time = since_1970(said.tst, 1000, "tst")
    return time if isinstance(time, Fault) else _told(said, time, mps)


def _told(said: Message, time: int, mps: float) -> Reading:
    alarms = (Alarm.TOW if said.tow else 0) | (Alarm.POWER_CUT if said.t == POWER_OFF else 0)
    copied = said.kind == LOCATION and said.t in COPIED
    reading = Reading(
        time,
        said.lat,
        said.lon,
        scaled(said.vel, mps),
        heading(said.cog),
        said.acc,
        ignition=said.ign,
        alarms=int(alarms),
        device=said.topic or said.tid,
    )
    return unlocked(reading, Quality.COPIED if copied else 0)
