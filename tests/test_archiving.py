"""`monitor archive` and `monitor track`: what is old moves, is listed and verified; positions come from wherever they are kept."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from monitor.clock import CLOCK_FILE
from monitor.commands import archiving
from monitor.errors import InputError, StoreError
from monitor.fixes import FixBatch, Fleet, VehicleId, normalised
from monitor.ingest.files import read_fixes
from monitor.signals import timestamp
from monitor.store import archive
from monitor.store.store import Store
from tests.e2e.program import CONFIG
from tests.store.samples import DAY, PATIENCE, TRUCK, VAN, assert_same, drive
from tests.store.test_archive import add, files

NOW = DAY + 100 * archive.DAY_MS
LONER = VehicleId("default", "loner")


class Answer(NamedTuple):
    """What a command gave and said."""

    status: int
    out: list[str]
    err: list[str]


Monitor = Callable[..., Answer]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database of two vehicles that were heard a hundred days ago; its clock says so."""
    (tmp_path / CLOCK_FILE).write_text(json.dumps({"program": NOW, "started": 0}))
    store, fleet = Store.open(f"sqlite:///{tmp_path / 'monitor.db'}", PATIENCE), Fleet()
    for vehicle in (TRUCK, VAN, LONER):
        add(store, fleet, drive(fleet, vehicle, range(0, 60_000, 600)))
    yield store
    store.close()


@pytest.fixture
def monitor(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Monitor:
    """Run a command; gives its status and what it said."""

    def run(*words: object, **own: str) -> Answer:
        parser = argparse.ArgumentParser()
        archiving.register(parser.add_subparsers())
        said = {"store.url": f"sqlite:///{tmp_path / 'monitor.db'}", "store.archive": str(tmp_path / "archive")} | own
        assigned = [word for key, value in said.items() for word in ("--set", f"{key}={value}")]
        options = parser.parse_args([*map(str, words), "--config", str(CONFIG), *assigned])
        capsys.readouterr()
        status = options.run(options)
        out, err = capsys.readouterr()
        return Answer(status, out.splitlines(), err.splitlines())

    return run


def test_what_is_old_moves_and_is_listed_and_verified(monitor: Monitor, store: Store) -> None:
    moved = monitor("archive", "run")
    assert moved.status == 0
    assert [line.split("  ")[0] for line in moved.out] == [
        "2026-09-21 default: 59 fixes",
        "2026-09-21 north: 118 fixes",
        "2026-09-22 default: 41 fixes",
        "2026-09-22 north: 82 fixes",
    ]
    assert moved.err[-1].startswith("300 fixes from before ")
    listed = monitor("archive", "list")
    assert [line.split()[-1] for line in listed.out] == [part.file for part in files(store)]
    assert listed.err[-1].startswith("300 fixes in 4 files in ")
    assert monitor("archive", "verify") == Answer(0, [], ["4 of 4 files hold what was archived"])


def test_a_harmed_file_is_named_and_makes_the_status_1(monitor: Monitor, store: Store, tmp_path: Path) -> None:
    monitor("archive", "run")
    first, second, *_ = (part.file for part in files(store))
    (tmp_path / "archive" / first).write_bytes(b"PAR1")
    (tmp_path / "archive" / second).unlink()
    answer = monitor("archive", "verify")
    assert answer.status == 1
    assert first in answer.err[0]
    assert second in answer.err[1]
    assert answer.err[-1] == "2 of 4 files hold what was archived"
    assert "missing" in monitor("archive", "list").out[1]


def test_a_file_of_nobody_is_noted_and_no_fault(monitor: Monitor, store: Store, tmp_path: Path) -> None:
    monitor("archive", "run")
    listed = tmp_path / "archive" / files(store)[0].file
    stray = listed.with_name("part-0123456789abcdef.parquet")
    stray.write_bytes(listed.read_bytes())
    answer = monitor("archive", "verify")
    assert answer.status == 0
    assert str(stray) in answer.err[0]


def test_nothing_moves_where_the_settings_say_so(monitor: Monitor) -> None:
    answer = monitor("archive", "run", **{"store.keep.fixes": "none"})
    assert answer == Answer(0, [], ["monitor: note: store.keep.fixes = none: no fix moves"])
    with pytest.raises(InputError, match=r"store.archive = '': allowed is the folder of an archive"):
        monitor("archive", "run", **{"store.archive": ""})


def test_what_is_kept_no_longer_goes_with_the_same_command(monitor: Monitor, store: Store) -> None:
    answer = monitor("archive", "run", **{"store.keep.archive": "2388h"})
    assert [line.split(",")[0] for line in answer.out[4:]] == ["archive: 59 deleted", "archive: 118 deleted"]
    assert "deleted: it was kept for as long" in monitor("archive", "list").out[0]


def span(seconds: int) -> tuple[str, str, str, str]:
    return "--from", timestamp(DAY), "--until", timestamp(DAY + 1000 * seconds)


def test_a_track_is_the_same_before_and_after_its_days_moved(monitor: Monitor) -> None:
    before = monitor("track", "north/truck-1", *span(60_000))
    monitor("archive", "run")
    after = monitor("track", "north/truck-1", *span(60_000))
    assert before == after
    assert len(after.out) == 101
    assert after.out[0] == "vehicle_id,time,lon,lat,speed_mps,heading_deg,accuracy_m,ignition,door,alarms,quality"
    assert after.err[-1].startswith("north/truck-1: 100 positions from ")


@pytest.mark.parametrize("name", ["track.csv", "track.PARQUET"])
def test_a_track_written_to_a_file_is_read_back_as_it_was(monitor: Monitor, store: Store, tmp_path: Path, name: str) -> None:
    fleet = Fleet()
    add(store, fleet, odd(fleet))
    monitor("archive", "run")
    answer = monitor("track", "odd", *span(10), "--out", tmp_path / name)
    assert (answer.status, answer.out) == (0, [])
    again = Fleet()
    [found] = read_fixes(tmp_path / name, again).fixes
    assert_same(found, odd(again))


def odd(fleet: Fleet) -> FixBatch:
    """What is unknown, what has no end of decimals, and alarms."""
    code, time = np.full(3, fleet.code(VehicleId("default", "odd")), np.int32), (DAY + np.arange(3)).view("datetime64[ms]")
    return normalised(
        fleet,
        code,
        time,
        np.array([1 / 3, np.nan, -79.6543211]),
        np.array([2 / 3, np.nan, 43.7012345]),
        speed=np.array([57 / 3.6, np.nan, 0.0]),
        heading=np.array([np.nan, 0.1, 359.99]),
        accuracy=np.array([3.5, np.nan, 900.0]),
        ignition=np.array([1, -1, 0], np.int8),
        door=np.array([-1, 0, 1], np.int8),
        alarms=np.array([0, 3, 0], np.uint32),
    )


def test_a_vehicle_without_a_carrier_is_the_default_ones(monitor: Monitor) -> None:
    assert len(monitor("track", "loner", *span(60_000)).out) == 101


def test_a_vehicle_that_nobody_heard_is_said(monitor: Monitor) -> None:
    answer = monitor("track", "north/truck-l")
    assert answer.err[0] == "monitor: note: nothing was ever heard of north/truck-l; is it spelled like that?"
    assert len(answer.out) == 1


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--from", "yesterday"], "--from yesterday: allowed is an RFC 3339 time with a zone"),
        (["--from", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"], "allowed is a time before 2026-01-01T00:00:00"),
        (["--out", "track.txt"], "--out track.txt: allowed is a name that ends in .csv or .parquet"),
        (["--out", "/nowhere/track.csv"], "--out /nowhere/track.csv: cannot be written"),
        (["--out", "/nowhere/track.parquet"], "--out /nowhere/track.parquet: cannot be written"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(monitor: Monitor, words: list[str], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        monitor("track", "loner", *words)


def test_a_database_that_is_not_there_is_not_made(monitor: Monitor, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such database"):
        monitor("archive", "list", **{"store.url": f"sqlite:///{tmp_path / 'other.db'}"})
