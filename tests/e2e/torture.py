"""How much of everything: little with every change, all of it with MONITOR_TORTURE=1 (`make torture`), which writes its figures down."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

TORTURE = os.environ.get("MONITOR_TORTURE") == "1"
FIGURES = os.environ.get("MONITOR_TORTURE_FIGURES", "")
"""A file to which each proof adds a line of JSON; none unless set."""


def figure(what: str, **figures: float) -> None:
    """Write down what was proved, and by how much."""
    if FIGURES:
        said = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "proof": what, **figures}
        Path(FIGURES).parent.mkdir(parents=True, exist_ok=True)
        with Path(FIGURES).open("a", encoding="utf-8") as out:
            out.write(json.dumps(said) + "\n")
