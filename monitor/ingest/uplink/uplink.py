"""The thread that keeps a connection to a broker: conversation after conversation, and watched, because a thread dies without a word.

After a loss it waits 1 s, then twice as long each time, a minute at most, each time less up to half of it by chance: so that not
everybody comes back at once. Each outage is told once when it begins, once when its reason changes, and once when it is over.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monitor.errors import ServiceError
from monitor.ingest.uplink.conversation import ANSWER_S, Bell, Conversation, Hearer
from monitor.ingest.uplink.mail import Mail
from monitor.settings import Broker as Address

log = logging.getLogger("monitor.broker")

FIRST_WAIT_S, LAST_WAIT_S = 1.0, 60.0
STUCK_S = 150.0
"""A thread that shows no sign of life for longer hangs: it never waits for longer than `LAST_WAIT_S` and a few time-outs."""
DEATHS, DEATHS_IN_S = 5, 300.0
"""A thread that dies so often in such a time is not started anew."""
FAREWELL_S = 5.0
BRIEF_S, RIVAL = 2.0, 3
"""So many connections on end that are lost so soon after they were made say that another client uses our id."""
LONG_S = 60.0
"""An outage that lasts longer is a finding; one whose reason does not go away by itself is one at once."""


@dataclass
class Counts:
    """What has happened since the start, for people to see."""

    attempts: int = 0
    connections: int = 0
    losses: int = 0
    deaths: int = 0


class End(NamedTuple):
    """How a conversation, or the attempt at one, ended."""

    why: str
    lasting: bool = False
    """Whether that does not go away by itself."""


class Uplink:
    """A connection that is kept; `start`, `fault`, `acknowledge` and `join` are for one thread, the main loop's."""

    def __init__(self, address: Address, filters: Sequence[str], hearer: Hearer) -> None:
        self._address, self._filters, self._hearer = address, filters, hearer
        self.mail, self.counts = Mail(), Counts()
        self._bell = Bell()
        self._conversation: Conversation | None = None
        self._thread: threading.Thread | None = None
        self._answered, self._leaving = threading.Event(), threading.Event()
        self._failure = ""
        self._attempts = self._brief = 0
        self._said = self._told = ""
        self._since = 0.0
        self._stirred = time.monotonic()
        self._died: deque[float] = deque(maxlen=DEATHS)

    @property
    def where(self) -> str:
        """The broker, for people."""
        return f"broker {self._address.host} port {self._address.port}"

    @property
    def connected(self) -> bool:
        """Whether the broker has granted our subscriptions in the conversation of now."""
        return self._conversation is not None and self._conversation.granted > 0

    def start(self) -> None:
        """Connect and subscribe.

        Raises
        ------
        ServiceError
            If the broker is not there, refuses us or a subscription, or does not answer.
        """
        self._begin()
        until = time.monotonic() + 3 * ANSWER_S
        while not self._answered.wait(0.1) and time.monotonic() < until and self._thread and self._thread.is_alive():
            pass
        if not self._answered.is_set():
            alive = self._thread is not None and self._thread.is_alive()
            self._failure = f"{self.where} did not answer" if alive else "the MQTT client died; see the log"
        if self._failure:
            self.join()
            raise ServiceError(self._failure)

    def refuse(self, why: str) -> None:
        """Have `start` fail with this reason, where it is not over yet."""
        if not self._answered.is_set():
            self._failure = f"{self.where} {why}"
            self._answered.set()

    def answered(self) -> None:
        """Have `start` return: the broker has granted what we need. A reason of an earlier outage is told to be over."""
        self.counts.connections += 1
        if self._said:
            log.warning("%s: connected again after %.0f s", self.where, time.monotonic() - self._since)
            self._said = self._told = ""
        self._answered.set()

    def ring(self) -> None:
        """Have what was acknowledged and posted written."""
        self._bell.ring()

    def fault(self) -> str | None:
        """Start the thread anew where it died or hangs; say so where that does not help."""
        thread, now = self._thread, time.monotonic()
        if self._leaving.is_set() or thread is None:
            return None
        turned = self._conversation.turned if self._conversation else 0.0
        if thread.is_alive() and now - max(self._stirred, turned) < STUCK_S:
            return None
        self.counts.deaths += 1
        self._died.append(now)
        if len(self._died) == DEATHS and now - self._died[0] < DEATHS_IN_S:
            return f"the MQTT client died {DEATHS} times in {DEATHS_IN_S / 60:g} minutes; see the log"
        log.error("%s: the thread that talks to it %s; it is started anew", self.where, "hangs" if thread.is_alive() else "died")
        if self._conversation is not None:
            self._conversation.leave()
        self._begin()
        return None

    def hush(self) -> None:
        """Take nothing more in."""
        if self._conversation is not None:
            self._conversation.hush()
        self._bell.ring()

    def join(self) -> None:
        """Write the last acknowledgements and disconnect; the broker keeps the session."""
        self._leaving.set()
        if self._conversation is not None:
            self._conversation.leave()
        self._bell.ring()
        if self._thread is not None:
            self._thread.join(FAREWELL_S)
            if not self._thread.is_alive():
                self._bell.close()

    def _begin(self) -> None:
        self._stirred = time.monotonic()
        self._thread = threading.Thread(target=self._keep, name="broker", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        """One conversation after another; ends too where another thread has taken this one's place."""
        mine = threading.current_thread()
        while not self._leaving.is_set() and self._thread is mine:
            end = self._once()
            if self._leaving.is_set() or self._thread is not mine:
                return
            if not self._answered.is_set():
                self.refuse(end.why)
                return
            self._lost(end)
            self._leaving.wait(self._pause())

    def _once(self) -> End:
        """Hold one conversation; gives why it ended."""
        conversation = Conversation(self._address, self._filters, self._hearer, self.mail, self._bell)
        self._conversation, self._stirred = conversation, time.monotonic()
        self.counts.attempts += 1
        try:
            why = conversation.hold()
            return self._ended(conversation, why)
        except OSError as error:
            return End(f"cannot be reached: {error.strerror or error}")
        except ServiceError as error:
            return End(f"cannot be connected to: {error}", lasting=True)
        finally:
            conversation.granted = 0.0
            self._stirred = time.monotonic()

    def _ended(self, conversation: Conversation, why: str) -> End:
        """Tell a loss from a rival under the same client id: it takes our place as often as we take its."""
        if conversation.taken_over:
            self._brief = RIVAL
        elif conversation.granted:
            self._brief = self._brief + 1 if time.monotonic() - conversation.granted < BRIEF_S else 0
        if self._brief >= RIVAL:
            return End(f"another client seems to use our client id: each connection is lost soon ({why})", lasting=True)
        if conversation.granted:
            self._attempts = 0
        return End(why, lasting=conversation.refused)

    def _lost(self, end: End) -> None:
        if not self._said:
            self.counts.losses += 1
            self._since = time.monotonic()
        if end.why != self._said:
            log.warning("%s: %s; trying again", self.where, end.why)
            self._said = end.why
        if end.why != self._told and (end.lasting or time.monotonic() - self._since > LONG_S):
            self._hearer.outage(end.why)
            self._told = end.why

    def _pause(self) -> float:
        """How long to wait before the next attempt."""
        wait = min(LAST_WAIT_S, FIRST_WAIT_S * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        return secrets.SystemRandom().uniform(wait / 2, wait)
