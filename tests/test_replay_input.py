"""What `monitor replay` reads: the columns of a file, what is wrong with a row, and files that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from monitor.cli import main
from tests.replaying import HEADER, Replay, parked, replay

__all__ = ["replay"]  # the fixture


def test_four_columns_are_enough(replay: Replay) -> None:
    rows = [",".join(row.split(",")[:4]) for row in parked("06:00", "06:40")]
    status, signals, _ = replay(rows, header="vehicle_id,time,lon,lat")
    assert (status, len(signals)) == (0, 1)


def test_other_columns_are_ignored_and_the_order_of_columns_does_not_matter(replay: Replay) -> None:
    rows = [
        f"x,{lat},{lon},{vehicle},7,{time}" for vehicle, time, lon, lat, *_ in (r.split(",") for r in parked("06:00", "06:40"))
    ]
    _, signals, _ = replay(rows, header="label,lat,lon,vehicle_id,trip_id,time")
    assert len(signals) == 1


def test_empty_cells_are_unknown_never_zero(replay: Replay) -> None:
    """An unknown speed is evidence of standing; an unknown position is none."""
    rows = [",".join([*row.split(",")[:4], "", "", ""]) for row in parked("06:00", "06:40")]
    rows.insert(20, "T-1,2026-03-02T06:19:30Z,,,,,")
    status, [signal], said = replay(rows)
    assert (status, signal["since"], "0 rows not taken" in said) == (0, "2026-03-02T06:00:00.000Z", True)


@pytest.mark.parametrize("column", ["vehicle_id", "time", "lon", "lat"])
def test_a_required_column_that_is_missing_is_named(replay: Replay, column: str) -> None:
    header = ",".join(name for name in HEADER.split(",") if name != column)
    status, _, said = replay([], header=header)
    assert (status, said.count("\n")) == (2, 1)
    assert f"lacks the column {column}; allowed are" in said


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("T-1,2026-03-02T25:00:00Z,-79,43.5,0,,", "time = '2026-03-02T25:00:00Z': allowed is an ISO 8601 time"),
        ("T-1,,-79,43.5,0,,", "time = '': allowed is an ISO 8601 time"),
        (",2026-03-02T06:00:30Z,-79,43.5,0,,", "vehicle_id = '': allowed is a vehicle's id"),
        ("T-1,2026-03-02T06:00:30Z,-181,43.5,0,,", "lon = '-181': allowed is -180 to 180"),
        ("T-1,2026-03-02T06:00:30Z,-79,90.01,0,,", "lat = '90.01': allowed is -90 to 90"),
        ("T-1,2026-03-02T06:00:30Z,west,43.5,0,,", "lon = 'west': allowed is a number"),
        ("T-1,2026-03-02T06:00:30Z,-79,43.5,fast,,", "speed_mps = 'fast': allowed is a number"),
        ("T-1,2026-03-02T06:00:30Z,inf,43.5,0,,", "lon = 'inf': allowed is a number"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_others_are_taken(replay: Replay, cells: str, why: str) -> None:
    rows = parked("06:00", "06:40")
    status, signals, said = replay([rows[0], cells, *rows[1:]])
    assert (status, len(signals)) == (0, 1)
    assert f"fixes.csv:3: {why}" in said
    assert "41 fixes, 1 rows not taken" in said


def test_every_bad_row_is_counted(replay: Replay) -> None:
    rows = ["T-1,never,-79,43.5,0,,"] * 1500
    assert "0 fixes, 1,500 rows not taken" in replay(rows)[2]


def test_times_come_in_any_iso_form(replay: Replay) -> None:
    """With and without fractions in one file, with other zones, without a zone meaning UTC."""
    rows = parked("06:00", "06:40")
    rows[0] = rows[0].replace("06:00:00Z", "06:00:00.123456Z")
    rows[10] = rows[10].replace("06:10:00Z", "01:10:00-05:00")
    rows[20] = rows[20].replace("06:20:00Z", "06:20:00")
    rows[30] = rows[30].replace("T06:30:00Z", " 06:30:00.5Z")
    _, [signal], said = replay(rows)
    assert (signal["since"], signal["at"]) == ("2026-03-02T06:00:00.123Z", "2026-03-02T06:30:00.123Z")
    assert "41 fixes, 0 rows not taken" in said


def test_parquet_may_have_types_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Times with or without a zone, missing numbers, truth values, numbers for names."""
    time = pd.date_range("2026-03-02T06:00Z", periods=41, freq="min")
    columns: dict[str, Any] = {
        "vehicle_id": 7,
        "time": time,
        "lon": -79.1234,
        "lat": 43.7654,
        "speed_mps": None,
        "ignition": False,
    }
    found = []
    for name, times in (("aware", time), ("naive", time.tz_localize(None))):
        file = tmp_path / f"{name}.parquet"
        pd.DataFrame({**columns, "time": times}).to_parquet(file)
        assert main(["replay", str(file)]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
    assert json.loads(found[0])["vehicle"] == "7"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.csv", None),
        ("empty.csv", b""),
        ("not_utf8.csv", HEADER.encode() + b"\nT-1,2026-03-02T06:00:00Z,\xff\xfe,1,,,\n"),
        ("not_parquet.parquet", b"PAR1 but no more"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(replay: Replay, tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    status, signals, said = replay(file)
    assert (status, signals, said.count("\n")) == (2, [], 1)
    assert str(file) in said


def test_a_folder_in_place_of_a_file_is_one_clear_line(replay: Replay, tmp_path: Path) -> None:
    status, _, said = replay(tmp_path)
    assert (status, said.count("\n")) == (2, 1)


def test_no_rows_give_no_signals(replay: Replay) -> None:
    status, signals, said = replay([])
    assert (status, signals, "0 fixes" in said) == (0, [], True)
