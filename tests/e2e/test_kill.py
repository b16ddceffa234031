"""Killed at any instant, again and again, at each way in and on each database: nothing is lost, nothing is told twice.

With MONITOR_TORTURE=1 a hundred times each.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.signals import instant, timestamp
from monitor.store import journal
from tests.e2e.conftest import Install
from tests.e2e.device import Letter
from tests.e2e.laid_down import HEADER, LaidDown, Record, alarm_names, lay_down, write_csv
from tests.e2e.program import Monitor, eventually
from tests.e2e.senders import DELIVERY, Bridge, Fix, Gateway, Sender, letters_of, present
from tests.e2e.torture import TORTURE, figure
from tests.ingest.mosquitto import Mosquitto, needs_mosquitto
from tests.postgres import Server, postgres
from tests.tracks import random_world

__all__ = ["postgres"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
MANY = 100
FEW = 3
SEED, SIZE = 11, 600 if TORTURE else 220
SOON = "order.settle=1s"
"""After a start deadlines wait no longer than this for devices that come back."""


@dataclass
class Reaper:
    """Kills a monitor again and again: while it starts, in the midst of messages, and when it has come to rest."""

    monitor: Monitor
    sender: Sender
    chance: random.Random

    def kill_while_it_starts(self) -> None:
        """At an instant between its first line of code and its being ready, or a little later."""
        process = self.monitor.spawn()
        timer = threading.Timer(self.chance.uniform(0.5, 4.0), process.process.kill)
        timer.start()
        process.ended()
        timer.join()

    def kill_in_the_midst(self, share: int) -> None:
        """After some of the answers to `share` letters, with more messages under way."""
        port = self.monitor.start()
        assert self.monitor.now is not None
        process = self.monitor.now.process
        timer = threading.Timer(self.chance.uniform(0.0, 0.03), process.kill)
        last, reached = self.chance.randint(1, self.sender.answers(share)), threading.Event()

        def now() -> None:
            reached.set()
            timer.start()

        self.sender.send_under_load(port, share, last, now)
        assert reached.is_set(), self.monitor.now.lines
        timer.join()
        self.monitor.now.ended()

    def kill_at_rest(self, laid: LaidDown) -> None:
        """After a few messages all is as if nothing had ever happened; then it dies while notices are sent."""
        port = self.monitor.start()
        assert self.monitor.now is not None
        self.sender.send_a_few(self.monitor, port, FEW)
        expected = undisturbed(laid, stored(self.monitor), self.monitor.folder)
        assert self.monitor.wait_for_log(expected) == expected
        timer = threading.Timer(self.chance.uniform(0.0, 1.5), self.monitor.now.process.kill)
        timer.start()
        self.monitor.now.ended()
        timer.join()


def stored(monitor: Monitor) -> list[Record]:
    """The fixes in the database, as records of a file."""
    columns = "v.name, f.time, f.lon, f.lat, f.speed, f.accuracy, f.ignition, f.door, f.alarms"
    rows = monitor.rows(f"SELECT {columns} FROM fix f JOIN vehicle v ON v.id = f.vehicle_id")
    told = [(name, timestamp(ms), *numbers, alarm_names(alarms)) for name, ms, *numbers, alarms in rows]
    return [dict(zip(HEADER, row, strict=True)) for row in told]


def undisturbed(laid: LaidDown, records: list[Record], folder: Path) -> list[str]:
    """The log of `monitor replay` of some fixes, two days after the last one of all, when every deadline has passed."""
    file, out = write_csv(folder / "fixes.csv", records), folder / "signals.jsonl"
    until = timestamp(max(instant(record["time"]) for record in laid.records) + 48 * 3_600_000)
    assert main(["replay", str(file), *laid.options, "--until", until, "--out", str(out)]) == 0
    return out.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lives through all of it, as docs/broker/mosquitto.conf has it."""
    (folder := tmp_path / "broker").mkdir()
    it = Mosquitto(folder, "allow_anonymous true", "max_queued_messages 0", "max_inflight_messages 0")
    yield it
    it.kill()


def test_at_the_listener(install: Install, tmp_path: Path) -> None:
    laid, letters = a_world(tmp_path)
    monitor = install(*settings(laid))
    killed(monitor, Gateway(letters, monitor.token("default")), laid, MANY if TORTURE else 12, "listener, SQLite")


@needs_mosquitto
def test_behind_a_broker(install: Install, tmp_path: Path, broker: Mosquitto) -> None:
    laid, letters = a_world(tmp_path)
    fetching = ("ingest.source=broker", f"ingest.broker.port={broker.port}", f"ingest.broker.receive_maximum={2 * DELIVERY}")
    monitor = install(*settings(laid), *fetching, f"ingest.batch_messages={DELIVERY}")
    bridge = Bridge(letters, broker)
    killed(monitor, bridge, laid, MANY if TORTURE else 8, "broker, SQLite")
    bridge.close()


def test_at_the_listener_with_a_server_database(install: Install, tmp_path: Path, postgres: Server) -> None:
    laid, letters = a_world(tmp_path)
    monitor = install(*settings(laid), url=postgres.empty())
    killed(monitor, Gateway(letters, monitor.token("default")), laid, MANY if TORTURE else 6, "listener, PostgreSQL")


def a_world(folder: Path) -> tuple[LaidDown, list[Letter]]:
    """Places, routes and trips in files, and the letters that its vehicles send."""
    world = random_world(SEED, SIZE)
    laid = lay_down(world, folder / "world")
    return laid, letters_of(SEED, world, laid.records)


def settings(laid: LaidDown) -> tuple[str, ...]:
    """What a monitor of this world is told."""
    return (f"geofences={laid.geofences}", f"trips={laid.trips}", *laid.assignments, SOON)


def killed(monitor: Monitor, sender: Sender, laid: LaidDown, kills: int, where: str) -> None:
    """Kill it so many times while everything is sent; then everything is there once, and told once."""
    began, chance = time.monotonic(), random.Random(SEED)
    reaper = Reaper(monitor, sender, chance)
    for number in range(kills):
        share = max(1, 2 * sender.left // (kills - number))
        if number % 8 == 3:
            reaper.kill_while_it_starts()
        elif number % 4 == 2:
            reaper.kill_at_rest(laid)
        else:
            reaper.kill_in_the_midst(share)
        assert sender.promised() <= present(monitor) <= instants(laid)
    promised = len(sender.promised())
    sender.send_the_rest(monitor, monitor.start())
    expected = undisturbed(laid, laid.records, monitor.folder)
    assert_the_end(monitor, expected, laid)
    figure(
        f"kill -9 of the monitor, {where}", kills=kills, fixes=len(laid.records), acknowledged_before_the_last_kill=promised,
        signals=len(expected), lost=0, doubled=0, seconds=round(time.monotonic() - began),
    )  # fmt: skip


def instants(laid: LaidDown) -> set[Fix]:
    """Vehicle and time of every fix."""
    return {(record["vehicle_id"], instant(record["time"])) for record in laid.records}


def assert_the_end(monitor: Monitor, expected: list[str], laid: LaidDown) -> None:
    """Every fix once, the signals of an undisturbed run, every notice sent under one key, and a journal that holds."""
    assert len(expected) > 20
    assert monitor.wait_for_log(expected) == expected
    assert present(monitor) == instants(laid)
    assert monitor.rows("SELECT count(*) FROM fix") == [(len(laid.records),)]
    assert eventually(
        lambda: monitor.rows("SELECT count(*) FROM notice WHERE state IN ('queued', 'leased', 'unknown')") == [(0,)]
    )
    monitor.stop()
    rounds = monitor.rows("SELECT incident_id, contact, channel FROM notice WHERE kind = 'raised'")
    assert rounds
    assert max(Counter(rounds).values()) == 1
    joined = monitor.rows("SELECT signal_id FROM incident_signal WHERE link = 'joined'")
    assert max(Counter(joined).values()) == 1
    assert {number for (number,) in joined} == {number for (number,) in monitor.rows("SELECT id FROM signal")}
    assert_told_once(monitor)
    with closing(monitor.store()) as store:
        assert journal.verify(store) is None


def assert_told_once(monitor: Monitor) -> None:
    """In the notice log a key comes again only as a marked repeat, after a death between sending and writing that down."""
    told = [json.loads(line) for line in monitor.notice_log.read_text(encoding="utf-8").splitlines()]
    assert max(Counter(notice["key"] for notice in told if not notice["repeat"]).values()) == 1
    sent = {key for (key,) in monitor.rows("SELECT key FROM notice WHERE channel = 'log' AND state = 'sent'")}
    assert {notice["key"] for notice in told} == sent
