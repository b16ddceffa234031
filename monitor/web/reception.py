"""The reception of positions over HTTP: one request becomes one arrival in the inbox, and is answered once it is on disk.

Bounded: requests under way and the bytes they hold, of all and of one carrier; beyond that, while two deliveries of the carrier are
waiting, and while the database is out of reach, a client is told when to come again. It may send the same again: duplicates end at
the fix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from uuid import uuid4

from monitor.errors import MonitorError
from monitor.findings import FORGED_IDENTITY, Finding
from monitor.fixes import NAME, Identity, Reject, VehicleId
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import Feeds
from monitor.ingest.formats.reading import device_fault
from monitor.ingest.inbox import Inbox
from monitor.ingest.sequence import Receipt
from monitor.ingest.topics import posted
from monitor.web.callers import Credentials, caller
from monitor.web.problem import Problem, later

T = TypeVar("T")

UNDER_WAY, OF_A_CARRIER = 256, 64
"""Requests."""
HELD_BYTES, HELD_OF_A_CARRIER = 64 * 2**20, 16 * 2**20
"""Bodies of requests under way."""
ANSWER_S = 30.0
"""How long a request waits for the commit."""
EVIDENCE_BYTES = 1024
"""So much is kept of a body that is refused before it is read as positions."""
SHUTTING_DOWN = "the monitor is shutting down"


class Verdict(NamedTuple):
    """What a message holds, before it is stored."""

    fixes: int
    reasons: Sequence[str] = ()
    vehicles: frozenset[VehicleId] = frozenset()
    """Whose numbers are in it."""


class Answer(NamedTuple):
    """What a client is told of a request that is on disk."""

    request: str
    verdict: Verdict
    receipts: Sequence[Receipt] = ()


class Asked(NamedTuple):
    """What the query says."""

    feed: str = ""
    vehicle: str = ""
    device: str = ""


@dataclass(eq=False)
class Posted:
    """One request as an arrival; `answer` is set in the event loop's thread: the receipts, or None where nobody will commit it."""

    door: object
    carrier: str
    messages: list[Message]
    answer: asyncio.Future[Sequence[Receipt] | None]
    rejects: list[Reject] = field(default_factory=list)
    statuses: list[Message] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    count: int = 1
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(len(message.payload) for message in self.messages) + sum(len(reject.payload) for reject in self.rejects)


Judge = Callable[[Message], Verdict]
"""Says what is in a message; for any thread."""


class Reception:
    """Takes requests in, in the event loop's thread; `credentials` and `judge` are asked in threads of their own."""

    def __init__(self, door: object, credentials: Credentials, judge: Judge, feeds: Feeds) -> None:
        self.inbox = Inbox(1)
        self.closing = False
        self._door, self._credentials, self._judge, self._feeds = door, credentials, judge, feeds
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="web")
        self._waiting: set[Posted] = set()
        self._requests: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    @property
    def under_way(self) -> int:
        """Requests that are read or wait for their commit."""
        return sum(self._requests.values())

    async def admit(self, header: str | None) -> Identity:
        """Say who calls, and that there is room for what it sends.

        Raises
        ------
        Problem
            401, 403 or 503.
        """
        if self.closing:
            raise later(SHUTTING_DOWN)
        try:
            known = await self._apart(caller, header, self._credentials)
        except MonitorError as error:
            raise later(str(error)) from None
        if isinstance(known, Problem):
            raise known
        if known.dispatch:
            raise Problem(403, "this credential is of dispatchers: allowed are those of devices")
        if self.inbox.full(known.carrier):
            raise later(f"{known.carrier} sends faster than it can be stored")
        return known

    @contextmanager
    def held(self, carrier: str) -> Iterator[Callable[[int], None]]:
        """Count a request, and the bytes that it holds, until it is answered.

        Raises
        ------
        Problem
            503, where too much is under way.
        """
        mine = 0

        def hold(more: int) -> None:
            nonlocal mine
            _within(self._bytes, carrier, more, HELD_BYTES, HELD_OF_A_CARRIER)
            mine += more

        _within(self._requests, carrier, 1, UNDER_WAY, OF_A_CARRIER)
        try:
            yield hold
        finally:
            _give_back(self._requests, carrier, 1)
            _give_back(self._bytes, carrier, mine)

    def address(self, identity: Identity, asked: Asked) -> Message:
        """The message that a request makes, without its payload: whose it is says the credential, the rest the query.

        Raises
        ------
        Problem
            403 where the query names another vehicle than the credential, which is noted; 422 where it names what cannot be.
        """
        if asked.feed and not self._feeds.known(asked.feed):
            raise Problem(422, f"feed {asked.feed[:80]!r}: there is none of that name", allowed=self._feeds.names())
        if asked.vehicle and not NAME.fullmatch(asked.vehicle):
            raise Problem(422, f"vehicle {asked.vehicle[:80]!r}: allowed are 1 to 64 of A-Z a-z 0-9 . _ ~ : -, the first no mark")
        if asked.device and (fault := device_fault(asked.device)):
            raise Problem(422, fault)
        vehicle = identity.vehicle or asked.vehicle
        message = Message(identity.carrier, vehicle, posted(asked.feed, uuid4().hex, asked.device), b"", asked.feed, asked.device)
        if asked.vehicle not in ("", vehicle):
            detail = f"a request by the credential of {vehicle} says that it is of {asked.vehicle}"
            self.refused(message, f"identity: {detail}", [Finding(FORGED_IDENTITY, identity.carrier, vehicle, detail)])
            raise Problem(403, f"this credential is of {vehicle}: allowed is that vehicle")
        return message

    def refused(self, message: Message, reason: str, findings: Sequence[Finding] = ()) -> None:
        """Keep as evidence what a known caller was refused; nobody waits for it."""
        nobody = asyncio.get_running_loop().create_future()
        reject = Reject(message.carrier, message.vehicle, message.topic, reason, message.payload[:EVIDENCE_BYTES])
        self.inbox.put(Posted(self._door, message.carrier, [], nobody, [reject], findings=list(findings)))

    async def take(self, message: Message) -> Answer:
        """Hand a message over and wait until it is on disk.

        Raises
        ------
        Problem
            503 where that takes too long, or the program ends before.
        """
        try:
            verdict = await self._apart(self._judge, message)
        except MonitorError as error:
            raise later(str(error)) from None
        if self.closing:  # nobody takes it any more, and those who wait were told so
            raise later(SHUTTING_DOWN)
        arrival = Posted(self._door, message.carrier, [message], asyncio.get_running_loop().create_future())
        self._waiting.add(arrival)
        try:
            self.inbox.put(arrival)
            receipts = await asyncio.wait_for(arrival.answer, ANSWER_S)
        except TimeoutError:
            raise later(f"what was sent could not be stored within {ANSWER_S:g} s; send it again") from None
        finally:
            self._waiting.discard(arrival)
        if receipts is None:
            raise later(SHUTTING_DOWN)
        own = [receipt for receipt in receipts if receipt.vehicle in verdict.vehicles]
        return Answer(message.topic.split("/", 3)[2], verdict, own)

    def committed(self, arrivals: Iterable[Posted], receipts: Sequence[Receipt]) -> None:
        """Answer the requests that are on disk."""
        for arrival in arrivals:
            if not arrival.answer.done():
                arrival.answer.set_result(receipts)

    def give_up(self) -> None:
        """Tell those who wait that nobody will commit what they sent."""
        self.closing = True
        for arrival in self._waiting:
            if not arrival.answer.done():
                arrival.answer.set_result(None)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _apart(self, act: Callable[..., T], *said: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act, *said)


def _within(held: dict[str, int], carrier: str, more: int, most: int, most_of_one: int) -> None:
    if sum(held.values()) + more > most or held.get(carrier, 0) + more > most_of_one:
        raise later("too many requests are under way")
    held[carrier] = held.get(carrier, 0) + more


def _give_back(held: dict[str, int], carrier: str, amount: int) -> None:
    held[carrier] = held.get(carrier, 0) - amount
    if not held[carrier]:
        del held[carrier]
