"""The broker killed again and again under load: with receipts and an outbox nothing is lost, and nothing is there twice."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Install
from tests.e2e.outbox import Fleet
from tests.e2e.program import Monitor, eventually
from tests.ingest.mosquitto import Mosquitto, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.slow]
KILLS = 10
VEHICLES = [f"truck-{number}" for number in range(10)]
CONFIGURED = ("allow_anonymous true", "max_queued_messages 0", "max_inflight_messages 0", "autosave_interval 5")
"""As docs/broker/mosquitto.conf has it."""
LIVED_S, STALLED_S = (2.2, 4.0), (0.5, 2.0)


def stored(monitor: Monitor) -> int:
    """How many fixes are on disk."""
    return int(monitor.rows("SELECT count(*) FROM fix")[0][0])


def killed_under_load(
    monitor: Monitor, folder: Path, *, receipts: bool, stalled: bool, kills: int = KILLS
) -> tuple[int, int, Fleet]:
    """Kill the broker while vehicles send; gives how many fixes there were and how many are on disk in the end.

    Where the monitor is `stalled`, as by a database out of reach, when the broker dies, the broker holds messages that nobody else has.
    """
    broker, chance = Mosquitto(folder, *CONFIGURED), random.Random(5)
    said = ("ingest.source=broker", f"ingest.broker.port={broker.port}", "ingest.broker.receive_maximum=20")
    monitor.options += [word for assignment in said for word in ("--set", assignment)]
    monitor.start()
    assert monitor.now is not None
    process = monitor.now.process
    fleet = Fleet(broker.port, VEHICLES, int(time.time() - 86_400) * 1000, receipts=receipts)
    try:
        for _ in range(kills):
            before = stored(monitor)
            assert eventually(lambda before=before: stored(monitor) > before)  # type: ignore[misc]
            fleet._over.wait(chance.uniform(*LIVED_S))
            if stalled:
                process.send_signal(signal.SIGSTOP)
                fleet._over.wait(chance.uniform(*STALLED_S))
            broker.kill()
            broker.start()
            process.send_signal(signal.SIGCONT)
        fleet.park()
        assert eventually(lambda: fleet.empty, 60.0)
        last = stored(monitor)
        while not eventually(lambda last=last: stored(monitor) == last, 2.0):  # type: ignore[misc]
            last = stored(monitor)
        eventually(lambda: stored(monitor) == fleet.sent, 5.0)
        return fleet.sent, stored(monitor), fleet
    finally:
        fleet.close()
        broker.kill()
        monitor.stop()


@pytest.mark.parametrize("stalled", [False, True], ids=["in the midst", "while the monitor is stalled"])
def test_a_broker_killed_ten_times_under_load_loses_nothing_of_devices_that_wait_for_receipts(
    install: Install, tmp_path: Path, *, stalled: bool
) -> None:
    monitor = install()
    sent, there, _ = killed_under_load(monitor, tmp_path, receipts=True, stalled=stalled)
    assert sent > 2000
    assert there == sent
    assert monitor.rows("SELECT count(*) FROM (SELECT DISTINCT vehicle_id, time FROM fix)") == [(sent,)]
    assert monitor.rows("SELECT count(*) FROM finding WHERE kind = 'numbers_lost'") == [(0,)]
