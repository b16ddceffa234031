"""The disk full, the database locked, read-only, failing or gone: nothing is acknowledged meanwhile, it is told, and it mends by itself."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Install
from tests.e2e.device import Device, Letter, topic
from tests.e2e.program import PATIENCE_S, Monitor, eventually
from tests.e2e.torture import figure

pytestmark = pytest.mark.slow
Fault = Callable[[Monitor], AbstractContextManager[None]]
BEFORE, DURING = 40, 400
ROOMY, FULL = "size=1g", "size=64k"


def letters(first: int, count: int) -> list[Letter]:
    """A fix a second of one vehicle that drives."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    fixes = [
        {"time": (begin + timedelta(seconds=n)).isoformat(), "lat": 43.62, "lon": -79.71 + n * 2e-4, "speed_mps": 15}
        for n in range(first, first + count)
    ]
    return [(topic("truck"), json.dumps(fix).encode()) for fix in fixes]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, whose size can be changed."""
    (folder := tmp_path / "disk").mkdir()
    if sys.platform != "linux" or _mount("-t", "tmpfs", "-o", ROOMY, "tmpfs", folder):
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _mount(*words: str | Path) -> int:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode


@contextmanager
def full(monitor: Monitor) -> Iterator[None]:
    """No byte more fits on its disk."""
    folder = monitor.database.parent
    assert _mount("-o", f"remount,{FULL}", folder) == 0 or _fill(folder)
    yield
    (folder / "ballast").unlink(missing_ok=True)
    assert _mount("-o", f"remount,{ROOMY}", folder) == 0


def _fill(folder: Path) -> bool:
    """Make it as small as what lies on it."""
    used = shutil.disk_usage(folder).used
    return _mount("-o", f"remount,size={used}", folder) == 0


@contextmanager
def locked(monitor: Monitor) -> Iterator[None]:
    """Another process holds it, for longer than the monitor waits."""
    text = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute('BEGIN IMMEDIATE'); input()"
    holder = subprocess.Popen([sys.executable, "-c", text, monitor.database], stdin=subprocess.PIPE)
    yield
    holder.kill()
    holder.wait(PATIENCE_S)


@contextmanager
def immutable(monitor: Monitor) -> Iterator[None]:
    """The database and its log may be read and not written, by nobody."""
    with unchangeable(Path(f"{monitor.database}{end}") for end in ("", "-wal")):
        yield


@contextmanager
def unchangeable(names: Iterable[Path]) -> Iterator[None]:
    """Files that nobody may change, whoever has them open."""
    files = [file for file in names if file.exists()]
    if subprocess.run(["chattr", "+i", *files], capture_output=True, check=False).returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@contextmanager
def failing(monitor: Monitor) -> Iterator[None]:
    """No file of its process may grow: each write beyond fails."""
    assert monitor.now is not None
    number = monitor.now.process.pid
    before = resource.prlimit(number, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    yield
    resource.prlimit(number, resource.RLIMIT_FSIZE, before)


@contextmanager
def moved(monitor: Monitor) -> Iterator[None]:
    """Somebody has moved the file away; and puts it back."""
    aside = monitor.database.with_suffix(".aside")
    monitor.database.rename(aside)
    yield
    assert not monitor.database.exists(), "no other is made in its place"
    aside.rename(monitor.database)


FAULTS: dict[str, tuple[Fault, str]] = {
    "full": (full, "the disk is full"),
    "locked": (locked, "another program has held it locked"),
    "read-only": (immutable, "the disk fails to read or write"),
    "failing": (failing, "the disk fails to read or write"),
    "moved away": (moved, "was removed or replaced while in use"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_acknowledged_meanwhile_and_nothing_is_lost(
    install: Install, tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    fault, reason = FAULTS[name]
    disk = request.getfixturevalue("small_disk") if name == "full" else tmp_path
    monitor = install("store.busy_timeout=1s", database=disk / "monitor.db")
    token, port = monitor.token("default"), monitor.start()
    first = Device(letters(0, BEFORE), "default", token)
    first.feed(port)
    assert first.done
    later, began = Device(letters(BEFORE, DURING), "default", token, "later"), time.monotonic()
    sending = threading.Thread(target=later.feed, args=(port,))
    with fault(monitor):
        sending.start()
        assert eventually(lambda: any(reason in why for why in reasons(monitor)))
        assert answer(monitor, "/healthz").status_code == 200, "a new start would not help"
        assert not later.done
        assert name == "moved away" or taken_is_stored(monitor, later)
    sending.join(PATIENCE_S)
    assert eventually(lambda: later.done)
    assert eventually(lambda: not any(why.startswith("database:") for why in reasons(monitor)))
    assert monitor.rows("SELECT count(*) FROM fix") == [(BEFORE + DURING,)]
    assert eventually(lambda: monitor.rows("SELECT kind FROM finding") == [("store_fault",)])
    assert monitor.now is not None
    told = [line for line in monitor.now.lines if "nothing is acknowledged meanwhile" in line]
    assert len(told) == 1, told
    monitor.stop()
    figure(f"database {name}", fixes=BEFORE + DURING, lost=0, seconds=round(time.monotonic() - began))


def taken_is_stored(monitor: Monitor, device: Device) -> bool:
    """Whether what was acknowledged is there; asked before, as more may be there than is told."""
    taken = len(device.acknowledged)
    return bool(BEFORE + taken <= monitor.rows("SELECT count(*) FROM fix")[0][0])


def test_on_a_file_system_that_became_read_only_it_ends_and_says_why_when_started(install: Install) -> None:
    """The system kills whoever writes into a mapped file there; what starts it anew finds all that was acknowledged."""
    monitor = install("store.busy_timeout=1s")
    token, port = monitor.token("default"), monitor.start()
    device = Device(letters(0, BEFORE), "default", token)
    device.feed(port)
    assert monitor.now is not None
    more = Device(letters(BEFORE, DURING), "default", token)
    with unchangeable(Path(f"{monitor.database}{end}") for end in ("", "-wal", "-shm")):
        more.feed(port)
        assert monitor.now.ended() == -signal.SIGBUS
        assert not more.acknowledged
        again = monitor.spawn()
        assert again.ended() == 2
        assert len(again.lines) == 1, again.lines
    assert monitor.rows("SELECT count(*) FROM fix") == [(BEFORE,)]
    more.feed(monitor.start())
    assert more.done
    assert monitor.rows("SELECT count(*) FROM fix") == [(BEFORE + DURING,)]
    monitor.stop()


def answer(monitor: Monitor, path: str) -> httpx.Response:
    """What its HTTP server says."""
    assert monitor.now is not None
    return httpx.get(f"http://127.0.0.1:{monitor.now.web_port()}{path}", timeout=PATIENCE_S)


def reasons(monitor: Monitor) -> list[Any]:
    """Why it is not well."""
    said = answer(monitor, "/readyz")
    found: list[Any] = said.json()["reasons"]
    assert (said.status_code == 503) == bool(found)
    return found
