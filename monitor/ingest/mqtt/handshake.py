"""The first packet of a connection: who it is, and on which terms it is admitted.

User name and password decide the carrier, and the vehicle where the credential names one; or a client certificate does; where
both are shown they must agree, and what both allow is allowed. The client id only tells connections of one identity apart. No
session is kept over connections: a client sends again what it was not told is on disk.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from monitor.errors import MonitorError
from monitor.fixes import Identity
from monitor.ingest.mqtt import answers
from monitor.ingest.mqtt.certificates import Certificate
from monitor.ingest.mqtt.fields import ProtocolError, Reason
from monitor.ingest.mqtt.hello import Connect
from monitor.ingest.mqtt.outside import Outside, Pass
from monitor.ingest.mqtt.packets import V5
from monitor.settings import Listener as Limits

CONNECT_BYTES = 16_384
"""A CONNECT larger than this is refused: nobody unknown makes us hold more."""
CLIENT_ID_CHARACTERS = 256

Authenticate = Callable[[str, bytes], Identity | None]
"""User name and password -> who that is; None if they are wrong."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A client let in."""

    identity: Identity
    shown: Pass
    client_id: str
    silence_s: float
    """Longest silence allowed: one and a half times the keep-alive."""
    answer: bytes
    """The CONNACK."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Who decides: user name and password, and what is revoked."""

    authenticate: Authenticate
    outside: Outside

    def identify(self, said: Connect, certificate: Certificate | str | None) -> tuple[Identity, Pass]:
        """Tell who a client is.

        Raises
        ------
        ProtocolError
            If that is nobody, or what it shows does not agree.
        """
        if isinstance(certificate, str):
            raise ProtocolError(Reason.NOT_AUTHORIZED, certificate)
        try:
            if certificate is None:
                return self._by_password(said)
            return self._by_certificate(said, certificate)
        except MonitorError as error:
            raise ProtocolError(Reason.SERVER_UNAVAILABLE, f"credentials cannot be checked: {error}") from error

    def verdict(self, said: Connect, certificate: Certificate | str | None) -> tuple[Identity, Pass] | ProtocolError:
        """The same as a value, from any thread."""
        try:
            return self.identify(said, certificate)
        except ProtocolError as refusal:
            return refusal

    def _by_password(self, said: Connect) -> tuple[Identity, Pass]:
        if said.username is None or said.password is None:
            raise ProtocolError(Reason.NOT_AUTHORIZED, "no user name or no password")
        identity = self.authenticate(said.username, said.password)
        if identity is None:
            raise ProtocolError(Reason.BAD_CREDENTIALS, f"wrong user name or password for {said.username[:128]!r}")
        return identity, Pass(said.username, hashlib.sha256(said.password).digest())

    def _by_certificate(self, said: Connect, certificate: Certificate) -> tuple[Identity, Pass]:
        fingerprint = certificate.fingerprint
        if not self.outside.holds("", b"", fingerprint):
            raise ProtocolError(Reason.NOT_AUTHORIZED, "a certificate that is revoked")
        if said.password is not None:
            other, shown = self._by_password(said)
            shown = shown._replace(fingerprint=fingerprint)
        else:
            carrier, _, vehicle = (said.username or certificate.identity.carrier).partition("/")
            other, shown = Identity(carrier, vehicle or None), Pass(said.username or "", b"", fingerprint)
        both = _of_both(certificate.identity, other)
        if both is None:
            raise ProtocolError(
                Reason.NOT_AUTHORIZED, f"a certificate of {_named(certificate.identity)} with the name of {_named(other)}"
            )
        return both, shown


def _of_both(one: Identity, other: Identity) -> Identity | None:
    """What both allow; None where they contradict each other."""
    if one.carrier != other.carrier or (one.vehicle and other.vehicle and one.vehicle != other.vehicle):
        return None
    vehicle = one.vehicle or other.vehicle
    return None if other.dispatch and vehicle else Identity(one.carrier, vehicle, other.dispatch)


def _named(identity: Identity) -> str:
    return f"{identity.carrier}/{identity.vehicle}"[:128] if identity.vehicle else identity.carrier[:128]


def check(said: Connect, version: int) -> None:
    """See that a client asks for nothing that is not offered, before it is asked who it is.

    Raises
    ------
    ProtocolError
        With the reason it is refused for.
    """
    if 0x15 in said.properties:
        raise ProtocolError(Reason.BAD_AUTHENTICATION_METHOD, "extended authentication, which is not offered")
    if len(said.client_id) > CLIENT_ID_CHARACTERS:
        raise ProtocolError(Reason.CLIENT_ID_INVALID, f"a client id of more than {CLIENT_ID_CHARACTERS} characters")
    if not said.client_id and not said.clean and version != V5:
        raise ProtocolError(Reason.CLIENT_ID_INVALID, "no client id, but a session to keep")


def admit(said: Connect, version: int, limits: Limits, who: tuple[Identity, Pass]) -> Admission:
    """Let a client in, on our terms where they differ from what it asked."""
    client_id = said.client_id or secrets.token_hex(8)
    keep_alive_s = _keep_alive(said.keep_alive, limits)
    # MQTT 5 is told: receive maximum, no topic aliases, QoS 1 at most, packet size, no subscription identifiers, nothing shared
    terms: dict[int, int | str] = {
        0x21: limits.receive_maximum,
        0x22: 0,
        0x24: 1,
        0x27: limits.max_packet_bytes,
        0x29: 0,
        0x2A: 0,
    }
    if client_id != said.client_id:
        terms[0x12] = client_id
    if keep_alive_s != said.keep_alive:
        terms[0x13] = keep_alive_s
    if said.properties.get(0x11):
        terms[0x11] = 0  # the session ends with the connection, whatever was asked
    answer = answers.connack(version, Reason.SUCCESS, terms)
    return Admission(*who, client_id, 1.5 * keep_alive_s, answer)


def _keep_alive(asked: int, limits: Limits) -> int:
    most = int(limits.keepalive_max.total_seconds())
    return min(asked, most) if asked else most
