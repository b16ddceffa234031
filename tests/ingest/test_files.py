"""Files of fixes: our own columns in CSV and Parquet; a row that cannot be used is named with its line, and costs only itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from monitor.errors import InputError
from monitor.fixes import Alarm, FixBatch, Fleet, Quality, VehicleId, concatenate
from monitor.ingest.files import Part, Read, Terms, ignored_columns, read_fixes, read_parts

HEADER = "vehicle_id,time,lon,lat,speed_mps,heading_deg,accuracy_m,ignition,door,alarms\n"
ROW = "T-1,2026-03-01T06:00:00Z,-79.38123,43.65123,22.4,71,4,1,0,panic\n"


def written(folder: Path, text: str | bytes) -> Path:
    """A CSV file."""
    file = folder / "fixes.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def read(file: Path, chunk: int | None = None) -> tuple[Read, FixBatch]:
    """What a file holds, in its batches and as one."""
    found = read_fixes(file, Fleet(), chunk)
    return found, concatenate(found.fixes)


def rejects(folder: Path, *rows: str, header: str = "vehicle_id,time,lon,lat,speed_mps\n") -> list[str]:
    """Why some rows cannot be used, without the file's name; a good row is beside them."""
    good = "T-1,2026-03-01T06:00:00Z,-79.38123,43.65123,3\n"
    file = written(folder, header + good + "".join(row + "\n" for row in rows))
    found, fixes = read(file)
    assert len(fixes) == 1
    return [line.removeprefix(f"{file}:") for line in found.rejects]


def test_a_row_is_taken_whole(tmp_path: Path) -> None:
    """Every column has its place."""
    found, fixes = read(written(tmp_path, HEADER + ROW))
    assert found.rejects == []
    assert fixes.time.tolist() == [np.datetime64("2026-03-01T06:00:00", "ms").item()]
    assert (fixes.lon[0], fixes.lat[0], fixes.heading[0], fixes.accuracy[0]) == (-79.38123, 43.65123, 71, 4)
    assert fixes.speed[0] == np.float32(22.4)
    assert (fixes.ignition[0], fixes.door[0], fixes.alarms[0], fixes.quality[0]) == (1, 0, Alarm.PANIC, 0)


def test_missing_columns_and_empty_cells_are_unknown(tmp_path: Path) -> None:
    """Other columns are ignored, the order of columns is free."""
    file = written(tmp_path, "lat,lon,time,vehicle_id,speed_mps,fuel\n43.65123,-79.38123,2026-03-01T06:00:00Z,T-1,,80\n")
    found, fixes = read(file)
    assert found.rejects == []
    assert np.isnan([fixes.speed[0], fixes.heading[0], fixes.accuracy[0]]).all()
    assert (fixes.ignition[0], fixes.door[0], fixes.alarms[0]) == (-1, -1, 0)


def test_a_row_without_a_position_keeps_its_time(tmp_path: Path) -> None:
    """It is evidence that the device spoke."""
    _, fixes = read(written(tmp_path, "vehicle_id,time,lon,lat\nT-1,2026-03-01T06:00:00Z,,\n"))
    assert fixes.quality.tolist() == [Quality.NO_POSITION]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-01T06:00:00Z", "2026-03-01T06:00:00"),
        ("2026-03-01 06:00:00.250", "2026-03-01T06:00:00.250"),
        ("2026-03-01T01:00:00-05:00", "2026-03-01T06:00:00"),
        ("2026-03-01", "2026-03-01"),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, utc: str, tmp_path: Path) -> None:
    """ISO 8601, with or without a zone."""
    _, fixes = read(written(tmp_path, f"vehicle_id,time,lon,lat\nT-1,{text},-79.3,43.6\n"))
    assert fixes.time.tolist() == [np.datetime64(utc, "ms").item()]


@pytest.mark.parametrize(
    ("text", "ignition"), [("1", 1), ("true", 1), ("ON", 1), ("0.0", 0), ("False", 0), ("no", 0), ("", -1), ("perhaps", -1)]
)
def test_what_is_no_yes_and_no_no_is_unknown(text: str, ignition: int, tmp_path: Path) -> None:
    """Ignition and door as people write them."""
    _, fixes = read(written(tmp_path, f"vehicle_id,time,lon,lat,ignition\nT-1,2026-03-01T06:00:00Z,-79.3,43.6,{text}\n"))
    assert fixes.ignition.tolist() == [ignition]


def test_alarms_are_names_with_something_between(tmp_path: Path) -> None:
    """One that nobody knows is another."""
    _, fixes = read(written(tmp_path, "vehicle_id,time,lon,lat,alarms\nT-1,2026-03-01T06:00:00Z,-79.3,43.6,Panic; tow|x\n"))
    assert fixes.alarms.tolist() == [Alarm.PANIC | Alarm.TOW | Alarm.OTHER]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("T-1,yesterday,-79.3,43.6,", "3: time = 'yesterday': allowed is an ISO 8601 time"),
        ("T-1,,-79.3,43.6,", "3: time = '': allowed is an ISO 8601 time"),
        ("T-1,2026-02-30T06:00:00Z,-79.3,43.6,", "3: time = '2026-02-30T06:00:00Z': allowed is an ISO 8601 time"),
        (",2026-03-01T06:00:00Z,-79.3,43.6,", "3: vehicle_id = '': allowed is a vehicle's id"),
        ("T-1,2026-03-01T06:00:00Z,west,43.6,", "3: lon = 'west': allowed is a number"),
        ("T-1,2026-03-01T06:00:00Z,-79.3,inf,", "3: lat = 'inf': allowed is a number"),
        ("T-1,2026-03-01T06:00:00Z,-180.5,43.6,", "3: lon = '-180.5': allowed is -180 to 180"),
        ("T-1,2026-03-01T06:00:00Z,180.5,43.6,", "3: lon = '180.5': allowed is -180 to 180"),
        ("T-1,2026-03-01T06:00:00Z,-79.3,90.5,", "3: lat = '90.5': allowed is -90 to 90"),
        ("T-1,2026-03-01T06:00:00Z,-79.3,-90.5,", "3: lat = '-90.5': allowed is -90 to 90"),
        ("T-1,2026-03-01T06:00:00Z,-79.3,43.6,fast", "3: speed_mps = 'fast': allowed is a number"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_line(row: str, why: str, tmp_path: Path) -> None:
    """File, line, column, value, what is allowed; the header is line 1."""
    assert rejects(tmp_path, row) == [why]


def test_a_row_is_refused_once_and_every_bad_row_is_told(tmp_path: Path) -> None:
    """Its first fault is enough."""
    found = rejects(tmp_path, "T-1,yesterday,999,43.6,fast", "T-1,2026-03-01T06:00:01Z,999,43.6,", "T-1,tomorrow,-79,43.6,")
    assert sorted(found) == [
        "3: time = 'yesterday': allowed is an ISO 8601 time",
        "4: lon = '999': allowed is -180 to 180",
        "5: time = 'tomorrow': allowed is an ISO 8601 time",
    ]


def test_a_chunk_is_as_many_rows_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Vehicles are coded alike in all of them."""
    rows = [f"{name},2026-03-01T06:00:0{second}Z,-79.3,43.6\n" for second, name in enumerate("BABBA")]
    file, fleet = written(tmp_path, "vehicle_id,time,lon,lat\n" + "".join(rows)), Fleet()
    batches = read_fixes(file, fleet, 2).fixes
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [{fleet.ids[code].vehicle for code in batch.vehicle} for batch in batches] == [{"A", "B"}, {"B"}, {"A"}]


def test_the_carrier_is_said_by_whoever_reads_the_file(tmp_path: Path) -> None:
    """It is no column."""
    fleet = Fleet()
    read_fixes(written(tmp_path, HEADER + ROW), fleet, carrier="north")
    assert fleet.ids == [VehicleId("north", "T-1")]


def test_a_file_without_rows_is_no_fixes(tmp_path: Path) -> None:
    """A header alone."""
    found, _ = read(written(tmp_path, HEADER))
    assert (sum(map(len, found.fixes)), found.rejects) == (0, [])


def test_a_parquet_file_says_the_same_as_the_csv_file(tmp_path: Path) -> None:
    """To the digest; times, numbers and flags have types of their own there."""
    table: dict[str, list[Any]] = {
        "vehicle_id": ["T-1", "T-2"],
        "time": [pd.Timestamp("2026-03-01T06:00:00Z"), pd.Timestamp("2026-03-01T06:00:01Z")],
        "lon": [-79.38123, -79.4],
        "lat": [43.65123, 43.7],
        "speed_mps": [22.4, None],
        "heading_deg": [71.0, 0.0],
        "accuracy_m": [4.0, None],
        "ignition": [True, None],
        "door": [False, None],
        "alarms": ["panic", None],
    }
    pd.DataFrame(table).to_parquet(tmp_path / "fixes.parquet")
    _, one = read(tmp_path / "fixes.parquet")
    _, other = read(written(tmp_path, HEADER + ROW + "T-2,2026-03-01T06:00:01Z,-79.4,43.7,,0,,,,\n"))
    assert one.digest.tolist() == other.digest.tolist()


def test_a_comma_at_the_end_of_a_line_moves_nothing(tmp_path: Path) -> None:
    """Spreadsheets write one."""
    found, fixes = read(written(tmp_path, "vehicle_id,time,lon,lat\nT-1,2026-03-01T06:00:00Z,-79.3,43.6,\n"))
    assert (fixes.lon.tolist(), found.rejects) == ([-79.3], [])


def test_lines_that_windows_wrote_are_lines(tmp_path: Path) -> None:
    """A byte order mark and carriage returns."""
    found, fixes = read(written(tmp_path, b"\xef\xbb\xbf" + (HEADER + ROW).replace("\n", "\r\n").encode()))
    assert (len(fixes), found.rejects) == (1, [])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("vehicle_id,time,lon\nT-1,2026-03-01T06:00:00Z,-79.3\n", "lacks the column lat; allowed are vehicle_id, time, lon, lat, speed"),
        ("", "not readable: "),
        ("id;zeit\n1;2\n", "lacks the column vehicle_id, time, lon, lat"),
        (b"vehicle_id,time,lon,lat\nT-\xe9,2026-03-01T06:00:00Z,1,2\n", "not readable: "),
        ('vehicle_id,time,lon,lat\n"T-1,2026-03-01T06:00:00Z,1,2\n', "not readable: "),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_line(content: str | bytes, why: str, tmp_path: Path) -> None:
    """It names the file."""
    file = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_fixes(file, Fleet())
    assert str(caught.value).startswith(f"{file}: {why}")


@pytest.mark.parametrize("name", ["fixes.csv", "fixes.parquet"])
def test_a_file_that_is_not_there_is_one_line(name: str, tmp_path: Path) -> None:
    """It names the file."""
    with pytest.raises(InputError, match=f"{name}: there is no such file"):
        read_fixes(tmp_path / name, Fleet())


def test_what_is_no_parquet_is_one_line(tmp_path: Path) -> None:
    """Whatever its name says."""
    (tmp_path / "fixes.parquet").write_text(HEADER + ROW, encoding="utf-8")
    with pytest.raises(InputError, match=r"fixes\.parquet: not readable: "):
        read_fixes(tmp_path / "fixes.parquet", Fleet())


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-05:00"])
def test_a_time_that_no_calendar_can_show_is_refused(time: str, tmp_path: Path) -> None:
    """In Toronto the first instant of the year 1 lies in the year 0; and after 9999 comes nothing."""
    [why] = rejects(tmp_path, f"T-1,{time},-79.3,43.6,")
    assert why.startswith(f"3: time = '{time}': ")


def test_typed_columns_of_parquet_are_read_like_those_of_csv(tmp_path: Path) -> None:
    """Nulls are unknown in columns of any type; whole numbers stay whole as ids."""
    table = pd.DataFrame(
        {
            "vehicle_id": pd.array([7, 7, None], "Int64"),
            "time": pd.to_datetime(["2026-03-01T06:00:00Z", "2026-03-01T06:01:00Z", "2026-03-01T06:02:00Z"]),
            "lon": [-79.31, -79.31, -79.31],
            "lat": [43.61, 43.61, 43.61],
            "ignition": pd.array([True, None, None], "boolean"),
            "door": pd.array([0, None, 1], "Int8"),
        }
    )
    for name, changed in (("nullable.parquet", table), ("floats.parquet", table.astype({"vehicle_id": "float64"}))):
        changed.to_parquet(tmp_path / name)
        fleet = Fleet()
        read = read_fixes(tmp_path / name, fleet)
        assert [identity.vehicle for identity in fleet.ids] == ["7"]
        assert (read.fixes[0].ignition.tolist(), read.fixes[0].door.tolist()) == ([1, -1], [0, -1])
        assert len(read.rejects) == 1


# -- files of any size --

ANYTHING = Terms()


def parts(file: Path, rows: int, terms: Terms = ANYTHING, fleet: Fleet | None = None) -> list[Part]:
    """A file, some rows at a time."""
    return list(read_parts(file, fleet or Fleet(), "north", rows, terms))


def hundred(folder: Path) -> Path:
    """A hundred rows of three vehicles, a minute apart; one of them is wrong, one is there twice."""
    rows = [f"T-{n % 3},2026-03-01T0{n // 60}:{n % 60:02}:00Z,-79.38123,{43.65 + n / 1000:.5f},3" for n in range(100)]
    rows[40], rows[71] = "T-1,late,1,2,3", rows[70]
    return written(folder, "vehicle_id,time,lon,lat,speed_mps\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize("rows", [1, 7, 99, 100, 1000])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_read_in_parts_says_the_same_as_at_once(rows: int, kind: str, tmp_path: Path) -> None:
    """Also where it is wrong, with the same lines."""
    file, fleet = hundred(tmp_path), Fleet()
    whole = read_fixes(file, fleet, carrier="north")
    if kind == "parquet":
        table = pd.read_csv(file, dtype={"vehicle_id": str, "time": str})
        file = tmp_path / "fixes.parquet"
        table.to_parquet(file)
    found = parts(file, rows, fleet=fleet)
    together = concatenate([part.fixes for part in found])
    assert set(together.digest.tolist()) == set(whole.fixes[0].digest.tolist())
    assert [(fault.line, fault.row["time"]) for part in found for fault in part.faults] == [(42, "late")]
    assert sum(part.rows for part in found) == 99
    assert [part.line for part in found][-1] == 101
    assert [part.done for part in found] == sorted(part.done for part in found)
    assert found[-1].done == 1


def test_a_part_is_given_before_the_rest_is_read(tmp_path: Path) -> None:
    """The last bytes of this file are no text: the parts before them come nevertheless."""
    row = b"T-1,2026-03-01T06:00:00Z,-79.3,43.6\n"
    file = written(tmp_path, b"vehicle_id,time,lon,lat\n" + 200_000 * row + b"T-\xe9,2026-03-01T06:00:00Z,1,2\n")
    reading = read_parts(file, Fleet(), "north", 1000, Terms())
    first = next(reading)
    assert (first.rows, first.line) == (1000, 1001)
    assert first.done < 0.5
    with pytest.raises(InputError, match="not readable: "):
        list(reading)


def test_empty_lines_count_as_lines_and_are_no_rows(tmp_path: Path) -> None:
    """So that the line told is the line an editor shows."""
    text = "vehicle_id,time,lon,lat\n\nT-1,2026-03-01T06:00:00Z,-79.3,43.6\n\n\nT-1,late,-79.3,43.6\n\n"
    [part] = parts(written(tmp_path, text), 100)
    assert (part.rows, [fault.line for fault in part.faults]) == (1, [6])
    assert read(tmp_path / "fixes.csv")[0].rejects == [f"{tmp_path}/fixes.csv:6: time = 'late': allowed is an ISO 8601 time"]


def test_a_fault_keeps_what_the_row_says(tmp_path: Path) -> None:
    """As evidence, and to be put right."""
    [part] = parts(written(tmp_path, "vehicle_id,time,lon,lat,alarms,x\nT-1,2026-03-01T06:00:00Z,west,43.6,panic,7\n"), 100)
    [fault] = part.faults
    assert fault.row == {"vehicle_id": "T-1", "time": "2026-03-01T06:00:00Z", "lon": "west", "lat": "43.6", "alarms": "panic"}


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-01T06:00:00", "2026-03-01T11:00:00"),
        ("2026-07-01 06:00", "2026-07-01T10:00:00"),
        ("2026-03-01", "2026-03-01T05:00:00"),
        ("2026-03-01T06:00:00Z", "2026-03-01T06:00:00"),
        ("2026-03-01T06:00:00+01:00", "2026-03-01T05:00:00"),
        ("2026-03-01T06:00:00.250-0500", "2026-03-01T11:00:00.250"),
    ],
)
def test_a_time_without_a_zone_is_of_the_zone_that_is_named(text: str, utc: str, tmp_path: Path) -> None:
    """One that names its zone is of that."""
    file = written(tmp_path, f"vehicle_id,time,lon,lat\nT-1,{text},-79.3,43.6\n")
    [part] = parts(file, 10, Terms(timezone="America/Toronto"))
    assert part.fixes.time.tolist() == [np.datetime64(utc, "ms").item()]


@pytest.mark.parametrize("text", ["2026-11-01T01:30:00", "2026-03-08T02:30:00"])
def test_a_local_time_that_was_twice_or_never_is_refused(text: str, tmp_path: Path) -> None:
    """The clocks were changed then; nobody can say which it was."""
    [part] = parts(written(tmp_path, f"vehicle_id,time,lon,lat\nT-1,{text},-79.3,43.6\n"), 10, Terms(timezone="America/Toronto"))
    assert [fault.reason for fault in part.faults] == [f"time = '{text}': allowed is an ISO 8601 time"]


def test_the_terms_say_which_times_and_which_ids_are_taken(tmp_path: Path) -> None:
    """What cannot be a topic, and what lies in the future, is refused where fixes are taken in; a replay takes both."""
    rows = "T 1,2026-03-01T06:00:00Z,-79.3,43.6\nT-1,2026-03-01T06:00:01Z,-79.3,43.6\nT-1,2026-03-01T06:00:00Z,-79.3,43.6\n"
    file = written(tmp_path, "vehicle_id,time,lon,lat\n" + rows)
    latest = np.datetime64("2026-03-01T06:00:00", "ms").astype(int)
    [part] = parts(file, 10, Terms(latest=int(latest), named=True))
    assert part.rows == 1
    assert [(fault.line, fault.reason.split(":")[0]) for fault in part.faults] == [
        (2, "vehicle_id = 'T 1'"),
        (3, "time = '2026-03-01T06"),
    ]
    assert parts(file, 10)[0].faults == []


def test_columns_that_nobody_reads_are_told(tmp_path: Path) -> None:
    """A speed in another unit is no speed_mps."""
    assert ignored_columns(written(tmp_path, "vehicle_id,time,lon,lat,speed_kmh,fuel,\n")) == ["speed_kmh", "fuel"]
    assert ignored_columns(written(tmp_path, HEADER)) == []
    with pytest.raises(
        InputError, match=r"lacks the column time, lon, lat; allowed are .*; it has vehicle_id, timestamp, lng, latitude"
    ):
        ignored_columns(written(tmp_path, "vehicle_id,timestamp,lng,latitude\n"))
