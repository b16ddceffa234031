"""The command that takes recorded fixes in: into a monitor that runs, or straight into its database where none does."""

from __future__ import annotations

import argparse
import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import select

from monitor.alerts import handling
from monitor.clock import Clock, clock_beside, world_clock
from monitor.commands.speaking import progress_bar, say
from monitor.configuration import Configuration, load_configuration
from monitor.engine import Engine, nothing_else
from monitor.errors import InputError, StoreError
from monitor.fixes import NAME, Fleet, Reject
from monitor.ingest.backfill import Backfill
from monitor.ingest.files import UTC, Fault, Part, Terms, ignored_columns, read_parts
from monitor.ingest.fleet.server import TOPIC, Server, tls
from monitor.motion import NONE
from monitor.register import Register
from monitor.settings import load_settings, milliseconds
from monitor.store import schema
from monitor.store.archive import folder_in
from monitor.store.store import Store
from monitor.warm import warm

INTERRUPTED = 130
PORTION = 20_000
"""Rows taken in one transaction, unless --portion says otherwise."""
TOLD = 20
"""Rows that were not taken and are named."""
SCALE = 1_000_000
"""Of the progress bar."""


@dataclass
class Count:
    """What became of the rows of a file."""

    new: int = 0
    duplicates: int = 0
    faults: list[Fault] = field(default_factory=list)
    """The first of those not taken."""
    refused: int = 0
    line: int = 1

    def add(self, part: Part, new: int) -> None:
        """Take note of a part, of which so many fixes were new."""
        self.new += new
        self.duplicates += part.rows - new
        self.refused += len(part.faults)
        self.faults += list(islice(part.faults, TOLD - len(self.faults)))
        self.line = part.line


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and what it takes."""
    words = "take recorded fixes in: into the database where no monitor runs on it, or over MQTT into one that does"
    parser = commands.add_parser("ingest-file", help=words, description=words)
    parser.set_defaults(run=ingest_file)
    parser.add_argument("files", type=Path, nargs="+", metavar="FIXES", help="CSV or Parquet, with the columns of replay")
    parser.add_argument("--carrier", required=True, help="whose vehicles they are")
    parser.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml")
    parser.add_argument(
        "--timezone", default=UTC, metavar="ZONE", help="of times that name none, as in America/Toronto (%(default)s)"
    )
    parser.add_argument("--portion", type=int, default=PORTION, metavar="N", help="rows taken in one transaction (%(default)s)")
    parser.add_argument("--log-only", action="store_true", help="no incidents: only the signal log learns of what is long past")
    parser.add_argument("--to", metavar="HOST:PORT", help="a monitor that runs, or its broker, by MQTT")
    parser.add_argument("--username", help="with --to (the carrier)")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="with --to: the carrier's token, in the first line")
    parser.add_argument("--topic", default=TOPIC, metavar="PATTERN", help="with --to (%(default)s)")
    parser.add_argument("--tls", action="store_true", help="with --to: connect by TLS")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="with --to: PEM file of those who sign its certificate")


def ingest_file(options: argparse.Namespace) -> int:
    """Take files of fixes in, one after the other; gives 0, or 130 where it was interrupted."""
    if not NAME.fullmatch(options.carrier):
        raise InputError(f"--carrier {options.carrier}: allowed is {NAME.pattern}")
    if options.portion < 1:
        raise InputError(f"--portion {options.portion}: allowed is a whole number from 1")
    _check_zone(options.timezone)
    for file in options.files:
        for name in ignored_columns(file):
            say(f"monitor: {file}: the column {name} is ignored")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    done = _send(options, stop) if options.to else _take(options, stop)
    if not done:
        say("monitor: interrupted; the same command goes on, what was taken is not taken twice")
    return 0 if done else INTERRUPTED


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise InputError(f"--timezone {name}: allowed is a name such as UTC or America/Toronto") from None


# -- into the database --


def _take(options: argparse.Namespace, stop: threading.Event) -> bool:
    """Take the files into the database, all or nothing of each portion; gives whether it came to the end."""
    with _engine(options) as (engine, configuration, clock):
        future = milliseconds(configuration.settings.ingest.future)
        terms = Terms(clock() + future, options.timezone, named=True)
        for file in options.files:
            count, kept = Count(), _kept(engine.store, options.carrier, file)
            with progress_bar(file.name) as progress:
                for part in read_parts(file, engine.fleet, options.carrier, options.portion, terms):
                    rejects = [reject for fault in part.faults if (reject := _reject(fault, file, options.carrier)) not in kept]
                    taken = engine.take(part.fixes, rejects, clock(), NONE)
                    count.add(part, taken.fixes)
                    progress(round(part.done * SCALE), SCALE)
                    if stop.is_set():
                        break
            _tell(file, count)
            if stop.is_set():
                return False
        waiting = [vehicle for vehicle in engine.waiting() if vehicle.carrier == options.carrier]
        with progress_bar("judging anew") as progress:
            for number, vehicle in enumerate(waiting, 1):
                engine.adjudicate(vehicle, clock())
                progress(number, len(waiting))
                if stop.is_set():
                    return False
    return True


@contextmanager
def _engine(options: argparse.Namespace) -> Iterator[tuple[Engine, Configuration, Clock]]:
    """The engine on the database of the configuration, which nobody else has meanwhile."""
    configuration = load_configuration(options.config, options.set)
    settings = configuration.settings
    store = Store.of(settings.store)
    clock = clock_beside(store.file)
    try:
        try:
            lock = store.hold()
        except StoreError as error:
            raise StoreError(f"{error}; or send the files to it: --to HOST:PORT") from None
        with lock:
            warm()
            history = Register(store, settings, configuration.said(), clock())
            desk = configuration.desk()
            handle = nothing_else if options.log_only else lambda t, changes, now, _: handling.process(t, changes, now, desk)
            engine = Engine(store, history.world(), Fleet(), handle, folder_in(settings))
            with progress_bar("getting ready") as progress:
                engine.resume(progress)
            yield engine, configuration, clock
            engine.checkpoint()
    finally:
        store.close()


def _kept(store: Store, carrier: str, file: Path) -> set[Reject]:
    """The rows of this file that an earlier start refused and kept."""
    table = schema.reject.c
    columns = (table.carrier, table.vehicle, table.topic, table.reason, table.payload)
    with store.read() as t:
        rows = t.connection.execute(select(*columns).where(table.carrier == carrier, table.topic == _topic(file))).all()
    return {Reject(*row[:4], bytes(row[4])) for row in rows}


def _topic(file: Path) -> str:
    return f"file:{file.name}"


def _reject(fault: Fault, file: Path, carrier: str) -> Reject:
    """A row that cannot be used, as it is kept."""
    reason = f"{file.name}:{fault.line}: {fault.reason}"
    return Reject(carrier, fault.row.get("vehicle_id", ""), _topic(file), reason, msgspec.json.encode(fault.row))


def _tell(file: Path, count: Count) -> None:
    """Say what became of a file."""
    say(*(f"monitor: not taken: {file}:{fault.line}: {fault.reason}" for fault in count.faults))
    if count.refused > len(count.faults):
        say(f"monitor: not taken: and {count.refused - len(count.faults):,} more rows; all are kept with their reasons")
    say(
        f"monitor: {file}: {count.new:,} new fixes, {count.duplicates:,} duplicates, {count.refused:,} rows not taken; "
        f"up to line {count.line:,}"
    )


# -- into a monitor that runs --


def _send(options: argparse.Namespace, stop: threading.Event) -> bool:
    """Send the files to a monitor; gives whether it came to the end."""
    server, fleet = _server(options), Fleet()
    future = milliseconds(load_settings(None).ingest.future)
    terms = Terms(world_clock() + future, options.timezone, named=True)
    for file in options.files:
        backfill, count = Backfill(server, options.carrier, fleet, stop), Count()
        with progress_bar(file.name) as progress:

            def acknowledged(done: float, part: Part, count: Count = count, show: Callable[[int, int], None] = progress) -> None:
                count.add(part, len(part.fixes))
                show(round(done * SCALE), SCALE)

            parts = read_parts(file, fleet, options.carrier, options.portion, terms)
            try:
                asyncio.run(backfill.send(parts, file, acknowledged))
            finally:
                _tell_sent(file, count, backfill)
        if stop.is_set():
            return False
    return True


def _server(options: argparse.Namespace) -> Server:
    host, _, port = options.to.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InputError(f"--to {options.to}: allowed is HOST:PORT")
    try:
        secret = options.password_file.read_text(encoding="utf-8").split("\n")[0] if options.password_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{options.password_file}: not readable: {error}") from None
    username = options.username or (options.carrier if secret else "")
    context = tls(options.ca_file, None, None) if options.tls else None
    return Server(host, int(port), secret, username, options.topic, gateway=True, context=context)


def _tell_sent(file: Path, count: Count, backfill: Backfill) -> None:
    """Say what a monitor has acknowledged of a file; how much of it was new, only that knows."""
    sent = backfill.sent
    say(*(f"monitor: sent to be kept: {file}:{fault.line}: {fault.reason}" for fault in count.faults))
    say(
        f"monitor: {file}: {sent.fixes:,} fixes in {sent.messages:,} messages acknowledged, {count.refused:,} rows of them not usable; "
        f"up to line {sent.line:,}"
    )
