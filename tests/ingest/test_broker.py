"""The paho client against a real Mosquitto: acknowledged after the commit, nothing lost when the broker is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.errors import ServiceError
from monitor.ingest.broker import BrokerSource
from monitor.ingest.delivery import Message
from monitor.settings import Broker as Address
from tests.ingest.wire import PATIENCE_S, MainLoop

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
pytestmark = pytest.mark.skipif(not MOSQUITTO and os.environ.get("CI") != "true", reason="mosquitto is not installed")
TOPIC = "telematics/v1/acme/truck/fix"


class Mosquitto:
    """A broker of its own on a free port, that keeps what it holds over a kill."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        (folder / "passwords").touch(mode=0o600)
        self.configure("allow_anonymous true")
        self.process = self.start()

    def configure(self, *lines: str) -> None:
        """Write the configuration that the next start reads."""
        common = [f"listener {self.port} 127.0.0.1", f"persistence_location {self._folder}/", "persistence true"]
        text = "\n".join([*common, "user root", "log_dest none", *lines, ""])
        (self._folder / "mosquitto.conf").write_text(text)

    def start(self) -> subprocess.Popen[bytes]:
        """Run it, and wait until it accepts connections."""
        assert MOSQUITTO, "mosquitto is not installed"
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self._folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self.process
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError("mosquitto does not start")

    def save(self) -> None:
        """Have it write down what it holds: none of its settings does so before each of its PUBACKs."""
        database = self._folder / "mosquitto.db"
        before = database.stat().st_ino if database.exists() else 0
        self.process.send_signal(signal.SIGUSR1)
        for _ in range(200):
            if database.exists() and database.stat().st_ino != before:
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError("mosquitto does not save")

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def publish(self, payloads: list[bytes], topic: str = TOPIC, qos: int = 1) -> None:
        """Publish as a foreign client, until the broker has taken all."""
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for sent in [client.publish(topic, payload, qos) for payload in payloads]:
            sent.wait_for_publish(PATIENCE_S)
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker for one test."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


def source(broker: Mosquitto, batch: int = 100) -> BrokerSource:
    """A subscription that has been granted."""
    it = BrokerSource(Address(port=broker.port), batch)
    it.start()
    return it


def finish(it: BrokerSource, loop: MainLoop) -> None:
    """Commit what is under way and end."""
    loop.commit.set()
    it.close()
    assert loop.ended()


def numbered(first: int, last: int) -> list[bytes]:
    """Payloads that tell their order."""
    return [b"%d" % i for i in range(first, last)]


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
    committed.acknowledge()
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
    late.acknowledge()
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
    it = BrokerSource(Address(port=mosquitto.port, username="monitor", password_file=str(secret)), 100)
    with pytest.raises(ServiceError, match=rf"^broker 127.0.0.1 port {mosquitto.port} refuses us: Not authorized$"):
        it.start()


def test_a_password_file_that_is_missing_is_one_clear_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    with pytest.raises(ServiceError, match=r"\(ingest\.broker\.password_file\) cannot be read"):
        BrokerSource(Address(username="monitor", password_file=missing), 100).start()
