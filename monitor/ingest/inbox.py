"""What has arrived and waits for the main loop: bounded; threads that receive fill it, another commits and empties it.

Carriers take turns: of each that waits something is in the next delivery, however much another one sends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from monitor.findings import Finding
from monitor.fixes import Reject
from monitor.ingest.delivery import Message

PENDING_BYTES = 64 * 2**20
"""Payload bytes waiting for the main loop; beyond it nobody is read from."""
CARRIER_BYTES = PENDING_BYTES // 4
"""The same of one carrier; beyond it that carrier is not read from."""
WORTH_A_COMMIT, LINGER_S = 100, 0.02
"""With fewer messages than this it waits this long for more."""
DELIVERY_BYTES = 16 * 2**20
"""Payload bytes of one delivery."""


class Arrival(Protocol):
    """Messages and refusals that came together from one sender."""

    door: object
    """By which it came in."""
    carrier: str
    messages: list[Message]
    rejects: list[Reject]
    statuses: list[Message]
    findings: list[Finding]
    count: int
    """How many packets they were."""
    size: int
    """Bytes of payload."""


class Inbox:
    """Queues of arrivals, one a carrier, that know when they are full; it never refuses, its fillers must stop reading."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._waiting: dict[str, deque[Arrival]] = {}
        """In the order of whose turn it is."""
        self._counts: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._changed = threading.Condition()
        self._count = self._size = 0
        self._closed = False
        self.deliveries = 0
        """How many times something was taken."""

    @property
    def waiting(self) -> int:
        """Packets that wait."""
        return self._count

    def full(self, carrier: str) -> bool:
        """Whether two deliveries of a carrier, or too many bytes, are waiting already: time to stop reading from it."""
        own = self._counts.get(carrier, 0) >= 2 * self._batch or self._sizes.get(carrier, 0) >= CARRIER_BYTES
        return own or self._size >= PENDING_BYTES

    def roomy(self, carrier: str) -> bool:
        """Whether less than one delivery of a carrier is waiting: time to read from it again."""
        own = self._counts.get(carrier, 0) < self._batch and self._sizes.get(carrier, 0) < CARRIER_BYTES // 2
        return own and self._size < PENDING_BYTES // 2

    def put(self, arrival: Arrival) -> None:
        """Add behind what its carrier sent before; after `close` it is dropped, unacknowledged."""
        with self._changed:
            if self._closed:
                return
            self._waiting.setdefault(arrival.carrier, deque()).append(arrival)
            self._counted(arrival, 1)
            self._changed.notify()

    def take(self, wait_s: float) -> Sequence[Arrival] | None:
        """Take what waits, up to one delivery; empty if nothing came in `wait_s`, None once closed.

        Where little waits it lingers a moment for more: a commit and an entry in the journal cost the same for one message as for many.
        """
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait(wait_s)
            if self._waiting:
                self._changed.wait_for(lambda: self._closed or self._count >= WORTH_A_COMMIT, LINGER_S)
            return None if self._closed else self._taken()

    def _taken(self) -> list[Arrival]:
        taken: list[Arrival] = []
        count = size = 0
        while self._waiting:
            carrier, queue = next(iter(self._waiting.items()))
            count += queue[0].count
            size += queue[0].size
            if taken and (count > self._batch or size > DELIVERY_BYTES):
                break
            arrival = queue.popleft()
            del self._waiting[carrier]
            if queue:
                self._waiting[carrier] = queue  # the others come first
            self._counted(arrival, -1)
            taken.append(arrival)
        self.deliveries += bool(taken)
        return taken

    def _counted(self, arrival: Arrival, sign: int) -> None:
        for held, amount in ((self._counts, arrival.count), (self._sizes, arrival.size)):
            held[arrival.carrier] = held.get(arrival.carrier, 0) + sign * amount
            if not held[arrival.carrier]:
                del held[arrival.carrier]
        self._count += sign * arrival.count
        self._size += sign * arrival.size

    def close(self) -> None:
        """End every `take`, now and later; what still waits is not acknowledged, and will be sent again. A signal handler may call it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
