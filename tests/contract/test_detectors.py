"""The laws that every detector keeps, run over the registry: whoever adds one is held to them without writing a line here.

The material are random worlds in which much happens; they are made once and every law looks at the same ones. Cuts, ticks and shifts
are drawn anew for each law.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeVar, cast, get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.detectors import DETECTORS, Detector
from monitor.episodes import Watch
from monitor.fixes import FixBatch, concatenate, empty
from monitor.memory import restore, snapshot
from monitor.motion import NONE
from monitor.permits import Authorization, Lockdown, Permits
from monitor.pipeline import Rows, fresh, step
from monitor.scene import Scene
from monitor.settings import Detectors, Settings, format_duration, load_settings
from monitor.signals import Signal, log_lines, log_order
from monitor.staging import stage
from monitor.trips import Trip, Trips
from monitor.visits import VISIT
from monitor.world import World
from tests import oracle, tracks
from tests.build import Log, geofences_of, run, unchanged, world_of
from tests.oracle_agreement import differences

SIZE, SEEDS = 70, range(20, 48)
WEEK_MS = 7 * 86_400_000
each = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.KIND)
QUICK = os.environ.get("MONITOR_TESTS") == "quick"
some = settings(max_examples=5 if QUICK else 12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
shares = st.lists(st.floats(0, 1), max_size=5)
PRESUMED = {"signal_lost": {True}, "wrong_way": {False}, "after_hours_movement": {False}, "impossible_movement": {False}}
"""What silence does by itself, and what takes fixes; of all other kinds both are seen."""
INSTANT = {"door_open", "zone_breach", "device_alarm"}
"""Told by one fix or report, unless a limit is set: silence presumes nothing then."""


remembered = lru_cache(maxsize=400)
"""What is the same for every detector is worked out once."""


@dataclass(frozen=True, repr=False)
class Material:
    """A random world as the core takes it, and its log in one step."""

    random: tracks.World
    world: World
    log: Log

    def __repr__(self) -> str:
        return repr(self.random)

    @property
    def time(self) -> npt.NDArray[np.int64]:
        """(N,) ms of the fixes."""
        return self.random.fixes.time.view(np.int64)

    def instants(self, shares: list[float]) -> list[int]:
        """Instants of the world: some of its fixes' own, some between them."""
        first, last = int(self.time.min()), self.random.horizon
        between = [int(first + share * (last - first)) for share in shares]
        times: list[int] = self.time.tolist()
        return between + [times[int(share * (len(times) - 1))] for share in shares[1:]]

    def again(self, cuts: Sequence[int], *, ticks: bool = False, restored: bool = False) -> Log:
        """The log of the same world in several steps, with ticks between them, or through bytes and back."""
        return in_steps(self.random.seed, tuple(sorted(cuts)), ticks, restored)


@remembered
def material(seed: int) -> Material:
    """The world of a seed."""
    random = tracks.random_world(seed, SIZE)
    world = world_of(random)
    return Material(random, world, run(world, random.vehicles, random.fixes, random.horizon))


@remembered
def in_steps(seed: int, cuts: tuple[int, ...], ticks: bool, restored: bool) -> Log:
    """The log of the world of a seed, cut: the same for every detector that asks."""
    given = material(seed)

    def through_bytes(rows: Rows) -> Rows:
        bodies = [snapshot(rows, row, given.world) for row in range(len(rows.vehicles))]
        return restore(rows.vehicles, rows.code, bodies, given.world)

    between = through_bytes if restored else unchanged
    random = given.random
    return run(given.world, random.vehicles, random.fixes, random.horizon, cuts, ticks=ticks, between=between)


@remembered
def definitions(seed: int) -> list[Signal]:
    """What the definitions say of the world of a seed."""
    random = material(seed).random
    return oracle.signals(*random.under(random.horizon))


def defined(seed: int, kind: str) -> list[Signal]:
    """The same, of one kind."""
    return [signal for signal in definitions(seed) if signal.kind == kind]


materials = st.sampled_from(SEEDS).map(material)


def lines(detector: Detector, log: Log) -> list[str]:
    """What a detector wrote into a log."""
    return log_lines(log.of(detector.KIND))


def parts(value: object) -> Iterator[npt.NDArray[Any]]:
    """The arrays in a tree of dataclasses and tuples."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from parts(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from parts(getattr(value, item.name))


def scene_of(given: Material) -> Scene:
    """All the fixes of a world as one scene."""
    random, fixes = given.random, given.random.fixes
    rows = fresh(random.vehicles, np.arange(len(random.vehicles), dtype=np.int32))
    bounds = np.searchsorted(fixes.vehicle, np.arange(len(random.vehicles) + 1)).astype(np.int64)
    scene, _ = stage(random.vehicles, rows.state, np.empty(0, VISIT), given.world, fixes, bounds)
    return scene


# ── what it is ──


@each
def test_it_states_its_rule_its_source_and_its_shapes(detector: Detector) -> None:
    """The module's first line is the rule, a sentence; it names where the rule comes from and what the letters mean."""
    text = inspect.getdoc(detector) or ""
    title, _, rest = text.partition("\n")
    assert re.fullmatch(r"[A-Z][^.]*: [^.]*\.", title)
    assert re.search(r"^Source: \S", rest, re.MULTILINE)
    assert re.search(r"^Shapes: [A-Z]\S* ", rest, re.MULTILINE)


@each
def test_it_is_called_after_its_module_and_measures_in_a_known_unit(detector: Detector) -> None:
    """KIND is the module's name and no other's; there are limits of that name in the settings."""
    module = cast(ModuleType, detector)
    assert module.__name__.endswith(f".{detector.KIND}")
    assert [other.KIND for other in DETECTORS].count(detector.KIND) == 1
    assert detector.UNIT in {"s", "m", "min"}
    assert hasattr(Detectors(), detector.KIND)


@each
def test_the_material_shows_it(detector: Detector) -> None:
    """The laws below are not kept by silence: there are signals open and ended, seen and presumed as their kind has it."""
    found = [signal for seed in SEEDS for signal in material(seed).log.of(detector.KIND)]
    assert len(found) >= 10
    assert {signal.until is None for signal in found} == {True, False}
    presumed = {signal.presumed for signal in found}
    if detector.KIND in INSTANT:
        assert not any(signal.presumed for signal in found if signal.limit == 0)
        assert False in presumed
    else:
        assert presumed == PRESUMED.get(detector.KIND, {True, False})


# ── what a watch is ──


@each
@pytest.mark.parametrize("seed", SEEDS)
def test_a_watch_is_sorted_and_of_one_length(detector: Detector, seed: int) -> None:
    """By row, subject and time; every column has its type."""
    watch = detector.watch(scene_of(material(seed)))
    order = np.lexsort((watch.time, watch.subject, watch.row))
    assert (order == np.arange(len(watch.row))).all()
    hints = {name: hint for name, hint in get_type_hints(Watch).items() if name not in Watch._field_defaults}
    for name, hint in hints.items():
        [kind] = get_args(get_args(hint)[1])
        assert getattr(watch, name).dtype == np.dtype(kind)
    assert {len(getattr(watch, name)) for name in hints} == {len(watch.row)}


@each
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_a_watch_does_not_modify_the_scene(detector: Detector, seed: int) -> None:
    """Others look at it too."""
    scene = scene_of(material(seed))
    before = [(array, array.copy()) for array in parts(scene)]
    for array, _ in before:
        array.flags.writeable = False
    detector.watch(scene)
    assert all(np.array_equal(array, copy, equal_nan=array.dtype.kind == "f") for array, copy in before)


@each
def test_a_scene_without_fixes_has_nothing_to_watch(detector: Detector) -> None:
    """Nor has one without places, routes and trips."""
    given = material(SEEDS[0])
    bare = replace(given, world=World(given.random.settings, geofences_of([]), Trips()))
    assert isinstance(detector.watch(scene_of(bare)), Watch)
    nobody = replace(given.random, fixes=empty())
    assert len(detector.watch(scene_of(replace(given, random=nobody))).row) == 0


# ── what a log is ──


@each
@some
@given(materials)
def test_a_signal_begins_is_raised_and_ends_in_this_order(detector: Detector, given: Material) -> None:
    """Since <= at <= until, at <= raised <= decided, and nothing lies beyond the horizon; measures are not negative."""
    for signal in given.log.of(detector.KIND):
        until = given.random.horizon if signal.until is None else signal.until
        assert signal.since <= signal.at <= until <= given.random.horizon
        assert signal.at <= signal.raised <= signal.decided <= given.random.horizon
        assert signal.measure >= 0
        assert signal.unit == detector.UNIT
        assert signal.severity in {"note", "warning", "critical"}


@each
@some
@given(materials)
def test_the_log_is_sorted_by_what_people_see(detector: Detector, given: Material) -> None:
    """By at, carrier, vehicle, kind, since, place, route and detail; codes never order it."""
    found = sorted(given.log.of(detector.KIND), key=log_order)
    keys = [(s.at, s.carrier, s.vehicle, s.kind, s.since, s.place or "", s.route or "", s.detail or "") for s in found]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


# ── what it must say ──


@each
@pytest.mark.parametrize("seed", SEEDS)
def test_it_says_what_the_definitions_say(detector: Detector, seed: int) -> None:
    """In one step it agrees with a plain loop over the whole track, written from the definitions alone."""
    assert differences(material(seed).log.of(detector.KIND), defined(seed, detector.KIND)) == []


@each
@pytest.mark.parametrize("seed", SEEDS[:8])
def test_in_pieces_it_says_what_the_definitions_say(detector: Detector, seed: int) -> None:
    """However the stream is cut: here after every seventh fix."""
    given = material(seed)
    log = given.again(np.unique(given.time)[::7].tolist())
    assert differences(log.of(detector.KIND), defined(seed, detector.KIND)) == []


# ── what changes nothing ──


@each
@some
@given(materials, shares)
def test_cutting_the_stream_anywhere_changes_nothing(detector: Detector, given: Material, shares: list[float]) -> None:
    """One step or several."""
    assert lines(detector, given.again(given.instants(shares))) == lines(detector, given.log)


@each
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_cutting_the_stream_at_every_fix_changes_nothing(detector: Detector, seed: int) -> None:
    """As live: a step a fix."""
    given = material(seed)
    assert lines(detector, given.again(np.unique(given.time).tolist())) == lines(detector, given.log)


@each
@some
@given(materials, shares)
def test_ticking_at_any_times_changes_nothing(detector: Detector, given: Material, shares: list[float]) -> None:
    """Deadlines fire at the time they have, whenever somebody looks."""
    assert lines(detector, given.again(given.instants(shares), ticks=True)) == lines(detector, given.log)


@remembered
def shuffled(seed: int, order: int) -> Log:
    """The log of the world of a seed whose fixes come in any order, some of them twice."""
    given, draw = material(seed), np.random.default_rng(order)
    fixes = given.random.fixes
    index = draw.permutation([*range(len(fixes)), *draw.integers(0, len(fixes), 20).tolist()])
    again = concatenate([fixes.take(index[:30]), fixes.take(index[30:])])
    return run(given.world, given.random.vehicles, again, given.random.horizon)


@each
@some
@given(materials, st.integers(0, 2**32 - 1))
def test_duplicates_and_the_order_of_arrival_change_nothing(detector: Detector, given: Material, order: int) -> None:
    """A batch of the same fixes, some of them twice, in any order, is the same batch."""
    assert lines(detector, shuffled(given.random.seed, order)) == lines(detector, given.log)


@each
@some
@given(materials, shares)
def test_snapshot_and_restore_in_the_middle_change_nothing(detector: Detector, given: Material, shares: list[float]) -> None:
    """A row is a value: as bytes and back it is the same."""
    assert lines(detector, given.again(given.instants([0.3, *shares]), restored=True)) == lines(detector, given.log)


@each
@some
@given(materials, shares)
def test_an_empty_batch_is_the_identity(detector: Detector, given: Material, shares: list[float]) -> None:
    """It changes no row, and its signals are those that are open."""
    cuts = given.instants([0.5, *shares])[:1]
    rows = given.again(cuts).rows
    outcome = step(rows, empty(), np.full(len(rows.vehicles), NONE), given.world)
    assert outcome.rows.state.tobytes() == rows.state.tobytes()
    assert outcome.rows.visits.tobytes() == rows.visits.tobytes()
    assert outcome.rows.episodes.tobytes() == rows.episodes.tobytes()
    still_open = [signal for signal in given.log.of(detector.KIND) if not signal.closed]
    assert log_lines(signal for signal in outcome.signals if signal.kind == detector.KIND) == log_lines(still_open)


@each
@some
@given(materials)
def test_a_step_does_not_modify_what_it_is_given(detector: Detector, given: Material) -> None:
    """Neither the rows nor the fixes, although it is told that they cannot be written to."""
    random, horizon = given.random, np.full(len(given.random.vehicles), given.random.horizon)
    middle = given.again(given.instants([0.5])[:1]).rows
    after = middle.state["order"]["frontier"][random.fixes.vehicle] < given.time
    fixes = random.fixes.take(after & (given.time <= random.horizon))
    arrays = [*parts(fixes), *parts(middle), horizon]
    before = [array.tobytes() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    outcome = step(middle, fixes, horizon, given.world)
    assert detector.KIND not in outcome.faults
    assert [array.tobytes() for array in arrays] == before


# ── what changes only what it should ──


@remembered
def alone(seed: int) -> list[Log]:
    """The log of each vehicle of the world of a seed, by itself."""
    given, out = material(seed), []
    for code, vehicle in enumerate(given.random.vehicles):
        fixes = given.random.fixes.take(given.random.fixes.vehicle == code)
        fixes = FixBatch(np.zeros(len(fixes), np.int32), *list(parts(fixes))[1:])
        out.append(run(given.world, [vehicle], fixes, given.random.horizon))
    return out


@each
@some
@given(materials)
def test_vehicles_do_not_influence_each_other(detector: Detector, given: Material) -> None:
    """Each alone says what it says among the others."""
    found = [signal for log in alone(given.random.seed) for signal in log.of(detector.KIND)]
    assert log_lines(found) == lines(detector, given.log)


def moved(signal: Signal, by: int) -> Signal:
    """The signal at other instants."""
    until = None if signal.until is None else signal.until + by
    since, at, raised, decided = (instant + by for instant in (signal.since, signal.at, signal.raised, signal.decided))
    return replace(signal, since=since, at=at, until=until, raised=raised, decided=decided)


Held = TypeVar("Held", Trip, Authorization, Lockdown)


def later(held: Held, by: int) -> Held:
    """A trip or a permit at other instants."""
    return replace(held, starts_at=held.starts_at + by, ends_at=held.ends_at + by)


CALENDAR = {"hours", "valid_from", "valid_until"}


@remembered
def without_hours(seed: int, by: int) -> Log:
    """The log of the world of a seed so many ms later; neither places nor vehicles have hours, and places are there for good."""
    random = material(seed).random
    features = [f | {"properties": {k: v for k, v in f["properties"].items() if k not in CALENDAR}} for f in random.features]
    chosen = load_settings(None, [said for said in random.assignments if ".hours=" not in said])
    plan, permits = Trips(later(trip, by) for trip in random.trips), random.permits
    allowed, locked = [later(said, by) for said in permits.authorizations], [later(said, by) for said in permits.lockdowns]
    world = World(chosen, geofences_of(features), plan, Permits(tuple(allowed), tuple(locked)))
    fixes = replace(random.fixes, time=random.fixes.time + np.timedelta64(by, "ms"))
    return run(world, random.vehicles, fixes, random.horizon + by)


@each
@some
@given(materials, st.integers(-10 * WEEK_MS, 10 * WEEK_MS))
def test_shifting_all_times_shifts_the_signals(detector: Detector, given: Material, by: int) -> None:
    """Only opening hours, hours of movement and the dates of places know what day it is."""
    now, then = (without_hours(given.random.seed, shift).of(detector.KIND) for shift in (0, by))
    assert sorted(now, key=log_order) == sorted((moved(signal, -by) for signal in then), key=log_order)


def looser(chosen: Settings, kind: str, factor: int) -> Settings:
    """The settings with every limit of time or count of one kind, for all, for load classes and for carriers, so many times as long."""

    def longer(value: Any) -> Any:
        if isinstance(value, timedelta):
            return value * factor
        return value * factor if isinstance(value, int) and not isinstance(value, bool) else value

    section = getattr(chosen.detectors, kind)
    section = replace(section, **{item.name: longer(getattr(section, item.name)) for item in dataclasses.fields(section)})
    said: dict[str, Any] = {
        group: {
            name: {d: {k: longer(v) if d == kind else v for k, v in ps.items()} for d, ps in detectors.items()}
            for name, detectors in getattr(chosen, group).items()
        }
        for group in ("load", "carrier")
    }
    return replace(chosen, detectors=replace(chosen.detectors, **{kind: section}), **said)


@each
@some
@given(materials, st.integers(2, 5))
def test_loosening_a_time_or_count_limit_never_adds_a_signal(detector: Detector, given: Material, factor: int) -> None:
    """What is still raised was raised before, of the same episode; a place's own limit stays as it is."""
    random = given.random
    world = World(
        looser(random.settings, detector.KIND, factor), geofences_of(random.features), Trips(random.trips), random.permits
    )
    found = run(world, random.vehicles, random.fixes, random.horizon).of(detector.KIND)

    def episodes(signals: list[Signal]) -> Counter[tuple[str, str, int, str | None]]:
        return Counter((signal.carrier, signal.vehicle, signal.since, signal.detail) for signal in signals)

    assert episodes(found) <= episodes(given.log.of(detector.KIND))


def test_looser_settings_are_looser() -> None:
    """The law above is about something."""
    chosen = looser(load_settings(None), "unauthorized_stop", 2)
    assert format_duration(chosen.limits("any", "high_value").unauthorized_stop.limit) == "30m"
    assert format_duration(chosen.limits("any", "standard").unauthorized_stop.no_stop_limit) == "10m"
    assert looser(load_settings(None), "route_deviation", 3).detectors.route_deviation.min_fixes == 9


def test_looser_settings_leave_distances_flags_and_texts() -> None:
    """Only limits of time and count are loosened: what is measured in metres, said in words or not said at all stays."""
    said = ["detectors.after_hours_movement.hours=24/7", "detectors.after_hours_movement.without_trip=true"]
    before = load_settings(None, said).detectors
    after = looser(load_settings(None, said), "after_hours_movement", 2).detectors.after_hours_movement
    assert after == replace(before.after_hours_movement, min_fixes=4)
    lost = looser(load_settings(None), "signal_lost", 2).detectors.signal_lost
    assert (lost.parked_interval, lost.moved_m, lost.assumed_mps) == (None, 1000.0, before.signal_lost.assumed_mps)
    assert lost.limit == 2 * before.signal_lost.limit
