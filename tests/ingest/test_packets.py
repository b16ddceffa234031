"""The codec: what the standard says is read, what it forbids is a `ProtocolError` with its reason; nothing else comes out."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ingest.mqtt import answers, hello, packets
from monitor.ingest.mqtt.fields import ProtocolError, Reader, Reason
from monitor.ingest.mqtt.framing import Framer
from monitor.ingest.mqtt.packets import Filter, Kind
from tests.ingest import wire

LIMIT = 65_536
TOPIC = "telematics/v1/acme/truck/fix"


def body(packet: bytes) -> bytes:
    [(_, rest)] = Framer(LIMIT).feed(packet)
    return rest


def refusal(packet: bytes, version: int = wire.V5) -> Reason:
    """The reason a whole packet is refused for."""
    with pytest.raises(ProtocolError) as caught:
        read_all(packet, version)
    return caught.value.reason


def read_all(data: bytes, version: int) -> None:
    """Read a stream the way a connection does, each packet by its own function."""
    for first, rest in Framer(LIMIT).feed(data):
        if first >> 4 == Kind.PUBLISH:
            packets.publish(first, rest, version)
            continue
        kind = packets.check_flags(first)
        if kind is Kind.CONNECT:
            hello.connect(rest, hello.protocol_level(rest))
        elif kind is Kind.SUBSCRIBE:
            packets.subscribe(rest, version)
        elif kind is Kind.UNSUBSCRIBE:
            packets.unsubscribe(rest, version)
        elif kind is Kind.PUBACK:
            packets.puback(rest, version)
        elif kind is Kind.DISCONNECT:
            packets.disconnect(rest, version)
        else:
            Reader(rest).end()


# -- framing --


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_packets_are_the_same_however_the_stream_is_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(wire.packet(0x30, rest) for rest in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    framer = Framer(LIMIT)
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [rest for piece in pieces for _, rest in framer.feed(piece)] == bodies
    assert framer.held == 0


def test_packets_that_were_not_asked_for_are_held_and_come_next() -> None:
    framer = Framer(LIMIT)
    stream = b"".join(wire.packet(0x30, bytes([number])) for number in range(3))
    assert next(framer.feed(stream + b"\x30")) == (0x30, b"\0")
    assert framer.held == 2 * 3 + 1
    assert list(framer.feed(b"")) == [(0x30, b"\1"), (0x30, b"\2")]
    assert list(framer.feed(b"\x01\x07")) == [(0x30, b"\7")]
    assert framer.held == 0


def test_a_packet_over_the_limit_is_refused_by_its_length_alone_after_those_before_it() -> None:
    stream = Framer(100).feed(wire.packet(0x30, b"x" * 98) + b"\x30\x63")
    assert next(stream) == (0x30, b"x" * 98)
    with pytest.raises(ProtocolError, match="101 bytes, 100 are allowed") as caught:
        next(stream)
    assert caught.value.reason is Reason.PACKET_TOO_LARGE


def test_a_length_of_five_bytes_is_malformed() -> None:
    assert refusal(b"\x30\xff\xff\xff\xff\x01") is Reason.MALFORMED


def test_a_length_padded_to_two_bytes_is_read() -> None:
    assert list(Framer(LIMIT).feed(b"\xc0\x80\x00")) == [(0xC0, b"")]


def test_never_more_than_the_limit_is_held() -> None:
    framer = Framer(1000)
    list(framer.feed(b"\x30\xe5\x07" + b"x" * 500))
    list(framer.feed(b"x" * 496))
    assert framer.held == 999
    assert [len(rest) for _, rest in framer.feed(b"x" * 1)] == [997]
    assert framer.held == 0


# -- CONNECT --


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
def test_a_connect_says_who_it_is(version: int) -> None:
    rest = body(wire.connect("acme", b"\x00secret", version=version, client_id="ä", keep_alive=7, clean=False))
    assert hello.protocol_level(rest) == version
    said = hello.connect(rest, version)
    assert (said.client_id, said.clean, said.keep_alive, said.username, said.password) == (
        *("ä", False, 7),
        *("acme", b"\x00secret"),
    )


def test_a_connect_may_carry_a_will() -> None:
    will = b"\x05\x18\x00\x00\x00\x09" + wire.binary("telematics/v1/acme/truck/status") + wire.binary(b"gone")
    rest = wire.binary("MQTT") + b"\x05\x2e\x00\x3c\x00" + wire.binary("id") + will
    assert hello.connect(rest, wire.V5).will == hello.Will("telematics/v1/acme/truck/status", b"gone", 1, retain=True)


def connect_body(
    *, flags: int = 0x02, level: int = 5, name: bytes = b"MQTT", properties: bytes = b"\0", tail: bytes = b""
) -> bytes:
    rest = wire.binary(name) + bytes([level, flags]) + b"\0\0" + (properties if level == 5 else b"") + wire.binary("id") + tail
    return wire.packet(0x10, rest)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (connect_body(flags=0x03), Reason.MALFORMED),
        (connect_body(flags=0x1E), Reason.MALFORMED),
        (connect_body(flags=0x0A), Reason.MALFORMED),
        (connect_body(flags=0x22), Reason.MALFORMED),
        (connect_body(flags=0x42, level=4, tail=wire.binary("x")), Reason.MALFORMED),
        (connect_body(flags=0x16), Reason.QOS_NOT_SUPPORTED),
        (connect_body(flags=0x82), Reason.MALFORMED),
        (connect_body(tail=b"x"), Reason.MALFORMED),
        (connect_body(name=b"HTTP"), Reason.MALFORMED),
        (connect_body(level=3, name=b"MQIsdp"), Reason.UNSUPPORTED_VERSION),
        (connect_body(level=6), Reason.UNSUPPORTED_VERSION),
        (connect_body(properties=b"\x03\x21\x00\x00"), Reason.PROTOCOL_ERROR),
        (connect_body(properties=b"\x04\x17\x01\x17\x01"), Reason.PROTOCOL_ERROR),
        (connect_body(properties=b"\x02\x19\x02"), Reason.PROTOCOL_ERROR),
        (connect_body(properties=b"\x03\x23\x00\x01"), Reason.MALFORMED),
        (connect_body(properties=b"\x01\x17\x01"), Reason.MALFORMED),
        (wire.connect(client_id="a\0b"), Reason.MALFORMED),
        (b"\x11" + connect_body()[1:], Reason.MALFORMED),
    ],
    ids=[
        *("reserved flag", "will QoS 3", "will QoS without will", "will retain without will", "password alone in 3.1.1"),
        *("will QoS 2", "user name missing", "bytes too many", "not MQTT", "MQTT 3.1", "MQTT 6", "receive maximum 0"),
        *("property twice", "flag of 2", "property of another packet", "property longer than the block", "U+0000", "header flag"),
    ],
)
def test_a_bad_connect_is_refused_with_its_reason(packet: bytes, reason: Reason) -> None:
    assert refusal(packet) is reason


# -- PUBLISH --


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
def test_a_publish_splits_into_topic_packet_id_and_payload(version: int) -> None:
    at_least_once = wire.publish(TOPIC, b"payload", 0x1234, version=version)
    assert packets.publish(at_least_once[0], body(at_least_once), version) == (TOPIC.encode(), b"\x12\x34", b"payload")
    at_most_once = wire.publish(TOPIC, b"", version=version, qos=0)
    assert packets.publish(at_most_once[0], body(at_most_once), version) == (TOPIC.encode(), b"", b"")


def test_properties_of_a_publish_are_skipped() -> None:
    said = b"\x01\x01" + b"\x26" + wire.binary("k") + wire.binary("v") + b"\x26" + wire.binary("k") + wire.binary("v")
    rest = wire.binary("t") + b"\x00\x01" + wire.varint(len(said)) + said + b"payload"
    assert packets.publish(0x32, rest, wire.V5) == (b"t", b"\x00\x01", b"payload")


@pytest.mark.parametrize(
    ("first", "rest", "reason"),
    [
        (0x34, wire.binary("t") + b"\0\x01\0", Reason.QOS_NOT_SUPPORTED),
        (0x36, wire.binary("t") + b"\0\x01\0", Reason.MALFORMED),
        (0x32, wire.binary("t") + b"\0\0\0", Reason.PROTOCOL_ERROR),
        (0x30, b"", Reason.MALFORMED),
        (0x30, b"\0", Reason.MALFORMED),
        (0x30, b"\0\0\0", Reason.MALFORMED),
        (0x30, b"\0\x09t\0", Reason.MALFORMED),
        (0x32, wire.binary("t") + b"\x01", Reason.MALFORMED),
        (0x32, wire.binary("t") + b"\0\x01", Reason.MALFORMED),
        (0x30, b"\0\0\x03\x23\0\x01", Reason.TOPIC_ALIAS_INVALID),
        (0x30, wire.binary("t") + b"\x02\x0b\x01", Reason.MALFORMED),
        (0x30, wire.binary("t") + b"\x7f", Reason.MALFORMED),
    ],
    ids=[
        *("QoS 2", "QoS 3", "packet id 0", "empty", "one byte", "no topic", "topic cut", "packet id cut", "no properties"),
        *("topic alias", "subscription identifier", "properties cut"),
    ],
)
def test_a_bad_publish_is_refused_with_its_reason(first: int, rest: bytes, reason: Reason) -> None:
    assert refusal(wire.packet(first, rest)) is reason


# -- the rest --


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
def test_a_subscribe_names_filters_and_qos(version: int) -> None:
    asked = packets.subscribe(body(wire.subscribe("a/+", "b", version=version, packet_id=9)), version)
    assert asked == packets.Subscribe(b"\0\x09", (Filter("a/+", 1), Filter("b", 1)), identified=False)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (wire.subscribe(), Reason.PROTOCOL_ERROR),
        (wire.subscribe("a", qos=3), Reason.MALFORMED),
        (wire.subscribe("a", qos=0x31), Reason.MALFORMED),
        (wire.subscribe("a", qos=0x41), Reason.MALFORMED),
        (wire.subscribe("a", packet_id=0), Reason.PROTOCOL_ERROR),
        (wire.packet(0x80, b"\0\x01\0\0\x01a\0"), Reason.MALFORMED),
        (wire.packet(0xA2, b"\0\x01\0"), Reason.PROTOCOL_ERROR),
        (wire.packet(0xC0, b"x"), Reason.MALFORMED),
        (wire.packet(0x20, b"\0\0"), Reason.PROTOCOL_ERROR),
        (wire.packet(0x62, b"\0\x01"), Reason.PROTOCOL_ERROR),
        (wire.packet(0xF0, b"\0\0"), Reason.PROTOCOL_ERROR),
        (wire.packet(0x00, b""), Reason.PROTOCOL_ERROR),
        (wire.packet(0xE0, b"\0\x05\x11\0\0\0\0x"), Reason.MALFORMED),
        (wire.packet(0x40, b"\0"), Reason.MALFORMED),
    ],
    ids=[
        *(
            "no filter",
            "QoS 3",
            "retain handling 3",
            "reserved option",
            "packet id 0",
            "flags of SUBSCRIBE",
            "nothing to unsubscribe",
        ),
        *("a long PINGREQ", "CONNACK", "PUBREL", "AUTH", "kind 0", "a long DISCONNECT", "PUBACK cut"),
    ],
)
def test_a_bad_packet_is_refused_with_its_reason(packet: bytes, reason: Reason) -> None:
    assert refusal(packet) is reason


def test_what_a_client_may_also_send_is_read() -> None:
    stream = [wire.packet(0xC0, b""), wire.packet(0x40, b"\0\x01"), wire.packet(0x40, b"\0\x01\x10"), wire.packet(0xE0, b"")]
    read_all(b"".join([*stream, wire.packet(0xE0, b"\x04\x05\x11\0\0\0\0")]), wire.V5)
    read_all(b"".join(stream[:2] + stream[3:]), wire.V311)


GOOD = [
    *[wire.connect(version=version, properties=b"\x11\0\0\0\x01") for version in (wire.V311, wire.V5)],
    *[wire.publish(TOPIC, b'{"lat": 1}', qos=qos, version=version) for qos in (0, 1) for version in (wire.V311, wire.V5)],
    wire.packet(0x32, wire.binary("t") + b"\0\x01\x07\x26" + wire.binary("k") + wire.binary("v") + b"x"),
    wire.subscribe("telematics/v1/acme/truck/ack"),
    wire.packet(0xA2, b"\0\x01\0" + wire.binary("a")),
    wire.packet(0xC0, b""),
    wire.packet(0xE0, b"\x04\x05\x11\0\0\0\0"),
    *[wire.connect(version=version, client_id="x", will=("telematics/v1/acme/truck/status", b"gone")) for version in (4, 5)],
    *[wire.publish("telematics/v1/acme/truck/status", b"{}", version=version, retain=True) for version in (4, 5)],
    *[wire.subscribe("telematics/v1/acme/truck/status", "monitor/v1/acme/incidents/#", version=version) for version in (4, 5)],
    wire.packet(0x40, b"\0\x01"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A stream of valid packets with bytes changed, cut out and put in."""
    stream = bytearray(b"".join(draw(st.lists(st.sampled_from(GOOD), min_size=1, max_size=5))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(stream)))
        stream[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(stream)


@settings(max_examples=500)
@given(st.binary(max_size=200) | mutated(), st.sampled_from([wire.V311, wire.V5]))
def test_bytes_are_packets_or_a_protocol_error_and_nothing_else(data: bytes, version: int) -> None:
    with contextlib.suppress(ProtocolError):
        read_all(data, version)


# -- answers --


def test_a_connack_says_the_terms_to_version_5_and_a_code_to_3() -> None:
    assert answers.connack(5, Reason.SUCCESS, {0x21: 10, 0x12: "id"}) == b"\x20\x0b\x00\x00\x08\x21\x00\x0a\x12\x00\x02id"
    assert answers.connack(4, Reason.SUCCESS, {0x21: 10}) == b"\x20\x02\x00\x00"
    assert answers.connack(4, Reason.BAD_CREDENTIALS) == b"\x20\x02\x00\x04"
    assert answers.connack(4, Reason.MALFORMED) == b""


def test_many_pubacks_are_one_piece_in_order_and_a_refusal_keeps_its_place() -> None:
    assert answers.pubacks([b"\0\1", b"\0\2"]) == b"\x40\x02\0\1\x40\x02\0\2"
    assert answers.pubacks([b"\0\1", b"\0\2\x87", b"\0\3"]) == b"\x40\x02\0\1\x40\x03\0\2\x87\x40\x02\0\3"


def test_the_options_of_a_subscription_are_read() -> None:
    asked = packets.subscribe(b"\0\x01\0" + wire.binary("a") + b"\x2d", wire.V5)
    assert asked.filters == (Filter("a", 1, no_local=True, as_published=True, handling=2),)


def test_a_goodbye_says_whether_the_will_is_wanted() -> None:
    assert [packets.disconnect(said, wire.V5) for said in (b"", b"\x04", b"\x00\x00")] == [0, 4, 0]
    assert packets.disconnect(b"", wire.V311) == 0


def test_a_reason_in_words_is_short_and_plain() -> None:
    assert answers.disconnect(5, Reason.MALFORMED, "why") == b"\xe0\x08\x81\x06\x1f\x00\x03why"
    assert answers.refused(b"\0\1", Reason.NOT_AUTHORIZED, "no") == b"\0\1\x87\x05\x1f\x00\x02no"
    assert answers.shortened("\u00e4\n" + "x" * 200) == "??" + "x" * 95 + "..."
    assert len(answers.refused(b"\0\1", Reason.NOT_AUTHORIZED, "x" * 999)) < 128


def test_what_we_publish_is_a_publish() -> None:
    assert answers.publication(b"t", b"p", 0, version=5, retain=False) == b"\x30\x05\0\1t\0p"
    assert answers.publication(b"t", b"p", 258, version=5, retain=True) == b"\x33\x07\0\1t\1\2\0p"
    assert answers.publication(b"t", b"p", 258, version=4, retain=False) == b"\x32\x06\0\1t\1\2p"


def test_subscriptions_and_goodbyes_are_answered_in_each_version() -> None:
    assert answers.suback(5, b"\0\1", [1, 0x87]) == b"\x90\x05\0\1\0\1\x87"
    assert answers.suback(4, b"\0\1", [1, 0x87]) == b"\x90\x04\0\1\1\x80"
    assert answers.unsuback(5, b"\0\1", [0, 0]) == b"\xb0\x05\0\1\0\0\0"
    assert answers.unsuback(4, b"\0\1", [0, 0]) == b"\xb0\x02\0\1"
    assert answers.disconnect(5, Reason.SERVER_SHUTTING_DOWN) == b"\xe0\x01\x8b"
    assert answers.disconnect(4, Reason.SERVER_SHUTTING_DOWN) == b""


@given(st.integers(0, 268_435_455))
def test_lengths_are_written_as_the_standard_says(value: int) -> None:
    assert answers.varint(value) == wire.varint(value)
