"""One carrier floods at many times its limit: the others are served as before, all of it is kept, and it is a finding."""

from __future__ import annotations

import contextlib
import re
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.e2e.conftest import Install
from tests.e2e.device import topic
from tests.e2e.program import PATIENCE_S, Monitor, eventually
from tests.e2e.test_faults import letters
from tests.e2e.torture import TORTURE, figure
from tests.ingest.wire import PUBACK, Wire, connect, publish

RATE = 200
"""Messages a second that a carrier may send."""
ASKED = 500 if TORTURE else 100
"""How many messages of another carrier are timed, with the flood and without."""


def timed(wire: Wire, vehicle: str, first: int) -> list[float]:
    """Send one after the other; gives the milliseconds from each PUBLISH to its PUBACK."""
    took = []
    for number, (_, payload) in enumerate(letters(first, ASKED), first + 1):
        at = time.monotonic()
        wire.send(publish(topic(vehicle, "quiet"), payload, number))
        assert wire.read() == (PUBACK, number.to_bytes(2, "big"))
        took.append((time.monotonic() - at) * 1000)
        threading.Event().wait(0.01)
    return took


def p99(took: list[float]) -> float:
    """In milliseconds."""
    return round(statistics.quantiles(took, n=100)[98], 1)


@contextlib.contextmanager
def flooding(wire: Wire) -> Iterator[list[int]]:
    """Send as fast as the connection takes it, far beyond what is allowed; tells how many messages went out whole."""
    sent, over, payload = [0], threading.Event(), letters(0, 1)[0][1]

    def go() -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while not over.is_set():
                block = [publish(topic("flood", "loud"), payload, n % 0xFFFF + 1) for n in range(sent[0], sent[0] + 100)]
                wire.socket.sendall(b"".join(block))
                sent[0] += 100

    def swallow() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set() and wire.socket.recv(65_536):
                pass

    wire.socket.settimeout(PATIENCE_S)
    both = [threading.Thread(target=act) for act in (go, swallow)]
    for thread in both:
        thread.start()
    yield sent
    over.set()
    wire.socket.shutdown(socket.SHUT_RDWR)
    for thread in both:
        thread.join(PATIENCE_S)


@pytest.mark.slow
def test_one_carrier_floods_and_the_others_are_served(install: Install) -> None:
    monitor = install(f"ingest.listener.carrier_messages_per_s={RATE}")
    loud, quiet = monitor.token("loud"), monitor.token("quiet")
    port = monitor.start()
    noisy, calm = Wire(port), Wire(port)
    with closing(noisy.socket), closing(calm.socket):
        assert noisy.join(connect("loud", loud.encode(), client_id="loud"))[1][1] == 0
        assert calm.join(connect("quiet", quiet.encode(), client_id="quiet"))[1][1] == 0
        timed(calm, "warm", 0)
        without = timed(calm, "alone", ASKED)
        began, before = time.monotonic(), messages(monitor, "loud")
        with flooding(noisy) as sent:
            assert eventually(lambda: limited(monitor))
            beside = timed(calm, "beside", 2 * ASKED)
            taken, asked, lasted = messages(monitor, "loud") - before, sent[0], time.monotonic() - began
    assert fixes(monitor, "quiet") == 3 * ASKED
    assert asked > taken, "the flood was held back"
    monitor.stop()
    figure(
        "one carrier floods", limit_per_s=RATE, others_p99_ms_without=p99(without), others_p99_ms_beside=p99(beside),
        ratio=round(p99(beside) / p99(without), 2), others_messages=ASKED, others_lost=0,
        flood_taken_per_s=round(taken / lasted), seconds=round(lasted),
    )  # fmt: skip


def messages(monitor: Monitor, carrier: str) -> int:
    """How many messages of a carrier were committed."""
    assert monitor.now is not None
    text = httpx.get(f"http://127.0.0.1:{monitor.now.web_port()}/metrics", timeout=PATIENCE_S).text
    found = re.search(rf'^monitor_messages_total{{carrier="{carrier}"}} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def limited(monitor: Monitor) -> bool:
    """Whether it was found out."""
    return monitor.rows("SELECT kind, carrier FROM finding") == [("rate_limited", "loud")]


def fixes(monitor: Monitor, carrier: str) -> int:
    return int(
        monitor.rows(f"SELECT count(*) FROM fix f JOIN vehicle v ON v.id = f.vehicle_id WHERE v.carrier = '{carrier}'")[0][0]
    )
