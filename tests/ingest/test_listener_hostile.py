"""What breaks the rules gets its own clear answer, and everybody else goes on being served."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.errors import StoreError
from monitor.fixes import Identity
from monitor.ingest.ingress import Ingress
from monitor.ingest.listener import Listener
from tests.ingest import wire
from tests.ingest.conftest import LIMITS, Serve, Served, serving
from tests.ingest.test_packets import mutated
from tests.ingest.wire import V5, V311, MainLoop, Wire, connect, packet, publish

TOPIC = "telematics/v1/acme/truck/fix"
VERSIONS = pytest.mark.parametrize("version", [V311, V5])


def farewell(reason: int, version: int) -> tuple[int, bytes] | None:
    """What the client reads last: MQTT 5 a DISCONNECT with the reason, 3.1.1 the end."""
    return (wire.DISCONNECT, bytes([reason])) if version == V5 else None


def serves(served: Served) -> bool:
    """Whether a client that keeps the rules gets its message taken and acknowledged."""
    before = len(served.loop.messages)
    good = served.client("good/truck", client_id="good")
    good.send(publish("telematics/v1/good/truck/fix", b"good"))
    answered = good.read() == (wire.PUBACK, b"\0\x01")
    good.close()
    return answered and len(served.loop.messages) > before


@pytest.fixture
def bystander(served: Served) -> Iterator[Wire]:
    """Another client, connected before the offence, that must be served after it; and a new one too."""
    other = served.client("other/truck", client_id="bystander")
    yield other
    other.send(publish("telematics/v1/other/truck/fix", b"still here", packet_id=9))
    assert other.read() == (wire.PUBACK, b"\0\x09")
    assert served.loop.messages[-1].payload == b"still here"
    assert serves(served)


@VERSIONS
@pytest.mark.usefixtures("bystander")
def test_a_packet_of_10_mb_is_refused_by_its_length(served: Served, version: int) -> None:
    device = served.client(version=version)
    device.send(publish(TOPIC, b"x" * 10_000_000, version=version))
    assert device.read() == farewell(0x95, version)


@VERSIONS
@pytest.mark.usefixtures("bystander")
def test_a_connect_of_10_mb_is_closed(served: Served, version: int) -> None:
    stranger = served.wire()
    stranger.send(connect(version=version, client_id="id")[:1] + wire.varint(10_000_000) + b"x" * 10_000_000)
    assert stranger.read() is None


@pytest.mark.usefixtures("bystander")
def test_the_topic_of_another_carrier_is_refused_and_kept_as_evidence(served: Served) -> None:
    device, older = served.client(), served.client(client_id="older", version=V311)
    device.send(publish("telematics/v1/other/truck/fix"))
    assert device.read() == (wire.PUBACK, b"\0\x01\x87")
    assert device.silent()
    device.send(publish("telematics/v1/other/truck/fix", qos=0))
    assert device.read() == (wire.DISCONNECT, b"\x87")
    older.send(publish("telematics/v1/other/truck/fix", version=V311))
    assert older.read() is None
    served.loop.wait(lambda loop: len(loop.rejects) == 3)
    assert {reject.reason for reject in served.loop.rejects} == {"topic of another carrier"}


@pytest.mark.parametrize(
    ("username", "password", "version", "code"),
    [
        ("acme/truck", b"wrong", V5, 0x86),
        ("acme/truck", b"wrong", V311, 4),
        ("acme/truck", b"", V5, 0x86),
        (None, None, V5, 0x87),
        (None, None, V311, 5),
        ("acme/truck", None, V5, 0x87),
    ],
)
@pytest.mark.usefixtures("bystander")
def test_wrong_or_missing_credentials_are_refused_in_the_connack(
    served: Served, username: str | None, password: bytes | None, version: int, code: int
) -> None:
    stranger = served.wire()
    kind, body = stranger.join(connect(username, password, version=version))
    assert (kind, body[:2]) == (wire.CONNACK, bytes([0, code]))
    assert stranger.read() is None


@pytest.mark.parametrize("part", [0, 20])
@pytest.mark.usefixtures("bystander")
def test_half_a_connect_is_closed_when_its_time_is_over(served: Served, part: int) -> None:
    stranger = served.wire()
    stranger.send(connect()[:part])
    assert stranger.read() is None


def test_a_client_that_never_reads_is_closed(serve: Serve) -> None:
    served = serve(send_buffer_bytes=4096)
    device = served.wire(receive_buffer=4096)
    device.send(connect())
    pings = packet(wire.PINGREQ << 4, b"") * 10_000_000
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        device.socket.sendall(pings)
    assert serves(served)


@VERSIONS
@pytest.mark.usefixtures("bystander")
def test_a_topic_that_is_not_utf_8_is_malformed_and_kept_as_evidence(served: Served, version: int) -> None:
    device = served.client(version=version)
    device.send(publish(b"telematics/v1/acme/\xff\xfe/fix", b"payload", version=version))
    assert device.read() == farewell(0x81, version)
    served.loop.wait(lambda loop: len(loop.rejects) == 1)
    [reject] = served.loop.rejects
    assert (reject.reason, reject.payload) == ("topic: a text that is not UTF-8", b"payload")


@VERSIONS
@pytest.mark.usefixtures("bystander")
def test_what_came_before_a_fault_is_taken(served: Served, version: int) -> None:
    device = served.client(version=version)
    device.send(publish(TOPIC, b"good", version=version) + b"\x00\x00")
    assert served.loop.payloads(1) == [b"good"]
    served.loop.wait(lambda loop: True)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (connect(), 0x82),
        (packet(0x34, wire.binary(TOPIC) + b"\0\x01\0"), 0x9B),
        (packet(0x32, wire.binary("") + b"\0\x01\x03\x23\0\x01"), 0x94),
        (packet(0x36, wire.binary(TOPIC) + b"\0\x01\0"), 0x81),
        (packet(0x32, wire.binary(TOPIC) + b"\0\0\0"), 0x82),
        (packet(0x30, b""), 0x81),
        (b"\x30\xff\xff\xff\xff", 0x81),
        (packet(0x20, b"\0\0"), 0x82),
        (packet(0x62, b"\0\x01"), 0x82),
        (packet(0xF0, b""), 0x82),
        (packet(0x80, b"\0\x01\0\0\x01a\0"), 0x81),
        (packet(0x82, b"\0\x01\0"), 0x82),
    ],
    ids=[
        *("second CONNECT", "QoS 2", "topic alias", "QoS 3", "packet id 0", "empty PUBLISH", "endless length", "CONNACK"),
        *("PUBREL", "AUTH", "SUBSCRIBE flags", "SUBSCRIBE nothing"),
    ],
)
@pytest.mark.usefixtures("bystander")
def test_a_broken_rule_is_told_by_its_reason(served: Served, bad: bytes, reason: int) -> None:
    device = served.client()
    device.send(bad)
    assert device.read() == (wire.DISCONNECT, bytes([reason]))
    assert device.read() is None
    older = served.client(version=V311)
    if bad != connect():
        older.send(packet(0x34, wire.binary(TOPIC) + b"\0\x01"))
        assert older.read() is None


@pytest.mark.parametrize(
    "first",
    [publish(TOPIC), packet(wire.PINGREQ << 4, b""), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ids=["PUBLISH", "PINGREQ", "HTTP", "TLS"],
)
@pytest.mark.usefixtures("bystander")
def test_a_stranger_who_does_not_say_connect_is_closed(served: Served, first: bytes) -> None:
    stranger = served.wire()
    stranger.send(first)
    assert stranger.read() is None
    assert served.loop.messages == []


@pytest.mark.parametrize(
    ("hello", "answer"),
    [
        (packet(0x10, wire.binary("MQIsdp") + b"\x03\x02\0\0" + wire.binary("id")), b"\0\x01"),
        (packet(0x10, wire.binary("MQTT") + b"\x06\x02\0\0" + wire.binary("id")), b"\0\x01"),
        (connect(version=V311, client_id="", clean=False), b"\0\x02"),
        (connect(client_id="x" * 257), b"\0\x85"),
        (connect(properties=b"\x15" + wire.binary("SCRAM")), b"\0\x8c"),
        (connect(properties=b"\x03\x00"), b"\0\x81"),
    ],
    ids=["MQTT 3.1", "MQTT 6", "no id and a session", "long id", "extended authentication", "property"],
)
@pytest.mark.usefixtures("bystander")
def test_a_connect_that_cannot_be_accepted_is_told_why(served: Served, hello: bytes, answer: bytes) -> None:
    stranger = served.wire()
    kind, body = stranger.join(hello)
    assert (kind, body[:2]) == (wire.CONNACK, answer)
    assert stranger.read() is None


def test_when_credentials_cannot_be_checked_the_client_may_try_again() -> None:
    def broken(username: str, password: bytes) -> Identity | None:
        raise StoreError("the database is gone")

    listener = Listener(LIMITS, 10, broken)
    ingress = Ingress([listener], 10)
    ingress.start()
    loop = MainLoop(ingress)
    for version, code in ((V5, 0x88), (V311, 3)):
        stranger = Wire(listener.port)
        assert stranger.join(connect(version=version))[1][:2] == bytes([0, code])
        stranger.close()
    ingress.close()
    assert loop.ended()


def send_as_stranger(served: Served, data: bytes) -> None:
    stranger = served.wire()
    stranger.send(data)
    stranger.close()


def send_as_device(version: int) -> Callable[[Served, bytes], None]:
    def send(served: Served, data: bytes) -> None:
        device = served.client(version=version)
        device.send(data)
        device.socket.shutdown(socket.SHUT_WR)
        while device.read():
            pass
        device.close()

    return send


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=400) | mutated(),
    send=st.sampled_from([send_as_stranger, send_as_device(V311), send_as_device(V5)]),
)
def test_whatever_bytes_come_a_good_client_is_served_after_them(
    live: Served, data: bytes, send: Callable[[Served, bytes], None], caplog: pytest.LogCaptureFixture
) -> None:
    send(live, data)
    assert serves(live)
    assert not [record for record in caplog.records if record.name == "asyncio"], "an exception escaped"


@pytest.fixture(scope="module")
def live() -> Iterator[Served]:
    """One listener for all the examples."""
    with serving() as served:
        yield served
