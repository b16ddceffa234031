"""The clock: the only place that asks what time it is. Everything else is given the time, or a clock to ask.

The demo's clock runs faster than the world's and keeps its place in a file: a second start goes on from where the first one was,
never before it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from monitor.errors import ServiceError

Clock = Callable[[], int]
"""Milliseconds since 1970 UTC."""

CLOCK_FILE = "clock.json"
"""Stands beside the database of a demo."""
RESERVE_MS = 3000
"""Real time that is noted as passed in advance, so that a killed program does not begin again before its end."""


def world_clock() -> int:
    """What time it is, ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


class FastClock:
    """A clock that runs `rate` times as fast as the world's, from an anchor: program time `program` at real time `real` (ms)."""

    def __init__(self, program: int, real: int, rate: float, started: int) -> None:
        self.program, self.real, self.rate, self.started = program, real, rate, started

    def __call__(self) -> int:
        """Program time, ms since 1970 UTC."""
        return self.program + int((world_clock() - self.real) * self.rate)

    @classmethod
    def kept_in(cls, file: Path, rate: float) -> FastClock:
        """Go on with the clock of a file, or start one at the present.

        Raises
        ------
        ServiceError
            If the file is there but cannot be read.
        """
        real = world_clock()
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            return cls(int(kept["program"]), real, rate, int(kept["started"]))
        except FileNotFoundError:
            return cls(real, real, rate, real)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ServiceError(f"{file}: the demo's clock cannot be read ({error}); remove the folder to begin anew") from None

    def keep(self, file: Path) -> None:
        """Note in the file how far it has come, and a little more.

        Raises
        ------
        ServiceError
            If the file cannot be written.
        """
        kept = {"program": self() + int(RESERVE_MS * self.rate), "started": self.started}
        beside = file.with_suffix(".new")
        try:
            with beside.open("w", encoding="utf-8") as out:
                json.dump(kept, out)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(file)
        except OSError as error:
            raise ServiceError(f"{file}: cannot be written: {error.strerror}") from None


def clock_beside(database: Path | None) -> Clock:
    """Give the clock that a database lives by: that of a demo beside its file, else the world's (None: it is on a server)."""
    file = database.parent / CLOCK_FILE if database is not None else None
    return FastClock.kept_in(file, 1.0) if file is not None and file.exists() else world_clock
