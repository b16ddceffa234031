"""The fixes on a server lie in partitions of event time, made when they are needed and dropped when they hold nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from monitor.fixes import FixBatch, Fleet, normalised
from monitor.store.partitions import EVER, FIRST, LAST, Part, span, standing
from monitor.store.schema import fix
from monitor.store.store import Store
from tests.postgres import Server
from tests.store.samples import PATIENCE, TRUCK, all_late, assert_same, none_late

DAY_MS = 86_400_000
OLD, FAR = Part(EVER[0], FIRST, "fix_old"), Part(LAST, EVER[1], "fix_far")


def ms(day: str) -> int:
    return int(np.datetime64(day, "ms").astype(np.int64))


def at(fleet: Fleet, *days: str) -> FixBatch:
    """A fix of one vehicle at each of these instants."""
    time = np.array(days, dtype="datetime64[ms]")
    n = len(time)
    return normalised(fleet, np.full(n, fleet.code(TRUCK), dtype=np.int32), time, np.full(n, -79.5), np.full(n, 43.5))


@pytest.fixture(params=["month", "day"])
def kept(postgres: Server, request: pytest.FixtureRequest) -> Iterator[tuple[Store, str]]:
    """A store on an empty database, and what one partition of its fixes holds."""
    url = postgres.empty()
    store = Store.open(url, PATIENCE, partition=request.param)
    yield store, request.param
    store.close()
    postgres.drop(url)


def names(store: Store) -> list[str]:
    with store.read() as transaction:
        return [part.name for part in standing(transaction.connection)]


def put(store: Store, fleet: Fleet, *days: str) -> None:
    fixes = at(fleet, *days)
    with store.begin() as transaction:
        assert len(transaction.add_fixes(fleet, fixes, none_late(fixes))) == len(days)


def remove(store: Store, before: str) -> None:
    with store.begin() as transaction:
        transaction.connection.execute(delete(fix).where(fix.c.time < ms(before)))


def test_a_partition_is_made_when_the_first_fix_of_its_time_comes(kept: tuple[Store, str]) -> None:
    store, partition = kept
    assert names(store) == ["fix_old", "fix_far"]
    put(store, Fleet(), "2026-10-31T23:59", "2026-11-01T00:00", "2026-11-22T14:00")
    made = {
        "month": ["fix_20261001_20261101", "fix_20261101_20261201"],
        "day": ["fix_20261031_20261101", "fix_20261101_20261102", "fix_20261122_20261123"],
    }[partition]
    assert names(store) == ["fix_old", *made, "fix_far"]
    put(store, Fleet(), "2026-11-22T15:00")
    assert names(store) == ["fix_old", *made, "fix_far"]


def test_any_time_has_a_place_and_comes_back(kept: tuple[Store, str]) -> None:
    """Also those that only a broken clock says, and these in one partition."""
    store, _ = kept
    fleet = Fleet()
    days = (
        "0001-01-01",
        "1969-12-31T23:59:59.999",
        "1970-01-01",
        "2014-12-31",
        "2015-01-01",
        "2199-12-31",
        "2200-01-01",
        "9999-12-31",
    )
    put(store, fleet, *days)
    with store.read() as transaction:
        assert_same(transaction.fixes_of(fleet, fleet.code(TRUCK), None), at(fleet, *days))
    assert len(names(store)) == 4


def test_far_back_a_day_is_kept_with_its_month(postgres: Server) -> None:
    """A device that sends a fix of every day there ever was makes no more partitions than there were months."""
    url = postgres.empty()
    store = Store.open(url, PATIENCE, partition="day")
    put(store, fleet := Fleet(), "2026-11-22")
    fixes = at(fleet, *np.arange("2025-01-01", "2026-11-21", dtype="M8[D]").astype(str).tolist())
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, all_late(fixes))
    assert len(names(store)) < 130
    store.close()
    postgres.drop(url)


def test_months_and_days_stand_side_by_side(postgres: Server) -> None:
    """The setting may change at any time."""
    url = postgres.empty()
    for partition, day in (("day", "2026-11-10"), ("month", "2026-11-12"), ("day", "2026-11-11"), ("month", "2026-11-01")):
        store = Store.open(url, PATIENCE, partition=partition)
        put(store, Fleet(), day)
        store.close()
    store = Store.open(url, PATIENCE)
    assert names(store)[1:-1] == ["fix_20261101_20261110", "fix_20261110_20261111", "fix_20261111_20261201"]
    store.close()
    postgres.drop(url)


def test_an_undone_delivery_leaves_no_partition_and_the_next_makes_it_again(kept: tuple[Store, str]) -> None:
    store, _ = kept
    fleet = Fleet()

    def fail() -> None:
        with store.begin() as transaction:
            fixes = at(fleet, "2026-11-22")
            transaction.add_fixes(fleet, fixes, none_late(fixes))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(store) == ["fix_old", "fix_far"]
    put(store, fleet, "2026-11-22")


def test_a_long_reading_does_not_hold_up_a_new_partition(kept: tuple[Store, str]) -> None:
    """A backup reads for hours."""
    store, _ = kept
    fleet = Fleet()
    put(store, fleet, "2026-10-01")
    with store.read() as reading:
        assert len(reading.fixes_between(fleet, *EVER)) == 1
        put(store, fleet, "2026-11-22")
        assert len(reading.fixes_between(fleet, *EVER)) == 1


def test_what_is_over_and_empty_is_dropped(kept: tuple[Store, str]) -> None:
    store, partition = kept
    put(store, fleet := Fleet(), "1999-01-01", "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-22")
    assert store.drop_empty_partitions(ms("2026-11-01")) == []
    remove(store, "2026-10-01")
    gone = {
        "month": ["fix_20260801_20260901", "fix_20260901_20261001"],
        "day": ["fix_20260831_20260901", "fix_20260930_20261001"],
    }[partition]
    assert store.drop_empty_partitions(ms("2026-09-30")) == gone[:1]
    assert store.drop_empty_partitions(ms("2026-11-01")) == gone[1:]
    assert names(store)[0] == "fix_old"
    put(store, fleet, "2026-09-30")


def test_a_partition_that_somebody_reads_is_dropped_another_time(kept: tuple[Store, str]) -> None:
    store, _ = kept
    put(store, fleet := Fleet(), "2026-08-31", "2026-11-22")
    remove(store, "2026-09-01")
    with store.read() as reading:
        reading.fixes_between(fleet, *EVER)
        assert store.drop_empty_partitions(ms("2026-11-01")) == []
    assert len(store.drop_empty_partitions(ms("2026-11-01"))) == 1


def test_a_partition_that_an_administrator_made_for_all_the_rest_is_made_use_of(kept: tuple[Store, str]) -> None:
    store, _ = kept
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE the_rest PARTITION OF fix DEFAULT")
    put(store, Fleet(), "2026-11-22")
    assert "the_rest" in names(store)
    assert len(names(store)) == 3


def test_a_file_has_no_partitions(in_file: Store) -> None:
    assert in_file.drop_empty_partitions(ms("2026-11-01")) == []


@given(st.lists(st.tuples(st.integers(FIRST, LAST - 1), st.sampled_from(["month", "day"])), min_size=1, max_size=30))
def test_partitions_never_overlap_and_each_holds_what_it_was_made_for(asked: Sequence[tuple[int, str]]) -> None:
    parts = [OLD, FAR]
    for time, kind in asked:
        if any(part.begin <= time < part.end for part in parts):
            continue
        made = span(time, kind, parts)
        assert made.begin <= time < made.end
        assert made.end - made.begin <= 31 * DAY_MS
        assert all(made.end <= part.begin or part.end <= made.begin for part in parts)
        parts = sorted([*parts, made])
    assert len({part.name for part in parts}) == len(parts)
