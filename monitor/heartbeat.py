"""The heartbeat: a URL is asked while all is well, and not while it is not, so that the other side notices that nobody asks.

Nothing of what is answered is read but the status. A failure is told once, and so is its end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

log = logging.getLogger("monitor.heartbeat")

TIMEOUT_S = 10.0


class Heartbeat:
    """Asks one URL; `beat` may be called by any thread, and while one beat is under way another is left out."""

    def __init__(self, url: str, well: Callable[[], bool]) -> None:
        self._url, self._well = url, well
        self._host = urlsplit(url).hostname or ""
        """All of the address that is ever written down: the rest of it is often a secret."""
        self._failing = False
        self._beating = threading.Lock()

    def beat(self) -> bool:
        """Ask, if all is well; gives whether it was asked and answered with success."""
        if not self._url or not self._well() or not self._beating.acquire(blocking=False):
            return False
        try:
            return self._told(self._asked())
        finally:
            self._beating.release()

    def _asked(self) -> str:
        """What is wrong with it; empty where nothing is."""
        try:
            with httpx.stream("GET", self._url, timeout=TIMEOUT_S, follow_redirects=False) as answer:
                return "" if answer.is_success else f"answered {answer.status_code}"
        except httpx.InvalidURL as error:
            return f"the address cannot be asked: {error}"
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}".replace(self._url, self._host)

    def _told(self, fault: str) -> bool:
        if fault and not self._failing:
            log.error("the heartbeat to %s fails, and is tried again: %s", self._host, fault)
        if not fault and self._failing:
            log.warning("the heartbeat to %s succeeds again", self._host)
        self._failing = bool(fault)
        return not fault
