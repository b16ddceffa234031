"""Fixes, signals and processes for the tests of the store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import numpy as np

from monitor.fixes import COLUMNS, Bool, FixBatch, Fleet, VehicleId, digests, normalised
from monitor.signals import Change, ChangeKind, Signal
from monitor.store.store import Store

TRUCK = VehicleId("north", "truck-1")
VAN = VehicleId("north", "van-2")
PATIENCE = timedelta(seconds=20)
DAY = 1_790_000_000_000

SIGNAL = Signal(
    kind="unauthorized_stop",
    carrier="north",
    vehicle="truck-1",
    place="belt",
    route=None,
    trip="T-7",
    since=DAY,
    at=DAY + 300_000,
    until=None,
    presumed=False,
    lon=-79.6543211,
    lat=43.7012345,
    measure=312.5,
    limit=300.0,
    unit="s",
    severity="critical",
    raised=DAY + 310_000,
    decided=DAY + 310_000,
    closed=False,
)


def opened(url: str, patience: timedelta = PATIENCE) -> Store:
    """The database of a URL, made if it is a file and there is none."""
    return Store.open(url, patience)


def drive(fleet: Fleet, identity: VehicleId, seconds: Sequence[int]) -> FixBatch:
    """Fixes of one vehicle at these seconds, heading north."""
    n = len(seconds)
    time = (DAY + 1000 * np.array(seconds, dtype=np.int64)).view("datetime64[ms]")
    code = np.full(n, fleet.code(identity), dtype=np.int32)
    return normalised(fleet, code, time, np.full(n, -79.5), 43 + np.array(seconds, dtype=np.float64) / 10_000)


def none_late(fixes: FixBatch) -> Bool:
    """Newer than anything stored, all of them."""
    return np.zeros(len(fixes), dtype=np.bool_)


def all_late(fixes: FixBatch) -> Bool:
    """At or before the frontier, all of them."""
    return np.ones(len(fixes), dtype=np.bool_)


def assert_same(one: FixBatch, other: FixBatch) -> None:
    """Exactly equal in every column, value for value and of the same dtype; unknown is equal to unknown."""
    for name, dtype in COLUMNS.items():
        left, right = getattr(one, name), getattr(other, name)
        assert left.dtype == right.dtype == dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)


def digests_of(fleet: Fleet, fixes: FixBatch) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The digests, computed again from the columns."""
    return digests(fleet.hashes(), {name: getattr(fixes, name) for name in COLUMNS if name != "digest"})


def raised(signal: Signal = SIGNAL, late_by: int = 0) -> Change:
    """A signal seen for the first time."""
    return Change(ChangeKind.RAISED, None, signal, late_by)


def changed(what: ChangeKind, stored: int | None, reason: str = "", **fields: object) -> Change:
    """A change of the sample signal."""
    return Change(what, stored, replace(SIGNAL, **fields), 0, reason)  # type: ignore[arg-type]


@contextmanager
def process(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs a program text, and does not outlive the block."""
    running = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def line_of(running: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert running.stdout is not None
    return running.stdout.readline().strip()
