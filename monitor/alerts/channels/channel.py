"""A channel carries a notice to its recipient: one method, and four things that can come of it.

A channel says what happened as a value and raises nothing: a failure of the network, the server or the disk is an outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from monitor.alerts.notice import Notice


@dataclass(frozen=True, slots=True)
class Sent:
    """It was taken."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Temporary:
    """It did not arrive; another try may succeed."""

    detail: str


@dataclass(frozen=True, slots=True)
class Permanent:
    """It did not arrive, and trying the same again is of no use."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have arrived: the other side went away before it answered. It is sent again, marked a repeat."""

    detail: str


Outcome = Sent | Temporary | Permanent | Unknown


class Channel(Protocol):
    """One way to tell somebody something."""

    def send(self, notice: Notice) -> Outcome:
        """Carry one notice; the same `notice.key` may come again, with `repeat` set if it may have arrived before."""
        ...
