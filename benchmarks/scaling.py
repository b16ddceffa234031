"""The cost of a fix against the number of places, of routes and of vehicles; drawn as plots into `docs/scaling`.

Places and routes: the geofences and the corridors alone, in the scenes of `geofences` and `corridor`. Vehicles: the whole step in the
world of `history`, the same number of fixes in one batch each time, of ever more vehicles never seen before. Each plot shows the
cost as a multiple of that at its smallest size, and what it is in nanoseconds of CPU time, which other work on the machine sways less
than the clock on the wall.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from benchmarks import corridor, geofences
from benchmarks.corridor import Columns
from benchmarks.history import EVERY_MS, START_MS, VERTICES, lines, world
from benchmarks.table import show
from monitor.atlas import Atlas
from monitor.fixes import F64, FixBatch, Fleet, VehicleId, normalised
from monitor.motion import NONE
from monitor.pipeline import Outcome, fresh, step
from monitor.world import World

FOLDER = Path("docs/scaling")
PLACES, ROUTES, VEHICLES = (10, 100, 1000, 10_000, 50_000), (1, 10, 100, 1000), (1, 10, 100, 1000, 10_000, 100_000)
FIXES, TURNS = 100_000, 5
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 60, 40, 60, 50


def places() -> dict[int, Callable[[], object]]:
    """Geofences alone."""
    rng = np.random.default_rng(7)
    road = lines(rng, geofences.ROADS, 1000)
    columns = some(corridor.fixes(rng, road, 0.0))
    return {
        count: partial(geofences.run, Atlas(geofences.geofences(np.random.default_rng(7), road, count)), columns)
        for count in PLACES
    }


def routes() -> dict[int, Callable[[], object]]:
    """Corridors alone, vehicles spread evenly over the routes."""
    contestants: dict[int, Callable[[], object]] = {}
    for count in ROUTES:
        rng = np.random.default_rng(7)
        road = lines(rng, count, 1000)
        contestants[count] = partial(corridor.run, corridor.atlas(road), some(corridor.fixes(rng, road, 0.0)))
    return contestants


def some(columns: Columns) -> Columns:
    """The first fixes."""
    return columns[0][:FIXES].copy(), columns[1][:FIXES].copy(), columns[2][:FIXES].copy()


def vehicles() -> dict[int, Callable[[], object]]:
    """The whole step."""
    rng = np.random.default_rng(7)
    road = lines(rng)
    contestants: dict[int, Callable[[], object]] = {}
    for count in VEHICLES:
        fleet = Fleet()
        there = world(np.random.default_rng(7), road, count)
        contestants[count] = partial(whole, driven(road, fleet, count), fleet, there)
    return contestants


def driven(road: F64, fleet: Fleet, count: int) -> FixBatch:
    """As many fixes of so many vehicles that drive their roads at 20 m/s."""
    each, code = FIXES // count, np.array([fleet.code(VehicleId("acme", f"truck-{v}")) for v in range(count)], np.int32)
    along = (np.arange(count)[:, None] * 7 + np.arange(each) * EVERY_MS / 23_000) % (VERTICES - 1)
    segment, share = along.astype(np.int64), (along % 1.0)[..., None]
    line = np.arange(count)[:, None] % len(road)
    where = road[line, segment] * (1 - share) + road[line, segment + 1] * share
    time = (START_MS + np.tile(np.arange(each) * EVERY_MS, count)).astype("datetime64[ms]")
    speed = np.full(each * count, 20.0)
    return normalised(fleet, np.repeat(code, each), time, where[..., 0].ravel(), where[..., 1].ravel(), speed=speed)


def whole(fixes: FixBatch, fleet: Fleet, there: World) -> Outcome:
    """All fixes in one step, from nothing."""
    return step(fresh(fleet.ids, np.arange(len(fleet.ids), dtype=np.int32)), fixes, np.full(len(fleet.ids), NONE), there)


def plot(title: str, unit: str, nanoseconds: Mapping[int, float]) -> str:
    """An SVG: the cost as a multiple of that at the smallest size, over sizes by powers of ten."""
    first = next(iter(nanoseconds.values()))
    ratios = {size: cost / first for size, cost in nanoseconds.items()}
    most = max(2, math.ceil(max(ratios.values())))
    decades = math.ceil(math.log10(max(ratios)))
    least = math.floor(math.log10(min(ratios)))

    def x(size: float) -> float:
        return LEFT + (math.log10(size) - least) / (decades - least) * (WIDTH - LEFT - RIGHT)

    def y(ratio: float) -> float:
        return HEIGHT - BOTTOM - ratio / most * (HEIGHT - TOP - BOTTOM)

    out = [text(LEFT, 26, title, "start", 15), text(LEFT, 44, "cost of a fix, times that at the smallest size", "start", 11)]
    every = math.ceil(most / 8)
    for ratio in range(0, most + 1, every):
        out.append(f'<path d="M{LEFT} {y(ratio):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(text(LEFT - 8, y(ratio) + 4, str(ratio), "end"))
    out += [text(x(10**n), HEIGHT - BOTTOM + 18, f"{10**n:,}", "middle") for n in range(least, decades + 1)]
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, unit, "middle"))
    points = " ".join(f"{x(size):.1f},{y(ratio):.1f}" for size, ratio in ratios.items())
    out.append(f'<polyline points="{points}" fill="none" stroke="#0b6e99" stroke-width="2"/>')
    for size, multiple in ratios.items():
        out.append(f'<circle cx="{x(size):.1f}" cy="{y(multiple):.1f}" r="3.5" fill="#0b6e99"/>')
        side = {min(ratios): "start", max(ratios): "end"}.get(size, "middle")  # clear of the axis and the margin
        out.append(text(x(size) + 4 * (side == "start"), y(multiple) - 10, f"{nanoseconds[size]:,.0f} ns", side, 11))
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([frame, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *out, "</svg>\n"])


def text(x: float, y: float, words: str, anchor: str, size: int = 12) -> str:
    """Words at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#333">{escape(words)}</text>'


def measured(title: str, unit: str, file: str, contestants: Mapping[int, Callable[[], object]]) -> Sequence[Sequence[object]]:
    """Measure one series, draw it, and give its rows."""
    nanoseconds = dict.fromkeys(contestants, math.inf)
    for _ in range(TURNS):
        for size, run in contestants.items():
            begun = time.thread_time_ns()
            run()
            nanoseconds[size] = min(nanoseconds[size], (time.thread_time_ns() - begun) / FIXES)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / file).write_text(plot(title, unit, nanoseconds), encoding="utf-8")
    first = next(iter(nanoseconds.values()))
    return [[f"{size:,} {unit}", cost, cost / first] for size, cost in nanoseconds.items()]


def main() -> None:
    """Measure, draw and print."""
    rows = [
        *measured("Geofences alone", "places", "places.svg", places()),
        *measured("Corridors alone", "routes of 1,000 vertices", "routes.svg", routes()),
        *measured("The whole step", "vehicles", "vehicles.svg", vehicles()),
    ]
    show(
        f"cost of a fix, one core, batches of {FIXES:,}, CPU time, best of {TURNS}", ["", "ns a fix", "times the smallest"], rows
    )


if __name__ == "__main__":
    main()
