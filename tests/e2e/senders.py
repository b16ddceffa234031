"""Those who send a world's fixes while the monitor dies again and again: a gateway at its listener, and one at a broker.

Both keep count of what the monitor has said to be on disk: by a PUBACK, or by a receipt.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.signals import instant
from tests.e2e.device import JUNK, Device, Letter, topic
from tests.e2e.laid_down import Record, payload
from tests.e2e.program import PATIENCE_S, Monitor, eventually
from tests.ingest.mosquitto import Mosquitto
from tests.tracks import World, deliveries

Fix = tuple[str, int]
"""Vehicle and time, ms."""
AT_ONCE = 3
"""Fixes in one message at the most."""
BOOT = "b1"
DELIVERY = 4
"""So few messages make a delivery that a kill finds many that are done and many to come."""
NOISE = 40


def letters_of(seed: int, world: World, records: list[Record]) -> list[Letter]:
    """What the devices send: most fixes as they come, some late, in blocks, or twice; several of a vehicle in one message.

    Each is numbered in the order in which its vehicle sends it first.
    """
    out: list[Letter] = []
    numbers: dict[str, dict[int, int]] = {}
    for index, _now in deliveries(seed, world.fixes):
        of_vehicle: dict[str, list[bytes]] = {}
        for row in index.tolist():
            vehicle = records[row]["vehicle_id"]
            known = numbers.setdefault(vehicle, {})
            number = known.setdefault(row, len(known) + 1)
            said = payload(records[row])[:-1] + f', "boot": "{BOOT}", "seq": {number}}}'.encode()
            of_vehicle.setdefault(vehicle, []).append(said)
        for vehicle, fixes in of_vehicle.items():
            blocks = [fixes[begin : begin + AT_ONCE] for begin in range(0, len(fixes), AT_ONCE)]
            out += [(topic(vehicle), b"[" + b",".join(block) + b"]") for block in blocks]
    return out


def fixes_in(letter: Letter) -> set[Fix]:
    """What a letter holds."""
    address, content = letter
    return {(address.split("/")[3], instant(fix["time"])) for fix in json.loads(content)}


class Sender(Protocol):
    """Sends its letters in order, and knows which fixes the monitor has said to be on disk."""

    letters: Sequence[Letter]

    @property
    def left(self) -> int:
        """How many letters have not been sent for good."""

    def promised(self) -> set[Fix]:
        """Fixes that the monitor has said to be on disk."""

    def send_a_few(self, monitor: Monitor, port: int, few: int) -> None:
        """Send some, until they are on disk."""

    def send_under_load(self, port: int, share: int, last: int, reached: Callable[[], None]) -> None:
        """Send so many letters, and more of no meaning, until the monitor dies; tell when the `last`-th answer has come."""

    def send_the_rest(self, monitor: Monitor, port: int) -> None:
        """Send all that is left, until it is on disk."""

    def answers(self, share: int) -> int:
        """How many answers come at the least where so many letters are sent."""


class Gateway:
    """At the listener: what has no PUBACK is sent again on the next connection."""

    def __init__(self, letters: Sequence[Letter], token: str) -> None:
        self.letters = letters
        self._device = Device(letters, "default", token)

    @property
    def left(self) -> int:
        """How many letters have no PUBACK yet."""
        return len(self.letters) - len(self._device.acknowledged)

    def promised(self) -> set[Fix]:
        """Fixes with a PUBACK."""
        return {fix for number in self._device.acknowledged for fix in fixes_in(self.letters[number])}

    def send_a_few(self, monitor: Monitor, port: int, few: int) -> None:
        """Send some, on a connection of their own."""
        some = Device(self.letters, self._device.user, self._device.token)
        waiting = [number for number in range(len(self.letters)) if number not in self._device.acknowledged][:few]
        some.acknowledged = set(range(len(self.letters))) - set(waiting)
        some.feed(port)
        assert some.done
        self._device.acknowledged |= set(waiting)

    def send_under_load(self, port: int, share: int, last: int, reached: Callable[[], None]) -> None:
        """Send all that there is, until the connection is cut."""
        self._device.feed(port, lambda heard: reached() if heard == last else None, forever=True)

    def send_the_rest(self, monitor: Monitor, port: int) -> None:
        """Send all that has no PUBACK."""
        self._device.feed(port)
        assert self._device.done

    def answers(self, share: int) -> int:
        """A PUBACK each."""
        return share


class Bridge:
    """At a broker that lives: what the broker has taken is never sent again, so that the monitor must not lose it."""

    def __init__(self, letters: Sequence[Letter], broker: Mosquitto) -> None:
        self.letters, self._next = letters, 0
        self._through: dict[str, int] = {}
        self._heard, self._told = 0, threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "bridge", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._receipt
        granted = threading.Event()
        self._client.on_subscribe = lambda *_: granted.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.subscribe("telematics/v1/default/+/ack", 1)
        self._client.loop_start()
        assert granted.wait(PATIENCE_S)

    @property
    def left(self) -> int:
        """How many letters the broker has not been given."""
        return len(self.letters) - self._next

    def promised(self) -> set[Fix]:
        """Fixes that a receipt has named."""
        with self._told:
            through = dict(self._through)
        found = set()
        for address, content in self.letters:
            vehicle = address.split("/")[3]
            fixes = [fix for fix in json.loads(content) if fix["seq"] <= through.get(vehicle, 0)]
            found |= {(vehicle, instant(fix["time"])) for fix in fixes}
        return found

    def send_a_few(self, monitor: Monitor, port: int, few: int) -> None:
        """Give the broker some, and look until they are on disk."""
        _wait(self._publish(few))
        sent = {fix for letter in self.letters[: self._next] for fix in fixes_in(letter)}
        assert eventually(lambda: sent <= present(monitor))

    def send_under_load(self, port: int, share: int, last: int, reached: Callable[[], None]) -> None:
        """Give the broker so many, and what is of no meaning; tell when the `last`-th receipt has come."""
        with self._told:
            before = self._heard
        under_way = self._publish(share)
        under_way += [self._client.publish(*JUNK, 1) for _ in range(NOISE)]
        with self._told:
            assert self._told.wait_for(lambda: self._heard - before >= last, PATIENCE_S)
        reached()
        _wait(under_way)

    def send_the_rest(self, monitor: Monitor, port: int) -> None:
        """Give the broker all that is left."""
        self.send_a_few(monitor, port, self.left)

    def answers(self, share: int) -> int:
        """One receipt a delivery at the least."""
        return max(1, min(share, self.left) // DELIVERY)

    def close(self) -> None:
        """Hang up."""
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, count: int) -> list[paho.MQTTMessageInfo]:
        some = self.letters[self._next : self._next + count] or self.letters[-count:]
        self._next = min(self._next + count, len(self.letters))
        return [self._client.publish(*letter, 1) for letter in some]

    def _receipt(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        said, vehicle = json.loads(message.payload), message.topic.split("/")[3]
        with self._told:
            self._through[vehicle] = max(said["through"], self._through.get(vehicle, 0))
            self._heard += 1
            self._told.notify_all()


def _wait(under_way: Sequence[paho.MQTTMessageInfo]) -> None:
    for each in under_way:
        each.wait_for_publish(PATIENCE_S)
        assert each.is_published()


def present(monitor: Monitor) -> set[Fix]:
    """The fixes in the database; read without opening it for writing, so that the monitor finds it as its death left it."""
    return set(monitor.rows("SELECT v.name, f.time FROM fix f JOIN vehicle v ON v.id = f.vehicle_id"))
