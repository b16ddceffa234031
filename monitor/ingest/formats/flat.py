"""Flat payloads: an object whose keys are the readings themselves; what the formats of that kind share.

A format says which key is which word of ours (`OWN`), which keys are alarms while they are on (`ALARMS`), and how it counts time; a
feed may name other keys. Values may be texts: "43.65" is a number, and "1", "true" and "on" are a flag that is set. A flag that is
neither set nor unset is unknown. The key that a feed names for `alarms` holds names, or a flag, which is a panic button then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from monitor.fixes import Alarm
from monitor.ingest.formats.reading import (
    Fault,
    Latitude,
    Longitude,
    Quirks,
    Reading,
    alarm_bits,
    finite,
    heading,
    of_text,
    scaled,
    since_1970,
)

FLAT = frozenset({"time", "lat", "lon", "speed", "heading", "accuracy", "ignition", "door", "alarms"})
"""Our words, which a feed may find under other keys."""
KINDS: Mapping[str, Any] = {
    "lat": Latitude | None,
    "lon": Longitude | None,
    "speed": float | None,
    "heading": float | None,
    "accuracy": float | None,
}
"""What a word's value must be; that of any other may be anything, and is unknown where it makes no sense."""
ON, OFF = frozenset({"1", "true", "on", "yes"}), frozenset({"0", "false", "off", "no"})
COUNT = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,9})?")
FEWEST_MS = 1e11
"""A count since 1970 under a key that the feed names is in milliseconds from here on (the year 1973), else in seconds (5138)."""

Fields = Sequence[tuple[str, Any, str]]
"""Name, type and key of what only one format says."""


class Flat:
    """One sender's form of flat payload."""

    def __init__(self, own: Mapping[str, str], quirks: Quirks, alarms: Mapping[str, Alarm], more: Fields = ()) -> None:
        keys = {**own, **quirks.keys}
        self._time, self._counted = keys.get("time", ""), "time" in quirks.keys
        flags = [(f"alarm_{k}", key, alarm) for k, (key, alarm) in enumerate(alarms.items()) if key not in keys.values()]
        self._alarms = [(name, int(alarm)) for name, _, alarm in flags]
        fields = [*((word, KINDS.get(word, Any), None) for word in keys), *((name, kind, None) for name, kind, _ in more)]
        names = {**keys, **{name: key for name, _, key in more}, **{name: key for name, key, _ in flags}}
        self.kind: Any = msgspec.defstruct(
            "Values",
            [*fields, *((name, Any, None) for name, _, _ in flags)],
            rename=names,
            namespace=dict.fromkeys(FLAT - keys.keys()),
            gc=False,
        )
        """The struct that a payload is decoded into, not strictly."""

    def time(self, value: Any, unit_ms: float) -> int | Fault:
        """An instant: a count since 1970 in the format's unit, or an RFC 3339 text."""
        if isinstance(value, str):
            if not COUNT.fullmatch(value):
                return of_text(value, self._time)
            value = float(value) if "." in value else int(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Fault(f"{self._time}: a fix has a time, as a count since 1970 or in RFC 3339")
        if self._counted:
            unit_ms = 1 if value >= FEWEST_MS else 1000
        return since_1970(value, unit_ms, self._time)

    def alarms(self, said: Any) -> int:
        """The alarms that are on."""
        bits = _named(said.alarms)
        for name, alarm in self._alarms:
            value = getattr(said, name)
            if value is not None and flag(value):
                bits |= alarm
        return bits

    def reading(
        self, said: Any, time: int, position: tuple[float | None, float | None], mps: float, device: str | None
    ) -> Reading:
        """The values as a reading, without quality."""
        return Reading(
            time,
            *position,
            scaled(said.speed, mps),
            heading(said.heading),
            finite(said.accuracy),
            flag(said.ignition),
            flag(said.door),
            self.alarms(said),
            device=device,
        )


def flag(value: Any) -> bool | None:
    """Whether something is set; None where that cannot be told."""
    if isinstance(value, str):
        text = value.strip().lower()
        return True if text in ON else False if text in OFF else None
    return bool(value) if isinstance(value, bool | int | float) else None


def _named(value: Any) -> int:
    """The alarms that a value names, or a panic button that is a flag."""
    if value is None:
        return 0
    if (pressed := flag(value)) is not None:
        return int(Alarm.PANIC) if pressed else 0
    names = value.replace(";", ",").split(",") if isinstance(value, str) else value if isinstance(value, list) else ()
    return alarm_bits(name for name in names if isinstance(name, str) and name.strip())
