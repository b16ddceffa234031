"""The history of the configuration comes back from the database as it was in memory, and nothing of it is edited but an interval's end."""

from __future__ import annotations

import json

from sqlalchemy import select

from monitor.history import LOCKDOWN, Row, edit, planned, withdrawn
from monitor.permits import Lockdown
from monitor.store import configuration_store, journal
from monitor.store.schema import journal as journal_table
from monitor.store.store import Store
from tests.store.samples import DAY

HOUR = 3_600_000


def lock(hours: int) -> Row:
    """A lockdown of one id that ends after so many hours."""
    return planned(Lockdown("l", DAY, DAY + hours * HOUR, "theft", "Ana", carrier="north"), "person", "Ana", DAY)


def applied(store: Store, before: tuple[Row, ...], *news: Row) -> tuple[Row, ...]:
    """Lay rows over a history and store it."""
    with store.begin() as transaction:
        return configuration_store.save(transaction, before, edit(before, news).rows)


def read(store: Store) -> tuple[tuple[Row, ...], list[Row]]:
    """The rows applied, and those that wait for it."""
    with store.read() as transaction:
        return tuple(configuration_store.load(transaction)), configuration_store.pending(transaction)


def test_rows_come_back_with_the_intervals_they_were_given_and_closed_to(store: Store) -> None:
    rows = applied(store, applied(store, (), lock(3)), lock(5), lock(7))
    assert [(row.id, row.valid_from, row.valid_until) for row in rows] == [
        (1, DAY, DAY),
        (2, DAY, DAY),
        (3, DAY, DAY + 7 * HOUR),
    ]
    assert read(store) == (rows, [])


def test_rows_asked_for_together_are_applied_as_if_one_after_the_other(store: Store) -> None:
    """The second closes the first before that was ever stored as applied."""
    for row in (lock(3), lock(5)):
        with store.begin() as transaction:
            configuration_store.ask(transaction, row)
    before, asked = read(store)
    assert (before, [row.id for row in asked]) == ((), [1, 2])
    rows = applied(store, (), *asked)
    assert [row.held for row in rows] == [False, True]
    assert read(store) == (rows, [])


def test_each_row_is_told_in_the_journal_once(store: Store) -> None:
    """With who said it; and the chain holds."""
    with store.begin() as transaction:
        configuration_store.ask(transaction, lock(3))
    applied(store, (), *read(store)[1], withdrawn(LOCKDOWN, "l", "person", "Bo", DAY + 1))
    with store.read() as transaction:
        query = select(journal_table.c.actor, journal_table.c.kind, journal_table.c.body).order_by(journal_table.c.seq)
        told = [(actor, kind, json.loads(body)) for actor, kind, body in transaction.connection.execute(query)]
    assert [(actor, kind, body["what"], body["name"]) for actor, kind, body in told] == [
        ("Ana", "configuration", "stated", "l"),
        ("Bo", "configuration", "withdrawn", "l"),
    ]
    assert journal.verify(store) is None
