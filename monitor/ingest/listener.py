"""Our own MQTT server: devices publish to it, and a PUBACK says that what they sent is on disk.

One thread runs the event loop and all connections (`mqtt.session`); what they bring waits in the inbox; the main loop takes it as
deliveries, and its `acknowledge` sends the PUBACKs. Memory is bounded whoever floods: of a connection with `receive_maximum`
packets under way, and of every sender while two deliveries are waiting, nothing more is read, and TCP makes it wait.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

from monitor.errors import ServiceError
from monitor.ingest.delivery import Delivery
from monitor.ingest.inbox import Inbox
from monitor.ingest.mqtt.fields import Reason
from monitor.ingest.mqtt.hall import ARRIVAL_PACKETS, Arrival, Hall
from monitor.ingest.mqtt.handshake import Authenticate
from monitor.ingest.mqtt.session import Connection
from monitor.settings import Listener as Limits

log = logging.getLogger("monitor.listener")

TICK_S = 1.0
BACKLOG = 1024
KERNEL_SEND_BYTES = 65_536
"""Answers are small; left alone, the kernel would hold megabytes for each client that does not read."""
LAST_COMMIT_S = 30.0
"""How long closing waits for the commit of the delivery under way."""
GOODBYE_S = 1.0
"""How long the clients have to take their leave."""


class Listener:
    """An MQTT 3.1.1 and 5 server as a source of deliveries.

    `start` binds; iterate; `close` may be called from any thread or a signal handler, and the iteration ends after the delivery
    under way. `authenticate` is given user name and password in the event loop's thread and must be quick. Every delivery that is
    not empty must be acknowledged, else reading stops.
    """

    def __init__(self, limits: Limits, batch_messages: int, authenticate: Authenticate) -> None:
        self._limits = limits
        self._inbox: Inbox[Arrival] = Inbox(batch_messages)
        self._loop = asyncio.new_event_loop()
        self._hall = Hall(limits, authenticate, self._inbox, self._loop.time, min(ARRIVAL_PACKETS, batch_messages))
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._server: asyncio.Server | None = None
        self._acknowledged = 0
        self._closing = self._goodbye = False
        self._iterating = self._ending = False
        self.port = limits.port
        """The TCP port; after `start` the one really bound."""

    def start(self) -> None:
        """Bind and begin to serve.

        Raises
        ------
        ServiceError
            If the address cannot be bound; the text says why.
        """
        sock = _bound(self._limits.host, self._limits.port)
        self.port = sock.getsockname()[1]
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: Connection(self._hall), sock=sock, backlog=BACKLOG)
        )
        log.info("listening on %s port %d", self._limits.host, self.port)
        self._thread.start()

    def __iter__(self) -> Iterator[Delivery]:
        """Yield what arrived, an empty delivery each second without anything; ends after `close`.

        Raises
        ------
        ServiceError
            If the thread that serves has died.
        """
        self._iterating = True
        try:
            while not self._ending and (arrivals := self._inbox.take(TICK_S)) is not None:
                if not self._thread.is_alive():
                    raise ServiceError("the MQTT listener stopped serving; see the log")
                yield self._delivery(arrivals)
        finally:
            self._iterating = False
        self._thread.join()

    def close(self) -> None:
        """Stop accepting and end the iteration; blocks only where nobody iterates."""
        self._ending = True
        awaited = self._iterating
        if self._thread.ident is None:
            self._loop.close()
        elif self._thread.is_alive():
            self._tell(self._stop)
            if not awaited and threading.current_thread() is not self._thread:
                self._thread.join()

    def _delivery(self, arrivals: Sequence[Arrival]) -> Delivery:
        if not arrivals:
            return Delivery(())
        messages = arrivals[0].messages if len(arrivals) == 1 else [m for a in arrivals for m in a.messages]
        rejects = [r for a in arrivals for r in a.rejects]
        return Delivery(messages, rejects, lambda: self._tell(lambda: self._acknowledge(arrivals)))

    def _tell(self, task: Callable[[], None]) -> None:
        """Have the event loop do something; nothing if it is over."""
        try:
            self._loop.call_soon_threadsafe(task)
        except RuntimeError:  # closed between the commit and its acknowledgement
            log.info("the listener is closed; what was not acknowledged will be sent again")

    # -- in the event loop's thread --

    def _run(self) -> None:
        self._sweep()
        try:
            self._loop.run_forever()
        finally:
            self._inbox.close()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in list(self._hall.connections):
            connection.check(now)
        self._loop.call_later(TICK_S, self._sweep)

    def _acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        owed: dict[Connection, list[bytes]] = {}
        counts: dict[Connection, int] = {}
        for arrival in arrivals:
            owed.setdefault(arrival.connection, []).extend(arrival.receipts)
            counts[arrival.connection] = counts.get(arrival.connection, 0) + arrival.count
        for connection, receipts in owed.items():
            connection.acknowledge(receipts, counts[connection])
        self._acknowledged += 1
        if self._closing:
            self._say_goodbye_when_committed()
        else:
            self._hall.resume()

    def _stop(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._server is not None:
            self._server.close()
        self._inbox.close()
        self._loop.call_later(LAST_COMMIT_S, self._say_goodbye)
        self._say_goodbye_when_committed()

    def _say_goodbye_when_committed(self) -> None:
        if self._acknowledged >= self._inbox.deliveries:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self._goodbye:
            return
        self._goodbye = True
        for connection in list(self._hall.connections):
            connection.close(Reason.SERVER_SHUTTING_DOWN, "the monitor is shutting down")
        self._leave_when_empty(self._loop.time() + GOODBYE_S)

    def _leave_when_empty(self, deadline: float) -> None:
        if not self._hall.connections:
            self._loop.stop()
        elif self._loop.time() < deadline:
            self._loop.call_later(0.02, self._leave_when_empty, deadline)
        else:
            for connection in list(self._hall.connections):
                connection.abort()
            self._loop.call_later(0.02, self._loop.stop)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_SEND_BYTES)  # connections inherit it
        return sock
    except OSError as error:
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs more rights than this user has"}
        reason = reasons.get(error.errno or 0, f"cannot be listened on: {error.strerror or error}")
        raise ServiceError(f"port {port} on {host} {reason}; set ingest.listener.port or ingest.listener.host") from error
