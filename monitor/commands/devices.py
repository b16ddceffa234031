"""The commands of the register of devices: which vehicle an id is on that a gateway's payloads name.

They write rows into the database; the monitor that runs, or the next one that starts, goes by them within a second.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.clock import Clock, clock_beside
from monitor.commands.speaking import show
from monitor.configuration import SETTINGS
from monitor.hours import local_text
from monitor.settings import load_settings
from monitor.store import devices_store
from monitor.store.store import Store

BY = "command line"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands and what they take."""
    words = "which vehicle each device behind a gateway is on"
    devices = commands.add_parser("devices", help=words, description=words)
    actions = devices.add_subparsers(dest="action", metavar="ACTION", required=True)
    words = "list the devices that were adopted"
    _action(actions, "list", words).set_defaults(run=list_devices)
    words = "list the devices that are in nobody's register, and how much is quarantined of each"
    _action(actions, "unknown", words).set_defaults(run=list_unknown)
    words = "say which vehicle a device is on; what is quarantined of it is taken"
    adopt = _action(actions, "adopt", words)
    adopt.set_defaults(run=adopt_device)
    _subject(adopt)
    adopt.add_argument("vehicle", metavar="VEHICLE", help="the vehicle that it is on")
    adopt.add_argument("--by", default=BY, metavar="NAME", help="who says so (%(default)s)")
    words = "say that a device is on no vehicle any more"
    end = _action(actions, "end", words)
    end.set_defaults(run=end_device)
    _subject(end)
    end.add_argument("--by", default=BY, metavar="NAME", help="who says so (%(default)s)")


def list_devices(options: argparse.Namespace) -> None:
    """Show every adoption."""
    with _opened(options) as (store, _), store.read() as transaction:
        found = devices_store.listed(transaction)
    show(*([_registered(each) for each in found] or ["no device was adopted"]))


def list_unknown(options: argparse.Namespace) -> None:
    """Show what nobody's register has."""
    with _opened(options) as (store, _), store.read() as transaction:
        found = devices_store.unknown(transaction)
    show(*([_unknown(each) for each in found] or ["no unknown device"]))


def adopt_device(options: argparse.Namespace) -> None:
    """Say whose a device is."""
    with _opened(options) as (store, clock), store.begin() as transaction:
        waiting = next((each.payloads for each in devices_store.unknown(transaction) if each[:2] == _pair(options)), 0)
        devices_store.adopt(transaction, *_pair(options), options.vehicle, clock(), options.by)
    what = (
        f"; {waiting} quarantined payload{'s are' if waiting != 1 else ' is'} taken by the monitor that runs" if waiting else ""
    )
    show(f"device {options.device!r} of {options.carrier} is on {options.vehicle}{what}")


def end_device(options: argparse.Namespace) -> None:
    """Say that a device is nobody's."""
    with _opened(options) as (store, clock), store.begin() as transaction:
        vehicle = devices_store.end(transaction, *_pair(options), clock(), options.by)
    show(f"device {options.device!r} of {options.carrier} is on {vehicle} no more")


def _pair(options: argparse.Namespace) -> tuple[str, str]:
    return options.carrier, options.device


def _registered(each: devices_store.Registered) -> str:
    until = "in force" if each.ended is None else f"until {_at(each.ended)}"
    return f"{each.carrier}  {each.device!r}  on {each.vehicle}  since {_at(each.adopted)}  {until}  by {each.by}"


def _unknown(each: devices_store.Unknown) -> str:
    return f"{each.carrier}  {each.device!r}  {each.payloads} payloads  from {_at(each.first)}  to {_at(each.last)}"


def _at(ms: int) -> str:
    return local_text(ms, ZoneInfo("UTC"))


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Store, Clock]]:
    """The database of the configuration, and the clock it lives by."""
    settings = load_settings(options.config / SETTINGS, options.set)
    store = Store.of(settings.store, create=False)
    try:
        yield store, clock_beside(store.file)
    finally:
        store.close()


def _subject(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("carrier", metavar="CARRIER", help="whose gateway it is behind")
    parser.add_argument("device", metavar="DEVICE", help="its id, as `monitor devices unknown` shows it")


def _action(actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, words: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=words, description=words)
    parser.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml; may be repeated"
    )
    return parser
