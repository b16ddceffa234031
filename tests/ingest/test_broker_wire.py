"""A broker that misbehaves, written byte by byte: one bad message holds up no other, and what cannot be read is kept."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from monitor.errors import ServiceError
from monitor.ingest.broker import Broker
from monitor.ingest.ingress import Ingress
from monitor.ingest.uplink import conversation
from monitor.settings import Broker as Address
from tests.ingest.mosquitto import finish
from tests.ingest.taking import Taker
from tests.ingest.wire import PATIENCE_S, PUBACK, PUBLISH, SUBSCRIBE, binary, packet, publish

CONNACK, TOPIC = packet(0x20, b"\0\0\0"), "telematics/v1/acme/truck/fix"
BAD_PROPERTY = packet(0x32, binary(TOPIC) + b"\0\7" + b"\2\x7f\0" + b"payload")
"""A PUBLISH with packet id 7 and a property that MQTT does not know."""
ALIAS = packet(0x32, binary(TOPIC) + b"\0\7" + b"\3\x23\0\1" + b"payload")
QOS_2 = packet(0x34, binary(TOPIC) + b"\0\11" + b"\0" + b"payload")
CUT_SHORT = packet(0x32, binary(TOPIC)[:-4])


class Rogue:
    """Answers CONNECT and SUBSCRIBE as it is told, then sends what it is told, and more at a PUBACK, once in each connection."""

    def __init__(
        self, sent: bytes, more: bytes = b"", *, welcome: bytes = CONNACK, answers: bool = True, grants: Sequence[int] = (1, 1)
    ) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._welcome = welcome
        self._sent, self._more, self._answers, self._grants = sent, more, answers, bytes(grants)
        self.heard: list[tuple[int, bytes]] = []
        self.connections = 0
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """End the connection of now."""
        self._line.shutdown(socket.SHUT_RDWR)

    def wait(self, kind: int, count: int = 1) -> list[bytes]:
        """Wait for packets of a kind; gives their bodies."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._of(kind)) >= count, PATIENCE_S), self.heard
            return self._of(kind)

    def close(self) -> None:
        """Accept nobody any more."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(PATIENCE_S)

    def _of(self, kind: int) -> list[bytes]:
        return [body for said, body in self.heard if said == kind]

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            self.connections, self._line = self.connections + 1, line
            with line, contextlib.suppress(ConnectionError):
                self._converse(line)

    def _converse(self, line: socket.socket) -> None:
        data = b""
        while piece := line.recv(4096):
            data += piece
            while len(data) >= 2 and len(data) >= 2 + data[1]:
                kind, body, data = data[0] >> 4, data[2 : 2 + data[1]], data[2 + data[1] :]
                with self._news:
                    self.heard.append((kind, body))
                    self._news.notify_all()
                if self._answers and kind == 1:
                    line.sendall(self._welcome)
                if kind == PUBACK:
                    line.sendall(self._more)
                if kind == SUBSCRIBE:
                    line.sendall(packet(0x90, body[:2] + b"\0" + self._grants) + self._sent)


@pytest.fixture
def rogues() -> Iterator[list[Rogue]]:
    """Brokers to be closed after the test."""
    made: list[Rogue] = []
    yield made
    for rogue in made:
        rogue.close()


def started(rogues: list[Rogue], rogue: Rogue) -> tuple[Ingress, Taker]:
    rogues.append(rogue)
    ingress = Ingress([Broker(Address(port=rogue.port), 100)], 100)
    ingress.start()
    return ingress, Taker(ingress)


@pytest.mark.parametrize("bad", [BAD_PROPERTY, ALIAS], ids=["unknown property", "topic alias"])
def test_a_message_that_is_not_mqtt_is_kept_and_acknowledged_and_the_next_one_comes(rogues: list[Rogue], bad: bytes) -> None:
    rogue = Rogue(bad + publish(TOPIC, b"good", 8))
    ingress, taker = started(rogues, rogue)
    assert taker.payloads(1) == [b"good"]
    assert sorted(rogue.wait(PUBACK, 2)) == [b"\0\7", b"\0\10"]
    [reject] = taker.rejects
    assert (reject.topic, reject.payload[-7:]) == (TOPIC, b"payload")
    assert reject.reason.startswith("MQTT: ")
    assert rogue.connections == 1
    finish(ingress, taker)


def test_a_topic_that_is_no_text_is_kept_as_a_reject(rogues: list[Rogue]) -> None:
    ingress, taker = started(rogues, Rogue(publish(b"telematics/v1/acme/\xff/fix", b"whose?")))
    taker.wait(lambda _: bool(taker.rejects))
    assert (taker.rejects[0].reason, taker.rejects[0].payload) == ("topic: a text that is not UTF-8", b"whose?")
    finish(ingress, taker)


def test_a_message_that_cannot_even_be_acknowledged_ends_the_connection_and_not_the_thread(rogues: list[Rogue]) -> None:
    rogue = Rogue(publish(TOPIC, b"before", 8), CUT_SHORT)
    ingress, taker = started(rogues, rogue)
    taker.wait(lambda _: len(taker.messages) >= 2)
    [door] = ingress.doors
    assert isinstance(door, Broker)
    assert (door.uplink.counts.connections, door.uplink.counts.deaths) == (2, 0)
    finish(ingress, taker)


def test_a_message_of_qos_2_that_nobody_asked_for_is_not_taken_for_another(rogues: list[Rogue]) -> None:
    rogue = Rogue(QOS_2 + publish(TOPIC, b"good", 8))
    ingress, taker = started(rogues, rogue)
    assert taker.payloads(1) == [b"good"]
    assert rogue.wait(5) == [b"\0\11"]  # paho's PUBREC
    finish(ingress, taker)


def test_a_broker_that_does_not_answer_is_one_clear_line(rogues: list[Rogue], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "ANSWER_S", 0.5)
    rogues.append(rogue := Rogue(b"", answers=False))
    with pytest.raises(ServiceError, match=r"did not answer in 0.5 s$"):
        Ingress([Broker(Address(port=rogue.port), 100)], 100).start()


def test_a_subscription_that_is_refused_is_named(rogues: list[Rogue]) -> None:
    rogues.append(rogue := Rogue(b"", grants=(1, 0x87)))
    with pytest.raises(ServiceError, match=r"refuses the subscription to telematics/v1/\+/\+/status: Not authorized$"):
        Ingress([Broker(Address(port=rogue.port), 100)], 100).start()


def test_a_broker_that_keeps_our_session_for_a_shorter_time_is_told_of(
    rogues: list[Rogue], caplog: pytest.LogCaptureFixture
) -> None:
    ingress, taker = started(rogues, Rogue(b"", welcome=packet(0x20, b"\0\0\5\x11\0\0\0\x3c")))
    assert "keeps our session for 60 s only, not for the 604800 s" in caplog.text
    finish(ingress, taker)


def test_no_more_letters_are_under_way_than_the_broker_allows_and_those_unanswered_go_out_again(rogues: list[Rogue]) -> None:
    rogue = Rogue(b"", welcome=packet(0x20, b"\0\0\3\x21\0\3"))
    ingress, taker = started(rogues, rogue)
    [door] = ingress.doors
    assert isinstance(door, Broker)
    for number in range(10):
        door.publish("acme", f"monitor/v1/acme/incidents/{number}", b"%d" % number, retain=False)
    assert [body[-1:] for body in rogue.wait(PUBLISH, 3)] == [b"0", b"1", b"2"]
    rogue.hang_up()
    again = [body[-1:] for body in rogue.wait(PUBLISH, 6)]
    assert len(again) == 6
    assert set(again[3:]) <= {b"%d" % number for number in range(10)}
    assert len(door.uplink.mail) == 7
    finish(ingress, taker)


def test_a_broker_that_does_not_speak_mqtt_5_is_one_clear_line(rogues: list[Rogue]) -> None:
    rogues.append(rogue := Rogue(b"", welcome=packet(0x20, b"\0\x84\0")))
    with pytest.raises(ServiceError, match=r"refuses us: Unsupported protocol version$"):
        Ingress([Broker(Address(port=rogue.port), 100)], 100).start()


@pytest.mark.parametrize("noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 64, b"\x00" * 64, b"\x30\xff\xff\xff\xff\x7f"])
def test_what_is_no_broker_at_all_ends_in_one_clear_line(noise: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "ANSWER_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line, _ = server.accept()
            with line:
                line.recv(4096)
                line.sendall(noise)
                line.recv(4096)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(ServiceError, match=r"^broker 127\.0\.0\.1 port \d+ "):
            Ingress([Broker(Address(port=server.getsockname()[1]), 100)], 100).start()
        thread.join(PATIENCE_S)
