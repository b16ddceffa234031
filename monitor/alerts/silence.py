"""Silence of many: when vehicles fall silent together it is one operational matter, not one incident a vehicle.

Definitions
    A vehicle is *lost* while a `signal_lost` of it is open and no graver than a warning; what is critical is never grouped away.
    A carrier is *silent* once no position of any of its vehicles is newer than `TOGETHER`, unless it fell silent longer ago than
    `HISTORY`: positions uploaded long after are no news of a silence; the monitor is silent when that holds of
    all carriers, and the newest positions of at least two of them lie within `TOGETHER` of each other.
    Vehicles were lost *together* if they fell silent within `TOGETHER` before the newest position of the silent carrier (or of the
    silent monitor). At least `FEWEST` make an *operational* incident: of the carrier, or of the monitor, whose carrier is empty; its
    vehicle is empty. What is lost later, while the silence lasts, joins it.
    It is *heard again* when one of its vehicles is, or any vehicle newly. Those that are lost still `TOGETHER` after that part from it,
    each to its own incident, or, of a carrier that is silent still, to that carrier's.
What counts is what was known at the time: late data regroups nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.alerts.incident import EVERYTHING, MACHINE, SEVERITIES, Incident, Member
from monitor.signals import Signal

LOST = "signal_lost"
TOGETHER = 300_000
"""ms."""
HISTORY = 86_400_000
"""ms."""
FEWEST = 3
HEARD_AGAIN = "heard_again"
"""The fact of an operational incident: when we learned that it is heard again, ms."""

Heard = Mapping[str, int]
"""Of each carrier the newest position of any of its vehicles, ms."""


def is_lost(signal: Signal) -> bool:
    """Whether this is a silence that lasts, and may be grouped."""
    return signal.kind == LOST and signal.until is None and signal.severity != SEVERITIES[-1]


def lost_in(incident: Incident) -> list[Member]:
    """The silences of an incident that last."""
    return [member for member in incident.standing if is_lost(member.signal)]


def silent_with(carrier: str, heard: Heard, now: int) -> str | None:
    """Who is silent with a carrier: `EVERYTHING`, or only the carrier itself; None while it is heard."""
    if carrier not in heard or not TOGETHER <= now - heard[carrier] < HISTORY:
        return None
    newest = max(heard.values())
    lately = [name for name, time in heard.items() if time >= newest - TOGETHER]
    return EVERYTHING if now - newest >= TOGETHER and carrier in lately and len(lately) > 1 else carrier


def last_heard(scope: str, heard: Heard) -> int | None:
    """The newest position of a carrier, or of the whole monitor; None if there never was one."""
    return max(heard.values(), default=None) if scope == EVERYTHING else heard.get(scope)


def lasts(incident: Incident, heard: Heard) -> bool:
    """Whether everything that an operational incident is about is silent still."""
    lost = lost_in(incident)
    if not lost or len(lost) < len(incident.joined):
        return False
    newest = last_heard(incident.carrier, heard)
    return newest is None or newest <= max(member.signal.since for member in lost) + TOGETHER


def due(incident: Incident, heard: Heard, now: int) -> bool:
    """Whether an operational incident has to be looked at again: it is heard again, newly or for long enough."""
    if incident.resolved_by == MACHINE or not lost_in(incident):
        return False
    again = (incident.facts or {}).get(HEARD_AGAIN)
    return not lasts(incident, heard) if again is None else now - again >= TOGETHER
