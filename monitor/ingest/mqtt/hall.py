"""What the connections of one listener share: who is there, room to read into, bounds; only its event loop touches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.fixes import Reject
from monitor.ingest.delivery import Message
from monitor.ingest.inbox import Inbox
from monitor.ingest.mqtt.handshake import Authenticate
from monitor.settings import Listener as Limits

if TYPE_CHECKING:
    from monitor.ingest.mqtt.session import Connection

READ_BYTES = 262_144
CAUTIOUS_READ_BYTES = 4096
"""Read at most this from a stranger, and from anybody while the inbox is full: 20,000 connections together make 80 MB."""
UNFINISHED_BYTES = 256 * 2**20
"""Unfinished packets of all connections together; the one that goes beyond is closed."""
ARRIVAL_PACKETS = 500
"""Packets handed over at once, at most."""


class Arrival:
    """What one read of one connection brought, and the receipts it is owed."""

    __slots__ = ("connection", "count", "messages", "receipts", "rejects", "size")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.messages: list[Message] = []
        self.rejects: list[Reject] = []
        self.receipts: list[bytes] = []
        self.count = self.size = 0


@dataclass(slots=True)
class Hall:
    """The connections of one listener and what they share."""

    limits: Limits
    authenticate: Authenticate
    inbox: Inbox[Arrival]
    now: Callable[[], float]
    """Monotonic seconds."""
    arrival_packets: int = ARRIVAL_PACKETS
    connections: set[Connection] = field(default_factory=set)
    sessions: dict[tuple[str, str], Connection] = field(default_factory=dict)
    """(carrier, client id) -> its connection."""
    paused: set[Connection] = field(default_factory=set)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BYTES)))
    """Every read goes through it: reading is synchronous, so one is enough."""
    unfinished: int = 0
    """Bytes of unfinished packets held."""

    def lend(self, *, known: bool) -> memoryview:
        """Room to read into: all of it for a known client while there is room behind it, else little."""
        return self.buffer if known and not self.inbox.full else self.buffer[:CAUTIOUS_READ_BYTES]

    def overdrawn(self, grown: int) -> bool:
        """Account for an unfinished packet that grew or was finished; whether its connection must go for it."""
        self.unfinished += grown
        return grown > 0 and self.unfinished > UNFINISHED_BYTES

    def resume(self) -> None:
        """Read again from whom there is room for."""
        if not self.paused or not self.inbox.roomy:
            return
        for connection in [c for c in self.paused if c.under_way < self.limits.receive_maximum]:
            connection.resume()
