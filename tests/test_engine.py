"""The engine: what a restart, a broken detector and a world that is made anew must not change."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.detectors import unauthorized_stop
from monitor.engine import Engine
from monitor.fixes import FixBatch, Fleet, VehicleId, empty, normalised
from monitor.pipeline import Rows
from monitor.places import Place
from monitor.store.store import Store
from monitor.world import World
from tests.build import square, world
from tests.handmade import at, degrees

TRUCK = VehicleId("north", "T-1")
MINUTE = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    store = Store.open(f"sqlite:///{tmp_path / 'engine.db'}", timedelta(seconds=30))
    yield store
    store.close()


def fixes(fleet: Fleet, first: str, minutes: int, metres_a_minute: float = 0.0, east: float = 0.0) -> FixBatch:
    """A fix a minute, standing or driving east."""
    code, count = fleet.code(TRUCK), np.arange(minutes)
    where = [degrees(east + metres_a_minute * minute, 0.0) for minute in count.tolist()]
    lon, lat = (np.array(column) for column in zip(*where, strict=True))
    time = (at(first) + count * MINUTE).view("datetime64[ms]")
    speed = np.full(minutes, metres_a_minute / 60.0)
    return normalised(fleet, np.full(minutes, code, np.int32), time, lon, lat, speed=speed)


def log(store: Store) -> list[tuple[str, int, int | None, bool]]:
    """The signals: kind, since, until, presumed."""
    with store.read() as t:
        return [(signal.kind, signal.since, signal.until, signal.presumed) for signal in t.signal_log()]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_late_fix_takes_back_what_had_fired_before_a_restart_too(store: Store, *, restarted: bool) -> None:
    """A presumed stop, a kill, and then the upload that shows the vehicle under way all the time."""
    engine = Engine(store, world(), Fleet())
    engine.take(fixes(engine.fleet, "10:00", 4), (), at("10:04"))
    engine.take(empty(), (), at("11:30"))
    assert [(kind, presumed) for kind, _, _, presumed in log(store)] == [("unauthorized_stop", True)]
    if restarted:
        engine = Engine(store, world(), Fleet())
        engine.resume()
    engine.take(fixes(engine.fleet, "10:04", 60, 1000.0, 1000.0), (), at("11:31"))
    assert log(store) == []
    engine.take(empty(), (), at("11:32"))
    assert [kind for kind, *_ in log(store)] == ["signal_lost"]  # since its last fix


def test_an_upload_in_parts_is_no_silence_between_them(store: Store) -> None:
    """Six hours of driving, uploaded in a minute, long after."""
    engine = Engine(store, world(), Fleet())
    for hour in range(6):
        taken = engine.take(fixes(engine.fleet, f"{10 + hour}:00", 60, 1000.0, 60_000.0 * hour), (), at("20:00") + 10_000 * hour)
        assert list(taken.changes) == []
    assert [change.signal.kind for change in engine.take(empty(), (), at("20:02")).changes] == ["signal_lost"]


def test_devices_have_the_settle_time_to_come_back_after_a_restart(store: Store) -> None:
    """A monitor that was away for an hour does not ring for everybody the moment it is back."""
    engine = Engine(store, world(), Fleet())
    engine.take(fixes(engine.fleet, "10:00", 20, 1000.0), (), at("10:20"))
    engine = Engine(store, world(), Fleet())
    engine.resume(now=at("11:20"))
    assert list(engine.take(empty(), (), at("11:20:29")).changes) == []
    engine.take(fixes(engine.fleet, "10:20", 60, 1000.0, 20_000.0), (), at("11:20:29"))
    assert log(store) == []


def test_what_is_open_ends_in_a_world_that_was_made_anew(store: Store) -> None:
    """The limit is the place's own, which no profile of the new world has met yet when the vehicle is far away."""
    limits = {"long_dwell": {"yard": timedelta(minutes=10)}}
    limited: list[Place] = [dataclasses.replace(square("y", "yard"), limits=limits)]
    engine = Engine(store, world(places=limited), Fleet())
    engine.take(fixes(engine.fleet, "10:00", 30), (), at("10:30"))
    engine.checkpoint()
    engine = Engine(store, world(places=limited), Fleet())
    engine.resume()
    engine.take(fixes(engine.fleet, "10:30", 8, 1500.0, 3000.0), (), at("10:38"))
    assert ("long_dwell", at("10:00"), at("10:30"), False) in log(store)


def test_a_broken_detector_neither_raises_again_nor_withdraws(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had said stands until it speaks again."""
    engine = Engine(store, world(), Fleet())
    engine.take(fixes(engine.fleet, "10:00", 40), (), at("10:40"))
    before = log(store)

    def broken(_scene: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(unauthorized_stop, "watch", broken)
        for clock in ("10:40", "10:41", "10:42"):
            taken = engine.take(fixes(engine.fleet, clock, 1), (), at(clock) + MINUTE)
            assert (list(taken.faults), taken.changes) == (["unauthorized_stop"], [])
    assert log(store) == before
    engine.take(fixes(engine.fleet, "10:43", 1), (), at("10:44"))
    assert log(store) == before


def test_rows_moved_to_a_world_of_another_order_hold_one_episode_a_place(store: Store) -> None:
    """Codes differ there; what is open is found again."""
    places = [square("a", "customer", max_dwell="10m"), square("b", "customer", max_dwell="10m")]
    engine = Engine(store, world(places=places), Fleet())
    engine.take(fixes(engine.fleet, "10:00", 30), (), at("10:30"))
    engine.checkpoint()
    turned: World = world(places=places[::-1])
    engine = Engine(store, turned, Fleet())
    engine.resume()
    rows: Rows = engine.memory.rows([0])
    assert (
        np.lexsort((rows.episodes["subject"], rows.episodes["row"], rows.episodes["kind"])) == np.arange(len(rows.episodes))
    ).all()
    engine.take(fixes(engine.fleet, "10:30", 8, 1500.0, 3000.0), (), at("10:38"))
    assert [kind for kind, *_ in log(store)] == ["long_dwell", "long_dwell"]
