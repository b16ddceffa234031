"""Announcing: every incident that is not resolved stands as a retained message at its topic, for a carrier's own systems.

`monitor/v1/{carrier}/incidents/{id}` holds one JSON object; a resolved incident is told once more and then cleared. What stands is
compared with the database each second, so that it does not matter who changed an incident: the monitor, a command, a restart.
"""

from __future__ import annotations

import json
import time
from typing import Protocol

from sqlalchemy import select

from monitor.alerts.incident import FOREVER, Incident, State
from monitor.clock import Clock
from monitor.signals import timestamp
from monitor.store.alerts_store import find_incidents
from monitor.store.schema import incident as incident_table
from monitor.store.store import Store

EVERY_S = 1.0
AT_ONCE = 500
"""Incidents told in one turn; the rest wait for the next."""
AGO_MS = 7 * 86_400_000
"""What was resolved since, perhaps while nobody told of it, is told and cleared at the start: a broker keeps what is retained."""


class Publish(Protocol):
    """Tells those who listen at a topic."""

    def __call__(self, carrier: str, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish; what is retained stands until it is published empty."""
        ...


Stamp = tuple[object, ...]
"""What changes whenever an incident does."""


class Announcer:
    """Keeps what stands at the topics up to date; `turn` is quick where nothing changed."""

    def __init__(self, store: Store, publish: Publish, clock: Clock) -> None:
        self._store, self._publish, self._clock = store, publish, clock
        self._first = True
        self._standing: dict[int, Stamp] = {}
        self._looked = float("-inf")

    def turn(self) -> None:
        """Announce what changed since the last turn.

        Raises
        ------
        StoreError
            If the database cannot be read.
        """
        now = time.monotonic()
        if now - self._looked < EVERY_S:
            return
        self._looked = now
        columns = [incident_table.c[name] for name in ("id", "version", "severity", "clear", "until", "withdrawn")]
        query = select(*columns).where(incident_table.c.state != State.RESOLVED)
        since = incident_table.c.resolved_at >= (self._clock() - AGO_MS if self._first else FOREVER)
        with self._store.read() as transaction:
            present: dict[int, Stamp] = {row[0]: tuple(row[1:]) for row in transaction.connection.execute(query)}
            changed = [number for number, stamp in present.items() if self._standing.get(number) != stamp]
            self._standing |= dict.fromkeys(
                transaction.connection.execute(select(incident_table.c.id).where(since)).scalars(), ()
            )
            self._first = False
            gone = [number for number in self._standing if number not in present]
            told = find_incidents(transaction, [*changed, *gone][:AT_ONCE])
        for number, value in told.items():
            topic = topic_of(value)
            self._publish(value.carrier, topic, payload(value), retain=value.state is not State.RESOLVED)
            if value.state is State.RESOLVED:
                self._publish(value.carrier, topic, b"", retain=True)
                self._standing.pop(number, None)
            else:
                self._standing[number] = present[number]


def topic_of(value: Incident) -> str:
    """Where an incident is announced."""
    return f"monitor/v1/{value.carrier}/incidents/{value.id}"


def payload(value: Incident) -> bytes:
    """An incident in JSON: what, since when, where; nobody's name."""
    signals = [
        {
            "kind": member.signal.kind,
            "since": timestamp(member.signal.since),
            "at": timestamp(member.signal.at),
            "until": None if member.signal.until is None else timestamp(member.signal.until),
            "place": member.signal.place,
            "route": member.signal.route,
            "withdrawn": member.withdrawn is not None,
        }
        for member in value.members
    ]
    said = {
        "id": value.id,
        "carrier": value.carrier,
        "vehicle": value.vehicle,
        "severity": value.severity,
        "state": str(value.state),
        "since": timestamp(value.since),
        "opened": timestamp(value.opened),
        "outcome": value.outcome,
        "signals": signals,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
