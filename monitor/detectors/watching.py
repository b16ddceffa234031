"""What the detectors share in writing down what they watch. Shapes: Q reports, N used fixes, S seen fixes, M observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.episodes import KEEPS, Watch
from monitor.fixes import ALARM_NAMES, I64, Bool
from monitor.motion import NONE
from monitor.scene import Begins, Scene

SEVERITIES = ("note", "warning", "critical")
NOTE, WARNING, CRITICAL = range(3)
FIRST_ALARM = -2
"""The subject of an episode about a device's first kind of alarm; that of the next is one less."""
FLAGS = ("follows", "centred")


def alarm_name(subject: int) -> str | None:
    """The alarm that an episode of this subject is about, None for any other subject."""
    return None if subject > FIRST_ALARM else list(ALARM_NAMES)[FIRST_ALARM - subject]


def told(concerns: Bool, begins: Begins, scene: Scene) -> I64:
    """Choose the fixes that a detector must speak of: those that concern it, and the ones right after.

    Where an earlier batch left something open, the vehicle's first is told too: it may end it. All others have nothing to say.
    """
    chosen = concerns.copy()
    chosen[1:] |= concerns[:-1]
    chosen[begins.at[scene.open[begins.row]]] = True
    return np.flatnonzero(chosen)


def observed(scene: Scene, fix: I64, shows: npt.NDArray[Any], **said: Any) -> Watch:
    """(M,) what some of the used fixes show; what is not `said` is that of the fix, or nothing. It ends at the fix that ends it."""
    columns = {
        "row": scene.row[fix],
        "time": scene.time[fix],
        "allowance": scene.allowance[fix],
        "trip": scene.trip[fix],
        "lon": scene.lon[fix],
        "lat": scene.lat[fix],
    }
    return _written(shows, columns | said)


def reported(scene: Scene, report: I64, shows: npt.NDArray[Any], **said: Any) -> Watch:
    """(M,) what some of the reports show; their position is that of the last used fix."""
    reports = scene.reports
    row, used = reports.row[report], reports.used[report]
    known, before = used >= 0, scene.before.time[row] != NONE
    lon, lat = (np.where(before, degrees[row], np.nan) for degrees in (scene.before.lon, scene.before.lat))
    lon[known], lat[known] = scene.lon[used[known]], scene.lat[used[known]]
    columns = {
        "row": row,
        "time": reports.time[report],
        "allowance": reports.allowance[report],
        "trip": scene.world.trips.assign(scene.vehicles, row, reports.time[report]),
        "lon": lon,
        "lat": lat,
    }
    return _written(shows, columns | said)


def joined(watches: list[Watch]) -> Watch:
    """Several watches of one detector as one, sorted by row, subject and time; observations of one time stay in their order."""
    parts: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in watches]) for name in COLUMNS}
    order = np.lexsort((parts["time"], parts["subject"], parts["row"]))
    return watches[0]._replace(**{name: column[order] for name, column in parts.items()})


def heard(watch: Watch, scene: Scene) -> Watch:
    """The watch of a detector of seen fixes, told of the imprecise ones too: they show nothing, but the vehicle is not silent."""
    if len(scene.seen.fix) == len(scene.time):
        return watch
    rest = np.setdiff1d(np.arange(len(scene.time)), scene.seen.fix, assume_unique=True)
    nan, none = np.full(len(rest), np.nan), np.full(len(rest), NONE)
    return joined([watch, observed(scene, rest, np.full(len(rest), KEEPS), end=none, lon=nan, lat=nan)])


COLUMNS = tuple(name for name in Watch._fields if name not in FLAGS)


def _written(shows: npt.NDArray[Any], said: dict[str, Any]) -> Watch:
    """A watch of what is said, and of nothing where it is not."""
    m, time = len(shows), said["time"]
    none, zero = np.full(m, NONE), np.zeros(m)
    codes = np.full(m, -1, np.int32)
    columns = {
        "subject": codes,
        "shown": time,
        "since": none,
        "judged": none,
        "limit": np.zeros(m, np.int64),
        "end": time,
        "measure": zero,
        "bound": zero,
        "place": codes,
        "route": codes,
        "severity": np.full(m, WARNING, np.int8),
        "least": np.ones(m, np.int64),
        "final": np.full(m, np.nan),
        "final_severity": np.full(m, -1, np.int8),
    }
    return Watch(**columns | said | {"shows": shows.astype(np.int8)})


NOTHING = _written(
    np.empty(0, np.int8),
    {
        name: np.empty(0, kind)
        for name, kind in (
            ("row", np.int32),
            ("time", np.int64),
            ("allowance", np.int64),
            ("trip", np.int32),
            ("lon", np.float64),
            ("lat", np.float64),
        )
    },
)
"""The watch of what nothing was told of."""
