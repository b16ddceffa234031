"""MQTT 3.1.1 and 5 packets, read: bytes in, values out, no I/O; whatever the bytes, the only exception is `ProtocolError`.

A packet is a first byte (kind in the high four bits, flags in the low), a length, and a body; `framing.py` cuts the stream into
them. Every function here is given a whole body, which the framer's limit has bounded. Answers are written by `answers.py`.

Source: OASIS MQTT 3.1.1 (2014) and MQTT 5.0 (2019), chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from monitor.ingest.mqtt.fields import ProtocolError, Reader, Reason, properties

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


PUBLISH_PROPERTIES = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26})
SUBSCRIBE_PROPERTIES = frozenset({0x0B, 0x26})
USER_PROPERTIES = frozenset({0x26})
PUBACK_PROPERTIES = frozenset({0x1F, 0x26})
DISCONNECT_PROPERTIES = frozenset({0x11, 0x1F, 0x26})


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


class Filter(NamedTuple):
    """One subscription asked for; the options of MQTT 3.1.1 are those that MQTT 5 has for 0."""

    pattern: str
    qos: int
    no_local: bool = False
    """Not what the client itself publishes."""
    as_published: bool = False
    """The retain flag as its publisher set it, not only where an older message is sent."""
    handling: int = 0
    """Send what is retained: 0 always, 1 for a new subscription, 2 never."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A SUBSCRIBE: the filters in order."""

    packet_id: bytes
    filters: tuple[Filter, ...]
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
        filters.append(Filter(name, options & 0x03, bool(options & 0x04), bool(options & 0x08), options >> 4))
    if not filters:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "a SUBSCRIBE without a filter")
    return Subscribe(packet_id, tuple(filters), 0x0B in said)


def unsubscribe(body: bytes, version: int) -> tuple[bytes, list[str]]:
    """Read an UNSUBSCRIBE: its packet id, and the filters it names.

    Raises
    ------
    ProtocolError
        If it names none, or is cut short.
    """
    reader = Reader(body)
    packet_id = reader.packet_id()
    if version == V5:
        properties(reader, USER_PROPERTIES)
    filters = []
    while reader.left:
        filters.append(reader.text())
    if not filters:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "an UNSUBSCRIBE without a filter")
    return packet_id, filters


def puback(body: bytes, version: int) -> bytes:
    """Read the packet id of a PUBACK; whatever its reason, the client has the message or does not want it.

    Raises
    ------
    ProtocolError
        If it is longer or shorter than a PUBACK, or a property is not its.
    """
    reader = Reader(body)
    packet_id = reader.packet_id()
    _reason(reader, version, PUBACK_PROPERTIES)
    return packet_id


def disconnect(body: bytes, version: int) -> int:
    """Read the reason of a DISCONNECT: 0 for a client that leaves in order and wants no will published.

    Raises
    ------
    ProtocolError
        If it is longer than a DISCONNECT, or a property is not its.
    """
    return _reason(Reader(body), version, DISCONNECT_PROPERTIES)


def _reason(reader: Reader, version: int, allowed: frozenset[int]) -> int:
    reason = 0
    if version == V5 and reader.left:
        reason = reader.u8()
        if reader.left:
            properties(reader, allowed)
    reader.end()
    return reason
