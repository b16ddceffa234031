"""The real tracks, which are not part of the repository: where they are, and what a test does without them."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.program import ROOT

FOLDER = Path(os.environ.get("MONITOR_DATA", ROOT.parent / "shared" / "data"))
needs_tracks = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the real tracks are not in {FOLDER} (MONITOR_DATA names another folder)"
)
TRACKS = {
    "austin": FOLDER / "capmetro_2016-05-30" / "fixes.csv",
    "limerick": FOLDER / "limerick_bus304" / "fixes.csv",
    "diary": FOLDER / "stopgo_diary" / "fixes.csv",
}
NUMBERS = {"lat": "lat", "lon": "lon", "speed_mps": "speed_mps", "heading_deg": "heading_deg"}
SHORT = ("detectors.unauthorized_stop.limit=3m", "order.settle=1s")
"""City buses seldom stand for half an hour; and nobody uploads after these tests have sent all."""


def vehicle_lines(file: Path) -> Iterator[tuple[str, str]]:
    """(vehicle, one JSON message) of every row of a file, in its order."""
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            fix = {name: float(row[column]) for name, column in NUMBERS.items() if row.get(column)}
            yield row["vehicle_id"], json.dumps({"time": row["time"], **fix})
