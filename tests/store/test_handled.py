"""What is made of the fixes is the same on every kind of database: the log, incidents, notices, and what is read to make them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.alerts.handling import acknowledge, list_incidents, resolve, tick
from monitor.alerts.incident import Link
from monitor.engine import Engine
from monitor.fixes import Fleet, VehicleId, concatenate, empty, normalised
from monitor.replay import _in_time_order
from monitor.signals import log_lines
from monitor.store import alerts_store, notices_store, pairs_store, silence_store
from monitor.store.journal import verify
from monitor.store.pairs_store import Ended, Stretch
from monitor.store.store import Store
from tests.alerts.scenes import DESK, cleared, happens, hour, notice, raised, seen, withdrawn
from tests.alerts.test_silence import TRUCKS, lost
from tests.oracle_separation import convoy
from tests.store.samples import DAY, SIGNAL, TRUCK, VAN, drive, none_late
from tests.test_law import again
from tests.test_pairs import part
from tests.tracks import deliveries


def test_an_incident_is_handled_from_its_signal_to_its_end(store: Store) -> None:
    happens(store, [raised(seen("10:00")), raised(seen("10:10", kind="door_open"))], hour("10:40"))
    happens(store, [raised(seen("10:00", vehicle="truck-18"))], hour("10:40"))
    happens(store, [withdrawn(seen("10:10", kind="door_open"), 2, "late fixes")], hour("10:41"))
    with store.begin() as transaction:
        assert tick(transaction, hour("10:46"), DESK) == 2
    acknowledge(store, 1, "Ana", hour("10:47"))
    happens(store, [cleared(seen("10:00", "10:50"), 1)], hour("10:50"))
    resolve(store, 1, "Ana", "congestion", "slow at the gate", hour("10:51"))
    with store.read() as transaction:
        told = [moment.what for moment in alerts_store.timeline(transaction, 1)]
        [incident] = alerts_store.find_incidents(transaction, [1]).values()
    marks = ["incident.opened", "incident.acknowledged", "incident.resolved"]
    assert [what for what in told if what in marks] == marks
    assert {"notice.queued", "incident.joined"} < set(told)
    assert [(member.id, member.link, member.withdrawn) for member in incident.members] == [
        (1, Link.JOINED, None),
        (2, Link.JOINED, "late fixes"),
    ]
    assert [entry.incident.vehicle for entry in list_incidents(store)] == ["truck-18"]
    assert verify(store) is None


def test_a_notice_is_queued_once_and_leased_to_one(store: Store) -> None:
    with store.begin() as transaction:
        assert notices_store.add_notice(transaction, replace(notice(), incident=None), DAY)
        assert not notices_store.add_notice(transaction, replace(notice(), incident=None), DAY)
    with store.begin() as transaction:
        assert notices_store.is_due(transaction, ["log"], DAY)
        lease = notices_store.lease_next(transaction, ["log"], DAY, DAY + 60_000)
        assert lease is not None
        assert notices_store.lease_next(transaction, None, DAY, DAY) is None
    with store.begin() as transaction:
        assert notices_store.finish(transaction, lease, "sent", "250 ok", "sent", None)
        assert not notices_store.finish(transaction, lease, "sent", "250 ok", "sent", None)
    with store.read() as transaction:
        assert [(each.state, each.detail) for each in notices_store.recent_notices(transaction, 9)] == [("sent", "250 ok")]


def test_a_silent_carrier_is_one_incident(store: Store) -> None:
    fleet = Fleet()
    codes = np.array([fleet.code(VehicleId("northline", vehicle)) for vehicle in TRUCKS], np.int32)
    times = np.full(len(codes), hour("10:00")).astype("datetime64[ms]")
    fixes = normalised(fleet, codes, times, np.full(len(codes), -79.88), np.full(len(codes), 43.5))
    talking = normalised(fleet, codes[:1], times[:1] + 60_000, np.full(1, np.nan), np.full(1, np.nan))
    with store.begin() as transaction:
        transaction.add_fixes(fleet, both := concatenate([fixes, talking]), none_late(both))
    happens(store, [raised(lost(vehicle)) for vehicle in TRUCKS], hour("10:10"))
    with store.read() as transaction:
        assert silence_store.last_positions(transaction) == {"northline": hour("10:00")}
        assert [found.vehicle for found in silence_store.operational(transaction)] == [""]
        assert [found.id for found in silence_store.incidents_of_lost(transaction)] == [1]


def test_the_fixes_and_signals_of_pairs_are_those_asked_for(store: Store) -> None:
    fleet = Fleet()
    trucks, vans = drive(fleet, TRUCK, range(0, 60, 10)), drive(fleet, VAN, range(5, 65, 10))
    ended = replace(SIGNAL, until=DAY + 50, closed=True)
    with store.begin() as transaction:
        transaction.add_fixes(fleet, concatenate([trucks, vans]), none_late(concatenate([trucks, vans])))
        transaction.apply_changes([raised(SIGNAL), raised(ended), raised(replace(SIGNAL, trip="T-8"))], DAY)
    with store.read() as transaction:
        asked = [Stretch(VAN, DAY + 5_000, DAY + 20_000), Stretch(TRUCK, DAY, DAY + 20_000), Stretch(VehicleId("x", "y"), 0, DAY)]
        found = pairs_store.fixes_beyond(transaction, asked)
        assert found.vehicle.tolist() == [0, 0, 1, 1]
        assert ((found.time.view(np.int64) - DAY) // 1000).tolist() == [15, 25, 10, 20]
        assert pairs_store.latest_ends(transaction, SIGNAL.kind) == {(TRUCK, "T-7"): 2**62, (TRUCK, "T-8"): 2**62}
        beyond = pairs_store.signals_beyond(transaction, SIGNAL.kind, [Ended(TRUCK, "T-7", DAY + 49)])
        assert [stored.id for stored in beyond] == [1, 2]
        beyond = pairs_store.signals_beyond(transaction, SIGNAL.kind, [Ended(TRUCK, "T-7", DAY + 50)])
        assert [stored.id for stored in beyond] == [1]


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_gives_the_log_of_the_sorted_replay(store: Store, seed: int, schedule_seed: int) -> None:
    """Live, late, twice and over restarts, through engine and database; separations too."""
    example = convoy(seed, minutes=10)
    schedule = deliveries(schedule_seed, example.fixes)
    horizon = schedule[-1][1]
    restarts = set(np.random.default_rng(schedule_seed).integers(1, len(schedule), 2).tolist())
    tables = ("signal", "fix", "checkpoint", "waiting", "vehicle")
    with store.begin() as transaction:
        for table in tables:
            transaction.run(f"DELETE FROM {table}")
    fresh = Store(store.database, store._patience)  # it knows none of the vehicles that are gone
    engine = Engine(fresh, example.world, example.fleet)
    for number, (index, now) in enumerate(schedule):
        if number in restarts:
            engine = Engine(fresh, example.world, again(example.fleet, 1))
            engine.resume()
        engine.take(part(example.fixes, index) if len(index) else empty(), (), now)
    engine.take(empty(), (), horizon, horizon=horizon)
    with fresh.read() as transaction:
        found = transaction.signal_log()
    expected, _, _ = _in_time_order([example.fixes], example.fleet, example.world, horizon, None, lambda _done, _all: None)
    assert log_lines(found) == log_lines(expected)
