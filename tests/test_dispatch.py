"""Trips over MQTT: what is right becomes rows, what says nothing new none, and what is wrong a reject with its reason."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from monitor.dispatch import read_plans
from monitor.history import FILES, GONE, PLACE, ROUTE, Row, edit, planned
from monitor.ingest.delivery import Message
from monitor.trips import Trip

NOW = 1_772_445_600_000
GOOD: dict[str, Any] = {"id": "w", "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T18:00:00Z"}
FEATURE = '{"properties":{}}'
HISTORY = (
    Row(PLACE, "mill", FEATURE, None, None, FILES, "files", 0),
    Row(PLACE, "closed", FEATURE, None, NOW - 1, FILES, "files", 0),
    Row(ROUTE, "401", FEATURE, None, None, FILES, "files", 0),
    planned(Trip("theirs", "south", "S-1", (), NOW, NOW + 1), "dispatch", "cy", 0),
)


def read(*payloads: Any, rows: tuple[Row, ...] = HISTORY, vehicle: str = "T-1") -> tuple[list[Row], list[str]]:
    """Read messages of the carrier north; gives rows and the reasons of rejects."""
    raw = [payload if isinstance(payload, bytes) else json.dumps(payload).encode() for payload in payloads]
    topic = f"telematics/v1/north/{vehicle}/trip"
    news, rejects = read_plans([Message("north", vehicle, topic, payload) for payload in raw], rows, NOW)
    assert all((reject.carrier, reject.vehicle, reject.topic) == ("north", vehicle, topic) for reject in rejects)
    return news, [reject.reason for reject in rejects]


def test_a_trip_is_that_of_its_topic() -> None:
    [row], rejects = read({**GOOD, "route": "401", "origin": "mill"})
    body = json.loads(row.body)
    assert (row.source, row.by, row.name, rejects) == ("dispatch", "dispatch of north", "w", [])
    assert (body["carrier"], body["vehicle"], body["routes"], body["origin"]) == ("north", "T-1", ["401"], "mill")


def test_arrays_and_gzip_are_read_and_what_is_right_of_them_taken() -> None:
    rows, rejects = read(gzip.compress(json.dumps([GOOD, {**GOOD, "id": "x", "route": "402"}, {**GOOD, "id": "y"}, 7]).encode()))
    assert [row.name for row in rows] == ["w", "y"]
    assert rejects == ["trip 1: route = '402': there is none of that id; did you mean 401?; trip 3: allowed is a JSON object"]


def test_what_says_nothing_new_adds_nothing() -> None:
    rows, _ = read(GOOD, GOOD)
    assert len(rows) == 1
    known = edit(HISTORY, rows).rows
    assert read(GOOD, rows=known) == ([], [])
    assert read({"id": "never", "withdrawn": True}) == ([], [])
    gone, _ = read({"id": "w", "withdrawn": True}, rows=known)
    assert [(row.name, row.body) for row in gone] == [("w", GONE)]
    assert read({"id": "w", "withdrawn": True}, rows=edit(known, gone).rows) == ([], [])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({**GOOD, "route": "402"}, "trip: route = '402': there is none of that id; did you mean 401?"),
        ({**GOOD, "origin": "mall"}, "trip: origin = 'mall': there is none of that id; did you mean mill?"),
        ({**GOOD, "destination": "closed"}, "trip: destination = 'closed': there is none of that id"),
        ({**GOOD, "authorized_places": ["mill", "x"]}, "trip: authorized_places = 'x': there is none of that id"),
        ({**GOOD, "carrier": "south"}, "trip: carrier = 'south': allowed is that of the topic, north"),
        ({**GOOD, "vehicle": "T-2"}, "trip: vehicle = 'T-2': allowed is that of the topic, T-1"),
        ({**GOOD, "id": "theirs"}, "trip: id = 'theirs': is taken; allowed is an id of your own"),
        ({"id": "theirs", "withdrawn": True}, "trip: id = 'theirs': is taken; allowed is an id of your own"),
        ({"withdrawn": True}, "trip: id = None: allowed is a trip's id"),
        ({**GOOD, "ends_at": GOOD["starts_at"]}, "trip: ends_at = .*: allowed is a time after starts_at"),
        ({**GOOD, "limits": {"after_hours_movement.hours": "never"}}, "trip: limits: .*hours = 'never'"),
        (b"{", "not readable: "),
        (b"\x1f\x8bx", "not readable: "),
        (b"\xff\xfe", "not readable: "),
        (b"[" * 100_000, "not readable: "),
        ([GOOD] * 1001, "1001 trips in one message; allowed are 1000"),
        (7, "trip: allowed is a JSON object"),
    ],
)
def test_what_is_wrong_is_a_reject_with_its_reason(payload: Any, reason: str) -> None:
    rows, [said] = read(payload)
    assert rows == []
    assert re.match(reason.replace("?", r"\?"), said), said
