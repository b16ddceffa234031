"""Payloads that are not fixes: each becomes a row that says why, with its bytes, while everybody else is served."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest

from monitor.fixes import Quality
from tests.e2e.conftest import Install
from tests.e2e.device import Device, topic
from tests.e2e.program import Monitor, eventually

GOOD: dict[str, Any] = {"time": "2026-03-02T06:00:00Z", "lat": 43.7654321, "lon": -79.1234567, "speed_mps": 20}


def fix(**changed: Any) -> bytes:
    """A good fix, but for what is said."""
    return json.dumps({**GOOD, **changed}).encode()


def without(name: str) -> bytes:
    """A good fix that lacks one thing."""
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing at all": (b"", "truncated"),
    "half an object": (b'{"time": "2026-03-02T06:00:00Z", "lat": 4', "truncated"),
    "not JSON": (b"$GPRMC,081836,A,3751.65,S,14507.36,E", "malformed"),
    "a number": (b"17", "Expected object | array"),
    "text for a number": (fix(lat="43.7"), "$.lat"),
    "a number for a time": (fix(time=1772431200), "$.time"),
    "truth for a speed": (fix(speed_mps=True), "$.speed_mps"),
    "text for alarms": (fix(alarms="panic"), "$.alarms"),
    "NaN": (fix(lat=float("nan")), "malformed"),
    "infinity": (fix(lon=float("-inf")), "malformed"),
    "beyond any number": (fix(speed_mps=0).replace(b": 0}", b": 1e999}"), "out of range"),
    "latitude out of range": (fix(lat=90.01), "<= 90.0 - at $.lat"),
    "longitude out of range": (fix(lon=-180.01), ">= -180.0 - at $.lon"),
    "latitude alone": (without("lon"), "lat and lon: allowed are both or neither"),
    "no time": (without("time"), "required field time"),
    "no zone": (fix(time="2026-03-02T06:00:00"), "timezone component - at $.time"),
    "no time of this world": (fix(time="2026-02-30T06:00:00Z"), "$.time"),
    "the future": (fix(time="2150-03-02T06:00:00Z"), "ahead of the clock; allowed are 5m"),
    "the far future": (fix(time="2999-03-02T06:00:00Z"), "time is not in the years 1900 to 2199"),
    "a thousand brackets": (b"[" * 1000 + b"]" * 1000, "Expected object, got array"),
    "a thousand deep in a key we ignore": (b'{"x":' + b"[" * 1000 + b"]" * 1000 + b"," + fix()[1:], "nested too deep"),
    "not UTF-8": (fix(alarms=["XX"]).replace(b"XX", b"\xff\xfe"), "UTF-8"),
    "not gzip": (b"\x1f\x8b no more of it", "not readable as gzip"),
    "a gzip bomb": (gzip.compress(b" " * 200_000_000, 9), "more than 1048576 bytes when unpacked"),
    "a bomb of fixes": (
        gzip.compress(b"[" + b",".join([fix()] * 10_001) + b"]"),
        "10001 fixes in one message; allowed are 10000",
    ),
}


def letters(vehicle: str, count: int) -> list[tuple[str, bytes]]:
    """A vehicle drives east, a fix a minute."""
    times = [f"2026-03-02T{minute // 60:02}:{minute % 60:02}:00Z" for minute in range(count)]
    return [(topic(vehicle), fix(time=time, lon=-79.123457 + number / 80)) for number, time in enumerate(times)]


def rejected(monitor: Monitor) -> list[tuple[Any, ...]]:
    """Vehicle, topic, reason and bytes of all that was not taken, in the order of its coming."""
    return monitor.rows("SELECT vehicle, topic, reason, payload FROM reject ORDER BY id")


@pytest.mark.slow
def test_each_bad_payload_gets_its_reason_while_another_client_is_served(install: Install) -> None:
    monitor = install()
    token = monitor.token("default")
    port = monitor.start()
    truck = Device(letters("truck", 600), "default", token)
    hostile = Device([(topic("hostile"), payload) for payload, _ in HOSTILE.values()], "default", token, "hostile")
    feeding = threading.Thread(target=truck.feed, args=(port,))
    feeding.start()
    hostile.feed(port)
    feeding.join()
    assert (truck.done, hostile.done) == (True, True)
    assert monitor.rows("SELECT count(*) FROM fix") == [(600,)]
    found = rejected(monitor)
    assert [(row[0], row[1], row[3]) for row in found] == [("hostile", topic("hostile"), bad) for bad, _ in HOSTILE.values()]
    wrong = {name: row[2] for (name, (_, why)), row in zip(HOSTILE.items(), found, strict=True) if why not in row[2]}
    assert wrong == {}
    assert all("\n" not in row[2] for row in found)
    monitor.stop()


@pytest.mark.slow
def test_what_is_odd_but_evidence_is_kept_and_flagged(install: Install) -> None:
    """(0, 0), an absurd speed, poor accuracy, no position; and the good fixes of an array in which one is wrong."""
    monitor = install()
    odd = {
        Quality.NULL_ISLAND: fix(time="2026-03-02T06:01:00Z", lat=0, lon=0),
        Quality.SENTINEL_SPEED: fix(time="2026-03-02T06:02:00Z", speed_mps=113.9952),
        Quality.COARSE: fix(time="2026-03-02T06:03:00Z", accuracy_m=900),
        Quality.NO_POSITION: b'{"time": "2026-03-02T06:04:00Z", "alarms": ["jamming"]}',
        Quality.TWO_DECIMALS | Quality.COARSE: fix(time="2026-03-02T06:05:00Z", lat=43.76, lon=-79.12),
    }
    array = b"[" + b",".join([fix(time="2026-03-02T06:06:00Z"), fix(lat=91), fix(time="2026-03-02T06:07:00Z")]) + b"]"
    zipped = gzip.compress(fix(time="2026-03-02T06:08:00Z"))
    device = Device([(topic("odd"), payload) for payload in (*odd.values(), array, zipped)], "default", monitor.token("default"))
    device.feed(monitor.start())
    assert device.done
    qualities = [quality for (quality,) in monitor.rows("SELECT quality FROM fix ORDER BY time")]
    assert qualities == [*(int(quality) for quality in odd), 0, 0, 0]
    assert monitor.rows("SELECT speed FROM fix WHERE quality = 16") == [(None,)]
    [(_, _, reason, kept)] = rejected(monitor)
    assert (reason.startswith("fix 1: "), kept) == (True, array)
    monitor.stop()


@pytest.mark.slow
def test_bytes_that_are_not_utf8_are_not_taken_wherever_they_stand(install: Install) -> None:
    """In a name, or in a value, that we ignore."""
    monitor = install()
    bad = [b'{"\xff\xfe": 1, ' + fix()[1:], b'{"note": "\xff\xfe", ' + fix()[1:]]
    device = Device([(topic("hostile"), payload) for payload in bad], "default", monitor.token("default"))
    device.feed(monitor.start())
    assert device.done
    assert ["UTF-8" in row[2] for row in rejected(monitor)] == [True, True]
    monitor.stop()


@pytest.mark.slow
def test_a_stranger_is_turned_away_and_leaves_no_vehicle(install: Install) -> None:
    """A wrong token, another carrier's topic: refused, nothing stored, and the right ones are still taken."""
    monitor = install()
    token = monitor.token("default")
    port = monitor.start()
    foreign = Device([(topic("truck", carrier="other"), fix())], "default", token)
    foreign.feed(port)
    right = Device(letters("truck", 3), "default", token)
    with pytest.raises(AssertionError):
        Device(letters("thief", 3), "default", token[:-1] + "x").feed(port)
    right.feed(port)
    assert right.done
    assert eventually(lambda: monitor.rows("SELECT count(*) FROM fix") == [(3,)])
    assert monitor.rows("SELECT carrier, name FROM vehicle") == [("default", "truck")]
    monitor.stop()
