"""TLS between a TCP connection and an MQTT connection: to the one a protocol, to the other a transport.

Written on `ssl.SSLObject`, not on asyncio's own, which keeps 256 KB for each connection and admits it only after the handshake:
here an idle one costs what OpenSSL needs, and one that does not finish its handshake counts, and is closed when its time is
over, like one that does not finish its CONNECT.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Protocol, cast

from monitor.ingest.mqtt.certificates import Certificate, shown


class Inner(Protocol):
    """What speaks inside: an asyncio.BufferedProtocol that is told of the handshake."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is there; nothing can be written yet."""

    def secured(self, certificate: Certificate | str | None) -> None:
        """The handshake is over; gives what the client has shown, or why that is nobody's."""

    def insecure(self, why: str) -> None:
        """The handshake failed, or the other side broke TLS; the connection is closed."""

    def get_buffer(self, sizehint: int) -> memoryview:
        """Room to read into."""

    def buffer_updated(self, nbytes: int) -> None:
        """So much of it was filled."""

    def pause_writing(self) -> None:
        """Too much is waiting to be written."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone."""


class Secure(asyncio.Transport, asyncio.BufferedProtocol):
    """One TLS connection, server side."""

    def __init__(self, inner: Inner, context: ssl.SSLContext) -> None:
        super().__init__()
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._tcp: asyncio.Transport = asyncio.Transport()
        self._open = self._paused = self._ended = False
        self._room = memoryview(b"")

    # -- to TCP: a protocol --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce the inner connection, whose time for a handshake begins."""
        self._tcp = cast(asyncio.Transport, transport)
        self._inner.connection_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Read into the room of the inner connection; what was read leaves it before it is needed again."""
        self._room = self._inner.get_buffer(sizehint)
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what came; after the end it is dropped."""
        if not self._ended:
            self._incoming.write(self._room[:nbytes])
            self._advance()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._ended = True
        self._inner.connection_lost(exc)

    def _advance(self) -> None:
        try:
            if not self._open:
                self._tls.do_handshake()
                self._open = True
                self._flush()
                self._inner.secured(shown(self._tls))
            self._decrypt()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._flush()  # TLS says why, too
            self._ended = True
            self._inner.insecure(str(error.reason or error).replace("_", " ").lower())
            return
        self._flush()

    def _decrypt(self) -> None:
        """Hand on what can be decrypted; what came whole before a fault is taken, as it is without TLS."""
        fault: ssl.SSLError | None = None
        left = False
        while not (fault or left or self._paused or self._ended or self._tcp.is_closing()):
            room = self._inner.get_buffer(-1)
            filled = 0
            while not (fault or left) and filled < len(room):
                try:
                    count = cast(int, self._tls.read(len(room) - filled, room[filled:]))  # how many, where it is told where to
                except ssl.SSLError as error:
                    fault = error
                else:
                    filled += count
                    left = not count
            if filled:
                self._inner.buffer_updated(filled)
        if fault is not None:
            raise fault
        if left:  # they have taken their leave; what we have said last may still be on its way to them
            self._ended = True
            self._tcp.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._tcp.is_closing():
            self._tcp.write(self._outgoing.read())

    # -- to MQTT: a transport --

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; nothing where there was no handshake or is no connection any more."""
        if self._open and not self._tcp.is_closing():
            with contextlib.suppress(ssl.SSLError):  # they have broken off; TCP tells
                self._tls.write(data)
            self._flush()

    def write_eof(self) -> None:
        """Say that nothing more is said, and close our side."""
        self._ended = True
        if self._open:
            with contextlib.suppress(ssl.SSLError):  # theirs has not come yet
                self._tls.unwrap()
        self._flush()
        self._tcp.write_eof()

    def pause_reading(self) -> None:
        """Neither read nor decrypt."""
        self._paused = True
        self._tcp.pause_reading()

    def resume_reading(self) -> None:
        """Go on with what was read already, then with the rest."""
        self._paused = False
        self._tcp.resume_reading()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._open and not (self._paused or self._ended):
            self._advance()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As TCP does."""
        self._tcp.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """As TCP does."""
        return self._tcp.get_write_buffer_size()

    def is_closing(self) -> bool:
        """As TCP does."""
        return self._tcp.is_closing()

    def close(self) -> None:
        """As TCP does."""
        self._ended = True
        self._tcp.close()

    def abort(self) -> None:
        """As TCP does."""
        self._ended = True
        self._tcp.abort()
