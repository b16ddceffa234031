"""What is old moves into files and is never in neither: whatever was stored comes back bit for bit, whoever is killed."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from monitor.errors import StoreError
from monitor.fixes import COLUMNS, Alarm, FixBatch, Fleet, Quality, VehicleId, concatenate, normalised
from monitor.settings import load_settings
from monitor.store import archive, archive_file, archive_folder, tracks
from monitor.store.journal import verify
from monitor.store.schema import fix, journal
from monitor.store.store import Store
from monitor.store.transaction import LATE, WAITING
from tests.store.samples import DAY, PATIENCE, TRUCK, VAN, drive, line_of, process

SOUTH = VehicleId("south", "truck-1")
FOREVER = 2**53
NOW = 5
FORM_1 = Path(__file__).with_name("archive_form_1.parquet")
STEPS = ("read", "written", "renamed", "verified", "deleted", "dropped")

DIES = """
import os, signal, sys
from pathlib import Path
from monitor.store import archive
from monitor.store.store import Store
from tests.store.samples import PATIENCE

url, folder, step, before = sys.argv[1:]

def reached(name: str) -> None:
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)

archive.archive_due(Store.open(url, PATIENCE), Path(folder), int(before), 5, reached=reached)
"""
HOLDS = """
import sys
from pathlib import Path
from monitor.store import archive_folder
with archive_folder.alone(Path(sys.argv[1])):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The archive's."""
    return tmp_path / "archive"


def bits(batch: FixBatch) -> dict[str, bytes]:
    """Every column as it lies in memory, every NaN the same."""
    out = {}
    for name in COLUMNS:
        column = getattr(batch, name)
        out[name] = (
            (np.where(np.isnan(column), np.nan, column) if column.dtype.kind == "f" else column).astype(column.dtype).tobytes()
        )
    return out


def add(store: Store, fleet: Fleet, batch: FixBatch, late: int = 0) -> None:
    with store.begin() as t:
        t.add_fixes(fleet, batch, np.full(len(batch), late, np.int8))


def all_of(store: Store, folder: Path | None, fleet: Fleet) -> FixBatch:
    """Every judged fix, wherever it is."""
    with store.read() as t:
        return concatenate([tracks.all_fixes_of(t, folder, fleet, code, None) for code in range(len(fleet.ids))])


def hot(store: Store) -> int:
    """How many rows the database holds."""
    with store.read() as t:
        return int(t.connection.execute(select(func.count()).select_from(fix)).scalar_one())


def files(store: Store) -> list[archive.Listed]:
    with store.read() as t:
        return archive.listed(t.connection)


def in_folder(folder: Path) -> list[str]:
    """Every file in the folder, finished or not, but the lock."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.name != ".lock")


def archived(store: Store, folder: Path, before: int = FOREVER, portion: int = archive.PORTION) -> list[archive.Moved]:
    """Move all that is old."""
    moved = []
    while portion_moved := archive.archive_due(store, folder, before, NOW, portion=portion):
        moved.append(portion_moved)
    return moved


def sample(fleet: Fleet) -> FixBatch:
    """Two vehicles, a hundred fixes each, of two days."""
    return concatenate([drive(fleet, vehicle, range(0, 100_000, 1000)) for vehicle in (TRUCK, VAN)])


# what comes back


DEGREES = st.one_of(
    st.just(np.nan),
    st.integers(-(10**6), 10**6).map(lambda whole: whole / 1e4),
    st.integers(-(18 * 10**8), 18 * 10**8).map(lambda whole: whole / 1e7),
    st.floats(-180, 180),
    st.sampled_from([180.0, -180.0, 0.0, 5e-324, 1e-7]),
)
NUMBER = st.one_of(st.just(np.nan), st.floats(-1e3, 1e3, width=32), st.sampled_from([0.0, -1.0, 99.99, 100.0, 3e38, np.inf]))
FIX = st.tuples(
    st.sampled_from([TRUCK, VAN, SOUTH, VehicleId("north", "~A:b.c-9_")]),
    st.one_of(st.integers(DAY, DAY + 3 * archive.DAY_MS), st.integers(-2_208_988_800_000, 7_258_118_399_999)),
    DEGREES,
    DEGREES.map(lambda degrees: degrees / 2),
    NUMBER,
    NUMBER,
    NUMBER,
    st.sampled_from([-1, 0, 1]),
    st.sampled_from([-1, 0, 1]),
    st.one_of(st.just(0), st.integers(0, 2**32 - 1), st.just(int(Alarm.PANIC | Alarm.DOOR))),
    st.sampled_from([0, int(Quality.COPIED), int(Quality.NO_LOCK)]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(FIX, min_size=1, max_size=30), late=st.lists(st.sampled_from([0, LATE]), min_size=30, max_size=30))
def test_what_is_archived_comes_back_bit_for_bit(
    rows: list[tuple[object, ...]], late: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place, fleet = tmp_path_factory.mktemp("one"), Fleet()
    store = Store.open(f"sqlite:///{place / 'monitor.db'}", PATIENCE)
    columns = list(zip(*rows, strict=True))
    vehicle = np.array([fleet.code(identity) for identity in columns[0]], np.int32)
    time = np.array(columns[1], np.int64).view("datetime64[ms]")
    lon, lat, speed, heading, accuracy = (np.array(column, np.float64) for column in columns[2:7])
    batch = normalised(
        fleet,
        vehicle,
        time,
        lon,
        lat,
        speed=speed,
        heading=heading,
        accuracy=accuracy,
        ignition=np.array(columns[7], np.int8),
        door=np.array(columns[8], np.int8),
        alarms=np.array(columns[9], np.uint32),
        quality=np.array(columns[10], np.uint8),
    )
    with store.begin() as t:
        t.add_fixes(fleet, batch, np.array(late[: len(batch)], np.int8))
    before = all_of(store, None, fleet)
    assert len(before) == len(batch)
    assert archived(store, place / "archive")
    assert hot(store) == 0
    assert bits(all_of(store, place / "archive", fleet)) == bits(before)
    store.close()


def test_what_is_odd_comes_back_bit_for_bit_from_every_database(store: Store, folder: Path) -> None:
    """A zero with a sign, which not every database keeps, what has no end of decimals, and what is beyond all bounds."""
    fleet = Fleet()
    code, time = np.full(4, fleet.code(TRUCK), np.int32), (DAY + np.arange(4)).view("datetime64[ms]")
    lon, lat = np.array([1 / 3, np.nan, -180.0, 1e-300]), np.array([-2 / 3, np.nan, 90.0, -1e-300])
    speed, heading = np.array([-0.0, np.nan, 99.99, 57 / 3.6]), np.array([-0.0, np.inf, 360.0, np.nan])
    accuracy, alarms = np.array([np.inf, np.nan, 1e-40, 1e6]), np.array([0, 2**32 - 1, 1, 0], np.uint32)
    add(store, fleet, normalised(fleet, code, time, lon, lat, speed=speed, heading=heading, accuracy=accuracy, alarms=alarms))
    before = bits(all_of(store, None, fleet))
    assert archived(store, folder)
    assert bits(all_of(store, folder, fleet)) == before


def test_a_digest_of_other_making_is_kept(store: Store, folder: Path) -> None:
    fleet = Fleet()
    batch = drive(fleet, TRUCK, range(5))
    batch.digest[2] += 1
    add(store, fleet, batch)
    archived(store, folder)
    assert bits(all_of(store, folder, fleet)) == bits(batch)


def test_positions_of_seven_decimals_are_whole_numbers_and_others_stay_what_they_are(tmp_path: Path) -> None:
    fleet = Fleet()
    code, time = np.full(3, fleet.code(TRUCK), np.int32), (DAY + np.arange(3)).view("datetime64[ms]")
    lon, lat = np.array([-79.6543211, 1 / 3, np.nan]), np.array([43.7012345, 2 / 3, np.nan])
    rows = archive_file.Rows((TRUCK.vehicle,), normalised(fleet, code, time, lon, lat), np.zeros(3, np.int8))
    file = tmp_path / "one.parquet"
    file.write_bytes(archive_file.encoded(TRUCK.carrier, "2026-09-21", rows))
    table = pq.read_table(file, partitioning=None)
    assert table["lon_e7"].to_pylist() == [-796543211, None, None]
    assert table["lon"].to_pylist() == [None, 1 / 3, None]
    assert "digest" not in table.column_names
    assert bits(archive_file.read_rows(file, TRUCK.carrier).fixes) == bits(rows.fixes)


def test_a_file_of_the_first_form_can_be_read_for_ever() -> None:
    """Written by the release that brought the archive: its hash, and so all that it says, must not change."""
    said = "fbb43a5d0d85dad33372cdf0f87e8ecfd7bec35eb8098c894cf532c7b3ff58a1"
    rows = archive_folder.verified(FORM_1, "north", 203, said)
    assert rows.names == ("truck-1", "van-2")


def test_the_lateness_of_a_fix_is_kept(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(3)))
    add(store, fleet, drive(fleet, TRUCK, range(3, 5)), LATE)
    [moved] = archived(store, folder)
    assert archive_file.read_rows(folder / moved.file, "north").late.tolist() == [0, 0, 0, LATE, LATE]


# what moves, and where to


def test_a_file_holds_one_carriers_day_and_says_where(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, concatenate([sample(fleet), drive(fleet, SOUTH, [0])]))
    moved = archived(store, folder)
    assert [(one.date, one.carrier, one.fixes) for one in moved] == [
        ("2026-09-21", "north", 72),
        ("2026-09-21", "south", 1),
        ("2026-09-22", "north", 128),
    ]
    for one, part in zip(moved, files(store), strict=True):
        assert (one.date, one.carrier, one.file, one.fixes, one.hash) == (
            part.date,
            part.carrier,
            part.file,
            part.fixes,
            part.hash,
        )
        assert part.file == f"fixes/date={part.date}/carrier={part.carrier}/part-{part.hash[:16]}.parquet"
    assert archive_folder.files(folder) == sorted(part.file for part in files(store))


def test_a_portion_takes_vehicles_until_it_is_large_enough(store: Store, folder: Path) -> None:
    fleet = Fleet()
    vehicles = [VehicleId("north", f"t{number}") for number in range(6)]
    batch = concatenate([drive(fleet, vehicle, range(10)) for vehicle in vehicles])
    add(store, fleet, batch)
    assert [one.fixes for one in archived(store, folder, portion=11)] == [20, 20, 20]
    assert bits(all_of(store, folder, fleet)) == bits(batch)


def test_what_may_still_be_rewound_to_and_what_is_young_stays() -> None:
    day = archive.DAY_MS
    kept = load_settings(None, ["store.keep.fixes=1d", "order.rewind_horizon=48h", "order.checkpoint=1h"])
    assert archive.moves_before(kept, 10 * day) == 7 * day
    assert archive.moves_before(load_settings(None, ["store.keep.fixes=5d"]), 10 * day + 1) == 5 * day
    assert archive.moves_before(load_settings(None, ["store.keep.fixes=none"]), 10 * day) is None
    assert archive.moves_before(load_settings(None, ["store.archive="]), 10 * day) is None


def test_only_days_before_the_limit_move(store: Store, folder: Path) -> None:
    fleet = Fleet()
    batch = sample(fleet)
    add(store, fleet, batch)
    limit = (DAY // archive.DAY_MS + 1) * archive.DAY_MS
    archived(store, folder, limit)
    assert hot(store) == int((batch.time.view(np.int64) >= limit).sum()) > 0
    assert bits(all_of(store, folder, fleet)) == bits(batch)


def test_a_fix_that_waits_to_be_judged_stays_until_it_is(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    add(store, fleet, drive(fleet, TRUCK, [20]), WAITING)
    [moved] = archived(store, folder)
    assert (moved.fixes, hot(store)) == (10, 1)
    with store.begin() as t:
        t.admit(TRUCK)
    [moved] = archived(store, folder)
    assert (moved.fixes, hot(store)) == (1, 0)
    assert bits(all_of(store, folder, fleet)) == bits(drive(fleet, TRUCK, [*range(10), 20]))


def test_a_late_fix_of_an_archived_day_becomes_a_file_of_its_own(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    [first] = archived(store, folder)
    add(store, fleet, drive(fleet, TRUCK, [3_000]), LATE)
    [second] = archived(store, folder)
    assert second.fixes == 1
    assert {part.file for part in files(store)} == {first.file, second.file}


def test_a_duplicate_of_an_archived_fix_is_given_once_and_not_archived_again(store: Store, folder: Path) -> None:
    fleet = Fleet()
    batch = drive(fleet, TRUCK, range(10))
    add(store, fleet, batch)
    archived(store, folder)
    add(store, fleet, batch.take(slice(3, 6)), LATE)
    assert hot(store) == 3
    assert bits(all_of(store, folder, fleet)) == bits(batch)
    [again] = archived(store, folder)
    assert (again.fixes, again.doubles, again.file) == (0, 3, "")
    assert (hot(store), len(files(store))) == (0, 1)
    assert bits(all_of(store, folder, fleet)) == bits(batch)


def test_duplicates_among_new_ones_are_left_out_of_the_file(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    archived(store, folder)
    add(store, fleet, drive(fleet, TRUCK, range(8, 13)), LATE)
    [again] = archived(store, folder)
    assert (again.fixes, again.doubles) == (3, 2)
    assert bits(all_of(store, folder, fleet)) == bits(drive(fleet, TRUCK, range(13)))


def test_the_journal_tells_what_moved_and_still_holds(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    [moved] = archived(store, folder)
    with store.read() as t:
        kind, body = t.connection.execute(select(journal.c.kind, journal.c.body)).one()
    assert kind == "archive"
    assert moved.hash in body
    assert moved.file in body
    assert verify(store) is None


# whoever is killed, and whatever is in the way


@pytest.mark.parametrize("step", STEPS)
def test_a_program_killed_at_any_step_loses_nothing_and_doubles_nothing(store: Store, url: str, folder: Path, step: str) -> None:
    fleet = Fleet()
    batch = drive(fleet, TRUCK, range(500))
    add(store, fleet, batch)
    with process(DIES, url, str(folder), step, str(FOREVER)) as child:
        assert child.wait(60) == -signal.SIGKILL
    assert hot(store) == (0 if step == "dropped" else 500)
    assert bits(all_of(store, folder, fleet)) == bits(batch)
    archived(store, folder)
    assert hot(store) == 0
    assert bits(all_of(store, folder, fleet)) == bits(batch)
    assert in_folder(folder) == [part.file for part in files(store)]
    assert verify(store) is None


@pytest.mark.parametrize("step", ["written", "verified"])
def test_what_an_interrupted_run_left_goes_once_the_listed_files_hold_all_of_it(
    store: Store, url: str, folder: Path, step: str
) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    with process(DIES, url, str(folder), step, str(FOREVER)) as child:
        child.wait(60)
    [left] = in_folder(folder)
    add(store, fleet, drive(fleet, TRUCK, [11]))
    [moved] = archived(store, folder)
    assert moved.file != left
    assert in_folder(folder) == [moved.file]


def test_a_file_that_nobody_lists_and_that_holds_what_nobody_else_does_is_let_be(store: Store, folder: Path) -> None:
    """As after an old copy of the database was put back."""
    fleet, other = Fleet(), archive_file.folder_of("2026-09-21", "north")
    rows = archive_file.Rows(("truck-1",), drive(fleet, TRUCK, range(20, 30)), np.zeros(10, np.int8))
    left = folder / other / "part-0123456789abcdef.parquet"
    archive_folder.write(left, archive_file.encoded("north", "2026-09-21", rows))
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    [moved] = archived(store, folder)
    assert (folder / moved.file).parent == left.parent
    assert left.exists()
    assert len(all_of(store, folder, fleet)) == 10


@pytest.mark.parametrize("step", ["read", "verified"])
def test_a_fix_that_comes_while_its_day_moves_moves_too(store: Store, folder: Path, step: str) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    come = [11]

    def reached(name: str) -> None:
        if name == step and come:
            add(store, fleet, drive(fleet, TRUCK, [come.pop()]), LATE)

    moved = archive.archive_due(store, folder, FOREVER, NOW, reached=reached)
    assert moved is not None
    assert (moved.fixes, hot(store)) == (11, 0)
    assert archive_folder.files(folder) == [moved.file]


def test_a_day_whose_fixes_keep_coming_is_left_for_the_next_run(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    seconds = iter(range(100, 200))

    def reached(name: str) -> None:
        if name == "verified":
            add(store, fleet, drive(fleet, TRUCK, [next(seconds)]), LATE)

    with pytest.raises(StoreError, match="fixes of north of 2026-09-21 keep coming"):
        archive.archive_due(store, folder, FOREVER, NOW, reached=reached)
    assert hot(store) == 10 + archive.TRIES
    assert len(all_of(store, folder, fleet)) == 10 + archive.TRIES


def full(name: str) -> None:
    """Let no file grow beyond a hundred bytes from here on."""
    if name == "read":
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def room() -> Iterator[None]:
    """Gives the limit back."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("room")
def test_a_disk_without_room_leaves_all_where_it_was_and_says_so(store: Store, folder: Path) -> None:
    fleet = Fleet()
    batch = drive(fleet, TRUCK, range(500))
    add(store, fleet, batch)
    with pytest.raises(StoreError, match="cannot be written: File too large; nothing left the database") as error:
        archive.archive_due(store, folder, FOREVER, NOW, reached=full)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    assert str(folder) in str(error.value)
    assert hot(store) == 500
    assert in_folder(folder) == []
    archived(store, folder)
    assert bits(all_of(store, folder, fleet)) == bits(batch)


def test_a_folder_that_is_none_is_one_line(store: Store, tmp_path: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(5)))
    (tmp_path / "archive").write_text("a file")
    with pytest.raises(StoreError, match=r"the folder of the archive cannot be used: .*; store.archive names it"):
        archive.archive_due(store, tmp_path / "archive", FOREVER, NOW)
    assert hot(store) == 5


def test_two_programs_do_not_move_into_one_folder_at_once(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(5)))
    with process(HOLDS, str(folder)) as child:
        assert line_of(child) == "holds"
        with pytest.raises(StoreError, match="another program moves fixes into this archive"):
            archive.archive_due(store, folder, FOREVER, NOW)
    assert [one.fixes for one in archived(store, folder)] == [5]


def lose_a_fix(file: Path) -> None:
    rows = archive_file.read_rows(file, "north").take(np.arange(10) > 0)
    file.write_bytes(archive_file.encoded("north", "2026-09-21", rows))


def move_a_fix(file: Path) -> None:
    rows = archive_file.read_rows(file, "north")
    rows.fixes.lat[4] += 1e-7
    file.write_bytes(archive_file.encoded("north", "2026-09-21", rows))


def turn_a_bit(file: Path) -> None:
    contents = bytearray(file.read_bytes())
    contents[len(contents) // 8] ^= 4
    file.write_bytes(contents)


@pytest.mark.parametrize("harm", [lose_a_fix, move_a_fix, turn_a_bit, Path.unlink, lambda file: file.write_bytes(b"PAR1")])
def test_a_file_that_was_harmed_is_named(store: Store, folder: Path, harm: Callable[[Path], object]) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    [moved] = archived(store, folder)
    harm(folder / moved.file)
    with pytest.raises(StoreError, match=moved.file):
        archive_folder.verified(folder / moved.file, "north", moved.fixes, moved.hash)


def test_a_file_that_does_not_say_what_went_in_lets_nothing_go(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))

    def reached(name: str) -> None:
        if name == "renamed":
            move_a_fix(folder / archive_folder.files(folder)[0])

    with pytest.raises(StoreError, match="does not hold what was archived: other fixes"):
        archive.archive_due(store, folder, FOREVER, NOW, reached=reached)
    assert hot(store) == 10
    assert files(store) == []


def test_another_carriers_file_is_refused(store: Store, folder: Path) -> None:
    fleet = Fleet()
    add(store, fleet, drive(fleet, TRUCK, range(10)))
    [moved] = archived(store, folder)
    with pytest.raises(StoreError, match="holds fixes of carrier 'north', and is listed as 'south'"):
        archive_file.read_rows(folder / moved.file, "south")


def test_steps_are_told_in_their_order(store: Store, folder: Path) -> None:
    fleet, told = Fleet(), list[str]()
    add(store, fleet, drive(fleet, TRUCK, range(3)))
    archive.archive_due(store, folder, FOREVER, NOW, reached=told.append)
    assert tuple(told) == STEPS
    assert [day.name for day in (folder / "fixes").iterdir()] == ["date=2026-09-21"]
