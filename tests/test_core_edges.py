"""Edges of the core that other tests pass by: each is here because a changed line went unnoticed, or one was never run."""

from __future__ import annotations

import itertools
import math
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from monitor.anchor import nowhere, set_out
from monitor.departure import at_home, depart
from monitor.errors import ConfigurationError
from monitor.fixes import Alarm
from monitor.motion import MOTION, NONE, Movement, move
from monitor.order import order, unseen
from monitor.permits import Authorization, Lockdown, Permits
from monitor.places import Geofences
from monitor.progress import BACK, FORWARD, SAME_SPOT_M, UNKNOWN, Progress, progress, unstarted
from monitor.reconcile import reconcile
from monitor.settings import Motion, Order
from monitor.signals import Signal, StoredSignal
from monitor.silence import park, unheard
from monitor.trips import Trips, load_trips
from monitor.world import checked_world, operating_hours
from tests.build import heard, line, settings, square, watch
from tests.handmade import EAST, LAT, LON, NAN, Report, at, batch, degrees, every, trip
from tests.oracle_reports import Said

RULES = Motion()


def moved(time: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike, speed: npt.ArrayLike, rules: Motion = RULES) -> Movement:
    """The automaton over one vehicle's fixes, without a gap."""
    instants = np.asarray(time, np.int64)
    none = np.zeros(len(instants), bool)
    where = (np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    return move(
        np.zeros(1, MOTION), np.array([0, len(instants)]), instants, *where, np.asarray(speed, np.float32), none, none, rules
    )


# ── motion ──


def test_a_centroid_is_finer_than_the_whole_centimetres_that_are_summed() -> None:
    """Of 0, 0 and 11 cm it is at 3.7 cm, north as east."""
    step = 1e-6
    said = moved([0, 60_000, 120_000], [LON, LON, LON + step], [LAT, LAT, LAT + step], [0, 0, 0])
    assert said.lat[0] - LAT == pytest.approx(step / 3, abs=2e-8)
    assert said.lon[0] - LON == pytest.approx(step / 3, abs=2e-8)


def test_a_cluster_that_grew_out_of_an_open_one_is_not_established_before_its_time() -> None:
    """Three rolling fixes break the first; 20 s are too short for what they made to hold a fix 120 m on: that begins anew."""
    rolling: list[Report] = [(f"10:05:{second}", 1000, 0, 2.0) for second in ("00", "10", "20")]
    fixes, _ = batch([*every(60, "10:00", "10:04"), *rolling, *every(10, "10:05:30", "10:07", 1120)])
    said = moved(fixes.time.view(np.int64), fixes.lon, fixes.lat, fixes.speed)
    assert [(lon - LON) * EAST for lon in said.lon] == pytest.approx([0, 1120], abs=0.5)


def test_an_unknown_speed_is_the_middle_of_the_thresholds() -> None:
    """Also where they are not those by default: 3 m/s between 2 and 4 is too fast to be held."""
    fixes, _ = batch([*every(60, "10:00", "10:04"), *every(60, "10:05", "10:07", 120, speed=math.nan)])
    said = moved(fixes.time.view(np.int64), fixes.lon, fixes.lat, fixes.speed, Motion(low_mps=2.0, high_mps=4.0))
    assert [(lon - LON) * EAST for lon in said.lon] == pytest.approx([0, 120], abs=0.5)


def test_held_fixes_leave_the_centroid_where_it_was() -> None:
    """To the last digit, however many they are."""
    standing, drifting = every(60, "10:00", "10:04"), every(60, "10:05", "10:30", 120, 50)
    alone, held = (batch(reports)[0] for reports in (standing, [*standing, *drifting]))
    without, said = (moved(fixes.time.view(np.int64), fixes.lon, fixes.lat, fixes.speed) for fixes in (alone, held))
    assert (said.lon.tolist(), said.lat.tolist()) == (without.lon.tolist(), without.lat.tolist())
    assert said.until[0] - without.until[0] == 26 * 60_000


@pytest.mark.parametrize(("radius_m", "frozen"), [(75.9, True), (75.1, False)])
def test_a_speed_is_contradicted_within_a_radius_of_parts_of_a_metre(radius_m: float, frozen: bool) -> None:
    """75.5 m from where 180 m were due."""
    fixes, _ = batch([*every(20, "10:00", "10:01:40", speed=1.5), ("10:02", 75.5, 0, 1.5), ("10:02:20", 0, 0, 1.5)])
    rules = Motion(radius_m=radius_m, shortest_stop=timedelta(seconds=1))
    said = moved(fixes.time.view(np.int64), fixes.lon, fixes.lat, fixes.speed, rules)
    assert bool(said.stands[-1]) is frozen


# ── order ──


MERIDIAN = [((10, here), (10, there)) for here, there in itertools.permutations(range(-40, 41, 20), 2)]
PARALLEL = [((here, 60), (there, 60)) for here, there in itertools.permutations(range(-160, 161, 80), 2)]


@pytest.mark.parametrize(("here", "there"), MERIDIAN + PARALLEL)
def test_a_thousand_kilometres_in_a_minute_are_a_jump_wherever_it_begins(here: tuple[int, int], there: tuple[int, int]) -> None:
    """Between (longitude, latitude): over the equator, the prime meridian and the antimeridian, and to multiples of what it was."""
    lon, lat = np.array([here, there], np.float64).T
    yes = np.ones(2, bool)
    used = order(unseen(1), np.array([0, 2]), np.array([0, 60_000]), lon.copy(), lat.copy(), yes, yes, Order())
    assert used.fix.tolist() == [0]


# ── silence ──


def test_of_parked_intervals_the_second_longest_is_learned_whenever_it_is() -> None:
    """An hour after 1970 as today: only what lies between two fixes counts."""
    time = np.array([10, 40, 50, 110, 130])
    yes, none = np.ones(5, bool), np.zeros(5, bool)
    for shift in (0, 1_772_438_400_000):
        said = park(unheard(1), np.array([0, 5]), time + shift, np.arange(5), yes, none, np.full(5, 10 + shift), none)
        assert said.learned.tolist() == [NONE, NONE, 10, 30, 30]
        assert said.heard.tolist() == [0, 30, 40, 100, 120]


def test_what_lies_between_two_stops_is_no_parked_interval() -> None:
    """It stood at both fixes, but drove between them."""
    yes, none = np.ones(4, bool), np.zeros(4, bool)
    stop = np.array([0, 0, 500, 500])
    said = park(unheard(1), np.array([0, 4]), np.array([100, 130, 900, 910]), np.arange(4), yes, none, stop, none)
    assert said.heard.tolist() == [0, 30, 30, 40]
    assert said.learned.tolist() == [NONE, NONE, NONE, 10]


# ── anchor ──


def test_a_lockdown_of_the_place_it_set_out_from_ends_at_its_end() -> None:
    """The end itself is outside, also where the vehicle has left the place."""
    n = 3
    yes, no, nowhere_m = np.ones(n, bool), np.zeros(n, bool), np.zeros(n)
    until = np.array([1000, NONE, NONE])
    time = np.array([0, 999, 1000])
    said = set_out(nowhere(1), np.array([0, n]), time, nowhere_m, nowhere_m, yes & (time == 0), np.full(n, NONE), no, no, until)
    assert said.locked.tolist() == [True, True, False]


# ── departure ──


def test_a_departure_is_confirmed_by_the_next_fix_also_in_the_next_step() -> None:
    """Of three vehicles the last two left, the second back in a yard at its next fix; nothing is confirmed twice."""
    state, bounds, where = at_home(3), np.array([0, 1, 2, 3]), np.array([1.0, 2.0, 3.0])
    left_none, no_place = np.full(3, NONE), np.full(3, -1, np.int32)
    at_yard = np.array([True, False, False])
    left = depart(state, bounds, where, -where, at_yard, np.array([-1, 7, 0], np.int32), np.array([NONE, 50, 60]))
    assert left.place.tolist() == [-1, -1, -1]
    then = depart(state, bounds, where + 10, where + 10, np.array([True, True, False]), no_place, left_none)
    assert (then.place.tolist(), then.left.tolist()) == ([-1, -1, 0], [NONE, NONE, 60])
    assert (then.lon[2], then.lat[2]) == (3.0, -3.0)
    assert depart(state, bounds, where, where, ~at_yard, no_place, left_none).place.tolist() == [-1, -1, -1]


# ── progress ──


def along(route: list[int], metres: list[float], other_trip: list[bool] | None = None) -> Progress:
    """One vehicle's way, a fix a second from 1 s on; going back at 500 m, over at 200 m."""
    n = len(route)
    where, limits, other = np.arange(n) / 100, (np.full(n, 500.0), np.full(n, 200.0)), np.array(other_trip or [False] * n)
    time = 1000 * np.arange(1, n + 1)
    return progress(unstarted(1), np.array([0, n]), time, where, -where, other, np.array(route), np.array(metres), *limits)


@pytest.mark.parametrize("route", [0, 1])
def test_the_first_fix_on_a_route_is_the_furthest_also_at_its_very_beginning(route: int) -> None:
    """Whichever of the routes it is."""
    said = along([route, route], [0.0, 0.0])
    assert (said.says.tolist(), said.since.tolist()) == ([FORWARD, FORWARD], [1000, 1000])


@pytest.mark.parametrize("route", [0, 1])
def test_off_every_route_and_back_the_way_is_measured_anew(route: int) -> None:
    """What it had come before is forgotten."""
    said = along([route, -1, route, route], [5000.0, math.nan, 1000.0, 400.0])
    assert (said.says.tolist(), said.back_m.tolist()) == ([FORWARD, FORWARD, FORWARD, BACK], [0, 0, 0, 600])
    assert (said.since[3], said.lon[3], said.lat[3]) == (3000, 0.02, -0.02)


@pytest.mark.parametrize("route", [0, 1])
def test_on_another_trip_the_way_is_measured_anew(route: int) -> None:
    """Though its route has the same number; where progress is unknown too."""
    said = along([route, route], [5000.0, 1000.0], [False, True])
    assert (said.says.tolist(), said.back_m.tolist()) == ([FORWARD, FORWARD], [0, 0])
    said = along([route] * 4, [5000.0, 4000.0, math.nan, 3000.0], [False, False, True, False])
    assert said.says.tolist() == [FORWARD, BACK, FORWARD, FORWARD]
    said = along([route] * 4, [5000.0, 4000.0, math.nan, 3000.0])
    assert said.says.tolist() == [FORWARD, BACK, UNKNOWN, BACK]


def test_a_vehicle_goes_back_and_has_come_forward_again_at_the_limits_themselves() -> None:
    """500 m from the furthest, 200 m from the lowest."""
    assert along([0] * 3, [5000.0, 4501.0, 4500.0]).says.tolist() == [FORWARD, FORWARD, BACK]
    assert along([0] * 4, [5000.0, 4000.0, 3000.0, 3200.0]).says.tolist() == [FORWARD, BACK, BACK, FORWARD]
    assert along([0] * 4, [5000.0, 4000.0, 3000.0, 3199.0]).says.tolist() == [FORWARD, BACK, BACK, BACK]


def test_a_tenth_of_a_metre_further_is_the_same_spot() -> None:
    """More is not."""
    assert along([0] * 3, [0.0, SAME_SPOT_M, 2 * SAME_SPOT_M]).since.tolist() == [1000, 1000, 3000]


# ── reconcile ──


@pytest.mark.parametrize(("found", "nearest"), [(8, 7), (9, 10), (11, 10), (16, 17), (30, 17)])
def test_of_signals_that_overlap_the_one_that_began_nearest_is_the_same(found: int, nearest: int) -> None:
    """Nearest in time, before or after."""

    def stop(since: int) -> Signal:
        return Signal(
            "unauthorized_stop", "north", "T-1", None, None, None, since, 100, 200, presumed=False, lon=-76.5, lat=44.2,
            measure=1800, limit=1800, unit="s", severity="warning", raised=100, decided=100, closed=False,
        )  # fmt: skip

    stored = [StoredSignal(since, stop(since)) for since in (7, 10, 17)]
    changes = reconcile(stored, [stop(found)], 300, "a late fix")
    assert [change.id for change in changes] == [nearest, *(old.id for old in stored if old.id != nearest)]


# ── detectors ──


def test_a_signal_tells_its_limit_with_its_fraction() -> None:
    """Of a second, and of a minute."""
    said = [
        f"detectors.{name}=100s500ms"
        for name in (
            "unauthorized_stop.limit",
            "long_dwell.customer",
            "zone_breach.limit",
            "door_open.limit",
            "signal_lost.limit",
        )
    ]
    reports = [Said(row[0], door=1) for row in every(30, "10:00", "10:20")]
    for kind in ("customer", "restricted"):
        log = heard(
            reports, until=at("12:00"), places=[square(kind, kind)], said=[*said, "detectors.signal_lost.parked_interval=30s"]
        )
        other = {"customer": ["long_dwell"], "restricted": ["door_open", "unauthorized_stop", "zone_breach"]}[kind]
        limits = sorted((signal.kind, signal.limit) for signal in log.signals)
        assert limits == sorted([*((name, 100.5) for name in other), ("signal_lost", 100.5 / 60)])


def test_an_alarm_without_a_position_lies_where_the_last_step_left_the_vehicle() -> None:
    """Whether or not both come in one step."""
    reports = [Said("10:00", 500, 0, 10), Said("10:01", NAN, NAN, NAN, alarms=Alarm.PANIC)]
    for cuts in ([], [at("10:00")]):
        [found] = heard(reports, cuts=cuts).of("device_alarm")
        assert (found.lon, found.lat) == pytest.approx(degrees(500, 0))


@pytest.mark.parametrize("cuts", [[], [at("10:00")], [at("10:01")], [at("10:00"), at("10:01")]])
def test_an_alarm_ends_in_a_step_that_has_none(cuts: list[int]) -> None:
    """Begun in one step, over in the next."""
    reports = [Said("10:00"), Said("10:01", alarms=Alarm.PANIC), Said("10:02")]
    [found] = heard(reports, cuts=cuts).of("device_alarm")
    assert (found.since, found.until) == (at("10:01"), at("10:02"))


def test_the_edge_of_a_corridor_is_in_it() -> None:
    """A corridor exactly as wide as the fixes are far."""
    reports = every(30, "10:00", "10:10", 0, 900, 10)

    def deviations(corridor_m: float) -> list[Signal]:
        return watch(reports, routes=[line("road", corridor=corridor_m)], trips=[trip(routes=("road",))]).of("route_deviation")

    [found] = deviations(500.0)
    assert found.measure == pytest.approx(900, abs=2)
    assert deviations(found.measure) == []
    assert deviations(math.nextafter(found.measure, 0.0)) != []


# ── what the core is told ──


def test_the_limits_of_a_trip_in_a_csv_are_pairs_between_semicolons(tmp_path: Path) -> None:
    """Numbers and durations, as in an object of JSON."""
    file = tmp_path / "trips.csv"
    row = "T-1,truck-1,2026-03-02T10:00:00Z,2026-03-02T12:00:00Z,"
    file.write_text(f"id,vehicle,starts_at,ends_at,limits\n{row}unauthorized_stop.limit=10m; route_deviation.min_fixes = 4\n")
    [trip] = load_trips(file).all
    assert trip.limits == {"unauthorized_stop": {"limit": timedelta(minutes=10)}, "route_deviation": {"min_fixes": 4}}
    file.write_text(f"id,vehicle,starts_at,ends_at,limits\n{row}unauthorized_stop.limit=soon\n")
    with pytest.raises(ConfigurationError, match="soon"):
        load_trips(file)


def test_a_permit_names_only_places_there_are() -> None:
    """Each fault by the permit's id."""
    authorization = Authorization("A-1", "north", "T-1", 0, 1, why="works", by="dispatch", place="nowhere")
    lockdown = Lockdown("L-1", 0, 1, why="theft", by="dispatch", place="elsewhere")
    with pytest.raises(ConfigurationError) as told:
        checked_world(settings(), Geofences((), (), "v"), Trips(), "trips.csv", Permits((authorization,), (lockdown,)))
    assert [fault.split(": ")[0] for fault in told.value.faults] == ["authorization A-1", "lockdown L-1"]


def test_hours_that_cannot_be_read_are_a_fault_of_their_setting() -> None:
    """With the key and the value."""
    with pytest.raises(ConfigurationError, match=r"detectors\.after_hours_movement\.hours = 'always'"):
        operating_hours("always", "UTC")
