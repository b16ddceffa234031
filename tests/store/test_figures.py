"""Figures of what is stored: one read, the same on every database."""

from __future__ import annotations

import numpy as np

from monitor.findings import Finding
from monitor.fixes import FixBatch, Fleet, Reject, VehicleId, normalised
from monitor.store import findings_store
from monitor.store.figures import figures, newest_fixes
from monitor.store.store import Store

NOW = 1_772_452_800_000


def batch(fleet: Fleet, vehicle: str, *ages_s: int) -> FixBatch:
    code, count = fleet.code(VehicleId("acme", vehicle)), len(ages_s)
    times = np.array([NOW - age * 1000 for age in ages_s], np.int64).view("datetime64[ms]")
    return normalised(fleet, np.full(count, code, np.int32), times, np.full(count, -79.7), np.full(count, 43.6))


def test_an_empty_database_has_figures_too(store: Store) -> None:
    with store.read() as transaction:
        said = figures(transaction, NOW)
        assert newest_fixes(transaction) == []
    assert (said.heard, said.incidents, said.notices, said.findings) == ({}, {}, {}, {})
    assert (said.escalation_lag_s, said.notice_lag_s, said.archived_fixes) == (0.0, 0.0, 0)


def test_the_database_is_read_as_it_is(store: Store) -> None:
    fleet = Fleet()
    with store.begin() as transaction:
        for vehicle, ages in (("truck", (60, 7200)), ("silent", (7200,))):
            fixes = batch(fleet, vehicle, *ages)
            transaction.add_fixes(fleet, fixes, np.zeros(len(fixes), np.int8))
        transaction.add_rejects([Reject("acme", "", "t", "r", b"", "8613"), Reject("acme", "", "t", "r", b"")], NOW)
        findings_store.note(transaction, [Finding("rate_limited", "acme", "x", "y")], NOW)
    with store.read() as transaction:
        newest = [(each.vehicle, each.newest) for each in newest_fixes(transaction)]
        said = figures(transaction, NOW)
    assert newest == [("silent", NOW - 7_200_000), ("truck", NOW - 60_000)]
    assert (said.heard, said.quarantined, said.findings) == ({"acme": 1}, 1, {"rate_limited": 1})
    assert (said.journal, said.size > 0) == (1, True)
