"""The HTTP server as a door: its own thread serves, and a request is answered when the main loop says that it is on disk."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Sequence

from monitor.ingest.feeds import NO_FEEDS, Feeds
from monitor.ingest.inbox import Arrival, Inbox
from monitor.ingest.sequence import Receipt
from monitor.settings import Web
from monitor.web.api import Vitals, create_api
from monitor.web.callers import Credentials
from monitor.web.reception import Judge, Posted, Reception
from monitor.web.server import LEAVE_S, bound, load, server, tls, token_of

log = logging.getLogger("monitor.web")

LAST_COMMIT_S = 30.0
"""How long closing waits for the commit of the delivery under way."""


class HttpDoor:
    """Positions by POST, health and metrics, over HTTP.

    `credentials`, `judge` and `vitals` are asked in threads of the server's.
    """

    def __init__(
        self,
        settings: Web,
        credentials: Credentials,
        judge: Judge,
        vitals: Vitals,
        feeds: Feeds = NO_FEEDS,
    ) -> None:
        self.settings = settings
        self.port = settings.port
        """The TCP port; after `start` the one really bound."""
        self._vitals = vitals
        self._reception = Reception(self, credentials, judge, feeds)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._tls: ssl.SSLContext | None = None
        self._acknowledged = 0

    def start(self, inbox: Inbox) -> None:
        """Bind and begin to serve.

        Raises
        ------
        ServiceError
            If the address cannot be bound, or the certificate or the token cannot be read; the text says why.
        """
        api = create_api(self._reception, self._vitals, self.settings.max_body_bytes, token_of(self.settings))
        self._tls = tls(self.settings)
        self._socket = bound(self.settings)
        self.port = self._socket.getsockname()[1]
        self._server = server(api, self._tls)
        self._reception.inbox = inbox
        self._thread.start()
        log.info("HTTP on %s port %d", self.settings.host, self.port)

    def reload(self) -> None:
        """Read certificate and key anew, for the connections to come.

        Raises
        ------
        ServiceError
            If they cannot be used; those read before stay in use.
        """
        if self._tls is not None:
            load(self._tls, self.settings)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._server.server_state.connections) if self._thread.is_alive() else 0

    def acknowledge(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt]) -> None:
        """Answer the requests that are on disk."""
        mine = [arrival for arrival in arrivals if isinstance(arrival, Posted)]
        self._tell(lambda: self._committed(mine, receipts))

    def fault(self) -> str | None:
        """Say so where the thread that serves has died."""
        return None if self._thread.is_alive() else "the HTTP server stopped serving; see the log"

    def close(self) -> None:
        """Take in nothing more; requests are answered once the delivery under way is acknowledged."""
        if self._thread.is_alive():
            self._tell(self._stop)

    def join(self) -> None:
        """Wait until every request is answered: what is not on disk by now will not be."""
        if self._thread.ident is None:
            self._loop.close()
            self._reception.close()
        elif threading.current_thread() is not self._thread:
            self._tell(self._finish)
            self._thread.join(2 * LEAVE_S)

    def _tell(self, task: Callable[[], None]) -> None:
        """Have the event loop do something; nothing if it is over."""
        try:
            self._loop.call_soon_threadsafe(task)
        except RuntimeError:  # closed between the commit and its acknowledgement
            log.info("the HTTP server is closed; what was not acknowledged will be sent again")

    # -- in the event loop's thread --

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve([self._socket]))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._reception.close()
            self._loop.close()

    def _committed(self, arrivals: Sequence[Posted], receipts: Sequence[Receipt]) -> None:
        self._acknowledged += 1
        self._reception.committed(arrivals, receipts)
        if self._reception.closing:
            self._finish_when_committed()

    def _stop(self) -> None:
        if not self._reception.closing:
            self._reception.closing = True
            self._loop.call_later(LAST_COMMIT_S, self._finish)
            self._finish_when_committed()

    def _finish_when_committed(self) -> None:
        if self._acknowledged >= self._reception.inbox.deliveries:
            self._finish()

    def _finish(self) -> None:
        self._reception.give_up()
        self._server.should_exit = True
