"""What is handed to the main loop: messages with who sent them, and how to say that they are on disk.

An empty delivery at least each second is the tick. `acknowledge` is called once everything in the delivery is committed, and only
then does a sender get its PUBACK, or its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from monitor.findings import Finding
from monitor.fixes import Reject
from monitor.ingest.sequence import Receipt


class Message(msgspec.Struct, frozen=True, gc=False):
    """One published message: the carrier from the connection or the topic, never from the payload."""

    carrier: str
    vehicle: str
    """From the topic or the credential; empty where a device id tells, which is looked up in the carrier's register."""
    topic: str
    payload: bytes
    feed: str = ""
    """The name of the feed, which says in which form the payload is; empty for our own."""
    device: str = ""
    """The device id that the topic names."""


def nothing(_receipts: Sequence[Receipt] = ()) -> None:
    """Acknowledge nobody."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages that arrived together; `acknowledge` must be called after their commit, from any thread."""

    messages: Sequence[Message]
    rejects: Sequence[Reject] = ()
    """What was refused before it became a message: kept as evidence."""
    acknowledge: Callable[[Sequence[Receipt]], None] = nothing
    """Takes what the devices are told of their numbers."""
    statuses: Sequence[Message] = ()
    """What devices said of themselves, the last will of a lost one among it."""
    findings: Sequence[Finding] = ()
