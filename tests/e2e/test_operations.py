"""A whole monitor that is watched: over HTTP, by systemd, with a database that goes away and comes back."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.systemd import SOCKET
from tests.e2e.conftest import Install
from tests.e2e.program import PATIENCE_S, Monitor, eventually

PATH = "/api/v1/fixes"


def fixes(count: int, begin: datetime) -> bytes:
    """Positions of one vehicle, a second apart."""
    times = [(begin + timedelta(seconds=number)).isoformat() for number in range(count)]
    return json.dumps([{"time": time, "lat": 43.62, "lon": -79.71} for time in times]).encode()


@contextmanager
def asking(monitor: Monitor, token: str) -> Iterator[httpx.Client]:
    """A client with a carrier's token."""
    assert monitor.now is not None
    address = f"http://127.0.0.1:{monitor.now.web_port()}"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_S) as client:
        yield client


def begin() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def test_what_is_answered_is_on_disk_and_a_monitor_that_runs_is_well(install: Install) -> None:
    monitor = install()
    token = monitor.token("acme")
    monitor.start()
    with asking(monitor, token) as client:
        answer = client.post(PATH, content=fixes(50, begin()), params={"vehicle": "truck"})
        assert (answer.status_code, answer.json()["fixes"]) == (200, 50)
        assert monitor.rows("SELECT count(*) FROM fix") == [(50,)]
        assert (client.get("/healthz").status_code, client.get("/readyz").json()["reasons"]) == (200, [])
        figures = client.get("/metrics").text
    assert "monitor_fixes_total 50.0" in figures
    assert 'monitor_vehicles_heard{carrier="acme"} 1.0' in figures
    assert token not in figures
    monitor.stop()


@pytest.mark.slow
def test_while_the_database_is_out_of_reach_it_says_so_and_afterwards_nothing_is_lost(install: Install) -> None:
    monitor = install("store.busy_timeout=1s")
    token = monitor.token("acme")
    monitor.start()
    answers: list[httpx.Response] = []
    with asking(monitor, token) as client, asking(monitor, token) as other:
        assert client.get("/readyz").status_code == 200
        with closing(sqlite3.connect(monitor.database, isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            post = threading.Thread(target=lambda: answers.append(posted(client)))
            post.start()
            assert eventually(lambda: other.get("/readyz").status_code == 503)
            reasons = other.get("/readyz").json()["reasons"]
            assert any(reason.startswith("database: out of reach since") for reason in reasons)
            assert other.get("/healthz").status_code == 200, "a new start would not help"
            assert not answers
            lock.execute("ROLLBACK")
        post.join(PATIENCE_S)
        assert answers[0].status_code == 200
        assert eventually(lambda: other.get("/readyz").status_code == 200)
    assert monitor.rows("SELECT count(*) FROM fix") == [(50,)]
    assert eventually(lambda: monitor.rows("SELECT kind FROM finding") == [("store_fault",)])
    monitor.stop()


def posted(client: httpx.Client) -> httpx.Response:
    return client.post(PATH, content=fixes(50, begin()), params={"vehicle": "truck"})


@pytest.mark.slow
def test_a_reload_and_a_stop_lose_no_request(install: Install) -> None:
    """Requests go on while it reads its configuration anew, and until it ends; what was answered is on disk."""
    monitor = install()
    token = monitor.token("acme")
    monitor.start()
    assert monitor.now is not None
    process, stop, taken, put_off = monitor.now, threading.Event(), list[int](), list[tuple[int, str]]()
    first = begin()

    def post(number: int) -> None:
        with asking(monitor, token) as client:
            for turn in range(1000):
                body = fixes(5, first + timedelta(seconds=5 * turn))
                try:
                    answer = client.post(PATH, content=body, params={"vehicle": f"truck-{number}"})
                except httpx.HTTPError:
                    return  # it is gone
                if answer.status_code != 200:
                    put_off.append((answer.status_code, answer.text))
                    return
                taken.append(answer.json()["fixes"])
                if stop.is_set():
                    return

    posting = [threading.Thread(target=post, args=(number,)) for number in range(3)]
    for thread in posting:
        thread.start()
    assert eventually(lambda: len(taken) > 10)
    process.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: any("configuration reloaded" in line for line in process.lines))
    before = len(taken)
    assert eventually(lambda: len(taken) > before + 10)
    monitor.stop()
    stop.set()
    for thread in posting:
        thread.join(PATIENCE_S)
    assert {status for status, _ in put_off} <= {503}, "\n".join([*map(str, put_off), *process.lines])
    [(stored,)] = monitor.rows("SELECT count(*) FROM fix")
    assert stored >= sum(taken)
    assert stored - sum(taken) <= 15, "at most what was under way at the end"


def test_systemd_is_told_that_it_is_ready_alive_and_ends(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        monkeypatch.setenv(SOCKET, str(tmp_path / "notify"))
        monitor = install("web.enabled=false")
        monitor.start()
        while "READY=1" not in told:
            told.append(systemd.recv(100).decode())
        told.clear()
        while "WATCHDOG=1" not in told:
            told.append(systemd.recv(100).decode())
        monitor.stop()
        while "STOPPING=1" not in told:
            told.append(systemd.recv(100).decode())


def test_a_monitor_whose_http_port_is_taken_says_so_and_does_not_start(install: Install) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monitor = install(f"web.port={other.getsockname()[1]}")
        process = monitor.spawn()
        assert process.ended() == 2
    assert any("is in use; set web.port" in line for line in process.lines)
