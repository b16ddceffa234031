"""A monitor in a folder of its own, cleared away after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import Monitor

Install = Callable[..., Monitor]


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """Install a monitor with assignments of the test's own; its process, if any, is gone at the end."""
    with ExitStack() as stack:

        def installed(*assignments: str, **where: Any) -> Monitor:
            monitor = Monitor(tmp_path, *assignments, **where)
            stack.callback(monitor.clear_away)
            return monitor

        yield installed
