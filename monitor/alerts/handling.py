"""Handling: what follows from news and from people, inside one transaction each.

    process       the delivery's changes of the signal log: incidents folded, runs started and stopped, notices written
    tick          what is silent still after others were heard again; the runs that are due: the next step rung, the one after planned
    acknowledge   a person has it: the ringing stops in the same transaction
    resolve       a person says what it was: it is over

Whatever happens to an incident is one entry of the journal, `incident.WHAT`, with the incident's number: together they are its
timeline. No notice is written after an acknowledgement unless graver or new things open the incident again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from monitor.alerts import escalation, incident
from monitor.alerts.contacts import Contact, Contacts
from monitor.alerts.escalation import Ring, Run, RunState
from monitor.alerts.fold import fold, part
from monitor.alerts.incident import MACHINE, Incident, IncidentChange, State, What
from monitor.alerts.notice import Notice, Occasion, Outlook, write
from monitor.alerts.policies import Policies
from monitor.alerts.silence import due, is_lost
from monitor.alerts.whereabouts import Landmark, Surroundings
from monitor.errors import MonitorError
from monitor.explain import NOWHERE
from monitor.settings import Alerts, Settings, milliseconds
from monitor.signals import Change, ChangeKind
from monitor.store import alerts_store, notices_store, silence_store
from monitor.store.store import Store
from monitor.store.transaction import Transaction
from monitor.world import World

RUNS_A_TICK = 500
TELLING = {What.CLEARED: Occasion.CLEARED, What.ALL_WITHDRAWN: Occasion.WITHDRAWN}
"""What is told, once, to those who were rung, while the incident is in nobody's hands."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handling of incidents goes by: limits, who is rung for what, and the words of places."""

    alerts: Alerts
    policies: Policies
    contacts: Contacts
    surroundings: Surroundings
    world: World = NOWHERE
    """What signals are explained by."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        policies: Policies,
        contacts: Contacts,
        landmarks: Sequence[Landmark] = (),
        names: Mapping[str, str] | None = None,
        command: str = "monitor",
        world: World = NOWHERE,
    ) -> Desk:
        """The desk of a configuration; `names` are those of places and routes by id, `command` is what people type."""
        surroundings = Surroundings(ZoneInfo(settings.timezone), tuple(landmarks), names, command)
        return cls(settings.alerts, policies, contacts, surroundings, world)


class Call(NamedTuple):
    """One round of notices: on what occasion, which of the incident's rounds, and why."""

    occasion: Occasion
    version: int
    why: str


class Entry(NamedTuple):
    """An incident with its escalation, None where it never had one."""

    incident: Incident
    run: Run | None


def process(transaction: Transaction, changes: Sequence[Change], now: int, desk: Desk) -> list[Incident]:
    """What a delivery's changes, already stored, do to incidents, runs and notices; the incidents that changed come back."""
    news = [change for change in changes if change.what is not ChangeKind.MEASURED]
    if not news:
        return []
    known = alerts_store.incidents_for(transaction, news, now, milliseconds(desk.alerts.reopen))
    heard = None
    if any(change.what is ChangeKind.RAISED and is_lost(change.signal) for change in news):
        known = _with(known, silence_store.incidents_of_lost(transaction))
        heard = silence_store.last_positions(transaction)
    return [_settle(transaction, change, now, desk).incident for change in fold(known, news, now, desk.alerts, heard)]


def tick(transaction: Transaction, now: int, desk: Desk) -> int:
    """Ring what is due at `now`: one step of each run; returns how many runs rang.

    Before that, vehicles that stay silent while others are heard again leave the operational incident they are in.
    """
    _part(transaction, now, desk)
    runs = alerts_store.due_runs(transaction, now, RUNS_A_TICK)
    incidents = alerts_store.find_incidents(transaction, [run.incident for run in runs])
    return sum(_advance(transaction, run, incidents[run.incident], now, desk, Occasion.RAISED) for run in runs)


def _part(transaction: Transaction, now: int, desk: Desk) -> None:
    """Take operational incidents on."""
    operational = silence_store.operational(transaction)
    heard = silence_store.last_positions(transaction) if operational else {}
    operational = [each for each in operational if due(each, heard, now)]
    if operational:
        lost = [Change(ChangeKind.REVISED, each.id, each.signal) for incident in operational for each in incident.standing]
        theirs = alerts_store.incidents_for(transaction, lost, now, milliseconds(desk.alerts.reopen))
        known = _with(operational, [*theirs, *silence_store.incidents_of_lost(transaction)])
        for change in part(known, now, desk.alerts, heard):
            _settle(transaction, change, now, desk)


def _with(some: Sequence[Incident], others: Sequence[Incident]) -> list[Incident]:
    """Incidents of two lists, each once, by id."""
    found = {each.id: each for each in (*some, *others)}
    return [found[number] for number in sorted(found)]


def acknowledge(store: Store, number: int, by: str, now: int) -> Incident:
    """A named person takes an incident: it rings no more.

    Raises
    ------
    MonitorError
        If there is no such incident, it is not open, or nobody is named.
    """
    with store.begin() as transaction:
        change = incident.acknowledge(_existing(transaction, number), by, now)
        return _taken(transaction, change, f"acknowledged by {by.strip()} before it was sent", by.strip(), now)


def resolve(store: Store, number: int, by: str, outcome: str, why: str, now: int) -> Incident:
    """A named person ends an incident with what it turned out to be.

    Raises
    ------
    MonitorError
        If there is no such incident, it is resolved already, nobody is named, the outcome is unknown or a reason is missing.
    """
    with store.begin() as transaction:
        change = incident.resolve(_existing(transaction, number), by, outcome, why, now)
        return _taken(transaction, change, f"resolved by {by.strip()} before it was sent", by.strip(), now)


def list_incidents(store: Store, limit: int | None = None) -> list[Entry]:
    """The incidents that need somebody, the most urgent first; with a limit, the newest of any state instead."""
    with store.read() as transaction:
        return entries(transaction, limit)


def entries(transaction: Transaction, limit: int | None = None) -> list[Entry]:
    """As `list_incidents`, within a transaction."""
    found = alerts_store.unresolved(transaction) if limit is None else alerts_store.latest(transaction, limit)
    runs = alerts_store.find_runs(transaction, [each.id for each in found])
    return sorted((Entry(each, runs.get(each.id)) for each in found), key=urgency)


def urgency(entry: Entry) -> tuple[int, int, int, int]:
    """The order people work in: unhandled, handled, notes, resolved; of each the gravest, what still holds, the oldest first."""
    each = entry.incident
    turn = {State.OPEN: 0 if each.severity != incident.SEVERITIES[0] else 2, State.ACKNOWLEDGED: 1, State.RESOLVED: 3}
    return turn[each.state], -incident.SEVERITIES.index(each.severity), int(each.cleared is not None), each.opened


def outlook(run: Run | None, contacts: Contacts) -> Outlook:
    """What a run will do next."""
    if run is None or run.next_at is None or run.state is not RunState.RUNNING:
        return Outlook(None)
    names = [contact.name for contact in _reachable(run.policy.steps[run.step].contacts, contacts)]
    return Outlook(run.next_at, tuple(names))


def _existing(transaction: Transaction, number: int) -> Incident:
    found = alerts_store.find_incident(transaction, number)
    if found is None:
        raise MonitorError(f"there is no incident {number}; `monitor incidents` lists them")
    return found


def _taken(transaction: Transaction, change: IncidentChange, why: str, by: str, now: int) -> Incident:
    """Store what a person did: the incident, its run stopped, what waits to be sent suppressed, the journal."""
    saved = alerts_store.save_incident(transaction, change.after)
    _record(transaction, change, saved, by, now)
    run = alerts_store.find_run(transaction, saved.id)
    if run is not None and run.state is RunState.RUNNING:
        alerts_store.save_run(transaction, escalation.stop(run))
    notices_store.suppress_waiting(transaction, saved.id, why)
    return saved


def _settle(transaction: Transaction, change: IncidentChange, now: int, desk: Desk) -> Entry:
    """Store a folded change and let the ringing follow it."""
    saved = alerts_store.save_incident(transaction, change.after)
    _record(transaction, change, saved, MACHINE, now)
    run = alerts_store.find_run(transaction, saved.id)
    occasion = _start_of(change)
    if saved.state is State.OPEN and occasion is not None:
        policy = desk.policies.of(saved.carrier, saved.severity)
        run = escalation.start(saved.id, policy, now, run)
        _advance(transaction, run, saved, now, desk, occasion)
    elif saved.state is State.OPEN:
        _tell(transaction, change, saved, run, now, desk)
    elif occasion is not None:
        _write_down(transaction, saved, run, now, desk, occasion)
    elif run is not None and run.state is RunState.RUNNING:
        alerts_store.save_run(transaction, escalation.stop(run))
    return Entry(saved, run)


def _start_of(change: IncidentChange) -> Occasion | None:
    """Why the ringing starts (again), if it does."""
    for what, occasion in (
        (What.OPENED, Occasion.RAISED),
        (What.REOPENED, Occasion.REOPENED),
        (What.SEVERITY_RAISED, Occasion.SEVERITY),
    ):
        if change.said(what):
            return occasion
    return None


def _advance(transaction: Transaction, run: Run, each: Incident, now: int, desk: Desk, occasion: Occasion) -> bool:
    """Take a run one step on if it is due, writing what it rings, and store it."""
    rings, after = escalation.due(run, each, now)
    alerts_store.save_run(transaction, after)
    for ring in rings:
        first = ring.step == 0 and not (ring.loops and len(run.policy.steps) == 1)
        why = f"policy {run.policy.name}, step {ring.step + 1}" + (f", repeat {ring.loops}" if ring.loops else "")
        call = Call(occasion if first else Occasion.REPEAT, ring.version, why)
        _notify(transaction, each, _reachable(ring.contacts, desk.contacts), call, after, now, desk)
    return bool(rings)


def _tell(transaction: Transaction, change: IncidentChange, each: Incident, run: Run | None, now: int, desk: Desk) -> None:
    """Tell those who were rung that the condition ended or that late data took it back; the ringing goes on."""
    for what, occasion in TELLING.items():
        if change.said(what):
            names = notices_store.told_contacts(transaction, each.id)
            told = [desk.contacts[name] for name in names if name in desk.contacts]
            call = Call(occasion, each.version, f"they were told of it, and it is now {occasion}")
            _notify(transaction, each, told, call, run, now, desk)


def _write_down(transaction: Transaction, each: Incident, run: Run | None, now: int, desk: Desk, occasion: Occasion) -> None:
    """A note that began and ended in one delivery is written down once, and rings nobody."""
    policy = desk.policies.of(each.carrier, each.severity)
    ring = Ring(policy.steps[0].contacts, 0, 0, run.version + 1 if run is not None else 1)
    alerts_store.save_run(transaction, Run(each.id, policy, 0, None, state=RunState.EXHAUSTED, version=ring.version))
    contacts = _reachable(ring.contacts, desk.contacts)
    _notify(transaction, each, contacts, Call(occasion, ring.version, f"policy {policy.name}, already over"), None, now, desk)


def _reachable(names: Sequence[str], contacts: Contacts) -> list[Contact]:
    """The contacts of a step that there still are; where none is left dispatch, else everybody: nothing goes silent."""
    ringable = {name: contact for name, contact in contacts.items() if contact.channels and not contact.authority}
    known = [ringable[name] for name in names if name in ringable]
    return known or [contact for contact in ringable.values() if contact.role == "dispatch"] or list(ringable.values())


def _notify(
    transaction: Transaction,
    each: Incident,
    contacts: Sequence[Contact],
    call: Call,
    run: Run | None,
    now: int,
    desk: Desk,
) -> None:
    """Write one notice for each way to reach each contact, under a key that another attempt at writing it shares."""
    ahead = outlook(run, desk.contacts)
    for contact in contacts:
        ring = ahead.at is not None
        text = write(call.occasion, each, ahead, desk.surroundings, contact.language, ring=ring, world=desk.world)
        for number, reach in enumerate(contact.channels, 1):
            key = f"{each.id}-{call.occasion}-{call.version}-{contact.id}-{number}"
            notice = Notice(
                id=0,
                incident=each.id,
                key=key,
                occasion=call.occasion,
                severity=each.severity,
                contact=contact.id,
                channel=reach.channel,
                address=reach.address,
                language=contact.language,
                subject=text.subject,
                body=text.body,
                created=now,
                why=call.why,
            )
            if notices_store.add_notice(transaction, notice, now):
                body = {"incident": each.id, "key": key, "contact": contact.id, "channel": reach.channel, "why": call.why}
                transaction.record(MACHINE, "notice.queued", body, now)


def _record(transaction: Transaction, change: IncidentChange, saved: Incident, actor: str, now: int) -> None:
    """Enter everything that happened to an incident into the journal."""
    for event in change.events:
        body = {
            "incident": saved.id,
            "carrier": saved.carrier,
            "vehicle": saved.vehicle,
            "severity": saved.severity,
            "state": str(saved.state),
            "signal": event.signal,
            "why": event.why,
        }
        transaction.record(actor, f"incident.{event.what}", body, now)
