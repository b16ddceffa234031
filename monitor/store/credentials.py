"""Who may connect: generated tokens and chosen passwords of carriers and their vehicles.

A credential belongs to a carrier, or to one vehicle of it; a dispatch credential to a carrier's dispatchers, who send trips and no
positions. The user name is `carrier` or `carrier/vehicle`; a carrier's own credential may also connect as `carrier/vehicle` and is then
bound to that vehicle. Neither a token nor a password is ever stored: a token has 256 random bits, so its SHA-256 is enough; a password
is stored through scrypt. The shape of what is presented decides which of the two is compared, never what is stored for that name: an
answer takes as long for a name that nobody has as for a wrong secret, and thousands of devices that reconnect with tokens cost next to
nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import func, insert, select, update

from monitor.errors import MonitorError, ServiceError
from monitor.fixes import NAME, Identity
from monitor.store.schema import credential
from monitor.store.store import Store
from monitor.store.transaction import Transaction

TOKEN = re.compile(rb"[A-Za-z0-9_-]{43}")
"""The shape of a generated token: 32 random bytes in URL-safe base64."""
NAMES_ALLOWED = "1 to 64 of A-Z a-z 0-9 . _ ~ : - that start with a letter, a digit or _"
SHORTEST_PASSWORD = 12
COST = {"n": 2**14, "r": 8, "p": 1}
"""scrypt: 16 MB and some 40 ms a password."""
REMEMBERED = 10_000
"""Results of scrypt that are kept for clients that reconnect."""
SCRYPTS_A_SECOND = 8
"""Passwords not seen before that are looked at; tokens are not counted."""
FRESH_SECONDS = 1.0
"""A credential counts, or is revoked, within this of its commit."""

DEVICE, DISPATCH = "device", "dispatch"
"""What a credential is for: positions, or trips."""

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
    role: str


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
    earlier = [item for item in listed(transaction) if item[1:4] == (carrier, vehicle, "password") and item.revoked is None]
    _add(transaction, (carrier, vehicle), "password", scrypt_record(secret, secrets.token_bytes(16)), now, by)
    for item in earlier:
        revoke(transaction, item.id, now, by)


def revoke(transaction: Transaction, credential_id: int, now: int, by: str = "command line") -> Credential:
    """End a credential; it stays listed.

    Raises
    ------
    MonitorError
        If there is none of that id, or it was revoked before.
    """
    found = next((item for item in listed(transaction) if item.id == credential_id), None)
    if found is None or found.revoked is not None:
        raise MonitorError(f"credential {credential_id}: " + ("there is none" if found is None else "was revoked before"))
    transaction.connection.execute(update(credential).where(credential.c.id == credential_id).values(revoked=now))
    body = {"id": found.id, "carrier": found.carrier, "vehicle": found.vehicle, "kind": found.kind, "role": found.role}
    transaction.record(by, "credential.revoked", body, now)
    return found._replace(revoked=now)


def listed(transaction: Transaction) -> list[Credential]:
    """Every credential, revoked ones too, by id; without the secrets."""
    columns = [credential.c[name] for name in Credential._fields]
    return [Credential(*row) for row in transaction.connection.execute(select(*columns).order_by(credential.c.id))]


def scrypt_record(password: bytes, salt: bytes) -> str:
    """What is stored of a password: the cost, the salt and the scrypt hash, separated by `$`."""
    digest = hashlib.scrypt(password, salt=salt, dklen=32, **COST)
    return "$".join(("scrypt", *(str(COST[name]) for name in "nrp"), salt.hex(), digest.hex()))


def _add(transaction: Transaction, subject: Subject, kind: str, secret: str, now: int, by: str, role: str = DEVICE) -> None:
    carrier, vehicle = subject
    for what, name in (("carrier", carrier), ("vehicle", vehicle)):
        if name is not None and not NAME.fullmatch(name):
            raise MonitorError(f"{what} {name!r}: allowed are {NAMES_ALLOWED}")
    values = {"carrier": carrier, "vehicle": vehicle, "kind": kind, "role": role, "secret": secret, "created": now}
    stored = transaction.connection.execute(insert(credential).values(values).returning(credential.c.id)).scalar_one()
    body = {"id": stored, "carrier": carrier, "vehicle": vehicle, "kind": kind, "role": role}
    transaction.record(by, "credential.created", body, now)


class _Known(NamedTuple):
    """The valid credentials, as of one state of the table."""

    state: tuple[int, ...]
    tokens: Mapping[Subject, tuple[bytes, ...]]
    passwords: Mapping[Subject, str]
    dispatch: Mapping[str, tuple[bytes, ...]]
    """The tokens of each carrier's dispatchers."""


class Verifier:
    """Says who a user name and a secret are, from a copy of the credentials that is at most a second old. For any thread.

    A token is compared in microseconds; a password that was not seen lately takes two rounds of scrypt (some 80 ms): call from a
    thread where that would hold up others.
    """

    def __init__(self, store: Store, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known = _Known((), {}, {}, {})
        self._looked = float("-inf")
        self._key = secrets.token_bytes(32)
        self._absent = scrypt_record(b"", secrets.token_bytes(16))
        self._results: dict[bytes, bool] = {}
        self._spent: list[float] = []

    def authenticate(self, username: str, password: bytes) -> Identity | None:
        """Give the identity of a user name and a secret; None, whatever is wrong with them.

        Raises
        ------
        StoreError
            If the credentials cannot be read.
        ServiceError
            If more unknown passwords are tried than there is time for.
        """
        known = self._fresh()
        carrier, slash, vehicle = username.partition("/")
        if not NAME.fullmatch(carrier) or (slash and not NAME.fullmatch(vehicle)):
            return None
        subjects: list[Subject] = [(carrier, vehicle), (carrier, None)] if slash else [(carrier, None)]
        if TOKEN.fullmatch(password):
            presented = hashlib.sha256(password).digest()
            dispatch = _among(presented, known.dispatch.get(carrier, ()))  # compared for every name, so that it takes as long
            if dispatch and not slash:
                return Identity(carrier, dispatch=True)
            accepted = max([_among(presented, known.tokens.get(subject, ())) for subject in subjects])
        else:
            accepted = bool(known.passwords) and self._password_matches(known, subjects, password)
        return Identity(carrier, vehicle if slash else None) if accepted else None

    def _password_matches(self, known: _Known, subjects: list[Subject], password: bytes) -> bool:
        for subject in subjects:
            if subject in known.passwords and self._scrypt_agrees(subject, known.passwords[subject], password):
                return True
        for subject in subjects:
            if subject not in known.passwords:
                self._scrypt_agrees(subject, self._absent, password)  # the same work for a name that has none
        return False

    def _scrypt_agrees(self, subject: Subject, record: str, password: bytes) -> bool:
        """Whether a password belongs to a record; a result is remembered under a keyed hash of all three, never the password."""
        asked = hmac.digest(self._key, f"{subject}{record}".encode() + password, "sha256")
        agrees = self._results.get(asked)
        if agrees is None:
            self._spend()
            agrees = hmac.compare_digest(scrypt_record(password, bytes.fromhex(record.split("$")[4])), record)
            with self._lock:
                if len(self._results) >= REMEMBERED:
                    self._results.pop(next(iter(self._results)))
                if agrees:  # what strangers guess pushes nobody out
                    self._results[asked] = agrees
        return agrees

    def _spend(self) -> None:
        """Take one of the few computations of a second; guessing costs the guesser its turn, not everybody else theirs."""
        now = self._seconds()
        with self._lock:
            self._spent = [at for at in self._spent if now - at < 1.0]
            if len(self._spent) >= SCRYPTS_A_SECOND:
                raise ServiceError("too many passwords are being tried; try again")
            self._spent.append(now)

    def _fresh(self) -> _Known:
        with self._lock:
            now = self._seconds()
            if now - self._looked >= FRESH_SECONDS:
                self._known = _loaded(self._store, self._known)
                self._looked = now
            return self._known


def _among(presented: bytes, digests: tuple[bytes, ...]) -> bool:
    """Whether a digest is one of several, in a time that does not say which."""
    return max([hmac.compare_digest(presented, one) for one in digests], default=False)


def _loaded(store: Store, known: _Known) -> _Known:
    """The valid credentials: `known` itself, unless a row was added or revoked since."""
    with store.read() as transaction:
        connection = transaction.connection
        counts = select(func.count(), func.count(credential.c.revoked), func.coalesce(func.max(credential.c.id), 0))
        state = tuple(connection.execute(counts.select_from(credential)).one())
        if state == known.state:
            return known
        tokens: dict[Subject, tuple[bytes, ...]] = {}
        passwords: dict[Subject, str] = {}
        dispatch: dict[str, tuple[bytes, ...]] = {}
        query = select(credential).where(credential.c.revoked.is_(None)).order_by(credential.c.id)
        for row in connection.execute(query):
            subject = (row.carrier, row.vehicle)
            if row.role == DISPATCH:
                dispatch[row.carrier] = (*dispatch.get(row.carrier, ()), bytes.fromhex(row.secret))
            elif row.kind == "token":
                tokens[subject] = (*tokens.get(subject, ()), bytes.fromhex(row.secret))
            else:
                passwords[subject] = row.secret
    return _Known(state, tokens, passwords, dispatch)
