"""Who wants what: the subscriptions of all connections, by filter.

Few filters are granted (`topics.subscribable`), so the ones that a topic matches are known from the topic: itself, and itself
with `+` or `#` in the place of a vehicle or an incident.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from monitor.findings import RATE_LIMITED, Finding
from monitor.ingest.mqtt.packets import Filter
from monitor.ingest.mqtt.quotas import TELL_EVERY_S

FILTERS = 1000
"""What one connection may be subscribed to; a gateway with more vehicles uses `+`."""

S = TypeVar("S")
"""A subscriber."""


class Subscriptions(Generic[S]):
    """Filter -> who subscribed to it, and how."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[S, Filter]] = {}
        self._told: dict[str, float] = {}

    def add(self, asked: Filter, subscriber: S) -> bool:
        """Subscribe; whether it is a new one, not another way of one that was there."""
        wanted = self._wanted.setdefault(asked.pattern, {})
        new = subscriber not in wanted
        wanted[subscriber] = asked
        return new

    def remove(self, pattern: str, subscriber: S) -> bool:
        """End a subscription; whether there was one."""
        wanted = self._wanted.get(pattern, {})
        found = wanted.pop(subscriber, None) is not None
        if not wanted:
            self._wanted.pop(pattern, None)
        return found

    def of(self, topic: str) -> dict[S, Filter]:
        """Who is to have a message: each once, with the largest QoS of those of its filters that match."""
        found: dict[S, Filter] = {}
        for pattern in patterns(topic):
            for subscriber, asked in self._wanted.get(pattern, {}).items():
                if subscriber not in found or found[subscriber].qos < asked.qos:
                    found[subscriber] = asked
        return found

    def crowded(self, carrier: str, client: str, now: float) -> Finding | None:
        """That a connection wants more than `FILTERS`; None where its carrier was told within the last minute (monotonic seconds)."""
        if now - self._told.get(carrier, float("-inf")) < TELL_EVERY_S:
            return None
        self._told[carrier] = now
        return Finding(
            RATE_LIMITED, carrier, client, f"subscribes to more than {FILTERS} filters; the rest is refused, + takes one"
        )

    def __bool__(self) -> bool:
        """Whether anybody subscribed to anything."""
        return bool(self._wanted)


def patterns(topic: str) -> list[str]:
    """The filters that are granted and match a topic."""
    if topic.startswith("monitor/"):
        head, _, _ = topic.rpartition("/")
        return [topic, f"{head}/+", f"{head}/#"]
    head, vehicle, channel = topic.rsplit("/", 2)
    return [topic, f"{head}/+/{channel}"] if vehicle != "+" else [topic]


def reaches_ours(pattern: str) -> bool:
    """Whether a filter that was not granted is about topics of this monitor: of another carrier, or of more than the client may see."""
    levels = pattern.split("/")
    if levels[0] == "#":
        return True
    return levels[0] in ("telematics", "monitor", "+") and (len(levels) == 1 or levels[1] in ("v1", "+", "#"))
