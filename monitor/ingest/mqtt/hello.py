"""The first packet of an MQTT connection, read: who the client says it is, what it asks for, and its last will.

Source: OASIS MQTT 3.1.1 (2014) and MQTT 5.0 (2019), §3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.ingest.mqtt.fields import Properties, ProtocolError, Reader, Reason, properties
from monitor.ingest.mqtt.packets import V5, V311


@dataclass(frozen=True, slots=True)
class Will:
    """The message a client wants published when it is lost."""

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
