"""Durations as people write them: "90s", "5m", "1h30m", "14d"."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> timedelta:
    """Read "90s", "5m", "1h30m", "14d".

    Raises
    ------
    ValueError
        If the text is not one or several numbers, each followed by ms, s, m, h or d.
    """
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return timedelta(seconds=sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same: "1h30m"; "0s" for none."""
    rest, out = round(value.total_seconds() * 1000), ""
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(UNIT_SECONDS[unit] * 1000)
        count, rest = divmod(rest, size)
        out += f"{count}{unit}" if count else ""
    return out or "0s"


def milliseconds(value: timedelta) -> int:
    """Whole milliseconds of a duration."""
    return round(value.total_seconds() * 1000)
