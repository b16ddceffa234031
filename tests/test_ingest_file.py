"""`monitor ingest-file`: recorded fixes come in by the same door as live ones, once, with a word on every row that does not."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.commands import ingesting
from monitor.configuration import load_configuration
from monitor.errors import InputError, ServiceError, StoreError
from monitor.fixes import Fleet, VehicleId, normalised
from monitor.ingest.backfill import Backfill, payloads
from monitor.ingest.decode import decode
from monitor.ingest.delivery import Message
from monitor.ingest.files import Terms, read_parts
from monitor.ingest.fleet.server import Server
from monitor.replay import replay
from monitor.settings import Ingest
from monitor.signals import instant, log_lines
from monitor.store.store import Store
from tests.ingest.conftest import served  # noqa: F401 - a fixture
from tests.ingest.forgetful import Forgetful
from tests.ingest.wire import PASSWORD

ROOT = Path(__file__).parent.parent
HEADER = "vehicle_id,time,lon,lat,speed_mps,heading_deg\n"
NOW = instant("2026-03-03T00:00:00Z")
Ingested = Callable[..., int]


def track(vehicle: str, hours: int = 3) -> list[str]:
    """A row each minute: drives for half an hour, stands for an hour in no place at all, drives on, falls silent."""
    rows, lat = [], 46.0
    for minute in range(60 * hours):
        moving = not 30 <= minute < 90
        lat += 0.012 * moving
        time = f"2026-03-01T{6 + minute // 60:02}:{minute % 60:02}:00Z"
        rows.append(f"{vehicle},{time},-90.12345,{lat:.5f},{22 if moving else 0},0")
    return rows


def written(folder: Path, rows: list[str], name: str = "fixes.csv") -> Path:
    """A CSV file."""
    file = folder / name
    file.write_text(HEADER + "".join(row + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingested]:
    """Run the command on a database of the test's own; gives its exit status. Signals are as they were afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    parser = argparse.ArgumentParser()
    ingesting.register(parser.add_subparsers())

    def run(*words: str | Path, carrier: str = "acme") -> int:
        options = parser.parse_args(["ingest-file", *map(str, words), "--carrier", carrier, *own(tmp_path)])
        return int(options.run(options))

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


def own(folder: Path) -> list[str]:
    """The configuration of the test's own installation."""
    settings = (
        f"store.url=sqlite:///{folder}/monitor.db",
        f"geofences={ROOT / 'geofences'}",
        f"alerts.notice_log={folder}/notices",
    )
    return ["--config", str(ROOT / "config"), *(word for setting in settings for word in ("--set", setting))]


def stored(folder: Path) -> Store:
    """The database as it is."""
    configuration = load_configuration(
        ROOT / "config", [f"store.url=sqlite:///{folder}/monitor.db", f"geofences={ROOT / 'geofences'}"]
    )
    return Store.of(configuration.settings.store)


def rows_of(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    store = stored(folder)
    try:
        with store.read() as t:
            return [tuple(row) for row in t.connection.exec_driver_sql(query).all()]
    finally:
        store.close()


def log_of(folder: Path) -> list[str]:
    """The signal log of the database."""
    store = stored(folder)
    try:
        with store.read() as t:
            return log_lines(t.signal_log())
    finally:
        store.close()


def replayed(file: Path) -> list[str]:
    """The signal log that replay gives of a file."""
    configuration = load_configuration(ROOT / "config", [f"geofences={ROOT / 'geofences'}"])
    found = replay([file], configuration.world)
    return [line.replace('"carrier":"default"', '"carrier":"acme"') for line in log_lines(found.signals)]


# -- into the database --


@pytest.mark.parametrize("portion", ["7", "20000"])
def test_the_log_is_that_of_a_replay(ingest: Ingested, tmp_path: Path, portion: str) -> None:
    """However the file is cut."""
    file = written(tmp_path, sorted(track("T-1") + track("T-2"), key=lambda row: row.split(",")[1]))
    assert ingest(file, "--portion", portion) == 0
    log = log_of(tmp_path)
    assert [json.loads(line)["kind"] for line in log] == ["unauthorized_stop"] * 2
    assert log == replayed(file)


def test_a_file_in_no_order_gives_the_same_log(ingest: Ingested, tmp_path: Path) -> None:
    """What comes too late to rewind to is judged at the end."""
    rows = track("T-1") + [row.replace("2026-03-01", "2026-03-05") for row in track("T-1")]
    file = written(tmp_path, rows[180:] + rows[:180])
    assert ingest(file, "--portion", "90") == 0
    assert rows_of(tmp_path, "SELECT count(*) FROM fix WHERE late = 2") == [(0,)]
    assert log_of(tmp_path) == replayed(file)


def test_a_second_start_takes_nothing_twice(ingest: Ingested, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even the rows that cannot be used."""
    file = written(tmp_path, [*track("T-1"), "T-1,yesterday,-90,46,1,0", "T 1,2026-03-01T06:00:00Z,-90,46,1,0", track("T-1")[5]])
    assert ingest(file) == 0
    assert f"{file}: 180 new fixes, 1 duplicates, 2 rows not taken; up to line 184" in capsys.readouterr().err
    kept = rows_of(tmp_path, "SELECT carrier, vehicle, topic, reason, payload FROM reject ORDER BY id")
    assert ingest(file) == 0
    said = capsys.readouterr().err
    assert f"{file}: 0 new fixes, 181 duplicates, 2 rows not taken" in said
    assert f"not taken: {file}:182: time = 'yesterday': allowed is an ISO 8601 time" in said
    assert rows_of(tmp_path, "SELECT carrier, vehicle, topic, reason, payload FROM reject ORDER BY id") == kept
    assert [row[:4] for row in kept] == [
        ("acme", "T-1", "file:fixes.csv", "fixes.csv:182: time = 'yesterday': allowed is an ISO 8601 time"),
        ("acme", "T 1", "file:fixes.csv", kept[1][3]),
    ]
    assert json.loads(kept[0][4])["lat"] == "46"


def test_an_interrupted_start_ends_cleanly_and_the_next_one_goes_on(
    ingest: Ingested, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C is heard between two portions."""
    file = written(tmp_path, track("T-1"))
    reader = iter_with_interrupt(after=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingesting, "read_parts", reader)
        assert ingest(file, "--portion", "10") == 130
    assert "30 new fixes, 0 duplicates, 0 rows not taken; up to line 31" in capsys.readouterr().err
    assert rows_of(tmp_path, "SELECT count(*) FROM fix") == [(30,)]
    assert ingest(file, "--portion", "10") == 0
    assert "150 new fixes, 30 duplicates" in capsys.readouterr().err
    assert log_of(tmp_path) == replayed(file)


def iter_with_interrupt(after: int) -> Callable[..., Iterator[Any]]:
    """Read a file as always, and press Ctrl-C while a part is being taken."""

    def reading(*arguments: Any) -> Iterator[Any]:
        for number, part in enumerate(read_parts(*arguments), 1):
            if number == after:
                signal.raise_signal(signal.SIGINT)
            yield part

    return reading


def test_only_the_log_learns_of_it_where_that_is_asked(ingest: Ingested, tmp_path: Path) -> None:
    """Nobody is rung for what is long past."""
    file = written(tmp_path, track("T-1"))
    assert ingest(file, "--log-only") == 0
    assert len(log_of(tmp_path)) == 1
    assert rows_of(tmp_path, "SELECT count(*) FROM incident") == [(0,)]


def test_else_there_is_an_incident_as_always(ingest: Ingested, tmp_path: Path) -> None:
    """It is the same door."""
    assert ingest(written(tmp_path, track("T-1"))) == 0
    assert rows_of(tmp_path, "SELECT count(*) FROM incident") == [(1,)]


def test_where_a_monitor_runs_the_files_are_to_be_sent_to_it(ingest: Ingested, tmp_path: Path) -> None:
    """Two writers would not know of each other."""
    store = stored(tmp_path)
    with store.hold(), pytest.raises(StoreError, match=r"another monitor runs on this database.*--to HOST:PORT"):
        ingest(written(tmp_path, track("T-1")))
    store.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--timezone", "Mars/Olympus"], "--timezone Mars/Olympus: allowed is a name such as"),
        (["--portion", "0"], "--portion 0: allowed is a whole number from 1"),
        (["--to", "here"], "--to here: allowed is HOST:PORT"),
        (["--to", "here:99999"], "--to here:99999: allowed is HOST:PORT"),
        (["--to", "here:1883", "--password-file", "nowhere"], "nowhere: not readable"),
        (["absent.csv"], "absent.csv: there is no such file"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_taken(ingest: Ingested, tmp_path: Path, words: list[str], why: str) -> None:
    """In one line."""
    with pytest.raises(InputError) as caught:
        ingest(written(tmp_path, track("T-1")), *words)
    assert str(caught.value).startswith(why)
    assert not (tmp_path / "monitor.db").exists()


def test_a_carrier_that_cannot_be_one_is_refused(ingest: Ingested, tmp_path: Path) -> None:
    """Its name would be a topic."""
    with pytest.raises(InputError, match="--carrier a b: allowed is"):
        ingest(written(tmp_path, track("T-1")), carrier="a b")


# -- into a monitor that runs --


def test_what_is_sent_is_what_the_file_says() -> None:
    """The same fixes to the digest, whatever is unknown of them."""
    fleet, some = Fleet(), np.array([np.nan, 0.1, 7.123456, 99.0, -1.0, 0.0])
    flags = np.array([-1, 0, 1, -1, 0, 1], np.int8)
    batch = normalised(
        fleet,
        np.full(6, fleet.code(VehicleId("acme", "T-1")), np.int32),
        np.arange(6).astype("datetime64[ms]") + NOW,
        np.array([np.nan, -79.1234567, 0, -79.12, 180, -0.5]),
        np.array([np.nan, 43.7654321, 0, 43.12, -90, 0.5]),
        speed=some,
        heading=np.array([np.nan, 0, 359.99, 1, 2, 3]),
        accuracy=some,
        ignition=flags,
        door=flags[::-1].copy(),
        alarms=np.array([0, 1, 128, 3, 255, 16], np.uint32),
    )
    payload = json.dumps(payloads(batch)).encode()
    back = decode([Message("acme", "T-1", "telematics/v1/acme/T-1/fix", payload)], NOW + 1000, fleet, Ingest())
    assert back.rejects == []
    assert back.fixes.digest.tolist() == batch.digest.tolist()
    assert back.fixes.quality.tolist() == batch.quality.tolist()


def decoded(messages: list[Message]) -> tuple[list[int], list[str]]:
    """The digests of what arrived, and why the rest is kept."""
    back = decode(messages, NOW, Fleet(), Ingest())
    return sorted(back.fixes.digest.tolist()), [reject.payload.decode() for reject in back.rejects]


def digests(file: Path) -> list[int]:
    """What a file says."""
    return sorted(
        digest for part in read_parts(file, Fleet(), "acme", 1000, Terms(named=True)) for digest in part.fixes.digest.tolist()
    )


def words_to(served: Any, folder: Path) -> list[str]:  # noqa: F811 - no fixture
    """The options that lead to a test's listener."""
    (folder / "token").write_bytes(PASSWORD + b"\n")
    return ["--to", f"127.0.0.1:{served.listener.port}", "--password-file", str(folder / "token")]


def test_a_file_arrives_whole_and_its_faults_are_kept_there(
    ingest: Ingested,
    served: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A row that cannot be used becomes a message that no monitor takes."""
    faults = ["T-1,yesterday,-90,46,1,0", "T 1,2026-03-01T06:00:00Z,-90,46,1,0", "T-1,2026-03-01T06:00:00Z,-90,146,1,0"]
    file = written(tmp_path, [*track("T-1"), *track("T-2"), *faults])
    assert ingest(file, "--portion", "250", *words_to(served, tmp_path)) == 0
    arrived, kept = decoded(served.loop.messages)
    assert arrived == digests(file)
    said = [json.loads(payload) for payload in kept]
    assert [(one["file"], one["line"], one["row"]["lat"]) for one in said] == [
        ("fixes.csv", 362, "46"),
        ("fixes.csv", 363, "46"),
        ("fixes.csv", 364, "146"),
    ]
    assert {message.carrier for message in served.loop.messages} == {"acme"}
    assert "360 fixes in 8 messages acknowledged, 3 rows of them not usable; up to line 364" in capsys.readouterr().err


def test_what_was_not_acknowledged_is_sent_again(tmp_path: Path) -> None:
    """The connection was lost on the way, with messages without their receipt."""
    file, fleet = written(tmp_path, [row for n in range(5) for row in track(f"T-{n}")]), Fleet()
    broker = Forgetful(lambda _: False, tells=False, hangs_up_at=7)
    backfill = Backfill(Server("127.0.0.1", broker.port, gateway=True), "acme", fleet, threading.Event())
    asyncio.run(backfill.send(read_parts(file, fleet, "acme", 450, Terms()), file, lambda _done, _part: None))
    broker.close()
    assert len(broker.times) == backfill.sent.fixes == 900
    assert broker.messages > 10, "one of ten was sent again"


def test_a_monitor_that_is_not_there_or_refuses_is_said_in_one_line(
    ingest: Ingested,
    served: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    """At once: nothing was begun."""
    file = written(tmp_path, track("T-1"))
    words = words_to(served, tmp_path)
    (tmp_path / "token").write_text("wrong")
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:\d+: refuses us: "):
        ingest(file, *words)
    served.stop()
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:\d+: cannot be reached: "):
        ingest(file, *words)
