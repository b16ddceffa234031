"""History: rows with an interval of event time; nothing is edited, and things read back from their bodies as they were."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shapely

from monitor.history import (
    AUTHORIZATION,
    FILES,
    LIMITS,
    LOCKDOWN,
    PLACE,
    SETTINGS,
    TRIP,
    Effect,
    Key,
    Row,
    body_of,
    differences,
    edit,
    planned,
    stated,
    withdrawn,
    world_of,
)
from monitor.permits import Authorization, Lockdown, Permits
from monitor.places import Geofences
from monitor.settings import Settings, load_settings
from monitor.trips import Trip, Trips
from tests.build import geofences_of

MONDAY, HOUR = 1_772_409_600_000, 3_600_000
SAID = Settings()
TRUCK = Trip("t", "north", "T-1", ("401",), MONDAY, MONDAY + 9 * HOUR)


def spot(name: str, **more: Any) -> dict[str, Any]:
    """A place, as a feature."""
    properties = {"id": name, "name": name.title(), "kind": "customer", "radius_m": 90, "source": "invented", **more}
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-79.5, 43.5]}, "properties": properties}


ROUTE_401: dict[str, Any] = {
    "type": "Feature",
    "geometry": {"type": "LineString", "coordinates": [[-79.5, 43.5], [-79.1, 43.51234567890123]]},
    "properties": {"id": "401", "name": "Four-Oh-One", "kind": "route", "corridor_m": 700, "source": "invented"},
}


def said(*features: dict[str, Any], trips: tuple[Trip, ...] = (), settings: Settings = SAID) -> dict[Key, str]:
    """What files say."""
    return stated(settings, geofences_of(list(features)), Trips(trips), Permits())


def after(*words: tuple[int, dict[Key, str]]) -> tuple[Row, ...]:
    """The history of files that say one thing after another, each at an instant."""
    rows: tuple[Row, ...] = ()
    for now, body in words:
        rows = edit(rows, differences(rows, body, now, "ana")).rows
    return rows


def intervals(rows: tuple[Row, ...], kind: str) -> list[tuple[int | None, int | None]]:
    """When the rows of a kind hold."""
    return [(row.valid_from, row.valid_until) for row in rows if row.kind == kind]


def test_what_the_files_say_at_the_first_start_always_was() -> None:
    rows = after((MONDAY, said(spot("mill"), trips=(TRUCK,))))
    assert intervals(rows, PLACE) == intervals(rows, SETTINGS) == [(None, None)]
    assert intervals(rows, TRIP) == [(TRUCK.starts_at, TRUCK.ends_at)]
    assert {row.source for row in rows} == {FILES}


def test_what_is_said_again_changes_nothing() -> None:
    words = said(spot("mill", hours="Mo-Fr 06:00-18:00", max_dwell="4h"), ROUTE_401, trips=(TRUCK,))
    assert differences(after((MONDAY, words)), words, MONDAY + HOUR, "ana") == []


def test_a_place_drawn_anew_is_another_one_from_now_on() -> None:
    """The old row is closed, and both are in the world under one id."""
    rows = after((MONDAY, said(spot("mill"))), (MONDAY + HOUR, said(spot("mill", max_dwell="1h"))))
    assert intervals(rows, PLACE) == [(None, MONDAY + HOUR), (MONDAY + HOUR, None)]
    old, new = world_of(rows, SAID).atlas.places
    assert (old.valid_until, new.valid_from) == (MONDAY + HOUR, MONDAY + HOUR)
    assert (old.max_dwell, new.max_dwell) == (None, timedelta(hours=1))


def test_a_place_that_says_since_when_it_holds_is_late() -> None:
    rows = after((MONDAY, said(spot("mill"))))
    again = said(spot("mill", valid_from="2026-03-01T12:00:00Z"))
    edited = edit(rows, differences(rows, again, MONDAY + 5 * HOUR, "ana"))
    noon = MONDAY - 12 * HOUR
    assert intervals(edited.rows, PLACE) == [(None, noon), (noon, None)]
    assert edited.effects == (Effect(None, None, noon), Effect(None, None, noon))


def test_a_place_that_says_when_it_ended_ended_then() -> None:
    rows = after((MONDAY, said(spot("mill"))), (MONDAY + HOUR, said(spot("mill", valid_until="2026-03-01T12:00:00Z"))))
    [old, new] = world_of(rows, SAID).atlas.places
    assert old.valid_until == MONDAY - 12 * HOUR
    assert new.valid_from == new.valid_until


def test_a_place_that_is_left_out_is_no_more_and_may_come_back() -> None:
    words = said(spot("mill"))
    rows = after((MONDAY, words), (MONDAY + HOUR, said()), (MONDAY + 2 * HOUR, words))
    assert intervals(rows, PLACE) == [(None, MONDAY + HOUR), (MONDAY + HOUR, None), (MONDAY + 2 * HOUR, None)]
    assert [row.held for row in rows if row.kind == PLACE] == [True, False, True]


def test_limits_hold_until_they_change() -> None:
    short = load_settings(None, ["detectors.unauthorized_stop.limit=10m"])
    rows = after((MONDAY, said()), (MONDAY + HOUR, said(settings=short)))
    world = world_of(rows, SAID)
    assert [settings.detectors.unauthorized_stop.limit for settings in world.epochs] == [
        timedelta(minutes=30),
        timedelta(minutes=10),
    ]


def test_a_changed_trip_counts_over_all_of_it_for_both_its_vehicles() -> None:
    """As if it had always been so; the old row was never in force."""
    rows = after((MONDAY, said(trips=(TRUCK,))))
    moved = replace(TRUCK, vehicle="T-2", starts_at=MONDAY + HOUR)
    edited = edit(rows, [planned(moved, "dispatch", "bo", MONDAY + 2 * HOUR)])
    assert intervals(edited.rows, TRIP) == [(MONDAY, MONDAY), (MONDAY + HOUR, TRUCK.ends_at)]
    assert edited.effects == (
        Effect("north", "T-1", MONDAY, at_once=True),
        Effect("north", "T-2", MONDAY + HOUR, at_once=True),
    )
    void, new = world_of(edited.rows, SAID).trips.all
    assert (void.ends_at, new) == (void.starts_at, moved)


def test_a_trip_concerns_its_trailer_too() -> None:
    edited = edit(after((MONDAY, said())), [planned(replace(TRUCK, trailer="B-7"), "dispatch", "bo", MONDAY + HOUR)])
    assert [(effect.vehicle, effect.since) for effect in edited.effects] == [("T-1", MONDAY), ("B-7", MONDAY)]


def test_a_trip_left_out_of_the_file_ends_now_and_a_withdrawn_one_never_was() -> None:
    rows = after((MONDAY, said(trips=(TRUCK,))), (MONDAY + HOUR, said()))
    assert intervals(rows, TRIP)[0] == (MONDAY, MONDAY + HOUR)
    [trip] = world_of(rows, SAID).trips.all
    assert trip.ends_at == MONDAY + HOUR
    rows = edit(after((MONDAY, said(trips=(TRUCK,)))), [withdrawn(TRIP, "t", "dispatch", "bo", MONDAY + HOUR)]).rows
    assert intervals(rows, TRIP)[0] == (MONDAY, MONDAY)


def test_a_file_that_says_the_same_does_not_undo_what_dispatch_said() -> None:
    words = said(trips=(TRUCK,))
    rows = edit(after((MONDAY, words)), [withdrawn(TRIP, "t", "dispatch", "bo", MONDAY + HOUR)]).rows
    assert differences(rows, words, MONDAY + 2 * HOUR, "ana") == []


def test_a_route_drawn_anew_concerns_the_trips_that_name_it() -> None:
    rows = after((MONDAY, said(ROUTE_401, trips=(TRUCK, replace(TRUCK, id="u", vehicle="T-9", routes=())))))
    wide = {**ROUTE_401, "properties": ROUTE_401["properties"] | {"corridor_m": 900}}
    edited = edit(rows, differences(rows, said(wide, trips=(TRUCK,)), MONDAY + HOUR, "ana"))
    assert Effect("north", "T-1", MONDAY) in edited.effects
    assert [route.corridor_m for route in world_of(edited.rows, SAID).atlas.routes] == [900.0]


HOLES: dict[str, Any] = {
    "type": "Feature",
    "geometry": {
        "type": "Polygon",
        "coordinates": [
            [[-79.5, 43.5], [-79.4, 43.5], [-79.4, 43.61234567], [-79.5, 43.6], [-79.5, 43.5]],
            [[-79.47, 43.52], [-79.45, 43.52], [-79.45, 43.54], [-79.47, 43.52]],
        ],
    },
    "properties": {"id": "yard", "kind": "yard", "hours": "Mo-Fr 06:00-18:00", "limits": {"unauthorized_stop.limit": "7m"}},
}


@pytest.mark.parametrize("feature", [spot("mill", max_dwell="90m", carrier="north"), HOLES, ROUTE_401])
def test_places_and_routes_read_back_as_they_were(feature: dict[str, Any]) -> None:
    """To the last bit of their geometry, in whatever time zone the program runs later."""
    geofences = geofences_of([feature], "America/Toronto")
    rows = after((MONDAY, stated(SAID, geofences, Trips(), Permits())))
    back = world_of(rows, load_settings(None, ["timezone=Asia/Tokyo"])).atlas
    assert [body_of(route) for route in back.routes] == [body_of(route) for route in geofences.routes]
    assert [route.line for route in back.routes] == [route.line for route in geofences.routes]
    assert [body_of(place) for place in back.places] == [body_of(place) for place in geofences.places]
    for place, restored in zip(geofences.places, back.places, strict=True):
        assert shapely.equals_exact(place.geometry, restored.geometry)
        assert place.limits == restored.limits
        assert (place.hours and place.hours.zone) == (restored.hours and restored.hours.zone)


def test_trips_and_permits_read_back_as_they_were() -> None:
    trip = replace(
        TRUCK,
        authorized_places=("mill",),
        origin="yard",
        load="high_value",
        limits={"unauthorized_stop": {"limit": timedelta(minutes=7)}},
    )
    rest = Authorization("a", "north", "T-1", MONDAY, MONDAY + HOUR, "rest", "ana", lon=-79.1, lat=43.123456789)
    lock = Lockdown("l", MONDAY, MONDAY + HOUR, "theft", "ana", carrier="north")
    words = stated(SAID, Geofences(), Trips([trip]), Permits((rest,), (lock,)))
    world = world_of(after((MONDAY, words)), SAID)
    assert (world.trips.all, world.permits) == ((trip,), Permits((rest,), (lock,)))
    assert set(words) == {(SETTINGS, LIMITS), (TRIP, "t"), (AUTHORIZATION, "a"), (LOCKDOWN, "l")}


def test_settings_read_back_as_they_were() -> None:
    words = ["detectors.long_dwell.fuel=none", "load.local.unauthorized_stop.limit=3m", "motion.radius_m=90.0"]
    own = load_settings(None, words)
    [settings] = world_of(after((MONDAY, said(settings=own))), own).epochs
    assert settings == own


def test_the_limits_of_a_later_release_do_not_stop_an_earlier_one() -> None:
    rows = after((MONDAY, said()))
    odd = [
        replace(row, body=row.body.replace('"unauthorized_stop":', '"of_tomorrow":{"limit":"5m"},"unauthorized_stop":', 1))
        for row in rows
    ]
    assert world_of(odd, SAID).settings == SAID
