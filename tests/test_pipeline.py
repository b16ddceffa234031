"""The step: rows and fixes in, rows and signals out; a broken detector costs only itself. And how a log is written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitor.detectors import DETECTORS
from monitor.episodes import Watch
from monitor.fixes import COLUMNS, FixBatch, Fleet, VehicleId, concatenate
from monitor.motion import NONE
from monitor.pipeline import fresh, step
from monitor.places import Geofences
from monitor.scene import Scene
from monitor.settings import load_settings
from monitor.signals import instant, log_line, log_lines, timestamp
from monitor.trips import Trip, Trips
from monitor.world import checked_world, place_limit_s
from tests.build import Log, line, nobody, run, square, watch, world
from tests.handmade import at, batch, clock, every, told, trip


class Broken:
    """A detector with a mistake in it."""

    KIND = "unauthorized_stop"
    UNIT = "s"

    def watch(self, scene: Scene) -> Watch:
        """Divide by what is nothing."""
        raise ZeroDivisionError(f"{len(scene.row) // 1} fixes")


# ── the step ──


def test_no_vehicles_and_no_fixes_are_no_signals() -> None:
    """The empty step."""
    fixes, fleet = nobody()
    outcome = step(fresh(fleet.ids, np.empty(0, np.int32)), fixes, np.empty(0, np.int64), world(places=[square("a", "yard")]))
    assert (outcome.signals, outcome.stops, outcome.faults) == ([], [], {})


def test_a_broken_detector_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with its error; the others go on, and what it had open waits for it."""
    fixes, fleet = batch(every(60, "10:00", "10:10"))
    on = world(places=[square("a", "customer"), square("b", "restricted")])
    rows = run(on, fleet.ids, fixes, at("10:03")).rows
    later, horizon = fixes.take(fixes.time.view(np.int64) > at("10:03")), np.array([at("10:10")])
    with monkeypatch.context() as patch:
        patch.setattr("monitor.pipeline.DETECTORS", (Broken(), *DETECTORS[1:]))
        outcome = step(rows, later, horizon, on)
    assert outcome.faults == {"unauthorized_stop": "ZeroDivisionError: 7 fixes"}
    assert [signal.kind for signal in outcome.signals] == ["long_dwell", "zone_breach"]
    waiting = outcome.rows.episodes[outcome.rows.episodes["kind"] == 0]
    assert (len(waiting), waiting["at"].tolist()) == (1, [NONE])
    assert [signal.kind for signal in step(rows, later, horizon, on).signals] == [
        "unauthorized_stop",
        "long_dwell",
        "zone_breach",
    ]


def test_the_frontier_is_the_newest_fix_or_deadline_processed() -> None:
    """A fix after it comes in time, a fix at or before it is late."""
    reports = every(60, "10:00", "10:02")
    assert watch(reports).rows.state["order"]["frontier"].tolist() == [at("10:02")]
    assert watch(reports, until=at("10:04")).rows.state["order"]["frontier"].tolist() == [at("10:02")]
    assert watch(reports, until=at("10:30")).rows.state["order"]["frontier"].tolist() == [at("10:05")]


def test_a_signal_is_closed_once_no_later_fix_can_change_it() -> None:
    """A stop that lapsed may go on; one whose cluster broke may not."""
    rolling = [*every(60, "10:00", "10:10"), ("10:11", 0.0, 0.0, 1.5)]
    away = [(f"10:{12 + k}", 2000.0 * k, 0.0, 20.0) for k in range(1, 5)]
    assert [(told([s]), s.closed) for s in watch(rolling).signals] == [([("10:00", "10:05", "10:10")], False)]
    assert [(told([s]), s.closed) for s in watch([*rolling, *away]).signals] == [([("10:00", "10:05", "10:10")], True)]


def test_every_stop_is_followed_lawful_or_not() -> None:
    """With the place it was in and whether it might be there all the while."""
    to_the_drop = [("10:06", 1000.0, 0.0, 20.0), ("10:07", 2000.0, 0.0, 20.0), ("10:08", 3000.0, 0.0, 20.0)]
    reports = [*every(60, "10:00", "10:05"), *to_the_drop, *every(60, "10:09", "10:12", east=4000)]
    found = watch(reports, places=[square("a", "drop", east=4000), square("b", "restricted")])
    assert [(clock(s.since), clock(s.until), s.place, s.authorized) for s in found.stops] == [
        ("10:00", "10:05", "b", False),
        ("10:09", "10:12", "a", True),
    ]


def test_vehicles_of_several_carriers_are_judged_by_their_own_limits() -> None:
    """Whatever their codes."""
    fleet, parts = Fleet(), []
    for who in (VehicleId("south", "A"), VehicleId("north", "B"), VehicleId("north", "A")):
        code = fleet.code(who)
        fixes, _ = batch(every(60, "10:00", "10:10"), vehicle=who)
        parts.append(FixBatch(np.full(len(fixes), code, np.int32), *(getattr(fixes, name) for name in list(COLUMNS)[1:])))
    on = world(said=["carrier.south.unauthorized_stop.limit=7m"])
    found = run(on, fleet.ids, concatenate(parts), at("10:10")).signals
    assert {(s.carrier, s.vehicle, clock(s.at)) for s in found} == {
        ("south", "A", "10:07"), ("north", "B", "10:05"), ("north", "A", "10:05"),
    }  # fmt: skip


# ── the world ──


def test_the_version_of_a_world_is_that_of_all_it_says() -> None:
    """Settings and trips; the geofences have their own."""
    versions = [
        world(said=said, trips=trips).version
        for said, trips in (((), ()), ((), ()), (["motion.radius_m=80"], ()), ((), [trip()]))
    ]
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3


def test_a_trip_that_names_what_there_is_makes_a_world() -> None:
    """Its route is known; a fix without a trip is on none."""
    geofences = Geofences((square("a", "yard"),), (line("401"),))
    plan = trip(routes=("401",), origin="a", destination="a", named=("a",))
    assert checked_world(load_settings(None), geofences, Trips([plan]), "trips").routed.tolist() == [True, False]


@pytest.mark.parametrize(
    ("kind", "own", "seconds"),
    [("customer", "2h", 7200), ("customer", None, 300), ("yard", None, np.inf), ("no_stop", None, np.inf)],
)
def test_a_visit_may_last_as_long_as_the_place_or_its_kind_says(kind: str, own: str | None, seconds: float) -> None:
    """Infinite for no limit."""
    on = world(places=[square("a", kind, max_dwell=own)])
    assert place_limit_s(on.atlas.places[0], on.settings.limits("any", "standard")) == seconds


# ── the log ──


def a_log() -> Log:
    """A breach, a stop and a dwell at once."""
    return watch(every(60, "10:00", "10:10"), places=[square("Dépôt", "customer"), square("b", "restricted")])


def test_a_line_of_the_log_is_what_others_build_on() -> None:
    """Its fields, their order and their forms."""
    [stop, dwell, _breach] = log_lines(a_log().signals)[::-1]
    assert stop == (
        '{"kind":"unauthorized_stop","vehicle":"T-1","carrier":"north","since":"2026-03-02T10:00:00.000Z",'
        '"at":"2026-03-02T10:05:00.000Z","until":null,"place":null,"route":null,"lon":-76.501234,"lat":44.251234,'
        '"measure":600.0,"limit":300.0,"unit":"s","presumed":false}'
    )
    assert (json.loads(dwell)["place"], json.loads(dwell)["kind"]) == ("Dépôt", "long_dwell")
    assert "Dépôt" in dwell


def test_the_log_is_sorted_whatever_the_order_of_its_signals() -> None:
    """By at, then by what people see."""
    found = a_log().signals
    assert log_lines(found) == log_lines(found[::-1])
    assert [json.loads(text)["kind"] for text in log_lines(found)] == ["zone_breach", "long_dwell", "unauthorized_stop"]
    assert log_line(found[0]) in log_lines(found)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00.000Z"),
        ("2026-03-02T05:00:00.25-05:00", "2026-03-02T10:00:00.250Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_told_in_utc_to_the_millisecond(text: str, utc: str) -> None:
    """And read back as it was."""
    assert timestamp(instant(text)) == utc
    assert instant(utc) == instant(text)


@pytest.mark.parametrize("text", ["2026-03-02T10:00:00", "2026-03-02", "now", ""])
def test_a_time_without_a_zone_is_no_instant(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=text or "Invalid isoformat string: ''"):
        instant(text)


def test_a_trip_is_said_with_the_signal() -> None:
    """Its id."""
    plan: Trip = trip("t-9")
    assert {s.trip for s in watch(every(60, "10:00", "10:10"), trips=[plan]).signals} == {"t-9"}
