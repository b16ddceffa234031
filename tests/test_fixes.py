"""Fixes: columns, flags and digests; the same fix has the same digest whatever way it came, and nothing unknown is ever 0."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.fixes import (
    ALARM_NAMES,
    COLUMNS,
    Alarm,
    FixBatch,
    Fleet,
    Quality,
    VehicleId,
    arranged,
    concatenate,
    empty,
    identity_hash,
    normalised,
)  # fmt: skip
from tests.handmade import at, batch

ONE, OTHER = VehicleId("north", "T-1"), VehicleId("south", "T-1")


def fixes(n: int = 1, fleet: Fleet | None = None, code: int = 0, **said: Any) -> FixBatch:
    """N fixes of one vehicle, a second apart, at a place of five decimals; of other columns what is said."""
    fleet = fleet or Fleet()
    fleet.code(ONE)
    time = (at("10:00") + 1000 * np.arange(n)).astype("datetime64[ms]")
    lon, lat = (
        np.broadcast_to(np.array(said.pop(name, value), float), n) for name, value in (("lon", -79.38123), ("lat", 43.65123))
    )
    columns = {name: None if value is None else np.broadcast_to(np.array(value), n) for name, value in said.items()}
    return normalised(fleet, np.full(n, code, np.int32), time, lon, lat, **columns)


# ── who ──


def test_a_vehicle_is_its_carrier_and_its_id() -> None:
    """Codes are given in the order of meeting, and never again."""
    fleet = Fleet()
    assert [fleet.code(who) for who in (ONE, OTHER, ONE)] == [0, 1, 0]
    assert fleet.ids == [ONE, OTHER]
    assert fleet.hashes().tolist() == [identity_hash(ONE), identity_hash(OTHER)]


def test_the_hash_of_a_vehicle_is_the_same_forever() -> None:
    """It is stored; and where carrier and id are cut is part of it."""
    assert identity_hash(ONE) == 5234645202737496178
    assert identity_hash(VehicleId("a", "bc")) != identity_hash(VehicleId("ab", "c"))


# ── what is unknown, and what is suspect ──


def test_what_is_not_said_is_unknown_and_never_zero() -> None:
    """NaN or -1; of alarms there are none."""
    fix = fixes()
    assert np.isnan([fix.speed[0], fix.heading[0], fix.accuracy[0]]).all()
    assert (fix.ignition[0], fix.door[0], fix.alarms[0], fix.quality[0]) == (-1, -1, 0, 0)


def test_every_column_has_its_type() -> None:
    """Also of no fixes."""
    assert {name: str(getattr(fixes(), name).dtype) for name in COLUMNS} == COLUMNS
    assert {name: str(getattr(empty(), name).dtype) for name in COLUMNS} == COLUMNS
    assert [item.name for item in dataclasses.fields(FixBatch)] == list(COLUMNS)
    assert len(empty()) == 0


@pytest.mark.parametrize(
    ("said", "quality", "positioned", "precise"),
    [
        ({}, Quality(0), True, True),
        ({"lon": np.nan}, Quality.NO_POSITION, False, False),
        ({"lat": np.inf}, Quality.NO_POSITION, False, False),
        ({"lon": 0.0, "lat": 0.0}, Quality.NULL_ISLAND, False, False),
        ({"lon": 0.0}, Quality(0), True, True),
        ({"quality": np.uint8(Quality.NO_LOCK)}, Quality.NO_LOCK, False, False),
        ({"quality": np.uint8(Quality.COPIED)}, Quality.COPIED, False, False),
        ({"speed": 99.9}, Quality(0), True, True),
        ({"speed": 100.0}, Quality.SENTINEL_SPEED, True, True),
        ({"speed": -0.1}, Quality.SENTINEL_SPEED, True, True),
        ({"accuracy": 200.0}, Quality(0), True, True),
        ({"accuracy": 200.5}, Quality.COARSE, True, False),
        ({"lon": -79.38}, Quality(0), True, True),
        ({"lon": -79.38, "lat": 43.6}, Quality.TWO_DECIMALS | Quality.COARSE, True, False),
        ({"lon": -79.38, "lat": 43.65, "accuracy": 5.0}, Quality.TWO_DECIMALS, True, False),
        ({"lon": 0.0, "lat": 0.0, "accuracy": 500.0}, Quality.NULL_ISLAND, False, False),
    ],
)
def test_what_is_suspect_is_flagged(said: dict[str, Any], quality: Quality, positioned: bool, precise: bool) -> None:
    """Flagged, kept, and not believed further than it can be."""
    fix = fixes(**said)
    assert (fix.quality[0], fix.positioned[0], fix.precise[0]) == (quality, positioned, precise)


def test_what_no_device_can_mean_is_unknown() -> None:
    """A speed of 255, an accuracy of 0; coordinates of two decimals are good to 1.6 km."""
    assert np.isnan(fixes(speed=255.0).speed[0])
    assert np.isnan(fixes(accuracy=0.0).accuracy[0])
    assert np.isnan(fixes(accuracy=-1.0).accuracy[0])
    assert fixes(lon=-79.38, lat=43.65).accuracy[0] == 1600
    assert np.isnan(fixes(lon=np.inf).lon[0])


def test_what_is_given_is_not_modified() -> None:
    """Quality and speed are copied before they are flagged."""
    speed, quality = np.array([255.0]), np.zeros(1, np.uint8)
    fixes(speed=speed, quality=quality, lon=np.nan)
    assert (speed[0], quality[0]) == (255.0, 0)


def test_alarms_have_names() -> None:
    """All of them, in small letters."""
    assert ALARM_NAMES["panic"] == Alarm.PANIC
    assert len(ALARM_NAMES) == len(Alarm) == 8


# ── order and duplicates ──


def test_a_batch_is_sorted_by_vehicle_time_and_digest_and_has_no_duplicates() -> None:
    """However it came."""
    fleet = Fleet()
    for who in (ONE, OTHER):
        fleet.code(who)
    parts = [fixes(3, fleet, code, speed=speed) for code in (1, 0) for speed in (1.0, 2.0, 1.0)]
    whole = concatenate(parts)
    keys = list(zip(whole.vehicle.tolist(), whole.time.tolist(), whole.digest.tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert len(whole) == 12


def test_several_batches_are_one() -> None:
    """None of them is nothing, one is itself."""
    one = fixes(3)
    assert len(concatenate([])) == 0
    assert concatenate([one]) is one
    assert concatenate([one, one, empty()]).digest.tolist() == one.digest.tolist()


@given(st.permutations(range(6)))
def test_the_order_of_arrival_leaves_no_trace(order: list[int]) -> None:
    """A batch is a set."""
    six = fixes(6)
    assert arranged(six.take(np.array(order))).digest.tolist() == six.digest.tolist()


# ── digests ──


@pytest.mark.parametrize(
    "said",
    [
        {"lon": -79.38124}, {"lat": 43.65124}, {"lon": np.nan}, {"speed": 3.0}, {"speed": 0.0}, {"heading": 71.0}, {"accuracy": 4.0},
        {"ignition": np.int8(1)}, {"ignition": np.int8(0)}, {"door": np.int8(0)}, {"door": np.int8(1)},
        {"alarms": np.uint32(1)}, {"alarms": np.uint32(128)},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_a_device_says_is_part_of_the_digest(said: dict[str, Any]) -> None:
    """Two fixes that differ in it are two."""
    assert fixes(**said).digest[0] != fixes().digest[0]


def test_who_and_when_are_part_of_the_digest_and_codes_are_not() -> None:
    """Another process may give other codes."""
    fleet = Fleet()
    for who in (OTHER, ONE):
        fleet.code(who)
    assert fixes(fleet=fleet, code=1).digest[0] == fixes().digest[0] != fixes(fleet=fleet, code=0).digest[0]
    assert len(set(fixes(5).digest.tolist())) == 5


def test_what_a_file_or_a_database_loses_is_not_part_of_the_digest() -> None:
    """Less than a centimetre, a millimetre a second; and what was a flag of ours."""
    same = [
        fixes(lon=-79.38123 + 3e-9, lat=43.65123 - 3e-9),
        fixes(lon=float("-79.38123")),
        fixes(quality=np.uint8(Quality.COPIED)),
    ]
    assert {fix.digest[0] for fix in same} == {fixes().digest[0]}
    assert fixes(speed=22.4).digest[0] == fixes(speed=float(np.float32(22.4))).digest[0]


def test_a_batch_can_be_taken_apart() -> None:
    """By index, by mask, by slice."""
    five, _ = batch([(f"10:0{k}", 0, 0, 0) for k in range(5)])
    for index in (np.array([1, 3]), np.array([False, True, False, True, False]), slice(1, 4, 2)):
        assert five.take(index).time.tolist() == [five.time.tolist()[1], five.time.tolist()[3]]
