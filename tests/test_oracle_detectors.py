"""The definitions of the detectors, one small case each, computed by hand; limits are five minutes unless a test says otherwise.

They hold the oracle, and the oracle holds the core. How reports are written: `tests.handmade`. Silence itself raises nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.signals import log_order, timestamp
from monitor.trips import Trip
from tests import handmade
from tests.handmade import Report, at, clock, degrees, every, line, square, told, trip
from tests.oracle import Watch
from tests.oracle_geometry import distance


def watch(reports: Sequence[Report], *, said: Sequence[str] = (), **how: Any) -> Watch:
    """One truck's track, whose signal is never lost."""
    return handmade.watch(reports, said=[*said, "detectors.signal_lost.limit=30d"], **how)


# ── unauthorized stops ──


def test_a_stop_raises_at_its_limit_by_the_fix_that_shows_it() -> None:
    """`at` is since + limit, whenever a fix at or after it shows the stop; a fix exactly there does."""
    assert told(watch(every(60, "10:00", "10:04")).signals()) == []
    assert told(watch(every(60, "10:00", "10:05")).signals()) == [("10:00", "10:05", None)]
    assert told(watch(every(42, "10:00", "10:05:36")).signals()) == [("10:00", "10:05", None)]


def test_a_stop_is_measured_in_seconds_and_lies_at_its_centroid() -> None:
    """measure: until, else the last showing fix, minus since; limit: as at the raise."""
    [found] = watch([*every(60, "10:00", "10:09", -20), ("10:10", 20, 0, 0), ("10:11", 0, 0, 0)]).signals()
    assert (found.measure, found.limit, found.unit, found.place, found.severity) == (660, 300, "s", None, "warning")
    assert distance(found.lon, found.lat, *degrees(-180 / 12, 0)) < 0.2


def test_a_permitted_stop_does_not_raise() -> None:
    """A lawful rest never alerts."""
    assert watch(every(60, "10:00", "12:00"), places=[square("a", "parking")]).signals() == []


def test_an_unlawful_stop_begins_when_the_place_closes() -> None:
    """Since = the later of the stop's since and the first fix of the run at which it may not stand."""
    track = watch(every(60, "10:00", "10:30"), places=[square("a", "drop", opens=("09:00", "10:10"))])
    assert told(track.signals()) == [("10:10", "10:15", None)]


def test_a_stop_that_was_lawful_in_between_is_two_signals() -> None:
    """One signal for each stop and since; the first ends at its last showing fix."""
    place = square("a", "drop", opens=("10:10", "10:20"))
    track = watch(every(60, "10:00", "10:30"), places=[place])
    assert told(track.signals()) == [("10:00", "10:05", "10:09"), ("10:20", "10:25", None)]


def test_a_stop_lapses_with_a_crawl_and_is_the_same_signal_when_it_goes_on() -> None:
    """Until = the last showing fix's time, at a seen fix that shows no stop; null again when the same stop shows again."""
    standing, rolling = every(60, "10:00", "10:10"), [("10:11", 0.0, 0.0, 1.5)]
    assert told(watch([*standing, *rolling]).signals()) == [("10:00", "10:05", "10:10")]
    assert told(watch([*standing, *rolling, ("10:12", 0, 0, 0)]).signals()) == [("10:00", "10:05", None)]


def test_a_tighter_limit_counts_from_its_first_fix() -> None:
    """At = the later of since + limit and the first fix of the run judged under that limit."""
    said = ["detectors.unauthorized_stop.limit=20m", "load.high_value.unauthorized_stop.limit=2m"]
    track = watch(every(60, "10:00", "10:30"), trips=[trip(start="10:08:30", load="high_value")], said=said)
    assert told(track.signals()) == [("10:00", "10:09", None)]


def test_the_same_limit_under_another_trip_goes_on() -> None:
    """The run judged under a limit is one of the same limit, whatever the trip; under another limit it begins anew."""
    reports = [*every(60, "10:00", "10:04"), ("10:06", 0, 0, 0)]
    assert told(watch(reports, trips=[trip("a")]).signals()) == [("10:00", "10:05", None)]
    assert told(watch(reports, trips=[trip("a"), trip("b", "10:05:30")]).signals()) == [("10:00", "10:05", None)]
    said = ["load.local.unauthorized_stop.limit=4m"]
    other = watch(
        reports,
        trips=[trip("a", load="high_value"), trip("b", "10:05:30", load="local")],
        said=[*said, "load.high_value.unauthorized_stop.limit=9m"],
    )
    assert told(other.signals()) == [("10:00", "10:06", None)]


def test_limit_and_at_stay_as_raised() -> None:
    """A limit that changes after the raise changes nothing."""
    said = ["load.high_value.unauthorized_stop.limit=1m"]
    [found] = watch(every(60, "10:00", "10:30"), trips=[trip(start="10:20", load="high_value")], said=said).signals()
    assert (clock(found.at), found.limit) == ("10:05", 300)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (None, ("10:05", 300, "warning")),
        (trip(load="local"), ("10:08", 480, "warning")),
        (trip(load="high_value"), ("10:04", 240, "warning")),  # it names no origin
        (trip(load="standard", origin="yard"), ("10:05", 300, "warning")),
        (trip(load="high_value", origin="yard"), ("10:02", 120, "critical")),  # 1,900 m from its edge
        (trip(load="high_value", origin="far"), ("10:04", 240, "warning")),  # 2,100 m
    ],
)
def test_the_limit_is_the_load_class_and_the_red_zones(plan: Trip | None, expected: tuple[str, float, str]) -> None:
    """Of a high-value load within the red zone around its origin's edge, the least of both."""
    said = [
        "load.local.unauthorized_stop.limit=8m", "load.high_value.unauthorized_stop.limit=4m",
        "detectors.unauthorized_stop.red_zone_limit=2m", "detectors.unauthorized_stop.red_zone_m=2000",
    ]  # fmt: skip
    places = [square("yard", "yard", 2000), square("far", "yard", 0, -2200)]
    [found] = watch(every(60, "10:00", "10:10"), places=places, trips=[plan] if plan else [], said=said).signals()
    assert (clock(found.at), found.limit, found.severity) == expected


def test_a_no_stop_place_has_its_own_limit_and_is_named() -> None:
    """Place = the least id of the no-stop places, if the limit at the raise is theirs."""
    places = [square("belt-2", "no_stop"), square("belt-1", "no_stop"), square("a", "high_risk")]
    [found] = watch(every(60, "10:00", "10:10"), places=places, said=["detectors.unauthorized_stop.no_stop_limit=3m"]).signals()
    assert (clock(found.at), found.limit, found.place) == ("10:03", 180, "belt-1")


# ── silence ──


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        ("10:05", [("10:00", "10:05", None)]),  # a fix at the deadline comes first, and shows the stop
        ("10:05:01", [("10:00", "10:05", None, "presumed")]),
    ],
)
def test_silence_past_the_limit_raises_at_the_limit(following: str, expected: list[tuple[str | None, ...]]) -> None:
    """After a showing fix silence raises at since + limit, if the allowance (60 s) has passed; a fix at that instant precedes."""
    assert told(watch([*every(20, "10:00", "10:03"), (following, 0, 0, 0)]).signals()) == expected


def test_silence_is_presumed_only_after_three_own_intervals() -> None:
    """The deadline is the later of since + limit and the last fix + max(60 s, 3 x own interval), and it is `at`."""
    reports = every(60, "10:00", "10:04")
    assert told(watch(reports, until="10:06:59").signals()) == []
    assert told(watch(reports, until="10:07").signals()) == [("10:00", "10:07", None, "presumed")]
    assert told(watch([*reports, ("10:07", 500, 0, 20)]).signals()) == []  # on the deadline, and under way


def test_a_presumed_stop_that_was_over_ends_at_the_fix_that_shows_it() -> None:
    """Until = the last showing fix's time, or if that precedes `at`, the time of the fix that ended it."""
    reports = [*every(60, "10:00", "10:04"), ("10:30", 5000, 0, 20)]
    [found] = watch(reports).signals()
    assert told([found]) == [("10:00", "10:07", "10:30", "presumed")]
    assert found.measure == 1800


def test_an_open_presumed_stop_measures_to_its_at() -> None:
    """Measure = the later of the last showing fix and `at`, minus since, while it is open."""
    [found] = watch(every(60, "10:00", "10:04"), until="11:00").signals()
    assert found.measure == 420


def test_a_coarse_fix_ends_the_silence_of_a_stop() -> None:
    """It shows nothing, but nothing is presumed of a vehicle that still tells where it is."""
    reports = [*every(20, "10:00", "10:03"), ("10:04:30", 0, 0, 0)]
    assert watch(reports, accuracy=[5.0] * 10 + [900.0], until="10:05").signals() == []
    assert told(watch(reports[:-1], until="10:05").signals()) == [("10:00", "10:05", None, "presumed")]


# ── long dwell ──


def test_a_visit_longer_than_allowed_is_a_long_dwell() -> None:
    """Since = the visit's first fix; at = since + limit; until = the visit's end; a customer is only noted."""
    reports = [*every(60, "10:00", "10:10", 10, speed=1.5), ("10:11", 140, 0, 5), ("10:12", 400, 0, 5)]
    [found] = watch(reports, places=[square("a", "customer")]).signals()
    assert told([found]) == [("10:00", "10:05", "10:11")]
    assert (found.kind, found.place, found.measure, found.limit, found.severity) == ("long_dwell", "a", 660, 300, "note")
    assert distance(found.lon, found.lat, *degrees(10, 0)) < 0.2


def test_a_places_own_limit_comes_before_its_kinds() -> None:
    """max_dwell, else the kind's setting; none: no limit."""
    reports = every(60, "10:00", "10:30", speed=1.5)
    places = [square("a", "customer", max_dwell=120_000), square("b", "yard"), square("c", "yard", max_dwell=180_000)]
    found = watch(reports, places=places).signals()
    assert [(s.place, clock(s.at)) for s in sorted(found, key=log_order)] == [("a", "10:02"), ("c", "10:03")]


def in_yard(start: str, end: str, minutes: int, name: str = "trip") -> Trip:
    """A trip on which yards have a limit; without it they have none."""
    return replace(trip(name, start, end), limits={"long_dwell": {"yard": timedelta(minutes=minutes)}})


@pytest.mark.parametrize(
    ("trips", "expected"),
    [
        ([in_yard("10:20", "23:00", 10)], [("10:00", "10:20", None)]),
        ([in_yard("10:20", "23:00", 25)], [("10:00", "10:25", None)]),
        ([in_yard("09:00", "10:15", 10)], [("10:00", "10:10", "10:16")]),
        (
            [in_yard("09:00", "10:15", 10, "a"), in_yard("10:18", "23:00", 10, "b")],
            [("10:00", "10:10", "10:16"), ("10:00", "10:18", None)],
        ),
        ([in_yard("09:00", "10:15", 20, "a"), in_yard("10:16", "23:00", 20, "b")], [("10:00", "10:20", None)]),  # out at 10:15
        ([in_yard("10:15", "23:00", 10)], [("10:00", "10:16", None)]),
    ],
)
def test_a_limit_counts_from_the_first_fix_under_it_and_a_visit_without_one_is_over(
    trips: list[Trip], expected: list[tuple[str | None, ...]]
) -> None:
    """A fix that has just left, at 10:15, is judged under none, and lifts none."""
    reports = [(c, 140.0 if c.startswith("10:15") else 0.0, 0.0, 1.5) for c, *_ in every(60, "10:00", "10:30")]
    assert told(watch(reports, places=[square("y", "yard")], trips=trips).signals()) == expected


def test_a_trip_may_say_that_a_places_own_limit_does_not_hold() -> None:
    """What a trip says comes before what the place does, also that there is no limit; of another kind it says nothing."""
    free = replace(trip(), limits={"long_dwell": {"yard": None}})
    for kind, expected in (("yard", []), ("drop", [("10:00", "10:03", None)])):
        place = square("a", kind, max_dwell=180_000)
        assert told(watch(every(60, "10:00", "10:30", speed=1.5), places=[place], trips=[free]).signals()) == expected


def test_a_pending_fix_does_not_show_the_visit() -> None:
    """The first fix outside by more than 30 m raises nothing, for the next one may show that the visit ended there."""
    reports = [("10:00", 0, 0, 5), ("10:04:30", 0, 0, 5), ("10:06", 140, 0, 5), ("10:07", 140, 0, 5)]
    assert watch(reports, places=[square("a", "customer")]).signals() == []
    back = [*reports[:3], ("10:07", 0, 0, 5)]
    assert told(watch(back, places=[square("a", "customer")]).signals()) == [("10:00", "10:05", None)]


def test_nothing_is_presumed_of_a_visit_that_may_have_ended() -> None:
    """The last fix lay outside: silence after it says nothing of the place."""
    reports = [("10:00", 0, 0, 5), ("10:02", 0, 0, 5), ("10:04", 140, 0, 5), ("10:30", 140, 0, 5)]
    assert watch(reports, places=[square("a", "customer")]).signals() == []


def test_what_was_allowed_ends_where_the_visit_did() -> None:
    """A stop just outside a yard is unlawful since the first of the two fixes that showed that it had left."""
    reports = [("10:00", 0, 0, 0), *every(60, "10:01", "10:10", 140)]
    assert told(watch(reports, places=[square("y", "yard")]).signals()) == [("10:01", "10:06", None)]


# ── route deviation ──

ROUTE = [trip(routes=("401",))]


def off(*metres: float, seconds: int = 60) -> list[Report]:
    """Reports at 10:00, 10:01, ... so many metres north of the line, under way."""
    start = at("10:00")
    return [(timestamp(start + i * seconds * 1000)[11:19], i * 500.0, m, 20.0) for i, m in enumerate(metres)]


@pytest.mark.parametrize(
    ("metres", "expected"),
    [
        ((0, 1100, 1100), []),  # two fixes, one minute
        ((0, 1100, 1100, 1100), [("10:01", "10:03", None)]),
        ((0, 1100, 900, 1100, 900, 1100), [("10:01", "10:05", None)]),  # neutral fixes neither count nor end
        ((0, 1100, 1100, 600, 1100, 1100), []),  # back within 70 %
        ((0, 1100, 1100, 1100, 900, 1100, 600), [("10:01", "10:03", "10:06")]),
        ((0, 900, 900, 900, 900), []),
    ],
)
def test_a_deviation_takes_two_minutes_and_three_fixes(metres: tuple[float, ...], expected: list[tuple[str | None, ...]]) -> None:
    """Beyond 1,000 m of every route of the trip; ended by the first fix within 70 % of a corridor."""
    assert told(watch(off(*metres), routes=[line("401")], trips=ROUTE).signals()) == expected


def test_two_minutes_after_the_first_fix_when_the_third_came_sooner() -> None:
    """At = the later of since + 2 min and the third showing fix."""
    track = watch(off(0, *[1100] * 8, seconds=20), routes=[line("401")], trips=ROUTE)
    assert told(track.signals()) == [("10:00:20", "10:02:20", None)]


def test_a_deviation_is_measured_at_its_worst_from_the_nearest_route() -> None:
    """The nearest route is the one of the least distance / corridor; route, limit and position are those at since."""
    routes = [line("401", 0, corridor=500), line("2", -3000, corridor=2500)]
    # 700 m north of 401: 1.4 of its corridor; 3,700 m of 2: 1.48 of its. 1,500 m: 3.0 and 1.8
    track = watch(off(0, 700, 1500, 1500), routes=routes, trips=[trip(routes=("401", "2", "unknown"))])
    [found] = track.signals()
    assert (found.route, found.limit, found.unit, found.place) == ("401", 500, "m", None)
    assert found.measure == pytest.approx(4500, rel=0.002)
    assert distance(found.lon, found.lat, *degrees(500, 700)) < 0.2


@pytest.mark.parametrize(
    ("said", "own", "load", "expected"),
    [
        ([], None, "standard", 1000),
        ([], 300.0, "standard", 300),
        ([], 300.0, "high_value", 500),  # what is built in for the load class
        (["load.high_value.route_deviation.corridor_m=200"], 300.0, "high_value", 200),
        (["carrier.north.route_deviation.corridor_m=400"], 300.0, "standard", 400),
        (["carrier.north.route_deviation.corridor_m=400"], 300.0, "high_value", 500),
        (["detectors.route_deviation.corridor_m=700"], None, "dangerous", 700),
    ],
)
def test_whose_corridor_counts(said: list[str], own: float | None, load: str, expected: float) -> None:
    """The load class's or the carrier's override if any is said, else the route's own, else the general one."""
    [found] = watch(
        off(*[2000] * 4), routes=[line("401", corridor=own)], trips=[trip(routes=("401",), load=load)], said=said
    ).signals()
    assert found.limit == expected


def test_nothing_is_a_deviation_near_origin_and_destination_or_where_it_may_stand() -> None:
    """Within 5 km of the edge of either, or in a permitted place: exempt, and an exempt fix ends a deviation."""
    reports = off(*[2000] * 8)
    origin, stop = square("o", "high_risk", 0, 7090), square("p", "rest_area", 2000, 2000)
    assert told(watch(reports, places=[origin], routes=[line("401")], trips=ROUTE).signals()) == [("10:00", "10:02", None)]
    for plan in (trip(routes=("401",), origin="o"), trip(routes=("401",), destination="o")):
        near = watch(reports, places=[origin], routes=[line("401")], trips=[plan])
        assert told(near.signals()) == [("10:01", "10:03", None)]  # 4,990 m away, then 5,006
    track = watch(reports, places=[stop], routes=[line("401")], trips=ROUTE)
    assert told(track.signals()) == [("10:00", "10:02", "10:04"), ("10:05", "10:07", None)]


def test_another_trip_ends_a_deviation_and_begins_its_own() -> None:
    """Until = the first fix of another trip, or of none."""
    trips = [trip("a", "09:00", "10:04", routes=("401",)), trip("b", "10:04", "10:07", routes=("401",))]
    track = watch(off(*[2000] * 10), routes=[line("401")], trips=trips)
    assert told(track.signals()) == [("10:00", "10:02", "10:04"), ("10:04", "10:06", "10:07")]


def test_a_deviation_whose_count_is_not_reached_waits_for_the_fix_that_reaches_it() -> None:
    """Two fixes, half an hour of silence, and the third: at = its time."""
    reports = [*off(2000, 2000), ("10:31", 5000, 2000, 20.0)]
    assert told(watch(reports, routes=[line("401")], trips=ROUTE).signals()) == [("10:00", "10:31", None)]


@pytest.mark.parametrize(
    ("fixes", "expected"), [(2, []), (3, [("10:00", "10:02", None, "presumed")]), (4, [("10:00", "10:02", None, "presumed")])]
)
def test_silence_presumes_a_deviation_only_once_its_count_is_reached(fixes: int, expected: list[tuple[str | None, ...]]) -> None:
    """Two fixes are not three, however long the silence."""
    track = watch(off(*[2000] * fixes, seconds=10), routes=[line("401")], trips=ROUTE, until="11:00")
    assert told(track.signals()) == expected
