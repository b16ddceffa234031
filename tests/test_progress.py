"""Progress along a route: metres from its first vertex, as pyproj measures them; unknown where the route comes back near itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import LineString, Point
from shapely.ops import substring

from monitor.atlas import Atlas, off_lines
from monitor.fixes import F64
from monitor.geodesy import metres_per_degree
from monitor.places import Geofences, Route
from tests.handmade import LAT, degrees

GEOD = Geod(ellps="WGS84")
EAST, NORTH = metres_per_degree(LAT)
Spot = tuple[float, float]


def along(routes: Sequence[Sequence[Spot]], spots: Sequence[Spot], groups: Sequence[Sequence[int]] = ((0,),), of: int = 0) -> F64:
    """(N, K) metres along the routes of a group."""
    chart = Atlas(Geofences((), tuple(Route(str(n), str(n), tuple(line)) for n, line in enumerate(routes))))
    lon, lat = np.array(spots).T.copy()
    start = np.cumsum([0, *map(len, groups)]).astype(np.int64)
    route_of = np.array([route for group in groups for route in group], np.int64)
    return off_lines(chart, lon, lat, np.full(len(lon), of), start, route_of).along


def drawn(metres: Sequence[Spot], spacing_m: float = math.inf) -> list[Spot]:
    """A line around Kingston through points given in metres, with a vertex at least every so often."""
    points = [metres[0]]
    for (x1, y1), (x2, y2) in pairwise(metres):
        steps = max(1, math.ceil(math.dist((x1, y1), (x2, y2)) / spacing_m))
        points += [(x1 + (x2 - x1) * k / steps, y1 + (y2 - y1) * k / steps) for k in range(1, steps + 1)]
    return [degrees(x, y) for x, y in points]


def length(line: Sequence[Spot]) -> float:
    """Geodesic metres."""
    lon, lat = zip(*line, strict=True)
    return float(GEOD.line_length(lon, lat))


legs = st.lists(st.tuples(st.floats(20, 160), st.floats(10, 400_000)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(legs, st.floats(-135, -60), st.floats(43, 69), st.integers(0, 7), st.floats(0, 1))
def test_progress_is_the_length_of_the_geodesics_driven(
    said: list[tuple[float, float]], lon: float, lat: float, leg: int, share: float
) -> None:
    """A line that turns wherever but never back: at its vertices and between them, whatever their spacing."""
    line = [(lon, lat)]
    for azimuth, metres in said:
        line.append(GEOD.fwd(*line[-1], azimuth, metres)[:2])
    assume(all(42 < y < 70 for _, y in line))
    azimuth, metres = said[leg % len(said)]
    before = line[: leg % len(said) + 1]
    spot = GEOD.fwd(*before[-1], azimuth, share * metres)[:2]
    [found], [whole] = along([line], [spot, line[-1]])
    assert found == pytest.approx(length([*before, spot]), rel=1e-6, abs=1.5)
    assert whole == pytest.approx(length(line), rel=1e-6, abs=0.01)


def test_progress_grows_along_a_winding_road() -> None:
    """From fix to fix, some metres beside it or not."""
    road = [(400.0 * k, 3000 * math.sin(k / 15)) for k in range(200)]
    dense = drawn(road, 50)
    rng = np.random.default_rng(3)
    beside = np.array(dense) + rng.normal(0, 5, (len(dense), 2)) / (EAST, NORTH)
    for spots, slack in ((np.array(dense), 0.0), (beside, 60.0)):
        metres = along([drawn(road)], [(x, y) for x, y in spots.tolist()])[:, 0]
        assert (np.diff(metres) > -slack).all()
        assert metres[-1] - metres[0] == pytest.approx(length(drawn(road)), abs=30)


@pytest.mark.parametrize("spacing_m", [50, 1000, 4900, 30_000])
def test_progress_beside_a_line_is_that_of_its_nearest_point(spacing_m: float) -> None:
    """Hundreds of metres beside it; before its begin it is 0, beyond its end its length."""
    line = drawn([(-30_000, 0), (30_000, 0)], spacing_m)
    spots = [degrees(x, y) for x, y in ((-30_000, 0), (-20_000, 400), (1234, -700), (29_000, 90), (31_000, 0), (-31_000, 5))]
    assert along([line], spots)[:, 0] == pytest.approx([0, 10_000, 31_234, 59_000, length(line), 0], abs=5)


@pytest.mark.parametrize("spacing_m", [40, 900, 4990, 20_000])
def test_out_and_back_progress_is_unknown_but_near_the_turn(spacing_m: float) -> None:
    """There the way back is not yet 5 km further on: d metres before it, the nearest such point is 5,000 - 2 d metres away."""
    line = drawn([(0, 0), (20_000, 0), (0, 0)], spacing_m)
    spots = [degrees(20_000 - before, 0) for before in (10_000, 19_999, 2450, 2390, 2360, 1000)]
    found = along([line], spots)[:, 0]
    assert np.isnan(found).tolist() == [True, True, True, True, False, False]
    assert min(abs(found[5] - 19_000), abs(found[5] - 21_000)) < 2


@pytest.mark.parametrize("spacing_m", [40, 900, 4990, 20_000])
def test_a_loop_is_unknown_only_near_where_it_meets(spacing_m: float) -> None:
    """A square of 8 km that ends where it began."""
    line = drawn([(0, 0), (8000, 0), (8000, 8000), (0, 8000), (0, 0)], spacing_m)
    known = {(260, 0): 260, (0, 260): 31_740, (4000, 0): 4000, (8000, 10): 8010, (4000, 8000): 20_000}
    unknown = [(0, 0), (240, 0), (0, 240), (-30, -30)]
    found = along([line], [degrees(x, y) for x, y in (*known, *unknown)])[:, 0]
    assert found == pytest.approx(
        [*known.values(), *[math.nan] * len(unknown)], abs=15, nan_ok=True
    )  # a square in degrees is narrower up north


@pytest.mark.parametrize(("apart_m", "unknown"), [(245, True), (255, False)])
def test_a_road_that_comes_back_beside_itself_is_near_within_250_metres(apart_m: float, unknown: bool) -> None:
    """On either carriageway."""
    line = drawn([(0, 0), (20_000, 0), (20_000, apart_m), (0, apart_m)])
    assert np.isnan(along([line], [degrees(9000, 1), degrees(9000, apart_m)])[:, 0]).tolist() == [unknown, unknown]


def test_each_route_of_a_group_has_its_own_progress() -> None:
    """In its own direction; NaN beyond the group's routes, and for no group."""
    there, back = drawn([(0, 0), (9000, 0)]), drawn([(9000, 50), (0, 50)])
    groups = ((0, 1), (1,))
    assert along([there, back], [degrees(2000, 0)], groups, 0)[0] == pytest.approx([2000, 7000], abs=2)
    assert along([there, back], [degrees(2000, 0)], groups, 1)[0] == pytest.approx([7000, math.nan], abs=2, nan_ok=True)
    assert np.isnan(along([there, back], [degrees(2000, 0)], groups, -1)).all()


def test_a_vertex_said_twice_is_no_obstacle() -> None:
    """A segment of no length has one progress."""
    line = drawn([(0, 0), (3000, 0), (3000, 0), (6000, 0), (6000, 0), (6000, 0), (12_000, 0), (12_000, 0)])
    assert along([line], [degrees(3000, 20), degrees(4000, 20)])[:, 0] == pytest.approx([3000, 4000], abs=2)


corners = st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=3, max_size=9, unique=True)


@settings(max_examples=80, deadline=None)
@given(corners, st.floats(0, 1), st.sampled_from([70, 800, 4700, math.inf]))
@example([(0, 0), (40, 0), (0, 0), (0, 40)], 0.3, math.inf)
def test_progress_agrees_with_shapely_in_a_plane(said: list[tuple[int, int]], share: float, spacing_m: float) -> None:
    """A tangle of a few kilometres: unknown where the line without the 10 km around a spot is within 250 m of it, else as projected."""
    tangle = [(200.0 * x, 200.0 * y) for x, y in said]
    line = LineString(tangle)
    spot: Point = line.interpolate(share, normalized=True)
    driven = share * line.length
    ends = [substring(line, 0, driven - 5000)] if driven > 5000 else []
    ends += [substring(line, driven + 5000, line.length)] if driven + 5000 < line.length else []
    apart = min((part.distance(spot) for part in ends), default=math.inf)
    other = [substring(line, 0, max(0, driven - 50)), substring(line, min(line.length, driven + 50), line.length)]
    clear = all(part.distance(spot) > 20 for part in other if part.length > 0)
    [[found]] = along([drawn(tangle, spacing_m)], [degrees(spot.x, spot.y)])
    if apart < 240:
        assert math.isnan(found)
    elif apart > 260 and clear:
        assert found == pytest.approx(driven, abs=30, rel=2e-3)
