"""Standing and under way: the automaton of stops, report by report; a report is (clock, metres east, metres north, m/s)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monitor.motion import MOTION, NONE, move
from monitor.settings import Motion
from tests import build
from tests.handmade import EAST, LON, NAN, Report, at, batch, clock, every, watch

RULES = Motion()
Span = tuple[str | None, str | None]


class Moved(NamedTuple):
    """What the automaton said of one vehicle's reports."""

    stops: list[Span]
    """Since and until of each."""
    standing: list[bool]
    lon: list[float]
    state: bytes


def moved(
    reports: Sequence[Report],
    gaps: Sequence[str] = (),
    cuts: Sequence[int] = (),
    rules: Motion = RULES,
    marks: Sequence[str] = (),
) -> Moved:
    """Run it over reports; before those at `gaps` lies a gap, at `marks` a stop is to be told as a new stretch.

    With `cuts` it is run in several calls, and the stretches of one stop are put together.
    """
    fixes, _ = batch(reports)
    time = fixes.time.view(np.int64)
    gap, mark = (np.isin(time, [at(c) for c in clocks]) for clocks in (gaps, marks))
    state, spans, standing, lons = np.zeros(1, MOTION), dict[int, Span](), list[bool](), dict[int, float]()
    stretches: list[Span] = []
    for begin, end in zip([0, *cuts], [*cuts, len(fixes)], strict=True):
        part = slice(begin, end)
        bounds = np.array([0, end - begin])
        columns = (time[part], fixes.lon[part], fixes.lat[part], fixes.speed[part], gap[part], mark[part])
        said = move(state, bounds, *columns, rules)
        standing += said.stands.tolist()
        for since, until, lon in zip(said.since.tolist(), said.until.tolist(), said.lon.tolist(), strict=True):
            spans[since], lons[since] = (clock(since), clock(until)), lon
            stretches.append((clock(since), clock(until)))
    return Moved(stretches if marks else list(spans.values()), standing, list(lons.values()), state.tobytes())


def stops(reports: Sequence[Report], gaps: Sequence[str] = ()) -> list[Span]:
    """Since and until of the stops."""
    return moved(reports, gaps).stops


def test_a_stop_is_open_once_its_evidence_spans_a_minute() -> None:
    """And lasts from the first evidence to the last."""
    assert stops(every(20, "10:00", "10:00:40")) == []
    assert stops(every(20, "10:00", "10:01")) == [("10:00", "10:01")]
    assert moved(every(20, "10:00", "10:01:20")).standing == [False, False, False, True, True]


def test_no_fixes_are_no_stops() -> None:
    """Nor does the row change."""
    assert moved(every(20, "10:00", "10:01"), cuts=[0, 0, 4, 4]) == moved(every(20, "10:00", "10:01"))


def test_a_vehicle_under_way_makes_no_stop() -> None:
    """20 m/s, each half a minute."""
    assert stops([(f"10:{k // 2:02}:{k % 2 * 30:02}", 600.0 * k, 0, 20) for k in range(20)]) == []


def test_a_slow_crawl_is_no_stop() -> None:
    """A cluster without standing evidence: around 1.5 m/s inside 75 m."""
    assert stops([(clock, 0, 0, 1.4 + 0.2 * (k % 2)) for k, (clock, *_) in enumerate(every(20, "10:00", "10:10"))]) == []


def test_an_unknown_speed_is_evidence() -> None:
    """Standing is seen from the positions alone."""
    assert stops(every(20, "10:00", "10:02", speed=NAN)) == [("10:00", "10:02")]


@pytest.mark.parametrize(("speed", "expected"), [(1.0, [("10:00", "10:02")]), (1.1, [])])
def test_evidence_is_at_most_one_metre_a_second(speed: float, expected: list[Span]) -> None:
    """The threshold itself counts."""
    assert stops(every(20, "10:00", "10:02", speed=speed)) == expected


def test_the_first_evidence_is_not_the_first_member() -> None:
    """A stop begins when it is slow, not when it is near."""
    assert stops([("10:00", 0, 0, 2.0), ("10:00:30", 10, 0, 1.2), *every(30, "10:01", "10:03")]) == [("10:01", "10:03")]


def test_a_fix_within_the_radius_belongs_whatever_comes_between() -> None:
    """75 m from the centroid, 76 m does not."""
    standing = every(30, "10:00", "10:02")
    assert stops([*standing, ("10:02:30", 74, 0, 2.4)]) == [("10:00", "10:02")]
    one, other = (moved([*standing, ("10:02:30", x, 0, 0.0)]).lon[0] for x in (74, 250))
    assert one > other == pytest.approx(LON, abs=1e-7)


def test_the_centroid_runs_over_the_members() -> None:
    """Of 5 at 0 m and one at 60 m it is at 10 m, so that 84 m is within and 86 m is not (and is held, the centroid unmoved)."""
    near = moved([*every(30, "10:00", "10:02"), ("10:02:30", 60, 0, 0.0), ("10:03", 84, 0, 0.0)])
    held = moved([*every(30, "10:00", "10:02"), ("10:02:30", 60, 0, 0.0), ("10:03", 86, 0, 0.0)])
    assert (near.lon[0] - LON) * EAST == pytest.approx(144 / 7, abs=0.5)
    assert (held.lon[0] - LON) * EAST == pytest.approx(10, abs=0.5)


def test_drift_while_parked_is_held() -> None:
    """Slow and within 200 m of an established cluster: the stop goes on."""
    drift: list[Report] = [("10:05", 100, 0, 0.5), ("10:06", 190, 0, 0.9), ("10:07", 120, 0, 0.0), ("10:08", 0, 0, 0.0)]
    assert stops([*every(60, "10:00", "10:04"), *drift]) == [("10:00", "10:08")]


def test_drift_of_unknown_speed_is_not_held() -> None:
    """Unknown counts as the middle: too fast to hold, and it counts two."""
    out: list[Report] = [(f"10:0{k}", 120, 0, NAN) for k in (5, 6, 7)]
    assert stops([*every(60, "10:00", "10:04"), *out]) == [("10:00", "10:04"), ("10:05", "10:07")]


def test_before_it_is_established_a_cluster_holds_nothing() -> None:
    """It breaks at the first fix out."""
    assert stops([("10:00", 0, 0, 0), ("10:00:59", 100, 0, 0), ("10:01:30", 0, 0, 0), ("10:02:30", 0, 0, 0)]) == [
        ("10:01:30", "10:02:30")
    ]


def test_a_stop_survives_two_fast_fixes_and_breaks_at_the_third() -> None:
    """Out counts two where it is fast; six break."""
    standing, back = every(60, "10:00", "10:04"), [("10:08", 0.0, 0.0, 0.0)]
    fast: list[Report] = [("10:05", 300, 0, 9), ("10:06", 600, 0, 9), ("10:07", 900, 0, 9)]
    assert stops([*standing, *fast[:2], *back]) == [("10:00", "10:08")]
    assert stops([*standing, *fast, *back]) == [("10:00", "10:04")]


def test_a_stop_survives_five_slow_fixes_far_away_and_breaks_at_the_sixth() -> None:
    """Out counts one where it is slow."""
    standing = every(60, "10:00", "10:04")
    far: list[Report] = [(f"10:{k:02}", 2000.0 * k, 0, 0.5) for k in range(5, 11)]
    assert stops([*standing, *far[:5], ("10:11", 0, 0, 0)]) == [("10:00", "10:11")]
    assert stops([*standing, *far, ("10:11", 0, 0, 0)]) == [("10:00", "10:04")]


def test_a_fix_back_in_forgets_the_count() -> None:
    """One after the other, each dropped by the next in."""
    reports: list[Report] = [(f"10:{k:02}", 5000.0 * (k % 2), 0, 9.0 * (k % 2)) for k in range(5, 20)]
    assert stops([*every(60, "10:00", "10:04"), *reports]) == [("10:00", "10:18")]


def test_the_candidate_becomes_the_next_cluster_with_its_own_beginning() -> None:
    """A stop after a short drive starts where the driver stopped, not six counts later."""
    there = [(c, 1000.0, n, s) for c, _, n, s in every(60, "10:06", "10:12")]
    assert stops([*every(60, "10:00", "10:04"), ("10:05", 500, 0, 12), *there]) == [("10:00", "10:04"), ("10:06", "10:12")]


def test_a_fast_fix_starts_the_candidate_anew() -> None:
    """What rolls by at 2.5 m/s joins nothing."""
    there: list[Report] = [(f"10:0{k}", 1000, 0, v) for k, v in ((5, 0.5), (6, 2.5), (7, 0.0), (8, 0.0), (9, 0.0))]
    assert stops([*every(60, "10:00", "10:04"), *there]) == [("10:00", "10:04"), ("10:07", "10:09")]


def test_back_in_after_a_gap_the_stop_goes_on() -> None:
    """The unobserved hours are part of it."""
    assert stops([*every(60, "10:00", "10:04"), ("12:00", 10, 0, 0)], gaps=["12:00"]) == [("10:00", "12:00")]


def test_after_a_gap_nothing_is_held() -> None:
    """Drift is believed only where it was seen."""
    reports: list[Report] = [*every(60, "10:00", "10:04"), ("12:00", 120, 0, 0), ("12:01", 120, 0, 0)]
    assert stops(reports, gaps=["12:00"]) == [("10:00", "10:04"), ("12:00", "12:01")]
    assert stops(reports) == [("10:00", "12:01")]


def test_a_gap_makes_no_stop() -> None:
    """One fix, hours of silence, one fix in the same spot: nothing was seen to stand."""
    assert stops([("10:00", 0, 0, 0), ("12:00", 5, 0, 0)], gaps=["12:00"]) == []
    assert stops([("10:00", 0, 0, 0), *every(30, "12:00", "12:02")], gaps=["12:00"]) == [("12:00", "12:02")]
    assert stops([("10:00", 0, 0, 0), ("12:00", 5, 0, 0)]) == [("10:00", "12:00")]


def test_a_gap_ends_a_crawl_that_showed_no_standing() -> None:
    """Established or not: a cluster whose stop is not open starts anew."""
    crawl: list[Report] = [("10:00", 0, 0, 1.4), ("10:01", 9, 0, 1.6), ("10:02", 18, 0, 1.5), ("10:02:30", 20, 0, 0.0)]
    assert stops([*crawl, ("12:00", 20, 0, 0), ("12:00:30", 20, 0, 0)], gaps=["12:00"]) == []


def test_a_stop_goes_on_over_a_gap_only_if_it_was_seen_there_last() -> None:
    """Seen elsewhere, then silent, then back: it has left, and comes again."""
    seen, back = [*every(60, "10:00", "10:04"), ("10:05", 900.0, 0.0, 0.0)], every(60, "12:00", "12:02")
    assert stops([*seen, *back], gaps=["12:00"]) == [("10:00", "10:04"), ("12:00", "12:02")]
    assert stops([*seen, ("10:06", 0, 0, 0), *back], gaps=["12:00"]) == [("10:00", "12:02")]


def test_a_gap_makes_no_stop_of_the_candidate_either() -> None:
    """It too starts anew, so that a stop after an open one begins where it was seen."""
    there: list[Report] = [("10:05", 900, 0, 0), ("10:06", 900, 0, 0), ("12:00", 900, 0, 0)]
    assert stops([*every(60, "10:00", "10:04"), *there], gaps=["12:00"]) == [("10:00", "10:04")]


def test_a_speed_that_the_positions_contradict_is_unknown() -> None:
    """5 m/s said five times in one spot: from the fifth on it counts as unknown."""
    stuck = every(30, "10:00", "10:10", speed=5)
    assert stops(stuck) == [("10:02", "10:10")]
    assert moved(stuck).standing == [False] * 6 + [True] * 15


def test_a_frozen_speed_stays_unknown_until_it_changes() -> None:
    """Also on the way: the next stop begins at its first fix, as without speeds."""
    away: list[Report] = [(f"10:{k // 2:02}:{k % 2 * 30:02}", 600.0 * (k - 20), 0, 5) for k in range(21, 30)]
    there = every(30, "10:15", "10:20", 5400, speed=5)
    assert stops([*every(30, "10:00", "10:10", speed=5), *away, *there]) == [("10:02", "10:10"), ("10:14:30", "10:20")]
    changed: list[Report] = [("10:10:30", 0, 0, 5.1), *every(30, "10:11", "10:12", speed=5)]
    assert moved([*every(30, "10:00", "10:10", speed=5), *changed]).standing[-4:] == [False] * 4


@pytest.mark.parametrize("speed", [2.0, 5.0, 25.0])
def test_a_steady_speed_that_the_vehicle_keeps_is_believed(speed: float) -> None:
    """Cruise control, and a creep at walking pace, each 10 s for ten minutes."""
    cruise: list[Report] = [(clock, 10.0 * speed * k, 0, speed) for k, (clock, *_) in enumerate(every(10, "10:00", "10:10"))]
    assert stops(cruise) == []


def test_a_speed_is_contradicted_within_the_radius_of_where_twice_as_far_was_due() -> None:
    """At 1.5 m/s 150 m are due after 100 s: at 75 m from the start it is frozen, at 76 m it is believed and measured anew."""
    slow = [(clock, 0.0, 0, 1.5) for clock, *_ in every(20, "10:00", "10:01:20")]

    def standing(metres: float, *then: Report) -> list[bool]:
        return moved([*slow, ("10:01:40", metres, 0, 1.5), *then], rules=Motion(shortest_stop=timedelta(seconds=1))).standing[-2:]

    after: Report = ("10:02", 0, 0, 1.5)
    assert standing(74.9, after) == [False, True]
    assert standing(75.5, after) == [False, False]
    assert standing(74.9, ("10:02", 0, 0, 1.6)) == [False, False]
    north = [(clock, 0.0, 14.9 * k, 1.5) for k, (clock, *_) in enumerate(every(20, "10:00", "10:02"))]
    assert moved(north, rules=Motion(shortest_stop=timedelta(seconds=1))).standing[-1]


def test_four_fixes_of_one_speed_are_not_enough() -> None:
    """However long they take: a truck in a queue may roll at one speed whenever it is asked."""
    four, five = every(120, "10:00", "10:06", speed=5), every(120, "10:00", "10:08", speed=5)
    assert stops([*four, ("10:10", 0, 0, 0)]) == []
    assert stops([*five, ("10:10", 0, 0, 0)]) == [("10:08", "10:10")]


def test_a_fix_out_of_an_open_stop_is_no_evidence_of_it() -> None:
    """While the count runs the vehicle does not stand."""
    assert moved([*every(60, "10:00", "10:02"), ("10:03", 900, 0, 0.0), ("10:04", 0, 0, 1.5)]).standing == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_a_stop_can_be_told_in_stretches() -> None:
    """Each with the evidence and the centroid at its end; the stop is one."""
    said = moved([*every(60, "10:00", "10:04"), *every(60, "10:05", "10:09")], marks=["10:05"])
    assert said.stops == [("10:00", "10:04"), ("10:00", "10:09")]


def test_a_centroid_across_the_date_line_is_on_one_side() -> None:
    """Sums run over a plane, not over degrees."""
    n = 4
    lon = np.array([179.9999, -179.9999] * 2)
    time, flat = np.arange(n) * 60_000, np.zeros(n, bool)
    said = move(np.zeros(1, MOTION), np.array([0, n]), time, lon, np.full(n, 51.0), np.zeros(n, np.float32), flat, flat, RULES)
    assert said.since.tolist() == [0]
    assert abs(abs(said.lon[0]) - 180) < 0.0002


def test_the_rules_are_settings() -> None:
    """Each of the seven."""
    still = every(60, "10:00", "10:04")
    assert moved(still, rules=Motion(shortest_stop=timedelta(minutes=5))).stops == []
    assert moved(every(60, "10:00", "10:04", speed=1.5), rules=Motion(low_mps=1.5)).stops == [("10:00", "10:04")]
    assert moved([*still, ("10:05", 0, 0, 3)], rules=Motion(high_mps=3.1)).state != moved([*still, ("10:05", 0, 0, 3)]).state
    out: list[Report] = [*still, ("10:05", 100, 0, 0), ("10:06", 100, 0, 0)]
    assert moved(out, rules=Motion(hold_radius_m=90)).stops == [("10:00", "10:04")]
    assert moved(out, rules=Motion(radius_m=120)).lon != moved(out).lon
    assert moved(out, rules=Motion(establish=timedelta(minutes=10))).stops == [("10:00", "10:04"), ("10:05", "10:06")]
    assert moved([*out, ("10:07", 300, 0, 0)], rules=Motion(break_count=1)).stops == [("10:00", "10:06")]


def test_a_row_never_seen_is_all_zero() -> None:
    """And no instant is none that a device can report."""
    assert MOTION.itemsize == 200
    assert moved([("10:00", 0, 0, 0)]).state != np.zeros(1, MOTION).tobytes()
    assert np.datetime64(NONE, "ms").astype(str) == "NaT"


walks = st.lists(
    st.tuples(
        st.sampled_from([5, 20, 30, 60, 700]),
        st.sampled_from([0, 0, 0, 10, 60, 110, 160, 400]),
        st.sampled_from([0.0, 0.0, 0.8, 1.5, 2.5, 9.0, 9.0, 9.0, 9.0, NAN]),
    ),
    min_size=1,
    max_size=50,
)


@settings(max_examples=100, deadline=None)
@given(walks, st.lists(st.integers(1, 49), max_size=4, unique=True))
def test_cut_anywhere_the_automaton_says_the_same(walk: list[tuple[int, int, float]], cuts: list[int]) -> None:
    """Stops, standing and what it remembers, to the byte."""
    clocks = np.cumsum([step for step, _, _ in walk]) * 1000 + at("10:00")
    reports: list[Report] = [
        (str(np.datetime64(int(ms), "ms"))[11:23], float(x), 0.0, v) for ms, (_, x, v) in zip(clocks, walk, strict=True)
    ]
    gaps = [reports[k][0] for k, (step, _, _) in enumerate(walk) if step == 700]
    whole = moved(reports, gaps)
    cut = moved(reports, gaps, sorted(c for c in cuts if c < len(reports)))
    assert (cut.standing, cut.state, cut.stops, cut.lon) == (whole.standing, whole.state, whole.stops, whole.lon)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([20, 60, 900]), st.integers(-90, 90), st.integers(0, 9)), min_size=5, max_size=40))
def test_what_stuck_speeds_and_silences_make_is_what_the_oracle_says(walk: list[tuple[int, int, int]]) -> None:
    """Speeds that change seldom, around one spot, with gaps; and so it is however the stream is cut."""
    ms, speeds, said, reports = at("10:00"), (5.0, 1.5, 0.0, NAN), 0, list[Report]()
    for seconds, east, turn in walk:
        ms, said = ms + seconds * 1000, turn if turn < len(speeds) else said
        reports.append((str(np.datetime64(ms, "ms"))[11:23], float(east), 0.0, speeds[said]))
    track = watch(reports)
    assume(not track.fragile)
    for cuts in ([], [at(report[0]) for report in reports[::3]]):
        found = build.watch(reports, cuts=cuts).stops
        assert [(stop.since, stop.until) for stop in found] == [(s.since, s.until) for s in track.stops()]
