"""Packets and payloads that nobody meant, at a whole monitor: it does not break, nothing leaks, and every message is answered and counted.

MONITOR_TORTURE=1: a million. What a payload is read as is tested in tests/ingest/test_payload_fuzz.py.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from pathlib import Path

import httpx
import pytest

from monitor.ingest.formats import FORMATS
from tests.e2e.conftest import Install
from tests.e2e.device import topic
from tests.e2e.program import PATIENCE_S, Monitor, eventually
from tests.e2e.torture import TORTURE, figure
from tests.ingest.test_payload_fuzz import WHOLE, mutated
from tests.ingest.wire import PINGREQ, PINGRESP, PUBACK, V5, V311, Wire, connect, packet, publish, subscribe, varint

COUNT = 1_000_000 if TORTURE else 20_000
BATCH = 250
LEAK = 48 * 2**20
SEED = 8


def letter(drawn: random.Random, number: int, version: int) -> bytes:
    """A packet that is right, of a payload that may be anything."""
    form, payload = drawn.choice(WHOLE)
    address = topic("truck") if form == "native" else f"fuzz/{form}/default/truck"
    return publish(address, mutated(drawn, payload), number, version=version)


def broken(drawn: random.Random, version: int, hello: bytes) -> bytes:
    """A packet that is not: cut, with a length that is not its own, with bytes replaced, or none at all."""
    good = drawn.choice([letter(drawn, 1, version), subscribe("#", version=version), hello, packet(PINGREQ << 4, b"")])
    at = drawn.randrange(len(good))
    fate = drawn.randrange(6)
    if fate == 0:
        return good[:at]
    if fate == 1:
        return good[:at] + drawn.randbytes(drawn.randrange(1, 9)) + good[at:]
    if fate == 2:
        return good[:1] + varint(drawn.choice([0, 2**14, 2**21, 2**28 - 1])) + good[2:]
    if fate == 3:
        return drawn.randbytes(drawn.randrange(1, 200))
    if fate == 4:
        return good[:1] + b"\xff\xff\xff\xff\x7f" + good[1:]
    return bytes([drawn.randrange(256)]) + good[1:]


def converse(port: int, hello: bytes, drawn: random.Random, version: int) -> int:
    """Many messages at once, each of which must be answered; then something broken. Gives how many packets there were."""
    wire = Wire(port)
    wire.socket.settimeout(PATIENCE_S)
    assert wire.join(hello)[1][1] == 0
    threading.Thread(target=wire.send, args=(b"".join(letter(drawn, n, version) for n in range(1, BATCH + 1)),)).start()
    answers = {int.from_bytes((wire.read() or (0, b""))[1][:2], "big") for _ in range(BATCH)}
    assert answers == set(range(1, BATCH + 1)), "each is acknowledged, whatever it holds"
    wire.send(broken(drawn, version, hello))
    wire.socket.close()
    return BATCH + 2


def knock(port: int, drawn: random.Random, hello: bytes, version: int) -> int:
    """Something broken where a CONNECT belongs, or right after it."""
    wire = Wire(port)
    wire.send((hello if drawn.random() < 0.5 else b"") + broken(drawn, version, hello))
    wire.socket.close()
    return 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whatever_comes_it_is_counted_and_nothing_breaks(install: Install) -> None:
    feeds = [
        f"ingest.feed.{name}.{said}"
        for name in FORMATS
        if name != "native"
        for said in (f"format={name}", f"topic=fuzz/{name}/{{carrier}}/{{vehicle}}")
    ]
    monitor, drawn, began = install(*feeds), random.Random(SEED), time.monotonic()
    token, port = monitor.token("default"), monitor.start()
    sent, connections, before = 0, 0, 0
    while sent < COUNT:
        version = drawn.choice([V311, V5])
        hello = connect("default", token.encode(), version=version, client_id=f"fuzz {connections}")
        sent += converse(port, hello, drawn, version)
        sent += sum(knock(port, drawn, hello, version) for _ in range(10))
        connections += 11
        before = before if before or sent < COUNT / 3 else resident(monitor)
    assert eventually(lambda: figures(monitor, 'connections{door="listener"}') == 0)
    after = resident(monitor)
    wire = Wire(port)
    assert wire.join(connect("default", token.encode(), client_id="last"))[1][1] == 0
    wire.send(packet(PINGREQ << 4, b"") + publish(topic("truck"), b"", 7))
    assert {wire.read(), wire.read()} == {(PINGRESP, b""), (PUBACK, b"\0\x07")}
    wire.socket.close()
    [(rejects,)] = monitor.rows("SELECT count(*) FROM reject")
    assert rejects > sent // 10
    assert figures(monitor, "rejects_total") == rejects
    assert monitor.now is not None
    assert not [line for line in monitor.now.lines if "Traceback" in line or "Error" in line]
    assert after - before < LEAK
    monitor.stop()
    figure(
        "fuzzed packets and payloads", packets=sent, connections=connections, rejects=rejects, crashes=0,
        resident_after_a_third_mb=before >> 20, resident_at_the_end_mb=after >> 20, seconds=round(time.monotonic() - began),
    )  # fmt: skip


def figures(monitor: Monitor, name: str) -> float:
    """The sum of what /metrics says under a name, whatever the labels."""
    assert monitor.now is not None
    text = httpx.get(f"http://127.0.0.1:{monitor.now.web_port()}/metrics", timeout=PATIENCE_S).text
    found = re.findall(rf"^monitor_{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    assert found, name
    return sum(map(float, found))


def resident(monitor: Monitor) -> int:
    """Bytes of memory that it holds."""
    assert monitor.now is not None
    pages = Path(f"/proc/{monitor.now.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
