"""Fixes from files: CSV and Parquet, in our own columns.

    vehicle_id,time,lon,lat,speed_mps,heading_deg[,accuracy_m,ignition,door,alarms]

Missing columns and empty cells are unknown, other columns are ignored. `time` is ISO 8601, in UTC where it names no zone; `alarms` are
names separated by `;`. A row that cannot be used is a reject with its line and the reason.
Shapes: N rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from monitor.errors import InputError
from monitor.fixes import ALARM_NAMES, EARLIEST_MS, F64, I8, LATEST_MS, Alarm, Bool, FixBatch, Fleet, VehicleId, normalised
from monitor.trips import DEFAULT_CARRIER

REQUIRED = ("vehicle_id", "time", "lon", "lat")
NUMBERS = ("lon", "lat", "speed_mps", "heading_deg", "accuracy_m")
COLUMNS = (*REQUIRED, "speed_mps", "heading_deg", "accuracy_m", "ignition", "door", "alarms")
YES, NO = ("1", "true", "1.0", "on", "yes"), ("0", "false", "0.0", "off", "no")


class Read(NamedTuple):
    """What a file holds, in the order of its rows, and what of it could not be used."""

    fixes: list[FixBatch]
    """One for each chunk of rows."""
    rejects: list[str]


def read_fixes(file: Path, fleet: Fleet, chunk: int | None = None, carrier: str = DEFAULT_CARRIER) -> Read:
    """Read a file of fixes; `chunk` rows make a batch (None: all of them one).

    Raises
    ------
    InputError
        If the file cannot be read or lacks a required column.
    """
    table = _table(file)
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise InputError(f"{file}: lacks the column {', '.join(missing)}; allowed are {', '.join(COLUMNS)}")
    rejects: list[str] = []
    columns, good = _columns(table, str(file), rejects)
    index = np.flatnonzero(good)
    names, vehicle = np.unique(columns["vehicle_id"][index].astype(str), return_inverse=True)
    codes = np.array([fleet.code(VehicleId(carrier, name)) for name in names.tolist()], np.int32)[vehicle]
    step = chunk or max(1, len(index))
    batches = [_batch(fleet, codes[at : at + step], columns, index[at : at + step]) for at in range(0, len(index), step)]
    return Read(batches, rejects)


def _table(file: Path) -> pd.DataFrame:
    try:
        if file.suffix.lower() == ".parquet":
            return pd.read_parquet(file)
        return pd.read_csv(
            file, usecols=lambda name: name in COLUMNS, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
        )
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowInvalid, ValueError) as error:
        raise InputError(f"{file}: not readable: {error}") from None


def _columns(table: pd.DataFrame, file: str, rejects: list[str]) -> tuple[dict[str, npt.NDArray[Any]], Bool]:
    """The columns as arrays, and which rows can be used; notes why the others cannot."""
    good = np.ones(len(table), bool)

    def refuse(wrong: Bool, what: str, column: str) -> None:
        rows = np.flatnonzero(wrong & good)
        rejects.extend(f"{file}:{row + 2}: {column} = {table[column].iloc[row]!r}: {what}" for row in rows)
        good[wrong] = False

    time = pd.to_datetime(table["time"], utc=True, errors="coerce", format="ISO8601")
    refuse(time.isna().to_numpy(), "allowed is an ISO 8601 time", "time")
    with np.errstate(invalid="ignore"):
        ms = time.dt.tz_convert(None).to_numpy("datetime64[ms]").view(np.int64)
        refuse((ms < EARLIEST_MS) | (ms >= LATEST_MS), "allowed are the years 1900 to 2199", "time")
    names = _texts(table["vehicle_id"]).to_numpy()
    refuse(names == "", "allowed is a vehicle's id", "vehicle_id")
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
    return out, good


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
