"""Findings: what somebody should look into that is no incident, such as numbers missing, forged names, a flood, a lost session."""

from __future__ import annotations

from typing import NamedTuple

SEQUENCE_GAP = "sequence_gap"
NUMBERS_LOST = "numbers_lost"
FORGED_IDENTITY = "forged_identity"
FOREIGN_TOPIC = "foreign_topic"
UNKNOWN_DEVICE = "unknown_device"
RATE_LIMITED = "rate_limited"
SESSION_LOST = "session_lost"
STORE_FAULT = "store_fault"
ARCHIVE_AWAY = "archive_away"
CLOCK_STEPPED = "clock_stepped"
SECURITY = frozenset({FORGED_IDENTITY, FOREIGN_TOPIC})
"""The kinds that say that somebody may be at work."""


class Finding(NamedTuple):
    """One observation; observations of the same kind, carrier and subject count as one finding until it is closed."""

    kind: str
    carrier: str
    """Empty where it concerns the monitor itself."""
    subject: str
    """The vehicle, device, topic or client that it is about."""
    detail: str
