"""The commands that go on until they are stopped: run, demo."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from monitor import logs
from monitor.app import App
from monitor.clock import FastClock, clock_beside, world_clock
from monitor.commands.speaking import progress_bar, say, typed_command
from monitor.configuration import load_configuration
from monitor.demo import DemoFolder, stop_fleet
from monitor.errors import InputError, ServiceError
from monitor.live_board import LiveBoard
from monitor.store.store import file_of
from monitor.systemd import READY, STOPPING, notify


def run(options: argparse.Namespace) -> None:
    """Run the monitor on the world's clock; SIGHUP has it read its configuration anew, SIGUSR1 judge anew the vehicles that wait."""
    configuration = load_configuration(options.config, options.set)
    say(*(f"monitor: {warning}" for warning in configuration.geofences.warnings))
    database = file_of(configuration.settings.store.url)
    if database is not None and isinstance(clock_beside(database), FastClock):
        raise ServiceError(f"{database.parent}: holds a demo; store.url names another database, or remove the folder")
    app = App(configuration, world_clock, _screen(options), typed_command())
    signal.signal(signal.SIGHUP, lambda *_: app.reload())
    signal.signal(signal.SIGUSR1, lambda *_: app.adjudicate())
    _serve(app, options, lambda: None)


def demo(options: argparse.Namespace) -> None:
    """Run the monitor and a simulated fleet on a fast clock."""
    if not 0 < options.rate <= 1000 or not 1 <= options.vehicles <= 10_000:
        raise InputError(f"--rate {options.rate:g} --vehicles {options.vehicles}: allowed are up to 1000, and 1 to 10,000")
    folder = DemoFolder(options.var, options.rate, options.vehicles)
    configuration = folder.configuration(options.config, options.port, options.set)
    geofences = Path(configuration.settings.geofences)
    app = App(configuration, folder.clock, _screen(options), typed_command())
    signal.signal(signal.SIGUSR1, lambda *_: app.adjudicate())
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
    say(
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
    logs.configure(app.settings.log, board=board)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.stop())
    try:
        with progress_bar("getting ready") as progress:
            app.start(progress)
        begin()
        notify(READY)
        if board:
            console = Console()
            with LiveBoard(app, console).showing():
                app.run()
        else:
            ports = {name: port for name, port in (("MQTT", app.port), ("HTTP", app.web_port)) if port}
            words = "".join(f", {name} on port {port}" for name, port in ports.items())
            logs.announce(app.settings.log, f"ready{words}", ports=ports)
            app.run()
    finally:
        notify(STOPPING)
        app.close()
