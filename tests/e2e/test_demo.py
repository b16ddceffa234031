"""The demo ends cleanly, goes on where it was, and says in one line what is in its way; `monitor run` likewise."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor.signals import instant
from tests.e2e.program import CONFIG, GEOFENCES, Process, eventually, run


class Demo:
    """A small, fast demo in a folder, started as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.var = folder, folder / "var"
        self.now: Process | None = None

    def start(self) -> Process:
        """Start it, and wait until it is ready."""
        words = ["demo", "--plain", "--port", "0", "--var", str(self.var), "--rate", "60", "--vehicles", "8"]
        self.now = Process([*words, "--config", CONFIG, "--set", f"geofences={GEOFENCES}"], self.folder)
        self.now.ready()
        return self.now

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask its database."""
        with closing(sqlite3.connect(f"file:{self.var / 'monitor.db'}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def told(self) -> list[dict[str, Any]]:
        """The notices in its log."""
        return [json.loads(line) for line in (self.var / "notices.log").read_text(encoding="utf-8").splitlines()]

    def children(self) -> list[int]:
        """The processes that it started and that are still there."""
        assert self.now is not None
        listed = Path(f"/proc/{self.now.process.pid}/task/{self.now.process.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in listed.split()]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo; interrupted at the end of the test, if it still runs."""
    it = Demo(tmp_path)
    yield it
    if it.now is not None and it.now.process.poll() is None:
        it.now.stop()


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_a_demo_shows_an_incident_ends_at_ctrl_c_and_goes_on_where_it_was(demo: Demo) -> None:
    process = demo.start()
    assert eventually(lambda: demo.count("incident") > 0), process.lines
    assert eventually(lambda: demo.count("notice") > 0 and (demo.var / "notices.log").exists())
    children = demo.children()
    assert children
    assert process.stop() == 0, process.lines
    assert not any(map(alive, children))
    assert "the demo is over" in process.lines[-1].lower()
    fixes, first = demo.count("fix"), demo.told()
    newest = max(instant(notice["created"]) for notice in first)

    process = demo.start()
    assert eventually(lambda: demo.count("fix") > fixes + 100), process.lines
    assert eventually(lambda: len(demo.told()) > len(first)), process.lines
    assert process.stop(signal.SIGTERM) == 0, process.lines
    later = demo.told()[len(first) :]
    assert min(instant(notice["created"]) for notice in later) >= newest
    assert_nothing_twice(demo)
    assert (demo.count("reject"), demo.rows("SELECT max(time) - min(time) > 0 FROM fix")) == (0, [(1,)])


def assert_nothing_twice(demo: Demo) -> None:
    """No fix, no key, no first round of an incident, no signal."""
    assert max(Counter(notice["key"] for notice in demo.told()).values()) == 1
    rounds = demo.rows("SELECT incident_id, contact, channel FROM notice WHERE kind = 'raised'")
    assert max(Counter(rounds).values()) == 1
    signals = demo.rows("SELECT vehicle_id, kind, since, place, route, trip FROM signal WHERE state != 'withdrawn'")
    assert max(Counter(signals).values()) == 1


@pytest.mark.slow
def test_the_fleet_of_a_killed_demo_ends_too(demo: Demo) -> None:
    """Else the next start has two fleets, which drive the same vehicles by two clocks."""
    process = demo.start()
    assert eventually(lambda: demo.count("fix") > 0), process.lines
    children = demo.children()
    process.kill()
    try:
        assert eventually(lambda: not any(map(alive, children)), 20.0)
    finally:
        for pid in filter(alive, children):
            os.kill(pid, signal.SIGKILL)


def demo_words(folder: Path, *, var: str = "var", port: int = 0, config: Path = CONFIG) -> list[str]:
    words = ["demo", "--plain", "--var", str(folder / var), "--port", str(port), "--config", str(config), "--vehicles", "8"]
    return [*words, "--set", f"geofences={GEOFENCES}"]


def run_words(folder: Path, *, var: str = "var", port: int = 0, config: Path = CONFIG) -> list[str]:
    database = folder / var / "monitor.db"
    words = ["run", "--plain", "--config", str(config), "--set", f"store.url=sqlite:///{database}"]
    words += ["--set", f"alerts.notice_log={folder}/notices.log", "--set", f"geofences={GEOFENCES}"]
    return [*words, "--set", f"ingest.listener.port={port}"]


either = pytest.mark.parametrize("words", [demo_words, run_words])


def refused(words: list[str], folder: Path) -> str:
    """One clear line on the error stream, and exit status 2; gives the line."""
    answer = run(*words, cwd=folder)
    assert (answer.returncode, answer.stdout) == (2, "")
    [line] = answer.stderr.splitlines()
    assert line.startswith("monitor: ")
    return line


@either
@pytest.mark.slow
def test_a_port_in_use_is_named(words: Callable[..., list[str]], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(words(tmp_path, port=port), tmp_path)
    assert str(port) in line
    assert "in use" in line


@either
@pytest.mark.slow
def test_a_file_where_the_folder_should_be_is_named(words: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(words(tmp_path, var="file/var"), tmp_path)


@either
@pytest.mark.slow
def test_a_configuration_that_is_not_there_is_named(words: Callable[..., list[str]], tmp_path: Path) -> None:
    assert str(tmp_path / "none") in refused(words(tmp_path, config=tmp_path / "none"), tmp_path)


@either
@pytest.mark.slow
def test_a_configuration_folder_without_its_files_is_named(words: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    assert "monitor.toml" in refused(words(tmp_path, config=tmp_path / "bare"), tmp_path)
