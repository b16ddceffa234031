"""The simulated fleet's connections: a gateway, duplicates, holes, and an outbox that only the monitor's own word empties."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.ingest.fleet.device import Device, Tally, Waiting, settled
from monitor.ingest.fleet.halts import Trouble
from monitor.ingest.fleet.link import Login, hello, receive_maximum
from monitor.ingest.fleet.measuring import REAL
from monitor.ingest.fleet.outbox import Outbox, start_of
from monitor.ingest.fleet.plan import Plan
from monitor.ingest.fleet.roads import read_features
from monitor.ingest.fleet.script import Script
from monitor.ingest.fleet.server import ACK_TOPIC, Server, confirmation
from monitor.ingest.fleet.travel import NOTHING_HAPPENS, Travel
from monitor.ingest.mqtt import packets
from monitor.ingest.mqtt.hello import connect as hello_read
from monitor.ingest.simulate import run_fleet
from monitor.signals import instant
from tests.ingest import wire
from tests.ingest.conftest import Served
from tests.ingest.forgetful import Forgetful, fixes_in
from tests.ingest.wire import PASSWORD, PATIENCE_S, MainLoop

START = instant("2026-03-02T11:00:00Z")
MINUTE, HOUR = 60_000, 3_600_000
FEATURES = read_features(Path(__file__).parent.parent.parent / "geofences")


class Clock:
    """Program time that stands until it is set."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        """Give the program time."""
        return self.now


@pytest.fixture
def few() -> Plan:
    """Six vehicles, as they are, with nothing wrong."""
    return Plan(7, START, FEATURES, vehicles=6, script=Script(), noise=REAL)


@contextmanager
def driving(
    plan: Plan, server: Server, clock: Clock, outbox: Path | None = None, travel: Travel = NOTHING_HAPPENS
) -> Iterator[list[Tally]]:
    """Run the fleet in a thread for as long as the block; its tally is there afterwards."""
    stop, tallies = threading.Event(), list[Tally]()

    def run() -> None:
        tallies.append(run_fleet(plan, server, clock, stop, outbox, rate=1000.0, travel=travel))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield tallies
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def arrived(loop: MainLoop) -> list[tuple[str, object]]:
    """(vehicle, time) of every fix that arrived, as often as it did."""
    return [(message.vehicle, fix["time"]) for message in list(loop.messages) for fix in fixes_in(message.payload)]


def measured(plan: Plan, end: int, *vehicles: str) -> list[tuple[str, object]]:
    """(vehicle, time) of every fix the devices measure until then; of some, where they are named."""
    return [
        (name, fix["time"])
        for index, name in enumerate(plan.vehicles)
        if not vehicles or name in vehicles
        for fix in plan.fixes(index, 0, end + 1)
    ]


def server_of(served: Served) -> Server:
    """Where the test's listener is."""
    return Server("127.0.0.1", served.listener.port, PASSWORD.decode())


# -- against the listener --


def test_a_gateway_sends_for_all_vehicles_over_one_connection(few: Plan, served: Served) -> None:
    with driving(few, server_of(served)._replace(gateway=True, username="{carrier}"), Clock()) as tallies:
        served.loop.wait(lambda loop: sorted(arrived(loop)) == sorted(measured(few, START)))
    assert tallies[0].connections == 1
    assert tallies[0].confirmed == tallies[0].messages == len(served.loop.messages)


def test_a_message_sent_twice_arrives_twice_and_counts_once(few: Plan, served: Served, tmp_path: Path) -> None:
    with driving(few, server_of(served), Clock(), tmp_path / "outbox", Travel(duplicates=1.0)):
        served.loop.wait(lambda loop: sorted(arrived(loop)) == sorted(2 * measured(few, START)))
    outbox = Outbox(tmp_path / "outbox", few)
    assert all(not few.fixes(index, outbox.through(name, 0) + 1, START + 1) for index, name in enumerate(few.vehicles))


def test_a_backlog_may_be_uploaded_from_its_end(served: Served) -> None:
    plan, clock = Plan(7, START, FEATURES, vehicles=1, interval=1000), Clock()
    with driving(plan, server_of(served), clock, None, Travel(newest_first=True)):
        served.loop.wait(lambda loop: len(arrived(loop)) == len(measured(plan, START)))
    first = [str(fixes_in(message.payload)[0]["time"]) for message in served.loop.messages[:10]]
    assert first == sorted(first, reverse=True)
    assert len(set(first)) == 10


def test_in_a_hole_nothing_is_sent_and_afterwards_all_of_it(few: Plan, served: Served) -> None:
    travel, clock = Travel(holes_a_day=24.0), Clock()
    begin = next(now for now in range(START, START + HOUR, MINUTE) if travel.held(2, now) > now)
    clock.now = begin + MINUTE
    end = travel.held(2, clock.now)
    free = [name for index, name in enumerate(few.vehicles) if travel.held(index, clock.now) == clock.now]
    with driving(few, server_of(served), clock, None, travel):
        served.loop.wait(lambda loop: set(arrived(loop)) >= set(measured(few, clock.now, *free)))
        assert "truck-003" not in {vehicle for vehicle, _ in arrived(served.loop)}
        clock.now = end + MINUTE
        served.loop.wait(lambda loop: set(arrived(loop)) >= set(measured(few, clock.now - MINUTE, "truck-003")))


# -- against a broker that loses what it acknowledged, with a monitor behind it that says what it has --


@pytest.fixture
def forgetful() -> Iterator[Callable[..., Forgetful]]:
    """Brokers for one test."""
    opened: list[Forgetful] = []

    def make(forgets: Callable[[int], bool] = lambda _: False, **said: Any) -> Forgetful:
        opened.append(Forgetful(forgets, **said))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize("gateway", [False, True])
def test_what_a_broker_lost_is_sent_again_because_the_monitor_misses_it(
    forgetful: Callable[..., Forgetful], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gateway: bool
) -> None:
    monkeypatch.setattr("monitor.ingest.simulate.ASK_S", 0.0)
    plan = Plan(7, START, FEATURES, vehicles=4, interval=2000, script=Script({Trouble.UNPLUGGED: 1.0}))
    broker, clock = forgetful(lambda number: number % 3 == 1), Clock()
    server = Server("127.0.0.1", broker.port, ack_topic=ACK_TOPIC, gateway=gateway)
    with driving(plan, server, clock, tmp_path / "outbox") as tallies:
        early = set(measured(plan, START))
        while not broker.has(early):
            assert clock.now < START + HOUR, "it was never sent again"
            before, clock.now = broker.messages, clock.now + 2000
            broker.wait(lambda it, before=before: it.messages > before)  # type: ignore[misc]
    assert tallies[0].again > 0
    outbox = Outbox(tmp_path / "outbox", plan)
    for index, name in enumerate(plan.vehicles):
        kept = {when for vehicle, when in broker.times if vehicle == name}
        through = outbox.through(name, 0)
        assert all(fix["time"] in kept for fix in plan.fixes(index, 0, through + 1)), "the outbox gave up what is nowhere"


def test_a_puback_alone_empties_no_outbox_that_waits_for_the_monitor(
    few: Plan, forgetful: Callable[..., Forgetful], tmp_path: Path
) -> None:
    broker = forgetful(lambda _: False, tells=False)
    with driving(few, Server("127.0.0.1", broker.port, ack_topic=ACK_TOPIC), Clock(), tmp_path / "outbox"):
        broker.wait(lambda it: it.times == set(measured(few, START)))
    assert {Outbox(tmp_path / "outbox", few).through(name, 0) for name in few.vehicles} == {few.first - 1}


@pytest.mark.parametrize("gateway", [False, True])
def test_no_more_is_on_its_way_than_the_server_takes(forgetful: Callable[..., Forgetful], gateway: bool) -> None:
    """It says so when it admits a client of MQTT 5; every second device is one, and so is a gateway."""
    plan, broker = Plan(7, START, FEATURES, vehicles=2, interval=1000), forgetful(receive_maximum=3)
    with driving(plan, Server("127.0.0.1", broker.port, gateway=gateway), Clock()):
        broker.wait(lambda it: it.times == set(measured(plan, START)))
    assert broker.most_waiting[wire.V5] == 3
    assert broker.most_waiting.get(wire.V311, 10) == 10, "an older one has its own window"


# -- what devices remember --


def device(plan: Plan, acknowledged: int, sent: int) -> Device:
    """The first vehicle's."""
    return Device(0, plan.vehicles[0], b"topic", acknowledged, sent)


def test_a_confirmation_settles_what_it_counts() -> None:
    plan = Plan(9, START, FEATURES, vehicles=1, script=Script({Trouble.UNPLUGGED: 1.0}))
    fixes = plan.fixes(0, 0, START + 24 * HOUR)
    at = [instant(fix["time"]) for fix in fixes]
    second = next(number for number, fix in enumerate(fixes) if fix["boot"] == "2")
    one = device(plan, plan.first - 1, at[-1])
    assert settled(one, plan, 1, 10) == at[9]
    assert settled(one, plan, 1, 0) == settled(one, plan, 99, 5) == settled(one, plan, 0, 5) == plan.first - 1
    assert settled(one, plan, 2, 5) == plan.first - 1, "the boot before is still on its way"
    one.acknowledged = at[second - 1]
    assert settled(one, plan, 2, 5) == at[second + 4]
    one.acknowledged = at[second + 9]
    assert settled(one, plan, 2, 5) == at[second + 9], "it never goes back"


def test_a_receipt_of_before_the_connection_was_lost_is_none() -> None:
    one = device(Plan(7, START, FEATURES, vehicles=1), 10, 20)
    one.waiting.append(Waiting(1, 15, 20))
    one.lost()
    one.receipt(1)
    assert (one.acknowledged, one.receipts) == (10, set())


def test_a_fleet_goes_on_from_its_outbox(few: Plan, tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    assert start_of(file, 7, "demo") is None
    Outbox(file, few).save({"truck-001": START})
    assert start_of(file, 7, "demo") == START
    assert (start_of(file, 8, "demo"), start_of(file, 7, "acme")) == (None, None)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"boot": "a7", "through": 1}', b'{"boot": "1"}', b'{"boot": "1", "through": "x"}']
)
def test_what_is_no_confirmation_of_ours_is_none(payload: bytes) -> None:
    assert confirmation(payload) is None


def test_a_confirmation_is_read() -> None:
    said = confirmation(b'{"boot": "3", "through": 7, "missing": [[9, 11]], "more": true}')
    assert said is not None
    assert (said.boot, said.through, said.missing) == ("3", 7, [(9, 11)])


# -- packets --


@pytest.mark.parametrize("version", [packets.V311, packets.V5])
def test_a_hello_is_what_the_listener_reads(version: int) -> None:
    said = hello(Login("device-1", "acme/truck", "secret", version, 30))
    assert (said[0], said[1]) == (0x10, len(said) - 2)
    read = hello_read(said[2:], version)
    assert (read.client_id, read.username, read.password, read.keep_alive) == ("device-1", "acme/truck", b"secret", 30)
    nameless = hello_read(hello(Login("device-1", version=version))[2:], version)
    assert (nameless.username, nameless.password) == (None, None)


@pytest.mark.parametrize(
    ("properties", "most"),
    [
        (b"", 65_535),
        (b"\x21\0\x14", 20),
        (b"\x12\0\x02ab\x24\x01\x21\0\x07\x26\0\x01k\0\x01v", 7),
        (b"\x27\0\1\0\0\x22\0\x0a", 65_535),
    ],
)
def test_a_server_says_how_much_it_takes(properties: bytes, most: int) -> None:
    assert receive_maximum(b"\0\0" + bytes([len(properties)]) + properties) == most
