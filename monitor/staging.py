"""Staging: from fixes to a scene. Locates the used ones, judges whether and how long they may stand, moves the automaton.

Shapes: A fixes, Q reports, N fixes used, S seen among them, R vehicles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.anchor import ANCHOR, Outing, nowhere, set_out
from monitor.atlas import off_lines
from monitor.compiled import kernel
from monitor.departure import DEPARTURE, Departures, at_home, depart
from monitor.fixes import F64, I32, I64, Bool, FixBatch, VehicleId
from monitor.motion import NONE, Movement, move
from monitor.order import Used, order
from monitor.progress import PROGRESS, Progress, progress, unstarted
from monitor.scene import ALLOWED, Before, Begins, Nearest, Placed, Reports, Scene, Seen, run_starts
from monitor.silence import SILENCE, Parked, park, unheard
from monitor.visits import visit
from monitor.world import World

JUDGED = np.dtype([("trip", "i8"), ("limit", "i8"), ("limit_since", "i8"), ("may_not_since", "i8"), ("may", "i8")])
"""What a vehicle's last seen fix was judged under; and whether it might stand at its last used one."""

STAGES = [("judged", JUDGED), ("silence", SILENCE), ("anchor", ANCHOR), ("progress", PROGRESS), ("departure", DEPARTURE)]


def unseen(state: npt.NDArray[np.void]) -> None:
    """Make what staging remembers, in (R,) rows, that of vehicles never seen."""
    judged = state["judged"]
    for name in JUDGED.names or ():
        judged[name] = NONE
    judged["trip"], judged["may"] = -1, 0
    state["silence"], state["anchor"] = unheard(len(state)), nowhere(len(state))
    state["progress"], state["departure"] = unstarted(len(state)), at_home(len(state))


def stage(
    vehicles: Sequence[VehicleId],
    state: npt.NDArray[np.void],
    visits: npt.NDArray[np.void],
    world: World,
    fixes: FixBatch,
    bounds: I64,
) -> tuple[Scene, npt.NDArray[np.void]]:
    """Make the scene of A fixes, and the visits under way after them; advances `state` (R,) in place.

    Vehicle r has the fixes `bounds[r]` to `bounds[r + 1]`.
    """
    before = _before(state)
    time_of = fixes.time.view(np.int64)
    used = order(state["order"], bounds, time_of, fixes.lon, fixes.lat, fixes.positioned, fixes.precise, world.settings.order)
    row_of = np.repeat(np.arange(len(state), dtype=np.int32), np.diff(bounds))
    row, time = row_of[used.fix], time_of[used.fix]
    lon, lat = fixes.lon[used.fix], fixes.lat[used.fix]
    begins = np.searchsorted(used.fix, bounds).astype(np.int64)
    trip = world.trips.assign(vehicles, row, time)
    profile = world.profiles_of(vehicles, row, time, trip)
    pairs = world.atlas.locate(lon, lat)
    exists = world.visible_to(vehicles, row[pairs.fix], time[pairs.fix], pairs.place)
    presence, under_way = visit(visits, begins, time, pairs, exists)
    profile = world.in_places(profile, vehicles, row, time, trip, presence)
    allowed = world.permissions.authorized(vehicles, begins, presence, time, lon, lat)
    standing = world.permissions.standing_at(presence, time, trip, allowed)
    placed = Placed(world, row, time, lon, lat, used, _begins(begins), trip, profile, presence, standing)
    precise = np.flatnonzero(fixes.precise[used.fix])
    seen = _seen(vehicles, placed, state, precise, fixes.speed[used.fix[precise]])
    parked = _parked(state, begins, time, seen, fixes.speed[used.fix[precise]], fixes.ignition[used.fix], world)
    departures = _departures(placed, state, begins)
    rows, last = placed.begins.row, begins[1:][placed.begins.row] - 1
    state["judged"]["may"][rows] = standing.may[last]
    reports = _reports(fixes, row_of, bounds, used)
    scene = Scene(
        **vars(placed),
        vehicles=vehicles,
        seen=seen,
        parked=parked,
        departures=departures,
        reports=reports,
        before=before,
        open=np.ones(len(state), bool),
    )
    return scene, under_way


def _before(state: npt.NDArray[np.void]) -> Before:
    """What is remembered of the last used fix of each vehicle."""
    last = state["order"]
    parked, may = state["silence"]["parked"] != 0, state["judged"]["may"] == 1
    return Before(last["last"].copy(), last["lon"].copy(), last["lat"].copy(), parked, may)


def _reports(fixes: FixBatch, row: I32, bounds: I64, used: Used) -> Reports:
    """All fixes as reports, those of one time as one."""
    time, n = fixes.time.view(np.int64), len(fixes)
    new = np.ones(n, bool)
    new[1:] = (time[1:] != time[:-1]) | (row[1:] != row[:-1])
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], n) - 1 if len(begin) else begin
    alarms, door = fixes.alarms, fixes.door
    door_speed = np.where(door == 1, fixes.speed, np.float32(np.nan))
    if len(begin) < n:
        alarms, door = np.bitwise_or.reduceat(alarms, begin), np.maximum.reduceat(door, begin)
        door_speed = np.fmax.reduceat(door_speed, begin)
    its_row = row[begin]
    newest = np.searchsorted(used.fix, end, side="right") - 1
    newest[row[used.fix[newest]] != its_row if len(used.fix) else slice(None)] = -1
    begins = _begins(np.searchsorted(begin, bounds))
    return Reports(its_row, time[begin], begins, alarms, door, door_speed, used.patience[end], newest)


def _begins(bounds: I64) -> Begins:
    """Where the fixes begin of those that have any."""
    row = np.flatnonzero(bounds[:-1] < bounds[1:])
    return Begins(row, bounds[row])


def _bounds(row: I32, rows: int) -> I64:
    """(R + 1,) where the fixes of each row begin."""
    return np.searchsorted(row, np.arange(rows + 1)).astype(np.int64)


def _seen(
    vehicles: Sequence[VehicleId], placed: Placed, state: npt.NDArray[np.void], fix: I64, speed: npt.NDArray[np.float32]
) -> Seen:
    """Judge and move the seen fixes; advances `state`."""
    world, row, time, trip = placed.world, placed.row[fix], placed.time[fix], placed.trip[fix]
    bounds, first = _bounds(row, len(state)), np.zeros(len(fix), bool)
    begins = _begins(bounds)
    present = begins.row
    first[begins.at] = True
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
    lon, lat, gap = placed.lon[fix], placed.lat[fix], placed.used.gap[fix]
    movement = move(state["motion"], bounds, time, lon, lat, speed, gap, cut, world.settings.motion)
    last = bounds[1:][present] - 1
    for name, column in (("trip", trip), ("limit", limit), ("limit_since", limit_since), ("may_not_since", may_not_since)):
        state["judged"][name][present] = column[last]
    trip_since = np.where(trip_since == time, time, NONE)
    nearest = _nearest(placed, fix)
    along = _progress(placed, state, fix, bounds, nearest, trip_since)
    outing = _outing(vehicles, placed, state, fix, bounds, movement)
    return Seen(
        fix, begins, may, limit, limit_since, may_not_since, red_zone, no_stop, trip_since, movement, nearest, along, outing
    )


def _parked(
    state: npt.NDArray[np.void],
    bounds: I64,
    time: I64,
    seen: Seen,
    speed: npt.NDArray[np.float32],
    ignition: npt.NDArray[np.int8],
    world: World,
) -> Parked:
    """Follow where the used fixes are parked; `speed` (S,) m/s, `ignition` (N,) 0 off."""
    movement = seen.movement
    stop_since = np.append(movement.since, NONE)[movement.stop]
    halted = (movement.stop >= 0) & (speed <= world.settings.motion.low_mps)  # not where the speed is unknown
    return park(state["silence"], bounds, time, seen.fix, movement.stands, halted, stop_since, ignition == 0)


def _departures(placed: Placed, state: npt.NDArray[np.void], bounds: I64) -> Departures:
    """Follow which closed yards were left."""
    presence, permissions, n = placed.presence, placed.world.permissions, len(placed.time)
    in_yard, place, left = np.zeros(n, bool), np.full(n, -1, np.int32), np.full(n, NONE)
    yards = np.flatnonzero(permissions.yard[presence.place])
    in_yard[presence.fix[yards[presence.ended[yards] == NONE]]] = True
    ended = yards[(presence.ended[yards] != NONE) & permissions.timed[presence.place[yards]]]
    ended = ended[placed.world.exists(presence.place[ended], presence.ended[ended])]  # else not the vehicle went, but the yard
    ended = ended[np.argsort(-permissions.rank[presence.place[ended]], kind="stable")]
    for pair in ended.tolist():
        code, when = int(presence.place[pair]), presence.ended[pair : pair + 1]
        hours = placed.world.atlas.places[code].hours
        if hours is not None and not hours.open_at(when)[0]:
            place[presence.fix[pair]], left[presence.fix[pair]] = code, when[0]
    return depart(state["departure"], bounds, placed.lon, placed.lat, in_yard, place, left)


def _nearest(placed: Placed, fix: I64) -> Nearest:
    """Hold the seen fixes against the routes of their trips."""
    world, trip = placed.world, placed.trip[fix]
    on_route = np.where(world.routed[trip], trip, -1).astype(np.int64)
    offsets = off_lines(world.atlas, placed.lon[fix], placed.lat[fix], on_route, world.corridor_start, world.corridor_route)
    return Nearest(
        *_least(offsets.metres, offsets.line, offsets.along, trip, world.corridor_start, world.corridor_m, world.corridor_sense)
    )


@kernel
def _least(
    metres: F64, line: I32, along: F64, trip: I32, start: I64, corridor_m: F64, sense: F64
) -> tuple[F64, F64, F64, I32, I64, F64]:
    """The columns of `Nearest`; `start[trip]` is the number of a trip's first corridor. Of routes equally near, the first."""
    n = len(trip)
    share, best, corridor, along_m = np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, np.nan)
    route, number = np.full(n, -1, np.int32), np.full(n, -1, np.int64)
    for i in range(n):
        for k in range(metres.shape[1]):
            if line[i, k] < 0:
                break
            width = corridor_m[start[trip[i]] + k]
            if k == 0 or metres[i, k] / width < share[i]:
                share[i], best[i], corridor[i], route[i] = metres[i, k] / width, metres[i, k], width, line[i, k]
                number[i], along_m[i] = k, along[i, k] * sense[start[trip[i]] + k]
    return share, best, corridor, route, number, along_m


def _progress(placed: Placed, state: npt.NDArray[np.void], fix: I64, bounds: I64, nearest: Nearest, trip_since: I64) -> Progress:
    """Follow how far along their routes the seen fixes are."""
    along = np.where(nearest.share <= 1.0, nearest.along_m, np.nan)
    back, clear = (
        placed.limits(fix, "wrong_way.back_m"),
        placed.limits(fix, "wrong_way.clear_m"),
    )
    columns = (placed.time[fix], placed.lon[fix], placed.lat[fix], trip_since != NONE, nearest.number, along, back, clear)
    return progress(state["progress"], bounds, *columns)


def _outing(
    vehicles: Sequence[VehicleId], placed: Placed, state: npt.NDArray[np.void], fix: I64, bounds: I64, movement: Movement
) -> Outing | None:
    """Hold the seen fixes against where their vehicles last stood or might move."""
    world, presence, row, time = placed.world, placed.presence, placed.row[fix], placed.time[fix]
    in_yard = (presence.ended == NONE) & world.permissions.yard[presence.place]
    where = (placed.lon[fix], placed.lat[fix])
    if not world.watches_movement:  # it may move everywhere and always: its last fix is its anchor
        present = bounds[:-1] < bounds[1:]
        last = bounds[1:][present] - 1
        columns = {"at": time[last], "locked_until": np.full(len(last), NONE)}
        for name, column in (columns | {"lon": where[0][last], "lat": where[1][last]}).items():
            state["anchor"][name][present] = column
        return None
    yard = np.full(len(placed.time), np.iinfo(np.int64).max)
    np.minimum.at(yard, presence.fix[in_yard], presence.since[in_yard])
    yard[yard == np.iinfo(np.int64).max] = NONE
    without_trip = placed.limits(fix, "after_hours_movement.without_trip")
    barred = world.closed_at(placed.profile[fix], time) | (without_trip & (placed.trip[fix] < 0))
    until = world.places_locked_until(presence, placed.time)[fix]
    locked = world.locked(vehicles, row, time)
    return set_out(state["anchor"], bounds, time, *where, movement.stands, yard[fix], barred, locked, until)


def _stop_limits(placed: Placed, fix: I64, may: Bool) -> tuple[I64, Bool, I32]:
    """(S,) ms that a vehicle may stand at each seen fix, whether that is in the red zone, and the no-stop place that did."""
    world, trip = placed.world, placed.trip[fix]
    limit = placed.limits(fix, "unauthorized_stop.limit")
    shorter = placed.limits(fix, "unauthorized_stop.no_stop_limit")
    no_stop = np.where(shorter <= limit, placed.standing.no_stop[fix], -1).astype(np.int32)
    limit = np.where(no_stop >= 0, shorter, limit)
    red = placed.limits(fix, "unauthorized_stop.red_zone_limit")
    reach = placed.limits(fix, "unauthorized_stop.red_zone_m")
    origin, red_zone = world.origin[trip], np.zeros(len(fix), bool)
    asked = ~may & world.high_value[trip] & (origin >= 0)
    for place in np.unique(origin[asked]):
        there = np.flatnonzero(asked & (origin == place))
        at = fix[there]
        red_zone[there] = world.atlas.distance_m(int(place), placed.lon[at], placed.lat[at]) <= reach[there]
    shortest = red_zone & (red < limit)
    no_stop[shortest] = -1
    return np.where(may, ALLOWED, np.where(shortest, red, limit)), red_zone, no_stop
