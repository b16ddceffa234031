"""A lean MQTT connection of a simulated device: QoS 1 out, receipts in; thousands of them fit into one process.

Written for a client, from the same standard as the listener: 3.1.1 and 5, clean sessions, no more of either than a device needs.
Source: OASIS MQTT 3.1.1 (2014) and MQTT 5.0 (2019), chapter 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from monitor.ingest.mqtt.answers import varint
from monitor.ingest.mqtt.fields import ProtocolError, Reader
from monitor.ingest.mqtt.framing import Framer
from monitor.ingest.mqtt.packets import V5, Kind
from monitor.ingest.mqtt.packets import publish as read_publish

LARGEST_BYTES = 1024 * 1024
"""A longer packet from the server ends the connection."""
RECEIVE_MAXIMUM = 0x21
NUMBERS: Mapping[int, int] = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
"""Properties of CONNACK that are numbers, and their bytes; the others are texts, and a user property is two."""
USER_PROPERTY = 0x26
REFUSALS = {
    1: "protocol version not accepted",
    2: "client id not accepted",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x97: "quota exceeded",
}
FAILED = 0x80
"""Reason codes from here on are failures."""
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"


class Login(NamedTuple):
    """Who a device says it is."""

    client_id: str
    username: str = ""
    password: str = ""
    version: int = V5
    keep_alive_s: int = 60


class RefusedError(Exception):
    """The server answered, and said no."""


class Link(asyncio.Protocol):
    """One connection. `confirmed` is told each receipt with whose message it was, `heard` each message that arrives.

    `opened` is done once the server has said yes, `ended` once the connection is gone, whoever ended it.
    """

    def __init__(
        self, login: Login, confirmed: Callable[[Link, int, object, int], None], heard: Callable[[str, bytes], None], window: int
    ) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.owners: dict[int, object] = {}
        """Whose the messages are that wait for their receipt, by packet id."""
        self._login, self._confirmed, self._heard, self._window = login, confirmed, heard, window
        self._framer, self._loop = Framer(LARGEST_BYTES), loop
        self._transport: asyncio.Transport | None = None
        self._packet_id = 0
        self._spoke = self._listened = loop.time()

    @property
    def room(self) -> int:
        """How many more messages may be on their way."""
        return max(0, self._window - len(self.owners)) if self._transport and not self._transport.is_closing() else 0

    def publish(self, topic: bytes, payload: bytes, owner: object) -> int:
        """Send a message, QoS 1; gives its packet id."""
        number = self._packet_id % 65_535 + 1
        while number in self.owners:
            number = number % 65_535 + 1
        self._packet_id = number
        self.owners[number] = owner
        head = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big")
        if self._login.version == V5:
            head += b"\0"
        self._write(b"\x32" + varint(len(head) + len(payload)) + head + payload)
        return number

    def subscribe(self, pattern: str) -> None:
        """Ask for messages, QoS 1."""
        body = b"\xff\xff" + (b"\0" if self._login.version == V5 else b"") + _binary(pattern.encode()) + b"\x01"
        self._write(b"\x82" + varint(len(body)) + body)

    def tend(self) -> None:
        """Keep the connection alive; end one from which nothing has come for too long. To be called each second or so."""
        now, patience = self._loop.time(), float(self._login.keep_alive_s)
        if now - self._listened > 1.5 * patience:
            self.close()
        elif now - min(self._spoke, self._listened) > 0.7 * patience and now - self._spoke > 0.1 * patience:
            self._write(PINGREQ)

    def close(self) -> None:
        """Take leave."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(DISCONNECT)
            self._transport.close()

    # -- asyncio's --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are."""
        self._transport = cast("asyncio.Transport", transport)
        self._write(hello(self._login))

    def data_received(self, data: bytes) -> None:
        """Take the packets that have arrived."""
        self._listened = self._loop.time()
        try:
            for first, body in self._framer.feed(data):
                self._take(first, body)
        except (ProtocolError, IndexError) as error:
            self._fail(RefusedError(f"it does not speak MQTT as it should: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._fail(ConnectionResetError(f"the connection was closed{f': {exc}' if exc else ''}"))
        if not self.ended.done():
            self.ended.set_result(None)

    def _take(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == Kind.PUBACK:
            number = body[0] << 8 | body[1]
            if number in self.owners:
                self._confirmed(self, number, self.owners.pop(number), body[2] if len(body) > 2 else 0)
        elif kind == Kind.PUBLISH:
            topic, receipt, payload = read_publish(first, body, self._login.version)
            if receipt:
                self._write(b"\x40\x02" + receipt)
            self._heard(topic.decode(errors="replace"), payload)
        elif kind == Kind.CONNACK:
            self._welcome(body)
        elif kind == Kind.DISCONNECT:
            self.close()

    def _welcome(self, body: bytes) -> None:
        if body[1]:
            self._fail(RefusedError(REFUSALS.get(body[1], f"reason {body[1]:#04x}")))
        elif not self.opened.done():
            if self._login.version == V5:
                self._window = min(self._window, receive_maximum(body))
            self.opened.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._spoke = self._loop.time()
            self._transport.write(data)


def hello(login: Login) -> bytes:
    """A CONNECT with a clean session."""
    flags = 0x02 | (0x80 if login.username else 0) | (0x40 if login.username and login.password else 0)
    body = _binary(b"MQTT") + bytes([login.version, flags]) + login.keep_alive_s.to_bytes(2, "big")
    body += b"\0" if login.version == V5 else b""
    body += _binary(login.client_id.encode())
    if login.username:
        body += _binary(login.username.encode())
        body += _binary(login.password.encode()) if login.password else b""
    return b"\x10" + varint(len(body)) + body


def receive_maximum(body: bytes) -> int:
    """How many messages the server of an MQTT 5 CONNACK takes before it has confirmed the first."""
    reader = Reader(body, 2)
    stop = reader.varint() + reader.at
    most = 65_535
    while reader.at < stop:
        name = reader.u8()
        if name in NUMBERS:
            number = int.from_bytes(reader.take(NUMBERS[name]), "big")
            most = number if name == RECEIVE_MAXIMUM else most
        else:
            reader.text(), reader.text() if name == USER_PROPERTY else ""
    return most


def _binary(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw
