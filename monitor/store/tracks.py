"""Where vehicles were: one way to ask, whether the fixes are in the database still or in the archive.

The database lists which file holds which days, and both are read in one transaction: a fix is in one of the two, or, once a duplicate
of an archived one came, in both and given once. Of two that differ in less than a digest tells, the one that came first is given.
Shapes: N fixes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import select

from monitor.errors import ArchiveError
from monitor.fixes import FixBatch, Fleet, VehicleId, concatenate
from monitor.store.archive import Listed, listed, stored_rows
from monitor.store.archive_file import read_rows
from monitor.store.schema import vehicle as vehicle_table
from monitor.store.transaction import EVER, Transaction

AT_ONCE = 1000
"""Vehicles in one question."""


def fixes(t: Transaction, folder: Path | None, fleet: Fleet, vehicles: Sequence[VehicleId], begin: int, end: int) -> FixBatch:
    """Every stored fix of some vehicles with begin <= time < end (ms), also those that wait to be judged.

    `folder` is the archive's, None where there is none. `fleet` gives the codes and learns the vehicles: a program that judges
    fixes keeps one of its own for that.

    Raises
    ------
    ArchiveError
        If a file of the archive cannot be read.
    """
    parts = list(_archived(t, folder, fleet, vehicles, begin - 1, end - 1))
    for vehicle in vehicles:
        known = select(vehicle_table.c.id).where(
            vehicle_table.c.carrier == vehicle.carrier, vehicle_table.c.name == vehicle.vehicle
        )
        stored = t.connection.execute(known).scalar()
        if stored is not None:
            mine, _ = stored_rows(t.connection, stored, begin, end, waiting=True)
            parts.append(replace(mine, vehicle=np.full(len(mine), fleet.code(vehicle), np.int32)))
    return concatenate([part for part in parts if len(part)])


def all_fixes_of(
    t: Transaction, folder: Path | None, fleet: Fleet, code: int, after: int | None, until: int | None = None
) -> FixBatch:
    """As `Transaction.fixes_of`, with those that the archive holds: the fixes of one vehicle with after < time <= until that are judged.

    Raises
    ------
    ArchiveError
        If a file of the archive cannot be read.
    """
    low, high = EVER[0] if after is None else after, EVER[1] if until is None else until
    archived = [part for part in _archived(t, folder, fleet, [fleet.ids[code]], low, high) if len(part)]
    stored = t.fixes_of(fleet, code, after, until)
    return concatenate([*archived, stored]) if archived else stored


def newest_position(t: Transaction, folder: Path | None, vehicle: VehicleId) -> tuple[float, float] | None:
    """Longitude and latitude (degrees) of the newest fix of a vehicle that took a position; None where there is none.

    Raises
    ------
    ArchiveError
        If a file of the archive cannot be read.
    """
    found = t.newest_position(vehicle)
    if found is not None:
        return found
    files = sorted(listed(t.connection, vehicle.carrier), key=lambda part: -part.last)
    best: tuple[int, float, float] | None = None
    for part in files:
        if best is not None and part.last < best[0]:
            break
        rows = read_rows(_file(folder, part), vehicle.carrier, [vehicle.vehicle]).fixes if part.file else None
        if rows is not None and rows.positioned.any():
            last = int(np.flatnonzero(rows.positioned)[-1])
            newest = (int(rows.time.view(np.int64)[last]), float(rows.lon[last]), float(rows.lat[last]))
            best = newest if best is None else max(best, newest)
    return best and best[1:]


def complete_since(t: Transaction, carrier: str) -> int | None:
    """From when on (ms) every fix ever stored of a carrier is still there; None: from the first on.

    What was concluded from earlier ones cannot be concluded again: their files were kept for as long as `store.keep.archive` says.
    """
    gone = [part.last for part in listed(t.connection, carrier) if not part.file]
    return max(gone) + 1 if gone else None


def _archived(
    t: Transaction, folder: Path | None, fleet: Fleet, vehicles: Sequence[VehicleId], after: int, until: int
) -> Iterator[FixBatch]:
    """What the archive holds of some vehicles with after < time <= until, by file; `fleet` learns those that it holds."""
    by_carrier: dict[str, list[str]] = {}
    for vehicle in vehicles:
        by_carrier.setdefault(vehicle.carrier, []).append(vehicle.vehicle)
    for carrier, every in by_carrier.items():
        names = _held(t, carrier, every, after)
        for part in listed(t.connection, carrier, after, until) if names else ():
            if part.file:
                rows = read_rows(_file(folder, part), carrier, names)
                time = rows.fixes.time.view(np.int64)
                some = rows.fixes.take((time > after) & (time <= until))
                yield _coded(fleet, carrier, rows.names, some)


def _held(t: Transaction, carrier: str, names: Sequence[str], after: int) -> list[str]:
    """Those vehicles of a carrier of which the archive holds anything after an instant: of most it never does, and no file is opened."""
    c, held = vehicle_table.c, list[str]()
    for at in range(0, len(names), AT_ONCE):
        some = (c.carrier == carrier) & c.name.in_(names[at : at + AT_ONCE])
        held += t.connection.execute(select(c.name).where(some, c.archived > after)).scalars()
    return held


def _coded(fleet: Fleet, carrier: str, names: Sequence[str], fixes: FixBatch) -> FixBatch:
    codes = np.array([fleet.code(VehicleId(carrier, name)) for name in names], np.int32)
    return replace(fixes, vehicle=codes[fixes.vehicle]) if len(fixes) else fixes


def _file(folder: Path | None, part: Listed) -> Path:
    if folder is None:
        raise ArchiveError(f"store.archive = '': allowed is the folder of the archive, which holds {part.file}")
    return folder / part.file
