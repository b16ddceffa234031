"""What one client subscribed to and is sent: receipts, statuses of vehicles, incidents; bounded.

Everything sent is a state: of what waits for the client, the newest of its kind is enough. QoS 1 goes out under packet ids of
our own, no more at once than the client can take; what it has not acknowledged when its connection ends is gone, and the state
is sent again when it subscribes again. A client that does not keep up is closed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monitor.fixes import Identity, VehicleId
from monitor.ingest.mqtt.answers import publication
from monitor.ingest.mqtt.fields import Properties, Reason
from monitor.ingest.mqtt.outside import Outside
from monitor.ingest.mqtt.packets import V5, Filter, Subscribe
from monitor.ingest.mqtt.post import Line, Post, Remark
from monitor.ingest.mqtt.subscriptions import FILTERS, patterns
from monitor.ingest.sequence import Receipt
from monitor.ingest.topics import ACK, STATUS, valid_pattern

LARGEST_ID = 65_535
OLDER_WINDOW = 1000
"""QoS 1 under way to a client of MQTT 3.1.1, which cannot say how many it takes."""
PACE_BYTES, PACE_S = 65_536, 0.05
"""What stood when a client subscribed is sent while less than this is buffered; it is looked at so often."""
AGAIN_S = 1.0
"""What could not be read is asked again after this."""
PORTION = 200
"""Vehicles whose receipts are asked for at once; before the next ones it is the turn of the other clients."""


class Letter(NamedTuple):
    """A message to subscribers."""

    topic: str
    payload: bytes
    part: str = ""
    """Which of several states of one topic this is: of receipts the boot."""
    retained: bool = False
    """Whether its publisher wants it kept."""


class Outbound:
    """The subscriptions of one connection, and what waits for it."""

    def __init__(self, line: Line, post: Post, identity: Identity, version: int, said: Properties, bound: int) -> None:
        self._line, self._post, self._identity, self._version, self._bound = line, post, identity, version, bound
        self._window = int(said.get(0x21, LARGEST_ID)) if version == V5 else OLDER_WINDOW
        self._largest = int(said.get(0x27, 2**32))
        self._filters: dict[str, Filter] = {}
        self._due: dict[str, Filter] = {}
        self._asking = self._pumping = self._gone = False
        self._fresh: set[tuple[str, str]] = set()
        """What was sent since the question now under way was asked: its answer is older."""
        self._standing: dict[tuple[str, str], tuple[Letter, int]] = {}
        self._waiting: dict[tuple[str, str], tuple[Letter, int, bool]] = {}
        self._held = self._size = 0
        self._under_way: set[int] = set()
        self._last_id = 0

    # -- subscriptions --

    def subscribe(self, asked: Subscribe) -> list[int]:
        """Answer a SUBSCRIBE: for each filter the QoS granted, or the reason why it is not; what stands is sent after the answer."""
        if asked.identified:
            return [Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED] * len(asked.filters)
        codes: list[int] = []
        for each in asked.filters:
            code = self._granted(each)
            if code <= 1 and each.pattern not in self._filters and len(self._filters) >= FILTERS:
                code = Reason.QUOTA_EXCEEDED
            if code <= 1:
                self._subscribe(each._replace(qos=code))
            codes.append(code)
        if self._due:
            self._post.later(0.0, self._look)
        if Reason.QUOTA_EXCEEDED in codes:
            self._tell_of_too_many()
        return codes

    def _tell_of_too_many(self) -> None:
        """Say at most once a minute that more was wanted than a connection may hold."""
        line, post = self._line, self._post
        finding = post.subscriptions.crowded(line.carrier, line.client_id, post.now())
        if finding is not None:
            post.complain(line, finding.detail)
            post.inbox.put(Remark(finding, post.door))

    def unsubscribe(self, patterns: Sequence[str]) -> list[int]:
        """Answer an UNSUBSCRIBE: for each filter whether there was such a subscription, which has ended then."""
        codes: list[int] = []
        for pattern in patterns:
            self._due.pop(pattern, None)
            found = self._filters.pop(pattern, None) is not None and self._post.subscriptions.remove(pattern, self)
            codes.append(Reason.SUCCESS if found else Reason.NO_SUBSCRIPTION_EXISTED)
        return codes

    def _granted(self, asked: Filter) -> int:
        if self._post.outside.subscribable(self._identity, asked.pattern):
            return min(asked.qos, 1)
        if asked.pattern.startswith("$share/"):
            return Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
        return Reason.NOT_AUTHORIZED if valid_pattern(asked.pattern) else Reason.FILTER_INVALID

    def _subscribe(self, asked: Filter) -> None:
        new = self._post.subscriptions.add(asked, self)
        self._filters[asked.pattern] = asked
        if asked.handling == 0 or (asked.handling == 1 and new):
            self._due[asked.pattern] = asked

    def forget(self) -> None:
        """The connection is gone."""
        self._gone = True
        for pattern in self._filters:
            self._post.subscriptions.remove(pattern, self)
        self._hold(-self._held)
        self._standing.clear()
        self._waiting.clear()

    # -- sending --

    def send(self, letter: Letter, asked: Filter, publisher: object = None) -> None:
        """Send what has just come; `publisher` is the connection it came from."""
        if asked.no_local and publisher is self._line:
            return
        key = (letter.topic, letter.part)
        if self._asking:
            self._fresh.add(key)
        self._standing.pop(key, None)
        retain = letter.retained and asked.as_published
        if asked.qos == 0 or (not self._waiting and len(self._under_way) < self._window):
            self._write(letter, asked.qos, retain=retain)
            return
        before = self._waiting.pop(key, None)
        self._size += len(letter.payload) - (len(before[0].payload) if before else 0)
        self._waiting[key] = (letter, asked.qos, retain)
        if self._size > self._bound:
            self._line.close(Reason.QUOTA_EXCEEDED, "it does not take what it subscribed to")

    def acknowledged(self, packet_id: bytes) -> None:
        """The client has one; there is room for another."""
        self._under_way.discard(int.from_bytes(packet_id, "big"))
        if self._waiting or self._standing:
            self._pump()

    def _pump(self) -> None:
        """Send what waits while the client takes it; what stood before, at a pace that other answers get through."""
        self._pumping = False
        while self._waiting and len(self._under_way) < self._window and not self._gone:
            key = next(iter(self._waiting))
            letter, qos, retain = self._waiting.pop(key)
            self._size -= len(letter.payload)
            self._write(letter, qos, retain=retain)
        while self._standing and len(self._under_way) < self._window and not self._gone:
            if self._line.buffered() > PACE_BYTES:
                self._pumping = True
                self._post.later(PACE_S, self._pump)
                return
            key = next(iter(self._standing))
            letter, qos = self._standing.pop(key)
            self._write(letter, qos, retain=letter.retained)
        if not self._standing:
            self._hold(-self._held)

    def _write(self, letter: Letter, qos: int, *, retain: bool) -> None:
        packet_id = self._number() if qos else 0
        packet = publication(letter.topic.encode(), letter.payload, packet_id, version=self._version, retain=retain)
        if len(packet) > self._largest:  # more than the client takes: as if it had been sent
            self._under_way.discard(packet_id)
            return
        self._line.write(packet)

    def _number(self) -> int:
        """A packet id that is not under way."""
        while True:
            self._last_id = self._last_id % LARGEST_ID + 1
            if self._last_id not in self._under_way:
                self._under_way.add(self._last_id)
                return self._last_id

    # -- what stood before --

    def _look(self) -> None:
        """Ask for what stands, one question at a time and a portion of it at once, behind what the others have asked."""
        if self._asking or not self._due or self._gone:
            return
        due = self._portion()
        self._asking = True
        self._fresh.clear()
        carrier, outside = self._line.carrier, self._post.outside

        def answered(found: list[tuple[Letter, int]] | None) -> None:
            self._asking = False
            if self._gone:
                return
            if found is None:
                self._due = due | self._due
                self._post.later(AGAIN_S, self._look)
                return
            self._stand([*found, *self._published(due.values())])
            self._look()

        self._post.ask(lambda: [] if self._gone else owed(list(due.values()), carrier, outside), answered)

    def _portion(self) -> dict[str, Filter]:
        """Take from what is due the receipts of some vehicles, and all that is no receipt: it takes one look, however many."""
        rest = set([pattern for pattern in self._due if pattern.endswith(f"/{ACK}")][PORTION:])
        due = {pattern: asked for pattern, asked in self._due.items() if pattern not in rest}
        self._due = {pattern: self._due[pattern] for pattern in self._due if pattern in rest}
        return due

    def _published(self, filters: Any) -> list[tuple[Letter, int]]:
        kept = self._post.published.get(self._line.carrier, {})
        asked = {each.pattern: each.qos for each in filters}
        return [
            (Letter(topic, payload, retained=True), asked[pattern])
            for topic, payload in kept.items()
            for pattern in patterns(topic)
            if pattern in asked
        ]

    def _stand(self, found: Sequence[tuple[Letter, int]]) -> None:
        for letter, qos in found:
            key = (letter.topic, letter.part)
            if key not in self._fresh:
                self._standing[key] = (letter, qos)
        if self._hold(sum(len(letter.payload) for letter, _ in self._standing.values()) - self._held):
            self._line.close(Reason.QUOTA_EXCEEDED, "too much is held for clients")
        elif not self._pumping:
            self._pump()

    def _hold(self, grown: int) -> bool:
        self._held += grown
        return self._post.overdrawn(grown)


def owed(filters: Sequence[Filter], carrier: str, outside: Outside) -> list[tuple[Letter, int]]:
    """What stands for filters of a carrier's client, and the QoS granted; of the receipts of `+` none, they are of single vehicles."""
    found: list[tuple[Letter, int]] = []
    receipts: dict[VehicleId, int] = {}
    retained: Mapping[str, bytes] | None = None
    for asked in filters:
        head, vehicle, channel = asked.pattern.rsplit("/", 2)
        if channel == ACK and vehicle != "+":
            receipts[VehicleId(carrier, vehicle)] = asked.qos
        elif channel == STATUS:
            retained = outside.retained(carrier) if retained is None else retained
            names = retained if vehicle == "+" else {vehicle} & retained.keys()
            found += [(Letter(f"{head}/{name}/{STATUS}", retained[name], retained=True), asked.qos) for name in names]
    if receipts:
        found += [(receipt_letter(receipt), receipts[receipt.vehicle]) for receipt in outside.standing(list(receipts))]
    return found


def receipt_letter(receipt: Receipt) -> Letter:
    """What a device is told of its numbers, on its `/ack` topic."""
    said = {"boot": receipt.boot, "through": receipt.through, "missing": receipt.missing}
    topic = f"telematics/v1/{receipt.vehicle.carrier}/{receipt.vehicle.vehicle}/{ACK}"
    return Letter(topic, json.dumps(said, separators=(",", ":")).encode(), receipt.boot)
