"""The way in: one iterator of deliveries for the main loop, however many doors there are.

A *door* is where messages come in: our MQTT listener, a subscription at a broker, HTTP. Each fills the one inbox from its own thread;
what a delivery took from it, the door acknowledges after the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from monitor.errors import ServiceError
from monitor.ingest.delivery import Delivery
from monitor.ingest.inbox import Arrival, Inbox
from monitor.ingest.sequence import Receipt

TICK_S = 1.0


class Door(Protocol):
    """Where messages come in. `close` may be called from any thread or a signal handler; all else is the main loop's thread."""

    def start(self, inbox: Inbox) -> None:
        """Begin to serve; raises `ServiceError` where the address or the other side is in the way."""
        ...

    def acknowledge(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt]) -> None:
        """Tell the senders that these are on disk, the door's own of one delivery, and the devices which of their numbers are.

        It is called for every delivery that is not empty, also where none of its arrivals is this door's.
        """
        ...

    def fault(self) -> str | None:
        """Why it does not serve any more; None while it does."""
        ...

    def close(self) -> None:
        """Take in nothing more; returns at once, and what was taken is still acknowledged."""
        ...

    def join(self) -> None:
        """Wait, for some seconds at most, until it is gone."""
        ...


class Ingress:
    """An iterator of deliveries; `close` may be called from any thread or a signal handler and ends it after the one under way."""

    def __init__(self, doors: Sequence[Door], batch_messages: int) -> None:
        self.doors = doors
        self.inbox = Inbox(batch_messages)
        self._iterating = self._ending = False

    def start(self) -> None:
        """Open every door, or none.

        Raises
        ------
        ServiceError
            If one cannot be opened; the text says why.
        """
        with ExitStack() as opened:
            for door in self.doors:
                door.start(self.inbox)
                opened.callback(door.join)
                opened.callback(door.close)
            opened.pop_all()

    def __iter__(self) -> Iterator[Delivery]:
        """Yield what arrived, an empty delivery each second without anything; ends after `close`.

        Raises
        ------
        ServiceError
            If a door has stopped serving.
        """
        self._iterating = True
        try:
            while not self._ending and (arrivals := self.inbox.take(TICK_S)) is not None:
                faults = [fault for door in self.doors if (fault := door.fault())]
                if faults and not self._ending:
                    raise ServiceError(faults[0])
                yield self._delivery(arrivals)
        finally:
            self._iterating = False
            self._leave()

    def close(self) -> None:
        """Close every door and end the iteration; waits for the doors only where nobody iterates."""
        self._ending = True
        if self._iterating:
            self._shut()
        else:
            self._leave()

    def _shut(self) -> None:
        self.inbox.close()
        for door in self.doors:
            door.close()

    def _leave(self) -> None:
        self._shut()
        for door in self.doors:
            door.join()

    def _delivery(self, arrivals: Sequence[Arrival]) -> Delivery:
        if not arrivals:
            return Delivery(())
        only = arrivals[0].messages if len(arrivals) == 1 else [m for a in arrivals for m in a.messages]
        return Delivery(
            only,
            [reject for arrival in arrivals for reject in arrival.rejects],
            partial(self._acknowledge, arrivals),
            [status for arrival in arrivals for status in arrival.statuses],
            [finding for arrival in arrivals for finding in arrival.findings],
        )

    def _acknowledge(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt] = ()) -> None:
        for door in self.doors:
            door.acknowledge([arrival for arrival in arrivals if arrival.door is door], receipts)
