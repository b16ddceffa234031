"""How values become rows and rows become values again, exactly.

A float32 goes through a double and comes back as it was; NaN is stored as NULL, and so is the -1 of an unknown ignition or door
(of a zero the sign is not kept).
Shapes: N fixes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.fixes import COLUMNS, I8, Bool, FixBatch, Times, empty
from monitor.signals import Signal

FixRow = tuple[Any, ...]

STORED = ("time", "digest", "lon", "lat", "speed", "heading", "accuracy", "ignition", "door", "alarms", "quality")
"""The columns of a fix in the order of the rows here, after the vehicle's id."""

INSERT_FIX = (
    "INSERT INTO fix (vehicle_id, time, digest, lon, lat, speed, heading, accuracy, ignition, door, alarms, quality, late) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, -1), nullif(?, -1), ?, ?, ?)"
)
"""The driver stores NaN as NULL by itself."""

FIX_COLUMNS = (
    "f.time, f.digest, f.lon, f.lat, f.speed, f.heading, f.accuracy, coalesce(f.ignition, -1), coalesce(f.door, -1), "
    "f.alarms, f.quality"
)
"""What `fixes_from_rows` reads, after the vehicle's code."""

SIGNAL_FIELDS = tuple(item.name for item in fields(Signal) if item.name not in ("carrier", "vehicle", "closed"))
"""The fields of a signal that are columns under the same name."""


def milliseconds_of(time: Times) -> npt.NDArray[np.int64]:
    """(N,) int64 ms since 1970 of datetime64[ms]; a view."""
    return time.view(np.int64)


def fix_rows(vehicle_id: npt.NDArray[np.int64], fixes: FixBatch, late: Bool | I8) -> Iterator[FixRow]:
    """The rows of `INSERT_FIX`, in order; `vehicle_id` is (N,), the database's id of each fix's vehicle."""
    time = milliseconds_of(fixes.time)
    columns = (time, *(getattr(fixes, name) for name in STORED[1:]))
    return zip(vehicle_id.tolist(), *(column.tolist() for column in columns), late.astype(np.int8).tolist(), strict=True)


def fixes_from_rows(rows: Sequence[FixRow]) -> FixBatch:
    """Fixes from rows of (vehicle code, *FIX_COLUMNS), in the order of the rows."""
    if not rows:
        return empty()
    columns = dict(zip(("vehicle", *STORED), zip(*rows, strict=True), strict=True))
    return FixBatch(*(_column(columns[name], dtype) for name, dtype in COLUMNS.items()))


def _column(values: Sequence[Any], dtype: str) -> npt.NDArray[Any]:
    if dtype.startswith("datetime64"):
        return np.array(values, dtype=np.int64).view(dtype)
    return np.array(values, dtype=dtype)  # None becomes NaN


def signal_values(signal: Signal) -> dict[str, Any]:
    """The columns of a signal, but for its id, its vehicle and its state."""
    values = {name: getattr(signal, name) for name in SIGNAL_FIELDS}
    return values | {name: None for name in ("lon", "lat") if math.isnan(values[name])}


def signal_from_row(carrier: str, vehicle: str, row: Sequence[Any], state: str) -> Signal:
    """A signal from its columns in the order of `SIGNAL_FIELDS`."""
    values = dict(zip(SIGNAL_FIELDS, row, strict=True))
    values |= {name: math.nan for name in ("lon", "lat") if values[name] is None}
    return Signal(carrier=carrier, vehicle=vehicle, closed=state != "open", **values)


def encodable(text: str) -> str:
    """The same text, but what a database cannot carry (half a surrogate pair, or NUL, from a hostile client or a shell) is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
