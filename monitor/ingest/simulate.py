"""The simulated fleet on the wire: MQTT connections of its own, QoS 1, thousands of them from one thread.

A device sends again, after every lost connection, what has not arrived; a fleet that starts again uploads what its vehicles
measured in the meantime, as real devices do that were out of reach.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from monitor.ingest.fleet.device import Device, Tally, Waiting, settled
from monitor.ingest.fleet.link import FAILED, Link, RefusedError
from monitor.ingest.fleet.outbox import Outbox
from monitor.ingest.fleet.plan import Plan
from monitor.ingest.fleet.roads import read_features
from monitor.ingest.fleet.server import WINDOW, Server, confirmation
from monitor.ingest.fleet.travel import NOTHING_HAPPENS, Travel
from monitor.ingest.fleet.upload import Parcel, missing, parcels, pending

__all__ = ["SimulatedFleet", "read_features", "run_fleet"]

log = logging.getLogger("monitor.simulate")

CONNECTING = 200
"""Connections that are opened at the same time."""
FIRST_RETRY_S, LAST_RETRY_S = 0.25, 15.0
SAVE_EVERY_S = 0.5
LONGEST_WAIT_S = 0.2
"""How late the fleet may notice that it should stop."""
AT_ONCE = 500
"""Devices that publish before the network is listened to again."""
GOODBYE_S = 2.0
CONFIRM_S = 60.0
"""What the monitor has not confirmed for so long is sent again."""
ASK_S = 2.0
"""Missing reports of one device are sent again at most this often."""


class SimulatedFleet:
    """All devices of a plan and their connections; `run` blocks until it is told to stop.

    `clock` gives program time (ms since 1970 UTC), `rate` times as fast as real time. A monitor that cannot be reached, or that
    refuses, is tried again; each kind of trouble is logged once.
    """

    def __init__(
        self,
        plan: Plan,
        server: Server,
        clock: Callable[[], int],
        outbox: Outbox,
        *,
        rate: float = 1.0,
        travel: Travel = NOTHING_HAPPENS,
    ) -> None:
        self.tally = Tally()
        self._plan, self._server, self._clock, self._outbox, self._rate, self._travel = plan, server, clock, outbox, rate, travel
        self._troubles: set[str] = set()
        self.devices = [self._device(index, vehicle) for index, vehicle in enumerate(plan.vehicles)]
        named = server.ack_topic and [server.named(server.ack_topic, plan.carrier, vehicle) for vehicle in plan.vehicles]
        self._at = dict(zip(named, self.devices, strict=True)) if named else {}
        self._due: list[tuple[int, int]] = []
        self._queued: set[int] = set()
        self._stuck: dict[Link, dict[int, Device]] = {}

    def _device(self, index: int, vehicle: str) -> Device:
        through = self._outbox.through(vehicle, self._plan.first - 1)
        topic = self._server.named(self._server.topic, self._plan.carrier, vehicle).encode()
        return Device(index, vehicle, topic, through, through, known_through=through)

    def run(self, stop: threading.Event) -> None:
        """Drive the fleet until `stop` is set, then wait shortly for the last acknowledgements and take leave.

        Raises
        ------
        ServiceError
            If the outbox cannot be written.
        """
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        self._save()
        groups = [self.devices] if self._server.gateway else [[device] for device in self.devices]
        gate = asyncio.Semaphore(CONNECTING)
        keepers = [asyncio.create_task(self._keep(group, gate)) for group in groups]
        saved = swept = time.monotonic()
        try:
            while not stop.is_set():
                busy = self._publish_due(self._clock())
                await asyncio.sleep(0 if busy else self._wait_s(self._clock()))
                now = time.monotonic()
                if now - saved >= SAVE_EVERY_S:
                    self._save()
                    saved = now
                if now - swept >= 1.0:
                    self._sweep(now)
                    swept = now
            await _until(lambda: not any(device.waiting for device in self.devices))
        finally:
            links = self._links()
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await _until(lambda: all(link.ended.done() for link in links))
            self._save()

    def _save(self) -> None:
        self._outbox.save({device.vehicle: device.acknowledged for device in self.devices})

    def _wait_s(self, now: int) -> float:
        """Real seconds until the next report is due."""
        due = self._due[0][0] if self._due else now + 3_600_000
        return min(max((due - now) / 1000.0 / self._rate, 0.001), LONGEST_WAIT_S)

    # -- what is measured --

    def _await(self, device: Device, due: int | None = None) -> None:
        """Have a device looked at again when it has something to publish."""
        if device.index not in self._queued and device.link is not None:
            self._queued.add(device.index)
            heapq.heappush(self._due, (device.due(self._plan) if due is None else due, device.index))

    def _publish_due(self, now: int) -> bool:
        """Publish what is due; gives whether more may be."""
        for _ in range(AT_ONCE):
            if not self._due or self._due[0][0] > now:
                return False
            device = self.devices[heapq.heappop(self._due)[1]]
            self._queued.discard(device.index)
            held = self._travel.held(device.index, now)
            if device.link is None:
                continue
            if held > now:
                self._await(device, held)
            elif self._publish(device, device.link, now):
                self._await(device)
        return True

    def _publish(self, device: Device, link: Link, now: int) -> bool:
        """Publish what was measured since the last message: one fix as it comes, many at once after a silence.

        Gives whether that was all; else it is called again when there is room.
        """
        messages = parcels(device, self._plan, now, min(WINDOW - len(device.waiting), link.room))
        if not messages and not device.waiting and not device.unconfirmed:
            device.acknowledged = device.sent = max(device.sent, now)
        order = reversed(messages) if self._travel.newest_first else messages
        numbers = {message.through: self._send(device, link, message) for message in order}
        for message in messages:
            device.waiting.append(Waiting(numbers[message.through], message.first, message.through))
            device.sent = message.through
            if self._server.ack_topic:
                device.moved_s = device.moved_s if device.unconfirmed else time.monotonic()
                device.unconfirmed.append(message.last)
        if pending(device, now):
            self._stuck.setdefault(link, {})[device.index] = device
            return False
        return True

    def _send(self, device: Device, link: Link, message: Parcel) -> int:
        self.tally.messages += 1
        self.tally.fixes += len(message.fixes)
        if self._travel.twice(device.index, message.through):
            link.publish(device.topic, message.payload, None)
        return link.publish(device.topic, message.payload, device)

    # -- what the monitor says --

    def _confirmed(self, link: Link, number: int, owner: object, reason: int) -> None:
        """A PUBACK: there is room for another message, of its device and on its connection."""
        if reason >= FAILED:
            self.tally.refused += 1
            self._trouble(f"the monitor refuses a message: reason {reason:#04x}")
        stuck = self._stuck.get(link, {})
        if isinstance(owner, Device) and owner.link is link:
            self.tally.confirmed += 1
            owner.receipt(number)
            if stuck.pop(owner.index, None):
                self._await(owner, 0)
        for first in list(islice(stuck, 1)):
            self._await(stuck.pop(first), 0)

    def _heard(self, topic: str, payload: bytes) -> None:
        """The monitor's word that something is on disk, or is not."""
        device, said = self._at.get(topic), confirmation(payload)
        if device is None or said is None:
            return
        device.confirm(settled(device, self._plan, int(said.boot), said.through), time.monotonic())
        if said.missing and time.monotonic() - device.asked_s >= ASK_S:
            device.asked_s = time.monotonic()
            for fixes in missing(device, self._plan, said):
                if device.link is None or not device.link.room:
                    return
                self.tally.again += len(fixes)
                device.link.publish(device.topic, msgspec.json.encode(fixes), None)

    # -- connections --

    async def _keep(self, group: Sequence[Device], gate: asyncio.Semaphore) -> None:
        """Keep up the connection of a device, or of all of a gateway."""
        retry = FIRST_RETRY_S
        while True:
            async with gate:
                link = await self._connect(group[0])
            if link is not None:
                retry = FIRST_RETRY_S
                try:
                    self._join(group, link)
                    await asyncio.shield(link.ended)
                finally:
                    link.close()
                    self._part(group, link)
                self.tally.lost += 1
            await asyncio.sleep(retry)
            retry = min(2 * retry, LAST_RETRY_S)

    async def _connect(self, device: Device) -> Link | None:
        vehicle = device.vehicle
        try:
            link = await self._server.connect(self._plan.carrier, vehicle, device.index, self._confirmed, self._heard)
        except RefusedError as error:
            self._trouble(f"the monitor refuses {vehicle}: {error}")
            return None
        except OSError as error:  # a timeout is one, and so is what TLS finds wrong
            self._trouble(f"the monitor cannot be reached: {error or 'no answer in time'}")
            return None
        self._troubles.clear()
        self.tally.connections += 1
        return link

    def _join(self, group: Sequence[Device], link: Link) -> None:
        if self._server.ack_topic:
            whose = "+" if self._server.gateway else group[0].vehicle
            link.subscribe(self._server.named(self._server.ack_topic, self._plan.carrier, whose))
        for device in group:
            device.link = link
            self._await(device)

    def _part(self, group: Sequence[Device], link: Link) -> None:
        self._stuck.pop(link, None)
        for device in group:
            device.link = None
            device.lost()

    def _links(self) -> set[Link]:
        return {device.link for device in self.devices if device.link is not None}

    def _sweep(self, now_s: float) -> None:
        """Keep connections alive, and send again what the monitor has not confirmed for too long."""
        for link in self._links():
            link.tend()
        for device in self.devices if self._server.ack_topic else ():
            if device.unconfirmed and now_s - device.moved_s > CONFIRM_S:
                device.lost()
                device.moved_s = now_s
                self._await(device)

    def _trouble(self, text: str) -> None:
        if text not in self._troubles:
            self._troubles.add(text)
            log.warning("%s; the simulated fleet keeps trying", text)


async def _until(claim: Callable[[], bool]) -> None:
    """Wait shortly for something to come true."""
    deadline = time.monotonic() + GOODBYE_S
    while not claim() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


def run_fleet(
    plan: Plan,
    server: Server,
    clock: Callable[[], int],
    stop: threading.Event,
    outbox_file: Path | None = None,
    *,
    rate: float = 1.0,
    travel: Travel = NOTHING_HAPPENS,
) -> Tally:
    """Drive a plan's vehicles against a monitor until `stop` is set; gives what has been going on.

    Raises
    ------
    ServiceError
        If the outbox cannot be written.
    """
    fleet = SimulatedFleet(plan, server, clock, Outbox(outbox_file, plan), rate=rate, travel=travel)
    fleet.run(stop)
    return fleet.tally
