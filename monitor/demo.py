"""The demo: the whole program on one fast clock, fed by a simulated fleet over real MQTT connections.

Everything it keeps is in one folder, so that a second start goes on where the first one ended: the database, the clock's anchor, the
trips, the devices' token and their outbox. The fleet is a process of its own, as devices would be.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.clock import CLOCK_FILE, FastClock
from monitor.configuration import SETTINGS, Configuration, load_configuration
from monitor.errors import ServiceError
from monitor.ingest.fleet.plan import Plan
from monitor.ingest.simulate import read_features
from monitor.settings import load_settings
from monitor.store import credentials
from monitor.store.store import Store

CARRIER = "demo"
DATABASE = "monitor.db"
SEED = 7
DAY_MS = 86_400_000
TRIP_DAYS = 14
FLEET_STOP_S = 15.0


class DemoFolder:
    """The folder of one demo."""

    def __init__(self, folder: Path, rate: float, vehicles: int) -> None:
        self.folder, self.rate, self.vehicles = folder, rate, vehicles
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(f"{folder}: the demo's folder cannot be made: {error.strerror}; --var names another") from None
        self.clock_file, self.trips_file = folder / CLOCK_FILE, folder / "trips.jsonl"
        self.token_file, self.outbox_file = folder / "device-token", folder / "outbox.json"
        if (folder / DATABASE).exists() and not self.clock_file.exists():
            raise ServiceError(f"{folder / DATABASE}: is not a demo's database; --var names another folder")
        self.clock = FastClock.kept_in(self.clock_file, rate)
        self.clock.keep(self.clock_file)

    def configuration(self, config: Path, port: int, assignments: Sequence[str]) -> Configuration:
        """Read the configuration, with the demo's own database, trips, notice log and port laid over it.

        Raises
        ------
        ConfigurationError
            With every fault.
        """
        own = [
            f"store.url=sqlite:///{self.folder / DATABASE}",
            f"alerts.notice_log={self.folder}/notices.log",
            f"trips={self.trips_file}",
            f"ingest.listener.port={port}",
            "web.port=0",
        ]
        self._write_trips(Path(load_settings(config / SETTINGS, assignments).geofences))
        return load_configuration(config, [*own, *assignments])

    def plan(self, geofences: Path) -> Plan:
        """Give the fleet of this folder: the same at every start."""
        return Plan(SEED, self.clock.started, read_features(geofences), vehicles=self.vehicles, carrier=CARRIER)

    def token(self, store: Store) -> str:
        """Give the devices' token, made and registered at the first start."""
        if not self.token_file.exists():
            with store.begin() as transaction:
                token = credentials.create(transaction, CARRIER, None, self.clock(), by="demo")
            beside = self.token_file.with_suffix(".new")
            beside.touch(mode=0o600)
            beside.write_text(token, encoding="utf-8")
            beside.replace(self.token_file)
        return self.token_file.read_text(encoding="utf-8")

    def start_fleet(self, geofences: Path, port: int) -> subprocess.Popen[bytes]:
        """Start the fleet's process against the monitor on `port`."""
        anchor = f"{self.clock.program}:{self.clock.real}:{self.clock.started}"
        command = [sys.executable, "-m", "monitor", "simulate", "--port", str(port), "--password-file", str(self.token_file)]
        command += ["--outbox", str(self.outbox_file), "--geofences", str(geofences), "--vehicles", str(self.vehicles)]
        command += ["--anchor", anchor, "--rate", str(self.rate), "--carrier", CARRIER, "--with-parent"]
        log = (self.folder / "fleet.log").open("ab")
        with log:
            return subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _write_trips(self, geofences: Path) -> None:
        """Write the trips of the fleet from its first day to some days ahead."""
        plan = self.plan(geofences)
        records = plan.trips(self.clock.started - DAY_MS, self.clock() + TRIP_DAYS * DAY_MS)
        beside = self.trips_file.with_suffix(".new")
        beside.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
        beside.replace(self.trips_file)


def stop_fleet(fleet: subprocess.Popen[bytes]) -> None:
    """Ask the fleet's process to end, and make it where it does not."""
    fleet.terminate()
    try:
        fleet.wait(FLEET_STOP_S)
    except subprocess.TimeoutExpired:
        fleet.kill()
        fleet.wait()
