"""What the listener sends: receipts, statuses, incidents, to those who may have them, within what they can take."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence

import pytest

from monitor.errors import StoreError
from monitor.findings import FOREIGN_TOPIC, RATE_LIMITED
from monitor.fixes import Identity, VehicleId
from monitor.ingest.mqtt.outbound import PORTION
from monitor.ingest.mqtt.outside import Outside
from monitor.ingest.mqtt.packets import Filter
from monitor.ingest.mqtt.subscriptions import FILTERS, Subscriptions
from monitor.ingest.sequence import Receipt
from tests.ingest import wire
from tests.ingest.conftest import Serve, Served
from tests.ingest.wire import V5, V311, Wire, connect, publish, subscribe

TRUCK, VAN = VehicleId("acme", "truck"), VehicleId("acme", "van")
FIX, STATUS, ACK = (f"telematics/v1/acme/truck/{channel}" for channel in ("fix", "status", "ack"))
INCIDENT = "monitor/v1/acme/incidents/7"
VERSIONS = pytest.mark.parametrize("version", [V311, V5])
NO_LOCAL, AS_PUBLISHED, ONLY_NEW, NEVER = 0x04, 0x08, 0x10, 0x20


def said(receipt: Receipt) -> dict[str, object]:
    """A receipt as the device is told it."""
    return {"boot": receipt.boot, "through": receipt.through, "missing": [list(hole) for hole in receipt.missing]}


def subscribed(wired: Wire, *patterns: str, version: int = V5, qos: int = 1) -> None:
    """Subscribe, and see it granted."""
    wired.send(subscribe(*patterns, version=version, qos=qos))
    kind, body = wired.read() or (0, b"")
    assert (kind, set(body[2 + (version == V5) :]) <= {0, 1}) == (wire.SUBACK, True), body


def office(username: str, password: bytes) -> Identity | None:
    """As elsewhere in these tests, but with a name for dispatch."""
    if username.startswith("dispatch-"):
        return Identity(username.removeprefix("dispatch-"), None, dispatch=True)
    return wire.authenticate(username, password)


# -- receipts --


@VERSIONS
def test_a_device_is_told_after_the_commit_which_of_its_numbers_are_on_disk(served: Served, version: int) -> None:
    device = served.client(version=version)
    subscribed(device, ACK, version=version)
    served.loop.receipts = [Receipt(TRUCK, "a7", 5, ((6, 6), (9, 12))), Receipt(VAN, "b", 1, ())]
    served.loop.commit.clear()
    device.send(publish(FIX, version=version))
    served.loop.payloads(1)
    assert device.silent()
    served.loop.commit.set()
    assert device.read() == (wire.PUBACK, b"\0\x01")
    topic, payload, number, retained = device.published(version)
    assert (topic, json.loads(payload), retained) == (ACK, {"boot": "a7", "through": 5, "missing": [[6, 6], [9, 12]]}, False)
    assert number > 0
    assert device.silent(), "the receipts of another vehicle are not its"


def test_at_qos_0_a_receipt_has_no_packet_id(served: Served) -> None:
    device = served.client()
    subscribed(device, ACK, qos=0)
    served.loop.receipts = [Receipt(TRUCK, "a", 1, ())]
    device.send(publish(FIX))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    assert device.published()[2] == 0


def test_what_stands_is_told_at_once_to_a_device_that_asks_again(serve: Serve) -> None:
    standing = [Receipt(TRUCK, "new", 3, ()), Receipt(TRUCK, "old", 70, ((71, 72),))]
    served = serve(outside=Outside(standing=lambda vehicles: standing if vehicles == [TRUCK] else []))
    for _ in range(2):
        device = served.client()
        subscribed(device, ACK)
        assert [json.loads(device.published()[1]) for _ in standing] == [said(each) for each in standing]
        device.close()


def test_what_stands_does_not_follow_what_is_newer(serve: Serve) -> None:
    """While the question is under way a receipt goes out: the answer, older, must not come after it."""
    asked, answer = threading.Event(), threading.Event()

    def standing(vehicles: Sequence[VehicleId]) -> list[Receipt]:
        asked.set()
        assert answer.wait(wire.PATIENCE_S)
        return [Receipt(vehicles[0], "a", 1, ()), Receipt(vehicles[0], "older boot", 9, ())]

    served = serve(outside=Outside(standing=standing))
    device = served.client()
    subscribed(device, ACK)
    assert asked.wait(wire.PATIENCE_S)
    served.loop.receipts = [Receipt(TRUCK, "a", 2, ())]
    device.send(publish(FIX))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    told = [json.loads(device.published()[1])]
    answer.set()
    told.append(json.loads(device.published()[1]))
    assert [(each["boot"], each["through"]) for each in told] == [("a", 2), ("older boot", 9)]
    assert device.silent()


def test_what_could_not_be_read_is_asked_again(serve: Serve) -> None:
    answers: Iterator[list[Receipt] | None] = iter([None, [Receipt(TRUCK, "a", 4, ())]])

    def standing(_vehicles: Sequence[VehicleId]) -> list[Receipt]:
        found = next(answers)
        if found is None:
            raise StoreError("the database is gone")
        return found

    device = serve(outside=Outside(standing=standing)).client()
    subscribed(device, ACK)
    assert json.loads(device.published()[1])["through"] == 4


def test_of_many_vehicles_the_receipts_are_asked_for_in_portions_and_between_them_it_is_the_others_turn(serve: Serve) -> None:
    asked, answer = threading.Event(), threading.Event()
    questions: list[Sequence[VehicleId]] = []

    def standing(vehicles: Sequence[VehicleId]) -> list[Receipt]:
        questions.append(vehicles)
        asked.set()
        assert answer.wait(wire.PATIENCE_S)
        return [Receipt(vehicle, "a", 1, ()) for vehicle in vehicles]

    served = serve(outside=Outside(standing=standing))
    names = [f"v{number}" for number in range(2 * PORTION + 1)]
    many, one = served.client("other"), served.client()
    subscribed(many, *(f"telematics/v1/other/{name}/ack" for name in names))
    assert asked.wait(wire.PATIENCE_S)
    subscribed(one, ACK)
    assert [one.silent(), one.silent()] == [True, True], "its question waits behind the first of the other"
    answer.set()
    assert one.published()[0] == ACK
    assert {many.published()[0].split("/")[3] for _ in names} == set(names), "none is left out"
    assert many.silent()
    assert [len(vehicles) for vehicles in questions] == [PORTION, 1, PORTION, 1]
    assert questions[1] == [TRUCK]


def test_the_statuses_of_many_vehicles_are_asked_for_once(serve: Serve) -> None:
    asked: list[str] = []

    def retained(carrier: str) -> dict[str, bytes]:
        asked.append(carrier)
        return dict.fromkeys(names, b"online")

    names = [f"v{number}" for number in range(PORTION + 1)]
    gateway = serve(outside=Outside(retained=retained)).client("acme")
    subscribed(gateway, *(f"telematics/v1/acme/{name}/{channel}" for name in names for channel in ("ack", "status")))
    assert {gateway.published()[0].split("/")[3] for _ in names} == set(names)
    assert asked == ["acme"]


def test_receipts_come_with_the_qos_granted_to_their_vehicle(serve: Serve) -> None:
    standing = [Receipt(TRUCK, "a", 1, ()), Receipt(VAN, "b", 2, ())]
    gateway = serve(outside=Outside(standing=lambda vehicles: [each for each in standing if each.vehicle in vehicles])).client(
        "acme"
    )
    van = "telematics/v1/acme/van/ack"
    gateway.send(wire.packet(0x82, b"\0\x01\0" + wire.binary(ACK) + b"\0" + wire.binary(van) + b"\x01"))
    assert gateway.read() == (wire.SUBACK, b"\0\x01\0\0\x01")
    assert [(topic, number > 0) for topic, _, number, _ in (gateway.published(), gateway.published())] == [
        (ACK, False),
        (van, True),
    ]


def test_a_receipt_goes_to_each_subscriber_once_even_where_two_filters_match(served: Served) -> None:
    gateway = served.client("acme", client_id="gateway")
    subscribed(gateway, ACK, "telematics/v1/acme/+/ack")
    served.loop.receipts = [Receipt(TRUCK, "a", 1, ()), Receipt(VAN, "b", 2, ())]
    gateway.send(publish(FIX))
    assert gateway.read() == (wire.PUBACK, b"\0\x01")
    assert [gateway.published()[0] for _ in range(2)] == [ACK, "telematics/v1/acme/van/ack"]
    assert gateway.silent()


@pytest.mark.parametrize("options", [(0, 1), (1, 0)])
def test_of_two_filters_that_match_the_larger_qos_counts(served: Served, options: tuple[int, int]) -> None:
    gateway = served.client("acme")
    for pattern, qos in zip((ACK, "telematics/v1/acme/+/ack"), options, strict=True):
        subscribed(gateway, pattern, qos=qos)
    served.loop.receipts = [Receipt(TRUCK, "a", 1, ())]
    gateway.send(publish(FIX))
    assert gateway.read() == (wire.PUBACK, b"\0\x01")
    assert gateway.published()[2] > 0


def test_no_more_is_under_way_than_the_client_takes_and_the_newest_of_a_boot_is_enough(served: Served) -> None:
    device = served.client(properties=b"\x17\x00\x21\x00\x01")
    subscribed(device, ACK)
    for number in range(1, 5):
        served.loop.receipts = [Receipt(TRUCK, "a", number, ())]
        device.send(publish(FIX, packet_id=number))
        if number == 1:
            assert device.read() == (wire.PUBACK, b"\0\x01")
            _, payload, first, _ = device.published()
        else:
            assert device.read() == (wire.PUBACK, bytes([0, number]))
    assert json.loads(payload)["through"] == 1
    assert device.silent()
    device.send(wire.packet(wire.PUBACK << 4, first.to_bytes(2, "big")))
    assert json.loads(device.published()[1])["through"] == 4
    assert device.silent()


def test_after_unsubscribing_nothing_more_comes(served: Served) -> None:
    device = served.client()
    subscribed(device, ACK)
    device.send(wire.packet(0xA2, b"\0\x03\0" + wire.binary(ACK) + wire.binary(STATUS)))
    assert device.read() == (wire.UNSUBACK, b"\0\x03\0\x00\x11")
    served.loop.receipts = [Receipt(TRUCK, "a", 1, ())]
    device.send(publish(FIX))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    assert device.silent()


# -- statuses --


@VERSIONS
def test_a_status_reaches_its_carriers_subscribers_after_the_commit_and_nobody_else(serve: Serve, version: int) -> None:
    served = serve(gate=office)
    dispatch, carrier = (served.client(name, client_id=name, version=version) for name in ("dispatch-acme", "acme"))
    stranger, van = served.client("other", client_id="other"), served.client("acme/van", client_id="van")
    for watcher in (dispatch, carrier):
        subscribed(watcher, "telematics/v1/acme/+/status", version=version)
    subscribed(stranger, "telematics/v1/other/+/status")
    subscribed(van, "telematics/v1/acme/van/status")
    device = served.client("acme/truck", client_id="truck")
    device.send(publish(STATUS, b"online", retain=True))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    for watcher in (dispatch, carrier):
        topic, payload, _, retained = watcher.published(version)
        assert (topic, payload, retained) == (STATUS, b"online", False)
    assert stranger.silent()
    assert van.silent()


def test_who_subscribes_later_is_sent_what_is_kept(serve: Serve) -> None:
    kept = {"truck": b"online", "van": b"gone"}
    served = serve(outside=Outside(retained=lambda carrier: kept if carrier == "acme" else {"bus": b"online"}))
    watcher = served.client("acme")
    subscribed(watcher, "telematics/v1/acme/+/status")
    got = [watcher.published() for _ in kept]
    assert {(topic, payload) for topic, payload, _, _ in got} == {(f"telematics/v1/acme/{k}/status", v) for k, v in kept.items()}
    assert all(retained for *_, retained in got)
    own = served.client("acme/van", client_id="van")
    subscribed(own, "telematics/v1/acme/van/status")
    assert own.published()[1::2] == (b"gone", True)
    assert own.silent()
    other = served.client("other", client_id="other")
    subscribed(other, "telematics/v1/other/+/status")
    assert other.published()[0] == "telematics/v1/other/bus/status"
    assert other.silent()


@pytest.mark.parametrize(("options", "again"), [(0, True), (ONLY_NEW, False), (NEVER, False)])
def test_whether_what_is_kept_is_sent_again_is_the_clients_choice(serve: Serve, options: int, *, again: bool) -> None:
    device = serve(outside=Outside(retained=lambda _: {"truck": b"online"})).client()
    subscribed(device, STATUS, qos=1 | options)
    if options != NEVER:
        assert device.published()[1] == b"online"
    device.send(subscribe(STATUS, qos=1 | options))
    assert device.read() == (wire.SUBACK, b"\0\x01\0\x01")
    if again:
        assert device.published()[1] == b"online"
    assert device.silent()


def test_a_client_may_want_nothing_of_its_own_and_the_retain_flag_as_it_was(served: Served) -> None:
    device, watcher = served.client(), served.client("acme", client_id="watcher")
    subscribed(device, STATUS, qos=1 | NO_LOCAL)
    subscribed(watcher, STATUS, qos=1 | AS_PUBLISHED)
    device.send(publish(STATUS, b"online", retain=True))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    assert watcher.published()[1::2] == (b"online", True)
    assert device.silent()


def test_a_position_with_a_retain_flag_is_a_position(served: Served) -> None:
    device = served.client()
    device.send(publish(FIX, b"x", retain=True))
    assert device.read() == (wire.PUBACK, b"\0\x01")
    assert served.loop.payloads(1) == [b"x"]


# -- incidents --


def test_incidents_go_to_their_carrier_and_are_kept_until_they_are_cleared(serve: Serve) -> None:
    served = serve(gate=office)
    dispatch, other = served.client("dispatch-acme", client_id="a"), served.client("other", client_id="b")
    subscribed(dispatch, "monitor/v1/acme/incidents/+")
    subscribed(other, "monitor/v1/other/incidents/#")
    served.listener.publish("acme", INCIDENT, b"open", retain=True)
    assert dispatch.published()[:2] == (INCIDENT, b"open")
    later = served.client("acme", client_id="c")
    subscribed(later, "monitor/v1/acme/incidents/#")
    assert later.published()[:2] == (INCIDENT, b"open")
    served.listener.publish("acme", INCIDENT, b"", retain=True)
    assert [later.published()[:2], dispatch.published()[:2]] == [(INCIDENT, b"")] * 2
    served.listener.publish("acme", "monitor/v1/acme/incidents/8", b"open", retain=True)
    last = served.client("acme", client_id="d")
    subscribed(last, "monitor/v1/acme/incidents/+")
    assert last.published()[0].endswith("/8"), "what was cleared is not kept"
    assert last.silent()
    assert other.silent()


# -- who may --


@pytest.mark.parametrize(
    ("username", "pattern", "granted"),
    [
        ("acme/truck", STATUS, True),
        ("acme/truck", "telematics/v1/acme/van/status", False),
        ("acme/truck", "telematics/v1/acme/+/status", False),
        ("acme/truck", "monitor/v1/acme/incidents/+", False),
        ("acme", "telematics/v1/acme/+/status", True),
        ("acme", "telematics/v1/other/+/status", False),
        ("acme", "telematics/v1/+/+/status", False),
        ("acme", "telematics/v1/acme/#", False),
        ("acme", "telematics/v1/acme/truck/fix", False),
        ("acme", "monitor/v1/acme/incidents/+", True),
        ("acme", "monitor/v1/other/incidents/+", False),
        ("acme", "monitor/v1/#", False),
        ("dispatch-acme", "telematics/v1/acme/+/status", True),
        ("acme", "#", False),
        ("acme", "+/+/+/+/+", False),
    ],
)
def test_a_client_reads_what_is_its_own_and_who_tries_more_is_noted(
    serve: Serve, username: str, pattern: str, *, granted: bool
) -> None:
    served = serve(gate=office)
    client = served.client(username)
    client.send(subscribe(pattern))
    assert client.read() == (wire.SUBACK, b"\0\x01\0" + (b"\x01" if granted else b"\x87"))
    if not granted:
        served.loop.wait(lambda loop: bool(loop.findings))
        assert [finding.kind for finding in served.loop.findings] == [FOREIGN_TOPIC]
        assert [(reject.carrier, reject.topic) for reject in served.loop.rejects] == [("acme", pattern)]


def test_a_filter_that_is_nobodys_is_refused_and_no_offence(served: Served) -> None:
    client = served.client()
    client.send(subscribe("devices/truck/commands", "$SYS/#"))
    assert client.read() == (wire.SUBACK, b"\0\x01\0\x87\x87")
    client.send(publish(FIX))
    assert client.read() == (wire.PUBACK, b"\0\x01")
    assert served.loop.findings == []


# -- bounds --


def test_a_subscriber_that_takes_nothing_is_closed_and_the_rest_are_served(serve: Serve) -> None:
    served = serve(send_buffer_bytes=8192)
    slow = served.client("acme", client_id="slow", properties=b"\x17\x00\x21\x00\x01")
    quick = served.client("acme", client_id="quick")
    for each in (slow, quick):
        subscribed(each, "monitor/v1/acme/incidents/+")
    for number in range(20):
        served.listener.publish("acme", f"monitor/v1/acme/incidents/{number}", b"x" * 1000, retain=False)
    assert [quick.published()[0].rsplit("/", 1)[1] for _ in range(20)] == [str(number) for number in range(20)]
    assert slow.published()[1] == b"x" * 1000
    assert slow.read() == (wire.DISCONNECT, b"\x97")
    assert quick.silent()


def test_thousands_of_kept_statuses_reach_a_subscriber_who_reads_slowly(serve: Serve) -> None:
    kept = {f"v{number}": b"x" * 500 for number in range(5000)}
    served = serve(send_buffer_bytes=200_000, outside=Outside(retained=lambda _: kept))
    watcher = served.wire(receive_buffer=4096)
    watcher.join(connect("acme"))
    subscribed(watcher, "telematics/v1/acme/+/status", qos=0)
    assert {watcher.published()[0].split("/")[3] for _ in kept} == set(kept)
    assert watcher.silent()


def test_a_message_larger_than_the_client_takes_is_not_sent(served: Served) -> None:
    small = served.client("acme", properties=b"\x17\x00\x27\x00\x00\x00\x64")
    subscribed(small, "monitor/v1/acme/incidents/+")
    served.listener.publish("acme", INCIDENT, b"x" * 200, retain=False)
    served.listener.publish("acme", INCIDENT, b"small", retain=False)
    assert small.published()[1] == b"small"


def test_an_answer_for_a_client_that_is_gone_is_dropped_and_nothing_is_held_for_it(serve: Serve) -> None:
    asked, answer = threading.Event(), threading.Event()

    def retained(_carrier: str) -> dict[str, bytes]:
        asked.set()
        assert answer.wait(wire.PATIENCE_S)
        return {"truck": b"x" * 1000, "van": b"x" * 1000}

    served = serve(outside=Outside(retained=retained))
    device = served.client("acme", properties=b"\x17\x00\x21\x00\x01")
    subscribed(device, "telematics/v1/acme/+/status")
    assert asked.wait(wire.PATIENCE_S)
    device.send(wire.packet(wire.DISCONNECT << 4, b""))
    assert device.read() is None
    device.close()
    other = served.client("acme", client_id="other")
    subscribed(other, "telematics/v1/acme/+/status")
    answer.set()
    assert [other.published()[1] for _ in range(2)] == [b"x" * 1000] * 2
    assert served.listener.held == 0


def test_a_subscriber_that_is_gone_is_forgotten(served: Served) -> None:
    gone, stays = served.client("acme", client_id="gone"), served.client("acme", client_id="stays")
    for each in (gone, stays):
        subscribed(each, "monitor/v1/acme/incidents/+")
    gone.send(wire.packet(wire.DISCONNECT << 4, b""))
    assert gone.read() is None
    served.listener.publish("acme", INCIDENT, b"x", retain=False)
    assert stays.published()[1] == b"x"


@VERSIONS
def test_a_connection_holds_so_many_filters_and_the_rest_is_refused_and_told(
    served: Served, caplog: pytest.LogCaptureFixture, version: int
) -> None:
    refused = b"\x97" if version == V5 else b"\x80"
    gateway, other = served.client("acme", version=version), served.client("acme/truck", client_id="other")
    patterns = [f"telematics/v1/acme/v{number}/ack" for number in range(FILTERS + 1)]

    def codes(*wanted: str) -> bytes:
        gateway.send(subscribe(*wanted, version=version))
        kind, body = gateway.read() or (0, b"")
        assert kind == wire.SUBACK
        return body[2 + (version == V5) :]

    assert codes(*patterns) == b"\x01" * FILTERS + refused
    assert codes(patterns[0], patterns[-1]) == b"\x01" + refused, "what it holds it may ask for again"
    subscribed(other, ACK)
    properties = b"\0" if version == V5 else b""
    gateway.send(wire.packet(0xA2, b"\0\x03" + properties + wire.binary(patterns[0])))
    assert (gateway.read() or (0,))[0] == wire.UNSUBACK
    assert codes(patterns[-1]) == b"\x01", "there is room again"
    served.loop.receipts = [Receipt(VehicleId("acme", f"v{number}"), "a", 1, ()) for number in (0, FILTERS)]
    gateway.send(publish(FIX, version=version))
    assert gateway.read() == (wire.PUBACK, b"\0\x01")
    assert gateway.published(version)[0] == patterns[-1]
    assert gateway.silent()
    assert [(found.kind, found.carrier, found.subject) for found in served.loop.findings] == [(RATE_LIMITED, "acme", "device")]
    assert len([record for record in caplog.records if f"more than {FILTERS} filters" in record.message]) == 1


def test_too_many_filters_are_told_once_a_minute_a_carrier() -> None:
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add(Filter(ACK, 1), "gateway")
    told = [at for at in range(0, 200, 10) if subscriptions.crowded("acme", "gateway", float(at))]
    assert told == [0, 60, 120, 180]
    assert subscriptions.crowded("other", "gateway", 190.0)
