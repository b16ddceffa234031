"""The command of the simulated fleet: it drives one against a monitor or a broker, and says how much of its truth was told."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import threading
from pathlib import Path

from monitor.clock import FastClock, world_clock
from monitor.commands.speaking import say, show
from monitor.demo import CARRIER, SEED
from monitor.errors import InputError, ServiceError
from monitor.ingest.fleet.measuring import EXACT, REAL
from monitor.ingest.fleet.outbox import start_of
from monitor.ingest.fleet.plan import BACKLOG_MS, Plan
from monitor.ingest.fleet.scoring import read_episodes, score, table, truth_lines
from monitor.ingest.fleet.script import NAMES, Script, read_rates
from monitor.ingest.fleet.server import ACK_TOPIC, TOPIC, Server, tls
from monitor.ingest.fleet.travel import Travel
from monitor.ingest.simulate import read_features, run_fleet
from monitor.settings import milliseconds, parse_duration
from monitor.signals import instant, json_line

TOLD = 20
"""Labels missed, and signals told besides, that are named."""
TRIPS_MS = 7 * 86_400_000
"""How far ahead the dispatcher's plan reaches, and as far back."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and what it takes."""
    words = "drive a simulated fleet against a monitor or a broker, or score a signal log by the truth of one"
    parser = commands.add_parser("simulate", help=words, description=words)
    parser.set_defaults(run=simulate)
    _connected(parser)
    _driven(parser)
    parser.add_argument("--truth", type=Path, metavar="FILE", help="where the labels go at the end, one JSON object a line")
    parser.add_argument("--score", type=Path, metavar="SIGNALS", help="simulate nothing: compare a signal log with --truth FILE")
    parser.add_argument("--trips", type=Path, metavar="FILE", help="where the dispatcher's plan goes before anybody drives")


def _connected(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="(%(default)s)")
    parser.add_argument("--port", type=int, default=1883, help="(%(default)s)")
    parser.add_argument("--tls", action="store_true", help="connect by TLS")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="PEM file of those who sign the server's certificate")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="PEM file of the devices' certificate")
    parser.add_argument("--key", type=Path, metavar="FILE", help="PEM file of its private key")
    parser.add_argument("--carrier", default=CARRIER, help="(%(default)s)")
    words = "{carrier} and {vehicle} may stand in it ({carrier}/{vehicle}; of a gateway {carrier})"
    parser.add_argument("--username", metavar="PATTERN", help=words)
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="the password or token, in the first line")
    parser.add_argument("--topic", default=TOPIC, metavar="PATTERN", help="(%(default)s)")
    parser.add_argument("--gateway", action="store_true", help="one connection for all vehicles")
    parser.add_argument(
        "--outbox", type=Path, metavar="FILE", help="where the devices keep what has arrived: a second start goes on"
    )
    words = "what empties it: each PUBACK, or the monitor's word on --ack-topic (%(default)s)"
    parser.add_argument("--outbox-by", choices=("puback", "ack"), default="puback", help=words)
    parser.add_argument("--ack-topic", default=ACK_TOPIC, metavar="PATTERN", help="(%(default)s)")


def _driven(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--geofences", type=Path, default=Path("geofences"), metavar="DIR", help="places and routes (%(default)s)"
    )
    parser.add_argument("--vehicles", type=int, default=50, metavar="N", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="the same gives the same fleet (%(default)s)")
    parser.add_argument("--interval", metavar="DURATION", help="between two reports (15 s to 60 s, each vehicle its own)")
    parser.add_argument("--backlog", metavar="DURATION", help="what the devices have measured before they start (20m)")
    words = f"chance that a run meets a trouble; may be repeated: {', '.join(NAMES)}, or all (as in the demo)"
    parser.add_argument("--anomaly", action="append", default=[], metavar="NAME=RATE", help=words)
    parser.add_argument("--anomalies", type=Path, metavar="FILE", help="the same as TOML, one a line")
    words = "how exact the devices are (real where anomalies are named, else exact)"
    parser.add_argument("--noise", choices=("exact", "real"), help=words)
    parser.add_argument(
        "--tunnels", type=float, default=0.0, metavar="N", help="short stretches without satellites, on 100 km (0)"
    )
    parser.add_argument(
        "--holes", type=float, default=0.0, metavar="N", help="holes in the coverage, a vehicle and day, up to 24 (0)"
    )
    parser.add_argument("--duplicates", type=float, default=0.0, metavar="RATE", help="chance that a message is sent twice (0)")
    parser.add_argument("--newest-first", action="store_true", help="upload a backlog from its end")
    parser.add_argument("--for", dest="duration", metavar="DURATION", help="end by itself after so long (never)")
    parser.add_argument("--start", metavar="TIME", help="RFC 3339: when the fleet's clock starts (now)")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="how many times as fast as the world's its clock runs (%(default)g)"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started it does")
    parser.add_argument("--anchor", help="PROGRAM:REAL:STARTED, ms: the clock to follow (the world's)")


def simulate(options: argparse.Namespace) -> int:
    """Drive a simulated fleet against a monitor until stopped, or score a signal log; gives 1 where the log is not the truth."""
    if options.score:
        return _score(options)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    clock, server, travel = _clock(options), _server(options), _travel(options)
    plan = _plan(options, clock.started)
    if options.trips:
        _write(options.trips, [json_line(**trip) for trip in plan.trips(plan.first - TRIPS_MS, clock() + TRIPS_MS)])
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if options.with_parent:
        threading.Thread(target=_stop_with_parent, args=(os.getppid(), stop), daemon=True).start()
    if options.duration:
        timer = threading.Timer(_ms("--for", options.duration) / 1000.0, stop.set)
        timer.daemon = True
        timer.start()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every connection is a file
    tally = run_fleet(plan, server, clock, stop, options.outbox, rate=options.rate, travel=travel)
    if options.truth:
        _write(options.truth, truth_lines(plan, clock()))
    say(
        f"monitor: {tally.connections:,} connections, {tally.messages:,} messages of {tally.fixes:,} fixes, {tally.confirmed:,} "
        f"acknowledged, {tally.refused:,} refused, {tally.again:,} fixes asked for again, {tally.lost:,} connections lost"
    )
    return 0


def _clock(options: argparse.Namespace) -> FastClock:
    """The clock of --anchor; else one that starts now, or at --start, and belongs to the fleet of the outbox where there is one."""
    now = world_clock()
    if not 0 < options.rate <= 1000:
        raise InputError(f"--rate {options.rate:g}: allowed is a number above 0 up to 1000")
    try:
        if options.anchor:
            program, real, started = (int(part) for part in options.anchor.split(":"))
            return FastClock(program, real, options.rate, started)
        program = instant(options.start) if options.start else now
    except ValueError:
        raise InputError(
            f"{options.anchor or options.start}: allowed are PROGRAM:REAL:STARTED in ms, and an RFC 3339 time"
        ) from None
    earlier = start_of(options.outbox, options.seed, options.carrier) if options.outbox else None
    return FastClock(program, now, options.rate, program if earlier is None else earlier)


def _plan(options: argparse.Namespace, started: int) -> Plan:
    if not 1 <= options.vehicles <= 100_000:
        raise InputError(f"--vehicles {options.vehicles}: allowed are 1 to 100,000")
    if not 0 <= options.tunnels <= 20:
        raise InputError(f"--tunnels {options.tunnels:g}: allowed are 0 to 20")
    named = bool(options.anomaly or options.anomalies)
    script = Script(read_rates(options.anomaly, options.anomalies), options.tunnels) if named or options.tunnels else None
    noise = {"exact": EXACT, "real": REAL}[options.noise or ("real" if script else "exact")]
    return Plan(
        options.seed,
        started,
        read_features(options.geofences),
        vehicles=options.vehicles,
        carrier=options.carrier,
        script=script,
        noise=noise,
        interval=_ms("--interval", options.interval, least=10) if options.interval else None,
        backlog=_ms("--backlog", options.backlog) if options.backlog else BACKLOG_MS,
    )


def _server(options: argparse.Namespace) -> Server:
    try:
        secret = options.password_file.read_text(encoding="utf-8").split("\n")[0] if options.password_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{options.password_file}: not readable: {error}") from None
    if not options.topic.isprintable() or any(sign in options.topic for sign in "+#"):
        raise InputError(f"--topic {options.topic}: allowed is a topic without + and #")
    if options.gateway and options.outbox_by == "ack" and "{vehicle}" not in options.ack_topic:
        raise InputError(f"--ack-topic {options.ack_topic}: of a gateway it has to name the {{vehicle}}")
    username = (
        options.username or ("{carrier}" if options.gateway else "{carrier}/{vehicle}") if secret or options.username else ""
    )
    context = tls(options.ca_file, options.certificate, options.key) if options.tls else None
    ack_topic = options.ack_topic if options.outbox_by == "ack" else ""
    return Server(options.host, options.port, secret, username, options.topic, ack_topic, options.gateway, context)


def _travel(options: argparse.Namespace) -> Travel:
    if not 0 <= options.holes <= 24 or not 0 <= options.duplicates <= 1:
        raise InputError(f"--holes {options.holes:g} --duplicates {options.duplicates:g}: allowed are 0 to 24, and 0 to 1")
    return Travel(options.holes, options.duplicates, options.newest_first)


def _ms(name: str, text: str, least: int = 0) -> int:
    try:
        value = milliseconds(parse_duration(text))
    except ValueError:
        value = -1
    if value < least:
        raise InputError(f'{name} {text}: allowed is a duration such as "90s", "5m", "2h"' + f", from {least}ms" * bool(least))
    return value


def _score(options: argparse.Namespace) -> int:
    if not options.truth:
        raise InputError(f"--score {options.score}: --truth FILE has to say what is true")
    rows = score(read_episodes(options.truth), read_episodes(options.score))
    show(*table(rows))
    for word, lines in (
        ("missed", [x for row in rows.values() for x in row.missed]),
        ("extra", [x for r in rows.values() for x in r.extra]),
    ):
        say(*(f"monitor: {word}: {line}" for line in lines[:TOLD]))
        if len(lines) > TOLD:
            say(f"monitor: {word}: and {len(lines) - TOLD:,} more")
    return 0 if all(row.perfect for row in rows.values()) else 1


def _write(file: Path, lines: list[str]) -> None:
    beside = file.with_name(file.name + ".new")
    try:
        beside.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise ServiceError(f"{file}: cannot be written: {error.strerror}") from None


def _stop_with_parent(parent: int, stop: threading.Event) -> None:
    """Set `stop` once the process that started this one is gone, however it went."""
    while not stop.wait(1.0):
        if os.getppid() != parent:
            stop.set()
