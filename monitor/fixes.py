"""A fix: one position of one vehicle at one time; a FixBatch: many of them as columns.

Definitions
    Unknown is NaN, NaT or -1, never 0. A batch is sorted by (vehicle, time, digest) and unique in these.
    `vehicle` is a code local to this process (an index into a `Fleet`); it is never stored and orders nothing that people see.
    A fix is *positioned* unless its quality says that it took no position; a positioned fix is *coarse* when it cannot tell where
    within a stop's radius or a corridor the vehicle is (accuracy worse than 200 m, or coordinates of two decimals: 1.6 km).
Shapes: N fixes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int8]
Bool = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

EARLIEST_MS, LATEST_MS = -2_208_988_800_000, 7_258_118_400_000
"""The years 1900 to 2199: no device means a time outside of them, and every calendar can show one within."""
SENTINEL_SPEED_MPS = 100.0
COARSE_ACCURACY_M = 200.0
TWO_DECIMALS_ACCURACY_M = 1600.0


class Quality(IntFlag):
    """What is wrong with a fix that is kept all the same, because it is evidence."""

    NO_POSITION = 1  # none was given
    NULL_ISLAND = 2  # (0, 0)
    NO_LOCK = 4  # the device says that it had none
    COPIED = 8  # coordinates copied from an earlier fix
    SENTINEL_SPEED = 16  # a speed of 100 m/s or more, or negative, became unknown
    COARSE = 32  # accuracy worse than 200 m
    TWO_DECIMALS = 64  # coordinates of two decimals


UNPOSITIONED = Quality.NO_POSITION | Quality.NULL_ISLAND | Quality.NO_LOCK | Quality.COPIED
IMPRECISE = Quality.COARSE | Quality.TWO_DECIMALS


class Alarm(IntFlag):
    """What a device itself reports as wrong."""

    PANIC = 1
    JAMMING = 2
    TAMPER = 4
    POWER_CUT = 8
    TOW = 16
    UNLOCK = 32
    DOOR = 64
    OTHER = 128


ALARM_NAMES: dict[str, Alarm] = {alarm.name.lower(): alarm for alarm in Alarm if alarm.name}


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~:-]{0,63}")
"""A carrier or a vehicle, as topics and credentials allow it."""


class VehicleId(NamedTuple):
    """Who a vehicle is, everywhere outside this process; its order is the order people see."""

    carrier: str
    vehicle: str


class Identity(NamedTuple):
    """Who a connection is: a carrier, and the one vehicle it is bound to, or None for any of the carrier's; or its dispatch."""

    carrier: str
    vehicle: str | None = None
    dispatch: bool = False


class Fleet:
    """The codes of the vehicles this process has met: VehicleId <-> int32. Codes only ever grow."""

    def __init__(self) -> None:
        self.ids: list[VehicleId] = []
        self.codes: dict[tuple[str, str], int] = {}
        self._hash: list[int] = []

    def code(self, identity: VehicleId) -> int:
        """Give the code of a vehicle, a new one at first sight."""
        code = self.codes.get(identity)
        if code is None:
            code = self.codes[identity] = len(self.ids)
            self.ids.append(identity)
            self._hash.append(identity_hash(identity))
        return code

    def hashes(self) -> I64:
        """(V,) the identity hash of every code."""
        return np.array(self._hash, dtype=np.int64)


def identity_hash(identity: VehicleId) -> int:
    """A fixed 64-bit hash of carrier and vehicle; the same in every process and release."""
    text = f"{len(identity.carrier)}:{identity.carrier}{identity.vehicle}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


class Reject(NamedTuple):
    """A message, or one fix of it, that was not taken: why, and what it was."""

    carrier: str
    vehicle: str
    topic: str
    reason: str
    payload: bytes
    device: str | None = None
    """An id that is in nobody's register: what it sent is quarantined until somebody adopts it."""


COLUMNS: dict[str, str] = {
    "vehicle": "int32",
    "time": "datetime64[ms]",
    "lon": "float64",
    "lat": "float64",
    "speed": "float32",
    "heading": "float32",
    "accuracy": "float32",
    "ignition": "int8",
    "door": "int8",
    "alarms": "uint32",
    "quality": "uint8",
    "digest": "int64",
}


@dataclass(frozen=True, slots=True)
class FixBatch:
    """N fixes as columns, sorted by (vehicle, time, digest) and unique in these.

    `vehicle` int32 code · `time` datetime64[ms] UTC, the device's clock · `lon`, `lat` float64 degrees WGS 84 · `speed` float32 m/s ·
    `heading` float32 degrees · `accuracy` float32 m · `ignition`, `door` int8 (-1 unknown, 0, 1) · `alarms` uint32 of `Alarm` ·
    `quality` uint8 of `Quality` · `digest` int64 over identity and quantised columns.
    """

    vehicle: npt.NDArray[np.int32]
    time: Times
    lon: F64
    lat: F64
    speed: npt.NDArray[np.float32]
    heading: npt.NDArray[np.float32]
    accuracy: npt.NDArray[np.float32]
    ignition: npt.NDArray[np.int8]
    door: npt.NDArray[np.int8]
    alarms: npt.NDArray[np.uint32]
    quality: npt.NDArray[np.uint8]
    digest: I64

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: npt.NDArray[np.intp] | Bool | slice) -> FixBatch:
        """Some of the fixes; `index` must keep their order."""
        return FixBatch(*(getattr(self, name)[index] for name in COLUMNS))

    @property
    def positioned(self) -> Bool:
        """(N,) whether a position was taken."""
        return np.asarray((self.quality & np.uint8(UNPOSITIONED)) == 0, bool)

    @property
    def precise(self) -> Bool:
        """(N,) whether the position can tell a stop or a corridor."""
        return np.asarray((self.quality & np.uint8(UNPOSITIONED | IMPRECISE)) == 0, bool)


def empty() -> FixBatch:
    """No fixes."""
    return FixBatch(*(np.empty(0, dtype=dtype) for dtype in COLUMNS.values()))


def concatenate(batches: Sequence[FixBatch]) -> FixBatch:
    """Several batches as one, sorted and without duplicates."""
    if not batches:
        return empty()
    if len(batches) == 1:
        return batches[0]
    return arranged(FixBatch(*(np.concatenate([getattr(b, name) for b in batches]) for name in COLUMNS)))


def arranged(fixes: FixBatch) -> FixBatch:
    """Sort by (vehicle, time, digest) and drop exact duplicates; `fixes` is not modified."""
    time = fixes.time.view(np.int64)
    order = np.lexsort((fixes.digest, time, fixes.vehicle))
    vehicle, time, digest = fixes.vehicle[order], time[order], fixes.digest[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (vehicle[1:] != vehicle[:-1]) | (time[1:] != time[:-1]) | (digest[1:] != digest[:-1])
    return fixes.take(order[new])


def normalised(
    fleet: Fleet,
    vehicle: npt.NDArray[np.int32],
    time: Times,
    lon: F64,
    lat: F64,
    *,
    speed: npt.NDArray[np.float64] | None = None,
    heading: npt.NDArray[np.float64] | None = None,
    accuracy: npt.NDArray[np.float64] | None = None,
    ignition: npt.NDArray[np.int8] | None = None,
    door: npt.NDArray[np.int8] | None = None,
    alarms: npt.NDArray[np.uint32] | None = None,
    quality: npt.NDArray[np.uint8] | None = None,
) -> FixBatch:
    """Make a batch of what devices sent: flag what is suspect, forget sentinels, compute digests, sort, drop duplicates.

    Every way in passes here, so that a file and a feed of the same fixes agree to the byte. Latitudes and longitudes out of range
    are the caller's to reject. Inputs are (N,) and are not modified; a missing column is unknown.
    """
    n = len(time)
    speed32 = _filled(speed, n)
    flags = np.zeros(n, dtype=np.uint8) if quality is None else quality.astype(np.uint8)
    missing = ~(np.isfinite(lon) & np.isfinite(lat))
    flags[missing] |= np.uint8(Quality.NO_POSITION)
    flags[~missing & (lon == 0) & (lat == 0)] |= np.uint8(Quality.NULL_ISLAND)
    sentinel = (speed32 >= SENTINEL_SPEED_MPS) | (speed32 < 0)
    flags[sentinel] |= np.uint8(Quality.SENTINEL_SPEED)
    speed32[sentinel] = np.nan
    accuracy32 = _filled(accuracy, n)
    accuracy32[accuracy32 <= 0] = np.nan
    positioned = (flags & np.uint8(UNPOSITIONED)) == 0
    two = positioned & _two_decimals(lon) & _two_decimals(lat)
    flags[two] |= np.uint8(Quality.TWO_DECIMALS)
    accuracy32[two & np.isnan(accuracy32)] = TWO_DECIMALS_ACCURACY_M
    flags[positioned & (accuracy32 > COARSE_ACCURACY_M)] |= np.uint8(Quality.COARSE)
    columns = {
        "vehicle": vehicle.astype(np.int32),
        "time": time.astype("datetime64[ms]"),
        "lon": np.where(missing, np.nan, lon).astype(np.float64) + 0.0,  # -0.0 would not survive a database
        "lat": np.where(missing, np.nan, lat).astype(np.float64) + 0.0,
        "speed": speed32,
        "heading": _filled(heading, n),
        "accuracy": accuracy32,
        "ignition": np.full(n, -1, np.int8) if ignition is None else ignition.astype(np.int8),
        "door": np.full(n, -1, np.int8) if door is None else door.astype(np.int8),
        "alarms": np.zeros(n, np.uint32) if alarms is None else alarms.astype(np.uint32),
        "quality": flags,
    }
    digest = digests(fleet.hashes(), columns)
    return arranged(FixBatch(**columns, digest=digest))


def _filled(column: npt.NDArray[np.float64] | None, n: int) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is beyond all bounds becomes infinite, and is judged as that
        return np.full(n, np.nan, np.float32) if column is None else column.astype(np.float32)


def _two_decimals(degrees: F64) -> Bool:
    with np.errstate(invalid="ignore"):
        return np.abs(degrees * 100 - np.rint(degrees * 100)) < 1e-9


QUANTA: dict[str, float] = {"lon": 1e7, "lat": 1e7, "speed": 1e3, "heading": 1e2, "accuracy": 1e2}
UNKNOWN = np.int64(-(2**62))


def digests(identity: I64, columns: dict[str, npt.NDArray[np.generic]]) -> I64:
    """(N,) int64: the identity of each fix, over who, when and what; not over codes, sequence numbers or quality.

    `identity` is (V,), the hash of each vehicle code. Positions count to 1e-7 degrees, speeds to mm/s, headings and accuracies to
    0.01, so that a fix that went through a file or a database keeps its digest.
    """
    state = identity[columns["vehicle"]].view(np.uint64)
    state = _mixed(state ^ columns["time"].view(np.int64).view(np.uint64))
    for name, quantum in QUANTA.items():
        value = columns[name].astype(np.float64) * quantum
        known = np.abs(value) < -UNKNOWN  # beyond it no integer would say it, and NaN is not less than anything
        whole = np.where(known, np.rint(np.where(known, value, 0)), UNKNOWN).astype(np.int64)
        state = _mixed(state ^ whole.view(np.uint64))
    flags = (columns["ignition"].astype(np.int64) & 0xFF) | ((columns["door"].astype(np.int64) & 0xFF) << 8)
    flags |= columns["alarms"].astype(np.int64) << 16
    return _mixed(state ^ flags.view(np.uint64)).view(np.int64)


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One round of the SplitMix64 finaliser (Steele, Lea, Flood 2014): a bijection of 64 bits."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
