"""Opening hours of a place: "Mo-Fr 06:00-18:00; Sa 08:00-12:00", in the place's own time zone.

The form is the weekly part of the OpenStreetMap `opening_hours` key: day ranges and lists, time ranges that may pass midnight,
rules separated by `;`, `24/7`. Open is half-open: at 18:00 exactly the place is closed.
Shapes: N instants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from monitor.fixes import I64, Bool
from monitor.signals import EPOCH

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
WEEK_MINUTES = 7 * 1440
MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
RULE = re.compile(r"(?:(?P<days>[A-Za-z ,-]+?)\s+)?(?P<times>\d\d:\d\d-\d\d:\d\d(?:\s*,\s*\d\d:\d\d-\d\d:\d\d)*)")
ALLOWED = 'hours such as "Mo-Fr 06:00-18:00; Sa 08:00-12:00" or "24/7"'


@dataclass(frozen=True)
class Hours:
    """The minutes of a week at which a place is open."""

    text: str
    zone: ZoneInfo
    open_minutes: Bool
    """(10080,) from Monday 00:00 local."""

    def open_at(self, time: I64) -> Bool:
        """(N,) whether the place is open at each instant (ms since 1970 UTC)."""
        quarter, of = np.unique(time // QUARTER_MS, return_inverse=True)  # zones change on quarters of an hour
        offset = np.array([self._offset_minutes(int(q) * QUARTER_MS) for q in quarter], dtype=np.int64)
        local = time // MINUTE_MS + offset[of]
        return np.take(self.open_minutes, (local + 3 * 1440) % WEEK_MINUTES)  # 1970-01-01 was a Thursday

    def _offset_minutes(self, ms: int) -> int:
        local = (EPOCH + timedelta(milliseconds=ms)).astimezone(self.zone)
        return int((local.utcoffset() or timedelta()).total_seconds() // 60)


def parse_hours(text: str, zone: ZoneInfo) -> Hours:
    """Read opening hours.

    Raises
    ------
    ValueError
        With what is allowed, if the text is not of that form or the place would never open.
    """
    minutes = np.zeros(WEEK_MINUTES, dtype=bool)
    if text.strip() == "24/7":
        minutes[:] = True
    else:
        for rule in filter(None, (part.strip() for part in text.split(";"))):
            match = RULE.fullmatch(rule)
            if not match:
                raise ValueError(f"{rule!r} is not of the form of {ALLOWED}")
            days = _days(match["days"])
            for times in match["times"].split(","):
                begin, end = (_minute(part) for part in times.strip().split("-"))
                length = end - begin if end > begin else end - begin + 1440
                for day in days:
                    minutes[(day * 1440 + begin + np.arange(length)) % WEEK_MINUTES] = True
    if not minutes.any():
        raise ValueError(f"{text!r} never opens; allowed are {ALLOWED}")
    return Hours(text, zone, minutes)


def _days(text: str | None) -> list[int]:
    if not text:
        return list(range(7))
    out: list[int] = []
    for part in (piece.strip() for piece in text.split(",")):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"{part!r} is no day; days are {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        out += [(begin + step) % 7 for step in range((end - begin) % 7 + 1)]
    return out


def _minute(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    if hour > 24 or minute > 59 or hour * 60 + minute > 1440:
        raise ValueError(f"{text!r} is no time of day; allowed is 00:00 to 24:00")
    return hour * 60 + minute


def local_text(ms: int, zone: ZoneInfo) -> str:
    """An instant as people read it: local time with its zone, "2026-03-01 06:00 EST"."""
    local: datetime = (EPOCH + timedelta(milliseconds=ms)).astimezone(zone)
    return local.strftime("%Y-%m-%d %H:%M %Z")
