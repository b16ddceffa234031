"""Places and routes of many corners: the tree of boxes and the levels of cells find what a look at every edge would."""

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from shapely.geometry import MultiPolygon, Point, Polygon

from monitor.atlas import NEAR_M, Atlas, off_lines
from monitor.places import Geofences, Place, Route, circle


def region(corners: int, reach_deg: float, seed: int) -> Polygon:
    """A polygon with bays around a spot in Ontario, with a hole in it."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0.0, 2 * np.pi, corners))
    reach = (0.8 + 0.15 * np.sin(5 * angle) + rng.normal(0.0, 0.002, corners)) * reach_deg
    shell = Polygon(np.stack([-77.0 + np.cos(angle) * reach * 1.4, 45.0 + np.sin(angle) * reach], axis=1))
    hole = [(-77.0, 45.0), (-77.0 + reach_deg / 5, 45.0), (-77.0, 45.0 + reach_deg / 7)]
    return Polygon(shell.exterior, [hole])


@pytest.mark.parametrize(("corners", "reach_deg"), [(40, 0.01), (300, 0.05), (1500, 0.4), (2000, 3.0)])
def test_a_place_of_many_corners_holds_what_shapely_says(corners: int, reach_deg: float) -> None:
    """Whatever levels its cells are on; and every fix within 200 m of its edge is near it."""
    area, rng = region(corners, reach_deg, corners), np.random.default_rng(1)
    assert area.is_valid
    lon, lat = rng.uniform(-77 - 1.6 * reach_deg, -77 + 1.6 * reach_deg, 4000), rng.uniform(45 - reach_deg, 45 + reach_deg, 4000)
    edge = shapely.get_coordinates(shapely.segmentize(area.boundary, reach_deg / 50))
    spots = edge[rng.integers(0, len(edge), 2000)] + rng.normal(0.0, 1e-3, (2000, 2))
    lon, lat = np.append(lon, spots[:, 0]), np.append(lat, spots[:, 1])
    pairs = Atlas(Geofences((Place("a", "a", "yard", area),), ())).locate(lon, lat)
    within = shapely.contains_xy(area, lon, lat)
    assert np.flatnonzero(within).tolist() == pairs.fix[pairs.outside_m == 0].tolist()
    scale = (78_700.0, 111_150.0)  # metres a degree at 45 degrees north; the margin covers what it differs elsewhere
    metres = shapely.distance(
        shapely.transform(area.boundary, lambda xy: xy * scale), shapely.points(lon * scale[0], lat * scale[1])
    )
    assert set(np.flatnonzero(~within & (metres < NEAR_M * 0.9)).tolist()) <= set(pairs.fix.tolist())


def test_thousands_of_places_hold_what_shapely_says() -> None:
    """Small and large, overlapping and with holes, along the lines between cells and across them; each pair once."""
    rng = np.random.default_rng(5)
    areas: list[Polygon | MultiPolygon] = [
        circle(rng.uniform(-77, -76.8), rng.uniform(44.8, 45), rng.uniform(20, 900)) for _ in range(1500)
    ]
    for _ in range(500):
        west, south = rng.integers((-30_800, 17_920), (-30_720, 18_000)) / 400  # on the lines between cells
        areas.append(shapely.box(west, south, west + rng.integers(1, 5) / 400, south + 1 / 400))
    areas.append(MultiPolygon([region(2000, 0.1, 3), circle(-76.5, 45.0, 300)]))
    lon, lat = rng.uniform(-77.02, -76.78, 6000), rng.uniform(44.78, 45.02, 6000)
    corners = shapely.get_coordinates(areas[1500:2000])[rng.integers(0, 2500, 2000)]
    lon, lat = np.append(lon, corners[:, 0]), np.append(lat, corners[:, 1])
    pairs = Atlas(Geofences(tuple(Place(str(n), "a", "yard", area) for n, area in enumerate(areas)), ())).locate(lon, lat)
    inside = pairs.outside_m == 0
    found = set(zip(pairs.fix[inside].tolist(), pairs.place[inside].tolist(), strict=True))
    assert len(found) == np.count_nonzero(inside)
    spots: npt.NDArray[np.object_] = np.array([Point(*spot) for spot in zip(lon, lat, strict=True)])
    fix, place = shapely.STRtree(areas).query(spots, "intersects")
    doubtful = shapely.distance(shapely.boundary(np.array(areas))[place], spots[fix]) < 1e-8
    told = set(zip(fix[~doubtful].tolist(), place[~doubtful].tolist(), strict=True))
    assert told <= found
    assert all(shapely.distance(areas[p], spots[f]) < 1e-8 for f, p in found - told)
    corner = set(range(6000, 8000))
    assert {f for f, _ in found} >= corner


def test_a_place_of_very_many_corners_is_cut_into_small_cells() -> None:
    """A saw of 4,000 teeth in some hundred metres."""
    teeth = np.linspace(0, 0.004, 4001)
    saw = [(-76.5 + x, 45.0 + (0.001 if n % 2 else 0.0009)) for n, x in enumerate(teeth.tolist())]
    area = Polygon([(-76.5, 45.0), *saw, (-76.496, 45.0)])
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-76.502, -76.494, 3000), rng.uniform(44.999, 45.002, 3000)
    pairs = Atlas(Geofences((Place("a", "a", "yard", area),), ())).locate(lon, lat)
    assert pairs.fix[pairs.outside_m == 0].tolist() == np.flatnonzero(shapely.contains_xy(area, lon, lat)).tolist()


def test_a_route_of_many_vertices_is_as_far_as_its_nearest_segment() -> None:
    """Whether the fixes come in order, in none, or each alone: as if each two vertices were a route of their own."""
    rng = np.random.default_rng(2)
    turn = np.cumsum(rng.normal(0.0, 0.3, 700))
    road = np.array([-77.0, 45.0]) + np.cumsum(np.stack([np.cos(turn), np.sin(turn)], axis=1) * 0.003, axis=0)
    near = road[np.arange(0, 700, 3)] + rng.normal(0.0, 0.01, (234, 2))
    far = rng.uniform(road.min(axis=0) - 0.5, road.max(axis=0) + 0.5, (60, 2))
    vertices = [tuple(vertex) for vertex in road.tolist()]
    whole = Atlas(Geofences((), (Route("r", "r", tuple(vertices)),)))
    pieces = Atlas(Geofences((), tuple(Route(str(n), str(n), tuple(vertices[n : n + 2])) for n in range(699))))
    for spots in (near, far, rng.permutation(np.concatenate([near, far]))):
        lon, lat, group = spots[:, 0].copy(), spots[:, 1].copy(), np.zeros(len(spots), np.int64)
        said = off_lines(whole, lon, lat, group, np.array([0, 1]), np.array([0])).metres[:, 0]
        least = off_lines(pieces, lon, lat, group, np.array([0, 699]), np.arange(699)).metres.min(axis=1)
        assert said == pytest.approx(least, rel=1e-5)
