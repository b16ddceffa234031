"""Memory: rows taken out and put back, and rows as bytes; nothing is lost, and nothing of another world is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from monitor.detectors import DETECTORS
from monitor.episodes import EPISODE
from monitor.fixes import COLUMNS, FixBatch, Fleet, VehicleId, empty
from monitor.memory import Memory, is_current, present, restore, snapshot
from monitor.motion import NONE
from monitor.pipeline import ROW, Rows, fresh, step
from monitor.places import Place, Route
from monitor.trips import Trip
from monitor.visits import VISIT
from monitor.world import World
from tests.build import line, square, world
from tests.handmade import at, batch, every, trip

PLACES = [square("a", "customer"), square("b", "no_stop"), square("c", "rest_area", east=9000, max_dwell="1m")]
ROUTES, TRIPS = [line("401", north=5000)], [trip("t", routes=("401",))]
TRUCKS = [VehicleId("north", name) for name in ("T-1", "T-2", "T-3")]


def a_world(places: Sequence[Place] = PLACES, routes: Sequence[Route] = ROUTES, trips: Sequence[Trip] = TRIPS) -> World:
    """A customer inside a no-stop place, and a route far away."""
    return world(places=places, routes=routes, trips=trips)


def stood(fleet: Fleet, code: int, first: str = "10:00", last: str = "10:02") -> FixBatch:
    """A truck that stands, by its code in a fleet."""
    fixes, _ = batch(every(60, first, last), vehicle=fleet.ids[code])
    return FixBatch(np.full(len(fixes), code, np.int32), *(getattr(fixes, name) for name in list(COLUMNS)[1:]))


def a_fleet() -> Fleet:
    """Three trucks."""
    fleet = Fleet()
    for truck in TRUCKS:
        fleet.code(truck)
    return fleet


def told(rows: Rows) -> tuple[object, ...]:
    """All that rows say, to compare them."""
    return rows.vehicles, rows.code.tolist(), rows.state.tobytes(), rows.visits.tobytes(), rows.episodes.tobytes()


def after(rows: Rows, fixes: FixBatch, on: World) -> Rows:
    """The rows after a step without ticks."""
    return step(rows, fixes, np.full(len(rows.vehicles), NONE), on).rows


@pytest.fixture
def busy() -> Rows:
    """Three rows of which the first and the last stand in two places and off their route; the second was never seen."""
    fleet = a_fleet()
    both = [stood(fleet, code) for code in (0, 2)]
    fixes = FixBatch(*(np.concatenate([getattr(b, name) for b in both]) for name in COLUMNS))
    return after(fresh(fleet.ids, np.arange(3, dtype=np.int32)), fixes, a_world())


# ── take out and put back ──


def test_what_is_put_back_is_what_is_taken_out_again(busy: Rows) -> None:
    """One row, two, all; in any order asked."""
    memory = Memory(a_fleet())
    memory.put(busy)
    assert told(memory.rows([2, 0, 1])) == told(busy)
    memory.put(memory.rows([2]))
    memory.put(memory.rows([0, 1]))
    assert told(memory.rows(range(3))) == told(busy)
    assert memory.rows([2]).vehicles == (TRUCKS[2],)


def test_a_vehicle_never_seen_has_an_empty_row() -> None:
    """Also one that the fleet has met just now."""
    fleet = Fleet()
    memory = Memory(fleet)
    for number in range(200):
        fleet.code(VehicleId("north", str(number)))
    rows = memory.rows([150])
    assert told(rows) == told(fresh([VehicleId("north", "150")], np.array([150], np.int32)))
    assert memory.frontier(np.array([150], np.int32)).tolist() == [NONE]
    assert present(rows).tolist() == [False]


def test_rows_are_copies(busy: Rows) -> None:
    """What a step does to them Memory learns only when they are put back."""
    memory = Memory(a_fleet())
    memory.put(busy)
    rows = memory.rows([0])
    rows.state["order"]["frontier"] = 0
    rows.visits["since"] = 0
    rows.episodes["since"] = 0
    assert told(memory.rows(range(3))) == told(busy)


def test_stepping_vehicles_apart_is_stepping_them_together(busy: Rows) -> None:
    """The others are never touched."""
    fleet, on = a_fleet(), a_world()
    memory = Memory(fleet)
    for code in (2, 0):
        memory.put(after(memory.rows([code]), stood(fleet, code), on))
    assert told(memory.rows(range(3))) == told(busy)


def test_what_ended_is_forgotten() -> None:
    """A truck that drove on has no visits; all that is followed of it is its silence."""
    fleet, on = a_fleet(), a_world(trips=[])
    memory = Memory(fleet)
    memory.put(after(memory.rows([0]), stood(fleet, 0), on))
    assert memory.rows([0]).visits["place"].tolist() == [0, 1]
    away, _ = batch([("10:05", 1000, 0, 20), ("10:06", 3000, 0, 20), ("10:07", 5000, 0, 20), ("10:08", 7000, 0, 20)])
    memory.put(after(memory.rows([0]), away, on))
    assert len(memory.rows([0]).visits) == 0
    assert [DETECTORS[kind].KIND for kind in memory.rows([0]).episodes["kind"]] == ["signal_lost"]


def test_present_rows_are_those_that_anything_was_processed_for(busy: Rows) -> None:
    """Two of three."""
    assert present(busy).tolist() == [True, False, True]
    memory = Memory(a_fleet())
    memory.put(busy)
    assert memory.frontier(np.arange(3, dtype=np.int32)).tolist() == [at("10:02"), NONE, at("10:02")]


# ── deadlines ──


def test_a_vehicle_is_due_once_its_deadline_has_passed_and_it_has_been_quiet(busy: Rows) -> None:
    """Its deadline is at 10:05: thirty seconds after the last word, or five minutes at most."""
    memory = Memory(a_fleet())
    memory.put(busy)
    assert [memory.due(at(c), 30_000, 300_000) for c in ("10:04:59", "10:05")] == [[], [0, 2]]
    memory.hear(np.array([0], np.int32), at("10:04:50"))
    assert [memory.due(at(c), 30_000, 300_000) for c in ("10:05:19", "10:05:20")] == [[2], [0, 2]]
    memory.hear(np.array([0], np.int32), at("10:09:59"))
    assert memory.due(at("10:10"), 30_000, 300_000) == [0, 2]
    assert memory.horizon(np.array([0, 2], np.int32), at("10:10"), 30_000, 300_000).tolist() == [at("10:05"), at("10:10")]


def test_what_is_uploaded_of_hours_ago_is_not_taken_for_silence_while_it_comes(busy: Rows) -> None:
    """At noon its deadline has long passed, but it waits from when something came that moved it."""
    memory = Memory(a_fleet())
    memory.put(busy)
    memory.hear(np.array([0, 2], np.int32), at("12:00"))
    assert memory.due(at("12:00:29"), 30_000, 300_000) == []
    memory.hear(np.array([0], np.int32), at("12:00:29"))  # talks on, but of nothing that moves the deadline
    assert memory.due(at("12:00:30"), 30_000, 300_000) == [2]
    memory.hear(np.array([0], np.int32), at("12:04:59"))
    assert [memory.due(at(c), 30_000, 300_000) for c in ("12:04:59", "12:05")] == [[2], [0, 2]]
    assert memory.horizon(np.array([0, 1], np.int32), at("12:05"), 30_000, 300_000).tolist() == [at("10:05"), at("12:05")]


def test_a_clock_put_right_keeps_nobody_from_being_noticed(busy: Rows) -> None:
    """It was six hours ahead when they were last heard."""
    memory = Memory(a_fleet())
    memory.put(busy)
    memory.hear(np.array([0, 2], np.int32), at("16:04"))
    assert memory.due(at("10:20"), 30_000, 300_000) == []
    memory.stepped(at("10:20"))
    assert memory.due(at("10:20:30"), 30_000, 300_000) == [0, 2]


def test_without_deadlines_nobody_is_due(busy: Rows) -> None:
    """After they fired."""
    memory = Memory(a_fleet())
    assert memory.due(at("12:00"), 0, 0) == []
    memory.put(step(busy, empty(), np.full(3, at("12:00")), a_world()).rows)
    assert memory.due(at("13:00"), 0, 0) == []


# ── rows as bytes ──


def test_a_row_as_bytes_and_back_is_the_same(busy: Rows) -> None:
    """Each of them, whatever its place among others."""
    on = a_world()
    bodies = [snapshot(busy, row, on) for row in range(3)]
    assert told(restore(busy.vehicles, busy.code, bodies, on)) == told(busy)
    alone = restore([TRUCKS[2]], np.array([7], np.int32), [bodies[2]], on)
    assert alone.state.tobytes() == busy.state[2:].tobytes()
    assert told(restore([TRUCKS[2]], np.array([7], np.int32), [snapshot(alone, 0, on)], on)) == told(alone)


def test_bytes_name_places_routes_and_trips_because_codes_mean_nothing_elsewhere(busy: Rows) -> None:
    """In a world with more of them, in another order, they are found again."""
    here = a_world()
    there = a_world(
        [square("0", "drop", east=-9000), *PLACES[::-1]], [line("20", north=-9000), *ROUTES], [trip("s", end="00:01"), *TRIPS]
    )
    body = snapshot(busy, 0, here)
    rows = restore([TRUCKS[0]], np.array([0], np.int32), [body], there)
    assert {there.atlas.places[code].id for code in rows.visits["place"]} == {"a", "b"}
    assert there.trips.all[rows.state["judged"]["trip"][0]].id == "t"
    again = snapshot(restore([TRUCKS[0]], np.array([0], np.int32), [snapshot(rows, 0, there)], here), 0, here)
    assert again == body


def test_what_is_no_more_in_the_world_is_forgotten(busy: Rows) -> None:
    """Visits and dwells of a place that is gone; a trip that is gone is none; the stop goes on."""
    bare = a_world([PLACES[1]], [], [])
    rows = restore([TRUCKS[0]], np.array([0], np.int32), [snapshot(busy, 0, a_world())], bare)
    assert rows.visits["place"].tolist() == [0]
    assert rows.state["judged"]["trip"].tolist() == [-1]
    assert (rows.episodes["subject"] < 0).all()
    assert len(rows.episodes) > 0
    assert set(rows.episodes["trip"].tolist()) == {-1}


def test_bytes_of_another_layout_are_void(busy: Rows) -> None:
    """And no bytes are an empty row."""
    on = a_world()
    body = snapshot(busy, 0, on)
    old = body.replace(b'"layout": "', b'"layout": "x', 1)
    assert (is_current(body), is_current(old), is_current(b"")) == (True, False, False)
    for nothing in (old, None):
        rows = restore([TRUCKS[0]], np.array([0], np.int32), [nothing], on)
        assert told(rows) == told(fresh([TRUCKS[0]], np.array([0], np.int32)))


def test_a_vehicle_takes_less_than_a_kilobyte(busy: Rows) -> None:
    """Standing in two places, off its route, with everything that may come of it."""
    memory = Memory(a_fleet())
    memory.put(busy)
    assert memory.nbytes() / 3 < 1024
    assert len(snapshot(busy, 1, a_world())) < 1024
    assert (ROW.itemsize, VISIT.itemsize, EPISODE.itemsize) < (512, 64, 256)
