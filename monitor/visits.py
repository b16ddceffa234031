"""Visits: runs of fixes of one vehicle in one place, with hysteresis; and whether it may stand where it is.

Definitions
    Entering takes one fix inside. During a visit a fix inside, or within 30 m of the edge, keeps it; leaving takes two consecutive
    fixes further out than that (the visit ends at the first of them) or one by more than 200 m. At the first such fix the vehicle
    has not yet left. Only places of the vehicle's own carrier, or of nobody in particular, exist for it.
    A vehicle *may stand* in a place of a standing kind within its hours; in a yard at all hours, because a yard's say when it may be
    left. Where its trip names authorized places, customers and
    yards count only if named there, or as origin or destination. An authorization adds a place, a spot, or everywhere. A permitted
    place wins over `no_stop`; `restricted` over all.
Shapes: N fixes, R vehicles, M (fix, place) pairs, V visits, P places, T trips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.atlas import Atlas, Pairs
from monitor.compiled import kernel
from monitor.fixes import F64, I32, I64, Bool, VehicleId
from monitor.geodesy import distances_m
from monitor.motion import NONE
from monitor.permits import Authorization
from monitor.places import STANDING_KINDS
from monitor.trips import Trip

STAY_M = 30.0
NAMED_KINDS = ("customer", "yard")

VISIT = np.dtype([("row", "i4"), ("place", "i4"), ("since", "i8"), ("pending", "i8")])
"""A visit under way: whose, where (place code), since when, and the first fix further out than 30 m (ms, or NONE)."""


class Presence(NamedTuple):
    """M (fix, place) pairs of visits, by fix: those under way at a fix, and those that a fix showed to have ended."""

    fix: I64
    place: I32
    since: I64
    """ms: the visit's first fix."""
    ended: I64
    """ms: the end that this fix showed; NONE while the visit is under way."""
    leaving: Bool
    """Whether the fix lies further out than 30 m, so that the next one may show that the visit ended here."""


def visit(
    carried: npt.NDArray[np.void], bounds: I64, time: I64, pairs: Pairs, allowed: Bool
) -> tuple[Presence, npt.NDArray[np.void]]:
    """Follow the visits over N fixes of R vehicles; gives what each fix showed, and the visits under way at the end.

    `carried` (V,) VISIT sorted by row; vehicle r has the fixes `bounds[r]` to `bounds[r + 1]`, `time` ms; `allowed` (M,) says which
    of the pairs exist for their vehicle. Inputs are not modified.
    """
    if allowed.all():
        fix, place, outside = pairs.fix, pairs.place.astype(np.int64), pairs.outside_m
    else:
        fix, place, outside = pairs.fix[allowed], pairs.place[allowed].astype(np.int64), pairs.outside_m[allowed]
    fields = (
        carried["row"].astype(np.int64),
        carried["place"].astype(np.int64),
        carried["since"].copy(),
        carried["pending"].copy(),
    )
    shown, open_row, open_visits = _follow(*fields, bounds, time, fix, place, outside)
    after = np.empty(len(open_row), VISIT)
    after["row"], after["place"] = open_row, open_visits[:, 0]
    after["since"], after["pending"] = open_visits[:, 1], open_visits[:, 2]
    columns = (shown[:, 0].copy(), shown[:, 1].astype(np.int32), shown[:, 2].copy(), shown[:, 3].copy())
    return Presence(*columns, shown[:, 4] != NONE), after


@kernel
def _follow(
    row: I64,
    place: I64,
    since: I64,
    pending: I64,
    bounds: I64,
    time: I64,
    near_fix: I64,
    near_place: I64,
    outside_m: npt.NDArray[np.float64],
) -> tuple[I64, I64, I64]:
    shown, n_shown = np.empty((len(time) + len(row) + 16, 5), np.int64), 0
    open_row, open_visits, n_open = np.empty(len(row) + 16, np.int64), np.empty((len(row) + 16, 3), np.int64), 0
    here, carried = np.empty((8, 3), np.int64), 0  # the visits of the vehicle at hand: place, since, pending
    begin = end = 0  # the pairs of the fix at hand
    for r in range(len(bounds) - 1):
        n = 0
        while carried < len(row) and row[carried] == r:
            if n == len(here):
                here = _longer_rows(here)
            here[n] = (place[carried], since[carried], pending[carried])
            n, carried = n + 1, carried + 1
        for i in range(bounds[r], bounds[r + 1]):
            entered, begin = n, end
            while end < len(near_fix) and near_fix[end] == i:
                end += 1
            for j in range(begin, end):
                if outside_m[j] == 0.0 and not _known(here, n, near_place[j]):
                    if n == len(here):
                        here = _longer_rows(here)
                    here[n] = (near_place[j], time[i], NONE)
                    n += 1
            keep = 0
            for k in range(n):
                ended = NONE if k >= entered else _left(here[k], time[i], _away(here[k, 0], begin, end, near_place, outside_m))
                if n_shown == len(shown):
                    shown = _longer_rows(shown)
                shown[n_shown] = (i, here[k, 0], here[k, 1], ended, here[k, 2])
                n_shown += 1
                if ended == NONE:
                    here[keep] = here[k]
                    keep += 1
            n = keep
        for k in range(n):
            if n_open == len(open_row):
                open_row, open_visits = np.concatenate((open_row, open_row)), _longer_rows(open_visits)
            open_row[n_open], open_visits[n_open] = r, here[k]
            n_open += 1
    return shown[:n_shown].copy(), open_row[:n_open].copy(), open_visits[:n_open].copy()


@kernel
def _left(here: I64, time: int, away_m: float) -> int:
    """When a visit ended, as a fix so far out shows; NONE where it goes on. Notes in `here` that it may be ending."""
    if away_m <= STAY_M:
        here[2] = NONE
        return NONE
    first = time if here[2] == NONE else here[2]
    if here[2] != NONE or away_m == np.inf:
        return int(first)
    here[2] = time
    return NONE


@kernel
def _away(place: int, begin: int, end: int, near_place: I64, outside_m: npt.NDArray[np.float64]) -> float:
    """Metres outside a place, infinite where the atlas does not call it near (more than 200 m)."""
    for j in range(begin, end):
        if near_place[j] == place:
            return float(outside_m[j])
    return np.inf


@kernel
def _known(here: I64, n: int, place: int) -> bool:
    return place in here[:n, 0]


@kernel
def _longer_rows(values: I64) -> I64:
    out = np.empty((2 * values.shape[0], values.shape[1]), np.int64)
    out[: values.shape[0]] = values
    return out


class Standing(NamedTuple):
    """What the places say of N fixes: may the vehicle stand there, where, and which no-stop place it is in if not."""

    may: Bool
    place: I32
    """(N,) the permitted place, else any it is in; of several the least id; -1."""
    no_stop: I32
    """(N,) the no-stop place, the least id; -1, also where it may stand."""
    left: I64
    """(N,) ms: when the visit to a place of a standing kind ended that this fix showed to be over, the last of several; NONE."""


class Permissions:
    """Which places let whom stand, as arrays over places and trips; and who else was allowed to."""

    def __init__(self, atlas: Atlas, trips: tuple[Trip, ...], authorizations: Sequence[Authorization] = ()) -> None:
        places = atlas.places
        self.atlas = atlas
        self.authorizations: dict[VehicleId, list[Authorization]] = defaultdict(list)
        for authorization in authorizations:
            self.authorizations[authorization.of].append(authorization)
        self.standing = np.array([place.kind in STANDING_KINDS for place in places], bool)
        self.restricted = np.array([place.kind == "restricted" for place in places], bool)
        self.no_stop = np.array([place.kind == "no_stop" for place in places], bool)
        self.named = np.array([place.kind in NAMED_KINDS for place in places], bool)
        self.customer = np.array([place.kind == "customer" for place in places], bool)
        self.yard = np.array([place.kind == "yard" for place in places], bool)
        self.dead_zone = np.array([place.kind == "dead_zone" for place in places], bool)
        self.timed = np.array([place.hours is not None for place in places], bool)
        by_id = sorted(range(len(places)), key=lambda code: places[code].id)
        self.rank = np.empty(len(places), np.int64)
        self.rank[by_id] = np.arange(len(places))
        self.naming = np.array([trip.authorized_places is not None for trip in trips] + [False], bool)
        self.named_by = {
            (number, code)
            for number, trip in enumerate(trips)
            if trip.authorized_places is not None
            for identity in (*trip.authorized_places, trip.origin, trip.destination)
            for code in atlas.codes_of.get(identity or "", ())
        }

    def standing_at(self, presence: Presence, time: I64, trip: I32, allowed: Bool) -> Standing:
        """Judge N fixes (`time` ms, `trip` index or -1) by the visits they lie in; `allowed`: by an authorization."""
        n = len(time)
        under_way = presence.ended == NONE
        fix, place = presence.fix[under_way], presence.place[under_way]
        permits = self.standing[place]
        for code in np.unique(place[permits & self.timed[place] & ~self.yard[place]]):
            hours, there = self.atlas.places[code].hours, place == code
            if hours is not None:
                permits[there] &= hours.open_at(time[fix[there]])
        asked = np.flatnonzero(permits & self.named[place] & self.naming[trip[fix]])
        permits[asked] = [(int(trip[fix[j]]), int(place[j])) in self.named_by for j in asked]
        may, vetoed = np.zeros(n, bool), np.zeros(n, bool)
        may |= allowed
        may[fix[permits]] = True
        vetoed[fix[self.restricted[place]]] = True
        may &= ~vetoed
        watched = self.no_stop[place] & ~may[fix]
        left = np.full(n, NONE)
        over = ~under_way & self.standing[presence.place]
        np.maximum.at(left, presence.fix[over], presence.ended[over])
        return Standing(may, self._least(n, fix, place, permits | ~may[fix]), self._least(n, fix, place, watched), left)

    def authorized(self, vehicles: Sequence[VehicleId], bounds: I64, presence: Presence, time: I64, lon: F64, lat: F64) -> Bool:
        """(N,) whether an authorization lets the vehicle stand at each fix; vehicle r has the fixes `bounds[r]` to `bounds[r + 1]`."""
        out = np.zeros(len(time), bool)
        for r in np.flatnonzero(np.diff(bounds)).tolist() if self.authorizations else ():
            mine = slice(bounds[r], bounds[r + 1])
            for one in self.authorizations.get(vehicles[r], ()):
                holds = (time[mine] >= one.starts_at) & (time[mine] < one.ends_at)
                if one.place is not None:
                    there = np.isin(presence.place, self.atlas.codes_of.get(one.place, ())) & (presence.ended == NONE)
                    holds &= np.isin(np.arange(mine.start, mine.stop), presence.fix[there])
                elif one.lon is not None and one.lat is not None:
                    n = mine.stop - mine.start
                    away = distances_m(np.full(n, one.lon), np.full(n, one.lat), lon[mine], lat[mine])
                    holds &= away <= one.radius_m
                out[mine] |= holds
        return out

    def _least(self, n: int, fix: I64, place: I32, which: Bool) -> I32:
        """(N,) the place of least id among those of each fix; -1 for none."""
        out = np.full(n, -1, np.int32)
        chosen = np.flatnonzero(which)
        chosen = chosen[np.argsort(-self.rank[place[chosen]], kind="stable")]
        out[fix[chosen]] = place[chosen]
        return out
