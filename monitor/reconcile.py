"""Reconcile: what a step found, held against what is stored; the differences are the changes of the signal log.

Stored and found signals are the same by vehicle, kind, place, route, trip, detail and overlap in time, never by `since`: a late fix
may move that. New ones are raised, changed ones revised or cleared, vanished ones withdrawn with a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from monitor.signals import Change, ChangeKind, Signal, StoredSignal

FOREVER = 2**62
QUIET = ("measure", "lon", "lat", "decided", "raised", "closed")
"""What may change without anybody being told."""

Key = tuple[str, str, str, str | None, str | None, str | None, str | None]


def reconcile(stored: Sequence[StoredSignal], found: Sequence[Signal], now: int, reason: str) -> list[Change]:
    """List the changes that lead from the stored signals to those found.

    `stored` are all signals that the step may have touched, `found` all that it says of the same vehicles; `now` is ms, `reason` why a
    vanished one is withdrawn.
    """
    candidates: dict[Key, list[StoredSignal]] = defaultdict(list)
    for old in sorted(stored, key=lambda item: (item.signal.since, item.id)):
        candidates[_key(old.signal)].append(old)
    changes = []
    for signal in sorted(found, key=lambda item: (item.since, item.at)):
        same = _overlapping(candidates[_key(signal)], signal)
        if same is None:
            changes.append(Change(ChangeKind.RAISED, None, signal, max(0, now - signal.raised)))
        else:
            candidates[_key(signal)].remove(same)
            changes += _difference(same, signal)
    gone = sorted((old for olds in candidates.values() for old in olds), key=lambda old: old.id)
    return changes + [Change(ChangeKind.WITHDRAWN, old.id, old.signal, reason=reason) for old in gone]


def _key(signal: Signal) -> Key:
    return (signal.carrier, signal.vehicle, signal.kind, signal.place, signal.route, signal.trip, signal.detail)


def _overlapping(candidates: Sequence[StoredSignal], signal: Signal) -> StoredSignal | None:
    """The stored signal that this one is: of those that overlap it, the one that began nearest."""
    end = _end(signal)
    same = [old for old in candidates if old.signal.since <= end and signal.since <= _end(old.signal)]
    return min(same, key=lambda old: (abs(old.signal.since - signal.since), old.id), default=None)


def _difference(old: StoredSignal, new: Signal) -> list[Change]:
    before = old.signal
    if before == new:
        return []
    if replace(before, **{name: getattr(new, name) for name in QUIET}) == new:
        return [Change(ChangeKind.MEASURED, old.id, new)]
    told = replace(before, until=new.until, **{name: getattr(new, name) for name in QUIET})
    if told == new and before.until is None:
        return [Change(ChangeKind.CLEARED, old.id, new)]
    if told == new and new.until is None:
        return [Change(ChangeKind.REVISED, old.id, new, reason="it shows again")]
    return [Change(ChangeKind.REVISED, old.id, new, reason="another fix showed it differently")]


def _end(signal: Signal) -> int:
    return FOREVER if signal.until is None else signal.until
