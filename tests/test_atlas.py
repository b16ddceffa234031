"""The atlas finds the places that a fix lies in or near, and how far it is off a route: as shapely and pyproj would, fix by fix."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import MultiPolygon, Point, Polygon

from monitor.atlas import NEAR_M, Atlas, off_lines
from monitor.fixes import F64
from monitor.places import Geofences, Place, Route, circle
from tests.handmade import LAT, LON, degrees
from tests.oracle_geometry import densified, to_edge, to_line

GEOD = Geod(ellps="WGS84")
HOLED = Polygon(
    [degrees(x, y) for x, y in ((-900, -900), (900, -900), (900, 900), (-900, 900))],
    [[degrees(x, y) for x, y in ((-300, -300), (300, -300), (300, 300), (-300, 300))]],
)


def atlas(*areas: Polygon | MultiPolygon, lines: Sequence[Sequence[tuple[float, float]]] = ()) -> Atlas:
    """Places called by their numbers, and routes."""
    places = tuple(Place(str(n), str(n), "yard", area) for n, area in enumerate(areas))
    return Atlas(Geofences(places, tuple(Route(str(n), str(n), tuple(line)) for n, line in enumerate(lines))))


def found(chart: Atlas, points: Sequence[tuple[float, float]]) -> list[dict[int, float]]:
    """For each point the places near it, and how far outside it is."""
    lon, lat = np.array(points).reshape(-1, 2).T.copy()
    pairs = chart.locate(lon, lat)
    assert (np.diff(pairs.fix) >= 0).all()
    out: list[dict[int, float]] = [{} for _ in points]
    for fix, place, outside in zip(pairs.fix.tolist(), pairs.place.tolist(), pairs.outside_m.tolist(), strict=True):
        assert place not in out[fix]
        out[fix][place] = outside
    return out


def off(chart: Atlas, points: Sequence[tuple[float, float]], groups: Sequence[Sequence[int]] = ((0,),), of: int = 0) -> F64:
    """(N, K) metres off the routes of a group."""
    lon, lat = np.array(points).T.copy()
    start = np.cumsum([0, *map(len, groups)]).astype(np.int64)
    routes = np.array([route for group in groups for route in group], np.int64)
    metres: F64 = off_lines(chart, lon, lat, np.full(len(lon), of), start, routes).metres
    return metres


# ── places ──


def test_a_point_inside_is_no_metres_outside_and_one_far_away_is_not_near() -> None:
    """Near is up to 200 m."""
    inside, beside, edge, away = found(atlas(HOLED), [degrees(600, 0), degrees(950, 0), degrees(1095, 0), degrees(1105, 0)])
    assert inside == {0: 0.0}
    assert beside[0] == pytest.approx(50, abs=0.5)
    assert edge[0] == pytest.approx(195, abs=1)
    assert away == {}


def test_a_hole_does_not_belong_to_a_place() -> None:
    """In it one is as far outside as its nearest edge."""
    near, middle = found(atlas(HOLED), [degrees(250, 0), degrees(0, 0)])
    assert near[0] == pytest.approx(50, abs=0.5)
    assert middle == {}


def test_the_boundary_belongs_to_a_place() -> None:
    """Its corners too."""
    square = Polygon([(-76.5, 44.0), (-76.4, 44.0), (-76.4, 44.1), (-76.5, 44.1)])
    corners = [(-76.5, 44.0), (-76.4, 44.0), (-76.4, 44.1), (-76.5, 44.1), (-76.45, 44.0), (-76.45, 44.1), (-76.4, 44.05)]
    assert found(atlas(square), corners) == [{0: 0.0}] * 7


def test_places_that_overlap_are_all_found() -> None:
    """Memberships are pairs."""
    [both] = found(atlas(circle(LON, LAT, 100), circle(LON, LAT, 5000), circle(LON, LAT + 1, 100)), [(LON, LAT)])
    assert both == {0: 0.0, 1: 0.0}


def test_more_pairs_than_fixes_are_room_enough() -> None:
    """Forty places at one point."""
    chart = atlas(*(circle(LON, LAT, 100 + n) for n in range(40)))
    assert [len(near) for near in found(chart, [(LON, LAT)] * 3)] == [40, 40, 40]


def test_without_places_or_fixes_nothing_is_found() -> None:
    """An empty atlas, an empty batch."""
    assert found(atlas(), [(LON, LAT)]) == [{}]
    assert found(atlas(HOLED), []) == []


@pytest.mark.parametrize("radius_m", [10, 500, 20_000, 400_000])
def test_a_place_is_found_whatever_its_size(radius_m: float) -> None:
    """Cells of another size serve each."""
    points = [GEOD.fwd(LON, LAT, azimuth, radius_m * share)[:2] for azimuth in range(0, 360, 45) for share in (0.5, 0.98)]
    assert found(atlas(circle(LON, LAT, radius_m)), points) == [{0: 0.0}] * 16


def test_a_region_as_wide_as_a_continent_is_found() -> None:
    """The largest cells are many, and enough."""
    canada = Polygon([(-140, 42), (-52, 42), (-52, 69), (-140, 69)])
    assert found(atlas(canada), [(-139.9, 68.9), (-52.1, 42.1), (-100, 55)]) == [{0: 0.0}] * 3
    assert found(atlas(canada), [(-141, 55), (-100, 41.9)]) == [{}, {}]


def test_a_fix_without_a_position_is_nowhere() -> None:
    """NaN is in no cell."""
    assert found(atlas(HOLED), [(0.0, 0.0), (179.9, -89.9)]) == [{}, {}]


stars = st.tuples(
    st.floats(-3000, 3000), st.floats(-3000, 3000), st.lists(st.floats(50, 2500), min_size=3, max_size=9), st.booleans()
)


def star(east: float, north: float, radii: list[float], holed: bool) -> Polygon:
    """A polygon around a point, perhaps with a hole."""
    angles = [2 * math.pi * k / len(radii) for k in range(len(radii))]
    ring = [(east + r * math.cos(a), north + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    hole = [(east + 0.4 * (x - east), north + 0.4 * (y - north)) for x, y in ring]
    area = Polygon([degrees(*p) for p in ring], [[degrees(*p) for p in hole]] if holed else [])
    assert area.is_valid
    return area


@settings(max_examples=60, deadline=None)
@given(
    st.lists(stars, min_size=1, max_size=5),
    st.lists(st.tuples(st.floats(-6000, 6000), st.floats(-6000, 6000)), min_size=1, max_size=15),
)
def test_the_atlas_agrees_with_shapely_and_pyproj(
    drawn: list[tuple[float, float, list[float], bool]], points: list[tuple[float, float]]
) -> None:
    """Inside where the polygon covers the point; else near where its edge is within 200 m, within half a percent."""
    areas = [star(*said) for said in drawn]
    where = [degrees(*point) for point in points]
    for point, near in zip(where, found(atlas(*areas), where), strict=True):
        for number, area in enumerate(areas):
            metres = 0.0 if area.covers(Point(point)) else to_edge(area, *point)
            if 0 < metres < 0.01 or abs(metres - NEAR_M) < 2:
                continue  # on an edge two honest roundings differ
            assert (number in near) is (metres <= NEAR_M)
            assert near.get(number, metres) == pytest.approx(metres, rel=0.005, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(stars, st.floats(-3, 3), st.floats(-2, 2))
def test_a_distance_to_a_place_is_that_to_its_edge(drawn: tuple[float, float, list[float], bool], lon: float, lat: float) -> None:
    """From next door and from three hundred kilometres away, within half a percent; 0 inside."""
    area, point = star(*drawn), (LON + lon, LAT + lat)
    [metres] = atlas(area).distance_m(0, *(np.array([x]) for x in point)).tolist()
    inside = area.intersects(Point(point))
    expected = (
        0.0
        if inside
        else min(GEOD.inv(*point, *xy)[2] for xy in shapely.get_coordinates(shapely.segmentize(area.boundary, 2e-4)))
    )
    assert metres == pytest.approx(expected, rel=0.005, abs=20)


# ── routes ──

lines = st.lists(st.tuples(st.floats(-140, -55), st.floats(42, 69)), min_size=2, max_size=6, unique=True)


@settings(max_examples=60, deadline=None)
@given(lines, st.floats(0, 1), st.floats(0, 360), st.floats(1, 20_000))
def test_the_distance_off_a_route_is_that_to_its_geodesics(
    line: list[tuple[float, float]], share: float, azimuth: float, metres: float
) -> None:
    """Over thousands of kilometres, within half a percent of a much denser line."""
    dense = densified(line)
    start = dense[int(share * (len(dense) - 1))].tolist()
    lon, lat, _ = GEOD.fwd(start[0], start[1], azimuth, metres)
    found_m = off(atlas(lines=[line]), [(lon, lat)])[0, 0]
    assert found_m == pytest.approx(to_line(dense, lon, lat), rel=0.005, abs=2)


def test_a_line_between_distant_points_is_the_geodesic_and_not_the_chart_line() -> None:
    """Between Vancouver and St. John's the two are hundreds of kilometres apart."""
    ends = [(-123.1, 49.3), (-52.7, 47.6)]
    middle = GEOD.npts(*ends[0], *ends[1], 1)[0]
    chart = atlas(lines=[ends])
    assert off(chart, [middle])[0, 0] < 5
    assert off(chart, [((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2)])[0, 0] > 300_000


def test_a_fix_is_measured_against_each_route_of_its_group() -> None:
    """In the order of the group; NaN where the group has fewer, and for no group."""
    chart = atlas(lines=[[degrees(-5000, y), degrees(5000, y)] for y in (0, 1000, 3000)])
    groups = ((2, 0), (1,))
    assert off(chart, [degrees(0, 100)], groups, 0)[0] == pytest.approx([2900, 100], abs=3)
    assert off(chart, [degrees(0, 100)], groups, 1)[0] == pytest.approx([900, math.nan], abs=3, nan_ok=True)
    assert np.isnan(off(chart, [degrees(0, 100)], groups, -1)).all()


def test_which_route_is_said_beside_how_far() -> None:
    """By its code; -1 for none."""
    chart = atlas(lines=[[degrees(-5000, y), degrees(5000, y)] for y in (0, 1000)])
    lon, lat = (np.array([x]) for x in degrees(0, 0))
    said = off_lines(chart, lon, lat, np.array([0]), np.array([0, 1, 3]), np.array([1, 0, 1]))
    assert said.line.tolist() == [[1, -1]]


def test_a_fix_after_another_may_be_anywhere() -> None:
    """What was near the fix before is only a first guess."""
    line = [degrees(x, 0) for x in range(-500_000, 500_001, 10_000)]
    points = [degrees(x, 300) for x in (0, 450_000, -450_000, 10, 449_000)]
    together = off(atlas(lines=[line]), points)[:, 0]
    apart = [off(atlas(lines=[line]), [point])[0, 0] for point in points]
    assert together.tolist() == apart
