"""The sheet: the fixes of many messages on their way into columns, judged together.

Fixes of our own form wait as *rows*, whose times are still texts and are read all at once; those of other forms as *readings*. For each
message it is noted what is wrong with its fixes.
Shapes: M messages, N fixes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.fixes import EARLIEST_MS, F64, I8, I64, LATEST_MS, Bool, FixBatch, Fleet, VehicleId, empty, normalised
from monitor.ingest.delivery import Message
from monitor.ingest.formats.instants import instants
from monitor.ingest.formats.native import Row, timed
from monitor.ingest.formats.reading import HALF, Fault, Reading, alarm_bits
from monitor.ingest.identity import Adoptions, Claims, Forged, Stranger, owner
from monitor.ingest.sequence import Numbered
from monitor.settings import Ingest, format_duration, milliseconds

Entry = Row | Reading
Index = npt.NDArray[np.int64]
NOT_TAKEN = -1


class Columns(NamedTuple):
    """N fixes that are taken, in no order."""

    vehicle: npt.NDArray[np.int32]
    ms: I64
    lon: F64
    lat: F64
    speed: F64
    heading: F64
    accuracy: F64
    ignition: I8
    door: I8
    alarms: npt.NDArray[np.uint32]
    quality: npt.NDArray[np.uint8]


_numbered: Callable[[tuple[VehicleId, str, int | None]], Numbered] = partial(tuple.__new__, Numbered)
"""A tuple as what it is, without a look at each field: there is one a fix."""


class Sheet:
    """The fixes of M messages; `fixes` judges them and makes them columns."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self.rows: list[Row] = []
        self.of_row: list[int] = []
        """The message of each, never falling."""
        self._readings: list[Reading] = []
        self._of_reading: list[int] = []
        self.faults: defaultdict[int, list[Fault]] = defaultdict(list)
        self.forged: defaultdict[int, list[Forged]] = defaultdict(list)
        self.strangers: defaultdict[int, list[Stranger]] = defaultdict(list)
        self.numbered: list[Numbered] = []

    def add_rows(self, at: int, rows: Sequence[Row]) -> None:
        """Add the fixes of a message of ours."""
        self.rows.extend(rows)
        self.of_row.extend([at] * len(rows))

    def add_readings(self, at: int, found: Iterable[Reading | Fault]) -> None:
        """Add the fixes of a message of another form, and what is wrong with those that are wrong."""
        for item in found:
            if isinstance(item, Fault):
                self.refuse(at, item)
            else:
                self._readings.append(item)
                self._of_reading.append(at)

    def refuse(self, at: int, fault: Fault) -> None:
        """Note what is wrong with a message or a fix of it; the number of the fix counts as received, for its payload is kept."""
        self.faults[at].append(fault)
        message = self._messages[at]
        if fault.seq and message.vehicle:
            self.numbered.append(Numbered(VehicleId(message.carrier, message.vehicle), fault.boot, fault.seq))

    def wrong(self) -> list[int]:
        """The messages of which anything is wrong, in order."""
        return sorted({*self.faults, *self.forged, *self.strangers})

    def fixes(self, fleet: Fleet, now: int, settings: Ingest, devices: Adoptions) -> FixBatch:
        """Judge the times, find the vehicles, and give what is taken as a batch."""
        judge = _Judge(self, fleet, now, settings, devices)
        columns = [judge.columns(self.rows, np.array(self.of_row), self._times())] if self.rows else []
        if self._readings:  # rows of unusual times are among them by now
            ms = np.array([reading.time for reading in self._readings], np.int64)
            columns.append(judge.columns(self._readings, np.array(self._of_reading), (ms, np.ones(len(ms), np.bool_))))
        return _batch(fleet, columns)

    def message(self, at: int) -> Message:
        """One of the messages."""
        return self._messages[at]

    def _times(self) -> tuple[I64, Bool]:
        """The instants of the rows, and which are known; a row of an unusual time becomes a reading, or a fault."""
        ms, known = instants([row.time for row in self.rows])
        of = np.array(self.of_row)
        for k in np.flatnonzero(~known).tolist():
            at = self.of_row[k]
            first, end = (int(edge) for edge in np.searchsorted(of, [at, at + 1]))
            self.add_readings(at, [timed(self.rows[k], f"fix {k - first}: " if end - first > 1 else "")])
        return ms, known


class _Judge:
    """Judges entries together: first their times, then whose they are."""

    def __init__(self, sheet: Sheet, fleet: Fleet, now: int, settings: Ingest, devices: Adoptions) -> None:
        self._sheet, self._fleet, self._now, self._settings, self._devices = sheet, fleet, now, settings, devices
        self._latest = min(now + milliseconds(settings.future), LATEST_MS - 1)

    def columns(self, entries: Sequence[Entry], of: Index, times: tuple[I64, Bool]) -> Columns:
        """The columns of the entries that are taken; `of` is (N,) their messages."""
        ms, good = times
        lon = np.array([entry.lon for entry in entries], np.float64)
        lat = np.array([entry.lat for entry in entries], np.float64)
        timely = (ms >= EARLIEST_MS) & (ms <= self._latest)
        fit = timely & (np.isnan(lon) == np.isnan(lat))
        for k in np.flatnonzero(good & ~fit).tolist():
            entry, why = entries[k], self._untimely(int(ms[k])) if not timely[k] else HALF
            self._sheet.refuse(int(of[k]), Fault(why, entry.boot or "", entry.seq or 0))
        code = self._codes(entries, of, good & fit)
        taken = code != NOT_TAKEN
        if not taken.all():
            entries = [entries[k] for k in np.flatnonzero(taken).tolist()]
            code, ms, lon, lat = code[taken], ms[taken], lon[taken], lat[taken]
        self._number(entries, code)
        return Columns(code, ms, lon, lat, *_others(entries))

    def _codes(self, entries: Sequence[Entry], of: Index, good: Bool) -> npt.NDArray[np.int32]:
        """(N,) the vehicle of each, or NOT_TAKEN; most messages say by themselves whose they are."""
        claims = np.zeros(len(entries), np.bool_)
        devices, vehicles = [entry.device for entry in entries], [entry.vehicle for entry in entries]
        carriers = [entry.carrier for entry in entries]
        if any(devices) or any(vehicles) or any(carriers):
            claims[:] = [any(said) for said in zip(devices, vehicles, carriers, strict=True)]
        asked = of[good & ~claims]
        by_message = np.full(int(of.max(initial=-1)) + 1, NOT_TAKEN, np.int32)  # readings are not in the order of their messages
        for at in asked[np.flatnonzero(np.diff(asked, prepend=-1))].tolist():
            by_message[at] = self._of_message(at)
        code = np.where(good & ~claims, by_message[of], NOT_TAKEN).astype(np.int32)
        for k in np.flatnonzero(good & ((code == NOT_TAKEN) | claims)).tolist():
            code[k] = self._looked_up(entries[k], int(of[k]))
        return code

    def _of_message(self, at: int) -> int:
        """The vehicle that a message is of by its topic or credential; NOT_TAKEN where a device id must tell."""
        message = self._sheet.message(at)
        if not message.vehicle or message.device:
            return NOT_TAKEN
        code = self._fleet.codes.get((message.carrier, message.vehicle))
        return self._fleet.code(VehicleId(message.carrier, message.vehicle)) if code is None else code

    def _looked_up(self, entry: Entry, at: int) -> int:
        """The vehicle of a fix that makes claims, or whose message does not say; NOT_TAKEN, which is noted, where it has none."""
        found = owner(self._sheet.message(at), Claims(entry.device, entry.vehicle, entry.carrier), self._devices)
        if isinstance(found, VehicleId):
            return self._fleet.code(found)
        if isinstance(found, Stranger):
            self._sheet.strangers[at].append(found)
        elif isinstance(found, Forged):
            self._sheet.forged[at].append(found)
        else:
            self._sheet.refuse(at, Fault(found))
        return NOT_TAKEN

    def _number(self, entries: Sequence[Entry], code: npt.NDArray[np.int32]) -> None:
        """Note the numbers of the fixes that have one."""
        numbers = [entry.seq for entry in entries]
        if any(numbers):
            boots, ids = [entry.boot or "" for entry in entries], self._fleet.ids
            told = map(_numbered, zip([ids[one] for one in code.tolist()], boots, numbers, strict=True))
            self._sheet.numbered += told if all(numbers) else [one for one in told if one.seq]

    def _untimely(self, ms: int) -> str:
        """Say what is wrong with a time."""
        if not EARLIEST_MS <= ms < LATEST_MS:
            return "time is not in the years 1900 to 2199"
        ahead = (ms - self._now) // 1000
        return f"time is {ahead} s ahead of the clock; allowed are {format_duration(self._settings.future)}"


def _others(entries: Sequence[Entry]) -> tuple[F64, F64, F64, I8, I8, npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """The other columns: speed, heading, accuracy, ignition, door, alarms, quality."""
    alarms, quality = np.zeros(len(entries), np.uint32), np.zeros(len(entries), np.uint8)
    told = [entry.alarms for entry in entries]
    if any(told):
        alarms[:] = [said if isinstance(said, int) else alarm_bits(said or ()) for said in told]
    if entries and isinstance(entries[0], Reading):
        quality[:] = [entry.quality for entry in entries if isinstance(entry, Reading)]
    return (
        np.array([entry.speed_mps for entry in entries], np.float64),
        np.array([entry.heading_deg for entry in entries], np.float64),
        np.array([entry.accuracy_m for entry in entries], np.float64),
        _flags([entry.ignition for entry in entries]),
        _flags([entry.door for entry in entries]),
        alarms,
        quality,
    )


def _flags(values: Sequence[bool | None]) -> I8:
    """(N,) -1 for unknown, 0, 1."""
    known = np.array(values, np.float64)
    return np.where(np.isnan(known), -1, known).astype(np.int8)


def _batch(fleet: Fleet, parts: Sequence[Columns]) -> FixBatch:
    if not any(len(part.ms) for part in parts):
        return empty()
    whole = parts[0] if len(parts) == 1 else Columns(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return normalised(
        fleet,
        whole.vehicle,
        whole.ms.view("datetime64[ms]"),
        whole.lon,
        whole.lat,
        speed=whole.speed,
        heading=whole.heading,
        accuracy=whole.accuracy,
        ignition=whole.ignition,
        door=whole.door,
        alarms=whole.alarms,
        quality=whole.quality,
    )
