"""Cutting a stream of bytes into MQTT packets, within a limit; pure, no I/O.

A packet is a first byte, the length of the rest in one to four bytes of seven bits each, lowest first, and a body of that length.
A length padded with zero bits is taken: some modems always write two bytes.

Source: OASIS MQTT 3.1.1 (2014), §2.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.ingest.mqtt.fields import ProtocolError, Reason

EVIDENCE_BYTES = 1024
"""Kept of a packet that is too large."""


class Framer:
    """Cuts a stream of bytes into packets; never holds more than one unfinished packet, of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes of a whole packet, its header included; may be changed between two packets."""
        self._held = bytearray()
        self._need = 2

    @property
    def held(self) -> int:
        """Bytes of the unfinished packet kept here."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the first byte and the body of every packet that `data` completes; what is not asked for is held, and comes next time.

        Raises
        ------
        ProtocolError
            If a packet is larger than the limit or its length is not one; what came before it has been yielded.
        """
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return
            data = bytes(self._held)
            self._held = bytearray()
        at, size = 0, len(data)
        self._need = 2
        try:
            while at + 1 < size:
                length, body = data[at + 1], at + 2
                if length & 0x80:
                    length, body = _long_length(data, at + 1)
                    if not body:
                        self._need = size - at + 1
                        break
                end = body + length
                if end - at > self.limit:
                    said = f"a packet of {end - at} bytes, {self.limit} are allowed"
                    raise ProtocolError(Reason.PACKET_TOO_LARGE, said, data[at : at + EVIDENCE_BYTES])
                if end > size:
                    self._need = end - at
                    break
                first, at = data[at], end
                yield first, data[body:end]
        finally:
            self._held += data[at:]


def _long_length(data: bytes, at: int) -> tuple[int, int]:
    """A remaining length of several bytes, and where the body starts: 0 if it has not all arrived."""
    value = 0
    for index in range(4):
        if at + index >= len(data):
            return 0, 0
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, at + index + 1
    raise ProtocolError(Reason.MALFORMED, "a remaining length of more than four bytes")
