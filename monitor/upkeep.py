"""Upkeep: what the main loop does between two deliveries, when somebody asked for it or it is due.

    reload      the configuration is read anew; one with a fault is told, and the last good one stays in force
    heed        authorizations and lockdowns that commands have written come into force
    adjudicate  vehicles that wait are judged anew, one between two deliveries, so that the others are not kept waiting

A database that is out of reach is tried again after the next delivery.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from monitor.clock import Clock
from monitor.configuration import Configuration
from monitor.engine import Engine
from monitor.errors import ArchiveError, ConfigurationError, StoreError
from monitor.fixes import VehicleId
from monitor.register import Register

log = logging.getLogger("monitor")

HEED_S = 1.0
FAULT = "configuration"
"""Under which name a fault of the configuration is shown to people."""


class Upkeep:
    """The work between deliveries; `reload` and `adjudicate` may be set from any thread or a signal handler."""

    def __init__(
        self,
        configuration: Configuration,
        register: Register,
        engine: Engine,
        clock: Clock,
        heed: Callable[[Configuration], None],
    ) -> None:
        self.reload, self.adjudicate = threading.Event(), threading.Event()
        self.faults: dict[str, str] = {}
        """What people have to know until it is put right."""
        self._configuration, self._register, self._engine, self._clock, self._heed = configuration, register, engine, clock, heed
        self._looked = float("-inf")
        self._put_off: set[VehicleId] = set()
        """Who cannot be judged anew this time, because a file of the archive is away."""

    def begin(self) -> None:
        """Bring the engine, just filled from the database, up to what the files and the commands have said since.

        Raises
        ------
        StoreError
            If the database is out of reach.
        ConfigurationError
            If what is configured makes no world.
        """
        self._register.restate(self._engine, self._configuration.said(), self._clock())
        self._register.heed(self._engine, self._clock())
        self.adjudicate.set()

    def turn(self) -> None:
        """Do what is due."""
        try:
            if self.reload.is_set():
                self._reload()
            if time.monotonic() - self._looked >= HEED_S:
                self._looked = time.monotonic()
                self._register.heed(self._engine, self._clock())
            if self.adjudicate.is_set():
                self._adjudicate_one()
        except StoreError as error:
            log.error("%s; trying again", error)

    def _reload(self) -> None:
        """Read the configuration and take it over; where it has a fault nothing changes."""
        self.reload.clear()
        self.faults.pop(FAULT, None)
        try:
            read = self._configuration.reread()
            self._register.restate(self._engine, read.said(), self._clock())
        except StoreError:
            self.reload.set()
            raise
        except ConfigurationError as error:
            for fault in error.faults:
                log.error("not reloaded: %s", fault)
            self.faults[FAULT] = f"not reloaded, the last good one is in force: {error.faults[0]}"
        else:
            self._configuration = read
            self._heed(read)
            for warning in read.geofences.warnings:
                log.warning("%s", warning)
            if read.unheeded:
                self.faults[FAULT] = f"{', '.join(read.unheeded)}: changed; that needs a restart"
                log.error("%s", self.faults[FAULT])
            log.warning("configuration reloaded")

    def _adjudicate_one(self) -> None:
        waiting = [vehicle for vehicle in self._engine.waiting() if vehicle not in self._put_off]
        if not waiting:
            self.adjudicate.clear()
            self._put_off.clear()
            return
        try:
            self._engine.adjudicate(waiting[0], self._clock())
        except ArchiveError as error:
            self._put_off.add(waiting[0])
            log.error("%s/%s waits until the next time: %s", *waiting[0], error)
            return
        log.warning("%s/%s was judged anew from its first fix on; %d more wait", *waiting[0], len(waiting) - 1)
