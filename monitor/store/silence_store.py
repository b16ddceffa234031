"""What the grouping of silences reads: who was heard when, and the incidents of vehicles that are lost.

Nothing here decides anything.
"""

from __future__ import annotations

from monitor.alerts.incident import EVERYTHING, Incident
from monitor.alerts.silence import LOST
from monitor.fixes import UNPOSITIONED
from monitor.store.alerts_store import find_incidents
from monitor.store.transaction import Transaction

AT_ONCE = 10_000
"""Incidents that are loaded in one go."""

LAST_POSITIONS = f"""
SELECT carrier, max(newest) AS newest FROM (SELECT v.carrier AS carrier, (SELECT f.time FROM fix AS f
WHERE f.vehicle_id = v.id AND f.quality & {int(UNPOSITIONED)} = 0 ORDER BY f.time DESC LIMIT 1) AS newest FROM vehicle AS v) AS each
WHERE newest IS NOT NULL GROUP BY carrier
"""  # noqa: S608 (a number, from this program)
OF_LOST = """
SELECT DISTINCT i.id FROM signal AS s JOIN incident_signal AS l ON l.signal_id = s.id AND l.link = 'joined'
JOIN incident AS i ON i.id = l.incident_id WHERE s.state = 'open' AND s.kind = ? AND
"""


def last_positions(transaction: Transaction) -> dict[str, int]:
    """Of each carrier the time (ms) of the newest position of any of its vehicles."""
    return {row.carrier: row.newest for row in transaction.run(LAST_POSITIONS)}


def incidents_of_lost(transaction: Transaction) -> list[Incident]:
    """The unresolved incidents that a `signal_lost` which lasts is part of, and all operational ones, by id."""
    return _found(transaction, "(i.state != 'resolved' OR i.vehicle = ?)", LOST, EVERYTHING)


def operational(transaction: Transaction) -> list[Incident]:
    """The operational incidents, of any state, that a `signal_lost` which lasts is part of, by id."""
    return _found(transaction, "i.vehicle = ?", LOST, EVERYTHING)


def _found(transaction: Transaction, condition: str, *values: str) -> list[Incident]:
    numbers = [row[0] for row in transaction.run(OF_LOST + condition, values)]
    found: dict[int, Incident] = {}
    for begin in range(0, len(numbers), AT_ONCE):
        found |= find_incidents(transaction, numbers[begin : begin + AT_ONCE])
    return [found[number] for number in sorted(found)]
