"""What the oracle reads off how a vehicle moves when it should not, and which way along its route.

Definitions
    *locked*: a lockdown of the vehicle or its carrier is in force, or one of a place where it has a visit (or had one that this fix
    showed to have ended); or it was locked by that place's lockdown before, has not stood outside since, and that is still in force.
    *barred*: locked, outside the hours, or without a trip where one is asked for. *anchor*: the newest fix at which it was not
    barred or stood, else the first.
    *progress*: metres along a route from its first vertex to its nearest point, negative where the trip goes against the line, none
    where it may go either way: what it names of origin and destination fits both ways to within 250 m. On a trip that names
    neither, and along a line whose ends are within 250 m of each other, the way is that of the line. A spot of a route is
    *ambiguous* within 250 m of another stretch of it that is more than 5 km further along or back. Seen fixes alone count here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from monitor.fixes import F64
from monitor.permits import Lockdown
from monitor.signals import Signal
from monitor.trips import Trip
from tests.oracle_geometry import distance, metres_per_degree
from tests.oracle_track import CLOSE, Used
from tests.oracle_watch import Raise, Watched, place_of

BESIDE_M, FURTHER_M = 250.0, 5000.0
SAME_M = 1.0
"""Two spots of a route this close may honestly be told in either order."""


# ── moving when it should not ──


class Step(NamedTuple):
    """One seen fix: whether it shows a movement, ends it or keeps it as it was; how far from the anchor; whether locked."""

    state: str
    metres: float
    locked: bool


def after_hours_movements(track: Watched) -> Iterator[Signal]:
    """One signal for each movement while barred, from its first fix that is far enough away."""
    steps, n, first = list(_steps(track)), len(track.seen), 0
    while first < n:
        if steps[first].state != "shows":
            first += 1
            continue
        after = next((j for j in range(first, n) if steps[j].state == "ends"), n)
        shown = [j for j in range(first, after) if steps[j].state == "shows"]
        begun, first = track.seen[first], after
        for count, j in enumerate(shown, 1):
            fix = track.seen[j]
            limits = track.limits_at(fix.trip, fix).after_hours_movement
            if count >= limits.min_fixes:
                yield track.signal(
                    "after_hours_movement", Raise(fix.time, presumed=False, by=j, decided=fix.time), begun.time,
                    track.seen[after].time if after < n else None, place_of(begun), max(steps[k].metres for k in shown),
                    limits.moved_m, "m", "critical" if steps[j].locked else "warning", trip=fix.trip,
                )  # fmt: skip
                break


def _steps(track: Watched) -> Iterator[Step]:
    anchor: Used | None = None
    chained: set[Lockdown] = set()
    for fix, stop in zip(track.seen, track.standing, strict=True):
        locked = is_locked(track, fix, chained, stands=stop is not None)
        limits = track.limits_at(fix.trip, fix).after_hours_movement
        idle = limits.without_trip and fix.trip is None
        barred = locked or idle or not is_open(limits.hours, track.settings.timezone, fix.time)
        if stop is not None or not barred or anchor is None:
            anchor = fix
        if stop is not None or not barred:
            yield Step("ends", 0.0, locked)
            continue
        metres = distance(fix.lon, fix.lat, anchor.lon, anchor.lat)
        far = fix is not anchor and track.over(fix, metres, limits.moved_m)
        yield Step("shows" if far and not _same_yard(track, anchor, fix) else "keeps", metres, locked)


def is_locked(track: Watched, fix: Used, chained: set[Lockdown], *, stands: bool) -> bool:
    """Whether it must not move at this fix; `chained` are the lockdowns of places that follow it, kept up to date here."""
    index, locked = track.index[fix.time], False
    for lockdown in track.permits.lockdowns:
        if not lockdown.starts_at <= fix.time < lockdown.ends_at:
            chained.discard(lockdown)
        elif lockdown.place is None:
            locked |= lockdown.carrier == track.identity.carrier and lockdown.vehicle in (None, track.identity.vehicle)
        elif any(v.place.id == lockdown.place and v.first <= index <= v.after for v in track.visits):
            chained.add(lockdown)
        elif stands:
            chained.discard(lockdown)
    return locked or bool(chained)


def is_open(hours: str, timezone: str, time: int) -> bool:
    """Whether an instant lies in hours such as "Mo-Fr 06:00-18:00; Sa 22:00-02:00"; always where none are said."""
    if not hours or hours == "24/7":
        return True
    local = datetime.fromtimestamp(time // 1000, UTC).astimezone(ZoneInfo(timezone))
    now, names = local.weekday() * 1440 + local.hour * 60 + local.minute, ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
    for rule in hours.split("; "):
        days, _, span = rule.partition(" ")
        first, last = names.index(days[:2]), names.index(days[-2:])
        begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in span.split("-"))
        length = end - begin if end > begin else end - begin + 1440
        for day in range(first, last + 1 if last >= first else last + 8):
            if (now - day * 1440 - begin) % (7 * 1440) < length:
                return True
    return False


def _same_yard(track: Watched, anchor: Used, fix: Used) -> bool:
    since, now = track.index[anchor.time], track.index[fix.time]
    return any(v.place.kind == "yard" and v.first <= since and now < v.after for v in track.visits)


# ── the wrong way ──


class Route:
    """A route to be driven along: vertices and points between them, and how far along each lies."""

    def __init__(self, points: F64) -> None:
        self.points = points
        lengths = [distance(*a, *b) for a, b in pairwise(points)]
        self.along: F64 = np.cumsum([0.0, *lengths])

    def project(self, lon: float, lat: float) -> tuple[F64, F64]:
        """((S,) metres off, (S,) progress) of the nearest point of every segment."""
        return self._project(lon, lat, np.zeros(len(self.points) - 1), np.ones(len(self.points) - 1))

    def _project(self, lon: float, lat: float, low: F64, high: F64) -> tuple[F64, F64]:
        local = (self.points - [lon, lat]) * metres_per_degree(lat)
        start, leg = local[:-1], np.diff(local, axis=0)
        share = np.clip(-(start * leg).sum(axis=1) / np.maximum((leg**2).sum(axis=1), 1e-12), low, high)
        off = np.hypot(*(start + leg * share[:, None]).T)
        return off, self.along[:-1] + share * np.diff(self.along)

    def spot(self, progress: float) -> tuple[float, float]:
        """(lon, lat) so far along."""
        return float(np.interp(progress, self.along, self.points[:, 0])), float(
            np.interp(progress, self.along, self.points[:, 1])
        )

    def ambiguous(self, progress: float, beside: float, further: float) -> bool:
        """Whether another stretch, so much further along or back, passes this spot within so many metres."""
        spot, length = self.spot(progress), np.diff(self.along)
        before = np.clip((progress - further - self.along[:-1]) / length, -1.0, 1.0)
        behind = np.clip((progress + further - self.along[:-1]) / length, 0.0, 2.0)
        offs = []
        if (back := before >= 0).any():
            offs.append(self._project(*spot, np.zeros(len(length)), np.maximum(before, 0.0))[0][back])
        if (ahead := behind <= 1).any():
            offs.append(self._project(*spot, np.minimum(behind, 1.0), np.ones(len(length)))[0][ahead])
        return bool(offs) and float(np.concatenate(offs).min()) <= beside


@dataclass
class Course:
    """How a vehicle has come along one route of one trip."""

    trip: Trip
    route: str
    furthest: float
    at: Used
    lowest: float
    raised: Used | None = None
    limit: float = math.nan


def wrong_ways(track: Watched) -> Iterator[Signal]:
    """From the furthest point along a route, once the vehicle has come back far enough, until it makes progress again."""
    routes = {name: Route(points) for name, points in track.lines.items()}
    course: Course | None = None
    for fix in track.seen:
        if course and fix.trip != course.trip:
            yield from _wrong_way(track, course, fix)
            course = None
        if fix.trip is None or not (found := progress_of(track, routes, fix)):
            continue
        route, progress = found
        if course and route != course.route:
            yield from _wrong_way(track, course, fix)
            course = None
        if course is None:
            course = Course(fix.trip, route, progress, fix, progress)
        limits = track.limits_at(fix.trip, fix).wrong_way
        if course.raised:
            if not _less(track, fix, progress, course.lowest + limits.clear_m, limits.clear_m):
                yield from _wrong_way(track, course, fix)
                course = Course(fix.trip, route, progress, fix, progress)
        elif _further(track, fix, progress, course.furthest):
            course = Course(fix.trip, route, progress, fix, progress)
        elif not _less(track, fix, course.furthest - progress, limits.back_m, limits.back_m):
            course.raised, course.limit = fix, limits.back_m
        course.lowest = min(course.lowest, progress)
    if course:
        yield from _wrong_way(track, course, None)


def progress_of(track: Watched, routes: dict[str, Route], fix: Used) -> tuple[str, float] | None:
    """(route, metres along it) where a fix tells it: in the corridor of the nearest route, and at no ambiguous spot of it."""
    near = track.nearest_route(fix)
    if near is None or track.over(fix, near.metres, near.corridor):
        return None
    route = routes[near.route]
    offs, along = route.project(fix.lon, fix.lat)
    progress = float(along[np.argmin(offs)])
    about = along[offs <= offs.min() * (1 + CLOSE) + 0.5]
    ambiguous = route.ambiguous(progress, BESIDE_M, FURTHER_M)
    if (
        np.abs(about - progress).max() > SAME_M
        or route.ambiguous(progress, BESIDE_M * 0.99, FURTHER_M * 1.01) != ambiguous
        or route.ambiguous(progress, BESIDE_M * 1.01, FURTHER_M * 0.99) != ambiguous
    ):
        track.fragile.add(fix.time)
    way = sense(track, route, fix)
    return None if ambiguous or way == 0 else (near.route, progress * way)


def sense(track: Watched, route: Route, fix: Used) -> int:
    """Whether its trip goes along a route as it is drawn (1), against it (-1), or either way (0); notes the fix at a close call."""
    begin, end = ((float(lon), float(lat)) for lon, lat in route.points[[0, -1]])
    trip = fix.trip
    origin, destination = (track.places.get(name or "") for name in (trip.origin, trip.destination)) if trip else (None, None)
    if (origin is None and destination is None) or not track.over(fix, distance(*begin, *end), BESIDE_M):
        return 1

    def apart(*spots: tuple[float, float]) -> float:
        """Metres from where the trip begins and ends, as far as that is known, to where the line would."""
        pairs = zip((origin, destination), spots, strict=True)
        return sum(distance(*spot, place.polygon.centroid.x, place.polygon.centroid.y) for place, spot in pairs if place)

    along, against = apart(begin, end), apart(end, begin)
    if not track.over(fix, abs(along - against), BESIDE_M):
        return 0
    return 1 if along < against else -1


def _less(track: Watched, fix: Used, metres: float, limit: float, scale: float) -> bool:
    if abs(metres - limit) <= max(SAME_M, CLOSE * scale):
        track.fragile.add(fix.time)
    return metres < limit


def _further(track: Watched, fix: Used, progress: float, furthest: float) -> bool:
    if 1e-6 < abs(progress - furthest) <= SAME_M:
        track.fragile.add(fix.time)
    return progress > furthest + 1e-6


def _wrong_way(track: Watched, course: Course, ended: Used | None) -> Iterator[Signal]:
    if course.raised is None:
        return
    found = Raise(course.raised.time, presumed=False, by=track.index[course.raised.time], decided=course.raised.time)
    yield track.signal(
        "wrong_way", found, course.at.time, ended.time if ended else None, place_of(course.at), course.furthest - course.lowest,
        course.limit, "m", "warning", route=course.route, trip=course.trip,
    )  # fmt: skip
