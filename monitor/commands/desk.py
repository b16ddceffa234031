"""The commands of dispatch and administration: incidents, ack, resolve, carrier, verify."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from rich.console import Console

from monitor import board
from monitor.alerts import handling
from monitor.clock import Clock, clock_beside
from monitor.commands.speaking import show, typed_command
from monitor.configuration import SETTINGS, load_configuration
from monitor.errors import InputError
from monitor.hours import local_text
from monitor.settings import load_settings
from monitor.store import credentials, journal
from monitor.store.store import Store


@contextmanager
def _opened(options: argparse.Namespace, *, create: bool = False) -> Iterator[tuple[Store, Clock]]:
    """The database of the configuration, and the clock it lives by: a demo's has one of its own beside it."""
    settings = load_settings(options.config / SETTINGS, options.set)
    store = Store.open(settings.store.url, settings.store.busy_timeout, create=create)
    try:
        yield store, clock_beside(store.file)
    finally:
        store.close()


def incidents(options: argparse.Namespace) -> None:
    """List the incidents that need somebody, or the newest hundred of any state."""
    desk = load_configuration(options.config, options.set).desk(typed_command())
    with _opened(options) as (store, clock):
        entries, now = handling.list_incidents(store, 100 if options.all else None), clock()
    rows, zone = board.rows(entries, desk, desk.world), desk.surroundings.zone
    if not rows:
        show("no incident needs anybody")
    elif sys.stdout.isatty():
        Console().print(board.table(rows, now, zone))
    else:
        show(*board.plain(board.Board(now, zone, 0, 0, rows))[1:])


def acknowledge(options: argparse.Namespace) -> None:
    """Take an incident."""
    with _opened(options) as (store, clock):
        incident = handling.acknowledge(store, options.number, options.by, clock())
    show(f"incident {incident.id}: {incident.subject}, acknowledged by {options.by}")


def resolve(options: argparse.Namespace) -> None:
    """End an incident."""
    with _opened(options) as (store, clock):
        incident = handling.resolve(store, options.number, options.by, options.outcome, options.why, clock())
    show(f"incident {incident.id}: {incident.subject}, resolved by {options.by}: {options.outcome}")


def carrier(options: argparse.Namespace) -> None:
    """List, add or revoke credentials."""
    if options.action != "list" and not options.subject:
        raise InputError(f"carrier {options.action}: names {'a carrier' if options.action == 'add' else 'a credential number'}")
    if options.action == "revoke" and not options.subject.isdigit():
        raise InputError(f"carrier revoke {options.subject}: allowed is the number that `monitor carrier list` shows")
    with _opened(options, create=options.action == "add") as (store, clock):
        if options.action == "list":
            with store.read() as transaction:
                found = [_credential(each) for each in credentials.listed(transaction)]
            show(*(found or ["no credential yet"]))
        elif options.action == "revoke":
            with store.begin() as transaction:
                show(f"revoked: {_credential(credentials.revoke(transaction, int(options.subject), clock()))}")
        else:
            _add_credential(store, options, clock())


def _add_credential(store: Store, options: argparse.Namespace, now: int) -> None:
    name, slash, vehicle = options.subject.partition("/")
    if slash and not vehicle:
        raise InputError(f"carrier add {options.subject}: allowed is CARRIER or CARRIER/VEHICLE")
    with store.begin() as transaction:
        if options.password_stdin and options.dispatch:
            raise InputError("carrier add --dispatch --password-stdin: allowed is a generated token for dispatch")
        if options.password_stdin:
            secret = sys.stdin.readline().rstrip("\n")
            credentials.set_password(transaction, name, vehicle or None, secret, now)
            show(f"{options.subject} may connect with that password")
        else:
            token = credentials.create(transaction, name, vehicle or None, now, dispatch=options.dispatch)
            show(f"user name: {options.subject}", f"token:     {token}", "The token is not kept and not shown again.")


def _credential(each: credentials.Credential) -> str:
    subject = each.carrier + (f"/{each.vehicle}" if each.vehicle else "")
    state = "in force" if each.revoked is None else "revoked"
    what = each.kind if each.role == credentials.DEVICE else f"{each.role} {each.kind}"
    return f"{each.id}  {subject}  {what}  since {local_text(each.created, ZoneInfo('UTC'))}  {state}"


def verify(options: argparse.Namespace) -> int:
    """Check the chain of the journal; 1 where it is broken."""
    with _opened(options) as (store, _):
        broken = journal.verify(store)
    show("the journal verifies" if broken is None else f"the journal does not verify from entry {broken} on")
    return 0 if broken is None else 1
