"""What one client publishes: each PUBLISH becomes a message, a status, or a refusal kept as evidence; handed over in arrivals.

The topic decides what a message is, its retain flag does not: a position is a position, a status is kept. A refusal goes into
the same arrival as what was sent around it, so that its answer keeps its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.findings import FOREIGN_TOPIC, Finding
from monitor.fixes import Identity, Reject
from monitor.ingest.delivery import Message
from monitor.ingest.mqtt import answers, packets
from monitor.ingest.mqtt.fields import ProtocolError, Reason, text
from monitor.ingest.mqtt.hall import Arrival, Hall
from monitor.ingest.mqtt.hello import Will
from monitor.ingest.mqtt.packets import V5
from monitor.ingest.mqtt.subscriptions import reaches_ours
from monitor.ingest.topics import STATUS, Address, Refusal

if TYPE_CHECKING:
    from monitor.ingest.mqtt.session import Connection

TOPICS_KEPT = 4096
"""Topics a connection keeps parsed; a vehicle has two, a gateway many."""
NOTED_FILTERS = 10
"""Filters of one SUBSCRIBE that are kept as evidence."""


WHOLE = "(the whole carrier's credential)"
"""Who is meant where no vehicle is: client ids are anybody's choice, and often a new one each time."""


class Intake:
    """The publishing side of one admitted connection."""

    __slots__ = ("_arrival", "_hall", "_line", "_subject", "_topics", "_version", "_wordy", "handed", "identity", "refused")

    def __init__(self, line: Connection, hall: Hall, identity: Identity, version: int, *, wordy: bool) -> None:
        self._line, self._hall, self.identity, self._version, self._wordy = line, hall, identity, version, wordy
        self._subject = identity.vehicle or WHOLE
        self._topics: dict[bytes, Address] = {}
        self._arrival = Arrival(line, hall.door, identity.carrier)
        self.handed = 0
        """Packets handed over since somebody set it to 0."""
        self.refused = 0

    def publish(self, first: int, body: bytes) -> None:
        """Take a PUBLISH.

        Raises
        ------
        ProtocolError
            If it is not as the standard says, or asks for what is not offered.
        """
        topic, receipt, payload = packets.publish(first, body, self._version)
        arrival = self._arrival
        address = self._topics.get(topic) or self._resolve(topic, receipt, payload)
        if address is not None:
            if receipt:
                arrival.receipts.append(receipt)
            name, carrier, vehicle, channel, feed, device = address
            kept = arrival.statuses if channel == STATUS else arrival.messages
            kept.append(Message(carrier, vehicle, name, payload, feed, device))
        arrival.count += 1
        arrival.size += len(payload)
        if arrival.count >= self._hall.arrival_packets:
            self.hand_over()

    def bequeath(self, will: Will) -> None:
        """Publish the last will of a client that was lost."""
        address = self._hall.outside.publishable(self.identity, will.topic)
        if isinstance(address, Address):
            name, carrier, vehicle, channel, feed, device = address
            arrival = self._arrival
            kept = arrival.statuses if channel == STATUS else arrival.messages
            kept.append(Message(carrier, vehicle, name, will.payload, feed, device))
            arrival.count += 1
            arrival.size += len(will.payload)
            self.hand_over()

    def check_will(self, will: Will) -> None:
        """See that a last will is one that this client could publish.

        Raises
        ------
        ProtocolError
            If it is not, which is kept as evidence.
        """
        address = self._hall.outside.publishable(self.identity, will.topic)
        if isinstance(address, Refusal):
            self._refuse(will.topic, address.reason, will.payload, foreign=address.foreign)
            self.hand_over()
            raise ProtocolError(_code(address), f"the last will: {address.reason}")

    def tell(self, finding: Finding) -> None:
        """Have something looked into."""
        self._arrival.findings.append(finding)

    def fault(self, error: ProtocolError) -> None:
        """Keep the packet that broke a rule, where it is at hand, as evidence."""
        if error.evidence:
            self._refuse(_topic(error.evidence), str(error), error.evidence)

    def foreign_filters(self, patterns: list[str]) -> None:
        """Keep as evidence that somebody wanted to read what is not its own."""
        ours = [pattern for pattern in patterns if reaches_ours(pattern)]
        for pattern in ours[:NOTED_FILTERS]:
            self._refuse(pattern, "subscription to what is not its own", b"", foreign=True)
        self._arrival.count += bool(ours)

    def hand_over(self) -> None:
        """Put into the inbox what has come so far."""
        arrival = self._arrival
        if arrival.count or arrival.rejects or arrival.findings:
            arrival.count = max(arrival.count, 1)
            self.handed += arrival.count
            self._line.under_way += arrival.count
            self._arrival = Arrival(self._line, self._hall.door, arrival.carrier)
            self._hall.inbox.put(arrival)

    def _resolve(self, topic: bytes, receipt: bytes, payload: bytes) -> Address | None:
        """Parse a topic seen for the first time; None if it is refused, which has been answered and noted then."""
        try:
            name = text(topic)
        except ProtocolError as fault:
            self._refuse(topic.decode("utf-8", "backslashreplace"), f"topic: {fault}", payload)
            raise
        address = self._hall.outside.publishable(self.identity, name)
        if isinstance(address, Address):
            if len(self._topics) >= TOPICS_KEPT:
                self._topics.clear()
            self._topics[topic] = address
            return address
        self._refuse(name, address.reason, payload, foreign=address.foreign)
        if self._version == V5 and receipt:
            why = address.reason if self._wordy else ""
            self._arrival.receipts.append(answers.refused(receipt, _code(address), why))
        else:  # there is only closing
            self._line.close(_code(address), address.reason)
        return None

    def _refuse(self, topic: str, reason: str, payload: bytes, *, foreign: bool = False) -> None:
        if not self.refused:
            self._hall.complain(self._line, f"refused: {reason}; what else it sends so is only counted")
        self.refused += 1
        identity, arrival = self.identity, self._arrival
        arrival.rejects.append(Reject(identity.carrier, identity.vehicle or "", topic, reason, payload))
        if foreign and not any(finding.kind == FOREIGN_TOPIC for finding in arrival.findings):
            arrival.findings.append(Finding(FOREIGN_TOPIC, identity.carrier, self._subject, f"{reason}: {topic[:256]}"))


def _code(refusal: Refusal) -> Reason:
    return Reason.NOT_AUTHORIZED if refusal.foreign else Reason.TOPIC_INVALID


def _topic(evidence: bytes) -> str:
    """The topic of a PUBLISH of which only the first bytes are at hand; empty where it is none."""
    if evidence[0] & 0xF0 != 0x30:
        return ""
    at = next((index + 1 for index in range(1, min(5, len(evidence))) if not evidence[index] & 0x80), len(evidence))
    return evidence[at + 2 :][: int.from_bytes(evidence[at : at + 2], "big")].decode("utf-8", "backslashreplace")
