"""Feeds: messages in other forms than our own, known by their topic; each a section `[ingest.feed.NAME]` of the configuration.

A pattern is a topic in levels. `{carrier}`, `{vehicle}` and `{device}` stand for one level each and name what stands there; `+` is
any one level, `#`, at the end, all that follow. No topic may belong to two feeds, nor to a feed and to us. Every format is also a
feed of its own name, without a topic, for those who post to us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.errors import ConfigurationError
from monitor.fixes import NAME
from monitor.ingest.formats import FORMATS, Quirks, Read
from monitor.ingest.formats import native as ours
from monitor.ingest.formats.reading import device_fault
from monitor.settings import Feed, Settings

CARRIER, VEHICLE, DEVICE = "{carrier}", "{vehicle}", "{device}"
NAMED = frozenset({CARRIER, VEHICLE, DEVICE})
OURS = ("telematics/v1/+/+/+", "monitor/v1/+/incidents/+")
"""Topics with a meaning of their own."""
NAMES_ALLOWED = "1 to 64 of A-Z a-z 0-9 . _ ~ : - that start with a letter, a digit or _"


class Found(NamedTuple):
    """The feed that a topic belongs to, and what the topic names; empty for what it does not."""

    feed: str
    carrier: str = ""
    vehicle: str = ""
    device: str = ""
    fault: str = ""
    """What is wrong with a name in it."""


class _Compiled(NamedTuple):
    name: str
    carrier: str
    levels: Sequence[str]


class Feeds:
    """The feeds of a configuration: which topic is whose, and how its payloads are read.

    Raises
    ------
    ConfigurationError
        If two of them could want the same topic, or one is not usable.
    """

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self.replace(feeds)

    def replace(self, feeds: Mapping[str, Feed]) -> None:
        """Go by other feeds from now on, everybody who holds these; for any thread.

        Raises
        ------
        ConfigurationError
            As at first; then these go on as they were.
        """
        if faults := _faults(feeds):
            raise ConfigurationError(faults)
        patterns = [_Compiled(name, feed.carrier, feed.topic.split("/")) for name, feed in feeds.items() if feed.topic]
        readers: dict[str, Read | None] = {name: form.reader(Quirks()) for name, form in FORMATS.items()}
        readers |= {name: FORMATS[feed.format].reader(_quirks(feed)) for name, feed in feeds.items()}
        plain = [name for name, feed in feeds.items() if feed.format == ours.NAME and _quirks(feed) == Quirks()]
        readers |= dict.fromkeys(plain)
        if ours.NAME not in feeds:
            readers[ours.NAME] = None
        self._patterns, self._readers = patterns, readers

    def find(self, topic: str) -> Found | None:
        """The feed of a topic; None where it belongs to none."""
        if topic.startswith("$"):  # no wildcard stands for the level that these begin with
            return None
        levels = topic.split("/")
        for pattern in self._patterns:
            named = _matched(pattern.levels, levels)
            if named is not None:
                return _found(pattern, named)
        return None

    def names_carrier(self, name: str) -> bool:
        """Whether the topics of a feed name the carrier."""
        return any(pattern.name == name and CARRIER in pattern.levels for pattern in self._patterns)

    def known(self, name: str) -> bool:
        """Whether there is a feed of that name; every format is one too."""
        return name in self._readers

    def names(self) -> list[str]:
        """The names of all feeds, in order."""
        return sorted(self._readers)

    def reader(self, name: str) -> Read | None:
        """What reads the payloads of a feed; None where they are our own form, without quirks.

        Raises
        ------
        KeyError
            If there is no feed of that name.
        """
        return self._readers[name]

    def filters(self) -> list[str]:
        """The MQTT filters that cover all topics of the feeds, in order."""
        return sorted({"/".join("+" if level in NAMED else level for level in pattern.levels) for pattern in self._patterns})


def check_feeds(settings: Settings) -> list[str]:
    """What is wrong with the feeds of a configuration, a line each: key, value, and what is allowed."""
    feeds, faults = settings.ingest.feed, _faults(settings.ingest.feed)
    if settings.ingest.source != "listener":
        for name, feed in feeds.items():
            if feed.topic and not feed.carrier and CARRIER not in feed.topic.split("/"):
                faults.append(
                    f"ingest.feed.{name}.carrier = '': a broker's topic without {{carrier}} names nobody; allowed is a carrier"
                )
    return faults


def _faults(feeds: Mapping[str, Feed]) -> list[str]:
    """What is wrong with each, and which of them want the same topics."""
    faults = [fault for name, feed in feeds.items() for fault in _faults_of(name, feed)]
    taken = [("the monitor's own", pattern.split("/")) for pattern in OURS]
    for name, feed in feeds.items():
        levels = feed.topic.split("/")
        if not feed.topic or _wrong(levels):
            continue
        both = next((other for other, pattern in taken if _overlap(levels, pattern)), None)
        if both:
            faults.append(f"ingest.feed.{name}.topic = {feed.topic!r}: topics of it are also {both}; allowed is one feed a topic")
        taken.append((f"of ingest.feed.{name}", levels))
    return faults


def _faults_of(name: str, feed: Feed) -> list[str]:
    """What is wrong with one feed by itself."""
    key, faults = f"ingest.feed.{name}", []
    if not NAME.fullmatch(name):
        faults.append(f"{key}: the name of a feed is {NAMES_ALLOWED}")
    if feed.topic and (wrong := _wrong(feed.topic.split("/"))):
        faults.append(f"{key}.topic = {feed.topic!r}: {wrong}")
    if feed.carrier and not NAME.fullmatch(feed.carrier):
        faults.append(f"{key}.carrier = {feed.carrier!r}: allowed are {NAMES_ALLOWED}")
    if feed.format not in FORMATS:
        return [*faults, f"{key}.format = {feed.format!r}: allowed are {', '.join(sorted(FORMATS))}"]
    allowed = FORMATS[feed.format].KEYS
    for word, said in feed.keys.items():
        if word not in allowed:
            more = f"allowed are {', '.join(sorted(allowed))}" if allowed else "the keys of this format are fixed"
            faults.append(f"{key}.keys.{word} = {said!r}: {more}")
        elif not said.isprintable() or '"' in said or "\\" in said:
            faults.append(f"{key}.keys.{word} = {said!r}: allowed is a text of printable characters without quotes")
        elif said in [other for before, other in feed.keys.items() if before < word]:
            faults.append(f"{key}.keys.{word} = {said!r}: two of them are called so; allowed is one")
    return faults


def _wrong(levels: Sequence[str]) -> str | None:
    """What is wrong with a pattern."""
    if levels[0].startswith("$"):
        return "topics that begin with $ are the broker's; allowed are others"
    for place, level in enumerate(levels):
        if level == "#" and place < len(levels) - 1:
            return "# stands at the end; allowed is + for one level"
        if level not in NAMED and level not in ("+", "#") and set(level) & set("+#{}"):
            return f"{level!r} is no level; allowed are {{carrier}}, {{vehicle}}, {{device}}, + and # by themselves, or a text"
    twice = [word for word in sorted(NAMED) if list(levels).count(word) > 1]
    return f"{twice[0]} stands in it twice; allowed is once" if twice else None


def _overlap(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether some topic belongs to both patterns."""
    for place in range(max(len(left), len(right))):
        if (place < len(left) and left[place] == "#") or (place < len(right) and right[place] == "#"):
            return True
        if place >= len(left) or place >= len(right):
            return left[place:] == ["#"] or right[place:] == ["#"]
        one, other = left[place], right[place]
        if one != other and not (_open(one, other) or _open(other, one)):
            return False
    return True


def _open(level: str, to: str) -> bool:
    """Whether a level of a pattern takes what another stands for."""
    if level in (CARRIER, VEHICLE):
        return to in NAMED or to == "+" or NAME.fullmatch(to) is not None
    return level in ("+", DEVICE)


def _matched(pattern: Sequence[str], levels: Sequence[str]) -> dict[str, str] | None:
    """What a topic names, if it belongs to a pattern."""
    if pattern[-1] == "#":
        pattern, levels = pattern[:-1], levels[: len(pattern) - 1]
    if len(pattern) != len(levels):
        return None
    named: dict[str, str] = {}
    for expected, level in zip(pattern, levels, strict=True):
        if expected in NAMED:
            named[expected] = level
        elif expected not in ("+", level):
            return None
    return named


def _found(pattern: _Compiled, named: Mapping[str, str]) -> Found:
    """What a topic of a feed names, and what is wrong with a name."""
    carrier, vehicle, device = named.get(CARRIER, pattern.carrier), named.get(VEHICLE, ""), named.get(DEVICE, "")
    fault = ""
    for word, key, name in (("carrier", CARRIER, carrier), ("vehicle", VEHICLE, vehicle)):
        if key in named and not NAME.fullmatch(name):
            fault = fault or f"{word} in topic is not {NAMES_ALLOWED}"
    if DEVICE in named:
        fault = fault or device_fault(device) or ""
    return Found(pattern.name, carrier, vehicle, device, fault)


def _quirks(feed: Feed) -> Quirks:
    return Quirks(feed.speed_unit, dict(feed.keys))


NO_FEEDS = Feeds({})
"""The formats by their own names, and no topics."""
