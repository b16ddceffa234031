"""An external MQTT broker as a source of deliveries: what the broker holds for us is acknowledged after its commit.

paho-mqtt with MQTT 5: the client id is fixed and the session kept, so that the broker holds what comes while we are away; messages
of QoS 1 are acknowledged by hand. Packet ids start over with each connection, so an acknowledgement is only sent on the connection
its message came on: connections are counted, and paho drops what is queued for sending when it reconnects. An unacknowledged
message comes again; duplicates end at the fix.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from monitor.errors import ServiceError
from monitor.fixes import Reject
from monitor.ingest.delivery import Delivery, Message
from monitor.ingest.inbox import Inbox
from monitor.ingest.topics import FIX, Refusal, parse
from monitor.settings import Broker as Address

log = logging.getLogger("monitor.broker")

TICK_S = 1.0
KEEP_ALIVE_S = 60
ANSWER_S = 15.0
"""How long the broker may take to answer CONNECT and SUBSCRIBE at the start."""
RECONNECT_S = (1, 60)
"""Shortest and longest wait before connecting again; doubled in between."""


@dataclass(slots=True)
class Arrival:
    """One message as the broker sent it."""

    packet_id: int
    """0 where it wants no acknowledgement."""
    connection: int
    """The count of the connection it came on."""
    messages: list[Message] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    size: int = 0
    count: int = 1


class BrokerSource:
    """A subscription at a broker as a source of deliveries.

    `start` connects and subscribes; iterate; `close` may be called from any thread or a signal handler, and the iteration ends
    after the delivery under way, within a second. A broker that goes away later is connected to again, for as long as it takes.
    """

    def __init__(self, address: Address, batch_messages: int) -> None:
        self._address = address
        self._inbox: Inbox[Arrival] = Inbox(batch_messages)
        self._connection = 0
        self._counting = threading.Lock()
        """Held while an acknowledgement is queued, and while connections are counted."""
        self._thread: threading.Thread | None = None
        self._subscribed = threading.Event()
        self._refusal = ""
        self._dropped = 0
        self._iterating = self._ending = False
        self._client = self._made()

    def start(self) -> None:
        """Connect and subscribe.

        Raises
        ------
        ServiceError
            If the broker is not there, refuses us or the subscription, or does not answer.
        """
        address, where = self._address, f"broker {self._address.host} port {self._address.port}"
        if address.username:
            self._client.username_pw_set(address.username, _password(address))
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        session.SessionExpiryInterval = int(address.session_expiry.total_seconds())
        session.ReceiveMaximum = address.receive_maximum
        try:
            self._client.connect(address.host, address.port, KEEP_ALIVE_S, clean_start=False, properties=session)
        except OSError as error:
            raise ServiceError(f"{where} cannot be reached: {error.strerror or error}") from error
        self._client.loop_start()
        answered = self._subscribed.wait(ANSWER_S)
        if self._refusal or not answered:
            self._leave()
            raise ServiceError(f"{where} {self._refusal or f'did not answer in {ANSWER_S:g} s'}")
        log.info("subscribed to %s at %s", address.topic, where)

    def __iter__(self) -> Iterator[Delivery]:
        """Yield what arrived, an empty delivery each second without anything; ends after `close`.

        Raises
        ------
        ServiceError
            If the thread that receives has died.
        """
        self._iterating = True
        try:
            while not self._ending and (arrivals := self._inbox.take(TICK_S)) is not None:
                if self._thread is not None and not self._thread.is_alive():
                    raise ServiceError("the MQTT client stopped receiving; see the log")
                yield self._delivery(arrivals)
        finally:
            self._iterating = False
            self._leave()

    def close(self) -> None:
        """End the iteration; disconnect, at its end or now if nobody iterates. The broker keeps the session."""
        self._ending = True
        if not self._iterating:
            self._leave()

    def _made(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, self._address.client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        client.reconnect_delay_set(*RECONNECT_S)
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._answered
        client.on_message = self._arrived
        return client

    def _leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _delivery(self, arrivals: Sequence[Arrival]) -> Delivery:
        messages = [message for arrival in arrivals for message in arrival.messages]
        rejects = [reject for arrival in arrivals for reject in arrival.rejects]
        return Delivery(messages, rejects, lambda: self._acknowledge(arrivals))

    def _acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            with self._counting:
                if arrival.packet_id and arrival.connection == self._connection:
                    self._client.ack(arrival.packet_id, 1)

    # -- called by paho in its thread; an exception here would end it without a word --

    def _connected(
        self, client: paho.Client, _data: Any, flags: paho.ConnectFlags, reason: ReasonCode, _said: Properties | None
    ) -> None:
        self._thread = threading.current_thread()
        if reason.is_failure:
            self._refuse(f"refuses us: {reason}")
            return
        log.info("connected; the broker %s", "kept our session" if flags.session_present else "starts a new session")
        client.subscribe(self._address.topic, options=SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB))

    def _failed(self, _client: paho.Client, _data: Any) -> None:
        log.warning("the broker cannot be reached; trying again")

    def _disconnected(
        self, _client: paho.Client, _data: Any, _flags: paho.DisconnectFlags, reason: ReasonCode, _said: Properties | None
    ) -> None:
        with self._counting:
            self._connection += 1
        log.log(logging.INFO if self._ending else logging.WARNING, "disconnected: %s", reason)

    def _answered(
        self, _client: paho.Client, _data: Any, _packet_id: int, reasons: list[ReasonCode], _said: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refuse(f"refuses the subscription to {self._address.topic}: {reasons[0]}")
        self._subscribed.set()

    def _refuse(self, why: str) -> None:
        """At the start it ends the start; later we go on trying, and say so."""
        log.error("the broker %s", why)
        self._refusal = self._refusal or why
        self._subscribed.set()

    def _arrived(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if message.qos == 0 and self._inbox.full:
            self._dropped += 1
            if self._dropped % 1000 == 1:
                log.warning("%d messages of QoS 0 dropped so far: they come faster than they can be stored", self._dropped)
            return
        payload = bytes(message.payload)
        arrival = Arrival(message.mid if message.qos else 0, self._connection, size=len(payload))
        try:
            topic = message.topic
        except UnicodeDecodeError:
            arrival.rejects.append(Reject("", "", "", "topic: a text that is not UTF-8", payload))
        else:
            address = parse(topic)
            if isinstance(address, Refusal):
                arrival.rejects.append(Reject("", "", topic, address.reason, payload))
            elif address.channel == FIX:
                arrival.messages.append(Message(address.carrier, address.vehicle, topic, payload))
        self._inbox.put(arrival)


def _password(address: Address) -> str | None:
    """The first line of the password file, None without one."""
    if not address.password_file:
        return None
    try:
        return Path(address.password_file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{address.password_file} (ingest.broker.password_file) cannot be read: {error}") from error
