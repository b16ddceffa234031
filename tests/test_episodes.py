"""Episodes: from columns of what fixes show to what is raised, presumed and cleared; told minute by minute.

An observation is a letter at a minute: S shows, K keeps (says nothing), L lapses, E ends. A limit is in minutes, an allowance of
silence is two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.episodes import ENDS, EPISODE, KEEPS, LAPSES, SHOWS, Watch, run
from monitor.motion import NONE

LETTERS = {"S": SHOWS, "K": KEEPS, "L": LAPSES, "E": ENDS}
FOREVER = 10**9


class Told(NamedTuple):
    """An episode in minutes; None for what is not (yet)."""

    since: float
    at: float | None
    until: float | None
    presumed: bool = False


class Seen(NamedTuple):
    """One observation."""

    minute: float
    letter: str
    since: float | None = None
    limit: float = 5
    judged: float | None = None
    end: float | None = None
    measure: float = 0
    where: float = 0
    shown: float | None = None


def ms(minutes: float | None) -> int:
    """Milliseconds."""
    return NONE if minutes is None else round(minutes * 60_000)


def minutes(value: int) -> float | None:
    """The other way round."""
    return None if value == NONE else value / 60_000


def watch(seen: Sequence[Seen], least_count: int = 1, moving: bool = False, row: int = 0, subject: int = -1) -> Watch:
    """The columns of one vehicle's observations of one subject."""
    n = len(seen)
    where = np.array([s.where for s in seen], np.float64)
    return Watch(
        row=np.full(n, row, np.int32), subject=np.full(n, subject, np.int32), time=np.array([ms(s.minute) for s in seen], np.int64),
        shown=np.array([ms(s.minute if s.shown is None else s.shown) for s in seen], np.int64),
        allowance=np.full(n, ms(2)), shows=np.array([LETTERS[s.letter] for s in seen], np.int8),
        since=np.array([ms(s.since) for s in seen], np.int64), judged=np.array([ms(s.judged) for s in seen], np.int64),
        limit=np.array([ms(s.limit) for s in seen], np.int64), end=np.array([ms(s.end) for s in seen], np.int64),
        measure=np.array([s.measure for s in seen], np.float64), bound=np.array([s.limit for s in seen], np.float64),
        place=where.astype(np.int32), route=where.astype(np.int32), trip=where.astype(np.int32), severity=where.astype(np.int8),
        lon=where, lat=where, least=np.full(n, least_count, np.int64), final=np.full(n, np.nan),
        final_severity=np.full(n, -1, np.int8), follows=moving, centred=moving,
    )  # fmt: skip


def episodes(observed: Watch, horizon: float | None = None, cuts: Sequence[int] = ()) -> npt.NDArray[np.void]:
    """The episodes that ended raised, then those to carry on, in one go or cut before some observations."""
    carried, over = np.empty(0, EPISODE), [np.empty(0, EPISODE)]
    columns = [name for name in Watch._fields if name not in Watch._field_defaults]
    for begin, end in zip([0, *cuts], [*cuts, len(observed.row)], strict=True):
        part: dict[str, Any] = {name: getattr(observed, name)[begin:end] for name in columns}
        until = ms(horizon) if end == len(observed.row) else NONE
        carried, ended = run(0, observed._replace(**part), carried, np.full(3, until))
        over.append(ended)
    return np.concatenate([*over, carried])


def told(*seen: Seen, horizon: float | None = None, **how: Any) -> list[Told]:
    """Every raised episode."""
    found = episodes(watch(seen, **how), horizon)
    return [
        Told(e["since"] / 60_000, minutes(e["at"]), minutes(e["until"]), bool(e["presumed"])) for e in found if e["at"] != NONE
    ]


def letters(text: str, **how: Any) -> list[Seen]:
    """One observation a minute; a dot is a minute without."""
    return [Seen(minute, letter, **how) for minute, letter in enumerate(text) if letter != "."]


# ── reaching the limit ──


def test_a_fix_that_shows_it_at_the_limit_raises_it() -> None:
    """Not one before."""
    assert told(*letters("SSSSS")) == []
    assert told(*letters("SSSSSS")) == [Told(0, 5, None)]


def test_at_is_the_limit_whenever_a_fix_shows_it() -> None:
    """The condition held at five minutes, as the fix at six shows."""
    assert told(*letters("SSSSS.S")) == [Told(0, 5, None)]


def test_at_stays_once_it_is_set() -> None:
    """Another limit changes nothing any more."""
    assert told(*letters("SSSSSS"), Seen(6, "S", limit=1), Seen(7, "S", limit=60)) == [Told(0, 5, None)]


def test_the_condition_may_have_begun_before_the_fix_that_shows_it() -> None:
    """A stop is known a minute after it began."""
    assert told(*[Seen(minute, "S", since=-3) for minute in range(4)]) == [Told(-3, 2, None)]


def test_a_tighter_limit_counts_from_the_first_fix_judged_under_it() -> None:
    """At three minutes the two minutes of the new limit have long passed."""
    assert told(*letters("SSS"), Seen(3, "S", limit=2)) == [Told(0, 3, None)]


def test_a_looser_limit_is_waited_for() -> None:
    """Before it was reached."""
    assert told(*letters("SSSS"), *[Seen(minute, "S", limit=7) for minute in range(4, 9)]) == [Told(0, 7, None)]


def test_the_first_fix_judged_under_a_limit_may_be_known_from_elsewhere() -> None:
    """It had that limit before it showed."""
    assert told(Seen(3, "S", since=0, judged=1, limit=2)) == [Told(0, 2, None)]
    assert told(Seen(3, "S", since=0, judged=-1, limit=2)) == [Told(0, 2, None)]
    assert told(Seen(3, "S", since=0, judged=3, limit=2)) == [Told(0, 3, None)]


def test_several_fixes_may_be_asked_for() -> None:
    """The third is at four minutes; fixes that say nothing do not count."""
    assert told(*letters("SKS", limit=1), least_count=3) == []
    assert told(*letters("SKSKS", limit=1), least_count=3) == [Told(0, 4, None)]
    assert told(*letters("SSS.S", limit=4), least_count=3) == [Told(0, 4, None)]


# ── the end ──


def test_an_end_is_told_at_the_last_fix_that_showed_it() -> None:
    """Where the watch says nothing better."""
    assert told(*letters("SSSSSSE")) == [Told(0, 5, 5)]
    assert told(*letters("SSSSSSS"), Seen(7, "E", end=6.5)) == [Told(0, 5, 6.5)]


def test_what_is_shown_only_up_to_an_earlier_instant_ends_there() -> None:
    """A fix may say of an open stop that its last evidence lies behind."""
    assert told(*letters("SSSSSS"), Seen(7, "S", shown=5), Seen(9, "S", shown=5), Seen(10, "E")) == [Told(0, 5, 5)]
    assert told(*letters("SSSSSS"), Seen(7, "S", shown=6.5), Seen(10, "E")) == [Told(0, 5, 6.5)]


def test_an_end_before_at_is_told_at_the_fix_that_showed_it() -> None:
    """Until never precedes at: shown at four, presumed at six, over at seven."""
    assert told(*letters("SSSSS..E")) == [Told(0, 6, 7, presumed=True)]


def test_what_was_never_raised_ends_in_silence() -> None:
    """And the next begins anew."""
    assert told(*letters("SSSESSSSSS")) == [Told(4, 9, None)]


def test_what_lapses_and_shows_again_is_the_same() -> None:
    """Its end is taken back."""
    since_0 = {"since": 0.0}
    assert told(*letters("SSSSSSL", **since_0)) == [Told(0, 5, 5)]
    assert told(*letters("SSSSSSLS", **since_0)) == [Told(0, 5, None)]
    assert told(*letters("SSSSSSLSL", **since_0)) == [Told(0, 5, 7)]


def test_what_lapses_before_its_limit_may_still_reach_it() -> None:
    """The limit runs on from the same beginning."""
    assert told(*letters("SSSLLSS", since=0.0)) == [Told(0, 5, None)]


def test_a_condition_that_began_after_the_last_showing_fix_is_another() -> None:
    """One episode ends where it showed last; the other has its own limit."""
    assert told(*letters("SSSSSS"), *[Seen(minute, "S", since=7) for minute in range(8, 14)]) == [
        Told(0, 5, 5),
        Told(7, 12, None),
    ]


def test_fixes_that_say_nothing_neither_count_nor_end() -> None:
    """Nor do they begin anything."""
    assert told(*letters("KKSSSSSKKS")) == [Told(2, 7, None)]
    assert told(*letters("KEL")) == []


# ── presumption ──


def test_silence_reaches_the_limit_where_the_last_fix_showed_it() -> None:
    """The deadline is the limit, or the end of the allowance if that is later."""
    assert told(*letters("SS"), horizon=30) == [Told(0, 5, None, presumed=True)]
    assert told(*letters("SSSSS"), horizon=30) == [Told(0, 6, None, presumed=True)]


def test_silence_presumes_nothing_before_the_deadline() -> None:
    """At the deadline it does."""
    assert told(*letters("SS"), horizon=4.99) == []
    assert told(*letters("SS"), horizon=5) == [Told(0, 5, None, presumed=True)]


def test_silence_presumes_nothing_where_the_last_fix_did_not_show_it() -> None:
    """It said nothing, or that it lapsed."""
    assert told(*letters("SSK"), horizon=30) == []
    assert told(*letters("SSL", since=0.0), horizon=30) == []


def test_silence_presumes_nothing_before_there_are_fixes_enough() -> None:
    """Two of three."""
    assert told(*letters("SS"), horizon=30, least_count=3) == []
    assert told(*letters("SSS"), horizon=30, least_count=3) == [Told(0, 5, None, presumed=True)]


def test_a_deadline_fires_before_any_later_fix() -> None:
    """Whatever that fix shows; it was silent for long enough."""
    assert told(*letters("SS....S")) == [Told(0, 5, None, presumed=True)]
    assert told(*letters("SS....E")) == [Told(0, 5, 6, presumed=True)]


def test_a_fix_at_the_very_deadline_comes_first() -> None:
    """It raises by itself, or ends it."""
    assert told(*letters("SS...S"), horizon=30) == [Told(0, 5, None)]
    assert told(*letters("SS...E"), horizon=30) == []


def test_what_was_presumed_stays_presumed() -> None:
    """A fix that shows it later changes neither at nor that."""
    [found] = episodes(watch(letters("SS......SS")))
    assert (found["at"], found["presumed"], found["raised"], found["deadline"]) == (ms(5), True, ms(5), NONE)


# ── what else is told ──


def test_the_measure_is_the_worst_and_the_rest_is_that_of_the_beginning() -> None:
    """Place, route, trip and bound stay as they began."""
    [found] = episodes(
        watch([Seen(0, "S", measure=3, where=1), Seen(5, "S", measure=9, where=2), Seen(6, "S", measure=4, where=3)])
    )
    assert (found["worst"], found["bound"], found["lon"], found["place"], found["severity"]) == (9, 5, 1, 1, 1)


def test_what_moves_follows_the_fixes_until_the_raise_and_the_position_always() -> None:
    """A stop's limit may come to be that of another place, and its centroid runs on; a fix out of it has none."""
    seen = [Seen(0, "S", where=1), Seen(5, "S", where=2), Seen(6, "S", where=3), Seen(7, "L", where=np.nan)]
    with np.errstate(invalid="ignore"):
        [found] = episodes(watch(seen, moving=True))
    assert (found["lon"], found["lat"], found["place"], found["route"], found["trip"], found["severity"]) == (3, 3, 2, 2, 2, 2)


def test_decided_is_the_fix_or_deadline_of_the_latest_change() -> None:
    """Raised, cleared, shown again."""
    decided = [int(episodes(watch(letters(text, since=0.0)))[0]["decided"]) for text in ("SSSSS.S", "SSSSSSSL", "SSSSSSSLS")]
    assert [minutes(value) for value in decided] == [6, 7, 8]
    assert episodes(watch(letters("SS")), horizon=30)[0]["decided"] == ms(5)


# ── many at once ──


def together(*watches: Watch) -> Watch:
    """Several watches, in their order."""
    columns = [name for name in Watch._fields if name not in Watch._field_defaults]
    joined: dict[str, Any] = {name: np.concatenate([getattr(w, name) for w in watches]) for name in columns}
    return watches[0]._replace(**joined)


def test_vehicles_and_subjects_are_apart() -> None:
    """Each has an episode of its own; those nobody speaks of are carried on."""
    first = together(
        watch(letters("S"), row=0, subject=2), watch(letters("S"), row=0, subject=5), watch(letters("S"), row=2, subject=1)
    )
    carried, _ = run(0, first, np.empty(0, EPISODE), np.full(3, NONE))
    second = together(watch([Seen(5, "S")], row=0, subject=5), watch([Seen(5, "S")], row=1, subject=5))
    kept, ended = run(0, second, carried, np.full(3, NONE))
    assert [(e["row"], e["subject"], minutes(e["at"])) for e in kept] == [(0, 2, None), (0, 5, 5), (1, 5, None), (2, 1, None)]
    assert len(ended) == 0


def test_there_is_room_for_many() -> None:
    """Forty vehicles raise and end, forty more go on."""
    many = together(*[watch([*letters("SSSSSSE"), Seen(7, "S")], row=row) for row in range(40)])
    kept, ended = run(0, many, np.empty(0, EPISODE), np.full(40, NONE))
    assert (len(kept), len(ended)) == (40, 40)


def test_the_horizon_is_each_vehicles_own() -> None:
    """One is settled, the other may still be heard."""
    both = together(watch(letters("S"), row=0), watch(letters("S"), row=1))
    kept, _ = run(0, both, np.empty(0, EPISODE), np.array([ms(4), ms(5)]))
    assert [minutes(at) for at in kept["at"]] == [None, 5]


observations = st.lists(
    st.builds(
        lambda step, letter, back, limit, measure: (step, letter, back, limit, measure),
        st.sampled_from([0.5, 1, 1, 2, 4]), st.sampled_from("SSSSKLE"), st.sampled_from([None, 0, 1, 3]),
        st.sampled_from([1, 2, 5]), st.integers(0, 9),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(observations, st.lists(st.integers(0, 25), max_size=4), st.integers(1, 3), st.booleans(), st.sampled_from([None, FOREVER]))
def test_cut_anywhere_the_episodes_are_the_same(
    drawn: list[tuple[float, str, float | None, float, int]], cuts: list[int], least: int, moving: bool, horizon: float | None
) -> None:
    """To the byte; since <= at <= until, and every raised one was shown."""
    seen, clock = [], 0.0
    for step, letter, back, limit, measure in drawn:
        clock += step
        seen.append(Seen(clock, letter, since=None if back is None else clock - back, limit=limit, measure=measure))
    observed = watch(seen, least, moving)
    whole = episodes(observed, horizon)
    assert episodes(observed, horizon, sorted(min(c, len(seen)) for c in cuts)).tobytes() == whole.tobytes()
    for e in whole[whole["at"] != NONE]:
        assert e["since"] <= e["at"] <= e["raised"] <= e["decided"]
        assert e["until"] == NONE or e["at"] <= e["until"]
        assert e["count"] >= least


@pytest.mark.parametrize("kind", [0, 3])
def test_an_episode_knows_its_kind(kind: int) -> None:
    """The index of its detector."""
    kept, _ = run(kind, watch(letters("S")), np.empty(0, EPISODE), np.full(1, NONE))
    assert kept["kind"].tolist() == [kind]
