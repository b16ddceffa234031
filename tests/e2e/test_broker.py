"""The whole monitor behind a real broker: fixes, another format, a status that asks, a trip; and what devices are told."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.e2e.conftest import Install
from tests.e2e.program import Monitor, eventually
from tests.ingest.mosquitto import Mosquitto, needs_mosquitto
from tests.ingest.wire import PATIENCE_S

pytestmark = [needs_mosquitto, pytest.mark.slow]
VEHICLE = "telematics/v1/default/truck-1"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker for one test."""
    folder = tmp_path / "broker"
    folder.mkdir()
    it = Mosquitto(folder)
    yield it
    it.kill()


class Told:
    """A device's subscription to its receipts."""

    def __init__(self, broker: Mosquitto) -> None:
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "device", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = lambda _client, _data, message: self._said.put(json.loads(message.payload))
        self._client.connect("127.0.0.1", broker.port)
        self._client.subscribe(f"{VEHICLE}/ack", 1)
        self._client.loop_start()

    def until(self, receipt: dict[str, Any]) -> None:
        """Take receipts until this one comes."""
        while self._said.get(timeout=PATIENCE_S) != receipt:
            pass

    def close(self) -> None:
        """Hang up."""
        self._client.disconnect()
        self._client.loop_stop()


def fix(number: int) -> bytes:
    """The fix of a number, one a second, of yesterday."""
    at = datetime.fromtimestamp(int(time.time()) - 86_400 + number, UTC).isoformat()
    return json.dumps(
        {"time": at, "lat": 50.0, "lon": -95.0 + number * 2e-4, "speed_mps": 15, "boot": "a7", "seq": number}
    ).encode()


def count(monitor: Monitor, what: str) -> int:
    return int(monitor.rows(f"SELECT count(*) FROM {what}")[0][0])


def behind(install: Install, broker: Mosquitto, *assignments: str) -> Monitor:
    """A monitor that fetches from a broker."""
    monitor = install("ingest.source=broker", f"ingest.broker.port={broker.port}", *assignments)
    monitor.start()
    return monitor


def test_a_device_is_told_what_is_on_disk_what_is_missing_and_when_it_asks(install: Install, broker: Mosquitto) -> None:
    monitor, device = behind(install, broker), Told(broker)
    broker.publish([fix(1), fix(2), fix(5)], topic=f"{VEHICLE}/fix")
    device.until({"boot": "a7", "through": 2, "missing": [[3, 4]]})
    assert count(monitor, "finding WHERE kind = 'sequence_gap' AND closed IS NULL") == 1
    broker.publish([fix(3)], topic=f"{VEHICLE}/fix")
    device.until({"boot": "a7", "through": 3, "missing": [[4, 4]]})
    broker.publish([b'{"boot": "a7", "oldest": 5}'], topic=f"{VEHICLE}/status")
    device.until({"boot": "a7", "through": 5, "missing": []})
    assert count(monitor, "fix") == 4
    assert count(monitor, "finding WHERE kind = 'numbers_lost'") == 1
    device.close()
    monitor.stop()


def test_another_format_by_its_own_topic_and_rejects_are_on_disk(install: Install, broker: Mosquitto) -> None:
    feed = "ingest.feed.phones"
    monitor = behind(
        install, broker, f"{feed}.topic=owntracks/{{carrier}}/{{vehicle}}", f"{feed}.format=owntracks"
    )  # fmt: skip
    location = {"_type": "location", "tst": int(time.time()) - 3600, "lat": 50.0, "lon": -95.0, "acc": 10, "vel": 72}
    broker.publish([json.dumps(location).encode()], topic="owntracks/default/phone")
    broker.publish([b"{}"], topic=f"{VEHICLE}/fix")
    assert eventually(lambda: count(monitor, "fix") == 1 and count(monitor, "reject") == 1, PATIENCE_S)
    assert monitor.rows("SELECT v.carrier, v.name, f.speed FROM fix f JOIN vehicle v ON v.id = f.vehicle_id") == [
        ("default", "phone", 20.0)
    ]
    monitor.stop()


def test_what_comes_while_the_monitor_is_dead_is_there_when_it_is_back(install: Install, broker: Mosquitto) -> None:
    monitor = behind(install, broker)
    broker.publish([fix(1)], topic=f"{VEHICLE}/fix")
    assert eventually(lambda: count(monitor, "fix") == 1, PATIENCE_S)
    assert monitor.now is not None
    monitor.now.kill()
    broker.publish([fix(number) for number in range(2, 102)], topic=f"{VEHICLE}/fix")
    monitor.start()
    assert eventually(lambda: count(monitor, "fix") == 101, PATIENCE_S)
    assert count(monitor, "finding") == 0
    assert count(monitor, "journal WHERE kind = 'broker.met'") == 1
    monitor.stop()


def test_a_session_lost_while_the_monitor_was_dead_is_a_finding(install: Install, broker: Mosquitto) -> None:
    monitor = behind(install, broker)
    monitor.stop()
    broker.kill()
    broker.forget()
    broker.start()
    monitor.start()
    assert eventually(lambda: monitor.rows("SELECT kind FROM finding") == [("session_lost",)], PATIENCE_S)
    monitor.stop()
