"""Habits: how vehicles use a spot, and what kind of place that speaks for.

Definitions
    A *stay* is a vehicle, and when it began and ended to stand there. Hours and days are local; a stay's day is that of its beginning,
    and a stay that lasts over 03:00 is a *night*.
    The rules of `guess`, the first that fits: beside a known place, its kind. Of fewer than four stays nothing can be told: parking.
    Nights, if they are a third: a yard where vehicles come back for them, or at the end of a route; a rest area along a route; else
    parking. Short stays of many vehicles that do not come back the same day: fuel. Stays of up to two hours of many vehicles, along a
    route or at all hours: a rest area. By day or at the end of a route, up to four hours: a customer. Longer, many vehicles: a yard.
    Else parking.
    It is a guess: a named person says what the place is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from statistics import median
from zoneinfo import ZoneInfo

from monitor.fixes import VehicleId
from monitor.places import Place
from monitor.settings import format_duration
from monitor.signals import EPOCH

VEHICLES, DAYS = 2, 3
"""It takes so many vehicles, or one on so many days, to make a habit."""
MANY_VEHICLES = 3
FEW_STOPS = 4
NIGHT = time(3)
DAY_BEGINS, DAY_ENDS = 5, 20
SHORT = (timedelta(minutes=5), timedelta(minutes=25))
LONG = timedelta(hours=4)
REST = timedelta(hours=2)
MOSTLY = 0.6


class Route(Enum):
    """How a spot lies to the known routes."""

    NONE = "near none"
    ALONG = "along one"
    END = "at an end of one"


Stay = tuple[VehicleId, int, int]
"""A vehicle, and when it began and ended to stand at the spot (ms since 1970 UTC)."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What is counted of the stays at a spot."""

    stops: int
    vehicles: int
    days: int
    first: date
    last: date
    dwell: timedelta
    """The median stay, to the minute."""
    by_day: int
    """Stays that begin from 05:00 to 20:00."""
    nights: int
    night_vehicles: int
    calls: int
    """Vehicles counted anew each day."""
    busiest: int
    """Stays of the vehicle that has the most."""

    @property
    def counts(self) -> bool:
        """Whether it is a habit at all."""
        return self.vehicles >= VEHICLES or self.days >= DAYS

    def __str__(self) -> str:
        vehicles = "one vehicle" if self.vehicles == 1 else f"{self.vehicles} vehicles"
        days = "one day" if self.days == 1 else f"{self.days} days"
        mostly = self.vehicles > 1 and self.busiest >= MOSTLY * self.stops
        share = f", {self.busiest} of them of one vehicle" if mostly else ""
        return f"{self.stops} stops of {vehicles} on {days}{share}, {format_duration(self.dwell)} in the median"


def habit_of(stays: Sequence[Stay], zone: ZoneInfo) -> Habit:
    """Count what is to be known of one stay or more."""
    local = [(vehicle, _local(since, zone), _local(until, zone)) for vehicle, since, until in stays]
    nights = [vehicle for vehicle, begin, end in local if _passes_night(begin, end)]
    days = sorted({begin.date() for _, begin, _ in local})
    return Habit(
        stops=len(stays),
        vehicles=len({vehicle for vehicle, _, _ in stays}),
        days=len(days),
        first=days[0],
        last=days[-1],
        dwell=timedelta(minutes=round(median(until - since for _, since, until in stays) / 60_000)),
        by_day=sum(DAY_BEGINS <= begin.hour < DAY_ENDS for _, begin, _ in local),
        nights=len(nights),
        night_vehicles=len(set(nights)),
        calls=len({(vehicle, begin.date()) for vehicle, begin, _ in local}),
        busiest=max(Counter(vehicle for vehicle, _, _ in stays).values()),
    )


def _local(ms: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(milliseconds=ms)).astimezone(zone)


def _passes_night(begin: datetime, end: datetime) -> bool:
    night = datetime.combine(begin.date(), NIGHT, begin.tzinfo)
    return begin <= (night if begin <= night else night + timedelta(days=1)) <= end


def guess(habit: Habit, beside: Place | None, route: Route) -> tuple[str, str]:
    """Guess the kind of a spot from its habit and what lies around it; gives the kind, and why in words."""
    many = habit.vehicles >= MANY_VEHICLES
    if beside is not None:
        return beside.kind, f"that is what {beside.name} beside it is"
    if habit.stops < FEW_STOPS:
        return "parking", "too few stops to tell more"
    if 3 * habit.nights >= habit.stops:
        return _of_nights(habit, route, many=many)
    if SHORT[0] <= habit.dwell <= SHORT[1] and many and 2 * habit.stops <= 3 * habit.calls:
        return "fuel", "short stops of many vehicles, seldom twice a day"
    at_all_hours = route is Route.NONE and 4 * habit.by_day < 3 * habit.stops
    if habit.dwell <= REST and many and (route is Route.ALONG or at_all_hours):
        return "rest_area", "stops of many vehicles " + ("at all hours" if at_all_hours else "along a route")
    if habit.dwell <= LONG and (route is Route.END or 2 * habit.by_day >= habit.stops):
        return "customer", "stops " + ("at the end of a route" if route is Route.END else "by day")
    if habit.dwell > LONG and many:
        return "yard", f"stops of many vehicles, longer than {format_duration(LONG)}"
    return "parking", "nothing speaks for another kind"


def _of_nights(habit: Habit, route: Route, *, many: bool) -> tuple[str, str]:
    if habit.night_vehicles >= MANY_VEHICLES and habit.nights >= 2 * habit.night_vehicles:
        return "yard", f"{habit.night_vehicles} vehicles come back for the night, {habit.nights} nights in all"
    nights = f"{habit.nights} of {habit.stops} stops last over night"
    if many and route is Route.END:
        return "yard", f"{nights}, at the end of a route"
    if many and route is Route.ALONG:
        return "rest_area", f"{nights}, along a route"
    return "parking", nights
