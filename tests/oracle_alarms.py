"""What the oracle reads off a vehicle's reports, whether they have a position or not: device alarms, and its cargo door.

Definitions
    A report *shows* an alarm by its bit, and one without it ends it. A report shows the door open where the vehicle may not stand,
    or while it moves; a closed door ends it, and an open one where it may stand; an unknown one says neither.
    A run is judged by its showing reports alone. Silence: no report of any kind. What places say of limits does not hold for reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from monitor.fixes import Alarm
from monitor.settings import milliseconds
from monitor.signals import Signal
from tests.oracle_watch import Raise, Report, Watched, place_of, run_starts

WATCHED = (Alarm.PANIC, Alarm.JAMMING, Alarm.TAMPER, Alarm.POWER_CUT, Alarm.TOW)
CRITICAL = Alarm.PANIC | Alarm.JAMMING | Alarm.TAMPER


class Run(NamedTuple):
    """Reports over which a condition held and reached its limit."""

    first: Report
    last: Report
    """The last that shows it."""
    ended: Report | None
    """The one that ended it."""
    found: Raise
    limit: int
    """ms; that of the raise."""


def device_alarms(track: Watched) -> Iterator[Signal]:
    """One signal for each alarm and each time that it came on."""
    for alarm in WATCHED:
        states = ["shows" if report.alarms & alarm else "ends" for report in track.reports]
        limits = [track.limits_at(report.trip, None).device_alarm for report in track.reports]
        allowed = [milliseconds(said.jamming_limit if alarm is Alarm.JAMMING else said.limit) for said in limits]
        severity = "critical" if alarm & CRITICAL else "warning"
        for run in runs(track, states, allowed):
            yield signal_of(track, "device_alarm", run, severity, (alarm.name or "").lower())


def doors_open(track: Watched) -> Iterator[Signal]:
    """One signal for each time that the door stood open where it must not."""
    allowed = [milliseconds(track.limits_at(report.trip, None).door_open.limit) for report in track.reports]
    for run in runs(track, [door(report) for report in track.reports], allowed):
        trip = track.reports[run.found.by].trip
        severity = "critical" if trip and trip.load == "high_value" else "warning"
        yield signal_of(track, "door_open", run, severity, None)


def door(report: Report) -> str:
    """What a report says of an open door: shows, ends, or keeps as it was."""
    if report.door == -1 or report.last is None:
        return "keeps"
    return "shows" if report.door == 1 and (report.moves or not report.last.may_stand) else "ends"


def runs(track: Watched, states: Sequence[str], allowed: Sequence[int]) -> Iterator[Run]:
    """Every run of reports, from one that shows to one that ends, that reached its limit; `allowed` are the limits in ms."""
    reports, n, first = track.reports, len(states), 0
    heard = [report.time for report in reports]
    while first < n:
        if states[first] != "shows":
            first += 1
            continue
        after = next((j for j in range(first, n) if states[j] == "ends"), n)
        shown = [j for j in range(first, after) if states[j] == "shows"]
        since, judged = reports[first].time, run_starts([reports[j] for j in shown], [allowed[j] for j in shown])
        shows = [(j, max(since + allowed[j], start)) for j, start in zip(shown, judged, strict=True)]
        found = track.reached(reports, shows, heard)
        if found:
            ended = reports[after] if after < n else None
            yield Run(reports[first], reports[shown[-1]], ended, found, allowed[found.by])
        first = after


def signal_of(track: Watched, kind: str, run: Run, severity: str, detail: str | None) -> Signal:
    """One run in the words of the log: how long it held, and where the vehicle was when it began."""
    since, until = run.first.time, run.ended.time if run.ended else None
    held = (until if until is not None else max(run.last.time, run.found.at)) - since
    return track.signal(
        kind, run.found, since, until, place_of(run.first.last), held / 1000, run.limit / 1000, "s", severity,
        trip=track.reports[run.found.by].trip, detail=detail,
    )  # fmt: skip
