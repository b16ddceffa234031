"""Memory: what is remembered of every vehicle, between steps; and one vehicle's row as bytes.

Rows are taken out for the vehicles of a delivery, stepped, and put back; the others are never touched. A *checkpoint* is one row as
bytes: it names places, routes and trips by their ids, because codes mean nothing outside a process.
Shapes: V vehicles, R rows taken out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from monitor.detectors import DETECTORS
from monitor.episodes import EPISODE
from monitor.fixes import I32, I64, Bool, Fleet, VehicleId
from monitor.motion import NONE
from monitor.pipeline import ROW, Rows, fresh
from monitor.visits import VISIT
from monitor.world import World

LAYOUT = hashlib.sha256(repr((ROW, VISIT, EPISODE, [detector.KIND for detector in DETECTORS])).encode()).hexdigest()[:12]
"""Changes with the shape of the rows and with the registry of detectors: a checkpoint of another layout is void."""
NEVER = int(np.iinfo(np.int64).max)


class Memory:
    """The rows of all vehicles, by their codes."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._known = 0
        self._state = np.empty(0, ROW)
        self._deadline = np.empty(0, np.int64)
        self._heard = np.empty(0, np.int64)
        self._expected = np.empty(0, np.int64)
        """The deadline as it was when something last arrived."""
        self._moved = np.empty(0, np.int64)
        """When something arrived that moved it."""
        self._visits: dict[int, bytes] = {}
        self._episodes: dict[int, bytes] = {}

    def rows(self, codes: Iterable[int]) -> Rows:
        """Take out the rows of some vehicles, those never seen included."""
        self._make_room()
        code = np.unique(np.fromiter(codes, np.int32))
        visits = _gathered([self._visits.get(c, b"") for c in code.tolist()], VISIT)
        carried = _gathered([self._episodes.get(c, b"") for c in code.tolist()], EPISODE)
        carried = carried[np.argsort(carried["kind"], kind="stable")]
        return Rows(tuple(self.fleet.ids[c] for c in code.tolist()), code, self._state[code].copy(), visits, carried)

    def put(self, rows: Rows) -> None:
        """Put rows back as they now are."""
        self._make_room()
        self._state[rows.code] = rows.state
        self._deadline[rows.code] = NEVER
        waiting = rows.episodes[rows.episodes["deadline"] != NONE]
        np.minimum.at(self._deadline, rows.code[waiting["row"]], waiting["deadline"])
        _scattered(self._visits, rows.visits, rows.code)
        _scattered(self._episodes, rows.episodes[np.argsort(rows.episodes["row"], kind="stable")], rows.code)

    def hear(self, codes: I32, now: int) -> None:
        """Note that something arrived from these vehicles at `now` (ms), and whose deadlines it moved."""
        self._make_room()
        self._heard[codes] = now
        moved = codes[self._deadline[codes] != self._expected[codes]]
        self._expected[moved] = self._deadline[moved]
        self._moved[moved] = now

    def stepped(self, now: int) -> None:
        """Count every vehicle as just heard: the clock was set, and what it said before means nothing now (ms)."""
        self._make_room()
        self._heard[: self._known] = now
        self._moved[: self._known] = np.minimum(self._moved[: self._known], now)

    def frontier(self, codes: I32) -> I64:
        """(N,) the newest time processed for each of some vehicles, NONE for one never seen."""
        self._make_room()
        return np.asarray(self._state["order"]["frontier"][codes], np.int64)

    def horizon(self, codes: I32, now: int, settle_ms: int, at_most_ms: int) -> I64:
        """(N,) up to when deadlines may fire at `now`: of a vehicle that has been quiet for the settle time, all that have passed."""
        quiet = now - self._heard[codes] >= settle_ms
        return np.where(quiet, now, self.overdue(codes, now, at_most_ms))

    def overdue(self, codes: I32, now: int, at_most_ms: int) -> I64:
        """(N,) the first deadline of each vehicle where it has waited as long as any may, else NONE.

        It waits from when it passed, or from when something arrived that moved it: what a device uploads of hours ago is not taken
        for silence while it is still coming.
        """
        deadline = self._deadline[codes]
        waits_since = np.maximum(deadline, self._moved[codes])
        return np.where((deadline != NEVER) & (now - waits_since >= at_most_ms), deadline, NONE)

    def due(self, now: int, settle_ms: int, at_most_ms: int) -> list[int]:
        """The vehicles with a deadline that may fire at `now`."""
        waiting = np.flatnonzero(self._deadline[: self._known] <= now)
        return [
            int(c) for c in waiting[self._deadline[waiting] <= self.horizon(waiting.astype(np.int32), now, settle_ms, at_most_ms)]
        ]

    def _make_room(self) -> None:
        known = len(self.fleet.ids)
        if known > len(self._state):
            more = max(64, known + known // 4) - len(self._state)
            self._state = np.concatenate([self._state, fresh([VehicleId("", "")] * more, np.arange(more, dtype=np.int32)).state])
            self._deadline = np.concatenate([self._deadline, np.full(more, NEVER)])
            self._heard = np.concatenate([self._heard, np.full(more, -NEVER // 2)])
            self._expected = np.concatenate([self._expected, np.full(more, NEVER)])
            self._moved = np.concatenate([self._moved, np.full(more, -NEVER // 2)])
        self._known = known

    def nbytes(self) -> int:
        """Bytes held for the vehicles known, without what Python needs around them."""
        ragged = sum(len(a) for a in (*self._visits.values(), *self._episodes.values()))
        return self._known * (ROW.itemsize + 32) + ragged


def _gathered(parts: Sequence[bytes], dtype: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """Several vehicles' records as one array, each with its row number."""
    out = np.frombuffer(bytearray().join(parts), dtype)
    out["row"] = np.repeat(np.arange(len(parts)), [len(part) // dtype.itemsize for part in parts])
    return out


def _scattered(held: dict[int, bytes], records: npt.NDArray[np.void], code: I32) -> None:
    """Replace what is held of some vehicles by records sorted by row."""
    bounds = np.searchsorted(records["row"], np.arange(len(code) + 1)).tolist()
    for row, c in enumerate(code.tolist()):
        if bounds[row] < bounds[row + 1]:
            held[c] = records[bounds[row] : bounds[row + 1]].tobytes()
        else:
            held.pop(c, None)


NAMED = (("place", "subject"), ("place", "place"), ("route", "route"), ("trip", "trip"))
"""What the codes in an episode name, and the field they stand in."""


def snapshot(rows: Rows, row: int, world: World) -> bytes:
    """One row as bytes."""
    atlas, trips = world.atlas, world.trips.all
    names: dict[str, Callable[[int], str]] = {
        "place": lambda code: atlas.places[code].key,
        "route": lambda code: atlas.routes[code].id,
        "trip": lambda code: trips[code].id,
    }
    state = rows.state[row : row + 1].copy()
    visits, carried = rows.visits[rows.visits["row"] == row], rows.episodes[rows.episodes["row"] == row]
    used: dict[str, list[str]] = {"place": [], "route": [], "trip": []}
    columns = [("place", visits["place"]), ("trip", state["judged"]["trip"]), ("place", state["departure"]["place"])]
    columns += [(what, carried[name]) for what, name in NAMED]
    for what, column in columns:
        column[:] = [_number(used[what], names[what](code)) if code >= 0 else code for code in column.tolist()]
    head = json.dumps({"layout": LAYOUT, "names": used, "visits": len(visits), "episodes": len(carried)}, ensure_ascii=False)
    return b"".join([head.encode(), b"\n", state.tobytes(), visits.tobytes(), carried.tobytes()])


def _number(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def restore(vehicles: Sequence[VehicleId], code: I32, bodies: Sequence[bytes | None], world: World) -> Rows:
    """Make rows of checkpoints, empty ones where there is none; `code` is ascending.

    What a checkpoint names that is no more in the world is forgotten with it.
    """
    rows = fresh(vehicles, code)
    codes = {"place": {p.key: code for code, p in enumerate(world.atlas.places)}, "route": world.atlas.route_code}
    codes["trip"] = {trip.id: number for number, trip in enumerate(world.trips.all)}
    visits, carried = [np.empty(0, VISIT)], [np.empty(0, EPISODE)]
    for row, body in enumerate(bodies):
        if body is None or not is_current(body):
            continue
        head, _, rest = body.partition(b"\n")
        said = json.loads(head)
        of = {what: np.array([codes[what].get(name, -1) for name in names] + [-1]) for what, names in said["names"].items()}
        rows.state[row : row + 1] = np.frombuffer(rest, ROW, 1)
        here = np.frombuffer(rest, VISIT, said["visits"], ROW.itemsize).copy()
        open_ = np.frombuffer(rest, EPISODE, said["episodes"], ROW.itemsize + here.nbytes).copy()
        watched = open_["subject"] >= 0
        for what, column in [("place", here["place"]), *((what, open_[name]) for what, name in NAMED)]:
            column[:] = np.where(column >= 0, of[what][np.maximum(column, -1)], column)
        for what, column in (("trip", rows.state["judged"]["trip"]), ("place", rows.state["departure"]["place"])):
            column[row] = of[what][column[row]]
        here["row"] = open_["row"] = row
        visits.append(here[here["place"] >= 0])
        carried.append(open_[~watched | (open_["subject"] >= 0)])
    all_carried = np.concatenate(carried)
    order = np.lexsort((all_carried["subject"], all_carried["row"], all_carried["kind"]))
    return Rows(rows.vehicles, code, rows.state, np.concatenate(visits), all_carried[order])


def is_current(body: bytes) -> bool:
    """Whether a checkpoint was written by rows of this layout."""
    return f'"layout": "{LAYOUT}"'.encode() in body.partition(b"\n")[0]


def present(rows: Rows) -> Bool:
    """(R,) whether anything was ever processed for a row."""
    return np.asarray(rows.state["order"]["frontier"] != NONE, bool)
