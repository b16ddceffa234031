"""What the outbound side of a connection needs of it, and of what all connections share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from monitor.findings import Finding
from monitor.fixes import Reject
from monitor.ingest.delivery import Message
from monitor.ingest.inbox import Inbox
from monitor.ingest.mqtt.fields import Reason
from monitor.ingest.mqtt.outside import Outside
from monitor.ingest.mqtt.subscriptions import Subscriptions

if TYPE_CHECKING:
    from monitor.ingest.mqtt.outbound import Outbound


class Remark:
    """A finding on its way to the main loop, with nothing that is to be acknowledged."""

    def __init__(self, finding: Finding, door: object) -> None:
        self.door, self.carrier, self.findings = door, finding.carrier, [finding]
        self.messages: list[Message] = []
        self.rejects: list[Reject] = []
        self.statuses: list[Message] = []
        self.count, self.size = 1, 0


class Line(Protocol):
    """What the outbound side needs of its connection."""

    carrier: str
    client_id: str

    def write(self, data: bytes) -> None:
        """Send."""

    def buffered(self) -> int:
        """Bytes that wait to be sent."""

    def close(self, reason: Reason, why: str) -> None:
        """Say why, and close."""


class Post(Protocol):
    """What the outbound sides of all connections share: the hall."""

    outside: Outside
    inbox: Inbox
    door: object
    subscriptions: Subscriptions[Outbound]
    published: dict[str, dict[str, bytes]]
    """Carrier -> topic -> what the monitor itself published there and keeps."""

    @property
    def now(self) -> Callable[[], float]:
        """Monotonic seconds."""

    @property
    def later(self) -> Callable[[float, Callable[[], None]], object]:
        """Does something after so many seconds."""

    @property
    def ask(self) -> Callable[[Callable[[], Any], Callable[[Any], None]], None]:
        """Asks a question in another thread and gives the answer in the event loop's; None where it could not be answered."""

    def overdrawn(self, grown: int) -> bool:
        """Account for bytes held; whether that is too much."""

    def complain(self, who: object, why: str) -> None:
        """Write down what was refused."""
