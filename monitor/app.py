"""The program: builds the parts from the configuration and runs them. The flow from a device to a notice is `run`, below.

One thread, the caller's, takes deliveries through engine and store. The metronome ticks once a second in another: due escalation
steps become notices, and the outbox sends what is due. The MQTT listener has a thread of its own.
"""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler
from rich.console import Console

from monitor.alerts import handling
from monitor.alerts.channels import CHANNELS, build_channels
from monitor.alerts.outbox import deliver_due
from monitor.alerts.policies import switched_off
from monitor.clock import Clock
from monitor.configuration import Configuration
from monitor.dispatch import read_plans
from monitor.engine import Engine, Taken
from monitor.errors import StoreError
from monitor.fixes import Fleet, Reject
from monitor.ingest.broker import BrokerSource
from monitor.ingest.decode import decode, in_parts
from monitor.ingest.delivery import Delivery, Message
from monitor.ingest.listener import Listener
from monitor.register import Register
from monitor.signals import Change
from monitor.store.credentials import Verifier
from monitor.store.store import Store, alone
from monitor.store.transaction import Transaction
from monitor.upkeep import Upkeep
from monitor.warm import warm
from monitor.world import World

log = logging.getLogger("monitor")

TICK_S = 1
LATE_TICK_S = 10
"""A metronome that has not ticked for this long is started anew: it stops when the clock is put back."""
RETRY_S = 1.0
AT_HAND = ("console", "log")
"""Channels that need nobody else: what is due by them is sent before the program ends."""


@dataclass
class Counts:
    """What has been going on since the start, for people to see."""

    fixes: int = 0
    rejects: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """What is wrong with the monitor itself."""


class App:
    """The monitor, running. `run` blocks; `stop`, `reload` and `adjudicate` may be called from any thread or a signal handler."""

    def __init__(self, configuration: Configuration, clock: Clock, screen: Console, command: str = "monitor") -> None:
        self.configuration, self.settings, self.clock = configuration, configuration.settings, clock
        self.desk, self.counts = configuration.desk(command), Counts()
        self.channels = build_channels(self.settings.alerts, screen)
        self.warnings = switched_off(configuration.policies, configuration.contacts, self.channels)
        self.store = Store.open(self.settings.store.url, self.settings.store.busy_timeout)
        self._alone = alone(self.store.file)
        self.register = Register(self.store, self.settings, configuration.said(), clock())
        self.engine = Engine(self.store, self.register.world(), Fleet(), self._handle)
        self.upkeep = Upkeep(configuration, self.register, self.engine, clock, self._go_by)
        self._command = command
        self.source = self._source()
        self._stopping, self._started = threading.Event(), False
        self._metronome = BackgroundScheduler(timezone="UTC")
        self._ticked = time.monotonic()

    @property
    def port(self) -> int | None:
        """The TCP port that devices connect to; None where they talk to a broker."""
        return self.source.port if isinstance(self.source, Listener) else None

    def start(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
        """Fill Memory from the database, bind, and set the metronome going.

        Raises
        ------
        MonitorError
            If the address or the broker is in the way.
        """
        warm()
        self._allow_connections()
        with self.store.begin() as transaction:
            transaction.record("monitor", "start", {"configuration": self.configuration.world.version}, self.clock())
        self.engine.resume(progress)
        self.upkeep.begin()
        if self._stopping.is_set():
            return
        self.source.start()
        self._started = True
        self._every_second(self._tick, "tick")
        for name in CHANNELS:  # each by itself: one that hangs holds up none of the others
            self._every_second(partial(self._deliver, name), name)
        hour, minute = self.settings.order.adjudicate_at.split(":")
        self._metronome.add_job(
            self.upkeep.adjudicate.set, "cron", hour=hour, minute=minute, timezone=self.settings.timezone, id="adjudicate"
        )
        self._metronome.start()

    def run(self) -> None:
        """Take deliveries until stopped: decode, store, judge and handle in one transaction each, then acknowledge."""
        for delivery in self.source if self._started else ():
            self._take(delivery)
            self.upkeep.turn()
            self._watch_metronome()

    def stop(self) -> None:
        """End `run` after the delivery under way."""
        self._stopping.set()
        if self._started:
            self.source.close()

    def reload(self) -> None:
        """Read the configuration anew after the delivery under way."""
        self.upkeep.reload.set()

    def adjudicate(self) -> None:
        """Judge anew the vehicles that wait, one after each delivery."""
        self.upkeep.adjudicate.set()

    def close(self) -> None:
        """Send what is due, save where everything stands, give the database back."""
        self._stopping.set()
        if self._metronome.running:
            self._metronome.shutdown()
        for name in AT_HAND:
            self._deliver(name, last=True)
        self.engine.checkpoint()
        self.store.close()
        self._alone.close()

    def _take(self, delivery: Delivery) -> None:
        """One turn of the loop; while the database is out of reach it is tried again, and nothing is acknowledged."""
        refused = list(delivery.rejects)
        for messages in in_parts(delivery.messages):
            if not self._take_part(messages, refused):
                return
            refused = []
        delivery.acknowledge()

    def _take_part(self, messages: Sequence[Message], refused: Sequence[Reject]) -> bool:
        """Decode and take some messages; gives False where the program ends before the database can be reached."""
        now = self.clock()
        fixes, rejects, plans = decode(messages, now, self.engine.fleet, self.settings.ingest)
        rows, wrong = read_plans(plans, self.register.rows, now)
        rejects = [*refused, *rejects, *wrong]
        taken = self._stored(lambda: self.engine.take(fixes, rejects, now))
        if taken is None or self._stored(lambda: self.register.lay(self.engine, rows, now)) is None:
            return False
        self.counts.faults = {**taken.faults, **self.upkeep.faults}
        self.counts.fixes += taken.fixes
        self.counts.rejects += len(rejects)
        return True

    def _stored(self, act: Callable[[], Taken]) -> Taken | None:
        """Do it until the database was within reach; None where the program ends before."""
        while True:
            try:
                return act()
            except StoreError as error:
                if self.counts.faults.get("store") != str(error):
                    log.error("%s; trying again, nothing is acknowledged meanwhile", error)
                self.counts.faults["store"] = str(error)
                if self._stopping.wait(RETRY_S):
                    return None

    def _go_by(self, configuration: Configuration) -> None:
        """Take over what was read anew."""
        self.configuration = configuration
        self.desk = configuration.desk(self._command)
        self.warnings = switched_off(configuration.policies, configuration.contacts, self.channels)

    def _handle(self, transaction: Transaction, changes: Sequence[Change], now: int, world: World) -> None:
        handling.process(transaction, changes, now, replace(self.desk, world=world))

    def _tick(self) -> None:
        """The metronome: due steps become notices."""
        self._ticked = time.monotonic()
        now = self.clock()
        try:
            with self.store.begin() as transaction:
                handling.tick(transaction, now, replace(self.desk, world=self.engine.world))
        except StoreError as error:
            log.error("escalation waits: %s", error)

    def _deliver(self, channel: str, *, last: bool = False) -> None:
        """Send what is due by one channel; at the end of the program one last time, where that takes no time."""
        try:
            wanted = (lambda: True) if last else (lambda: not self._stopping.is_set())
            deliver_due(self.store, self.channels, self.clock, self.settings.alerts, [channel], wanted)
        except StoreError as error:
            log.error("notices by %s wait: %s", channel, error)

    def _every_second(self, job: Callable[[], None], name: str) -> None:
        self._metronome.add_job(job, "interval", seconds=TICK_S, id=name, max_instances=1, coalesce=True)

    def _watch_metronome(self) -> None:
        if time.monotonic() - self._ticked > LATE_TICK_S:
            self._ticked = time.monotonic()
            log.warning("the metronome stood still; it is started anew")
            self._metronome.reschedule_job("tick", trigger="interval", seconds=TICK_S)

    def _allow_connections(self) -> None:
        """Raise the number of files that may be open as far as the system allows: every connection is one."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def _source(self) -> Listener | BrokerSource:
        ingest = self.settings.ingest
        if ingest.source == "broker":
            return BrokerSource(ingest.broker, ingest.batch_messages)
        return Listener(ingest.listener, ingest.batch_messages, Verifier(self.store).authenticate)
