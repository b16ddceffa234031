"""What the connections of one listener share: who is there, room to read into, bounds; only its event loop touches it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monitor.findings import Finding
from monitor.fixes import Identity, Reject
from monitor.ingest.delivery import Message
from monitor.ingest.inbox import Inbox
from monitor.ingest.mqtt.fields import ProtocolError, Reason
from monitor.ingest.mqtt.handshake import Authenticate
from monitor.ingest.mqtt.outbound import Letter, Outbound
from monitor.ingest.mqtt.outside import Outside
from monitor.ingest.mqtt.quotas import BURST_S, Quota
from monitor.ingest.mqtt.subscriptions import Subscriptions
from monitor.settings import Listener as Limits

if TYPE_CHECKING:
    from monitor.ingest.mqtt.session import Connection

log = logging.getLogger("monitor.listener")

READ_BYTES = 262_144
CAUTIOUS_READ_BYTES = 4096
"""Read at most this from a stranger, and from anybody while the inbox is full: 20,000 connections together make 80 MB."""
PORTION_BYTES = 32_768
"""Read at most this at once of a carrier beyond its rates: a second's worth together would make one delivery the others wait for."""
UNFINISHED_BYTES = 256 * 2**20
"""Unfinished packets, and what stands for new subscribers, of all connections together; the one that goes beyond is closed."""
ARRIVAL_PACKETS = 500
"""Packets handed over at once, at most."""
COMMIT, RATE, ADMISSION = 1, 2, 4
"""Why a connection is not read from: too much of it waits for its commit; its carrier is beyond its rates; nobody knows yet who it is."""
COMPLAINTS = 10
"""Lines about strangers that are written in a minute; more are counted."""
COMPLAINTS_S = 60.0


class Arrival:
    """What one read of one connection brought, and the receipts it is owed."""

    __slots__ = ("carrier", "connection", "count", "door", "findings", "messages", "receipts", "rejects", "size", "statuses")

    def __init__(self, connection: Connection, door: object, carrier: str) -> None:
        self.connection, self.door, self.carrier = connection, door, carrier
        self.messages: list[Message] = []
        self.rejects: list[Reject] = []
        self.statuses: list[Message] = []
        self.findings: list[Finding] = []
        self.receipts: list[bytes] = []
        self.count = self.size = 0


@dataclass(slots=True)
class Hall:
    """The connections of one listener and what they share."""

    limits: Limits
    authenticate: Authenticate
    outside: Outside
    inbox: Inbox
    now: Callable[[], float]
    """Monotonic seconds."""
    later: Callable[[float, Callable[[], None]], object]
    """Does something after so many seconds."""
    ask: Callable[[Callable[[], Any], Callable[[Any], None]], None]
    """Asks a question in another thread and gives the answer in this one; None where it could not be answered."""
    identify: Callable[[Callable[[], Any], Callable[[Any], None]], None]
    """The same for who a client is: nobody waits in this thread for a database or for a hash that takes its time."""
    door: object
    """The listener whose hall it is."""
    arrival_packets: int = ARRIVAL_PACKETS
    connections: set[Connection] = field(default_factory=set)
    sessions: dict[tuple[Identity, str], Connection] = field(default_factory=dict)
    """Who, by which client id -> its connection: devices of one make may all have the same id, and none takes another's place."""
    paused: set[Connection] = field(default_factory=set)
    """Those not read from until a commit makes room."""
    quotas: dict[str, Quota] = field(default_factory=dict)
    held_back: dict[str, list[Connection]] = field(default_factory=dict)
    """Carriers beyond their rate -> their connections that are not read from."""
    slowed: dict[str, float] = field(default_factory=dict)
    """Carriers that were beyond their rate -> until when they are read in portions."""
    subscriptions: Subscriptions[Outbound] = field(default_factory=Subscriptions)
    published: dict[str, dict[str, bytes]] = field(default_factory=dict)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BYTES)))
    """Every read goes through it: reading is synchronous, so one is enough."""
    unfinished: int = 0
    """Bytes of unfinished packets and of what stands for new subscribers."""
    refused: int = 0
    """Connections that were not admitted, all in all."""
    _complaints: int = 0
    _complained: float = float("-inf")

    def lend(self, carrier: str | None) -> memoryview:
        """Room to read into: all of it for a known client while there is room behind it, else little."""
        if carrier is None or self.inbox.full(carrier):
            return self.buffer[:CAUTIOUS_READ_BYTES]
        return self.buffer[:PORTION_BYTES] if self.slowed and self._is_slowed(carrier) else self.buffer

    def _is_slowed(self, carrier: str) -> bool:
        """Whether it was beyond its rates just now."""
        if self.slowed.get(carrier, 0.0) > self.now():
            return True
        self.slowed.pop(carrier, None)
        return False

    def overdrawn(self, grown: int) -> bool:
        """Account for an unfinished packet that grew or was finished; whether its connection must go for it."""
        self.unfinished += grown
        return grown > 0 and self.unfinished > UNFINISHED_BYTES

    def resume(self) -> None:
        """Read again from whom there is room for."""
        ready = [c for c in self.paused if c.under_way < self.limits.receive_maximum and self.inbox.roomy(c.carrier)]
        for connection in ready:
            self.paused.discard(connection)
            connection.valve.open(COMMIT)

    def quota(self, carrier: str) -> Quota:
        """The rates of a carrier."""
        found = self.quotas.get(carrier)
        if found is None:
            found = self.quotas[carrier] = Quota(self.limits.carrier_messages_per_s, self.limits.carrier_bytes_per_s)
        return found

    def enter(self, connection: Connection, identity: Identity, client_id: str) -> None:
        """Give a connection its place, and close the one that had the same.

        Raises
        ------
        ProtocolError
            If its carrier has too many.
        """
        old, quota = self.sessions.get((identity, client_id)), self.quota(identity.carrier)
        if quota.connections - (old is not None and old.present) >= self.limits.carrier_connections:
            raise ProtocolError(Reason.QUOTA_EXCEEDED, f"{identity.carrier} has {quota.connections} connections already")
        if old is not None:
            old.close(Reason.SESSION_TAKEN_OVER, "another connection took its client id")
        quota.connections += 1
        self.sessions[identity, client_id] = connection

    def leave(self, connection: Connection, identity: Identity, client_id: str) -> None:
        """Free the place of a connection, unless another has taken it."""
        if self.sessions.get((identity, client_id)) is connection:
            del self.sessions[identity, client_id]

    def hold_back(self, connection: Connection, wait: float) -> None:
        """Do not read from a connection until its carrier's rate allows it, nor from the carrier's others once they were read."""
        self.slowed[connection.carrier] = self.now() + wait + BURST_S
        waiting = self.held_back.get(connection.carrier)
        if waiting is None:
            self.held_back[connection.carrier] = [connection]
            self.later(wait, lambda: self._release(connection.carrier))
        else:
            waiting.append(connection)

    def _release(self, carrier: str) -> None:
        wait = self.quota(carrier).wait(self.now())
        if wait > 0:
            self.later(wait, lambda: self._release(carrier))
            return
        for connection in self.held_back.pop(carrier):
            connection.valve.open(RATE)

    def post(self, carrier: str, letter: Letter, publisher: object = None) -> None:
        """Send a letter to whoever subscribed to its topic; keep what the monitor itself publishes to be kept."""
        for outbound, asked in self.subscriptions.of(letter.topic).items():
            outbound.send(letter, asked, publisher)
        if publisher is None and letter.retained:
            kept = self.published.setdefault(carrier, {})
            if letter.payload:
                kept[letter.topic] = letter.payload
            else:
                kept.pop(letter.topic, None)

    def complain(self, who: object, why: str) -> None:
        """Write down that somebody was not let in, a few times a minute; strangers fill no log."""
        self.refused += 1
        now = self.now()
        if now - self._complained >= COMPLAINTS_S:
            if self._complaints > COMPLAINTS:
                log.warning("%d more connections were refused", self._complaints - COMPLAINTS)
            self._complaints, self._complained = 0, now
        self._complaints += 1
        if self._complaints <= COMPLAINTS:
            log.warning("%s: %s", who, why)
