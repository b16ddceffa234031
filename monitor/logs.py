"""What the program writes of itself, to the error stream: lines for people, or one JSON object a line. Never a secret.

A JSON line has `time` (RFC 3339, UTC), `level`, `logger`, `message`, whatever a record carries beside these, and `error` with the
traceback of an exception.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import TextIO

from monitor.settings import Log
from monitor.signals import timestamp

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SECRETS = (
    (re.compile(r"(\w+://[^\s:/@]*):[^\s/@]+@"), r"\1:***@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\b(password|passwd|token|secret)(['\"]?\s*[=:]\s*['\"]?)[^\s,'\"}]+", re.IGNORECASE), r"\1\2***"),
)
"""Where a secret stands in a text, and what is written in its stead: passwords of URLs, credentials of headers, named ones."""
QUIETER = {
    "apscheduler": logging.CRITICAL,  # a tick that waits for the one before is nothing to tell
    "uvicorn": logging.ERROR,  # it warns of each malformed request, as often as anybody sends one
    "httpx": logging.WARNING,  # it tells every address that is asked, and that of a heartbeat is a secret
    "httpcore": logging.WARNING,
    "asyncio": logging.ERROR,
    "paho": logging.WARNING,
}
"""Others' loggers, and the least that they may write."""
OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
"""What every record carries."""


def configure(said: Log, *, board: bool = False, stream: TextIO | None = None) -> None:
    """Write as the settings say, from now on; beside a board on the terminal nothing but errors."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if said.form == "json" else Lines(TEXT))
    level = getattr(logging, said.level.upper())
    logging.basicConfig(level=max(level, logging.ERROR) if board else level, handlers=[handler], force=True)
    for name, least in QUIETER.items():
        logging.getLogger(name).setLevel(max(level, least))


def announce(said: Log, message: str, **fields: object) -> None:
    """Write what is to be seen whatever the level, such as that the program is ready: a plain line, or a JSON one of level info."""
    if said.form != "json":
        sys.stderr.write(f"monitor: {message}\n")
        return
    logger = logging.getLogger("monitor")
    logger.handle(logger.makeRecord(logger.name, logging.INFO, "", 0, message, (), None, extra=fields))


def redacted(text: str) -> str:
    """The text without the secrets in it."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


class Lines(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return redacted(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; a line end within it is escaped, so that nobody writes a line of their own."""
        said: dict[str, object] = {
            "time": timestamp(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in OWN and name not in said:
                said[name] = redacted(value) if isinstance(value, str) else value
        if record.exc_info:
            said["error"] = redacted(self.formatException(record.exc_info))
        return json.dumps(said, ensure_ascii=False, default=lambda value: redacted(str(value)))
