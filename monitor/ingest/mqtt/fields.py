"""The fields MQTT packets are made of: integers, texts, properties; read within bounds, refused with a reason.

Texts are UTF-8 without U+0000 and without surrogates. Properties (MQTT 5 only) come as a length and pairs of identifier and
value; each packet has its own set, and only a user property (38) may come twice.

Source: OASIS MQTT 5.0 (2019), §1.5, §2.2.2, §2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

Properties = Mapping[int, int | bytes | str]
"""Identifier -> value; user properties are checked and left out."""
USER_PROPERTY = 0x26


class Reason(IntEnum):
    """The reason codes of MQTT 5 that are said here."""

    SUCCESS = 0x00
    WITH_WILL = 0x04
    NO_SUBSCRIPTION_EXISTED = 0x11
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_INVALID = 0x85
    BAD_CREDENTIALS = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    FILTER_INVALID = 0x8F
    TOPIC_INVALID = 0x90
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1


class ProtocolError(Exception):
    """The peer sent what the standard or a limit forbids: `reason` is its code, the text says what."""

    def __init__(self, reason: Reason, text: str, evidence: bytes = b"") -> None:
        super().__init__(text)
        self.reason = reason
        self.evidence = evidence
        """The first bytes of the packet, where they are not at hand otherwise."""


class Reader:
    """Reads one body from front to back; past its end is a `ProtocolError`, never an IndexError."""

    def __init__(self, body: bytes, at: int = 0) -> None:
        self.body = body
        self.at = at

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.body) - self.at

    def take(self, count: int) -> bytes:
        """Read the next `count` bytes."""
        piece = self.body[self.at : self.at + count]
        if len(piece) < count:
            raise ProtocolError(Reason.MALFORMED, "a packet cut short")
        self.at += count
        return piece

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes, the high one first."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Four bytes, the highest first."""
        return int.from_bytes(self.take(4), "big")

    def varint(self) -> int:
        """Seven bits a byte, the lowest first, at most four bytes."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise ProtocolError(Reason.MALFORMED, "a length of more than four bytes")

    def binary(self) -> bytes:
        """As many bytes as two bytes before them say."""
        return self.take(self.u16())

    def text(self) -> str:
        """A UTF-8 text after its length."""
        return text(self.binary())

    def packet_id(self) -> bytes:
        """Two bytes, not both zero."""
        value = self.take(2)
        if value == b"\0\0":
            raise ProtocolError(Reason.PROTOCOL_ERROR, "packet id 0")
        return value

    def end(self) -> None:
        """Nothing may follow."""
        if self.left:
            raise ProtocolError(Reason.MALFORMED, f"{self.left} bytes too many")


def text(raw: bytes) -> str:
    """Decode a text as MQTT allows it.

    Raises
    ------
    ProtocolError
        If it is not UTF-8, or holds U+0000 or a surrogate.
    """
    try:
        value = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError(Reason.MALFORMED, "a text that is not UTF-8") from None
    if "\0" in value:
        raise ProtocolError(Reason.MALFORMED, "a text with U+0000")
    return value


TYPES: Mapping[int, Callable[[Reader], int | bytes | str]] = {
    0x01: Reader.u8,  # payload format
    0x02: Reader.u32,  # message expiry
    0x03: Reader.text,  # content type
    0x08: Reader.text,  # response topic
    0x09: Reader.binary,  # correlation data
    0x0B: Reader.varint,  # subscription identifier
    0x11: Reader.u32,  # session expiry
    0x15: Reader.text,  # authentication method
    0x16: Reader.binary,  # authentication data
    0x17: Reader.u8,  # request problem information
    0x18: Reader.u32,  # will delay
    0x19: Reader.u8,  # request response information
    0x1F: Reader.text,  # reason string
    0x21: Reader.u16,  # receive maximum
    0x22: Reader.u16,  # topic alias maximum
    0x23: Reader.u16,  # topic alias
    0x27: Reader.u32,  # maximum packet size
}
FLAGS = frozenset({0x01, 0x17, 0x19})
"""Properties that are 0 or 1."""
POSITIVE = frozenset({0x0B, 0x21, 0x27})
"""Properties that may not be 0."""


def properties(reader: Reader, allowed: frozenset[int]) -> Properties:
    """Read a block of properties of which only `allowed` may occur.

    Raises
    ------
    ProtocolError
        If one is unknown, not allowed here, out of range or repeated, or the block's length does not end with one.
    """
    stop = reader.varint() + reader.at
    said: dict[int, int | bytes | str] = {}
    while reader.at < stop:
        identifier = reader.u8()
        if identifier not in allowed:
            raise ProtocolError(Reason.MALFORMED, f"property {identifier} does not belong here")
        if identifier == USER_PROPERTY:
            reader.text(), reader.text()
            continue
        value = TYPES[identifier](reader)
        if identifier in said:
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"property {identifier} twice")
        if (identifier in FLAGS and value not in (0, 1)) or (identifier in POSITIVE and value == 0):
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"property {identifier} of {value!r}")
        said[identifier] = value
    if reader.at != stop:
        raise ProtocolError(Reason.MALFORMED, "properties longer than they say")
    return said
