"""The command that says what the reporting of recorded fixes can show: coverage."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np

from monitor.commands.reviewing import horizon, take_recorded, world_of
from monitor.commands.speaking import say, show
from monitor.coverage import Coverage, Level, Support
from monitor.coverage import coverage as cover
from monitor.explain import LANGUAGES
from monitor.explain.feeds import LEVELS, why_served
from monitor.explain.figures import NARROW, day, interval, span, typeset
from monitor.fixes import Fleet, concatenate
from monitor.ingest.files import read_fixes
from monitor.signals import timestamp
from monitor.world import World

WORDS = {
    "en": {
        "vehicle": "{vehicle} of {carrier}: {reports} reports; {rhythm}; {known}",
        "moving": "one in {interval} under way",
        "standing": "one in {interval} standing",
        "rough": "{share} of positions imprecise",
        "knows": "with {columns}",
        "nothing": "no speed, ignition, door or alarm",
        "speed": "speed",
        "ignition": "ignition",
        "door": "door",
        "alarms": "alarms",
        "trip": "trip {trip}, {day} {begin} to {end}: {share} observed",
        "all": "{day} {begin} to {end}: {share} observed",
        "none": "no trip and no two positions: nothing observed",
    },
    "fr": {
        "vehicle": "{vehicle} de {carrier} : {reports} rapports; {rhythm}; {known}",
        "moving": "un en {interval} en route",
        "standing": "un en {interval} à l'arrêt",
        "rough": "{share} des positions imprécises",
        "knows": "avec {columns}",
        "nothing": "ni vitesse, ni contact, ni porte, ni alarme",
        "speed": "vitesse",
        "ignition": "contact",
        "door": "porte",
        "alarms": "alarmes",
        "trip": "voyage {trip}, {day} {begin} à {end} : {share} observé",
        "all": "{day} {begin} à {end} : {share} observé",
        "none": "ni voyage ni deux positions : rien d'observé",
    },
}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and what it takes."""
    words = "say what the reporting of recorded fixes can show, and how much of each trip it showed"
    covered = commands.add_parser("coverage", help=words, description=words)
    covered.set_defaults(run=coverage)
    take_recorded(covered)
    covered.add_argument("--json", action="store_true", help="one JSON object a vehicle")
    covered.add_argument("--language", choices=LANGUAGES, default="en", help="of the sentences (%(default)s)")


def coverage(options: argparse.Namespace) -> None:
    """Say of each vehicle which detectors its reporting can support, and how much of each trip it observed."""
    world, fleet, until = world_of(options), Fleet(), horizon(options.until)
    read = [read_fixes(file, fleet, None) for file in options.files]
    fixes = concatenate([batch for one in read for batch in one.fixes])
    time = fixes.time.view(np.int64)
    end = until if until is not None else int(time.max()) if len(fixes) else 0
    fixes = fixes.take(time <= end)
    bounds = np.searchsorted(fixes.vehicle, np.arange(len(fleet.ids) + 1)).tolist()
    own = {each: fixes.take(slice(*bounds[code : code + 2])) for code, each in enumerate(fleet.ids)}
    positions = {each: some.time.view(np.int64)[some.precise] for each, some in own.items()}
    found = [cover(each, own[each], world, end, positions) for each in sorted(own)]
    if options.json:
        show(*(json.dumps(_record(each, options.language), ensure_ascii=False) for each in found))
    else:
        show(*(line for each in found for line in _lines(each, world, options.language)))
    say(*(f"monitor: not taken: {reject}" for one in read for reject in one.rejects[:20]))
    say(f"monitor: {len(found):,} vehicles, {len(fixes):,} fixes")


def _lines(each: Coverage, world: World, language: str) -> Iterator[str]:
    """One vehicle in words: how it reports, what was observed, then each detector, the best served first."""
    words, zone = WORDS[language], ZoneInfo(world.settings.timezone)
    rhythm = [
        words[name].format(interval=span(ms))
        for name, ms in (("moving", each.moving_interval), ("standing", each.standing_interval))
        if ms
    ]
    if each.imprecise:
        rhythm.append(words["rough"].format(share=_percent(each.imprecise)))
    known = [words[name] for name in ("speed", "ignition", "door", "alarms") if getattr(each, name)]
    said = words["knows"].format(columns=", ".join(known)) if known else words["nothing"]
    head = words["vehicle"].format(
        vehicle=each.vehicle.vehicle,
        carrier=each.vehicle.carrier,
        reports=_count(each.reports, language),
        rhythm=", ".join(rhythm) or "–",
        known=said,
    )
    yield typeset(head, language)
    for one in each.observed:
        begin, end = interval(one.begin, one.end, zone, language)
        text = words["trip" if one.trip else "all"].format(
            trip=one.trip, day=day(one.begin, zone, language), begin=begin, end=end, share=_percent(one.share)
        )
        yield "  " + typeset(text, language)
    if not each.observed:
        yield "  " + typeset(words["none"], language)
    served = [support for support in each.detectors if support.level is Level.SUPPORTED]
    if served:
        yield f"  {LEVELS[language][Level.SUPPORTED]:<8}  {', '.join(support.kind for support in served)}"
    for level in (Level.COARSE, Level.UNSUPPORTED):
        for support in each.detectors:
            if support.level is level:
                yield f"  {LEVELS[language][level]:<8}  {support.kind:<20}  {why_served(support, language)}"


def _count(number: int, language: str) -> str:
    """A number with the separator of thousands of its language."""
    return f"{number:,}".replace(",", NARROW if language == "fr" else ",")


def _percent(share: float) -> str:
    """A share that rounds to all or nothing only where it is."""
    percent = 100 * share
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{'<1' if percent < 1 else '>99'} %"
    return f"{percent:.0f} %"


def _record(each: Coverage, language: str) -> dict[str, object]:
    """One vehicle as JSON: intervals in seconds, shares from 0 to 1."""
    return {
        "vehicle": each.vehicle.vehicle,
        "carrier": each.vehicle.carrier,
        "reports": each.reports,
        "moving_interval_s": each.moving_interval / 1000 or None,
        "standing_interval_s": each.standing_interval / 1000 or None,
        "imprecise": round(each.imprecise, 4),
        "two_decimals": round(each.two_decimals, 4),
        **{name: getattr(each, name) for name in ("speed", "ignition", "door", "alarms")},
        "observed": [
            {"trip": one.trip, "begin": timestamp(one.begin), "end": timestamp(one.end), "share": round(one.share, 4)}
            for one in each.observed
        ],
        "detectors": [_detector(support, language) for support in each.detectors],
    }


def _detector(support: Support, language: str) -> dict[str, object]:
    return {
        "kind": support.kind,
        "level": str(support.level),
        "shortest_s": support.shortest / 1000 or None,
        "why": why_served(support, language),
    }
