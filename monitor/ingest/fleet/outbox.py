"""The memory of all devices of a fleet in a small file, so that the fleet's next process goes on where this one ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from monitor.errors import ServiceError
from monitor.ingest.fleet.plan import Plan


class Outbox:
    """What of every vehicle has arrived, kept in a small file that is replaced whole; without a file, kept nowhere.

    A file of another plan, or one that is no JSON, counts as none: then everything since the fleet's beginning is sent again, and
    the monitor recognises the duplicates. That is also why the file need not survive a power cut.
    """

    def __init__(self, file: Path | None, plan: Plan) -> None:
        self._file = file
        self._plan = [plan.seed, plan.start, plan.carrier]
        self._saved: Mapping[str, int] = self._load()

    def through(self, vehicle: str, default: int) -> int:
        """Give the instant up to which everything a vehicle measured had arrived when this was opened or saved."""
        return self._saved.get(vehicle, default)

    def save(self, through: Mapping[str, int]) -> None:
        """Replace the file, if anything changed.

        Raises
        ------
        ServiceError
            If the file cannot be written.
        """
        if self._file is None or (self._file.exists() and through == self._saved):
            return
        fresh = self._file.with_name(self._file.name + ".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps({"plan": self._plan, "through": through}), encoding="utf-8")
            fresh.replace(self._file)
        except OSError as error:
            raise ServiceError(f"{self._file}: the fleet's outbox cannot be written: {error.strerror}") from None
        self._saved = dict(through)

    def _load(self) -> Mapping[str, int]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8")) if self._file else {}
            return {str(k): int(v) for k, v in content["through"].items()} if content["plan"] == self._plan else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def start_of(file: Path, seed: int, carrier: str) -> int | None:
    """When the fleet of this file started (ms), so that it can go on; None where the file is of none, or of another fleet."""
    try:
        was_seed, start, was_carrier = json.loads(file.read_text(encoding="utf-8"))["plan"]
        return int(start) if (was_seed, was_carrier) == (seed, carrier) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
