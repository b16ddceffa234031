"""Dispatch: trips that a dispatcher sends over MQTT, to `telematics/v1/{carrier}/{vehicle}/trip`.

A payload is one JSON object or an array of them, gzip or not, with the fields of a trips file; carrier and vehicle are the topic's and
may be left out. `{"id": ..., "withdrawn": true}` takes a trip back as if it had never been. A trip of the same id replaces the one
before over its whole interval. What is wrong becomes a reject with its reason; the rest of the message is taken.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.errors import ConfigurationError
from monitor.fixes import Reject
from monitor.history import GONE, PLACE, ROUTE, TRIP, Row, body_of, planned, withdrawn
from monitor.ingest.decode import REASONS, unpacked
from monitor.ingest.delivery import Message
from monitor.places import require
from monitor.trips import Trip, read_trip
from monitor.world import operating_hours

SOURCE = "dispatch"
MOST_TRIPS = 1000
"""Trips of one message."""


def read_plans(messages: Sequence[Message], rows: Sequence[Row], now: int) -> tuple[list[Row], list[Reject]]:
    """Give the rows that messages add to a history at `now` (ms), and what is wrong with them; what says nothing new adds none."""
    if not messages:
        return [], []
    reader, rejects = _Reader(rows, now), []
    for message in messages:
        faults = reader.read(message)
        if faults:
            more = [f"and {len(faults) - REASONS} more"] if len(faults) > REASONS else []
            reason = "; ".join([*faults[:REASONS], *more])
            rejects.append(Reject(message.carrier, message.vehicle, message.topic, reason, message.payload))
    return reader.news, rejects


class _Reader:
    """Reads messages against a history."""

    def __init__(self, rows: Sequence[Row], now: int) -> None:
        self.now, self.news = now, list[Row]()
        in_force = [row for row in rows if row.held and row.interval[1] > now]
        self.places = [row.name for row in in_force if row.kind == PLACE]
        self.routes = list(dict.fromkeys(row.name for row in rows if row.kind == ROUTE and row.body != GONE))
        self.trips = {row.name: row.body if row.held else GONE for row in rows if row.kind == TRIP}

    def read(self, message: Message) -> list[str]:
        """Read one message; gives its faults."""
        try:
            said = json.loads(unpacked(message.payload))
        except (ValueError, RecursionError, zlib.error) as error:
            return [f"not readable: {error}"]
        records = said if isinstance(said, list) else [said]
        if len(records) > MOST_TRIPS:
            return [f"{len(records)} trips in one message; allowed are {MOST_TRIPS}"]
        faults: list[str] = []
        for number, record in enumerate(records):
            where = f"trip {number}" if isinstance(said, list) else "trip"
            if isinstance(record, dict):
                self.record(record, message, where, faults)
            else:
                faults.append(f"{where}: allowed is a JSON object")
        return faults

    def record(self, record: Mapping[str, Any], message: Message, where: str, faults: list[str]) -> None:
        """Read one record: a trip, or that there is none any more."""
        before = len(faults)
        for name, own in (("carrier", message.carrier), ("vehicle", message.vehicle)):
            if record.get(name, own) != own:
                faults.append(f"{where}: {name} = {record[name]!r}: allowed is that of the topic, {own}")
        if len(faults) > before:
            return
        by = f"dispatch of {message.carrier}"
        if record.get("withdrawn") is True:
            self.withdraw(record.get("id"), message.carrier, by, where, faults)
            return
        trip = read_trip({**record, "carrier": message.carrier, "vehicle": message.vehicle}, where, faults)
        if trip is not None and self.fits(trip, where, faults):
            self.lay(trip.id, body_of(trip), planned(trip, SOURCE, by, self.now))

    def withdraw(self, name: Any, carrier: str, by: str, where: str, faults: list[str]) -> None:
        """Take a trip back; one that is not there stays away."""
        if not isinstance(name, str) or not name:
            faults.append(f"{where}: id = {name!r}: allowed is a trip's id")
        elif self.own(name, carrier, where, faults) and name in self.trips:
            self.lay(name, GONE, withdrawn(TRIP, name, SOURCE, by, self.now))

    def lay(self, name: str, body: str, row: Row) -> None:
        """Add a row, unless it says what is so already."""
        if self.trips.get(name) != body:
            self.trips[name] = body
            self.news.append(row)

    def fits(self, trip: Trip, where: str, faults: list[str]) -> bool:
        """Whether everything that a trip names is there."""
        before = len(faults)
        asked = [(self.routes, name, "route") for name in trip.routes]
        asked += [
            (self.places, name, what) for name, what in ((trip.origin, "origin"), (trip.destination, "destination")) if name
        ]
        asked += [(self.places, name, "authorized_places") for name in trip.authorized_places or ()]
        faults += [f"{where}: {fault}" for known, name, what in asked if (fault := require(known, name, what))]
        hours = trip.limits.get("after_hours_movement", {}).get("hours")
        if hours:
            try:
                operating_hours(hours, "UTC")
            except ConfigurationError as error:
                faults += [f"{where}: limits: {fault}" for fault in error.faults]
        self.own(trip.id, trip.carrier, where, faults)
        return len(faults) == before

    def own(self, name: str, carrier: str, where: str, faults: list[str]) -> bool:
        """Whether an id is free, or that of a trip of this carrier."""
        body = self.trips.get(name, GONE)
        mine = body == GONE or json.loads(body)["carrier"] == carrier
        if not mine:
            faults.append(f"{where}: id = {name!r}: is taken; allowed is an id of your own")
        return mine
