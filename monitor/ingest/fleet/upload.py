"""What a simulated device sends next: one fix as it comes, many at once after a silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from monitor.ingest.fleet.device import Device
from monitor.ingest.fleet.plan import Plan
from monitor.ingest.fleet.server import Confirmation
from monitor.signals import instant

FIXES_PER_MESSAGE = 100
BLOCK_MS, BLOCK_REPORTS = 30 * 60_000, 64
"""How far ahead a device is asked what it will measure: cheaper than one by one."""


class Parcel(NamedTuple):
    """One message. Instants in ms."""

    through: int
    """All that was measured up to here is in this message or in one before it."""
    first: int
    last: int
    """The first and the last fix in it."""
    fixes: list[bytes]

    @property
    def payload(self) -> bytes:
        """As it is sent."""
        return self.fixes[0] if len(self.fixes) == 1 else b"[" + b",".join(self.fixes) + b"]"


def parcels(device: Device, plan: Plan, now: int, most: int) -> list[Parcel]:
    """Take from a device what it has measured up to `now` and not sent, `most` messages of it at the most, in order."""
    out: list[Parcel] = []
    while len(out) < most:
        fixes = _next_fixes(device, plan, now)
        if not fixes:
            break
        first, last = fixes[0][0], fixes[-1][0]
        drained = not device.known or device.known[0][0] > now
        out.append(Parcel(max(last, now) if drained else last, first, last, [payload for _, payload in fixes]))
    return out


def pending(device: Device, now: int) -> bool:
    """Whether there may be more to send already."""
    return device.known[0][0] <= now if device.known else device.known_through < now


def missing(device: Device, plan: Plan, said: Confirmation) -> Iterator[list[dict[str, object]]]:
    """Measure again what the monitor misses of what has left the device for good, a message at a time."""
    sent = device.waiting[0].first - 1 if device.waiting else device.sent
    for first, last in said.missing:
        begin, end = (plan.instant(device.index, int(said.boot), number) for number in (first, last))
        fixes = plan.fixes(device.index, begin, min(end, sent) + 1)
        yield from (fixes[at : at + FIXES_PER_MESSAGE] for at in range(0, len(fixes), FIXES_PER_MESSAGE))


def _next_fixes(device: Device, plan: Plan, now: int) -> list[tuple[int, bytes]]:
    """Take the next fixes of a device, as instants and payloads."""
    known, fixes = device.known, list[tuple[int, bytes]]()
    while len(fixes) < FIXES_PER_MESSAGE:
        if not known:
            if device.known_through >= now:
                break
            _look_ahead(device, plan)
        elif known[0][0] > now:
            break
        else:
            fixes.append(known.popleft())
    return fixes


def _look_ahead(device: Device, plan: Plan) -> None:
    """Ask what a device will measure next."""
    begin, interval = device.known_through + 1, plan.interval_ms(device.index)
    device.known_through += max(interval, min(BLOCK_MS, BLOCK_REPORTS * interval))
    for fix in plan.fixes(device.index, begin, device.known_through + 1):
        device.known.append((instant(fix["time"]), msgspec.json.encode(fix)))
