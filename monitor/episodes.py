"""Episodes: the one run-length primitive that all detectors share.

A detector *watches*: for fixes and subjects it says whether a condition shows, keeps (says nothing either way), lapses or ends, since
when it holds, and under which limit. From that this module makes episodes: raised once the condition has reached its limit, cleared
when a fix shows that it no longer holds, carried in Memory between batches.

Reaching a limit: a fix shows the condition at or after `since + limit`. `at` is the later of `since + limit`, the first fix judged
under that limit and, where several fixes are asked for, the last of these; once set it stays.
Presumption: where the last fix showed the condition and the vehicle has been silent since for its allowance, `at` is the later of
the limit and the end of that allowance: the deadline. A deadline fires before any later fix, and at the horizon; a fix at the very
instant of a deadline comes first.
`until` is what the watch says, and if that precedes `at`, the fix that showed the end. A condition that began after the last fix
that showed an episode is another one; one that lapsed and shows again, having begun before, is the same.
Shapes: M observations sorted by (row, subject, time), E episodes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compiled import kernel
from monitor.fixes import F64, I8, I32, I64
from monitor.motion import NONE

SHOWS, KEEPS, LAPSES, ENDS = 1, 0, -1, -2

EPISODE = np.dtype(
    [
        ("row", "i4"),
        ("kind", "i1"),  # index into the registry of detectors
        ("severity", "i1"),
        ("presumed", "?"),
        ("shows", "?"),  # whether the last fix showed it
        ("subject", "i4"),  # what it is about beside the vehicle: a place code, -1 for nothing, less than that for an alarm
        ("place", "i4"),
        ("route", "i4"),
        ("trip", "i4"),  # codes, -1 for none
        ("count", "i4"),  # fixes that showed it
        ("since", "i8"),
        ("judged", "i8"),
        ("limit", "i8"),
        ("shown", "i8"),
        ("deadline", "i8"),
        ("at", "i8"),
        ("until", "i8"),
        ("raised", "i8"),
        ("decided", "i8"),  # ms; NONE
        ("worst", "f8"),
        ("bound", "f8"),  # the largest measure, and what it is compared with
        ("lon", "f8"),
        ("lat", "f8"),
    ]
)


class Watch(NamedTuple):
    """M observations of one detector, sorted by (row, subject, time). Instants are ms or NONE, codes -1 for none."""

    row: I32
    subject: I32
    time: I64
    shown: I64
    """The instant up to which a fix that shows the condition shows it: its own, but of a stop its last evidence."""
    allowance: I64
    """ms of silence after this fix that presumes nothing."""
    shows: I8
    """SHOWS, KEEPS, LAPSES (the same condition may show again) or ENDS."""
    since: I64
    """The beginning of the condition the fix speaks of; NONE: that of the episode, or its first showing fix."""
    judged: I64
    """The first fix judged under this limit; NONE: known from the observations alone."""
    limit: I64
    """ms."""
    end: I64
    """Where it lapses or ends: what `until` is to be; NONE: the last fix that showed it."""
    measure: F64
    bound: F64
    place: I32
    route: I32
    trip: I32
    severity: I8
    lon: F64
    lat: F64
    least: I64
    """Fixes that must show it before it is raised."""
    final: F64
    """Where it lapses or ends: its measure for good; NaN: the worst."""
    final_severity: I8
    """Where it lapses or ends: its severity for good; -1: as it was raised."""
    follows: bool = True
    """Whether place, route, trip, severity and bound follow the observations until the raise, else stay those of the first."""
    centred: bool = False
    """Whether the position follows the observations to the end, else stays that of the first."""


def run(
    kind: int, watch: Watch, carried: npt.NDArray[np.void], horizon: I64
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """Advance the episodes of one detector; gives those to carry on, and those that ended after they were raised.

    `carried` (E,) EPISODE of this kind, sorted by (row, subject); `horizon` (R,) ms: deadlines at or before it fire once the
    observations are through. Inputs are not modified.
    """
    kept, ended = _run(kind, watch, carried)
    due = (kept["deadline"] != NONE) & (kept["deadline"] <= horizon[kept["row"]])
    for name in ("at", "raised", "decided"):
        kept[name][due] = kept["deadline"][due]
    kept["presumed"][due], kept["deadline"][due] = True, NONE
    return kept, ended


@kernel
def _run(kind: int, watch: Watch, carried: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    row, subject, time = watch.row, watch.subject, watch.time
    kept, ended = np.empty(len(carried) + 16, EPISODE), np.empty(16, EPISODE)
    n, m, c, j = 0, 0, 0, 0
    while j < len(row) or c < len(carried):
        if n == len(kept):
            kept = _longer(kept)
        e = kept[n]
        earlier = c < len(carried) and (j == len(row) or (carried[c]["row"], carried[c]["subject"]) <= (row[j], subject[j]))
        if earlier:
            kept[n] = carried[c]
            c += 1
            if j == len(row) or e["row"] != row[j] or e["subject"] != subject[j]:
                n += 1
                continue
        alive, first = earlier, j
        while j < len(row) and row[j] == row[first] and subject[j] == subject[first]:
            if alive and e["deadline"] != NONE and e["deadline"] < time[j]:
                _presume(e)
            shows, since = watch.shows[j], watch.since[j]
            if alive and (shows == ENDS or (since != NONE and since > e["shown"])):
                _clear(e, watch, j)
                if e["at"] != NONE:
                    if m == len(ended):
                        ended = _longer(ended)
                    ended[m] = e
                    ended[m]["decided"] = time[j]  # that it is over for good is a change of its own
                    m += 1
                alive = False
            if not alive and shows == SHOWS:
                _begin(e, kind, watch, j)
                alive = True
            if alive:
                _observe(e, watch, j)
            j += 1
        n += alive
    return kept[:n].copy(), ended[:m].copy()


@kernel
def _longer(values: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    out = np.empty(2 * len(values), EPISODE)
    out[: len(values)] = values
    return out


@kernel
def _presume(e: Any) -> None:
    """Silence has reached the limit."""
    e["at"] = e["raised"] = e["decided"] = e["deadline"]
    e["presumed"], e["deadline"] = True, NONE


@kernel
def _clear(e: Any, watch: Watch, j: int) -> None:
    """The condition is over, as a fix showed; of one never raised nothing is left to say."""
    e["shows"], e["deadline"] = False, NONE
    if e["at"] == NONE or e["until"] != NONE:
        return
    until = e["shown"] if watch.end[j] == NONE else watch.end[j]
    e["until"], e["decided"] = (until if until >= e["at"] else watch.time[j]), watch.time[j]
    if watch.final[j] == watch.final[j]:
        e["worst"] = watch.final[j]
    if watch.final_severity[j] >= 0:
        e["severity"] = watch.final_severity[j]


@kernel
def _begin(e: Any, kind: int, watch: Watch, j: int) -> None:
    e["row"], e["kind"], e["subject"], e["severity"] = watch.row[j], kind, watch.subject[j], watch.severity[j]
    e["presumed"], e["shows"], e["count"], e["limit"], e["judged"] = False, False, 0, -1, NONE
    e["since"] = watch.time[j] if watch.since[j] == NONE else watch.since[j]
    e["shown"] = e["deadline"] = e["at"] = e["until"] = e["raised"] = e["decided"] = NONE
    e["place"], e["route"], e["trip"] = watch.place[j], watch.route[j], watch.trip[j]
    e["worst"], e["bound"], e["lon"], e["lat"] = watch.measure[j], watch.bound[j], watch.lon[j], watch.lat[j]


@kernel
def _observe(e: Any, watch: Watch, j: int) -> None:
    """Tell an episode of one fix that shows, keeps or lapses it."""
    t = watch.time[j]
    e["deadline"], e["shows"] = NONE, watch.shows[j] == SHOWS
    if watch.centred and watch.lon[j] == watch.lon[j]:
        e["lon"], e["lat"] = watch.lon[j], watch.lat[j]
    if watch.shows[j] == LAPSES:
        _clear(e, watch, j)
    if watch.shows[j] != SHOWS:
        return
    if e["until"] != NONE:
        e["until"], e["decided"] = NONE, t
    e["count"], e["shown"] = e["count"] + 1, watch.shown[j]
    e["worst"] = max(e["worst"], watch.measure[j])
    if e["at"] == NONE:
        _judge(e, watch, j)


@kernel
def _judge(e: Any, watch: Watch, j: int) -> None:
    """Hold an episode that is not raised against its limit, at a fix that shows it."""
    t = watch.time[j]
    if watch.follows:
        e["place"], e["route"], e["trip"] = watch.place[j], watch.route[j], watch.trip[j]
        e["severity"], e["bound"] = watch.severity[j], watch.bound[j]
    if watch.limit[j] != e["limit"]:
        e["judged"] = e["since"] if e["limit"] < 0 else t
        e["limit"] = watch.limit[j]
        if watch.judged[j] != NONE:
            e["judged"] = max(e["since"], watch.judged[j])
    if e["count"] < watch.least[j]:
        return
    if e["count"] > 1 and (e["count"] == watch.least[j] or e["limit"] == 0):  # without a limit, fewer fixes were not enough
        e["judged"] = max(e["judged"], t)
    ready = max(e["since"] + e["limit"], e["judged"])
    if t >= ready:
        e["at"], e["raised"], e["decided"] = ready, t, t
    else:
        e["deadline"] = max(ready, t + watch.allowance[j])
