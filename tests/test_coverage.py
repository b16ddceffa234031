"""What a feed can show: never more for reporting less, and the share that was seen is counted by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.coverage import NEEDS, Counted, Coverage, Lack, Level, Support, coverage, patience, weighted_median
from monitor.detectors import DETECTORS
from monitor.explain import LANGUAGES
from monitor.explain.feeds import EVENTS, LACKS, LEVELS, why_served
from monitor.fixes import FixBatch, Fleet, VehicleId, concatenate, normalised
from monitor.ingest.files import read_fixes
from monitor.order import order, unseen
from monitor.places import Geofences, Place
from monitor.settings import load_settings
from monitor.trips import Trip, Trips
from monitor.world import World
from tests.build import square
from tests.handmade import TRUCK, Report, at, batch, clock, every

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MINUTE = 60_000
RANK = {Level.UNSUPPORTED: 0, Level.COARSE: 1, Level.SUPPORTED: 2}


def world(*trips: Trip, said: Sequence[str] = (), places: Sequence[Place] = (square("Belt", "no_stop"),)) -> World:
    return World(load_settings(None, said), Geofences(tuple(places), (), "v"), Trips(trips))


def trip(**changes: Any) -> Trip:
    values: dict[str, Any] = {"routes": ("R-1",), "starts_at": at("10:00"), "ends_at": at("14:00"), "trailer": "TR-9", **changes}
    return Trip("T-7", *TRUCK, **values)


def drive(seconds: int, first: str = "10:00", last: str = "14:00", mps: float = 20.0) -> list[Report]:
    """Reports along a straight road."""
    count = (at(last) - at(first)) // (seconds * 1000) + 1
    return [(clock(at(first) + k * seconds * 1000) or "", mps * k * seconds, 0.0, mps) for k in range(count)]


def covered(
    fixes: FixBatch, ground: World | None = None, *, horizon: str = "14:00", others: Mapping[str, int] = {"TR-9": 4000}
) -> Coverage:
    time = fixes.time.view(np.int64)
    positions = {VehicleId(TRUCK.carrier, other): time + later for other, later in others.items()}
    return coverage(TRUCK, fixes, ground or world(trip()), at(horizon), positions)


def of(reports: Sequence[Report], ground: World | None = None, **options: Any) -> Coverage:
    return covered(batch(reports)[0], ground, **options)


def support(found: Coverage, kind: str) -> Support:
    [one] = [each for each in found.detectors if each.kind == kind]
    return one


def levels(found: Coverage) -> dict[str, Level]:
    return {each.kind: each.level for each in found.detectors}


def test_every_detector_says_what_it_needs_of_a_feed() -> None:
    kinds = {detector.KIND for detector in DETECTORS} | {"separation"}
    assert kinds <= NEEDS.keys()
    for words in EVENTS.values():
        assert words.keys() == NEEDS.keys()


def test_every_word_is_there_in_both_languages() -> None:
    assert EVENTS.keys() == LACKS.keys() == LEVELS.keys() == set(LANGUAGES)
    assert all(set(said) == set(Lack) - {Lack.NONE, Lack.SLOW} for said in LACKS.values())
    assert all(set(said) == set(Level) for said in LEVELS.values())


def test_a_report_each_ten_seconds_with_everything_serves_every_detector() -> None:
    fixes, _ = batch(drive(10))
    n = len(fixes)
    full = dataclasses.replace(fixes, door=np.zeros(n, np.int8), alarms=np.ones(n, np.uint32))
    assert set(levels(covered(full)).values()) == {Level.SUPPORTED}


def test_a_report_an_hour_cannot_show_a_stop_of_ten_minutes() -> None:
    found = support(of(drive(3600), world(trip(), said=["detectors.unauthorized_stop.limit=10m"])), "unauthorized_stop")
    assert (found.level, found.lack, found.interval, found.shortest) == (Level.UNSUPPORTED, Lack.SLOW, 60 * MINUTE, 120 * MINUTE)
    assert why_served(found, "en") == "one report in 1 h: a stop shorter than about 2 h cannot be shown"
    assert why_served(found, "fr") == "un rapport en 1\u202fh\u00a0: un arrêt de moins de 2\u202fh environ ne se verrait pas"


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(30, Level.SUPPORTED), (150, Level.SUPPORTED), (200, Level.COARSE), (300, Level.COARSE), (360, Level.UNSUPPORTED)],
)
def test_a_stop_is_surely_shown_by_two_reports_within_its_limit_and_coarsely_by_one(seconds: int, level: Level) -> None:
    """The least limit is the five minutes of a no-stop place."""
    assert support(of(drive(seconds)), "unauthorized_stop").level is level


def test_the_tightest_limit_of_its_trips_counts() -> None:
    feed = drive(150)
    assert support(of(feed), "unauthorized_stop").wanted == 5 * MINUTE
    assert support(of(feed, world(trip(load="high_value"))), "unauthorized_stop").wanted == 3 * MINUTE
    own = trip(limits={"unauthorized_stop": {"no_stop_limit": timedelta(minutes=2)}})
    assert support(of(feed, world(own)), "unauthorized_stop").wanted == 2 * MINUTE
    assert support(of(feed, world(trip(), places=())), "unauthorized_stop").wanted == 30 * MINUTE
    valuable = trip(load="high_value", origin="Yard")
    assert support(of(feed, world(valuable, places=())), "unauthorized_stop").wanted == 5 * MINUTE
    assert support(of(feed), "long_dwell").wanted == 60 * MINUTE
    brief = square("Dock", "customer", max_dwell="20m")
    assert support(of(feed, world(trip(), places=[brief])), "long_dwell").wanted == 20 * MINUTE


def test_what_is_never_reported_cannot_be_watched() -> None:
    found = of([(when, east, north, float("nan")) for when, east, north, _ in drive(10)], world(trip(routes=(), trailer=None)))
    assert {each.kind: each.lack for each in found.detectors if each.level is not Level.SUPPORTED} == {
        "unauthorized_stop": Lack.NO_SPEED,
        "route_deviation": Lack.NO_ROUTE,
        "wrong_way": Lack.NO_ROUTE,
        "separation": Lack.NO_TRAILER,
        "door_open": Lack.NO_DOOR,
        "device_alarm": Lack.NO_ALARM,
    }
    assert support(of(drive(10), others={}), "separation").lack is Lack.NO_TRAILER


def test_a_separation_needs_the_trailers_positions_at_the_same_times() -> None:
    feed = drive(60)
    assert support(of(feed, others={"TR-9": 14_000}), "separation").level is Level.SUPPORTED
    assert support(of(feed, others={"TR-9": 16_000}), "separation").lack is Lack.UNPAIRED
    assert support(of(feed, world(trip(starts_at=at("20:00"))), horizon="23:00"), "separation").lack is Lack.UNPAIRED
    fixes, _ = batch(feed)
    rare = coverage(TRUCK, fixes, world(trip()), at("14:00"), {VehicleId(TRUCK.carrier, "TR-9"): fixes.time.view(np.int64)[::4]})
    assert (support(rare, "separation").level, support(rare, "separation").interval) == (Level.COARSE, 4 * MINUTE)


def test_a_trailer_pulls_none() -> None:
    fixes, _ = batch(drive(10))
    positions = {TRUCK: fixes.time.view(np.int64)}
    own = world(dataclasses.replace(trip(), vehicle="TR-1", trailer=TRUCK.vehicle))
    assert support(coverage(TRUCK, fixes, own, at("14:00"), positions), "separation").lack is Lack.NO_TRAILER


def test_rough_positions_disarm_what_needs_precise_ones() -> None:
    feed = drive(10)
    found = covered(batch(feed, accuracy=[500.0] * len(feed))[0])
    assert found.imprecise == 1.0
    assert {kind for kind, need in NEEDS.items() if need.counts is not Counted.USED} == {
        each.kind for each in found.detectors if each.lack is Lack.IMPRECISE
    }
    assert support(found, "signal_lost").level is Level.SUPPORTED


def test_coordinates_of_two_decimals_are_counted() -> None:
    fleet = Fleet()
    time = np.array([at("10:00") + k * 10_000 for k in range(100)]).astype("datetime64[ms]")
    lon = np.round(-76.5 + 0.01 * np.arange(100), 2)
    fixes = normalised(fleet, np.full(100, fleet.code(TRUCK), np.int32), time, lon, np.full(100, 44.25))
    found = covered(fixes)
    assert (found.imprecise, found.two_decimals) == (1.0, 1.0)
    assert support(found, "route_deviation").lack is Lack.IMPRECISE


def test_no_positions_serve_nothing_and_a_trip_without_them_was_not_observed() -> None:
    found = of(drive(10)[:1], horizon="14:00")
    assert set(levels(found).values()) == {Level.UNSUPPORTED}
    assert {each.lack for each in found.detectors} == {Lack.SILENT}
    assert [each.share for each in covered(batch(drive(10))[0].take(slice(0, 0))).observed] == [0.0]


def test_the_interval_under_way_is_told_from_that_while_parked() -> None:
    parked = [(when, 14_400.0, 0.0, 0.0) for when, *_ in every(1800, "12:30", "14:00")]
    found = of([*drive(30, "10:00", "12:00"), *parked])
    assert (found.moving_interval, found.standing_interval) == (30_000, 30 * MINUTE)
    assert support(found, "unauthorized_stop").level is Level.SUPPORTED


def test_the_share_of_a_trip_leaves_out_its_gaps() -> None:
    """Four hours, of which half an hour and then the last hour are silent; nine minutes are not."""
    feed = [*drive(30, "10:00", "11:00"), *drive(30, "11:30", "12:00"), *drive(30, "12:09", "13:00")]
    [seen] = of(feed).observed
    assert (seen.trip, seen.begin, seen.end) == ("T-7", at("10:00"), at("14:00"))
    assert seen.share == pytest.approx(150 / 240)


def test_the_share_counts_the_trip_alone_and_as_far_as_the_horizon() -> None:
    long = drive(30, "09:00", "14:00")
    [seen] = of(long).observed
    assert seen.share == 1.0
    [late] = of(drive(30, "11:00", "12:00"), horizon="12:00").observed
    assert late.end == at("12:00")
    assert late.share == pytest.approx(0.5)
    [unbegun] = of(long, world(trip(starts_at=at("20:00"), ends_at=at("21:00"))), horizon="14:00").observed
    assert unbegun.trip is None


def test_a_gap_across_a_trips_beginning_counts_as_far_as_it_lies_in_it() -> None:
    feed = [*drive(30, "09:00", "09:50"), *drive(30, "10:10", "14:00")]
    [seen] = of(feed).observed
    assert seen.share == pytest.approx(230 / 240)


def test_a_slow_feed_has_no_gaps_but_those_longer_than_three_of_its_intervals() -> None:
    hourly = drive(3600, "02:00", "14:00")
    [seen] = of(hourly, world(trip(starts_at=at("06:00")))).observed
    assert seen.share == 1.0


def test_a_vehicle_without_trips_is_judged_from_its_first_report_to_its_last() -> None:
    [seen] = of([*drive(30, "10:00", "11:00"), *drive(30, "11:30", "12:00")], world()).observed
    assert (seen.trip, seen.begin, seen.end) == (None, at("10:00"), at("12:00"))
    assert seen.share == pytest.approx(90 / 120)


def test_the_share_over_all_trips_weighs_them_by_their_length() -> None:
    second = Trip("T-8", *TRUCK, (), at("14:00"), at("15:00"))
    found = of(drive(30), world(trip(), second), horizon="15:00")
    assert [each.share for each in found.observed] == [1.0, 0.0]
    assert found.share() == pytest.approx(0.8)


intervals = st.lists(st.integers(1, 7_200_000), min_size=1, max_size=60)


@given(intervals)
def test_half_of_the_time_lies_in_intervals_no_longer_than_the_median(lengths: list[int]) -> None:
    middle = weighted_median(np.array(lengths))
    assert middle in lengths
    assert 2 * sum(each for each in lengths if each <= middle) >= sum(lengths)
    assert 2 * sum(each for each in lengths if each < middle) < sum(lengths)


@settings(max_examples=60, deadline=None)
@given(intervals, st.integers(0, 2**32))
def test_patience_is_that_of_the_order(lengths: list[int], seed: int) -> None:
    """The allowance that the pipeline gives after each fix has the same floor of three own intervals."""
    time = at("00:00") + np.cumsum([0, *lengths])
    n, ground = len(time), world(said=["order.allowance=1s", "order.gap=1m"])
    lon = np.random.default_rng(seed).uniform(-76.5001, -76.5, n)
    every_one = np.ones(n, bool)
    used = order(unseen(1), np.array([0, n]), time, lon, np.full(n, 44.0), every_one, every_one, ground.settings.order)
    assert np.maximum(used.allowance, MINUTE).tolist() == patience(time, ground).tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(5, 1500), st.sampled_from([0.0, 12.0, 25.0])), min_size=3, max_size=80), st.data())
def test_thinning_a_feed_never_serves_a_detector_better(legs: list[tuple[int, float]], data: st.DataObject) -> None:
    """Of a vehicle that goes one way, with its first and last report kept: a way back unseen looks like a stop to anybody."""
    reports, now, east = [(clock(at("00:00")) or "", 0.0, 0.0, 20.0)], at("00:00"), 0.0
    for seconds, mps in legs:
        now, east = now + seconds * 1000, east + seconds * mps
        reports.append((clock(now) or "", east, 0.0, mps))
    fixes, _ = batch(reports)
    inner = st.lists(st.booleans(), min_size=len(fixes) - 2, max_size=len(fixes) - 2)
    thinner = fixes.take(np.array([True, *data.draw(inner), True]))
    ground = world(trip(starts_at=at("00:00"), ends_at=at("23:59")))
    before, after = (levels(covered(some, ground, horizon="23:59")) for some in (fixes, thinner))
    assert all(RANK[after[kind]] <= RANK[before[kind]] for kind in NEEDS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 86_399), max_size=40), st.integers(0, 86_000), st.integers(1, 86_399))
def test_a_share_lies_between_nothing_and_all(seconds: list[int], begins: int, lasts: int) -> None:
    reports: list[Report] = [(clock(at("00:00") + s * 1000) or "", 0.0, 0.0, 0.0) for s in seconds]
    fixes = batch(reports)[0] if reports else batch(drive(10))[0].take(slice(0, 0))
    ground = world(trip(starts_at=at("00:00") + begins * 1000, ends_at=at("00:00") + (begins + lasts) * 1000))
    found = covered(fixes, ground, horizon="23:59")
    assert all(0.0 <= each.share <= 1.0 for each in found.observed)
    assert 0.0 <= found.share() <= 1.0


def test_nothing_given_is_modified() -> None:
    fixes, _ = batch(drive(30))
    before = {name: getattr(fixes, name).copy() for name in fixes.__slots__}
    covered(fixes)
    assert all(
        np.array_equal(getattr(fixes, name), column, equal_nan=column.dtype.kind == "f") for name, column in before.items()
    )


@pytest.mark.parametrize("name", ["limerick_bus304", "wuxi_taxi"])
def test_thinning_real_tracks_never_serves_a_detector_better(name: str) -> None:
    file = DATA / name / "fixes.csv"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    fleet = Fleet()
    fixes = concatenate(read_fixes(file, fleet, None).fixes)
    ground = world()
    for code in range(min(10, len(fleet.ids))):
        own = fixes.take(fixes.vehicle == code)
        end = int(own.time.view(np.int64).max())
        last = None
        for step in (1, 4, 16, 64):
            found = coverage(fleet.ids[code], own.take(slice(None, None, step)), ground, end)
            if last is not None:
                assert all(RANK[levels(found)[kind]] <= RANK[levels(last)[kind]] for kind in NEEDS), (fleet.ids[code], step)
            last = found
