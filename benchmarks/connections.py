"""Ten thousand devices that only keep their connection, and five hundred that send: what each costs, and that nobody is lost.

A whole monitor in one process, the idle devices in another, the busy ones in a third: three processes on the same cores. The
idle ones send a PINGREQ every 20 seconds and must all be answered; the busy ones send 5,000 messages a second in all, QoS 1,
every PUBACK awaited. By TLS there are fewer, because the other side of each costs as much.
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.publisher import counted, packet
from benchmarks.running import CARRIER, Running, running
from benchmarks.table import show
from monitor.clock import world_clock

IDLE, IDLE_TLS = 10_000, 2_000
BUSY, RATE, SECONDS = 500, 5_000, 15
PING_EVERY_S = 20.0
PINGREQ = b"\xc0\x00"
HOUR_MS = 3_600_000


def hold() -> None:
    """Carry out one order: open connections, say so, ping until the standard input ends; the report is what came back."""
    order = json.loads(sys.stdin.readline())
    allow_files()
    context = ssl.create_default_context(cafile=order["ca"]) if order["ca"] else None
    begun = time.monotonic()
    sockets = [opened(order, number, context) for number in range(order["count"])]
    print(json.dumps({"seconds": time.monotonic() - begun}), flush=True)
    ended = threading.Event()
    threading.Thread(target=until_told, args=(ended,), daemon=True).start()
    json.dump(pinging(sockets, ended), sys.stdout)


def until_told(ended: threading.Event) -> None:
    """Wait for the end of the standard input."""
    sys.stdin.read()
    ended.set()


def opened(order: dict[str, Any], number: int, context: ssl.SSLContext | None) -> socket.socket:
    """One connection that was let in."""
    raw = socket.create_connection(("127.0.0.1", order["port"]), timeout=30)
    sock = context.wrap_socket(raw, server_hostname="localhost") if context else raw
    hello = counted(b"MQTT") + b"\x04\xc2" + (120).to_bytes(2, "big")
    hello += counted(b"idle-%d" % number) + counted(order["carrier"].encode()) + counted(order["secret"].encode())
    sock.sendall(packet(0x10, hello))
    if sock.recv(4) != b"\x20\x02\x00\x00":
        raise SystemExit("the monitor refused a connection")
    return sock


def pinging(sockets: list[socket.socket], ended: threading.Event) -> dict[str, float]:
    """Ping each in turn, so that all are through every 20 seconds; gives pings, answers, connections lost and the longest wait."""
    selector = selectors.DefaultSelector()
    for sock in sockets:
        selector.register(sock, selectors.EVENT_READ)
    begun, sent, answered, lost, worst = time.monotonic(), 0, 0, 0, 0.0
    asked: dict[socket.socket, float] = {}
    while not ended.is_set() or asked:
        now = time.monotonic()
        if not ended.is_set() and sent < (now - begun) * len(sockets) / PING_EVERY_S:
            sock = sockets[sent % len(sockets)]
            if sock not in asked:
                sock.sendall(PINGREQ)
                asked[sock] = now
            sent += 1
        for key, _ in selector.select(0.001):
            sock = key.fileobj  # type: ignore[assignment]
            if sock.recv(2) == b"\xd0\x00":
                answered += 1
                worst = max(worst, time.monotonic() - asked.pop(sock))
            else:
                lost += 1
                selector.unregister(sock)
                asked.pop(sock, None)
    return {"sent": sent, "answered": answered, "lost": lost, "worst": worst}


def allow_files() -> None:
    """Raise the number of files that may be open as far as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def idle(monitor: Running, count: int, ca: str = "") -> Iterator[tuple[float, list[dict[str, float]]]]:
    """Idle devices for as long as the block; gives how long they took to connect, and their report once the block is over."""
    order = {"port": monitor.app.port, "carrier": CARRIER, "secret": monitor.secret, "count": count, "ca": ca}
    words = [sys.executable, "-m", "benchmarks.connections", "hold"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        report: list[dict[str, float]] = []
        took = json.loads(process.stdout.readline() or '{"seconds": -1}')["seconds"]
        if took < 0:
            raise SystemExit("the idle devices did not connect")
        try:
            yield took, report
        finally:
            process.stdin.close()
            report.append(json.loads(process.stdout.read()))


def memory() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def busy(monitor: Running) -> tuple[float, float]:
    """Five hundred devices at 5,000 messages a second; gives what was reached, and the CPU microseconds of the monitor for each message."""
    order = {"vehicles": BUSY, "connections": BUSY, "window": 10}
    first = world_clock() - 24 * HOUR_MS
    monitor.order("benchmarks.publisher", first_ms=first, messages=BUSY, rate=0, **order)  # compiles, and names the vehicles
    messages = RATE * SECONDS
    report, spent = monitor.order("benchmarks.publisher", first_ms=first + HOUR_MS, messages=messages, rate=RATE, **order)
    return messages / report["seconds"], spent / messages * 1e6


def certificate(folder: Path) -> list[str]:
    """Settings of a listener by TLS, with a certificate that signs itself."""
    pem, key = folder / "server.pem", folder / "server.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(words, check=True, capture_output=True)
    return [f"ingest.listener.tls_certificate={pem}", f"ingest.listener.tls_key={key}"]


def measured(count: int, *, tls: bool) -> list[object]:
    """One run on a new database: a row of the table."""
    with tempfile.TemporaryDirectory(prefix="monitor-benchmark-") as folder:
        settings = ["ingest.listener.carrier_connections=20000", *(certificate(Path(folder)) if tls else [])]
        ca = str(Path(folder, "server.pem")) if tls else ""
        with running(settings) as monitor:
            before, spent = memory(), time.process_time()
            with idle(monitor, count, ca) as (took, report):
                each = (memory() - before) / count
                connecting = (time.process_time() - spent) / count * 1e3
                spent = time.process_time()
                time.sleep(PING_EVERY_S / 2)
                share = (time.process_time() - spent) / (PING_EVERY_S / 2) * 100
                rate, cpu = busy(monitor) if not tls else (0.0, 0.0)
    said = report[0]
    row: list[object] = [f"{count:,} idle{' by TLS' if tls else ''}", each / 1024, int(count / took), connecting, share]
    return [*row, int(said["lost"]), said["worst"] * 1e3, int(rate), cpu]


def main() -> None:
    """Measure and print."""
    allow_files()
    rows = [measured(IDLE, tls=False), measured(IDLE_TLS, tls=True)]
    heads = ["case", "KiB each", "connected/s", "CPU ms to connect", "% of a core idle"]
    show(f"idle, then {BUSY} busy at {RATE:,}/s", [*heads, "lost", "slowest ping ms", "busy/s", "CPU us/message"], rows)


if __name__ == "__main__":
    hold() if sys.argv[1:] == ["hold"] else main()
