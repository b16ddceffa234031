"""One connection to a broker, from CONNECT to its end: everything in it happens in the thread that calls `hold`.

paho speaks MQTT 5: the client id is fixed and the session kept, so that the broker holds what comes while we are away. Messages are
acknowledged by hand. Packet ids start over with each connection, and so does this object: an acknowledgement belongs to the
conversation that its message came in, and goes nowhere once that is over. An unacknowledged message comes again in the next.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque
from collections.abc import Hashable, Sequence
from itertools import cycle
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from monitor.ingest.mqtt.fields import ProtocolError
from monitor.ingest.uplink.client import Client
from monitor.ingest.uplink.mail import Letter, Mail
from monitor.ingest.uplink.stream import PUBACK, Stream, whole
from monitor.settings import Broker as Address

log = logging.getLogger("monitor.broker")

ANSWER_S = 15.0
"""How long the broker may take to answer CONNECT and SUBSCRIBE."""
WINDOW = 1000
"""Letters under way at most; the broker may allow fewer."""
TURN_MS = 250
LAST_WORDS_S = 2.0
"""How long it may take to write the last acknowledgements."""
ACKNOWLEDGED, QOS_1, RETAIN = b"\x40\x02", 0x32, 0x01
TAKEN_OVER, FAILURE = 0x8E, 0x80
FIRST_ID, LAST_ID = 1001, 61_000
"""Packet ids of our letters; paho takes its own, for its one SUBSCRIBE, from 1 on."""


class Hearer(Protocol):
    """Who is told what happens, in the thread of the conversation."""

    def crowded(self) -> bool:
        """Whether nothing more should be read for now."""
        ...

    def message(self, conversation: Conversation, first: int, body: bytes) -> None:
        """Take a PUBLISH of QoS 0 or 1: its first byte and its body."""
        ...

    def piece(self) -> None:
        """Hand on what was heard: for the moment there is no more."""
        ...

    def welcomed(self, *, session_kept: bool) -> None:
        """Connected."""
        ...

    def subscribed(self, refused: Sequence[str]) -> None:
        """The broker has answered the subscriptions; what it refuses, with its reasons."""
        ...

    def outage(self, why: str) -> None:
        """The connection is lost for a reason that somebody has to do something about."""
        ...

    def unheard(self, letter: Letter, reason: str) -> None:
        """The broker does not take a letter."""
        ...


class Bell:
    """Ends the wait of a conversation from another thread."""

    def __init__(self) -> None:
        self._in, self._out = socket.socketpair()
        self._in.settimeout(0)
        self._out.settimeout(0)

    def ring(self) -> None:
        """End the wait under way, or the next."""
        try:
            self._in.send(b"\0")
        except OSError:
            return  # it rings already, or nobody waits any more

    def quiet(self) -> None:
        """Stop ringing."""
        try:
            self._out.recv(4096)
        except BlockingIOError:
            return

    def fileno(self) -> int:
        """What to wait on."""
        return self._out.fileno()

    def close(self) -> None:
        """Give the sockets back."""
        self._in.close()
        self._out.close()


class Conversation:
    """A connection; `acknowledge`, `hush` and `leave` may be called from any thread, followed by a ring of the bell."""

    def __init__(self, address: Address, filters: Sequence[str], hearer: Hearer, mail: Mail, bell: Bell) -> None:
        self._address, self._filters, self._hearer, self._mail, self._bell = address, filters, hearer, mail, bell
        self._streams: list[Stream] = []
        self._acknowledged: deque[bytes] = deque()
        self._under_way: dict[bytes, tuple[Hashable, Letter]] = {}
        self._ids = cycle(range(FIRST_ID, LAST_ID))
        self._window = WINDOW
        self._hushed = self._leaving = False
        self._why = ""
        self.granted = 0.0
        """When the broker answered the subscriptions; 0 before."""
        self.refused = self.taken_over = False
        """Whether the broker refuses us; whether it says that another client came under the same client id."""
        self.turned = time.monotonic()
        """When the loop last turned."""

    def acknowledge(self, packets: Sequence[bytes]) -> None:
        """Acknowledge messages of this conversation by their packet ids."""
        self._acknowledged.append(b"".join([ACKNOWLEDGED + packet for packet in packets]))

    def hush(self) -> None:
        """Read no more."""
        self._hushed = True

    def leave(self) -> None:
        """Write what is to be written and end."""
        self._leaving = True

    def hold(self) -> str:
        """Talk until it ends; gives why it did.

        Raises
        ------
        OSError
            If the broker cannot be reached.
        ServiceError
            If a file that the settings name cannot be read.
        """
        client = self._made()
        try:
            self._dial(client)
            return self._talk(client) or self._why or "the connection was lost"
        except ProtocolError as error:
            return f"sent what MQTT forbids: {error}"
        finally:
            self._hearer.piece()
            for stream in self._streams:
                stream.close()
            for key, letter in self._under_way.values():
                self._mail.returned(key, letter)

    def _made(self) -> Client:
        client = Client(self._address, self._streaming)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._answered
        return client

    def _streaming(self, inner: socket.socket) -> Stream:
        stream = Stream(inner, self._hear)
        self._streams.append(stream)
        return stream

    def _hear(self, first: int, body: bytes) -> None:
        """A message, or the answer to a letter."""
        if first & 0xF0 != PUBACK:
            self._hearer.message(self, first, body)
            return
        _, letter = self._under_way.pop(body[:2], (None, None))
        if letter is not None and len(body) > 2 and body[2] >= FAILURE:
            self._hearer.unheard(letter, str(ReasonCode(PacketTypes.PUBACK, identifier=body[2])))

    def _dial(self, client: Client) -> None:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        session.SessionExpiryInterval = int(self._address.session_expiry.total_seconds())
        session.ReceiveMaximum = self._address.receive_maximum
        keepalive = max(1, round(self._address.keepalive.total_seconds()))
        client.connect(self._address.host, self._address.port, keepalive, clean_start=False, properties=session)

    def _talk(self, client: Client) -> str:
        [stream] = self._streams
        poller, begun = select.poll(), time.monotonic()
        poller.register(self._bell.fileno(), select.POLLIN)
        tended = 0.0
        while client.socket() is not None:
            if self._leaving:
                return self._last_words(client, stream)
            self._turn(client, stream, poller)
            self.turned = time.monotonic()
            if not self.granted and self.turned - begun > ANSWER_S:
                return self._why or f"did not answer in {ANSWER_S:g} s"
            if self.turned - tended > TURN_MS / 1000:
                client.loop_misc()  # keep-alive
                tended = self.turned
        return ""

    def _turn(self, client: Client, stream: Stream, poller: select.poll) -> None:
        reading = not self._hushed and not self._hearer.crowded()
        poller.register(stream.fileno(), (select.POLLIN if reading else 0) | (select.POLLOUT if stream.unsent else 0))
        for number, event in poller.poll(TURN_MS):
            if number == self._bell.fileno():
                self._bell.quiet()
            elif event & ~select.POLLOUT:  # a hang-up comes unasked
                stream.fill()
                self._hearer.piece()
        while stream.waiting and client.socket() is not None:
            client.loop_read()
        if client.socket() is not None:
            self._write(client, stream)

    def _write(self, client: Client, stream: Stream) -> None:
        while self._acknowledged:
            stream.write(self._acknowledged.popleft())
        while self.granted and len(self._under_way) < self._window and (waiting := self._mail.next()):
            key, letter = waiting
            packet = next(self._ids).to_bytes(2, "big")
            topic = letter.topic.encode()
            body = b"".join((len(topic).to_bytes(2, "big"), topic, packet, b"\0", letter.payload))
            stream.write(whole(QOS_1 | RETAIN if letter.retain else QOS_1, body))
            self._under_way[packet] = key, letter
        while client.want_write() and client.socket() is not None:
            client.loop_write()
        stream.flush()

    def _last_words(self, client: Client, stream: Stream) -> str:
        self._write(client, stream)
        client.disconnect()
        poller, until = select.poll(), time.monotonic() + LAST_WORDS_S
        while stream.unsent and stream.fileno() >= 0 and time.monotonic() < until:
            poller.register(stream.fileno(), select.POLLOUT)
            poller.poll(TURN_MS)
            stream.flush()
        return "we left"

    # -- called by paho --

    def _connected(
        self, client: paho.Client, _data: Any, flags: paho.ConnectFlags, reason: ReasonCode, said: Properties | None
    ) -> None:
        if reason.is_failure:
            self._why, self.refused = f"refuses us: {reason}", True
            return
        self._window = min(WINDOW, getattr(said, "ReceiveMaximum", WINDOW))
        asked = int(self._address.session_expiry.total_seconds())
        if (kept := getattr(said, "SessionExpiryInterval", asked)) < asked:
            log.warning(
                "the broker keeps our session for %d s only, not for the %d s of ingest.broker.session_expiry", kept, asked
            )
        self._hearer.welcomed(session_kept=flags.session_present)
        options = SubscribeOptions(1, noLocal=True, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(pattern, options) for pattern in self._filters])

    def _disconnected(
        self, _client: paho.Client, _data: Any, _flags: paho.DisconnectFlags, reason: ReasonCode, _said: Properties | None
    ) -> None:
        self.taken_over = reason.value == TAKEN_OVER
        self._why = self._why or f"the connection was lost: {reason}"

    def _answered(
        self, _client: paho.Client, _data: Any, _packet_id: int, reasons: list[ReasonCode], _said: Properties | None
    ) -> None:
        pairs = zip(self._filters, reasons, strict=True)
        self.granted = time.monotonic()
        self._hearer.subscribed([f"{pattern}: {reason}" for pattern, reason in pairs if reason.value != 1])
