"""The engine: one delivery of fixes through store and core, all or nothing. The order of its lines is the guarantee.

What is acknowledged is on disk with everything it triggered, because `take` commits before it returns. Memory is a cache of what the
database says: it is filled at the start from checkpoints and the fixes stored since, and changed only after a commit.

What is late takes its vehicles back in time: a late fix, and a change of the configuration effective in the past (`reconfigure`).
What reaches further back than the checkpoints waits, unless it concerns one vehicle by name: `adjudicate` judges one that waits anew
from its first fix on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from monitor.detectors import DETECTORS
from monitor.errors import ArchiveError
from monitor.findings import ARCHIVE_AWAY, Finding
from monitor.fixes import I8, I64, FixBatch, Fleet, Reject, VehicleId, concatenate, empty
from monitor.history import Effect
from monitor.memory import NEVER, Memory, is_current, restore, snapshot
from monitor.motion import NONE
from monitor.pairs import Pairs
from monitor.pipeline import STOPS, Outcome, Rows, fresh, step
from monitor.reconcile import reconcile
from monitor.settings import milliseconds
from monitor.signals import Change, Signal
from monitor.store import findings_store, tracks
from monitor.store.store import Store
from monitor.store.transaction import LATE, WAITING, Transaction
from monitor.world import World

T = TypeVar("T")

Handle = Callable[[Transaction, Sequence[Change], int, World], object]
"""What else a delivery's changes do, in the same transaction, told by the world they were judged under: incidents, notices."""

JUDGED = frozenset(detector.KIND for detector in DETECTORS)
"""The kinds of signal that a step says all of; others have their own part of the log."""
AT_ONCE = 500
"""Vehicles whose rows are saved in one transaction at the end."""
LATE_FIX = "a late fix showed it otherwise"
VERY_LATE_FIX = "a fix showed it otherwise that came later than checkpoints reach back"


@dataclass(frozen=True)
class Taken:
    """What one delivery did."""

    fixes: int
    """Fresh ones; the rest were duplicates."""
    changes: Sequence[Change]
    faults: Mapping[str, str]
    """Detectors that broke: kind and error."""


def nothing_beside(_transaction: Transaction) -> None:
    """Note nothing else."""


def nothing_else(_transaction: Transaction, _changes: Sequence[Change], _now: int, _world: World) -> None:
    """Leave it at the signal log."""


@dataclass(frozen=True)
class Rewind:
    """Rows with the fixes they are to take, some of them taken back in time."""

    rows: Rows
    work: FixBatch
    back: frozenset[int]
    """Which rows were taken back."""
    came: I64
    """(R,) ms: how far each had come."""


class Engine:
    """Takes deliveries, one at a time."""

    def __init__(
        self, store: Store, world: World, fleet: Fleet, handle: Handle = nothing_else, archive: Path | None = None
    ) -> None:
        self.store, self.world, self.fleet, self.handle, self.archive = store, world, fleet, handle, archive
        self.memory, self.pairs = Memory(fleet), Pairs(world)
        self.checkpointed: dict[int, int] = {}
        order = world.settings.order
        self._settle = (milliseconds(order.settle), milliseconds(order.settle_at_most))
        self._rewind_ms, self._checkpoint_ms = milliseconds(order.rewind_horizon), milliseconds(order.checkpoint)

    def take(
        self,
        fixes: FixBatch,
        rejects: Sequence[Reject],
        now: int,
        horizon: int | None = None,
        beside: Callable[[Transaction], None] = nothing_beside,
    ) -> Taken:
        """Store what is new, step the vehicles touched or due, store what that changed and what `beside` says, and commit.

        `now` is ms. `horizon`: up to when deadlines fire; None: as the settle time says at `now`.
        """
        settle = self._settle if horizon is None else (0, 0)
        due = self.memory.due(now if horizon is None else horizon, *settle)
        if not len(fixes) and not rejects and not due and beside is nothing_beside:
            return Taken(0, (), {})
        with self.store.begin() as t:
            new = t.add_fixes(self.fleet, fixes, self._lateness(fixes))
            t.add_rejects(rejects, now)
            fresh_ones = self._without_waiting(t, new, now)
            rows = self.memory.rows([*due, *np.unique(new.vehicle).tolist()])
            until = np.full(len(rows.code), horizon) if horizon is not None else self._until(rows, new, now)
            rewind = self._rewound(t, rows, fresh_ones, self._late(rows, fresh_ones), self.world, now)
            look = self.pairs.look(t, self.fleet, new, now)
            outcome, changes = self._judged(t, rewind, until, now, self.world, LATE_FIX, look.changes)
            if len(fixes) or rejects:
                t.record("ingest", "delivery", _told(new, rejects), now)
            beside(t)
        self.memory.put(outcome.rows)
        self.pairs.put(look)
        self.memory.hear(np.unique(fixes.vehicle), now)
        return Taken(len(new), changes, outcome.faults)

    def reconfigure(
        self, world: World, effects: Sequence[Effect], now: int, reason: str, save: Callable[[Transaction], T]
    ) -> tuple[Taken, T]:
        """Go over to another world, judge anew those whom the change concerns from then on, and commit with what `save` stores.

        A vehicle that has not come as far as the change is left as it is. Of those that are concerned among others, some from before
        the checkpoints: these wait.
        """
        moved, pairs = self._moved(world), self.pairs.under(world)
        with self.store.begin() as t:
            saved = save(t)
            since = self._concerned_by(t, effects, now, reason)
            rows = _some(moved, list(since)) if moved else self.memory.rows(since)
            first = {row: since[code] for row, code in enumerate(rows.code.tolist())}
            until = self.memory.horizon(rows.code, now, *self._settle)
            look = pairs.look(t, self.fleet, empty(), now, effects, reason)
            rewind = self._rewound(t, rows, empty(), first, world, now)
            outcome, changes = self._judged(t, rewind, until, now, world, reason, look.changes)
        self.world, self.pairs = world, pairs
        self.pairs.put(look)
        if moved:
            self.memory.put(moved)
        self.memory.put(outcome.rows)
        return Taken(0, changes, outcome.faults), saved

    def waiting(self) -> list[VehicleId]:
        """The vehicles that wait to be judged anew."""
        with self.store.read() as t:
            return list(t.waiting())

    def adjudicate(self, vehicle: VehicleId, now: int, horizon: int | None = None) -> Taken:
        """Judge a vehicle anew from its first fix on, with those that came too late to rewind to; its checkpoints are replaced.

        `now` and `horizon` as in `take`.
        """
        with self.store.begin() as t:
            reason = t.waiting().get(vehicle, VERY_LATE_FIX)
            t.admit(vehicle)
            before = self.memory.rows([self.fleet.code(vehicle)])
            code = int(before.code[0])
            t.drop_checkpoints_after(vehicle, NONE)
            self.checkpointed[code] = NONE
            rows, found, faults = fresh([vehicle], before.code), list[Signal](), dict[str, str]()
            fixes = self._fixes_of(t, code, None)
            *earlier, last = self._by_checkpoints(fixes)
            for part in earlier:
                outcome = step(rows, part, np.array([NONE]), self.world)
                rows = outcome.rows
                faults.update(outcome.faults)
                found += [signal for signal in outcome.signals if signal.closed]
                self._save(t, rows, self._checkpoint_ms)
            up_to = self.memory.horizon(before.code, now, *self._settle) if horizon is None else np.array([horizon])
            outcome = step(rows, last, np.maximum(up_to, before.state["order"]["frontier"]), self.world)
            faults.update(outcome.faults)
            since = _told_since(fixes, tracks.complete_since(t, vehicle.carrier))
            changes = self._settled(t, {vehicle: NONE}, [*found, *outcome.signals], faults, now, self.world, reason, since=since)
            self._save(t, outcome.rows, self._checkpoint_ms)
        self.memory.put(outcome.rows)
        return Taken(0, changes, faults)

    def resume(self, progress: Callable[[int, int], None] = lambda _done, _all: None, now: int | None = None) -> None:
        """Fill Memory: of every vehicle the newest checkpoint, and the stored fixes and fired deadlines since.

        With `now` (ms) the vehicles count as just heard: deadlines wait for devices that come back and upload.

        What these say is stored already: the log is a function of the fixes, so that nothing is raised or told again.
        """
        with self.store.read() as t:
            vehicles, newest, fired = t.vehicles(), t.newest_checkpoints(), t.fired()
            for begin in range(0, len(vehicles), 256):
                some = vehicles[begin : begin + 256]
                codes = np.array([self.fleet.code(vehicle) for vehicle in some], np.int32)
                bodies = [newest[v][1] if v in newest and is_current(newest[v][1]) else None for v in some]
                order = np.argsort(codes)
                rows = restore([some[i] for i in order], codes[order], [bodies[i] for i in order], self.world)
                after = rows.state["order"]["frontier"]
                work = [self._fixes_of(t, int(c), _after(int(after[i]))) for i, c in enumerate(rows.code)]
                until = np.array([fired.get(vehicle, NONE) for vehicle in rows.vehicles], np.int64)
                outcome = step(rows, concatenate(work), until, self.world)
                self.memory.put(outcome.rows)
                self._remember(rows)
                progress(begin + len(some), len(vehicles))
        if now is not None:
            self.memory.hear(np.arange(len(self.fleet.ids), dtype=np.int32), now)

    def checkpoint(self) -> None:
        """Save the row of every vehicle that moved on since its last checkpoint, so that the next start reads little."""
        for begin in range(0, len(self.fleet.ids), AT_ONCE):
            with self.store.begin() as t:
                self._save(t, self.memory.rows(range(begin, min(begin + AT_ONCE, len(self.fleet.ids)))), every_ms=1)

    def _fixes_of(self, t: Transaction, code: int, after: int | None) -> FixBatch:
        """The stored fixes of a vehicle after an instant (ms; None: all), wherever they are kept by now."""
        return tracks.all_fixes_of(t, self.archive, self.fleet, code, after)

    def _lateness(self, fixes: FixBatch) -> I8:
        """(N,) 0, LATE where a fix lies at or before its vehicle's frontier, WAITING where it lies before what rewinds reach."""
        time, frontier = fixes.time.view(np.int64), self.memory.frontier(fixes.vehicle)
        late = time <= frontier
        return np.where(late & (frontier - time > self._rewind_ms), WAITING, np.where(late, LATE, 0)).astype(np.int8)

    def _without_waiting(self, t: Transaction, new: FixBatch, now: int) -> FixBatch:
        """The new fixes that are judged now; the vehicles of the others are noted."""
        waits = self._lateness(new) == WAITING
        for code in np.unique(new.vehicle[waits]).tolist():
            t.wait(self.fleet.ids[code], VERY_LATE_FIX, now)
        return new.take(~waits) if waits.any() else new

    def _late(self, rows: Rows, new: FixBatch) -> dict[int, int]:
        """Of each row with a late fix the time of the earliest."""
        row, time = np.searchsorted(rows.code, new.vehicle), new.time.view(np.int64)
        late = np.flatnonzero(time <= rows.state["order"]["frontier"][row])
        first, index = np.unique(row[late], return_index=True)  # a vehicle's fixes are in the order of their times
        return dict(zip(first.tolist(), time[late[index]].tolist(), strict=True))

    def _concerned_by(self, t: Transaction, effects: Sequence[Effect], now: int, reason: str) -> dict[int, int]:
        """Of each vehicle that a change takes back in time, by code, to when; those that must wait for it are noted."""
        codes = np.arange(len(self.fleet.ids), dtype=np.int32)
        frontier = self.memory.frontier(codes)
        first = {(e.carrier, e.vehicle, e.at_once): e.since for e in sorted(effects, key=lambda e: -e.since)}
        out = {}
        for code, (carrier, vehicle) in enumerate(self.fleet.ids) if first else ():
            named = first.get((carrier, vehicle, True), NEVER)
            among = min(first.get(key, NEVER) for key in ((carrier, vehicle, False), (carrier, None, False), (None, None, False)))
            came = int(frontier[code])
            if among <= came and came - among > self._rewind_ms:
                t.wait(self.fleet.ids[code], reason, now)
                among = came - self._rewind_ms
            if min(named, among) <= came:
                out[code] = min(named, among)
        return out

    def _moved(self, world: World) -> Rows | None:
        """All rows as they are named in another world; None where the codes of the one before mean the same there."""
        if _codes(world, _codes(self.world)) == _codes(self.world):
            return None
        rows = self.memory.rows(range(len(self.fleet.ids)))
        bodies = [snapshot(rows, row, self.world) for row in range(len(rows.code))]
        return restore(rows.vehicles, rows.code, bodies, world)

    def _by_checkpoints(self, fixes: FixBatch) -> list[FixBatch]:
        """The fixes of one vehicle, cut where checkpoints are due as far back as they are kept; the last part holds the newest."""
        time, every = fixes.time.view(np.int64), self._checkpoint_ms
        if not len(time):
            return [fixes]
        newest = int(time[-1])
        marks = np.arange((newest - self._rewind_ms) // every * every, newest, every)
        bounds = [0, *np.unique(np.searchsorted(time, marks)).tolist(), len(time)]
        return [fixes.take(slice(begin, end)) for begin, end in pairwise(bounds) if begin < end]

    def _rewound(self, t: Transaction, rows: Rows, new: FixBatch, since: Mapping[int, int], world: World, now: int) -> Rewind:
        """Take rows back to the checkpoint before an instant each, with their stored fixes since.

        Where there is none so old, that is back to nothing, with all the fixes there are; where these are in an archive that cannot
        be read, the vehicle is left as it is and waits to be judged anew.
        """
        came = rows.state["order"]["frontier"]
        if not since:
            return Rewind(rows, new, frozenset(), came)
        work = [new.take(~np.isin(np.searchsorted(rows.code, new.vehicle), list(since)))]
        bodies: dict[int, bytes | None] = {}
        for r, first in since.items():
            vehicle = rows.vehicles[r]
            found = t.checkpoint_before(vehicle, first)
            bodies[r] = found[1] if found and is_current(found[1]) else None
            after = found[0] if found and bodies[r] else None
            try:
                again = self._fixes_of(t, int(rows.code[r]), after)
            except ArchiveError as error:  # it goes on from where it is, and is judged anew once the file is back
                findings_store.note(t, [Finding(ARCHIVE_AWAY, *vehicle, str(error))], now)
                t.wait(vehicle, f"{LATE_FIX}, and {error}", now)
                del bodies[r]
                mine = new.take(new.vehicle == rows.code[r])
                work.append(mine.take(mine.time.view(np.int64) > came[r]))
                continue
            t.drop_checkpoints_after(vehicle, NONE if after is None else after)
            self.checkpointed[int(rows.code[r])] = NONE if after is None else after
            work.append(again)
        return Rewind(_replaced(rows, bodies, world) if bodies else rows, concatenate(work), frozenset(bodies), came)

    def _judged(
        self, t: Transaction, rewind: Rewind, until: I64, now: int, world: World, reason: str, others: Sequence[Change]
    ) -> tuple[Outcome, list[Change]]:
        """Step, and store what that changed, with the changes of others' part of the log.

        What had fired before a rewind fires in it: it had waited long enough.
        """
        rows, until = rewind.rows, until.copy()
        back = list(rewind.back)
        until[back] = np.maximum(until[back], rewind.came[back])
        outcome = step(rows, rewind.work, until, world)
        found = (_concerned(rewind, outcome), outcome.signals, outcome.faults)
        changes = self._settled(t, *found, now, world, reason, others)
        self._save(t, outcome.rows, self._checkpoint_ms, world)
        return outcome, changes

    def _settled(
        self,
        t: Transaction,
        frontiers: Mapping[VehicleId, int],
        found: Sequence[Signal],
        faults: Mapping[str, str],
        now: int,
        world: World,
        reason: str,
        others: Sequence[Change] = (),
        since: int = NONE,
    ) -> list[Change]:
        """Store what leads from the signals stored of these vehicles, since their frontiers, to those found; and what follows.

        Those that begin before `since` (ms) stand as they are.
        """

        def judged(signal: Signal) -> bool:
            return signal.kind in JUDGED and signal.kind not in faults and signal.since >= since

        stored = [old for old in t.signals_from(frontiers) if judged(old.signal)]
        told = [signal for signal in found if judged(signal)]
        changes = t.apply_changes([*reconcile(stored, told, now, reason), *others], now)
        self.handle(t, changes, now, world)
        return changes

    def _until(self, rows: Rows, new: FixBatch, now: int) -> I64:
        """Up to when the deadlines of each row may fire: of a vehicle just heard only what has waited long enough."""
        heard = np.isin(rows.code, new.vehicle)
        overdue = self.memory.overdue(rows.code, now, self._settle[1])
        return np.where(heard, overdue, self.memory.horizon(rows.code, now, *self._settle))

    def _save(self, t: Transaction, rows: Rows, every_ms: int, world: World | None = None) -> None:
        """Checkpoint the rows whose frontier has come into another hour than that of their last checkpoint."""
        frontier = rows.state["order"]["frontier"]
        before = np.array([self.checkpointed.get(c, NONE) for c in rows.code.tolist()], np.int64)
        due = np.flatnonzero((frontier != NONE) & ((before == NONE) | (frontier // every_ms > before // every_ms)))
        t.save_checkpoints([(rows.vehicles[r], int(frontier[r]), snapshot(rows, r, world or self.world)) for r in due.tolist()])
        for r in due.tolist():
            t.prune_checkpoints(rows.vehicles[r], int(frontier[r]) - self._rewind_ms)
            self.checkpointed[int(rows.code[r])] = int(frontier[r])

    def _remember(self, rows: Rows) -> None:
        for code, frontier in zip(rows.code.tolist(), rows.state["order"]["frontier"].tolist(), strict=True):
            self.checkpointed[code] = frontier


def _concerned(rewind: Rewind, outcome: Outcome) -> dict[VehicleId, int]:
    """The vehicles of which the database may hold signals that a step touched, with their frontiers before it.

    A row with no raised episode has none that is not over for good, unless it was just taken back in time.
    """
    rows, held = rewind.rows, rewind.rows.episodes
    watched = set(held["row"][(held["kind"] != STOPS) & (held["at"] != NONE)].tolist())
    found = {VehicleId(signal.carrier, signal.vehicle) for signal in outcome.signals}
    frontier = rows.state["order"]["frontier"].tolist()
    return {v: frontier[r] for r, v in enumerate(rows.vehicles) if r in watched or v in found or r in rewind.back}


def _codes(world: World, like: tuple[Sequence[str], ...] | None = None) -> tuple[Sequence[str], ...]:
    """What the codes of a world stand for; with `like`, only as many as there."""
    names = ([p.key for p in world.atlas.places], [r.id for r in world.atlas.routes], [trip.id for trip in world.trips.all])
    return names if like is None else tuple(own[: len(other)] for own, other in zip(names, like, strict=True))


def _some(rows: Rows, codes: Sequence[int]) -> Rows:
    """The rows of some vehicles among others."""
    keep = np.flatnonzero(np.isin(rows.code, codes))
    ragged = []
    for records in (rows.visits, rows.episodes):
        part = records[np.isin(records["row"], keep)]
        part["row"] = np.searchsorted(keep, part["row"])
        ragged.append(part)
    return Rows(tuple(rows.vehicles[r] for r in keep.tolist()), rows.code[keep], rows.state[keep], *ragged)


def _told_since(fixes: FixBatch, complete: int | None) -> int:
    """From when on (ms) these fixes tell all: where earlier ones are gone, an episode at the first may be the rest of another."""
    if complete is None:
        return NONE
    return int(fixes.time.view(np.int64)[0]) + 1 if len(fixes) else complete


def _after(frontier: int) -> int | None:
    return None if frontier == NONE else frontier


def _replaced(rows: Rows, bodies: dict[int, bytes | None], world: World) -> Rows:
    """The rows, of which some are taken back to a checkpoint or to nothing."""
    back = np.array(sorted(bodies))
    old = restore([rows.vehicles[r] for r in back], rows.code[back], [bodies[r] for r in back.tolist()], world)
    state = rows.state.copy()
    state[back] = old.state
    parts = []
    for held, restored in ((rows.visits, old.visits), (rows.episodes, old.episodes)):
        again = restored.copy()
        again["row"] = back[restored["row"]]
        parts.append(np.concatenate([held[~np.isin(held["row"], back)], again]))
    visits, carried = parts
    visits = visits[np.argsort(visits["row"], kind="stable")]
    carried = carried[np.lexsort((carried["subject"], carried["row"], carried["kind"]))]
    return Rows(rows.vehicles, rows.code, state, visits, carried)


def _told(new: FixBatch, rejects: Sequence[Reject]) -> dict[str, object]:
    """What the journal keeps of a delivery: how much, and a hash over what."""
    digest = hashlib.sha256(np.sort(new.digest).tobytes())
    return {"fixes": len(new), "rejects": len(rejects), "digest": digest.hexdigest()}
