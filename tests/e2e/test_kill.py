"""Killed at any instant, at least twenty times: nothing acknowledged is lost, nothing is told twice, the signals are the same."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.signals import instant, timestamp
from monitor.store import journal
from monitor.store.store import Store
from tests.e2e.conftest import Install
from tests.e2e.device import Device, Letter, topic
from tests.e2e.laid_down import HEADER, LaidDown, Record, alarm_names, lay_down, payload, write_csv
from tests.e2e.program import Monitor, eventually
from tests.tracks import World, deliveries, random_world

KILLS, FEW = 24, 3
SEED, SIZE = 11, 220


def letters_of(world: World, records: list[Record]) -> list[Letter]:
    """What the devices send: most fixes as they come, some late, in blocks, or twice; several of a vehicle in one message."""
    out: list[Letter] = []
    for index, _now in deliveries(SEED, world.fixes):
        of_vehicle: dict[str, list[bytes]] = {}
        for number in index.tolist():
            of_vehicle.setdefault(records[number]["vehicle_id"], []).append(payload(records[number]))
        for vehicle, fixes in of_vehicle.items():
            blocks = [fixes[begin : begin + 3] for begin in range(0, len(fixes), 3)]
            out += [(topic(vehicle), b"[" + b",".join(block) + b"]") for block in blocks]
    return out


@dataclass
class Reaper:
    """Kills a monitor again and again: while it starts, in the midst of messages, and when it has come to rest."""

    monitor: Monitor
    device: Device
    chance: random.Random

    def kill_while_it_starts(self) -> None:
        """At an instant between its first line of code and its being ready, or a little later."""
        process = self.monitor.spawn()
        timer = threading.Timer(self.chance.uniform(0.5, 4.0), process.process.kill)
        timer.start()
        process.ended()
        timer.join()

    def kill_in_the_midst(self, share: int) -> None:
        """After some of `share` answers, with more messages under way."""
        port = self.monitor.start()
        assert self.monitor.now is not None
        process = self.monitor.now.process
        timer = threading.Timer(self.chance.uniform(0.0, 0.03), process.kill)
        last, reached = self.chance.randint(1, share), threading.Event()

        def told(heard: int) -> None:
            if heard == last:
                reached.set()
                timer.start()

        self.device.feed(port, told, forever=True)
        assert reached.is_set(), self.monitor.now.lines
        timer.join()
        self.monitor.now.ended()

    def kill_at_rest(self, laid: LaidDown) -> None:
        """After a few messages all is as if nothing had ever happened; then it dies while notices are sent."""
        port = self.monitor.start()
        assert self.monitor.now is not None
        some = Device(self.device.letters, self.device.user, self.device.token)
        waiting = [number for number in range(len(some.letters)) if number not in self.device.acknowledged][:FEW]
        some.acknowledged = set(range(len(some.letters))) - set(waiting)
        some.feed(port)
        self.device.acknowledged |= some.acknowledged & set(waiting)
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


@pytest.mark.slow
def test_killed_at_any_instant_nothing_acknowledged_is_lost_and_nothing_is_told_twice(install: Install, tmp_path: Path) -> None:
    world = random_world(SEED, SIZE)
    laid = lay_down(world, tmp_path / "world")
    monitor = install(f"geofences={laid.geofences}", f"trips={laid.trips}", *laid.assignments)
    device = Device(letters_of(world, laid.records), "default", monitor.token("default"))
    chance = random.Random(SEED)
    reaper = Reaper(monitor, device, chance)
    for number in range(KILLS):
        share = max(1, 2 * (len(device.letters) - len(device.acknowledged)) // (KILLS - number))
        if number % 8 == 3:
            reaper.kill_while_it_starts()
        elif number % 4 == 2:
            reaper.kill_at_rest(laid)
        else:
            reaper.kill_in_the_midst(share)
        assert_what_was_acknowledged_is_there(monitor, device, laid)
    device.feed(monitor.start())
    assert device.done
    assert_the_end(monitor, undisturbed(laid, laid.records, tmp_path), laid)


def instants(laid: LaidDown) -> set[tuple[str, int]]:
    """Vehicle and time of every fix."""
    return {(record["vehicle_id"], instant(record["time"])) for record in laid.records}


def assert_what_was_acknowledged_is_there(monitor: Monitor, device: Device, laid: LaidDown) -> None:
    """Read without opening the database for writing, so that the monitor finds it as its death left it."""
    present = set(monitor.rows("SELECT v.name, f.time FROM fix f JOIN vehicle v ON v.id = f.vehicle_id"))
    for number in device.acknowledged:
        address, content = device.letters[number]
        sent = {(address.split("/")[3], instant(fix["time"])) for fix in json.loads(content)}
        assert sent <= present
    assert present <= instants(laid)


def assert_the_end(monitor: Monitor, expected: list[str], laid: LaidDown) -> None:
    """Every fix once, the signals of an undisturbed run, every notice sent under one key, and a journal that holds."""
    assert len(expected) > 20
    assert monitor.wait_for_log(expected) == expected
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
    store = Store.open(f"sqlite:///{monitor.database}", timedelta(seconds=30))
    assert journal.verify(store) is None
    store.close()


def assert_told_once(monitor: Monitor) -> None:
    """In the notice log a key comes again only as a marked repeat, after a death between sending and writing that down."""
    told = [json.loads(line) for line in monitor.notice_log.read_text(encoding="utf-8").splitlines()]
    assert max(Counter(notice["key"] for notice in told if not notice["repeat"]).values()) == 1
    sent = {key for (key,) in monitor.rows("SELECT key FROM notice WHERE channel = 'log' AND state = 'sent'")}
    assert {notice["key"] for notice in told} == sent
