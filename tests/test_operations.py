"""The watch over a running monitor: faults become findings, the daily word is written once, the parts' state is told."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from monitor import operations
from monitor.alerts.channels.email import compose
from monitor.alerts.channels.logfile import LogfileChannel
from monitor.alerts.contacts import Contact, Reach
from monitor.alerts.notice import Notice
from monitor.alerts.outbox import deliver_due
from monitor.errors import StoreError
from monitor.findings import CLOCK_STEPPED, STORE_FAULT
from monitor.fixes import Fleet, VehicleId, normalised
from monitor.ingest.inbox import Inbox
from monitor.operations import Operations, Standing
from monitor.settings import Settings, read_settings
from monitor.store import findings_store, notices_store
from monitor.store.schema import notice as notice_table
from monitor.store.store import Store

NOON = int(datetime(2026, 3, 2, 17, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000
CONTACTS = {"dispatch": Contact("dispatch", "dispatch", "dispatch", channels=(Reach("log"),))}


class Monitor:
    """A database, a clock that a test sets, and the watch over both."""

    def __init__(self, folder: Path) -> None:
        self.now, self.file = NOON, folder / "monitor.db"
        self.log = folder / "notices.log"
        said = {"health": {"alive_to": "dispatch", "alive_at": "07:00"}, "alerts": {"notice_log": str(self.log)}}
        said["store"] = {"url": f"sqlite:///{self.file}", "busy_timeout": "1s"}
        self.settings: Settings = read_settings(said)
        self.store = Store.of(self.settings.store)
        self.standing = Standing([], 0, {}, [], 0)
        self.operations = self.watched()

    def watched(self) -> Operations:
        """A watch, as after a start."""
        return Operations(self.settings, self.store, lambda: self.now, lambda: self.standing)

    def tick(self) -> None:
        """One tick of the metronome."""
        with self.store.begin() as transaction:
            self.operations.tick(transaction, CONTACTS)
        self.operations.ticked()

    def findings(self) -> list[str]:
        """The kinds of the findings that are open."""
        with self.store.read() as transaction:
            return [found.kind for found in findings_store.listed(transaction)]

    def notices(self) -> list[Any]:
        """The notices as rows, the first first."""
        with self.store.read() as transaction:
            return list(transaction.connection.execute(select(notice_table).order_by(notice_table.c.id)))


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    made = Monitor(tmp_path)
    yield made
    made.store.close()


def test_a_database_that_was_out_of_reach_is_a_finding_once_it_is_back(monitor: Monitor) -> None:
    monitor.operations.waiting(StoreError("monitor.db: the disk is full"))
    monitor.operations.turn()
    assert monitor.findings() == []
    assert monitor.operations.ready().reasons == [
        "database: out of reach since 2026-03-02T17:00:00.000Z: monitor.db: the disk is full"
    ]
    assert monitor.operations.alive().well
    monitor.operations.reached()
    monitor.operations.turn()
    assert monitor.findings() == [STORE_FAULT]
    assert monitor.operations.ready().well
    assert b"monitor_store_faults_total 1.0" in monitor.operations.exposition()


def test_a_step_of_the_clock_is_told_and_is_a_finding(monitor: Monitor) -> None:
    assert not monitor.operations.turn()
    monitor.now += 6 * HOUR
    assert monitor.operations.turn()
    assert not monitor.operations.turn()
    monitor.now -= HOUR
    assert monitor.operations.turn()
    assert monitor.findings() == [CLOCK_STEPPED]


def test_a_finding_that_cannot_be_written_waits(monitor: Monitor) -> None:
    monitor.now += HOUR
    with closing(sqlite3.connect(monitor.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert monitor.operations.turn()
        other.execute("ROLLBACK")
    assert monitor.findings() == []
    monitor.operations.turn()
    assert monitor.findings() == [CLOCK_STEPPED]


def test_a_detector_that_broke_is_a_reason_though_nothing_is_judged_since(monitor: Monitor) -> None:
    monitor.operations.judged({"long_dwell": "ValueError: x"})
    monitor.operations.judged({})
    assert monitor.operations.ready().reasons == ["long_dwell: ValueError: x"]
    told = monitor.operations.exposition()
    assert b'monitor_detectors_degraded{detector="long_dwell"} 1.0' in told
    assert b'monitor_detector_faults_total{detector="long_dwell"} 1.0' in told


def test_a_detector_that_broke_long_ago_is_well(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BROKEN_S", 0.0)
    monitor.operations.judged({"long_dwell": "ValueError: x"})
    assert monitor.operations.ready().well


def test_what_was_not_reloaded_is_a_warning_and_an_archive_that_stands_a_reason(monitor: Monitor) -> None:
    faults = {"configuration": "not reloaded", "doors": "as before", "archive": "full", "store": "told as database"}
    monitor.standing = Standing([], 0, faults, ["a warning"], 0)
    report = monitor.operations.ready()
    assert report.reasons == ["archive: full"]
    assert report.warnings == ["a warning", "configuration: not reloaded", "doors: as before"]


def test_the_daily_word_is_written_once_a_day_whatever_is_started_again(monitor: Monitor) -> None:
    fleet = Fleet()
    code = fleet.code(VehicleId("acme", "truck"))
    times = np.array([NOON - 6 * HOUR], np.int64).view("datetime64[ms]")
    fixes = normalised(fleet, np.array([code], np.int32), times, np.array([-79.7]), np.array([43.6]))
    with monitor.store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, np.zeros(1, np.int8))
    monitor.tick()
    monitor.tick()
    monitor.operations = monitor.watched()
    monitor.tick()
    [row] = monitor.notices()
    assert (row.key, row.incident_id, row.kind) == ("alive-2026-03-02-dispatch-1", None, "alive")
    assert "1 vehicle heard" in row.subject
    monitor.now += 24 * HOUR
    monitor.tick()
    assert [row.key for row in monitor.notices()] == ["alive-2026-03-02-dispatch-1", "alive-2026-03-03-dispatch-1"]


def test_a_word_that_could_not_be_committed_is_written_at_the_next_tick(monitor: Monitor) -> None:
    with contextlib.suppress(RuntimeError), monitor.store.begin() as transaction:
        monitor.operations.tick(transaction, CONTACTS)
        raise RuntimeError("the commit is lost")
    assert monitor.notices() == []
    monitor.tick()
    assert len(monitor.notices()) == 1


def test_without_a_contact_nothing_is_written(monitor: Monitor) -> None:
    with monitor.store.begin() as transaction:
        monitor.operations.tick(transaction, {})
    assert monitor.notices() == []


def test_the_daily_word_leaves_by_the_outbox(monitor: Monitor) -> None:
    monitor.tick()
    channels = {"log": LogfileChannel(monitor.log)}
    assert deliver_due(monitor.store, channels, lambda: monitor.now, monitor.settings.alerts) == 1
    [line] = monitor.log.read_text(encoding="utf-8").splitlines()
    assert (json.loads(line)["incident"], json.loads(line)["occasion"]) == (None, "alive")
    assert [row.state for row in monitor.notices()] == ["sent"]


def test_a_word_about_the_monitor_is_a_thread_of_its_own_in_the_mail() -> None:
    word = Notice(1, None, "alive-x", "alive", "note", "d", "email", "a@b.example", "en", "s", "b", NOON)
    assert compose(word, "m@carrier.example")["References"] == "<alive@carrier.example>"


def test_the_room_on_the_disk_is_told_once_a_file_system(monitor: Monitor) -> None:
    assert list(monitor.operations.free()) == ["database"]


class Link:
    """A door that is connected as a test says."""

    connected = False

    def start(self, inbox: Inbox) -> None:
        """Nothing."""

    def acknowledge(self, arrivals: object, receipts: object) -> None:
        """Nothing."""

    def fault(self) -> str | None:
        """None: it tries again."""
        return None

    def close(self) -> None:
        """Nothing."""

    def join(self) -> None:
        """Nothing."""


def test_a_door_that_is_not_connected_is_a_reason(monitor: Monitor) -> None:
    link = Link()
    monitor.standing = Standing([link], 0, {}, [], 0)
    [reason] = monitor.operations.ready().reasons
    assert reason.startswith("door: not connected")
    link.connected = True
    assert monitor.operations.ready().well
    assert b'monitor_connections{door="link"} 1.0' in monitor.operations.exposition()


def test_a_grave_word_about_the_monitor_is_not_kept_back_for_want_of_an_incident(monitor: Monitor) -> None:
    word = Notice(1, None, "x", "alive", "critical", "d", "log", "", "en", "s", "b", NOON)
    with monitor.store.read() as transaction:
        assert notices_store.still_wanted(transaction, word) == ""


def test_a_database_that_hangs_holds_up_one_who_asks_and_nobody_else(monitor: Monitor) -> None:
    """Else those who ask for figures, again and again, take every thread of the server."""
    reading, go = threading.Event(), threading.Event()

    def clock() -> int:
        if threading.current_thread().name == "first":
            reading.set()
            go.wait(10)
        return NOON

    operated = Operations(monitor.settings, monitor.store, clock, lambda: monitor.standing)
    first = threading.Thread(target=operated.exposition, name="first")
    first.start()
    assert reading.wait(10)
    assert b"monitor_database_read 0.0" in operated.exposition()
    go.set()
    first.join(10)
    assert b"monitor_database_read 1.0" in operated.exposition()
