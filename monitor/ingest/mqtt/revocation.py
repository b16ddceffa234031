"""Closing whoever was admitted with a credential that has ended: looked at in a thread that nothing else can keep busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from monitor.ingest.mqtt.asking import Asker
from monitor.ingest.mqtt.fields import Reason
from monitor.ingest.mqtt.hall import Hall

if TYPE_CHECKING:
    from monitor.ingest.mqtt.session import Connection


class Revocation:
    """Asks whether the credentials have changed, and then whether those of everybody connected still hold."""

    def __init__(self, hall: Hall, tell: Callable[[Callable[[], None]], None]) -> None:
        self._hall = hall
        self._asker = Asker(tell, "whoever is revoked stays connected")
        self._revision: int | None = None
        self._looking = False

    def look(self) -> None:
        """Look once, unless it is looking still; for the event loop's thread."""
        if not self._looking:
            self._looking = True
            self._asker.ask(self._hall.outside.revision, self._compare)

    def close(self) -> None:
        """Ask nothing more."""
        self._asker.close()

    def _compare(self, revision: int | None) -> None:
        """Look at what everybody was admitted with, where the credentials have changed since."""
        before, hall = self._revision, self._hall
        if revision is None or before in (None, revision):
            self._revision = before if revision is None else revision
            self._looking = False
            return
        admitted = [(connection, connection.shown) for connection in hall.connections if connection.carrier]

        def lapsed() -> list[Connection]:
            return [connection for connection, shown in admitted if not hall.outside.holds(*shown)]

        def close(found: list[Connection] | None) -> None:
            self._looking = False
            if found is not None:
                self._revision = revision
            for connection in found or ():
                connection.close(Reason.NOT_AUTHORIZED, "its credential is revoked")

        self._asker.ask(lapsed, close)
