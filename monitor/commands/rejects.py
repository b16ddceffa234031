"""The command that shows what was not taken, and why."""

from __future__ import annotations

import argparse
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.commands.desk import opened
from monitor.commands.speaking import show
from monitor.configuration import SETTINGS
from monitor.hours import local_text
from monitor.settings import load_settings
from monitor.store.rejects_store import StoredReject, newest

SHOWN = 60
"""Characters of a payload that are shown."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and what it takes."""
    words = "show what was received and not taken, and why, the newest first"
    rejects = commands.add_parser("rejects", help=words, description=words)
    rejects.set_defaults(run=list_rejects)
    rejects.add_argument("--carrier", help="of this one alone")
    rejects.add_argument("--limit", type=int, default=20, metavar="N", help="how many (%(default)s)")
    rejects.add_argument("--payloads", action="store_true", help="whole payloads, as they came where they are text")
    rejects.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    rejects.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml")


def list_rejects(options: argparse.Namespace) -> None:
    """List them."""
    zone = ZoneInfo(load_settings(options.config / SETTINGS, options.set).timezone)
    with opened(options) as (store, _), store.read() as transaction:
        found = newest(transaction, options.limit, options.carrier)
    show(*([_line(each, zone, options.payloads) for each in found] or ["nothing was rejected"]))


def _line(each: StoredReject, zone: ZoneInfo, whole: bool) -> str:  # noqa: FBT001  # the option, as it came
    whose = "/".join(filter(None, (each.carrier, each.vehicle))) or "nobody we know"
    said = ascii(each.payload.decode("utf-8", "backslashreplace"))[1:-1]
    payload = said if whole or len(said) <= SHOWN else f"{said[:SHOWN]}..."
    return f"{local_text(each.received, zone)}  {whose}  {each.topic}  {each.reason}  {payload}"
