"""The body of a request, bounded while it is read: packed and unpacked no larger than allowed, and no more of it kept than that."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Mapping

from monitor.web.problem import Problem

GZIP = b"\x1f\x8b"
MEDIA_TYPES = (
    "application/octet-stream",
    "application/gzip",
    "application/x-gzip",
    "text/plain",
    "application/x-www-form-urlencoded",
)
"""Beside those of JSON, the last because `curl -d` says it of anything; a client that names none is taken by its word."""


def packed(headers: Mapping[str, str]) -> bool:
    """Whether the body says that it is gzip.

    Raises
    ------
    Problem
        If it is in a form that nobody here reads: 415.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in MEDIA_TYPES and not (kind.startswith("application/") and kind.endswith("json")):
        raise Problem(415, f"Content-Type {kind[:80]!r}: allowed are application/json, {', '.join(MEDIA_TYPES)}, or none")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise Problem(415, f"Content-Encoding {encoding[:80]!r}: allowed is gzip, or none", headers={"Accept-Encoding": "gzip"})
    return encoding.endswith("gzip")


def announced(headers: Mapping[str, str], most: int) -> None:
    """Refuse what says beforehand that it is too large, so that a client that asks first need not send it.

    Raises
    ------
    Problem
        413.
    """
    said = headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise too_large(most)


async def read(stream: AsyncIterator[bytes], most: int, hold: Callable[[int], None], *, gzip: bool) -> bytes:
    """Read a body to its end, unpacked; `hold` is told how many more bytes are kept, and may refuse.

    A body that begins as gzip does is unpacked whether it says so or not.

    Raises
    ------
    Problem
        If it is too large (413), or is not the gzip that it says (400).
    """
    out, unpack, came = bytearray(), zlib.decompressobj(31) if gzip else None, 0
    async for chunk in stream:
        came += len(chunk)
        if came > most:
            raise too_large(most)
        if unpack is None and not out and chunk[:2] == GZIP:
            unpack = zlib.decompressobj(31)
        more = chunk if unpack is None else _unpacked(unpack, chunk, most + 1 - len(out))
        hold(len(more))
        out += more
        if len(out) > most:
            raise too_large(most)
    if unpack is not None and (not unpack.eof or unpack.unused_data):
        raise Problem(
            400, "the body is not readable as gzip: " + ("it ends too early" if not unpack.eof else "something follows its end")
        )
    return bytes(out)


def too_large(most: int) -> Problem:
    """More than is taken."""
    return Problem(413, f"the body is too large: allowed are {most} bytes, unpacked", most=most)


def _unpacked(reader: zlib._Decompress, chunk: bytes, most: int) -> bytes:
    try:
        return reader.decompress(chunk, most)
    except zlib.error as error:
        raise Problem(400, f"the body is not readable as gzip: {error}") from None
