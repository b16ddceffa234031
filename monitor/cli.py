"""The commands. They parse arguments and print; what they do is elsewhere."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from monitor.alerts import handling
from monitor.alerts.incident import Outcome
from monitor.app import App
from monitor.clock import FastClock, world_clock
from monitor.configuration import Configuration, load_configuration, load_world
from monitor.demo import CARRIER, SEED, DemoFolder, stop_fleet
from monitor.errors import ConfigurationError, InputError, MonitorError
from monitor.hours import local_text
from monitor.ingest.fleet_plan import Plan
from monitor.ingest.simulate import read_features, run_fleet
from monitor.live_board import LiveBoard
from monitor.places import Geofences, load_geofences
from monitor.replay import replay, stop_lines
from monitor.settings import effective, load_settings
from monitor.signals import instant, log_lines
from monitor.store import credentials, journal
from monitor.store.store import Store

FAILED, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status: 0 done, 1 a check failed, 2 an error, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except ConfigurationError as error:
        _say(*(f"monitor: {fault}" for fault in error.faults))
    except MonitorError as error:
        _say(f"monitor: {error}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has enough
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return FAILED


def _say(*lines: str) -> None:
    """Write to the error stream."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="monitor", description="GPS and telematics anomaly monitor for cargo security in transit."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int | None], words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", _demo, "show the monitor at work on a simulated fleet; Ctrl-C ends it, a second start goes on")
    _configured(demo)
    demo.add_argument(
        "--var", type=Path, default=Path("var/demo"), metavar="DIR", help="where the demo keeps everything (%(default)s)"
    )
    demo.add_argument(
        "--rate", type=float, default=10.0, help="how many times as fast as the world's its clock runs (%(default)g)"
    )
    demo.add_argument("--vehicles", type=int, default=50, help="how many there are (%(default)s)")
    demo.add_argument("--port", type=int, default=1883, help="TCP port of its MQTT listener, 0 for a free one (%(default)s)")
    demo.add_argument("--plain", action="store_true", help="no board: only the notices, line by line")

    run = command("run", _run, "run the monitor")
    _configured(run)
    run.add_argument("--plain", action="store_true", help="no board: only the notices, line by line")

    again = command("replay", _replay, "give the signal log of recorded fixes")
    again.add_argument("files", type=Path, nargs="+", metavar="FIXES", help="CSV or Parquet")
    again.add_argument("--geofences", type=Path, metavar="DIR", help="GeoJSON files of places and routes (none)")
    again.add_argument("--trips", type=Path, metavar="FILE", help="CSV or JSON lines (none)")
    again.add_argument("--config", type=Path, metavar="DIR", help="a configuration folder; its monitor.toml says the settings")
    _assignable(again)
    again.add_argument("--until", metavar="TIME", help="the horizon, RFC 3339 with a zone (the newest time in the input)")
    again.add_argument("--arrival-order", action="store_true", help="take the fixes as the files have them, late ones and all")
    again.add_argument("--batch", type=int, metavar="N", help="fixes a batch (all at once)")
    again.add_argument("--out", type=Path, metavar="FILE", help="where the signals go (standard output)")
    again.add_argument("--stops", type=Path, metavar="FILE", help="where every stop goes, authorized or not")

    check = command("check", _check, "check the configuration and print what is in force")
    _configured(check)

    incidents = command("incidents", _incidents, "list the incidents that need somebody")
    _configured(incidents)
    incidents.add_argument("--all", action="store_true", help="the newest hundred, resolved ones too")
    _desk_command(command("ack", _acknowledge, "take an incident: it stops ringing"))
    resolve = _desk_command(command("resolve", _resolve, "end an incident with what it turned out to be"))
    resolve.add_argument("--outcome", required=True, choices=list(Outcome), help="what it was")
    resolve.add_argument("--why", default="", help="in your words; required for a warning or a critical incident")

    carrier = command("carrier", _carrier, "let a carrier's devices connect: list, add or revoke credentials")
    _configured(carrier)
    carrier.add_argument("action", choices=("list", "add", "revoke"))
    carrier.add_argument("subject", nargs="?", help="CARRIER or CARRIER/VEHICLE to add; the credential's number to revoke")
    carrier.add_argument(
        "--password-stdin", action="store_true", help="take a password from standard input, not a generated token"
    )

    verify = command("verify", _verify, "check that the journal was not edited")
    _configured(verify)

    simulate = command("simulate", _simulate, "drive a simulated fleet against a monitor")
    simulate.add_argument("--host", default="127.0.0.1")
    simulate.add_argument("--port", type=int, default=1883)
    simulate.add_argument("--carrier", default=CARRIER)
    simulate.add_argument("--password-file", type=Path, required=True, help="the carrier's token, in the file's first line")
    simulate.add_argument("--geofences", type=Path, default=Path("geofences"))
    simulate.add_argument("--vehicles", type=int, default=50)
    simulate.add_argument("--outbox", type=Path, required=True, help="where the devices keep what was acknowledged")
    simulate.add_argument("--rate", type=float, default=1.0)
    simulate.add_argument("--anchor", help="PROGRAM:REAL:STARTED, ms: the clock to follow (the world's)")
    return parser


def _configured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    _assignable(parser)


def _assignable(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml; may be repeated"
    )


def _desk_command(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _configured(parser)
    parser.add_argument("number", type=int, metavar="ID", help="the incident")
    parser.add_argument("--by", required=True, metavar="NAME", help="who says so")
    return parser


def _run(options: argparse.Namespace) -> None:
    configuration = load_configuration(options.config, options.set)
    _say(*(f"monitor: {warning}" for warning in configuration.geofences.warnings))
    app = App(configuration, world_clock, _screen(options))
    _serve(app, options, lambda: None)


def _demo(options: argparse.Namespace) -> None:
    folder = DemoFolder(options.var, options.rate, options.vehicles)
    configuration = folder.configuration(options.config, options.port, options.set)
    geofences = Path(configuration.settings.geofences)
    app = App(configuration, folder.clock, _screen(options))
    folder.token(app.store)
    fleets = []

    def begin() -> None:
        fleets.append(folder.start_fleet(geofences, app.port or 0))
        threading.Thread(target=_keep, args=(folder, ended), daemon=True).start()

    ended = threading.Event()
    try:
        _serve(app, options, begin)
    finally:
        ended.set()
        for fleet in fleets:
            stop_fleet(fleet)
        folder.clock.keep(folder.clock_file)
    _say(
        f"The demo is over; all of it is in {folder.folder}. The same command goes on from here; remove the folder to begin anew."
    )


def _keep(folder: DemoFolder, ended: threading.Event) -> None:
    while not ended.wait(1.0):
        folder.clock.keep(folder.clock_file)


def _screen(options: argparse.Namespace) -> Console:
    """Where notices to the console go: to the terminal, unless the board is there, which shows them itself."""
    return Console(highlight=False, soft_wrap=True, quiet=_has_board(options))


def _has_board(options: argparse.Namespace) -> bool:
    return sys.stdout.isatty() and not options.plain


def _serve(app: App, options: argparse.Namespace, begin: Callable[[], None]) -> None:
    """Run until Ctrl-C or SIGTERM; then everything under way is brought to an end."""
    board = _has_board(options)
    logging.basicConfig(
        level=logging.ERROR if board else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.stop())
    try:
        with _progress("reading what is stored") as progress:
            app.start(progress)
        begin()
        if board:
            console = Console()
            with LiveBoard(app, console).showing():
                app.run()
        else:
            _say(f"monitor: ready, MQTT on port {app.port}" if app.port else "monitor: ready")
            app.run()
    finally:
        app.close()


def _simulate(options: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    now = world_clock()
    program, real, started = (int(part) for part in options.anchor.split(":")) if options.anchor else (now, now, now)
    plan = Plan(SEED, started, read_features(options.geofences), vehicles=options.vehicles, carrier=options.carrier)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        secret = options.password_file.read_text(encoding="utf-8").split("\n")[0]
    except OSError as error:
        raise InputError(f"{options.password_file}: not readable: {error.strerror}") from None
    clock = FastClock(program, real, options.rate, started)
    run_fleet(plan, options.host, options.port, secret, clock, stop, options.outbox, rate=options.rate)


def _replay(options: argparse.Namespace) -> None:
    if options.batch is not None and options.batch < 1:
        raise InputError(f"--batch {options.batch}: allowed is a whole number from 1")
    assignments = [*options.set, *([f"trips={options.trips}"] if options.trips else [])]
    settings = load_settings(options.config / "monitor.toml" if options.config else None, assignments)
    folder = options.geofences or (Path(settings.geofences) if options.config else None)
    geofences = load_geofences(folder, settings.timezone) if folder else Geofences()
    _say(*(f"monitor: {warning}" for warning in geofences.warnings))
    world = load_world(settings, geofences)
    with _progress("replaying") as progress:
        found = replay(
            options.files,
            world,
            until=_horizon(options.until),
            batch=options.batch,
            arrival_order=options.arrival_order,
            progress=progress,
        )
    _write(options.out, log_lines(found.signals))
    if options.stops:
        _write(options.stops, stop_lines(found.stops))
    _say(*(f"monitor: not taken: {reject}" for reject in found.rejects[:20]))
    _say(*(f"monitor: degraded: {kind}: {fault}" for kind, fault in found.faults.items()))
    _say(
        f"monitor: {found.fixes:,} fixes, {len(found.rejects):,} rows not taken, {len(found.signals):,} signals, {len(found.stops):,} stops"
    )


def _horizon(text: str | None) -> int | None:
    try:
        return None if text is None else instant(text)
    except (ValueError, OverflowError):
        raise InputError(f"--until {text}: allowed is an RFC 3339 time with a zone, such as 2026-03-01T06:00:00Z") from None


def _write(file: Path | None, lines: Sequence[str]) -> None:
    if file is None:
        _print(*lines)
        return
    try:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None


@contextmanager
def _progress(words: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _check(options: argparse.Namespace) -> int:
    try:
        found = load_configuration(options.config, options.set)
    except ConfigurationError as error:
        _print(*error.faults, f"{len(error.faults)} fault{'s' * (len(error.faults) != 1)}")
        return 1
    _print(*(f"{line.key} = {_shown(line.value)}" for line in effective(found.settings)))
    _print(*_summary(found), *(f"warning: {warning}" for warning in found.geofences.warnings), "no fault")
    return 0


def _shown(value: object) -> str:
    return "none" if value is None else f'"{value}"' if isinstance(value, str) else str(value).lower()


def _summary(found: Configuration) -> list[str]:
    world, unverified = found.world, [c.id for c in found.contacts.values() if c.authority and c.verified_on is None]
    return [
        f"{len(world.atlas.places)} places, {len(world.atlas.routes)} routes, {len(world.trips.all)} trips (version {world.version})",
        f"{len(found.contacts)} contacts; authorities not verified by anybody: {', '.join(unverified) or 'none'}",
    ]


@contextmanager
def _store(options: argparse.Namespace) -> Iterator[Store]:
    settings = load_settings(options.config / "monitor.toml", options.set)
    store = Store.open(settings.store.url, settings.store.busy_timeout)
    try:
        yield store
    finally:
        store.close()


def _incidents(options: argparse.Namespace) -> None:
    from monitor import board

    configuration = load_configuration(options.config, options.set)
    with _store(options) as store:
        entries = handling.list_incidents(store, 100 if options.all else None)
    rows, zone = board.rows(entries, configuration.desk), configuration.desk.surroundings.zone
    if not rows:
        _print("no incident needs anybody")
    elif sys.stdout.isatty():
        Console().print(board.table(rows, world_clock(), zone))
    else:
        _print(*board.plain(board.Board(world_clock(), zone, 0, 0, rows))[1:])


def _acknowledge(options: argparse.Namespace) -> None:
    with _store(options) as store:
        incident = handling.acknowledge(store, options.number, options.by, world_clock())
    _print(f"incident {incident.id}: {incident.vehicle}, acknowledged by {options.by}")


def _resolve(options: argparse.Namespace) -> None:
    with _store(options) as store:
        incident = handling.resolve(store, options.number, options.by, options.outcome, options.why, world_clock())
    _print(f"incident {incident.id}: {incident.vehicle}, resolved by {options.by}: {options.outcome}")


def _carrier(options: argparse.Namespace) -> None:
    with _store(options) as store:
        if options.action == "list":
            with store.read() as transaction:
                found = [_credential(each) for each in credentials.listed(transaction)]
            _print(*(found or ["no credential yet"]))
        elif not options.subject:
            raise InputError(
                f"carrier {options.action}: names {'a carrier' if options.action == 'add' else 'a credential number'}"
            )
        elif options.action == "revoke":
            if not options.subject.isdigit():
                raise InputError(f"carrier revoke {options.subject}: allowed is the number that `monitor carrier list` shows")
            with store.begin() as transaction:
                _print(f"revoked: {_credential(credentials.revoke(transaction, int(options.subject), world_clock()))}")
        else:
            _add_credential(store, options)


def _add_credential(store: Store, options: argparse.Namespace) -> None:
    carrier, _, vehicle = options.subject.partition("/")
    with store.begin() as transaction:
        if options.password_stdin:
            secret = sys.stdin.readline().rstrip("\n")
            credentials.set_password(transaction, carrier, vehicle or None, secret, world_clock())
            _print(f"{options.subject} may connect with that password")
        else:
            token = credentials.create(transaction, carrier, vehicle or None, world_clock())
            _print(f"user name: {options.subject}", f"token:     {token}", "The token is not kept and not shown again.")


def _credential(each: credentials.Credential) -> str:
    subject = each.carrier + (f"/{each.vehicle}" if each.vehicle else "")
    state = "in force" if each.revoked is None else "revoked"
    return f"{each.id}  {subject}  {each.kind}  since {_utc(each.created)}  {state}"


def _utc(ms: int) -> str:
    from zoneinfo import ZoneInfo

    return local_text(ms, ZoneInfo("UTC"))


def _verify(options: argparse.Namespace) -> int:
    with _store(options) as store:
        broken = journal.verify(store)
    _print("the journal verifies" if broken is None else f"the journal does not verify from entry {broken} on")
    return 0 if broken is None else 1
