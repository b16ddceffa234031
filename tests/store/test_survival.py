"""A transaction is there whole or not at all: after an exception, among other writers, on a full disk, after `kill -9`."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from monitor.errors import StoreError
from monitor.fixes import Fleet
from monitor.store.journal import verify
from monitor.store.schema import fix, journal, journal_head
from monitor.store.store import Store
from tests.store.samples import DAY, TRUCK, VAN, drive, line_of, none_late, opened, process, raised

BEGINNING = """
import sys
from monitor.fixes import Fleet
from tests.store.samples import DAY, TRUCK, drive, none_late, opened
store, fleet = opened(sys.argv[1]), Fleet()
"""

RECORDS = BEGINNING + "for i in range(60):\n    with store.begin() as t: t.record(sys.argv[2], 'kind', {'i': i}, i)\n"

DIES_INSIDE = (
    BEGINNING
    + """
with store.begin() as t:
    fixes = drive(fleet, TRUCK, range(100, 5100))
    t.add_fixes(fleet, fixes, none_late(fixes))
    t.record("child", "delivery", {"count": len(fixes)}, DAY)
    print("inside", flush=True)
    sys.stdin.read()
"""
)

COMMITS_FOR_EVER = (
    BEGINNING
    + """
import itertools
for i in itertools.count():
    with store.begin() as t:
        fixes = drive(fleet, TRUCK, range(10 * i, 10 * i + 10))
        t.add_fixes(fleet, fixes, none_late(fixes))
        t.save_checkpoints([(TRUCK, i, b"row" * 100)])
        t.record("child", "delivery", {"count": len(fixes)}, DAY)
    print(i + 1, flush=True)
"""
)


def counts(store: Store) -> tuple[int, int]:
    """(fixes stored, entries of the journal)."""
    with store.read() as transaction:
        fixes = transaction.connection.execute(select(func.count()).select_from(fix)).scalar_one()
        entries = transaction.connection.execute(select(func.count()).select_from(journal)).scalar_one()
    return fixes, entries


def test_an_exception_undoes_everything_of_its_transaction(store: Store) -> None:
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, [0, 10])

    def fail_at_the_end() -> None:
        with store.begin() as transaction:
            transaction.add_fixes(fleet, fixes, none_late(fixes))
            transaction.save_checkpoints([(TRUCK, 1, b"")])
            transaction.apply_changes([raised()], DAY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_at_the_end()
    assert counts(store) == (0, 0)
    with store.read() as transaction:
        assert transaction.vehicles() == []
        assert transaction.newest_checkpoints() == {}
        assert transaction.signal_log() == []


def test_a_vehicle_met_in_an_undone_transaction_gets_its_own_id_afterwards(store: Store) -> None:
    def fail() -> None:
        with store.begin() as transaction:
            transaction.vehicle_id(TRUCK)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.begin() as transaction:
        van = transaction.vehicle_id(VAN)
        assert transaction.vehicle_id(TRUCK) != van


def test_a_reader_sees_one_instant_and_may_not_write(store: Store) -> None:
    with store.read() as transaction:
        assert transaction.vehicles() == []
        with store.begin() as writing:
            writing.vehicle_id(TRUCK)
        assert transaction.vehicles() == []
    with store.read() as transaction:
        assert transaction.vehicles() == [TRUCK]
    with pytest.raises(StoreError, match="may not be written"), store.read() as transaction:
        transaction.record("ana", "kind", {}, 1)


def test_writers_of_several_processes_and_threads_wait_for_each_other(store: Store) -> None:
    def write() -> None:
        for i in range(60):
            with store.begin() as transaction:
                transaction.record("thread", "kind", {"i": i}, i)

    threads = [threading.Thread(target=write) for _ in range(2)]
    with process(RECORDS, store.url, "one") as one, process(RECORDS, store.url, "two") as two:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert (one.wait(60), two.wait(60)) == (0, 0)
    assert counts(store) == (0, 240)
    assert verify(store) is None


def test_writers_of_one_process_that_wait_too_long_say_so(url: str) -> None:
    store = opened(url, timedelta(milliseconds=50))
    with store.begin(), pytest.raises(StoreError, match="own writers waited for each other for 50ms"), store.begin():
        pass
    store.close()


def test_a_full_disk_undoes_the_transaction_and_says_so(in_file: Store) -> None:
    store = in_file
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, range(5000))
    with store.begin() as transaction:  # SQLite's own limit is met in the same words as a full disk
        pages = transaction.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        transaction.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 8}")
    with pytest.raises(StoreError, match="the disk is full"), store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
    assert counts(store) == (0, 0)
    with store.begin() as transaction:
        transaction.connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert len(transaction.add_fixes(fleet, fixes, none_late(fixes))) == 5000


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_committed_into_a_file_that_was_removed_or_replaced(in_file: Store, file: Path, replaced: bool) -> None:
    store, moved = in_file, file.rename(file.with_name("moved.db"))
    if replaced:
        file.touch()
    with pytest.raises(StoreError, match="was removed or replaced while in use"), store.begin() as transaction:
        transaction.vehicle_id(TRUCK)
    if replaced:
        file.unlink()
    moved.rename(file)
    with store.begin() as transaction:
        assert transaction.vehicles() == []
        transaction.vehicle_id(TRUCK)


def test_a_process_killed_inside_a_transaction_leaves_the_last_commit(store: Store) -> None:
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, [0, 10])
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
        transaction.record("parent", "delivery", {}, DAY)
    with process(DIES_INSIDE, store.url) as child:
        assert line_of(child) == "inside"
        child.kill()
        child.wait(60)
    assert counts(store) == (2, 1)
    with store.begin() as transaction:
        assert transaction.record("parent", "delivery", {}, DAY) == 2
    assert verify(store) is None


@pytest.mark.parametrize("told", [1, 3, 10, 25, 60])
def test_what_was_told_committed_survives_kill_9_and_no_transaction_is_there_in_part(url: str, told: int) -> None:
    with process(COMMITS_FOR_EVER, url) as child:
        for _ in range(told):
            line_of(child)
        child.kill()
        child.wait(60)
    store = opened(url)
    fixes, entries = counts(store)
    assert entries >= told
    assert fixes == 10 * entries
    assert verify(store) is None
    with store.read() as transaction:
        assert transaction.checkpoint_before(TRUCK, None) == (entries - 1, b"row" * 100)
        assert transaction.connection.execute(select(journal_head.c.seq)).scalar_one() == entries
    store.close()
