"""The world: which limits hold where and when, which places exist, and what settings said before.

Most is seen through the whole core: a truck that stands near Kingston from 10:00 on 2 March 2026, five minutes being allowed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from monitor.errors import ConfigurationError
from monitor.fixes import Alarm, VehicleId
from monitor.places import Place
from monitor.settings import Limits, Settings
from monitor.signals import Signal
from tests.build import heard, line, settings, square, world
from tests.handmade import at, clock, told, trip
from tests.oracle_reports import Said, authorization, lockdown

STANDING = [Said(f"10:{minute:02}") for minute in range(31)]


def minutes(count: int, detector: str = "unauthorized_stop", name: str = "limit") -> Limits:
    """The limits of one trip or place."""
    return {detector: {name: timedelta(minutes=count)}}


def found(kind: str = "unauthorized_stop", reports: list[Said] = STANDING, **how: Any) -> list[Signal]:
    """What one detector finds."""
    return heard(reports, **how).of(kind)


def limited(name: str, count: int, **how: Any) -> Place:
    """A place in which no truck may stand, with a limit of its own."""
    return replace(square(name, "high_risk", **how), limits=minutes(count))


# ── limits: trip > load class > carrier > place > all ──

SAID = [
    "detectors.unauthorized_stop.limit=9m",
    "carrier.north.unauthorized_stop.limit=7m",
    "load.local.unauthorized_stop.limit=6m",
]


@pytest.mark.parametrize(
    ("of_trip", "load", "carrier", "place", "expected"),
    [
        (True, True, True, True, 5),
        (False, True, True, True, 6),
        (False, False, True, True, 7),
        (False, False, False, True, 8),
        (False, False, False, False, 9),
        (True, False, False, True, 5),
        (False, True, False, True, 6),
        (False, False, True, False, 7),
    ],
)
def test_of_all_that_is_said_the_nearest_counts(of_trip: bool, load: bool, carrier: bool, place: bool, expected: int) -> None:
    """What says nothing leaves it to the next."""
    plan = replace(trip(load="local" if load else "dangerous"), limits=minutes(5) if of_trip else {})
    places = [limited("p", 8) if place else square("p", "high_risk")]
    said = [each for each in SAID if carrier or not each.startswith("carrier")]
    [stop] = found(trips=[plan], places=places, said=said)
    assert (stop.limit, clock(stop.at)) == (60.0 * expected, f"10:{expected:02}")


def test_what_is_said_of_one_limit_leaves_the_others() -> None:
    """Each key by itself."""
    plan = replace(trip(load="high_value"), limits=minutes(2, name="no_stop_limit"))
    limits = world(trips=[plan]).profiles[0].unauthorized_stop
    assert (limits.no_stop_limit, limits.limit) == (timedelta(minutes=2), timedelta(minutes=15))


def test_of_several_places_with_limits_the_least_id_counts_alone() -> None:
    """Whatever it says, and in whatever order they were drawn; a place without limits is none of them."""
    belt, other = limited("b", 2), replace(square("c", "high_risk"), limits=minutes(3))
    silent = replace(square("a", "high_risk"), limits=minutes(9, "signal_lost"))
    for order in permutations([other, belt, square("a", "high_risk")]):
        assert [s.limit for s in found(places=order)] == [120.0]
    for order in permutations([other, belt, silent]):
        assert [s.limit for s in found(places=order)] == [300.0]


def test_a_place_says_it_while_the_visit_lasts() -> None:
    """Beside the fence, too; another carrier's says nothing."""
    fence = limited("p", 2, east=110)
    beside = [Said("10:00", 20.0), *STANDING[1:]]
    assert [s.limit for s in found(reports=beside, places=[fence])] == [120.0]
    assert [s.limit for s in found(places=[fence])] == [300.0]
    assert [s.limit for s in found(places=[limited("p", 2, carrier="south")])] == [300.0]


def test_what_devices_say_is_not_judged_by_places() -> None:
    """Nor is a corridor."""
    lax = replace(
        square("p", "yard"), limits={"device_alarm": {"limit": timedelta(hours=1)}, "route_deviation": {"corridor_m": 50.0}}
    )
    panic = [Said("10:00", alarms=Alarm.PANIC)]
    assert told(found("device_alarm", panic, places=[lax])) == [("10:00", "10:00", None)]
    off = [Said(f"10:{minute:02}", 0.0, 80.0, 9.0) for minute in range(5)]
    assert found("route_deviation", off, places=[lax], routes=[line("r")], trips=[trip(routes=("r",))]) == []


def test_a_trip_holds_for_the_trailer_it_names() -> None:
    """With its limits."""
    plan = replace(trip("t"), vehicle="T-9", trailer="T-1", limits=minutes(3))
    assert [(s.trip, s.limit) for s in found(trips=[plan])] == [("t", 180.0)]
    assert [(s.trip, s.limit) for s in found(trips=[replace(plan, carrier="south")])] == [(None, 300.0)]


@pytest.mark.parametrize(
    ("plan", "said", "own", "expected"),
    [
        (150.0, ["load.local.route_deviation.corridor_m=250", "carrier.north.route_deviation.corridor_m=350"], 450.0, 150.0),
        (None, ["load.local.route_deviation.corridor_m=250", "carrier.north.route_deviation.corridor_m=350"], 450.0, 250.0),
        (None, ["carrier.north.route_deviation.corridor_m=350"], 450.0, 350.0),
        (None, ["carrier.south.route_deviation.corridor_m=350"], 450.0, 450.0),
        (None, ["detectors.route_deviation.corridor_m=550"], None, 550.0),
    ],
)
def test_a_corridor_is_as_wide_as_the_nearest_says(
    plan: float | None, said: list[str], own: float | None, expected: float
) -> None:
    """Trip > load class > carrier > the route's own > all."""
    limits = {} if plan is None else {"route_deviation": {"corridor_m": plan}}
    one = replace(trip(routes=("r",), load="local"), limits=limits)
    assert world(routes=[line("r", corridor=own)], trips=[one], said=said).corridor_m.tolist() == [expected]


def test_a_dwell_is_as_long_as_the_nearest_says() -> None:
    """Trip > load class > carrier > the place's own > all."""
    place = square("c", "customer", max_dwell="8m")
    plan = replace(trip(), limits=minutes(6, "long_dwell", "customer"))
    for how, expected in (
        ({"trips": [plan], "said": ["carrier.north.long_dwell.customer=7m"]}, 6),
        ({"said": ["carrier.north.long_dwell.customer=7m"]}, 7),
        ({}, 8),
    ):
        assert [s.limit for s in found("long_dwell", places=[place], **how)] == [60.0 * expected]


# ── places over time ──


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        ({}, []),
        ({"valid_until": at("10:10")}, [("10:10", "10:15", None)]),  # half-open
        ({"valid_until": at("10:10") + 1}, [("10:11", "10:16", None)]),
        ({"valid_from": at("10:10")}, [("10:00", "10:05", "10:09")]),
        ({"valid_from": at("10:10") + 1}, [("10:00", "10:05", "10:10")]),
        ({"valid_from": at("11:00")}, [("10:00", "10:05", None)]),
        ({"valid_from": at("09:00"), "valid_until": at("10:00")}, [("10:00", "10:05", None)]),
    ],
)
def test_a_place_lets_stand_while_it_exists(valid: dict[str, int], expected: list[tuple[str | None, ...]]) -> None:
    """From its first instant to the one before its last."""
    assert told(found(places=[replace(square("p", "parking"), **valid)])) == expected  # type: ignore[arg-type]


def test_a_visit_ends_with_the_place() -> None:
    """At the first fix after."""
    assert told(found("long_dwell", places=[replace(square("c", "customer"), valid_until=at("10:10"))])) == [
        ("10:00", "10:05", "10:10")
    ]
    assert told(found("zone_breach", places=[replace(square("r", "restricted"), valid_from=at("10:10"))])) == [
        ("10:10", "10:10", None)
    ]


def test_a_place_drawn_anew_is_another() -> None:
    """Two visits, each as its own drawing says; known by since when it is as it is."""
    once = replace(square("c", "customer", max_dwell="3m"), valid_until=at("10:10"))
    now = replace(square("c", "customer", max_dwell="4m"), valid_from=at("10:10"))
    assert told(found("long_dwell", places=[once, now])) == [("10:00", "10:03", "10:10"), ("10:10", "10:14", None)]
    assert (once.key, now.key) == ("c", f"c@{at('10:10')}")


def test_the_origin_of_a_trip_is_where_it_was_drawn_whenever_that_exists() -> None:
    """The depot was closed down; the load came from there all the same."""
    depot = replace(square("depot", "yard", east=10_000), valid_until=at("09:00"))
    [stop] = found(places=[depot], trips=[trip(origin="depot", load="high_value")])
    assert (stop.severity, stop.limit) == ("critical", 300.0)


# ── settings over time ──


@pytest.mark.parametrize(
    ("before", "now", "changed", "expected", "limit"),
    [
        (20, 5, "10:10", "10:10", 300.0),  # tighter: as of the first fix judged under it
        (20, 5, "10:10:01", "10:11", 300.0),
        (5, 20, "10:10", "10:05", 300.0),  # it was told before
        (5, 20, "10:05", "10:20", 1200.0),  # at that instant the new one holds
        (5, 20, "10:05:00.001", "10:05", 300.0),
        (20, 5, "10:00", "10:05", 300.0),
    ],
)
def test_earlier_settings_hold_until_their_end(before: int, now: int, changed: str, expected: str, limit: float) -> None:
    """Half-open, as everything."""
    earlier = [(at(changed), settings(f"detectors.unauthorized_stop.limit={before}m"))]
    [stop] = found(earlier=earlier, said=[f"detectors.unauthorized_stop.limit={now}m"])
    assert (clock(stop.at), stop.limit) == (expected, limit)


def test_of_several_earlier_settings_each_has_its_time() -> None:
    """Of trips, carriers and places too."""
    earlier = [
        (at("10:04"), settings("detectors.unauthorized_stop.limit=25m", "load.local.unauthorized_stop.limit=24m")),
        (at("10:08"), settings("detectors.unauthorized_stop.limit=23m", "carrier.north.unauthorized_stop.limit=22m")),
    ]
    now = ["detectors.unauthorized_stop.limit=21m", "load.local.unauthorized_stop.limit=20m"]
    place = replace(square("p", "high_risk"), limits=minutes(2, "signal_lost"))  # it says nothing of stops
    chart = world(earlier=earlier, said=now, trips=[trip(load="local")], places=[place])
    times = np.array([at(c) for c in ("10:03", "10:04", "10:07", "10:08")])
    truck, row = [VehicleId("north", "T-1")], np.zeros(4, np.int32)
    for number, expected in (
        (0, [24, 45, 45, 20]),
        (-1, [25, 22, 22, 21]),
    ):  # 45 minutes are a local load's unless said otherwise
        profile = chart.profiles_of(truck, row, times, np.full(4, number, np.int32))
        assert [chart.profiles[p].unauthorized_stop.limit for p in profile] == [timedelta(minutes=m) for m in expected]
    for where in ((), (place,)):
        [stop_signal] = found(earlier=earlier, said=now, trips=[trip(load="local")], places=where)
        assert (clock(stop_signal.at), stop_signal.limit) == ("10:20", 1200.0)


def test_a_corridor_is_as_wide_as_was_said_when_its_trip_began() -> None:
    """Whatever is said under way."""
    earlier = [(at("10:00"), settings("detectors.route_deviation.corridor_m=300"))]
    plans = [trip(name, start, routes=("r",)) for name, start in (("a", "09:59:59"), ("b", "10:00"))]
    chart = world(earlier=earlier, said=["detectors.route_deviation.corridor_m=700"], routes=[line("r")], trips=plans)
    assert chart.corridor_m.tolist() == [300.0, 700.0]


# ── what is watched ──

NIGHT = "hours=Mo-Fr 06:00-22:00"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, False),
        ({"authorizations": [authorization("09:00", "10:00")]}, False),
        ({"lockdowns": [lockdown()]}, True),
        ({"said": [f"detectors.after_hours_movement.{NIGHT}"]}, True),
        ({"said": ["detectors.after_hours_movement.without_trip=true"]}, True),
        ({"said": [f"carrier.north.after_hours_movement.{NIGHT}"]}, True),
        ({"said": ["load.local.after_hours_movement.without_trip=true"]}, True),
        ({"said": ["load.local.after_hours_movement.moved_m=100"]}, False),
        ({"trips": [replace(trip(), limits={"after_hours_movement": {"hours": "24/7"}})]}, True),
        ({"places": [replace(square("p", "yard"), limits={"after_hours_movement": {"without_trip": True}})]}, True),
        ({"earlier": [(at("10:00"), settings(f"detectors.after_hours_movement.{NIGHT}"))]}, True),
    ],
)
def test_movements_are_watched_where_anything_forbids_one(how: dict[str, Any], expected: bool) -> None:
    """Anything that ever held."""
    assert world(**how).watches_movement is expected


def test_hours_that_cannot_be_read_are_a_fault() -> None:
    """With the key, the value and what is allowed."""
    with pytest.raises(ConfigurationError) as caught:
        world(said=["detectors.after_hours_movement.hours=at night"])
    assert str(caught.value) == (
        "detectors.after_hours_movement.hours = 'at night': 'at night' is not of the form of "
        'hours such as "Mo-Fr 06:00-18:00; Sa 08:00-12:00" or "24/7"'
    )


def test_the_version_changes_with_all_that_is_said() -> None:
    """And with nothing else."""
    earlier: list[tuple[int, Settings]] = [(at("10:00"), settings("detectors.unauthorized_stop.limit=6m"))]
    versions = [
        world(**how).version
        for how in (
            {}, {"earlier": earlier}, {"earlier": [(at("10:01"), earlier[0][1])]}, {"said": ["detectors.unauthorized_stop.limit=6m"]},
            {"trips": [trip()]}, {"trips": [replace(trip(), limits=minutes(3))]},
            {"authorizations": [authorization("09:00", "10:00")]}, {"lockdowns": [lockdown()]}, {"lockdowns": [lockdown(unit=True)]},
        )
    ]  # fmt: skip
    assert len(set(versions)) == len(versions)
    assert all(len(one) == 16 for one in versions)
    assert world().version == versions[0]
