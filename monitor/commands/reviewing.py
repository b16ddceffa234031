"""The commands that judge what is recorded or configured: replay, check."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from monitor.alerts.channels import build_channels
from monitor.alerts.policies import switched_off
from monitor.commands.speaking import progress_bar, say, show
from monitor.configuration import Configuration, load_configuration, load_world
from monitor.errors import ConfigurationError, InputError
from monitor.explain.log import trip_log
from monitor.ingest.listener import warnings as listener_warnings
from monitor.ingest.uplink.client import warnings as broker_warnings
from monitor.places import Geofences, load_geofences
from monitor.replay import replay as run_replay
from monitor.replay import stop_lines
from monitor.settings import effective, load_settings
from monitor.signals import instant, log_lines
from monitor.store.store import file_of
from monitor.world import World

NAMED = ("trips", "authorizations", "lockdowns")
"""The options that name a file of the world, each the setting of that name."""


def replay(options: argparse.Namespace) -> None:
    """Write the signal log, and the stops, of recorded fixes."""
    if options.batch is not None and options.batch < 1:
        raise InputError(f"--batch {options.batch}: allowed is a whole number from 1")
    world = world_of(options)
    with progress_bar("replaying") as progress:
        found = run_replay(
            options.files,
            world,
            until=horizon(options.until),
            batch=options.batch,
            arrival_order=options.arrival_order,
            progress=progress,
        )
    if options.explain:
        show(*trip_log(found.signals, found.stops, world, options.explain))
    if options.out or not options.explain:
        _write(options.out, log_lines(found.signals))
    if options.stops:
        _write(options.stops, stop_lines(found.stops))
    say(*(f"monitor: not taken: {reject}" for reject in found.rejects[:20]))
    if found.imprecise:
        say(
            f"monitor: {found.imprecise:,} of {found.fixes:,} positions are too rough to tell a stop or a corridor "
            "(accuracy worse than 200 m, or coordinates of two decimals)"
        )
    say(*(f"monitor: degraded: {kind}: {fault}" for kind, fault in found.faults.items()))
    say(
        f"monitor: {found.fixes:,} fixes, {len(found.rejects):,} rows not taken, {len(found.signals):,} signals, {len(found.stops):,} stops"
    )


def take_recorded(parser: argparse.ArgumentParser) -> None:
    """Add what every command on recorded fixes takes: the fixes, and the world to judge them under."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FIXES", help="CSV or Parquet")
    parser.add_argument("--geofences", type=Path, metavar="DIR", help="GeoJSON files of places and routes (none)")
    for name in NAMED:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help="CSV or JSON lines (none)")
    parser.add_argument("--config", type=Path, metavar="DIR", help="a configuration folder; its monitor.toml says the settings")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml; may be repeated"
    )
    parser.add_argument("--until", metavar="TIME", help="the horizon, RFC 3339 with a zone (the newest time in the input)")


def world_of(options: argparse.Namespace) -> World:
    """The world that the options for recorded fixes name; what was repaired in it is said.

    Raises
    ------
    ConfigurationError
        With every fault.
    """
    named = {name: getattr(options, name) for name in NAMED}
    assignments = [*options.set, *(f"{name}={file}" for name, file in named.items() if file)]
    settings = load_settings(options.config / "monitor.toml" if options.config else None, assignments)
    folder = options.geofences or (Path(settings.geofences) if options.config else None)
    geofences = load_geofences(folder, settings.timezone) if folder else Geofences()
    world = load_world(settings, geofences)
    say(*(f"monitor: {warning}" for warning in (*geofences.warnings, *world.trips.overlaps())))
    return world


def horizon(text: str | None) -> int | None:
    """The instant of `--until`, ms; None where it is not given.

    Raises
    ------
    InputError
        If it is no such time.
    """
    try:
        return None if text is None else instant(text)
    except (ValueError, OverflowError):
        raise InputError(f"--until {text}: allowed is an RFC 3339 time with a zone, such as 2026-03-01T06:00:00Z") from None


def _write(file: Path | None, lines: Sequence[str]) -> None:
    if file is None:
        show(*lines)
        return
    try:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None


def check(options: argparse.Namespace) -> int:
    """Print every fault of the configuration, or what is in force; 1 where there is a fault."""
    try:
        found = load_configuration(options.config, options.set)
        channels = build_channels(found.settings.alerts, Console(quiet=True))
        file_of(found.settings.store.url)
    except ConfigurationError as error:
        show(*error.faults, f"{len(error.faults)} fault{'s' * (len(error.faults) != 1)}")
        return 1
    show(*(f"{line.key} = {_shown(line.value)}" for line in effective(found.settings)))
    ingest = found.settings.ingest
    warnings = [*listener_warnings(ingest), *(broker_warnings(ingest.broker) if ingest.source != "listener" else [])]
    warnings += [
        *found.geofences.warnings,
        *found.world.trips.overlaps(),
        *switched_off(found.policies, found.contacts, channels),
    ]
    show(*_summary(found), *(f"warning: {warning}" for warning in warnings), "no fault")
    return 0


def _shown(value: object) -> str:
    return "none" if value is None else f'"{value}"' if isinstance(value, str) else str(value).lower()


def _summary(found: Configuration) -> list[str]:
    world, unverified = found.world, [c.id for c in found.contacts.values() if c.authority and c.verified_on is None]
    return [
        f"{len(world.atlas.places)} places, {len(world.atlas.routes)} routes, {len(world.trips.all)} trips (version {world.version})",
        f"{len(found.contacts)} contacts; authorities not verified by anybody: {', '.join(unverified) or 'none'}",
    ]
