"""A socket as paho sees it, read and written in large pieces; messages and their acknowledgements are taken off before paho reads them.

paho makes three system calls a message that it reads and two an answer that it writes, and builds an object of properties for each.
Messages are the mass of what comes, and need none of that: here they are cut out of the stream, whole pieces at a time, as are the
answers to our own, which are not published through paho either. All other packets are left to paho.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from monitor.ingest.mqtt.framing import Framer

PIECE_BYTES = 262_144
LARGEST_PACKET = 268_435_460
"""The longest packet that MQTT can say; how long messages may be is the broker's to limit (`message_size_limit`)."""
PUBLISH, PUBACK, QOS_2 = 0x30, 0x40, 0x04

Hear = Callable[[int, bytes], None]
"""Takes the first byte and the body of a PUBLISH of QoS 0 or 1, or of a PUBACK."""


class Stream:
    """Gives paho what is neither PUBLISH nor PUBACK, and keeps what it writes until `flush`."""

    def __init__(self, inner: socket.socket, hear: Hear) -> None:
        self._inner, self._hear = inner, hear
        self._framer = Framer(LARGEST_PACKET)
        self._for_paho, self._at = b"", 0
        self._out = bytearray()
        self._over = False

    # -- what our loop does --

    def fill(self) -> None:
        """Read what has come; what is a message is heard.

        Raises
        ------
        ProtocolError
            If it is not MQTT.
        """
        data = self._received()
        others = [whole(first, body) for first, body in self._framer.feed(data) if self._left(first, body)]
        self._for_paho, self._at = self._for_paho[self._at :] + b"".join(others), 0

    @property
    def waiting(self) -> bool:
        """Whether there is something for paho to read, the end of the connection among it."""
        return self._over or self._at < len(self._for_paho)

    @property
    def unsent(self) -> bool:
        """Whether something could not be written yet."""
        return bool(self._out)

    def write(self, data: bytes) -> None:
        """Write whole packets behind what paho wrote."""
        self._out += data

    def flush(self) -> None:
        """Write as much as the other side takes."""
        while self._out and not self._over:
            try:
                del self._out[: self._inner.send(self._out)]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                self._over = True

    # -- what paho does --

    def recv(self, size: int) -> bytes:
        """Give some bytes, none at the end of the connection."""
        piece = self._for_paho[self._at : self._at + size]
        self._at += len(piece)
        if not piece and not self._over:
            raise BlockingIOError
        return piece

    def send(self, buffer: bytes | bytearray) -> int:
        """Keep what is to be written."""
        self._out += buffer
        return len(buffer)

    def close(self) -> None:
        """Write what can be written, and hang up."""
        self.flush()
        self._over = True
        self._inner.close()

    def fileno(self) -> int:
        """The file descriptor; -1 once closed."""
        return self._inner.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001  # paho's call
        """As a socket does."""
        self._inner.setblocking(flag)

    def _received(self) -> bytes:
        """All that has come, within reason; a TLS connection gives it in records of at most 16 KiB."""
        pieces, size = list[bytes](), 0
        while size < PIECE_BYTES:
            try:
                piece = self._inner.recv(PIECE_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                piece = b""
            if not piece:
                self._over = True
                break
            pieces.append(piece)
            size += len(piece)
            if not isinstance(self._inner, ssl.SSLSocket):
                break  # one system call would most likely only say that there is no more
        return b"".join(pieces)

    def _left(self, first: int, body: bytes) -> bool:
        """Whether a packet is left to paho."""
        kind = first & 0xF0
        if (kind != PUBLISH or first & QOS_2) and kind != PUBACK:
            return True
        self._hear(first, body)
        return False


def whole(first: int, body: bytes) -> bytes:
    """A packet put together."""
    length, size = bytearray(), len(body)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([first, *length, size]) + body
