"""A reading: one fix as a payload tells it, in our units; and what all formats share.

Definitions
    A *fault* is what is wrong with one fix of a payload, in one line. Unknown is None, NaN or -1, never 0.
    A format's *own* units and keys are those its source documents; a feed may say that its sender's differ (`Quirks`).
    The *floor* of formats that we did not make is 2005: trackers whose clock was never set tell 1970, 1980, 2000 or 2004.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Meta

from monitor.fixes import ALARM_NAMES, EARLIEST_MS, LATEST_MS, Alarm

MOST_APART = 10_000
"""Fixes of a faulty array that are judged one by one."""
FLOOR_MS = 1_104_537_600_000
"""2005-01-01, before which a tracker's clock was not set."""
LONGEST_DEVICE = 128
MPS = {"mps": 1.0, "kmh": 1 / 3.6, "knots": 1852 / 3600, "mph": 0.44704}
"""Metres a second of each unit of speed."""

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Boot = Annotated[str, Meta(max_length=64)]
Seq = Annotated[int, Meta(ge=1, le=2**53)]

FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What bad bytes raise; recursion is not the decoder's own word, but it lets that through."""


class Reading(msgspec.Struct, gc=False):
    """One fix as a payload tells it: milliseconds since 1970 UTC, degrees, m/s, metres."""

    time: int
    lat: float | None = None
    lon: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None
    ignition: bool | None = None
    door: bool | None = None
    alarms: int = 0
    """Bits of `Alarm`."""
    quality: int = 0
    """Bits of `Quality` that the payload itself tells."""
    device: str | None = None
    vehicle: str | None = None
    carrier: str | None = None
    """Who it claims to be of: never believed, only compared."""
    boot: str | None = None
    seq: int | None = None


class Fault(NamedTuple):
    """Why one fix of a payload is not taken; with its number, where that can be read, because the payload is kept."""

    reason: str
    boot: str = ""
    seq: int = 0


Read = Callable[[bytes], Sequence[Reading | Fault]]
"""Reads one payload, unpacked; bad bytes are faults, never exceptions."""


class Quirks(NamedTuple):
    """Where a sender differs from the form's own documentation."""

    speed_unit: str = ""
    keys: Mapping[str, str] = {}

    def mps(self, own: str) -> float:
        """Metres a second of the sender's unit of speed."""
        return MPS[self.speed_unit or own]


class Format(Protocol):
    """What a format's module has."""

    NAME: str
    KEYS: frozenset[str]
    """What a feed may say by another key."""

    def reader(self, quirks: Quirks) -> Read:
        """Make what reads the payloads of a sender with these quirks."""
        ...


T = TypeVar("T")


class OneOrMany(Generic[T]):
    """A JSON object of one kind, or an array of them in which each is judged by itself: one that is wrong costs only itself."""

    def __init__(self, kind: type[T], *, strict: bool = True) -> None:
        self._whole: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind | list[kind], strict=strict)  # type: ignore[valid-type]
        self._one = msgspec.json.Decoder(kind, strict=strict)

    def read(self, payload: bytes) -> Iterable[T | Fault]:
        """Give each object of a payload, or what is wrong with it."""
        try:
            checked(payload)
            found = self._whole.decode(payload)
        except FAULTS as error:
            return self._apart(payload, error)
        return found if isinstance(found, list) else [found]

    def _apart(self, payload: bytes, error: Exception) -> Iterable[T | Fault]:
        """Save the good objects of an array in which one is wrong."""
        try:
            parts = _MANY.decode(payload)
        except FAULTS:
            return [fault_of(payload, error)]
        if len(parts) > MOST_APART:
            return [Fault(f"{reason(error)}; {len(parts)} are too many to look at one by one, allowed are {MOST_APART}")]
        return self._each(parts)

    def _each(self, parts: Sequence[msgspec.Raw]) -> Iterator[T | Fault]:
        for number, part in enumerate(parts):
            try:
                yield self._one.decode(part)
            except FAULTS as error:
                yield fault_of(part, error, f"fix {number}: ")


class _Number(msgspec.Struct, gc=False):
    """What a device counts by, in a fix that cannot be used otherwise."""

    seq: Seq
    boot: Boot | None = None


_MANY = msgspec.json.Decoder(list[msgspec.Raw])
_NUMBER = msgspec.json.Decoder(_Number)


def checked(payload: bytes) -> bytes:
    """The payload itself, if it is UTF-8 throughout: the decoder does not look at the bytes of what it ignores."""
    if not payload.isascii():
        payload.decode()
    return payload


def fault_of(part: bytes | msgspec.Raw, error: Exception, where: str = "") -> Fault:
    """What is wrong with a fix, and its number if that much can be read."""
    try:
        number = _NUMBER.decode(part)
    except FAULTS:
        return Fault(where + reason(error))
    return Fault(where + reason(error), number.boot or "", number.seq)


def reason(error: Exception) -> str:
    """Say in one line what is wrong with a payload."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: {error.reason} at byte {error.start}"
    return str(error).replace("`", "")


def since_1970(number: float, unit_ms: float, key: str) -> int | Fault:
    """Milliseconds of a count since 1970, where a tracker's clock can show it; to the millisecond below."""
    ms = number * unit_ms
    if not EARLIEST_MS <= ms < LATEST_MS:
        return Fault(f"{key} is not in the years 1900 to 2199")
    return above_floor(round(ms * 1000) // 1000, key)


def above_floor(ms: int, key: str) -> int | Fault:
    """The instant itself, unless it is that of a clock that was not set."""
    if ms >= FLOOR_MS:
        return ms
    return Fault(f"{key} is of {datetime.fromtimestamp(ms / 1000, UTC).year}: the device's clock was not set")


_ZONE = re.compile(r"([+-]\d\d)(\d\d)")


def of_text(text: str, key: str) -> int | Fault:
    """Milliseconds of an RFC 3339 time with a zone, which may lack its colon, as older Java writes it."""
    try:
        found = msgspec.convert(_ZONE.sub(r"\1:\2", text) if text[-3:-2] != ":" else text, _Zoned)
    except msgspec.ValidationError as error:
        return Fault(f"{reason(error)} - at $.{key}")
    return above_floor(milliseconds(found), key)


_Zoned = Annotated[datetime, Meta(tz=True)]


def milliseconds(time: datetime) -> int:
    """Whole milliseconds since 1970 of a time with a zone, to the one below."""
    return round(time.timestamp() * 1e6) // 1000


def heading(degrees: float | None) -> float | None:
    """A heading of 0 to 360 degrees; anything else is a sender's way to say that it has none."""
    return degrees if degrees is not None and 0 <= degrees <= 360 else None


def finite(number: float | None) -> float | None:
    """A number that can be told."""
    return number if number is not None and math.isfinite(number) else None


def scaled(speed: float | None, mps: float) -> float | None:
    """A speed in m/s, if it is one."""
    known = finite(speed)
    return None if known is None else known * mps


def alarm_bits(names: Iterable[str], known: Mapping[str, Alarm] = ALARM_NAMES) -> int:
    """Names of alarms as bits; one that nobody knows is another, never forgotten."""
    bits = 0
    for name in names:
        bits |= int(known.get(name.strip().lower(), Alarm.OTHER))
    return bits


def half(lat: float | None, lon: float | None) -> bool:
    """Whether a position lacks one of its two halves."""
    return (lat is None) != (lon is None)


def unlocked(reading: Reading, quality: int) -> Reading:
    """A reading whose position was not taken at its time: neither were its speed, heading and accuracy, whatever is told."""
    if quality:
        reading.quality, reading.speed_mps, reading.heading_deg, reading.accuracy_m = int(quality), None, None, None
    return reading


HALF = "lat and lon: allowed are both or neither"


def device_fault(device: str) -> str | None:
    """What is wrong with a device's id; None for one that can be listed and adopted."""
    if 1 <= len(device) <= LONGEST_DEVICE and device.isprintable():
        return None
    return f"device id is not 1 to {LONGEST_DEVICE} printable characters"
