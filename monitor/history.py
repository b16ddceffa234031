"""History: what was in force when, as rows with an interval of event time; and the world that they make.

A row says that a thing of a kind (the limits, a place, a route, a trip, an authorization, a lockdown) held over `[valid_from,
valid_until)`, and who said so. Nothing is edited: what changes closes the intervals of the rows before it and adds a row of its own;
an empty body says that the thing is no more. What stands (limits, places, routes) is different from the instant of the change on. What
has an interval of its own (trips, authorizations, lockdowns) holds over all of it, as if it had been known from the start: such a
change is late, like a late fix, and so is that of a place which says itself since when it holds.

The world is made of all that ever was in force, in the order of the rows, so that a later world only adds to an earlier one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import shapely

from monitor.permits import Authorization, Lockdown, Permits
from monitor.places import Geofences, Place, Route, read_feature
from monitor.settings import Limits, Settings, format_duration, read_limits, read_settings
from monitor.trips import Trip, Trips
from monitor.world import World

SETTINGS, PLACE, ROUTE, TRIP, AUTHORIZATION, LOCKDOWN = KINDS = (
    "settings",
    "place",
    "route",
    "trip",
    "authorization",
    "lockdown",
)
OF_THEIR_OWN = (TRIP, AUTHORIZATION, LOCKDOWN)
"""Kinds that have an interval of their own."""
FILES = "files"
"""The source of what the configuration folder and the files it names say."""
LIMITS = "limits"
"""The name of the one row of settings that is in force."""
SECTIONS = ("detectors", "load", "carrier")
"""What of the settings changes over event time."""
GONE = ""
ALWAYS = (-(2**62), 2**62)

Key = tuple[str, str]
"""Kind and name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One statement of what was in force."""

    kind: str
    name: str
    body: str
    """Canonical JSON; empty: it is no more."""
    valid_from: int | None
    valid_until: int | None
    """ms since 1970 UTC, half-open; None without bound."""
    source: str
    by: str
    recorded: int
    """ms: when we learned of it."""
    id: int = 0
    """The store's; 0 until it is stored."""

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.kind, self.name

    @property
    def interval(self) -> tuple[int, int]:
        """From and until, in numbers."""
        begin, end = self.valid_from, self.valid_until
        return (ALWAYS[0] if begin is None else begin, ALWAYS[1] if end is None else end)

    @property
    def held(self) -> bool:
        """Whether there is an instant at which it was in force."""
        return self.body != GONE and self.interval[0] < self.interval[1]


class Effect(NamedTuple):
    """Whom a change concerns, and from which instant (ms) on: one vehicle, all of a carrier, or all."""

    carrier: str | None
    vehicle: str | None
    since: int
    at_once: bool = False
    """Whether it is about one vehicle alone: to judge that anew costs little, however far back it reaches."""


@dataclass(frozen=True)
class Edit:
    """A change of the history: all rows as they then are, and whom it concerns."""

    rows: tuple[Row, ...]
    effects: tuple[Effect, ...]


def edit(rows: Sequence[Row], news: Iterable[Row]) -> Edit:
    """Lay new rows, in their order, over a history; gives it unchanged where there are none."""
    out, effects = list(rows), []
    of_key: dict[Key, list[int]] = {}
    for index, row in enumerate(out):
        of_key.setdefault(row.key, []).append(index)
    for new in news:
        begin = ALWAYS[0] if new.kind in OF_THEIR_OWN and new.body != GONE else new.interval[0]
        for index in of_key.get(new.key, ()) if new.kind != ROUTE else ():
            old = out[index]
            if old.held and old.interval[1] > begin:
                until = max(old.interval[0], begin)
                out[index] = replace(old, valid_until=until)
                effects += _effects(old, until)
        if new.held and new.kind != ROUTE:
            effects += _effects(new, new.interval[0])
        of_key.setdefault(new.key, []).append(len(out))
        out.append(new)
        if new.kind == ROUTE:
            trips = _trips_over(new.name, out)
            effects += [Effect(t.carrier, name, t.starts_at) for t in trips for name in (t.vehicle, t.trailer) if name]
    return Edit(tuple(out), tuple(effects))


def _trips_over(route: str, rows: Sequence[Row]) -> list[Trip]:
    """The trips that name a route: of a route drawn anew they are judged by the new line, from their start on."""
    trips: list[Trip] = [_thing(row.kind, row.name, row.body) for row in rows if row.kind == TRIP and row.held]
    return [trip for trip in trips if route in trip.routes]


def stated(settings: Settings, geofences: Geofences, trips: Trips, permits: Permits) -> dict[Key, str]:
    """Everything the files say, as bodies."""
    out = {(SETTINGS, LIMITS): _canonical({name: _table(getattr(settings, name)) for name in SECTIONS})}
    out |= {(PLACE, place.id): body_of(place) for place in geofences.places}
    out |= {(ROUTE, route.id): body_of(route) for route in geofences.routes}
    out |= {(TRIP, trip.id): body_of(trip) for trip in trips.all}
    out |= {(AUTHORIZATION, permit.id): body_of(permit) for permit in permits.authorizations}
    return out | {(LOCKDOWN, permit.id): body_of(permit) for permit in permits.lockdowns}


def differences(rows: Sequence[Row], said: Mapping[Key, str], now: int, by: str) -> list[Row]:
    """The rows that lead from what the files said last to what they say at `now` (ms).

    With no rows at all this is the first start, and what the files say always was.
    """
    last = {row.key: row.body for row in rows if row.source == FILES}
    changed = [(key, body) for key, body in said.items() if last.get(key, GONE) != body]
    changed += [(key, GONE) for key, body in last.items() if body != GONE and key not in said]
    return [_new(key, body, now if rows else None, FILES, by, now) for key, body in changed]


def planned(thing: Trip | Authorization | Lockdown, source: str, by: str, now: int) -> Row:
    """The row of a trip or a permit that somebody gave."""
    return _new((KIND_OF[type(thing)], thing.id), body_of(thing), None, source, by, now)


def withdrawn(kind: str, name: str, source: str, by: str, now: int) -> Row:
    """The row that says that a trip or a permit never was."""
    return Row(kind, name, GONE, ALWAYS[0], ALWAYS[0], source, by, now)


def world_of(rows: Sequence[Row], settings: Settings) -> World:
    """The world of a history; `settings` say what does not change over event time."""
    things: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for row in rows:
        if row.body != GONE:
            things[row.kind].append((row, _thing(row.kind, row.name, row.body)))
    held = [(row.interval[1], _under(settings, body)) for row, body in things[SETTINGS] if row.held]
    limits = sorted(held, key=lambda each: each[0])
    earlier, current = limits[:-1], limits[-1][1] if limits else settings
    said = hashlib.sha256(repr([row.body for row in rows if row.kind in (PLACE, ROUTE)]).encode()).hexdigest()[:16]
    geofences = Geofences(
        tuple(_bounded(place, row) for row, place in things[PLACE]),
        tuple({row.name: route for row, route in things[ROUTE]}.values()),
        said,
    )
    cut = {kind: tuple(_cut(thing, row) for row, thing in things[kind]) for kind in OF_THEIR_OWN}
    return World(current, geofences, Trips(cut[TRIP]), Permits(cut[AUTHORIZATION], cut[LOCKDOWN]), earlier)


# things and their bodies

Thing = Place | Route | Trip | Authorization | Lockdown
KIND_OF: dict[type, str] = {Place: PLACE, Route: ROUTE, Trip: TRIP, Authorization: AUTHORIZATION, Lockdown: LOCKDOWN}


def body_of(thing: Thing) -> str:
    """A thing as canonical JSON: a place or a route as a GeoJSON feature, all else by its fields."""
    if isinstance(thing, Place | Route):
        return _canonical(_feature(thing))
    fields = {item.name: getattr(thing, item.name) for item in dataclasses.fields(thing)}
    return _canonical({name: _flat(value) if name == "limits" else value for name, value in fields.items() if value is not None})


@lru_cache(maxsize=200_000)
def _thing(kind: str, name: str, body: str) -> Any:
    """What a body tells of; of settings, their table. What this release does not know any more is left out."""
    said = json.loads(body)
    if kind == SETTINGS:
        return said
    if kind in OF_THEIR_OWN:
        made = next(type_ for type_, known in KIND_OF.items() if known == kind)
        fields = {item.name for item in dataclasses.fields(made)}
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items() if key in fields}
        if "limits" in values:
            values["limits"], _ = read_limits(values["limits"], "")
        return made(**values)
    return read_feature(said, name, "UTC")  # hours have their own time zone in a body


def _feature(thing: Place | Route) -> dict[str, Any]:
    """A feature that reads back as the same place or route, wherever and whenever it is read."""
    properties = dict(thing.properties) | {"id": thing.id}
    if isinstance(thing, Route):
        return {"type": "Feature", "properties": properties, "geometry": {"type": "LineString", "coordinates": thing.line}}
    if thing.hours is not None:
        properties["timezone"] = thing.hours.zone.key
    return {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(thing.geometry)}


def _new(key: Key, body: str, now: int | None, source: str, by: str, recorded: int) -> Row:
    """A row with the interval that its kind and its body give it; `now` None: what stands always did."""
    kind, name = key
    begin, end = now, None
    said = json.loads(body) if body != GONE else {}
    if kind in OF_THEIR_OWN and said:
        begin, end = said["starts_at"], said["ends_at"]
    elif kind == PLACE and said and now is not None:
        place: Place = _thing(kind, name, body)
        until = now if place.valid_until is None else min(now, place.valid_until)
        begin = until if place.valid_from is None else place.valid_from
    return Row(kind, name, body, begin, end, source, by, recorded)


def _effects(row: Row, since: int) -> list[Effect]:
    """Whom a change of a row concerns: of a trip, its trailer too."""
    said = json.loads(row.body)
    if row.kind not in OF_THEIR_OWN:
        return [Effect(said["properties"].get("carrier") if row.kind == PLACE else None, None, since)]
    if "vehicle" not in said:
        return [Effect(said.get("carrier"), None, since)]
    vehicles = dict.fromkeys((said["vehicle"], said.get("trailer", said["vehicle"])))
    return [Effect(said["carrier"], vehicle, since, at_once=True) for vehicle in vehicles]


def _bounded(thing: Any, row: Row) -> Any:
    """A place or a route that exists only while its row holds, and within what it says itself."""
    (begin, end), own = row.interval, (thing.valid_from, thing.valid_until)
    begin, end = max(begin, ALWAYS[0] if own[0] is None else own[0]), min(end, ALWAYS[1] if own[1] is None else own[1])
    if (begin, end) == ALWAYS:
        return thing
    return replace(
        thing, valid_from=None if begin == ALWAYS[0] else begin, valid_until=None if end == ALWAYS[1] else max(begin, end)
    )


def _cut(thing: Any, row: Row) -> Any:
    """A trip or a permit that ends where its row does; one that never was in force is there, but empty."""
    end = max(thing.starts_at, row.interval[1])
    return thing if thing.ends_at <= end else replace(thing, ends_at=end)


def _under(settings: Settings, body: Mapping[str, Any]) -> Settings:
    """The settings with the limits of a row. What this release does not know any more is left out."""
    said = read_settings(body)
    return replace(settings, **{name: getattr(said, name) for name in SECTIONS})


def _table(value: Any) -> Any:
    """A section, or limits by name, as its file would say it."""
    if dataclasses.is_dataclass(value):
        value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _table(below) for name, below in value.items()}
    return _shown(value)


def _flat(limits: Limits) -> dict[str, Any]:
    """Limits of one trip as its record would say them."""
    return {f"{kind}.{name}": _shown(value) for kind, said in limits.items() for name, value in said.items()}


def _shown(value: Any) -> Any:
    return "none" if value is None else format_duration(value) if hasattr(value, "total_seconds") else value


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
