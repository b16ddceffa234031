"""Fixes in PostgreSQL's binary COPY format, made by whole columns.

Source: the PostgreSQL manual, COPY, "Binary Format": a header; each row as the number of its fields, then each field as its length in
bytes and its bytes, big-endian, a NULL as the length -1 alone; a trailer. Here every row is first laid out in full; the bytes of what
is unknown are then left out.
Shapes: N fixes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.fixes import I8, Bool, FixBatch
from monitor.store.codec import STORED, milliseconds_of

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

TYPES = {
    "vehicle_id": ">i8",
    "time": ">i8",
    "digest": ">i8",
    "lon": ">f8",
    "lat": ">f8",
    "speed": ">f4",
    "heading": ">f4",
    "accuracy": ">f4",
    "ignition": ">i2",
    "door": ">i2",
    "alarms": ">i8",
    "quality": ">i2",
    "late": ">i2",
}
"""The columns of the table in the order of the rows, as PostgreSQL holds them."""
COPY_FIXES = f"COPY fix ({', '.join(TYPES)}) FROM STDIN (FORMAT BINARY)"

_ROW = np.dtype(
    [("fields", ">i2"), *((f"{part}{name}", kind) for name, t in TYPES.items() for part, kind in (("#", ">i4"), ("", t)))]
)
_FLAGS = ("ignition", "door")


def packed(vehicle_id: npt.NDArray[np.int64], fixes: FixBatch, late: Bool | I8) -> bytes:
    """What `COPY_FIXES` reads, in order; NaN and the -1 of `ignition` and `door` are NULL. `vehicle_id` is (N,), the database's."""
    columns: dict[str, npt.NDArray[Any]] = {name: getattr(fixes, name) for name in STORED}
    columns |= {"vehicle_id": vehicle_id, "time": milliseconds_of(fixes.time), "late": late}
    rows = np.empty(len(fixes), dtype=_ROW)
    rows["fields"] = len(TYPES)
    unknown: dict[str, Bool] = {}
    for name, kind in TYPES.items():
        column, length = columns[name], np.dtype(kind).itemsize
        rows[name] = column
        rows[f"#{name}"] = length
        missing = np.isnan(column) if column.dtype.kind == "f" else column == -1 if name in _FLAGS else None
        if missing is not None and missing.any():
            unknown[name] = missing
            rows[f"#{name}"][missing] = -1
    if not unknown:
        return HEADER + rows.tobytes() + TRAILER
    kept = np.ones((len(rows), _ROW.itemsize), dtype=np.bool_)
    for name, missing in unknown.items():
        kept[missing, _part(name)] = False
    return HEADER + rows.view(np.uint8).reshape(kept.shape)[kept].tobytes() + TRAILER


def _part(name: str) -> slice:
    """Where the bytes of a column lie in a row that is laid out in full."""
    fields: Mapping[str, Any] = _ROW.fields or {}
    kind, begin, *_ = fields[name]
    return slice(begin, begin + kind.itemsize)
