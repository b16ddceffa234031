"""The parts of the uplink by themselves: the stream cut anywhere gives the same packets, and of letters the newest goes out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest.uplink import mail
from monitor.ingest.uplink.client import warnings
from monitor.ingest.uplink.mail import Letter, Mail
from monitor.ingest.uplink.stream import Stream
from monitor.settings import Broker
from tests.ingest.wire import packet, publish

CONNACK, PUBACK, QOS_2 = packet(0x20, b"\0\0\0"), packet(0x40, b"\0\7"), packet(0x34, b"\0\1t\0\1\0x")
LARGE = publish("t", b"x" * 200_000)
BODIES = {name: publish("t", name.encode(), qos=qos) for name, qos in (("a", 1), ("b", 0), ("c", 1))}


class Pair:
    """A stream, and the other end of its connection."""

    def __init__(self) -> None:
        self.far, near = socket.socketpair()
        near.setblocking(False)
        self.heard: list[tuple[int, bytes]] = []
        self.stream = Stream(near, lambda first, body: self.heard.append((first, body)))

    def for_paho(self) -> bytes:
        """All that paho could read now."""
        out = b""
        while self.stream.waiting:
            piece = self.stream.recv(3)
            if not piece:
                break
            out += piece
        return out


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A connection."""
    it = Pair()
    yield it
    it.far.close()
    it.stream.close()


@given(st.lists(st.integers(1, 40), max_size=12))
def test_a_stream_cut_anywhere_gives_messages_and_answers_to_us_and_the_rest_to_paho(cuts: list[int]) -> None:
    it, whole = Pair(), CONNACK + BODIES["a"] + PUBACK + BODIES["b"] + QOS_2 + BODIES["c"]
    others, at = b"", 0
    for cut in [*cuts, len(whole)]:
        it.far.sendall(whole[at : at + cut])
        at += cut
        it.stream.fill()
        others += it.for_paho()
    assert others == CONNACK + QOS_2
    heard = [(first, body[-1:]) for first, body in it.heard]
    assert heard == [(0x32, b"a"), (0x40, b"\7"), (0x30, b"b"), (0x32, b"c")]
    it.far.close()
    it.stream.close()


def test_a_message_longer_than_one_read_is_heard_once_it_is_whole(pair: Pair) -> None:
    pair.far.sendall(LARGE[:100_000])
    pair.stream.fill()
    assert pair.heard == []
    pair.far.sendall(LARGE[100_000:])
    pair.stream.fill()
    assert [body[-200_000:] for _, body in pair.heard] == [b"x" * 200_000]


def test_the_end_of_the_connection_reaches_paho_after_what_came_before_it(pair: Pair) -> None:
    pair.far.sendall(CONNACK)
    pair.far.close()
    pair.stream.fill()
    pair.stream.fill()
    assert pair.stream.recv(100) == CONNACK
    assert pair.stream.waiting
    assert pair.stream.recv(100) == b""


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 300_000])
def test_a_packet_for_paho_is_put_together_again_whatever_its_length(pair: Pair, length: int) -> None:
    whole = packet(0x20, b"x" * length)
    got, sent = b"", 0
    while len(got) < len(whole):
        sent += pair.far.send(whole[sent : sent + 50_000])
        pair.stream.fill()
        got += pair.for_paho()
    assert got == whole


def test_with_nothing_to_read_paho_is_told_to_come_again(pair: Pair) -> None:
    pair.stream.fill()
    assert not pair.stream.waiting
    with pytest.raises(BlockingIOError):
        pair.stream.recv(1)


def test_what_the_other_side_does_not_take_yet_is_written_later(pair: Pair) -> None:
    whole = b"x" * 4_000_000
    pair.stream.write(whole)
    pair.stream.flush()
    assert pair.stream.unsent
    got = b""
    while len(got) < len(whole):
        got += pair.far.recv(1_000_000)
        pair.stream.flush()
    assert (got, pair.stream.unsent) == (whole, False)


def test_writing_to_a_connection_that_is_gone_is_its_end_and_no_exception(pair: Pair) -> None:
    pair.far.close()
    pair.stream.write(b"x")
    pair.stream.flush()
    assert pair.stream.waiting


@pytest.mark.parametrize(
    ("said", "warned"),
    [
        ({}, []),
        ({"host": "10.0.0.1", "tls": True, "ca_file": "ca"}, []),
        ({"host": "broker.example.com"}, ["ingest.broker.host"]),
        ({"host": "localhost", "ca_file": "ca"}, ["ingest.broker.ca_file"]),
        ({"key": "key", "tls": True}, ["ingest.broker.key"]),
        ({"password_file": "secret"}, ["ingest.broker.password_file"]),
    ],
)
def test_what_is_unwise_or_said_in_vain_is_warned_of(said: dict[str, Any], warned: list[str]) -> None:
    assert [line.split(":")[0].split(" ")[0] for line in warnings(Broker(**said))] == warned


def letters(it: Mail) -> list[bytes]:
    out = []
    while one := it.next():
        out.append(one[1].payload)
    return out


def test_of_letters_under_one_key_the_newest_goes_out() -> None:
    it = Mail()
    for key, payload in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        it.post(key, Letter("t", payload))
    assert letters(it) == [b"3", b"2"]


def test_a_letter_that_did_not_arrive_goes_out_again_unless_there_is_a_newer_one() -> None:
    it = Mail()
    it.post("a", Letter("t", b"newer"))
    it.returned("a", Letter("t", b"older"))
    it.returned("b", Letter("t", b"again"))
    assert letters(it) == [b"newer", b"again"]


def test_letters_beyond_the_bound_push_out_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "MOST", 3)
    it = Mail()
    for number in range(5):
        it.post(number, Letter("t", b"%d" % number))
    assert (it.dropped, letters(it)) == (2, [b"2", b"3", b"4"])
