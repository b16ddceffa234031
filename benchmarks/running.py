"""A whole monitor in this process, with a database in a folder of its own; the devices are in another process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from monitor.app import App
from monitor.clock import world_clock
from monitor.configuration import load_configuration
from monitor.store import credentials

CARRIER = "bench"


@dataclass(frozen=True)
class Running:
    """A monitor that takes deliveries."""

    app: App
    secret: str
    """The carrier's token."""
    file: Path
    """The database."""

    def order(self, module: str, **order: object) -> tuple[dict[str, Any], float]:
        """Have another process publish; gives its report, and the seconds of CPU that this one took meanwhile."""
        order |= {"port": self.app.port, "carrier": CARRIER, "secret": self.secret, "file": str(self.file)}
        begun = time.process_time()
        done = subprocess.run(
            [sys.executable, "-m", module], input=json.dumps(order), capture_output=True, text=True, check=False
        )
        spent = time.process_time() - begun
        if done.returncode:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout), spent


@contextmanager
def running(assignments: Sequence[str] = ()) -> Iterator[Running]:
    """A monitor with the shipped configuration, on a free port; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="monitor-benchmark-") as folder:
        file = Path(folder, "monitor.db")
        own = [
            "ingest.listener.port=0",
            "web.port=0",
            f"store.url=sqlite:///{file}",
            f"alerts.notice_log={Path(folder, 'notices.log')}",
        ]
        app = App(load_configuration(Path("config"), [*own, *assignments]), world_clock, Console(file=io.StringIO()))
        with app.store.begin() as transaction:
            secret = credentials.create(transaction, CARRIER, None, world_clock())
        app.start()
        loop = threading.Thread(target=app.run)
        loop.start()
        try:
            yield Running(app, secret, file)
        finally:
            app.stop()
            loop.join()
            app.close()
