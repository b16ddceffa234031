"""The law with a configuration that changes: whenever we learn of fixes and changes, the log is that of a world that knew all.

Trips, permits, places and limits change while fixes come in, late and early, with restarts between; the log at the end is that of
the sorted replay in the world of the whole history.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine import Engine
from monitor.fixes import FixBatch, Fleet, arranged, empty, normalised
from monitor.history import AUTHORIZATION, TRIP, Key, Row, planned, stated, withdrawn
from monitor.permits import Authorization, Lockdown, Permits
from monitor.places import Geofences, load_geofences
from monitor.register import Register
from monitor.settings import Settings, load_settings
from monitor.signals import Signal, instant, log_lines, timestamp
from monitor.store import configuration_store
from monitor.store.store import Store
from monitor.trips import Trip, Trips
from monitor.world import World
from tests import tracks
from tests.test_law import OFTEN, Schedule, again, blank, database, recoded, renewed, sorted_replay
from tests.test_law import world_of as law_world

__all__ = ["blank", "database"]  # fixtures

SHORT_REACH = ("order.rewind_horizon=1h", "order.checkpoint=5m")
"""So that much is later than rewinds reach."""
LIMITS = ("detectors.unauthorized_stop.limit=30s", "detectors.unauthorized_stop.limit=4m", "detectors.long_dwell.customer=45s")


@dataclass(frozen=True)
class Change:
    """What somebody changes: rows given, or asked for by a command, or something that the files say from now on."""

    now: int
    rows: tuple[Row, ...] = ()
    asked: bool = False
    feature: dict[str, Any] | None = None
    removed: str = ""
    assignment: str = ""


class Files:
    """What the configuration files say, as it changes."""

    def __init__(self, example: tracks.World, folder: Path, trips: list[Trip]) -> None:
        self.folder, self.trips = folder, trips
        self.assignments = [*example.assignments, *SHORT_REACH]
        self.features = {feature["properties"]["id"]: feature for feature in example.features}
        folder.mkdir(exist_ok=True)

    @property
    def settings(self) -> Settings:
        """As of now."""
        return load_settings(None, self.assignments)

    def said(self) -> dict[Key, str]:
        """Everything they say."""
        file = self.folder / "all.geojson"
        file.write_text(json.dumps({"type": "FeatureCollection", "features": list(self.features.values())}))
        geofences = load_geofences(self.folder, self.settings.timezone)
        return stated(self.settings, geofences, Trips(self.trips), Permits())

    def change(self, change: Change) -> None:
        """Edit them."""
        if change.feature is not None:
            self.features[change.feature["properties"]["id"]] = change.feature
        self.features.pop(change.removed, None)
        if change.assignment:
            self.assignments.append(change.assignment)


def random_changes(rng: np.random.Generator, example: tracks.World, later: list[Trip], first: int, last: int) -> list[Change]:
    """A dozen changes between two instants, most of them about what has been."""
    places = [f for f in example.features if f["properties"]["kind"] != "route"]
    trips = {trip.id: trip for trip in example.trips}
    changes = [Change(when(rng, first, last), (planned(trip, "dispatch", "ana", 0),)) for trip in later]
    for number in range(int(rng.integers(2, 12))):
        now = when(rng, first, last)
        start, end = sorted(int(t) for t in rng.integers(first - 600_000, last, 2))
        who = example.vehicles[rng.integers(len(example.vehicles))]
        what = rng.integers(7)
        if what == 0 and trips:
            trip = trips[str(rng.choice(sorted(trips)))]
            moved = dataclasses.replace(
                trip, starts_at=start, ends_at=end + 1, load=str(rng.choice(["standard", "local", "high_value"]))
            )
            changes.append(Change(now, (planned(moved, "dispatch", "ana", now),)))
        elif what == 1 and trips:
            changes.append(Change(now, (withdrawn(TRIP, str(rng.choice(sorted(trips))), "dispatch", "ana", now),)))
        elif what == 2:
            spot = example.fixes.take(np.array([rng.integers(len(example.fixes))]))
            lon, lat = (None, None) if rng.random() < 0.3 else (float(spot.lon[0]), float(spot.lat[0]))
            lon, lat = (None, None) if lon is None or np.isnan(lon) else (lon, lat)
            permit = Authorization(f"a{rng.integers(3)}", *who, start, end + 1, "rest", "ana", lon=lon, lat=lat, radius_m=977.0)
            gone = withdrawn(AUTHORIZATION, permit.id, "person", "ana", now)
            row = gone if rng.random() < 0.2 else planned(permit, "person", "ana", now)
            changes.append(Change(now, (row,), asked=bool(rng.random() < 0.5)))
        elif what == 3:
            of: dict[str, Any] = [{"carrier": who[0]}, {"carrier": who[0], "vehicle": who[1]}][rng.integers(2)]
            of = {"place": places[0]["properties"]["id"]} if places and rng.random() < 0.4 else of
            row = planned(Lockdown(f"l{rng.integers(2)}", start, end + 1, "theft", "ana", **of), "person", "ana", now)
            changes.append(Change(now, (row,), asked=bool(rng.random() < 0.5)))
        elif what == 4 and places:
            place = json.loads(json.dumps(places[rng.integers(len(places))]))
            place["properties"]["max_dwell"] = str(rng.choice(["40s", "100s", "4m"]))
            if rng.random() < 0.4:
                place["properties"]["kind"] = str(rng.choice(["customer", "no_stop", "restricted", "rest_area"]))
            if rng.random() < 0.4:
                place["properties"]["valid_from"] = timestamp(start)
            if rng.random() < 0.2:
                place["properties"]["valid_until"] = timestamp(end + 1)
            begins, ends = (place["properties"].get(name) for name in ("valid_from", "valid_until"))
            if begins and ends and instant(ends) <= instant(begins):
                del place["properties"]["valid_until"]
            changes.append(Change(now, feature=place))
        elif what == 5 and places and number % 2:
            changes.append(Change(now, removed=places[rng.integers(len(places))]["properties"]["id"]))
        elif what == 6:
            changes.append(Change(now, assignment=str(rng.choice(LIMITS))))
    return sorted(changes, key=lambda change: change.now)


def when(rng: np.random.Generator, first: int, last: int) -> int:
    """An instant at which somebody does something."""
    return int(rng.integers(first, last + 1))


class Live:
    """An engine and a register on a store, as the program runs them."""

    def __init__(self, example: tracks.World, store: Store, files: Files, now: int) -> None:
        self.example, self.store, self.files = example, store, files
        self.register = Register(store, files.settings, files.said(), now)
        self.engine = Engine(store, self.register.world(), example.fleet)

    def restart(self, number: int, now: int) -> None:
        """Begin anew from what the database holds."""
        self.register = Register(self.store, self.files.settings, self.files.said(), now)
        self.engine = Engine(self.store, self.register.world(), again(self.example.fleet, number))
        self.engine.resume()
        self.register.restate(self.engine, self.files.said(), now)
        self.register.heed(self.engine, now)

    def take(self, index: tracks.Index, now: int) -> None:
        """A delivery."""
        fixes = arranged(recoded(self.example, self.engine.fleet, index)) if len(index) else empty()
        assert not self.engine.take(fixes, (), now).faults

    def change(self, change: Change) -> None:
        """Somebody changes something."""
        if change.asked:
            with self.store.begin() as transaction:
                for row in change.rows:
                    configuration_store.ask(transaction, row)
        elif change.rows:
            self.register.lay(self.engine, change.rows, change.now)
        else:
            self.files.change(change)
            self.register.restate(self.engine, self.files.said(), change.now)

    def log(self, horizon: int) -> list[Signal]:
        """The log in the end, when nothing waits any more."""
        self.register.heed(self.engine, horizon)
        self.engine.take(empty(), (), horizon, horizon=horizon)
        for vehicle in self.engine.waiting():
            self.engine.adjudicate(vehicle, horizon, horizon)
        assert not self.engine.waiting()
        with self.store.read() as transaction:
            return transaction.signal_log()


def events(schedule: Schedule, changes: list[Change]) -> Iterator[Change | tuple[tracks.Index, int]]:
    """Deliveries and changes as they happen."""
    waiting = list(changes)
    for index, now in schedule:
        while waiting and waiting[0].now <= now:
            yield waiting.pop(0)
        yield index, now


@given(st.integers(0, 2**32 - 1), st.integers(30, 90), st.integers(0, 2**32 - 1))
@OFTEN
def test_changes_in_any_order_give_the_log_of_a_world_that_knew_all(
    database: str, blank: Path, tmp_path: Path, seed: int, size: int, schedule_seed: int
) -> None:
    """Also with late fixes, and restarts between a change and what follows it."""
    rng = np.random.default_rng(schedule_seed)
    example = tracks.random_world(seed, size)
    known = [trip for trip in example.trips if rng.random() < 0.5]
    later = [trip for trip in example.trips if trip not in known]
    schedule = tracks.deliveries(schedule_seed, example.fixes)
    changes = random_changes(rng, example, later, schedule[0][1], schedule[-1][1])
    happenings = list(events(schedule, changes))
    restarts = set(rng.integers(1, len(happenings), 3).tolist())
    store = renewed(database, blank)
    try:
        live = Live(example, store, Files(example, tmp_path / "geofences", known), schedule[0][1])
        for number, happening in enumerate(happenings):
            if number in restarts:
                live.restart(number, happening.now if isinstance(happening, Change) else happening[1])
            if isinstance(happening, Change):
                live.change(happening)
            else:
                live.take(*happening)
        found = live.log(schedule[-1][1])
        world = Register(store, live.files.settings, {}, 0).world()
    finally:
        store.close()
    expected, _ = sorted_replay(example, world, schedule[-1][1])
    assert log_lines(found) == log_lines(expected)


@given(st.integers(0, 2**32 - 1), st.integers(30, 90), st.integers(0, 2**32 - 1))
@OFTEN
def test_rows_move_to_a_world_that_names_things_in_another_order(
    database: str, blank: Path, tmp_path: Path, seed: int, size: int, schedule_seed: int
) -> None:
    """Codes mean nothing from one world to the next; what is remembered is moved by name."""
    example = tracks.random_world(seed, size)
    turned = dataclasses.replace(example, features=example.features[::-1], trips=example.trips[::-1])
    here, there = law_world(example, tmp_path / "here"), law_world(turned, tmp_path / "there")
    schedule = tracks.deliveries(schedule_seed, example.fixes)
    expected, _ = sorted_replay(example, here, schedule[-1][1])
    store = renewed(database, blank)
    try:
        engine = Engine(store, here, example.fleet)
        for number, (index, now) in enumerate(schedule):
            if number % max(1, len(schedule) // 4) == 0:
                world = there if engine.world is here else here
                engine.reconfigure(world, (), now, "turned", lambda _transaction: None)
            engine.take(arranged(recoded(example, engine.fleet, index)) if len(index) else empty(), (), now)
        engine.take(empty(), (), schedule[-1][1], horizon=schedule[-1][1])
        with store.read() as transaction:
            assert log_lines(transaction.signal_log()) == log_lines(expected)
    finally:
        store.close()


def a_drive(fleet: Fleet, minutes: range) -> FixBatch:
    """A truck that drives north, a fix a minute."""
    time = (1_772_445_600_000 + 60_000 * np.array(minutes, np.int64)).view("datetime64[ms]")
    code = np.full(len(minutes), fleet.code(tracks.IDENTITIES[0]), np.int32)
    return normalised(fleet, code, time, np.full(len(minutes), -79.5), 43 + np.array(minutes, np.float64) / 100)


def test_a_vehicle_judged_anew_has_checkpoints_as_before(database: str, blank: Path) -> None:
    """So that the next late fix costs minutes of its past again, not all of it."""
    store, fleet = renewed(database, blank), Fleet()
    world = World(load_settings(None, SHORT_REACH), Geofences(), Trips())
    engine = Engine(store, world, fleet)
    now = 1_772_445_600_000 + 300 * 60_000
    engine.take(a_drive(fleet, range(180, 300)), (), now)
    engine.take(a_drive(fleet, range(150)), (), now)
    [vehicle] = engine.waiting()
    with store.read() as transaction:
        assert len(transaction.fixes_of(fleet, 0, None)) == 120
    engine.adjudicate(vehicle, now)
    with store.read() as transaction:
        assert len(transaction.fixes_of(fleet, 0, None)) == 270
        frontiers = transaction.connection.exec_driver_sql("SELECT frontier FROM checkpoint ORDER BY frontier").scalars().all()
    assert len(frontiers) >= 12
    assert max(np.diff(frontiers)) <= 5 * 60_000
    assert engine.memory.frontier(np.array([0], np.int32)).tolist() == [frontiers[-1]]
    store.close()
