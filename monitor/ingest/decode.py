"""Decode: messages to fixes in columns, and to rejects with a reason; the only place where a clock judges a position.

A dispatcher's messages are passed on.

A payload may be gzip, up to a bound. A fix further ahead of the clock than the settings allow is quarantined with the rejects.
Shapes: N fixes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from monitor.fixes import ALARM_NAMES, EARLIEST_MS, LATEST_MS, Alarm, FixBatch, Fleet, Reject, VehicleId, empty, normalised
from monitor.ingest.delivery import Message
from monitor.ingest.formats import FORMATS, Format
from monitor.ingest.formats.native import Fix
from monitor.ingest.topics import TRIP
from monitor.settings import Ingest, format_duration, milliseconds

OF_TRIPS = f"/{TRIP}"
GZIP = b"\x1f\x8b"
LARGEST_BYTES = 1024 * 1024
"""A payload unpacked."""
PART_BYTES = 8 * LARGEST_BYTES
"""Payload judged in one transaction, a packed one counted as large as it may be."""
REASONS = 5
"""Faults of one message that are told in full."""


class Decoded(NamedTuple):
    """What messages hold."""

    fixes: FixBatch
    rejects: list[Reject]
    plans: list[Message]
    """Messages of a dispatcher, which only the configuration can judge."""


def decode(messages: Sequence[Message], now: int, fleet: Fleet, settings: Ingest) -> Decoded:
    """Read the fixes of messages that arrived at `now` (ms); what is wrong becomes a reject with its reason and its bytes."""
    rows: list[tuple[float | int | None, ...]] = []
    rejects: list[Reject] = []
    plans: list[Message] = []
    native, latest = FORMATS["native"], min(now + milliseconds(settings.future), LATEST_MS - 1)
    for message in messages:
        if message.topic.endswith(OF_TRIPS):
            plans.append(message)
            continue
        code, faults = -1, []
        for fix in _read(native, message.payload, settings.max_fixes_per_message):
            if isinstance(fix, str):
                faults.append(fix)
                continue
            ms = round(fix.time.timestamp() * 1e6) // 1000
            if not EARLIEST_MS <= ms <= latest:
                faults.append(_untimely(ms, now, settings))
                continue
            if code < 0:
                code = fleet.code(VehicleId(message.carrier, message.vehicle))
            rows.append((code, ms, fix.lon, fix.lat, fix.speed_mps, fix.heading_deg, fix.accuracy_m, *_flags(fix)))
        if faults:
            more = [f"and {len(faults) - REASONS} more"] if len(faults) > REASONS else []
            reason = "; ".join([*faults[:REASONS], *more])
            rejects.append(Reject(message.carrier, message.vehicle, message.topic, reason, message.payload))
    return Decoded(_batch(fleet, rows), rejects, plans)


def in_parts(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Cut messages into parts that bounded memory can judge; none of them is an empty part."""
    if not messages:
        yield messages
    begin, size = 0, 0
    for end, message in enumerate(messages):
        weight = LARGEST_BYTES if message.payload[:2] == GZIP else len(message.payload)
        if end > begin and size + weight > PART_BYTES:
            yield messages[begin:end]
            begin, size = end, 0
        size += weight
    if begin < len(messages):
        yield messages[begin:]


def _untimely(ms: int, now: int, settings: Ingest) -> str:
    """Say what is wrong with a time."""
    if not EARLIEST_MS <= ms < LATEST_MS:
        return "time is not in the years 1900 to 2199"
    return f"time is {(ms - now) // 1000} s ahead of the clock; allowed are {format_duration(settings.future)}"


def _read(form: Format, payload: bytes, most: int) -> list[Fix | str]:
    try:
        payload = unpacked(payload)
    except (zlib.error, ValueError) as error:
        return [f"not readable as gzip: {error}"]
    fixes = form.read(payload)
    return fixes if len(fixes) <= most else [f"{len(fixes)} fixes in one message; allowed are {most}"]


def unpacked(payload: bytes) -> bytes:
    """Unpack a payload that is gzip, up to a bound; any other is given as it is.

    Raises
    ------
    ValueError
        If it is too large unpacked, or does not end where it should; also `zlib.error` where it is none.
    """
    if payload[:2] != GZIP:
        return payload
    reader = zlib.decompressobj(31)
    out = reader.decompress(payload, LARGEST_BYTES)
    if reader.unconsumed_tail:
        raise ValueError(f"more than {LARGEST_BYTES} bytes when unpacked")
    if not reader.eof or reader.unused_data:
        raise ValueError("it ends too early" if not reader.eof else "something follows its end")
    return out


def _flags(fix: Fix) -> tuple[int, int, int]:
    """Ignition, door and alarms as numbers."""
    alarms = 0
    for name in fix.alarms or ():
        alarms |= ALARM_NAMES.get(name.lower(), Alarm.OTHER)
    return (-1 if fix.ignition is None else int(fix.ignition), -1 if fix.door is None else int(fix.door), alarms)


def _batch(fleet: Fleet, rows: list[tuple[float | int | None, ...]]) -> FixBatch:
    if not rows:
        return empty()
    vehicle, ms, lon, lat, speed, heading, accuracy, ignition, door, alarms = zip(*rows, strict=True)
    floats = [np.array(column, np.float64) for column in (lon, lat, speed, heading, accuracy)]
    return normalised(
        fleet,
        np.array(vehicle, np.int32),
        np.array(ms, np.int64).view("datetime64[ms]"),
        floats[0],
        floats[1],
        speed=floats[2],
        heading=floats[3],
        accuracy=floats[4],
        ignition=np.array(ignition, np.int8),
        door=np.array(door, np.int8),
        alarms=np.array(alarms, np.uint32),
    )
