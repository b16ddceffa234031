"""Somebody who is admitted and tries what is another's: it is refused, written down, and becomes a finding."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import Install
from tests.e2e.program import Monitor, eventually
from tests.ingest.mosquitto import Mosquitto, needs_mosquitto
from tests.ingest.wire import CONNACK, PUBACK, SUBACK, V5, V311, Wire, connect, publish, subscribe

pytestmark = pytest.mark.slow
NORTH, SOUTH = "telematics/v1/north/truck/fix", "telematics/v1/south/truck/fix"
REFUSED, INVALID = 0x87, 0x90
"""Not authorized; a topic that nobody publishes to."""
FEED = ("ingest.feed.box.topic=box/{carrier}", "ingest.feed.box.format=flespi")


def fix(**said: object) -> bytes:
    """A fix of an hour ago."""
    at = datetime.fromtimestamp(int(time.time()) - 3600, UTC).isoformat()
    return json.dumps({"time": at, "lat": 50.0, "lon": -95.0, "speed_mps": 15, **said}).encode()


def boxed(ident: str) -> bytes:
    """The same from a box that says which it is."""
    at = int(time.time()) - 3600
    return json.dumps({"ident": ident, "timestamp": at, "position.latitude": 50.0, "position.longitude": -95.0}).encode()


def joined(port: int, user: str, token: str, version: int = V5) -> Wire:
    """A client that was let in."""
    wire = Wire(port)
    kind, body = wire.join(connect(user, token.encode(), version=version, client_id=f"{user} {version} {id(wire)}"))
    assert (kind, body[1]) == (CONNACK, 0)
    return wire


def vehicles(monitor: Monitor) -> list[tuple[str, str]]:
    """Whose fixes there are."""
    return monitor.rows("SELECT v.carrier, v.name FROM fix f JOIN vehicle v ON v.id = f.vehicle_id ORDER BY 1, 2")


def found(monitor: Monitor, kind: str, carrier: str, times: int) -> bool:
    """Whether so much of a kind was found of a carrier."""
    asked = f"SELECT coalesce(sum(count), 0) FROM finding WHERE kind = '{kind}' AND carrier = '{carrier}'"
    return eventually(lambda: monitor.rows(asked) == [(times,)])


def rejects(monitor: Monitor, times: int) -> bool:
    """Whether so much was written down as refused."""
    return eventually(lambda: monitor.rows("SELECT count(*) FROM reject") == [(times,)])


def test_the_topics_of_others_are_neither_published_nor_subscribed_to(install: Install) -> None:
    """A carrier at another's topics, a vehicle at another vehicle's, dispatch at positions; in both versions."""
    monitor = install()
    north, south = monitor.token("north"), monitor.token("south")
    truck = monitor.token("north/truck")
    port = monitor.start()
    attempts = [
        ("north", north, SOUTH), ("north/truck", truck, NORTH.replace("truck", "van")), ("north/truck", truck, SOUTH),
        ("north", north, SOUTH.replace("fix", "status")), ("north", north, NORTH.replace("fix", "ack")),
        ("north", north, "monitor/v1/south/incidents/1"), ("north", north, "$SYS/broker"),
    ]  # fmt: skip
    for user, token, topic in attempts:
        with closing(joined(port, user, token).socket) as wire:
            wire.sendall(publish(topic, fix()))
            assert answered(wire) in ((PUBACK, REFUSED), (PUBACK, INVALID)), topic
        with closing(joined(port, user, token, V311).socket) as wire:
            wire.sendall(publish(topic, fix(), version=V311))
            assert wire.recv(100) == b"", "the older version has no word for it"
    assert rejects(monitor, 2 * len(attempts))
    patterns = ["#", "+/v1/#", SOUTH, SOUTH.replace("fix", "ack"), "telematics/v1/+/+/status", "monitor/v1/south/incidents/#"]
    with closing(joined(port, "north", north).socket) as wire:
        for pattern in patterns:
            wire.sendall(subscribe(pattern))
            assert answered(wire) == (SUBACK, REFUSED), pattern
    assert rejects(monitor, 2 * len(attempts) + len(patterns))
    with closing(joined(port, "south", south).socket) as wire:
        wire.sendall(publish(SOUTH, fix()))
        assert answered(wire) == (PUBACK, 0)
    assert vehicles(monitor) == [("south", "truck")]
    [(kinds,)] = monitor.rows("SELECT group_concat(DISTINCT carrier || ' ' || kind) FROM finding")
    assert kinds == "north foreign_topic"
    monitor.stop()


def answered(wire: object) -> tuple[int, int]:
    """The kind of the next packet, and its reason; a PUBACK without one says success."""
    data = wire.recv(200)  # type: ignore[attr-defined]
    kind = data[0] >> 4
    if kind == PUBACK:
        return kind, data[4] if data[1] > 2 else 0
    return kind, data[-1]


def test_who_a_payload_says_that_it_is_is_compared_and_never_believed(install: Install) -> None:
    monitor = install(*FEED)
    north, south = monitor.token("north"), monitor.token("south")
    adopted = monitor.command("devices", "adopt", "south", "860000000000001", "truck", "--by", "ana")
    assert adopted.returncode == 0, adopted.stderr
    port = monitor.start()
    lies = [fix(carrier="south"), fix(vehicle="van"), fix(carrier="south", vehicle="truck"), fix(device="x", vehicle="van")]
    with closing(joined(port, "north", north).socket) as wire:
        for lie in lies:
            wire.sendall(publish(NORTH, lie))
            assert answered(wire)[0] == PUBACK
        assert rejects(monitor, len(lies))
        wire.sendall(publish("box/north", boxed("860000000000001")))
        assert answered(wire)[0] == PUBACK
        assert rejects(monitor, len(lies) + 1), "another carrier's box is a stranger here"
        assert vehicles(monitor) == []
        wire.sendall(publish(NORTH, fix(carrier="north", vehicle="truck")))
        assert answered(wire) == (PUBACK, 0)
    with closing(joined(port, "south", south).socket) as wire:
        wire.sendall(publish("box/south", boxed("860000000000001")))
        assert answered(wire) == (PUBACK, 0)
    assert vehicles(monitor) == [("north", "truck"), ("south", "truck")]
    assert found(monitor, "forged_identity", "north", len(lies))
    assert found(monitor, "unknown_device", "north", 1)
    monitor.stop()


def test_a_retained_position_is_kept_for_nobody_and_replayed_counts_once(install: Install) -> None:
    monitor = install()
    north = monitor.token("north")
    port, same = monitor.start(), fix()
    with closing(joined(port, "north", north).socket) as wire:
        for number in range(1, 6):
            wire.sendall(publish(NORTH, same, number, retain=True))
            assert answered(wire) == (PUBACK, 0)
        wire.sendall(subscribe(NORTH))
        assert answered(wire) == (SUBACK, REFUSED)
    assert vehicles(monitor) == [("north", "truck")]
    monitor.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody say anything: the monitor is not to believe it."""
    (folder := tmp_path / "broker").mkdir()
    it = Mosquitto(folder)
    yield it
    it.kill()


@needs_mosquitto
def test_behind_a_broker_too(install: Install, broker: Mosquitto) -> None:
    """Retained messages are replayed at each new subscription; forged payloads and boxes of others are refused."""
    monitor = install("ingest.source=broker", f"ingest.broker.port={broker.port}", *FEED)
    monitor.token("south")
    adopted = monitor.command("devices", "adopt", "south", "860000000000001", "truck", "--by", "ana")
    assert adopted.returncode == 0, adopted.stderr
    broker.publish([fix()], topic=NORTH, retain=True)
    monitor.start()
    assert eventually(lambda: vehicles(monitor) == [("north", "truck")])
    lies = [fix(carrier="south"), fix(vehicle="van")]
    broker.publish(lies, topic=NORTH)
    broker.publish([boxed("860000000000001")], topic="box/north")
    assert rejects(monitor, len(lies) + 1)
    assert found(monitor, "forged_identity", "north", len(lies))
    assert found(monitor, "unknown_device", "north", 1)
    monitor.stop()
    broker.kill()
    broker.forget()
    broker.start()
    broker.publish([fix(lat=50.5)], topic=NORTH, retain=True)
    monitor.start()
    assert eventually(lambda: vehicles(monitor) == [("north", "truck")] * 2)
    monitor.stop()
