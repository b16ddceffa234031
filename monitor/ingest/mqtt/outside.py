"""What the listener asks of the rest of the program: whether a credential holds, and what a subscriber is owed.

What needs the database is asked in a thread of the listener's own, where it holds up nobody; it may raise `MonitorError`, and
is asked again then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monitor.fixes import Identity, VehicleId
from monitor.ingest import topics
from monitor.ingest.sequence import Receipt
from monitor.ingest.topics import Address, Refusal


class Pass(NamedTuple):
    """What a connection was admitted with: enough to ask later whether it still holds, never the secret itself."""

    username: str = ""
    proof: bytes = b""
    """SHA-256 of the token or password; empty without one."""
    fingerprint: str = ""
    """SHA-256 of the client certificate, hexadecimal; empty without one."""


def _ours(identity: Identity, topic: str) -> Address | Refusal:
    return topics.publishable(identity, topic)


def _unchanged() -> int:
    return 0


def _always(_username: str, _proof: bytes, _fingerprint: str) -> bool:
    return True


def _no_receipts(_vehicles: Sequence[VehicleId]) -> Sequence[Receipt]:
    return ()


def _no_statuses(_carrier: str) -> Mapping[str, bytes]:
    return {}


@dataclass(frozen=True, slots=True)
class Outside:
    """The questions; by default a listener that stands alone."""

    publishable: Callable[[Identity, str], Address | Refusal] = _ours
    """What a topic is to a client that publishes to it; asked in the event loop's thread."""
    subscribable: Callable[[Identity, str], bool] = topics.subscribable
    """Whether a client may subscribe to a filter; asked in the event loop's thread."""
    revision: Callable[[], int] = _unchanged
    """How many times the credentials have changed."""
    holds: Callable[[str, bytes, str], bool] = _always
    """Whether a `Pass` is valid still."""
    standing: Callable[[Sequence[VehicleId]], Sequence[Receipt]] = _no_receipts
    """What vehicles are told of their numbers when they ask; so many at once that it takes a moment."""
    retained: Callable[[str], Mapping[str, bytes]] = _no_statuses
    """The last status of each vehicle of a carrier."""


ALONE = Outside()
