"""The commands of dispatch and administration: incidents, ack, resolve, verify."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from monitor import board
from monitor.alerts import handling
from monitor.clock import Clock, clock_beside
from monitor.commands.speaking import show, typed_command
from monitor.configuration import SETTINGS, load_configuration
from monitor.settings import load_settings
from monitor.store import journal
from monitor.store.store import Store


@contextmanager
def opened(options: argparse.Namespace, *, create: bool = False) -> Iterator[tuple[Store, Clock]]:
    """The database of the configuration, and the clock it lives by: a demo's has one of its own beside it."""
    settings = load_settings(options.config / SETTINGS, options.set)
    store = Store.of(settings.store, create=create)
    try:
        yield store, clock_beside(store.file)
    finally:
        store.close()


def incidents(options: argparse.Namespace) -> None:
    """List the incidents that need somebody, or the newest hundred of any state."""
    desk = load_configuration(options.config, options.set).desk(typed_command())
    with opened(options) as (store, clock):
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
    with opened(options) as (store, clock):
        incident = handling.acknowledge(store, options.number, options.by, clock())
    show(f"incident {incident.id}: {incident.subject}, acknowledged by {options.by}")


def resolve(options: argparse.Namespace) -> None:
    """End an incident."""
    with opened(options) as (store, clock):
        incident = handling.resolve(store, options.number, options.by, options.outcome, options.why, clock())
    show(f"incident {incident.id}: {incident.subject}, resolved by {options.by}: {options.outcome}")


def verify(options: argparse.Namespace) -> int:
    """Check the chain of the journal; 1 where it is broken."""
    with opened(options) as (store, _):
        broken = journal.verify(store)
    show("the journal verifies" if broken is None else f"the journal does not verify from entry {broken} on")
    return 0 if broken is None else 1
