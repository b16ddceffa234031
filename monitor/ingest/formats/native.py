"""Our own payload: one fix as a JSON object, or several in an array.

    {"time": "2026-03-01T06:00:00Z", "lat": 43.65321, "lon": -79.38317, "speed_mps": 22.4, "heading_deg": 71, "accuracy_m": 4,
     "ignition": true, "door": false, "alarms": ["panic"], "boot": "a7", "seq": 1842}

`time` is RFC 3339 with a zone and is required; a fix without `lat` and `lon` carries no position, only its time and alarms. Unknown
keys are ignored, unknown alarms count as "other". What is wrong is said with the key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

NAME = "native"

MOST_APART = 10_000
"""Fixes of a faulty array that are judged one by one."""

Degrees = Annotated[float, Meta(ge=-180, le=180)]


class Fix(msgspec.Struct, gc=False):
    """One fix as a device tells it."""

    time: Annotated[datetime, Meta(tz=True)]
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Degrees | None = None
    speed_mps: float | None = None
    heading_deg: Annotated[float, Meta(ge=0, le=360)] | None = None
    accuracy_m: Annotated[float, Meta(ge=0)] | None = None
    ignition: bool | None = None
    door: bool | None = None
    alarms: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=64)] | None = None


_MESSAGE = msgspec.json.Decoder(Fix | list[Fix])
_ONE = msgspec.json.Decoder(Fix)
_MANY = msgspec.json.Decoder(list[msgspec.Raw])
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What bad bytes raise; recursion is not the decoder's own word, but it lets that through."""


def read(payload: bytes) -> list[Fix | str]:
    """Read one payload: its fixes, and the reason for each that is wrong."""
    try:
        if not payload.isascii():
            payload.decode()  # the decoder does not look at the bytes of what it ignores
        message = _MESSAGE.decode(payload)
    except FAULTS as error:
        return _apart(payload, error)
    return [_whole(fix) for fix in (message if isinstance(message, list) else [message])]


def _whole(fix: Fix) -> Fix | str:
    """A fix, unless it has half a position."""
    return fix if (fix.lat is None) == (fix.lon is None) else "lat and lon: allowed are both or neither"


def _apart(payload: bytes, error: Exception) -> list[Fix | str]:
    """Save the good fixes of an array in which one is wrong."""
    try:
        parts = _MANY.decode(payload)
    except FAULTS:
        return [reason(error)]
    if len(parts) > MOST_APART:
        return [f"{reason(error)}; {len(parts)} fixes are too many to look at one by one, allowed are {MOST_APART}"]
    return list(_each(parts))


def _each(parts: list[msgspec.Raw]) -> Iterator[Fix | str]:
    for number, part in enumerate(parts):
        try:
            yield _whole(_ONE.decode(part))
        except FAULTS as error:
            yield f"fix {number}: {reason(error)}"


def reason(error: Exception) -> str:
    """Say in one line what is wrong with a payload."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: {error.reason} at byte {error.start}"
    return str(error).replace("`", "")
