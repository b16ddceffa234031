"""The simulated week behind docs/quiet.md: it is the same every time, its truth is consistent, and it can be scored."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.week import country, thefts
from benchmarks.week.habits import customer, dock
from benchmarks.week.page import Other, headline, page
from benchmarks.week.scoring import Score, scored
from benchmarks.week.simulate import EPOCH_MS, Vehicle, Week, simulated
from monitor.geodesy import distances_m
from monitor.signals import timestamp


@pytest.fixture(scope="module")
def week() -> Week:
    """Two long-haul trucks, one with a trailer, and a city truck, over two days."""
    return simulated(5, haulers=2, couriers=1, days=2, plots={})


@pytest.fixture(scope="module")
def score(week: Week) -> Score:
    """What the monitor says of it."""
    return scored(week, week.country.geofences())


def test_the_same_seed_gives_the_same_week_and_another_turn_another(week: Week) -> None:
    again, other = (simulated(5, haulers=2, couriers=1, days=2, plots={}, turn=turn) for turn in (0, 1))
    for one, same in zip(week.vehicles, again.vehicles, strict=True):
        assert one.motion.spans == same.motion.spans
        assert np.array_equal(one.reports.time, same.reports.time)
        assert np.array_equal(one.reports.lon, same.reports.lon)
    assert week.trips == again.trips
    assert week.country.halts == again.country.halts == other.country.halts
    assert week.country.routes == again.country.routes == other.country.routes
    assert week.vehicles[0].motion.spans != other.vehicles[0].motion.spans


def test_the_week_begins_on_a_monday_at_midnight_in_toronto() -> None:
    assert timestamp(EPOCH_MS) == "2026-05-04T04:00:00.000Z"


def test_four_in_ten_stop_places_are_known_and_every_yard() -> None:
    land = country.made(np.random.default_rng(1))
    told = {place.id for place in land.geofences().places}
    known = [halt for halt in land.halts if halt.id in told]
    assert len(known) / len(land.halts) == pytest.approx(0.4, abs=0.01)
    assert {f"yard-{name}" for name in land.yards} <= told
    assert {halt.id for halt in land.halts} <= {place.id for place in land.geofences({h.id for h in land.hidden}).places}


def test_the_truth_has_no_hole_and_no_leap(week: Week) -> None:
    for vehicle in week.vehicles:
        spans = vehicle.motion.spans
        assert [span.end for span in spans[:-1]] == [span.begin for span in spans[1:]]
        assert spans[-1].end >= week.days * 86400.0
        time = np.arange(0.0, week.days * 86400.0, 1.0)
        lon, lat, speed = vehicle.motion.at(time)
        moved = distances_m(lon[:-1], lat[:-1], lon[1:], lat[1:])
        assert np.abs(moved - (speed[:-1] + speed[1:]) / 2).max() < 15.0  # a corner is cut, the speed leaps where a queue begins
        assert speed.min() >= 0.0
        assert speed.max() < 36.0


def test_who_stands_does_not_move_and_stands_where_the_truth_says(week: Week) -> None:
    spots = {halt.id: halt for halt in week.country.halts}
    for vehicle in week.vehicles:
        for span in (span for span in vehicle.motion.spans if span.standing):
            lon, lat, speed = vehicle.motion.at(np.array([span.begin, (span.begin + span.end) / 2, span.end - 1e-3]))
            assert np.ptp(lon) < 1e-9
            assert np.ptp(lat) < 1e-9
            assert speed.max() < 1e-9
            if span.place:
                spot = spots[span.place]
                away = distances_m(lon[:1], lat[:1], np.array([spot.spot[0]]), np.array([spot.spot[1]]))
                assert away[0] < spot.radius_m


def test_a_tracker_reports_what_is_true_within_its_noise_but_for_one_in_a_hundred(week: Week) -> None:
    astray = np.concatenate([vehicle.reports.astray for vehicle in week.vehicles])
    assert astray.mean() == pytest.approx(0.01, abs=0.005)
    for vehicle in week.vehicles:
        said = vehicle.reports
        lon, lat, _ = vehicle.motion.at(said.time)
        off = distances_m(lon, lat, said.lon, said.lat)
        assert off[~said.astray].max() < 80.0
        assert np.all(np.diff(said.time) > 0)


def test_nothing_is_reported_where_there_is_no_reception(week: Week) -> None:
    silent = [(vehicle, span) for vehicle in week.vehicles for span in vehicle.motion.spans if span.silent]
    assert silent
    for vehicle, span in silent:
        assert not ((vehicle.reports.time > span.begin + 1) & (vehicle.reports.time < span.end - 1)).any()


def test_dwells_have_the_shares_that_their_sources_name() -> None:
    rng = np.random.default_rng(1)
    docks = np.array([dock(rng) for _ in range(20_000)]) / 3600.0
    assert (docks > 2).mean() == pytest.approx(0.1, abs=0.015)
    assert docks[docks > 2].mean() == pytest.approx(3.4, abs=0.3)
    assert np.mean([customer(rng) for _ in range(20_000)]) / 60.0 == pytest.approx(26, abs=1)


def test_each_signal_has_its_cause_and_stops_at_unknown_places_are_told(week: Week, score: Score) -> None:
    stops = [told for told in score.ordinary() if told.signal.kind == "unauthorized_stop"]
    assert stops
    assert all(told.cause.endswith("unknown place") for told in stops if told.sort == "city" and "place" in told.cause)
    everything = scored(week, week.country.geofences({halt.id for halt in week.country.hidden}))
    assert len(everything.ordinary()) < len(score.ordinary())


def test_the_page_says_what_was_measured(week: Week, score: Score) -> None:
    text = page(week, score, [Other("something else", score)], (4, 10))
    assert all(line in text for line in headline(score))
    assert "| something else |" in text
    assert "3 trucks" in text


def test_a_dropped_trailer_stays_where_it_was_and_the_drop_is_found() -> None:
    week = simulated(5, haulers=8, couriers=0, days=4, plots={"haul-007": thefts.DROP})
    [theft] = week.thefts
    trailer = next(vehicle for vehicle in week.vehicles if vehicle.id.vehicle == "trailer-007")
    lon, lat, _ = trailer.motion.at(np.array([theft.dropped or 0.0, theft.end, 4 * 86400.0]))
    assert np.ptp(lon) < 1e-9
    assert np.ptp(lat) < 1e-9
    [found] = scored(week, week.country.geofences()).found
    assert found.expected
    assert {signal.vehicle for signal in found.told} == {"haul-007"}
    assert found.told[0].kind == "unauthorized_stop"


def test_a_theft_ends_what_is_ordinary_about_a_truck() -> None:
    week = simulated(5, haulers=4, couriers=0, days=5, plots={"haul-003": thefts.BACK})
    stolen: Vehicle = next(vehicle for vehicle in week.vehicles if vehicle.id.vehicle == "haul-003")
    [theft] = week.thefts
    assert stolen.ordinary_until == theft.begin
    assert stolen.reports.time.max() <= theft.end
    assert sum(week.ordinary_days().values()) < 5 * len(week.vehicles)
