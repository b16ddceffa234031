"""Our own MQTT server: devices publish to it, and a PUBACK says that what they sent is on disk.

One thread runs the event loop and all connections (`mqtt.session`); what they bring waits in the inbox; the main loop takes it as
deliveries, and its `acknowledge` sends the PUBACKs. Memory is bounded whoever floods: of a connection with `receive_maximum` packets
under way, of a carrier of which two deliveries wait or that is beyond its rates, nothing more is read, and TCP makes it wait.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import resource
import socket
import threading
from collections.abc import Callable, Sequence

from monitor.errors import ServiceError
from monitor.ingest.inbox import Arrival as Taken
from monitor.ingest.inbox import Inbox
from monitor.ingest.mqtt.asking import Asker
from monitor.ingest.mqtt.certificates import server_context
from monitor.ingest.mqtt.fields import Reason
from monitor.ingest.mqtt.hall import ARRIVAL_PACKETS, Arrival, Hall
from monitor.ingest.mqtt.handshake import Authenticate
from monitor.ingest.mqtt.outbound import Letter, receipt_letter
from monitor.ingest.mqtt.outside import ALONE, Outside
from monitor.ingest.mqtt.revocation import Revocation
from monitor.ingest.mqtt.secure import Secure
from monitor.ingest.mqtt.session import Connection
from monitor.ingest.sequence import Receipt
from monitor.settings import Ingest
from monitor.settings import Listener as Limits

log = logging.getLogger("monitor.listener")

TICK_S = 0.5
BACKLOG = 1024
OTHER_FILES = 100
"""Files that a monitor has open beside its connections, at most."""
KERNEL_SEND_BYTES = 65_536
"""Answers are small; left alone, the kernel would hold megabytes for each client that does not read."""
LAST_COMMIT_S = 30.0
"""How long closing waits for the commit of the delivery under way."""
GOODBYE_S = 1.0
"""How long the clients have to take their leave."""


def warnings(ingest: Ingest) -> list[str]:
    """What is allowed but unwise: tokens and positions in the clear on a network; more connections than there may be open files."""
    limits = ingest.listener
    if ingest.source == "broker":
        return []
    said = []
    if not limits.tls_certificate and not _loopback(limits.host):
        clear = "without ingest.listener.tls_certificate, tokens and positions cross the network in the clear"
        said.append(f"ingest.listener.host = {limits.host}: {clear}")
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and limits.max_connections + OTHER_FILES > files:
        open_files = f"this system allows {files} open files, and each connection is one"
        said.append(f"ingest.listener.max_connections = {limits.max_connections}: {open_files}")
    return said


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Listener:
    """An MQTT 3.1.1 and 5 server as a door.

    `start` binds and serves. `authenticate` is given user name and password, in a thread of its own; what else is
    asked of the program is in `outside`. Every delivery that is not empty must be acknowledged, else reading stops.
    """

    def __init__(self, limits: Limits, batch_messages: int, authenticate: Authenticate, outside: Outside = ALONE) -> None:
        self._limits = limits
        self._inbox = Inbox(batch_messages)
        self._loop = loop = asyncio.new_event_loop()
        self._asker = Asker(self._tell, "clients wait for what they subscribed to")
        self._porter = Asker(self._tell, "clients wait to be let in")
        self._hall = Hall(
            limits,
            authenticate,
            outside,
            self._inbox,
            loop.time,
            loop.call_later,
            self._asker.ask,
            self._porter.ask,
            self,
            min(ARRIVAL_PACKETS, batch_messages),
        )
        self._revocation = Revocation(self._hall, self._tell)
        self._context = server_context(limits)
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._server: asyncio.Server | None = None
        self._acknowledged = 0
        self._closing = self._goodbye = False
        self.port = limits.port
        """The TCP port; after `start` the one really bound."""

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._hall.connections)

    @property
    def held(self) -> int:
        """Bytes of unfinished packets, and of what stands for new subscribers."""
        return self._hall.unfinished

    @property
    def refused(self) -> int:
        """How many were closed for what they did, or not let in, since the start."""
        return self._hall.refused

    def start(self, inbox: Inbox) -> None:
        """Bind and begin to serve.

        Raises
        ------
        ServiceError
            If the address cannot be bound; the text says why.
        """
        self._inbox = self._hall.inbox = inbox
        sock = _bound(self._limits.host, self._limits.port)
        self.port = sock.getsockname()[1]
        self._server = self._loop.run_until_complete(self._loop.create_server(self._welcome, sock=sock, backlog=BACKLOG))
        log.info("listening on %s port %d%s", self._limits.host, self.port, " by TLS" if self._context else "")
        self._thread.start()

    def reload(self, limits: Limits | None = None) -> None:
        """Read the TLS files anew, for connections from now on; and go by other limits, where they are given. Address and port stay.

        Raises
        ------
        ConfigurationError
            If a file is not what it should be; then everything stays as it was.
        """
        limits = limits or self._limits
        context = server_context(limits)
        self._tell(lambda: self._go_by(limits))
        self._limits, self._context = limits, context

    def publish(self, carrier: str, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send a message to those of a carrier's clients who subscribed to its topic; from any thread.

        With `retain` it is sent to those, too, who subscribe later, until it is published empty.
        """
        self._tell(lambda: self._hall.post(carrier, Letter(topic, payload, retained=retain)))

    def acknowledge(self, arrivals: Sequence[Taken], receipts: Sequence[Receipt]) -> None:
        """Send the PUBACKs of what is on disk, then the receipts and statuses to whoever subscribed to them."""
        mine = [arrival for arrival in arrivals if isinstance(arrival, Arrival)]
        self._tell(lambda: self._acknowledge(mine, receipts))

    def fault(self) -> str | None:
        """Say so where the thread that serves has died."""
        return None if self._thread.is_alive() else "the MQTT listener stopped serving; see the log"

    def close(self) -> None:
        """Stop accepting; clients take their leave once the delivery under way is acknowledged."""
        if self._thread.is_alive():
            self._tell(self._stop)

    def join(self) -> None:
        """Wait until every client has left."""
        self._asker.close()
        self._porter.close()
        self._revocation.close()
        if self._thread.ident is None:
            self._loop.close()
        elif threading.current_thread() is not self._thread:
            self._thread.join()

    def _tell(self, task: Callable[[], None]) -> None:
        """Have the event loop do something; nothing if it is over."""
        try:
            self._loop.call_soon_threadsafe(task)
        except RuntimeError:  # closed between the commit and its acknowledgement: it will be sent again
            log.info("the listener is closed")

    # -- in the event loop's thread --

    def _welcome(self) -> asyncio.BufferedProtocol:
        connection = Connection(self._hall)
        return Secure(connection, self._context) if self._context else connection

    def _go_by(self, limits: Limits) -> None:
        self._hall.limits = limits
        for quota in self._hall.quotas.values():
            quota.change(limits.carrier_messages_per_s, limits.carrier_bytes_per_s)

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
        self._revocation.look()
        self._loop.call_later(TICK_S, self._sweep)

    def _acknowledge(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt]) -> None:
        owed: dict[Connection, list[bytes]] = {}
        counts: dict[Connection, int] = {}
        for arrival in arrivals:
            owed.setdefault(arrival.connection, []).extend(arrival.receipts)
            counts[arrival.connection] = counts.get(arrival.connection, 0) + arrival.count
        for connection, packets in owed.items():
            connection.acknowledge(packets, counts[connection])
        if self._hall.subscriptions:
            self._forward(arrivals, receipts)
        self._acknowledged += 1
        if self._closing:
            self._say_goodbye_when_committed()
        else:
            self._hall.resume()

    def _forward(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt]) -> None:
        """Tell subscribers what is on disk now."""
        for arrival in arrivals:
            for status in arrival.statuses:
                self._hall.post(arrival.carrier, Letter(status.topic, status.payload, retained=True), arrival.connection)
        for receipt in receipts:
            self._hall.post(receipt.vehicle.carrier, receipt_letter(receipt), self)

    def _stop(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._server is not None:
            self._server.close()
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
