"""Devices that publish, in a process of their own: raw sockets, MQTT 3.1.1, QoS 1; every PUBACK is awaited and timed.

Reads an order from standard input and writes the report to standard output, both as JSON: `python -m benchmarks.publisher`.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

READ_BYTES = 262_144
STUCK_S = 60.0


class Post(NamedTuple):
    """One message: when it is due (seconds after the start), on which connection, of which vehicle, and what it says."""

    due: float
    connection: int
    vehicle: str
    payload: str


class Times(NamedTuple):
    """When each message was sent and acknowledged: monotonic seconds, the same clock in every process of a machine."""

    sent: list[float]
    acked: list[float]


def counted(raw: bytes) -> bytes:
    """A text or bytes after their length."""
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes) -> bytes:
    """A whole packet."""
    size, length = len(body), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([first, *length, size]) + body


class Device:
    """One connection, what it still has to send, and what it waits for."""

    def __init__(self, port: int, number: int, user: str, secret: str) -> None:
        self.queue: deque[int] = deque()
        self.waiting: deque[int] = deque()
        self.part = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STUCK_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = counted(b"MQTT") + b"\x04\xc2" + (600).to_bytes(2, "big")
        hello += counted(b"bench-%d" % number) + counted(user.encode()) + counted(secret.encode())
        self.socket.sendall(packet(0x10, hello))
        if self.socket.recv(4) != b"\x20\x02\x00\x00":
            raise SystemExit("the monitor refused the connection")


class Publisher:
    """Sends posts when they are due, at most `window` unacknowledged on a connection."""

    def __init__(self, port: int, carrier: str, secret: str, connections: int, window: int) -> None:
        self.carrier, self.window = carrier, window
        self.devices = [Device(port, number, carrier, secret) for number in range(connections)]
        self.selector = selectors.DefaultSelector()
        for device in self.devices:
            self.selector.register(device.socket, selectors.EVENT_READ, device)

    def publish(self, posts: list[Post]) -> Times:
        """Send all posts, sorted by when they are due; gives when each went out and was acknowledged."""
        packets = [self._packet(number, post) for number, post in enumerate(posts)]
        times = Times([0.0] * len(posts), [0.0] * len(posts))
        begun, coming, open_ = time.monotonic(), 0, len(posts)
        ready: set[Device] = set()
        while open_:
            now = time.monotonic()
            while coming < len(posts) and posts[coming].due <= now - begun:
                device = self.devices[posts[coming].connection]
                device.queue.append(coming)
                ready.add(device)
                coming += 1
            for device in ready:
                self._send(device, packets, times)
            ready.clear()
            rest = posts[coming].due - (time.monotonic() - begun) if coming < len(posts) else STUCK_S
            for key, _ in self.selector.select(max(0.0, rest)):
                open_ -= self._receive(key.data, times)
                ready.add(key.data)
        return times

    def _packet(self, number: int, post: Post) -> bytes:
        topic = counted(f"telematics/v1/{self.carrier}/{post.vehicle}/fix".encode())
        return packet(0x32, topic + (number % 65_535 + 1).to_bytes(2, "big") + post.payload.encode())

    def _send(self, device: Device, packets: list[bytes], times: Times) -> None:
        some = [device.queue.popleft() for _ in range(min(len(device.queue), self.window - len(device.waiting)))]
        if some:
            device.waiting.extend(some)
            now = time.monotonic()
            for number in some:
                times.sent[number] = now
            device.socket.sendall(b"".join([packets[number] for number in some]))

    def _receive(self, device: Device, times: Times) -> int:
        """Take PUBACKs, which come in the order of the messages; gives how many."""
        data = device.socket.recv(READ_BYTES)
        if not data:
            raise SystemExit("the monitor closed the connection")
        now, count = time.monotonic(), (len(device.part) + len(data)) // 4
        device.part = (device.part + data)[4 * count :]
        for _ in range(count):
            times.acked[device.waiting.popleft()] = now
        return count


def fix(ms: int, lon: float, lat: float, speed: float, boot: str = "a7", seq: int = 1) -> str:
    """A payload in the monitor's own format, of the usual size."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000))
    return (
        f'{{"time":"{at}.{ms % 1000:03d}Z","lat":{lat:.6f},"lon":{lon:.6f},"speed_mps":{speed},"heading_deg":90,"accuracy_m":4,'
        f'"ignition":true,"boot":"{boot}","seq":{seq}}}'
    )


def driving(first_ms: int, vehicles: int, messages: int, connections: int, rate: float, fixes: int = 1) -> Iterable[Post]:
    """Vehicles on straight roads, one fix every ten seconds of their own time each, spread over the connections.

    `fixes` go into each message, an array where they are several.
    """
    boot = f"b{first_ms}"
    for number in range(messages):
        vehicle, turn = number % vehicles, number // vehicles
        lat = 50.0 + vehicle * 0.002
        some = [
            fix(first_ms + at * 10_000 + vehicle, -95.0 + at * 0.0025, lat, 18.0, boot, at + 1)
            for at in range(turn * fixes, (turn + 1) * fixes)
        ]
        due = number / rate if rate else 0.0
        yield Post(due, vehicle % connections, f"truck-{vehicle}", some[0] if fixes == 1 else f"[{','.join(some)}]")


def main() -> None:
    """Carry out one order: `driving` vehicles; the report is the seconds it took and each message's times."""
    order = json.load(sys.stdin)
    fixes = order.get("fixes", 1)
    posts = list(driving(order["first_ms"], order["vehicles"], order["messages"], order["connections"], order["rate"], fixes))
    publisher = Publisher(order["port"], order["carrier"], order["secret"], order["connections"], order["window"])
    times = publisher.publish(posts)
    json.dump({"seconds": max(times.acked) - min(times.sent)}, sys.stdout)


if __name__ == "__main__":
    main()
