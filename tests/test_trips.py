"""Trips: what a dispatcher's file says, and which trip a fix belongs to; what is refused is in `tests.test_bad_config`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.fixes import VehicleId
from monitor.trips import Trip, Trips, load_trips
from tests.handmade import TRUCK, at, trip

FULL = {
    "id": "t1", "carrier": "north", "vehicle": "T-1", "trailer": "R-7", "driver": "Ana", "routes": ["401", "20"], "origin": "depot",
    "destination": "customer", "authorized_places": ["rest", "fuel"], "starts_at": "2026-03-02T10:00:00Z",
    "ends_at": "2026-03-02T13:00:00-05:00", "load": {"class": "high_value", "value": 250_000}, "port_of_entry": "lacolle",
}  # fmt: skip
LEAST = {"id": 7, "vehicle": "T-1", "route": "401", "starts_at": "2026-03-02T10:00:00Z", "ends_at": "2026-03-02T18:00:00Z"}


def read(folder: Path, *records: object, name: str = "trips.jsonl") -> tuple[Trip, ...]:
    """The trips of a file of JSON lines."""
    (folder / name).write_text("\n".join(map(json.dumps, records)) + "\n\n", encoding="utf-8")
    return load_trips(folder / name).all


def test_a_trip_is_read_whole(tmp_path: Path) -> None:
    """Times become UTC; of a load its class is what counts."""
    [found] = read(tmp_path, FULL)
    assert found == Trip(
        "t1", "north", "T-1", ("401", "20"), at("10:00"), at("18:00"), "depot", "customer", ("rest", "fuel"), "high_value",
        "R-7", "Ana", "lacolle",
    )  # fmt: skip


def test_five_fields_are_enough(tmp_path: Path) -> None:
    """The carrier is "default", the load standard; an id may be a number."""
    [found] = read(tmp_path, LEAST)
    assert found == Trip("7", "default", "T-1", ("401",), at("10:00"), at("18:00"))


@pytest.mark.parametrize("name", ["trips.json", "trips.ndjson", "trips.jsonl"])
def test_json_lines_have_several_names(name: str, tmp_path: Path) -> None:
    """Empty lines are none."""
    assert len(read(tmp_path, LEAST, LEAST | {"id": "8"}, name=name)) == 2


def test_no_places_named_and_a_list_of_none_are_not_the_same(tmp_path: Path) -> None:
    """An empty list: nowhere."""
    silent, nowhere = read(tmp_path, LEAST, LEAST | {"id": "8", "authorized_places": []})
    assert (silent.authorized_places, nowhere.authorized_places) == (None, ())


def test_a_table_says_the_same_as_json_lines(tmp_path: Path) -> None:
    """Lists are separated by semicolons; empty cells are unknown, other columns ignored."""
    (tmp_path / "trips.csv").write_text(
        "id,vehicle,routes,starts_at,ends_at,load,authorized_places,colour\n"
        "t1,T-1,401; 20,2026-03-02T10:00:00Z,2026-03-02T18:00:00Z,,rest;,red\n",
        encoding="utf-8-sig",
    )
    [found] = load_trips(tmp_path / "trips.csv").all
    assert found == Trip("t1", "default", "T-1", ("401", "20"), at("10:00"), at("18:00"), authorized_places=("rest",))


# ── which trip a fix belongs to ──


def ids_at(trips: list[Trip], *clocks: str) -> list[str]:
    """The trip at each clock, "-" for none."""
    time = np.array([at(clock) for clock in clocks])
    index = Trips(trips).assign([TRUCK], np.zeros(len(time), np.int32), time)
    return ["-" if i < 0 else trips[i].id for i in index]


def test_a_trip_holds_from_its_start_to_just_before_its_end() -> None:
    """Half-open."""
    assert ids_at([trip("a", "10:00", "11:00")], "09:59:59.999", "10:00", "10:59:59.999", "11:00") == ["-", "a", "a", "-"]


def test_of_overlapping_trips_the_latest_start_wins_then_the_greatest_id() -> None:
    """Whatever their order in the file."""
    trips = [trip("b", "10:00", "12:00"), trip("d", "09:00", "13:00"), trip("a", "10:00", "11:00"), trip("c", "10:00", "10:30")]
    clocks = ("09:30", "10:15", "10:45", "11:30", "12:30")
    assert ids_at(trips, *clocks) == ids_at(trips[::-1], *clocks) == ["d", "c", "b", "b", "d"]


def test_overlapping_trips_are_named_with_the_one_that_counts() -> None:
    """Those that merely follow each other are not."""
    trips = [trip("a", "09:00", "11:00"), trip("b", "10:00", "12:00"), trip("c", "12:00", "13:00")]
    assert Trips(trips).overlaps() == [
        "trips a and b of north/T-1 overlap, 2026-03-02T10:00:00.000Z to 2026-03-02T11:00:00.000Z: b counts"
    ]
    assert Trips(trips[1:]).overlaps() == []


def test_a_trip_holds_for_its_trailer_too() -> None:
    """A trailer with a tracker of its own is where its trip is."""
    plan = Trips([dataclasses.replace(trip("a", "09:00", "11:00"), trailer="R-7")])
    time = np.array([at("10:00")])
    for name in ("T-1", "R-7"):
        assert plan.assign([VehicleId("north", name)], np.zeros(1, np.int32), time).tolist() == [0]
    assert plan.assign([VehicleId("south", "R-7")], np.zeros(1, np.int32), time).tolist() == [-1]


def test_another_vehicles_trip_is_not_mine() -> None:
    """Nor that of a vehicle of the same name of another carrier."""
    others = [
        Trip("x", "south", TRUCK.vehicle, (), at("09:00"), at("12:00")),
        Trip("y", "north", "T-2", (), at("09:00"), at("12:00")),
    ]
    assert ids_at(others, "10:00") == ["-"]


def test_without_trips_no_fix_has_one() -> None:
    """An empty plan."""
    assert ids_at([], "10:00") == ["-"]


spans = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(1, 10)), max_size=8)


@given(spans, st.lists(st.tuples(st.integers(0, 2), st.integers(0, 32)), max_size=20))
def test_trips_agree_with_asking_each_of_them(plan: list[tuple[int, int, int]], asked: list[tuple[int, int]]) -> None:
    """For three vehicles, at any times."""
    vehicles = [VehicleId("north", str(n)) for n in range(3)]
    trips = [Trip(f"{k % 4}-{k}", *vehicles[v], (), start, start + length) for k, (v, start, length) in enumerate(plan)]
    asked = sorted(asked)
    found = Trips(trips).assign(vehicles, np.array([v for v, _ in asked], np.int32), np.array([t for _, t in asked], np.int64))
    for (v, t), index in zip(asked, found.tolist(), strict=True):
        mine = [trip for trip in trips if trip.vehicle == str(v) and trip.starts_at <= t < trip.ends_at]
        best = max(mine, key=lambda trip: (trip.starts_at, trip.id), default=None)
        assert (None if index < 0 else trips[index]) is best
