"""The listener: who publishes is known, a PUBACK follows the commit and goes where the packet came from, memory is bounded."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.errors import ServiceError
from monitor.fixes import Reject
from monitor.ingest.delivery import Message
from monitor.ingest.ingress import Ingress
from monitor.ingest.listener import Listener
from tests.ingest import wire
from tests.ingest.conftest import LIMITS, Serve, Served
from tests.ingest.wire import PATIENCE_S, V5, V311, authenticate, connect, publish, subscribe

TOPIC = "telematics/v1/acme/truck/fix"
VERSIONS = pytest.mark.parametrize("version", [V311, V5])


def test_a_foreign_client_is_told_of_each_message_only_once_it_is_committed(served: Served) -> None:
    """paho, both versions: `on_publish` waits for the acknowledgement, and then comes for every message."""
    for protocol in (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5):
        served.loop.messages.clear()
        served.loop.commit.clear()
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="device", protocol=protocol)
        client.username_pw_set("acme/truck", "right")
        client.connect("127.0.0.1", served.listener.port)
        client.loop_start()
        sent = [client.publish(TOPIC, b"%d" % i, qos=1) for i in range(100)]
        assert served.loop.payloads(1)
        assert not any(message.is_published() for message in sent)
        served.loop.commit.set()
        for message in sent:
            message.wait_for_publish(PATIENCE_S)
        assert all(message.is_published() for message in sent)
        assert sorted(served.loop.payloads(100), key=int) == [b"%d" % i for i in range(100)]
        client.disconnect()
        client.loop_stop()


@VERSIONS
def test_carrier_and_vehicle_come_from_the_topic_the_credential_allows(served: Served, version: int) -> None:
    gateway = served.client("acme", version=version)
    gateway.send(publish("telematics/v1/acme/truck-7/fix", b'{"carrier": "other"}', version=version))
    assert gateway.read() == (wire.PUBACK, b"\0\x01")
    assert served.loop.messages == [Message("acme", "truck-7", "telematics/v1/acme/truck-7/fix", b'{"carrier": "other"}')]


@VERSIONS
def test_no_puback_before_the_acknowledgement(served: Served, version: int) -> None:
    device = served.client(version=version)
    served.loop.commit.clear()
    device.send(publish(TOPIC, packet_id=7, version=version))
    served.loop.payloads(1)
    assert device.silent()
    served.loop.commit.set()
    assert device.read() == (wire.PUBACK, b"\0\x07")


@VERSIONS
def test_qos_0_is_taken_and_gets_no_puback(served: Served, version: int) -> None:
    device = served.client(version=version)
    device.send(publish(TOPIC, b"0", qos=0, version=version) + publish(TOPIC, b"1", packet_id=2, version=version))
    assert device.read() == (wire.PUBACK, b"\0\x02")
    assert served.loop.payloads(2) == [b"0", b"1"]


def test_pubacks_come_in_the_order_of_receipt_refusals_among_them(served: Served) -> None:
    device = served.client()
    topics = [TOPIC, "telematics/v1/other/truck/fix", TOPIC, "nonsense", "telematics/v1/acme/truck/status", TOPIC]
    device.send(b"".join(publish(topic, packet_id=i + 1) for i, topic in enumerate(topics)))
    answers = [device.read() for _ in topics]
    assert answers == [(wire.PUBACK, bytes([0, i + 1]) + code) for i, code in enumerate([b"", b"\x87", b"", b"\x90", b"", b""])]
    assert len(served.loop.messages) == 3
    assert [(reject.topic, reject.reason) for reject in served.loop.rejects] == [
        ("telematics/v1/other/truck/fix", "topic of another carrier"),
        ("nonsense", "topic is not telematics/v1/{carrier}/{vehicle}/fix"),
    ]


def test_a_status_is_handed_over_as_one_and_acknowledged(served: Served) -> None:
    device = served.client()
    device.send(publish("telematics/v1/acme/truck/status", b"online"))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    assert served.loop.statuses == [Message("acme", "truck", "telematics/v1/acme/truck/status", b"online")]
    assert (served.loop.messages, served.loop.rejects) == ([], [])


def test_a_message_sent_again_is_handed_over_again(served: Served) -> None:
    """Duplicates end at the fix, not at the packet."""
    device = served.client()
    again = publish(TOPIC)
    device.send(publish(TOPIC) + bytes([again[0] | 0x08]) + again[1:])
    assert [device.read(), device.read()] == [(wire.PUBACK, b"\0\x01")] * 2
    assert len(served.loop.messages) == 2


def test_a_message_in_many_pieces_is_one_message(served: Served) -> None:
    device = served.client()
    for byte in publish(TOPIC, b"in pieces"):
        device.send(bytes([byte]))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    assert served.loop.payloads(1) == [b"in pieces"]


# -- connections --


@VERSIONS
def test_a_puback_never_goes_to_another_connection_than_the_packet_came_on(served: Served, version: int) -> None:
    """Packet ids start over with each connection: a receipt for the old one would lose a message of the new one."""
    old = served.client(version=version)
    served.loop.commit.clear()
    old.send(publish(TOPIC, b"old", packet_id=1, version=version))
    served.loop.payloads(1)
    new = served.client(version=version)
    assert old.read() == ((wire.DISCONNECT, b"\x8e") if version == V5 else None)
    new.send(publish(TOPIC, b"new", packet_id=2, version=version))
    assert new.silent()
    served.loop.commit.set()
    assert new.read() == (wire.PUBACK, b"\0\x02")
    assert new.silent()


@pytest.mark.parametrize("other", ["other/truck", "acme/van", "acme"])
def test_a_client_id_of_somebody_else_is_another_client(served: Served, other: str) -> None:
    """Trackers of one make often all have the same."""
    device = served.client("acme/truck", client_id="same")
    served.client(other, client_id="same")
    assert device.silent()


def test_version_5_is_told_the_terms(served: Served) -> None:
    device = served.wire()
    kind, body = device.join(connect(client_id="", keep_alive=0, properties=b"\x11\0\0\xff\xff"))
    assert (kind, body[:2]) == (wire.CONNACK, b"\0\0")
    terms = body[3:]
    for term in (
        b"\x21\x13\x88",
        b"\x24\x01",
        b"\x27\x00\x01\x00\x00",
        b"\x29\x00",
        b"\x2a\x00",
        b"\x13\x04\xb0",
        b"\x11\0\0\0\0",
    ):
        assert term in terms
    assert b"\x12\x00\x10" in terms, "an id was assigned"


def test_a_client_silent_for_longer_than_its_keep_alive_is_closed_and_told(served: Served) -> None:
    silent, lively = served.client(client_id="silent", keep_alive=1), served.client(client_id="lively", keep_alive=60)
    assert silent.read() == (wire.DISCONNECT, b"\x8d")
    assert lively.silent()


def test_an_older_client_that_wants_no_keep_alive_is_held_to_the_longest(serve: Serve) -> None:
    served = serve(keepalive_max=timedelta(seconds=1))
    assert served.client(version=V311, keep_alive=0).read() is None


def test_a_client_that_disconnects_is_closed(served: Served) -> None:
    device = served.client()
    device.send(wire.packet(wire.DISCONNECT << 4, b""))
    assert device.read() is None


def test_one_connection_too_many_is_refused(serve: Serve) -> None:
    served = serve(max_connections=1)
    device = served.client()
    assert served.wire().read() is None
    assert device.silent()


# -- subscriptions --


@VERSIONS
def test_a_device_may_subscribe_to_its_own_ack_alone(served: Served, version: int) -> None:
    device = served.client(version=version)
    device.send(subscribe("telematics/v1/acme/truck/ack", "telematics/v1/other/truck/ack", "#", "a+", version=version))
    codes = b"\x01\x87\x87\x8f" if version == V5 else b"\x01\x80\x80\x80"
    assert device.read() == (wire.SUBACK, b"\0\x01" + (b"\0" if version == V5 else b"") + codes)


def test_shared_subscriptions_and_identifiers_are_refused_by_their_reason(served: Served) -> None:
    device = served.client()
    device.send(subscribe("$share/group/telematics/v1/acme/truck/ack"))
    assert device.read() == (wire.SUBACK, b"\0\x01\0\x9e")
    device.send(wire.packet(0x82, b"\0\x02\x02\x0b\x01" + wire.binary("telematics/v1/acme/truck/ack") + b"\x01"))
    assert device.read() == (wire.SUBACK, b"\0\x02\0\xa1")


@VERSIONS
def test_unsubscribing_is_answered(served: Served, version: int) -> None:
    device = served.client(version=version)
    device.send(wire.packet(0xA2, b"\0\x03" + (b"\0" if version == V5 else b"") + wire.binary("a") + wire.binary("b")))
    assert device.read() == (wire.UNSUBACK, b"\0\x03" + (b"\0\x11\x11" if version == V5 else b""))


# -- bounds --


@pytest.mark.parametrize("qos", [0, 1])
def test_a_flood_waits_in_the_senders_buffers_and_nothing_is_lost(serve: Serve, qos: int) -> None:
    """With commits held back the listener stops reading; when they go on, every message arrives, in order."""
    served = serve(batch=100, receive_maximum=200)
    served.loop.commit.clear()
    device = served.client(version=V311)
    total = 40_000
    flood = b"".join(publish(TOPIC, b"%0500d" % i, i % 60_000 + 1, version=V311, qos=qos) for i in range(total))
    sender = threading.Thread(target=device.send, args=(flood,), daemon=True)
    sender.start()
    served.loop.payloads(1)
    bystander = served.client("acme/van", client_id="van")
    assert bystander.silent()
    sender.join(0.3)
    assert sender.is_alive(), "20 MB were taken while nothing was committed"
    served.loop.commit.set()
    got = 0
    while got < 4 * total * qos:
        got += len(device.socket.recv(65_536))
    assert served.loop.payloads(total) == [b"%0500d" % i for i in range(total)]
    sender.join(PATIENCE_S)


def test_a_delivery_holds_no_more_than_a_batch(serve: Serve) -> None:
    served = serve(batch=10)
    device = served.client()
    device.send(b"".join(publish(TOPIC, packet_id=i + 1) for i in range(95)))
    assert len(served.loop.payloads(95)) == 95
    assert max(served.loop.sizes) <= 10


# -- starting and stopping --


def test_without_messages_there_is_a_tick(served: Served) -> None:
    served.loop.wait(lambda loop: 0 in loop.sizes)


def test_a_port_in_use_is_one_clear_line(served: Served) -> None:
    again = Listener(type(LIMITS)(port=served.listener.port), 10, authenticate)
    with pytest.raises(
        ServiceError, match=rf"^port {served.listener.port} on 127.0.0.1 is in use; set ingest\.listener\.port.*$"
    ):
        Ingress([again], 10).start()
    again.join()


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(ServiceError, match=r"^port 0 on 203\.0\.113\.1 cannot be listened on: "):
        Ingress([Listener(type(LIMITS)(host="203.0.113.1", port=0), 10, authenticate)], 10).start()


def test_closing_acknowledges_the_delivery_under_way_then_says_goodbye_and_frees_the_port(served: Served) -> None:
    device, older = served.client(), served.client(client_id="older", version=V311)
    served.loop.commit.clear()
    device.send(publish(TOPIC, packet_id=5))
    served.loop.payloads(1)
    served.ingress.close()
    assert device.silent()
    served.loop.commit.set()
    assert device.read() == (wire.PUBACK, b"\0\x05")
    assert device.read() == (wire.DISCONNECT, b"\x8b")
    assert older.read() is None
    device.close()
    older.close()
    assert served.loop.ended()
    socket.create_server(("127.0.0.1", served.listener.port)).close()


def test_what_was_not_delivered_when_closing_is_not_acknowledged(serve: Serve) -> None:
    served = serve(batch=1)
    served.loop.commit.clear()
    device = served.client()
    device.send(publish(TOPIC, packet_id=1) + publish(TOPIC, packet_id=2))
    served.loop.payloads(1)
    served.ingress.close()
    served.loop.commit.set()
    assert [device.read(), device.read()] == [(wire.PUBACK, b"\0\x01"), (wire.DISCONNECT, b"\x8b")]
    assert len(served.loop.messages) == 1


def test_closing_from_within_the_iteration_ends_it() -> None:
    ingress = Ingress([Listener(LIMITS, 10, authenticate)], 10)
    ingress.start()
    for delivery in ingress:
        ingress.close()
        delivery.acknowledge(())
    ingress.close()


def test_closing_without_iterating_frees_the_port() -> None:
    listener = Listener(LIMITS, 10, authenticate)
    ingress = Ingress([listener], 10)
    ingress.start()
    ingress.close()
    assert list(ingress) == []
    socket.create_server(("127.0.0.1", listener.port)).close()


def test_a_refused_publish_is_kept_with_who_sent_it_and_what(served: Served) -> None:
    device = served.client("acme/truck")
    device.send(publish("telematics/v1/other/van/fix", b"\x00evidence"))
    assert device.read() == (wire.PUBACK, b"\0\x01\x87")
    assert served.loop.rejects == [
        Reject("acme", "truck", "telematics/v1/other/van/fix", "topic of another carrier", b"\x00evidence")
    ]
