"""Learning places: drafts of the spots where vehicles stand again and again, for a named person to confirm or dismiss.

Definitions
    An *alert* is an `unauthorized_stop` signal of a history. It belongs to the stop of its vehicle that began last before it.
    A *candidate* is a stop that was not lawful throughout, lasted five minutes or raised an alert, and whose centroid lies neither in
    a place of a standing kind nor in a `restricted` one that exists for its vehicle (places that are to come count, those that were
    do not), nor within 60 m of a spot that a person settled.
    A spot of candidates (see `spots`) counts if two vehicles stood there, or one on three local days (those on which stops began).
    A *draft* is the area of a spot that counts, beside the known places and the drafts ranked before it.
    A draft *explains* the alerts of its spot that the same history does not raise any more once all drafts are places.
What is guessed of a draft's kind rests on the times of its stops and on the known places and routes around it; the guess says why.
Shapes: S candidates, D drafts. Instants are whole milliseconds since 1970 UTC. Nothing depends on the order of what is given.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from shapely.geometry import Polygon, box, mapping
from shapely.geometry.base import BaseGeometry

from monitor.atlas import Atlas
from monitor.detectors import unauthorized_stop
from monitor.fixes import F64, VehicleId
from monitor.geodesy import distances_m, metres_per_degree
from monitor.habits import Habit, Route, guess, habit_of
from monitor.lines import measure
from monitor.places import STANDING_KINDS, Place
from monitor.settings import format_duration
from monitor.signals import Signal
from monitor.spots import MARGIN_M, area, spots
from monitor.stops import Stop

SHORTEST_MS = 5 * 60_000
BESIDE_M = 300.0
"""A spot this near to the edge of a known place may be a part of it."""
ROADSIDE_M = 500.0
END_M = 2000.0
"""A spot this near to the end of a route is at the end of it; within the other, along it."""
DRAFT, FINGERPRINT = "draft", "fingerprint"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stop outside every known place, and the alerts it raised; `until` (ms) counts the silence that an alert presumed."""

    stop: Stop
    until: int
    alerts: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A place that might be: where, what it seems to be and why, and the alerts that would belong to it."""

    place: Place
    why: str
    habit: Habit
    alerts: tuple[Signal, ...]
    extends: str | None
    """The known place that it may be a part of."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A draft, and what a monitor with all drafts confirmed would make of the same history."""

    draft: Draft
    explains: int
    """Alerts of its spot that would not be raised."""
    raises: int
    """Signals that would be raised instead, such as a dwell longer than its kind allows."""
    share: float
    """Of all alerts, those that it and the drafts before it explain."""


def learn(
    stops: Iterable[Stop],
    signals: Iterable[Signal],
    atlas: Atlas,
    settled: Atlas,
    zone: ZoneInfo,
    *,
    ids: Iterable[str] = (),
    carrier: str | None = None,
) -> list[Draft]:
    """Draft a place for every spot that counts, the one with the most alerts first.

    `atlas` holds what is known; `settled` the spots, of any kind, that a person has dismissed or edited; `ids` are in use elsewhere;
    `carrier` is whose the drafts are, None: everybody's.
    """
    found = candidates(stops, alerts_among(signals), atlas, settled)
    lon, lat = np.array([c.stop.lon for c in found]), np.array([c.stop.lat for c in found])
    groups = [[found[index] for index in group] for group in spots(lon, lat)]
    habits = [(group, habit) for group in groups if (habit := _habit(group, zone)).counts]
    around = _Around(atlas)
    names = {*ids, *(place.id for place in (*atlas.places, *settled.places)), *(route.id for route in atlas.routes)}
    drafts: list[Draft] = []
    for group, habit in sorted(habits, key=lambda each: (-sum(len(c.alerts) for c in each[0]), -each[1].stops)):
        drafts.append(_draft(group, habit, around, names, carrier))
        around.take(drafts[-1].place.geometry)
    return drafts


def alerts_among(signals: Iterable[Signal]) -> list[Signal]:
    """The alerts that drafts are about."""
    return [signal for signal in signals if signal.kind == unauthorized_stop.KIND]


def _habit(group: Iterable[Candidate], zone: ZoneInfo) -> Habit:
    return habit_of([(c.stop.vehicle, c.stop.since, c.until) for c in group], zone)


def rank(drafts: Iterable[Draft], before: Iterable[Signal], after: Sequence[Signal]) -> list[Ranked]:
    """Order drafts by the alerts they explain; `after` are the signals of the same history with all drafts confirmed."""
    total, left = len(alerts_among(before)), defaultdict[VehicleId, list[Signal]](list)
    for signal in alerts_among(after):
        left[VehicleId(signal.carrier, signal.vehicle)].append(signal)
    instead = Counter(signal.place for signal in after)
    counted = [
        (draft, sum(not any(_overlap(a, b) for b in left[VehicleId(a.carrier, a.vehicle)]) for a in draft.alerts))
        for draft in drafts
    ]
    counted.sort(key=lambda each: (-each[1], -each[0].habit.stops, -each[0].habit.vehicles, each[0].place.id))
    together = (np.cumsum([explains for _, explains in counted]) / max(1, total)).tolist()
    return [
        Ranked(draft, explains, instead[draft.place.id], share)
        for (draft, explains), share in zip(counted, together, strict=True)
    ]


def _overlap(a: Signal, b: Signal) -> bool:
    return (b.until is None or a.since <= b.until) and (a.until is None or b.since <= a.until)


def candidates(stops: Iterable[Stop], alerts: Iterable[Signal], atlas: Atlas, settled: Atlas) -> list[Candidate]:
    """The stops that no known place and nobody's decision accounts for, by position."""
    by_vehicle: dict[VehicleId, list[Stop]] = defaultdict(list)
    for stop in sorted(stops, key=lambda stop: stop.since):
        by_vehicle[stop.vehicle].append(stop)
    raised: dict[Stop, list[Signal]] = defaultdict(list)
    for alert in sorted(alerts, key=lambda alert: alert.since):
        own = by_vehicle[VehicleId(alert.carrier, alert.vehicle)]
        before = bisect_right(own, alert.since, key=lambda stop: stop.since)
        if before:
            raised[own[before - 1]].append(alert)
    possible = [
        Candidate(stop, max([stop.until, *(a.until or a.at for a in raised.get(stop, ()))]), tuple(raised.get(stop, ())))
        for own in by_vehicle.values()
        for stop in own
        if not stop.authorized
    ]
    possible = [c for c in possible if c.alerts or c.until - c.stop.since >= SHORTEST_MS]
    possible.sort(key=lambda c: (c.stop.lon, c.stop.lat, c.stop.vehicle, c.stop.since))
    accounted = _accounted(possible, atlas, settled)
    return [candidate for number, candidate in enumerate(possible) if number not in accounted]


def _accounted(possible: Sequence[Candidate], atlas: Atlas, settled: Atlas) -> set[int]:
    """Which of some stops lie in a known place of their vehicle's, or at a spot that a person has settled."""
    lon, lat = np.array([c.stop.lon for c in possible]), np.array([c.stop.lat for c in possible])
    near = settled.locate(lon, lat)
    out = set(near.fix[near.outside_m <= MARGIN_M].tolist())
    pairs = atlas.locate(lon, lat)
    for number, code in zip(pairs.fix[pairs.outside_m == 0].tolist(), pairs.place[pairs.outside_m == 0].tolist(), strict=True):
        place, stop = atlas.places[code], possible[number].stop
        over = place.valid_until is not None and place.valid_until <= stop.since
        if _says(place) and place.carrier in {None, stop.vehicle.carrier} and not over:
            out.add(number)
    return out


def _says(place: Place) -> bool:
    """Whether a place says of itself who may stand in it; the others watch over whole regions, which hold yards of their own."""
    return place.kind in STANDING_KINDS or place.kind == "restricted"


class _Around:
    """What lies around a spot: known places, routes, and the drafts so far."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self.codes = [code for code, place in enumerate(atlas.places) if _says(place)]
        self.tree = shapely.STRtree([atlas.places[code].geometry for code in self.codes])
        self.drafts: list[BaseGeometry] = []

    def take(self, geometry: BaseGeometry) -> None:
        """Note a draft."""
        self.drafts.append(geometry)

    def taken(self, lon: F64, lat: F64) -> BaseGeometry:
        """What known places and drafts hold around some points."""
        here = _box(lon, lat, BESIDE_M)
        known = [self.atlas.places[self.codes[each]].geometry for each in sorted(self.tree.query(here).tolist())]
        return shapely.union_all([*known, *(draft for draft in self.drafts if draft.intersects(here))])

    def beside(self, lon: float, lat: float) -> tuple[Place, float] | None:
        """The nearest known place where one may stand, and metres to its edge, if that is within `BESIDE_M`."""
        point = np.array([lon]), np.array([lat])
        codes = [self.codes[each] for each in self.tree.query(_box(*point, BESIDE_M)).tolist()]
        standing = [code for code in codes if self.atlas.places[code].kind in STANDING_KINDS]
        away = [(float(self.atlas.distance_m(code, *point)[0]), self.atlas.places[code].id, code) for code in standing]
        metres, _, nearest = min(away, default=(BESIDE_M + 1, "", -1))
        return None if metres > BESIDE_M else (self.atlas.places[nearest], metres)

    def route(self, lon: float, lat: float) -> Route:
        """How a point lies to the routes."""
        codes, point = np.arange(len(self.atlas.routes)), (np.array([lon]), np.array([lat]))
        ends = np.array([end for route in self.atlas.routes for end in (route.line[0], route.line[-1])]).reshape(-1, 2)
        if (distances_m(np.full(len(ends), lon), np.full(len(ends), lat), ends[:, 0].copy(), ends[:, 1].copy()) <= END_M).any():
            return Route.END
        away = measure(*point, np.zeros(1, np.int64), np.array([0, len(codes)]), codes, self.atlas.segments)[0]
        return Route.ALONG if (away <= ROADSIDE_M).any() else Route.NONE

    def watched(self, lon: float, lat: float) -> list[str]:
        """The names of `no_stop` places at a point."""
        places = [self.atlas.places[c] for c in self.atlas.locate(np.array([lon]), np.array([lat])).place.tolist()]
        return sorted(place.name for place in places if place.kind == "no_stop")


def _box(lon: F64, lat: F64, metres: float) -> Polygon:
    """The degrees within some metres of points, and a little more."""
    east, north = metres_per_degree(float(np.abs(lat).max()))
    wide, high = 1.1 * metres / east, 1.1 * metres / north
    return box(lon.min() - wide, lat.min() - high, lon.max() + wide, lat.max() + high)


def _draft(group: Sequence[Candidate], habit: Habit, around: _Around, names: set[str], carrier: str | None) -> Draft:
    """Draft the place of one spot; its id is added to `names`."""
    lon, lat = np.array([c.stop.lon for c in group]), np.array([c.stop.lat for c in group])
    middle = float(lon.mean()), float(lat.mean())
    beside = around.beside(*middle)
    kind, reason = guess(habit, beside[0] if beside else None, around.route(*middle))
    geometry = area(lon, lat, around.taken(lon, lat))
    place = Place(_identity(*middle, names), f"Spot at {middle[1]:.4f}, {middle[0]:.4f}", kind, geometry, carrier)
    why = [f"{kind}: {reason}", str(habit)]
    if beside:
        why.append(f"{beside[1]:.0f} m from the edge of {beside[0].name}: extend that instead if it is a part of it")
    why += [f"inside {name}: confirming it lets vehicles stand there" for name in around.watched(*middle)]
    alerts = tuple(alert for candidate in group for alert in candidate.alerts)
    return Draft(place, "; ".join(why), habit, alerts, beside[0].id if beside else None)


def _identity(lon: float, lat: float, names: set[str]) -> str:
    """An id of its own for a spot, made of its position."""
    plain = f"learned-{lat:.4f}{lon:+.4f}"
    identity, number = plain, 1
    while identity in names:
        number += 1
        identity = f"{plain}-{number}"
    names.add(identity)
    return identity


def feature_of(ranked: Ranked) -> dict[str, Any]:
    """A ranked draft as a GeoJSON feature, with the fingerprint that shows whether somebody edited it since."""
    draft, habit = ranked.draft, ranked.draft.habit
    properties = {
        "id": draft.place.id,
        "name": draft.place.name,
        "kind": draft.place.kind,
        "status": DRAFT,
        "why": draft.why,
        "explains": ranked.explains,
        "alerts": len(draft.alerts),
        "explained_share": round(ranked.share, 4),
        "raises": ranked.raises,
        "vehicles": habit.vehicles,
        "days": habit.days,
        "stops": habit.stops,
        "median_dwell": format_duration(habit.dwell),
        "source": f"learned from {habit.stops} stops, {habit.first} to {habit.last}",
    }
    said = {"carrier": draft.place.carrier, "extends": draft.extends}
    properties |= {name: value for name, value in said.items() if value}
    out = {"type": "Feature", "properties": properties, "geometry": mapping(draft.place.geometry)}
    properties[FINGERPRINT] = fingerprint(out)
    return out


def fingerprint(feature: Mapping[str, Any]) -> str:
    """A hash over all that a feature says, but for its fingerprint."""
    said = {name: value for name, value in feature["properties"].items() if name != FINGERPRINT}
    whole = json.dumps({**feature, "properties": said}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def replaceable(feature: Mapping[str, Any]) -> bool:
    """Whether a feature is a draft as it was learned: nobody has confirmed, dismissed or edited it."""
    properties = feature["properties"]
    return bool(properties.get("status") == DRAFT and properties.get(FINGERPRINT) == fingerprint(feature))
