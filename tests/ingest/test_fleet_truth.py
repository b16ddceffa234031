"""The truth of the simulated fleet: what its labels say is what the monitor's own core finds in what it published, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.errors import InputError
from monitor.ingest.fleet.halts import KINDS, Trouble
from monitor.ingest.fleet.measuring import REAL, Noise, Schedule, drift, normal, unit
from monitor.ingest.fleet.plan import Plan
from monitor.ingest.fleet.roads import read_features
from monitor.ingest.fleet.scoring import NEAR_MS, Row, read_episodes, score, table, truth_lines
from monitor.ingest.fleet.script import Script, read_rates
from monitor.ingest.fleet.travel import HOLE_MIN, SLOT_MS, Travel
from monitor.places import load_geofences
from monitor.replay import replay
from monitor.settings import load_settings
from monitor.signals import instant, log_lines, timestamp
from monitor.trips import load_trips
from monitor.world import World

GEOFENCES = Path(__file__).parent.parent.parent / "geofences"
START = instant("2026-03-02T11:00:00Z")
HOUR = 3_600_000
CARRIER = "default"
"""Whose recorded fixes are."""
FEATURES = [f | {"properties": {k: v for k, v in f["properties"].items() if k != "carrier"}} for f in read_features(GEOFENCES)]
COLUMNS = ("time", "lon", "lat", "speed_mps", "heading_deg", "accuracy_m", "ignition", "door", "alarms")


def plan_of(seed: int, vehicles: int, rates: dict[Trouble, float], **said: Any) -> Plan:
    """A fleet of devices as they are."""
    script = Script(rates, tunnels=1.0)
    return Plan(seed, START, FEATURES, vehicles=vehicles, carrier=CARRIER, script=script, noise=REAL, backlog=0, **said)


def cell(fix: dict[str, Any], name: str) -> str:
    """A value as a CSV file has it."""
    value = fix.get(name, "")
    return ";".join(value) if isinstance(value, list) else str(value)


def log_of(plan: Plan, end: int, folder: Path) -> Path:
    """What `monitor replay` says of all that a fleet measures, as a file."""
    lines = ["vehicle_id," + ",".join(COLUMNS)]
    for index, vehicle in enumerate(plan.vehicles):
        lines += [vehicle + "," + ",".join(cell(fix, name) for name in COLUMNS) for fix in plan.fixes(index, 0, end)]
    (folder / "fixes.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "places.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": FEATURES}), encoding="utf-8")
    trips = [json.dumps(trip) for trip in plan.trips(plan.first, end)]
    (folder / "trips.jsonl").write_text("\n".join(trips), encoding="utf-8")
    settings = load_settings(None)
    world = World(settings, load_geofences(folder, settings.timezone), load_trips(folder / "trips.jsonl"))
    found = replay([folder / "fixes.csv"], world, until=end)
    assert found.rejects == []
    (folder / "signals.jsonl").write_text("\n".join(log_lines(found.signals)), encoding="utf-8")
    return folder / "signals.jsonl"


def truth_of(plan: Plan, end: int, folder: Path) -> Path:
    """The truth file of a fleet."""
    file = folder / "truth.jsonl"
    file.write_text("\n".join(truth_lines(plan, end)), encoding="utf-8")
    return file


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "vehicles", "interval"), [(3, 50, None), (11, 50, None), (23, 40, 120_000)])
def test_every_label_is_found_and_nothing_else(seed: int, vehicles: int, interval: int | None, tmp_path: Path) -> None:
    """Also where a vehicle reports each two minutes alone."""
    plan, end = plan_of(seed, vehicles, dict.fromkeys(Trouble, 0.12), interval=interval), START + 24 * HOUR
    truth = read_episodes(truth_of(plan, end, tmp_path))
    rows = score(truth, read_episodes(log_of(plan, end, tmp_path)))
    assert {kind: (row.missed, row.extra) for kind, row in rows.items()} == {kind: ([], []) for kind in rows}
    causes = Counter(json.loads(label.line)["cause"] for label in truth if label.whole)
    assert set(causes) == {trouble.value for trouble in Trouble}, "each kind of trouble is tried"


@pytest.mark.slow
def test_a_fleet_without_anomalies_raises_nothing(tmp_path: Path) -> None:
    """For all the noise, drift, jitter and tunnels."""
    plan, end = plan_of(5, 40, {}), START + 24 * HOUR
    assert truth_lines(plan, end) == []
    assert log_of(plan, end, tmp_path).read_text() == ""
    fixes = [fix for index in range(40) for fix in plan.fixes(index, 0, end)]
    assert sum("lat" not in fix for fix in fixes) > 100, "there were tunnels"


def test_a_fleet_that_reports_each_second_is_asked_in_any_pieces(tmp_path: Path) -> None:
    plan = plan_of(4, 2, {Trouble.JAMMED: 1.0}, interval=1000)
    end = START + HOUR
    whole = plan.fixes(1, 0, end)
    cuts = range(START, end + 1, 617_003)
    pieces = [plan.fixes(1, a, b) for a, b in pairwise([*cuts, end])]
    assert [fix for piece in pieces for fix in piece] == whole
    assert len(whole) == pytest.approx(3600, abs=2)


def test_a_jittered_report_keeps_its_order_and_its_number() -> None:
    schedule = Schedule(1000, 500, 0.9, key=17)
    due = schedule.instants(np.arange(200))
    assert (np.diff(due) > 0).all()
    assert np.diff(due).std() > 50
    assert [schedule.number(int(when)) for when in due] == list(range(200))
    assert [schedule.next(int(when) - 1) for when in due] == due.tolist()
    assert schedule.between(int(due[3]), int(due[9])).tolist() == due[3:9].tolist()


def test_a_report_is_found_by_its_count_since_the_device_was_switched_on() -> None:
    plan = plan_of(9, 6, {Trouble.UNPLUGGED: 1.0})
    again = 0
    for index in range(6):
        fixes = plan.fixes(index, 0, START + 24 * HOUR)
        for fix in fixes[::37]:
            assert plan.instant(index, int(fix["boot"]), fix["seq"]) == instant(fix["time"])
        again += fixes[-1]["boot"] > "1"
        assert plan.boots(index, instant(fixes[-1]["time"])) == int(fixes[-1]["boot"])
    assert again


def test_noise_is_what_it_says() -> None:
    error = normal(5, np.arange(20_000))
    assert error.mean(axis=1) == pytest.approx([0, 0], abs=0.03)
    assert error.std(axis=1) == pytest.approx([1, 1], abs=0.03)
    wander = drift(5, np.arange(0, 20 * HOUR, 10_000), 4.0)
    assert 2.5 < np.abs(wander).max() <= 4.0
    assert np.abs(np.diff(wander)).max() < 0.3, "it is slow"
    assert not drift(5, np.arange(10), 0.0).any()
    drawn = unit(3, np.arange(20_000))
    assert (drawn.min() > 0, drawn.max() <= 1, drawn.mean()) == (True, True, pytest.approx(0.5, abs=0.01))


def test_speeds_are_told_in_whole_steps() -> None:
    plan = Plan(3, START, FEATURES, vehicles=2, noise=Noise(speed_step_mps=0.5), backlog=0)
    speeds = np.array([fix["speed_mps"] for fix in plan.fixes(1, 0, START + 3 * HOUR)])
    assert speeds.max() > 15
    assert (speeds % 0.5 == 0).all()


# -- rates --


def test_rates_come_from_a_file_and_then_from_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "anomalies.toml"
    file.write_text("panic = 0.5\nall = 0.25\ndetour = 0\n", encoding="utf-8")
    rates = read_rates(["jammed=1"], file)
    assert (rates[Trouble.PANIC], rates[Trouble.DETOUR], rates[Trouble.JAMMED], rates[Trouble.ASTRAY]) == (0.25, 0, 1, 0.25)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["flood=0.1"], "--anomaly flood=0.1: 'flood': allowed are belt_stop, "),
        (["panic=2"], "--anomaly panic=2: panic = '2': allowed is the chance on a run, a number from 0 to 1"),
        (["panic"], "panic = '': allowed is the chance"),
        (["panic=nan"], "panic = 'nan': allowed is the chance"),
    ],
)
def test_a_rate_that_is_none_says_what_is_allowed(texts: Sequence[str], why: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rates(texts)
    assert why in str(caught.value)


def test_every_trouble_has_its_signals() -> None:
    assert set(KINDS) == set(Trouble)


# -- scoring --


def line(kind: str, since: int, until: int | None, vehicle: str = "T-1", **said: object) -> str:
    """A label or a signal; minutes after the start."""
    times = {"since": timestamp(START + since * 60_000), "until": None if until is None else timestamp(START + until * 60_000)}
    return json.dumps({"kind": kind, "carrier": "acme", "vehicle": vehicle, **times, **said})


def scored(folder: Path, truth: Sequence[str], signals: Sequence[str]) -> dict[str, Row]:
    for name, lines in (("truth", truth), ("signals", signals)):
        (folder / name).write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return score(read_episodes(folder / "truth"), read_episodes(folder / "signals"))


def test_found_missed_extra(tmp_path: Path) -> None:
    truth = [line("door_open", 0, 10), line("door_open", 60, 70), line("long_dwell", 0, 90)]
    row = scored(tmp_path, truth, [line("door_open", 1, 9), line("door_open", 200, None), line("long_dwell", 1, None, "T-2")])
    assert (row["door_open"].found, row["door_open"].missed) == (1, [truth[1]])
    assert row["door_open"].extra == [line("door_open", 200, None)]
    assert (row["long_dwell"].found, len(row["long_dwell"].missed), len(row["long_dwell"].extra)) == (0, 1, 1)
    assert not row["door_open"].perfect
    assert [text.split() for text in table(row)][1] == ["door_open", "1", "1", "1", "0", "0"]


def test_two_signals_of_one_label_are_no_fault_and_two_labels_want_two_signals(tmp_path: Path) -> None:
    one = scored(tmp_path, [line("door_open", 0, 30)], [line("door_open", 1, 5), line("door_open", 20, 25)])["door_open"]
    assert (one.found, one.repeated, one.perfect) == (1, 1, True)
    two = scored(tmp_path, [line("door_open", 0, 5), line("door_open", 6, 9)], [line("door_open", 1, 5)])["door_open"]
    assert (two.found, len(two.missed)) == (1, 1)


def test_what_was_not_measured_whole_need_not_be_known(tmp_path: Path) -> None:
    row = scored(tmp_path, [line("door_open", 0, None, whole=False)], [])["door_open"]
    assert (row.open, row.perfect) == (1, True)


@pytest.mark.parametrize(("minutes", "extra"), [(5, 0), (6, 1)])
def test_a_signal_may_come_near_its_label(tmp_path: Path, minutes: int, extra: int) -> None:
    assert NEAR_MS == 5 * 60_000
    row = scored(tmp_path, [line("door_open", 0, 10)], [line("door_open", 10 + minutes, 40)])["door_open"]
    assert len(row.extra) == extra


def test_a_line_that_is_no_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "truth").write_text(line("door_open", 0, 1) + '\n{"kind": "door_open"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"truth:2: .* allowed is a JSON object with kind"):
        read_episodes(tmp_path / "truth")


def test_a_label_that_goes_on_has_no_end_yet() -> None:
    plan = plan_of(3, 4, {Trouble.DOOR_OPEN: 1.0})
    label = next(label for label in plan.truth(START, START + 24 * HOUR) if label.since > START)
    [said] = [json.loads(text) for text in truth_lines(plan, label.since + 1)][-1:]
    assert (said["since"], said["until"], said["whole"]) == (timestamp(label.since), None, False)


# -- holes --


def test_a_hole_lasts_some_minutes_and_is_the_same_whenever_asked() -> None:
    travel, minutes = Travel(holes_a_day=12.0), range(START, START + 48 * HOUR, 60_000)
    held = [travel.held(3, now) for now in minutes]
    ends = sorted({until for until, now in zip(held, minutes, strict=True) if until > now})
    assert 12 <= len(ends) <= 36, "half of the hours, about"
    for end in ends:
        inside = [now for until, now in zip(held, minutes, strict=True) if until == end]
        assert HOLE_MIN[0] - 1 <= len(inside) <= HOLE_MIN[1] + 1
        assert travel.held(3, end) == end
        assert len({now // SLOT_MS for now in inside}) == 1
    assert [travel.held(4, now) for now in minutes] != held
    assert [Travel().held(3, now) for now in minutes] == list(minutes)
