"""Order: which fixes are used, a vehicle's own interval, what is a gap; by hand, and against plain loops over the whole track."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from monitor.fixes import FixBatch
from monitor.motion import NONE
from monitor.order import Used, order, unseen
from monitor.settings import Order, milliseconds
from tests.handmade import LAT, LON, NORTH, Report, at, batch, clock, every

GEOD = Geod(ellps="WGS84")
RULES = Order()


def ordered(
    fixes: FixBatch, cuts: Sequence[int] = (), rules: Order = RULES
) -> tuple[list[int], list[int], list[bool], np.ndarray]:
    """Indices of the used fixes of one vehicle, their allowances (ms) and gaps, and the state, in one go or cut before some."""
    state, index, allowance, gap = unseen(1), list[int](), list[int](), list[bool]()
    for begin, end in zip([0, *cuts], [*cuts, len(fixes)], strict=True):
        part = fixes.take(slice(begin, end))
        columns = (part.time.view(np.int64), part.lon, part.lat, part.positioned, part.precise)
        used: Used = order(state, np.array([0, len(part)]), *columns, rules)
        index += (used.fix + begin).tolist()
        allowance += used.allowance.tolist()
        gap += used.gap.tolist()
    return index, allowance, gap, state


def used_at(reports: Sequence[Report]) -> list[str | None]:
    """The clocks of the used fixes."""
    fixes, _ = batch(reports)
    return [clock(int(fixes.time.view(np.int64)[i])) for i in ordered(fixes)[0]]


def allowances(*clocks: str) -> list[float]:
    """Seconds of silence allowed after each of some reports from one spot."""
    return [ms / 1000 for ms in ordered(batch([(c, 0, 0, 0) for c in clocks])[0])[1]]


def gaps(reports: Sequence[Report], accuracy: Sequence[float] | None = None) -> list[bool]:
    """Whether a gap came before each used fix."""
    return ordered(batch(reports, accuracy)[0])[2]


# ── which fixes count ──


def test_of_several_positions_at_one_time_the_lowest_digest_is_used() -> None:
    """The others take no part."""
    fixes, _ = batch([("10:00", 0.0, 0, 0), ("10:00", 5.0, 0, 0), ("10:00", 9.0, 0, 0), ("10:01", 0, 0, 0)])
    assert np.diff(fixes.digest[:3]).min() > 0
    assert ordered(fixes)[0] == [0, 3]


def test_a_position_given_up_at_an_instant_is_the_only_one_looked_at() -> None:
    """A jump of the lowest digest does not leave its instant to the next."""
    pairs = [[("10:00", 0, 0, 0), ("10:01", 90_000.0 + x, 0, 0), ("10:01", 0.0, 0, 0)] for x in range(8)]
    chosen = next(fixes for fixes, _ in map(batch, pairs) if fixes.lon[1] > LON + 0.5)  # where the jump has the lower digest
    assert ordered(chosen)[0] == [0]


def test_a_fix_without_a_position_moves_only_the_frontier() -> None:
    """It is processed, and says nothing of where."""
    fixes, _ = batch([("10:00", 0, 0, 0), ("10:01", 0, 0, 0)])
    quality = fixes.quality.copy()
    quality[1] = 1
    index, _, _, state = ordered(dataclasses.replace(fixes, quality=quality))
    assert index == [0]
    assert (state["frontier"][0], state["last"][0]) == (at("10:01"), at("10:00"))


def test_a_single_jump_takes_no_part() -> None:
    """More than 70 m/s from the last used fix: 4,201 m in a minute."""
    assert used_at([("10:00", 0, 0, 20), ("10:01", 4201, 0, 20), ("10:02", 100, 0, 20)]) == ["10:00", "10:02"]
    assert used_at([("10:00", 0, 0, 20), ("10:01", 4199, 0, 20), ("10:02", 100, 0, 20)]) == ["10:00", "10:01", "10:02"]


def test_no_speed_is_implied_over_less_than_a_second() -> None:
    """69 m in a tenth of a second is noise."""
    assert len(used_at([("10:00", 0, 0, 20), ("10:00:00.100", 69, 0, 20), ("10:00:00.200", 0, 0, 20)])) == 3


@pytest.mark.parametrize(("between", "believed"), [(0, True), (1, True), (3, True), (4, False), (5, False)])
def test_the_second_jump_within_five_fixes_is_believed(between: int, believed: bool) -> None:
    """Both count: three good ones may lie between them."""
    reports = [("10:00", 0, 0, 20), ("10:01", 50_000, 0, 20)]
    reports += [(f"10:{2 + k:02}", 10, 0, 20) for k in range(between)]
    reports += [(f"10:{2 + between:02}", 50_000, 0, 20)]
    assert (f"10:{2 + between:02}" in used_at(reports)) is believed


def test_a_jump_that_is_believed_forgets_the_first() -> None:
    """The next jump back is the first again."""
    east = [0, 50_000, 50_000, 0, 50_000, 50_000]
    assert used_at([(f"10:0{k}", x, 0, 20) for k, x in enumerate(east)]) == ["10:00", "10:02", "10:04", "10:05"]


# ── own interval, gaps, allowances ──


def test_before_three_intervals_are_known_a_vehicle_has_the_first_interval() -> None:
    """30 s, so that it may be silent for three times as long."""
    assert allowances("10:00", "10:02", "10:04") == [90, 90, 90]


def test_the_own_interval_is_the_lower_median_of_the_last_five() -> None:
    """Of 2, 2, 4 min: 2; of 2, 2, 4, 4 the lower: 2; of 2, 2, 4, 4, 4: 4; the sixth pushes out the first."""
    clocks = ("10:00", "10:02", "10:04", "10:08", "10:12", "10:16", "10:17", "10:18")
    assert [s / 180 for s in allowances(*clocks)[3:]] == [2, 2, 4, 4, 4]


def test_silence_of_a_minute_is_always_allowed() -> None:
    """Also to a device that reports each second."""
    assert allowances("10:00:00", "10:00:01", "10:00:02", "10:00:03") == [90, 90, 90, 60]


def test_a_gap_is_longer_than_ten_minutes() -> None:
    """Ten exactly is none."""
    assert gaps([("10:00", 0, 0, 0), ("10:10", 0, 0, 0), ("10:20:00.001", 0, 0, 0)]) == [False, False, True]


def test_a_gap_is_longer_than_three_own_intervals_as_known_before_it() -> None:
    """A device that reports each five minutes may be silent for fifteen."""
    five = [("10:00", 0, 0, 0), ("10:05", 0, 0, 0), ("10:10", 0, 0, 0), ("10:15", 0, 0, 0)]
    assert gaps([*five, ("10:30", 0, 0, 0)])[-1] is False
    assert gaps([*five, ("10:30:00.001", 0, 0, 0)])[-1] is True


def test_a_gap_is_one_in_any_positions_and_told_at_the_next_fix_the_automaton_sees() -> None:
    """A coarse fix breaks the silence; a gap before it counts for the precise fix after it."""
    reports = [("10:00", 0, 0, 0), ("10:06", 0, 0, 0), ("10:12", 0, 0, 0)]
    assert gaps(reports, [5, 500, 5]) == [False, False, False]
    late = [("10:00", 0, 0, 0), ("10:16", 0, 0, 0), ("10:17", 0, 0, 0), ("10:18", 0, 0, 0)]
    assert gaps(late, [5, 500, 5, 5]) == [False, False, True, False]


# ── against plain loops ──

Track = list[tuple[int, int, bool, bool]]
"""Seconds since the fix before, where on a line in steps of 500 m, whether positioned, whether precise."""
tracks = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 5, 30, 60, 601, 2000]), st.sampled_from([0, 0, 0, 1, 2, 40, 200]), st.booleans(), st.booleans()),
    max_size=40,
)  # fmt: skip


def fixes_of(track: Track) -> FixBatch:
    """The fixes of a track that runs north."""
    clocks = np.cumsum([step for step, *_ in track]) * 1000 + at("10:00")
    fixes, _ = batch([("10:00", 0.0, 0.0, 0.0)] * max(1, len(track)))
    if not track:
        return fixes.take(slice(0, 0))
    one = {name.name: np.repeat(getattr(fixes, name.name)[:1], len(track)) for name in dataclasses.fields(fixes)}
    quality = [0 if positioned and precise else 32 if positioned else 1 for _, _, positioned, precise in track]
    one |= {
        "time": clocks.astype("datetime64[ms]"), "lat": LAT + np.array([500.0 * x for _, x, *_ in track]) / NORTH,
        "quality": np.array(quality, np.uint8), "digest": np.arange(len(track)),
    }  # fmt: skip
    return FixBatch(**one)


def plainly(fixes: FixBatch) -> tuple[list[int], list[int], list[bool]]:
    """The definitions, with the whole track in view."""
    times, last_time = fixes.time.view(np.int64).tolist(), None
    looked_at = [i for i in np.flatnonzero(fixes.positioned).tolist() if times[i] != last_time and (last_time := times[i])]
    used: list[int] = []
    dropped: int | None = None
    for number, i in enumerate(looked_at):
        if used:
            metres = GEOD.inv(fixes.lon[i], fixes.lat[i], fixes.lon[used[-1]], fixes.lat[used[-1]])[2]
            if metres / max(1.0, (times[i] - times[used[-1]]) / 1000) > RULES.jump_mps:
                if dropped is None or number - dropped > 4:
                    dropped = number
                    continue
                dropped = None
        used.append(i)

    def own(count: int) -> int:
        last = sorted([times[b] - times[a] for a, b in pairwise(used[:count])][-5:])
        return last[(len(last) - 1) // 2] if len(last) >= 3 else milliseconds(RULES.first_interval)

    allowed = [max(60_000, 3 * own(k + 1)) for k in range(len(used))]
    silent = [k > 0 and times[i] - times[used[k - 1]] > max(600_000, 3 * own(k)) for k, i in enumerate(used)]
    gap = []
    for k, i in enumerate(used):
        before = max((j for j in range(k) if fixes.precise[used[j]]), default=-1)
        gap.append(bool(fixes.precise[i]) and any(silent[before + 1 : k + 1]))
    return used, allowed, gap


@settings(max_examples=150, deadline=None)
@given(tracks)
def test_order_agrees_with_the_definitions_read_over_the_whole_track(track: Track) -> None:
    """Which fixes are used, what silence is allowed after each, and where the gaps are."""
    fixes = fixes_of(track)
    assert ordered(fixes)[:3] == plainly(fixes)


@settings(max_examples=100, deadline=None)
@given(tracks, st.lists(st.integers(0, 40), max_size=4))
def test_a_cut_between_two_instants_changes_nothing(track: Track, cuts: list[int]) -> None:
    """Neither what is used nor what is remembered."""
    fixes = fixes_of(track)
    times = fixes.time.view(np.int64).tolist()
    places = sorted({c for c in cuts if 0 < c < len(times) and times[c] != times[c - 1]})
    whole, cut = ordered(fixes), ordered(fixes, places)
    assert whole[:3] == cut[:3]
    assert whole[3].tobytes() == cut[3].tobytes()


def test_vehicles_do_not_share_what_they_remember() -> None:
    """Two vehicles in one call are each alone."""
    one, _ = batch(every(10, "10:00", "10:05"))
    two, _ = batch([("10:00", 0, 0, 0), ("10:20", 90_000, 0, 0)])
    state = unseen(3)
    lon, lat, positioned, precise = (
        np.concatenate([getattr(one, name), getattr(two, name)]) for name in ("lon", "lat", "positioned", "precise")
    )
    time, bounds = np.concatenate([one.time, two.time]).view(np.int64), np.array([0, len(one), len(one), len(one) + 2])
    used = order(state, bounds, time, lon, lat, positioned, precise, RULES)
    assert used.fix.tolist() == [*range(len(one)), len(one)]
    assert state["frontier"].tolist() == [at("10:05"), NONE, at("10:20")]


def test_the_rules_are_settings() -> None:
    """Jump, first interval, gap and allowance."""
    rules = Order(jump_mps=10.0, first_interval=timedelta(seconds=10), gap=timedelta(minutes=2), allowance=timedelta(seconds=20))
    fixes, _ = batch([("10:00", 0, 0, 0), ("10:01", 601, 0, 0), ("10:02:01", 0, 0, 0), ("10:02:31", 0, 0, 0)])
    index, allowance, gap, _ = ordered(fixes, rules=rules)
    assert (index, allowance, gap) == ([0, 2, 3], [30_000, 30_000, 30_000], [False, True, False])
