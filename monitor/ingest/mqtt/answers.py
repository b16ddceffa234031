"""MQTT 3.1.1 and 5 packets, written: what a server answers.

Source: OASIS MQTT 3.1.1 (2014) and MQTT 5.0 (2019), chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.ingest.mqtt.fields import Reason
from monitor.ingest.mqtt.packets import V5, Kind

PINGRESP = b"\xd0\x00"
PUBACK_HEAD = b"\x40\x02"
RETURN_CODES: Mapping[Reason, int] = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_VERSION: 1,
    Reason.CLIENT_ID_INVALID: 2,
    Reason.SERVER_UNAVAILABLE: 3,
    Reason.QUOTA_EXCEEDED: 3,
    Reason.BAD_CREDENTIALS: 4,
    Reason.NOT_AUTHORIZED: 5,
    Reason.TOPIC_INVALID: 5,
}
"""What MQTT 3.1.1 can say in a CONNACK; for any other reason it closes without one."""
WIDTHS: Mapping[int, int] = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x27: 4, 0x29: 1, 0x2A: 1}
"""Properties of CONNACK that are integers, and their bytes; the rest are texts."""
REASON_STRING = 0x1F
WHY_CHARACTERS = 100
"""Of a reason in words; so a PUBACK with one is short enough for a length of one byte."""


def packet(kind: Kind, body: bytes) -> bytes:
    """A whole packet with no flags."""
    return bytes([kind << 4]) + varint(len(body)) + body


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def connack(version: int, reason: Reason, properties: Mapping[int, int | str] | None = None) -> bytes:
    """Answer a CONNECT; no session is ever present. Empty where MQTT 3.1.1 has no code for the reason."""
    if version != V5:
        code = RETURN_CODES.get(reason)
        return b"" if code is None else packet(Kind.CONNACK, bytes([0, code]))
    block = b"".join(_property(identifier, value) for identifier, value in (properties or {}).items())
    return packet(Kind.CONNACK, bytes([0, reason]) + varint(len(block)) + block)


def _property(identifier: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return bytes([identifier]) + value.to_bytes(WIDTHS[identifier], "big")
    raw = (shortened(value) if identifier == REASON_STRING else value).encode()
    return bytes([identifier]) + len(raw).to_bytes(2, "big") + raw


def pubacks(receipts: Sequence[bytes]) -> bytes:
    """Answer many PUBLISH packets in one piece; a receipt is a packet id (two bytes), more where it is of a refusal (`refused`)."""
    if sum(map(len, receipts)) == 2 * len(receipts):
        return PUBACK_HEAD + PUBACK_HEAD.join(receipts)
    return b"".join(bytes([0x40, len(receipt)]) + receipt for receipt in receipts)


def refused(packet_id: bytes, reason: Reason, why: str = "") -> bytes:
    """The receipt of a PUBLISH of MQTT 5 that is not taken; `why` for a client that wants to know it in words."""
    return packet_id + bytes([reason]) + _said(why)


def publication(topic: bytes, payload: bytes, packet_id: int, *, version: int, retain: bool) -> bytes:
    """A PUBLISH of our own; packet id 0 for QoS 0."""
    number = packet_id.to_bytes(2, "big") if packet_id else b""
    body = len(topic).to_bytes(2, "big") + topic + number + (b"\0" if version == V5 else b"") + payload
    return bytes([Kind.PUBLISH << 4 | (0x02 if packet_id else 0) | retain]) + varint(len(body)) + body


def suback(version: int, packet_id: bytes, codes: Sequence[int]) -> bytes:
    """Answer a SUBSCRIBE: for each filter the QoS granted, or a reason (MQTT 3.1.1 knows only 0x80 for it)."""
    if version == V5:
        return packet(Kind.SUBACK, packet_id + b"\0" + bytes(codes))
    return packet(Kind.SUBACK, packet_id + bytes(min(code, 0x80) for code in codes))


def unsuback(version: int, packet_id: bytes, codes: Sequence[int]) -> bytes:
    """Answer an UNSUBSCRIBE: for each filter whether there was such a subscription (MQTT 3.1.1 says nothing of it)."""
    return packet(Kind.UNSUBACK, packet_id + (b"\0" + bytes(codes) if version == V5 else b""))


def disconnect(version: int, reason: Reason, why: str = "") -> bytes:
    """Tell the client why it is closed; empty for MQTT 3.1.1, whose servers just close."""
    return packet(Kind.DISCONNECT, bytes([reason]) + _said(why)) if version == V5 else b""


def _said(why: str) -> bytes:
    """The properties of an answer: none, or a reason in words."""
    if not why:
        return b""
    block = _property(REASON_STRING, why)
    return varint(len(block)) + block


def shortened(why: str) -> str:
    """A reason in words, as long as it may be: printable ASCII, one byte a character."""
    plain = "".join(each if " " <= each <= "~" else "?" for each in why)
    return plain if len(plain) <= WHY_CHARACTERS else plain[: WHY_CHARACTERS - 3] + "..."
