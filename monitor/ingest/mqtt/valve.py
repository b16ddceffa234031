"""Whether a connection is read from: not while too much of it waits for its commit, nor while its carrier is beyond its rates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from monitor.ingest.mqtt.hall import ADMISSION, COMMIT, RATE, Hall
from monitor.ingest.mqtt.intake import Intake

if TYPE_CHECKING:
    from monitor.ingest.mqtt.session import Connection


class Valve:
    """The pauses of one connection, and when it was last heard."""

    __slots__ = ("_hall", "_line", "_shut", "_transport", "heard")

    def __init__(self, line: Connection, hall: Hall) -> None:
        self._line, self._hall = line, hall
        self._transport: asyncio.Transport = asyncio.Transport()
        self._shut = 0
        self.heard = hall.now()
        """Monotonic seconds; a silence that was ours does not count."""

    @property
    def shut(self) -> bool:
        """Whether nothing is read."""
        return bool(self._shut)

    def fit(self, transport: asyncio.Transport) -> None:
        """Take what it opens and shuts."""
        self._transport = transport

    def passed(self, nbytes: int, intake: Intake) -> None:
        """Count what was read against the carrier's rates, and shut where there is too much of anything."""
        line, hall = self._line, self._hall
        quota = hall.quota(line.carrier)
        wait = quota.spend(intake.handed, nbytes, self.heard)
        intake.handed = 0
        if not line.present:  # it is closed, and its own closing must be seen
            return
        if wait and not self._shut & RATE:
            self._close(RATE)
            hall.hold_back(line, wait)
            finding = quota.finding(line.carrier, line.client_id, self.heard)
            if finding is not None:
                hall.complain(line, finding.detail)
                intake.tell(finding)
                intake.hand_over()
        if line.under_way >= hall.limits.receive_maximum or (line.under_way and hall.inbox.full(line.carrier)):
            hall.paused.add(line)
            self._close(COMMIT)

    def wait(self) -> None:
        """Read nothing until it is known who this is."""
        self._close(ADMISSION)

    def _close(self, why: int) -> None:
        self._shut |= why
        self._transport.pause_reading()

    def open(self, why: int = COMMIT | RATE | ADMISSION) -> None:
        """Read again where nothing else stands in the way."""
        self.heard = self._hall.now()
        was, self._shut = self._shut, self._shut & ~why
        if was and not (self._shut or self._transport.is_closing()):
            self._transport.resume_reading()
