"""Fixes from files: CSV and Parquet, in our own columns.

    vehicle_id,time,lon,lat,speed_mps,heading_deg[,accuracy_m,ignition,door,alarms]

Missing columns and empty cells are unknown, other columns are ignored. `time` is ISO 8601, in UTC where it names no zone; `alarms` are
names separated by `;`. A row that cannot be used is a fault with its line and the reason. The header is line 1; a row of Parquet counts
as the line that it would be in CSV.
Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.errors import InputError
from monitor.fixes import ALARM_NAMES, EARLIEST_MS, F64, I8, LATEST_MS, NAME, Alarm, Bool, FixBatch, Fleet, VehicleId, normalised
from monitor.trips import DEFAULT_CARRIER

REQUIRED = ("vehicle_id", "time", "lon", "lat")
NUMBERS = ("lon", "lat", "speed_mps", "heading_deg", "accuracy_m")
COLUMNS = (*REQUIRED, "speed_mps", "heading_deg", "accuracy_m", "ignition", "door", "alarms")
YES, NO = ("1", "true", "1.0", "on", "yes"), ("0", "false", "0.0", "off", "no")


ZONE = r":.*(?:[zZ]|[+-]\d{2}(?::?\d{2})?)\s*$"
"""A time of day with a zone."""
UTC = "UTC"
WRONG = (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowInvalid, ValueError)
"""What a file that is no such file raises."""


class Fault(NamedTuple):
    """A row that cannot be used."""

    line: int
    reason: str
    row: dict[str, str]
    """What it says in the columns that are read."""


class Read(NamedTuple):
    """What a file holds, in the order of its rows, and what of it could not be used."""

    fixes: list[FixBatch]
    """One for each chunk of rows."""
    rejects: list[str]


class Part(NamedTuple):
    """Some rows of a file."""

    fixes: FixBatch
    """In the order of every batch; rows that say the same are one."""
    rows: int
    """How many could be used."""
    faults: list[Fault]
    line: int
    """The last one read."""
    done: float
    """How much of the file has been read, 0 to 1."""


@dataclass(frozen=True)
class Terms:
    """What is taken: times before `latest` (ms); of those without a zone that of `timezone`; any vehicle id, or only `named` ones."""

    latest: int = LATEST_MS
    timezone: str = UTC
    named: bool = False


def read_fixes(file: Path, fleet: Fleet, chunk: int | None = None, carrier: str = DEFAULT_CARRIER) -> Read:
    """Read a file of fixes; `chunk` rows make a batch (None: all of them one).

    Raises
    ------
    InputError
        If the file cannot be read or lacks a required column.
    """
    [(table, _)] = _tables(file, None)
    faults: list[Fault] = []
    columns, good = _columns(table, faults, Terms())
    codes, index = _codes(fleet, carrier, columns, good), np.flatnonzero(good)
    step = chunk or max(1, len(index))
    batches = [_batch(fleet, codes[at : at + step], columns, index[at : at + step]) for at in range(0, len(index), step)]
    return Read(batches, [f"{file}:{fault.line}: {fault.reason}" for fault in faults])


def read_parts(file: Path, fleet: Fleet, carrier: str, rows: int, terms: Terms) -> Iterator[Part]:
    """Read a file of fixes of any size, `rows` rows at a time.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a required column; what came before has been given.
    """
    for table, done in _tables(file, rows):
        faults: list[Fault] = []
        columns, good = _columns(table, faults, terms)
        codes, index = _codes(fleet, carrier, columns, good), np.flatnonzero(good)
        line = int(table.index[-1]) + 2 if len(table) else 1
        yield Part(_batch(fleet, codes, columns, index), len(index), faults, line, done)


def ignored_columns(file: Path) -> list[str]:
    """The columns of a file that nobody reads.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a required column.
    """
    try:
        if file.suffix.lower() == ".parquet":
            names = list(pq.ParquetFile(file).schema_arrow.names)
        else:
            names = [str(name) for name in pd.read_csv(file, nrows=0, dtype=str, encoding="utf-8-sig", index_col=False).columns]
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file") from None
    except WRONG as error:
        raise InputError(f"{file}: not readable: {error}") from None
    _require(file, names)
    return [name for name in names if name not in COLUMNS and not name.startswith("Unnamed:")]


def _require(file: Path, names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        has = f"; it has {', '.join(names)}" if names else ""
        raise InputError(f"{file}: lacks the column {', '.join(missing)}; allowed are {', '.join(COLUMNS)}{has}")


def _tables(file: Path, rows: int | None) -> Iterator[tuple[pd.DataFrame, float]]:
    """The rows of a file, some at a time (None: all at once), and how much of it has been read then."""
    try:
        if file.suffix.lower() == ".parquet":
            yield from _parquet(file, rows)
            return
        _require(file, [str(name) for name in pd.read_csv(file, nrows=0, encoding="utf-8-sig", index_col=False).columns])
        with file.open("rb") as source:
            yield from _csv(source, max(1, file.stat().st_size), rows)
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file") from None
    except WRONG as error:
        raise InputError(f"{file}: not readable: {error}") from None


def _csv(source: BinaryIO, size: int, rows: int | None) -> Iterator[tuple[pd.DataFrame, float]]:
    reading = pd.read_csv(
        source,
        usecols=lambda name: name in COLUMNS,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
        index_col=False,
        skip_blank_lines=False,  # they count as lines
        iterator=True,
        chunksize=rows,
    )
    with reading:
        for table in reading if rows else [reading.read()]:
            empty = table["time"].isin(("",)) | table["time"].isna()
            if empty.any():
                empty &= (table.isna() | (table == "")).all(axis=1)
                table = table[~empty]
            yield table, source.tell() / size


def _parquet(file: Path, rows: int | None) -> Iterator[tuple[pd.DataFrame, float]]:
    with pq.ParquetFile(file) as source:
        names = list(source.schema_arrow.names)
        _require(file, names)
        wanted, total, done = [name for name in COLUMNS if name in names], max(1, source.metadata.num_rows), 0
        if rows is None:
            yield source.read(wanted).to_pandas(), 1.0
            return
        for batch in source.iter_batches(rows, columns=wanted):
            table = batch.to_pandas()
            table.index += done
            done += len(table)
            yield table, done / total


def _codes(fleet: Fleet, carrier: str, columns: dict[str, npt.NDArray[Any]], good: Bool) -> npt.NDArray[np.int32]:
    """The vehicle codes of the rows that can be used."""
    names, vehicle = np.unique(columns["vehicle_id"][good].astype(str), return_inverse=True)
    return np.array([fleet.code(VehicleId(carrier, name)) for name in names.tolist()], np.int32)[vehicle]


def _columns(table: pd.DataFrame, faults: list[Fault], terms: Terms) -> tuple[dict[str, npt.NDArray[Any]], Bool]:
    """The columns as arrays, and which rows can be used; notes why the others cannot."""
    good = np.ones(len(table), bool)

    def refuse(wrong: Bool, what: str, column: str) -> None:
        for row in np.flatnonzero(wrong & good).tolist():
            said = {name: str(table[name].iloc[row]) for name in table.columns}
            reason = f"{column} = {table[column].iloc[row]!r}: {what}"
            faults.append(Fault(int(table.index[row]) + 2, reason, said))
        good[wrong] = False

    time = _times(table["time"], terms.timezone)
    refuse(time.isna().to_numpy(), "allowed is an ISO 8601 time", "time")
    with np.errstate(invalid="ignore"):
        ms = time.dt.tz_convert(None).to_numpy("datetime64[ms]").view(np.int64)
        refuse((ms < EARLIEST_MS) | (ms >= LATEST_MS), "allowed are the years 1900 to 2199", "time")
        if terms.latest < LATEST_MS:
            refuse(ms > terms.latest, "lies in the future; allowed is up to ingest.future ahead of the clock", "time")
    names = _texts(table["vehicle_id"]).to_numpy()
    refuse(names == "", "allowed is a vehicle's id", "vehicle_id")
    if terms.named:
        known = {name: NAME.fullmatch(name) is not None for name in set(names.tolist())}
        refuse(~np.array([known[name] for name in names.tolist()], bool), f"allowed is {NAME.pattern}", "vehicle_id")
    out: dict[str, npt.NDArray[Any]] = {"vehicle_id": names, "time": time.dt.tz_convert(None).to_numpy("datetime64[ms]")}
    for name in NUMBERS:
        if name in table:
            out[name], wrong = _number(table[name])
            refuse(wrong, "allowed is a number", name)
    with np.errstate(invalid="ignore"):
        refuse((out["lon"] < -180) | (out["lon"] > 180), "allowed is -180 to 180", "lon")
        refuse((out["lat"] < -90) | (out["lat"] > 90), "allowed is -90 to 90", "lat")
    for name in ("ignition", "door"):
        if name in table:
            out[name] = _flag(table[name])
    if "alarms" in table:
        out["alarms"] = np.array([_alarms(text) for text in _texts(table["alarms"])], np.uint32)
    faults.sort(key=lambda fault: fault.line)
    return out, good


def _times(column: pd.Series[Any], timezone: str) -> pd.Series[Any]:
    """A column as instants; what is none is NaT, and so is a local time that a change of the clocks made twofold or skipped."""
    time = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
    if timezone == UTC or isinstance(column.dtype, pd.DatetimeTZDtype):
        return time
    local = ~column.astype(str).str.contains(ZONE, regex=True)
    said = time.dt.tz_localize(None).dt.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert(UTC)
    return time.where(~local, said)


def _number(column: pd.Series[Any]) -> tuple[F64, Bool]:
    """Read numbers; empty is NaN, and what is neither is wrong."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isfinite(numbers)
    suspect = np.flatnonzero(wrong)
    wrong[suspect] = ~_texts(column.iloc[suspect]).str.strip().str.lower().isin(("", "nan")).to_numpy(bool)
    return np.where(np.isinf(numbers), np.nan, numbers), wrong


def _texts(column: pd.Series[Any]) -> pd.Series[str]:
    """A column as texts, empty where nothing is known; a whole number that came as a float is written without its fraction."""
    if pd.api.types.is_float_dtype(column.dtype) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return column.astype(object).where(column.notna(), "").astype(str)


def _flag(column: pd.Series[Any]) -> I8:
    text = _texts(column).str.strip().str.lower()
    return np.where(text.isin(YES), 1, np.where(text.isin(NO), 0, -1)).astype(np.int8)


def _alarms(text: str) -> int:
    bits = 0
    for name in filter(None, (part.strip().lower() for part in text.replace(",", ";").replace("|", ";").split(";"))):
        bits |= ALARM_NAMES.get(name, Alarm.OTHER)
    return bits


def _batch(
    fleet: Fleet, codes: npt.NDArray[np.int32], columns: dict[str, npt.NDArray[Any]], index: npt.NDArray[np.intp]
) -> FixBatch:
    some = {name: column[index] for name, column in columns.items() if name != "vehicle_id"}
    optional = {
        parameter: some.get(name)
        for parameter, name in (
            ("speed", "speed_mps"),
            ("heading", "heading_deg"),
            ("accuracy", "accuracy_m"),
            ("ignition", "ignition"),
            ("door", "door"),
            ("alarms", "alarms"),
        )
    }
    return normalised(fleet, codes, some["time"], some["lon"], some["lat"], **optional)
