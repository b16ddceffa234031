"""`monitor replay` on rows written by hand: a vehicle that stands, a vehicle that drives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import main

HEADER = "vehicle_id,time,lon,lat,speed_mps,heading_deg,accuracy_m"
Answer = tuple[int, list[dict[str, Any]], str]
Replay = Callable[..., Answer]


@pytest.fixture
def replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Replay:
    """Run `monitor replay` on rows of our columns; gives exit status, signals and what it said on the error stream."""

    def run(rows: list[str] | Path, *options: str | Path, header: str = HEADER) -> Answer:
        file = rows if isinstance(rows, Path) else tmp_path / "fixes.csv"
        if not isinstance(rows, Path):
            file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        status = main(["replay", str(file), *map(str, options)])
        said = capsys.readouterr()
        return status, [json.loads(line) for line in said.out.splitlines()], said.err

    return run


def parked(first: str, last: str, vehicle: str = "T-1", lon: float = -79.1234567, lat: float = 43.7654321) -> list[str]:
    """A row each minute from one clock to another, on one day, from one spot."""
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (first, last))
    return [f"{vehicle},2026-03-02T{m // 60:02}:{m % 60:02}:00Z,{lon},{lat},0,90,5" for m in range(begin, end + 1)]


def driving(first: str, last: str, vehicle: str = "T-1", lon: float = -79.1004, lat: float = 43.8004) -> list[str]:
    """A row each minute, a kilometre further east each time."""
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (first, last))
    return [
        f"{vehicle},2026-03-02T{m // 60:02}:{m % 60:02}:00Z,{lon + 0.0125 * (m - begin):.6f},{lat},16.7,90,5"
        for m in range(begin, end + 1)
    ]
