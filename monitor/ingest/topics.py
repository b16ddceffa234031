"""The topics, and who may use which: nobody reaches another carrier's data.

`telematics/v1/{carrier}/{vehicle}/fix`, `/status`, `/ack`, `/trip`. A name has 1 to 64 of `A-Z a-z 0-9 . _ ~ : -` and starts with
a letter, a digit or `_`: so it needs no quoting in a topic, a URL, a path or a log line, and is never `.` or `..`; the colon is
there for MAC addresses. A credential is a carrier's (a gateway that speaks for all its vehicles) or one vehicle's.

Devices publish `fix` and `status`, under their own name, and subscribe to their own `ack`. `ack` is the monitor's to publish;
`trip` is published with a dispatch credential alone, because a stolen device must not authorize its own stop; that publishes
nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.fixes import NAME, Identity

FIX, STATUS, ACK, TRIP = "fix", "status", "ack", "trip"
CHANNELS = frozenset({FIX, STATUS, ACK, TRIP})
PREFIX = ["telematics", "v1"]
EXPECTED = "telematics/v1/{carrier}/{vehicle}/fix"


class Address(NamedTuple):
    """A topic, taken apart."""

    topic: str
    carrier: str
    vehicle: str
    channel: str


class Refusal(NamedTuple):
    """Why a topic is not taken; `foreign` where it is a topic of ours, but not this client's to use."""

    reason: str
    foreign: bool = False


def parse(topic: str) -> Address | Refusal:
    """Take a topic apart, or say what is wrong with it."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[:2] != PREFIX:
        return Refusal(f"topic is not {EXPECTED}")
    carrier, vehicle, channel = parts[2:]
    if channel not in CHANNELS:
        return Refusal("topic ends in none of fix, status, ack, trip")
    for word, name in (("carrier", carrier), ("vehicle", vehicle)):
        if not NAME.fullmatch(name):
            return Refusal(f"{word} in topic is not 1 to 64 of A-Z a-z 0-9 . _ ~ : - that start with a letter, a digit or _")
    return Address(topic, carrier, vehicle, channel)


def publishable(identity: Identity, topic: str) -> Address | Refusal:
    """Take apart a topic that this client may publish to, or say why it may not."""
    address = parse(topic)
    if isinstance(address, Refusal):
        return address
    if address.carrier != identity.carrier:
        return Refusal("topic of another carrier", foreign=True)
    if identity.vehicle not in (None, address.vehicle):
        return Refusal("topic of another vehicle", foreign=True)
    if identity.dispatch and address.channel != TRIP:
        return Refusal(f"dispatch does not publish {address.channel}", foreign=True)
    if not identity.dispatch and address.channel not in (FIX, STATUS):
        return Refusal(f"devices do not publish {address.channel}", foreign=True)
    return address


def subscribable(identity: Identity, pattern: str) -> bool:
    """Whether this client may subscribe: to its own vehicle's `ack`; a carrier's credential to any of its vehicles', also `+`."""
    parts = pattern.split("/")
    if len(parts) != 5 or parts[:2] != PREFIX or parts[2] != identity.carrier or parts[4] != ACK:
        return False
    if identity.vehicle is not None:
        return parts[3] == identity.vehicle
    return parts[3] == "+" or NAME.fullmatch(parts[3]) is not None


def valid_pattern(pattern: str) -> bool:
    """Whether a text is a topic filter at all: `+` and `#` stand alone in their level, `#` in the last."""
    levels = pattern.split("/")
    if not pattern or "#" in levels[:-1]:
        return False
    return all(level in ("+", "#") or not ("+" in level or "#" in level) for level in levels)
