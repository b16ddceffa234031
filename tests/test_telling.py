"""The commands that tell people what was found and what can be: `monitor replay --explain` and `monitor coverage`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.coverage import NEEDS
from tests.replaying import driving, parked


def replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    rows = [*parked("10:00", "10:40"), *driving("10:41", "11:00")]
    file = tmp_path / "fixes.csv"
    file.write_text("vehicle_id,time,lon,lat,speed_mps,heading_deg,accuracy_m\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert main(["replay", str(file), *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_replay_explains_in_the_language_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = replayed(tmp_path, capsys, "--explain")
    assert told[:2] == ["T-1 of default", "  Mon 2 Mar 2026"]
    assert told[2].startswith(
        "    05:00 – 05:40 EST  WARNING        unscheduled stop, not yet explained: stood 40 min at 43.76543, -79.12346"
    )
    assert replayed(tmp_path, capsys, "--explain", "fr")[0] == "T-1 de default"


def test_the_log_is_the_same_with_explanations_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = replayed(tmp_path, capsys)
    out = tmp_path / "signals.jsonl"
    beside = replayed(tmp_path, capsys, "--explain", "--out", str(out))
    assert out.read_text(encoding="utf-8").splitlines() == alone
    assert not any(line.startswith("{") for line in beside)
    assert "explanation" not in json.loads(alone[0])


def test_the_command_says_it_in_words_and_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, trips = tmp_path / "fixes.csv", tmp_path / "trips.csv"
    rows = [f"T-1,2026-03-02T{hour}:00:00Z,{-76.5012 + 0.9 * (hour - 10):.4f},44.2512,20,90" for hour in range(10, 15)]
    file.write_text("\n".join(["vehicle_id,time,lon,lat,speed_mps,heading_deg", *rows]) + "\n", encoding="utf-8")
    trips.write_text("id,vehicle,starts_at,ends_at\nT-7,T-1,2026-03-02T10:00:00Z,2026-03-02T14:00:00Z\n", encoding="utf-8")
    assert main(["coverage", str(file), "--trips", str(trips)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "T-1 of default: 5 reports; one in 1 h under way; with speed"
    assert lines[1] == "  trip T-7, Mon 2 Mar 2026 05:00 to 09:00 EST: 25 % observed"
    assert "  no        unauthorized_stop     one report in 1 h: a stop shorter than about 2 h cannot be shown" in lines
    assert main(["coverage", str(file), "--trips", str(trips), "--json", "--language", "fr"]) == 0
    [found] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (found["vehicle"], found["moving_interval_s"], found["observed"][0]["share"]) == ("T-1", 3600.0, 0.25)
    assert {each["kind"] for each in found["detectors"]} == NEEDS.keys()
    assert main(["coverage", str(file), "--language", "fr"]) == 0
    assert capsys.readouterr().out.startswith("T-1 de default\u00a0: 5 rapports; un en 1\u202fh en route; avec vitesse\n")
