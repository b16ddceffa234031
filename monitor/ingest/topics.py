"""The topics, and who may use which: nobody reaches another carrier's data.

`telematics/v1/{carrier}/{vehicle}/fix`, `/status`, `/ack`, `/trip`; `monitor/v1/{carrier}/incidents/{id}`; and those of the feeds. A name
has 1 to 64 of `A-Z a-z 0-9 . _ ~ : -` and starts with a letter, a digit or `_`: so it needs no quoting in a topic, a URL, a path or
a log line, and is never `.` or `..`; the colon is there for MAC addresses. A credential is a carrier's (a gateway that speaks for all
its vehicles) or one vehicle's.

Devices publish `fix` and `status`, and to the topics of feeds, under their own name, and subscribe to their own `ack`. `ack` and
`incidents` are the monitor's to publish; `trip` is published with a dispatch credential alone, because a stolen device must not
authorize its own stop; that publishes nothing else. A whole carrier's incidents are for its own credential and its dispatch, not
for a single vehicle's.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.fixes import NAME, Identity
from monitor.ingest.feeds import NAMES_ALLOWED, NO_FEEDS, Feeds, Found
from monitor.settings import Settings

FIX, STATUS, ACK, TRIP = "fix", "status", "ack", "trip"
CHANNELS = frozenset({FIX, STATUS, ACK, TRIP})
PREFIX = ["telematics", "v1"]
EXPECTED = "telematics/v1/{carrier}/{vehicle}/fix"
STATUSES = "telematics/v1/+/+/status"
OUT, INCIDENTS = ["monitor", "v1"], "incidents"
POSTED = "$http"
"""Where the topic of what came by HTTP begins; nothing can be published there."""


class Address(NamedTuple):
    """A topic, taken apart."""

    topic: str
    carrier: str
    """Empty where neither the topic nor its feed names one."""
    vehicle: str
    """Empty where a device id tells."""
    channel: str
    feed: str = ""
    """The name of the feed; empty for our own topics."""
    device: str = ""
    """The device id that the topic names."""


class Refusal(NamedTuple):
    """Why a topic is not taken; `foreign` where it is a topic of ours, but not this client's to use."""

    reason: str
    foreign: bool = False


def parse(topic: str, feeds: Feeds = NO_FEEDS) -> Address | Refusal:
    """Take a topic apart, or say what is wrong with it."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[:2] != PREFIX:
        found = feeds.find(topic)
        return Refusal(f"topic is not {EXPECTED}") if found is None else _of_feed(topic, found)
    carrier, vehicle, channel = parts[2:]
    if channel not in CHANNELS:
        return Refusal("topic ends in none of fix, status, ack, trip")
    for word, name in (("carrier", carrier), ("vehicle", vehicle)):
        if not NAME.fullmatch(name):
            return Refusal(f"{word} in topic is not {NAMES_ALLOWED}")
    return Address(topic, carrier, vehicle, channel)


def publishable(identity: Identity, topic: str, feeds: Feeds = NO_FEEDS) -> Address | Refusal:
    """Take apart a topic that this client may publish to, or say why it may not.

    On a feed's topic that names no carrier it is the client's own, whatever the feed says; that names no vehicle, the one that the
    client is bound to, if it is.
    """
    address = parse(topic, feeds)
    if isinstance(address, Refusal):
        return address
    if address.feed:
        carrier = address.carrier if feeds.names_carrier(address.feed) else identity.carrier
        address = address._replace(carrier=carrier, vehicle=address.vehicle or identity.vehicle or "")
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
    """Whether this client may subscribe: to its own vehicle's `ack` and `status`; a carrier's credential to any of its vehicles', also `+`.

    A carrier's credential, and its dispatch, also to the carrier's incidents: one, `+` or `#`.
    """
    parts = pattern.split("/")
    if len(parts) != 5:
        return False
    if parts[:2] == OUT:
        return parts[2:4] == [identity.carrier, INCIDENTS] and identity.vehicle is None and _one_or_any(parts[4], "#")
    if parts[:2] != PREFIX or parts[2] != identity.carrier or parts[4] not in (ACK, STATUS):
        return False
    return parts[3] == identity.vehicle if identity.vehicle is not None else _one_or_any(parts[3])


def valid_pattern(pattern: str) -> bool:
    """Whether a text is a topic filter at all: `+` and `#` stand alone in their level, `#` in the last."""
    levels = pattern.split("/")
    if not pattern or "#" in levels[:-1]:
        return False
    return all(level in ("+", "#") or not ("+" in level or "#" in level) for level in levels)


def subscriptions(settings: Settings) -> list[str]:
    """The MQTT filters to subscribe to at a broker: our own fixes and statuses, and the topics of every feed; each once."""
    feeds = Feeds(settings.ingest.feed)
    return list(dict.fromkeys([settings.ingest.broker.topic, STATUSES, *feeds.filters()]))


def posted(feed: str, unique: str, device: str = "") -> str:
    """What stands for the topic of a payload that came by HTTP: whose feed's it is, which request's, and the device that it named."""
    return "/".join((POSTED, feed or "native", unique, *([device] if device else [])))


def sent_by(topic: str, feeds: Feeds) -> Found | None:
    """Which feed a kept payload came by, over MQTT or HTTP, and what its topic names; None where nothing is known of it any more."""
    parts = topic.split("/", 3)
    if len(parts) >= 3 and parts[0] == POSTED:
        return Found(parts[1], device="".join(parts[3:])) if feeds.known(parts[1]) else None
    address = parse(topic, feeds)
    return None if isinstance(address, Refusal) else Found(address.feed, address.carrier, address.vehicle, address.device)


def _of_feed(topic: str, found: Found) -> Address | Refusal:
    if found.fault:
        return Refusal(found.fault)
    return Address(topic, found.carrier, found.vehicle, FIX, found.feed, found.device)


def _one_or_any(level: str, *others: str) -> bool:
    return level in ("+", *others) or NAME.fullmatch(level) is not None
