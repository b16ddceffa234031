"""A real Mosquitto on a free port, that can be killed as a power cut would."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.ingest.broker import Broker
from monitor.ingest.ingress import Ingress
from monitor.settings import Broker as Address
from tests.ingest.wire import PATIENCE_S, MainLoop

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
PASSWD = shutil.which("mosquitto_passwd")
needs_mosquitto = pytest.mark.skipif(not MOSQUITTO and os.environ.get("CI") != "true", reason="mosquitto is not installed")
TOPIC = "telematics/v1/acme/truck/fix"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "broker"
STEP_S = 0.05


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Mosquitto:
    """A broker of its own, that keeps what it holds over a kill as far as it was written."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self.folder = folder
        (folder / "passwords").touch(mode=0o600)
        self.configure(*(lines or ("allow_anonymous true",)))
        self.process = self.start()

    def configure(self, *lines: str) -> None:
        """Write the configuration that the next start reads."""
        common = [f"listener {self.port} 127.0.0.1", f"persistence_location {self.folder}/", "persistence true"]
        text = "\n".join([*common, "user root", "log_dest none", *lines, ""])
        (self.folder / "mosquitto.conf").write_text(text)

    def start(self) -> subprocess.Popen[bytes]:
        """Run it, and wait until it accepts connections."""
        self.process = started(self.folder / "mosquitto.conf", [self.port])
        return self.process

    def save(self) -> None:
        """Have it write down what it holds: none of its settings does so before each of its PUBACKs."""
        database = self.folder / "mosquitto.db"
        before = database.stat().st_ino if database.exists() else 0
        self.process.send_signal(signal.SIGUSR1)
        for _ in range(200):
            if database.exists() and database.stat().st_ino != before:
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STEP_S)
        raise AssertionError("mosquitto does not save")

    def kill(self) -> None:
        """Kill it as a power cut would."""
        killed(self.process)

    def forget(self) -> None:
        """Lose what was written too, as a new disk would."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def publish(self, payloads: Sequence[bytes], topic: str = TOPIC, qos: int = 1, *, retain: bool = False) -> None:
        """Publish as a foreign client, until the broker has taken all."""
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for sent in [client.publish(topic, payload, qos, retain) for payload in payloads]:
            sent.wait_for_publish(PATIENCE_S)
        client.disconnect()
        client.loop_stop()


def started(configuration: Path, ports: Sequence[int]) -> subprocess.Popen[bytes]:
    """Run a broker, and wait until it accepts connections on each of its ports."""
    assert MOSQUITTO, "mosquitto is not installed"
    process = subprocess.Popen([MOSQUITTO, "-c", str(configuration)], stderr=subprocess.DEVNULL, cwd=configuration.parent)
    for _ in range(200):
        if all(_answers(port) for port in ports):
            return process
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"mosquitto ends with status {process.wait(STEP_S)}")
    raise AssertionError("mosquitto does not start")


def killed(process: subprocess.Popen[bytes]) -> None:
    """End a broker as a power cut would."""
    process.kill()
    process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def source(broker: Mosquitto, batch: int = 100, **settings: Any) -> Ingress:
    """A subscription that has been granted."""
    it = Ingress([Broker(Address(port=broker.port, **settings), batch)], batch)
    it.start()
    return it


def finish(it: Ingress, loop: MainLoop) -> None:
    """Commit what is under way and end."""
    loop.commit.set()
    it.close()
    assert loop.ended()


def numbered(first: int, last: int) -> list[bytes]:
    """Payloads that tell their order."""
    return [b"%d" % i for i in range(first, last)]
