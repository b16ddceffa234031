"""The journal's chain holds, and every way to edit it shows."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.store.journal import BEGINNING, canonical, entry_hash, verify
from monitor.store.store import Store
from tests.store.samples import DAY

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@pytest.fixture
def written(store: Store) -> Store:
    """Five entries."""
    with store.begin() as transaction:
        assert [transaction.record("ana", f"kind.{i}", {"b": i, "a": "é"}, DAY + i) for i in range(5)] == [1, 2, 3, 4, 5]
    return store


def test_an_empty_journal_and_an_untouched_one_verify(store: Store) -> None:
    assert verify(store) is None
    with store.begin() as transaction:
        transaction.record("ana", "kind", {}, DAY)
    assert verify(store) is None


def test_the_chain_can_be_checked_by_hand(written: Store) -> None:
    with written.read() as transaction:
        rows = transaction.connection.exec_driver_sql("SELECT * FROM journal ORDER BY seq").all()
    previous = BEGINNING
    for row in rows:
        assert row.body == f'{{"a":"é","b":{row.seq - 1}}}'
        parts = [str(row.seq), str(row.at), row.actor, row.kind, row.body, previous]
        text = b"".join(str(len(part.encode())).encode() + b":" + part.encode() for part in parts)
        assert (row.previous, row.hash) == (previous, hashlib.sha256(text).hexdigest())
        previous = row.hash


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        ("UPDATE journal SET body = '{}' WHERE seq = 3", 3),
        ("UPDATE journal SET actor = 'bob' WHERE seq = 1", 1),
        ("UPDATE journal SET at = at + 1 WHERE seq = 5", 5),
        ("UPDATE journal SET kind = '?' WHERE seq = 2", 2),
        ("UPDATE journal SET hash = previous WHERE seq = 2", 2),
        ("UPDATE journal SET previous = hash WHERE seq = 4", 4),
        ("DELETE FROM journal WHERE seq = 1", 1),
        ("DELETE FROM journal WHERE seq = 3", 3),
        ("DELETE FROM journal WHERE seq = 5", 5),
        ("DELETE FROM journal", 1),
        ("DELETE FROM journal_head", 6),
        ("UPDATE journal_head SET hash = 'x'", 6),
        ("UPDATE journal_head SET seq = 4", 5),
        ("UPDATE journal SET seq = seq + 1 WHERE seq = 5", 5),
        ("INSERT INTO journal SELECT 6, at, actor, kind, body, hash, hash FROM journal WHERE seq = 5", 6),
    ],
)
def test_an_edit_shows_at_its_first_entry(written: Store, edit: str, broken: int) -> None:
    with written.begin() as transaction:
        transaction.connection.exec_driver_sql(edit)
    assert verify(written) == broken


def test_an_entry_added_with_a_sound_hash_but_past_the_head_shows(written: Store) -> None:
    with written.begin() as transaction:
        last = transaction.connection.exec_driver_sql("SELECT hash FROM journal WHERE seq = 5").scalar_one()
        forged = entry_hash(6, DAY, "ana", "k", "{}", last)
        values = (6, DAY, "ana", "k", "{}", last, forged)
        transaction.run("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    assert verify(written) == 6


@settings(deadline=None)
@given(st.tuples(TEXT, TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT, TEXT))
def test_two_different_entries_never_share_a_hash(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    same = entry_hash(1, 2, *one) == entry_hash(1, 2, *other)
    assert same == (one == other)


def test_text_that_utf8_cannot_carry_is_spelled_out(store: Store) -> None:
    with store.begin() as transaction:
        transaction.record("an\udcffa", "kind", {"why": "\udcfe"}, DAY)
    assert verify(store) is None


def test_a_body_has_one_text_and_no_number_that_json_cannot_say() -> None:
    assert canonical({"b": [1.5, None], "a": True}) == canonical({"a": True, "b": [1.5, None]}) == '{"a":true,"b":[1.5,null]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"lon": float("nan")})
