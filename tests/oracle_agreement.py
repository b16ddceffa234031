"""Where a signal log and the oracle's differ: what is exact must be equal, what is measured in space must be close."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from monitor.signals import Signal, log_order

CLOSE_SHARE, CLOSE_M = 2e-3, 0.5
CENTROID_DEGREES, POINT_DEGREES = 2e-3, 1e-9


def exact(signal: Signal) -> tuple[object, ...]:
    """What of a signal is exact: everything but what is measured in space."""
    return (
        signal.kind, signal.detail, signal.carrier, signal.vehicle, signal.since, signal.at, signal.until, signal.place, signal.route,
        signal.trip, round(signal.limit, 6), signal.unit, signal.presumed, signal.severity, signal.raised,
    )  # fmt: skip


def differences(found: Iterable[Signal], expected: Iterable[Signal]) -> list[str]:
    """Every signal that only one of both logs has, and every two that are the same but for what they measure."""
    ours, theirs = sorted(found, key=log_order), sorted(expected, key=log_order)
    mine, said = Counter(map(exact, ours)), Counter(map(exact, theirs))
    out = [f"only found: {signal}" for signal in (mine - said).elements()]
    out += [f"only expected: {signal}" for signal in (said - mine).elements()]
    if out:
        return out
    pairs = zip(sorted(ours, key=_order), sorted(theirs, key=_order), strict=True)
    return [f"measured otherwise: {a} and {b}" for a, b in pairs if not _close(a, b)]


def _order(signal: Signal) -> tuple[object, ...]:
    return (*log_order(signal), signal.trip or "")


def _close(one: Signal, other: Signal) -> bool:
    if math.isnan(one.lon) or math.isnan(other.lon):
        at = math.isnan(one.lon) and math.isnan(other.lon)
    else:
        degrees = CENTROID_DEGREES if one.kind == "unauthorized_stop" else POINT_DEGREES
        at = max(abs(one.lon - other.lon), abs(one.lat - other.lat)) <= degrees
    return at and math.isclose(one.measure, other.measure, rel_tol=CLOSE_SHARE, abs_tol=CLOSE_M)
