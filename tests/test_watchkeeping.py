"""The monitor's watch over itself: what is late is said, the database's absence and a step of the clock become findings."""

from __future__ import annotations

import pytest

from monitor.findings import CLOCK_STEPPED, STORE_FAULT, Finding
from monitor.watchkeeping import LEAST_FREE_BYTES, Surroundings, Watch

HOUR = 3_600_000
NOON = 1_772_452_800_000
WELL = Surroundings()


def test_what_does_its_work_is_well() -> None:
    assert Watch(0.0, NOON).ready(1.0, WELL).well


@pytest.mark.parametrize(
    ("tell", "word"),
    [
        (lambda watch: (watch.ticked(100.0), watch.reached(100.0, NOON)), "loop"),
        (lambda watch: (watch.turned(100.0), watch.reached(100.0, NOON)), "metronome"),
        (lambda watch: (watch.turned(100.0), watch.ticked(100.0)), "database"),
    ],
    ids=["loop", "metronome", "database"],
)
def test_each_part_that_is_late_is_named_alone(tell: object, word: str) -> None:
    watch = Watch(0.0, NOON)
    tell(watch)  # type: ignore[operator]
    [reason] = watch.ready(100.0, WELL).reasons
    assert word in reason


def test_a_loop_that_is_late_is_not_dead_yet() -> None:
    watch = Watch(0.0, NOON)
    assert watch.alive(100.0).well
    assert watch.alive(1000.0).reasons == ["loop: has not come round for 1000 s; allowed are 300 s"]


def test_a_loop_that_turns_is_alive_without_the_database() -> None:
    """Else a new start would be tried, which helps nothing."""
    watch = Watch(0.0, NOON)
    watch.missed(NOON, "the disk is full")
    watch.turned(1000.0)
    assert watch.alive(1000.0).well
    assert not watch.ready(1000.0, WELL).well


def test_the_database_out_of_reach_is_said_until_it_is_back_and_then_becomes_one_finding() -> None:
    watch = Watch(0.0, NOON)
    assert watch.missed(NOON, "locked")
    assert not watch.missed(NOON + 1000, "the disk is full")
    assert watch.ready(1.0, WELL).reasons == ["database: out of reach since 2026-03-02T12:00:00.000Z: the disk is full"]
    assert watch.findings() == []
    watch.reached(61.0, NOON + 61_000)
    watch.reached(62.0, NOON + 62_000)
    [found] = watch.findings()
    assert found[:3] == (STORE_FAULT, "", "database")
    assert "from 2026-03-02T12:00:00.000Z to 2026-03-02T12:01:01.000Z: the disk is full" in found.detail
    assert watch.findings() == []
    assert watch.missed(NOON + HOUR, "locked"), "the next time is news again"


@pytest.mark.parametrize(("step", "way"), [(-HOUR, "back by 3600 s"), (6 * HOUR, "forward by 21600 s")])
def test_a_step_of_the_clock_is_found_once(step: int, way: str) -> None:
    watch = Watch(0.0, NOON)
    assert watch.compared(1.0, NOON + 1000) == 0
    assert watch.compared(2.0, NOON + 2000 + step) == step
    assert watch.compared(3.0, NOON + 3000 + step) == 0
    [found] = watch.findings()
    assert found[:3] == (CLOCK_STEPPED, "", "clock")
    assert found.detail.startswith(way)


def test_a_clock_that_is_slewed_or_a_loop_that_was_busy_is_no_step() -> None:
    watch = Watch(0.0, NOON)
    assert watch.compared(600.0, NOON + 600_000 + 60_000) == 0
    assert watch.findings() == []


def test_a_fast_clock_is_measured_by_its_own_rate() -> None:
    watch = Watch(0.0, NOON, rate=10.0)
    assert watch.compared(600.0, NOON + 6_000_000) == 0
    assert watch.compared(601.0, NOON + 6_010_000 + HOUR) == HOUR


def test_what_could_not_be_written_down_is_kept_before_what_came_since() -> None:
    watch = Watch(0.0, NOON)
    first = [Finding("a", "", "", "")]
    watch.keep(first)
    watch.missed(NOON, "locked")
    watch.reached(1.0, NOON)
    taken = watch.findings()
    watch.keep(taken)
    assert [found.kind for found in watch.findings()] == ["a", STORE_FAULT]


def test_doors_disks_and_detectors_that_are_not_well_are_named() -> None:
    around = Surroundings(
        doors=["the MQTT listener stopped serving"],
        free={"database": LEAST_FREE_BYTES - 1, "archive": LEAST_FREE_BYTES, "notice log": None},
        faults={"long_dwell": "ValueError: x"},
        warnings=["contact x cannot be told"],
    )
    report = Watch(0.0, NOON).ready(1.0, around)
    assert report.reasons == [
        "door: the MQTT listener stopped serving",
        "disk: 511 MB are free for the database; needed are 512",
        "disk: how much is free for the notice log cannot be told",
        "long_dwell: ValueError: x",
    ]
    assert report.warnings == ["contact x cannot be told"]
