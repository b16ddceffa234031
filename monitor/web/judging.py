"""What a request holds, before it is stored: read as the main loop will read it, so that its sender can be told what was wrong.

What counts is what the main loop finds a moment later, by the same rules; the two differ only where the register of devices or the
clock was changed between.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.clock import Clock
from monitor.fixes import Fleet
from monitor.ingest.decode import NOBODY, decode
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import Feeds
from monitor.ingest.identity import Adoptions
from monitor.settings import Ingest
from monitor.web.reception import Judge, Verdict


def judging(settings: Ingest, feeds: Feeds, clock: Clock, devices: Callable[[], Adoptions] = lambda: NOBODY) -> Judge:
    """A judge by these settings; `devices` gives the register as it is, to any thread."""

    def judge(message: Message) -> Verdict:
        """Read one message with a fleet of its own."""
        read = decode([message], clock(), Fleet(), settings, devices(), feeds)
        return Verdict(
            len(read.fixes), [reject.reason for reject in read.rejects], frozenset(vehicle for vehicle, _, _ in read.numbered)
        )

    return judge
