"""The definitions of movements and silences, one small case each, computed by hand: after hours, the wrong way, lost signals, jumps.

They hold the oracle, and the oracle holds the core. How reports are written: `tests.oracle_reports`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.permits import Authorization, Lockdown
from monitor.settings import load_settings
from monitor.signals import timestamp
from monitor.trips import Trip
from tests.handmade import NAN, TRUCK, at, clock, degrees, line, square, told, trip
from tests.oracle import OracleRoute, tracks_of
from tests.oracle_reports import Said, authorization, hear, lockdown, of

# ── what is permitted ──


@pytest.mark.parametrize(
    ("given", "kind", "allowed"),
    [
        (authorization("09:00", "10:30"), None, True),
        (authorization("09:00", "10:00"), None, False),  # half-open
        (authorization("09:00", "10:30", place="a"), "no_stop", True),
        (authorization("09:00", "10:30", place="b"), "no_stop", False),
        (authorization("09:00", "10:30"), "restricted", False),
        (authorization("09:00", "10:30", lon=degrees(240, 0)[0], lat=degrees(240, 0)[1], radius_m=250.0), None, True),
        (authorization("09:00", "10:30", lon=degrees(260, 0)[0], lat=degrees(260, 0)[1], radius_m=250.0), None, False),
        (Authorization("may", "north", "T-2", at("09:00"), at("11:00"), "rest", "dispatch"), None, False),
    ],
)
def test_an_authorization_adds_a_spot(given: Authorization, kind: str | None, allowed: bool) -> None:
    """In its place, about its spot or anywhere; for its vehicle and its time; it wins over no-stop, not over restricted places."""
    track = hear([Said("10:00")], places=[square("a", kind)] if kind else [], authorizations=[given])
    assert track.used[0].may_stand is allowed


def test_a_trip_holds_for_its_trailer_too() -> None:
    """Of the same carrier; among several trips the latest start wins, then the greatest id."""
    towing = Trip("towing", "north", "T-2", (), at("09:00"), at("10:30"), trailer="T-1")
    fixes = [Said("10:00"), Said("10:20"), Said("10:40")]
    plans = [
        trip("own", "10:10"),
        towing,
        replace(towing, id="other", carrier="south"),
        replace(towing, id="alone", trailer=None),
    ]
    batch = hear(fixes).fixes
    found = tracks_of(batch, [TRUCK], [], [], plans, load_settings(None), at("10:40"), None)
    assert [fix.trip and fix.trip.id for track in found for fix in track.used] == ["towing", "own", "own"]


# ── after hours ──

BARRED = ("detectors.after_hours_movement.without_trip=true",)
NEVER = ("detectors.after_hours_movement.hours=Su 00:00-01:00",)


def rolling(*east: float, start: str = "10:00", speed: float = 9.0) -> list[Said]:
    """One report a minute, so many metres east, under way."""
    return [Said(timestamp(at(start) + 60_000 * minute)[11:19], metres, speed=speed) for minute, metres in enumerate(east)]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        (rolling(0, 199, 199), []),
        (rolling(0, 201), []),  # two fixes are asked for
        (rolling(0, 201, 260), [("10:01", "10:02", None)]),
        (rolling(0, 201, 100, 260), [("10:01", "10:03", None)]),  # nearer again: says nothing
        (rolling(300, 301, 302), []),  # from its first fix
    ],
)
def test_a_movement_takes_200_metres_and_two_fixes(reports: list[Said], expected: list[tuple[str | None, ...]]) -> None:
    """Since the first fix that is far enough away; at the second."""
    assert told(of(hear(reports, said=BARRED), "after_hours_movement")) == expected


def test_a_movement_is_measured_from_where_it_last_stood_and_ends_where_it_stands() -> None:
    """The anchor is the newest fix at which it stood; the worst distance counts."""
    stood = [Said("10:00"), Said("10:01"), Said("10:02", 50)]
    stands = [Said("10:07", 900), Said("10:08", 900), Said("10:09", 900)]
    [found] = of(hear([*stood, *rolling(300, 1050, 900, start="10:03"), *stands], said=BARRED), "after_hours_movement")
    assert told([found]) == [("10:03", "10:04", "10:08")]
    assert found.measure == pytest.approx(1000, rel=0.001)
    assert (found.limit, found.severity) == (200, "warning")


def test_who_may_move_does_not_signal() -> None:
    """On a trip, within the hours, or where nothing is configured."""
    reports = rolling(0, 500, 900)
    assert of(hear(reports), "after_hours_movement") == []
    assert of(hear(reports, said=BARRED, trips=[trip()]), "after_hours_movement") == []
    assert of(hear(reports, said=["detectors.after_hours_movement.hours=Mo 00:00-24:00"]), "after_hours_movement") == []
    assert told(of(hear(reports, said=NEVER), "after_hours_movement")) == [("10:01", "10:02", None)]


def test_a_movement_begins_at_the_last_fix_at_which_it_might_move() -> None:
    """The anchor is the newest fix that was not barred; the first that is, is the first that counts. A trip ends it."""
    trips = [trip("a", end="10:02"), trip("b", start="10:05")]
    reports = rolling(0, 1000, 1150, 1300, 1450, 1600)
    assert told(of(hear(reports, said=BARRED, trips=trips), "after_hours_movement")) == [("10:03", "10:04", "10:05")]


def test_moves_inside_one_yard_do_not_count() -> None:
    """In the visit that was under way at the anchor; another yard is another matter."""
    reports = rolling(0, 300, 600, 300)
    assert of(hear(reports, said=BARRED, places=[square("y", "yard", half=1000)]), "after_hours_movement") == []
    assert len(of(hear(reports, said=BARRED, places=[square("y", "customer", half=1000)]), "after_hours_movement")) == 1
    assert len(of(hear(reports, said=BARRED, places=[square("y", "yard", 500, half=250)]), "after_hours_movement")) == 1


@pytest.mark.parametrize(
    ("given", "severity"),
    [(lockdown(), "critical"), (lockdown(unit=True), "critical"), (lockdown(end="10:00"), None), (lockdown(place="far"), None)],
)
def test_a_lockdown_makes_it_critical(given: Lockdown, severity: str | None) -> None:
    """Of the vehicle, of its carrier or of a place where it is; half-open."""
    found = of(hear(rolling(0, 500, 900), lockdowns=[given], places=[square("far", "yard", 9000)]), "after_hours_movement")
    assert [signal.severity for signal in found] == ([severity] if severity else [])


def test_the_lockdown_of_a_place_follows_what_leaves_it() -> None:
    """Until it has stood outside, or the lockdown is over."""
    place, away = square("p", "customer"), rolling(0, 150, 400, 900, 1500)
    assert told(of(hear(away, lockdowns=[lockdown(place="p")], places=[place]), "after_hours_movement")) == [
        ("10:02", "10:03", None)
    ]
    over = hear(away, lockdowns=[lockdown(end="10:03", place="p")], places=[place])
    assert of(over, "after_hours_movement") == []
    stood = [Said(f"10:{minute:02}", 1500) for minute in range(5, 8)]
    again = rolling(2000, 2500, 3000, start="10:08")
    rested = hear([*away, *stood, *again], lockdowns=[lockdown(place="p")], places=[place])
    assert told(of(rested, "after_hours_movement")) == [("10:02", "10:03", "10:06")]


# ── the wrong way ──

BACK = ("detectors.wrong_way.back_m=1000", "detectors.wrong_way.clear_m=200")
EASTWARD = [trip(routes=("401",))]


def wrong(
    *east: float, north: float = 0, routes: list[OracleRoute] | None = None, trips: list[Trip] | None = None
) -> list[tuple[str | None, ...]]:
    """What is told of a truck on the road, a report a minute."""
    reports = [Said(timestamp(at("10:00") + 60_000 * i)[11:19], x, north, 20.0) for i, x in enumerate(east)]
    return told(
        of(hear(reports, routes=routes or [line("401")], trips=EASTWARD if trips is None else trips, said=BACK), "wrong_way")
    )


@pytest.mark.parametrize(
    ("east", "expected"),
    [
        ((0, 1000, 500, 10), []),
        ((0, 1000, 500, -10), [("10:01", "10:03", None)]),
        ((0, 1000, 500, 800, 600, -10), [("10:01", "10:05", None)]),  # forward and back: the furthest point stays
        ((0, 1000, -500, -1000, -900), [("10:01", "10:02", None)]),
        ((0, 1000, -500, -1000, -790), [("10:01", "10:02", "10:04")]),  # 200 m of progress again
        ((0, 1000, -500, -1000, -790, -1780), [("10:01", "10:02", "10:04")]),  # 990 m from there
        ((0, 1000, -500, -1000, -790, -1800), [("10:01", "10:02", "10:04"), ("10:04", "10:05", None)]),
    ],
)
def test_the_wrong_way_is_so_far_back_from_the_furthest_point(
    east: tuple[float, ...], expected: list[tuple[str | None, ...]]
) -> None:
    """Since the furthest point; at the first fix so far back; until it makes progress again, from where it counts anew."""
    assert wrong(*east) == expected


def test_the_wrong_way_is_told_of_the_furthest_point() -> None:
    """Its position, how far back at the worst, the route and the trip."""
    track = hear(
        [Said(f"10:0{i}", x, speed=20) for i, x in enumerate((0, 1000, -500, -1500))],
        routes=[line("401")],
        trips=EASTWARD,
        said=BACK,
    )
    [found] = of(track, "wrong_way")
    assert found.measure == pytest.approx(2500, rel=0.001)
    assert (found.limit, found.route, found.trip) == (1000, "401", "trip")
    assert (found.lon, found.lat) == degrees(1000, 0)


def test_only_the_corridor_tells_progress() -> None:
    """Beyond it a fix says nothing; a trip without routes, or none, knows no way."""
    assert wrong(0, 1000, -500, north=1100) == []
    assert wrong(0, 1000, -500, trips=[]) == []
    assert wrong(0, 1000, -500, trips=[trip(routes=("unknown",))]) == []


def test_another_trip_or_route_ends_it() -> None:
    """By its first fix; of another route only by one in its corridor."""
    trips = [trip("a", end="10:03", routes=("401",)), trip("b", start="10:03", routes=("401",))]
    assert wrong(0, 1000, -500, -1000, -2200, trips=trips) == [("10:01", "10:02", "10:03"), ("10:03", "10:04", None)]
    both = [OracleRoute("east", [degrees(-20_000, 0), degrees(0, 0)]), OracleRoute("west", [degrees(0, 0), degrees(20_000, 0)])]
    found = wrong(2000, 500, -10, trips=[trip(routes=("east", "west"))], routes=both)
    assert found == [("10:00", "10:01", "10:02")]


YARDS = [
    square("w", "yard", -20_000, 3000),
    square("e", "yard", 20_000, 3000),
    square("m", "yard", 0, 0),
    square("n", "yard", 115, 0),
]


@pytest.mark.parametrize(
    ("origin", "destination", "way"),
    [
        ("w", "e", 1), ("e", "w", -1), ("w", None, 1), ("e", None, -1), (None, "e", 1), (None, "w", -1), (None, None, 1),
        ("unknown", None, 1), ("unknown", "w", -1), ("w", "w", 0), ("e", "e", 0), ("m", "m", 0), ("m", "n", 0), ("n", "m", 0),
        ("m", None, 0), ("m", "e", 1),
    ],
)  # fmt: skip
def test_which_way_a_trip_goes_is_told_by_its_ends(origin: str | None, destination: str | None, way: int) -> None:
    """Where they are, whichever of them it names; neither: as drawn. If both ways fit as well, none is wrong."""
    plans = [trip(routes=("401",), origin=origin, destination=destination)]
    for drawn, along in (
        (line("401"), way),
        (OracleRoute("401", line("401").line[::-1]), way if plans_a_way(plans[0]) else -way),
    ):
        found = [wrong_by(track, drawn, plans) for track in ((0, -500, -1010), (0, 500, 1010))]
        assert found == [along == 1, along == -1]


def plans_a_way(plan: Trip) -> bool:
    """Whether it names an end that is known."""
    return bool({plan.origin, plan.destination} & {yard.id for yard in YARDS})


def wrong_by(east: tuple[float, ...], drawn: OracleRoute, plans: list[Trip]) -> bool:
    """Whether this is the wrong way."""
    reports = [Said(f"10:0{i}", x, 0, 20.0) for i, x in enumerate(east)]
    return bool(of(hear(reports, routes=[drawn], trips=plans, places=YARDS, said=BACK), "wrong_way"))


@pytest.mark.parametrize(("apart", "as_drawn"), [(240, True), (260, False)])
def test_a_line_that_ends_where_it_begins_is_driven_as_drawn(apart: float, as_drawn: bool) -> None:
    """Within 250 m; on a round trip too."""
    ring = OracleRoute("401", [degrees(*spot) for spot in ((-9000, 0), (9000, 0), (9000, 9000), (-9000, 9000), (-9000, apart))])
    assert wrong_by((0, -500, -1010), ring, [trip(routes=("401",), origin="w", destination="w")]) == as_drawn


def test_where_a_route_comes_back_beside_itself_progress_is_not_known() -> None:
    """Within 250 m of another stretch more than 5 km further along."""
    points = [degrees(-20_000, 0), degrees(20_000, 0), degrees(20_000, 200), degrees(-20_000, 200)]
    assert wrong(0, 1000, -500, routes=[OracleRoute("401", points)]) == []
    assert wrong(19_000, 19_900, 18_500, routes=[OracleRoute("401", points)]) == [("10:01", "10:02", None)]
    apart = [*points[:2], degrees(20_000, 1200), degrees(-20_000, 1200)]
    assert wrong(0, 1000, -500, routes=[OracleRoute("401", apart)]) == [("10:01", "10:02", None)]


# ── lost signals ──

UNDER_WAY, PARKED = 9.0, 0.0


@pytest.mark.parametrize(
    ("last", "expected"),
    [("10:09:59", []), ("10:10", [("10:00", "10:10", None, "presumed")]), ("11:00", [("10:00", "10:10", None, "presumed")])],
)
def test_silence_under_way_is_told_after_ten_minutes(last: str, expected: list[tuple[str | None, ...]]) -> None:
    """At = the limit, presumed; a warning."""
    track = hear([Said("10:00", speed=UNDER_WAY)], until=last)
    assert told(of(track, "signal_lost")) == expected
    assert {signal.severity for signal in of(track, "signal_lost")} <= {"warning"}


def test_a_position_at_the_limit_comes_first() -> None:
    """Not lost; and a report without a position, or a jump, does not break the silence."""
    first = Said("10:00", speed=UNDER_WAY)
    assert of(hear([first, Said("10:10", 500)]), "signal_lost") == []
    assert told(of(hear([first, Said("10:05", NAN, NAN), Said("10:10:01", 500)]), "signal_lost")) == [
        ("10:00", "10:10", "10:10:01", "presumed")
    ]
    assert len(of(hear([first, Said("10:05", 90_000), Said("10:11", 500)]), "signal_lost")) == 1


def test_lost_minutes_are_those_that_driving_does_not_explain() -> None:
    """Gap less distance at the assumed speed, in minutes; the limit while it lasts."""
    reports = [Said("10:00", speed=UNDER_WAY), Said("10:30", 22.222 * 600)]
    [ended] = of(hear(reports), "signal_lost")
    [lasting] = of(hear(reports[:1], until="10:20"), "signal_lost")
    assert ended.measure == pytest.approx(20, rel=0.002)
    assert (ended.limit, ended.unit) == (10, "min")
    assert (lasting.measure, lasting.limit) == (10, 10)
    [driven] = of(hear([reports[0], Said("10:30", 30 * 1800)]), "signal_lost")
    assert driven.measure == 0


def test_a_slow_reporter_is_given_three_of_its_intervals() -> None:
    """And in a dead zone, which is named, three quarters of an hour."""
    slow = [Said(f"10:{minute:02}", 3000.0 * minute, speed=UNDER_WAY) for minute in (0, 5, 10, 15)]
    assert [clock(signal.at) for signal in of(hear(slow, until="11:59"), "signal_lost")] == ["10:30"]
    [found] = of(hear([Said("10:00", speed=UNDER_WAY)], places=[square("d", "dead_zone")], until="11:59"), "signal_lost")
    assert (clock(found.at), found.place, found.limit) == ("10:45", "d", 45)


def parked(*minutes: int) -> list[Said]:
    """A truck that stands from 10:00, and reports after so many minutes each time."""
    stands, passed = [Said("10:00"), Said("10:01")], 1
    for wait in minutes:
        passed += wait
        stands.append(Said(timestamp(at("10:00") + passed * 60_000)[11:19]))
    return stands


def test_silence_while_standing_counts_by_parked_intervals() -> None:
    """2 h until enough is known; then three of the second longest interval within one stop; only noted."""
    learned = ["detectors.signal_lost.learned_after=30m"]
    [unknown] = of(hear(parked(20, 5), until="18:00", said=learned), "signal_lost")
    assert (clock(unknown.at), unknown.limit, unknown.severity) == ("16:26", 360, "note")  # 3 x 2 h
    [known] = of(hear(parked(20, 5, 5), until="18:00", said=learned), "signal_lost")
    assert (clock(known.at), known.limit) == ("10:46", 15)
    [given] = of(hear(parked(20), until="18:00", said=[*learned, "detectors.signal_lost.parked_interval=10m"]), "signal_lost")
    assert (clock(given.at), given.limit) == ("10:51", 30)


@pytest.mark.parametrize(
    ("last", "severity"),
    [
        (Said("10:02:10", speed=1.4), "warning"),  # rolling, in a stop still open
        (Said("10:02:10", 250, speed=0.5), "note"),  # slow, if no longer within it
        (Said("10:02:10", speed=1.4, ignition=0), "note"),
        (Said("10:02:10", 600, speed=30, ignition=0), "note"),
        (Said("10:02:10", 600, speed=30, ignition=1), "warning"),
    ],
)
def test_who_is_parked_is_only_noted(last: Said, severity: str) -> None:
    """It stands, or is slow as last seen in a stop still open, or has its ignition off."""
    found = of(hear([Said("10:00"), Said("10:01"), Said("10:02"), last], until="23:00"), "signal_lost")
    assert [signal.severity for signal in found] == [severity]


@pytest.mark.parametrize(("east", "severity"), [(0, "note"), (990, "note"), (1010, "critical")])
def test_reappearing_elsewhere_is_critical(east: float, severity: str) -> None:
    """More than 1 km from where it stood."""
    reports = [*parked(5), Said("17:00", east)]
    [found] = of(hear(reports, said=["detectors.signal_lost.parked_interval=10m"]), "signal_lost")
    assert (clock(found.until), found.severity) == ("17:00", severity)


# ── impossible movements ──


def test_the_second_jump_within_five_fixes_is_told() -> None:
    """It becomes the reference: since = at = its time, its position, how far it jumped and what was possible."""
    reports = [Said("10:00"), Said("10:01", 50_000), Said("10:02", 50_000), *rolling(*[50_000] * 6, start="10:03")]
    [found] = of(hear(reports), "impossible_movement")
    assert told([found]) == [("10:02", "10:02", "10:07")]  # the fifth good fix after it
    assert found.measure == pytest.approx(50_000, rel=0.001)
    assert (found.limit, found.severity) == (70 * 120, "note")
    assert (found.lon, found.lat) == degrees(50_000, 0)


def test_a_dropped_jump_begins_the_count_of_good_fixes_anew() -> None:
    """And another believed one goes on with the same signal, at its worst."""
    east = [0, 50_000, 50_000, 50_000, 0, *[50_000] * 4, 50_000, 50_000]
    assert told(of(hear(rolling(*east)), "impossible_movement")) == [("10:02", "10:02", "10:09")]
    there_and_back = hear(rolling(0, 50_000, 50_000, 0, -30_000))
    [found] = of(there_and_back, "impossible_movement")
    assert told([found]) == [("10:02", "10:02", None)]
    assert found.measure == pytest.approx(80_000, rel=0.001)


def test_a_single_outlier_is_none() -> None:
    """It is dropped, and nothing is said."""
    assert of(hear(rolling(0, 50_000, 0, 0, 0, 0, 0, 50_000, 0)), "impossible_movement") == []
