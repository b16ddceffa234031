"""The accuracy benchmark measures what it says: its tracks are what they claim, its scores and the rules beside us count right."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import deviations, journeys, real, rules
from benchmarks.accuracy.contest import METRICS, MONITOR, aims, contest, worse
from benchmarks.accuracy.page import HEAD, WHY, metric_table, worse_claims
from benchmarks.accuracy.scenes import SCENES, Scene, halting_queue, round_trip
from benchmarks.accuracy.scoring import Found, Score, belonging, f1, iou, joined, score, within
from benchmarks.accuracy.tracks import START_MS, Device, Motion, Track

MINUTE = 60_000
PERFECT = Score(stops=1, alerts=1, incidents=1, recall=1, shown=1, known=1, bias_s=0, false_moves=0, false_alerts=0)


def one_stop(motion: Motion) -> None:
    """A drive, ten minutes of standing, a drive."""
    motion.drive(300)
    motion.stand(600)
    motion.drive(300)


def standing(minutes: list[int], lon: list[float] | None = None) -> Track:
    """A vehicle with a fix at each of some minutes, in one spot unless it is said where."""
    n = len(minutes)
    where = np.zeros(n) if lon is None else np.array(lon)
    return Track("truck", np.array(minutes, np.int64) * MINUTE, where, np.full(n, 45.12345), np.full(n, np.nan))


def parked_day(moving_h: float) -> Track:
    """A vehicle that truly stood for eight hours."""
    seen = standing([0])
    return Track(seen.name, seen.time, seen.lon, seen.lat, seen.speed, ((0, 480 * MINUTE),), 8.0, moving_h)


def test_a_scene_gives_the_same_tracks_at_every_call() -> None:
    scene = Scene("twice", round_trip, Device(outliers=0.01, drift_m=40, gaps=2), vehicles=1)
    [once], [again] = scene.tracks(), scene.tracks()
    assert once.stops == again.stops
    np.testing.assert_array_equal(once.lon, again.lon)


def test_a_true_stop_begins_and_ends_where_the_motion_is_at_rest() -> None:
    [track] = Scene("exact", one_stop, Device(every_s=1, noise_m=0), vehicles=1).tracks()
    [(begin, end)] = track.stops
    assert (begin, end) == (START_MS + 300_000, START_MS + 900_000)
    inside = (track.time >= begin) & (track.time < end)
    assert np.ptp(track.lat[inside]) == 0
    assert np.all(np.diff(track.lat[~inside][:290]) != 0)
    assert (track.parked_h, track.moving_h) == pytest.approx((600 / 3600, 600 / 3600))


def test_a_short_drive_is_as_long_as_it_says() -> None:
    motion = Motion(np.random.default_rng(1))
    motion.drive_metres(600)
    east, north, speed = motion.path()
    assert np.hypot(east[-1], north[-1]) == pytest.approx(600, abs=13)
    assert speed.max() == 12


@pytest.mark.parametrize(("speed", "reported"), [("0", 0.0), ("5", 5.0)])
def test_a_frozen_speed_never_changes(speed: str, reported: float) -> None:
    [track] = Scene("frozen", one_stop, Device(speed=speed), vehicles=1).tracks()
    assert set(track.speed.tolist()) == {reported}


def test_a_missing_speed_is_unknown_not_zero() -> None:
    [track] = Scene("missing", one_stop, Device(speed="missing"), vehicles=1).tracks()
    assert np.isnan(track.speed).all()


def test_a_speed_in_whole_kilometres_an_hour_is_one() -> None:
    [track] = Scene("whole", one_stop, Device(speed="whole"), vehicles=1).tracks()
    np.testing.assert_allclose(track.speed * 3.6, np.round(track.speed * 3.6))
    assert track.speed.max() > 9


@pytest.mark.parametrize(
    ("device", "radius", "fit"),
    [
        (Device(noise_m=25), 75, True),
        (Device(noise_m=26), 75, False),
        (Device(drift_m=40), 75, True),
        (Device(drift_m=40, speed="missing"), 75, False),
        (Device(drift_m=40, speed="5"), 75, False),
        (Device(drift_m=40, speed="missing"), 150, True),
        (Device(drift_m=80), 75, False),
    ],
)
def test_a_radius_suits_three_standard_deviations(device: Device, radius: float, fit: bool) -> None:
    assert Scene("scene", one_stop, device, radius).fit is fit


def test_the_hourly_spike_is_one_fix_an_hour() -> None:
    def night(motion: Motion) -> None:
        motion.stand(8 * 3600)

    [track] = Scene("spikes", night, Device(noise_m=0, spike_m=250), vehicles=1).tracks()
    assert np.count_nonzero(track.lat != np.median(track.lat)) == 8


def test_every_scene_has_a_name_of_its_own() -> None:
    names = [scene.name for scene in SCENES]
    assert len(names) == len(set(names))


def test_an_alert_belongs_to_the_stop_it_overlaps_most() -> None:
    assert belonging([(0, 10), (20, 30)], [(8, 29), (12, 18)]) == [[], [(8, 29)]]


def test_an_alert_of_a_single_instant_belongs_to_its_stop() -> None:
    assert belonging([(0, 10)], [(5, 5)]) == [[(5, 5)]]


def test_alerts_within_ten_minutes_are_one_incident() -> None:
    alerts = [(0, 5 * MINUTE), (15 * MINUTE, 16 * MINUTE), (27 * MINUTE, 28 * MINUTE)]
    assert joined(alerts) == [(0, 16 * MINUTE), (27 * MINUTE, 28 * MINUTE)]


def test_a_stop_told_twice_is_two_alerts_and_one_false_move() -> None:
    track = parked_day(moving_h=2.0)
    alerts = [(MINUTE, 100 * MINUTE), (110 * MINUTE, 480 * MINUTE), (500 * MINUTE, 510 * MINUTE)]
    said = score([track], [Found(alerts, alerts)])
    assert (said.alerts, said.recall, said.false_moves, said.bias_s) == (2, 1, 1, 60)
    assert said.incidents == 1
    assert said.false_alerts == 0.5


def test_what_reports_cannot_show_is_not_asked_of_what_they_show() -> None:
    track = standing([0, 3, 6, 9, 12])
    stops = ((0, 5 * MINUTE), (6 * MINUTE, 13 * MINUTE))
    twice = Track(track.name, track.time, track.lon, track.lat, track.speed, stops, 0.2, 0.1)
    said = score([twice], [Found([(6 * MINUTE, 12 * MINUTE)], [])])
    assert (said.recall, said.shown) == (0.5, 1)


def test_in_a_queue_there_are_no_false_moves() -> None:
    track = parked_day(moving_h=0.0)
    assert np.isnan(score([track], [Found([(0, 1), (2, 3)], [(0, 1), (2, 3)])], queue=True).false_moves)


def test_shared_time_and_per_fix_scores() -> None:
    assert iou((0, 10), (5, 15)) == pytest.approx(1 / 3)
    assert iou((0, 10), (20, 30)) == 0
    assert within(np.array([0, 5, 10, 11]), [(5, 10)]).tolist() == [False, True, True, False]
    assert f1(np.array([True, True, False]), np.array([True, False, True])) == 0.5


def test_the_traccar_rule_dates_a_stop_by_the_fix_that_shows_it() -> None:
    track = standing([0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 0.01])
    assert rules.traccar(track, 75, timedelta(minutes=5)) == [(3 * MINUTE, 5 * MINUTE)]


def test_the_traccar_rule_says_nothing_without_a_message() -> None:
    assert rules.traccar(standing([0, 2]), 75, timedelta(minutes=5)) == []


def test_the_fleetbase_rule_measures_to_vertices_only() -> None:
    route = np.array([[-78.0, 45.0], [-77.9, 45.0]])
    [middle] = rules.fleetbase(np.array([-77.95]), np.array([45.0]), route)
    assert middle == pytest.approx(3943, abs=5)


def test_the_opentms_rule_takes_a_degree_east_for_a_degree_north() -> None:
    route = np.array([[-78.0, 60.0], [-78.0, 61.0]])
    [said] = rules.opentms(np.array([-77.9]), np.array([60.5]), route)
    assert said == pytest.approx(11_132)


def test_the_opentms_rule_looks_every_ten_minutes() -> None:
    assert rules.polled(np.arange(0, 25 * MINUTE, MINUTE)).tolist() == [10, 20, 24]


def test_a_condition_begins_once_for_each_run() -> None:
    assert rules.begins(np.array([True, True, False, True])) == 2


@pytest.mark.parametrize("heading", [0.0, 90.0])
def test_a_truck_beside_a_road_is_truly_that_far_off(heading: float) -> None:
    way = deviations.road(np.random.default_rng(3), 60, heading, 20_000)
    track = deviations.drive(np.random.default_rng(3), way, 1500, 0.0)
    away = deviations.true_m(way, track)
    assert away.max() == pytest.approx(1500, abs=5)
    assert np.median(away) < 10


def test_the_monitor_is_perfect_on_one_plain_stop_and_nothing_is_missed() -> None:
    scene = Scene("plain", one_stop, Device(noise_m=5), vehicles=2)
    scores = contest({}, [scene])
    mine = scores["plain"][MONITOR]
    assert (mine.alerts, mine.recall, mine.false_moves, mine.false_alerts) == (1, 1, 0, 0)
    assert [aim.missed for aim in aims(scores, [scene])] == [[]] * 7
    assert worse(scores) == []


def test_the_page_says_where_a_peer_is_better_and_where_all_agree() -> None:
    late = Score(**{**vars(PERFECT), "bias_s": 12.0})
    scores = {"plain": {MONITOR: PERFECT, "peer": PERFECT}, "late": {MONITOR: late, "peer": PERFECT}}
    assert worse(scores) == ["Start bias, late: +12.0; peer +0.0"]
    said = metric_table(scores, [metric.title for metric in METRICS].index("Start bias"))
    assert "| late | +12.0 | +0.0 |" in said
    assert "All contestants +0.0: plain." in said


def test_the_page_says_where_a_naive_rule_is_better_on_a_recording() -> None:
    claims = [
        real.Claim("naive", 0.9),
        real.Claim(MONITOR, 0.8, 8),
        real.Claim("monitor, fitted", 0.95),
        real.Claim("peer", 0.7, 9),
    ]
    assert worse_claims("Vans", claims) == ["Vans, F1: 0.800; naive 0.900", "Vans, stops found: 8; peer 9"]


def test_dark_minutes_and_a_return_are_told_as_what_they_are() -> None:
    dark, back = journeys.journeys()
    assert (dark.told, back.told.split(",")[0]) == ("signal_lost, 29.8 min", "wrong_way")
    assert dark.met
    assert back.met


def test_a_journey_of_which_something_else_is_said_is_not_met() -> None:
    dark = journeys.dark()
    assert not journeys.Journey("", dark.kind, dark.measure + 1, dark.tolerance, "min", dark.said).met
    assert not journeys.Journey("", dark.kind, dark.measure, dark.tolerance, "min", [*dark.said, *dark.said]).met
    silent = journeys.Journey("", dark.kind, dark.measure, dark.tolerance, "min", [])
    assert (silent.met, silent.told) == (False, "nothing")


def test_queues_in_their_ports_of_entry_are_one_incident_each() -> None:
    assert journeys.queued(Scene("queues", halting_queue, vehicles=1, queue=True)) == (2, 2, 2)


def test_the_page_can_be_read_as_text() -> None:
    assert max(len(line) for line in (HEAD + WHY).splitlines()) <= 140


def test_absent_recordings_are_skipped_with_a_sentence(tmp_path: Path) -> None:
    assert real.diary(tmp_path, {}) == []
    assert real.deliveries(tmp_path, {}) == []
    assert real.duplicates(tmp_path) == real.ABSENT
    assert all("skipped" in row[2] for row in real.sparse(tmp_path))


def test_a_feed_of_one_fix_before_a_long_silence_is_counted_as_that() -> None:
    track = standing([0, 9, 10, 11])
    alerts, presumed, silent, single = real.supported([track], "5m")
    assert (alerts, presumed, silent, single) == (1, 0, 1, 1)


def test_of_one_fix_before_a_gap_there_is_no_alert() -> None:
    assert real.supported([standing([0, 120, 121, 122])], "30m") == (0, 0, 0, 0)
