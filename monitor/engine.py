"""The engine: one delivery of fixes through store and core, all or nothing. The order of its lines is the guarantee.

What is acknowledged is on disk with everything it triggered, because `take` commits before it returns. Memory is a cache of what the
database says: it is filled at the start from checkpoints and the fixes stored since, and changed only after a commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.fixes import I64, FixBatch, Fleet, Reject, VehicleId, concatenate
from monitor.memory import Memory, is_current, restore, snapshot
from monitor.motion import NONE
from monitor.pipeline import STOPS, Outcome, Rows, step
from monitor.reconcile import reconcile
from monitor.settings import milliseconds
from monitor.signals import Change
from monitor.store.store import Store
from monitor.store.transaction import Transaction
from monitor.world import World

Handle = Callable[[Transaction, Sequence[Change], int], object]
"""What else a delivery's changes do, in the same transaction: incidents, escalation, notices."""

LATE = "a late fix showed it otherwise"


@dataclass(frozen=True)
class Taken:
    """What one delivery did."""

    fixes: int
    """Fresh ones; the rest were duplicates."""
    changes: Sequence[Change]
    faults: Mapping[str, str]
    """Detectors that broke: kind and error."""


def nothing_else(_transaction: Transaction, _changes: Sequence[Change], _now: int) -> None:
    """Leave it at the signal log."""


class Engine:
    """Takes deliveries, one at a time."""

    def __init__(self, store: Store, world: World, fleet: Fleet, handle: Handle = nothing_else) -> None:
        self.store, self.world, self.fleet, self.handle = store, world, fleet, handle
        self.memory = Memory(fleet)
        self._back: frozenset[int] = frozenset()
        """Rows that were taken back in time in this turn."""
        self.checkpointed: dict[int, int] = {}
        order = world.settings.order
        self._settle = (milliseconds(order.settle), milliseconds(order.settle_at_most))
        self._rewind_ms, self._checkpoint_ms = milliseconds(order.rewind_horizon), milliseconds(order.checkpoint)

    def take(self, fixes: FixBatch, rejects: Sequence[Reject], now: int, horizon: int | None = None) -> Taken:
        """Store what is new, step the vehicles touched or due, store what that changed, and commit.

        `now` is ms. `horizon`: up to when deadlines fire; None: as the settle time says at `now`.
        """
        settle = self._settle if horizon is None else (0, 0)
        due = self.memory.due(now if horizon is None else horizon, *settle)
        if not len(fixes) and not rejects and not due:
            return Taken(0, (), {})
        with self.store.begin() as t:
            late = fixes.time.view(np.int64) <= self.memory.frontier(fixes.vehicle)
            new = t.add_fixes(self.fleet, fixes, late)
            t.add_rejects(rejects, now)
            rows, work = self._rewound(t, self.memory.rows([*due, *np.unique(new.vehicle).tolist()]), new)
            until = np.full(len(rows.code), horizon) if horizon is not None else self._until(rows, new, now)
            outcome, changes = self._judged(t, rows, work, until, now)
            if len(fixes) or rejects:
                t.record("ingest", "delivery", _told(new, rejects), now)
        self.memory.put(outcome.rows)
        self.memory.hear(np.unique(fixes.vehicle), now)
        return Taken(len(new), changes, outcome.faults)

    def resume(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
        """Fill Memory: of every vehicle the newest checkpoint, and the stored fixes since.

        What these say is stored already: the log is a function of the fixes, so that nothing is raised or told again.
        """
        with self.store.read() as t:
            vehicles, newest = t.vehicles(), t.newest_checkpoints()
            for begin in range(0, len(vehicles), 256):
                some = vehicles[begin : begin + 256]
                codes = np.array([self.fleet.code(vehicle) for vehicle in some], np.int32)
                bodies = [newest[v][1] if v in newest and is_current(newest[v][1]) else None for v in some]
                order = np.argsort(codes)
                rows = restore([some[i] for i in order], codes[order], [bodies[i] for i in order], self.world)
                after = rows.state["order"]["frontier"]
                work = [t.fixes_of(self.fleet, int(c), _after(int(after[i]))) for i, c in enumerate(rows.code)]
                outcome = step(rows, concatenate(work), np.full(len(some), NONE), self.world)
                self.memory.put(outcome.rows)
                self._remember(rows)
                progress(begin + len(some), len(vehicles))

    def checkpoint(self) -> None:
        """Save the row of every vehicle that moved on since its last checkpoint, so that the next start reads little."""
        with self.store.begin() as t:
            rows = self.memory.rows(range(len(self.fleet.ids)))
            self._save(t, rows, every_ms=1)

    def _rewound(self, t: Transaction, rows: Rows, new: FixBatch) -> tuple[Rows, FixBatch]:
        """Take late vehicles back to the checkpoint before their earliest late fix, with their stored fixes since.

        Where the fix is older than all checkpoints, that is back to nothing, with all the fixes there are.
        """
        time, frontier = new.time.view(np.int64), rows.state["order"]["frontier"]
        row = np.searchsorted(rows.code, new.vehicle)
        late = time <= frontier[row]
        work = [new.take(~np.isin(row, row[late]))]
        bodies: dict[int, bytes | None] = {}
        for r in np.unique(row[late]).tolist():
            vehicle, first = rows.vehicles[r], int(time[late & (row == r)].min())
            found = t.checkpoint_before(vehicle, first)
            bodies[r] = found[1] if found and is_current(found[1]) else None
            after = found[0] if found and bodies[r] else None
            t.drop_checkpoints_after(vehicle, NONE if after is None else after)
            self.checkpointed[int(rows.code[r])] = NONE if after is None else after
            work.append(t.fixes_of(self.fleet, int(rows.code[r]), after))
        self._back = frozenset(bodies)
        if not bodies:
            return rows, new
        return _replaced(rows, bodies, self.world), concatenate(work)

    def _judged(self, t: Transaction, rows: Rows, work: FixBatch, until: I64, now: int) -> tuple[Outcome, list[Change]]:
        outcome = step(rows, work, until, self.world)
        frontiers = self._concerned(rows, outcome)
        stored = [old for old in t.signals_from(frontiers) if old.signal.kind not in outcome.faults]
        changes = t.apply_changes(reconcile(stored, outcome.signals, now, LATE), now)
        self.handle(t, changes, now)
        self._save(t, outcome.rows, self._checkpoint_ms)
        return outcome, changes

    def _concerned(self, rows: Rows, outcome: Outcome) -> dict[VehicleId, int]:
        """The vehicles of which the database may hold signals that this step touched, with their frontiers before it.

        A row under way with no episode has none that is not over for good, unless it was just taken back in time.
        """
        watched = set(rows.episodes["row"][rows.episodes["kind"] != STOPS].tolist())
        found = {VehicleId(signal.carrier, signal.vehicle) for signal in outcome.signals}
        frontier = rows.state["order"]["frontier"].tolist()
        return {v: frontier[r] for r, v in enumerate(rows.vehicles) if r in watched or v in found or r in self._back}

    def _until(self, rows: Rows, new: FixBatch, now: int) -> I64:
        """Up to when the deadlines of each row may fire: of a vehicle just heard only what has waited long enough."""
        until = self.memory.horizon(rows.code, now, *self._settle)
        until[np.isin(rows.code, new.vehicle)] = now - self._settle[1]
        return until

    def _save(self, t: Transaction, rows: Rows, every_ms: int) -> None:
        """Checkpoint the rows whose frontier has come into another hour than that of their last checkpoint."""
        frontier = rows.state["order"]["frontier"]
        before = np.array([self.checkpointed.get(c, NONE) for c in rows.code.tolist()], np.int64)
        due = np.flatnonzero((frontier != NONE) & ((before == NONE) | (frontier // every_ms > before // every_ms)))
        t.save_checkpoints([(rows.vehicles[r], int(frontier[r]), snapshot(rows, r, self.world)) for r in due.tolist()])
        for r in due.tolist():
            t.prune_checkpoints(rows.vehicles[r], int(frontier[r]) - self._rewind_ms)
            self.checkpointed[int(rows.code[r])] = int(frontier[r])

    def _remember(self, rows: Rows) -> None:
        for code, frontier in zip(rows.code.tolist(), rows.state["order"]["frontier"].tolist(), strict=True):
            self.checkpointed[code] = frontier


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
