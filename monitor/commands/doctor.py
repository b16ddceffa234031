"""The command that looks at everything a monitor needs: it changes nothing, and says what to do."""

from __future__ import annotations

import argparse
from pathlib import Path

from monitor.clock import world_clock
from monitor.commands.speaking import show
from monitor.configuration import load_configuration
from monitor.doctor import examine
from monitor.doctor.lines import Installation, State
from monitor.errors import ConfigurationError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and what it takes."""
    words = "look at everything that the monitor needs, before it is started or while it runs; 1 where something fails"
    doctor = commands.add_parser("doctor", help=words, description=words)
    doctor.set_defaults(run=examined)
    doctor.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    doctor.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml")


def examined(options: argparse.Namespace) -> int:
    """Print a line for each thing that was looked at; 1 where one fails."""
    try:
        configuration = load_configuration(options.config, options.set)
    except ConfigurationError as error:
        show(*(f"{State.FAIL}  configuration: {fault}" for fault in error.faults))
        return 1
    show(f"{State.OK:<4}  configuration: {options.config} has no fault")
    states = []
    for line in examine(Installation(configuration, world_clock())):
        show(str(line))
        states.append(line.state)
    failed, warned = states.count(State.FAIL), states.count(State.WARN)
    show(f"{failed} failed, {warned} to be looked at, {states.count(State.OK) + 1} in order")
    return 1 if failed else 0
