"""The figures: counted as deliveries are committed, read from the database when asked, with labels that nobody can multiply."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from monitor.findings import Finding
from monitor.fixes import FixBatch, Fleet, Reject, VehicleId, empty, normalised
from monitor.ingest.delivery import Message
from monitor.metrics import CARRIERS, CLASSES, OTHERS, Committed, Metrics, Present, bounded, reason_class
from monitor.store.figures import Figures

NOW = 1_772_452_800_000
NOTHING = Figures({}, {}, {}, {}, 0.0, 0.0, 0, 0, 0, 0, 0, 0)


def batch(fleet: Fleet, *ages_s: int) -> FixBatch:
    code, count = fleet.code(VehicleId("acme", "truck")), len(ages_s)
    times = np.array([NOW - age * 1000 for age in ages_s], np.int64).view("datetime64[ms]")
    return normalised(fleet, np.full(count, code, np.int32), times, np.full(count, -79.7), np.full(count, 43.6))


def committed(**said: object) -> Committed:
    return Committed([], [], [], empty(), 0, NOW, 0.01)._replace(**said)  # type: ignore[arg-type]


def told(metrics: Metrics) -> dict[str, float]:
    lines = metrics.exposition().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Present, lambda: NOTHING)


def test_a_delivery_is_counted(metrics: Metrics) -> None:
    message = Message("acme", "truck", "t", b"")
    reject = Reject("acme", "truck", "t", "not readable as gzip: x", b"")
    fixes = batch(Fleet(), 5, 90, 30)
    metrics.took(committed(messages=[message] * 4, rejects=[reject], findings=[Finding("x", "", "", "")], fixes=fixes, fresh=2))
    said = told(metrics)
    assert said["monitor_deliveries_total"] == 1
    assert said['monitor_messages_total{carrier="acme"}'] == 4
    assert (said["monitor_fixes_total"], said["monitor_duplicate_fixes_total"]) == (2, 1)
    assert said['monitor_rejects_total{reason="packing"}'] == 1
    assert said['monitor_findings_total{kind="x"}'] == 1
    assert (said['monitor_fix_age_seconds{which="oldest"}'], said['monitor_fix_age_seconds{which="newest"}']) == (90, 5)
    assert said["monitor_delivery_seconds_count"] == 1


def test_an_empty_delivery_counts_nothing(metrics: Metrics) -> None:
    metrics.took(committed())
    assert told(metrics)["monitor_deliveries_total"] == 0


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("topic of another carrier", "topic"),
        ("time is 400 s ahead of the clock; allowed are 5m", "time"),
        ("device 'X' is in nobody's register: monitor devices adopt acme X VEHICLE", "unknown_device"),
        ("identity: the payload says B", "identity"),
        ("20000 fixes in one message; allowed are 10000", "too_many"),
        ("not readable as gzip: more than 1 bytes", "packing"),
        ("the body is too large: allowed are 3 bytes", "too_large"),
        ("lat: expected a number", "payload"),
        ("whatever anybody sends", "payload"),
    ],
)
def test_a_reason_is_in_one_of_few_classes(reason: str, kind: str) -> None:
    assert reason_class(reason) == kind


def test_carriers_beyond_the_bound_are_one(metrics: Metrics) -> None:
    messages = [Message(f"c{number}", "v", "t", b"") for number in range(CARRIERS + 7)]
    metrics.took(committed(messages=messages))
    metrics.took(committed(messages=messages))
    said = {name: value for name, value in told(metrics).items() if name.startswith("monitor_messages_total")}
    assert len(said) == CARRIERS + 1
    assert said[f'monitor_messages_total{{carrier="{OTHERS}"}}'] == 14


def test_the_largest_carriers_are_named() -> None:
    said = bounded({f"c{number}": number for number in range(CARRIERS + 2)})
    assert len(said) == CARRIERS + 1
    assert said[OTHERS] == 1


def test_without_the_database_the_other_figures_are_told() -> None:
    said = told(
        Metrics(lambda: Present(waiting=3, connections={"listener": 2}, degraded=["long_dwell"], ready=False), lambda: None)
    )
    assert (said["monitor_inbox_waiting"], said["monitor_database_read"], said["monitor_ready"]) == (3, 0, 0)
    assert said['monitor_connections{door="listener"}'] == 2
    assert said['monitor_detectors_degraded{detector="long_dwell"}'] == 1
    assert not any("database_bytes" in name for name in said)


def test_every_figure_is_described() -> None:
    """In docs/operations.md, by its name."""
    described = Path(__file__).resolve().parents[1].joinpath("docs", "operations.md").read_text(encoding="utf-8")
    one = dict.fromkeys(["x"], 1)
    stored = Figures(one, one, one, one, 0.0, 0.0, 0, 0, 0, 0, 0, 0)
    metrics = Metrics(lambda: Present(connections=one, degraded=["x"]), lambda: stored)
    names = re.findall(r"^# TYPE (monitor_\w+) \w+$", metrics.exposition().decode(), re.MULTILINE)
    missing = [name for name in names if not name.endswith("_created") and f"`{name}" not in described]
    assert (missing, len(names) > 20) == ([], True)


def test_every_class_of_reasons_is_described() -> None:
    described = Path(__file__).resolve().parents[1].joinpath("docs", "operations.md").read_text(encoding="utf-8")
    assert [kind for _, kind in CLASSES if f"`{kind}`" not in described] == []
