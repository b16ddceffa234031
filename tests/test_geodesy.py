"""Metres are those of the ellipsoid: within 0.5 % of the geodesic wherever the monitor's vehicles drive."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from monitor.geodesy import bearing_deg, distance_m, distances_m, metres_per_degree, nearest_on_segment, turned

GEOD = Geod(ellps="WGS84")
LONS, LATS = st.floats(-180, 180), st.floats(41, 70)


def geodesic(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """What the reference says."""
    return float(GEOD.inv(lon1, lat1, lon2, lat2)[2])


@settings(max_examples=150, deadline=None)
@given(LONS, LATS, LONS, LATS)
def test_a_far_distance_is_that_of_the_geodesic(lon1: float, lat1: float, lon2: float, lat2: float) -> None:
    """From one end of the country to the other, and around the world, within 0.5 %."""
    assert distance_m(lon1, lat1, lon2, lat2) == pytest.approx(geodesic(lon1, lat1, lon2, lat2), rel=0.005, abs=0.01)


@settings(max_examples=150, deadline=None)
@given(LONS, LATS, st.floats(0.5, 60_000), st.floats(0, 360))
def test_a_near_distance_is_that_of_the_geodesic(lon: float, lat: float, metres: float, azimuth: float) -> None:
    """From half a metre to beyond the step between the two formulas, in all directions, within 0.05 %."""
    lon2, lat2, _ = GEOD.fwd(lon, lat, azimuth, metres)
    assume(41 <= lat2 <= 70)
    assert distance_m(lon, lat, lon2, lat2) == pytest.approx(metres, rel=0.0005)


def test_a_point_is_no_distance_from_itself() -> None:
    """Nor from itself once around the world."""
    assert distance_m(-79.4, 43.7, -79.4, 43.7) == 0.0
    assert distance_m(-180.0, 45.0, 180.0, 45.0) == pytest.approx(0.0, abs=1e-6)


def test_all_meridians_meet_at_the_pole() -> None:
    """Ninety degrees of longitude are nothing there."""
    assert distance_m(-79.4, 90.0, 10.6, 90.0) == 0.0


def test_half_a_world_away_is_still_a_distance() -> None:
    """Opposite points, where the formula divides by nothing."""
    assert distance_m(0.0, 0.0, 180.0, 0.0) == pytest.approx(math.pi * 6_378_137, rel=0.01)


def test_a_distance_across_the_date_line_is_the_short_way() -> None:
    """Two hundredths of a degree, not 359.98."""
    assert distance_m(179.99, 51.0, -179.99, 51.0) == pytest.approx(geodesic(179.99, 51.0, -179.99, 51.0), rel=0.001)
    assert [turned(degrees) for degrees in (359.0, -359.0, 10.0, 180.0, -180.0)] == [-1.0, 1.0, 10.0, 180.0, -180.0]


def test_many_distances_are_those_of_each_pair() -> None:
    """The array form is the scalar one, pair by pair."""
    a, b = np.array([-79.4, -70.0]), np.array([43.7, 46.0])
    c, d = np.array([-79.5, -60.0]), np.array([43.8, 47.0])
    assert distances_m(a, b, c, d).tolist() == [distance_m(*pair) for pair in zip(a, b, c, d, strict=True)]


@settings(max_examples=60, deadline=None)
@given(LATS)
def test_a_degree_is_as_long_as_the_geodesic_across_it(lat: float) -> None:
    """East and north, measured over a thousandth of a degree."""
    east, north = metres_per_degree(lat)
    assert east == pytest.approx(geodesic(0, lat, 0.001, lat) * 1000, rel=1e-4)
    assert north == pytest.approx(geodesic(0, lat - 0.0005, 0, lat + 0.0005) * 1000, rel=1e-4)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ((-1.0, 1.0, 1.0, 1.0), (0.0, 1.0)),  # beside it
        ((1.0, 1.0, 2.0, 1.0), (1.0, 1.0)),  # before its beginning
        ((-2.0, 1.0, -1.0, 1.0), (-1.0, 1.0)),  # past its end
        ((3.0, 4.0, 3.0, 4.0), (3.0, 4.0)),  # of no length
    ],
)
def test_the_nearest_point_of_a_segment(segment: tuple[float, float, float, float], expected: tuple[float, float]) -> None:
    """Beside the segment its foot, else the nearer end; in a plane of one metre a degree around (0, 0)."""
    assert nearest_on_segment(0.0, 0.0, *segment, 1.0, 1.0) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.floats(-120, -60), LATS, st.floats(1000, 100_000), st.floats(0, 359))
def test_a_bearing_points_from_the_first_to_the_second(lon: float, lat: float, metres: float, azimuth: float) -> None:
    """Clockwise from north, within half a degree of the geodesic's."""
    lon2, lat2, _ = GEOD.fwd(lon, lat, azimuth, metres)
    off = (bearing_deg(lon, lat, lon2, lat2) - azimuth + 180) % 360 - 180
    assert abs(off) < 0.5
