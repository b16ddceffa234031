"""Decode: messages to fixes in columns, and to rejects with a reason; the only place where a clock judges a position.

A dispatcher's messages are passed on.

A payload may be gzip, up to a bound. A fix further ahead of the clock than the settings allow is quarantined with the rejects, and so is
one of a device that is in nobody's register. Our own form is read a batch at a time, any other a payload at a time.
Shapes: N fixes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from monitor.findings import UNKNOWN_DEVICE, Finding
from monitor.fixes import FixBatch, Fleet, Reject
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import NO_FEEDS, Feeds
from monitor.ingest.formats import Fault, native
from monitor.ingest.formats.reading import FAULTS, checked
from monitor.ingest.identity import Adoptions
from monitor.ingest.sequence import Numbered
from monitor.ingest.sheet import Sheet
from monitor.ingest.topics import TRIP
from monitor.settings import Ingest

OF_TRIPS = f"/{TRIP}"
GZIP = b"\x1f\x8b"
LARGEST_BYTES = 1024 * 1024
"""A payload unpacked."""
PART_BYTES = 8 * LARGEST_BYTES
"""Payload judged in one transaction, a packed one counted as large as it may be."""
REASONS = 5
"""Faults of one message that are told in full."""
STRANGERS = 50
"""Unknown devices of one message that are listed."""
NOBODY: Adoptions = {}


class Decoded(NamedTuple):
    """What messages hold."""

    fixes: FixBatch
    rejects: list[Reject]
    plans: list[Message]
    """Messages of a dispatcher, which only the configuration can judge."""
    numbered: Sequence[Numbered] = ()
    """The numbers of the fixes that are taken, and of those that are kept as rejects."""
    findings: Sequence[Finding] = ()


def decode(
    messages: Sequence[Message],
    now: int,
    fleet: Fleet,
    settings: Ingest,
    devices: Adoptions = NOBODY,
    feeds: Feeds | None = None,
) -> Decoded:
    """Read the fixes of messages that arrived at `now` (ms); what is wrong becomes a reject with its reason and its bytes.

    `devices` is the register; `feeds` are those of the settings, given where they are compiled already.
    """
    if feeds is None:
        feeds = Feeds(settings.feed) if settings.feed else NO_FEEDS
    sheet, plans, most, quick = Sheet(messages), list[Message](), settings.max_fixes_per_message, native.quick
    for at, message in enumerate(messages):
        payload = message.payload
        if not message.feed:
            if message.topic.endswith(OF_TRIPS):
                plans.append(message)
                continue
            if payload[:1] == b"{" and payload.isascii():  # the usual case, without a call more than needed
                try:
                    sheet.rows.append(quick(payload))  # type: ignore[arg-type]  # an object is one row
                    sheet.of_row.append(at)
                    continue
                except FAULTS:
                    pass
        _read(sheet, at, message, feeds, most)
    fixes = sheet.fixes(fleet, now, settings, devices)
    rejects = [reject for at in sheet.wrong() for reject in _rejects(messages[at], sheet, at)]
    return Decoded(fixes, rejects, plans, sheet.numbered, _findings(messages, sheet))


def _read(sheet: Sheet, at: int, message: Message, feeds: Feeds, most: int) -> None:
    """Put the fixes of one message on the sheet: ours as rows, whose times are read later; any other as readings."""
    try:
        read = feeds.reader(message.feed) if message.feed else None
        payload = unpacked(message.payload)
    except KeyError:
        return sheet.refuse(at, Fault(f"feed {message.feed!r} is not in the configuration"))
    except (zlib.error, ValueError) as error:
        return sheet.refuse(at, Fault(f"not readable as gzip: {error}"))
    rows = _rows(payload) if read is None else None
    found = (read or native.PLAIN)(payload) if rows is None else ()
    count = len(found) if rows is None else len(rows)
    if count > most:
        return sheet.refuse(at, Fault(f"{count} fixes in one message; allowed are {most}"))
    return sheet.add_readings(at, found) if rows is None else sheet.add_rows(at, rows)


def _rows(payload: bytes) -> list[native.Row] | None:
    """The fixes of a payload of our own form, if nothing is wrong with any."""
    try:
        found = native.quick(checked(payload))
    except FAULTS:
        return None
    return found if isinstance(found, list) else [found]


def _rejects(message: Message, sheet: Sheet, at: int) -> Iterator[Reject]:
    """What is kept of a message of which something is wrong: once for all its faults, and once for each unknown device."""
    reasons = [fault.reason for fault in sheet.faults.get(at, ())]
    reasons += [f"identity: {forged.detail}" for forged in sheet.forged.get(at, ())]
    strangers = list(dict.fromkeys(sheet.strangers.get(at, ())))
    listed = strangers[: max(1, min(STRANGERS, LARGEST_BYTES // max(1, len(message.payload))))]
    if len(listed) < len(strangers):
        reasons.append(f"{len(strangers)} devices of one message are in nobody's register, listed are {len(listed)}")
    if reasons:
        more = [f"and {len(reasons) - REASONS} more"] if len(reasons) > REASONS else []
        yield Reject(message.carrier, message.vehicle, message.topic, "; ".join([*reasons[:REASONS], *more]), message.payload)
    for stranger in listed:
        reason = stranger.reason(message.carrier)
        yield Reject(message.carrier, message.vehicle, message.topic, reason, message.payload, stranger.device)


def _findings(messages: Sequence[Message], sheet: Sheet) -> list[Finding]:
    """What somebody should look into, each once."""
    found: dict[Finding, None] = {}
    for at, contradictions in sheet.forged.items():
        found |= dict.fromkeys(forged.finding(messages[at].carrier) for forged in contradictions)
    for at, strangers in sheet.strangers.items():
        carrier = messages[at].carrier
        found |= dict.fromkeys(Finding(UNKNOWN_DEVICE, carrier, each.device, each.reason(carrier)) for each in strangers)
    return list(found)


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
