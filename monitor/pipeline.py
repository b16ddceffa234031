"""The pure core: what fixes say, given the world and what is remembered. Order, locate, move, detect.

`step` takes the rows of some vehicles, their new fixes and a horizon, and gives the rows as they then are and every signal that may
have changed. It reads no clock and keeps nothing: state is a value, time an argument. Cutting a stream anywhere changes nothing.
Shapes: R rows (vehicles), N fixes, S seen fixes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor import episodes, stops
from monitor.detectors import DETECTORS, Detector
from monitor.detectors.watching import SEVERITIES, alarm_name
from monitor.episodes import EPISODE
from monitor.fixes import I32, I64, FixBatch, VehicleId
from monitor.motion import MOTION, NONE
from monitor.order import ORDER, unseen
from monitor.scene import Scene
from monitor.signals import UNKNOWN, Signal
from monitor.staging import STAGES, stage
from monitor.staging import unseen as unjudged
from monitor.stops import Stop
from monitor.visits import VISIT
from monitor.world import World

STOPS = len(DETECTORS)
"""The kind under which every stop, authorized or not, is followed beside the detectors' kinds."""

ROW = np.dtype([("order", ORDER), ("motion", MOTION), *STAGES])


@dataclass(frozen=True)
class Rows:
    """All that is remembered of R vehicles: a value."""

    vehicles: tuple[VehicleId, ...]
    code: I32
    """(R,) their codes in this process, ascending."""
    state: npt.NDArray[np.void]
    """(R,) ROW."""
    visits: npt.NDArray[np.void]
    """VISIT, sorted by row: those under way."""
    episodes: npt.NDArray[np.void]
    """EPISODE, sorted by (kind, row, subject): those not over."""


@dataclass(frozen=True)
class Outcome:
    """What a step found."""

    rows: Rows
    signals: list[Signal]
    """Every raised signal that is open, or ended within this step."""
    stops: list[Stop]
    """Every stop that ended within this step."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Kinds whose detector broke, and on what: it said nothing in this step."""


def fresh(vehicles: Sequence[VehicleId], code: I32) -> Rows:
    """Rows of vehicles never seen."""
    state = np.zeros(len(vehicles), ROW)
    state["order"] = unseen(len(vehicles))
    unjudged(state)
    return Rows(tuple(vehicles), code, state, np.empty(0, VISIT), np.empty(0, EPISODE))


def step(rows: Rows, fixes: FixBatch, horizon: I64, world: World) -> Outcome:
    """Take N fixes of these vehicles, each newer than its row's frontier, then fire the deadlines up to `horizon` ((R,) ms).

    Neither `rows` nor `fixes` is modified.
    """
    state = rows.state.copy()
    bounds = np.append(np.searchsorted(fixes.vehicle, rows.code), len(fixes)).astype(np.int64)
    scene, visits = stage(rows.vehicles, state, rows.visits, world, fixes, bounds)
    due = np.maximum(horizon, state["order"]["frontier"] - 1)  # a fix of any kind comes after the deadlines before it
    carried, ended, faults = _episodes(rows.episodes, scene, due)
    fired = carried["raised"][carried["presumed"]]
    np.maximum.at(state["order"]["frontier"], carried["row"][carried["presumed"]], fired)
    after = replace(rows, state=state, visits=visits, episodes=carried)
    raised = carried[carried["at"] != NONE]
    signals = [
        _signal(after, e, world, closed=over)
        for some, over in ((ended, True), (raised, False))
        for e in _records(some[some["kind"] != STOPS])
    ]
    return Outcome(after, signals, stops_of(after, ended, world), faults)


def _episodes(
    before: npt.NDArray[np.void], scene: Scene, horizon: I64
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void], dict[str, str]]:
    """Run every detector, and the stops; gives the episodes to carry on, those that ended, and the faults."""
    kept, ended, faults = [], [], {}
    scene = replace(scene, open=np.zeros(len(scene.open), bool))
    bounds = np.searchsorted(before["kind"], np.arange(STOPS + 2))
    for kind, detector in enumerate(DETECTORS):
        carried = before[bounds[kind] : bounds[kind + 1]]
        try:
            on, over = _advanced(kind, detector, scene, carried, horizon)
        except Exception as error:  # noqa: BLE001 - the one place where a broken detector is caught, so that the others go on
            on, over = carried, carried[:0]
            faults[detector.KIND] = f"{type(error).__name__}: {error}"
        kept.append(on)
        ended.append(over)
    carried = before[bounds[STOPS] : bounds[STOPS + 1]]
    on, over = _advanced(STOPS, stops, scene, carried, horizon)
    return np.concatenate([*kept, on], dtype=EPISODE), np.concatenate([*ended, over], dtype=EPISODE), faults


def _advanced(
    kind: int, detector: Detector | ModuleType, scene: Scene, carried: npt.NDArray[np.void], horizon: I64
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """Show one detector the scene, with what it has open, and advance its episodes."""
    if len(carried):
        open_rows = np.zeros(len(scene.open), bool)
        open_rows[carried["row"]] = True
        scene = replace(scene, open=open_rows)
    watch = detector.watch(scene)
    return episodes.run(kind, watch, carried, horizon) if len(carried) or len(watch.row) else (carried, carried)


def stops_of(rows: Rows, ended: npt.NDArray[np.void], world: World) -> list[Stop]:
    """The stops among some episodes."""
    return [
        Stop(
            rows.vehicles[e["row"]],
            e["since"],
            e["shown"],
            e["lon"],
            e["lat"],
            None if e["place"] < 0 else world.atlas.places[e["place"]].id,
            e["worst"] == 0 and e["bound"] == 0,
            max(e["decided"], e["shown"]),
        )
        for e in _records(ended[ended["kind"] == STOPS])
    ]


def _records(episodes: npt.NDArray[np.void]) -> list[dict[str, Any]]:
    """Episodes as plain values by name: reading numpy's records field by field takes ten times as long."""
    return [dict(zip(EPISODE.names or (), record, strict=True)) for record in episodes.tolist()]


def _signal(rows: Rows, e: Mapping[str, Any], world: World, *, closed: bool) -> Signal:
    """One raised episode, its fields by name, as a signal."""
    vehicle, detector = rows.vehicles[e["row"]], DETECTORS[e["kind"]]
    until = None if e["until"] == NONE else e["until"]
    lasted = (until if until is not None else max(e["shown"], e["at"])) - e["since"]
    return Signal(
        kind=detector.KIND,
        carrier=vehicle.carrier,
        vehicle=vehicle.vehicle,
        place=None if e["place"] < 0 else world.atlas.places[e["place"]].id,
        route=None if e["route"] < 0 else world.atlas.routes[e["route"]].id,
        trip=None if e["trip"] < 0 else world.trips.all[e["trip"]].id,
        since=e["since"],
        at=e["at"],
        until=until,
        presumed=e["presumed"],
        lon=UNKNOWN if math.isnan(e["lon"]) else e["lon"],
        lat=UNKNOWN if math.isnan(e["lat"]) else e["lat"],
        measure=lasted / 1000.0 if detector.UNIT == "s" else e["worst"],
        limit=e["bound"],
        unit=detector.UNIT,
        severity=SEVERITIES[e["severity"]],
        raised=e["raised"],
        decided=e["decided"],
        closed=closed,
        detail=alarm_name(e["subject"]),
    )
