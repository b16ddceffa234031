"""One MQTT connection of our listener: who it is, what it may do, what it still has to be told.

It says CONNECT in time; then it publishes (`intake`) and subscribes (`outbound`). A PUBACK goes out after the commit, in the order of
receipt, on the connection the message came on or not at all. What breaks a rule is told so (MQTT 5) and closed, and given a moment to
read it. Unless it ends by a DISCONNECT in order, its last will is published.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

from monitor.fixes import Identity
from monitor.ingest.mqtt import answers, fields, hello, packets
from monitor.ingest.mqtt.certificates import Certificate
from monitor.ingest.mqtt.fields import ProtocolError, Reason
from monitor.ingest.mqtt.framing import Framer
from monitor.ingest.mqtt.hall import Hall
from monitor.ingest.mqtt.handshake import CONNECT_BYTES, Gate, admit, check
from monitor.ingest.mqtt.intake import Intake
from monitor.ingest.mqtt.outbound import Outbound
from monitor.ingest.mqtt.outside import Pass
from monitor.ingest.mqtt.packets import V5, Kind
from monitor.ingest.mqtt.valve import Valve

log = logging.getLogger("monitor.listener")

LINGER_S = 2.0
"""How long a closed client may take to read why."""


class Connection(asyncio.BufferedProtocol):
    """One client, from its TCP connection to its loss."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._framer = Framer(min(CONNECT_BYTES, hall.limits.max_packet_bytes))
        self._transport: asyncio.Transport = asyncio.Transport()
        self._certificate: Certificate | str | None = None
        self._version = 0
        self._intake: Intake | None = None
        self._outbound: Outbound | None = None
        self._properties: fields.Properties = {}
        self._will: hello.Will | None = None
        self._opened = hall.now()
        self._patience = hall.limits.connect_timeout.total_seconds()
        self._closed_at: float | None = None
        self._answers = bytearray()
        self.valve = Valve(self, hall)
        self.carrier = self.client_id = ""
        """Whose it is, and by what connections of one credential are told apart; empty for a stranger."""
        self.shown = Pass()
        """What it was admitted with."""
        self.present = False
        """Whether it was admitted and has not left."""
        self.under_way = 0
        """Packets taken and not yet committed."""

    def __str__(self) -> str:
        return f"{self.carrier}/{self.client_id!r}" if self.carrier else "stranger"

    # -- called by the event loop --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit it unless the house is full; its first packet must come in time."""
        self._transport = cast(asyncio.Transport, transport)
        self.valve.fit(self._transport)
        self._transport.set_write_buffer_limits(high=self._hall.limits.send_buffer_bytes)
        self._hall.connections.add(self)
        if len(self._hall.connections) > self._hall.limits.max_connections:
            self._hall.complain(self, f"closed, {self._hall.limits.max_connections} connections are open already")
            self.abort()

    def secured(self, certificate: Certificate | str | None) -> None:
        """Note what the client has shown at the TLS handshake."""
        self._certificate = certificate

    def insecure(self, why: str) -> None:
        """Close a client with which there is no TLS."""
        self._hall.complain(self, f"closed, no TLS: {why}")
        self._transport.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the shared buffer, or only a little of it where caution is due."""
        del sizehint
        return self._hall.lend(self.carrier or None)

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came, hand over what it held, stop reading when too much is under way or the carrier sends too fast."""
        if self._closed_at is None:
            self.valve.heard = self._hall.now()
            self._take(bytes(self._hall.buffer[:nbytes]))

    def pause_writing(self) -> None:
        """Close a client that does not read its answers."""
        self._hall.complain(self, "closed, it does not read")
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Publish its will and forget it; what it sent is committed all the same, its receipts go nowhere."""
        hall = self._hall
        self._depart()
        hall.overdrawn(-self._framer.held)
        hall.connections.discard(self)
        hall.paused.discard(self)
        if self._outbound is not None:
            self._outbound.forget()
        if self._intake is not None:
            hall.leave(self, self._intake.identity, self.client_id)
            log.info("%s: gone%s", self, f", {exc}" if exc else "")
        self._closed_at = self._closed_at or hall.now()

    # -- called by the listener and the hall, in the event loop's thread --

    def acknowledge(self, receipts: Sequence[bytes], count: int) -> None:
        """Tell the client that `count` packets are on disk; `receipts` are those that asked."""
        self.under_way -= count
        if receipts and self._closed_at is None:
            self._transport.write(answers.pubacks(receipts))

    def check(self, now: float) -> None:
        """Close it if it is overdue: with its CONNECT, its keep-alive, or with leaving."""
        if self._closed_at is not None:
            if now - self._closed_at > LINGER_S:
                self._transport.abort()
        elif not self.carrier:
            if now - self._opened > self._patience:
                self._hall.complain(self, f"closed, no CONNECT in {self._patience:g} s")
                self.abort()
        elif now - self.valve.heard > self._patience and not self.valve.shut:
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
        self._leave(answers.disconnect(self._version, reason, self._in_words(why)))

    def write(self, data: bytes) -> None:
        """Send, unless it is closed."""
        if self._closed_at is None:
            self._transport.write(data)

    def buffered(self) -> int:
        """Bytes that wait to be sent."""
        return self._transport.get_write_buffer_size()

    def _take(self, data: bytes) -> None:
        held = self._framer.held
        try:
            self._read(data)
        except ProtocolError as fault:
            self._fail(fault)
        if self._hall.overdrawn(self._framer.held - held):
            self.close(Reason.QUOTA_EXCEEDED, "too much is held of unfinished packets")
        if self._intake is not None:
            self._intake.hand_over()
            self.valve.passed(len(data), self._intake)
        self._flush()

    def _read(self, data: bytes) -> None:
        if not self._version and not self._framer.held and data[0] != Kind.CONNECT << 4:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "the first packet is not CONNECT")  # HTTP, TLS: do not wait for more
        for first, body in self._framer.feed(data):
            intake = self._intake
            if first & 0xF0 == 0x30 and intake is not None:
                intake.publish(first, body)
            elif intake is not None:
                self._answer(intake, first, body)
            else:
                self._version = hello.protocol_level(body)
                self._identify(hello.connect(body, self._version))
                return  # what came with it is held
            if self._closed_at is not None:
                return

    def _answer(self, intake: Intake, first: int, body: bytes) -> None:
        kind = packets.check_flags(first)
        if kind is Kind.CONNECT:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "a second CONNECT")
        if kind is Kind.SUBSCRIBE:
            asked = packets.subscribe(body, self._version)
            codes = self._wanting(intake).subscribe(asked)
            self._answers += answers.suback(self._version, asked.packet_id, codes)
            refused = [each.pattern for each, code in zip(asked.filters, codes, strict=True) if code == Reason.NOT_AUTHORIZED]
            intake.foreign_filters(refused)
        elif kind is Kind.UNSUBSCRIBE:
            packet_id, patterns = packets.unsubscribe(body, self._version)
            codes = self._wanting(intake).unsubscribe(patterns)
            self._answers += answers.unsuback(self._version, packet_id, codes)
        elif kind is Kind.PINGREQ:
            fields.Reader(body).end()
            self._answers += answers.PINGRESP
        elif kind is Kind.PUBACK:
            packet_id = packets.puback(body, self._version)
            if self._outbound is not None:
                self._outbound.acknowledged(packet_id)
        else:
            if packets.disconnect(body, self._version) == Reason.SUCCESS:
                self._will = None
            self._leave(b"")

    def _wanting(self, intake: Intake) -> Outbound:
        """Its outbound side, from the first word about subscriptions on."""
        if self._outbound is None:
            bound = self._hall.limits.send_buffer_bytes
            self._outbound = Outbound(self, self._hall, intake.identity, self._version, self._properties, bound)
        return self._outbound

    def _identify(self, said: hello.Connect) -> None:
        """Have it looked up who this is; nothing is read meanwhile."""
        check(said, self._version)
        self._properties = said.properties
        self.valve.wait()
        gate, certificate = Gate(self._hall.authenticate, self._hall.outside), self._certificate
        self._hall.identify(lambda: gate.verdict(said, certificate), lambda found: self._identified(said, found))

    def _identified(self, said: hello.Connect, found: tuple[Identity, Pass] | ProtocolError) -> None:
        if self._closed_at is not None:
            return
        self.valve.open()
        try:
            if isinstance(found, ProtocolError):
                raise found
            self._admit(said, found)
        except ProtocolError as fault:
            self._fail(fault)
        else:
            self._take(b"")

    def _admit(self, said: hello.Connect, who: tuple[Identity, Pass]) -> None:
        hall = self._hall
        admission = admit(said, self._version, hall.limits, who)
        identity = admission.identity
        intake = Intake(self, hall, identity, self._version, wordy=bool(self._in_words("x")))
        if said.will is not None:
            intake.check_will(said.will)
        hall.enter(self, identity, admission.client_id)
        self.carrier, self.client_id = identity.carrier, admission.client_id
        self._intake, self._will = intake, said.will
        self.present = True
        self.shown, self._patience = admission.shown, admission.silence_s
        self._framer.limit = hall.limits.max_packet_bytes
        log.info("%s: connected, MQTT %s", self, "5" if self._version == V5 else "3.1.1")
        self._answers += admission.answer

    def _flush(self) -> None:
        """One write a read, however many small packets it answers."""
        if self._answers:
            self._transport.write(bytes(self._answers))
            self._answers.clear()

    def _in_words(self, why: str) -> str:
        """A reason for a client that wants to have it in words."""
        return why if self._properties.get(0x17, 1) else ""

    def _depart(self) -> None:
        """Once it will not be read any more: publish its will, for which a monitor that stops has no place, and count it out."""
        if self._intake is None or not self.present:
            return
        self.present = False
        self._hall.quota(self.carrier).connections -= 1
        if self._will is not None:
            self._intake.bequeath(self._will)

    def _fail(self, fault: ProtocolError) -> None:
        self._hall.complain(self, f"closed, {fault}")
        if self._intake is not None:
            self._intake.fault(fault)
            self._leave(answers.disconnect(self._version, fault.reason, self._in_words(str(fault))))
        elif self._version or fault.reason is Reason.UNSUPPORTED_VERSION:
            said = (
                "" if fault.reason is Reason.SERVER_UNAVAILABLE else self._in_words(str(fault))
            )  # what is wrong inside is ours to know
            self._leave(answers.connack(self._version, fault.reason, {answers.REASON_STRING: said} if said else None))
        else:
            self._leave(b"")

    def _leave(self, last: bytes) -> None:
        """Send the last word and close our side; the rest of theirs is dropped until they close too, or for `LINGER_S`."""
        if self._closed_at is not None or self._transport.is_closing():
            return
        self._depart()
        self._closed_at = self._hall.now()
        self._answers += last
        self._flush()
        self.valve.open()  # else their closing goes unnoticed
        try:
            self._transport.write_eof()
        except OSError:  # they have gone first
            self._transport.abort()
