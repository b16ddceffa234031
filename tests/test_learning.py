"""Learning places: what counts as a spot, what it seems to be, and what it explains; on trucks near Kingston whose stops are known."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from monitor.atlas import Atlas
from monitor.fixes import F64, FixBatch, Fleet, VehicleId, normalised
from monitor.geodesy import distance_m
from monitor.habits import Habit, Route, guess
from monitor.learning import Draft, Ranked, alerts_among, feature_of, learn, rank, replaceable
from monitor.places import Geofences, Place
from monitor.signals import instant
from monitor.spots import WIDEST_M, area, spots
from tests.build import UTC, Log, line, run, square, world
from tests.handmade import degrees

QUICK = os.environ.get("MONITOR_TESTS") == "quick"
NOWHERE = Polygon()


class Stay(NamedTuple):
    """A truck stands from a clock of a day of March 2026 (UTC) for so many minutes, metres east and north of the middle."""

    vehicle: str
    day: int
    clock: str
    minutes: int
    east: float = 0
    north: float = 0

    def reports(self) -> list[tuple[str, int, float, float, float]]:
        """Vehicle, ms, east, north, m/s: it comes from the south, stands, and leaves to the south."""
        begin = instant(f"2026-03-{self.day:02}T{self.clock}:00Z") // 60_000
        comes = [(-minutes, -900.0 * minutes, 15.0) for minutes in (3, 2, 1)]
        stands = [(minutes, 0.0, 0.0) for minutes in range(self.minutes + 1)]
        leaves = [(self.minutes + minutes, -900.0 * minutes, 15.0) for minutes in (1, 2, 3)]
        return [
            (self.vehicle, (begin + minute) * 60_000, self.east, self.north + south, speed)
            for minute, south, speed in (*comes, *stands, *leaves)
        ]


def driven(stays: Sequence[Stay]) -> tuple[FixBatch, Fleet]:
    """What the trackers of the trucks report, each minute."""
    fleet = Fleet()
    rows = [report for stay in stays for report in stay.reports()]
    position = np.array([degrees(east, north) for _, _, east, north, _ in rows])
    return normalised(
        fleet,
        np.array([fleet.code(VehicleId("north", row[0])) for row in rows], np.int32),
        np.array([row[1] for row in rows]).astype("datetime64[ms]"),
        position[:, 0],
        position[:, 1],
        speed=np.array([row[4] for row in rows], np.float64),
    ), fleet


def log_of(stays: Sequence[Stay], places: Sequence[Place] = (), said: Sequence[str] = ()) -> Log:
    """What the monitor makes of it; a stop may last five minutes."""
    fixes, fleet = driven(stays)
    return run(world(places=places, said=said), fleet.ids, fixes, int(fixes.time.view(np.int64).max()))


def learned(*stays: Stay, places: Sequence[Place] = (), settled: Sequence[Place] = (), zone: str = "UTC") -> list[Draft]:
    log = log_of(stays, places)
    atlas, decided = Atlas(Geofences(tuple(places), (), "v")), Atlas(Geofences(tuple(settled), (), "v"))
    return learn(log.stops, log.signals, atlas, decided, UTC if zone == "UTC" else type(UTC)(zone))


def ranked(stays: Sequence[Stay], said: Sequence[str] = ()) -> list[Ranked]:
    log = log_of(stays, said=said)
    drafts = learn(log.stops, log.signals, Atlas(Geofences()), Atlas(Geofences()), UTC)
    return rank(drafts, log.signals, log_of(stays, [draft.place for draft in drafts], said).signals)


# Which spots count


def test_where_two_vehicles_stood_is_a_spot() -> None:
    [draft] = learned(Stay("A", 2, "10:00", 40), Stay("B", 2, "14:00", 20, 80, 30))
    assert (draft.habit.vehicles, draft.habit.days, draft.habit.stops, draft.habit.dwell) == (2, 1, 2, timedelta(minutes=30))
    assert (draft.habit.first, draft.habit.last) == (date(2026, 3, 2), date(2026, 3, 2))
    assert len(draft.alerts) == 2


def test_where_one_vehicle_stood_on_three_days_is_a_spot() -> None:
    [draft] = learned(*(Stay("A", day, "10:00", 40) for day in (2, 3, 9)))
    assert (draft.habit.vehicles, draft.habit.days, draft.habit.last) == (1, 3, date(2026, 3, 9))


@pytest.mark.parametrize(
    "stays",
    [
        [Stay("A", 2, "10:00", 40)],
        [Stay("A", 2, "10:00", 40), Stay("A", 3, "10:00", 40)],
        [Stay("A", 2, clock, 40) for clock in ("08:00", "10:00", "12:00", "14:00")],
        [Stay("A", 2, "10:00", 3 * 24 * 60)],
        [Stay("A", 2, "10:00", 40), Stay("B", 2, "10:00", 40, 400, 0)],
        [Stay("A", 2, "10:00", 4), Stay("B", 2, "12:00", 4)],
    ],
    ids=["once", "on two days", "four times on one day", "once for three days", "two vehicles 400 m apart", "too short"],
)
def test_what_is_no_habit_is_no_spot(stays: list[Stay]) -> None:
    assert learned(*stays) == []


def test_days_are_local() -> None:
    """22:00, 02:00 and 22:00 UTC are two days in Toronto, three in UTC."""
    stays = [Stay("A", 2, "22:00", 10), Stay("A", 3, "02:00", 10), Stay("A", 4, "02:00", 10)]
    assert len(learned(*stays)) == 1
    assert learned(*stays, zone="America/Toronto") == []


def test_alerts_count_however_short_their_stop() -> None:
    """Silence for half an hour raised them: the trackers sleep while the trucks stand."""
    stays = [Stay("A", 2, "10:00", 4), Stay("B", 2, "12:00", 4)]
    fixes, fleet = driven(stays)
    minute = fixes.time.view(np.int64) // 60_000 % 60
    fixes = fixes.take(minute <= 4)  # nothing is heard of them after the stop
    log = run(world(), fleet.ids, fixes, instant("2026-03-02T15:00:00Z"))
    assert [signal.presumed for signal in log.signals] == [True, True]
    [draft] = learn(log.stops, log.signals, Atlas(Geofences()), Atlas(Geofences()), UTC)
    assert len(draft.alerts) == 2


# What is known already

TWO = (Stay("A", 2, "10:00", 40), Stay("B", 2, "14:00", 40, 20))


@pytest.mark.parametrize("kind", ["customer", "yard", "restricted"])
def test_in_a_known_place_nothing_is_learned(kind: str) -> None:
    """Stops there may raise alerts, out of hours for one; another place would not be the answer."""
    assert learned(*TWO, places=[square("P", kind, hours="Mo-Fr 01:00-02:00")]) == []


def test_a_place_of_another_carrier_is_unknown_to_this_one() -> None:
    [draft] = learned(*TWO, places=[square("P", "yard", carrier="south")])
    assert draft.habit.vehicles == 2


@pytest.mark.parametrize(("until", "drafts"), [("2026-03-02T09:00:00Z", 1), ("2026-03-02T20:00:00Z", 0)])
def test_a_place_that_was_is_unknown_and_one_to_come_is_not(until: str, drafts: int) -> None:
    gone = replace(square("P", "yard", hours="Mo-Fr 01:00-02:00"), valid_until=instant(until))
    assert len(learned(*TWO, places=[gone])) == drafts
    assert learned(*TWO, places=[replace(square("P", "yard"), valid_from=instant("2026-04-01T00:00:00Z"))]) == []


def test_what_only_watches_hides_no_spot_but_is_named() -> None:
    """Yards lie inside no-stop belts."""
    [draft] = learned(*TWO, places=[square("Belt", "no_stop", half=3000), square("Ours", "jurisdiction", half=9000)])
    assert "inside Belt: confirming it lets vehicles stand there" in draft.why
    assert "Ours" not in draft.why


def test_beside_a_known_place_it_is_called_a_part_of_it() -> None:
    [draft] = learned(*TWO, places=[square("Depot", "repair", 310, 0), square("Far", "fuel", -450, 0)])
    assert (draft.place.kind, draft.extends) == ("repair", "Depot")
    assert "200 m from the edge of Depot: extend that instead if it is a part of it" in draft.why


def test_a_feature_names_the_place_it_may_be_a_part_of() -> None:
    [draft] = learned(*TWO, places=[square("Depot", "repair", 310, 0)])
    assert feature_of(Ranked(draft, 2, 0, 1.0))["properties"]["extends"] == "Depot"
    assert "extends" not in feature_of(Ranked(learned(*TWO)[0], 2, 0, 1.0))["properties"]


def test_drafts_may_be_a_carriers_own() -> None:
    """A feature says whose it is, unless it is everybody's."""
    log = log_of(TWO)
    [draft] = learn(log.stops, log.signals, Atlas(Geofences()), Atlas(Geofences()), UTC, carrier="north")
    assert draft.place.carrier == feature_of(Ranked(draft, 2, 0, 1.0))["properties"]["carrier"] == "north"
    assert "carrier" not in feature_of(Ranked(learned(*TWO)[0], 2, 0, 1.0))["properties"]


def test_an_alert_whose_stop_is_not_told_belongs_nowhere() -> None:
    log = log_of(TWO)
    assert learn([], log.signals, Atlas(Geofences()), Atlas(Geofences()), UTC) == []


def test_beside_a_restricted_place_it_is_no_part_of_that() -> None:
    [draft] = learned(*TWO, places=[square("Fence", "restricted", 310, 0)])
    assert (draft.place.kind, draft.extends) == ("parking", None)


def test_a_lawful_stop_teaches_nothing_wherever_its_middle_lies() -> None:
    """Who came through a yard and stands 20 m beyond its edge has not left it."""
    corners = [degrees(east, north) for east, north in ((-100, -1000), (100, -1000), (100, -20), (-100, -20))]
    yard = Place("Y", "Y", "yard", Polygon(corners))
    assert alerts_among(log_of(TWO, [yard]).signals) == []
    assert learned(*TWO, places=[yard]) == []


def test_drafts_side_by_side_do_not_overlap() -> None:
    stays = [Stay(v, day, "10:00", 40, 100.0 * k) for k, day in enumerate(range(2, 10)) for v in "AB"]
    areas = [draft.place.geometry for draft in learned(*stays)]
    assert len(areas) > 1
    assert all(one.intersection(other).area < 1e-11 for one in areas for other in areas if one is not other)


def test_a_known_place_more_than_300_m_away_says_nothing() -> None:
    [draft] = learned(*TWO, places=[square("Depot", "repair", 415, 0)])
    assert draft.extends is None


def test_what_a_person_settled_is_not_drafted_again() -> None:
    """Nor is a stop at its fringe a spot of its own."""
    assert learned(*TWO, settled=[square("dismissed", "customer", 55, 0, half=10)]) == []
    assert len(learned(*TWO, settled=[square("dismissed", "customer", 200, 0, half=10)])) == 1


def test_a_draft_beside_a_known_place_leaves_it_alone() -> None:
    place = square("Depot", "yard", 140, 0)
    [draft] = learned(*TWO, places=[place])
    assert draft.place.geometry.intersection(place.geometry).area < 1e-12
    assert draft.place.geometry.area < learned(*TWO)[0].place.geometry.area


def test_ids_are_the_position_and_each_is_its_own() -> None:
    [draft] = learned(*TWO)
    assert draft.place.id == "learned-44.2512-76.5011"
    log = log_of(TWO)
    [other] = learn(log.stops, log.signals, Atlas(Geofences()), Atlas(Geofences()), UTC, ids=[draft.place.id])
    assert other.place.id == "learned-44.2512-76.5011-2"


# What they explain


def test_drafts_come_by_the_alerts_they_explain() -> None:
    stays = [Stay(v, 2, "10:00", 40) for v in "AB"] + [Stay(v, 2, "14:00", 40, 4000) for v in "ABCD"]
    stays += [Stay("A", 2, "18:00", 40, 8000)]
    found = ranked(stays)
    assert [(each.explains, round(each.share, 3)) for each in found] == [(4, 0.571), (2, 0.857)]


def test_an_alert_that_a_draft_would_not_end_is_not_explained() -> None:
    """The truck rolls on within its stop, out of the draft, and stands there."""
    fixes, fleet = driven(TWO)
    wanders = (
        (fixes.vehicle == fleet.code(VehicleId("north", "A")))
        & (fixes.speed == 0)
        & (fixes.time.view(np.int64) % 1_200_000 >= 600_000)
    )
    lon, _ = degrees(190, 0)
    fixes = replace(fixes, lon=np.where(wanders, lon, fixes.lon))
    horizon = int(fixes.time.view(np.int64).max())
    before = run(world(), fleet.ids, fixes, horizon)
    drafts = learn(before.stops, before.signals, Atlas(Geofences()), Atlas(Geofences()), UTC)
    after = run(world(places=[draft.place for draft in drafts]), fleet.ids, fixes, horizon)
    still = {signal.vehicle for signal in alerts_among(after.signals)}
    assert still == {"A"}
    assert [(len(each.draft.alerts), each.explains) for each in rank(drafts, before.signals, after.signals)] == [(2, 1)]


def test_what_a_draft_would_raise_itself_is_counted() -> None:
    """Customers may be visited for five minutes here."""
    [each] = ranked([Stay(v, 2, clock, 40) for v in "AB" for clock in ("10:00", "14:00")])
    assert (each.draft.place.kind, each.explains, each.raises) == ("customer", 4, 4)


@st.composite
def histories(draw: st.DrawFn) -> list[Stay]:
    """A few trucks that call at a few places, and stand elsewhere too."""
    metre = st.integers(-3000, 3000)
    haunts = draw(st.lists(st.tuples(metre, metre), min_size=1, max_size=3))
    stays = []
    for vehicle in "ABC":
        for day in range(2, 2 + draw(st.integers(1, 3))):
            for clock in draw(st.lists(st.sampled_from(("00:30", "08:00", "13:00", "20:00")), unique=True, max_size=3)):
                east, north = draw(st.one_of(st.sampled_from(haunts), st.tuples(metre, metre)))
                off = draw(st.tuples(st.integers(-60, 60), st.integers(-60, 60)))
                stays.append(Stay(vehicle, day, clock, draw(st.integers(6, 200)), east + off[0], north + off[1]))
    return stays or [Stay("A", 2, "08:00", 30)]


@settings(max_examples=20 if QUICK else 100, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_drafts_hold_their_stops_end_what_they_explain_and_depend_on_no_order(stays: list[Stay], shuffled: random.Random) -> None:
    log = log_of(stays)
    none = Atlas(Geofences())
    drafts = learn(log.stops, log.signals, none, none, UTC)
    after = log_of(stays, [draft.place for draft in drafts])
    still = {(s.vehicle, s.since) for s in alerts_among(after.signals)}
    found = rank(drafts, log.signals, after.signals)
    for each in found:
        geometry = each.draft.place.geometry
        assert geometry.is_valid
        assert all(shapely.intersects_xy(geometry, alert.lon, alert.lat) for alert in each.draft.alerts)
        assert each.explains == sum((alert.vehicle, alert.since) not in still for alert in each.draft.alerts)
    explained = sum(each.explains for each in found)
    assert len(still) == len(alerts_among(log.signals)) - explained
    stops, signals = list(log.stops), list(log.signals)
    shuffled.shuffle(stops)
    shuffled.shuffle(signals)
    again = rank(learn(stops, signals, none, none, UTC), signals, after.signals)
    assert json.dumps([feature_of(each) for each in again]) == json.dumps([feature_of(each) for each in found])


# What it seems to be

DAILY = Habit(20, 5, 5, date(2026, 3, 2), date(2026, 3, 6), timedelta(minutes=50), 18, 0, 0, 20, 4)
NIGHTLY = replace(DAILY, dwell=timedelta(hours=9), by_day=4, nights=15, night_vehicles=5)
PASSING = replace(NIGHTLY, nights=8, night_vehicles=7, vehicles=12)


@pytest.mark.parametrize(
    ("habit", "route", "kind"),
    [
        (DAILY, Route.NONE, "customer"),
        (DAILY, Route.ALONG, "rest_area"),
        (replace(DAILY, by_day=10), Route.NONE, "rest_area"),
        (replace(DAILY, by_day=9), Route.END, "customer"),
        (replace(DAILY, vehicles=2, by_day=9), Route.ALONG, "parking"),
        (replace(DAILY, vehicles=2), Route.NONE, "customer"),
        (replace(DAILY, dwell=timedelta(minutes=15)), Route.ALONG, "fuel"),
        (replace(DAILY, dwell=timedelta(minutes=15), vehicles=2), Route.NONE, "customer"),
        (replace(DAILY, dwell=timedelta(minutes=15), calls=10), Route.NONE, "customer"),
        (replace(DAILY, dwell=timedelta(minutes=4)), Route.NONE, "customer"),
        (replace(DAILY, dwell=timedelta(hours=5)), Route.NONE, "yard"),
        (replace(DAILY, dwell=timedelta(hours=5), vehicles=1), Route.NONE, "parking"),
        (NIGHTLY, Route.NONE, "yard"),
        (PASSING, Route.NONE, "parking"),
        (PASSING, Route.ALONG, "rest_area"),
        (PASSING, Route.END, "yard"),
        (replace(NIGHTLY, vehicles=1, night_vehicles=1), Route.NONE, "parking"),
        (replace(DAILY, stops=3), Route.END, "parking"),
    ],
)
def test_the_kind_is_guessed_from_dwell_hours_and_routes(habit: Habit, route: Route, kind: str) -> None:
    assert guess(habit, None, route)[0] == kind


def test_a_habit_is_told_in_words() -> None:
    assert str(DAILY) == "20 stops of 5 vehicles on 5 days, 50m in the median"
    lone = replace(DAILY, vehicles=1, days=1, busiest=20)
    assert str(lone) == "20 stops of one vehicle on one day, 50m in the median"
    assert "12 of them of one vehicle" in str(replace(DAILY, busiest=12))


def test_nights_and_days_are_told_by_the_local_clock() -> None:
    """03:00 in Toronto is 08:00 UTC in March."""
    night = [Stay(v, day, "05:00", 4 * 60) for v in "ABC" for day in (2, 3, 4)]
    [draft] = learned(*night, zone="America/Toronto")
    assert (draft.habit.nights, draft.habit.night_vehicles, draft.habit.by_day, draft.place.kind) == (9, 3, 0, "yard")
    assert learned(*night)[0].habit.nights == 0


@pytest.mark.parametrize(("north", "east", "kind"), [(300, 0, "rest_area"), (900, 0, "customer"), (1500, -19_500, "customer")])
def test_a_route_is_part_of_the_surroundings(north: float, east: float, kind: str) -> None:
    stays = [Stay(v, day, "10:00", 40, east) for v in "ABC" for day in (2, 3)]
    log = log_of(stays)
    atlas = Atlas(Geofences((), (line("R", north),), "v"))
    [draft] = learn(log.stops, log.signals, atlas, Atlas(Geofences()), UTC)
    assert draft.place.kind == kind


# Spots and their areas

METRES = st.lists(st.tuples(st.integers(-800, 800), st.integers(-800, 800)), min_size=1, max_size=60)


def laid(metres: Sequence[tuple[float, float]]) -> tuple[F64, F64]:
    lon, lat = np.array(sorted(degrees(east, north) for east, north in metres)).T
    return lon, lat


@settings(deadline=None)
@given(METRES)
def test_every_point_is_in_one_spot_and_no_spot_is_wide(metres: list[tuple[int, int]]) -> None:
    """However densely they are strewn."""
    lon, lat = laid(metres)
    found = spots(lon, lat)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(metres)))
    for group in found:
        span = max(distance_m(lon[i], lat[i], lon[j], lat[j]) for i in group for j in group)
        assert span <= WIDEST_M + 60  # cells are 20 m wide


def test_a_chain_is_carved_into_discs_around_its_crowds() -> None:
    """Stops every 100 m along a kilometre of street, and many at one gate."""
    street = [(100.0 * k, 0.0) for k in range(31)]
    gate = [(1510.0 + k, 5.0) for k in range(20)]
    lon, lat = laid([*street, *gate])
    sizes = sorted(len(group) for group in spots(lon, lat))
    assert sizes[-1] == 20 + 3
    assert len(sizes) >= 10


def test_each_disc_is_cut_where_the_most_are_left() -> None:
    """The second from left has the most near it; of what is then left, the last but one."""
    along = {0.0: 20, 140.0: 1, 270.0: 3, 400.0: 3, 545.0: 1, 690.0: 1}
    lon, lat = laid([(east, 0.0) for east, count in along.items() for _ in range(count)])
    assert [len(group) for group in spots(lon, lat)] == [24, 5]


def test_a_large_yard_is_one_spot() -> None:
    """420 m of it, linked from one stop to the next."""
    lon, lat = laid([(140.0 * k, 20.0 * (k % 2)) for k in range(4)])
    assert len(spots(lon, lat)) == 1


@settings(deadline=None)
@given(METRES, METRES)
def test_an_area_holds_its_points_and_lies_on_earth(metres: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    lon, lat = laid(metres)
    taken = area(*laid(others), NOWHERE)
    found = area(lon, lat, taken)
    assert found.is_valid
    assert shapely.intersects_xy(found, lon, lat).all()
    assert found.exterior.is_ccw  # as RFC 7946 has it
    assert np.array_equal(np.round(shapely.get_coordinates(found), 6), shapely.get_coordinates(found))


@pytest.mark.parametrize(("lon", "lat"), [(179.9999, 10.0), (-180.0, -10.0), (0.0, 90.0), (5.0, -89.9999)])
def test_an_area_at_the_edge_of_the_map_stays_on_it(lon: float, lat: float) -> None:
    west, south, east, north = area(np.array([lon]), np.array([lat]), NOWHERE).bounds
    assert west >= -180
    assert east <= 180
    assert south >= -90
    assert north <= 90


# Features


def test_a_feature_shows_whether_somebody_edited_it() -> None:
    [each] = ranked(TWO)
    feature = json.loads(json.dumps(feature_of(each)))
    assert replaceable(feature)
    for name, value in (("name", "Mill"), ("kind", "yard"), ("status", "dismissed"), ("note", "mine")):
        assert not replaceable({**feature, "properties": {**feature["properties"], name: value}})
    moved = json.loads(json.dumps(feature).replace("-76.5", "-76.6"))
    assert not replaceable(moved)
    assert not replaceable({"type": "Feature", "properties": {"id": "x", "status": "draft"}, "geometry": None})
