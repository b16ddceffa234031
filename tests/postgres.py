"""A PostgreSQL server of the tests' own, in a folder of its own, on a free port of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest

from monitor.store.store import Store

PATIENCE_S = 60.0
ACCESS = """
local all all trust
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=on")
"""For tests that kill no machine: what was written to the kernel survives the death of any process."""


def binaries() -> Path | None:
    """The folder of the newest server that is installed; None where there is none."""
    found = shutil.which("postgres")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return folders[-1] if folders else Path(found).parent if found else None


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server; `start`, `kill` and `stop` as often as wanted. It refuses to run as root and is given another user then."""

    def __init__(self, folder: Path, programs: Path, *settings: str) -> None:
        self.folder, self.programs, self.port = folder, programs, free_port()
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        self._data = folder / "data"
        self._numbers = count(1)
        self._template = ""
        self._settings = (*settings, f"port={self.port}", f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1")
        made = self._run(
            programs / "initdb", "--pgdata", self._data, "--username=tests", "--auth=trust", "--no-sync", "--encoding=UTF8",
            "--locale=C",
        )  # fmt: skip
        assert made.wait(PATIENCE_S) == 0
        (self._data / "pg_hba.conf").write_text(ACCESS)
        self.start()

    def start(self) -> None:
        """Start it, or start it again, and wait until it serves."""
        words = [word for setting in (*self._settings, "max_connections=60") for word in ("-c", setting)]
        self.process = self._run(self.programs / "postgres", "-D", self._data, *words)
        never = threading.Event()
        for _ in range(int(PATIENCE_S / 0.05)):
            try:
                psycopg.connect(self.conninfo("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                never.wait(0.05)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Kill every process of it at once, as a power cut would."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.process.kill()
        for child in children.split():
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        """Have it end, without waiting for those who are connected."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)

    def conninfo(self, database: str) -> str:
        """How psycopg connects to a database as the administrator."""
        return f"host=127.0.0.1 port={self.port} user=tests dbname={database}"

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://tests@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the administrator."""
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def bare(self) -> str:
        """The URL of a new database without a table."""
        name = f"bare_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def empty(self) -> str:
        """The URL of a new database with every table and no row: a copy of one that was migrated once."""
        if not self._template:
            url = self.bare()
            Store.open(url, timedelta(seconds=PATIENCE_S)).close()
            self._template = url.rpartition("/")[2]
        name = f"empty_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, with whoever is connected to it."""
        self.run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _run(self, program: Path, *words: str | Path) -> subprocess.Popen[bytes]:
        dies_with_us = [tool, "--pdeathsig=INT"] if (tool := shutil.which("setpriv")) else []
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*dies_with_us, program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self._user if os.geteuid() == 0 else None,
                group=pwd.getpwnam(self._user).pw_gid if os.geteuid() == 0 else None,
                extra_groups=[] if os.geteuid() == 0 else None,
            )


@contextmanager
def serving(*settings: str) -> Iterator[Server]:
    """A server that runs for a while; the test is skipped where none is installed, but for CI, where that is a failure."""
    programs = binaries()
    if programs is None:
        assert not os.environ.get("CI"), "PostgreSQL must be installed in CI"
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="monitor-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Server(Path(folder), programs, *settings)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The one server that the tests of a process share; each makes databases of its own on it."""
    with serving(*QUICK) as server:
        yield server
