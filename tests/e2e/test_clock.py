"""A whole monitor whose clock is set, forward and back: it goes on, tells of it, and nothing that waits for a time is forgotten."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import select

from monitor.app import App
from monitor.clock import world_clock
from monitor.configuration import load_configuration
from monitor.store import findings_store
from monitor.store.schema import notice
from tests.e2e.program import CONFIG, GEOFENCES, PATIENCE_S, eventually

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Watched:
    """A monitor in this process, on a clock that a test sets."""

    def __init__(self, folder: Path) -> None:
        said = {"store.url": f"sqlite:///{folder}/monitor.db", "geofences": str(GEOFENCES), "health.alive_to": "dispatch"}
        said |= {"ingest.listener.port": "0", "web.port": "0", "alerts.notice_log": f"{folder}/notices.log"}
        self.ahead = 0
        configuration = load_configuration(CONFIG, [f"{key}={value}" for key, value in said.items()])
        self.app = App(configuration, lambda: world_clock() + self.ahead, Console(file=io.StringIO()))
        self._loop = threading.Thread(target=self.app.run)

    def __enter__(self) -> Watched:
        self.app.start()
        self._loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.app.stop()
        self._loop.join(PATIENCE_S)
        self.app.close()

    def steps(self) -> list[str]:
        """What the findings say of the clock, each time that it was stepped."""
        with self.app.store.read() as transaction:
            return [each.detail for each in findings_store.listed(transaction) for _ in range(each.times)]

    def words(self) -> int:
        """How many daily words were sent to the terminal."""
        told = (notice.c.kind == "alive") & (notice.c.channel == "console") & (notice.c.state == "sent")
        with self.app.store.read() as transaction:
            return len(transaction.connection.execute(select(notice.c.id).where(told)).all())


@pytest.mark.slow
def test_a_clock_that_is_set_is_told_and_the_monitor_goes_on(tmp_path: Path) -> None:
    with Watched(tmp_path) as monitor:
        assert eventually(lambda: monitor.words() == 1)
        monitor.ahead = 6 * HOUR_MS
        assert eventually(lambda: len(monitor.steps()) == 1)
        assert "forward by" in monitor.steps()[0]
        monitor.ahead = 5 * HOUR_MS
        assert eventually(lambda: len(monitor.steps()) == 2)
        assert "back by" in monitor.steps()[0]
        before = monitor.words()
        monitor.ahead += DAY_MS
        assert eventually(lambda: monitor.words() > before), "the metronome ticks, and notices leave"
        assert eventually(lambda: monitor.app.operations.ready().well)
