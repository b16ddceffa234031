"""A simulated device and its memory: what it measured is kept until the monitor has it.

What a device measures is a function of program time (`plan.py`), so its memory is one instant: everything measured up to then has
arrived. What moves that instant is either the PUBACK of every message, or, more careful, the monitor's word on the device's `/ack`
topic: a broker in between may lose what it has acknowledged.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.ingest.fleet.link import Link
from monitor.ingest.fleet.plan import Plan


class Waiting(NamedTuple):
    """A message without its receipt; instants in ms."""

    number: int
    """Its packet id."""
    first: int
    """Its first fix."""
    through: int
    """All that was measured up to here is in it or in one before it."""


@dataclass(slots=True)
class Device:
    """One vehicle's device: what has arrived, what is on its way, and its connection. Instants in ms."""

    index: int
    vehicle: str
    topic: bytes
    acknowledged: int
    """Everything measured up to this instant has arrived."""
    sent: int
    """Everything measured up to this instant is published, or has arrived."""
    link: Link | None = None
    waiting: deque[Waiting] = field(default_factory=deque)
    """In the order of time."""
    receipts: set[int] = field(default_factory=set)
    unconfirmed: deque[int] = field(default_factory=deque)
    """With `/ack`: up to where each message reaches that the monitor has not confirmed."""
    moved_s: float = 0.0
    """When `acknowledged` last moved, or something was published after all had arrived; monotonic."""
    asked_s: float = float("-inf")
    """When missing reports were last sent again."""
    known: deque[tuple[int, bytes]] = field(default_factory=deque)
    """What is measured next: instant and payload."""
    known_through: int = 0

    def receipt(self, message: int) -> None:
        """Take note of a PUBACK; only an unbroken sequence of them moves `acknowledged`."""
        if all(one.number != message for one in self.waiting):
            return  # of before it was sent again
        self.receipts.add(message)
        while self.waiting and self.waiting[0].number in self.receipts:
            one = self.waiting.popleft()
            self.receipts.discard(one.number)
            if not self.unconfirmed:
                self.acknowledged = max(self.acknowledged, one.through)

    def confirm(self, through: int, now_s: float) -> None:
        """Take note that all up to an instant is on disk."""
        if through <= self.acknowledged:
            return
        self.acknowledged, self.moved_s = through, now_s
        while self.unconfirmed and self.unconfirmed[0] <= through:
            self.unconfirmed.popleft()

    def lost(self) -> None:
        """Forget what was on its way: it is sent again."""
        self.waiting.clear()
        self.receipts.clear()
        self.unconfirmed.clear()
        self.known.clear()
        self.sent = self.known_through = self.acknowledged

    def due(self, plan: Plan) -> int:
        """Give the instant at which there may be something to publish."""
        if self.known:
            return self.known[0][0]
        return max(plan.next_report(self.index, self.sent), self.known_through + 1)


def settled(device: Device, plan: Plan, boot: int, through: int) -> int:
    """Up to which instant all has arrived, where the monitor has the first `through` reports of a boot on disk.

    Earlier boots may have reports of their own under way; then nothing is known but what was.
    """
    if not 1 <= boot <= plan.boots(device.index, device.sent) or through < 1:
        return device.acknowledged
    begin, end = plan.instant(device.index, boot, 1), min(plan.instant(device.index, boot, through), device.sent)
    if device.acknowledged < begin and plan.fixes(device.index, device.acknowledged + 1, begin):
        return device.acknowledged
    return max(device.acknowledged, end)


@dataclass(slots=True)
class Tally:
    """What has been going on."""

    connections: int = 0
    """Opened."""
    messages: int = 0
    fixes: int = 0
    confirmed: int = 0
    refused: int = 0
    lost: int = 0
    """Connections."""
    again: int = 0
    """Reports that the monitor asked for again."""
