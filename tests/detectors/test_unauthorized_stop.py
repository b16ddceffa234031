"""Unauthorized stops, through the whole core: a truck near Kingston on 2 March 2026; limits are five minutes unless said otherwise."""

from __future__ import annotations

import pytest

from monitor.signals import Signal
from monitor.trips import Trip
from tests.build import square, watch
from tests.handmade import NAN, Report, at, clock, degrees, every, told, trip
from tests.oracle_geometry import distance

TWENTY_AND_TWO = ("detectors.unauthorized_stop.limit=20m", "load.high_value.unauthorized_stop.limit=2m")


def the_stop(*args: list[Report], **how: object) -> Signal:
    """The only unauthorized stop."""
    [found] = watch(*args, **how).of("unauthorized_stop")  # type: ignore[arg-type]
    return found


def test_a_stop_is_raised_at_its_limit_by_the_fix_that_shows_it() -> None:
    """Whenever that fix comes."""
    assert told(watch(every(60, "10:00", "10:04")).signals) == []
    assert told(watch(every(60, "10:00", "10:05")).signals) == [("10:00", "10:05", None)]
    assert told(watch(every(42, "10:00", "10:05:36")).signals) == [("10:00", "10:05", None)]


def test_a_stop_is_measured_in_seconds_and_lies_at_its_centroid() -> None:
    """Ten fixes 20 m west, one 20 m east, one between."""
    found = the_stop([*every(60, "10:00", "10:09", -20), ("10:10", 20, 0, 0), ("10:11", 0, 0, 0)])
    assert (found.measure, found.limit, found.unit, found.place, found.severity) == (660, 300, "s", None, "warning")
    assert distance(found.lon, found.lat, *degrees(-180 / 12, 0)) < 0.2


def test_a_lawful_rest_never_alerts() -> None:
    """Two hours in a truck park."""
    assert watch(every(60, "10:00", "12:00"), places=[square("a", "parking")]).signals == []


def test_a_stop_on_the_edge_of_a_lawful_place_is_lawful_while_the_visit_lasts() -> None:
    """The positions wander 25 m over the fence."""
    drift = [("10:00", 0.0, 0.0, 0.0), *every(60, "10:01", "10:20", east=124)]
    assert watch(drift, places=[square("a", "parking")]).signals == []


def test_a_stop_becomes_unlawful_when_the_place_closes() -> None:
    """From the first fix at which it may not stand."""
    place = square("a", "drop", hours="Mo 09:00-10:10")
    assert told(watch(every(60, "10:00", "10:30"), places=[place]).signals) == [("10:10", "10:15", None)]


def test_a_stop_that_was_lawful_in_between_is_two_signals() -> None:
    """The first ends at its last showing fix."""
    place = square("a", "drop", hours="Mo 10:10-10:20")
    found = watch(every(60, "10:00", "10:30"), places=[place])
    assert told(found.signals) == [("10:00", "10:05", "10:09"), ("10:20", "10:25", None)]
    assert [(clock(s.since), s.authorized) for s in found.stops] == [("10:00", False)]


def test_a_stop_lapses_with_a_crawl_and_is_the_same_when_it_goes_on() -> None:
    """Its end is taken back."""
    rolling: list[Report] = [*every(60, "10:00", "10:10"), ("10:11", 0, 0, 1.5)]
    assert told(watch(rolling).signals) == [("10:00", "10:05", "10:10")]
    assert told(watch([*rolling, ("10:12", 0, 0, 0)]).signals) == [("10:00", "10:05", None)]


def test_a_stop_ends_when_the_truck_drives_on() -> None:
    """At its last evidence."""
    away: list[Report] = [(f"10:{10 + k}", 1000.0 * k, 0, 20) for k in range(1, 5)]
    found = watch([*every(60, "10:00", "10:10"), *away])
    assert told(found.signals) == [("10:00", "10:05", "10:10")]
    assert found.signals[0].closed


def test_a_tighter_limit_counts_from_its_first_fix() -> None:
    """A trip with a precious load begins while the truck stands."""
    track = watch(every(60, "10:00", "10:30"), trips=[trip(start="10:08:30", load="high_value")], said=TWENTY_AND_TWO)
    assert told(track.signals) == [("10:00", "10:09", None)]


def test_the_same_limit_under_another_trip_goes_on() -> None:
    """What is judged anew is a stop under another limit, not under another trip."""
    reports: list[Report] = [*every(60, "10:00", "10:04"), ("10:06", 0, 0, 0)]
    assert told(watch(reports, trips=[trip("a"), trip("b", "10:05:30")]).signals) == [("10:00", "10:05", None)]


def test_limit_and_at_stay_as_raised() -> None:
    """A limit that changes later changes nothing."""
    said = ["load.high_value.unauthorized_stop.limit=1m"]
    found = the_stop(every(60, "10:00", "10:30"), trips=[trip(start="10:20", load="high_value")], said=said)
    assert (clock(found.at), found.limit, found.trip) == ("10:05", 300, None)


# ── where less is allowed ──


def test_in_a_no_stop_place_less_is_allowed() -> None:
    """The place that set the limit is named, of several the least id."""
    belts = [square("b", "no_stop"), square("a", "no_stop")]
    found = the_stop(every(60, "10:00", "10:10"), places=belts, said=["detectors.unauthorized_stop.no_stop_limit=2m"])
    assert (clock(found.at), found.limit, found.place) == ("10:02", 120, "a")


def test_a_no_stop_place_that_allows_as_much_is_named() -> None:
    """It set the limit too."""
    said = ["detectors.unauthorized_stop.no_stop_limit=5m"]
    assert the_stop(every(60, "10:00", "10:10"), places=[square("a", "no_stop")], said=said).place == "a"


def test_a_no_stop_place_that_allows_more_sets_nothing() -> None:
    """The least limit counts."""
    found = the_stop(
        every(60, "10:00", "10:10"), places=[square("a", "no_stop")], said=["detectors.unauthorized_stop.no_stop_limit=9m"]
    )
    assert (found.limit, found.place) == (300, None)


def test_a_lawful_place_within_a_no_stop_place_is_lawful() -> None:
    """A customer beside the border."""
    places = [square("a", "no_stop", half=1000), square("b", "customer")]
    assert watch(every(60, "10:00", "10:04"), places=places).of("unauthorized_stop") == []


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (trip(origin="depot", load="high_value"), (180, "critical")),
        (trip(origin="depot", load="standard"), (300, "warning")),  # only a high-value load has a red zone
        (trip(destination="depot", load="high_value"), (900, "warning")),  # around its origin
        (trip(origin="nowhere", load="high_value"), (900, "warning")),
        (trip(origin="theirs", load="high_value"), (900, "warning")),  # another carrier's yard is nowhere
        (None, (300, "warning")),
    ],
)
def test_the_red_zone_lies_around_the_origin_of_a_high_value_load(plan: Trip | None, expected: tuple[float, str]) -> None:
    """A hundred kilometres from the edge, in it; critical there."""
    yards = [square("depot", "yard", east=100_000), square("theirs", "yard", east=100_000, carrier="south")]
    said = ["detectors.unauthorized_stop.red_zone_limit=3m"]
    found = the_stop(every(60, "10:00", "10:20"), places=yards, trips=[plan] if plan else [], said=said)
    assert (found.limit, found.severity) == expected


@pytest.mark.parametrize(("reach", "severity"), [(99_000, "warning"), (101_000, "critical")])
def test_the_red_zone_reaches_as_far_as_the_setting_says(reach: int, severity: str) -> None:
    """From the origin's edge, along the geodesic."""
    depot = square("depot", "yard", east=100_100)
    said = [f"detectors.unauthorized_stop.red_zone_m={reach}.0"]
    found = the_stop(every(60, "10:00", "10:20"), places=[depot], trips=[trip(origin="depot", load="high_value")], said=said)
    assert found.severity == severity


def test_in_a_no_stop_place_in_the_red_zone_the_least_counts() -> None:
    """The place is named where its limit is the least; in the red zone it is critical whichever is."""
    places = [square("depot", "yard", east=10_000), square("belt", "no_stop")]
    limits = "load.high_value.unauthorized_stop.no_stop_limit={}m", "detectors.unauthorized_stop.red_zone_limit={}m"
    for (belt, red), expected in {
        (2, 4): (120, "belt", "critical"), (4, 2): (120, None, "critical"), (3, 3): (180, "belt", "critical"),
    }.items():  # fmt: skip
        said = [limits[0].format(belt), limits[1].format(red)]
        found = the_stop(every(60, "10:00", "10:20"), places=places, trips=[trip(origin="depot", load="high_value")], said=said)
        assert (found.limit, found.place, found.severity) == expected


# ── silence ──


def test_a_device_that_sleeps_with_the_ignition_off_still_raises() -> None:
    """After the limit and three of its own intervals of silence."""
    [found] = watch(every(60, "10:00", "10:03"), until=at("11:00")).signals
    assert (clock(found.at), found.presumed, found.measure) == ("10:06", True, 360)


def test_a_moving_truck_that_falls_silent_is_not_presumed_to_stand() -> None:
    """Its last fix did not show it."""
    assert watch([*every(60, "10:00", "10:03"), ("10:04", 900, 0, 20)], until=at("12:00")).of("unauthorized_stop") == []


def test_a_coarse_fix_shows_nothing_but_breaks_the_silence() -> None:
    """A vehicle that still tells where it is, however roughly, is not presumed to stand."""
    reports = [*every(60, "10:00", "10:03"), ("10:05", 0.0, 0.0, 0.0), ("10:20", 0.0, 0.0, 0.0)]
    assert watch(reports, accuracy=[5, 5, 5, 5, 900, 900], until=at("10:30")).signals == []
    [found] = watch(reports[:-2], accuracy=[5, 5, 5, 5], until=at("10:30")).signals
    assert (clock(found.at), found.presumed) == ("10:06", True)


def test_an_unknown_speed_is_enough() -> None:
    """Many devices send none."""
    assert told(watch(every(60, "10:00", "10:05", speed=NAN)).signals) == [("10:00", "10:05", None)]
