"""An external MQTT broker as a door: what the broker holds for us is acknowledged after its commit.

The connection is kept by `uplink`. Messages come with QoS 1 and wait at the broker until their acknowledgement; what comes again
ends at the fix, as a duplicate. A retained position is taken like any other: it is as old as its own time says, and the broker sends
it only when a subscription is new. Carrier and vehicle are those of the topic: that nobody publishes under another's is the broker's
to see to, by its access list.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.findings import FOREIGN_TOPIC, SESSION_LOST, Finding
from monitor.fixes import Reject
from monitor.ingest.delivery import Message
from monitor.ingest.inbox import Arrival as Taken
from monitor.ingest.inbox import Inbox
from monitor.ingest.mqtt.fields import ProtocolError
from monitor.ingest.mqtt.packets import V5, publish
from monitor.ingest.sequence import Receipt
from monitor.ingest.topics import FIX, STATUS, STATUSES, TRIP, Address, Refusal, parse
from monitor.ingest.uplink.conversation import Conversation
from monitor.ingest.uplink.mail import Letter
from monitor.ingest.uplink.uplink import Uplink
from monitor.settings import Broker as Settings

log = logging.getLogger("monitor.broker")

TRIPS = "telematics/v1/+/+/trip"
BROKER_LOST, QOS_0_DROPPED, NOT_PUBLISHED = "broker_lost", "qos_0_dropped", "not_published"
TOPICS_KNOWN = 100_000
"""Topics that are remembered taken apart."""

Parse = Callable[[str], Address | Refusal]


class Acquaintance(Protocol):
    """Whether this client id has met this broker before: then the broker should have kept its session."""

    def known(self) -> bool:
        """Whether they have."""
        ...

    def met(self) -> None:
        """Remember that they have."""
        ...


class Stranger:
    """Remembers nothing."""

    def known(self) -> bool:
        """They have not."""
        return False

    def met(self) -> None:
        """Forget it."""


@dataclass(slots=True)
class Arrival:
    """What one carrier's devices sent, of one piece of the stream."""

    door: object
    carrier: str
    conversation: Conversation | None
    packets: list[bytes] = field(default_factory=list)
    """The packet ids that want an acknowledgement, in this conversation."""
    messages: list[Message] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    statuses: list[Message] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    size: int = 0
    count: int = 0


@dataclass
class Counts:
    """What has happened since the start, for people to see."""

    sessions_lost: int = 0
    dropped: int = 0
    """Messages of QoS 0 that came faster than they can be stored."""
    refused: int = 0
    """Letters that the broker did not take."""


class Broker:
    """A subscription at a broker as a door; a broker that goes away later is connected to again, for as long as it takes."""

    def __init__(
        self,
        settings: Settings,
        batch_messages: int,
        *,
        parse: Parse = parse,
        filters: Sequence[str] = (),
        acquaintance: Acquaintance | None = None,
    ) -> None:
        self._settings, self._parse = settings, parse
        self._inbox, self._batch = Inbox(batch_messages), batch_messages
        self._acquaintance = acquaintance or Stranger()
        self._expected = False
        """Whether the broker should have kept our session."""
        self._gathered: dict[str, Arrival] = {}
        self._topics: dict[bytes, Address | Refusal] = {}
        self.counts = Counts()
        wanted = [*(filters or (settings.topic, STATUSES)), *([TRIPS] if settings.trips else [])]
        self.filters = list(dict.fromkeys(_of_group(pattern, settings.topic) for pattern in wanted))
        self.uplink = Uplink(settings, self.filters, self)

    def start(self, inbox: Inbox) -> None:
        """Connect and subscribe.

        Raises
        ------
        ServiceError
            If the broker is not there, refuses us or a subscription, or does not answer.
        """
        self._inbox = inbox
        self._expected = self._acquaintance.known()
        self.uplink.start()
        self._acquaintance.met()
        log.info("subscribed to %s at %s", ", ".join(self.filters), self.uplink.where)

    @property
    def connected(self) -> bool:
        """Whether messages can come at the moment."""
        return self.uplink.connected

    def acknowledge(self, arrivals: Sequence[Taken], receipts: Sequence[Receipt]) -> None:
        """Acknowledge what is on disk, each in the conversation it came in, and tell the devices."""
        for arrival in arrivals:
            if isinstance(arrival, Arrival) and arrival.conversation is not None and arrival.packets:
                arrival.conversation.acknowledge(arrival.packets)
        if self._settings.acknowledge:
            for receipt in receipts:
                self._tell(receipt)
        self.uplink.ring()

    def publish(self, carrier: str, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish for a carrier's people, from any thread; of what waits under one topic the newest alone goes out."""
        self.uplink.mail.post((carrier, topic, retain), Letter(topic, payload, retain))
        self.uplink.ring()

    def fault(self) -> str | None:
        """Why nothing comes any more, though the broker be there; None while it does, or may again."""
        return self.uplink.fault()

    def close(self) -> None:
        """Take nothing more in."""
        self.uplink.hush()

    def join(self) -> None:
        """Disconnect; the broker keeps the session."""
        self.uplink.join()

    def _tell(self, receipt: Receipt) -> None:
        carrier, vehicle = receipt.vehicle
        said = {"boot": receipt.boot, "through": receipt.through, "missing": receipt.missing}
        topic = f"telematics/v1/{carrier}/{vehicle}/ack"
        self.uplink.mail.post((topic, receipt.boot), Letter(topic, json.dumps(said, separators=(",", ":")).encode()))

    # -- told by the uplink, in its thread --

    def crowded(self) -> bool:
        """Whether too many bytes wait for the main loop: the rest then waits at the broker."""
        return self._inbox.full("")

    def message(self, conversation: Conversation, first: int, body: bytes) -> None:
        """Take one message in; the topic says whose it is."""
        address: Address | Refusal | None
        try:
            raw, packet, payload = publish(first, body, V5)
        except ProtocolError as error:  # it must not come again and again: it is acknowledged, and kept
            raw, packet, payload = _what_can_be_read(first, body, error)
            address = Refusal(f"MQTT: {error}")
        else:
            address = self._topics.get(raw) or self._address(raw)
        carrier = "" if isinstance(address, Refusal) else address.carrier
        if not packet and self._inbox.full(carrier):
            self._drop(carrier)
            return
        arrival = self._gathered.get(carrier)
        if arrival is None or arrival.conversation is not conversation or arrival.count >= self._batch:
            self.piece()
            arrival = self._gathered[carrier] = Arrival(self, carrier, conversation)
        arrival.count += 1
        arrival.size += len(body)
        if packet:
            arrival.packets.append(packet)
        if isinstance(address, Refusal):
            topic = raw.decode(errors="replace")
            arrival.rejects.append(Reject("", "", topic, address.reason, payload))
        elif address.channel == FIX or (address.channel == TRIP and self._settings.trips):
            arrival.messages.append(_message(address, payload))
        elif address.channel == STATUS:
            arrival.statuses.append(_message(address, payload))
        else:
            self._refuse(arrival, address, payload)

    def piece(self) -> None:
        """Hand over what was gathered."""
        gathered, self._gathered = self._gathered, {}
        for arrival in gathered.values():
            self._inbox.put(arrival)

    def welcomed(self, *, session_kept: bool) -> None:
        """Say so where the broker should have kept our session and has not."""
        if not session_kept and self._expected:
            self.counts.sessions_lost += 1
            why = "the broker no longer had our session: what it held for us is lost, unless the devices send it again"
            log.error("%s: %s", self.uplink.where, why)
            self._note(Finding(SESSION_LOST, "", self._settings.client_id, f"{self.uplink.where}: {why}"))
        self._expected = True

    def subscribed(self, refused: Sequence[str]) -> None:
        """At the start every subscription must be granted; later it is told."""
        if refused:
            why = f"refuses the subscription to {', '.join(refused)}"
            self.uplink.refuse(why)
            self.outage(why)
        self.uplink.answered()

    def outage(self, why: str) -> None:
        """Note that somebody has to do something about it."""
        self._note(Finding(BROKER_LOST, "", self._settings.client_id, f"{self.uplink.where} {why}"))

    def unheard(self, letter: Letter, reason: str) -> None:
        """Note that the broker does not let us publish."""
        self.counts.refused += 1
        if self.counts.refused % 1000 == 1:
            why = f"the broker does not take {letter.topic}: {reason}"
            log.warning("%s (%d so far)", why, self.counts.refused)
            self._note(Finding(NOT_PUBLISHED, "", self._settings.client_id, why))

    def _address(self, raw: bytes) -> Address | Refusal:
        try:
            address = self._parse(raw.decode())
        except UnicodeDecodeError:
            return Refusal("topic: a text that is not UTF-8")
        if isinstance(address, Address) and not address.carrier:
            address = Refusal("neither the topic nor its feed names a carrier")
        if len(self._topics) >= TOPICS_KNOWN:
            self._topics.clear()
        self._topics[raw] = address
        return address

    def _refuse(self, arrival: Arrival, address: Address, payload: bytes) -> None:
        """Somebody publishes what is not theirs, or not taken here."""
        reason = f"{address.channel} is not taken from the broker"
        if address.channel == TRIP:
            reason += " (ingest.broker.trips)"
        arrival.rejects.append(Reject(address.carrier, address.vehicle, address.topic, reason, payload))
        arrival.findings.append(Finding(FOREIGN_TOPIC, address.carrier, address.topic, reason))

    def _drop(self, carrier: str) -> None:
        self.counts.dropped += 1
        if self.counts.dropped % 1000 == 1:
            why = f"{self.counts.dropped} messages of QoS 0 dropped so far: they come faster than they can be stored"
            log.warning(why)
            self._note(Finding(QOS_0_DROPPED, carrier, self._settings.client_id, why))

    def _note(self, finding: Finding) -> None:
        self._inbox.put(Arrival(self, finding.carrier, None, findings=[finding], count=1))


def _message(address: Address, payload: bytes) -> Message:
    return Message(address.carrier, address.vehicle, address.topic, payload, address.feed, address.device)


def _what_can_be_read(first: int, body: bytes, error: ProtocolError) -> tuple[bytes, bytes, bytes]:
    """Topic and packet id of a PUBLISH that is wrong further on, and its whole body; raises the error where there is no packet id."""
    end = 2 + int.from_bytes(body[:2], "big")
    packet = body[end : end + 2] if first & 0x06 else b""
    if first & 0x06 and len(packet) < 2:
        raise error
    return body[2:end], packet, body


def _of_group(pattern: str, topic: str) -> str:
    """The statuses and trips of the same vehicles as the positions: of a monitor for some carriers alone."""
    if pattern not in (STATUSES, TRIPS) or not topic.endswith(f"/{FIX}"):
        return pattern
    return topic.removesuffix(FIX) + pattern.rpartition("/")[2]
