"""The configuration changes while the program runs: by reload, by command, by a dispatcher's trip; and survives a kill."""

from __future__ import annotations

import json
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Install
from tests.e2e.device import Device, topic
from tests.e2e.program import GEOFENCES, Monitor, eventually

NOW = datetime.now(UTC).replace(microsecond=0)
SPOT = (-79.4137, 43.9182)


def ago(minutes: float) -> str:
    """A time before now, or after."""
    return (NOW - timedelta(minutes=minutes)).isoformat()


def stood(minutes: int = 60) -> list[tuple[str, bytes]]:
    """A truck that has stood on the shoulder until now, as one message."""
    lon, lat = SPOT
    fixes = [{"time": ago(m), "lon": lon, "lat": lat, "speed_mps": 0.0} for m in range(minutes, -1, -1)]
    return [(topic("T-1"), json.dumps(fixes).encode())]


def spot(name: str, kind: str, lon: float = SPOT[0], **more: Any) -> dict[str, Any]:
    """A place around where it stood, or elsewhere."""
    properties = {"id": name, "name": name, "kind": kind, "radius_m": 300, "source": "invented", **more}
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": [lon, SPOT[1]]}}


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Geofences of the test's own, to be changed."""
    folder = tmp_path / "geofences"
    folder.mkdir()
    shutil.copy(next(GEOFENCES.glob("*.geojson")), folder / "base.geojson")
    return folder


def write(folder: Path, *features: dict[str, Any]) -> None:
    (folder / "own.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


def said(monitor: Monitor, text: str) -> bool:
    """Whether it says so in its error stream, now or soon."""
    assert monitor.now is not None
    lines = monitor.now.lines
    return eventually(lambda: any(text in line for line in lines), 20.0)


def states(monitor: Monitor) -> list[tuple[str, str | None]]:
    """The signals as they stand."""
    return monitor.rows("SELECT state, withdrawn_reason FROM signal WHERE kind = 'unauthorized_stop' ORDER BY id")


def hang_up(monitor: Monitor) -> None:
    """Ask it to read its configuration anew."""
    assert monitor.now is not None
    monitor.now.process.send_signal(signal.SIGHUP)


def test_a_reload_takes_over_what_is_right_and_refuses_what_is_wrong(install: Install, places: Path) -> None:
    """A place that says since when it holds takes a signal back; a broken file changes nothing, is told, and can be put right."""
    monitor = install(f"geofences={places}")
    device = Device(stood(), "default", monitor.token("default"))
    port = monitor.start()
    device.feed(port)
    assert eventually(lambda: states(monitor) == [("open", None)])
    write(places, spot("lot", "parking", valid_from=ago(300)))
    hang_up(monitor)
    assert eventually(lambda: states(monitor) == [("withdrawn", "the configuration was changed: place lot")])
    (places / "own.geojson").write_text("{", encoding="utf-8")
    hang_up(monitor)
    assert said(monitor, "not reloaded: ")
    device = Device([(topic("T-2"), json.dumps({"time": ago(0), "lon": -79.0, "lat": 43.5}).encode())], "default", device.token)
    device.feed(port)
    assert device.done
    assert monitor.rows("SELECT count(*) FROM configuration WHERE name = 'lot'") == [(1,)]
    write(places)
    hang_up(monitor)
    assert eventually(lambda: monitor.rows("SELECT body = '' FROM configuration WHERE name = 'lot' ORDER BY id") == [(0,), (1,)])
    monitor.stop()


def test_an_authorization_by_command_comes_into_force_at_once_and_after_a_kill(install: Install) -> None:
    """While the monitor runs, and where it was killed before it could look."""
    monitor = install()
    device = Device(stood(), "default", monitor.token("default"))
    device.feed(monitor.start())
    assert eventually(lambda: states(monitor) == [("open", None)])
    assert monitor.now is not None
    monitor.now.kill()
    words = ["T-1", "--here", "--from", ago(120), "--until", ago(-120), "--why", "flat tire, help is coming", "--by", "Ana"]
    answer = monitor.command("authorize", *words)
    assert answer.returncode == 0, answer.stderr
    assert monitor.rows("SELECT applied FROM configuration WHERE kind = 'authorization'") == [(0,)]
    monitor.start()
    assert eventually(lambda: [state for state, _ in states(monitor)] == ["withdrawn"])
    assert monitor.rows("SELECT applied FROM configuration WHERE kind = 'authorization'") == [(1,)]
    answer = monitor.command(
        "lockdown", "--vehicle", "T-1", "--from", ago(10), "--until", ago(-60), "--why", "stolen keys", "--by", "Ana"
    )
    assert answer.returncode == 0, answer.stderr
    assert eventually(lambda: monitor.rows("SELECT applied FROM configuration WHERE kind = 'lockdown'") == [(1,)])
    monitor.stop()


def test_a_permit_that_cannot_be_is_refused_in_words(install: Install) -> None:
    monitor = install()
    monitor.token("default")
    common = ["--until", ago(-60), "--why", "rest", "--by", "Ana"]
    answer = monitor.command("authorize", "T-1", "--place", "nowhere", *common)
    assert answer.returncode == 2
    assert "place = 'nowhere': there is none of that id" in answer.stderr
    answer = monitor.command("authorize", "T-1", "--here", *common)
    assert (answer.returncode, "no position of default/T-1 is stored" in answer.stderr) == (2, True)
    answer = monitor.command("lockdown", "--carrier", "default", "--from", ago(-70), *common)
    assert (answer.returncode, "allowed is a time after from" in answer.stderr) == (2, True)


def trip(name: str, **more: Any) -> bytes:
    """A dispatcher's message."""
    return json.dumps({"id": name, "starts_at": ago(600), "ends_at": ago(-600), **more}).encode()


def test_a_dispatcher_sends_trips_and_devices_may_not(install: Install, places: Path) -> None:
    """Stored and judged before its acknowledgement, whatever happens next; an unknown route is a dead letter; a device is refused."""
    write(places, spot("mill", "customer"), spot("other", "customer", lon=-78.5))
    monitor = install(f"geofences={places}")
    token = monitor.token("default")
    answer = monitor.command("carrier", "add", "default", "--dispatch")
    assert answer.returncode == 0, answer.stderr
    secret = answer.stdout.split("token:")[1].split()[0]
    port = monitor.start()
    Device(stood(), "default", token).feed(port)
    assert states(monitor) == []
    where = "telematics/v1/default/T-1/trip"
    office = Device([(where, trip("w-1", authorized_places=["other"])), (where, trip("w-2", route="nowhere"))], "default", secret)
    office.feed(port)
    assert office.done
    assert states(monitor) == [("open", None)]
    assert monitor.now is not None
    monitor.now.kill()
    port = monitor.start()
    assert states(monitor) == [("open", None)]
    [(reason,)] = monitor.rows("SELECT reason FROM reject")
    assert reason == "trip: route = 'nowhere': there is none of that id"
    office = Device([(where, json.dumps({"id": "w-1", "withdrawn": True}).encode())], "default", secret)
    office.feed(port)
    assert states(monitor) == [("withdrawn", "the configuration was changed: trip w-1")]
    for user, word in (("default", token), ("default/T-1", token)):
        thief = Device([(where, trip("w-3"))], user, word)
        thief.feed(port)
        assert not thief.done
    assert monitor.rows("SELECT DISTINCT name FROM configuration WHERE kind = 'trip'") == [("w-1",)]
    office = Device([(topic("T-1"), b"{}")], "default", secret)
    office.feed(port)
    assert not office.done
    monitor.stop()


def test_fixes_later_than_rewinds_reach_are_judged_when_asked(install: Install) -> None:
    """Stored and acknowledged at once, not judged; SIGUSR1 through `monitor adjudicate` judges them."""
    monitor = install("order.rewind_horizon=1h")
    token = monitor.token("default")
    port = monitor.start()
    lon, lat = SPOT
    here = [{"time": ago(m), "lon": lon, "lat": lat + 0.2 - m / 100, "speed_mps": 20.0} for m in (3, 2, 1, 0)]
    Device([(topic("T-1"), json.dumps(here).encode())], "default", token).feed(port)
    old = [{"time": ago(300 - m), "lon": lon, "lat": lat, "speed_mps": 0.0} for m in range(50)]
    device = Device([(topic("T-1"), json.dumps(old).encode())], "default", token)
    device.feed(port)
    assert device.done
    assert states(monitor) == []
    assert monitor.rows("SELECT count(*) FROM fix WHERE late = 2") == [(50,)]
    answer = monitor.command("adjudicate")
    assert answer.returncode == 0, answer.stderr
    assert eventually(lambda: [state for state, _ in states(monitor)] == ["closed"])
    assert monitor.rows("SELECT count(*) FROM fix WHERE late = 2") == [(0,)]
    assert monitor.rows("SELECT late_by > 3600000 FROM signal WHERE kind = 'unauthorized_stop'") == [(1,)]
    monitor.stop()
    assert monitor.command("adjudicate").stdout == "no vehicle waits\n"
