"""Why a signal was raised and why a stop was not: sentences with numbers that are right, in both languages alike."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detectors import DETECTORS
from monitor.explain import ALARMS, EXPLANATIONS, LANGUAGES, NOWHERE, SEVERITIES, TITLES, english, explain, french, title, why_not
from monitor.explain.figures import FIXED, NARROW, interval, span, typeset
from monitor.explain.log import trip_log
from monitor.explain.spot import ground_of
from monitor.fixes import ALARM_NAMES
from monitor.permits import Authorization, Lockdown, Permits
from monitor.places import KINDS, STANDING_KINDS, Geofences, Place, load_geofences
from monitor.settings import LOADS, load_settings
from monitor.signals import Signal
from monitor.stops import Stop
from monitor.trips import Trip, Trips
from monitor.world import World
from tests import build, tracks
from tests.handmade import TRUCK, at, degrees, every

ROOT = Path(__file__).resolve().parent.parent
GEOD = pyproj.Geod(ellps="WGS84")
HERE = degrees(0, 0)
TORONTO = ZoneInfo("America/Toronto")

PLACES = (
    build.square("Rest", "rest_area", east=3000),  # its edge is 2.9 km away
    build.square("Depot", "customer", east=-9000, max_dwell="2h"),
    build.square("Works", "customer", north=6000, hours="Mo-Fr 06:00-18:00"),
    build.square("Yard", "yard", north=-50_000, half=1000, hours="Mo-Fr 06:00-18:00", carrier=TRUCK.carrier),
    build.square("Belt", "no_stop", half=500, east=20_000),
    build.square("Fort", "restricted", north=20_000),
    build.square("Vale", "dead_zone", north=30_000),
    build.square("Theirs", "yard", east=500, carrier="another"),  # nearer, but not for this carrier
)
ROUTE = dataclasses.replace(build.line("R-1", corridor=800.0), name="Main road")


def trip(**changes: Any) -> Trip:
    values: dict[str, Any] = {"origin": "Yard", "load": "high_value", "trailer": "TR-9"}
    return Trip("T-7", *TRUCK, ("R-1",), at("00:00"), at("23:59"), **{**values, **changes})


def world(*said: str, permits: Permits | None = None, on: Trip | None = None) -> World:
    geofences = Geofences(PLACES, (ROUTE,), "v")
    return World(load_settings(None, said), geofences, Trips([on or trip()]), permits or Permits())


def signal(kind: str = "unauthorized_stop", **changes: Any) -> Signal:
    """A signal of the truck at the middle of the world, 15:00 to 15:34 UTC (10:00 to 10:34 in Toronto)."""
    values: dict[str, Any] = {
        "kind": kind, "carrier": TRUCK.carrier, "vehicle": TRUCK.vehicle, "place": None, "route": None, "trip": None,
        "since": at("15:00"), "at": at("15:05"), "until": at("15:34"), "presumed": False, "lon": HERE[0], "lat": HERE[1],
        "measure": 2040.0, "limit": 1800.0, "unit": "s", "severity": "warning", "raised": at("15:05"), "decided": at("15:34"),
        "closed": True,
    }  # fmt: skip
    return Signal(**{**values, **changes})


def spot(east: float, north: float) -> dict[str, Any]:
    lon, lat = degrees(east, north)
    return {"lon": lon, "lat": lat}


LOCKED = Permits((), (Lockdown("L-1", at("12:00"), at("20:00"), "theft reported nearby", "M. Roy", TRUCK.carrier),))
OPEN: dict[str, Any] = {"until": None, "closed": False}

GOLDEN: Mapping[str, tuple[Signal, World, str, str]] = {
    "unauthorized_stop": (
        signal(),
        world(),
        "stood 34 min at 44.25123, -76.50123, 2.9 km from the nearest place where it may: Rest; limit 30 min as a rule",
        "immobile 34 min à 44.25123, -76.50123, à 2,9 km du lieu permis le plus proche : Rest; limite 30 min en règle générale",
    ),
    "unauthorized_stop in the red zone": (
        signal(trip="T-7", limit=300.0, severity="critical", **OPEN),
        world(),
        "stood 34 min so far at 44.25123, -76.50123, 2.9 km from the nearest place where it may: Rest; "
        "limit 5 min: high-value load, 49 km from its origin Yard, inside the red zone of 322 km",
        "immobile 34 min jusqu'ici à 44.25123, -76.50123, à 2,9 km du lieu permis le plus proche : Rest; "
        "limite 5 min : chargement de grande valeur, à 49 km de son origine (Yard), dans la zone rouge de 322 km",
    ),
    "unauthorized_stop in a no-stop place": (
        signal(trip="T-7", limit=180.0, place="Belt", presumed=True, **spot(20_000, 0)),
        world(),
        "stood 34 min at 44.25123, -76.25082, 16.9 km from the nearest place where it may: Rest; "
        "limit 3 min: inside Belt (no-stop area), high-value load; presumed: silent since its last report, which showed it",
        "immobile 34 min à 44.25123, -76.25082, à 16,9 km du lieu permis le plus proche : Rest; limite 3 min : "
        "dans Belt (zone sans arrêt), chargement de grande valeur; présumé : silencieux depuis son dernier rapport, qui le montrait",
    ),
    "unauthorized_stop at a closed place": (
        signal(since=at("23:00"), until=at("23:34"), **spot(0, 6000)),
        world(),
        "stood 34 min at 44.30523, -76.50123, in Works (customer), closed then (open Mo-Fr 06:00-18:00), "
        "6.6 km from the nearest place where it may: Rest; limit 30 min as a rule",
        "immobile 34 min à 44.30523, -76.50123, dans : Works (client), fermé à cette heure (ouvert Mo-Fr 06:00-18:00), "
        "à 6,6 km du lieu permis le plus proche : Rest; limite 30 min en règle générale",
    ),
    "unauthorized_stop at a customer that the trip does not name": (
        signal(trip="T-7", limit=900.0, **spot(-9000, 0)),
        world(on=trip(authorized_places=("Works",))),
        "stood 34 min at 44.25123, -76.61392, in Depot (customer), which its trip does not name, "
        "10.7 km from the nearest place where it may: Works; limit 15 min: high-value load",
        "immobile 34 min à 44.25123, -76.61392, dans : Depot (client), que son voyage ne nomme pas, "
        "à 10,7 km du lieu permis le plus proche : Works; limite 15 min : chargement de grande valeur",
    ),
    "unauthorized_stop where nothing is known": (
        signal(),
        NOWHERE,
        "stood 34 min at 44.25123, -76.50123, and no place is on record where it may; limit 30 min as a rule",
        "immobile 34 min à 44.25123, -76.50123, et aucun lieu permis n'est au dossier; limite 30 min en règle générale",
    ),
    "route_deviation": (
        signal("route_deviation", route="R-1", trip="T-7", measure=2340.0, limit=500.0, unit="m"),
        world(),
        "up to 2.3 km from its route Main road, from 10:00 to 10:34 EST, first at 44.25123, -76.50123; limit 500 m: high-value load",
        "jusqu'à 2,3 km de son itinéraire Main road, de 10:00 à 10:34 HNE, d'abord à 44.25123, -76.50123; "
        "limite 500 m : chargement de grande valeur",
    ),
    "route_deviation from a route with a corridor of its own": (
        signal("route_deviation", route="R-1", trip="T-7", measure=900.0, limit=800.0, unit="m", **OPEN),
        world(on=trip(load="standard")),
        "up to 900 m from its route Main road, since 10:00 EST, first at 44.25123, -76.50123; limit 800 m: the corridor of this route",
        "jusqu'à 900 m de son itinéraire Main road, depuis 10:00 HNE, d'abord à 44.25123, -76.50123; "
        "limite 800 m : couloir de cet itinéraire",
    ),
    "wrong_way": (
        signal("wrong_way", route="R-1", trip="T-7", measure=12_340.0, limit=10_000.0, unit="m"),
        world(),
        "came back 12.3 km along its route Main road from the furthest point, which it reached at 10:00 EST at 44.25123, -76.50123; "
        "limit 10.0 km as a rule",
        "revenu de 12,3 km en arrière sur son itinéraire Main road depuis le point le plus avancé, atteint à 10:00 HNE "
        "à 44.25123, -76.50123; limite 10,0 km en règle générale",
    ),
    "long_dwell": (
        signal("long_dwell", place="Depot", measure=29_400.0, limit=7200.0),
        world(),
        "in Depot (customer) for 8 h 10; limit 2 h: set for this place",
        "dans : Depot (client), pendant 8 h 10; limite 2 h : fixée pour ce lieu",
    ),
    "long_dwell by the rule of its kind": (
        signal("long_dwell", place="Rest", measure=39_600.0, limit=39_600.0, presumed=True, **OPEN),
        world(),
        "in Rest (rest area) for 11 h so far; limit 11 h as a rule; presumed: silent since its last report, which showed it",
        "dans : Rest (halte routière), pendant 11 h jusqu'ici; limite 11 h en règle générale; "
        "présumé : silencieux depuis son dernier rapport, qui le montrait",
    ),
    "zone_breach": (
        signal("zone_breach", place="Fort", measure=420.0, limit=0.0, **spot(0, 20_000)),
        world(),
        "inside Fort (restricted place) for 7 min, from 10:00 to 10:34 EST, first at 44.43122, -76.50123",
        "dans : Fort (lieu interdit d'accès), pendant 7 min, de 10:00 à 10:34 HNE, d'abord à 44.43122, -76.50123",
    ),
    "zone_breach by leaving a yard": (
        signal("zone_breach", place="Yard", measure=0.0, limit=0.0, until=at("15:00")),
        world(),
        "left Yard (yard) at 10:00 EST, outside its hours (open Mo-Fr 06:00-18:00)",
        "parti de : Yard (cour), à 10:00 HNE, en dehors de ses heures (ouvert Mo-Fr 06:00-18:00)",
    ),
    "after_hours_movement": (
        signal("after_hours_movement", measure=1240.0, limit=200.0, unit="m", severity="critical"),
        world(permits=LOCKED),
        "moved 1.2 km since it last stood or might move, from 10:00 to 10:34 EST, first at 44.25123, -76.50123, "
        "under a lockdown by M. Roy: theft reported nearby; limit 200 m as a rule",
        "déplacé de 1,2 km depuis qu'il s'est arrêté ou pouvait rouler, de 10:00 à 10:34 HNE, d'abord à 44.25123, -76.50123, "
        "sous une immobilisation ordonnée par M. Roy : theft reported nearby; limite 200 m en règle générale",
    ),
    "after_hours_movement outside the hours and on no trip": (
        signal("after_hours_movement", measure=1240.0, limit=200.0, unit="m"),
        world("detectors.after_hours_movement.hours=Mo-Fr 12:00-20:00", "detectors.after_hours_movement.without_trip=true"),
        "moved 1.2 km since it last stood or might move, from 10:00 to 10:34 EST, first at 44.25123, -76.50123, "
        "outside the hours Mo-Fr 12:00-20:00 and on no trip; limit 200 m as a rule",
        "déplacé de 1,2 km depuis qu'il s'est arrêté ou pouvait rouler, de 10:00 à 10:34 HNE, d'abord à 44.25123, -76.50123, "
        "hors des heures Mo-Fr 12:00-20:00 et sans voyage; limite 200 m en règle générale",
    ),
    "separation": (
        signal("separation", trip="T-7", measure=512.0, limit=150.0, unit="m", severity="critical"),
        world(),
        "under way up to 510 m from its trailer TR-9, from 10:00 to 10:34 EST, first at 44.25123, -76.50123; limit 150 m as a rule",
        "en route jusqu'à 510 m de sa remorque TR-9, de 10:00 à 10:34 HNE, d'abord à 44.25123, -76.50123; "
        "limite 150 m en règle générale",
    ),
    "signal_lost": (
        signal("signal_lost", trip="T-7", measure=6.0, limit=6.0, unit="min", presumed=True, **OPEN),
        world(),
        "silent since 10:00 EST; last heard under way at 44.25123, -76.50123; limit 6 min: high-value load",
        "silencieux depuis 10:00 HNE; reçu pour la dernière fois en route à 44.25123, -76.50123; "
        "limite 6 min : chargement de grande valeur",
    ),
    "signal_lost in a dead zone": (
        signal("signal_lost", place="Vale", measure=45.0, limit=45.0, unit="min", presumed=True, **OPEN, **spot(0, 30_000)),
        world(),
        "silent since 10:00 EST; last heard under way at 44.52122, -76.50123, in Vale (area without coverage); limit 45 min as a rule",
        "silencieux depuis 10:00 HNE; reçu pour la dernière fois en route à 44.52122, -76.50123, dans : Vale (zone sans couverture); "
        "limite 45 min en règle générale",
    ),
    "signal_lost of a slow feed, ended": (
        signal("signal_lost", measure=19.0, limit=30.0, unit="min", presumed=True),
        world(),
        "silent from 10:00 to 10:34 EST; last heard under way at 44.25123, -76.50123; 19 min of 34 min unaccounted for at 80 km/h; "
        "limit 30 min: three of its report intervals of 10 min",
        "silencieux de 10:00 à 10:34 HNE; reçu pour la dernière fois en route à 44.25123, -76.50123; "
        "19 min de 34 min sans explication à 80 km/h; limite 30 min : trois de ses intervalles de 10 min en route",
    ),
    "signal_lost while parked, heard elsewhere": (
        signal("signal_lost", measure=400.0, limit=360.0, unit="min", presumed=True, severity="critical", until=at("23:00")),
        world(),
        "silent from 10:00 to 18:00 EST; last heard standing at 44.25123, -76.50123; 6 h 40 of 8 h unaccounted for at 80 km/h, "
        "and heard again elsewhere; limit 6 h: three times 2 h, until its rhythm while parked is known",
        "silencieux de 10:00 à 18:00 HNE; reçu pour la dernière fois à l'arrêt à 44.25123, -76.50123; 6 h 40 de 8 h sans explication "
        "à 80 km/h, puis reçu ailleurs; limite 6 h : trois fois 2 h, tant que son rythme à l'arrêt n'est pas connu",
    ),
    "signal_lost while parked, by what was learned": (
        signal("signal_lost", measure=120.0, limit=120.0, unit="min", presumed=True, severity="note", **OPEN),
        world(),
        "silent since 10:00 EST; last heard standing at 44.25123, -76.50123; limit 2 h: three of its parked report intervals of 40 min",
        "silencieux depuis 10:00 HNE; reçu pour la dernière fois à l'arrêt à 44.25123, -76.50123; "
        "limite 2 h : trois de ses intervalles de 40 min à l'arrêt",
    ),
    "door_open": (
        signal("door_open", measure=0.0, limit=0.0, **OPEN),
        world(),
        "its cargo door has been open since 10:00 EST, first at 44.25123, -76.50123, 2.9 km from the nearest place where it may: Rest",
        "sa porte de chargement est ouverte depuis 10:00 HNE, d'abord à 44.25123, -76.50123, "
        "à 2,9 km du lieu permis le plus proche : Rest",
    ),
    "door_open under way": (
        signal("door_open", measure=0.0, limit=0.0, **spot(3000, 0)),
        world(),
        "its cargo door was open from 10:00 to 10:34 EST, first at 44.25123, -76.46367, under way",
        "sa porte de chargement était ouverte de 10:00 à 10:34 HNE, d'abord à 44.25123, -76.46367, en route",
    ),
    "device_alarm": (
        signal("device_alarm", detail="panic", measure=0.0, limit=0.0, severity="critical", **OPEN),
        world(),
        "its device reports panic since 10:00 EST, first at 44.25123, -76.50123",
        "son appareil signale la détresse depuis 10:00 HNE, d'abord à 44.25123, -76.50123",
    ),
    "device_alarm of jamming, nowhere known": (
        signal("device_alarm", detail="jamming", measure=120.0, limit=60.0, lon=math.nan, lat=math.nan),
        world(),
        "its device reported jamming of its signals from 10:00 to 10:34 EST, first at a position not known; limit 1 min as a rule",
        "son appareil a signalé un brouillage de ses signaux de 10:00 à 10:34 HNE, d'abord à une position inconnue; "
        "limite 1 min en règle générale",
    ),
    "impossible_movement": (
        signal("impossible_movement", measure=84_000.0, limit=4200.0, unit="m", severity="note", at=at("15:00")),
        world(),
        "its position moved 84 km at once at 10:00 EST to 44.25123, -76.50123; at 252 km/h no more than 4.2 km was possible",
        "sa position a sauté de 84 km d'un coup à 10:00 HNE, jusqu'à 44.25123, -76.50123; "
        "à 252 km/h, pas plus de 4,2 km n'était possible",
    ),
}  # fmt: skip
each_case = pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN.keys())


def plain(text: str) -> str:
    """A text with common spaces for the no-break ones."""
    return text.replace(NARROW, " ").replace(FIXED, " ")


@each_case
def test_each_kind_says_why_it_was_raised_in_both_languages(case: tuple[Signal, World, str, str]) -> None:
    seen, ground, in_english, in_french = case
    assert explain(seen, ground, "en") == in_english
    assert plain(explain(seen, ground, "fr")) == in_french


@each_case
def test_both_languages_say_the_same_numbers(case: tuple[Signal, World, str, str]) -> None:
    seen, ground, *_ = case
    figures = [re.findall(r"\d+(?:[.,:]\d+)?", plain(explain(seen, ground, language))) for language in LANGUAGES]
    assert sorted(figures[0]) == sorted(number.replace(",", ".") for number in figures[1])


@each_case
def test_french_numbers_keep_to_their_units(case: tuple[Signal, World, str, str]) -> None:
    said = explain(case[0], case[1], "fr")
    assert not re.search(r"\d (?:km|m|min|h|s)\b", said), "a common space before a unit"
    assert not re.search(r"\d\.\d+.(?:km|m)\b", said), "a decimal point"
    assert not re.search(r" :", said), "a common space before a colon"


def test_french_typography() -> None:
    assert typeset("8 h 10 de 11 h : 2,1 km à 80 km/h, 45 %", "fr") == (
        f"8{NARROW}h{NARROW}10 de 11{NARROW}h{FIXED}: 2,1{NARROW}km à 80{NARROW}km/h, 45{NARROW}%"
    )
    assert typeset("8 h 10: 2.1 km", "en") == "8 h 10: 2.1 km"
    assert [span(minutes * 60_000) for minutes in (34, 60, 490, 660)] == ["34 min", "1 h", "8 h 10", "11 h"]


def test_hours_name_the_day_where_it_is_another_and_the_zone_where_it_changes() -> None:
    assert interval(at("15:00"), at("15:34"), TORONTO, "en") == ("10:00", "10:34 EST")
    assert interval(at("15:00"), at("15:34") + 86_400_000, TORONTO, "fr") == ("10:00 HNE", "mar. 3 mars 10:34 HNE")
    summer = 1_772_953_200_000  # 8 March 2026, 07:00 UTC: two o'clock becomes three
    assert interval(summer - 60_000, summer, TORONTO, "en") == ("01:59 EST", "03:00 EDT")


def test_every_kind_has_its_words_in_both_languages() -> None:
    kinds = {detector.KIND for detector in DETECTORS} | {"separation"}
    for table in (EXPLANATIONS, TITLES):
        assert table.keys() == set(LANGUAGES)
        assert all(kinds <= said.keys() for said in table.values())
        assert list(table["en"]) == list(table["fr"])
    assert [function.__name__ for function in english.KINDS.values()] == list(english.KINDS)
    assert [function.__name__ for function in french.KINDS.values()] == list(french.KINDS)
    assert {seen.kind for seen, *_ in GOLDEN.values()} >= kinds


def test_every_word_list_is_whole_in_both_languages() -> None:
    for language in (english, french):
        assert set(language.PLACES) == set(KINDS)
        assert set(language.LOADS) == set(LOADS)
        assert set(language.ALARMS) == set(language.REPORTED) == set(ALARM_NAMES) - {"unlock", "door", "other"}
    assert {tuple(said) for said in SEVERITIES.values()} == {("note", "warning", "critical")}


@pytest.mark.parametrize(
    "accusing", ["theft", "stolen", "suspect", "thief", "illegal", "crime", r"\bvol\b", "volé", "unauthorized"]
)
def test_no_sentence_accuses(accusing: str) -> None:
    for seen, ground, *_ in GOLDEN.values():
        for language in LANGUAGES:
            said = f"{title(seen, language)}: {explain(seen, ground, language)}".replace("theft reported nearby", "")
            assert not re.search(accusing, said.lower())


def test_an_alarm_is_called_by_its_name_and_an_unknown_kind_as_it_is() -> None:
    assert title(signal("device_alarm", detail="panic"), "en") == ALARMS["en"]["panic"]
    assert title(signal("device_alarm", detail="smoke"), "fr") == "smoke"
    assert title(signal("flying_saucer"), "en") == "flying saucer"
    assert explain(signal("flying_saucer", measure=90.0, limit=60.0), world(), "en") == (
        "1 min, from 10:00 to 10:34 EST, first at 44.25123, -76.50123; limit 1 min"
    )


LIMIT = "detectors.unauthorized_stop.limit"
TWENTY = {"unauthorized_stop": {"limit": timedelta(minutes=20)}}
OF_LOAD, OF_CARRIER = "load.high_value.unauthorized_stop.limit=20m", "carrier.north.unauthorized_stop.limit=20m"
HOLDERS: Mapping[str, tuple[World, str]] = {
    "trip": (world(OF_LOAD, OF_CARRIER, on=trip(limits=TWENTY)), "limit 20 min: set for trip T-7"),
    "load": (world(OF_LOAD, OF_CARRIER), "limit 20 min: high-value load"),
    "carrier": (world(OF_CARRIER, on=trip(load="dangerous")), "limit 20 min: set for carrier north"),
    "rule": (world(f"{LIMIT}=20m", on=trip(load="dangerous")), "limit 20 min as a rule"),
    "nobody any more": (world(on=trip(load="dangerous")), "limit 20 min"),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_limit_says_who_set_it_the_most_special_first(holder: str) -> None:
    ground, said = HOLDERS[holder]
    assert explain(signal(trip="T-7", limit=1200.0), ground, "en").split("; ")[-1] == said


def test_a_limit_of_a_place_is_said_to_be_its_own() -> None:
    said = {"unauthorized_stop": {"limit": timedelta(minutes=10)}}
    risky = dataclasses.replace(build.square("Risky", "high_risk"), limits=said)
    ground = World(load_settings(None), Geofences((risky,), (), "v"), Trips())
    assert explain(signal(limit=600.0), ground, "en").endswith("limit 10 min: set for this place")


def test_an_earlier_limit_still_has_its_reason() -> None:
    ground = World(load_settings(None, [f"{LIMIT}=45m"]), Geofences(), Trips(), Permits(), [(at("20:00"), load_settings(None))])
    assert explain(signal(), ground, "en").endswith("limit 30 min as a rule")


def test_the_nearest_permitted_place_is_the_one_that_pyproj_finds() -> None:
    """Against every vertex of every permitted edge, cut to ten metres, measured by the geodesic."""
    geofences = load_geofences(ROOT / "geofences", "America/Toronto")
    ground = ground_of(World(load_settings(None), geofences, Trips()))
    random = np.random.default_rng(7)

    def permitted(place: Place) -> bool:
        return place.kind in STANDING_KINDS and place.kind != "fuel"

    edges = {
        p.id: shapely.get_coordinates(shapely.segmentize(p.geometry.boundary, 1e-4)) for p in geofences.places if permitted(p)
    }
    for lon, lat in zip(random.uniform(-80, -73, 40), random.uniform(42.5, 46, 40), strict=True):
        found = ground.nearest(lon, lat, permitted)
        truth = {
            name: GEOD.inv(np.full(len(c), lon), np.full(len(c), lat), c[:, 0], c[:, 1])[2].min() for name, c in edges.items()
        }
        assert found is not None
        assert found[1] == pytest.approx(min(truth.values()), rel=0.005, abs=10)
        assert truth[found[0].id] == pytest.approx(min(truth.values()), rel=0.01)


def test_a_place_whose_box_is_near_but_whose_edge_is_far_is_not_the_nearest() -> None:
    corners = [(-9000, -9000), (9000, -9000), (9000, -8000), (-8000, -8000), (-8000, 9000), (-9000, 9000)]
    around = Place("Around", "Around", "yard", shapely.Polygon([degrees(*corner) for corner in corners]))
    ground = World(load_settings(None), Geofences((around, PLACES[0]), (), "v"), Trips())
    assert "2.9 km from the nearest place where it may: Rest" in explain(signal(), ground, "en")


def test_a_critical_stop_in_a_no_stop_place_says_that_it_is_in_the_red_zone() -> None:
    seen = dataclasses.replace(GOLDEN["unauthorized_stop in a no-stop place"][0], severity="critical", presumed=False)
    assert explain(seen, world(), "en").endswith("inside Belt (no-stop area), high-value load, inside the red zone")
    assert explain(seen, world(), "fr").endswith("chargement de grande valeur, dans la zone rouge")


def test_a_place_that_changed_is_the_one_of_the_time() -> None:
    """Two versions of a place differ in nothing but their hours and when they hold."""
    hours = ("Mo-Fr 06:00-18:00", "Mo-Fr 06:00-19:00")
    old, new = (build.square("Yard", "yard", north=-50_000, half=1000, hours=each) for each in hours)
    old = dataclasses.replace(old, valid_until=at("12:00"))
    new = dataclasses.replace(new, valid_from=at("12:00"))
    ground = World(load_settings(None), Geofences((old, new), (ROUTE,), "v"), Trips([trip()]))
    seen = signal(trip="T-7", limit=300.0, severity="critical")
    assert "49 km from its origin Yard" in explain(seen, ground, "en")
    left = signal("zone_breach", place="Yard", measure=0.0, limit=0.0)
    assert explain(left, ground, "en").endswith("(open Mo-Fr 06:00-19:00)")
    assert explain(dataclasses.replace(left, since=at("11:00")), ground, "en").endswith("(open Mo-Fr 06:00-18:00)")


def test_beyond_the_red_zone_it_is_no_reason() -> None:
    seen = signal(trip="T-7", limit=300.0, severity="critical")
    assert "inside the red zone of 49 km" in explain(seen, world("detectors.unauthorized_stop.red_zone_m=49100"), "en")
    assert explain(seen, world("detectors.unauthorized_stop.red_zone_m=48000"), "en").endswith("; limit 5 min")


def test_inside_a_permitted_place_the_nearest_is_no_way_off() -> None:
    ground = ground_of(world())
    found = ground.nearest(*degrees(3000, 0), lambda place: place.id == "Rest")
    assert found is not None
    assert (found[0].id, found[1]) == ("Rest", 0.0)
    assert ground.nearest(*HERE, lambda _: False) is None


def test_another_carriers_place_is_never_named() -> None:
    assert "Theirs" not in explain(signal(), world(), "en")
    assert "Theirs" in explain(signal(carrier="another"), world(), "en")


def test_the_red_zone_distance_is_the_geodesic_one() -> None:
    seen, ground, *_ = GOLDEN["unauthorized_stop in the red zone"]
    corners = shapely.get_coordinates(shapely.segmentize(PLACES[3].geometry.boundary, 1e-4))
    metres = GEOD.inv(np.full(len(corners), seen.lon), np.full(len(corners), seen.lat), corners[:, 0], corners[:, 1])[2].min()
    assert f"{metres / 1000:.0f} km from its origin" in explain(seen, ground, "en")


KNOWN = st.sampled_from([None, "Rest", "Depot", "Yard", "Belt", "Fort", "R-1", "T-7", "gone"])


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from([*EXPLANATIONS["en"], "gone"]),
    place=KNOWN,
    route=KNOWN,
    on=KNOWN,
    lon=st.floats(-180, 180) | st.just(math.nan),
    lat=st.floats(-90, 90),
    measure=st.floats(0, 1e9),
    limit=st.sampled_from([0.0, 5.0, 60.0, 300.0, 1800.0, 14400.0]),
    severity=st.sampled_from(["note", "warning", "critical"]),
    lasts=st.none() | st.integers(0, 10**9),
    detail=st.sampled_from([None, "panic", "gone"]),
    presumed=st.booleans(),
)
def test_every_signal_that_can_be_stored_has_one_sentence(
    kind: str, place: str | None, route: str | None, on: str | None, lon: float, lat: float, measure: float, limit: float,
    severity: str, lasts: int | None, detail: str | None, presumed: bool,
) -> None:  # fmt: skip
    """Also one whose place, route, trip or limit is no longer what it was."""
    seen = signal(
        kind, place=place, route=route, trip=on, lon=lon, lat=lat, measure=measure, limit=limit, severity=severity,
        until=None if lasts is None else at("15:00") + lasts, detail=detail, presumed=presumed,
    )  # fmt: skip
    for language in LANGUAGES:
        said = explain(seen, world(), language)
        assert said
        assert "\n" not in said
        assert "nan" not in said.lower().split()
        assert "None" not in said
        assert "  " not in said


def stop(since: str, until: str, place: str | None, *, authorized: bool, east: float = 0, north: float = 0) -> Stop:
    return Stop(TRUCK, at(since), at(until), *degrees(east, north), place, authorized, at(until))


AUTHORIZED = Permits((Authorization("A-1", *TRUCK, at("14:00"), at("20:00"), "waiting for a dock", "M. Roy"),))
RESTS: Mapping[str, tuple[Stop, World, str, str]] = {
    "a lawful rest": (
        stop("05:00", "13:10", "Rest", authorized=True, east=3000),
        world(),
        "approved rest area Rest; 8 h 10 of 11 h",
        "lieu approuvé, halte routière Rest; 8 h 10 de 11 h",
    ),
    "a place without a limit": (
        stop("12:00", "13:00", "Yard", authorized=True, north=-50_000),
        world(),
        "approved yard Yard; 1 h, no limit there",
        "lieu approuvé, cour Yard; 1 h, sans limite",
    ),
    "a place with its own limit": (
        stop("12:00", "13:00", "Depot", authorized=True, east=-9000),
        world(),
        "approved customer Depot; 1 h of 2 h",
        "lieu approuvé, client Depot; 1 h de 2 h",
    ),
    "shorter than its limit": (
        stop("15:00", "15:04", None, authorized=False),
        world(),
        "4 min of 5 min allowed here, 2.9 km from the nearest place where it may: Rest",
        "4 min de 5 min permises ici, à 2,9 km du lieu permis le plus proche : Rest",
    ),
    "only part of it barred": (
        stop("17:35", "18:25", "Works", authorized=False, north=6000),
        world(on=trip(load="standard")),
        "50 min, less than 30 min of it where it may not",
        "50 min, dont moins de 30 min où il ne peut pas",
    ),
    "authorized": (
        stop("15:00", "16:00", None, authorized=True),
        world(permits=AUTHORIZED),
        "authorized until 15:00 EST by M. Roy: waiting for a dock; 1 h",
        "autorisé jusqu'à 15:00 HNE par M. Roy : waiting for a dock; 1 h",
    ),
}


@pytest.mark.parametrize("rest", RESTS.values(), ids=RESTS.keys())
def test_every_stop_says_why_it_was_not_raised(rest: tuple[Stop, World, str, str]) -> None:
    stood, ground, in_english, in_french = rest
    assert why_not(stood, ground, "en") == in_english
    assert plain(why_not(stood, ground, "fr")) == in_french


def test_a_stop_during_which_something_was_raised_says_what() -> None:
    stood = stop("15:00", "15:34", None, authorized=False)
    raised = [signal(), signal("route_deviation", unit="m"), signal(vehicle="T-2")]
    raised += [signal(since=at(begin), until=at(end)) for begin, end in (("14:00", "14:59"), ("16:00", "17:00"))]
    assert why_not(stood, world(), "en", raised) == "raised: unscheduled stop, not yet explained"
    assert why_not(stood, world(), "fr", raised) == f"signalé{FIXED}: arrêt imprévu, pas encore expliqué"
    assert why_not(stood, world(), "en", raised[1:]).startswith("34 min")


def test_what_the_pipeline_raises_is_explained_from_the_signal_alone() -> None:
    rest, away = (
        build.square("Rest", "rest_area", east=5000),
        every(60, "10:00", "10:34") + every(60, "10:36", "11:00", east=5000),
    )
    found = build.watch(away, places=[rest])
    [raised] = found.of("unauthorized_stop")
    ground = build.world(places=[rest])
    assert explain(raised, ground, "en") == (
        "stood 34 min at 44.25123, -76.50123, 4.9 km from the nearest place where it may: Rest; limit 5 min as a rule"
    )
    lines = [plain(line) for line in trip_log(found.signals, found.stops, ground, "fr")]
    assert lines == [
        "T-1 de north",
        "  lun. 2 mars 2026",
        "    05:00 – 05:34 HNE  AVERTISSEMENT  arrêt imprévu, pas encore expliqué : immobile 34 min à 44.25123, -76.50123, "
        "à 4,9 km du lieu permis le plus proche : Rest; limite 5 min en règle générale",
        "    05:00 – 05:34 HNE  arrêt          signalé : arrêt imprévu, pas encore expliqué",
        "    05:36 – 06:00 HNE  arrêt          lieu approuvé, halte routière Rest; 24 min de 11 h",
    ]


@pytest.mark.parametrize("seed", [12, 13, 15, 17])
def test_in_random_worlds_every_limit_has_its_reason_and_every_stop_its_own(seed: int) -> None:
    random = tracks.random_world(seed, 60)
    ground = build.world_of(random)
    found = build.run(ground, random.vehicles, random.fixes, int(random.fixes.time.view(np.int64).max()))
    assert found.signals
    for seen in found.signals:
        for language, reason in (("en", r"limit \d.*(: | as a rule)"), ("fr", r"limite \d.*( : | en règle générale)")):
            said = plain(explain(seen, ground, language))
            assert not seen.limit or seen.kind == "impossible_movement" or re.search(reason, said), said
    assert all(why_not(stood, ground, language, found.signals) for stood in found.stops for language in LANGUAGES)


def test_an_empty_log_says_so() -> None:
    assert trip_log([], [], NOWHERE, "en") == ["nothing to tell"]
