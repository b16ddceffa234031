"""The simulated fleet: a plan that may be asked anything twice, honest labels, lawful traffic, devices that lose nothing."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Geod
from shapely.geometry import LineString, Point, mapping, shape
from shapely.geometry.base import BaseGeometry

from monitor.errors import ConfigurationError, ServiceError
from monitor.fixes import Fleet, VehicleId, normalised
from monitor.ingest.fleet.device import Device, Waiting
from monitor.ingest.fleet.outbox import Outbox
from monitor.ingest.fleet.plan import BACKLOG_MS, Label, Plan
from monitor.ingest.fleet.server import Server
from monitor.ingest.formats import native
from monitor.ingest.simulate import read_features, run_fleet
from monitor.places import circle
from monitor.settings import load_settings
from monitor.signals import Signal, instant
from monitor.trips import load_trips
from tests import oracle
from tests.ground import oracle_places, oracle_routes
from tests.ingest.conftest import Serve, Served
from tests.ingest.wire import PASSWORD, PATIENCE_S, MainLoop

pytestmark = pytest.mark.slow

GEOD = Geod(ellps="WGS84")
START = instant("2026-03-02T11:00:00Z")
MINUTE = 60_000
HOUR = 60 * MINUTE
FEATURES = read_features(Path(__file__).parent.parent.parent / "geofences")
ROUTES = {f["properties"]["id"]: f["geometry"]["coordinates"] for f in FEATURES if f["properties"]["kind"] == "route"}
TROUBLED = 6
"""Vehicles whose first trouble is timed to the minute: every second one from the first."""


def area(feature: dict[str, Any]) -> BaseGeometry:
    """A place's area in degrees."""
    if feature["geometry"]["type"] == "Point":
        lon, lat = feature["geometry"]["coordinates"]
        return circle(lon, lat, feature["properties"]["radius_m"])
    return shape(feature["geometry"])


AREAS = {f["properties"]["id"]: area(f) for f in FEATURES if f["properties"]["kind"] != "route"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(7, START, FEATURES)


def minutes(fixes: Sequence[dict[str, Any]]) -> list[float]:
    """Minutes after the start of each fix."""
    return [(instant(fix["time"]) - START) / MINUTE for fix in fixes]


def off_route_m(fix: dict[str, Any], route: str) -> float:
    """Metres from a fix to a point of the route, near its nearest: never less than the true distance."""
    line = LineString(ROUTES[route])
    beside = line.interpolate(line.project(Point(fix["lon"], fix["lat"])))
    return float(GEOD.inv(fix["lon"], fix["lat"], beside.x, beside.y)[2])


# -- the plan --


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another(plan: Plan) -> None:
    again, other = Plan(7, START, FEATURES), Plan(8, START, FEATURES)
    end = START + 6 * HOUR
    assert again.truth(0, end) == plan.truth(0, end)
    assert again.trips(0, end) == plan.trips(0, end)
    assert again.fixes(3, 0, end) == plan.fixes(3, 0, end)
    assert other.fixes(3, 0, end) != plan.fixes(3, 0, end)


def test_a_device_asked_in_pieces_and_in_any_order_measures_the_same(plan: Plan) -> None:
    for index in (0, 8, 9):
        whole = plan.fixes(index, 0, START + 12 * HOUR)
        fresh = Plan(7, START, FEATURES)
        cuts = [0, *range(START - 17 * MINUTE, START + 12 * HOUR, 43 * MINUTE + 7), START + 12 * HOUR]
        pieces = {begin: fresh.fixes(index, begin, end) for begin, end in reversed(list(pairwise(cuts)))}
        assert [fix for begin in cuts[:-1] for fix in pieces[begin]] == whole


def test_reports_keep_their_schedule_and_count_themselves(plan: Plan) -> None:
    for index in range(12):
        fixes = plan.fixes(index, 0, START + 12 * HOUR)
        times, interval = [instant(fix["time"]) for fix in fixes], plan.interval_ms(index)
        assert 15_000 <= interval <= 60_000
        assert START - BACKLOG_MS <= times[0] < START - BACKLOG_MS + interval
        assert plan.next_report(index, times[0] - 1) == times[0]
        assert plan.next_report(index, times[0]) == times[0] + interval
        for a, b in pairwise(fixes):
            between = instant(b["time"]) - instant(a["time"])
            assert between % interval == 0
            if (a["boot"], a["seq"] + 1) != (b["boot"], b["seq"]):
                assert between > 30 * MINUTE, "only a device that was off starts counting anew"
                assert (int(b["boot"]), b["seq"]) == (int(a["boot"]) + 1, 1)


def test_nobody_jumps(plan: Plan) -> None:
    for index in range(len(plan.vehicles)):
        fixes = plan.fixes(index, 0, START + 14 * HOUR)
        lon, lat = (np.array([fix[name] for fix in fixes]) for name in ("lon", "lat"))
        metres = np.array(GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2])
        seconds = np.diff([instant(fix["time"]) for fix in fixes]) / 1000.0
        assert float((metres / seconds).max()) < 40.0


def test_trips_are_a_trips_file_without_holes(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "trips.jsonl"
    file.write_text("".join(json.dumps(trip) + "\n" for trip in plan.trips(START, START + 24 * HOUR)), encoding="utf-8")
    trips = load_trips(file).all
    assert {trip.vehicle for trip in trips} == set(plan.vehicles)
    assert {trip.load for trip in trips} == {"standard", "high_value", "dangerous"}
    for trip in trips:
        assert set(trip.routes) <= set(ROUTES)
        assert {trip.origin, trip.destination} <= set(AREAS)
    for a, b in pairwise(trips):
        if a.vehicle == b.vehicle:
            assert (a.ends_at, a.destination) == (b.starts_at, b.origin)


def test_a_fleet_without_a_usable_route_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no route of carrier 'acme'"):
        Plan(7, START, FEATURES, carrier="acme")


# -- clean traffic and labels --


def test_clean_vehicles_keep_to_the_middle_of_the_narrowest_corridor(plan: Plan) -> None:
    for index in range(1, 20, 2):
        assert not [label for label in plan.truth(0, START + 12 * HOUR) if label.vehicle == plan.vehicles[index]]
        [route] = {trip["route"] for trip in plan.trips(START, START + 12 * HOUR) if trip["vehicle"] == plan.vehicles[index]}
        assert max(off_route_m(fix, route) for fix in plan.fixes(index, 0, START + 12 * HOUR)) < 0.7 * 500


def watched(plan: Plan, index: int, end: int, folder: Path) -> list[Signal]:
    """The signals of one vehicle, by the plain definitions, under the default settings."""
    identity, file = VehicleId(plan.carrier, plan.vehicles[index]), folder / f"{index}.jsonl"
    mine = [trip for trip in plan.trips(0, end) if trip["vehicle"] == identity.vehicle]
    file.write_text("".join(json.dumps(trip) + "\n" for trip in mine), encoding="utf-8")
    fixes, fleet = plan.fixes(index, 0, end), Fleet()
    column = {name: np.array([fix[name] for fix in fixes]) for name in ("lon", "lat", "speed_mps", "accuracy_m")}
    batch = normalised(
        fleet,
        np.full(len(fixes), fleet.code(identity), np.int32),
        np.array([instant(fix["time"]) for fix in fixes]).astype("datetime64[ms]"),
        column["lon"],
        column["lat"],
        speed=column["speed_mps"],
        accuracy=column["accuracy_m"],
    )
    places = [f | {"geometry": mapping(area(f))} for f in FEATURES if f["properties"]["kind"] != "route"]
    return oracle.signals(
        batch, [identity], oracle_places(places), oracle_routes(FEATURES), load_trips(file).all, load_settings(None), end
    )


@pytest.mark.parametrize("index", range(2 * TROUBLED))
def test_a_vehicle_signals_what_its_labels_say_and_nothing_else(plan: Plan, index: int, tmp_path: Path) -> None:
    end = START + 3 * HOUR
    signals = watched(plan, index, end, tmp_path)
    labels = [label for label in plan.truth(0, end) if label.vehicle == plan.vehicles[index] and label.until < end]
    assert len(labels) == (1 if index % 2 == 0 else 0)
    assert [signal.kind for signal in signals] == [label.kind for label in labels]
    for signal, label in zip(signals, labels, strict=True):
        assert signal.until is not None
        late = 4 * MINUTE if signal.kind == "route_deviation" else 2 * MINUTE
        assert -2 * MINUTE < signal.since - label.since < late, "a detour counts from where it leaves the corridor"
        assert -late < signal.until - label.until < 2 * MINUTE
        assert signal.place in (None, label.where)
        assert signal.presumed == label.cause.endswith("silent")


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_the_first_incident_comes_within_two_minutes_of_the_start(seed: int, tmp_path: Path) -> None:
    plan = Plan(seed, START, FEATURES)
    [trip] = [trip for trip in plan.trips(START, START + 1) if trip["vehicle"] == plan.vehicles[0]]
    assert trip["load"] == "high_value"
    [signal] = watched(plan, 0, START + 2 * MINUTE, tmp_path)
    assert signal.kind == "unauthorized_stop"
    assert START + 60_000 <= signal.at <= START + 2 * MINUTE


def test_troubles_keep_coming(plan: Plan) -> None:
    since = [label.since for label in plan.truth(START, START + 24 * HOUR)]
    assert 48 <= len(since) <= 144, "one each 10 to 30 minutes on the average"
    assert max(b - a for a, b in pairwise(since)) < 4 * HOUR


def fixes_of(plan: Plan, label: Label) -> list[dict[str, Any]]:
    """What a vehicle measures well within a label."""
    return plan.fixes(plan.vehicles.index(label.vehicle), label.since + MINUTE, label.until - MINUTE)


def test_labels_tell_the_truth_about_the_fixes(plan: Plan) -> None:
    labels = plan.truth(0, START + 24 * HOUR)
    assert {label.cause for label in labels} >= {"stands in a no-stop belt", "stands by the road", "leaves the route"}
    for label in labels:
        fixes = fixes_of(plan, label)
        if label.kind == "route_deviation":
            [route] = [name for name in ROUTES if label.where.startswith(name)]
            assert 3000 * 0.9 < max(off_route_m(fix, route) for fix in fixes) < 9000
            continue
        assert all(fix["speed_mps"] < 1.0 for fix in fixes)
        if label.where in AREAS:
            assert all(AREAS[label.where].contains(Point(fix["lon"], fix["lat"])) for fix in fixes)
        if label.cause.endswith("silent"):
            assert all(minute < (label.since - START) / MINUTE + 5 for minute in minutes(fixes))


# -- reading and remembering --


def test_a_file_that_is_no_feature_collection_is_named(tmp_path: Path) -> None:
    (tmp_path / "places.geojson").write_text("[1, 2", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"places\.geojson: not readable"):
        read_features(tmp_path)
    with pytest.raises(ConfigurationError, match="nowhere: there is no such folder"):
        read_features(tmp_path / "nowhere")


def test_an_outbox_is_kept_for_its_own_plan_only(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "var" / "outbox.json"
    Outbox(file, plan).save({"truck-001": START})
    assert Outbox(file, plan).through("truck-001", 0) == START
    assert Outbox(file, plan).through("truck-002", 5) == 5
    assert Outbox(file, Plan(8, START, FEATURES)).through("truck-001", 0) == 0


@pytest.mark.parametrize("content", ["", "null", "[]", '{"plan": 1}', '{"through": {"truck-001": "soon"}}'])
def test_an_unreadable_outbox_counts_as_empty(plan: Plan, tmp_path: Path, content: str) -> None:
    file = tmp_path / "outbox.json"
    file.write_text(content, encoding="utf-8")
    assert Outbox(file, plan).through("truck-001", 0) == 0


def test_an_outbox_that_cannot_be_written_is_an_error_in_one_line(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ServiceError, match="outbox cannot be written"):
        Outbox(tmp_path / "file" / "outbox.json", plan).save({})


def test_only_an_unbroken_sequence_of_receipts_counts() -> None:
    device = Device(0, "truck-001", b"topic", acknowledged=10, sent=40)
    device.waiting.extend([Waiting(1, 15, 20), Waiting(2, 25, 30), Waiting(3, 35, 40)])
    device.receipt(2)
    assert device.acknowledged == 10
    device.receipt(1)
    assert device.acknowledged == 30
    device.lost()
    assert device.sent == 30


# -- on the wire --


class Clock:
    """Program time that stands until it is set."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        """Give the program time."""
        return self.now


@contextmanager
def driving(plan: Plan, port: int, clock: Clock, outbox: Path, password: str = PASSWORD.decode()) -> Iterator[None]:
    """Run the fleet in a thread for as long as the block."""
    stop = threading.Event()
    thread = threading.Thread(
        target=run_fleet,
        args=(plan, Server("127.0.0.1", port, password), clock, stop, outbox),
        kwargs={"rate": 1000.0},
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def received(loop: MainLoop) -> set[tuple[str, str]]:
    """(vehicle, time) of every fix that arrived."""
    found = set()
    for message in list(loop.messages):
        said = json.loads(message.payload)
        found |= {(message.vehicle, fix["time"]) for fix in (said if isinstance(said, list) else [said])}
    return found


def measured(plan: Plan, end: int) -> set[tuple[str, str]]:
    """(vehicle, time) of every fix the devices measure until then."""
    return {(name, fix["time"]) for index, name in enumerate(plan.vehicles) for fix in plan.fixes(index, 0, end + 1)}


@pytest.fixture
def few() -> Plan:
    return Plan(7, START, FEATURES, vehicles=6)


def test_devices_upload_their_backlog_then_report_as_they_measure(few: Plan, served: Served, tmp_path: Path) -> None:
    clock, outbox = Clock(START), tmp_path / "outbox.json"
    with driving(few, served.listener.port, clock, outbox):
        served.loop.wait(lambda loop: received(loop) == measured(few, START))
        clock.now += 2 * MINUTE
        served.loop.wait(lambda loop: received(loop) == measured(few, START + 2 * MINUTE))
    assert all(isinstance(fix, native.Fix) for message in served.loop.messages for fix in native.read(message.payload))
    assert sum(served.loop.sizes) < len(received(served.loop)), "a backlog travels as arrays"
    assert {message.carrier for message in served.loop.messages} == {"demo"}
    for index, vehicle in enumerate(few.vehicles):
        through = Outbox(outbox, few).through(vehicle, 0)
        assert few.fixes(index, through + 1, clock.now + 1) == [], "everything is acknowledged"


def test_what_was_not_acknowledged_is_sent_again_by_the_next_process(few: Plan, serve: Serve, tmp_path: Path) -> None:
    clock, outbox = Clock(START), tmp_path / "outbox.json"
    silent = serve()
    silent.loop.commit.clear()
    with driving(few, silent.listener.port, clock, outbox):
        silent.loop.wait(lambda loop: len(loop.messages) > 0)
    assert Outbox(outbox, few).through("truck-001", 0) == few.first - 1
    clock.now += 10 * MINUTE
    other = serve()
    with driving(few, other.listener.port, clock, outbox):
        other.loop.wait(lambda loop: received(loop) == measured(few, clock.now))


def test_nothing_is_lost_when_the_monitor_goes_away_and_comes_back(few: Plan, serve: Serve, tmp_path: Path) -> None:
    clock, outbox = Clock(START), tmp_path / "outbox.json"
    before = serve()
    with driving(few, before.listener.port, clock, outbox):
        before.loop.wait(lambda loop: received(loop) == measured(few, START))
        before.stop()
        clock.now += 10 * MINUTE
        after = serve(port=before.listener.port)
        after.loop.wait(lambda loop: received(before.loop) | received(loop) == measured(few, clock.now))


class Heard(logging.Handler):
    """Sets an event when a record says something."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words, self.event = words, threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Look for the words."""
        if self.words in record.getMessage():
            self.event.set()


@pytest.mark.parametrize(
    ("password", "words"), [("wrong", "the monitor refuses truck-00"), (None, "the monitor cannot be reached")]
)
def test_a_monitor_that_refuses_or_is_not_there_is_logged(
    few: Plan, served: Served, tmp_path: Path, password: str | None, words: str
) -> None:
    heard, logger = Heard(words), logging.getLogger("monitor.simulate")
    logger.addHandler(heard)
    with socket.socket() as nobody:  # bound, but does not listen
        nobody.bind(("127.0.0.1", 0))
        port = served.listener.port if password else nobody.getsockname()[1]
        with driving(few, port, Clock(START), tmp_path / "outbox.json", password or "any"):
            assert heard.event.wait(PATIENCE_S)
    logger.removeHandler(heard)
    assert served.loop.messages == []
