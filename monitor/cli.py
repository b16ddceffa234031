"""The command line: which commands there are and what they take. What they do is in `commands`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from monitor.alerts.incident import Outcome
from monitor.commands import (
    archiving,
    carriers,
    covering,
    desk,
    devices,
    doctor,
    findings,
    ingesting,
    keeping,
    placing,
    planning,
    rejects,
    reviewing,
    serving,
    simulating,
)
from monitor.commands.speaking import say
from monitor.errors import ConfigurationError, MonitorError
from monitor.explain import LANGUAGES

FAILED, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status: 0 done, 1 a check failed, 2 an error, 130 interrupted."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)  # positions, hashes and tokens are for nobody else to read
    try:
        return int(options.run(options) or 0)
    except ConfigurationError as error:
        say(*(f"monitor: {fault}" for fault in error.faults))
    except MonitorError as error:
        say(f"monitor: {error}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has enough
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="monitor", description="GPS and telematics anomaly monitor for cargo security in transit."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int | None], words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", serving.demo, "show the monitor at work on a simulated fleet; Ctrl-C ends it, a second start goes on")
    _configured(demo)
    demo.add_argument(
        "--var", type=Path, default=Path("var"), metavar="DIR", help="where the demo keeps everything (%(default)s)"
    )
    demo.add_argument(
        "--rate", type=float, default=10.0, help="how many times as fast as the world's its clock runs (%(default)g)"
    )
    demo.add_argument("--vehicles", type=int, default=50, help="how many there are (%(default)s)")
    demo.add_argument("--port", type=int, default=1883, help="TCP port of its MQTT listener, 0 for a free one (%(default)s)")
    demo.add_argument("--plain", action="store_true", help="no board: only the notices, line by line")

    run = command("run", serving.run, "run the monitor")
    _configured(run)
    run.add_argument("--plain", action="store_true", help="no board: only the notices, line by line")

    again = command("replay", reviewing.replay, "give the signal log of recorded fixes")
    reviewing.take_recorded(again)
    again.add_argument("--arrival-order", action="store_true", help="take the fixes as the files have them, late ones and all")
    again.add_argument("--batch", type=int, metavar="N", help="fixes a batch (all at once)")
    again.add_argument("--out", type=Path, metavar="FILE", help="where the signals go (standard output)")
    again.add_argument("--stops", type=Path, metavar="FILE", help="where every stop goes, authorized or not")
    words = "tell people: each signal why, each stop why not (en); the log goes to --out alone"
    again.add_argument("--explain", nargs="?", const="en", choices=LANGUAGES, help=words)
    covering.register(commands)

    check = command("check", reviewing.check, "check the configuration and print what is in force")
    _configured(check)

    incidents = command("incidents", desk.incidents, "list the incidents that need somebody")
    _configured(incidents)
    incidents.add_argument("--all", action="store_true", help="the newest hundred, resolved ones too")
    _desk_command(command("ack", desk.acknowledge, "take an incident: it stops ringing"))
    resolve = _desk_command(command("resolve", desk.resolve, "end an incident with what it turned out to be"))
    resolve.add_argument("--outcome", required=True, choices=[str(outcome) for outcome in Outcome], help="what it was")
    resolve.add_argument("--why", default="", help="in your words; required for a warning or a critical incident")

    carriers.register(commands)
    devices.register(commands)
    doctor.register(commands)
    findings.register(commands)
    rejects.register(commands)
    planning.register(commands)
    placing.register(commands)
    keeping.register(commands)
    ingesting.register(commands)
    archiving.register(commands)

    verify = command("verify", desk.verify, "check that the journal was not edited")
    _configured(verify)

    simulating.register(commands)
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
