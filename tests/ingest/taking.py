"""A stand-in for the main loop that keeps all of what it is handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monitor.findings import Finding
from monitor.ingest.delivery import Message
from monitor.ingest.ingress import Ingress
from monitor.ingest.sequence import Receipt
from tests.ingest.wire import PATIENCE_S, MainLoop


class Taker(MainLoop):
    """Also keeps statuses and findings, and gives the receipts that `receipts` makes of the messages."""

    def __init__(
        self, source: Ingress, receipts: Callable[[Sequence[Message]], Sequence[Receipt]] = lambda _messages: ()
    ) -> None:
        self.statuses: list[Message] = []
        self.findings: list[Finding] = []
        self._receipts = receipts
        super().__init__(source)

    def _run(self) -> None:
        for delivery in self._source:
            with self._changed:
                self.messages += delivery.messages
                self.rejects += delivery.rejects
                self.statuses += delivery.statuses
                self.findings += delivery.findings
                self.sizes.append(len(delivery.messages))
                self._changed.notify_all()
            self.commit.wait(PATIENCE_S)
            delivery.acknowledge(self._receipts(delivery.messages))
