"""A listener on a free port with a main loop behind it, for one test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from monitor.ingest.ingress import Ingress
from monitor.ingest.listener import Listener
from monitor.ingest.mqtt.handshake import Authenticate
from monitor.ingest.mqtt.outside import ALONE, Outside
from monitor.settings import Listener as Limits
from tests.ingest.wire import MainLoop, Wire, authenticate, connect

LIMITS = Limits(port=0, connect_timeout=timedelta(seconds=1), max_packet_bytes=65_536)


class Served:
    """A listener that runs, its main loop, and connections to it."""

    def __init__(self, *, batch: int = 1000, outside: Outside = ALONE, gate: Authenticate = authenticate, **limits: Any) -> None:
        self.listener = Listener(dataclasses.replace(LIMITS, **limits), batch, gate, outside)
        self.ingress = Ingress([self.listener], batch)
        self.ingress.start()
        self.loop = MainLoop(self.ingress)
        self._wires: list[Wire] = []

    def wire(self, *, receive_buffer: int = 0) -> Wire:
        """Open a TCP connection, closed at the end of the test."""
        wire = Wire(self.listener.port, receive_buffer=receive_buffer)
        self._wires.append(wire)
        return wire

    def client(self, username: str = "acme/truck", **said: Any) -> Wire:
        """Open a connection that has been admitted."""
        wire = self.wire()
        kind, body = wire.join(connect(username, **said))
        assert (kind, body[1]) == (2, 0)
        return wire

    def stop(self) -> None:
        """Commit what is held back and close."""
        self.loop.commit.set()
        self.ingress.close()
        for wire in self._wires:
            wire.close()
        assert self.loop.ended()


Serve = Callable[..., Served]


@contextmanager
def serving(**settings: Any) -> Iterator[Served]:
    """Run a listener for as long as the block."""
    served = Served(**settings)
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start listeners with settings of the test's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(**settings))


@pytest.fixture
def served() -> Iterator[Served]:
    """A listener with the settings of `LIMITS`."""
    with serving() as it:
        yield it
