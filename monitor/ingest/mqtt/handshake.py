"""The first packet of a connection: who it is, and on which terms it is admitted.

User name and password decide the carrier, and the vehicle where the credential names one. The client id only tells connections of
one carrier apart. No session is kept over connections: a client sends again what it was not told is on disk.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from monitor.errors import MonitorError
from monitor.fixes import Identity
from monitor.ingest.mqtt import answers
from monitor.ingest.mqtt.fields import ProtocolError, Reason
from monitor.ingest.mqtt.packets import V5, Connect
from monitor.settings import Listener as Limits

CLIENT_ID_CHARACTERS = 256

Authenticate = Callable[[str, bytes], Identity | None]
"""User name and password -> who that is; None if they are wrong."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A client let in."""

    identity: Identity
    client_id: str
    silence_s: float
    """Longest silence allowed: one and a half times the keep-alive."""
    answer: bytes
    """The CONNACK."""


def admit(hello: Connect, version: int, limits: Limits, authenticate: Authenticate) -> Admission:
    """Let a client in, on our terms where they differ from what it asked.

    Raises
    ------
    ProtocolError
        With the reason it is refused for.
    """
    if 0x15 in hello.properties:
        raise ProtocolError(Reason.BAD_AUTHENTICATION_METHOD, "extended authentication, which is not offered")
    if len(hello.client_id) > CLIENT_ID_CHARACTERS:
        raise ProtocolError(Reason.CLIENT_ID_INVALID, f"a client id of more than {CLIENT_ID_CHARACTERS} characters")
    if not hello.client_id and not hello.clean and version != V5:
        raise ProtocolError(Reason.CLIENT_ID_INVALID, "no client id, but a session to keep")
    identity = _authenticated(hello, authenticate)
    client_id = hello.client_id or secrets.token_hex(8)
    keep_alive_s = _keep_alive(hello.keep_alive, limits)
    # MQTT 5 is told: receive maximum, QoS 1 at most, packet size, no subscription identifiers, no shared subscriptions
    terms: dict[int, int | str] = {0x21: limits.receive_maximum, 0x24: 1, 0x27: limits.max_packet_bytes, 0x29: 0, 0x2A: 0}
    if client_id != hello.client_id:
        terms[0x12] = client_id
    if keep_alive_s != hello.keep_alive:
        terms[0x13] = keep_alive_s
    if hello.properties.get(0x11):
        terms[0x11] = 0  # the session ends with the connection, whatever was asked
    return Admission(identity, client_id, 1.5 * keep_alive_s, answers.connack(version, Reason.SUCCESS, terms))


def _authenticated(hello: Connect, authenticate: Authenticate) -> Identity:
    if hello.username is None or hello.password is None:
        raise ProtocolError(Reason.NOT_AUTHORIZED, "no user name or no password")
    try:
        identity = authenticate(hello.username, hello.password)
    except MonitorError as error:
        raise ProtocolError(Reason.SERVER_UNAVAILABLE, f"credentials cannot be checked: {error}") from error
    if identity is None:
        raise ProtocolError(Reason.BAD_CREDENTIALS, f"wrong user name or password for {hello.username[:128]!r}")
    return identity


def _keep_alive(asked: int, limits: Limits) -> int:
    most = int(limits.keepalive_max.total_seconds())
    return min(asked, most) if asked else most
