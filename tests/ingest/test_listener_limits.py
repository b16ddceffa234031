"""Limits of a carrier: it waits, or is refused with a reason; nothing of it is lost, and the others do not notice."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.findings import RATE_LIMITED
from monitor.fixes import Identity, VehicleId
from monitor.ingest.mqtt.outside import Outside
from monitor.ingest.mqtt.quotas import BURST_S, TELL_EVERY_S, Quota
from monitor.ingest.sequence import Receipt
from tests.ingest import wire
from tests.ingest.conftest import LIMITS, Serve, Served
from tests.ingest.wire import V5, V311, authenticate, connect, packet, publish, subscribe

TOPIC = "telematics/v1/acme/truck/fix"
VERSIONS = pytest.mark.parametrize("version", [V311, V5])


# -- the rates --


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 50_000), st.floats(0, 2)), min_size=1, max_size=50),
)
def test_over_any_time_a_carrier_gets_its_rate_and_one_burst_and_one_read(reads: list[tuple[int, int, float]]) -> None:
    """Whoever waits as long as told never gets more than that, and never waits longer than what it sent is worth."""
    quota, now, taken, sizes = Quota(100.0, 10_000.0), 0.0, 0, 0
    for messages, size, pause in reads:
        now += quota.wait(now) + pause
        elapsed = now + BURST_S + 1e-6
        assert taken <= 100.0 * elapsed
        assert sizes <= 10_000.0 * elapsed
        wait = quota.spend(messages, size, now)
        taken, sizes = taken + messages, sizes + size
        assert wait <= max(taken / 100.0, sizes / 10_000.0)


def test_within_its_rate_nobody_waits() -> None:
    quota = Quota(100.0, 1e9)
    assert [quota.spend(10, 100, at / 10) for at in range(100)] == [0.0] * 100


def test_it_is_told_once_a_minute() -> None:
    quota = Quota(1.0, 1024.0)
    told = [at for at in range(0, 200, 10) if quota.finding("acme", "device", float(at))]
    assert told == [0, 60, 120, 180]
    assert all(later - earlier >= TELL_EVERY_S for earlier, later in pairwise(told))


@pytest.mark.parametrize("qos", [0, 1])
def test_beyond_its_rate_a_carrier_is_read_more_slowly_and_loses_nothing(serve: Serve, qos: int) -> None:
    served = serve(carrier_messages_per_s=1000.0)
    device = served.client()
    flood = b"".join(publish(TOPIC, b"%d" % i, i + 1, qos=qos) for i in range(2500))
    threading.Thread(target=device.send, args=(flood,), daemon=True).start()
    other = served.client("other/van")
    for number in range(1, 30):
        other.send(publish("telematics/v1/other/van/fix", b"other", number))
        assert other.read() == (wire.PUBACK, bytes([0, number]))
    assert len([m for m in served.loop.messages if m.carrier == "acme"]) < 2500, (
        "the flood was over before the others were served"
    )
    served.loop.wait(lambda loop: len(loop.messages) == 2500 + 29)
    assert [m.payload for m in served.loop.messages if m.carrier == "acme"] == [b"%d" % i for i in range(2500)]
    assert [(found.kind, found.carrier, found.subject) for found in served.loop.findings] == [(RATE_LIMITED, "acme", "device")]


def test_bytes_count_too_and_all_connections_of_a_carrier_together(serve: Serve) -> None:
    served = serve(carrier_bytes_per_s=20_000.0)
    devices = [served.client(client_id=f"device {number}") for number in range(4)]
    for number, device in enumerate(devices):
        device.send(publish(TOPIC, b"%d" % number * 10_000))
    assert [device.read() for device in devices] == [(wire.PUBACK, b"\0\x01")] * 4
    assert [found.kind for found in served.loop.findings] == [RATE_LIMITED]


def test_a_client_held_back_is_not_taken_for_silent(serve: Serve) -> None:
    served = serve(carrier_bytes_per_s=2048.0)
    device = served.client(keep_alive=1)
    device.send(publish(TOPIC, b"x" * 7000))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    device.send(publish(TOPIC, packet_id=2))
    assert device.read() == (wire.PUBACK, b"\0\x02")


# -- connections --


@VERSIONS
def test_one_connection_of_a_carrier_too_many_is_told_so_and_other_carriers_are_not(serve: Serve, version: int) -> None:
    served = serve(carrier_connections=1)
    first = served.client(client_id="first", version=version)
    code = 0x97 if version == V5 else 3
    assert served.wire().join(connect(client_id="second", version=version))[1][:2] == bytes([0, code])
    served.client("other/truck", client_id="second")
    assert first.silent()
    again = served.client(client_id="first", version=version)
    assert again.silent(), "who takes over its own connection is none more"
    again.send(packet(wire.DISCONNECT << 4, b""))
    assert again.read() is None
    served.client(client_id="second", version=version)


# -- sizes --


@VERSIONS
def test_of_a_packet_too_large_its_topic_and_first_bytes_are_kept(served: Served, version: int) -> None:
    device = served.client(version=version)
    device.send(publish(TOPIC, b"y" * LIMITS.max_packet_bytes, version=version))
    assert device.read() == ((wire.DISCONNECT, b"\x95") if version == V5 else None)
    served.loop.wait(lambda loop: bool(loop.rejects))
    [reject] = served.loop.rejects
    assert (reject.carrier, reject.vehicle, reject.topic) == ("acme", "truck", TOPIC)
    assert "65536 are allowed" in reject.reason
    assert TOPIC.encode() in reject.payload
    assert len(reject.payload) <= 1024


# -- reasons in words --


def test_a_reason_is_given_in_words_to_those_who_want_them(served: Served) -> None:
    device = served.client(properties=b"")
    device.send(publish("telematics/v1/other/truck/fix"))
    kind, body = device.read() or (0, b"")
    assert (kind, body[:3]) == (wire.PUBACK, b"\0\x01\x87")
    assert b"topic of another carrier" in body
    device.send(packet(0x34, wire.binary(TOPIC) + b"\0\x01\0"))
    kind, body = device.read() or (0, b"")
    assert (kind, body[:1]) == (wire.DISCONNECT, b"\x9b")
    assert b"0 and 1 are taken" in body
    assert b"wrong user name or password" in served.wire().join(connect(password=b"wrong", properties=b""))[1]


# -- credentials that end --


def test_the_connections_of_a_credential_that_is_revoked_are_closed_the_others_are_not(serve: Serve) -> None:
    revoked: set[str] = set()
    outside = Outside(revision=lambda: len(revoked), holds=lambda name, proof, _: name not in revoked or not proof)
    served = serve(outside=outside)
    stolen, older = served.client(client_id="stolen"), served.client(client_id="older", version=V311)
    mine = served.client("acme/van", client_id="mine")
    assert mine.silent()
    revoked.add("acme/truck")
    assert stolen.read() == (wire.DISCONNECT, b"\x87")
    assert older.read() is None
    assert mine.silent()


def test_who_is_revoked_is_closed_also_while_what_somebody_subscribed_to_takes_its_time(serve: Serve) -> None:
    asked, answer, revoked = threading.Event(), threading.Event(), set[str]()

    def standing(_vehicles: Sequence[VehicleId]) -> list[Receipt]:
        asked.set()
        assert answer.wait(2 * wire.PATIENCE_S)
        return []

    outside = Outside(revision=lambda: len(revoked), holds=lambda name, *_: name not in revoked, standing=standing)
    served = serve(outside=outside)
    greedy, stolen = served.client("other"), served.client("acme/truck")
    assert stolen.silent()
    greedy.send(subscribe("telematics/v1/other/van/ack"))
    assert greedy.read() == (wire.SUBACK, b"\0\x01\0\x01")
    assert asked.wait(wire.PATIENCE_S)
    revoked.add("acme/truck")
    try:
        assert stolen.read() == (wire.DISCONNECT, b"\x87")
    finally:
        answer.set()


def test_while_somebodys_password_is_looked_at_the_others_are_served(serve: Serve) -> None:
    """It takes its time on purpose; and what came with the CONNECT is taken once that is known."""
    asked, answer = threading.Event(), threading.Event()

    def gate(username: str, password: bytes) -> Identity | None:
        if username.startswith("slow"):
            asked.set()
            assert answer.wait(wire.PATIENCE_S)
        return authenticate(username, password)

    served = serve(gate=gate)
    other = served.client("other/truck")
    slow = served.wire()
    slow.send(connect("slow/truck") + publish("telematics/v1/slow/truck/fix", b"early") + packet(wire.PINGREQ << 4, b""))
    assert asked.wait(wire.PATIENCE_S)
    other.send(publish("telematics/v1/other/truck/fix", b"meanwhile"))
    assert other.read() == (wire.PUBACK, b"\0\x01")
    answer.set()
    kinds = sorted(slow.read() or (0, b"") for _ in range(3))
    assert [kind for kind, _ in kinds] == [wire.CONNACK, wire.PUBACK, wire.PINGRESP]
    assert served.loop.payloads(2) == [b"meanwhile", b"early"]


def test_a_stranger_who_leaves_before_it_is_known_who_it_is_leaves_nothing(serve: Serve) -> None:
    asked, answer = threading.Event(), threading.Event()

    def gate(username: str, password: bytes) -> Identity | None:
        if username == "slow":
            asked.set()
            assert answer.wait(wire.PATIENCE_S)
        return authenticate(username, password)

    served = serve(gate=gate, max_connections=1)
    slow = served.wire()
    slow.send(connect("slow"))
    assert asked.wait(wire.PATIENCE_S)
    assert slow.read() is None, "its time for a CONNECT is over"
    answer.set()
    assert served.client("other/truck").silent()


def test_dispatch_publishes_trips_alone(serve: Serve) -> None:
    def gate(username: str, password: bytes) -> Identity | None:
        return Identity(username, None, dispatch=True) if authenticate(username, password) else None

    office = serve(gate=gate).client("acme")
    office.send(publish("telematics/v1/acme/truck/trip") + publish(TOPIC, packet_id=2))
    assert [office.read(), office.read()] == [(wire.PUBACK, b"\0\x01"), (wire.PUBACK, b"\0\x02\x87")]


def test_a_flood_of_strangers_fills_no_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        stranger = served.wire()
        stranger.send(b"GET / HTTP/1.1\r\n\r\n")
        assert stranger.read() is None
    assert served.listener.refused == 50
    assert len([record for record in caplog.records if "not CONNECT" in record.message]) == 10
