"""Recorded fixes sent to a monitor that runs: QoS 1, so that what is acknowledged is on its disk.

Rows that cannot be used are sent too, as an object without a time: the monitor refuses such a message and keeps it, with the file, the
line and the reason in it. What was not acknowledged when a connection was lost is sent again; the monitor knows duplicates.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.errors import ServiceError
from monitor.fixes import ALARM_NAMES, NAME, SENTINEL_SPEED_MPS, FixBatch, Fleet, Quality
from monitor.ingest.files import Fault, Part
from monitor.ingest.fleet.link import FAILED, Link, RefusedError
from monitor.ingest.fleet.server import Server
from monitor.signals import timestamp

FIXES_PER_MESSAGE = 100
NOBODY = "unknown"
"""Under which name a row goes whose vehicle has none."""
PATIENCE_S = 60.0
"""How long a monitor that has gone is waited for."""
RETRY_S = 1.0
LOOK_S = 0.2
"""How late the end may be noticed."""


class Outgoing(NamedTuple):
    """One message."""

    vehicle: str
    payload: bytes
    fixes: int


@dataclass
class Sent:
    """What the monitor has acknowledged."""

    messages: int = 0
    fixes: int = 0
    line: int = 1
    """Up to which line of the file all is acknowledged."""


def messages_of(part: Part, fleet: Fleet, file: Path) -> Iterator[Outgoing]:
    """Give some rows of a file as messages: the fixes of each vehicle in order, then what cannot be used."""
    fixes = part.fixes
    cuts = np.flatnonzero(np.diff(fixes.vehicle)) + 1
    for begin, end in pairwise([0, *cuts.tolist(), len(fixes)]):
        for at in range(begin, end, FIXES_PER_MESSAGE):
            some = fixes.take(slice(at, min(at + FIXES_PER_MESSAGE, end)))
            yield Outgoing(fleet.ids[int(some.vehicle[0])].vehicle, msgspec.json.encode(payloads(some)), len(some))
    for fault in part.faults:
        yield refused(fault, file)


def refused(fault: Fault, file: Path) -> Outgoing:
    """Give a row that cannot be used as a message that no monitor takes."""
    name = fault.row.get("vehicle_id", "")
    said = {"file": file.name, "line": fault.line, "why": fault.reason, "row": fault.row}
    return Outgoing(name if NAME.fullmatch(name) else NOBODY, msgspec.json.encode(said), 0)


def payloads(fixes: FixBatch) -> list[dict[str, object]]:
    """Give fixes as payloads of our own form; they are the same fixes again at the other end."""
    columns: dict[str, npt.NDArray[np.floating[Any]]] = {
        "lat": fixes.lat,
        "lon": fixes.lon,
        "speed_mps": fixes.speed,
        "heading_deg": fixes.heading,
        "accuracy_m": fixes.accuracy,
    }
    known = {key: np.isfinite(column).tolist() for key, column in columns.items()}
    values = {key: column.tolist() for key, column in columns.items()}
    out: list[dict[str, object]] = []
    for row, ms in enumerate(fixes.time.view(np.int64).tolist()):
        said: dict[str, object] = {"time": timestamp(ms)}
        said |= {key: values[key][row] for key in columns if known[key][row]}
        if fixes.quality[row] & Quality.SENTINEL_SPEED:
            said["speed_mps"] = SENTINEL_SPEED_MPS  # that there was one is evidence
        for key, flag in (("ignition", fixes.ignition), ("door", fixes.door)):
            if flag[row] >= 0:
                said[key] = bool(flag[row])
        if fixes.alarms[row]:
            said["alarms"] = [name for name, bit in ALARM_NAMES.items() if int(fixes.alarms[row]) & bit]
        out.append(said)
    return out


class Backfill:
    """Sends parts of files over one connection, until all is acknowledged or `stop` is set."""

    def __init__(self, server: Server, carrier: str, fleet: Fleet, stop: threading.Event) -> None:
        self.sent = Sent()
        self._server, self._carrier, self._fleet, self._stop = server, carrier, fleet, stop
        self._link: Link | None = None
        self._flying: dict[int, Outgoing] = {}
        self._news = asyncio.Event()
        self._fault = ""

    async def send(self, parts: Iterator[Part], file: Path, progress: Callable[[float, Part], None]) -> None:
        """Send a file, part after part; `progress` is told what was acknowledged.

        Raises
        ------
        ServiceError
            If the monitor refuses, or is gone for too long.
        InputError
            If the file cannot be read.
        """
        try:
            for part in parts:
                await self._deliver(deque(messages_of(part, self._fleet, file)))
                if self._stop.is_set():
                    return
                self.sent.line = part.line
                progress(part.done, part)
        finally:
            if self._link is not None:
                self._link.close()
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self._link.ended), RETRY_S)

    async def _deliver(self, todo: deque[Outgoing]) -> None:
        while (todo or self._flying) and not self._stop.is_set():
            link = await self._connected(todo)
            while todo and link.room:
                message = todo.popleft()
                topic = self._server.named(self._server.topic, self._carrier, message.vehicle)
                self._flying[link.publish(topic.encode(), message.payload, message)] = message
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_S)
            link.tend()
            if self._fault:
                raise ServiceError(f"{self._server.host}:{self._server.port}: {self._fault}")

    async def _connected(self, todo: deque[Outgoing]) -> Link:
        """Give the connection, a new one where it was lost; what was on its way then is to be sent again."""
        if self._link is not None and not self._link.ended.done():
            return self._link
        todo.extendleft(reversed(self._flying.values()))
        self._flying.clear()
        where, deadline = f"{self._server.host}:{self._server.port}", time.monotonic() + PATIENCE_S
        while True:
            try:
                self._link = await self._server.connect(self._carrier, NOBODY, 1, self._confirmed, lambda _topic, _payload: None)
                self._link.ended.add_done_callback(lambda _: self._news.set())
                return self._link
            except RefusedError as error:
                raise ServiceError(f"{where}: refuses us: {error}") from None
            except OSError as error:
                if time.monotonic() > deadline or self.sent.messages == 0 or self._stop.is_set():
                    raise ServiceError(f"{where}: cannot be reached: {error or 'no answer in time'}") from None
            await asyncio.sleep(RETRY_S)

    def _confirmed(self, link: Link, number: int, _owner: object, reason: int) -> None:
        message = self._flying.pop(number, None) if link is self._link else None
        if message is not None:
            self.sent.messages += 1
            self.sent.fixes += message.fixes
        if reason >= FAILED:
            self._fault = f"refuses a message: reason {reason:#04x}"
        self._news.set()
