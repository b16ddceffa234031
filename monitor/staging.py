"""Staging: from used fixes to a scene. Locates them, judges whether and how long they may stand, moves the automaton.

Shapes: N fixes used, S seen among them, R vehicles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.atlas import off_lines
from monitor.fixes import I32, I64, Bool, FixBatch, VehicleId
from monitor.motion import NONE, move
from monitor.order import Used
from monitor.scene import ALLOWED, Placed, Scene, Seen, run_starts
from monitor.settings import milliseconds
from monitor.visits import visit
from monitor.world import World

JUDGED = np.dtype([("trip", "i8"), ("limit", "i8"), ("limit_since", "i8"), ("may_not_since", "i8")])
"""What a vehicle's last seen fix was judged under."""


def unseen(vehicles: int) -> npt.NDArray[np.void]:
    """(R,) JUDGED of vehicles never seen."""
    state = np.full(vehicles, NONE, np.dtype("i8")).astype([(name, "i8") for name in JUDGED.names or ()])
    state["trip"] = -1
    return state


def stage(
    vehicles: Sequence[VehicleId],
    state: npt.NDArray[np.void],
    visits: npt.NDArray[np.void],
    world: World,
    fixes: FixBatch,
    row_of: I32,
    used: Used,
) -> tuple[Scene, npt.NDArray[np.void]]:
    """Make the scene of the used fixes, and the visits under way after them; advances motion and judgement in `state` (R,)."""
    row, time = row_of[used.fix], fixes.time.view(np.int64)[used.fix]
    lon, lat = fixes.lon[used.fix], fixes.lat[used.fix]
    trip = world.trips.assign(vehicles, row, time)
    profile = np.where(trip >= 0, world.trip_profile[trip], world.profiles_without_trip(vehicles)[row])
    pairs = world.atlas.locate(lon, lat)
    exists = world.visible_to(vehicles, row[pairs.fix], pairs.place)
    presence, under_way = visit(visits, _bounds(row, len(state)), time, pairs, exists)
    standing = world.permissions.standing_at(presence, time, trip)
    placed = Placed(world, row, time, lon, lat, used.allowance, trip, profile, presence, standing)
    precise = np.flatnonzero(fixes.precise[used.fix])
    seen = _seen(placed, state, precise, fixes.speed[used.fix[precise]], used.gap[precise])
    return Scene(**vars(placed), seen=seen), under_way


def _bounds(row: I32, rows: int) -> I64:
    """(R + 1,) where the fixes of each row begin."""
    return np.searchsorted(row, np.arange(rows + 1)).astype(np.int64)


def _seen(placed: Placed, state: npt.NDArray[np.void], fix: I64, speed: npt.NDArray[np.float32], gap: Bool) -> Seen:
    """Judge and move the seen fixes; advances both in `state`."""
    world, row, time, trip = placed.world, placed.row[fix], placed.time[fix], placed.trip[fix]
    bounds, first = _bounds(row, len(state)), np.zeros(len(fix), bool)
    present = bounds[:-1] < bounds[1:]
    first[bounds[:-1][present]] = True
    may = placed.standing.may[fix]
    limit, red_zone, no_stop = _stop_limits(placed, fix, may)
    judged = state["judged"][present]
    limit_since = run_starts(limit, first, time, judged["limit"], judged["limit_since"])
    may_before = np.where(judged["limit"] == NONE, -1, judged["limit"] == ALLOWED)
    left = placed.standing.left[fix]
    barred = np.where(~may & (left != NONE), left, time)  # a visit ends at the first of the two fixes that show it
    may_not_since = run_starts(may.astype(np.int64), first, barred, may_before, judged["may_not_since"])
    trip_since = run_starts(trip.astype(np.int64), first, time, judged["trip"], np.full(len(judged), NONE))
    cut = np.zeros(len(fix), bool)
    cut[1:] = (may[1:] != may[:-1]) & ~first[1:]
    lon, lat = placed.lon[fix], placed.lat[fix]
    movement = move(state["motion"], bounds, time, lon, lat, speed, gap, cut, world.settings.motion)
    on_route = np.where(world.routed[trip], trip, -1).astype(np.int64)
    offsets = off_lines(world.atlas, lon, lat, on_route, world.corridor_start, world.corridor_route)
    last = bounds[1:][present] - 1
    for name, column in (("trip", trip), ("limit", limit), ("limit_since", limit_since), ("may_not_since", may_not_since)):
        state["judged"][name][present] = column[last]
    trip_since = np.where(trip_since == time, time, NONE)
    return Seen(fix, first, may, limit, limit_since, may_not_since, red_zone, no_stop, trip_since, movement, offsets)


def _stop_limits(placed: Placed, fix: I64, may: Bool) -> tuple[I64, Bool, I32]:
    """(S,) ms that a vehicle may stand at each seen fix, whether that is in the red zone, and the no-stop place that did."""
    world, trip = placed.world, placed.trip[fix]
    limit = placed.limits(fix, lambda d: milliseconds(d.unauthorized_stop.limit)).astype(np.int64)
    shorter = placed.limits(fix, lambda d: milliseconds(d.unauthorized_stop.no_stop_limit)).astype(np.int64)
    no_stop = np.where(shorter <= limit, placed.standing.no_stop[fix], -1).astype(np.int32)
    limit = np.where(no_stop >= 0, shorter, limit)
    red = placed.limits(fix, lambda d: milliseconds(d.unauthorized_stop.red_zone_limit)).astype(np.int64)
    reach = placed.limits(fix, lambda d: d.unauthorized_stop.red_zone_m)
    origin, red_zone = world.origin[trip], np.zeros(len(fix), bool)
    asked = ~may & world.high_value[trip] & (origin >= 0)
    for place in np.unique(origin[asked]):
        there = np.flatnonzero(asked & (origin == place))
        at = fix[there]
        red_zone[there] = world.atlas.distance_m(int(place), placed.lon[at], placed.lat[at]) <= reach[there]
    shortest = red_zone & (red < limit)
    no_stop[shortest] = -1
    return np.where(may, ALLOWED, np.where(shortest, red, limit)), red_zone, no_stop
