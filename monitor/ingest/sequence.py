"""Sequence numbers: which of a device's messages are on disk, and which are missing; pure.

A device numbers its fixes 1, 2, 3, ... and names the count by a `boot`, new whenever the count begins anew. What is known of one boot
is the numbers that are on disk: all through `through`, and above it all but `missing` up to `highest`. A device may empty its outbox
through `through`, and is asked to send again what is missing. One that no longer has them says from which number on it has (`oldest`):
what lies below is given up. The number of holes is bounded: a number that would make one more counts as not yet received.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from monitor.fixes import VehicleId

HOLES = 256
"""Holes that are remembered of one boot."""
LARGEST = 2**53
"""The largest number that every JSON reader takes for itself."""

Range = tuple[int, int]
"""First and last number, both included."""


class Numbered(NamedTuple):
    """The number of one fix."""

    vehicle: VehicleId
    boot: str
    seq: int


class Received(NamedTuple):
    """What is on disk of one boot."""

    through: int = 0
    missing: tuple[Range, ...] = ()
    """The holes between `through` and `highest`, in order; the first begins right after `through`."""
    highest: int = 0


class Receipt(NamedTuple):
    """What a device is told."""

    vehicle: VehicleId
    boot: str
    through: int
    missing: tuple[Range, ...]


NOTHING = Received()


def received(before: Received, numbers: Iterable[int]) -> Received:
    """Add numbers that are on disk now."""
    added = runs(numbers)
    if len(added) == 1 and not before.missing and before.through >= added[0][0] - 1:  # as it nearly always is
        through = max(before.through, added[0][1])
        return Received(through, (), through)
    return _with(before, added)


def given_up(before: Received, oldest: int) -> Received:
    """Give up what lies below the oldest number that the device still has."""
    return _with(before, [(1, oldest - 1)]) if oldest > before.through + 1 else before


def lost(before: Received, after: Received) -> int:
    """How many numbers that were missing are given up between two states that differ by `given_up`."""
    return (after.through - before.through) - _present(before, after.through)


def runs(numbers: Iterable[int]) -> list[Range]:
    """Numbers as ranges, in order."""
    out: list[Range] = []
    for number in sorted(set(numbers)):
        if out and out[-1][1] == number - 1:
            out[-1] = (out[-1][0], number)
        else:
            out.append((number, number))
    return out


def _with(before: Received, added: Sequence[Range]) -> Received:
    there = [(1, before.through)] if before.through else []
    there += _between(before)
    merged: list[Range] = []
    for first, last in sorted([*there, *added]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    through = merged[0][1] if merged and merged[0][0] <= 1 else 0
    above = merged[1:] if through else merged
    above = above[:HOLES]
    edges = [(through, through), *above]
    holes = tuple((left[1] + 1, right[0] - 1) for left, right in pairwise(edges))
    return Received(through, holes, above[-1][1] if above else through)


def _between(state: Received) -> list[Range]:
    """The ranges above `through` that are on disk."""
    ends = [first - 1 for first, _ in (*state.missing[1:], (state.highest + 1, 0))]
    return [(last + 1, end) for (_, last), end in zip(state.missing, ends, strict=False)]


def _present(state: Received, up_to: int) -> int:
    """How many numbers above `through` and not above `up_to` are on disk."""
    return sum(max(0, min(last, up_to) - first + 1) for first, last in _between(state))
