"""Signals: what a detector says of an episode, and how the log of them is ordered and written.

A *signal* says that a condition held over `[since, until]` and reached its limit `at`. Its `until` is None while it is
open. `decided` values are the event times of the fixes or deadlines that caused its raise and its latest change; a rewind to F
discards exactly what was decided after F. Instants are whole milliseconds since 1970 UTC.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

UNKNOWN = math.nan
"""The one NaN that signals hold, so that two of them that know no position compare equal."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Signal:
    """One episode that reached its limit, as it stands after the fixes known so far."""

    kind: str
    carrier: str
    vehicle: str
    place: str | None
    route: str | None
    trip: str | None
    since: int
    """ms; the beginning of the condition."""
    at: int
    """ms; when the limit was reached."""
    until: int | None
    """ms; the end of the condition, None while it is open."""
    presumed: bool
    """Whether silence, not a fix, reached the limit."""
    lon: float
    lat: float
    """Degrees: the position at `since`; of a stop, its centroid. UNKNOWN where none is known."""
    measure: float
    limit: float
    unit: str
    """The unit of measure and limit: s, m or min."""
    severity: str
    """note, warning or critical."""
    raised: int
    """ms; decided time of the raise."""
    decided: int
    """ms; decided time of the latest change."""
    closed: bool
    """Whether no later fix, but for a late one, can change it any more."""
    detail: str | None = None
    """Which of several things of this kind: of a device's alarm its name."""


def log_order(signal: Signal) -> tuple[int, str, str, str, int, str, str, str]:
    """The order of the signal log: at, carrier, vehicle, kind, since, place, route, detail."""
    where = (signal.place or "", signal.route or "", signal.detail or "")
    return (signal.at, signal.carrier, signal.vehicle, signal.kind, signal.since, *where)


def instant(text: str) -> int:
    """Milliseconds of an RFC 3339 time with a zone.

    Raises
    ------
    ValueError
        If the text is not such a time, or has no zone.
    """
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError(text)
    return (value - EPOCH) // timedelta(milliseconds=1)


def timestamp(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds and Z."""
    return (EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def json_line(**values: object) -> str:
    """One JSON object without spaces, its keys in the order given; a longitude or latitude has six decimals, always."""
    return "{" + ",".join(f'"{key}":{_json(key, value)}' for key, value in values.items()) + "}"


def _json(key: str, value: object) -> str:
    if key in ("lon", "lat") and isinstance(value, float):
        if math.isnan(value):
            return "null"
        return f"{round(value, 6) + 0.0:.6f}"
    return json.dumps(value, ensure_ascii=False)


def log_line(signal: Signal) -> str:
    """One line of the signal log: a JSON object with the fields of the replay contract, in its order; `detail` where there is one."""
    detail = {} if signal.detail is None else {"detail": signal.detail}
    return json_line(
        kind=signal.kind,
        vehicle=signal.vehicle,
        carrier=signal.carrier,
        since=timestamp(signal.since),
        at=timestamp(signal.at),
        until=None if signal.until is None else timestamp(signal.until),
        place=signal.place,
        route=signal.route,
        lon=signal.lon,
        lat=signal.lat,
        measure=round(signal.measure, 3),
        limit=round(signal.limit, 3),
        unit=signal.unit,
        presumed=signal.presumed,
        **detail,
    )


def log_lines(signals: Iterable[Signal]) -> list[str]:
    """The signal log, sorted."""
    return [log_line(signal) for signal in sorted(signals, key=log_order)]


class ChangeKind(StrEnum):
    """What a delivery did to the signal log."""

    RAISED = "raised"
    REVISED = "revised"
    CLEARED = "cleared"
    MEASURED = "measured"  # only its measure or its centroid grew
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the signal log: what, of which stored signal, and the signal as it now stands (of a withdrawn one, as it stood)."""

    what: ChangeKind
    id: int | None
    """The store's id; None for a raised one until it is stored."""
    signal: Signal
    late_by: int = 0
    """ms between `at` and when we learned of it."""
    reason: str = ""
    """Why it was revised or withdrawn."""


class StoredSignal(NamedTuple):
    """A signal with the store's id for it."""

    id: int
    signal: Signal
