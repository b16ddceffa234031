"""The clock of the whole process set back an hour and forward six, as by hand: it says so, forgets nothing and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from monitor.clock import world_clock
from tests.e2e.conftest import Install
from tests.e2e.device import Device, topic
from tests.e2e.laid_down import payload
from tests.e2e.program import PATIENCE_S, Monitor, eventually
from tests.e2e.test_silence import FIXES, LIMITS, standing
from tests.e2e.torture import figure

LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), *Path("/usr/lib").glob("faketime/libfaketimeMT.so.1")]
HOUR_S = 3600


@pytest.fixture
def set_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Processes that start from now on have a clock that goes wrong by so many seconds; the monotonic one is left alone."""
    if not LIBRARIES:
        pytest.skip("faketime is not installed")
    file = tmp_path / "clock"

    def by(seconds: int) -> None:
        beside = file.with_suffix(".new")
        beside.write_text(f"{seconds:+d}s\n")
        beside.replace(file)

    by(0)
    said = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(file)}
    said |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    return by


@pytest.mark.slow
def test_a_clock_set_back_and_forward_loses_nothing_and_escalation_goes_on(
    install: Install, set_clock: Callable[[int], None]
) -> None:
    began, monitor = time.monotonic(), install(*LIMITS)
    token, port = monitor.token("default"), monitor.start()

    def stands(vehicle: str, ahead_s: int) -> int:
        """A vehicle stands, by its own clock; gives how many fixes of it are stored."""
        records = standing(world_clock() + ahead_s * 1000)
        device = Device([(topic(vehicle), payload(record)) for record in records], "default", token)
        device.feed(port)
        assert device.done
        return count(monitor, f"fix JOIN vehicle v ON v.id = vehicle_id WHERE v.name = '{vehicle}'")

    assert stands("before", 0) == FIXES
    assert eventually(lambda: raised(monitor, "before"))
    set_clock(-HOUR_S)
    assert eventually(lambda: stepped(monitor, 1, "back by 3"))
    assert stands("back", -HOUR_S) == FIXES
    assert eventually(lambda: raised(monitor, "back"))
    assert stands("right", 0) == 0
    ahead = "reject WHERE vehicle = 'right' AND reason LIKE '%ahead of the clock%'"
    assert count(monitor, ahead) == FIXES, "what seems to come from the future is kept with its bytes"
    set_clock(5 * HOUR_S)
    assert eventually(lambda: stepped(monitor, 2, "forward by 21"))
    later = "notice n JOIN incident i ON i.id = n.incident_id WHERE n.kind != 'raised' AND n.state = 'sent'"
    assert eventually(lambda: count(monitor, later) > 0), "the next steps are due"
    assert stands("forward", 5 * HOUR_S) == FIXES
    assert eventually(lambda: raised(monitor, "forward"))
    set_clock(0)
    assert eventually(lambda: stepped(monitor, 3, "back by 1"))
    assert stands("after", 0) == FIXES
    assert eventually(lambda: raised(monitor, "after"))
    assert monitor.now is not None
    assert httpx.get(f"http://127.0.0.1:{monitor.now.web_port()}/readyz", timeout=PATIENCE_S).json()["reasons"] == []
    assert count(monitor, "fix") == 4 * FIXES
    monitor.stop()
    figure("clock back 1 h, forward 6 h, right again", steps=3, fixes=5 * FIXES, lost=0, seconds=round(time.monotonic() - began))


def count(monitor: Monitor, what: str) -> int:
    return int(monitor.rows(f"SELECT count(*) FROM {what}")[0][0])


def stepped(monitor: Monitor, times: int, way: str) -> bool:
    """Whether the clock was found stepped so many times, the last time this way."""
    found = monitor.rows("SELECT count, detail FROM finding WHERE kind = 'clock_stepped' AND closed IS NULL")
    return [number for number, _ in found] == [times] and found[0][1].startswith(way)


def raised(monitor: Monitor, vehicle: str) -> bool:
    """Whether dispatch was told of the vehicle."""
    told = "notice n JOIN incident i ON i.id = n.incident_id"
    return count(monitor, f"{told} WHERE n.kind = 'raised' AND n.state = 'sent' AND i.vehicle = '{vehicle}'") > 0
