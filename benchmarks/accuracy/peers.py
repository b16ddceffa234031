"""The trajectory libraries as contestants, where they are installed: movingpandas, trackintel, PyMEOS.

Each is asked for stops of a least duration (five minutes on the generated tracks), with its documented defaults where it has any and
else with the size that the monitor is given: a diameter of twice the radius for movingpandas and PyMEOS (which have no default), and
for trackintel its default distance of 100 m, scaled with the radius. None of them looks at reported speeds.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.accuracy.tracks import Interval, Track
from monitor.fixes import F64
from monitor.geodesy import metres_per_degree

TRACKINTEL_SHARE = 100.0 / 75.0
Finder = Callable[[Track, float, timedelta], list[Interval]]
"""The stops of a track, given the radius of a stop in metres and its least duration."""


def plane(track: Track) -> tuple[F64, F64]:
    """(N,) metres east and north of the first fix."""
    east, north = metres_per_degree(float(track.lat[0]))
    return (track.lon - track.lon[0]) * east, (track.lat - track.lat[0]) * north


def milliseconds(instant: Any) -> int:
    """An aware or naive UTC timestamp as ms since 1970."""
    stamp = pd.Timestamp(instant)
    return int((stamp if stamp.tzinfo else stamp.tz_localize("UTC")).timestamp() * 1000)


def movingpandas(library: Any) -> Finder:
    """TrajectoryStopDetector, in a metric plane."""
    geopandas: Any = importlib.import_module("geopandas")

    def find(track: Track, radius_m: float, shortest: timedelta) -> list[Interval]:
        x, y = plane(track)
        index = pd.DatetimeIndex(track.time.astype("datetime64[ms]"), name="t")
        frame = geopandas.GeoDataFrame({"id": 1}, index=index, geometry=geopandas.points_from_xy(x, y), crs="EPSG:32618")
        trajectory = library.Trajectory(frame[~frame.index.duplicated()], 1)
        ranges = library.TrajectoryStopDetector(trajectory).get_stop_time_ranges(max_diameter=2 * radius_m, min_duration=shortest)
        return [(milliseconds(found.t_0), milliseconds(found.t_n)) for found in ranges]

    return find


def trackintel(library: Any) -> Finder:
    """generate_staypoints, method sliding, the last stop included."""
    geopandas: Any = importlib.import_module("geopandas")

    def find(track: Track, radius_m: float, shortest: timedelta) -> list[Interval]:
        frame = geopandas.GeoDataFrame(
            {"user_id": 0, "tracked_at": pd.to_datetime(track.time, unit="ms", utc=True)},
            geometry=geopandas.points_from_xy(track.lon, track.lat),
            crs="EPSG:4326",
        )
        _, found = library.Positionfixes(frame).generate_staypoints(
            method="sliding",
            dist_threshold=TRACKINTEL_SHARE * radius_m,
            time_threshold=shortest / timedelta(minutes=1),
            include_last=True,
        )
        spans = zip(found["started_at"], found["finished_at"], strict=True)
        return [(milliseconds(begin), milliseconds(end)) for begin, end in spans]

    return find


def pymeos(library: Any) -> Finder:
    """The stops function of a temporal point, in a metric plane."""
    library.pymeos_initialize()

    def find(track: Track, radius_m: float, shortest: timedelta) -> list[Interval]:
        (x, y), time = plane(track), track.time.astype("datetime64[ms]")
        fresh = np.flatnonzero(np.diff(track.time, prepend=track.time[0] - 1) > 0)
        instants = ", ".join(f"POINT({x[i]} {y[i]})@{time[i]}+00" for i in fresh)
        found = library.TGeomPointSeq(f"[{instants}]").stops(2 * radius_m, shortest)
        if found is None:
            return []
        return [(milliseconds(part.start_timestamp()), milliseconds(part.end_timestamp())) for part in found.sequences()]

    return find


MAKERS: dict[str, Callable[[Any], Finder]] = {"movingpandas": movingpandas, "trackintel": trackintel, "pymeos": pymeos}


def installed() -> tuple[dict[str, Finder], dict[str, str]]:
    """The finders of the libraries that can be imported, under their names; and of the libraries, name to version or why not."""
    finders, said = {}, {}
    warnings.filterwarnings("ignore", module="movingpandas|trackintel|geopandas|pandas")
    for name, make in MAKERS.items():
        try:
            library = importlib.import_module(name)
        except ImportError as error:
            said[name] = f"not measured: {error}"
            continue
        finders[name] = make(library)
        said[name] = str(getattr(library, "__version__", "version unknown"))
    return finders, said
