"""What people read: neutral, complete, in their language and their time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pytest

from monitor.alerts.fold import fold
from monitor.alerts.incident import EVERYTHING, Incident, Member, acknowledge, resolve
from monitor.alerts.notice import WORDS, Occasion, Outlook, ahead, standing, write
from monitor.alerts.whereabouts import Surroundings, clock_time, date_time, length, span, where
from monitor.explain import TITLES
from monitor.explain.figures import FIXED, NARROW
from monitor.places import Geofences, Place, circle
from monitor.settings import Alerts, load_settings
from monitor.signals import Change, Signal, instant
from monitor.trips import Trips
from monitor.world import World
from tests.alerts.scenes import SURROUNDINGS, hour, raised, seen, withdrawn

YARD = Place("y", "Milton yard", "yard", circle(-79.90, 43.50, 1000.0))
NEXT = Outlook(hour("10:35"), ("dispatch",))


def incident(*changes: Change, number: int = 12) -> Incident:
    [change] = fold([], changes or [raised(seen("10:00"), 1)], hour("10:31"), Alerts())
    return dataclasses.replace(change.after, id=number)


def words(language: str, *changes: Change, occasion: Occasion = Occasion.RAISED) -> Sequence[str]:
    return "\n".join(write(occasion, incident(*changes), NEXT, SURROUNDINGS, language)).splitlines()


def test_a_notice_in_english_says_who_what_where_since_when_how_it_stands_and_what_happens_next() -> None:
    assert words("en") == [
        "[WARNING] truck-17: unscheduled stop, not yet explained (incident 12)",
        "Who:   truck-17 of northline",
        "What:  unscheduled stop, not yet explained: stood 31 min so far at 43.51234, -79.88123, "
        "and no place is on record where it may; limit 30 min as a rule",
        "Where: 2.0 km NE of Milton yard (43.51234, -79.88123)",
        "Since: Wed 4 Feb 2026 05:00 EST (10:00 UTC)",
        "State: open; nobody has acknowledged it",
        "Next:  rings dispatch again at 05:35 EST unless acknowledged",
        "To stop the ringing: monitor ack 12 --by YOUR-NAME",
    ]


def test_a_notice_in_french_says_the_same() -> None:
    assert [line.replace(NARROW, " ").replace(FIXED, " ") for line in words("fr")] == [
        "[AVERTISSEMENT] truck-17 : arrêt imprévu, pas encore expliqué (incident 12)",
        "Qui :    truck-17 de northline",
        "Quoi :   arrêt imprévu, pas encore expliqué : immobile 31 min jusqu'ici à 43.51234, -79.88123, "
        "et aucun lieu permis n'est au dossier; limite 30 min en règle générale",
        "Où :     à 2,0 km au nord-est de Milton yard (43.51234, -79.88123)",
        "Depuis : mer. 4 févr. 2026 05:00 HNE (10:00 UTC)",
        "État :   ouvert; personne n'en a accusé réception",
        "Suite :  rappel à dispatch à 05:35 HNE sauf accusé de réception",
        "Pour faire cesser les rappels : monitor ack 12 --by VOTRE-NOM",
    ]


def test_every_word_is_there_in_both_languages() -> None:
    assert WORDS["en"].keys() == WORDS["fr"].keys()


def test_every_occasion_has_its_word() -> None:
    for language in WORDS:
        for occasion in Occasion:
            assert incident().vehicle in words(language, occasion=occasion)[0]


@pytest.mark.parametrize("accusing", ["theft", "stolen", "suspect", "thief", "illegal", "vol ", "volé", "unauthorized"])
def test_no_notice_accuses(accusing: str) -> None:
    for language in ("en", "fr"):
        for kind in TITLES[language]:
            for occasion in Occasion:
                assert accusing not in "\n".join(words(language, raised(seen(kind=kind), 1), occasion=occasion)).lower()


def test_a_kind_without_words_is_named_as_it_is() -> None:
    assert "lost seal" in words("fr", raised(seen(kind="lost_seal"), 1))[0]


def test_a_french_notice_keeps_its_numbers_and_colons_together() -> None:
    subject, *lines = words("fr")
    assert f"truck-17{FIXED}: arrêt" in subject
    assert f"à 2,0{NARROW}km au nord-est" in lines[2]


def test_a_notice_names_the_nearest_place_and_the_limit_of_its_world() -> None:
    ground = World(load_settings(None, ["carrier.northline.unauthorized_stop.limit=30m"]), Geofences((YARD,), (), "v"), Trips())
    text = write(Occasion.RAISED, incident(), NEXT, SURROUNDINGS, "en", world=ground)
    assert text.body.splitlines()[1] == (
        "What:  unscheduled stop, not yet explained: stood 31 min so far at 43.51234, -79.88123, "
        "1.0 km from the nearest place where it may: Milton yard; limit 30 min: set for carrier northline"
    )


def together(carrier: str, *lost: Signal) -> Incident:
    """The operational incident of vehicles that fell silent together."""
    members = tuple(Member(number, signal) for number, signal in enumerate(lost, 1))
    return dataclasses.replace(incident(), carrier=carrier, vehicle=EVERYTHING, members=members)


def test_vehicles_that_fell_silent_together_are_told_as_one() -> None:
    lost = [
        seen(f"10:0{number}", vehicle=f"truck-{number}", kind="signal_lost", unit="min", measure=10, limit=10, presumed=True)
        for number in range(1, 8)
    ]
    subject, body = write(Occasion.RAISED, together("northline", *lost), NEXT, SURROUNDINGS, "en")
    lines = body.splitlines()
    assert subject == "[WARNING] all vehicles of northline: 7 vehicles fell silent together, not yet explained (incident 12)"
    assert lines[0] == "Who:   all vehicles of northline"
    assert lines[1] == (
        "What:  7 vehicles fell silent together, not yet explained: no position of any since 05:07 EST; "
        "the first thing to look at is the feed: truck-1, truck-2, truck-3, truck-4, truck-5, and 2 more"
    )
    of_all = write(Occasion.RAISED, together("", *lost[:3]), NEXT, SURROUNDINGS, "fr")
    assert of_all.subject.startswith(f"[AVERTISSEMENT] tous les véhicules{FIXED}: 3 véhicules devenus silencieux ensemble")
    assert "northline/truck-1, northline/truck-2, northline/truck-3" in of_all.body


def test_where_no_position_is_known_the_notice_says_so() -> None:
    nowhere = dataclasses.replace(seen(), lon=math.nan, lat=math.nan)
    assert words("en", raised(nowhere, 1))[3] == "Where: position not known"
    assert words("fr", raised(dataclasses.replace(nowhere, place="Dock 9"), 1))[3] == f"Où{FIXED}:     Dock 9"


def test_an_alarm_of_the_device_is_named_in_the_subject() -> None:
    panic = dataclasses.replace(seen(kind="device_alarm", severity="critical"), detail="panic")
    assert words("en", raised(panic, 1))[0] == "[CRITICAL] truck-17: panic alarm, not yet explained (incident 12)"


def test_the_gravest_signal_is_named_first_and_says_where() -> None:
    grave = seen("10:10", severity="critical", kind="route_deviation", unit="m", measure=2340.0, limit=1000.0)
    lines = words("en", raised(seen("10:00"), 1), raised(grave, 2))
    assert lines[2] == (
        "What:  away from the planned route, not yet explained: up to 2.3 km from its route, since 05:10 EST, "
        "first at 43.51234, -79.88123; limit 1.0 km as a rule; also unscheduled stop, not yet explained"
    )
    assert lines[0].startswith("[CRITICAL]")


def test_silence_is_told_apart_from_sight() -> None:
    assert words("en", raised(seen(presumed=True), 1))[2].endswith("presumed: silent since its last report, which showed it")


def test_the_place_it_is_about_comes_first() -> None:
    named = dataclasses.replace(SURROUNDINGS, names={"p-9": "Dock 9"})
    text = write(Occasion.RAISED, incident(raised(seen(place="p-9"), 1)), NEXT, named, "en")
    assert "Where: at Dock 9, 2.0 km NE of Milton yard" in text.body


def test_what_has_ended_says_until_when() -> None:
    lines = words("en", raised(seen("10:00", "10:40"), 1), occasion=Occasion.CLEARED)
    assert lines[0] == "[WARNING] truck-17: has ended: unscheduled stop, not yet explained (incident 12)"
    assert lines[4] == "Since: Wed 4 Feb 2026 05:00 EST (10:00 UTC), until Wed 4 Feb 2026 05:40 EST (10:40 UTC)"


def test_how_it_stands_follows_the_hands_it_is_in() -> None:
    over = incident(raised(seen("10:00", "10:40"), 1))
    taken = acknowledge(over, "Ana", hour("10:45")).after
    assert standing(taken, SURROUNDINGS, "en").startswith("acknowledged by Ana at 05:45 EST. The condition has ended")
    resolved = resolve(taken, "Ana", "breakdown", "tyre", hour("11:00")).after
    assert standing(resolved, SURROUNDINGS, "en") == "resolved by Ana: breakdown"
    closed = incident(raised(seen("10:00", "10:40", severity="note"), 1))
    assert standing(closed, SURROUNDINGS, "fr") == "fermé de lui-même"
    [gone] = fold([incident()], [withdrawn(seen("10:00"), 1, "late fixes")], hour("11:00"), Alerts())
    assert "Late data took it back (late fixes)" in standing(gone.after, SURROUNDINGS, "en")


def test_where_nobody_is_rung_the_notice_says_so_and_offers_nothing_to_stop() -> None:
    text = write(Occasion.RAISED, incident(), Outlook(None), SURROUNDINGS, "en", ring=False)
    assert text.body.splitlines()[-1] == "Next:  nobody is rung"
    assert ahead(Outlook(None), SURROUNDINGS, "fr") == "personne n'est appelé"


def test_where_without_landmarks_is_coordinates_and_near_one_is_at_it() -> None:
    nowhere = Surroundings(ZoneInfo("UTC"))
    assert where(-79.5, 43.5, nowhere, "en") == "(43.50000, -79.50000)"
    here = Surroundings(ZoneInfo("UTC"), (("Yard A", -79.5, 43.5), ("Ajax", -79.0, 43.9)))
    assert where(-79.5005, 43.5, here, "en") == "at Yard A (43.50000, -79.50050)"
    assert where(-79.5, 43.5, here, "fr") == "à : Yard A (43.50000, -79.50000)"
    assert where(-79.01, 43.9, here, "fr") == "à 800 m à l'ouest d'Ajax (43.90000, -79.01000)"


@pytest.mark.parametrize(
    ("lon", "lat", "point"),
    [(0, 1, "N"), (1, 1, "NE"), (1, 0, "E"), (1, -1, "SE"), (0, -1, "S"), (-1, -1, "SW"), (-1, 0, "W"), (-1, 1, "NW")],
)
def test_the_bearing_is_from_the_landmark_to_the_vehicle(lon: float, lat: float, point: str) -> None:
    origin = Surroundings(ZoneInfo("UTC"), (("origin", 0.0, 0.0),))
    assert f" {point} of origin" in where(lon / 10, lat / 10, origin, "en")


def test_numbers_are_as_people_say_them() -> None:
    assert [length(metres, "en") for metres in (7.4, 344, 949, 951, 19_960, 61_400)] == [
        "7 m", "340 m", "950 m", "1.0 km", "20.0 km", "61 km",
    ]  # fmt: skip
    assert [span(seconds * 1000) for seconds in (-3, 40, 59.6, 3599, 3600, 90_300)] == [
        "0 s", "40 s", "1 min", "59 min", "1 h 00", "25 h 05",
    ]  # fmt: skip


def test_local_time_follows_the_season_and_says_the_other_day_of_utc() -> None:
    toronto = ZoneInfo("America/Toronto")
    assert clock_time(instant("2026-07-01T03:30:00Z"), toronto, "fr") == "23:30 HAE"
    assert date_time(instant("2026-07-01T03:30:00Z"), toronto, "en") == "Tue 30 Jun 2026 23:30 EDT (1 Jul 03:30 UTC)"
    # The hour that comes twice when summer time ends is told apart by its zone.
    twice = [clock_time(instant(f"2026-11-01T0{hour}:30:00Z"), toronto, "en") for hour in (5, 6)]
    assert twice == ["01:30 EDT", "01:30 EST"]
