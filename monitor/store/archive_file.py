"""One file of the archive: some fixes of one carrier on one day, as Parquet; what went in comes out, bit for bit.

    vehicle      string      the rows are sorted by vehicle (by code points), time, digest
    time         timestamp   ms, UTC; differences, packed
    lon_e7       int32       degrees times 10^7, where that and a division give exactly what was stored; differences, packed
    lon          double      degrees, where `lon_e7` is null; both are null where no position is known
    lat_e7, lat              likewise
    speed_mps, heading_deg, accuracy_m    float; null is unknown
    ignition, door           int8; null is unknown
    alarms, quality, late    whole numbers, as in the database
    digest       int64       only where it is not the one that the other columns give

zstd throughout, a checksum on every page. A row group holds few vehicles, so that its statistics say whether one is in it. The
file's metadata names form, carrier and date, and so does its path: `fixes/date=YYYY-MM-DD/carrier=NAME/part-HASH.parquet`. HASH is
the beginning of the hash of its contents: a file is never replaced by one that says something else.
Shapes: N rows, V vehicles.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitor.errors import ArchiveError
from monitor.fixes import COLUMNS, F64, I8, I64, Bool, FixBatch, VehicleId, digests, empty, identity_hash

FORM = 1
"""Of what is described above; a file of a newer one is refused, not guessed at."""
ROW_GROUP = 32_768
LEVEL = 9
E7 = 1e7
DELTA = dict.fromkeys(("time", "lon_e7", "lat_e7"), "DELTA_BINARY_PACKED")
SPLIT = dict.fromkeys(("lon", "lat"), "BYTE_STREAM_SPLIT")
FLOATS = {"speed": "speed_mps", "heading": "heading_deg", "accuracy": "accuracy_m"}
FLAGS = ("ignition", "door")
WHOLE = {"alarms": "uint32", "quality": "uint8"}


Key = tuple[str, int, int]
"""Vehicle, time (ms), digest."""


@dataclass(frozen=True)
class Rows:
    """Stored fixes of one carrier's vehicles, sorted by (vehicle, time, digest)."""

    names: tuple[str, ...]
    """(V,) the vehicles, in the order of their code points."""
    fixes: FixBatch
    """(N,); their `vehicle` is an index into `names`."""
    late: I8
    """(N,) as in the database."""

    def __len__(self) -> int:
        return len(self.late)

    def take(self, index: Bool) -> Rows:
        """Some of the rows."""
        return Rows(self.names, self.fixes.take(index), self.late[index])

    def each(self) -> Iterator[Key]:
        """What makes each row one of its own, in order."""
        names = (self.names[vehicle] for vehicle in self.fixes.vehicle.tolist())
        return zip(names, self.fixes.time.view(np.int64).tolist(), self.fixes.digest.tolist(), strict=True)


NO_ROWS = Rows((), empty(), np.empty(0, np.int8))


def folder_of(date: str, carrier: str) -> str:
    """Where the files of a day and a carrier are, below the archive's folder."""
    return f"fixes/date={date}/carrier={quote(carrier, safe='')}"


def name_of(content: str) -> str:
    """The name of a file by the hash of its contents."""
    return f"part-{content[:16]}.parquet"


def content_hash(carrier: str, rows: Rows) -> str:
    """SHA-256 over all that the rows say, in lower-case hexadecimal: the same for the same fixes, however a file holds them.

    Of each vehicle that has rows, in order: the carrier and its name, each as length in bytes, colon and UTF-8 text, then the number
    of its rows, a colon, and column after column (time, digest, lon, lat, speed, heading, accuracy, ignition, door, alarms, quality,
    late) as little-endian values of their own widths.
    """
    state = hashlib.sha256()
    bounds = np.searchsorted(rows.fixes.vehicle, np.arange(len(rows.names) + 1))
    columns = [_little(getattr(rows.fixes, name)) for name in ("time", "digest", *list(COLUMNS)[2:-1])] + [_little(rows.late)]
    for vehicle, name in enumerate(rows.names):
        begin, end = int(bounds[vehicle]), int(bounds[vehicle + 1])
        if begin == end:
            continue
        for text in (carrier.encode(), name.encode()):
            state.update(b"%d:" % len(text) + text)
        state.update(b"%d:" % (end - begin))
        for column in columns:
            state.update(column[begin:end].tobytes())
    return state.hexdigest()


def encoded(carrier: str, date: str, rows: Rows) -> bytes:
    """The bytes of a file that holds these rows; the same rows give the same bytes in one release."""
    table = _table(carrier, rows).replace_schema_metadata(
        {"monitor": json.dumps({"form": FORM, "carrier": carrier, "date": date})}
    )
    few = [name for name in table.column_names if name not in DELTA and name not in SPLIT]
    split = dict(SPLIT)
    for name in FLOATS.values():
        if not _repeats(table[name]):
            few.remove(name)
            split[name] = "BYTE_STREAM_SPLIT"
    out = io.BytesIO()
    pq.write_table(
        table,
        out,
        row_group_size=ROW_GROUP,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=few,  # type: ignore[arg-type]  # of some columns, by name
        column_encoding=DELTA | split,
        write_page_checksum=True,
    )
    return out.getvalue()


def read_rows(file: Path, carrier: str, vehicles: Collection[str] | None = None) -> Rows:
    """The rows of a file, or those of some vehicles; only the row groups that may hold these are read.

    Raises
    ------
    StoreError
        If the file is missing, damaged, of a newer form, or of another carrier.
    """
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            _check_form(file, carrier, parquet.schema_arrow.metadata)
            groups = [group for group in range(parquet.num_row_groups) if _may_hold(parquet, group, vehicles)]
            table = parquet.read_row_groups(groups)
    except FileNotFoundError:
        raise ArchiveError(f"{file}: is listed as part of the archive and missing; put it back from a copy") from None
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        words = " ".join(str(error).split())
        raise ArchiveError(f"{file}: part of the archive, and not readable: {words}; put it back from a copy") from None
    if vehicles is not None:
        table = table.filter(pc.is_in(table["vehicle"], pa.array(sorted(vehicles), pa.string())))
    return _rows(carrier, table)


def _table(carrier: str, rows: Rows) -> pa.Table:
    fixes = rows.fixes
    columns: dict[str, pa.Array[Any]] = {
        "vehicle": pa.array(rows.names, pa.string()).take(pa.array(fixes.vehicle, pa.int32())),
        "time": pa.array(fixes.time.view(np.int64)).cast(pa.timestamp("ms", "UTC")),
    }
    for name, degrees in (("lon", fixes.lon), ("lat", fixes.lat)):
        scaled, exact = _scaled(degrees)
        columns[f"{name}_e7"] = pa.array(scaled, mask=~exact)
        columns[name] = pa.array(degrees, mask=exact | np.isnan(degrees))
    for name, said in FLOATS.items():
        column = getattr(fixes, name)
        columns[said] = pa.array(column, mask=np.isnan(column))
    for name in FLAGS:
        column = getattr(fixes, name)
        columns[name] = pa.array(column, mask=column == -1)
    columns |= {name: pa.array(getattr(fixes, name)) for name in WHOLE}
    columns["late"] = pa.array(rows.late)
    if (_digests(carrier, rows.names, fixes) != fixes.digest).any():
        columns["digest"] = pa.array(fixes.digest)
    return pa.table(columns)


def _rows(carrier: str, table: pa.Table) -> Rows:
    if not len(table):
        return NO_ROWS
    vehicle = table["vehicle"].combine_chunks().dictionary_encode()
    names = tuple(str(name) for name in vehicle.dictionary.to_pylist())
    columns: dict[str, npt.NDArray[np.generic]] = {
        "vehicle": vehicle.indices.to_numpy().astype(np.int32),
        "time": table["time"].cast(pa.int64()).to_numpy().view("datetime64[ms]"),
    }
    for name in ("lon", "lat"):
        scaled, degrees = table[f"{name}_e7"].cast(pa.float64()).to_numpy(), table[name].to_numpy()
        columns[name] = np.where(np.isnan(scaled), degrees, scaled / E7)
    columns |= {name: table[said].to_numpy() for name, said in FLOATS.items()}
    columns |= {name: table[name].fill_null(pa.scalar(-1, pa.int8())).to_numpy() for name in FLAGS}
    columns |= {name: table[name].to_numpy() for name in WHOLE}
    fixes = FixBatch(**columns, digest=np.empty(0, np.int64))  # type: ignore[arg-type]
    digest = table["digest"].to_numpy() if "digest" in table.column_names else _digests(carrier, names, fixes)
    return Rows(names, FixBatch(**columns, digest=digest), table["late"].to_numpy())  # type: ignore[arg-type]


def _scaled(degrees: F64) -> tuple[npt.NDArray[np.int32], Bool]:
    """(N,) degrees times 10^7, and where they can stand for the degrees exactly: to the bit, so that -0.0 cannot."""
    inside = np.abs(degrees) <= 200.0  # NaN is not
    scaled = np.rint(np.where(inside, degrees, 0.0) * E7).astype(np.int32)
    return scaled, inside & ((scaled / E7).view(np.int64) == degrees.view(np.int64))


def _digests(carrier: str, names: tuple[str, ...], fixes: FixBatch) -> I64:
    identity = np.array([identity_hash(VehicleId(carrier, name)) for name in names], np.int64)
    with np.errstate(invalid="ignore"):
        return digests(identity, {name: getattr(fixes, name) for name in COLUMNS if name != "digest"})


def _repeats(column: pa.ChunkedArray[Any]) -> bool:
    """Whether values come again so often that numbering them is shorter than writing them."""
    some = column.slice(0, ROW_GROUP)
    return bool(len(some.unique()) * 3 <= len(some))


def _may_hold(parquet: pq.ParquetFile, group: int, vehicles: Collection[str] | None) -> bool:
    said = parquet.metadata.row_group(group).column(0).statistics
    if vehicles is None or said is None or not said.has_min_max:
        return True
    first, last = str(said.min), str(said.max)
    return any(first <= name <= last for name in vehicles)


def _check_form(file: Path, carrier: str, metadata: dict[bytes, bytes] | None) -> None:
    said = json.loads((metadata or {})[b"monitor"])
    if said["form"] != FORM:
        raise ArchiveError(f"{file}: was written by a newer release of the monitor (form {said['form']}; this one knows {FORM})")
    if said["carrier"] != carrier:
        raise ArchiveError(
            f"{file}: holds fixes of carrier {said['carrier']!r}, and is listed as {carrier!r}'s; put it back from a copy"
        )


def _little(column: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"), copy=False)
