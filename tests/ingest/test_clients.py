"""Clients that nobody here wrote: each publishes, is told of the commit and of its numbers, also by TLS; its will comes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiomqtt
import gmqtt  # type: ignore[import-untyped]
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.fixes import VehicleId
from monitor.ingest.mqtt.outside import Outside
from monitor.ingest.sequence import Receipt
from tests.ingest.authority import Authority, authority, needs_openssl
from tests.ingest.conftest import Serve, Served
from tests.ingest.wire import PATIENCE_S

__all__ = ["authority"]
FIX, STATUS, ACK = (f"telematics/v1/acme/truck/{channel}" for channel in ("fix", "status", "ack"))
COUNT = 20
STANDING = Receipt(VehicleId("acme", "truck"), "a7", 5, ((6, 8),))
TOLD = {"boot": "a7", "through": 5, "missing": [[6, 8]]}
CI = os.environ.get("CI") == "true"
MOSQUITTO = shutil.which("mosquitto_pub")
NODE = shutil.which("node")


def mqtt_js() -> bool:
    """Whether node finds MQTT.js, by NODE_PATH or beside the tests."""
    return NODE is not None and subprocess.run([NODE, "-e", "require('mqtt')"], capture_output=True, check=False).returncode == 0


needs_mosquitto = pytest.mark.skipif(not MOSQUITTO and not CI, reason="mosquitto_pub and mosquitto_sub are not installed")
needs_mqtt_js = pytest.mark.skipif(
    not mqtt_js() and not CI, reason="node with MQTT.js is not there: npm install mqtt, and NODE_PATH names its folder"
)


class Way(NamedTuple):
    """How to connect."""

    port: int
    version: int
    """4 or 5."""
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def context(self) -> ssl.SSLContext | None:
        """For clients that take one; None for no TLS."""
        if not self.ca:
            return None
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    @property
    def login(self) -> tuple[str | None, str | None]:
        """User name and password; none where a certificate stands for them."""
        return (None, None) if self.certificate else ("acme/truck", "right")


Trip = Callable[[Way], tuple[int, str, bytes]]
"""Subscribes to ACK, publishes COUNT messages of QoS 1 to FIX; gives how many were acknowledged, and the message that came."""


def by_paho(way: Way) -> tuple[int, str, bytes]:
    client = paho_client(way)
    came: list[paho.MQTTMessage] = []
    heard = threading.Event()

    def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        came.append(message)
        heard.set()

    client.on_message = on_message
    client.connect("localhost", way.port)
    client.loop_start()
    client.subscribe(ACK, qos=1)
    sent = [client.publish(FIX, b"%d" % i, qos=1) for i in range(COUNT)]
    for each in sent:
        each.wait_for_publish(PATIENCE_S)
    assert heard.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    return sum(each.is_published() for each in sent), came[0].topic, bytes(came[0].payload)


def paho_client(way: Way) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="paho", protocol=MQTTProtocolVersion(way.version))
    username, password = way.login
    if username:
        client.username_pw_set(username, password)
    if way.context:
        client.tls_set_context(way.context)
    return client


def by_aiomqtt(way: Way) -> tuple[int, str, bytes]:
    async def trip() -> tuple[int, str, bytes]:
        username, password = way.login
        protocol = aiomqtt.ProtocolVersion(way.version)
        async with aiomqtt.Client(
            "localhost",
            way.port,
            username=username,
            password=password,
            protocol=protocol,
            tls_context=way.context,
            timeout=PATIENCE_S,
        ) as client:
            await client.subscribe(ACK, qos=1)
            for number in range(COUNT):
                await client.publish(FIX, b"%d" % number, qos=1)
            message = await asyncio.wait_for(anext(aiter(client.messages)), PATIENCE_S)
            assert isinstance(message.payload, bytes)
            return COUNT, str(message.topic), message.payload

    return asyncio.run(trip())


def by_gmqtt(way: Way) -> tuple[int, str, bytes]:
    async def trip() -> tuple[int, str, bytes]:
        client = gmqtt.Client("gmqtt")
        came: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()

        def on_message(_client: object, topic: str, payload: bytes, _qos: int, _properties: object) -> int:
            if not came.done():
                came.set_result((topic, payload))
            return 0

        client.on_message = on_message
        username, password = way.login
        if username:
            client.set_auth_credentials(username, password)
        await client.connect("localhost", way.port, ssl=way.context or False, version=way.version)
        client.subscribe(ACK, qos=1)
        for number in range(COUNT):
            client.publish(FIX, b"%d" % number, qos=1)
        topic, payload = await asyncio.wait_for(came, PATIENCE_S)
        while not client._persistent_storage.is_empty:  # what was not acknowledged
            await asyncio.sleep(0.01)
        await client.disconnect()
        return COUNT, topic, payload

    return asyncio.run(asyncio.wait_for(trip(), PATIENCE_S))


def by_mosquitto(way: Way) -> tuple[int, str, bytes]:
    heard = subprocess.run(
        [*mosquitto("sub", way), "-t", ACK, "-v", "-C", "1", "-W", "10"], capture_output=True, check=True, timeout=PATIENCE_S
    )
    lines = "".join(f"{number}\n" for number in range(COUNT))
    subprocess.run([*mosquitto("pub", way), "-t", FIX, "-l"], input=lines.encode(), check=True, timeout=PATIENCE_S)
    topic, _, payload = heard.stdout.strip().partition(b" ")
    return COUNT, topic.decode(), payload


def mosquitto(what: str, way: Way) -> list[str]:
    words = [
        f"mosquitto_{what}",
        "-h",
        "localhost",
        "-p",
        str(way.port),
        "-V",
        "mqttv5" if way.version == 5 else "mqttv311",
        "-q",
        "1",
    ]
    username, password = way.login
    words += ["-u", username, "-P", password] if username and password else []
    words += ["--cafile", way.ca] if way.ca else []
    return words + (["--cert", way.certificate, "--key", way.key] if way.certificate else [])


def by_mqtt_js(way: Way) -> tuple[int, str, bytes]:
    done = subprocess.run(
        node(way, {"topic": FIX, "subscribe": ACK, "count": COUNT}), capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["granted"], said["code"]) == ([1], 0)
    return COUNT, said["received"][0], said["received"][1].encode()


def node(way: Way, said: dict[str, Any], **more: Any) -> list[str]:
    username, password = way.login
    options: dict[str, Any] = {"protocolVersion": way.version, "clientId": "js", **more}
    options |= {"username": username, "password": password} if username else {}
    if way.ca:
        options["ca"] = Path(way.ca).read_text()
    if way.certificate:
        options |= {"cert": Path(way.certificate).read_text(), "key": Path(way.key).read_text()}
    url = f"{'mqtts' if way.ca else 'mqtt'}://localhost:{way.port}"
    script = Path(__file__).with_name("mqtt_js_client.js")
    return [NODE or "node", str(script), json.dumps({"url": url, "options": options, **said})]


CLIENTS = pytest.mark.parametrize(
    "trip",
    [
        pytest.param(by_paho, id="paho"),
        pytest.param(by_aiomqtt, id="aiomqtt"),
        pytest.param(by_gmqtt, id="gmqtt"),
        pytest.param(by_mosquitto, id="mosquitto", marks=needs_mosquitto),
        pytest.param(by_mqtt_js, id="MQTT.js", marks=needs_mqtt_js),
    ],
)
VERSIONS = pytest.mark.parametrize("version", [4, 5])


@pytest.fixture
def listening(serve: Serve) -> Callable[..., Served]:
    """Start a listener that has something to tell the truck."""
    return lambda **limits: serve(outside=Outside(standing=lambda _: [STANDING]), **limits)


@pytest.fixture(scope="module")
def pem(authority: Authority) -> dict[str, str]:
    """Settings of a listener by TLS."""
    certificate, key = authority.sign("localhost", "clients-server", server=True)
    return {"tls_certificate": str(certificate), "tls_key": str(key), "client_ca": str(authority.certificate)}


def makes_its_trip(served: Served, trip: Trip, way: Way) -> None:
    """Everything that the client published is there and acknowledged, and it was told its numbers."""
    acknowledged, topic, payload = trip(way)
    assert acknowledged == COUNT
    assert (topic, json.loads(payload)) == (ACK, TOLD)
    assert sorted(served.loop.payloads(COUNT), key=int) == [b"%d" % number for number in range(COUNT)]
    assert {message.topic for message in served.loop.messages} == {FIX}


@CLIENTS
@VERSIONS
def test_it_publishes_and_is_told(listening: Callable[..., Served], trip: Trip, version: int) -> None:
    served = listening()
    makes_its_trip(served, trip, Way(served.listener.port, version))


@needs_openssl
@CLIENTS
@VERSIONS
def test_it_does_so_by_tls(listening: Callable[..., Served], trip: Trip, version: int, pem: dict[str, str]) -> None:
    served = listening(**pem)
    makes_its_trip(served, trip, Way(served.listener.port, version, pem["client_ca"]))


@needs_openssl
@CLIENTS
def test_it_does_so_with_a_certificate_and_no_password(
    listening: Callable[..., Served], trip: Trip, pem: dict[str, str], authority: Authority
) -> None:
    served = listening(**pem, client_certificates="required")
    certificate, key = authority.sign("acme/truck", "clients-truck")
    makes_its_trip(served, trip, Way(served.listener.port, 5, pem["client_ca"], str(certificate), str(key)))


# -- wills --


def lost_paho(way: Way) -> Iterator[None]:
    client = paho_client(way)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.will_set(STATUS, b"gone", qos=1, retain=True)
    client.connect("localhost", way.port)
    client.loop_start()
    assert connected.wait(PATIENCE_S)
    yield
    sock = client.socket()
    assert sock is not None
    client.loop_stop()
    sock.close()


def lost_mosquitto(way: Way) -> Iterator[None]:
    will = ["--will-topic", STATUS, "--will-payload", "gone", "--will-qos", "1", "--will-retain"]
    words = [*mosquitto("sub", way), *will, "-t", ACK, "-v"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with suppress(ValueError):
        assert process.stdout.readline().startswith(ACK.encode())
    yield
    process.kill()
    process.communicate(timeout=PATIENCE_S)


def lost_mqtt_js(way: Way) -> Iterator[None]:
    will = {"topic": STATUS, "payload": "gone", "qos": 1, "retain": True}
    process = subprocess.Popen(node(way, {"stay": True}, will=will), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"connected\n"
    yield
    process.kill()
    process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(lost_paho, id="paho"),
        pytest.param(lost_mosquitto, id="mosquitto", marks=needs_mosquitto),
        pytest.param(lost_mqtt_js, id="MQTT.js", marks=needs_mqtt_js),
    ],
)
@VERSIONS
def test_its_will_comes_when_it_is_lost(
    listening: Callable[..., Served], lost: Callable[[Way], Iterator[None]], version: int
) -> None:
    served = listening()
    life = lost(Way(served.listener.port, version))
    next(life)
    assert served.loop.statuses == []
    next(life, None)
    served.loop.wait(lambda loop: bool(loop.statuses))
    assert [(status.topic, status.payload) for status in served.loop.statuses] == [(STATUS, b"gone")]


# -- refusals --


@VERSIONS
def test_a_foreign_client_is_told_why_it_is_not_let_in(served: Served, version: int) -> None:
    client = paho_client(Way(served.listener.port, version))
    client.username_pw_set("acme/truck", "wrong")
    said: list[str] = []
    connected = threading.Event()

    def on_connect(_client: paho.Client, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        said.append(str(reason))
        connected.set()

    client.on_connect = on_connect
    client.connect("localhost", served.listener.port)
    client.loop_start()
    assert connected.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    assert said[0] == "Bad user name or password"
