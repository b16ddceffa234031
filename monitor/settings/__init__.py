"""Every setting, with its unit, default and bounds; TOML and `--set KEY=VALUE` become frozen values here and nowhere else.

A setting is a dotted key (`motion.radius_m`). Durations are written "90s", "5m", "2h", "14d" and become `timedelta`; other numbers
carry their unit as a suffix of the key. An unknown key, a wrong type and a value out of bounds are faults that name the file, the
key, the value and what is allowed. Limits are inherited trip > load class > carrier > place > global: `load.high_value.…` and
`carrier.NAME.…` repeat the keys below `detectors` and override them; so do the `limits` of a trip and of a place.
"""

from __future__ import annotations

from monitor.settings.durations import format_duration, milliseconds, parse_duration
from monitor.settings.reader import Setting, effective, load_settings, read_limits, read_settings
from monitor.settings.sections import (
    LOADS,
    NOTHING_SAID,
    Alerts,
    Broker,
    Detectors,
    Feed,
    Health,
    Ingest,
    Keep,
    Limits,
    Listener,
    Log,
    LongDwell,
    Motion,
    Order,
    RouteDeviation,
    Settings,
    Smtp,
    Store,
    UnauthorizedStop,
    Web,
)

__all__ = [
    "LOADS",
    "NOTHING_SAID",
    "Alerts",
    "Broker",
    "Detectors",
    "Feed",
    "Health",
    "Ingest",
    "Keep",
    "Limits",
    "Listener",
    "Log",
    "LongDwell",
    "Motion",
    "Order",
    "RouteDeviation",
    "Setting",
    "Settings",
    "Smtp",
    "Store",
    "UnauthorizedStop",
    "Web",
    "effective",
    "format_duration",
    "load_settings",
    "milliseconds",
    "parse_duration",
    "read_limits",
    "read_settings",
]
