"""The commands on what is old: archive run, list and verify; and track, which gives positions wherever they are kept."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.clock import Clock, clock_beside
from monitor.commands.speaking import progress_bar, say, show
from monitor.configuration import load_configuration
from monitor.errors import InputError, StoreError
from monitor.fixes import ALARM_NAMES, FixBatch, Fleet, VehicleId
from monitor.settings import Settings
from monitor.signals import instant, timestamp
from monitor.store import archive, archive_folder, retention, tracks
from monitor.store.store import Store
from monitor.trips import DEFAULT_CARRIER

FAILED = 1
DAY_MS = archive.DAY_MS
SUFFIXES = (".csv", ".parquet")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands and what they take."""
    words = "the archive: move and delete what is old now, list its files, or verify each of them"
    archived = commands.add_parser("archive", help=words, description=words)
    archived.set_defaults(run=act)
    archived.add_argument("action", choices=tuple(ACTIONS), help="what to do")
    _configured(archived)

    words = "give the positions of a vehicle, from the database and the archive"
    track = commands.add_parser("track", help=words, description=words)
    track.set_defaults(run=give_track)
    track.add_argument("vehicle", metavar="VEHICLE", help="VEHICLE or CARRIER/VEHICLE")
    track.add_argument("--from", dest="begin", metavar="TIME", help="RFC 3339 with a zone (a day before the end)")
    track.add_argument("--until", metavar="TIME", help="RFC 3339 with a zone (now)")
    words = "where they go, by its name CSV or Parquet, as `monitor replay` reads them (CSV on standard output)"
    track.add_argument("--out", type=Path, metavar="FILE", help=words)
    _configured(track)


def act(options: argparse.Namespace) -> int:
    """Do what was asked of the archive."""
    with _opened(options) as (settings, store, clock):
        folder = archive.folder_in(settings)
        if folder is None:
            raise InputError("store.archive = '': allowed is the folder of an archive; nothing leaves the database without one")
        return ACTIONS[options.action](settings, store, clock, folder)


def give_track(options: argparse.Namespace) -> int:
    """Write the positions of a vehicle; says where there are none."""
    if options.out and options.out.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out {options.out}: allowed is a name that ends in {' or '.join(SUFFIXES)}")
    carrier, slash, name = options.vehicle.partition("/")
    vehicle = VehicleId(carrier, name) if slash else VehicleId(DEFAULT_CARRIER, carrier)
    with _opened(options) as (settings, store, clock):
        end = clock() if options.until is None else _instant("--until", options.until)
        begin = end - DAY_MS if options.begin is None else _instant("--from", options.begin)
        if begin >= end:
            raise InputError(f"--from {timestamp(begin)}: allowed is a time before {timestamp(end)}")
        with store.read() as t:
            fixes = tracks.fixes(t, archive.folder_in(settings), Fleet(), [vehicle], begin, end)
            known = vehicle in t.vehicles()
    if not known:
        say(f"monitor: note: nothing was ever heard of {vehicle.carrier}/{vehicle.vehicle}; is it spelled like that?")
    _write(options.out, _table(vehicle, fixes))
    say(f"{vehicle.carrier}/{vehicle.vehicle}: {len(fixes):,} positions from {timestamp(begin)} until {timestamp(end)}")
    return 0


def _run(settings: Settings, store: Store, clock: Clock, folder: Path) -> int:
    """Move what is old, one portion after the other, then delete what is kept no longer."""
    before = archive.moves_before(settings, clock())
    if before is None:
        say("monitor: note: store.keep.fixes = none: no fix moves")
    moved = 0
    while before is not None and (portion := archive.archive_due(store, folder, before, clock())):
        moved += portion.fixes
        again = f", {portion.doubles:,} archived before" if portion.doubles else ""
        show(f"{portion.date} {portion.carrier}: {portion.fixes:,} fixes{again}  {portion.file}")
    while expired := retention.expire_due(store, settings, clock()):
        show(f"{expired.kind}: {expired.rows:,} deleted, the newest of {timestamp(expired.until)}  {expired.file}".rstrip())
    if before is not None:
        for part in store.drop_empty_partitions(before):
            show(f"{part}: was empty, dropped")
        say(f"{moved:,} fixes from before {timestamp(before)} moved into {folder}")
    return 0


def _list(_settings: Settings, store: Store, _clock: Clock, folder: Path) -> int:
    """One line a file."""
    with store.read() as t:
        files = archive.listed(t.connection)
    for part in files:
        held = part.file or "deleted: it was kept for as long as store.keep.archive says"
        show(f"{part.date} {part.carrier} {part.fixes:>10,} fixes {_bytes(folder, part.file):>12} bytes  {held}")
    kept = [part for part in files if part.file]
    say(f"{sum(part.fixes for part in kept):,} fixes in {len(kept)} files in {folder}")
    return 0


def _verify(_settings: Settings, store: Store, _clock: Clock, folder: Path) -> int:
    """Read every file and compare count and hash with what the database says; names each that differs."""
    with store.read() as t:
        files = [part for part in archive.listed(t.connection) if part.file]
    faults = 0
    with progress_bar("verifying") as progress:
        for done, part in enumerate(files, 1):
            try:
                archive_folder.verified(folder / part.file, part.carrier, part.fixes, part.hash)
            except StoreError as error:
                say(f"monitor: {error}")
                faults += 1
            progress(done, len(files))
    known = {part.file for part in files}
    for file in archive_folder.files(folder):
        if file not in known:
            say(f"monitor: note: {folder / file}: is not of this database, or of an interrupted run; it is not read")
    say(f"{len(files) - faults} of {len(files)} files hold what was archived")
    return FAILED if faults else 0


ACTIONS = {"run": _run, "list": _list, "verify": _verify}


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Settings, Store, Clock]]:
    settings = load_configuration(options.config, options.set).settings
    store = Store.of(settings.store, create=False)
    try:
        yield settings, store, clock_beside(store.file)
    finally:
        store.close()


def _instant(option: str, text: str) -> int:
    try:
        return instant(text)
    except (ValueError, OverflowError):
        raise InputError(f"{option} {text}: allowed is an RFC 3339 time with a zone, such as 2026-03-01T06:00:00Z") from None


def _table(vehicle: VehicleId, fixes: FixBatch) -> pd.DataFrame:
    """The columns that `monitor replay` reads, and the quality beside them; unknown is empty."""
    columns: dict[str, Any] = {
        "vehicle_id": np.full(len(fixes), vehicle.vehicle, object),
        "time": [timestamp(ms) for ms in fixes.time.view(np.int64).tolist()],
        "lon": fixes.lon,
        "lat": fixes.lat,
        "speed_mps": fixes.speed,
        "heading_deg": fixes.heading,
        "accuracy_m": fixes.accuracy,
        "ignition": _flag(fixes.ignition),
        "door": _flag(fixes.door),
        "alarms": [";".join(name for name, bit in ALARM_NAMES.items() if bits & bit) for bits in fixes.alarms.tolist()],
        "quality": fixes.quality,
    }
    return pd.DataFrame(columns)


def _flag(column: npt.NDArray[np.int8]) -> Any:
    return pd.arrays.IntegerArray(column, column == -1)


def _write(out: Path | None, table: pd.DataFrame) -> None:
    try:
        if out is None:
            show(table.to_csv(index=False, lineterminator="\n").rstrip("\n"))
        elif out.suffix.lower() == ".csv":
            table.to_csv(out, index=False, lineterminator="\n")
        else:
            table.to_parquet(out, index=False)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror or error}") from None


def _bytes(folder: Path, file: str) -> str:
    try:
        return f"{(folder / file).stat().st_size:,}" if file else "0"
    except OSError:
        return "missing"


def _configured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml; may be repeated"
    )
