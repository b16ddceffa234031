"""What a source hands to the main loop: messages with who sent them, and how to say that they are on disk.

A *source* is an iterator of deliveries: the listener, a broker, a replay, a simulation. An empty delivery at least each second is the
tick. `acknowledge` is called once everything in the delivery is committed, and only then does a sender get its PUBACK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from monitor.fixes import Reject


class Message(msgspec.Struct, frozen=True, gc=False):
    """One published message: the carrier from the connection or the topic, the vehicle from the topic, never from the payload."""

    carrier: str
    vehicle: str
    topic: str
    payload: bytes


def nothing() -> None:
    """Acknowledge nobody."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages that arrived together; `acknowledge` must be called after their commit, from any thread."""

    messages: Sequence[Message]
    rejects: Sequence[Reject] = ()
    """What was refused before it became a message: kept as evidence."""
    acknowledge: Callable[[], None] = nothing


class Source(Protocol):
    """An iterator of deliveries that can be closed from another thread or a signal handler; iteration then ends."""

    def __iter__(self) -> Iterator[Delivery]:
        """Yield deliveries, an empty one at least each second."""
        ...

    def close(self) -> None:
        """End the iteration after the delivery under way; give back ports and connections."""
        ...
