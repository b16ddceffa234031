"""Real tracks, published over MQTT by a client that is not ours: the running monitor finds what `monitor replay` finds in the file.

The positions are years old, so that every deadline has passed when they come in. All vehicles
of a file publish at the same time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.e2e.conftest import Install
from tests.e2e.device import topic
from tests.e2e.program import GEOFENCES, PATIENCE_S, Monitor, run
from tests.e2e.real_data import SHORT, TRACKS, needs_tracks, vehicle_lines
from tests.ingest.mosquitto import MOSQUITTO, Mosquitto

PUBLISHER = shutil.which("mosquitto_pub")
pytestmark = [
    pytest.mark.slow,
    needs_tracks,
    pytest.mark.skipif(not PUBLISHER and os.environ.get("CI") != "true", reason="mosquitto-clients is not installed"),
]
NOW = "2026-01-01T00:00:00Z"
"""Years after the tracks: every deadline has passed."""


def publish(file: Path, port: int, *options: str) -> int:
    """Publish each row of a file as a message of QoS 1; gives how many there were."""
    assert PUBLISHER, "mosquitto-clients is not installed"
    lines: dict[str, list[str]] = defaultdict(list)
    for vehicle, line in vehicle_lines(file):
        lines[vehicle].append(line + "\n")
    devices = []
    for vehicle, messages in lines.items():
        command = [PUBLISHER, "-p", str(port), "-q", "1", "-t", topic(vehicle), "-i", f"device-{vehicle}", "-l", *options]
        with TemporaryFile("w+") as said:
            said.writelines(messages)
            said.seek(0)
            devices.append(subprocess.Popen(command, stdin=said))
    assert [device.wait(PATIENCE_S * 4) for device in devices] == [0] * len(devices)
    return sum(map(len, lines.values()))


def replayed(file: Path, *assignments: str) -> tuple[list[str], int]:
    """The log of `monitor replay`, and how many fixes the file holds."""
    options = [word for assignment in assignments for word in ("--set", assignment)]
    answer = run("replay", file, "--geofences", GEOFENCES, "--until", NOW, *options)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines(), int(answer.stderr.split(" fixes, ")[0].split()[-1].replace(",", ""))


def assert_same(monitor: Monitor, file: Path, published: int, *assignments: str) -> None:
    """The signals, byte for byte, and each fix once."""
    expected, fixes = replayed(file, *assignments)
    assert expected
    assert monitor.wait_for_log(expected) == expected
    assert monitor.rows("SELECT count(*) FROM fix") == [(fixes,)]
    assert monitor.rows("SELECT count(*) FROM reject") == [(0,)]
    assert fixes <= published


@pytest.mark.parametrize(("name", "version"), [("austin", "mqttv311"), ("limerick", "mqttv5"), ("diary", "mqttv311")])
def test_a_foreign_client_gets_the_signals_that_replay_gets_from_the_file(install: Install, name: str, version: str) -> None:
    monitor = install(*SHORT)
    token = monitor.token("default")
    published = publish(TRACKS[name], monitor.start(), "-u", "default", "-P", token, "-V", version)
    assert_same(monitor, TRACKS[name], published, *SHORT)
    monitor.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker for one test."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.mark.skipif(not MOSQUITTO and os.environ.get("CI") != "true", reason="mosquitto is not installed")
def test_through_a_broker_come_the_same_signals(install: Install, mosquitto: Mosquitto) -> None:
    """The monitor is away for half of it: the broker keeps for it what it subscribed to."""
    monitor = install(*SHORT, "ingest.source=broker", f"ingest.broker.port={mosquitto.port}")
    mosquitto.kill()
    mosquitto.configure("allow_anonymous true", "max_queued_messages 0")
    mosquitto.start()
    assert monitor.start() == 0
    published = publish(TRACKS["limerick"], mosquitto.port)
    monitor.stop()
    again = publish(TRACKS["diary"], mosquitto.port)
    monitor.start()
    both: list[str] = []
    fixes = 0
    for name in ("limerick", "diary"):
        log, count = replayed(TRACKS[name], *SHORT)
        both += log
        fixes += count
    expected = sorted(both, key=lambda line: line.split('"at":"')[1][:24])
    assert monitor.wait_for_log(expected) == expected
    assert monitor.rows("SELECT count(*) FROM fix") == [(fixes,)]
    assert fixes <= published + again
    monitor.stop()
