"""Sequence numbers: what is on disk, what is missing, whatever the order of arrival; against a plain set of numbers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ingest.sequence import HOLES, NOTHING, Received, given_up, lost, received, runs

NUMBERS = st.lists(st.integers(1, 60), max_size=40)


def plain(numbers: set[int]) -> Received:
    """The same from a set, number by number."""
    through = 0
    while through + 1 in numbers:
        through += 1
    highest = max(numbers, default=0)
    return Received(through, tuple(runs(n for n in range(through + 1, highest + 1) if n not in numbers)), max(highest, through))


@given(st.lists(NUMBERS, max_size=6))
def test_any_parts_in_any_order_tell_what_a_set_tells(parts: list[list[int]]) -> None:
    state, seen = NOTHING, set[int]()
    for part in parts:
        state = received(state, part)
        seen |= set(part)
        assert state == plain(seen)


@given(NUMBERS, st.integers(1, 70))
def test_what_the_device_no_longer_has_counts_as_there_and_is_counted_as_lost(numbers: list[int], oldest: int) -> None:
    state = received(NOTHING, numbers)
    after = given_up(state, oldest)
    if oldest > state.through + 1:
        assert after == plain(set(numbers) | set(range(1, oldest)))
        assert lost(state, after) == len({n for n in range(1, after.through + 1) if n not in set(numbers)})
    else:
        assert after == state


@given(st.sets(st.integers(1, 10_000), max_size=400))
@settings(max_examples=30)
def test_holes_are_bounded_and_nothing_is_claimed_that_did_not_arrive(evens: set[int]) -> None:
    """Every other number makes a hole each; those beyond the bound count as not yet received, and come again."""
    numbers = {2 * n for n in evens} | set(range(2, 2 * HOLES + 200, 2))
    state = received(NOTHING, numbers)
    assert len(state.missing) <= HOLES
    claimed = set(range(1, state.highest + 1)) - {n for first, last in state.missing for n in range(first, last + 1)}
    assert claimed <= numbers
    filled = received(received(state, numbers), range(1, max(numbers) + 1))
    assert filled == Received(max(numbers), (), max(numbers))


def test_a_device_that_begins_in_the_middle_is_asked_for_the_beginning() -> None:
    """Else what a killed broker lost at the start of a boot would never be asked for."""
    assert received(NOTHING, [5, 6, 9]) == Received(0, ((1, 4), (7, 8)), 9)
    assert received(Received(0, ((1, 4), (7, 8)), 9), range(1, 9)) == Received(9, (), 9)
