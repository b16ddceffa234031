"""Builders of signals, changes and desks for the tests of incidents; an hour "10:05" is one of the scene's day."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.alerts.channels import ADDRESSING
from monitor.alerts.contacts import Contact, Reach, load_contacts
from monitor.alerts.escalation import Policy, Step
from monitor.alerts.handling import Desk, process
from monitor.alerts.incident import Incident
from monitor.alerts.notice import Notice
from monitor.alerts.policies import Policies, load_policies
from monitor.alerts.whereabouts import Surroundings
from monitor.settings import Alerts
from monitor.signals import Change, ChangeKind, Signal, instant
from monitor.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
MINUTE = 60_000


def hour(text: str) -> int:
    """An hour such as "10:05" or "10:05:30" of Wednesday 4 February 2026, UTC."""
    return instant(f"2026-02-04T{text if text.count(':') == 2 else text + ':00'}Z")


def seen(
    since: str = "10:00",
    until: str | None = None,
    *,
    kind: str = "unauthorized_stop",
    severity: str = "warning",
    vehicle: str = "truck-17",
    carrier: str = "northline",
    place: str | None = None,
    presumed: bool = False,
    unit: str = "s",
    measure: float = 1860.0,
    limit: float = 1800.0,
) -> Signal:
    """A signal from `since` to `until`, which reached its limit half an hour after it began (or when it ended)."""
    begin = hour(since)
    at = begin + 30 * MINUTE if until is None else min(begin + 30 * MINUTE, hour(until))
    return Signal(
        kind=kind,
        carrier=carrier,
        vehicle=vehicle,
        place=place,
        route=None,
        trip=None,
        since=begin,
        at=at,
        until=None if until is None else hour(until),
        presumed=presumed,
        lon=-79.88123,
        lat=43.51234,
        measure=measure,
        limit=limit,
        unit=unit,
        severity=severity,
        raised=at,
        decided=at,
        closed=until is not None,
    )


def raised(signal: Signal, number: int | None = None) -> Change:
    """The signal is new."""
    return Change(ChangeKind.RAISED, number, signal)


def cleared(signal: Signal, number: int) -> Change:
    """The signal ended."""
    return Change(ChangeKind.CLEARED, number, signal)


def withdrawn(signal: Signal, number: int, reason: str = "a late fix showed that it drove on") -> Change:
    """The signal was taken back."""
    return Change(ChangeKind.WITHDRAWN, number, signal, reason=reason)


DISPATCH = Contact("dispatch", "dispatch", "dispatch", "en", (Reach("log"),))
RECORD = Contact("record", "the record", "record", "en", (Reach("log"),))
LADDER = Policy("ladder", (Step(0, ("dispatch",)), Step(5 * MINUTE, ("dispatch",))), 10 * MINUTE)
NOTES = Policy("notes", (Step(0, ("record",)),), None)
POLICIES = Policies({("", "warning"): LADDER, ("", "critical"): LADDER, ("", "note"): NOTES})
SURROUNDINGS = Surroundings(ZoneInfo("America/Toronto"), (("Milton yard", -79.90, 43.50),))
DESK = Desk(Alerts(), POLICIES, {"dispatch": DISPATCH, "record": RECORD}, SURROUNDINGS)


def shipped() -> Desk:
    """The desk of the configuration that is shipped."""
    contacts = load_contacts(ROOT / "config" / "contacts.toml", ADDRESSING)
    return Desk(Alerts(), load_policies(ROOT / "config" / "policies.toml", contacts), contacts, SURROUNDINGS)


@cache
def _empty_database() -> bytes:
    """The bytes of a database with every table and no row."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "monitor.db"
        Store.open(f"sqlite:///{file}", timedelta(seconds=10)).close()
        return file.read_bytes()


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """A store of its own in a real file, a copy of an empty one: the migrations run once."""
    (folder / "monitor.db").write_bytes(_empty_database())
    store = Store.open(f"sqlite:///{folder / 'monitor.db'}", timedelta(seconds=10))
    try:
        yield store
    finally:
        store.close()


def happens(store: Store, changes: Sequence[Change], now: int, desk: Desk = DESK) -> tuple[list[Change], list[Incident]]:
    """Store what a delivery did to the signals and let the handling follow, in one transaction."""
    with store.begin() as transaction:
        applied = transaction.apply_changes(changes, now)
        return applied, process(transaction, applied, now, desk)


def notice(key: str = "7-raised-1-dispatch-1", channel: str = "log", **changes: object) -> Notice:
    """A notice about incident 7."""
    values: dict[str, object] = {
        "id": 1,
        "incident": 7,
        "key": key,
        "occasion": "raised",
        "severity": "warning",
        "contact": "dispatch",
        "channel": channel,
        "address": "night@carrier.example" if channel == "email" else "",
        "language": "en",
        "subject": "[WARNING] truck-17: unscheduled stop, not yet explained (incident 7)",
        "body": "Who: truck-17 of northline\nWhat: unscheduled stop",
        "created": hour("10:30"),
        "attempts": 1,
        **changes,
    }
    return Notice(**values)  # type: ignore[arg-type]
