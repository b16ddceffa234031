"""The ledger: numbers, statuses and findings stand in the database as they were told, once each."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from monitor.findings import FORGED_IDENTITY, NUMBERS_LOST, SEQUENCE_GAP, Finding
from monitor.fixes import VehicleId
from monitor.ingest.delivery import Message
from monitor.ingest.sequence import Numbered, Receipt
from monitor.store import findings_store, journal, ledger
from monitor.store.ledger import BOOTS, Book, Ledger
from monitor.store.schema import journal as journal_table
from monitor.store.store import Store

TRUCK = VehicleId("north", "truck-1")
NOON = 1_772_366_400_000


@pytest.fixture(autouse=True, params=[True, False], ids=["remembered", "restarted"])
def book(request: pytest.FixtureRequest) -> Iterator[None]:
    """One book all along, or a new one each time, as after restarts: what stands is the same."""
    BOOKS[:] = [Book()] if request.param else []
    yield
    BOOKS.clear()


BOOKS: list[Book] = []


def saved(store: Store, entries: Ledger, now: int) -> list[Receipt]:
    """Note and commit."""
    book = BOOKS[0] if BOOKS else Book()
    with store.begin() as transaction:
        receipts = book.save(transaction, entries, now)
    book.committed()
    return receipts


def note(store: Store, *numbers: int, boot: str = "a", now: int = NOON) -> list[Receipt]:
    """Store numbers of the truck."""
    return saved(store, Ledger([Numbered(TRUCK, boot, n) for n in numbers]), now)


def status(store: Store, said: bytes, now: int = NOON) -> list[Receipt]:
    """Store what the truck says of itself."""
    return saved(store, Ledger(statuses=[Message(*TRUCK, "telematics/v1/north/truck-1/status", said)]), now)


def findings(store: Store) -> list[tuple[str, str, str]]:
    """The open ones: kind, subject, detail."""
    with store.read() as transaction:
        return [(each.kind, each.subject, each.detail) for each in findings_store.listed(transaction)]


def test_a_device_is_told_how_far_everything_is_there_and_what_is_missing(store: Store) -> None:
    assert note(store, 1, 2, 3) == [Receipt(TRUCK, "a", 3, ())]
    assert note(store, 5, 8) == [Receipt(TRUCK, "a", 3, ((4, 4), (6, 7)))]
    assert findings(store) == [(SEQUENCE_GAP, "truck-1", "boot a: 4, 6-7 did not arrive")]
    assert note(store, 4, 6, 7) == [Receipt(TRUCK, "a", 8, ())]
    assert findings(store) == []
    assert journal.verify(store) is None


def test_what_arrives_again_is_told_again_and_changes_nothing(store: Store) -> None:
    note(store, 1, 2)
    assert note(store, 1, 2) == [Receipt(TRUCK, "a", 2, ())]
    with store.read() as transaction:
        assert ledger.standing(transaction, [TRUCK]) == [Receipt(TRUCK, "a", 2, ())]


def test_each_boot_counts_by_itself_and_old_ones_are_forgotten(store: Store) -> None:
    for number in range(BOOTS + 3):
        note(store, 1, 2, boot=f"boot-{number}", now=NOON + number)
    with store.read() as transaction:
        boots = [receipt.boot for receipt in ledger.standing(transaction, [TRUCK])]
    assert boots == [f"boot-{number}" for number in range(BOOTS + 2, 2, -1)]


def test_a_device_that_no_longer_has_them_says_so_and_that_is_a_finding(store: Store) -> None:
    note(store, 5, 6)
    told = status(store, json.dumps({"boot": "a", "oldest": 4}).encode())
    assert told == [Receipt(TRUCK, "a", 3, ((4, 4),))]
    assert (NUMBERS_LOST, "truck-1", "boot a: the device no longer has 3 of the numbers up to 3") in findings(store)


def test_a_status_is_kept_until_the_next_and_an_empty_one_clears_it(store: Store) -> None:
    for said, kept in ((b"online", {"truck-1": b"online"}), (b"\xff\x00", {"truck-1": b"\xff\x00"}), (b"", {})):
        assert status(store, said) == []
        with store.read() as transaction:
            assert ledger.statuses(transaction, "north") == kept
            assert ledger.statuses(transaction, "south") == {}


def test_what_is_seen_again_counts_and_the_journal_is_told_once(store: Store) -> None:
    seen = [Finding(FORGED_IDENTITY, "north", "truck-1", f"time {n}") for n in range(3)]
    for _ in range(2):
        with store.begin() as transaction:
            findings_store.note(transaction, seen, NOON)
    with store.read() as transaction:
        [found] = findings_store.listed(transaction)
        told = transaction.connection.execute(select(journal_table.c.kind)).scalars().all()
    assert (found.times, found.detail, told) == (6, "time 2", ["finding.opened"])


def test_a_finding_that_was_closed_opens_anew(store: Store) -> None:
    with store.begin() as transaction:
        findings_store.note(transaction, [Finding(FORGED_IDENTITY, "north", "x", "once")], NOON)
        assert findings_store.close(transaction, FORGED_IDENTITY, "north", "x", "looked into", NOON)
        assert not findings_store.close(transaction, FORGED_IDENTITY, "north", "x", "looked into", NOON)
        findings_store.note(transaction, [Finding(FORGED_IDENTITY, "north", "x", "twice")], NOON + 1)
    with store.read() as transaction:
        every = findings_store.listed(transaction, also_closed=True)
    assert [(each.detail, each.closed) for each in every] == [("twice", None), ("once", NOON)]


def test_a_flood_of_subjects_is_bounded(store: Store) -> None:
    many = [Finding(FORGED_IDENTITY, "north", f"device-{n}", "") for n in range(findings_store.MOST_OPEN + 50)]
    with store.begin() as transaction:
        findings_store.note(transaction, many, NOON)
    with store.read() as transaction:
        found = {each.subject: each.times for each in findings_store.listed(transaction)}
    assert (len(found), found[findings_store.THE_REST]) == (findings_store.MOST_OPEN + 1, 50)


def test_what_was_not_committed_is_not_remembered(store: Store) -> None:
    """The transaction is tried again, and the same numbers come out."""
    book = Book()
    entries = Ledger([Numbered(TRUCK, "a", 1)])

    def broken_off() -> None:
        with store.begin() as transaction:
            assert book.save(transaction, entries, NOON) == [Receipt(TRUCK, "a", 1, ())]
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            broken_off()
    with store.read() as transaction:
        assert ledger.standing(transaction, [TRUCK]) == []
    with store.begin() as transaction:
        assert book.save(transaction, Ledger([Numbered(TRUCK, "a", 2)]), NOON) == [Receipt(TRUCK, "a", 0, ((1, 1),))]


@pytest.mark.parametrize("boot", ["\ud800", "a\0b", "\n", "", "x" * 65])
def test_a_boot_that_no_database_can_keep_is_none(store: Store, boot: str) -> None:
    """Half a surrogate pair, which JSON can spell, must not end the program."""
    assert status(store, json.dumps({"boot": boot, "oldest": 1}).encode()) == []
    if boot and len(boot) < 65:
        assert note(store, 1, boot=boot) == []
