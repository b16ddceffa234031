"""The simulated fleet on the wire: one real MQTT connection a vehicle, QoS 1, from one thread.

A device sends again, after every lost connection, what was not acknowledged; a fleet that starts again uploads what its vehicles
measured in the meantime, as real devices do that were out of reach.
"""

from __future__ import annotations

import json
import logging
import selectors
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from monitor.errors import ConfigurationError
from monitor.ingest.fleet.device import FIRST_RETRY_S, Device, Outbox
from monitor.ingest.fleet.plan import Plan

log = logging.getLogger("monitor.simulate")

FIXES_PER_MESSAGE = 100
WINDOW = 10
"""Messages of one device that may wait for their acknowledgement."""
KEEPALIVE_S = 60
CONNECT_TIMEOUT_S = 5.0
SAVE_EVERY_S = 0.5
LONGEST_WAIT_S = 0.2
"""How late the fleet may notice that it should stop."""
GOODBYE_S = 2.0
"""How long the last acknowledgements are waited for."""


def read_features(folder: Path) -> list[dict[str, Any]]:
    """Read the features of every `*.geojson` of a folder, in the order of their names.

    Raises
    ------
    ConfigurationError
        If a file cannot be read as a FeatureCollection.
    """
    features: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*.geojson")):
        try:
            features += json.loads(file.read_text(encoding="utf-8"))["features"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError([f"{file}: not readable as a FeatureCollection: {error}"]) from None
    return features


class SimulatedFleet:
    """All devices of a plan and their connections; `run` blocks until it is told to stop.

    `clock` gives program time in ms since 1970 UTC and runs `rate` times as fast as real time. `username` may name `{carrier}`
    and `{vehicle}`. A monitor that cannot be reached, or that refuses, is tried again; each kind of trouble is logged once.
    """

    def __init__(
        self,
        plan: Plan,
        address: tuple[str, int],
        password: str,
        clock: Callable[[], int],
        outbox: Outbox,
        *,
        rate: float = 1.0,
        username: str = "{carrier}/{vehicle}",
    ) -> None:
        self._plan, self._address, self._password, self._clock = plan, address, password, clock
        self._outbox, self._rate, self._username = outbox, rate, username
        self._selector = selectors.DefaultSelector()
        self._troubles: set[str] = set()
        self.devices = [self._device(index, vehicle) for index, vehicle in enumerate(plan.vehicles)]

    def _device(self, index: int, vehicle: str) -> Device:
        through = self._outbox.through(vehicle, self._plan.first - 1)
        topic = f"telematics/v1/{self._plan.carrier}/{vehicle}/fix"
        return Device(index, vehicle, topic, through, through, self._plan.next_report(index, through))

    @property
    def connected(self) -> int:
        """How many devices are connected."""
        return sum(device.connected for device in self.devices)

    def run(self, stop: threading.Event) -> None:
        """Drive the fleet until `stop` is set, then wait shortly for the last acknowledgements and take leave.

        Raises
        ------
        ServiceError
            If the outbox cannot be written.
        """
        self._save()
        saved = swept = time.monotonic()
        try:
            while not stop.is_set():
                now = self._clock()
                for device in self.devices:
                    self._tend(device, now)
                self._serve(self._wait_s(now))
                if time.monotonic() - saved >= SAVE_EVERY_S:
                    self._save()
                    saved = time.monotonic()
                if time.monotonic() - swept >= 1.0:
                    self._sweep()
                    swept = time.monotonic()
        finally:
            self._leave()
            self._save()

    def _save(self) -> None:
        self._outbox.save({device.vehicle: device.acknowledged for device in self.devices})

    def _wait_s(self, now: int) -> float:
        """Real seconds until the next report is due."""
        ready = (device.due for device in self.devices if device.connected and len(device.waiting) < WINDOW)
        due = min(ready, default=now + 3_600_000)
        return min(max((due - now) / 1000.0 / self._rate, 0.005), LONGEST_WAIT_S)

    def _tend(self, device: Device, now: int) -> None:
        """Connect a device that is not, or publish what it has measured."""
        if device.client is None:
            if time.monotonic() >= device.retry_at:
                self._connect(device)
        elif device.connected and device.due <= now:
            self._publish(device, now)

    def _publish(self, device: Device, now: int) -> None:
        """Publish what was measured since the last message: one fix as it comes, many at once after a silence."""
        reach = FIXES_PER_MESSAGE * self._plan.interval_ms(device.index)
        while device.client is not None and device.due <= now and len(device.waiting) < WINDOW:
            through = min(now, device.sent + reach)
            fixes = self._plan.fixes(device.index, device.sent + 1, through + 1)
            if fixes:
                payload = json.dumps(fixes[0] if len(fixes) == 1 else fixes, separators=(",", ":"))
                message = device.client.publish(device.topic, payload, qos=1)
                device.waiting.append((message.mid, through))
            elif not device.waiting:
                device.acknowledged = through
            device.sent, device.due = through, self._plan.next_report(device.index, through)

    # -- connections --

    def _connect(self, device: Device) -> None:
        """Open a connection; paho tells us the rest."""
        protocol = mqtt.MQTTv5 if device.index % 2 else mqtt.MQTTv311
        client = mqtt.Client(CallbackAPIVersion.VERSION2, f"device-{device.vehicle}", userdata=device, protocol=protocol)
        client.username_pw_set(self._username.format(carrier=self._plan.carrier, vehicle=device.vehicle), self._password)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(2 * WINDOW)
        client.on_connect, client.on_disconnect, client.on_publish = self._on_connect, self._on_disconnect, _on_publish
        client.on_socket_open, client.on_socket_close = self._on_socket_open, self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        device.client = client
        try:
            client.connect(*self._address, keepalive=KEEPALIVE_S)
        except OSError as error:
            self._trouble(f"the monitor cannot be reached: {error}")
            for other in self.devices:  # one trial speaks for all
                if other.client is None or other is device:
                    other.lost(time.monotonic())

    def _serve(self, wait_s: float) -> None:
        """Read and write what the sockets are ready for."""
        for key, events in self._selector.select(wait_s):
            client: mqtt.Client = key.data
            if events & selectors.EVENT_READ:
                client.loop_read()
            if events & selectors.EVENT_WRITE and client.want_write():
                client.loop_write()

    def _sweep(self) -> None:
        """Let paho keep its connections alive, and notice dead ones."""
        for client in [device.client for device in self.devices if device.client is not None]:
            client.loop_misc()

    def _leave(self) -> None:
        """Wait shortly for what is on its way, then disconnect."""
        deadline = time.monotonic() + GOODBYE_S
        while any(device.waiting for device in self.devices) and time.monotonic() < deadline:
            self._serve(0.05)
        for device in self.devices:
            if device.client is not None:
                device.client.disconnect()
        while self._selector.get_map() and time.monotonic() < deadline + GOODBYE_S:
            self._serve(0.05)
        self._selector.close()

    def _trouble(self, text: str) -> None:
        if text not in self._troubles:
            self._troubles.add(text)
            log.warning("%s; the simulated fleet keeps trying", text)

    def _on_connect(self, _client: mqtt.Client, device: Device, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._trouble(f"the monitor refuses {device.vehicle}: {reason}")
        else:
            device.connected, device.retry_after = True, FIRST_RETRY_S
            self._troubles.clear()

    @staticmethod
    def _on_disconnect(client: mqtt.Client, device: Device, _flags: Any, _reason: Any, _properties: Any) -> None:
        if device.client is client:
            device.lost(time.monotonic())

    def _on_socket_open(self, client: mqtt.Client, _device: Device, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ, client)

    def _on_socket_close(self, _client: mqtt.Client, _device: Device, sock: Any) -> None:
        self._selector.unregister(sock)

    def _on_register_write(self, client: mqtt.Client, _device: Device, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _on_unregister_write(self, client: mqtt.Client, _device: Device, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ, client)


def _on_publish(_client: mqtt.Client, device: Device, message: int, _reason: Any, _properties: Any) -> None:
    """Paho has the PUBACK of a message."""
    device.receipt(message)


def run_fleet(
    plan: Plan,
    host: str,
    port: int,
    password: str,
    clock: Callable[[], int],
    stop: threading.Event,
    outbox_file: Path,
    *,
    rate: float = 1.0,
    username: str = "{carrier}/{vehicle}",
) -> None:
    """Drive a plan's vehicles against a monitor until `stop` is set.

    Raises
    ------
    ServiceError
        If the outbox cannot be written.
    """
    fleet = SimulatedFleet(plan, (host, port), password, clock, Outbox(outbox_file, plan), rate=rate, username=username)
    fleet.run(stop)
