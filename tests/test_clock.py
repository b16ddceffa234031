"""The clocks: the world's, and a demo's that goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.clock import CLOCK_FILE, FastClock, clock_beside, world_clock
from monitor.errors import ServiceError


def test_a_second_start_does_not_run_time_backwards(tmp_path: Path) -> None:
    """What is kept lies a little ahead, so that a killed program begins after its end."""
    file = tmp_path / CLOCK_FILE
    clock = FastClock.kept_in(file, 10.0)
    clock.keep(file)
    last = clock()
    again = FastClock.kept_in(file, 10.0)
    assert again() >= last
    assert again.started == clock.started


def test_it_runs_as_fast_as_it_says() -> None:
    """Ten milliseconds of the world are a hundred of its own."""
    clock = FastClock(program=1_000_000, real=world_clock() - 5000, rate=10.0, started=0)
    assert 1_050_000 <= clock() < 1_060_000


def test_a_database_lives_by_the_clock_beside_it(tmp_path: Path) -> None:
    """A demo's database has the demo's clock, any other the world's."""
    assert clock_beside(tmp_path / "monitor.db") is world_clock
    FastClock(10_000, world_clock(), 10.0, 10_000).keep(tmp_path / CLOCK_FILE)
    assert clock_beside(tmp_path / "monitor.db")() < 1_000_000


@pytest.mark.parametrize("content", ["", "{", "[]", '{"program": 1}', json.dumps({"program": "x", "started": 1})])
def test_a_clock_that_cannot_be_read_is_said_so(tmp_path: Path, content: str) -> None:
    """One line, with what to do."""
    file = tmp_path / CLOCK_FILE
    file.write_text(content)
    with pytest.raises(ServiceError, match=r"clock\.json: the demo's clock cannot be read .*; remove the folder to begin anew"):
        FastClock.kept_in(file, 1.0)
