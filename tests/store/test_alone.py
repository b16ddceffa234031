"""One monitor a database."""

from __future__ import annotations

import os

import pytest

from monitor.errors import StoreError
from monitor.store.store import Store
from tests.store.samples import line_of, opened, process

HOLDS = """
import sys
from tests.store.samples import opened
store = opened(sys.argv[1])
held = store.hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_monitor_on_one_database_is_refused(store: Store, url: str) -> None:
    """Two would not know of each other's fixes; once the first has ended the next may run."""
    first, other = store.hold(), opened(url)
    with pytest.raises(StoreError, match="another monitor runs on this database"):
        other.hold()
    with other.begin() as transaction:  # but commands may still write
        transaction.record("ana", "kind", {}, 1)
    first.close()
    other.hold().close()
    other.close()


def test_who_holds_it_can_be_asked(store: Store) -> None:
    assert store.holder() is None
    with store.hold():
        assert store.holder() == os.getpid()


def test_a_monitor_that_is_killed_holds_nothing(store: Store) -> None:
    with process(HOLDS, store.url) as child:
        assert line_of(child) == "held"
        assert store.holder() == child.pid
        child.kill()
        child.wait(60)
    store.hold().close()


def test_who_holds_it_writes_and_reads_as_before(store: Store) -> None:
    with store.begin() as transaction:
        transaction.record("ana", "kind", {}, 1)
    with store.hold():
        with store.begin() as transaction:
            assert transaction.record("ana", "kind", {}, 2) == 2
        with store.read() as transaction:
            assert transaction.vehicles() == []
