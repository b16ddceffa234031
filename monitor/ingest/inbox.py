"""What has arrived and waits for the main loop: bounded; one thread receives and fills it, another commits and empties it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from monitor.fixes import Reject
from monitor.ingest.delivery import Message

PENDING_BYTES = 64 * 2**20
"""Payload bytes waiting for the main loop; beyond it nobody is read from."""
WORTH_A_COMMIT, LINGER_S = 100, 0.02
"""With fewer messages than this it waits this long for more."""
DELIVERY_BYTES = 16 * 2**20
"""Payload bytes of one delivery."""


class Arrival(Protocol):
    """Messages and refusals that came together from one sender."""

    messages: list[Message]
    rejects: list[Reject]
    count: int
    """How many packets they were."""
    size: int
    """Bytes of payload."""


A = TypeVar("A", bound=Arrival)


class Inbox(Generic[A]):
    """A queue of arrivals that knows when it is full; it never refuses, its filler must stop reading."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._waiting: deque[A] = deque()
        self._changed = threading.Condition()
        self._count = self._size = 0
        self._closed = False
        self.deliveries = 0
        """How many times something was taken."""

    @property
    def full(self) -> bool:
        """Whether two deliveries are waiting already: time to stop reading."""
        return self._count >= 2 * self._batch or self._size >= PENDING_BYTES

    @property
    def roomy(self) -> bool:
        """Whether less than one delivery is waiting: time to read again."""
        return self._count < self._batch and self._size < PENDING_BYTES // 2

    def put(self, arrival: A) -> None:
        """Add at the end; after `close` it is dropped, unacknowledged."""
        with self._changed:
            if self._closed:
                return
            self._waiting.append(arrival)
            self._count += arrival.count
            self._size += arrival.size
            self._changed.notify()

    def take(self, wait_s: float) -> Sequence[A] | None:
        """Take what waits, up to one delivery; empty if nothing came in `wait_s`, None once closed.

        Where little waits it lingers a moment for more: a commit and an entry in the journal cost the same for one message as for many.
        """
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait(wait_s)
            if self._waiting:
                self._changed.wait_for(lambda: self._closed or self._count >= WORTH_A_COMMIT, LINGER_S)
            return None if self._closed else self._taken()

    def _taken(self) -> list[A]:
        taken: list[A] = []
        count = size = 0
        while self._waiting:
            count += self._waiting[0].count
            size += self._waiting[0].size
            if taken and (count > self._batch or size > DELIVERY_BYTES):
                break
            arrival = self._waiting.popleft()
            self._count -= arrival.count
            self._size -= arrival.size
            taken.append(arrival)
        self.deliveries += bool(taken)
        return taken

    def close(self) -> None:
        """End every `take`, now and later; what still waits is dropped, unacknowledged, and will be sent again."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._count = self._size = 0
            self._changed.notify_all()
