"""MQTT 3.1.1 and 5 packets, read: bytes in, values out, no I/O; whatever the bytes, the only exception is `ProtocolError`.

A packet is a first byte (kind in the high four bits, flags in the low), a length, and a body; `framing.py` cuts the stream into
them. Every function here is given a whole body, which the framer's limit has bounded. Answers are written by `answers.py`.

Source: OASIS MQTT 3.1.1 (2014) and MQTT 5.0 (2019), chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from monitor.ingest.mqtt.fields import Properties, ProtocolError, Reader, Reason, properties

V311, V5 = 4, 5
"""The protocol levels spoken."""


class Kind(IntEnum):
    """The high four bits of a packet's first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


FLAGS: Mapping[int, int] = {
    Kind.CONNECT: 0,
    Kind.PUBACK: 0,
    Kind.SUBSCRIBE: 2,
    Kind.UNSUBSCRIBE: 2,
    Kind.PINGREQ: 0,
    Kind.DISCONNECT: 0,
}
"""The kinds a client may send besides PUBLISH, and the only flags allowed with each."""


def check_flags(first: int) -> Kind:
    """Tell the kind of a packet that is not a PUBLISH.

    Raises
    ------
    ProtocolError
        If a client may not send this kind, or not with these flags.
    """
    kind = first >> 4
    allowed = FLAGS.get(kind)
    if allowed is None:
        raise ProtocolError(Reason.PROTOCOL_ERROR, f"a packet of kind {kind}, which a client does not send here")
    if first & 0x0F != allowed:
        raise ProtocolError(Reason.MALFORMED, f"flags {first & 0x0F} on {Kind(kind).name}")
    return Kind(kind)


@dataclass(frozen=True, slots=True)
class Will:
    """The message a client wants published when it is lost; read and checked, published by nobody yet."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """What a client says of itself in its first packet."""

    client_id: str
    clean: bool
    keep_alive: int
    """Seconds; 0 for none."""
    will: Will | None
    username: str | None
    password: bytes | None
    properties: Properties


def protocol_level(body: bytes) -> int:
    """Give the level of a CONNECT, 4 or 5.

    Raises
    ------
    ProtocolError
        UNSUPPORTED_VERSION for another level or MQTT 3.1, MALFORMED if it is not MQTT at all.
    """
    reader = Reader(body)
    name = reader.binary()
    level = reader.u8()
    if name == b"MQTT" and level in (V311, V5):
        return level
    if name in (b"MQTT", b"MQIsdp"):
        raise ProtocolError(Reason.UNSUPPORTED_VERSION, f"protocol level {level}; 4 (3.1.1) and 5 are spoken")
    raise ProtocolError(Reason.MALFORMED, "not MQTT")


CONNECT_PROPERTIES = frozenset({0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27})
WILL_PROPERTIES = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26})
PUBLISH_PROPERTIES = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26})
SUBSCRIBE_PROPERTIES = frozenset({0x0B, 0x26})
USER_PROPERTIES = frozenset({0x26})
DISCONNECT_PROPERTIES = frozenset({0x11, 0x1F, 0x26})


def connect(body: bytes, version: int) -> Connect:
    """Read a CONNECT whose level is known.

    Raises
    ------
    ProtocolError
        If a flag, a length, a text or a property is not as the standard says.
    """
    reader = Reader(body, at=7)  # past the name and the level
    flags = reader.u8()
    _check_connect_flags(flags, version)
    keep_alive = reader.u16()
    said = properties(reader, CONNECT_PROPERTIES) if version == V5 else {}
    client_id = reader.text()
    will = _will(reader, flags, version) if flags & 0x04 else None
    username = reader.text() if flags & 0x80 else None
    password = reader.binary() if flags & 0x40 else None
    reader.end()
    return Connect(client_id, bool(flags & 0x02), keep_alive, will, username, password, said)


def _check_connect_flags(flags: int, version: int) -> None:
    will_qos = (flags >> 3) & 3
    if flags & 0x01:
        raise ProtocolError(Reason.MALFORMED, "the reserved flag of CONNECT is set")
    if will_qos == 3 or (not flags & 0x04 and flags & 0x38):
        raise ProtocolError(Reason.MALFORMED, "will flags that contradict each other")
    if version == V311 and flags & 0xC0 == 0x40:
        raise ProtocolError(Reason.MALFORMED, "a password without a user name")
    if will_qos == 2 and version == V5:
        raise ProtocolError(Reason.QOS_NOT_SUPPORTED, "a will of QoS 2")


def _will(reader: Reader, flags: int, version: int) -> Will:
    if version == V5:
        properties(reader, WILL_PROPERTIES)
    topic = reader.text()
    payload = reader.binary()
    return Will(topic, payload, (flags >> 3) & 3, bool(flags & 0x20))


def publish(first: int, body: bytes, version: int) -> tuple[bytes, bytes, bytes]:
    """Split a PUBLISH into topic, packet id (two bytes; empty at QoS 0) and payload; the topic's text is the caller's to check.

    Raises
    ------
    ProtocolError
        If it is cut short, of QoS 2 or 3, has packet id 0, no topic, a topic alias or a bad property.
    """
    size = len(body)
    end = 2 + (body[0] << 8 | body[1]) if size > 2 else 2
    topic = body[2:end]
    packet_id = b""
    if first & 0x06:
        packet_id = body[end : end + 2]
        end += 2
        if first & 0x04 or packet_id == b"\0\0":
            raise _publish_fault(first)
    if version == V5:
        if end < size and not body[end]:
            end += 1
        else:
            end = _publish_properties(body, end)
    if end > size or not topic:
        raise ProtocolError(Reason.MALFORMED, "a PUBLISH cut short or without a topic")
    return topic, packet_id, body[end:]


def _publish_fault(first: int) -> ProtocolError:
    if first & 0x06 == 0x06:
        return ProtocolError(Reason.MALFORMED, "a PUBLISH of QoS 3")
    if first & 0x04:
        return ProtocolError(Reason.QOS_NOT_SUPPORTED, "a PUBLISH of QoS 2; 0 and 1 are taken")
    return ProtocolError(Reason.PROTOCOL_ERROR, "a PUBLISH with packet id 0")


def _publish_properties(body: bytes, at: int) -> int:
    """Check the properties; give the index of the payload."""
    reader = Reader(body, at)
    if 0x23 in properties(reader, PUBLISH_PROPERTIES):
        raise ProtocolError(Reason.TOPIC_ALIAS_INVALID, "a topic alias, though none was offered")
    return reader.at


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A SUBSCRIBE: the filters in order, each with the QoS asked for."""

    packet_id: bytes
    filters: tuple[tuple[str, int], ...]
    identified: bool
    """Whether it carries a subscription identifier, which is not offered."""


def subscribe(body: bytes, version: int) -> Subscribe:
    """Read a SUBSCRIBE.

    Raises
    ------
    ProtocolError
        If it names no filter, or an option is not as the standard says.
    """
    reader = Reader(body)
    packet_id = reader.packet_id()
    said = properties(reader, SUBSCRIBE_PROPERTIES) if version == V5 else {}
    filters = []
    while reader.left:
        name, options = reader.text(), reader.u8()
        reserved = 0xC0 if version == V5 else 0xFC
        if options & reserved or options & 0x03 == 3 or options & 0x30 == 0x30:
            raise ProtocolError(Reason.MALFORMED, f"subscription options {options:#04x}")
        filters.append((name, options & 0x03))
    if not filters:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "a SUBSCRIBE without a filter")
    return Subscribe(packet_id, tuple(filters), 0x0B in said)


def unsubscribe(body: bytes, version: int) -> tuple[bytes, int]:
    """Read an UNSUBSCRIBE: its packet id, and how many filters it names.

    Raises
    ------
    ProtocolError
        If it names none, or is cut short.
    """
    reader = Reader(body)
    packet_id = reader.packet_id()
    if version == V5:
        properties(reader, USER_PROPERTIES)
    count = 0
    while reader.left:
        reader.text()
        count += 1
    if not count:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "an UNSUBSCRIBE without a filter")
    return packet_id, count


def check_end(kind: Kind, body: bytes, version: int) -> None:
    """Check the body of a PINGREQ, DISCONNECT or PUBACK, from which nothing is taken.

    Raises
    ------
    ProtocolError
        If it is longer or shorter than its kind allows, or a property is not its.
    """
    reader = Reader(body)
    if kind is Kind.PUBACK:
        reader.packet_id()
    if version == V5 and kind is not Kind.PINGREQ and reader.left:
        reader.u8()
        if reader.left:
            properties(reader, DISCONNECT_PROPERTIES if kind is Kind.DISCONNECT else DISCONNECT_PROPERTIES - {0x11})
    reader.end()
