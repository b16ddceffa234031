"""A device that stands and then says nothing more: its deadline fires by the clock, with no message arriving."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.clock import world_clock
from monitor.signals import timestamp
from tests.e2e.conftest import Install
from tests.e2e.device import Device, topic
from tests.e2e.laid_down import Record, payload, write_csv
from tests.e2e.program import eventually, run

LIMITS = (
    "detectors.unauthorized_stop.limit=6s",
    "motion.shortest_stop=2s",
    "order.allowance=1s",
    "order.settle=1s",
)
FIXES = 4


def standing(now: int) -> list[Record]:
    """The last seconds of a truck that stands on a road, up to now."""
    times = [timestamp(now - 1000 * second) for second in range(FIXES)[::-1]]
    spot = {"lon": -79.1234567, "lat": 43.7654321, "speed_mps": 0.0, "accuracy_m": 5.0}
    return [{"vehicle_id": "truck", "time": time, **spot} for time in times]


@pytest.mark.slow
def test_a_deadline_fires_with_no_message_arriving_and_dispatch_is_told(install: Install, tmp_path: Path) -> None:
    monitor = install(*LIMITS)
    token = monitor.token("default")
    port = monitor.start()
    records = standing(world_clock())
    Device([(topic("truck"), payload(record)) for record in records], "default", token).feed(port)
    assert monitor.rows("SELECT count(*) FROM fix") == [(FIXES,)]
    assert eventually(lambda: monitor.notice_log.exists() and monitor.notice_log.stat().st_size > 0)
    told = json.loads(monitor.notice_log.read_text(encoding="utf-8").splitlines()[0])
    assert (told["occasion"], told["incident"]) == ("raised", 1)
    options = [word for limit in LIMITS for word in ("--set", limit)]
    file = write_csv(tmp_path / "fixes.csv", records)
    expected = run("replay", file, *options, "--until", timestamp(world_clock() + 3_600_000)).stdout.splitlines()
    assert monitor.log() == expected
    assert [json.loads(line)["presumed"] for line in expected] == [True]
    monitor.stop()
