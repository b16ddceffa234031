"""`monitor simulate`: what it may be told, what it leaves behind, and how it scores a signal log."""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.commands import simulating
from monitor.errors import InputError, ServiceError
from monitor.ingest.fleet.scoring import read_episodes
from monitor.trips import load_trips
from tests.ingest.conftest import Served, serve, served  # noqa: F401 - fixtures
from tests.ingest.wire import PASSWORD

GEOFENCES = Path(__file__).parent.parent / "geofences"
Simulated = Callable[..., int]


@pytest.fixture
def simulate() -> Iterator[Simulated]:
    """Run the command; gives its exit status. Signals are as they were afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    parser = argparse.ArgumentParser()
    simulating.register(parser.add_subparsers())

    def run(*words: str | Path) -> int:
        options = parser.parse_args(["simulate", *map(str, words), "--geofences", str(GEOFENCES)])
        return int(options.run(options))

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_fleet_leaves_its_plan_its_truth_and_its_outbox(
    simulate: Simulated,
    served: Served,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Started twice it is one fleet."""
    (tmp_path / "token").write_bytes(PASSWORD)
    trips, truth, outbox = tmp_path / "trips.jsonl", tmp_path / "truth.jsonl", tmp_path / "outbox.json"
    words = ["--port", str(served.listener.port), "--password-file", tmp_path / "token", "--vehicles", "4", "--interval", "5s"]
    words += ["--trips", trips, "--truth", truth, "--outbox", outbox, "--anomaly", "all=1", "--backlog", "5h", "--for", "1500ms"]
    assert simulate(*words) == 0
    assert "4 connections" in capsys.readouterr().err
    starts = [json.loads(line)["starts_at"] for line in trips.read_text().splitlines()]
    assert {trip.vehicle for trip in load_trips(trips).all} == {f"truck-00{n}" for n in range(1, 5)}
    labels = read_episodes(truth)
    assert {label.carrier for label in labels} == {"demo"}
    assert len(labels) > 3
    first = [(message.vehicle, message.payload[:60]) for message in served.loop.messages]
    assert simulate(*words) == 0
    again = [json.loads(line)["starts_at"] for line in trips.read_text().splitlines()]
    assert again[: len(starts)] == starts
    assert not set(first) & {(message.vehicle, message.payload[:60]) for message in served.loop.messages[len(first) :]}


def line(kind: str, vehicle: str) -> str:
    """A label, or a signal."""
    times = {"since": "2026-03-01T06:00:00.000Z", "until": "2026-03-01T07:00:00.000Z"}
    return json.dumps({"kind": kind, "carrier": "acme", "vehicle": vehicle} | times)


def test_a_log_is_scored_by_the_truth(simulate: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0 where it tells all of it and nothing else, else 1, and what is wrong is named."""
    truth, log = tmp_path / "truth", tmp_path / "log"
    truth.write_text(line("door_open", "T-1") + "\n" + line("long_dwell", "T-1") + "\n", encoding="utf-8")
    log.write_text(line("door_open", "T-1") + "\n" + line("long_dwell", "T-1") + "\n", encoding="utf-8")
    assert simulate("--score", log, "--truth", truth) == 0
    assert [row.split() for row in capsys.readouterr().out.splitlines()][1:] == [
        ["door_open", "1", "0", "0", "0", "0"],
        ["long_dwell", "1", "0", "0", "0", "0"],
    ]
    log.write_text(line("door_open", "T-2") + "\n", encoding="utf-8")
    assert simulate("--score", log, "--truth", truth) == 1
    said = capsys.readouterr().err.splitlines()
    assert [words.split(": ")[1] for words in said] == ["missed", "missed", "extra"]
    log.write_text("".join(line("door_open", f"T-{n}") + "\n" for n in range(2, 40)), encoding="utf-8")
    assert simulate("--score", log, "--truth", truth) == 1
    assert "monitor: extra: and 18 more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--vehicles", "0"], "--vehicles 0: allowed are 1 to 100,000"),
        (["--rate", "0"], "--rate 0: allowed is a number above 0 up to 1000"),
        (["--interval", "soon"], '--interval soon: allowed is a duration such as "90s", "5m", "2h", from 10ms'),
        (["--interval", "1ms"], "--interval 1ms: allowed is a duration"),
        (["--for", "ever"], "--for ever: allowed is a duration"),
        (["--holes", "25"], "--holes 25 --duplicates 0: allowed are 0 to 24, and 0 to 1"),
        (["--tunnels", "-1"], "--tunnels -1: allowed are 0 to 20"),
        (["--start", "today"], "today: allowed are"),
        (["--anchor", "1:2"], "1:2: allowed are PROGRAM:REAL:STARTED"),
        (["--anomaly", "rain=1"], "--anomaly rain=1: 'rain': allowed are belt_stop"),
        (["--anomalies", "nowhere.toml"], "nowhere.toml: not readable as TOML"),
        (["--password-file", "nowhere"], "nowhere: not readable"),
        (["--topic", "t/+/fix"], "--topic t/+/fix: allowed is a topic without + and #"),
        (["--gateway", "--outbox-by", "ack", "--ack-topic", "a"], "--ack-topic a: of a gateway it has to name the {vehicle}"),
        (["--tls", "--ca-file", "nowhere.pem"], "nowhere.pem: not usable for TLS"),
        (["--score", "log"], "--score log: --truth FILE has to say what is true"),
        (["--score", "log", "--truth", "nowhere"], "nowhere: not readable"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(simulate: Simulated, words: list[str], why: str) -> None:
    """Before anybody drives."""
    with pytest.raises(InputError) as caught:
        simulate(*words)
    assert str(caught.value).startswith(why)


def test_a_file_that_cannot_be_written_is_said(simulate: Simulated, tmp_path: Path) -> None:
    """In one line."""
    with pytest.raises(ServiceError, match="trips: cannot be written"):
        simulate("--vehicles", "1", "--trips", tmp_path / "nowhere" / "trips", "--for", "1ms")
