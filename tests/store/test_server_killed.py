"""A server that is killed under load, with `kill -9` of every process of it: what was told committed is there, once, when it is back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from monitor.errors import StoreError
from monitor.fixes import Fleet
from monitor.store.journal import verify
from monitor.store.schema import fix, journal
from monitor.store.store import Store
from tests.postgres import Server, serving
from tests.store.samples import TRUCK, drive, line_of, none_late, opened, process

KILLS = 5
DELIVERIES = """
import sys, threading
from datetime import timedelta
from monitor.errors import StoreError
from monitor.fixes import Fleet
from monitor.store.store import Store
from tests.store.samples import DAY, TRUCK, drive, none_late
store, fleet = Store.open(sys.argv[1], timedelta(seconds=30)), Fleet()
store.insist(lambda: True)
held = store.hold()
for i in range(int(sys.argv[2])):
    fixes = drive(fleet, TRUCK, range(10 * i, 10 * i + 10))
    while True:
        try:
            with store.begin() as t:
                t.add_fixes(fleet, fixes, none_late(fixes))
                t.record("child", "delivery", {"number": i}, DAY)
        except StoreError:
            threading.Event().wait(0.02)
        else:
            break
    print(i + 1, flush=True)
"""


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server of its own that waits for its disk."""
    with serving() as server:
        yield server


def counts(store: Store) -> tuple[int, int]:
    """(fixes stored, entries of the journal)."""
    with store.read() as transaction:
        fixes = transaction.connection.execute(select(func.count()).select_from(fix)).scalar_one()
        entries = transaction.connection.execute(select(func.count()).select_from(journal)).scalar_one()
    return fixes, entries


@pytest.mark.slow
def test_a_server_killed_under_load_loses_nothing_and_doubles_nothing(durable: Server) -> None:
    """The writer goes on by itself. A delivery that was stored without an answer must not fail as known when it is tried again."""
    url, total, chance = durable.empty(), 400, random.Random(4)
    with process(DELIVERIES, url, str(total)) as child:
        for _ in range(KILLS):
            for _ in range(chance.randrange(10, 60)):
                assert line_of(child)
            durable.kill()
            durable.start()
        told = 0
        while line := line_of(child):
            told = int(line)
        assert (told, child.wait(60)) == (total, 0)
    with closing(opened(url)) as store:
        assert counts(store) == (10 * total, total)
        assert verify(store) is None


@pytest.mark.slow
def test_what_was_told_committed_is_there_after_the_server_was_killed(durable: Server) -> None:
    url, fleet = durable.empty(), Fleet()
    with closing(Store.open(url, timedelta(seconds=30))) as store:
        for number in range(20):
            fixes = drive(fleet, TRUCK, range(10 * number, 10 * number + 10))
            with store.begin() as transaction:
                transaction.add_fixes(fleet, fixes, none_late(fixes))
                transaction.record("here", "delivery", {}, number)
        durable.kill()
        with pytest.raises(StoreError, match="the server is out of reach"), store.begin():
            pass
        with pytest.raises(StoreError, match="the server is out of reach"), store.read():
            pass
        durable.start()
        assert counts(store) == (200, 20)
        with store.begin() as transaction:
            assert transaction.record("here", "delivery", {}, 20) == 21
