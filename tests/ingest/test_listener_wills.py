"""The last will: published when a client is lost, however it is, and not when it takes its leave in order."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from monitor.findings import FOREIGN_TOPIC
from monitor.ingest.delivery import Message
from tests.ingest import wire
from tests.ingest.conftest import Served
from tests.ingest.wire import V5, V311, Wire, connect, packet, publish, subscribe

STATUS = "telematics/v1/acme/truck/status"
WILL = (STATUS, b"gone")
VERSIONS = pytest.mark.parametrize("version", [V311, V5])


def hang_up(device: Wire, _served: Served) -> None:
    device.close()


def reset(device: Wire, _served: Served) -> None:
    device.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    device.close()


def fall_silent(_device: Wire, _served: Served) -> None:
    """Its keep-alive is a second."""


def break_a_rule(device: Wire, _served: Served) -> None:
    device.send(connect())


def be_replaced(_device: Wire, served: Served) -> None:
    served.client(client_id="mine")


def leave_with_will(device: Wire, _served: Served) -> None:
    device.send(packet(wire.DISCONNECT << 4, b"\x04"))


@pytest.mark.parametrize("lost", [hang_up, reset, fall_silent, break_a_rule, be_replaced, leave_with_will])
def test_the_will_of_a_lost_client_is_handed_over_as_its_status(served: Served, lost: Callable[[Wire, Served], None]) -> None:
    device = served.client(client_id="mine", keep_alive=1, will=WILL)
    lost(device, served)
    served.loop.wait(lambda loop: bool(loop.statuses))
    assert served.loop.statuses == [Message("acme", "truck", STATUS, b"gone")]


@VERSIONS
def test_a_client_that_disconnects_has_no_will(served: Served, version: int) -> None:
    device = served.client(will=WILL, version=version)
    device.send(packet(wire.DISCONNECT << 4, b""))
    assert device.read() is None
    served.client("other").send(publish("telematics/v1/other/truck/fix", version=V5))
    served.loop.payloads(1)
    assert served.loop.statuses == []


def test_who_watches_the_status_is_sent_the_will(served: Served) -> None:
    watcher = served.client("acme", client_id="watcher")
    watcher.send(subscribe("telematics/v1/acme/+/status"))
    assert watcher.read() == (wire.SUBACK, b"\0\x01\0\x01")
    served.client(will=WILL).close()
    assert watcher.published()[:2] == WILL


def test_the_will_of_the_old_connection_comes_before_what_the_new_one_says(served: Served) -> None:
    served.client(client_id="mine", will=WILL)
    new = served.client(client_id="mine")
    new.send(publish(STATUS, b"online"))
    assert new.read() == (wire.PUBACK, b"\0\x01")
    assert [status.payload for status in served.loop.statuses] == [b"gone", b"online"]


@pytest.mark.parametrize(
    ("topic", "code", "older_code", "foreign"),
    [
        ("telematics/v1/other/truck/status", 0x87, 5, True),
        ("telematics/v1/acme/van/status", 0x87, 5, True),
        ("telematics/v1/acme/truck/ack", 0x87, 5, True),
        ("elsewhere", 0x90, 5, False),
    ],
)
def test_a_will_that_the_client_could_not_publish_is_refused_at_once_and_kept(
    served: Served, topic: str, code: int, older_code: int, *, foreign: bool
) -> None:
    for version, expected in ((V5, code), (V311, older_code)):
        device = served.wire()
        assert device.join(connect(version=version, will=(topic, b"forged")))[1][:2] == bytes([0, expected])
        assert device.read() is None
    served.loop.wait(lambda loop: len(loop.rejects) == 2)
    assert {(reject.topic, reject.payload) for reject in served.loop.rejects} == {(topic, b"forged")}
    assert [finding.kind for finding in served.loop.findings] == [FOREIGN_TOPIC] * 2 * foreign
    assert served.loop.statuses == []


def test_when_the_monitor_leaves_it_publishes_nobodys_will(served: Served) -> None:
    device = served.client(will=WILL)
    served.ingress.close()
    assert device.read() == (wire.DISCONNECT, b"\x8b")
    device.close()
    assert served.loop.ended()
    assert served.loop.statuses == []
