"""Reconcile: what a step found, held against what is stored; each difference is one change with its kind and its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.reconcile import reconcile
from monitor.signals import Change, ChangeKind, Signal, StoredSignal
from tests.handmade import at

NOW = at("12:00")
STOP = Signal(
    "unauthorized_stop", "north", "T-1", None, None, None, at("10:00"), at("10:30"), None, presumed=False, lon=-76.5, lat=44.2,
    measure=1800, limit=1800, unit="s", severity="warning", raised=at("10:30"), decided=at("10:30"), closed=False,
)  # fmt: skip


def changes(stored: list[Signal], found: list[Signal]) -> list[tuple[ChangeKind, int | None]]:
    """The kinds of the changes and the ids of what they change; stored ones have the ids 1, 2, 3."""
    return [(change.what, change.id) for change in told(stored, found)]


def told(stored: list[Signal], found: list[Signal]) -> list[Change]:
    """The changes."""
    return reconcile([StoredSignal(number, s) for number, s in enumerate(stored, 1)], found, NOW, "a late fix")


def test_what_is_new_is_raised_with_how_late_we_learned() -> None:
    """Now less the fix or deadline that raised it; never less than nothing."""
    [change] = told([], [STOP])
    assert (change.what, change.id, change.signal, change.late_by) == (ChangeKind.RAISED, None, STOP, 90 * 60_000)
    assert told([], [replace(STOP, raised=NOW + 1)])[0].late_by == 0


def test_what_is_the_same_is_no_change() -> None:
    """However often it is found."""
    assert changes([STOP], [STOP]) == []


@pytest.mark.parametrize(
    "changed", [{"measure": 1900.0}, {"lon": -76.6}, {"lat": 44.3}, {"decided": NOW}, {"raised": NOW}, {"closed": True}]
)
def test_what_nobody_needs_to_be_told_is_measured(changed: dict[str, object]) -> None:
    """It stands longer; its centroid moved."""
    [change] = told([STOP], [replace(STOP, **changed)])  # type: ignore[arg-type]
    assert (change.what, change.id, change.reason) == (ChangeKind.MEASURED, 1, "")


def test_what_has_ended_is_cleared() -> None:
    """With the signal as it now stands."""
    ended = replace(STOP, until=at("11:00"), measure=3600, decided=at("11:01"), closed=True)
    [change] = told([STOP], [ended])
    assert (change.what, change.id, change.signal) == (ChangeKind.CLEARED, 1, ended)


def test_what_shows_again_is_revised() -> None:
    """It had been cleared."""
    [change] = told([replace(STOP, until=at("11:00"))], [STOP])
    assert (change.what, change.id, change.reason) == (ChangeKind.REVISED, 1, "it shows again")


@pytest.mark.parametrize(
    "changed",
    [
        {"since": at("09:50")}, {"at": at("10:20")}, {"limit": 600.0}, {"severity": "critical"}, {"presumed": True},
        {"until": at("11:00"), "at": at("10:20")},
    ],
)  # fmt: skip
def test_what_is_different_is_revised(changed: dict[str, object]) -> None:
    """Another fix showed it so."""
    [change] = told([STOP], [replace(STOP, **changed)])  # type: ignore[arg-type]
    assert (change.what, change.id, change.reason) == (ChangeKind.REVISED, 1, "another fix showed it differently")


def test_another_end_is_a_revision() -> None:
    """It was cleared before."""
    ended = replace(STOP, until=at("11:00"))
    assert changes([ended], [replace(STOP, until=at("11:05"))]) == [(ChangeKind.REVISED, 1)]


def test_what_is_no_more_found_is_withdrawn_with_the_reason() -> None:
    """As it stood; nothing is deleted."""
    [change] = told([STOP], [])
    assert (change.what, change.id, change.signal, change.reason) == (ChangeKind.WITHDRAWN, 1, STOP, "a late fix")


@pytest.mark.parametrize(
    "changed",
    [{"carrier": "south"}, {"vehicle": "T-2"}, {"kind": "long_dwell"}, {"place": "a"}, {"route": "401"}, {"trip": "t"}],
)
def test_another_vehicle_kind_place_route_or_trip_is_another_signal(changed: dict[str, object]) -> None:
    """One is withdrawn, the other raised."""
    assert changes([STOP], [replace(STOP, **changed)]) == [(ChangeKind.RAISED, None), (ChangeKind.WITHDRAWN, 1)]  # type: ignore[arg-type]


def test_what_does_not_overlap_is_another_signal() -> None:
    """The same truck, an hour later; touching is enough to be the same."""
    first = replace(STOP, until=at("11:00"))
    assert changes([first], [first, replace(STOP, since=at("11:00:01"))]) == [(ChangeKind.RAISED, None)]
    assert changes([first], [replace(STOP, since=at("11:00:01"))]) == [(ChangeKind.RAISED, None), (ChangeKind.WITHDRAWN, 1)]
    assert changes([first], [replace(STOP, since=at("11:00"))]) == [(ChangeKind.REVISED, 1)]
    assert changes([first], [replace(STOP, since=at("09:00"), until=at("09:59:59"))])[0] == (ChangeKind.RAISED, None)


def test_of_several_the_one_that_began_nearest_is_the_same() -> None:
    """A late fix cut one long stop in two: the older keeps the id."""
    halves = [replace(STOP, until=at("10:40")), replace(STOP, since=at("10:45"), at=at("11:15"))]
    assert changes([STOP], halves) == [(ChangeKind.CLEARED, 1), (ChangeKind.RAISED, None)]
    assert changes(halves, [STOP]) == [(ChangeKind.REVISED, 1), (ChangeKind.WITHDRAWN, 2)]


def test_each_stored_signal_is_matched_once() -> None:
    """Two that are alike are two."""
    assert changes([STOP], [STOP, STOP]) == [(ChangeKind.RAISED, None)]
    assert changes([STOP, STOP], [STOP]) == [(ChangeKind.WITHDRAWN, 2)]


def spans(drawn: list[tuple[int, int]]) -> list[Signal]:
    """Stops of one truck, one after the other."""
    out, clock = [], 0
    for wait, length in drawn:
        clock += wait
        out.append(replace(STOP, since=clock, at=clock, until=clock + length, raised=clock, decided=clock))
        clock += length
    return out


lives = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), max_size=6).map(spans)


@given(lives, lives)
def test_the_changes_lead_from_what_is_stored_to_what_is_found(stored: list[Signal], found: list[Signal]) -> None:
    """Carried out, they give exactly that; and a second time there is nothing to do."""
    log = dict(enumerate(stored, 1))
    for change in told(stored, found):
        if change.what is ChangeKind.WITHDRAWN:
            assert change.id is not None
            del log[change.id]
        else:
            log[len(log) + 100 if change.id is None else change.id] = change.signal
    assert sorted(log.values(), key=lambda s: s.since) == found
    assert changes(found, found) == []
