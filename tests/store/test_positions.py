"""Fixes come back exactly as they went in, each once; rejects and checkpoints are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from monitor.fixes import FixBatch, Fleet, Reject, VehicleId, concatenate, normalised
from monitor.store.schema import fix, reject
from monitor.store.store import Store
from tests.store.samples import DAY, TRUCK, VAN, all_late, assert_same, digests_of, drive, none_late

LIMITS = (-(2**62), 2**62)


def odd_fixes(fleet: Fleet) -> FixBatch:
    """Every kind of unknown, and numbers that only their own width can hold."""
    nan = np.nan
    code = np.array([fleet.code(TRUCK)] * 5, dtype=np.int32)
    return normalised(
        fleet,
        code,
        (DAY + np.array([0, 1, 2, 2, 3], dtype=np.int64)).view("datetime64[ms]"),
        np.array([-79.123456789012, nan, 0.0, 180.0, -1e-9]),
        np.array([43.987654321098, nan, 0.0, -90.0, 1e-9]),
        speed=np.array([0.1, nan, 5.0, 250.0, -3.0]),
        heading=np.array([359.99, nan, 0.0, 90.0, 1 / 3]),
        accuracy=np.array([3.3, nan, 1e6, 0.0, 250.0]),
        ignition=np.array([-1, 0, 1, 1, 0], dtype=np.int8),
        door=np.array([1, -1, -1, 0, 0], dtype=np.int8),
        alarms=np.array([0, 2**32 - 1, 1, 0, 129], dtype=np.uint32),
    )


def test_every_column_comes_back_exactly_with_the_same_digest(store: Store) -> None:
    fleet = Fleet()
    fixes = odd_fixes(fleet)
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
    with store.read() as transaction:
        back = transaction.fixes_of(fleet, fleet.code(TRUCK), None)
    assert_same(back, fixes)
    np.testing.assert_array_equal(digests_of(fleet, back), fixes.digest)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    speed=st.lists(st.floats(width=32, allow_infinity=False), min_size=1, max_size=8),
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
)
def test_any_float_comes_back(store: Store, speed: list[float], lon: float, lat: float) -> None:
    fleet, n = Fleet(), len(speed)
    time = (DAY + np.arange(n)).view("datetime64[ms]")
    code = np.full(n, fleet.code(TRUCK), dtype=np.int32)
    fixes = normalised(fleet, code, time, np.full(n, lon), np.full(n, lat), speed=np.array(speed))
    with store.begin() as transaction:
        transaction.connection.execute(fix.delete())
        transaction.add_fixes(fleet, fixes, none_late(fixes))
        assert_same(transaction.fixes_of(fleet, fleet.code(TRUCK), None), fixes)


def test_unknown_is_null_on_disk_and_never_zero(store: Store) -> None:
    fleet = Fleet()
    fixes = odd_fixes(fleet)
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
        query = select(fix.c.lon, fix.c.speed, fix.c.heading, fix.c.accuracy, fix.c.door).where(fix.c.time == DAY + 1)
        assert tuple(transaction.connection.execute(query).one()) == (None,) * 5


def test_a_second_delivery_of_the_same_fixes_adds_none(store: Store) -> None:
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, [0, 10, 20])
    with store.begin() as transaction:
        assert len(transaction.add_fixes(fleet, fixes, none_late(fixes))) == 3
    with store.begin() as transaction:
        assert len(transaction.add_fixes(fleet, fixes, all_late(fixes))) == 0
    with store.read() as transaction:
        assert len(transaction.fixes_of(fleet, fleet.code(TRUCK), None)) == 3


def test_the_fresh_fixes_come_back_in_their_order_without_the_duplicates(store: Store) -> None:
    fleet = Fleet()
    early, both = drive(fleet, TRUCK, [0, 20, 40]), drive(fleet, TRUCK, [0, 10, 20, 30, 40, 50])
    with store.begin() as transaction:
        transaction.add_fixes(fleet, early, none_late(early))
        late = both.time <= early.time[-1]
        fresh = transaction.add_fixes(fleet, both, late)
    assert_same(fresh, drive(fleet, TRUCK, [10, 30, 50]))
    with store.read() as transaction:
        flags = transaction.connection.execute(select(fix.c.late).order_by(fix.c.time)).scalars().all()
    assert flags == [0, 1, 0, 1, 0, 0]


def test_a_fix_that_is_not_late_is_never_taken_for_a_late_one_that_is_stored(store: Store) -> None:
    fleet = Fleet()
    van, truck = drive(fleet, VAN, [0, 10]), drive(fleet, TRUCK, [0])
    with store.begin() as transaction:
        transaction.add_fixes(fleet, truck, none_late(truck))
        both = concatenate([van, truck])
        fresh = transaction.add_fixes(fleet, both, np.array([False, False, True]))
    assert_same(fresh, van)


def test_another_position_at_the_same_instant_is_another_fix(store: Store) -> None:
    fleet = Fleet()
    one = drive(fleet, TRUCK, [0])
    other = normalised(fleet, one.vehicle, one.time, one.lon + 1, one.lat)
    with store.begin() as transaction:
        transaction.add_fixes(fleet, one, none_late(one))
        assert len(transaction.add_fixes(fleet, other, all_late(other))) == 1


def test_a_broken_promise_of_novelty_is_an_error_and_stores_nothing(store: Store) -> None:
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, [0, 10])
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes.take(slice(0, 1)), none_late(fixes)[:1])
    with pytest.raises(IntegrityError), store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
    with store.read() as transaction:
        assert len(transaction.fixes_between(fleet, *LIMITS)) == 1


def test_codes_of_another_process_find_the_same_vehicles(store: Store) -> None:
    fleet, other = Fleet(), Fleet()
    fixes = concatenate([drive(fleet, TRUCK, [0, 10]), drive(fleet, VAN, [5, 15])])
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
    other.code(VAN)
    with store.read() as transaction:
        assert transaction.vehicles() == [TRUCK, VAN]
        back = transaction.fixes_between(other, *LIMITS)
    assert_same(back, concatenate([drive(other, VAN, [5, 15]), drive(other, TRUCK, [0, 10])]))


def test_fixes_of_a_vehicle_lie_after_the_first_bound_and_up_to_the_second(store: Store) -> None:
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, [0, 10, 20, 30])
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, none_late(fixes))
        assert_same(transaction.fixes_of(fleet, 0, DAY, DAY + 20_000), drive(fleet, TRUCK, [10, 20]))
        assert_same(transaction.fixes_between(fleet, DAY, DAY + 20_000), drive(fleet, TRUCK, [0, 10]))
        assert len(transaction.fixes_of(fleet, fleet.code(VAN), None)) == 0


def test_nothing_in_nothing_out(store: Store) -> None:
    fleet = Fleet()
    nothing = drive(fleet, TRUCK, [])
    with store.begin() as transaction:
        assert len(transaction.add_fixes(fleet, nothing, none_late(nothing))) == 0
        transaction.add_rejects([], DAY)
        transaction.save_checkpoints([])
        assert transaction.apply_changes([], DAY) == []
        assert transaction.signals_from({TRUCK: DAY}) == []
        assert len(transaction.fixes_between(fleet, *LIMITS)) == 0
        assert transaction.vehicles() == []


def test_a_reject_keeps_the_raw_bytes_and_the_reason_whatever_the_text(store: Store) -> None:
    with store.begin() as transaction:
        transaction.add_rejects([Reject("north", "\udcff", "telematics/v1/\x00", "no time", b"\xff\x00{", "\x00")], DAY)
    with store.read() as transaction:
        row = transaction.connection.execute(select(reject)).one()
    told = ("telematics/v1/\\x00", "no time", b"\xff\x00{", "\\x00", None)
    assert tuple(row)[1:] == (DAY, "north", "\\udcff", *told)


def test_a_checkpoint_is_found_strictly_before_an_instant(store: Store) -> None:
    with store.begin() as transaction:
        transaction.save_checkpoints([(TRUCK, 10, b"a"), (TRUCK, 20, b"b"), (VAN, 15, b"c")])
        transaction.save_checkpoints([(TRUCK, 20, b"B")])
        assert transaction.checkpoint_before(TRUCK, None) == (20, b"B")
        assert transaction.checkpoint_before(TRUCK, 21) == (20, b"B")
        assert transaction.checkpoint_before(TRUCK, 20) == (10, b"a")
        assert transaction.checkpoint_before(TRUCK, 10) is None
        assert transaction.checkpoint_before(VehicleId("south", "truck-1"), None) is None
        assert transaction.newest_checkpoints() == {TRUCK: (20, b"B"), VAN: (15, b"c")}


def test_a_rewind_drops_the_checkpoints_that_did_not_know(store: Store) -> None:
    with store.begin() as transaction:
        transaction.save_checkpoints([(TRUCK, frontier, b"") for frontier in (10, 20, 30)] + [(VAN, 40, b"")])
        transaction.drop_checkpoints_after(TRUCK, 10)
        assert transaction.newest_checkpoints() == {TRUCK: (10, b""), VAN: (40, b"")}


def test_pruning_keeps_the_newest_checkpoint_at_or_before_the_horizon(store: Store) -> None:
    with store.begin() as transaction:
        transaction.save_checkpoints([(TRUCK, frontier, b"") for frontier in (10, 20, 30)])
        transaction.prune_checkpoints(TRUCK, 5)
        assert transaction.checkpoint_before(TRUCK, 11) == (10, b"")
        transaction.prune_checkpoints(TRUCK, 20)
        assert transaction.checkpoint_before(TRUCK, 20) is None
        assert transaction.checkpoint_before(TRUCK, 30) == (20, b"")
