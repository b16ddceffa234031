"""The trip log as people read it: of every vehicle, hour by hour, what was raised and why, and of every stop why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

from monitor.explain import SEVERITIES, explain, title, why_not
from monitor.explain.figures import day, interval, typeset
from monitor.fixes import VehicleId
from monitor.signals import EPOCH, Signal, log_order
from monitor.stops import Stop
from monitor.world import World

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "of": "{vehicle} of {carrier}",
        "stop": "stop",
        "open": "open",
        "nothing": "nothing to tell",
        "said": "{title}: {why}",
    },
    "fr": {
        "of": "{vehicle} de {carrier}",
        "stop": "arrêt",
        "open": "ouvert",
        "nothing": "rien à dire",
        "said": "{title} : {why}",
    },
}
MARK_WIDTH = 13


class Line(NamedTuple):
    """One line of the log, by its order."""

    vehicle: VehicleId
    since: int
    until: int | None
    """ms; None while it goes on."""
    mark: str
    text: str


def trip_log(signals: Sequence[Signal], stops: Sequence[Stop], world: World, language: str) -> list[str]:
    """The lines of the log: of each vehicle in the order of (carrier, vehicle), day by day, signals and stops by their beginning."""
    words, zone, mine = WORDS[language], ZoneInfo(world.settings.timezone), _by_vehicle(signals)
    lines = [_signal_line(signal, world, language) for signal in sorted(signals, key=log_order)]
    lines += [
        Line(stop.vehicle, stop.since, stop.until, words["stop"], why_not(stop, world, language, mine.get(stop.vehicle, ())))
        for stop in stops
    ]
    lines.sort(key=lambda line: (line.vehicle, line.since, line.mark == words["stop"]))
    out: list[str] = []
    for vehicle, told in groupby(lines, key=lambda line: line.vehicle):
        out += ["", words["of"].format(vehicle=vehicle.vehicle, carrier=vehicle.carrier)]
        for date, those in groupby(told, key=lambda line: day(line.since, zone, language)):
            out += [
                f"  {date}",
                *(f"    {_hours(line, zone, language)}  {line.mark:<{MARK_WIDTH}}  {line.text}" for line in those),
            ]
    return out[1:] or [words["nothing"]]


def _signal_line(signal: Signal, world: World, language: str) -> Line:
    why = WORDS[language]["said"].format(title=title(signal, language), why=explain(signal, world, language))
    vehicle, mark = VehicleId(signal.carrier, signal.vehicle), SEVERITIES[language][signal.severity]
    return Line(vehicle, signal.since, signal.until, mark, typeset(why, language))


def _by_vehicle(signals: Sequence[Signal]) -> dict[VehicleId, list[Signal]]:
    out: dict[VehicleId, list[Signal]] = {}
    for signal in signals:
        out.setdefault(VehicleId(signal.carrier, signal.vehicle), []).append(signal)
    return out


def _hours(line: Line, zone: ZoneInfo, language: str) -> str:
    """The hours in a column: "08:00 – 08:34 EST"."""
    if line.until is None:
        begin, end = f"{(EPOCH + timedelta(milliseconds=line.since)).astimezone(zone):%H:%M}", WORDS[language]["open"]
    else:
        begin, end = interval(line.since, line.until, zone, language)
    return f"{f'{begin} – {end}':<17}"
