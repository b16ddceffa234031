"""Messages a second out of Mosquitto, QoS 1, acknowledged by hand: a bare paho client that counts, our door, the whole monitor.

The broker holds all messages before the clock starts, in the session of who will fetch them: so that publishing costs nothing while
it is measured, and the figure is that of broker and client alone. Bare paho acknowledges at once; the door acknowledges what a main
loop that does nothing has taken; the monitor what is decoded, judged and on disk. CPU time is this process's, the broker's apart.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.running import running
from benchmarks.table import show
from monitor.clock import world_clock
from monitor.ingest.broker import Broker
from monitor.ingest.ingress import Ingress
from monitor.settings import Broker as Settings
from tests.ingest.mosquitto import Mosquitto

CLIENT, TOPIC = "telematics-monitor", "telematics/v1/+/+/fix"
RECEIVE_MAXIMUM = Settings().receive_maximum
CASES = {1: 60_000, 10: 12_000, 100: 1_500}
"""Fixes in a message -> messages."""
VEHICLES = 500
CONFIGURED = ("allow_anonymous true", "max_queued_messages 0", "max_inflight_messages 0", "set_tcp_nodelay true")
BEGUN = 0.1
"""The clock starts when this share has come: connecting, compiling and first sight of a vehicle are not measured."""
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Run:
    """What one contestant did."""

    rate: float
    cpu_us: float
    """This process's, for each message."""


def session(properties: Properties) -> Properties:
    """A session that is kept."""
    properties.SessionExpiryInterval = int(timedelta(days=1).total_seconds())
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return properties


def bare_client(port: int) -> paho.Client:
    """A paho client as its manual has it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, CLIENT, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port, clean_start=False, properties=session(Properties(PacketTypes.CONNECT)))  # type: ignore[no-untyped-call]
    return client


def hold(broker: Mosquitto, messages: int, fixes: int) -> None:
    """Have the broker hold messages for the client id."""
    client, granted = bare_client(broker.port), threading.Event()
    client.on_subscribe = lambda *_said: granted.set()
    client.loop_start()
    client.subscribe(TOPIC, 1)
    if not granted.wait(PATIENCE_S):
        raise SystemExit("the broker does not answer")
    client.disconnect()
    client.loop_stop()
    order = {"port": broker.port, "carrier": "bench", "secret": "", "connections": 4, "window": 500, "rate": 0}
    order |= {"vehicles": VEHICLES, "messages": messages, "fixes": fixes, "first_ms": world_clock() - 3 * 86_400_000}
    subprocess.run(
        [sys.executable, "-m", "benchmarks.publisher"], input=json.dumps(order), capture_output=True, text=True, check=True
    )


def timed(count: Callable[[], int], total: int, messages: int) -> Run:
    """Watch a count rise from `BEGUN` of its total to all of it."""
    never, until = threading.Event(), time.monotonic() + PATIENCE_S

    def reach(goal: int) -> tuple[int, float, float]:
        while (now := count()) < goal:
            if time.monotonic() > until:
                raise SystemExit(f"{now} of {total} came")
            never.wait(0.002)
        return now, time.monotonic(), time.process_time()

    (first, begun, begun_cpu), (last, ended, ended_cpu) = reach(int(BEGUN * total)), reach(total)
    share = messages * (last - first) / total
    return Run(share / (ended - begun), (ended_cpu - begun_cpu) / share * 1e6)


def bare(port: int, messages: int, fixes: int) -> Run:
    """paho, counting."""
    del fixes
    came, client = [0], bare_client(port)

    def counted(_client: object, _data: object, _message: object) -> None:
        came[0] += 1

    client.on_message = counted
    client.loop_start()
    run = timed(lambda: came[0], messages, messages)
    client.disconnect()
    client.loop_stop()
    return run


def door(port: int, messages: int, fixes: int) -> Run:
    """Our door, into a main loop that does nothing."""
    del fixes
    ingress, came = Ingress([Broker(Settings(port=port), 5000)], 5000), [0]
    ingress.start()

    def take() -> None:
        for delivery in ingress:
            came[0] += len(delivery.messages)
            delivery.acknowledge(())

    loop = threading.Thread(target=take)
    loop.start()
    run = timed(lambda: came[0], messages, messages)
    ingress.close()
    loop.join()
    return run


def whole(port: int, messages: int, fixes: int) -> Run:
    """The whole monitor: the count is that of fixes on disk."""
    with running(["ingest.source=broker", f"ingest.broker.port={port}"]) as monitor:
        return timed(lambda: monitor.app.counts.fixes, messages * fixes, messages)


CONTESTANTS = {"bare paho": bare, "door": door, "monitor": whole}


def measure(name: str, messages: int, fixes: int) -> Run:
    """One contestant on a new broker."""
    with tempfile.TemporaryDirectory(prefix="monitor-benchmark-") as folder:
        broker = Mosquitto(Path(folder), *CONFIGURED)
        try:
            hold(broker, messages, fixes)
            return CONTESTANTS[name](broker.port, messages, fixes)
        finally:
            broker.kill()


def profiled(name: str, fixes: int) -> None:
    """Print where one contestant's time goes, all its threads together."""
    profile = cProfile.Profile()
    threading.setprofile(lambda *_said: profile.enable())
    measure(name, CASES[fixes] // 3, fixes)
    threading.setprofile(None)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--fixes", type=int, nargs="*", default=list(CASES), help="fixes in a message: 1, 10, 100")
    parser.add_argument("--only", nargs="*", default=list(CONTESTANTS))
    parser.add_argument("--profile", action="store_true")
    said = parser.parse_args()
    if said.profile:
        profiled(said.only[0], said.fixes[0])
        return
    rows = []
    for fixes in said.fixes:
        runs = {name: [] for name in said.only}  # type: dict[str, list[Run]]
        for _ in range(said.turns):
            for name in said.only:
                runs[name].append(measure(name, CASES[fixes], fixes))
        for name, some in runs.items():
            best = max(some, key=lambda run: run.rate)
            rows.append([name, fixes, int(best.rate), int(best.rate * fixes), best.cpu_us])
    heads = ["who", "fixes a message", "messages/s", "fixes/s", "CPU us/message"]
    show(f"out of Mosquitto, QoS 1, receive maximum {RECEIVE_MAXIMUM}, best of {said.turns}", heads, rows)


if __name__ == "__main__":
    main()
