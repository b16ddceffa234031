"""One MQTT connection of our listener: who it is, what it may do, what it still has to be told.

A connection says CONNECT first, within the time allowed; then it publishes. A PUBLISH becomes a message, a refusal kept as
evidence, or nothing (`status`); its PUBACK goes out after the commit, in the order of receipt, on the connection it came on or
not at all. What breaks a rule is told so (MQTT 5) and closed; what comes after that is read and dropped for a moment, so that the
answer arrives.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

from monitor.fixes import Identity, Reject
from monitor.ingest.delivery import Message
from monitor.ingest.mqtt import answers, packets
from monitor.ingest.mqtt.fields import ProtocolError, Reason, text
from monitor.ingest.mqtt.framing import Framer
from monitor.ingest.mqtt.hall import Arrival, Hall
from monitor.ingest.mqtt.handshake import admit
from monitor.ingest.mqtt.packets import V5, Kind
from monitor.ingest.topics import FIX, TRIP, Address, Refusal, publishable, subscribable, valid_pattern

log = logging.getLogger("monitor.listener")

CONNECT_BYTES = 16_384
"""A CONNECT larger than this is refused: nobody unknown makes us hold more."""
TOPICS_KEPT = 4096
"""Topics a connection keeps parsed; a vehicle has two, a gateway many."""
LINGER_S = 2.0
"""How long a closed client may take to read why."""


class Connection(asyncio.BufferedProtocol):
    """One client, from its TCP connection to its loss."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._framer = Framer(min(CONNECT_BYTES, hall.limits.max_packet_bytes))
        self._topics: dict[bytes, Address] = {}
        self._arrival = Arrival(self)
        self._transport: asyncio.Transport = asyncio.Transport()
        self._version = 0
        self._identity: Identity | None = None
        self._session = ("", "")
        self._heard = self._opened = hall.now()
        self._patience = hall.limits.connect_timeout.total_seconds()
        self._closed_at: float | None = None
        self._answers = bytearray()
        self._refused = 0
        self.under_way = 0
        """Packets taken and not yet committed."""

    def __str__(self) -> str:
        return f"{self._session[0]}/{self._session[1]!r}" if self._identity else "stranger"

    # -- called by the event loop --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit it unless the house is full; its first packet must come in time."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._hall.limits.send_buffer_bytes)
        self._hall.connections.add(self)
        if len(self._hall.connections) > self._hall.limits.max_connections:
            log.warning("refused a connection: %d are open already", self._hall.limits.max_connections)
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the shared buffer, or only a little of it where caution is due."""
        del sizehint
        return self._hall.lend(known=self._identity is not None)

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came, hand over what it held, stop reading when too much is under way."""
        if self._closed_at is not None:
            return
        hall = self._hall
        self._heard = hall.now()
        held = self._framer.held
        try:
            self._read(bytes(hall.buffer[:nbytes]))
        except ProtocolError as fault:
            self._fail(fault)
        if hall.overdrawn(self._framer.held - held):
            self.close(Reason.QUOTA_EXCEEDED, "too much is held of unfinished packets")
        self._hand_over()
        self._flush()
        if self.under_way >= hall.limits.receive_maximum or (self.under_way and hall.inbox.full):
            self._transport.pause_reading()
            hall.paused.add(self)

    def pause_writing(self) -> None:
        """Close a client that does not read its answers."""
        log.warning("%s: closed, it does not read", self)
        self.abort()

    def eof_received(self) -> bool:
        """Close with the client."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; what it sent is committed all the same, its receipts go nowhere."""
        hall = self._hall
        hall.overdrawn(-self._framer.held)
        hall.connections.discard(self)
        hall.paused.discard(self)
        if hall.sessions.get(self._session) is self:
            del hall.sessions[self._session]
        if self._identity:
            log.info("%s: gone%s; %d refused", self, f", {exc}" if exc else "", self._refused)
        self._closed_at = self._closed_at or hall.now()

    # -- called by the listener, in the event loop's thread --

    def acknowledge(self, receipts: Sequence[bytes], count: int) -> None:
        """Tell the client that `count` packets are on disk; `receipts` are those that asked."""
        self.under_way -= count
        if receipts and self._closed_at is None:
            self._transport.write(answers.pubacks(receipts))

    def resume(self) -> None:
        """Read again; the silence was ours."""
        self._heard = self._hall.now()
        self._hall.paused.discard(self)
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def check(self, now: float) -> None:
        """Close it if it is overdue: with its CONNECT, its keep-alive, or with leaving."""
        if self._closed_at is not None:
            if now - self._closed_at > LINGER_S:
                self._transport.abort()
        elif self._identity is None:
            if now - self._opened > self._patience:
                log.info("stranger: closed, no CONNECT in %g s", self._patience)
                self.abort()
        elif now - self._heard > self._patience and self not in self._hall.paused:
            self.close(Reason.KEEP_ALIVE_TIMEOUT, f"silent for {self._patience:g} s")

    def abort(self) -> None:
        """Close it at once, unread answers and all."""
        self._closed_at = self._closed_at or self._hall.now()
        self._transport.abort()

    def close(self, reason: Reason, why: str) -> None:
        """Say why, where the version can, and close."""
        if self._closed_at is not None:
            return
        log.info("%s: closed, %s", self, why)
        self._leave(answers.disconnect(self._version, reason))

    # -- packets --

    def _read(self, data: bytes) -> None:
        if not self._version and not self._framer.held and data[0] != Kind.CONNECT << 4:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "the first packet is not CONNECT")  # HTTP, TLS: do not wait for more
        for first, body in self._framer.feed(data):
            if first & 0xF0 == 0x30 and self._identity is not None:
                self._publish(first, body, self._identity)
            else:
                self._answer(first, body)
            if self._closed_at is not None:
                return

    def _publish(self, first: int, body: bytes, identity: Identity) -> None:
        topic, receipt, payload = packets.publish(first, body, self._version)
        arrival = self._arrival
        address = self._topics.get(topic) or self._resolve(topic, receipt, payload, identity)
        if address is not None:
            if receipt:
                arrival.receipts.append(receipt)
            if address.channel in (FIX, TRIP):
                arrival.messages.append(Message(address.carrier, address.vehicle, address.topic, payload))
        arrival.count += 1
        arrival.size += len(payload)
        if arrival.count >= self._hall.arrival_packets:
            self._hand_over()

    def _resolve(self, topic: bytes, receipt: bytes, payload: bytes, identity: Identity) -> Address | None:
        """Parse a topic seen for the first time; None if it is refused, which has been answered and noted then."""
        try:
            name = text(topic)
        except ProtocolError as fault:
            self._note(topic.decode("utf-8", "backslashreplace"), f"topic: {fault}", payload, identity)
            raise
        address = publishable(identity, name)
        if isinstance(address, Address):
            if len(self._topics) >= TOPICS_KEPT:
                self._topics.clear()
            self._topics[topic] = address
            return address
        self._note(name, address.reason, payload, identity)
        self._refuse(address, receipt)
        return None

    def _note(self, topic: str, reason: str, payload: bytes, identity: Identity) -> None:
        if not self._refused:
            log.warning("%s: PUBLISH refused, %s; further ones are only counted", self, reason)
        self._refused += 1
        self._arrival.rejects.append(Reject(identity.carrier, identity.vehicle or "", topic, reason, payload))

    def _refuse(self, refusal: Refusal, receipt: bytes) -> None:
        """MQTT 5 says why in the PUBACK, in its turn; at QoS 0, and in 3.1.1, there is only closing."""
        reason = Reason.NOT_AUTHORIZED if refusal.foreign else Reason.TOPIC_INVALID
        if self._version == V5 and receipt:
            self._arrival.receipts.append(receipt + bytes([reason]))
        else:
            self.close(reason, refusal.reason)

    def _hand_over(self) -> None:
        arrival = self._arrival
        if arrival.count or arrival.rejects:
            arrival.count = max(arrival.count, 1)
            self.under_way += arrival.count
            self._arrival = Arrival(self)
            self._hall.inbox.put(arrival)

    def _answer(self, first: int, body: bytes) -> None:
        if self._identity is None:
            self._version = packets.protocol_level(body)
            self._admit(packets.connect(body, self._version))
            return
        kind = packets.check_flags(first)
        if kind is Kind.CONNECT:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "a second CONNECT")
        if kind is Kind.SUBSCRIBE:
            self._subscribe(body, self._identity)
        elif kind is Kind.UNSUBSCRIBE:
            self._answers += answers.unsuback(self._version, *packets.unsubscribe(body, self._version))
        else:
            packets.check_end(kind, body, self._version)
            if kind is Kind.PINGREQ:
                self._answers += answers.PINGRESP
            elif kind is Kind.DISCONNECT:
                log.info("%s: disconnected", self)
                self._leave(b"")

    def _subscribe(self, body: bytes, identity: Identity) -> None:
        asked = packets.subscribe(body, self._version)
        codes = [self._granted(pattern, qos, identity) for pattern, qos in asked.filters]
        if asked.identified:
            codes = [Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED] * len(codes)
        self._answers += answers.suback(self._version, asked.packet_id, codes)

    def _granted(self, pattern: str, qos: int, identity: Identity) -> int:
        if subscribable(identity, pattern):
            return min(qos, 1)
        if pattern.startswith("$share/"):
            return Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
        return Reason.NOT_AUTHORIZED if valid_pattern(pattern) else Reason.FILTER_INVALID

    def _admit(self, hello: packets.Connect) -> None:
        hall = self._hall
        admission = admit(hello, self._version, hall.limits, hall.authenticate)
        self._identity = admission.identity
        self._patience = admission.silence_s
        self._framer.limit = hall.limits.max_packet_bytes
        self._session = (admission.identity.carrier, admission.client_id)
        old = hall.sessions.get(self._session)
        hall.sessions[self._session] = self
        if old is not None:
            old.close(Reason.SESSION_TAKEN_OVER, "another connection took its client id")
        log.info("%s: connected, MQTT %s", self, "5" if self._version == V5 else "3.1.1")
        self._answers += admission.answer

    def _flush(self) -> None:
        """One write a read, however many small packets it answers."""
        if self._answers:
            self._transport.write(bytes(self._answers))
            self._answers.clear()

    # -- the end --

    def _fail(self, fault: ProtocolError) -> None:
        log.warning("%s: closed, %s", self, fault)
        if self._identity is not None:
            self._leave(answers.disconnect(self._version, fault.reason))
        elif self._version or fault.reason is Reason.UNSUPPORTED_VERSION:
            self._leave(answers.connack(self._version, fault.reason))
        else:
            self._leave(b"")

    def _leave(self, last: bytes) -> None:
        """Send the last word and close our side; the rest of theirs is dropped until they close too, or for `LINGER_S`."""
        if self._closed_at is not None or self._transport.is_closing():
            return
        self._closed_at = self._hall.now()
        self._answers += last
        self._flush()
        if self in self._hall.paused:
            self.resume()  # else their closing goes unnoticed
        try:
            self._transport.write_eof()
        except OSError:  # they have gone first
            self._transport.abort()
