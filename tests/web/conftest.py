"""An HTTP door on a free port with a main loop behind it, for one test."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from monitor.errors import StoreError
from monitor.fixes import Identity, Reject
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import Feeds
from monitor.ingest.ingress import Ingress
from monitor.ingest.sequence import Receipt
from monitor.settings import Ingest, Web
from monitor.watchkeeping import Report
from monitor.web.callers import Credentials
from monitor.web.door import HttpDoor
from monitor.web.judging import judging
from monitor.web.reception import Verdict

PATIENCE_S = 10.0
TOKEN = "right-token"
NOW = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1000)
LIMITS = Web(port=0, max_body_bytes=65_536)


def basic(username: str, password: bytes) -> Identity | None:
    """Anybody who knows the password is who they say; the name `broken` finds no database."""
    carrier, _, vehicle = username.partition("/")
    if carrier == "broken":
        raise StoreError("monitor.db: the disk is full")
    if password != TOKEN.encode():
        return None
    return Identity(carrier, vehicle or None, dispatch=carrier == "dispatch")


def bearer(token: str) -> Identity | None:
    """One token, of one carrier."""
    return Identity("acme") if token == TOKEN else None


class Vitals:
    """How a monitor is that says what a test has it say."""

    def __init__(self) -> None:
        self.said = Report([], [])

    def alive(self) -> Report:
        """What was said."""
        return self.said

    def ready(self) -> Report:
        """The same."""
        return self.said

    def exposition(self) -> bytes:
        """One figure."""
        return b"monitor_ready 1.0\n"


class Served:
    """A door that runs, and its main loop: what is taken is committed while `commit` is set."""

    def __init__(self, **said: Any) -> None:
        self.messages: list[Message] = []
        self.rejects: list[Reject] = []
        self.findings: list[Any] = []
        self.receipts: list[Receipt] = []
        self.commit = threading.Event()
        self.commit.set()
        self.took = threading.Condition()
        self.vitals = Vitals()
        self.judging, self.may_judge = threading.Event(), threading.Event()
        self.may_judge.set()
        self._judge = judging(Ingest(), Feeds({}), lambda: NOW)
        self.door = HttpDoor(dataclasses.replace(LIMITS, **said), Credentials(basic, bearer), self._judged, self.vitals)
        self.ingress = Ingress([self.door], 1000)
        self.ingress.start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def client(self, username: str = "acme/truck", password: str = TOKEN, **said: Any) -> httpx.Client:
        """A client with a credential."""
        address = f"http://127.0.0.1:{self.door.port}"
        return httpx.Client(base_url=address, auth=(username, password), timeout=PATIENCE_S, **said)

    def wait_for(self, claim: Callable[[], bool]) -> bool:
        """Wait until what was taken makes a claim true."""
        with self.took:
            return self.took.wait_for(claim, PATIENCE_S)

    def stop(self) -> None:
        """Commit what is held back and close."""
        self.commit.set()
        self.ingress.close()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _judged(self, message: Message) -> Verdict:
        self.judging.set()
        self.may_judge.wait(PATIENCE_S)
        return self._judge(message)

    def _run(self) -> None:
        for delivery in self.ingress:
            with self.took:
                self.messages += delivery.messages
                self.rejects += delivery.rejects
                self.findings += delivery.findings
                self.took.notify_all()
            self.commit.wait(PATIENCE_S)
            delivery.acknowledge(self.receipts)


@contextmanager
def serving(**said: Any) -> Iterator[Served]:
    """Run a door for as long as the block."""
    served = Served(**said)
    try:
        yield served
    finally:
        served.stop()


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start doors with settings of the test's own."""
    with ExitStack() as stack:
        yield lambda **said: stack.enter_context(serving(**said))


@pytest.fixture
def served() -> Iterator[Served]:
    """A door with the settings of `LIMITS`."""
    with serving() as it:
        yield it
