"""The sentences in English; `french` has the same, in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from monitor.alerts.whereabouts import clock_time, length
from monitor.explain.case import Case, Rest
from monitor.explain.figures import interval, position, span
from monitor.explain.spot import Bar, Reason, Spot

LOADS: Mapping[str, str] = {
    "standard": "standard load",
    "local": "local load",
    "high_value": "high-value load",
    "dangerous": "dangerous goods",
}
PLACES: Mapping[str, str] = {
    "yard": "yard",
    "customer": "customer",
    "drop": "drop",
    "rest_area": "rest area",
    "fuel": "fuel stop",
    "parking": "truck parking",
    "repair": "repair shop",
    "port_of_entry": "port of entry",
    "inspection_station": "inspection station",
    "no_stop": "no-stop area",
    "high_risk": "high-risk area",
    "restricted": "restricted place",
    "dead_zone": "area without coverage",
    "jurisdiction": "jurisdiction",
}
ALARMS: Mapping[str, str] = {
    "panic": "panic alarm, not yet explained",
    "jamming": "jamming alarm, not yet explained",
    "tamper": "tamper alarm, not yet explained",
    "power_cut": "power cut of the device, not yet explained",
    "tow": "tow alarm, not yet explained",
}
REPORTED: Mapping[str, str] = {
    "panic": "panic",
    "jamming": "jamming of its signals",
    "tamper": "that it is tampered with",
    "power_cut": "a power cut",
    "tow": "that the vehicle is towed",
}
SEVERITIES: Mapping[str, str] = {"note": "NOTE", "warning": "WARNING", "critical": "CRITICAL"}
TITLES: Mapping[str, str] = {
    "unauthorized_stop": "unscheduled stop, not yet explained",
    "route_deviation": "away from the planned route, not yet explained",
    "wrong_way": "going back along the planned route, not yet explained",
    "long_dwell": "a stay longer than planned",
    "zone_breach": "presence that a place does not allow, not yet explained",
    "after_hours_movement": "movement when none was planned, not yet explained",
    "separation": "tractor and trailer apart, not yet explained",
    "signal_lost": "no position received, not yet explained",
    "door_open": "cargo door open, not yet explained",
    "device_alarm": "alarm from the device, not yet explained",
    "impossible_movement": "a position too far away to be true",
}


def unauthorized_stop(case: Case) -> str:
    """Stood, where, how far from where it may, limit and why."""
    return f"stood {_lasted(case)}{_at(case.spot)}{_bars(case.spot)}{_away(case.spot)}; {_stop_limit(case)}{_presumed(case)}"


def route_deviation(case: Case) -> str:
    """How far off which route, since when, limit and why."""
    off = f"up to {length(case.signal.measure, 'en')} from its route {case.route_name}".rstrip()
    return f"{off}, {_when(case)}; {_limit(length(case.signal.limit, 'en'), case.corridor_reason())}{_presumed(case)}"


def wrong_way(case: Case) -> str:
    """How far back along which route, from where."""
    back = f"came back {length(case.signal.measure, 'en')} along its route {case.route_name}".rstrip()
    turned = f"from the furthest point, which it reached at {_hour(case, case.signal.since)}{_at(case.spot)}"
    return f"{back} {turned}{_ending(case, 'back_m')}"


def long_dwell(case: Case) -> str:
    """In which place for how long, limit and why."""
    limit = _limit(span(case.signal.limit * 1000), case.dwell_reason())
    return f"in {_place(case)} for {_lasted(case)}; {limit}{_presumed(case)}"


def zone_breach(case: Case) -> str:
    """Inside a restricted place, or out of a yard outside its hours."""
    if case.place is not None and case.place.kind == "yard":
        hours = f" (open {case.place.hours.text})" if case.place.hours else ""
        return f"left {_place(case)} at {_hour(case, case.signal.since)}, outside its hours{hours}"
    held = f" for {_lasted(case)}" if case.signal.measure >= 1 else ""
    return f"inside {_place(case)}{held}, {_when(case)}{_ending(case, 'limit')}"


def after_hours_movement(case: Case) -> str:
    """How far it moved, from when, and what forbade it."""
    moved = f"moved {length(case.signal.measure, 'en')} since it last stood or might move, {_when(case)}"
    return f"{moved}, {_forbidden(case)}{_ending(case, 'moved_m')}"


def separation(case: Case) -> str:
    """How far tractor and trailer are apart, under way."""
    trailer = f" {case.trip.trailer}" if case.trip and case.trip.trailer else ""
    return (
        f"under way up to {length(case.signal.measure, 'en')} from its trailer{trailer}, {_when(case)}{_ending(case, 'apart_m')}"
    )


def signal_lost(case: Case) -> str:
    """Since when nothing is heard, how it was last heard, how much of it the distance explains, limit and why."""
    signal, state = case.signal, "standing" if case.stood else "under way"
    silent = f"silent {_silent(case)}; last heard {state}{_at(case.spot)}"
    if case.place is not None:
        silent += f", in {_place(case)}"
    if signal.until is not None:
        rest = f"{span(signal.measure * 60_000)} of {span(signal.until - signal.since)} unaccounted for"
        silent += f"; {rest} at {case.assumed_kmh:.0f} km/h" if signal.measure else "; the distance since accounts for the time"
        silent += ", and heard again elsewhere" if signal.severity == "critical" else ""
    third = span(signal.limit * 20_000)
    reason = case.silence_reason()
    because = {
        "rhythm": f": three of its {'parked ' if case.stood else ''}report intervals of {third}",
        "first": f": three times {third}, until its rhythm while parked is known",
    }.get(reason.level)
    limit = span(signal.limit * 60_000)
    return f"{silent}; {_limit(limit, reason) if because is None else f'limit {limit}{because}'}"


def door_open(case: Case) -> str:
    """Since when the door is open, and why it should not be there."""
    where = ", under way" if case.spot.inside else f"{_bars(case.spot)}{_away(case.spot)}"
    return f"its cargo door {'was' if case.ended else 'has been'} open {_when(case)}{where}{_ending(case, 'limit')}"


def device_alarm(case: Case) -> str:
    """Which alarm the device shows, since when."""
    name = REPORTED.get(case.signal.detail or "", "an alarm")
    parameter = "jamming_limit" if case.signal.detail == "jamming" else "limit"
    return f"its device {'reported' if case.ended else 'reports'} {name} {_when(case)}{_ending(case, parameter)}"


def impossible_movement(case: Case) -> str:
    """How far the position moved at once, and how far it could have."""
    to = f" to {position(case.spot.lon, case.spot.lat)}" if case.spot.known else ""
    moved = f"its position moved {length(case.signal.measure, 'en')} at once at {_hour(case, case.signal.since)}{to}"
    return f"{moved}; at {case.jump_kmh:.0f} km/h no more than {length(case.signal.limit, 'en')} was possible"


KINDS: Mapping[str, Callable[[Case], str]] = {
    "unauthorized_stop": unauthorized_stop,
    "route_deviation": route_deviation,
    "wrong_way": wrong_way,
    "long_dwell": long_dwell,
    "zone_breach": zone_breach,
    "after_hours_movement": after_hours_movement,
    "separation": separation,
    "signal_lost": signal_lost,
    "door_open": door_open,
    "device_alarm": device_alarm,
    "impossible_movement": impossible_movement,
}


def other(case: Case) -> str:
    """What is said of a kind without a sentence of its own: how much, against what limit."""
    measure, limit = (_amount(value, case.signal.unit) for value in (case.signal.measure, case.signal.limit))
    return f"{measure}, {_when(case)}; limit {limit}{_presumed(case)}"


def rest(rest: Rest) -> str:
    """Why nobody was told of a stop, or what was."""
    if rest.raised:
        return f"raised: {', '.join(dict.fromkeys(TITLES[signal.kind] for signal in rest.raised))}"
    stood = span(rest.stood_ms)
    if not rest.stop.authorized:
        limit, short = span(rest.limit_s * 1000), rest.stood_ms < rest.limit_s * 1000
        under = f"{stood} of {limit} allowed here" if short else f"{stood}, less than {limit} of it where it may not"
        return f"{under}{_bars(rest.spot)}{_away(rest.spot)}"
    if rest.authorization is not None:
        until = clock_time(rest.authorization.ends_at, rest.spot.zone, "en")
        return f"authorized until {until} by {rest.authorization.by}: {rest.authorization.why}; {stood}"
    where = f"approved {PLACES[rest.place.kind]} {rest.place.name}" if rest.place else "where it may"
    return f"{where}; {stood}" + (f" of {span(rest.dwell_s * 1000)}" if math.isfinite(rest.dwell_s) else ", no limit there")


def _lasted(case: Case) -> str:
    """How long, and whether it goes on: "34 min so far"."""
    return span(case.signal.measure * 1000) + ("" if case.ended else " so far")


def _hour(case: Case, ms: int) -> str:
    return clock_time(ms, case.spot.zone, "en")


def _when(case: Case) -> str:
    """Since when and where first: "since 05:00 EST, first at 43.62000, -79.71000", or "from 05:00 to 05:40 EST, first at ..."."""
    return f"{_silent(case)}, first{_at(case.spot)}"


def _silent(case: Case) -> str:
    """Since when, until when: "since 05:00 EST", or "from 05:00 to 05:40 EST"."""
    if case.signal.until is None:
        return f"since {_hour(case, case.signal.since)}"
    begin, end = interval(case.signal.since, case.signal.until, case.spot.zone, "en")
    return f"from {begin} to {end}"


def _at(spot: Spot) -> str:
    return f" at {position(spot.lon, spot.lat)}" if spot.known else " at a position not known"


def _place(case: Case) -> str:
    """The place by name and kind: "Example yard (yard)"."""
    return f"{case.place_name} ({PLACES[case.place.kind]})" if case.place else case.place_name or "a place no longer on record"


def _bars(spot: Spot) -> str:
    """The places around it that do not let it stand, and why."""
    return "".join(f", in {bar.place.name} ({PLACES[bar.place.kind]}), {_barred(bar)}" for bar in spot.bars)


def _barred(bar: Bar) -> str:
    if bar.why == "closed":
        return f"closed then (open {bar.place.hours.text if bar.place.hours else ''})"
    return "which its trip does not name" if bar.why == "unnamed" else "where no vehicle may stand"


def _away(spot: Spot) -> str:
    """How far the nearest place is where it may stand."""
    if not spot.known:
        return ""
    if spot.nearest is None:
        return ", and no place is on record where it may"
    place, metres = spot.nearest
    return "" if metres == 0.0 else f", {length(metres, 'en')} from the nearest place where it may: {place.name}"


def _stop_limit(case: Case) -> str:
    limit = span(case.signal.limit * 1000)
    if case.red_zone_m is not None and case.origin is not None:
        origin, metres = case.origin
        away = f"{length(metres, 'en')} from its origin {origin.name}"
        return f"limit {limit}: {LOADS['high_value']}, {away}, inside the red zone of {length(case.red_zone_m, 'en')}"
    reason = case.stop_reason()
    if case.place is not None:
        special = "" if reason.level in ("", "rule") else f", {_because(reason)}"
        grave = ", inside the red zone" if case.signal.severity == "critical" else ""
        return f"limit {limit}: inside {_place(case)}{special}{grave}"
    return _limit(limit, reason)


def _ending(case: Case, parameter: str) -> str:
    """What a sentence ends with: the limit where there is one, and whether silence reached it."""
    signal = case.signal
    reason = case.spot.reason(signal.kind, parameter, signal.limit)
    return (f"; {_limit(_amount(signal.limit, signal.unit), reason)}" if signal.limit else "") + _presumed(case)


def _limit(limit: str, reason: Reason) -> str:
    """The limit and its reason: "limit 15 min: high-value load", "limit 30 min as a rule"."""
    if reason.level == "rule":
        return f"limit {limit} as a rule"
    return f"limit {limit}: {_because(reason)}" if reason.level else f"limit {limit}"


def _because(reason: Reason) -> str:
    if reason.level == "load":
        return LOADS[reason.name]
    fixed = {"route": "the corridor of this route", "place": "set for this place"}
    return fixed.get(reason.level, f"set for {reason.level} {reason.name}")


def _forbidden(case: Case) -> str:
    """What forbade the movement."""
    if case.signal.severity == "critical":
        lockdown = case.lockdown
        return f"under a lockdown by {lockdown.by}: {lockdown.why}" if lockdown else "under a lockdown"
    said = [f"outside the hours {case.hours}"] if case.hours else []
    return " and ".join([*said, *(["on no trip"] if case.tripless else [])]) or "when it was not to move"


def _presumed(case: Case) -> str:
    return "; presumed: silent since its last report, which showed it" if case.signal.presumed else ""


def _amount(value: float, unit: str) -> str:
    return length(value, "en") if unit == "m" else span(value * (60_000 if unit == "min" else 1000))
