"""Who may connect: the identity behind a user name and a secret, from a copy of the credentials that is at most a second old."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import func, or_, select

from monitor.clock import Clock, world_clock
from monitor.errors import ServiceError
from monitor.fixes import NAME, Identity
from monitor.store.credentials import CERTIFICATE, DISPATCH, TOKEN, Subject, scrypt_record
from monitor.store.schema import credential
from monitor.store.store import Store

REMEMBERED = 10_000
"""Results of scrypt that are kept for clients that reconnect."""
SCRYPTS_A_SECOND = 8
"""Passwords not seen before that are looked at; tokens are not counted."""
FRESH_SECONDS = 1.0
"""A credential counts, or is revoked, within this of its commit."""


class _Known(NamedTuple):
    """The valid credentials, as of one state of the table."""

    state: tuple[int, ...] = ()
    tokens: Mapping[Subject, tuple[bytes, ...]] = {}
    passwords: Mapping[Subject, str] = {}
    dispatch: Mapping[str, tuple[bytes, ...]] = {}
    """The tokens of each carrier's dispatchers."""
    bearers: Mapping[bytes, Identity] = {}
    """SHA-256 of a token -> whose it is."""
    denied: frozenset[str] = frozenset()
    """Fingerprints of client certificates that are not let in."""
    until: int | None = None
    """When the next of them ends, ms."""


class Verifier:
    """Says who a user name and a secret are. For any thread.

    A token is compared in microseconds; a password that was not seen lately takes two rounds of scrypt (some 80 ms): call from a
    thread where that would hold up others.
    """

    def __init__(self, store: Store, seconds: Callable[[], float] = time.monotonic, clock: Clock = world_clock) -> None:
        self._store = store
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._known = _Known()
        self._revision = 0
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
        proof = hashlib.sha256(password).digest()
        subjects = _subjects(username)
        if TOKEN.fullmatch(password):
            return _token_identity(known, subjects, proof)
        accepted = bool(subjects and known.passwords) and self._password_matches(known, subjects, password, proof)
        return Identity(*subjects[0]) if accepted else None

    def bearer(self, token: str) -> Identity | None:
        """Give the identity of a generated token alone, a carrier's, a vehicle's or a dispatcher's; None where it is nobody's.

        Raises
        ------
        StoreError
            If the credentials cannot be read.
        """
        secret = token.encode("utf-8", "surrogateescape")
        if not TOKEN.fullmatch(secret):
            return None
        return self._fresh().bearers.get(hashlib.sha256(secret).digest())

    def revision(self) -> int:
        """How many times what may connect has changed; where it is the same, `holds` gives the same.

        Raises
        ------
        StoreError
            If the credentials cannot be read.
        """
        self._fresh()
        return self._revision

    def holds(self, username: str, proof: bytes, fingerprint: str) -> bool:
        """Whether what a connection was admitted with is valid still: a user name with the SHA-256 of its secret, a certificate, or both.

        A password that is not remembered any more does not hold: it must be shown again.
        """
        known = self._known
        if fingerprint in known.denied:
            return False
        if not proof:
            return True
        subjects = _subjects(username)
        if _token_identity(known, subjects, proof) is not None:
            return True
        asked = ((subject, known.passwords[subject]) for subject in subjects if subject in known.passwords)
        return any(self._results.get(self._question(subject, record, proof)) for subject, record in asked)

    def _password_matches(self, known: _Known, subjects: list[Subject], password: bytes, proof: bytes) -> bool:
        for subject in subjects:
            if subject in known.passwords and self._scrypt_agrees(subject, known.passwords[subject], password, proof):
                return True
        for subject in subjects:
            if subject not in known.passwords:
                self._scrypt_agrees(subject, self._absent, password, proof)  # the same work for a name that has none
        return False

    def _scrypt_agrees(self, subject: Subject, record: str, password: bytes, proof: bytes) -> bool:
        """Whether a password belongs to a record; a result is remembered under a keyed hash of all three, never the password."""
        asked = self._question(subject, record, proof)
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

    def _question(self, subject: Subject, record: str, proof: bytes) -> bytes:
        return hmac.digest(self._key, f"{subject}{record}".encode() + proof, "sha256")

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
                known = _loaded(self._store, self._known, self._clock())
                self._revision += known is not self._known
                self._known = known
                self._looked = now
            return self._known


def _subjects(username: str) -> list[Subject]:
    """Whose credentials may connect by a user name, itself first; none where no topic could carry it."""
    carrier, slash, vehicle = username.partition("/")
    if not NAME.fullmatch(carrier) or (slash and not NAME.fullmatch(vehicle)):
        return []
    return [(carrier, vehicle), (carrier, None)] if slash else [(carrier, None)]


def _token_identity(known: _Known, subjects: list[Subject], digest: bytes) -> Identity | None:
    if not subjects:
        return None
    carrier, vehicle = subjects[0]
    dispatch = _among(digest, known.dispatch.get(carrier, ()))  # compared for every name, so that it takes as long
    if dispatch and vehicle is None:
        return Identity(carrier, dispatch=True)
    accepted = max([_among(digest, known.tokens.get(subject, ())) for subject in subjects])
    return Identity(carrier, vehicle) if accepted else None


def _among(presented: bytes, digests: tuple[bytes, ...]) -> bool:
    """Whether a digest is one of several, in a time that does not say which."""
    return max([hmac.compare_digest(presented, one) for one in digests], default=False)


def _loaded(store: Store, known: _Known, now: int) -> _Known:
    """The valid credentials: `known` itself, unless a row was added or given an end since, or one has ended."""
    ended = credential.c.revoked
    with store.read() as transaction:
        counts = select(
            func.count(),
            func.count(ended),
            func.coalesce(func.sum(ended % 1_000_003), 0),  # a new end, where one was said before
            func.coalesce(func.max(credential.c.id), 0),
        )
        state = tuple(int(each) for each in transaction.connection.execute(counts.select_from(credential)).one())
        if state == known.state and (known.until is None or now < known.until):
            return known
        valid = or_(ended.is_(None), ended > now, credential.c.kind == CERTIFICATE)
        rows = transaction.connection.execute(select(credential).where(valid).order_by(credential.c.id)).all()
    tokens: dict[Subject, tuple[bytes, ...]] = {}
    dispatch: dict[str, tuple[bytes, ...]] = {}
    bearers: dict[bytes, Identity] = {}
    for row in (row for row in rows if row.kind == "token"):
        digest, subject = bytes.fromhex(row.secret), (row.carrier, row.vehicle)
        bearers[digest] = Identity(row.carrier, row.vehicle, row.role == DISPATCH)
        if row.role == DISPATCH:
            dispatch[row.carrier] = (*dispatch.get(row.carrier, ()), digest)
        else:
            tokens[subject] = (*tokens.get(subject, ()), digest)
    passwords = {(row.carrier, row.vehicle): row.secret for row in rows if row.kind == "password"}
    denied = frozenset(row.secret for row in rows if row.kind == CERTIFICATE)
    ends = [row.revoked for row in rows if row.kind != CERTIFICATE and row.revoked is not None]
    return _Known(state, tokens, passwords, dispatch, bearers, denied, min(ends, default=None))
