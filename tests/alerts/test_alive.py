"""The daily word that the monitor is alive: due once a day, with how many were heard and who was not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from monitor.alerts import alive
from monitor.alerts.alive import Roll
from monitor.alerts.contacts import Contact, Reach

ZONE = ZoneInfo("America/Toronto")
HOUR = 3_600_000


def at(text: str) -> int:
    """A local time as ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-03-02 06:59:59", date(2026, 3, 1)),
        ("2026-03-02 07:00:00", date(2026, 3, 2)),
        ("2026-03-02 23:59:59", date(2026, 3, 2)),
        ("2026-03-03 00:00:00", date(2026, 3, 2)),
    ],
)
def test_the_word_of_a_day_is_due_from_its_hour_until_that_of_the_next(now: str, day: date) -> None:
    assert alive.due(at(now), "07:00", ZONE) == (day, at(f"{day} 07:00"))


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_a_day_on_which_the_clocks_change_has_one_word(day: str) -> None:
    begin, end = at(f"{day} 00:00"), at(f"{day} 23:59")
    days = [alive.due(now, "02:30", ZONE)[0] for now in range(begin, end, HOUR // 4)]
    assert days == sorted(days)
    assert len(set(days)) == 2


def test_who_was_heard_that_day_and_who_only_in_the_week_before() -> None:
    until = at("2026-03-02 07:00")
    newest = [
        ("acme", "truck-1", until - HOUR),
        ("acme", "truck-2", until - 24 * HOUR + 1),
        ("acme", "truck-4", until - 24 * HOUR),
        ("acme", "truck-3", until - 3 * 24 * HOUR),
        ("acme", "sold", until - 8 * 24 * HOUR),
        ("gone", "sold", until - 8 * 24 * HOUR),
        ("quiet", "van", until - 25 * HOUR),
    ]
    assert alive.roll(newest, until) == [Roll("acme", 2, ("truck-3", "truck-4")), Roll("quiet", 0, ("van",))]


def test_the_words_in_english() -> None:
    rolls = [Roll("acme", 2, ("truck-3",)), Roll("quiet", 0, ("a", "b", "c", "d", "e", "f", "g"))]
    text = alive.write(at("2026-03-02 07:00"), rolls, "en", ZONE, [])
    assert text.subject == "[NOTE] the monitor is alive: 2 vehicles heard"
    assert text.body.splitlines() == [
        "Heard from Sun 1 Mar 2026 07:00 EST (12:00 UTC) to Mon 2 Mar 2026 07:00 EST (12:00 UTC).",
        "acme: 2 of 3 vehicles heard; not heard: truck-3",
        "quiet: 0 of 7 vehicles heard; not heard: a, b, c, d, e and 2 more",
        "All of the monitor's own parts are in order.",
    ]


def test_the_words_in_french() -> None:
    text = alive.write(at("2026-03-02 07:00"), [Roll("acme", 1, ())], "fr", ZONE, ["database: out of reach"])
    assert text.subject == "[NOTE] le système de surveillance fonctionne\u00a0: 1 véhicule entendu"
    assert text.body.splitlines()[1:] == ["acme\u00a0: entendus 1 sur 1", "À vérifier\u00a0: database: out of reach"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_monitor_that_heard_nobody_says_so(language: str) -> None:
    text = alive.write(at("2026-03-02 07:00"), [], language, ZONE, [])
    assert {"en": "no vehicle heard", "fr": "aucun véhicule entendu"}[language] in text.subject


def test_a_day_and_a_channel_have_one_key() -> None:
    contact = Contact("night", "Night desk", "dispatch", channels=(Reach("console"), Reach("email", "n@carrier.example")))
    until = at("2026-03-02 07:00")
    first = alive.notices(date(2026, 3, 2), until, [], contact, ZONE, [], until)
    again = alive.notices(date(2026, 3, 2), until, [], contact, ZONE, [], until + HOUR)
    assert [notice.key for notice in first] == ["alive-2026-03-02-night-1", "alive-2026-03-02-night-2"]
    assert [notice.key for notice in again] == [notice.key for notice in first]
    assert {notice.incident for notice in first} == {None}
    assert [notice.address for notice in first] == ["", "n@carrier.example"]


def test_many_carriers_are_counted_and_not_all_named() -> None:
    rolls = [Roll(f"c{number:03}", 1, ()) for number in range(alive.CARRIERS + 3)]
    lines = alive.write(at("2026-03-02 07:00"), rolls, "en", ZONE, []).body.splitlines()
    assert len(lines) == alive.CARRIERS + 3
    assert "and 3 more carriers" in lines
