"""The paho client against a real Mosquitto: acknowledged after the commit, nothing lost when the broker is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.errors import ServiceError
from monitor.ingest.broker import Broker
from monitor.ingest.delivery import Message
from monitor.ingest.ingress import Ingress
from monitor.settings import Broker as Address
from tests.ingest.mosquitto import TOPIC, Mosquitto, finish, needs_mosquitto, numbered, source
from tests.ingest.wire import MainLoop

pytestmark = needs_mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker for one test."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


def test_messages_come_in_order_with_carrier_and_vehicle_of_their_topic(mosquitto: Mosquitto) -> None:
    it = source(mosquitto)
    loop = MainLoop(it)
    mosquitto.publish(numbered(0, 2000))
    assert loop.payloads(2000) == numbered(0, 2000)
    assert loop.messages[0] == Message("acme", "truck", TOPIC, b"0")
    finish(it, loop)


def test_what_comes_while_we_are_away_is_kept_for_us(mosquitto: Mosquitto) -> None:
    first = source(mosquitto)
    finish(first, MainLoop(first))
    mosquitto.publish(numbered(0, 50))
    second = source(mosquitto)
    loop = MainLoop(second)
    assert loop.payloads(50) == numbered(0, 50)
    finish(second, loop)


def test_a_delivery_that_was_not_acknowledged_comes_again_and_an_acknowledged_one_does_not(mosquitto: Mosquitto) -> None:
    first = source(mosquitto)
    mosquitto.publish([b"committed"])
    deliveries = iter(first)
    committed = next(delivery for delivery in deliveries if delivery.messages)
    committed.acknowledge(())
    mosquitto.publish([b"lost in a crash"])
    next(delivery for delivery in deliveries if delivery.messages)
    first.close()
    assert list(deliveries) == []
    second = source(mosquitto)
    loop = MainLoop(second)
    assert loop.payloads(1) == [b"lost in a crash"]
    finish(second, loop)


def test_a_broker_killed_between_publish_and_acknowledgement_loses_nothing(mosquitto: Mosquitto) -> None:
    it = source(mosquitto)
    loop = MainLoop(it)
    loop.commit.clear()
    mosquitto.publish(numbered(0, 300))
    loop.payloads(1)
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    loop.commit.set()
    loop.wait(lambda so_far: len(so_far.messages) >= 600)
    assert {message.payload for message in loop.messages} == set(numbered(0, 300))
    mosquitto.publish(numbered(300, 310))
    loop.wait(lambda so_far: {message.payload for message in so_far.messages} == set(numbered(0, 310)))
    finish(it, loop)


def test_an_acknowledgement_is_never_sent_for_a_packet_of_an_earlier_connection(mosquitto: Mosquitto) -> None:
    """Packet ids are used again: sent on the new connection, it would drop a message that is not committed."""
    first = source(mosquitto)
    mosquitto.publish([b"kept"])
    deliveries = iter(first)
    late = next(delivery for delivery in deliveries if delivery.messages)
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    again = next(delivery for delivery in deliveries if delivery.messages)
    assert again.messages == late.messages
    late.acknowledge(())
    first.close()
    assert list(deliveries) == []
    second = source(mosquitto)
    loop = MainLoop(second)
    assert loop.payloads(1) == [b"kept"]
    finish(second, loop)


def test_a_topic_that_is_none_of_ours_is_handed_over_as_a_reject(mosquitto: Mosquitto) -> None:
    it = source(mosquitto)
    loop = MainLoop(it)
    mosquitto.publish([b"x"], topic="telematics/v1/acme/not a name/fix")
    loop.wait(lambda so_far: len(so_far.rejects) == 1)
    [reject] = loop.rejects
    assert (reject.carrier, reject.topic, reject.payload) == ("", "telematics/v1/acme/not a name/fix", b"x")
    assert reject.reason.startswith("vehicle in topic is not")
    finish(it, loop)


def test_qos_0_is_taken_too(mosquitto: Mosquitto) -> None:
    it = source(mosquitto)
    loop = MainLoop(it)
    mosquitto.publish([b"x"], qos=0)
    assert loop.payloads(1) == [b"x"]
    finish(it, loop)


def test_a_broker_that_is_not_there_is_one_clear_line(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    with pytest.raises(ServiceError, match=rf"^broker 127.0.0.1 port {mosquitto.port} cannot be reached: Connection refused$"):
        source(mosquitto)


def test_a_broker_that_refuses_us_is_one_clear_line(mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.kill()
    mosquitto.configure("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    mosquitto.start()
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    door = Broker(Address(port=mosquitto.port, username="monitor", password_file=str(secret)), 100)
    it = Ingress([door], 100)
    with pytest.raises(ServiceError, match=rf"^broker 127.0.0.1 port {mosquitto.port} refuses us: Not authorized$"):
        it.start()


def test_a_password_file_that_is_missing_is_one_clear_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    with pytest.raises(ServiceError, match=r"\(ingest\.broker\.password_file\) cannot be read"):
        Ingress([Broker(Address(username="monitor", password_file=missing), 100)], 100).start()
