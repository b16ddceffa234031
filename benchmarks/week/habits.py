"""How long ordinary stops last and how often things happen: every number with where it comes from.

They are not to be turned until the alerts come out right; the page says what was changed after a first look. Durations are seconds.
"""

from __future__ import annotations

import numpy as np

Random = np.random.Generator
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
JAM_HALTS_S, QUEUE_HALTS_S = (5.0, 20.0), (20.0, 120.0)
"""How long a truck stands still in between, in a jam and in a queue."""

SOURCES = (
    (
        "hours of service",
        "US 49 CFR 395: 11 h driving in 14 h, 10 h off, a 30 min break after 8 h driving; Canada SOR/2005-313: 13 h driving, 10 h off a "
        "day, 8 of them together. Drivers here drive 8 to 11 h a day, break for 30 min or longer after 4 to 6 h, rest 10 h or longer.",
    ),
    (
        "loading docks",
        "FMCSA and VTTI 2014, Driver Detention Times, 1.3 million stops: one in ten is longer than 2 h, and those last 3.4 h on average. "
        "A lognormal with a median of 38 min and a sigma of 0.9 has both.",
    ),
    (
        "city customers",
        "A time study of urban distribution in Gothenburg (Sustainability 2020, 12(1), 425): 30 % of a shift is driving, 15 % breaks, 55 % "
        "customer service. With a shift of 9.5 h and 8 to 15 customers that is 26 min on average: lognormal, sigma 0.5, 5 to 90 min.",
    ),
    (
        "border",
        "Transport Canada, table RO8, 2023, southbound trucks in Ontario and Quebec: medians of 5 to 17 min, 95th percentiles of 15 to 52. "
        "Lognormal, median 12, 95th percentile 40, then 5 to 15 min at the booth; secondary inspection of 30 to 90 min for 1.75 % "
        "(Michigan Tech Research Institute, Ambassador Bridge, June 2014).",
    ),
    (
        "how many stops",
        "ATRI's truck parking diaries: 4,763 parking stops in 2,035 driver days, 2.3 a day: here the night, the break, and fuel every "
        "second day or so; a short stop of 4 to 15 min comes on top, every 900 km.",
    ),
    (
        "fuel",
        "Geotab 2020: 8 min at the pump, more than 20 with the way there; the tanks of a tractor take 10 to 20 min. Here 15 to 30 min "
        "long-haul, 8 to 20 in the city.",
    ),
    (
        "sleeping trackers",
        "Teltonika's manuals: with the ignition off and no movement a device sleeps after minutes and reports once a period. Here six in "
        "ten sleep after 3 to 10 min and report every 1, 2 or 4 h; the others report every 5 min while parked.",
    ),
    (
        "assumed, without a source",
        "a traffic jam every 2,200 km and on one city day in ten (20 to 60 min at 1 to 6 km/h with halts of 5 to 20 s); a detour of 6 to "
        "20 km every 3,000 km, 1.2 to 4.5 km beside the road; a roadside check of 15 to 45 min every 5,000 km; red lights of 30 to 90 s; a "
        "tunnel of 1.5 to 4 km every 1,200 km; two roads with 15 km without reception, one of them told as a dead zone; a yard move on one "
        "city truck's night in five; dispatch closes one trip in twenty 20 to 90 min late.",
    ),
)
"""What of the week comes from where."""


def lognormal(rng: Random, median: float, sigma: float, least: float, most: float) -> float:
    """A duration of a lognormal distribution, held within bounds."""
    return float(np.clip(median * np.exp(sigma * rng.normal()), least, most))


def dock(rng: Random) -> float:
    """At a long-haul shipper's or receiver's dock."""
    return lognormal(rng, 38 * MINUTE, 0.9, 12 * MINUTE, 10 * HOUR)


def customer(rng: Random) -> float:
    """At a city customer; 23 min is the median where 26 is the mean."""
    return lognormal(rng, 23 * MINUTE, 0.5, 5 * MINUTE, 90 * MINUTE)


def night(rng: Random) -> float:
    """A long-haul driver's daily rest: the ten hours of the law, and what it takes to get going again."""
    return 10 * HOUR + lognormal(rng, 30 * MINUTE, 0.8, 3 * MINUTE, 4 * HOUR)


def rest_break(rng: Random) -> float:
    """The thirty minutes of the law, and a little."""
    return 30 * MINUTE + lognormal(rng, 6 * MINUTE, 0.9, 1 * MINUTE, 60 * MINUTE)


def lunch(rng: Random) -> float:
    """A city driver's lunch."""
    return float(rng.uniform(25, 45)) * MINUTE


def road_fuel(rng: Random) -> float:
    """At a fuel station, long-haul."""
    return float(rng.uniform(15, 30)) * MINUTE


def city_fuel(rng: Random) -> float:
    """At a fuel station, in the city."""
    return float(rng.uniform(8, 20)) * MINUTE


def short_stop(rng: Random) -> float:
    """Coffee, a washroom, a look at the tires."""
    return float(rng.uniform(4, 15)) * MINUTE


def border_queue(rng: Random) -> float:
    """In the queue before the booth."""
    return lognormal(rng, 12 * MINUTE, 0.73, 3 * MINUTE, 90 * MINUTE)


def border_booth(rng: Random) -> float:
    """At the booth, and for a few in secondary inspection."""
    secondary = rng.uniform(30, 90) if rng.random() < 0.0175 else 0.0
    return float(rng.uniform(5, 15) + secondary) * MINUTE


def roadside_check(rng: Random) -> float:
    """An inspection at the roadside."""
    return float(rng.uniform(15, 45)) * MINUTE


def jam(rng: Random) -> float:
    """In a traffic jam."""
    return float(rng.uniform(20, 60)) * MINUTE
