"""A simulated device and its memory: what it measured is kept until the monitor has acknowledged it.

What a device measures is a function of program time (`plan.py`), so its memory is one instant: everything measured up to
then is acknowledged.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt

from monitor.errors import ServiceError
from monitor.ingest.fleet.plan import Plan

FIRST_RETRY_S, LAST_RETRY_S = 0.25, 15.0


class Outbox:
    """What of every vehicle is acknowledged, kept in a small file that is replaced whole.

    A file of another plan, or one that is no JSON, counts as none: then everything since the fleet's beginning is sent again, and
    the monitor recognises the duplicates. That is also why the file need not survive a power cut.
    """

    def __init__(self, file: Path, plan: Plan) -> None:
        self._file = file
        self._plan = [plan.seed, plan.start, plan.carrier]
        self._saved: Mapping[str, int] = self._load()

    def through(self, vehicle: str, default: int) -> int:
        """Give the instant up to which everything a vehicle measured was acknowledged when this was opened or saved."""
        return self._saved.get(vehicle, default)

    def save(self, through: Mapping[str, int]) -> None:
        """Replace the file, if anything changed.

        Raises
        ------
        ServiceError
            If the file cannot be written.
        """
        if self._file.exists() and through == self._saved:
            return
        fresh = self._file.with_name(self._file.name + ".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps({"plan": self._plan, "through": through}), encoding="utf-8")
            fresh.replace(self._file)
        except OSError as error:
            raise ServiceError(f"{self._file}: the fleet's outbox cannot be written: {error.strerror}") from None
        self._saved = dict(through)

    def _load(self) -> Mapping[str, int]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(k): int(v) for k, v in content["through"].items()} if content["plan"] == self._plan else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


@dataclass
class Device:
    """One vehicle's device: what is acknowledged, what is on its way, and its connection."""

    index: int
    vehicle: str
    topic: str
    acknowledged: int
    """Everything measured up to this instant (ms) is acknowledged."""
    sent: int
    """Everything measured up to this instant (ms) is published, or acknowledged."""
    due: int
    """The instant (ms) of the next report."""
    client: mqtt.Client | None = None
    connected: bool = False
    retry_at: float = 0.0
    retry_after: float = FIRST_RETRY_S
    waiting: deque[tuple[int, int]] = field(default_factory=deque)
    """Message id and the instant it reaches up to, in the order of publishing."""
    receipts: set[int] = field(default_factory=set)

    def receipt(self, message: int) -> None:
        """Take note of an acknowledgement; only an unbroken sequence of them moves `acknowledged`."""
        self.receipts.add(message)
        while self.waiting and self.waiting[0][0] in self.receipts:
            message, self.acknowledged = self.waiting.popleft()
            self.receipts.discard(message)

    def lost(self, now_s: float) -> None:
        """Forget the connection and what was on its way; try again later, each time waiting twice as long."""
        self.client, self.connected = None, False
        self.waiting.clear()
        self.receipts.clear()
        self.sent = self.acknowledged
        self.retry_at, self.retry_after = now_s + self.retry_after, min(2 * self.retry_after, LAST_RETRY_S)
