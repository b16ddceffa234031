"""Who may connect: the right secret under the right name, soon after it is stored and until soon after it is revoked."""

from __future__ import annotations

import hashlib
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from monitor.errors import MonitorError, ServiceError
from monitor.fixes import Identity
from monitor.store import credentials
from monitor.store.credentials import create, listed, revoke, set_password
from monitor.store.journal import verify
from monitor.store.schema import credential, journal
from monitor.store.store import Store
from monitor.store.verifier import Verifier
from tests.store.samples import DAY

PASSWORD = "correct horse battery"


def looking(store: Store) -> Verifier:
    """A verifier that looks at the table each time."""
    ticks = count()
    return Verifier(store, seconds=lambda: float(next(ticks)))


def token_of(store: Store, carrier: str = "north", vehicle: str | None = None) -> bytes:
    with store.begin() as transaction:
        return create(transaction, carrier, vehicle, DAY).encode()


def chosen(store: Store, password: str = PASSWORD, carrier: str = "north", vehicle: str | None = None) -> bytes:
    with store.begin() as transaction:
        set_password(transaction, carrier, vehicle, password, DAY)
    return password.encode()


def test_a_carriers_token_connects_for_the_carrier_or_bound_to_any_of_its_vehicles(store: Store) -> None:
    token, verifier = token_of(store), looking(store)
    assert verifier.authenticate("north", token) == Identity("north", None)
    assert verifier.authenticate("north/truck-1", token) == Identity("north", "truck-1")
    assert verifier.authenticate("south", token) is None
    assert verifier.authenticate("south/truck-1", token) is None


def test_a_vehicles_token_connects_for_that_vehicle_alone(store: Store) -> None:
    token, verifier = token_of(store, vehicle="truck-1"), looking(store)
    assert verifier.authenticate("north/truck-1", token) == Identity("north", "truck-1")
    assert [verifier.authenticate(name, token) for name in ("north", "north/truck-2", "south/truck-1")] == [None] * 3


@pytest.mark.parametrize("vehicle", [None, "truck-1"])
def test_a_password_connects_like_a_token(store: Store, vehicle: str | None) -> None:
    password, verifier = chosen(store, vehicle=vehicle), looking(store)
    assert verifier.authenticate("north/truck-1", password) == Identity("north", "truck-1")
    assert verifier.authenticate("north", password) == (None if vehicle else Identity("north", None))
    assert verifier.authenticate("north/truck-1", password + b"!") is None
    assert verifier.authenticate("south/truck-1", password) is None


@pytest.mark.parametrize("name", ["", "/", "/truck-1", "north/", "north/a/b", "north/+", "north\x00", "n orth", "north/#"])
def test_a_name_that_no_topic_could_carry_never_connects(store: Store, name: str) -> None:
    assert looking(store).authenticate(name, token_of(store)) is None


def test_neither_tokens_nor_passwords_are_on_disk(store: Store) -> None:
    token, password = token_of(store), chosen(store)
    with store.read() as transaction:
        secrets = transaction.connection.execute(select(credential.c.secret).order_by(credential.c.id)).scalars().all()
        assert secrets[0] == hashlib.sha256(token).hexdigest()
        assert secrets[1].startswith("scrypt$16384$8$1$")
        told = "".join(transaction.connection.execute(select(journal.c.body)).scalars())
    for secret in (token, password):
        assert secret.decode() not in told + "".join(secrets)


def test_a_token_has_256_bits_and_none_is_like_another(store: Store) -> None:
    tokens = {token_of(store) for _ in range(20)}
    assert len(tokens) == 20
    assert all(credentials.TOKEN.fullmatch(token) for token in tokens)


def test_a_revoked_credential_connects_no_more_and_stays_listed(store: Store) -> None:
    first, second, verifier = token_of(store), token_of(store), looking(store)
    assert verifier.authenticate("north", first) == Identity("north", None)
    with store.begin() as transaction:
        revoke(transaction, 1, DAY + 5, by="ana")
    assert verifier.authenticate("north", first) is None
    assert verifier.authenticate("north", second) == Identity("north", None)
    with store.read() as transaction:
        assert [(item.id, item.revoked) for item in listed(transaction)] == [(1, DAY + 5), (2, None)]
        told = transaction.connection.execute(select(journal.c.actor, journal.c.kind)).all()
    assert tuple(told[-1]) == ("ana", "credential.revoked")
    assert verify(store) is None


def test_a_new_password_replaces_the_old_one_of_the_same_name_only(store: Store) -> None:
    old, other, verifier = chosen(store), chosen(store, "another long password", vehicle="truck-1"), looking(store)
    assert verifier.authenticate("north", old) == Identity("north", None)
    new = chosen(store, "a newer long password")
    assert verifier.authenticate("north", old) is None
    assert verifier.authenticate("north", new) == Identity("north", None)
    assert verifier.authenticate("north/truck-1", other) == Identity("north", "truck-1")


@pytest.mark.parametrize(
    ("password", "said"), [("short", "has 5 characters: allowed are 12 or more"), ("A" * 43, "shape of a generated token")]
)
def test_a_password_that_is_too_short_or_looks_like_a_token_is_refused(store: Store, password: str, said: str) -> None:
    with pytest.raises(MonitorError, match=said):
        chosen(store, password)


@pytest.mark.parametrize(("carrier", "vehicle"), [("", None), ("a/b", None), ("north", "+"), ("north", ""), ("no rth", None)])
def test_a_name_that_no_topic_could_carry_gets_no_credential(store: Store, carrier: str, vehicle: str | None) -> None:
    with pytest.raises(MonitorError, match="allowed are 1 to 64 of"):
        token_of(store, carrier, vehicle)


@pytest.mark.parametrize("revoked_before", [True, False])
def test_what_cannot_be_revoked_says_why(store: Store, revoked_before: bool) -> None:
    if revoked_before:
        token_of(store)
        with store.begin() as transaction:
            revoke(transaction, 1, DAY)
    said = "was revoked before" if revoked_before else "there is none"
    with pytest.raises(MonitorError, match=f"credential 1: {said}"), store.begin() as transaction:
        revoke(transaction, 1, DAY)


def test_the_copy_is_read_again_after_a_second_and_not_before(store: Store) -> None:
    now = [0.0]
    verifier = Verifier(store, seconds=lambda: now[0])
    assert verifier.authenticate("north", b"A" * 43) is None
    token = token_of(store)
    now[0] = 0.9
    assert verifier.authenticate("north", token) is None
    now[0] = 1.0
    assert verifier.authenticate("north", token) == Identity("north", None)


def test_a_storm_of_reconnecting_clients_costs_one_scrypt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    password, verifier = chosen(store), looking(store)
    assert verifier.authenticate("north", password) == Identity("north", None)
    monkeypatch.setattr(hashlib, "scrypt", None)
    for _ in range(100):
        assert verifier.authenticate("north", password) == Identity("north", None)


def test_only_so_many_results_are_remembered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.store.verifier.REMEMBERED", 1)
    password, verifier = chosen(store), looking(store)
    for secret, identity in [(password, Identity("north", None)), (b"a wrong password", None)] * 2:
        assert verifier.authenticate("north", secret) == identity


@pytest.mark.parametrize("name", ["north", "nobody", "north/truck-1", "nobody/truck-1"])
def test_a_wrong_password_takes_the_same_work_whether_the_name_exists_or_not(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    chosen(store)
    verifier, work, scrypt = looking(store), [], hashlib.scrypt

    def counted(password: bytes, *, salt: bytes, n: int, r: int, p: int, dklen: int) -> bytes:
        work.append(n)
        return scrypt(password, salt=salt, n=n, r=r, p=p, dklen=dklen)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    assert verifier.authenticate("someone/else", b"a wrong password") is None
    work.clear()
    assert verifier.authenticate(name, b"a wrong password") is None
    assert work == [2**14] * (2 if "/" in name else 1)
    assert verifier.authenticate(name, b"A" * 43) is None
    assert len(work) == (2 if "/" in name else 1)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20), st.binary(max_size=60))
def test_whatever_is_presented_gets_an_answer(store: Store, name: str, secret: bytes) -> None:
    assert Verifier(store).authenticate(name, secret) is None


def test_guessing_passwords_costs_the_guesser_his_turn_not_everybody_elses(store: Store) -> None:
    """Only so many unknown passwords are looked at a second; tokens and known passwords go on."""
    with store.begin() as transaction:
        token = create(transaction, "north", None, 0)
        set_password(transaction, "south", None, "correct horse battery", 0)
    verifier = Verifier(store, lambda: 100.0)
    assert verifier.authenticate("south", b"correct horse battery") == Identity("south", None)
    guesses = (verifier.authenticate("south", f"guess number {number}".encode()) for number in range(100))
    with pytest.raises(ServiceError, match="too many passwords"):
        list(guesses)
    assert verifier.authenticate("south", b"correct horse battery") == Identity("south", None)
    assert verifier.authenticate("north", token.encode()) == Identity("north", None)


def test_a_dispatch_token_is_dispatch_under_the_carrier_s_name_alone(store: Store) -> None:
    """Under a vehicle's name it is nobody's, and a device's token is never dispatch."""
    with store.begin() as transaction:
        office = credentials.create(transaction, "north", None, 1, dispatch=True).encode()
        device = credentials.create(transaction, "north", None, 1).encode()
        assert [item.role for item in credentials.listed(transaction)] == ["dispatch", "device"]
    verifier = Verifier(store)
    assert verifier.authenticate("north", office) == Identity("north", None, dispatch=True)
    assert verifier.authenticate("north/truck-1", office) is None
    assert verifier.authenticate("south", office) is None
    assert verifier.authenticate("north", device) == Identity("north")


def test_dispatch_is_of_a_carrier_and_can_be_revoked(store: Store) -> None:
    with store.begin() as transaction:
        with pytest.raises(MonitorError, match="dispatch is of a carrier, not of one vehicle; allowed is north"):
            credentials.create(transaction, "north", "truck-1", 1, dispatch=True)
        office = credentials.create(transaction, "north", None, 1, dispatch=True).encode()
        credentials.revoke(transaction, 1, 2)
    assert Verifier(store).authenticate("north", office) is None


# -- rotation, ends, denials --


def at(store: Store, now: list[int]) -> Verifier:
    """A verifier that looks at the table each time, and lives at `now[0]`."""
    ticks = count()
    return Verifier(store, seconds=lambda: float(next(ticks)), clock=lambda: now[0])


def test_after_a_rotation_the_old_ones_are_valid_for_the_grace_and_the_new_one_from_now_on(store: Store) -> None:
    old, now = token_of(store), [DAY]
    password, verifier = chosen(store), at(store, now)
    with store.begin() as transaction:
        token, ended = credentials.rotate(transaction, ("north", None), DAY, 1000)
    assert [(item.kind, item.revoked) for item in ended] == [("token", DAY + 1000), ("password", DAY + 1000)]
    for instant, valid in ((DAY, True), (DAY + 999, True), (DAY + 1000, False)):
        now[0] = instant
        assert verifier.authenticate("north", token.encode()) == Identity("north")
        assert [verifier.authenticate("north", each) is not None for each in (old, password)] == [valid] * 2
        assert (verifier.bearer(old.decode()) is not None) is valid
    assert verify(store) is None


def test_a_rotation_leaves_other_subjects_and_roles_alone(store: Store) -> None:
    vehicle, verifier = token_of(store, vehicle="truck-1"), looking(store)
    with store.begin() as transaction:
        office = create(transaction, "north", None, DAY, dispatch=True).encode()
        create(transaction, "north", None, DAY)
        _, ended = credentials.rotate(transaction, ("north", None), DAY, 0)
    assert [item.id for item in ended] == [3]
    assert verifier.authenticate("north/truck-1", vehicle) == Identity("north", "truck-1")
    assert verifier.authenticate("north", office) == Identity("north", dispatch=True)


def test_a_dispatch_credential_is_rotated_as_one(store: Store) -> None:
    with store.begin() as transaction:
        office = create(transaction, "north", None, DAY, dispatch=True).encode()
        token, _ = credentials.rotate(transaction, ("north", None), DAY, 0, dispatch=True)
    verifier = looking(store)
    assert verifier.authenticate("north", token.encode()) == Identity("north", dispatch=True)
    assert verifier.authenticate("north", office) is None


def test_one_that_ends_sooner_keeps_its_end(store: Store) -> None:
    token_of(store)
    with store.begin() as transaction:
        credentials.rotate(transaction, ("north", None), DAY, 500)
        _, ended = credentials.rotate(transaction, ("north", None), DAY, 1000)
        assert [item.id for item in ended] == [2]
        assert [item.revoked for item in listed(transaction)] == [DAY + 500, DAY + 1000, None]


def test_one_with_an_end_can_still_be_revoked_at_once(store: Store) -> None:
    old, verifier = token_of(store), at(store, [DAY + 1])
    with store.begin() as transaction:
        credentials.rotate(transaction, ("north", None), DAY, 1000)
    assert verifier.authenticate("north", old) == Identity("north")
    with store.begin() as transaction:
        revoke(transaction, 1, DAY + 1)
    assert verifier.authenticate("north", old) is None


def test_where_there_is_nothing_to_rotate_or_revoke_it_is_said(store: Store) -> None:
    with store.begin() as transaction:
        with pytest.raises(MonitorError, match="north: has no device credential in force"):
            credentials.rotate(transaction, ("north", None), DAY, 0)
        with pytest.raises(MonitorError, match="north/truck-1: has no credential in force"):
            credentials.revoke_all(transaction, ("north", "truck-1"), DAY)


def test_revoking_a_subject_ends_all_of_its_own_and_no_others(store: Store) -> None:
    tokens, vehicle, verifier = [token_of(store), token_of(store)], token_of(store, vehicle="truck-1"), looking(store)
    with store.begin() as transaction:
        found = credentials.revoke_all(transaction, ("north", None), DAY)
    assert [item.id for item in found] == [1, 2]
    assert [verifier.authenticate("north", token) for token in tokens] == [None, None]
    assert verifier.authenticate("north/truck-1", vehicle) == Identity("north", "truck-1")


def test_a_token_alone_says_whose_it_is(store: Store) -> None:
    carrier, vehicle, verifier = token_of(store), token_of(store, vehicle="truck-1"), looking(store)
    with store.begin() as transaction:
        office = create(transaction, "north", None, DAY, dispatch=True)
    assert verifier.bearer(carrier.decode()) == Identity("north")
    assert verifier.bearer(vehicle.decode()) == Identity("north", "truck-1")
    assert verifier.bearer(office) == Identity("north", None, dispatch=True)
    for nobodys in ("A" * 43, "", "short", "ä" * 43, carrier.decode() + "x", PASSWORD, "\udcff"):
        assert verifier.bearer(nobodys) is None


FINGERPRINT = "AB:" * 31 + "cd"


def test_a_certificate_is_denied_by_its_fingerprint_and_listed_as_revoked(store: Store) -> None:
    verifier = looking(store)
    assert verifier.revision() >= 0
    assert verifier.holds("north", b"", "ab" * 31 + "cd")
    with store.begin() as transaction:
        first = credentials.deny_certificate(transaction, ("north", "truck-1"), FINGERPRINT, DAY)
        assert credentials.deny_certificate(transaction, ("north", "truck-1"), "ab" * 31 + "cd", DAY + 5) == first
        assert (first.kind, first.revoked) == ("certificate", DAY)
    verifier.revision()
    assert not verifier.holds("north", b"", "ab" * 31 + "cd")
    assert verifier.holds("north", b"", "00" * 32)
    assert verifier.bearer("A" * 43) is None
    assert verify(store) is None


@pytest.mark.parametrize("fingerprint", ["", "ab", "zz" * 32, "ab" * 33])
def test_a_fingerprint_that_is_none_is_refused(store: Store, fingerprint: str) -> None:
    with pytest.raises(MonitorError, match="allowed is a SHA-256"), store.begin() as transaction:
        credentials.deny_certificate(transaction, ("north", None), fingerprint, DAY)


def test_what_a_connection_was_admitted_with_holds_until_it_is_revoked(store: Store) -> None:
    """Seen by the listener as a change of revision; each connection is asked by the hash of what it showed."""
    token, vehicle, verifier = token_of(store), token_of(store, vehicle="truck-1"), looking(store)
    password = chosen(store, carrier="south")
    shown = [("north/truck-9", token), ("north/truck-1", vehicle), ("south", password)]
    assert all(verifier.authenticate(*each) for each in shown)
    passes = [(name, hashlib.sha256(secret).digest(), "") for name, secret in shown]
    before = verifier.revision()
    assert [verifier.holds(*each) for each in passes] == [True] * 3
    assert not verifier.holds("south/van", passes[0][1], "")
    with store.begin() as transaction:
        revoke(transaction, 1, DAY)
    assert verifier.revision() > before
    assert [verifier.holds(*each) for each in passes] == [False, True, True]
    with store.begin() as transaction:
        revoke(transaction, 3, DAY)
    verifier.revision()
    assert [verifier.holds(*each) for each in passes] == [False, True, False]


def test_without_a_change_there_is_no_new_revision(store: Store) -> None:
    token_of(store)
    verifier = looking(store)
    assert len({verifier.revision() for _ in range(5)}) == 1
