"""What the oracle reads off a vehicle's visits: those that last too long, those that must not be, and leaving a closed yard.

A visit lasts while fixes are in the place or one has just left it; a fix that has just left shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.settings import milliseconds
from monitor.signals import Signal
from tests.oracle_geometry import OraclePlace
from tests.oracle_limits import exists, overridden
from tests.oracle_track import NEAR_M, Used, Visit
from tests.oracle_watch import Raise, Watched, place_of, run_starts


def long_dwells(track: Watched) -> Iterator[Signal]:
    """At most one signal a visit."""
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
    """Give the signal of a visit that reached its limit (ms; None for no limit; one for each fix of the visit)."""
    fixes = track.used[visit.first : visit.after]
    judged, since = run_starts(fixes, limits), fixes[0].time
    leaving = [track.over(fix, track.outside(fix, visit.place), NEAR_M) for fix in fixes]
    shows = [
        (visit.first + offset, max(since + limit, judged[offset]))
        for offset, limit in enumerate(limits)
        if limit is not None and not leaving[offset]
    ]
    found = track.reached(track.used, shows)
    if found is None:
        return
    until = visit.until
    if until is not None and until < found.at:
        until = track.used[visit.after].time
    shown = max(fix.time for fix, away in zip(fixes, leaving, strict=True) if not away)
    lasted = (until if until is not None else max(shown, found.at)) - since
    limit = limits[found.by - visit.first] or 0
    yield track.signal(
        kind, found, since, until, place_of(fixes[0]), lasted / 1000, limit / 1000, "s", severity,
        place=visit.place.id, trip=track.used[found.by].trip,
    )  # fmt: skip


def dwell_limit(track: Watched, place: OraclePlace, fix: Used) -> int | None:
    """What is said for trip, load class or carrier, else the place's own, else what holds where it is; None for no limit (ms)."""
    if (
        place.max_dwell is not None
        and overridden(track.settings, track.identity.carrier, fix.trip, "long_dwell", place.kind) is None
    ):
        return place.max_dwell
    of_kind = getattr(track.limits_at(fix.trip, fix).long_dwell, place.kind, None)
    return None if of_kind is None else milliseconds(of_kind)
