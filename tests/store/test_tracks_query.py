"""One way to ask where vehicles were, over the database and the archive; and what is kept no longer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, insert, select

from monitor.errors import StoreError
from monitor.fixes import FixBatch, Fleet, Reject, VehicleId, concatenate, normalised
from monitor.settings import Settings, load_settings
from monitor.store import archive, archive_file, archive_folder, retention, tracks
from monitor.store.journal import verify
from monitor.store.schema import finding, journal, reject
from monitor.store.store import Store
from monitor.store.transaction import LATE, WAITING
from tests.store.samples import DAY, TRUCK, VAN, assert_same, drive
from tests.store.test_archive import FOREVER, add, all_of, archived, files

HOUR, MS = 3600, 1000
SOUTH = VehicleId("south", "truck-1")
NEXT_DAY = (DAY // archive.DAY_MS + 1) * archive.DAY_MS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The archive's."""
    return tmp_path / "archive"


@pytest.fixture
def fleet(store: Store, folder: Path) -> Fleet:
    """Three vehicles over two days: the first in the archive, the second in the database."""
    fleet = Fleet()
    add(store, fleet, whole(fleet))
    archived(store, folder, NEXT_DAY)
    return fleet


def whole(fleet: Fleet) -> FixBatch:
    return concatenate([drive(fleet, vehicle, range(0, 20 * HOUR, 600)) for vehicle in (TRUCK, VAN, SOUTH)])


def asked(store: Store, folder: Path | None, fleet: Fleet, vehicles: list[VehicleId], begin: int, end: int) -> FixBatch:
    with store.read() as t:
        return tracks.fixes(t, folder, fleet, vehicles, begin, end)


def test_a_track_goes_over_the_edge_of_the_archive(store: Store, folder: Path, fleet: Fleet) -> None:
    expected = drive(fleet, TRUCK, range(0, 20 * HOUR, 600))
    assert_same(asked(store, folder, fleet, [TRUCK], DAY, DAY + 20 * HOUR * MS), expected)


def test_the_first_bound_is_within_and_the_second_is_not(store: Store, folder: Path, fleet: Fleet) -> None:
    for begin in (0, 15 * HOUR):  # in the archive, and in the database
        found = asked(store, folder, fleet, [VAN], DAY + begin * MS, DAY + (begin + 1200) * MS)
        assert_same(found, drive(fleet, VAN, [begin, begin + 600]))


def test_several_vehicles_of_several_carriers_come_in_one_batch(store: Store, folder: Path, fleet: Fleet) -> None:
    assert_same(asked(store, folder, fleet, [SOUTH, TRUCK, VAN], DAY, DAY + 24 * HOUR * MS), whole(fleet))


def test_a_fleet_of_the_askers_own_learns_who_is_given(store: Store, folder: Path, fleet: Fleet) -> None:
    own = Fleet()
    found = asked(store, folder, own, [VAN], DAY, NEXT_DAY)
    assert own.ids == [VAN]
    assert_same(found, drive(own, VAN, range(0, 35_200, 600)))


def test_of_a_vehicle_that_nobody_heard_there_is_nothing(store: Store, folder: Path, fleet: Fleet) -> None:
    assert len(asked(store, folder, fleet, [VehicleId("north", "nobody")], *EVER_MS)) == 0


EVER_MS = (-(2**53), 2**53)


def test_what_waits_to_be_judged_is_in_a_track_and_not_among_what_is_judged(store: Store, folder: Path, fleet: Fleet) -> None:
    add(store, fleet, drive(fleet, TRUCK, [7]), WAITING)
    assert len(asked(store, folder, fleet, [TRUCK], DAY, DAY + 60_000)) == 2
    with store.read() as t:
        assert len(tracks.all_fixes_of(t, folder, fleet, fleet.code(TRUCK), None, DAY + 60_000)) == 1


def test_the_fixes_of_a_vehicle_lie_after_the_first_bound_and_up_to_the_second(store: Store, folder: Path, fleet: Fleet) -> None:
    with store.read() as t:
        found = tracks.all_fixes_of(t, folder, fleet, fleet.code(TRUCK), DAY, DAY + 1_200_000)
    assert_same(found, drive(fleet, TRUCK, [600, 1200]))


def test_of_two_fixes_closer_than_a_digest_tells_the_first_is_given(store: Store, folder: Path, fleet: Fleet) -> None:
    again = drive(fleet, TRUCK, [0])
    again.lat[0] += 1e-9
    add(store, fleet, again, LATE)
    assert_same(asked(store, folder, fleet, [TRUCK], DAY, DAY + 1), drive(fleet, TRUCK, [0]))
    with store.read() as t:
        assert_same(tracks.all_fixes_of(t, folder, fleet, fleet.code(TRUCK), None, DAY), drive(fleet, TRUCK, [0]))


def test_where_nothing_archived_overlaps_no_file_is_asked(store: Store, fleet: Fleet) -> None:
    assert len(asked(store, None, fleet, [TRUCK], NEXT_DAY, NEXT_DAY + archive.DAY_MS)) == 61


def test_an_archive_that_is_configured_no_more_is_missed(store: Store, fleet: Fleet) -> None:
    with pytest.raises(StoreError, match=r"store.archive = '': allowed is the folder of the archive, which holds fixes/date="):
        asked(store, None, fleet, [TRUCK], DAY, NEXT_DAY)


def test_a_missing_file_is_said_and_not_taken_for_an_empty_one(store: Store, folder: Path, fleet: Fleet) -> None:
    gone = folder / files(store)[0].file
    gone.unlink()
    with pytest.raises(StoreError, match="is listed as part of the archive and missing"):
        asked(store, folder, fleet, [TRUCK], DAY, NEXT_DAY)


def test_of_a_file_only_the_part_that_holds_the_vehicle_is_read(tmp_path: Path) -> None:
    """Whatever became of the rest."""
    fleet, names = Fleet(), tuple(f"t{number:02d}" for number in range(30))
    batch = concatenate([drive(fleet, VehicleId("north", name), range(0, 72_000, 30)) for name in names])
    rows = archive_file.Rows(names, batch, np.zeros(len(batch), np.int8))
    contents = bytearray(archive_file.encoded("north", "2026-09-21", rows))
    file = tmp_path / "one.parquet"
    contents[1000] ^= 255  # in the first row group
    file.write_bytes(contents)
    with pytest.raises(StoreError, match="not readable"):
        archive_file.read_rows(file, "north")
    found = archive_file.read_rows(file, "north", ["t29"])
    assert found.names == ("t29",)
    assert len(found) == 2400


def test_the_newest_position_is_found_in_the_archive_too(store: Store, folder: Path) -> None:
    fleet = Fleet()
    code = fleet.code(TRUCK)
    time = (DAY + np.arange(3) * 20 * HOUR * MS).view("datetime64[ms]")
    lon, lat = np.array([-79.5, -79.6, np.nan]), np.array([43.5, 43.6, np.nan])
    add(store, fleet, normalised(fleet, np.full(3, code, np.int32), time, lon, lat))
    archived(store, folder)
    with store.read() as t:
        assert t.newest_position(TRUCK) is None
        assert tracks.newest_position(t, folder, TRUCK) == (-79.6, 43.6)
        assert tracks.newest_position(t, folder, VAN) is None
    add(store, fleet, drive(fleet, TRUCK, [100]))
    with store.read() as t:
        assert tracks.newest_position(t, folder, TRUCK) == (-79.5, 43.01)


def test_the_newest_position_is_not_that_of_the_file_asked_last(store: Store, folder: Path) -> None:
    """The file that ends last holds its newest position, and another that ends after that position an older one."""
    fleet = Fleet()
    for truck, van in ((500, 1000), (100, 600)):
        add(store, fleet, concatenate([drive(fleet, TRUCK, [truck]), drive(fleet, VAN, [van])]), LATE)
        archived(store, folder)
    with store.read() as t:
        assert tracks.newest_position(t, folder, TRUCK) == (-79.5, 43.05)


# what is kept no longer


def kept(folder: Path, *assignments: str) -> Settings:
    return load_settings(None, [f"store.archive={folder}", *assignments])


def expired(store: Store, settings: Settings, now: int) -> list[retention.Expired]:
    out = []
    while portion := retention.expire_due(store, settings, now):
        out.append(portion)
    return out


def count(store: Store, table: object) -> int:
    with store.read() as t:
        return int(t.connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_rejects_go_in_portions_once_they_are_old(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 4)
    for day in range(20):
        with store.begin() as t:
            t.add_rejects([Reject("north", "truck-1", "topic", "why", b"{}")], day * archive.DAY_MS)
    gone = expired(store, kept(folder, "store.keep.rejects=10d"), 20 * archive.DAY_MS)
    assert [(one.kind, one.rows) for one in gone] == [("rejects", 4), ("rejects", 4), ("rejects", 2)]
    assert gone[-1].until == 9 * archive.DAY_MS
    assert count(store, reject) == 10
    assert verify(store) is None


def test_findings_that_are_closed_go_and_open_ones_stay(store: Store, folder: Path) -> None:
    said = {"kind": "gap", "carrier": "north", "detail": "", "first": 0, "last": 0}
    with store.begin() as t:
        for subject, closed in (("a", None), ("b", 1), ("c", 300 * archive.DAY_MS)):
            t.connection.execute(insert(finding).values(subject=subject, closed=closed, **said))
    [gone] = expired(store, kept(folder, "store.keep.findings=100d"), 310 * archive.DAY_MS)
    assert (gone.kind, gone.rows) == ("findings", 1)
    assert count(store, finding) == 2


def test_files_of_the_archive_go_and_are_not_forgotten(store: Store, folder: Path, fleet: Fleet) -> None:
    archived(store, folder)
    settings = kept(folder, "store.keep.archive=30d")
    later = NEXT_DAY + 30 * archive.DAY_MS
    gone = expired(store, settings, later)
    assert [(one.kind, one.rows) for one in gone] == [("archive", 118), ("archive", 59)]
    assert [part.file == "" for part in files(store)] == [True, True, False, False]
    assert archive_folder.files(folder) == [part.file for part in files(store) if part.file]
    assert not (folder / "fixes" / "date=2026-09-21").exists()
    assert len(all_of(store, folder, fleet)) == 183
    with store.read() as t:
        assert tracks.complete_since(t, "north") == max(one.until for one in gone) + 1
        assert tracks.complete_since(t, "west") is None
        told = t.connection.execute(select(journal.c.body).where(journal.c.kind == "expired")).scalars().all()
    assert len(told) == 2
    assert gone[0].file in told[0]


def test_a_file_that_is_gone_already_is_noted(store: Store, folder: Path, fleet: Fleet) -> None:
    """As where the program ended between the two."""
    (folder / files(store)[0].file).unlink()
    assert len(expired(store, kept(folder, "store.keep.archive=30d"), FOREVER)) == 2
    assert len(asked(store, folder, fleet, [TRUCK], DAY, NEXT_DAY)) == 0


def test_by_default_the_archive_is_kept_for_ever(store: Store, folder: Path, fleet: Fleet) -> None:
    assert expired(store, kept(folder), FOREVER) == []
    assert len(archive_folder.files(folder)) == 2


def test_what_settings_keep_for_ever_is_kept(store: Store, folder: Path, fleet: Fleet) -> None:
    with store.begin() as t:
        t.add_rejects([Reject("north", "truck-1", "topic", "why", b"{}")], 0)
    assert expired(store, kept(folder, "store.keep.rejects=none"), FOREVER) == []
    assert count(store, reject) == 1
