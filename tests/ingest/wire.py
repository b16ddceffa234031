"""MQTT as a device speaks it, written byte by byte from the standard, not from our codec; and a stand-in for the main loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from monitor.findings import Finding
from monitor.fixes import Identity, Reject
from monitor.ingest.delivery import Message
from monitor.ingest.ingress import Ingress
from monitor.ingest.sequence import Receipt

PATIENCE_S = 10.0
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 1, 2, 3, 4, 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
V311, V5 = 4, 5
PASSWORD = b"right"


def authenticate(username: str, password: bytes) -> Identity | None:
    """Anybody who knows the password is who they say."""
    carrier, _, vehicle = username.partition("/")
    return Identity(carrier, vehicle or None) if password == PASSWORD else None


def varint(value: int) -> bytes:
    out = []
    while True:
        value, byte = divmod(value, 128)
        out.append(byte | 0x80 if value else byte)
        if not value:
            return bytes(out)


def packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + varint(len(body)) + body


def binary(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def connect(
    username: str | None = "acme/truck",
    password: bytes | None = PASSWORD,
    *,
    version: int = V5,
    client_id: str = "device",
    keep_alive: int = 60,
    clean: bool = True,
    properties: bytes = b"\x17\x00",
    will: tuple[str, bytes] | None = None,
) -> bytes:
    """A CONNECT; by default one that wants no reasons in words, so that answers can be told byte for byte."""
    flags = (0x80 if username is not None else 0) | (0x40 if password is not None else 0) | (0x02 if clean else 0)
    flags |= 0x2C if will else 0
    body = binary("MQTT") + bytes([version, flags]) + keep_alive.to_bytes(2, "big")
    body += varint(len(properties)) + properties if version == V5 else b""
    body += binary(client_id)
    if will:
        body += (b"\0" if version == V5 else b"") + binary(will[0]) + binary(will[1])
    body += binary(username) if username is not None else b""
    body += binary(password) if password is not None else b""
    return packet(CONNECT << 4, body)


def publish(
    topic: str | bytes, payload: bytes = b"{}", packet_id: int = 1, *, version: int = V5, qos: int = 1, retain: bool = False
) -> bytes:
    body = binary(topic) + (packet_id.to_bytes(2, "big") if qos else b"") + (b"\0" if version == V5 else b"") + payload
    return packet(PUBLISH << 4 | qos << 1 | retain, body)


def subscribe(*patterns: str, version: int = V5, packet_id: int = 1, qos: int = 1) -> bytes:
    """A SUBSCRIBE; `qos` may hold the other options of MQTT 5 too."""
    body = packet_id.to_bytes(2, "big") + (b"\0" if version == V5 else b"")
    return packet(SUBSCRIBE << 4 | 2, body + b"".join(binary(pattern) + bytes([qos]) for pattern in patterns))


class Wire:
    """A TCP connection that reads whole packets, and fails after a while rather than wait for ever."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        """Send all, even to a peer that has closed meanwhile."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def read(self) -> tuple[int, bytes] | None:
        """Give the kind and the body of the next packet; None if the connection was closed."""
        head = self._exactly(1)
        if not head:
            return None
        length, shift = 0, 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return head[0] >> 4, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return b""
            if not piece:
                return b""
            data += piece
        return data

    def join(self, hello: bytes) -> tuple[int, bytes]:
        """Say CONNECT, give the answer."""
        self.send(hello)
        answer = self.read()
        assert answer is not None, "closed without an answer"
        return answer

    def published(self, version: int = V5) -> tuple[str, bytes, int, bool]:
        """Give topic, payload, packet id (0 at QoS 0) and retain flag of the PUBLISH that must come next."""
        head = self._exactly(1)
        assert head, "closed"
        assert head[0] >> 4 == PUBLISH
        length, shift, more = 0, 0, True
        while more:
            byte = self._exactly(1)[0]
            length, shift, more = length | (byte & 0x7F) << shift, shift + 7, bool(byte & 0x80)
        body = self._exactly(length)
        end = 2 + int.from_bytes(body[:2], "big")
        at = end + (2 if head[0] & 6 else 0)
        number = int.from_bytes(body[end:at], "big")
        return body[2:end].decode(), body[at + (version == V5) :], number, bool(head[0] & 1)

    def silent(self) -> bool:
        """Whether nothing has come: a PINGREQ is answered before anything else is."""
        self.send(packet(PINGREQ << 4, b""))
        return self.read() == (PINGRESP, b"")

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


class MainLoop:
    """Takes deliveries in a thread of its own, and acknowledges each one as soon as `commit` is set."""

    def __init__(self, source: Ingress) -> None:
        self.messages: list[Message] = []
        self.rejects: list[Reject] = []
        self.statuses: list[Message] = []
        self.findings: list[Finding] = []
        self.receipts: list[Receipt] = []
        """What the next commit has the devices told."""
        self.sizes: list[int] = []
        """Messages in each delivery; 0 is a tick."""
        self.commit = threading.Event()
        self.commit.set()
        self.failure: Exception | None = None
        self._source = source
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for delivery in self._source:
            with self._changed:
                self.messages += delivery.messages
                self.rejects += delivery.rejects
                self.statuses += delivery.statuses
                self.findings += delivery.findings
                self.sizes.append(len(delivery.messages))
                self._changed.notify_all()
            self.commit.wait(PATIENCE_S)
            delivery.acknowledge(self.receipts if delivery.messages else ())

    def wait(self, claim: Callable[[MainLoop], bool]) -> None:
        """Wait until `claim` holds; fail if it does not in time."""
        with self._changed:
            assert self._changed.wait_for(lambda: claim(self), PATIENCE_S), (len(self.messages), self.rejects[:3])

    def payloads(self, count: int) -> list[bytes]:
        """Wait for `count` messages; give their payloads in order."""
        self.wait(lambda loop: len(loop.messages) >= count)
        return [message.payload for message in self.messages]

    def ended(self) -> bool:
        """Whether the iteration ended in time."""
        self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()
