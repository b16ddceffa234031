"""A monitor as a process of its own: started, asked, interrupted and killed as people and power cuts do it."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from monitor.signals import log_lines
from monitor.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
CONFIG, GEOFENCES = ROOT / "config", ROOT / "geofences"
PATIENCE_S = 60.0
READY = re.compile(r"ready(?:, MQTT on port (\d+))?(?:, HTTP on port (\d+))?$")
QUICK = ("alerts.lease=1s",)
"""A notice that was under way when the process died is sent again soon."""


def eventually(claim: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Ask again and again, of something that cannot tell us by itself; whether it came true in time."""
    never = threading.Event()
    for _ in range(int(patience_s / 0.05)):
        if claim():
            return True
        never.wait(0.05)
    return claim()


def run(*words: str | Path, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command of the monitor to its end."""
    command = [sys.executable, "-m", "monitor", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, cwd=cwd, check=False)


class Process:
    """A command that runs on; its error stream is read as it comes, its output is in a file."""

    def __init__(self, words: Sequence[str | Path], folder: Path) -> None:
        self.output = folder / "output"
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._over = False
        command = [sys.executable, "-m", "monitor", *map(str, words)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, text=True, cwd=folder
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def ready(self) -> int:
        """Wait until it says that it is ready; gives its MQTT port, 0 where it talks to a broker."""
        with self._news:
            self._news.wait_for(lambda: self._over or any(map(READY.search, self.lines)), PATIENCE_S)
            found = [match for match in map(READY.search, self.lines) if match]
        assert found, self.lines
        return int(found[0][1] or 0)

    def web_port(self) -> int:
        """The HTTP port that it says once it is ready; 0 where there is none."""
        self.ready()
        return next(int(match[2] or 0) for match in map(READY.search, self.lines) if match)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end; gives its exit status."""
        self.process.send_signal(number)
        return self.ended()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.ended()

    def ended(self) -> int:
        """Wait for its end; gives its exit status."""
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return status


class Monitor:
    """One installation of the monitor in a folder: its database, its notice log, and the process that runs at the moment."""

    def __init__(self, folder: Path, *assignments: str, url: str = "", database: Path | None = None) -> None:
        """`url` names a database on a server; `database` a file that lies elsewhere."""
        self.folder = folder
        self.database, self.notice_log = database or folder / "monitor.db", folder / "notices.log"
        self.url = url or f"sqlite:///{self.database}"
        own = (
            f"store.url={self.url}",
            f"alerts.notice_log={self.notice_log}",
            f"geofences={GEOFENCES}",
            "ingest.listener.port=0",
            "web.port=0",
            *QUICK,
        )
        self.options = ["--config", str(CONFIG)]
        for assignment in (*own, *assignments):
            self.options += ["--set", assignment]
        self.now: Process | None = None

    def spawn(self) -> Process:
        """Start the process without waiting for it."""
        self.now = Process(["run", "--plain", *self.options], self.folder)
        return self.now

    def start(self) -> int:
        """Start the process; gives the port once it is ready."""
        return self.spawn().ready()

    def stop(self) -> None:
        """End the process cleanly."""
        assert self.now is not None
        assert self.now.stop() == 0, self.now.lines

    def clear_away(self) -> None:
        """Leave no process behind, whatever happened."""
        if self.now is not None and self.now.process.poll() is None:
            self.now.kill()

    def command(self, name: str, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run another command on the same configuration and database."""
        return run(name, *words, *self.options, stdin=stdin, cwd=self.folder)

    def token(self, subject: str) -> str:
        """Give a new token for a carrier, or one vehicle of it."""
        answer = self.command("carrier", "add", subject)
        assert answer.returncode == 0, answer.stderr
        [token] = re.findall(r"^token: +(\S+)$", answer.stdout, re.MULTILINE)
        return str(token)

    def log(self) -> list[str]:
        """The signal log as the database has it."""
        store = self.store()
        try:
            with store.read() as transaction:
                return log_lines(transaction.signal_log())
        finally:
            store.close()

    def store(self) -> Store:
        """The database, opened as a command does."""
        return Store.open(self.url, timedelta(seconds=30))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        if not self.url.startswith("sqlite"):
            with psycopg.connect(self.url) as asked:
                return asked.execute(query.encode()).fetchall()
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def wait_for_log(self, expected: list[str]) -> list[str]:
        """Wait until the log is as expected, within reason; gives it as it then is."""
        eventually(lambda: self.log() == expected, 20.0)
        return self.log()
