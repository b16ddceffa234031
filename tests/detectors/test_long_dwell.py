"""Long dwells, through the whole core: how long a truck may stay in a place, whether it stands there or moves about."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from monitor.signals import Signal
from monitor.trips import Trip
from tests.build import square, watch
from tests.handmade import LAT, LON, Report, at, clock, every, told, trip


def dwells(reports: list[Report], **how: object) -> list[Signal]:
    """The long dwells."""
    return watch(reports, **how).of("long_dwell")  # type: ignore[arg-type]


def test_a_long_visit_signals_once_at_the_instant_its_limit_passes() -> None:
    """A customer is allowed five minutes here."""
    [found] = dwells(every(60, "10:00", "11:00"), places=[square("a", "customer")])
    assert (clock(found.since), clock(found.at), found.until, found.place) == ("10:00", "10:05", None, "a")
    assert (found.measure, found.limit, found.unit, found.severity) == (3600, 300, "s", "note")
    assert (found.lon, found.lat) == pytest.approx((LON, LAT), abs=1e-6)


def test_a_truck_that_moves_about_in_a_place_dwells_there() -> None:
    """A dwell is no stop."""
    rounds: list[Report] = [(c, 60.0 * (k % 3 - 1), 0, 5) for k, (c, *_) in enumerate(every(60, "10:00", "10:10"))]
    assert told(dwells(rounds, places=[square("a", "customer")])) == [("10:00", "10:05", None)]


def test_a_dwell_ends_when_the_visit_does() -> None:
    """At the first of two fixes outside by more than 30 m, or at one by more than 200 m."""
    inside, place = every(60, "10:00", "10:10"), square("a", "customer")
    assert told(dwells([*inside, ("10:11", 150, 0, 3), ("10:12", 250, 0, 3)], places=[place])) == [("10:00", "10:05", "10:11")]
    assert told(dwells([*inside, ("10:11", 350, 0, 9)], places=[place])) == [("10:00", "10:05", "10:11")]
    assert told(dwells([*inside, ("10:11", 150, 0, 3), ("10:12", 120, 0, 3)], places=[place])) == [("10:00", "10:05", None)]


def test_a_dwell_that_ended_before_it_was_presumed_ends_where_that_was_seen() -> None:
    """Silent from 10:04, presumed at 10:07, seen outside at 10:20; it ended nowhere before."""
    [found] = dwells([*every(60, "10:00", "10:04"), ("10:20", 900, 0, 9)], places=[square("a", "customer")])
    assert (clock(found.at), clock(found.until), found.presumed) == ("10:07", "10:20", True)


def test_a_places_own_limit_comes_before_that_of_its_kind() -> None:
    """Also where its kind has none."""
    places = [square("a", "customer", max_dwell="8m"), square("b", "yard", max_dwell="3m"), square("c", "yard")]
    assert told(dwells(every(60, "10:00", "10:10"), places=places)) == [("10:00", "10:03", None), ("10:00", "10:08", None)]


@pytest.mark.parametrize(
    ("kind", "limit_h"),
    [
        ("customer", 4), ("rest_area", 11), ("parking", 11), ("fuel", 1), ("repair", 8), ("port_of_entry", 3), ("yard", None),
        ("drop", None), ("inspection_station", None), ("no_stop", None), ("high_risk", None), ("restricted", None),
    ],
)  # fmt: skip
def test_each_kind_has_its_limit(kind: str, limit_h: float | None) -> None:
    """By default, in hours; a note at a customer, else a warning."""
    said = ["detectors.long_dwell.customer=4h", "detectors.unauthorized_stop.limit=30d"]
    found = dwells(every(300, "00:00", "12:00"), places=[square("a", kind)], said=said)
    assert [s.limit / 3600 for s in found] == ([] if limit_h is None else [limit_h])
    assert all(s.severity == ("note" if kind == "customer" else "warning") for s in found)


def test_another_carriers_place_is_no_place() -> None:
    """One's own is, and everybody's."""
    places = [square(name, "customer", carrier=carrier) for name, carrier in (("a", "south"), ("b", "north"), ("c", None))]
    assert [s.place for s in dwells(every(60, "10:00", "10:06"), places=places)] == ["b", "c"]


def test_a_load_class_may_have_a_limit_of_its_own() -> None:
    """It counts from the first fix judged under it."""
    said = ["load.high_value.long_dwell.customer=2m", "detectors.long_dwell.customer=1h"]
    found = dwells(
        every(60, "10:00", "10:30"),
        places=[square("a", "customer")],
        trips=[trip(start="10:09:30", load="high_value")],
        said=said,
    )
    assert [(clock(s.at), s.limit) for s in found] == [("10:10", 120)]


def test_a_trip_may_say_that_a_places_own_limit_does_not_hold() -> None:
    """What a trip says comes before what the place does, also that there is no limit; of another kind it says nothing."""
    free = replace(trip(), limits={"long_dwell": {"yard": None}})
    places = [square("a", "yard", max_dwell="3m"), square("b", "drop", max_dwell="3m")]
    assert [s.place for s in dwells(every(60, "10:00", "10:30"), places=places, trips=[free])] == ["b"]


def limited(start: str, end: str, minutes: int, name: str = "trip") -> Trip:
    """A trip on which yards have a limit; without it they have none."""
    return replace(trip(name, start, end), limits={"long_dwell": {"yard": timedelta(minutes=minutes)}})


@pytest.mark.parametrize(
    "cuts", [(), (at("10:20"), at("11:20"), at("12:05")), tuple(at(c) for c, *_ in every(300, "10:00", "13:00"))]
)
@pytest.mark.parametrize(
    ("trips", "expected"),
    [
        ([limited("12:00", "23:00", 30)], [("10:00", "12:00", None)]),  # not at 10:30, two hours before it was a limit
        ([limited("12:00", "23:00", 150)], [("10:00", "12:30", None)]),
        ([limited("09:00", "11:00", 30)], [("10:00", "10:30", "11:00")]),
        ([limited("09:00", "11:00", 90)], []),
        ([limited("09:00", "11:00", 90, "a"), limited("12:00", "23:00", 90, "b")], [("10:00", "12:00", None)]),
        (
            [limited("09:00", "11:00", 30, "a"), limited("12:00", "23:00", 30, "b")],
            [("10:00", "10:30", "11:00"), ("10:00", "12:00", None)],
        ),
    ],
)
def test_a_limit_counts_from_the_first_fix_under_it_and_where_none_holds_any_more_it_is_over(
    trips: list[Trip], expected: list[tuple[str | None, ...]], cuts: tuple[int, ...]
) -> None:
    """A truck in a yard for three hours, a report every five minutes."""
    found = watch(every(300, "10:00", "13:00"), places=[square("y", "yard")], trips=trips, cuts=cuts).of("long_dwell")
    assert told(found) == expected


@pytest.mark.parametrize(
    ("trips", "expected"),
    [
        ([limited("10:05", "23:00", 3)], [("10:00", "10:06", None)]),  # judged first by the fix after it
        ([limited("09:00", "10:05", 3, "a"), limited("10:06", "23:00", 3, "b")], [("10:00", "10:03", None)]),  # none lifts it
        (
            [limited("09:00", "10:05", 9, "a"), trip("b", "10:05", "10:06"), limited("10:06", "23:00", 9, "c")],
            [("10:00", "10:09", None)],
        ),
    ],
)
def test_a_fix_that_may_be_the_first_outside_is_judged_under_no_limit(
    trips: list[Trip], expected: list[tuple[str | None, ...]]
) -> None:
    """At 10:05, 40 m out; at 10:06 it is back."""
    reports = [(c, 140.0 if c.startswith("10:05") else 0.0, 0.0, 0.0) for c, *_ in every(60, "10:00", "10:12")]
    assert told(dwells(reports, places=[square("y", "yard")], trips=trips)) == expected


def test_silence_in_a_place_is_presumed_to_be_spent_there() -> None:
    """From the limit on, whatever the precision of the last fix."""
    [found] = dwells(every(60, "10:00", "10:02"), places=[square("a", "customer")], until=at("11:00"), accuracy=[500] * 3)
    assert (clock(found.at), found.presumed) == ("10:05", True)


def test_a_visit_is_one_signal_however_long() -> None:
    """And the next one another."""
    reports: list[Report] = [*every(60, "10:00", "10:10"), ("10:11", 900, 0, 15), *every(60, "10:13", "10:20")]
    found = dwells(reports, places=[square("a", "customer")])
    assert told(found) == [("10:00", "10:05", "10:11"), ("10:13", "10:18", None)]
    assert all(a.until is not None and a.until <= b.since for a, b in pairwise(found))
