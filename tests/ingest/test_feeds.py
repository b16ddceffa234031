"""Feeds: which topic is whose, what it names, and what a configuration may not say."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigurationError
from monitor.fixes import Fleet, Identity, VehicleId
from monitor.ingest.decode import decode
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import NO_FEEDS, Feeds, Found, check_feeds
from monitor.ingest.formats import FORMATS
from monitor.ingest.topics import Address, Refusal, parse, posted, publishable, sent_by, subscriptions
from monitor.settings import Feed, Ingest, Settings, load_settings

PHONES = Feed(topic="owntracks/{carrier}/{vehicle}/#", format="owntracks")
GATEWAY = Feed(topic="traccar/positions", format="traccar", carrier="north")
TRACKERS = Feed(topic="{device}/data", format="teltonika", carrier="north")
ANY = Feed(topic="tb/+/v1/{device}", format="thingsboard", carrier="north", speed_unit="kmh")
FEEDS = Feeds({"phones": PHONES, "gateway": GATEWAY, "trackers": TRACKERS, "any": ANY})
SOURCES = sorted((Path(__file__).resolve().parents[2] / "docs/sources").glob("*.md"))
VEHICLE, CARRIER = Identity("north", "T-1"), Identity("north")


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("owntracks/north/T-1", Found("phones", "north", "T-1")),
        ("owntracks/north/T-1/event", Found("phones", "north", "T-1")),
        ("owntracks/north/T-1/a/b/c", Found("phones", "north", "T-1")),
        ("traccar/positions", Found("gateway", "north")),
        ("860000000000001/data", Found("trackers", "north", "", "860000000000001")),
        ("tb/x/v1/Truck 7", Found("any", "north", "", "Truck 7")),
    ],
)
def test_a_topic_belongs_to_its_feed_and_names_what_stands_there(topic: str, found: Found) -> None:
    assert FEEDS.find(topic) == found
    assert parse(topic, FEEDS) == Address(topic, found.carrier, found.vehicle, "fix", found.feed, found.device)


@pytest.mark.parametrize(
    "topic", ["owntracks/north", "owntracks", "traccar/positions/x", "a/b/data", "data", "", "tb/x/v2/T", "/data/x"]
)
def test_any_other_topic_belongs_to_none(topic: str) -> None:
    assert FEEDS.find(topic) is None
    assert isinstance(parse(topic, FEEDS), Refusal)


@pytest.mark.parametrize(
    "topic", ["owntracks/no rth/T-1", "owntracks/north/-x", "owntracks//T-1", "/data", "a\x00b/data", "x" * 129 + "/data"]
)
def test_a_name_that_cannot_be_one_is_refused(topic: str) -> None:
    """Of a feed's topic the sender learns which."""
    refusal = parse(topic, FEEDS)
    assert isinstance(refusal, Refusal)
    assert "in topic is not" in refusal.reason or "device id is not" in refusal.reason


def test_no_feed_is_reached_by_a_topic_that_begins_with_a_dollar() -> None:
    """There is what was posted."""
    assert isinstance(parse(posted("x", "data"), Feeds({"all": Feed(topic="{device}/+/data", carrier="north")})), Refusal)


def test_our_own_topics_stay_ours() -> None:
    assert parse("telematics/v1/north/T-1/fix", FEEDS) == Address("telematics/v1/north/T-1/fix", "north", "T-1", "fix")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_refusal(topic: str) -> None:
    assert isinstance(parse(topic, FEEDS), Address | Refusal)


# ── who may publish ──


def test_the_carrier_of_a_connection_is_its_own_whatever_the_feed_says() -> None:
    """On our own listener nobody is believed to be another."""
    found = publishable(Identity("south"), "860000000000001/data", FEEDS)
    assert found == Address("860000000000001/data", "south", "", "fix", "trackers", "860000000000001")


def test_a_topic_that_names_another_carrier_is_refused() -> None:
    assert publishable(Identity("south"), "owntracks/north/T-1", FEEDS) == Refusal("topic of another carrier", foreign=True)


def test_a_credential_of_a_vehicle_is_that_vehicle() -> None:
    """Where the topic names none; where it names another it is refused."""
    found = publishable(VEHICLE, "traccar/positions", FEEDS)
    assert isinstance(found, Address)
    assert found.vehicle == "T-1"
    assert publishable(VEHICLE, "owntracks/north/T-2", FEEDS) == Refusal("topic of another vehicle", foreign=True)
    assert isinstance(publishable(VEHICLE, "owntracks/north/T-1/event", FEEDS), Address)


def test_a_carriers_credential_leaves_the_vehicle_to_the_device_id() -> None:
    found = publishable(CARRIER, "traccar/positions", FEEDS)
    assert isinstance(found, Address)
    assert (found.carrier, found.vehicle) == ("north", "")


def test_dispatch_publishes_to_no_feed() -> None:
    """It sends trips alone."""
    assert publishable(Identity("north", dispatch=True), "traccar/positions", FEEDS) == Refusal(
        "dispatch does not publish fix", foreign=True
    )


# ── what a configuration may say ──


def faults(**feeds: Feed) -> list[str]:
    """What is wrong with some feeds."""
    return check_feeds(Settings(ingest=Ingest(feed=feeds)))


def test_good_feeds_have_no_fault() -> None:
    assert faults(phones=PHONES, gateway=GATEWAY, trackers=TRACKERS, any=ANY) == []


@pytest.mark.parametrize(
    ("feed", "fault"),
    [
        (
            Feed(topic="a/b", format="owntrack"),
            "format = 'owntrack': allowed are flespi, native, owntracks, teltonika, thingsboard, traccar",
        ),
        (Feed(topic="a/#/b"), "topic = 'a/#/b': # stands at the end"),
        (Feed(topic="a/x+/b"), "'x+' is no level"),
        (Feed(topic="a/{vehicle}-x"), "'{vehicle}-x' is no level"),
        (Feed(topic="a/{truck}"), "'{truck}' is no level"),
        (Feed(topic="{device}/{device}"), "{device} stands in it twice"),
        (Feed(topic="$SYS/x"), "topics that begin with $"),
        (Feed(topic="#"), "topics of it are also the monitor's own"),
        (Feed(topic="telematics/v1/north/+/fix"), "topics of it are also the monitor's own"),
        (Feed(topic="telematics/v1/#"), "topics of it are also the monitor's own"),
        (Feed(topic="{carrier}/{vehicle}/+/+/fix"), "topics of it are also the monitor's own"),
        (Feed(topic="a/b", carrier="no..rth/"), "carrier = 'no..rth/': allowed are 1 to 64"),
        (Feed(topic="a/b", format="owntracks", keys={"lat": "y"}), "keys.lat = 'y': the keys of this format are fixed"),
        (Feed(topic="a/b", format="teltonika", keys={"lat": "y"}), "keys.lat = 'y': allowed are accuracy, alarms, door"),
        (Feed(topic="a/b", format="thingsboard", keys={"lat": "y", "lon": "y"}), "two of them are called so"),
        (Feed(topic="a/b", format="thingsboard", keys={"lat": 'y"'}), "without quotes"),
    ],
)
def test_a_feed_that_cannot_be_is_said_with_key_and_value(feed: Feed, fault: str) -> None:
    """And it is no feed."""
    [said] = faults(bad=feed)
    assert said.startswith("ingest.feed.bad.")
    assert fault in said
    with pytest.raises(ConfigurationError):
        Feeds({"bad": feed})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a/b", "a/b"),
        ("a/+", "a/b"),
        ("a/{vehicle}", "a/{device}"),
        ("a/{vehicle}", "+/b"),
        ("a/#", "a/b/c"),
        ("a/#", "a"),
        ("{carrier}/b", "a/{vehicle}"),
        ("a/b/#", "a/+/c/d"),
    ],
)
def test_two_feeds_that_want_one_topic_are_a_fault(left: str, right: str) -> None:
    """Whichever comes first."""
    for one, other in ((left, right), (right, left)):
        [said] = faults(one=Feed(topic=one), other=Feed(topic=other))
        assert "topics of it are also of ingest.feed.one" in said


@pytest.mark.parametrize(
    ("left", "right"),
    [("a/b", "a/c"), ("a/+", "a/b/c"), ("a/{vehicle}", "a/x y"), ("a/#", "b/#"), ("a/b", "a/b/c"), ("+/x", "+/y")],
)
def test_two_feeds_of_different_topics_are_none(left: str, right: str) -> None:
    assert faults(one=Feed(topic=left), other=Feed(topic=right)) == []


LEVELS = st.lists(st.sampled_from(["a", "b", "+", "{vehicle}", "{device}"]), min_size=1, max_size=4)
PATTERNS = st.tuples(LEVELS, st.booleans()).map(lambda drawn: "/".join([*drawn[0], "#"] if drawn[1] else drawn[0]))
TOPICS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map("/".join)


@given(PATTERNS, PATTERNS, TOPICS)
def test_no_topic_belongs_to_two_feeds_without_a_fault(left: str, right: str, topic: str) -> None:
    """Whatever the patterns are."""
    alone = [faults(one=Feed(topic=pattern)) for pattern in (left, right)]
    if any(alone):
        return
    both = all(Feeds({"one": Feed(topic=pattern)}).find(topic) for pattern in (left, right))
    assert not both or faults(one=Feed(topic=left), other=Feed(topic=right))


def test_a_broker_must_be_told_whose_a_topic_is() -> None:
    """On our own listener the connection says it."""
    feed = {"bare": Feed(topic="a/{device}")}
    assert check_feeds(Settings(ingest=Ingest(feed=feed))) == []
    [said] = check_feeds(Settings(ingest=Ingest(source="broker", feed=feed)))
    assert said.startswith("ingest.feed.bare.carrier = '': ")


def test_what_a_broker_is_asked_for_covers_every_feed_once() -> None:
    """Our own fixes and statuses first."""
    ingest = Ingest(
        source="broker", feed={"phones": PHONES, "trackers": TRACKERS, "more": Feed(topic="{vehicle}/info", carrier="a")}
    )
    assert subscriptions(Settings(ingest=ingest)) == [
        "telematics/v1/+/+/fix",
        "telematics/v1/+/+/status",
        "+/data",
        "+/info",
        "owntracks/+/+/#",
    ]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
@pytest.mark.parametrize("way", ["listener", "broker"])
def test_the_feeds_of_the_documents_are_good_ones(file: Path, way: str, tmp_path: Path) -> None:
    """What is shown can be pasted, for either way in."""
    blocks = re.findall(r"^ *```toml\n(.*?)^ *```", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    shown = [textwrap.dedent(block) for block in blocks if "[ingest.feed." in block]
    (tmp_path / "monitor.toml").write_text("\n".join(shown), encoding="utf-8")
    assert check_feeds(load_settings(tmp_path / "monitor.toml", [f"ingest.source={way}"])) == []


def test_every_format_has_its_document() -> None:
    """And the index names it."""
    index = (SOURCES[0].parent / "README.md").read_text(encoding="utf-8")
    for name in FORMATS:
        assert SOURCES[0].parent / f"{name}.md" in SOURCES
        assert f"({name}.md)" in index


def test_feeds_are_read_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "monitor.toml"
    keys = [
        'topic = "tb/{device}"',
        'format = "thingsboard"',
        'carrier = "north"',
        'speed_unit = "mph"',
        'keys = { lon = "lng" }',
    ]
    file.write_text("\n".join(["[ingest.feed.fleet]", *keys, ""]), encoding="utf-8")
    settings = load_settings(file)
    assert check_feeds(settings) == []
    decoded = decode(
        [Message("north", "T-1", "tb/7", b'{"ts": 1772344800000, "latitude": 43.65123, "lng": -79.38123, "speed": 10}', "fleet")],
        1_772_352_000_000,
        Fleet(),
        settings.ingest,
    )
    assert decoded.fixes.lon.tolist() == [-79.38123]
    assert decoded.fixes.speed.tolist() == [pytest.approx(4.4704)]


# ── by name ──


def test_every_format_is_a_feed_of_its_own_name() -> None:
    """For who posts to us; a configured feed of that name comes first."""
    assert set(NO_FEEDS.names()) == set(FORMATS)
    assert NO_FEEDS.known("traccar")
    assert not NO_FEEDS.known("trackar")
    assert NO_FEEDS.reader("native") is None


def test_what_was_posted_is_known_by_its_topic() -> None:
    assert sent_by(posted("gateway", "a-b"), FEEDS) == Found("gateway")
    assert sent_by(posted("gateway", "a-b", "north/86 1"), FEEDS) == Found("gateway", device="north/86 1")
    assert sent_by(posted("", "1"), FEEDS) == Found("native")
    assert sent_by("$http/gone/1", FEEDS) is None


def test_what_was_published_is_known_by_its_topic() -> None:
    assert sent_by("860000000000001/data", FEEDS) == Found("trackers", "north", "", "860000000000001")
    assert sent_by("telematics/v1/north/T-1/fix", FEEDS) == Found("", "north", "T-1")
    assert sent_by("gone/860000000000001", FEEDS) is None


def test_a_message_of_a_feed_that_is_gone_is_kept_with_the_reason() -> None:
    """The configuration may change while it waits."""
    decoded = decode([Message("north", "T-1", "a/b", b"{}", "gone")], 1_772_352_000_000, Fleet(), Ingest())
    assert [reject.reason for reject in decoded.rejects] == ["feed 'gone' is not in the configuration"]


def test_a_feed_of_our_own_form_is_read_as_ours() -> None:
    """Only its topic differs."""
    ingest = Ingest(feed={"mine": Feed(topic="my/{vehicle}", carrier="north")})
    payload = b'{"time": "2026-03-01T06:00:00Z", "lat": 43.65123, "lon": -79.38123}'
    fleet = Fleet()
    assert len(decode([Message("north", "T-1", "my/T-1", payload, "mine")], 1_772_352_000_000, fleet, ingest).fixes) == 1
    assert fleet.ids == [VehicleId("north", "T-1")]


def test_other_feeds_count_from_now_on_for_everybody_who_holds_them() -> None:
    """A configuration that is read anew; one with a fault changes nothing."""
    feeds = Feeds({"phones": PHONES})
    feeds.replace({"trackers": TRACKERS})
    assert feeds.find("owntracks/north/T-1") is None
    assert feeds.find("1/data") == Found("trackers", "north", "", "1")
    with pytest.raises(ConfigurationError):
        feeds.replace({"bad": Feed(topic="#")})
    assert feeds.known("trackers")
