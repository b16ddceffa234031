"""The heartbeat: asked while all is well, not while it is not; a failure is told once, without the address."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from monitor import heartbeat
from monitor.heartbeat import Heartbeat


class Other(ThreadingHTTPServer):
    """The other side: counts what is asked, and answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = 200
        self.go = threading.Event()
        self.go.set()
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        """An address of it, the path a secret."""
        return f"http://127.0.0.1:{self.server_address[1]}/secret-of-ours"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Other

    def do_GET(self) -> None:
        """Answer, once it may."""
        self.server.asked.append(self.path)
        self.server.go.wait(10)
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@pytest.fixture
def other() -> Iterator[Other]:
    made = Other()
    yield made
    made.go.set()
    made.shutdown()
    made.server_close()
    made.thread.join(10)


def test_it_is_asked_while_all_is_well_and_not_while_it_is_not(other: Other) -> None:
    well = True
    heart = Heartbeat(other.url, lambda: well)
    assert heart.beat()
    well = False
    assert not heart.beat()
    assert other.asked == ["/secret-of-ours"]


def test_without_an_address_nobody_is_asked() -> None:
    assert not Heartbeat("", lambda: True).beat()


def test_a_failure_is_told_once_and_so_is_its_end(other: Other, caplog: pytest.LogCaptureFixture) -> None:
    heart = Heartbeat(other.url, lambda: True)
    with caplog.at_level(logging.WARNING, "monitor.heartbeat"):
        other.answer = 500
        assert [heart.beat(), heart.beat()] == [False, False]
        other.answer = 200
        assert [heart.beat(), heart.beat()] == [True, True]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "answered 500" in caplog.text
    assert "secret-of-ours" not in caplog.text


def test_nobody_there_is_a_failure_and_the_address_is_not_told(other: Other, caplog: pytest.LogCaptureFixture) -> None:
    url = other.url
    other.shutdown()
    other.server_close()
    with caplog.at_level(logging.WARNING, "monitor.heartbeat"):
        assert not Heartbeat(url, lambda: True).beat()
    assert "ConnectError" in caplog.text
    assert "secret-of-ours" not in caplog.text


def test_one_that_does_not_answer_is_given_up(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "TIMEOUT_S", 0.05)
    other.go.clear()
    assert not Heartbeat(other.url, lambda: True).beat()


def test_a_beat_is_left_out_while_another_is_under_way(other: Other) -> None:
    heart = Heartbeat(other.url, lambda: True)
    other.go.clear()
    first = threading.Thread(target=heart.beat)
    first.start()
    waiting = threading.Event()
    while not other.asked:
        waiting.wait(0.01)
    assert not heart.beat()
    other.go.set()
    first.join(10)
    assert len(other.asked) == 1
