"""The definitions of fixes, stops, visits and permission, one small case each, computed by hand.

They hold the oracle, and the oracle holds the core. How reports are written: `tests.handmade`.
"""

from __future__ import annotations

import numpy as np
import pytest

from monitor.fixes import Fleet, VehicleId, normalised
from monitor.settings import load_settings
from monitor.signals import timestamp
from monitor.trips import Trip
from tests import oracle
from tests.handmade import EAST, FIVE_MINUTES, LAT, LON, NAN, NORTH, at, batch, clock, degrees, every, spans, square, trip, watch
from tests.oracle import OraclePlace
from tests.oracle_geometry import distance

# ── which fixes count ──


def test_of_several_positions_at_one_time_the_lowest_digest_is_used() -> None:
    """Of several positioned fixes at one time only the lowest digest's is used."""
    reports = [("10:00", 0.0, 0.0, 0.0), ("10:00", 5.0, 0.0, 0.0), ("10:00", 9.0, 0.0, 0.0)]
    fixes, _ = batch(reports)
    [used] = watch(reports).used
    assert used.lon == fixes.lon[np.argmin(fixes.digest)]


def test_a_fix_at_null_island_takes_no_part() -> None:
    """(0, 0) is kept as evidence and takes no position."""
    null_island = (-LON * EAST, -LAT * NORTH)
    assert len(watch([("10:00", 0, 0, 0), ("10:01", *null_island, 0), ("10:02", 0, 0, 0)]).used) == 2


def test_a_single_jump_is_dropped() -> None:
    """More than 70 m/s from the last used fix is a jump; it takes no part, not in the intervals either."""
    track = watch([("10:00", 0, 0, 20), ("10:01", 4201, 0, 20), ("10:02", 100, 0, 20), ("10:03", 4200, 0, 20)])
    assert [clock(fix.time) for fix in track.used] == ["10:00", "10:02", "10:03"]


def test_a_speed_is_not_implied_over_less_than_a_second() -> None:
    """The implied speed is distance / max(1 s, dt)."""
    assert len(watch([("10:00", 0, 0, 20), ("10:00:00.100", 69, 0, 20), ("10:00:00.200", 0, 0, 20)]).used) == 3


@pytest.mark.parametrize(("between", "believed"), [(0, True), (3, True), (4, False)])
def test_the_second_jump_within_five_fixes_is_believed(between: int, believed: bool) -> None:
    """A jump while a dropped one lies within the last five fixes, counting both, becomes the reference."""
    clocks = [f"10:{minute:02}" for minute in range(10)]
    east = [0, 50_000, *[10] * between, 50_000, 50_010]
    used = [clock(fix.time) for fix in watch([(c, x, 0, 20) for c, x in zip(clocks, east, strict=False)]).used]
    assert (clocks[2 + between] in used) is believed


def test_a_believed_jump_forgets_the_dropped_one() -> None:
    """After a jump was believed, the way back is a first jump again, and the next to it is believed."""
    reports = [("10:00", 0, 0, 0), ("10:01", 50_000, 0, 0), ("10:02", 50_000, 0, 0), ("10:03", 0, 0, 0), ("10:04", 0, 0, 0)]
    assert [clock(fix.time) for fix in watch(reports).used] == ["10:00", "10:02", "10:04"]


def test_own_interval_is_the_lower_median_of_the_last_five() -> None:
    """30 s while fewer than three are known; the allowance after a fix is three of them, at least 60 s."""
    seconds = [0, 100, 200, 240, 260, 660, 690, 715]
    reports = [(timestamp(at("10:00") + s * 1000)[11:19], 0.0, 0.0, 0.0) for s in seconds]
    # medians: 40 100 100; 20 40 100 100, the lower; 20 40 100 100 400; then the oldest go: 20 30 40 100 400; 20 25 30 40 400
    assert [fix.allowance / 1000 for fix in watch(reports).used] == [90, 90, 90, 300, 120, 300, 120, 90]


def test_a_coarse_fix_is_in_places_but_not_in_stops() -> None:
    """Accuracy worse than 200 m: places, dwell and intervals use the fix; stops and corridors do not see it."""
    track = watch([("10:00", 0, 0, 0), ("10:01", 0, 0, 0)], accuracy=[200.0, 201.0], places=[square("a", "yard")])
    assert [fix.within for fix in track.used] == [{"a"}, {"a"}]
    assert [clock(fix.time) for fix in track.seen] == ["10:00"]


# ── standing and under way ──


@pytest.mark.parametrize(("last", "stops"), [("10:00:59", 0), ("10:01:00", 1)])
def test_a_stop_opens_when_its_evidence_spans_the_shortest_stop(last: str, stops: int) -> None:
    """From first to last standing evidence, 60 s."""
    assert len(watch([("10:00", 0, 0, 0), (last, 0, 0, 0)]).stops()) == stops


def test_a_stop_lasts_from_its_first_to_its_last_standing_evidence() -> None:
    """Evidence is v <= 1 m/s or unknown; slow rolling (1.5) within the radius belongs to the cluster but is no evidence."""
    reports = [("10:00", 0, 0, 1.5), ("10:01", 0, 0, 1.0), ("10:02", 0, 0, 1.5), ("10:03", 0, 0, NAN), ("10:04", 0, 0, 1.01)]
    assert spans(watch(reports).stops()) == [("10:01", "10:03")]


def test_a_crawl_is_not_a_stop() -> None:
    """A cluster without evidence is a crawl; the speed is never the same for long, as of a thing that moves."""
    reports = every(30, "10:00", "10:30")
    assert watch([(*report[:3], 1.4 + 0.1 * (i % 3)) for i, report in enumerate(reports)]).stops() == []


def test_the_radius_is_measured_from_the_running_centroid() -> None:
    """Within 75 m of the mean of those before: 0, 70 (mean 35), 110 is 75 off the mean; 111 would be out."""
    near = watch([("10:00", 0, 0, 0), ("10:00:30", 70, 0, 0), ("10:01", 109.5, 0, 0)])
    far = watch([("10:00", 0, 0, 0), ("10:00:30", 70, 0, 0), ("10:01", 110.5, 0, 0)])
    assert (len(near.stops()), len(far.stops())) == (1, 0)


def test_drift_is_held_and_does_not_move_the_centroid() -> None:
    """A slow fix within 200 m of an established cluster extends it; the centroid stays."""
    track = watch([*every(60, "10:00", "10:05"), *every(60, "10:06", "10:20", east=190)])
    [stop] = track.stops()
    assert spans([stop]) == [("10:00", "10:20")]
    assert distance(stop.lon, stop.lat, *degrees(0, 0)) < 1


def test_nothing_is_held_before_the_cluster_is_established() -> None:
    """Established: 60 s from first to last member. Before that, any fix outside breaks it."""
    track = watch([*every(29, "10:00", "10:00:58"), *every(30, "10:01:30", "10:03", east=150)])
    assert spans(track.stops()) == [("10:01:30", "10:03")]


@pytest.mark.parametrize(("slow", "expected"), [(5, [("10:00", "10:20")]), (6, [("10:00", "10:05"), ("10:06", "10:11")])])
def test_six_slow_fixes_outside_break_a_cluster(slow: int, expected: list[tuple[str, str]]) -> None:
    """Each slow fix outside counts one; at six the candidate they made becomes the cluster, with its own first evidence."""
    outside = [(f"10:{6 + i:02}", 300.0, 0.0, 0.0) for i in range(slow)]
    back = every(60, f"10:{6 + slow:02}", "10:20") if slow == 5 else []
    assert spans(watch([*every(60, "10:00", "10:05"), *outside, *back]).stops()) == expected


def test_three_fast_fixes_outside_break_a_cluster() -> None:
    """A fix that is not slow counts two; one of unknown speed too."""
    fast = [("10:06", 300, 0, 9), ("10:07", 900, 0, 9), ("10:08", 1500, 0, NAN)]
    back = every(60, "10:09", "10:12")
    assert spans(watch([*every(60, "10:00", "10:05"), *fast, *back]).stops()) == [("10:00", "10:05"), ("10:09", "10:12")]
    assert spans(watch([*every(60, "10:00", "10:05"), *fast[:2], *back]).stops()) == [("10:00", "10:12")]


def test_a_stop_after_a_short_drive_starts_with_the_candidate() -> None:
    """Two fast fixes count four; the next stop's first two make six, and both are its evidence."""
    track = watch([*every(60, "10:00", "10:05"), ("10:06", 300, 0, 9), ("10:07", 900, 0, 9), *every(60, "10:08", "10:15", 1500)])
    assert spans(track.stops()) == [("10:00", "10:05"), ("10:08", "10:15")]


def test_a_stop_goes_on_over_a_gap_when_the_vehicle_is_back_in() -> None:
    """Gap: more than 10 min and three own intervals. In: the stop goes on. Held: not after a gap. Out: it breaks."""
    before, minutes = every(60, "10:00", "10:05"), 25
    after = [every(60, f"10:{minutes}", "10:30", east) for east in (50, 150)]
    assert spans(watch([*before, *after[0]]).stops()) == [("10:00", "10:30")]
    assert spans(watch([*before, *after[1]]).stops()) == [("10:00", "10:05"), ("10:25", "10:30")]


def test_a_device_that_reports_seldom_has_longer_gaps() -> None:
    """Gap: longer than three own intervals too. At 5 min reports, 14 min are none: drift is held; 16 min are one."""
    before = every(300, "10:00", "10:30")
    assert spans(watch([*before, ("10:44", 150, 0, 0)]).stops()) == [("10:00", "10:44")]
    assert spans(watch([*before, ("10:46", 150, 0, 0)]).stops()) == [("10:00", "10:30")]


# ── places and permission ──


@pytest.mark.parametrize(
    ("east", "until"),
    [
        ((100, 129, 129, 129), None),  # within 30 m of the edge: still there
        ((100, 131, 50, 131), None),  # one fix beyond: pending, and back
        ((100, 131, 190, 50), "10:01"),  # two beyond 30 m: it ended at the first
        ((100, 100, 301, 50), "10:02"),  # one beyond 200 m: at once
        ((100, 131, 301, 50), "10:01"),  # beyond 200 m after one beyond 30 m: at the first
        ((100, 131, 129, 131), None),  # two beyond 30 m, but not one after the other
    ],
)
def test_a_visit_ends_at_two_fixes_30_m_out_or_one_200_m_out(east: tuple[float, ...], until: str | None) -> None:
    """Entering takes one fix inside (the edge counts: here 100 m east is just within it)."""
    reports = [(f"10:{i:02}", x - 0.5, 0.0, 5.0) for i, x in enumerate(east)]
    visit = watch(reports, places=[square("a", "customer")]).visits[0]
    assert clock(visit.until) == until


def test_at_the_first_fix_outside_the_vehicle_still_counts_as_in_the_place() -> None:
    """Pending: for permission and dwell it is in; at the fix that ends the visit it is not."""
    track = watch([("10:00", 0, 0, 5), ("10:01", 150, 0, 5), ("10:02", 150, 0, 5)], places=[square("a", "yard")])
    assert [fix.may_stand for fix in track.used] == [True, True, False]


@pytest.mark.parametrize(
    ("places", "plan", "allowed"),
    [
        ([], None, False),
        ([square("a", "rest_area")], None, True),
        ([square("a", "high_risk")], None, False),
        ([square("a", "yard", carrier="north")], None, True),
        ([square("a", "yard", carrier="south")], None, False),
        ([square("a", "drop", opens=("09:00", "10:00"))], None, False),  # closed at its last instant
        ([square("a", "drop", opens=("10:00", "11:00"))], None, True),
        ([square("a", "yard", opens=("09:00", "10:00"))], None, True),  # the hours of a yard are about leaving it
        ([square("a", "drop"), square("b", "no_stop")], None, True),
        ([square("a", "drop"), square("b", "restricted")], None, False),
        ([square("a", "customer")], trip(named=("x",)), False),
        ([square("a", "customer")], trip(named=("x", "a")), True),
        ([square("a", "yard")], trip(named=("x",), origin="a"), True),
        ([square("a", "yard")], trip(named=("x",), destination="a"), True),
        ([square("a", "rest_area")], trip(named=("x",)), True),  # only customers and yards need a name
        ([square("a", "customer")], trip(), True),
        ([square("a", "customer")], trip(end="10:00", named=("x",)), True),  # the trip is over at its last instant
    ],
)
def test_where_a_vehicle_may_stand(places: list[OraclePlace], plan: Trip | None, allowed: bool) -> None:
    """In a standing place that exists for it, is open and, where its trip names places, is named; in no restricted place."""
    [fix] = watch([("10:00", 0, 0, 0)], places=places, trips=[plan] if plan else []).used
    assert fix.may_stand is allowed


def test_of_overlapping_trips_the_latest_start_wins_then_the_greatest_id() -> None:
    """Trips are half-open intervals."""
    trips = [trip("c", "09:00"), trip("a", "09:30", "10:02"), trip("b", "09:30", "10:01")]
    used = watch(every(60, "10:00", "10:02"), trips=trips).used
    assert [fix.trip.id for fix in used if fix.trip] == ["b", "a", "c"]


# ── the log ──


def test_vehicles_do_not_influence_each_other_and_the_log_is_sorted() -> None:
    """By at, carrier, vehicle, kind, since, place, route: never by internal codes."""
    fleet, rows = Fleet(), every(60, "10:00", "10:10")
    names = [VehicleId("b", "2"), VehicleId("b", "1"), VehicleId("a", "9")]
    codes = np.repeat([fleet.code(name) for name in names], len(rows)).astype(np.int32)
    position = np.array([degrees(row[1], row[2]) for row in rows] * 3)
    times = np.array([at(row[0]) for row in rows] * 3).astype("datetime64[ms]")
    fixes = normalised(fleet, codes, times, position[:, 0], position[:, 1])
    found = oracle.signals(fixes, fleet.ids, [], [], [], load_settings(None, FIVE_MINUTES), at("10:10"))
    assert [(s.carrier, s.vehicle) for s in found] == [("a", "9"), ("b", "1"), ("b", "2")]
    assert len(oracle.stops(fixes, fleet.ids, [], [], [], load_settings(None), at("10:10"))) == 3


def test_fixes_after_the_horizon_are_ignored() -> None:
    """The log is that of the horizon."""
    fixes, fleet = batch(every(60, "10:00", "10:10"))
    chosen = load_settings(None, FIVE_MINUTES)
    assert oracle.signals(fixes, fleet.ids, [], [], [], chosen, at("10:04:59")) == []
    assert len(oracle.signals(fixes, fleet.ids, [], [], [], chosen, at("10:05"))) == 1
