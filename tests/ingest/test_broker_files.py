"""The broker's configuration and access list as they are shipped: they run, and nobody reaches what is another's."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from monitor.errors import ServiceError
from monitor.fixes import VehicleId
from monitor.ingest.broker import Broker
from monitor.ingest.ingress import Ingress
from monitor.ingest.sequence import Receipt
from monitor.settings import Broker as Settings
from tests.ingest.mosquitto import DOCS, PASSWD, Mosquitto, free_port, killed, needs_mosquitto, started
from tests.ingest.taking import Taker
from tests.ingest.wire import PATIENCE_S

OPENSSL = shutil.which("openssl")
pytestmark = [
    needs_mosquitto,
    pytest.mark.skipif(not (OPENSSL and PASSWD), reason="openssl or mosquitto_passwd is not installed"),
]
NUMBER = itertools.count()
"""For client ids: two of the same name push each other out."""
NOT_AUTHORIZED = 0x87
"""What the broker answers a message that its access list does not let through."""


def openssl(folder: Path, *words: str) -> None:
    subprocess.run([str(OPENSSL), *words], cwd=folder, check=True, capture_output=True, timeout=60)


def authority(folder: Path, name: str) -> None:
    """Make somebody who signs certificates."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")  # fmt: skip


def certificate(folder: Path, ca: str, name: str, common_name: str, alternative: str = "") -> None:
    """Make a certificate."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=" + common_name.replace("/", "\\/"), "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
    (folder / "extensions").write_text(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-days", "2", "-extfile", "extensions", "-out", f"{name}.crt")  # fmt: skip


USERS = {"default": "default", "other": "other", "truck-1": "default/truck-1", "dispatch": "dispatch/default"}


class Shipped:
    """The broker as `docs/broker` has it, with paths and ports of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plain, self.tls = folder, free_port(), free_port()
        for name in ("devices-ca", "stranger"):
            authority(folder, name)
        certificate(folder, "devices-ca", "server", "broker", "IP:127.0.0.1")
        for name, user in USERS.items():
            certificate(folder, "devices-ca", name, user)
        shutil.copy(DOCS / "acl", folder / "acl")
        subprocess.run([str(PASSWD), "-c", "-b", str(folder / "passwords"), "monitor", "secret"], check=True, timeout=60)
        (folder / "secret").write_text("secret\n")
        text = (DOCS / "mosquitto.conf").read_text()
        for said, ours in (
            ("/etc/mosquitto/", f"{folder}/"),
            ("/var/lib/mosquitto/", f"{folder}/"),
            ("listener 1883 127.0.0.1", f"listener {self.plain} 127.0.0.1"),
            ("listener 8883", f"listener {self.tls} 127.0.0.1"),
        ):
            assert said in text
            text = text.replace(said, ours)
        (folder / "mosquitto.conf").write_text(f"user root\nlog_dest none\n{text}")
        self.process = started(folder / "mosquitto.conf", [self.plain, self.tls])

    def settings(self, **said: object) -> Settings:
        """What the monitor is told."""
        return Settings(port=self.plain, username="monitor", password_file=str(self.folder / "secret"), **said)  # type: ignore[arg-type]

    def device(self, name: str) -> Device:
        """A client with the certificate of one of `USERS`."""
        return Device(self, name)


class Device:
    """A foreign client that says what it was answered."""

    def __init__(self, broker: Shipped, name: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._news = threading.Condition()
        self._reasons: dict[int, int] = {}
        context = ssl.create_default_context(cafile=broker.folder / "devices-ca.crt")
        context.load_cert_chain(broker.folder / f"{name}.crt", broker.folder / f"{name}.key")
        self.client = paho.Client(CallbackAPIVersion.VERSION2, f"device-{next(NUMBER)}", protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_publish = self._published
        self.client.on_message = self._message
        self.client.on_subscribe = lambda _client, _data, packet, reasons, _said: self._note(packet, reasons[0].value)
        self.client.connect("127.0.0.1", broker.tls)
        self.client.loop_start()

    def publish(self, topic: str, payload: bytes = b"{}") -> int:
        """Publish; gives the reason code of the answer."""
        return self._answer(self.client.publish(topic, payload, 1).mid)

    def subscribe(self, pattern: str) -> int:
        """Subscribe; gives the reason code of the answer."""
        _, packet = self.client.subscribe(pattern, 1)
        assert packet is not None
        return self._answer(packet)

    def wait(self, count: int) -> list[tuple[str, bytes]]:
        """Wait for so many messages."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.heard) >= count, PATIENCE_S), self.heard
        return self.heard

    def close(self) -> None:
        """Hang up."""
        self.client.disconnect()
        self.client.loop_stop()

    def _answer(self, packet: int) -> int:
        with self._news:
            assert self._news.wait_for(lambda: packet in self._reasons, PATIENCE_S)
            return self._reasons[packet]

    def _published(self, _client: object, _data: object, packet: int, reason: ReasonCode, _said: object) -> None:
        self._note(packet, reason.value)

    def _message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._news:
            self.heard.append((message.topic, bytes(message.payload)))
            self._news.notify_all()

    def _note(self, packet: int, reason: int) -> None:
        with self._news:
            self._reasons[packet] = reason
            self._news.notify_all()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    """The broker as it is shipped, for all tests here."""
    broker = Shipped(tmp_path_factory.mktemp("shipped"))
    yield broker
    killed(broker.process)


@pytest.fixture
def monitor(shipped: Shipped) -> Iterator[tuple[Broker, Taker]]:
    """The monitor's subscription, and a main loop behind it."""
    door = Broker(shipped.settings(trips=True, client_id=f"monitor-{next(NUMBER)}"), 100)
    ingress = Ingress([door], 100)
    ingress.start()
    loop = Taker(ingress)
    yield door, loop
    ingress.close()
    assert loop.ended()


@pytest.fixture(scope="module")
def devices(shipped: Shipped) -> Iterator[dict[str, Device]]:
    """A client for each user."""
    all_of_them = {name: shipped.device(name) for name in USERS}
    yield all_of_them
    for device in all_of_them.values():
        device.close()


def test_the_monitor_receives_what_a_carrier_a_vehicle_and_dispatch_publish(
    monitor: tuple[Broker, Taker], devices: dict[str, Device]
) -> None:
    _, loop = monitor
    devices["default"].publish("telematics/v1/default/any/fix")
    devices["truck-1"].publish("telematics/v1/default/truck-1/fix")
    devices["dispatch"].publish("telematics/v1/default/truck-1/trip")
    devices["truck-1"].publish("telematics/v1/default/truck-1/status")
    loop.wait(lambda _: len(loop.messages) == 3 and len(loop.statuses) == 1)
    topics = {message.topic for message in loop.messages}
    assert topics == {f"telematics/v1/default/{rest}" for rest in ("any/fix", "truck-1/fix", "truck-1/trip")}


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("other", "telematics/v1/default/truck-1/fix"),
        ("default", "telematics/v1/other/truck-1/fix"),
        ("truck-1", "telematics/v1/default/truck-2/fix"),
        ("truck-1", "telematics/v1/default/truck-1/trip"),
        ("default", "telematics/v1/default/truck-1/trip"),
        ("default", "telematics/v1/default/truck-1/ack"),
        ("dispatch", "telematics/v1/default/truck-1/fix"),
        ("dispatch", "telematics/v1/other/truck-1/trip"),
        ("default", "monitor/v1/default/incidents/1"),
    ],
)
def test_the_broker_refuses_what_is_anothers_to_publish(
    monitor: tuple[Broker, Taker], devices: dict[str, Device], user: str, topic: str
) -> None:
    _, loop = monitor
    assert devices[user].publish(topic) == NOT_AUTHORIZED
    devices["default"].publish("telematics/v1/default/last/fix", b"last")
    assert loop.payloads(1) == [b"last"]


def test_receipts_and_incidents_reach_their_carrier_and_nobody_else(
    monitor: tuple[Broker, Taker], devices: dict[str, Device]
) -> None:
    door, _ = monitor
    for device in devices.values():
        device.subscribe("telematics/v1/#")
        device.subscribe("monitor/v1/#")
    door.acknowledge([], [Receipt(VehicleId("default", "truck-1"), "a7", 12, ((14, 15),))])
    door.publish("default", "monitor/v1/default/incidents/1", b"open", retain=False)
    receipt = ("telematics/v1/default/truck-1/ack", b'{"boot":"a7","through":12,"missing":[[14,15]]}')
    incident = ("monitor/v1/default/incidents/1", b"open")
    assert set(devices["default"].wait(2)) == {receipt, incident}
    assert set(devices["truck-1"].wait(1)) == {receipt}
    door.acknowledge([], [Receipt(VehicleId("other", "truck-1"), "b", 1, ())])
    assert devices["other"].wait(1)[0][0] == "telematics/v1/other/truck-1/ack"
    assert len(devices["default"].heard) == 2
    assert devices["dispatch"].heard == []


def test_a_certificate_of_another_authority_does_not_get_in(shipped: Shipped) -> None:
    certificate(shipped.folder, "stranger", "forged", "default")
    context = ssl.create_default_context(cafile=shipped.folder / "devices-ca.crt")
    context.load_cert_chain(shipped.folder / "forged.crt", shipped.folder / "forged.key")
    with (
        socket.create_connection(("127.0.0.1", shipped.tls), PATIENCE_S) as plain,
        pytest.raises(OSError, match="alert"),
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wire,
    ):
        wire.recv(1)


def test_by_tls_the_monitor_checks_the_brokers_certificate_and_shows_its_own(shipped: Shipped) -> None:
    certificate(shipped.folder, "devices-ca", "monitor", "monitor")
    files = {name: str(shipped.folder / file) for name, file in (("ca_file", "devices-ca.crt"), ("certificate", "monitor.crt"))}
    settings = Settings(port=shipped.tls, tls=True, key=str(shipped.folder / "monitor.key"), client_id="by-tls", **files)  # type: ignore[arg-type]
    ingress = Ingress([Broker(settings, 100)], 100)
    ingress.start()
    loop = Taker(ingress)
    device = shipped.device("default")
    payloads = [b"%d" % number + b"." * 5000 for number in range(200)]
    for payload in payloads:
        device.client.publish("telematics/v1/default/any/fix", payload, 1)
    assert loop.payloads(200) == payloads
    device.close()
    ingress.close()
    assert loop.ended()


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"host": "localhost"}, "certificate"),
        ({"ca_file": "stranger.crt"}, "certificate"),
        ({"ca_file": "none.crt"}, r"none\.crt \(ingest\.broker\.ca_file\) cannot be read"),
        ({"certificate": "server.key", "key": ""}, r"\(ingest\.broker\.ca_file, certificate, key\) cannot be used"),
    ],
)
def test_a_broker_that_is_not_who_it_should_be_is_one_clear_line(shipped: Shipped, said: dict[str, str], complaint: str) -> None:
    files = {"ca_file": "devices-ca.crt", "certificate": "default.crt", "key": "default.key"} | said
    host = files.pop("host", "127.0.0.1")
    paths = {name: str(shipped.folder / file) if file else "" for name, file in files.items()}
    with pytest.raises(ServiceError, match=complaint):
        Ingress([Broker(Settings(host=host, port=shipped.tls, tls=True, **paths), 100)], 100).start()  # type: ignore[arg-type]


def test_while_the_monitor_is_away_the_broker_keeps_more_than_its_default_of_a_thousand(
    shipped: Shipped, devices: dict[str, Device]
) -> None:
    first = Ingress([Broker(shipped.settings(client_id="away"), 100)], 100)
    first.start()
    first.close()
    payloads = [b"%d" % number for number in range(3000)]
    for payload in payloads:
        sent = devices["default"].client.publish("telematics/v1/default/any/fix", payload, 1)
    sent.wait_for_publish(PATIENCE_S)
    second = Ingress([Broker(shipped.settings(client_id="away"), 100)], 100)
    second.start()
    loop = Taker(second)
    assert loop.payloads(3000) == payloads
    second.close()
    assert loop.ended()


def test_the_bridge_of_the_document_passes_fixes_on_and_receipts_back(
    shipped: Shipped, monitor: tuple[Broker, Taker], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    door, loop = monitor
    [text] = re.findall(r"^```\n(connection .*?)^```$", (DOCS.parent / "broker.md").read_text(), re.M | re.S)
    text = text.replace("broker.example.com:8883", f"127.0.0.1:{shipped.tls}").replace("broker-ca.crt", "devices-ca.crt")
    text = text.replace("/etc/mosquitto/", f"{shipped.folder}/")
    at_the_site = Mosquitto(tmp_path, "allow_anonymous true", *text.splitlines())
    request.addfinalizer(at_the_site.kill)
    at_the_site.publish([b"first", b"second"], topic="telematics/v1/default/any/fix")
    assert loop.payloads(2) == [b"first", b"second"]
    heard = subprocess.Popen(
        ["mosquitto_sub", "-p", str(at_the_site.port), "-q", "1", "-t", "telematics/#", "-C", "1", "-W", "10", "-F", "%t %p"],
        stdout=subprocess.PIPE,
        text=True,
    )
    while heard.poll() is None:
        door.acknowledge([], [Receipt(VehicleId("default", "any"), "a7", 2, ())])
        with contextlib.suppress(subprocess.TimeoutExpired):
            heard.wait(0.2)
    assert heard.stdout is not None
    assert heard.stdout.read().strip() == 'telematics/v1/default/any/ack {"boot":"a7","through":2,"missing":[]}'
