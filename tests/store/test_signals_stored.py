"""The stored signals are the changes applied, each told in the journal but for mere measurements."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from monitor.errors import StoreError
from monitor.fixes import VehicleId
from monitor.signals import ChangeKind, StoredSignal
from monitor.store.schema import journal, signal
from monitor.store.store import Store
from monitor.store.transaction import Transaction
from tests.store.samples import DAY, SIGNAL, TRUCK, VAN, changed, raised


def kinds(transaction: Transaction) -> list[str]:
    return list(transaction.connection.execute(select(journal.c.kind).order_by(journal.c.seq)).scalars())


def test_a_raised_signal_gets_an_id_and_comes_back_equal(store: Store) -> None:
    other = replace(SIGNAL, vehicle="van-2", place=None, route="R", until=DAY + 5, presumed=True)
    with store.begin() as transaction:
        [first, second] = transaction.apply_changes([raised(late_by=77), raised(other)], DAY)
    assert (first.id, second.id) == (1, 2)
    with store.read() as transaction:
        assert transaction.signals_from({TRUCK: DAY, VAN: DAY}) == [StoredSignal(1, SIGNAL), StoredSignal(2, other)]
        assert transaction.connection.execute(select(signal.c.late_by)).scalars().all() == [77, 0]


def test_each_change_is_told_in_the_journal_in_order_but_measurements_are_not(store: Store) -> None:
    with store.begin() as transaction:
        [first] = transaction.apply_changes([raised()], DAY)
        transaction.apply_changes(
            [
                changed(ChangeKind.MEASURED, first.id, measure=400.0),
                changed(ChangeKind.CLEARED, first.id, until=DAY + 900_000),
                changed(ChangeKind.REVISED, first.id, "a late fix", since=DAY - 1),
            ],
            DAY,
        )
        assert kinds(transaction) == ["signal.raised", "signal.cleared", "signal.revised"]
        body = transaction.connection.execute(select(journal.c.body).where(journal.c.seq == 3)).scalar_one()
        assert json.loads(body)["reason"] == "a late fix"
        assert json.loads(body)["since"] == DAY - 1
        row = transaction.connection.execute(select(signal.c.version, signal.c.withdrawn_reason)).one()
    assert tuple(row) == (3, None)


def test_a_measurement_is_stored(store: Store) -> None:
    with store.begin() as transaction:
        [first] = transaction.apply_changes([raised()], DAY)
        transaction.apply_changes([changed(ChangeKind.MEASURED, first.id, measure=400.0)], DAY)
        assert transaction.signal_log() == [replace(SIGNAL, measure=400.0)]
        assert kinds(transaction) == ["signal.raised"]


def test_a_withdrawn_signal_stays_with_its_reason_but_leaves_the_log(store: Store) -> None:
    with store.begin() as transaction:
        [first] = transaction.apply_changes([raised()], DAY)
        transaction.apply_changes([changed(ChangeKind.WITHDRAWN, first.id, "it had moved")], DAY)
        assert transaction.signal_log() == []
        assert transaction.signals_from({TRUCK: 0}) == []
        row = transaction.connection.execute(select(signal)).one()
    assert (row.state, row.withdrawn_reason, row.since) == ("withdrawn", "it had moved", SIGNAL.since)


def test_a_step_sees_open_signals_and_those_closed_after_its_frontier_of_its_vehicles_only(store: Store) -> None:
    closed = replace(SIGNAL, closed=True, until=DAY, kind="long_dwell")
    elsewhere = replace(SIGNAL, carrier="south")
    with store.begin() as transaction:
        transaction.apply_changes([raised(), raised(closed), raised(elsewhere)], DAY)
        at = SIGNAL.decided
        assert [found.signal for found in transaction.signals_from({TRUCK: at - 1})] == [SIGNAL, closed]
        assert [found.signal for found in transaction.signals_from({TRUCK: at})] == [SIGNAL]
        assert transaction.signals_from({VAN: 0, VehicleId("west", "x"): 0}) == []
        both = transaction.signals_from({VAN: 0, VehicleId("south", "truck-1"): 0, TRUCK: at})
        assert [found.signal for found in both] == [SIGNAL, elsewhere]


def test_the_log_is_sorted_and_ends_at_its_horizon(store: Store) -> None:
    later = replace(SIGNAL, at=SIGNAL.at + 9, raised=SIGNAL.raised + 9)
    with store.begin() as transaction:
        transaction.apply_changes([raised(later), raised()], DAY)
        assert transaction.signal_log() == [SIGNAL, later]
        assert transaction.signal_log(SIGNAL.raised) == [SIGNAL]
        assert transaction.signal_log(SIGNAL.raised - 1) == []


def test_a_change_of_a_signal_that_is_not_stored_is_an_error_and_changes_nothing(store: Store) -> None:
    with store.begin() as transaction:
        transaction.apply_changes([raised()], DAY)
    with pytest.raises(StoreError, match="99"), store.begin() as transaction:
        transaction.apply_changes([changed(ChangeKind.REVISED, 1, unit="m"), changed(ChangeKind.REVISED, 99)], DAY)
    with store.read() as transaction:
        assert transaction.signal_log() == [SIGNAL]
        assert kinds(transaction) == ["signal.raised"]
