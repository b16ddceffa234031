"""A device with an outbox: what was not acknowledged is sent again on the next connection, and nothing else is."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from tests.e2e.program import PATIENCE_S
from tests.ingest.wire import CONNACK, PUBACK, V311, connect, publish

Letter = tuple[str, bytes]
"""Topic and payload."""
WINDOW = 8
JUNK: Letter = ("telematics/v1/default/junk/fix", b"neither a fix nor JSON")


def topic(vehicle: str, carrier: str = "default") -> str:
    """Where a vehicle's fixes go."""
    return f"telematics/v1/{carrier}/{vehicle}/fix"


class Device:
    """A gateway that speaks for a carrier; its letters go out in order, several under way at a time."""

    def __init__(self, letters: Sequence[Letter], user: str, token: str, name: str = "device") -> None:
        self.letters, self.user, self.token, self.name = letters, user, token, name
        self.acknowledged: set[int] = set()
        """Indices of the letters that the monitor has taken."""

    @property
    def done(self) -> bool:
        """Whether the outbox is empty."""
        return len(self.acknowledged) == len(self.letters)

    def feed(self, port: int, told: Callable[[int], None] = lambda _count: None, *, forever: bool = False) -> None:
        """Send the outbox until it is empty or the connection ends; `told` hears of each PUBACK how many there were so far.

        With `forever`, letters of no meaning follow, so that there always is something under way.
        """
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as wire:
                wire.sendall(connect(self.user, self.token.encode(), version=V311, client_id=self.name))
                packets = _packets(wire)
                assert next(packets) == (CONNACK, b"\0\0")
                self._converse(wire, packets, told, forever)
        except (ConnectionError, StopIteration):
            return  # killed: the outbox keeps what was not acknowledged

    def _converse(
        self, wire: socket.socket, packets: Iterator[tuple[int, bytes]], told: Callable[[int], None], forever: bool
    ) -> None:
        waiting = [number for number in range(len(self.letters)) if number not in self.acknowledged]
        ahead, heard, under_way = iter(waiting), count(1), dict[int, int | None]()
        for packet_id in count(1):
            number = next(ahead, None)
            if number is None and not forever:
                break
            under_way[packet_id % 0xFFFF + 1] = number
            letter = JUNK if number is None else self.letters[number]
            wire.sendall(publish(*letter, packet_id % 0xFFFF + 1, version=V311))
            while len(under_way) >= WINDOW:
                self._hear(next(packets), under_way)
                told(next(heard))
        while under_way:
            self._hear(next(packets), under_way)
            told(next(heard))

    def _hear(self, packet: tuple[int, bytes], under_way: dict[int, int | None]) -> None:
        kind, body = packet
        assert kind == PUBACK
        number = under_way.pop(int.from_bytes(body, "big"))
        if number is not None:
            self.acknowledged.add(number)


def _packets(wire: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The packets that come, all of them shorter than 128 bytes; ends with the connection, and drops a half one."""
    data = b""
    while piece := wire.recv(65_536):
        data += piece
        while len(data) >= 2 and len(data) >= 2 + data[1]:
            yield data[0] >> 4, data[2 : 2 + data[1]]
            data = data[2 + data[1] :]
