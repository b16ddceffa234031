"""The notice log: one JSON line a notice, appended and on the disk before it counts as sent."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from monitor.alerts.channels.channel import Outcome, Sent, Temporary
from monitor.alerts.notice import Notice
from monitor.signals import timestamp

ADDRESS = ""


class LogfileChannel:
    """Appends to one file; other processes may append to it as well."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def send(self, notice: Notice) -> Outcome:
        """Append one line in one write, then wait for the disk."""
        line = (json.dumps({**asdict(notice), "created": timestamp(notice.created)}, ensure_ascii=False) + "\n").encode()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                written = os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            return Temporary(f"{self._file}: {error.strerror or error}")
        if written != len(line):
            return Temporary(f"{self._file}: only {written} of {len(line)} bytes were written")
        return Sent(f"appended to {self._file}")
