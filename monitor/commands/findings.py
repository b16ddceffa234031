"""The command that lists findings, and closes one that somebody has looked into."""

from __future__ import annotations

import argparse
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.commands.desk import opened
from monitor.commands.speaking import show
from monitor.configuration import SETTINGS
from monitor.errors import InputError
from monitor.findings import SECURITY
from monitor.hours import local_text
from monitor.settings import load_settings
from monitor.store import findings_store
from monitor.store.findings_store import StoredFinding


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and what it takes."""
    words = "list what somebody should look into that is no incident: missing numbers, forged names, floods, lost sessions"
    findings = commands.add_parser("findings", help=words, description=words)
    findings.set_defaults(run=list_findings)
    findings.add_argument("--all", action="store_true", help="closed ones too")
    findings.add_argument("--close", type=int, metavar="ID", help="close this one instead")
    findings.add_argument("--why", default="", help="what it was; with --close")
    findings.add_argument("--by", default="", metavar="NAME", help="who says so; with --close")
    findings.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    findings.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml")


def list_findings(options: argparse.Namespace) -> None:
    """List findings, the latest seen first, or close one."""
    zone = ZoneInfo(load_settings(options.config / SETTINGS, options.set).timezone)
    with opened(options) as (store, clock):
        if options.close is not None:
            if not options.by or not options.why:
                raise InputError(f"findings --close {options.close}: needs --by NAME and --why, which the journal keeps")
            with store.begin() as transaction:
                found = {each.id: each for each in findings_store.listed(transaction)}.get(options.close)
                if found is None:
                    raise InputError(f"findings --close {options.close}: there is no such open finding")
                findings_store.close(transaction, *found[1:4], options.why, clock(), by=options.by)
            show(f"closed: {_line(found, zone)}")
            return
        with store.read() as transaction:
            lines = [_line(each, zone) for each in findings_store.listed(transaction, also_closed=options.all)]
    show(*(lines or ["nothing to look into"]))


def _line(each: StoredFinding, zone: ZoneInfo) -> str:
    whose = f"{each.carrier}/{each.subject}" if each.carrier else each.subject
    times = "once" if each.times == 1 else f"{each.times} times"
    security = "SECURITY  " if each.kind in SECURITY else ""
    closed = f"  closed {local_text(each.closed, zone)}" if each.closed is not None else ""
    return f"{each.id}  {security}{each.kind}  {whose}  {times}, last {local_text(each.last, zone)}{closed}  {each.detail}"
