"""The board kept up to date on a terminal while the monitor runs; where there is no terminal, nothing but the notices' own lines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from monitor import board
from monitor.alerts import handling
from monitor.app import App
from monitor.clock import FastClock
from monitor.errors import StoreError
from monitor.store import notices_store

REFRESH_S = 0.5


class LiveBoard:
    """Reads the board from the database at each refresh."""

    def __init__(self, app: App, console: Console) -> None:
        self.app, self.console = app, console
        self._rung: set[int] = set()

    def read(self) -> board.Board:
        """Give the board as it is now."""
        app = self.app
        with app.store.read() as transaction:
            entries = handling.entries(transaction)
            told = notices_store.recent_notices(transaction, 4 * board.NOTICES)
        return board.Board(
            now=app.clock(),
            zone=ZoneInfo(app.settings.timezone),
            vehicles=len(app.engine.fleet.ids),
            fixes=app.counts.fixes,
            rows=board.rows(entries, app.desk, app.engine.world),
            notices=board.notice_lines(told),
            rate=app.clock.rate if isinstance(app.clock, FastClock) else 1.0,
            command=app.desk.surroundings.command,
            warnings=(*(f"{what}: {text}" for what, text in app.counts.faults.items()), *app.warnings),
        )

    def __rich__(self) -> RenderableType:
        try:
            shown = self.read()
        except StoreError as error:
            return Text(str(error), style="bold red")
        critical = {row.id for row in shown.rows if row.severity == "critical"}
        if critical - self._rung:
            self.console.bell()
        self._rung |= critical
        return board.render(shown, self.console.height, self.console.width)

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the board on the terminal's other screen until this is left."""
        done = threading.Event()
        with Live(self, console=self.console, screen=True, auto_refresh=False) as live:

            def refresh() -> None:
                while not done.wait(REFRESH_S):
                    live.refresh()

            thread = threading.Thread(target=refresh, name="board", daemon=True)
            thread.start()
            try:
                yield
            finally:
                done.set()
                thread.join()
