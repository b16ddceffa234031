"""Pairs: which tractors and trailers a delivery says something of, and what that changes in the signal log.

Only what came since the last *mark* of a pair is looked at; a late fix goes back to the mark before it, or to the trip's start. The
marks are a cache of what the stored fixes say, changed only after a commit; a pair that has none is judged from its trip's start.
`look` belongs in the transaction that stores the delivery, `put` after its commit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor.fixes import I64, FixBatch, Fleet, VehicleId
from monitor.history import Effect
from monitor.motion import NONE
from monitor.reconcile import reconcile
from monitor.separation import FOREVER, KIND, MARK_MS, Judged, Mark, Pair, judge, limits_of, paired
from monitor.settings import milliseconds
from monitor.signals import Change
from monitor.store.pairs_store import Ended, Stretch, fixes_beyond, latest_ends, signals_beyond
from monitor.store.transaction import Transaction
from monitor.world import World

REASON = "another fix showed tractor and trailer otherwise"
PAIRS_AT_ONCE = 500

Key = tuple[VehicleId, str]
"""A tractor, and the id of its trip."""


@dataclass(frozen=True)
class Look:
    """What a delivery changes: the changes of the signal log, not yet stored, and what to remember once it is committed."""

    changes: Sequence[Change]
    marks: Mapping[int, list[Mark]]
    ends: Mapping[Key, int] | None
    """None: as they were."""


class _Plans(NamedTuple):
    """The trips of one vehicle, as tractor or as trailer: index, start and end (ms)."""

    trip: I64
    starts: I64
    ends: I64


class Pairs:
    """The pairs of a world, and how far each was judged."""

    def __init__(self, world: World) -> None:
        self.world = world
        trips, theirs = world.trips.all, defaultdict(list)
        self._keys: dict[int, Key] = {}
        for number in paired(world):
            tractor, trailer = (
                VehicleId(trips[number].carrier, name or "") for name in (trips[number].vehicle, trips[number].trailer)
            )
            self._keys[number] = (tractor, trips[number].id)
            for vehicle in {tractor, trailer}:
                theirs[vehicle].append(number)
        self._plans = {
            vehicle: _Plans(
                np.array(numbers, np.int64),
                np.array([trips[number].starts_at for number in numbers], np.int64),
                np.array([trips[number].ends_at for number in numbers], np.int64),
            )
            for vehicle, numbers in theirs.items()
        }
        self._marks: dict[int, list[Mark]] = {}
        self._ends: Mapping[Key, int] | None = None
        """Of each trip with separations when the last of them ended, FOREVER while one is open; None: not read yet."""

    def under(self, world: World) -> Pairs:
        """The pairs of a world that only adds to this one: how far each was judged stays known."""
        pairs = Pairs(world)
        pairs._marks, pairs._ends = dict(self._marks), self._ends
        return pairs

    def look(
        self, t: Transaction, fleet: Fleet, new: FixBatch, now: int, effects: Sequence[Effect] = (), reason: str = REASON
    ) -> Look:
        """Judge the pairs that new fixes, stored already, or changes of the configuration say something of.

        `now` is ms, `reason` why a vanished separation is withdrawn. Nothing is modified; `put` takes over what came of it.
        """
        if not self._plans and not effects:
            return Look((), {}, None)
        ends = latest_ends(t, KIND) if self._ends is None else self._ends
        first = self._touched(fleet, new, ends)
        for number, time in self._concerned(effects):
            first[number] = min(time, first.get(number, FOREVER))
        pairs, kept = [], {}
        for number, limits in zip(sorted(first), limits_of(self.world, sorted(first)), strict=True):
            known, sync = self._marks.get(number, []), milliseconds(limits.synchronous)
            kept[number] = known[: bisect_left(known, first[number] - sync, key=lambda mark: mark.time)]
            pairs.append(Pair(number, limits, kept[number][-1] if kept[number] else None))
        judged = self._judge(t, pairs)
        still = set(self._keys.values()) if effects else set(ends)
        gone = [key for key in ends if key not in still]
        changes = self._changes(t, pairs, judged, gone, ends, now, reason)
        told = {self._keys[pair.trip]: self._end(pair, each, ends) for pair, each in zip(pairs, judged, strict=True)}
        marks = {pair.trip: _merged(kept[pair.trip], each.marks) for pair, each in zip(pairs, judged, strict=True)}
        now_ends = {key: end for key, end in {**ends, **told}.items() if end != NONE and key not in gone}
        return Look(changes, marks, now_ends)

    def put(self, look: Look) -> None:
        """Remember how far the pairs were judged, now that it is committed."""
        self._marks.update(look.marks)
        self._ends = self._ends if look.ends is None else look.ends

    def _concerned(self, effects: Sequence[Effect]) -> Iterator[tuple[int, int]]:
        """The trips that changes of the configuration concern, and from which instant (ms) on."""
        for number, (tractor, _) in self._keys.items() if effects else ():
            trip = self.world.trips.all[number]
            for effect in effects:
                theirs = effect.vehicle is None or effect.vehicle in (trip.vehicle, trip.trailer)
                if effect.carrier in (None, tractor.carrier) and theirs and effect.since <= trip.ends_at:
                    yield number, max(effect.since, trip.starts_at)

    def _touched(self, fleet: Fleet, new: FixBatch, ends: Mapping[Key, int]) -> dict[int, int]:
        """The trips that the new fixes may say something of, with the earliest time (ms) at which they do."""
        found: dict[int, int] = {}
        time = new.time.view(np.int64)
        codes, begin = np.unique(new.vehicle, return_index=True)
        for code, low, high in zip(codes.tolist(), begin.tolist(), np.append(begin, len(new)).tolist()[1:], strict=True):
            plans = self._plans.get(fleet.ids[code])
            if plans is None:
                continue
            last = np.array([ends.get(self._keys[number], NONE) for number in plans.trip.tolist()], np.int64)
            which = (plans.starts <= time[high - 1]) & (np.maximum(plans.ends, last) > time[low])
            for number, start in zip(plans.trip[which].tolist(), plans.starts[which].tolist(), strict=True):
                found[number] = min(found.get(number, FOREVER), max(int(time[low]), start))
        return found

    def _judge(self, t: Transaction, pairs: Sequence[Pair]) -> list[Judged]:
        """Judge pairs by their stored fixes: many at once that go on from a mark, and each by itself that begins anew."""
        judged: dict[int, Judged] = {}
        going = [pair for pair in pairs if pair.mark is not None]
        parts = [going[begin : begin + PAIRS_AT_ONCE] for begin in range(0, len(going), PAIRS_AT_ONCE)]
        for part in [*parts, *([pair] for pair in pairs if pair.mark is None)]:
            tractor = fixes_beyond(t, [self._stretch(pair, trailer=False) for pair in part])
            trailer = fixes_beyond(t, [self._stretch(pair, trailer=True) for pair in part])
            judged.update(zip((pair.trip for pair in part), judge(part, tractor, trailer, self.world), strict=True))
        return [judged[pair.trip] for pair in pairs]

    def _stretch(self, pair: Pair, *, trailer: bool) -> Stretch:
        """Which fixes of one of the two have to be read."""
        trip = self.world.trips.all[pair.trip]
        after = trip.starts_at - 1
        if pair.mark is not None:
            before = milliseconds(pair.limits.synchronous) if trailer else 0
            after = max(after, pair.mark.time - before - 1)
        return Stretch(VehicleId(trip.carrier, (trip.trailer if trailer else None) or trip.vehicle), after, trip.ends_at)

    def _changes(
        self,
        t: Transaction,
        pairs: Sequence[Pair],
        judged: Sequence[Judged],
        gone: Sequence[Key],
        ends: Mapping[Key, int],
        now: int,
        reason: str,
    ) -> list[Change]:
        """Hold what was found against what is stored beyond the marks, and of trips that are no pair any more."""
        asked = [
            Ended(*self._keys[pair.trip], _from(pair)) for pair in pairs if ends.get(self._keys[pair.trip], NONE) > _from(pair)
        ]
        asked += [Ended(*key, NONE) for key in gone]
        stored = signals_beyond(t, KIND, asked) if asked else []
        return reconcile(stored, [signal for each in judged for signal in each.signals], now, reason)

    def _end(self, pair: Pair, judged: Judged, ends: Mapping[Key, int]) -> int:
        """When a trip's last separation ended, after it was judged beyond its mark; NONE for none."""
        found = [FOREVER if signal.until is None else signal.until for signal in judged.signals]
        return max(found, default=min(ends.get(self._keys[pair.trip], NONE), _from(pair)))


def _from(pair: Pair) -> int:
    """The instant after which a pair is judged."""
    return NONE if pair.mark is None else pair.mark.time


def _merged(kept: Sequence[Mark], new: Sequence[Mark]) -> list[Mark]:
    """The marks before and those after, of each ten minutes the last."""
    return list({mark.time // MARK_MS: mark for mark in [*kept, *new]}.values())
