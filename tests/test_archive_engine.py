"""What moved into the archive is known to whoever judges: a restart, a late fix and a duplicate change no more than they did before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete

from monitor.engine import Engine
from monitor.fixes import FixBatch, Fleet, concatenate, empty, normalised
from monitor.settings import load_settings
from monitor.store import archive, retention
from monitor.store.schema import checkpoint
from monitor.store.store import Store
from tests.build import world
from tests.handmade import at, degrees
from tests.store.samples import PATIENCE
from tests.test_engine import MINUTE, TRUCK

HOUR = 60 * MINUTE
Log = list[tuple[str, int, int | None, bool]]


class Monitor:
    """An engine on a database and an archive of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "archive"
        self.store = Store.open(f"sqlite:///{folder / 'monitor.db'}", PATIENCE)
        self.engine = self.started()

    def started(self) -> Engine:
        """The engine, as after a restart."""
        self.engine = Engine(self.store, world(), Fleet(), archive=self.folder)
        self.engine.resume()
        return self.engine

    def take(self, minutes: list[int], now: int | None = None) -> None:
        """Take the fixes of these minutes."""
        batch = fixes(self.engine.fleet, minutes)
        self.engine.take(batch, (), int(batch.time.view(np.int64).max()) + MINUTE if now is None else now)

    def move(self, before: int = 2**53) -> int:
        """Archive what is old; gives how many fixes moved."""
        moved = 0
        while portion := archive.archive_due(self.store, self.folder, before, 0):
            moved += portion.fixes
        return moved

    def log(self) -> Log:
        """The signals: kind, since, until, presumed."""
        with self.store.read() as t:
            return [(signal.kind, signal.since, signal.until, signal.presumed) for signal in t.signal_log()]


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    """The one whose fixes move."""
    made = Monitor(tmp_path / "one")
    yield made
    made.store.close()


@pytest.fixture
def undisturbed(tmp_path: Path) -> Iterator[Monitor]:
    """The one whose fixes stay."""
    made = Monitor(tmp_path / "other")
    yield made
    made.store.close()


def fixes(fleet: Fleet, minutes: list[int]) -> FixBatch:
    """A vehicle that drives, stands from the 60th to the 140th minute, and drives on: where it is in some minutes after 10:00."""
    code, minute = fleet.code(TRUCK), np.array(minutes)
    along = 1000.0 * (np.minimum(minute, 60) + np.maximum(minute - 140, 0))
    lon, lat = (np.array(column) for column in zip(*(degrees(metres, 0.0) for metres in along.tolist()), strict=True))
    time = (at("10:00") + minute * MINUTE).view("datetime64[ms]")
    speed = np.where((minute > 60) & (minute < 140), 0.0, 1000 / 60)
    return normalised(fleet, np.full(len(minute), code, np.int32), time, lon, lat, speed=speed)


@pytest.mark.parametrize("checkpointed", [True, False])
def test_a_restart_with_everything_in_the_archive_knows_all_it_knew(
    monitor: Monitor, undisturbed: Monitor, checkpointed: bool
) -> None:
    for one in (monitor, undisturbed):
        one.take(list(range(100)))
        if checkpointed:
            one.engine.checkpoint()
        else:
            with one.store.begin() as t:  # as where another release wrote them
                t.connection.execute(delete(checkpoint))
    assert monitor.move() == 100
    for one in (monitor, undisturbed):
        one.started()
        one.take(list(range(100, 200)))
    assert monitor.log() == undisturbed.log()
    assert [kind for kind, *_ in monitor.log()] == ["unauthorized_stop"]


def test_a_late_fix_rewinds_into_the_archive(monitor: Monitor, undisturbed: Monitor) -> None:
    """A vehicle that was silent for so long that its days moved, and uploads what it had kept: it had driven all the time."""
    minutes = [*range(60), *range(140, 200)]
    for one in (monitor, undisturbed):
        one.take(minutes)
    assert monitor.move() == 120
    for one in (monitor, undisturbed):
        assert [kind for kind, *_ in one.log()] == ["signal_lost"]
        one.take(list(range(60, 140)), at("13:20"))
    assert monitor.log() == undisturbed.log()
    assert [kind for kind, *_ in monitor.log()] == ["unauthorized_stop"]


def test_a_fix_too_late_to_rewind_to_is_judged_with_those_that_moved(monitor: Monitor, undisturbed: Monitor) -> None:
    minutes = [*range(60), *range(130, 200), *range(5000, 5100)]
    for one in (monitor, undisturbed):
        one.take(minutes)
    assert monitor.move() > 0
    for one in (monitor, undisturbed):
        one.take(list(range(60, 130)), at("10:00") + 5200 * MINUTE)
        assert one.engine.waiting() == [TRUCK]
        one.engine.adjudicate(TRUCK, at("10:00") + 5200 * MINUTE)
    assert monitor.log() == undisturbed.log()
    assert "unauthorized_stop" in [kind for kind, *_ in monitor.log()]
    assert monitor.move() == 70


def test_duplicates_of_archived_fixes_are_not_judged_twice(monitor: Monitor) -> None:
    monitor.take([*range(200), *range(5000, 5100)])
    before = monitor.log()
    monitor.move()
    late = at("10:00") + 5101 * MINUTE
    taken = monitor.engine.take(fixes(monitor.engine.fleet, list(range(50, 150))), (), late)
    assert list(taken.changes) == []
    taken = monitor.engine.adjudicate(TRUCK, late)
    assert list(taken.changes) == []
    assert monitor.log() == before
    assert monitor.move() == 0
    monitor.started()
    assert list(monitor.engine.take(empty(), (), late).changes) == []
    with monitor.store.read() as t:
        assert len(t.fixes_of(monitor.engine.fleet, 0, None)) == 0


def test_what_deleted_files_had_shown_stands(monitor: Monitor) -> None:
    """Their fixes are gone on purpose; a vehicle that is judged anew is judged by what is left."""
    minutes = list(range(200))
    over_midnight = 740  # it stands from 23:20 until 0:40
    monitor.engine.take(moved_by(fixes(monitor.engine.fleet, minutes), over_midnight), (), at("10:00") + 940 * MINUTE)
    far = moved_by(fixes(monitor.engine.fleet, list(range(200, 300))), 5000)
    monitor.engine.take(far, (), at("10:00") + 5300 * MINUTE)
    before = monitor.log()
    assert "unauthorized_stop" in [kind for kind, *_ in before]
    monitor.move()
    settings = load_settings(None, [f"store.archive={monitor.folder}", "store.keep.archive=1d"])
    assert retention.expire_due(monitor.store, settings, at("10:00") + 840 * MINUTE + 24 * HOUR) is not None
    with monitor.store.begin() as t:
        t.wait(TRUCK, "asked", 0)
    taken = monitor.engine.adjudicate(TRUCK, at("10:00") + 5300 * MINUTE)
    assert list(taken.changes) == []
    assert monitor.log() == before


def moved_by(batch: FixBatch, minutes: int) -> FixBatch:
    """The same drive, later."""
    fleet = Fleet()
    fleet.code(TRUCK)
    time = (batch.time.view(np.int64) + minutes * MINUTE).view("datetime64[ms]")
    return concatenate([normalised(fleet, batch.vehicle, time, batch.lon, batch.lat, speed=batch.speed.astype(np.float64))])
