"""What the oracle reads off a vehicle's visits: those that last too long, those that must not be, and leaving a closed yard.

A visit lasts while fixes are in the place or one has just left it; a fix that has just left shows nothing and is judged under no limit.
A *stint* is a run of the others under some limit or another; one without any ends it. A signal lies where its stint began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from monitor.settings import milliseconds
from monitor.signals import Signal
from tests.oracle_geometry import OraclePlace
from tests.oracle_limits import exists, is_overridden
from tests.oracle_track import NEAR_M, Used, Visit
from tests.oracle_watch import Raise, Watched, place_of, run_starts


def long_dwells(track: Watched) -> Iterator[Signal]:
    """At most one signal a stint."""
    for visit in track.visits:
        limits = [dwell_limit(track, visit.place, fix) for fix in track.used[visit.first : visit.after]]
        severity = "note" if visit.place.kind == "customer" else "warning"
        yield from overlong(track, "long_dwell", visit, limits, severity)


def zone_breaches(track: Watched) -> Iterator[Signal]:
    """One signal for each visit to a restricted place, and for each time that a closed yard was left for good."""
    for visit in track.visits:
        if visit.place.kind == "restricted":
            limits = [
                milliseconds(track.limits_at(fix.trip, fix).zone_breach.limit) for fix in track.used[visit.first : visit.after]
            ]
            yield from overlong(track, "zone_breach", visit, limits, "warning")
    yards = sorted((visit for visit in track.visits if visit.place.kind == "yard"), key=lambda visit: visit.place.id)
    for shown in range(len(track.used) - 1):
        left = [visit for visit in yards if visit.after == shown and closed(track, visit)]
        if left and not any(visit.first <= shown + 1 < visit.after for visit in yards):
            ended, confirmed = left[0].until or 0, track.used[shown + 1]
            found = Raise(ended, presumed=False, by=shown + 1, decided=confirmed.time)
            where = place_of(track.used[shown])
            yield track.signal(
                "zone_breach", found, ended, ended, where, 0.0, 0.0, "s", "warning", place=left[0].place.id, trip=confirmed.trip
            )


def closed(track: Watched, visit: Visit) -> bool:
    """Whether its place was closed when a visit ended, and was a place still."""
    opens = track.hours[visit.place.id]
    return opens is not None and visit.until is not None and exists(visit.place, visit.until) and not opens(visit.until)


def overlong(track: Watched, kind: str, visit: Visit, limits: Sequence[int | None], severity: str) -> Iterator[Signal]:
    """Give the signals of a visit that reached its limit (ms; None for no limit; one for each fix of the visit)."""
    fixes = track.used[visit.first : visit.after]
    staying = [
        (index, limit)
        for index, (fix, limit) in enumerate(zip(fixes, limits, strict=True), visit.first)
        if not track.over(fix, track.outside(fix, visit.place), NEAR_M)
    ]
    stints = [(limited, list(stint)) for limited, stint in groupby(staying, key=lambda one: one[1] is not None)]
    for number, (limited, stint) in enumerate(stints):
        if limited:
            freed = stints[number + 1][1][0][0] if number + 1 < len(stints) else None
            yield from _overlong(track, kind, visit, [(index, limit or 0) for index, limit in stint], freed, severity)


def _overlong(
    track: Watched, kind: str, visit: Visit, stint: Sequence[tuple[int, int]], freed: int | None, severity: str
) -> Iterator[Signal]:
    """Give the signal of a stint, (index, limit) of each of its fixes; `freed`: the fix at which no limit held any more."""
    fixes, limits = [track.used[index] for index, _ in stint], [limit for _, limit in stint]
    judged, since = run_starts(fixes, limits), track.used[visit.first].time
    found = track.reached(
        track.used, [(index, max(since + limit, start)) for (index, limit), start in zip(stint, judged, strict=True)]
    )
    if found is None:
        return
    until = visit.until if freed is None else track.used[freed].time
    if until is not None and until < found.at:
        until = track.used[visit.after].time
    lasted = (until if until is not None else max(fixes[-1].time, found.at)) - since
    yield track.signal(
        kind, found, since, until, place_of(fixes[0]), lasted / 1000, dict(stint)[found.by] / 1000, "s", severity,
        place=visit.place.id, trip=track.used[found.by].trip,
    )  # fmt: skip


def dwell_limit(track: Watched, place: OraclePlace, fix: Used) -> int | None:
    """What is said for trip, load class or carrier, else the place's own, else what holds where it is; None for no limit (ms)."""
    told = is_overridden(track.settings, track.identity.carrier, fix.trip, "long_dwell", place.kind)
    if place.max_dwell is not None and not told:
        return place.max_dwell
    of_kind = getattr(track.limits_at(fix.trip, fix).long_dwell, place.kind, None)
    return None if of_kind is None else milliseconds(of_kind)
