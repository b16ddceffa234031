"""A whole monitor behind the listener: what it has on disk is what its clients are told, and who is revoked is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from benchmarks.running import Running, running
from monitor.clock import world_clock
from monitor.signals import timestamp
from monitor.store import credentials
from tests.ingest import wire
from tests.ingest.wire import Wire, connect, publish, subscribe

FIX, STATUS, ACK = (f"telematics/v1/bench/truck/{channel}" for channel in ("fix", "status", "ack"))
pytestmark = pytest.mark.slow


@pytest.fixture
def monitor() -> Iterator[Running]:
    """A monitor on a free port."""
    with running() as it:
        yield it


def joined(monitor: Running, secret: str = "", username: str = "bench/truck", **said: object) -> Wire:
    """A client that was let in."""
    client = Wire(monitor.app.port or 0)
    hello = connect(username, (secret or monitor.secret).encode(), **said)  # type: ignore[arg-type]
    assert client.join(hello)[1][1] == 0
    return client


def numbered(seq: int) -> bytes:
    """A fix of the present with its number."""
    said = {"time": timestamp(world_clock()), "lat": 43.65, "lon": -79.38, "speed_mps": 0.0, "boot": "a7", "seq": seq}
    return json.dumps(said).encode()


def test_a_device_is_told_its_numbers_after_the_commit_and_again_when_it_comes_back(monitor: Running) -> None:
    device = joined(monitor)
    device.send(subscribe(ACK))
    assert device.read() == (wire.SUBACK, b"\0\x01\0\x01")
    device.send(publish(FIX, numbered(1), 1) + publish(FIX, numbered(4), 2))
    assert [device.read(), device.read()] == [(wire.PUBACK, b"\0\x01"), (wire.PUBACK, b"\0\x02")]
    told = {"boot": "a7", "through": 1, "missing": [[2, 3]]}
    assert json.loads(device.published()[1]) == told
    device.close()
    again = joined(monitor)
    again.send(subscribe(ACK))
    assert again.read() == (wire.SUBACK, b"\0\x01\0\x01")
    assert json.loads(again.published()[1]) == told
    again.close()


def test_a_will_is_on_disk_and_sent_to_who_subscribes_later(monitor: Running) -> None:
    watcher = joined(monitor, username="bench", client_id="watcher")
    watcher.send(subscribe("telematics/v1/bench/+/status"))
    assert watcher.read() == (wire.SUBACK, b"\0\x01\0\x01")
    joined(monitor, will=(STATUS, b"gone")).close()
    assert watcher.published()[:2] == (STATUS, b"gone")
    later = joined(monitor, username="bench", client_id="later")
    later.send(subscribe(STATUS))
    assert later.read() == (wire.SUBACK, b"\0\x01\0\x01")
    topic, payload, _, retained = later.published()
    assert (topic, payload, retained) == (STATUS, b"gone", True)
    for each in (watcher, later):
        each.close()


def test_a_vehicle_never_heard_of_may_ask_for_its_numbers(monitor: Running) -> None:
    device = joined(monitor, username="bench/unheard")
    device.send(subscribe("telematics/v1/bench/unheard/ack"))
    assert device.read() == (wire.SUBACK, b"\0\x01\0\x01")
    assert device.silent()
    device.close()


def test_the_connections_of_a_token_that_is_revoked_are_closed_and_a_new_token_is_let_in(monitor: Running) -> None:
    store, now = monitor.app.store, world_clock()
    with store.begin() as transaction:
        stolen = credentials.create(transaction, "bench", "truck", now)
    mine = joined(monitor, client_id="mine")
    with pytest.raises(AssertionError):
        joined(monitor, "A" * 43)
    thief = Wire(monitor.app.port or 0)
    while thief.join(connect("bench/truck", stolen.encode(), client_id="thief"))[1][1]:  # it counts within a second
        thief.close()
        thief = Wire(monitor.app.port or 0)
    with store.begin() as transaction:
        credentials.revoke_all(transaction, ("bench", "truck"), world_clock())
    assert thief.read() == (wire.DISCONNECT, b"\x87")
    assert mine.silent()
    for each in (thief, mine):
        each.close()
