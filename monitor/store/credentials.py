"""Credentials, kept: generated tokens and chosen passwords of carriers and their vehicles; `verifier` says whose one is.

A credential belongs to a carrier, or to one vehicle of it; a dispatch credential to a carrier's dispatchers, who send trips and
no positions. The user name is `carrier` or `carrier/vehicle`; a carrier's own credential may also connect as `carrier/vehicle`
and is then bound to that vehicle. Neither a token nor a password is ever stored: a token has 256 random bits, so its SHA-256 is
enough; a password is stored through scrypt. The shape of what is presented decides which of the two is compared, never what is
stored for that name: an answer takes as long for a name that nobody has as for a wrong secret, and thousands of devices that
reconnect with tokens cost next to nothing.

A credential may have an end in the future: after a rotation the old one stays valid for a grace, so that devices can change
over. A client certificate is not kept here; one that must not connect any more is, by its fingerprint.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

from sqlalchemy import insert, select, update

from monitor.errors import MonitorError
from monitor.fixes import NAME
from monitor.store.schema import credential
from monitor.store.transaction import Transaction

TOKEN = re.compile(rb"[A-Za-z0-9_-]{43}")
"""The shape of a generated token: 32 random bytes in URL-safe base64."""
NAMES_ALLOWED = "1 to 64 of A-Z a-z 0-9 . _ ~ : - that start with a letter, a digit or _"
SHORTEST_PASSWORD = 12
COST = {"n": 2**14, "r": 8, "p": 1}
"""scrypt: 16 MB and some 40 ms a password."""
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
"""SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` shows it, without its colons and in small letters."""

DEVICE, DISPATCH = "device", "dispatch"
"""What a credential is for: positions, or trips."""
CERTIFICATE = "certificate"
"""The kind of a row that denies a client certificate."""

Subject = tuple[str, str | None]
"""A carrier, and one vehicle of it or None for all."""


class Credential(NamedTuple):
    """What may be shown of a credential."""

    id: int
    carrier: str
    vehicle: str | None
    kind: str
    created: int
    revoked: int | None
    """When it ends or has ended, ms; None while nothing is said of an end."""
    role: str

    def ended(self, now: int) -> bool:
        """Whether it is not valid any more."""
        return self.revoked is not None and self.revoked <= now


def create(
    transaction: Transaction, carrier: str, vehicle: str | None, now: int, by: str = "command line", *, dispatch: bool = False
) -> str:
    """Make a token and return it: the only time that anybody sees it. Earlier tokens stay valid, so that devices can change over.

    With `dispatch` it is for the carrier's dispatchers, who send trips, not for devices.

    Raises
    ------
    MonitorError
        If carrier or vehicle cannot be a level of a topic, or a vehicle is to be dispatch.
    """
    if dispatch and vehicle is not None:
        raise MonitorError(f"{carrier}/{vehicle}: dispatch is of a carrier, not of one vehicle; allowed is {carrier}")
    token = secrets.token_urlsafe(32)
    role = DISPATCH if dispatch else DEVICE
    _add(transaction, (carrier, vehicle), "token", hashlib.sha256(token.encode()).hexdigest(), now, by, role)
    return token


def set_password(
    transaction: Transaction, carrier: str, vehicle: str | None, password: str, now: int, by: str = "command line"
) -> None:
    """Store a chosen password; it replaces an earlier one of the same carrier or vehicle.

    Raises
    ------
    MonitorError
        If it is shorter than 12 characters or looks like a generated token, or a name cannot be a level of a topic.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise MonitorError(f"the password has {len(password)} characters: allowed are {SHORTEST_PASSWORD} or more")
    secret = password.encode("utf-8", "surrogateescape")
    if TOKEN.fullmatch(secret):
        raise MonitorError("the password has the shape of a generated token (43 letters, digits, - or _): choose another")
    earlier = [item for item in _in_force(transaction, (carrier, vehicle), now) if item.kind == "password"]
    _add(transaction, (carrier, vehicle), "password", scrypt_record(secret, secrets.token_bytes(16)), now, by)
    for item in earlier:
        revoke(transaction, item.id, now, by)


def rotate(
    transaction: Transaction, subject: Subject, now: int, grace_ms: int, by: str = "command line", *, dispatch: bool = False
) -> tuple[str, list[Credential]]:
    """Make a new token; gives it, and the earlier tokens and passwords of the same subject and role, which end after the grace.

    One that ends sooner anyway keeps its end.

    Raises
    ------
    MonitorError
        If there is none to rotate.
    """
    role = DISPATCH if dispatch else DEVICE
    earlier = [item for item in _in_force(transaction, subject, now) if item.role == role]
    if not earlier:
        raise MonitorError(
            f"{_named(subject)}: has no {role} credential in force; allowed is one that `monitor carrier list` shows"
        )
    token = create(transaction, *subject, now, by, dispatch=dispatch)
    end = now + grace_ms
    later = [item for item in earlier if item.revoked is None or item.revoked > end]
    return token, [_end(transaction, item, end, now, by) for item in later]


def revoke(transaction: Transaction, credential_id: int, now: int, by: str = "command line") -> Credential:
    """End a credential; it stays listed.

    Raises
    ------
    MonitorError
        If there is none of that id, or it was revoked before.
    """
    found = next((item for item in listed(transaction) if item.id == credential_id), None)
    if found is None or found.ended(now):
        raise MonitorError(f"credential {credential_id}: " + ("there is none" if found is None else "was revoked before"))
    return _end(transaction, found, now, now, by)


def revoke_all(transaction: Transaction, subject: Subject, now: int, by: str = "command line") -> list[Credential]:
    """End every credential of a carrier itself, or of one vehicle; those of a carrier's vehicles are not the carrier's own.

    Raises
    ------
    MonitorError
        If none is in force.
    """
    found = _in_force(transaction, subject, now)
    if not found:
        raise MonitorError(f"{_named(subject)}: has no credential in force")
    return [_end(transaction, item, now, now, by) for item in found]


def deny_certificate(
    transaction: Transaction, subject: Subject, fingerprint: str, now: int, by: str = "command line"
) -> Credential:
    """Let a client certificate connect no more, whoever signed it; denying it again changes nothing.

    Raises
    ------
    MonitorError
        If the fingerprint is not a SHA-256 in hexadecimal, or a name cannot be a level of a topic.
    """
    plain = fingerprint.replace(":", "").lower()
    if not FINGERPRINT.fullmatch(plain):
        raise MonitorError(
            f"fingerprint {fingerprint!r}: allowed is a SHA-256, 64 hexadecimal digits, colons between them or not"
        )
    same = select(credential.c.id).where(credential.c.kind == CERTIFICATE, credential.c.secret == plain)
    stored = transaction.connection.execute(same).scalar()
    if stored is None:
        stored = _add(transaction, subject, CERTIFICATE, plain, now, by, ended=now)
    return next(item for item in listed(transaction) if item.id == stored)


def listed(transaction: Transaction) -> list[Credential]:
    """Every credential, revoked ones too, by id; without the secrets."""
    columns = [credential.c[name] for name in Credential._fields]
    return [Credential(*row) for row in transaction.connection.execute(select(*columns).order_by(credential.c.id))]


def scrypt_record(password: bytes, salt: bytes) -> str:
    """What is stored of a password: the cost, the salt and the scrypt hash, separated by `$`."""
    digest = hashlib.scrypt(password, salt=salt, dklen=32, **COST)
    return "$".join(("scrypt", *(str(COST[name]) for name in "nrp"), salt.hex(), digest.hex()))


def _add(
    transaction: Transaction,
    subject: Subject,
    kind: str,
    secret: str,
    now: int,
    by: str,
    role: str = DEVICE,
    ended: int | None = None,
) -> int:
    carrier, vehicle = subject
    for what, name in (("carrier", carrier), ("vehicle", vehicle)):
        if name is not None and not NAME.fullmatch(name):
            raise MonitorError(f"{what} {name!r}: allowed are {NAMES_ALLOWED}")
    values = {"carrier": carrier, "vehicle": vehicle, "kind": kind, "role": role, "secret": secret, "created": now}
    query = insert(credential).values(values | {"revoked": ended}).returning(credential.c.id)
    stored: int = transaction.connection.execute(query).scalar_one()
    body = {"id": stored, "carrier": carrier, "vehicle": vehicle, "kind": kind, "role": role}
    shown = body | {"fingerprint": secret} if kind == CERTIFICATE else body
    transaction.record(by, "credential.created" if ended is None else "certificate.denied", shown, now)
    return stored


def _end(transaction: Transaction, item: Credential, at: int, now: int, by: str) -> Credential:
    """Give a credential an end, `now` or later."""
    transaction.connection.execute(update(credential).where(credential.c.id == item.id).values(revoked=at))
    body = {"id": item.id, "carrier": item.carrier, "vehicle": item.vehicle, "kind": item.kind, "role": item.role}
    transaction.record(by, "credential.revoked", body if at == now else body | {"at": at}, now)
    return item._replace(revoked=at)


def _in_force(transaction: Transaction, subject: Subject, now: int) -> list[Credential]:
    return [item for item in listed(transaction) if item[1:3] == subject and not item.ended(now)]


def _named(subject: Subject) -> str:
    carrier, vehicle = subject
    return f"{carrier}/{vehicle}" if vehicle else carrier
