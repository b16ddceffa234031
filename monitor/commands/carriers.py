"""The command of who may connect: carrier list, add, rotate, revoke.

A running monitor takes it into force within two seconds: it admits who was added, and closes the connections of who was revoked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.commands.desk import opened
from monitor.commands.speaking import show
from monitor.errors import InputError
from monitor.hours import local_text
from monitor.settings.durations import milliseconds, parse_duration
from monitor.store import credentials
from monitor.store.credentials import Credential, Subject
from monitor.store.store import Store

GRACE = "7d"
NOT_SHOWN_AGAIN = "The token is not kept and not shown again."


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and what it takes."""
    words = "let a carrier's devices connect: list, add, rotate or revoke credentials"
    carrier = commands.add_parser("carrier", help=words, description=words)
    carrier.set_defaults(run=run)
    carrier.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    words = "a setting, as in monitor.toml; may be repeated"
    carrier.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=words)
    carrier.add_argument("action", choices=("list", "add", "rotate", "revoke"))
    words = "CARRIER or CARRIER/VEHICLE; to revoke also the credential's number"
    carrier.add_argument("subject", nargs="?", metavar="SUBJECT", help=words)
    words = "add: take a password from standard input, not a generated token"
    carrier.add_argument("--password-stdin", action="store_true", help=words)
    words = "add, rotate: for dispatchers, who send trips and no positions"
    carrier.add_argument("--dispatch", action="store_true", help=words)
    ends = carrier.add_mutually_exclusive_group()
    words = f"rotate: how long the earlier ones stay valid ({GRACE})"
    ends.add_argument("--grace", default=GRACE, metavar="DURATION", help=words)
    ends.add_argument("--now", action="store_true", help="rotate: the earlier ones end at once")
    words = "revoke: a client certificate, by its SHA-256 fingerprint"
    carrier.add_argument("--certificate", metavar="FINGERPRINT", help=words)


def run(options: argparse.Namespace) -> None:
    """List, add, rotate or revoke credentials."""
    action = options.action
    if action != "list" and not options.subject:
        what = "a credential number or a carrier" if action == "revoke" else "a carrier"
        raise InputError(f"carrier {action}: names {what}")
    if options.certificate and action != "revoke":
        raise InputError(f"carrier {action} --certificate: allowed is carrier revoke SUBJECT --certificate FINGERPRINT")
    with opened(options, create=action == "add") as (store, clock):
        if action == "list":
            _list(store, clock())
        elif action == "add":
            _add(store, options, clock())
        elif action == "rotate":
            _rotate(store, options, clock())
        else:
            _revoke(store, options, clock())


def _list(store: Store, now: int) -> None:
    with store.read() as transaction:
        found = [_line(each, now) for each in credentials.listed(transaction)]
    show(*(found or ["no credential yet"]))


def _add(store: Store, options: argparse.Namespace, now: int) -> None:
    subject = _subject(options)
    if options.password_stdin and options.dispatch:
        raise InputError("carrier add --dispatch --password-stdin: allowed is a generated token for dispatch")
    with store.begin() as transaction:
        if options.password_stdin:
            credentials.set_password(transaction, *subject, sys.stdin.readline().rstrip("\n"), now)
            show(f"{options.subject} may connect with that password")
        else:
            token = credentials.create(transaction, *subject, now, dispatch=options.dispatch)
            show(f"user name: {options.subject}", f"token:     {token}", NOT_SHOWN_AGAIN)


def _rotate(store: Store, options: argparse.Namespace, now: int) -> None:
    subject = _subject(options)
    try:
        grace = 0 if options.now else milliseconds(parse_duration(options.grace))
    except ValueError:
        raise InputError(f"--grace {options.grace}: allowed is a duration such as 12h or 7d") from None
    with store.begin() as transaction:
        token, ended = credentials.rotate(transaction, subject, now, grace, dispatch=options.dispatch)
    show(f"user name: {options.subject}", f"token:     {token}", NOT_SHOWN_AGAIN, *(_line(each, now) for each in ended))


def _revoke(store: Store, options: argparse.Namespace, now: int) -> None:
    with store.begin() as transaction:
        if options.certificate:
            found = [credentials.deny_certificate(transaction, _subject(options), options.certificate, now)]
        elif options.subject.isdigit():
            found = [credentials.revoke(transaction, int(options.subject), now)]
        else:
            found = credentials.revoke_all(transaction, _subject(options), now)
    show(*(f"revoked: {_line(each, now)}" for each in found))


def _subject(options: argparse.Namespace) -> Subject:
    name, slash, vehicle = options.subject.partition("/")
    if slash and not vehicle:
        raise InputError(f"carrier {options.action} {options.subject}: allowed is CARRIER or CARRIER/VEHICLE")
    return name, vehicle or None


def _line(each: Credential, now: int) -> str:
    subject = each.carrier + (f"/{each.vehicle}" if each.vehicle else "")
    what = each.kind if each.role == credentials.DEVICE else f"{each.role} {each.kind}"
    ends = "" if each.revoked is None else f" until {_instant(each.revoked)}"
    state = "revoked" if each.ended(now) else f"in force{ends}"
    return f"{each.id}  {subject}  {what}  since {_instant(each.created)}  {state}"


def _instant(at: int) -> str:
    return local_text(at, ZoneInfo("UTC"))
