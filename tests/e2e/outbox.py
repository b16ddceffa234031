"""Vehicles with an outbox behind one foreign MQTT client: a fix leaves it when a receipt says that it is on disk, or with the PUBACK."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

AGAIN_S = 3.0
"""What no receipt has named for so long is sent again."""
AT_ONCE = 50
BOOT = "a7"


class Vehicle:
    """One vehicle: numbers its fixes 1, 2, 3, ... and keeps them until they are on disk."""

    def __init__(self, name: str, first_ms: int) -> None:
        self.name, self.number = name, 0
        self._first_ms = first_ms
        self.kept: dict[int, float] = {}
        """Number -> when it was last sent."""

    def payload(self, number: int) -> bytes:
        """A fix a second, along a straight road."""
        at = datetime.fromtimestamp((self._first_ms + number * 1000) / 1000, UTC).isoformat(timespec="milliseconds")
        said = {"time": at, "lat": 50.0, "lon": -95.0 + number * 2e-4, "speed_mps": 15.0, "boot": BOOT, "seq": number}
        return json.dumps(said).encode()

    def told(self, through: int, missing: list[list[int]]) -> None:
        """Empty the outbox through a number; what is missing goes first, unless it was sent only now."""
        late = time.monotonic() - AGAIN_S / 3
        for number in [number for number in self.kept if number <= through]:
            del self.kept[number]
        for first, last in missing:
            for number in range(first, last + 1):
                if self.kept.get(number, late) < late:
                    self.kept[number] = 0.0

    def due(self) -> list[int]:
        """The numbers to be sent again."""
        late = time.monotonic() - AGAIN_S
        return sorted(number for number, sent in self.kept.items() if sent < late)[:AT_ONCE]


class Fleet:
    """Vehicles that send until they are stopped."""

    def __init__(self, port: int, names: list[str], first_ms: int, *, receipts: bool) -> None:
        self.vehicles = {name: Vehicle(name, first_ms) for name in names}
        self._receipts, self._lock = receipts, threading.Lock()
        self._driving, self._over = threading.Event(), threading.Event()
        self._driving.set()
        self.again = 0
        """Fixes that were sent again."""
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "gateway", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 2)
        self._client.on_connect = self._connected
        self._client.on_message = self._told
        self._client.connect("127.0.0.1", port, keepalive=10)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    @property
    def sent(self) -> int:
        """Fixes that there are in all."""
        return sum(vehicle.number for vehicle in self.vehicles.values())

    @property
    def empty(self) -> bool:
        """Whether nothing is left in the outboxes: the receipts' or paho's own."""
        with self._lock:
            kept = any(vehicle.kept for vehicle in self.vehicles.values()) if self._receipts else False
        return not kept and not self._client._out_messages

    def park(self) -> None:
        """Measure nothing more; what is kept is still sent."""
        self._driving.clear()

    def close(self) -> None:
        """Hang up."""
        self._over.set()
        self._thread.join(10)
        self._client.disconnect()
        self._client.loop_stop()

    def _drive(self) -> None:
        while not self._over.wait(0.025):
            with self._lock:
                for vehicle in self.vehicles.values():
                    for number in self._ready(vehicle):
                        topic = f"telematics/v1/default/{vehicle.name}/fix"
                        self._client.publish(topic, vehicle.payload(number), 1)

    def _ready(self, vehicle: Vehicle) -> list[int]:
        numbers: list[int] = []
        if self._receipts and self._client.is_connected():
            numbers = vehicle.due()
            self.again += len(numbers)
        if self._driving.is_set():
            vehicle.number += 1
            numbers.append(vehicle.number)
        if self._receipts:
            vehicle.kept |= dict.fromkeys(numbers, time.monotonic())
        return numbers

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, _reason: Any, _said: Any) -> None:
        client.subscribe("telematics/v1/default/+/ack", 1)

    def _told(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        said = json.loads(message.payload)
        if self._receipts and said["boot"] == BOOT:
            with self._lock:
                self.vehicles[message.topic.split("/")[3]].told(said["through"], said["missing"])
