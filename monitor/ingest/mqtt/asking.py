"""Questions to the rest of the program that may take their time: asked in one thread, answered in the event loop's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from monitor.errors import MonitorError

log = logging.getLogger("monitor.listener")


class Asker:
    """One thread that asks, in the order of asking; `tell` has the event loop do something, `waits` says what no answer holds up."""

    def __init__(self, tell: Callable[[Callable[[], None]], None], waits: str) -> None:
        self._tell, self._waits = tell, waits
        self._thread = ThreadPoolExecutor(1, "listener-asks")
        self._unanswered = ""

    def ask(self, question: Callable[[], Any], answer: Callable[[Any], None]) -> None:
        """Ask, and give the answer to `answer` in the event loop's thread: None where the question raised `MonitorError`."""

        def hand(done: Future[Any]) -> None:
            if not done.cancelled():
                self._tell(lambda: answer(done.result()))

        try:
            self._thread.submit(self._asked, question).add_done_callback(hand)
        except RuntimeError:
            log.debug("nothing is asked any more")

    def close(self) -> None:
        """Ask nothing more; what is asked now is not answered."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            found = question()
        except MonitorError as error:
            if self._unanswered != str(error):
                log.error("%s: %s", self._waits, error)
            self._unanswered = str(error)
            return None
        self._unanswered = ""
        return found
