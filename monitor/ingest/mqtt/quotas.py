"""How fast a carrier may send: beyond its rates it is read more slowly, nothing is dropped, and nobody else waits for it.

Each rate is a bucket as wide as one second of it. A read is paid for after it was made, so the last one may overdraw it; then
none of the carrier's connections is read until that is made good.
"""

from __future__ import annotations

from monitor.findings import RATE_LIMITED, Finding

BURST_S = 1.0
"""So much of its rate a carrier may send at once after a pause."""
TELL_EVERY_S = 60.0


class Quota:
    """The rates of one carrier, and what is left of them; times are monotonic seconds."""

    __slots__ = ("_bytes_until", "_message_rate", "_messages_until", "_size_rate", "_told", "connections")

    def __init__(self, messages_per_s: float, bytes_per_s: float) -> None:
        self._message_rate, self._size_rate = messages_per_s, bytes_per_s
        self._messages_until = self._bytes_until = self._told = float("-inf")
        self.connections = 0

    def change(self, messages_per_s: float, bytes_per_s: float) -> None:
        """Go by other rates from now on."""
        self._message_rate, self._size_rate = messages_per_s, bytes_per_s

    def spend(self, messages: int, size: int, now: float) -> float:
        """Pay for what was read; gives how long nothing more may be read, 0 while there is something left."""
        since = now - BURST_S
        self._messages_until = max(self._messages_until, since) + messages / self._message_rate
        self._bytes_until = max(self._bytes_until, since) + size / self._size_rate
        return self.wait(now)

    def wait(self, now: float) -> float:
        """How long nothing may be read, 0 while there is something left."""
        return max(self._messages_until - now, self._bytes_until - now, 0.0)

    def finding(self, carrier: str, client: str, now: float) -> Finding | None:
        """That the carrier is beyond its rate; None where it was told within the last minute."""
        if now - self._told < TELL_EVERY_S:
            return None
        self._told = now
        rates = f"{self._message_rate:g} messages or {self._size_rate:g} bytes a second"
        return Finding(RATE_LIMITED, carrier, client, f"sends more than its {rates}; it is read more slowly, nothing is dropped")
