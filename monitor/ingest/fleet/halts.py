"""What a simulated driver does on the way: lawful halts, and the troubles asked for; pure and seeded.

A *halt* is something to do at a point of a way. A *trouble* is what a monitor should notice. A *spell* is a part of a run in which
the device says something else than usual while the vehicle drives on as if nothing were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from monitor.ingest.fleet.roads import Spot, Way

DETOUR_OUT_S, DETOUR_ALONG_S = 300.0, 600.0
DETOUR_OUT_MPS, DETOUR_ALONG_MPS = 13.0, 18.0
DETOUR_M = 2 * DETOUR_OUT_S * DETOUR_OUT_MPS + DETOUR_ALONG_S * DETOUR_ALONG_MPS
"""Metres along the way between leaving it and coming back."""
BORDER_M = 80_000.0
"""Nobody leaves the route nearer to a border than this."""


class Trouble(StrEnum):
    """What goes wrong on a run; the value says what the driver does."""

    BELT_STOP = "stands in a no-stop belt"
    ROADSIDE_STOP = "stands by the road"
    SILENT_STOP = "stands by the road and falls silent"
    DETOUR = "leaves the route"
    LONG_FUEL = "stays at a truck stop"
    LONG_UNLOADING = "stays at the customer"
    UNPLUGGED = "falls silent under way"
    JAMMED = "is jammed under way"
    DOOR_OPEN = "drives with the cargo door open"
    PANIC = "the driver presses the panic button"
    TURNED_BACK = "turns round and drives back"
    ASTRAY = "positions far from the vehicle"


class Spell(StrEnum):
    """What a device says, or does not say, for a while."""

    SILENT = "silent"  # it is off: nothing is measured, and it begins to count anew
    BLIND = "blind"  # it reports, but without a position
    JAMMING = "jamming"  # likewise, and it says why
    DOOR = "door"
    PANIC = "panic"
    ASTRAY = "astray"


KINDS: Mapping[Trouble, tuple[str, ...]] = {
    Trouble.BELT_STOP: ("unauthorized_stop",),
    Trouble.ROADSIDE_STOP: ("unauthorized_stop",),
    Trouble.SILENT_STOP: ("unauthorized_stop",),
    Trouble.DETOUR: ("route_deviation",),
    Trouble.LONG_FUEL: ("long_dwell",),
    Trouble.LONG_UNLOADING: ("long_dwell",),
    Trouble.UNPLUGGED: ("signal_lost",),
    Trouble.JAMMED: ("device_alarm", "signal_lost"),
    Trouble.DOOR_OPEN: ("door_open",),
    Trouble.PANIC: ("device_alarm",),
    Trouble.TURNED_BACK: ("wrong_way",),
    Trouble.ASTRAY: ("impossible_movement",),
}
"""The signals that each trouble should cause."""
MINUTES: Mapping[Trouble, tuple[float, float]] = {
    Trouble.BELT_STOP: (12, 25),
    Trouble.ROADSIDE_STOP: (55, 75),
    Trouble.SILENT_STOP: (55, 75),
    Trouble.LONG_FUEL: (75, 95),
    Trouble.LONG_UNLOADING: (30, 60),  # beyond the customer's own limit
    Trouble.UNPLUGGED: (15, 35),
    Trouble.JAMMED: (15, 35),
    Trouble.DOOR_OPEN: (4, 12),
    Trouble.PANIC: (2, 4),
    Trouble.ASTRAY: (0, 0),
}
SPELLS: Mapping[Trouble, tuple[Spell, float]] = {
    Trouble.UNPLUGGED: (Spell.SILENT, 6.0),
    Trouble.JAMMED: (Spell.JAMMING, 6.0),
    Trouble.DOOR_OPEN: (Spell.DOOR, 3.0),
    Trouble.PANIC: (Spell.PANIC, 2.5),
    Trouble.ASTRAY: (Spell.ASTRAY, 2.5),
}
"""The troubles that are a spell, and for how many reports it lasts at the least."""
SPELL_MPS = 25.0
"""How fast a vehicle drives in a spell, about."""
BACK_M = (13_000.0, 18_000.0)
"""How far one drives back."""
TUNNEL_S = (60.0, 150.0)
"""How long a receiver sees no satellites without anything being wrong."""
RARE_S = 90.0
"""Of one that reports more rarely than this, no more than one report is without a position then."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Something to do at `p`; nothing else happens until `clear_until` metres along the way."""

    p: float
    clear_until: float
    what: str
    seconds: float
    spot: Spot | None = None
    trouble: Trouble | None = None


def plan_halts(
    way: Way, troubles: Sequence[Trouble], rng: np.random.Generator, interval_s: float = 30.0, tunnels: float = 0.0
) -> list[Halt]:
    """Everything to do on a way, in the order of travel, well apart; a trouble that finds no place is left out.

    `interval_s`: between two reports. `tunnels`: how many of them on 100 km.
    """
    halts = _troubles(way, troubles, rng, interval_s)
    for halt in (*_border(way, rng), *_rests(way, rng), *_pauses(way, rng), *_tunnels(way, rng, tunnels, interval_s)):
        if _fits(halt, halts):
            halts.append(halt)
    return sorted(halts, key=lambda halt: halt.p)


def _fits(halt: Halt, others: Sequence[Halt], apart: float = 2500.0) -> bool:
    return all(halt.clear_until + apart < other.p or other.clear_until + apart < halt.p for other in others)


def _troubles(way: Way, troubles: Sequence[Trouble], rng: np.random.Generator, interval_s: float) -> list[Halt]:
    """Find a place on the way for each trouble."""
    halts: list[Halt] = []
    for trouble in troubles:
        for _ in range(200):
            halt = _somewhere(way, trouble, rng, interval_s)
            if halt is not None and _fits(halt, halts):
                halts.append(halt)
                break
    return halts


def _somewhere(way: Way, trouble: Trouble, rng: np.random.Generator, interval_s: float) -> Halt | None:
    """Draw one place for a trouble, or None where the draw will not do."""
    if trouble is Trouble.LONG_UNLOADING:
        return None  # happens on arrival
    seconds = 60.0 * rng.uniform(*MINUTES.get(trouble, (0, 0)))
    p = rng.uniform(4000.0, way.length - 4000.0)
    if trouble is Trouble.LONG_FUEL:
        stations = [spot for spot in way.spots if spot.kind == "fuel"]
        if not stations:
            return None
        spot = stations[int(rng.integers(len(stations)))]
        return Halt(spot.p, spot.p, "visit", seconds, spot, trouble)
    if trouble is Trouble.BELT_STOP:
        belts = [zone for zone in way.zones if zone.kind == "no_stop"]
        if belts:
            p = rng.uniform(max(4000.0, belts[0].begin), min(way.length - 4000.0, belts[-1].end))
        return Halt(p, p, "stand", seconds, None, trouble) if way.within(p, "no_stop", -200.0) else None
    what, length, seconds = _stretch(trouble, seconds, rng, interval_s)
    if not _lonely(way, p, p + length) or (trouble is Trouble.DETOUR and not _detourable(way, p)):
        return None
    return Halt(p, p + length, what, seconds, None, trouble)


def _stretch(trouble: Trouble, seconds: float, rng: np.random.Generator, interval_s: float) -> tuple[str, float, float]:
    """What a trouble away from all places is, how many metres it takes, and how many seconds."""
    if trouble is Trouble.DETOUR:
        return "detour", DETOUR_M, seconds
    if trouble is Trouble.TURNED_BACK:
        return "back", rng.uniform(*BACK_M) + SPELL_MPS * interval_s, seconds  # as far from report to report
    if trouble in SPELLS:
        spell, reports = SPELLS[trouble]
        seconds = max(seconds, reports * interval_s)
        return spell.value, seconds * SPELL_MPS, seconds
    return "stand", 0.0, seconds


def _lonely(way: Way, begin: float, end: float) -> bool:
    """Whether a stretch lies away from terminals, places, ports and belts."""
    if begin < 12_000 or end > way.length - 12_000:
        return False
    if any(begin - 3000 < spot.p < end + 3000 for spot in way.spots):
        return False
    return not any(zone.begin - 3000 < end and zone.end + 3000 > begin for zone in way.zones)


def _detourable(way: Way, p: float) -> bool:
    """Whether the way from p is far from a border, and runs straight enough to be left and met again."""
    ports = [zone for zone in way.zones if zone.kind == "port_of_entry"]
    if any(zone.begin - BORDER_M < p + DETOUR_M and zone.end + BORDER_M > p for zone in ports):
        return False
    middle = way.s(np.linspace(p, p + DETOUR_M, 9))
    zero = np.zeros(9)
    lon, lat = way.road.position(middle, zero, zero)
    chord = np.hypot((lon[-1] - lon[0]) * np.cos(np.radians(lat[0])), lat[-1] - lat[0]) * 111_200.0
    return bool(chord > 0.97 * DETOUR_M)


def _border(way: Way, rng: np.random.Generator) -> list[Halt]:
    """Queue and inspection at the port whose approach comes first: that of the country entered."""
    ports = [zone for zone in way.zones if zone.kind == "port_of_entry"]
    if not ports:
        return []
    port = min(ports, key=lambda zone: zone.begin)
    return [Halt(port.begin + 300.0, port.end, "border", 60.0 * rng.uniform(10, 30))]


def _rests(way: Way, rng: np.random.Generator) -> list[Halt]:
    """A rest each 150 to 250 km on the near side of the road, sometimes fuel, sometimes an inspection."""
    halts, due = [], rng.uniform(90_000.0, 200_000.0)
    for spot in way.spots:
        if spot.kind in {"rest_area", "parking"} and spot.near_side and spot.p >= due:
            halts.append(Halt(spot.p, spot.p, "visit", 60.0 * rng.uniform(30, 50), spot))
            due = spot.p + rng.uniform(150_000.0, 250_000.0)
        elif spot.kind == "fuel" and rng.random() < 0.3:
            halts.append(Halt(spot.p, spot.p, "visit", 60.0 * rng.uniform(15, 30), spot))
        elif spot.kind == "inspection_station" and spot.near_side and rng.random() < 0.25:
            halts.append(Halt(spot.p, spot.p, "visit", 60.0 * rng.uniform(8, 20), spot))
    return halts


def _pauses(way: Way, rng: np.random.Generator) -> list[Halt]:
    """Lights and queues: about one each 40 km, of 30 to 90 s."""
    where = rng.uniform(3000.0, way.length - 3000.0, int(way.length / 40_000))
    return [Halt(p, p, "pause", rng.uniform(30, 90)) for p in where.tolist()]


def _tunnels(way: Way, rng: np.random.Generator, many: float, interval_s: float) -> list[Halt]:
    """Stretches without satellites, too short to mean anything; `many` on 100 km."""
    if not many:
        return []
    where = rng.uniform(12_000.0, max(12_001.0, way.length - 12_000.0), int(rng.poisson(many * way.length / 100_000.0)))
    seconds = rng.uniform(*TUNNEL_S, len(where))
    if interval_s > RARE_S:
        seconds = np.minimum(seconds, 0.6 * interval_s)  # it is slow at both ends
    return [Halt(p, p + s * SPELL_MPS, Spell.BLIND.value, s) for p, s in zip(where.tolist(), seconds.tolist(), strict=True)]
