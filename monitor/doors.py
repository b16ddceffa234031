"""The doors of a monitor, built from its settings: our own listener, a broker, HTTP; and what is common to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from monitor.clock import Clock
from monitor.errors import MonitorError
from monitor.fixes import Identity, VehicleId
from monitor.ingest.broker import Broker
from monitor.ingest.identity import Adoptions
from monitor.ingest.ingress import Door
from monitor.ingest.listener import Listener
from monitor.ingest.mqtt.outside import Outside
from monitor.ingest.sequence import Receipt
from monitor.ingest.topics import Address, Refusal, parse, publishable, subscriptions
from monitor.intake import Intake
from monitor.settings import Settings
from monitor.store import ledger
from monitor.store.acquaintance import Acquaintance
from monitor.store.store import Store
from monitor.store.verifier import Verifier
from monitor.web.api import Vitals
from monitor.web.callers import Credentials
from monitor.web.door import HttpDoor
from monitor.web.judging import judging

log = logging.getLogger("monitor")


class Doors:
    """Every way in that the settings name."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, intake: Intake, vitals: Vitals) -> None:
        self._settings, self._store, self._clock, self._feeds = settings, store, clock, intake.feeds
        verifier = Verifier(store, clock=clock)
        self.listener = self._listener(verifier) if settings.ingest.source != "broker" else None
        self.broker = self._broker() if settings.ingest.source != "listener" else None
        self.web = self._web(verifier, intake.devices.adopted, vitals) if settings.web.enabled else None

    @property
    def all(self) -> Sequence[Door]:
        """In the order in which they are opened."""
        every: Sequence[Door | None] = (self.listener, self.broker, self.web)
        return [door for door in every if door is not None]

    def publish(self, carrier: str, topic: str, payload: bytes, *, retain: bool) -> None:
        """Tell those of a carrier who listen at a topic, from any thread; with `retain` also those who come later, until it is empty."""
        for door in (self.listener, self.broker):
            if door is not None:
                door.publish(carrier, topic, payload, retain=retain)

    def reload(self, settings: Settings) -> str | None:
        """Go by certificates and limits read anew, where they are good; gives what is wrong with them, None for nothing."""
        try:
            if self.listener is not None:
                self.listener.reload(settings.ingest.listener)
            if self.web is not None:
                self.web.reload()
        except MonitorError as error:
            log.error("not reloaded: %s", error)
            return str(error)
        return None

    def _listener(self, verifier: Verifier) -> Listener:
        ingest = self._settings.ingest

        def publishable_here(identity: Identity, topic: str) -> Address | Refusal:
            return publishable(identity, topic, self._feeds)

        outside = Outside(
            publishable=publishable_here,
            revision=verifier.revision,
            holds=verifier.holds,
            standing=self._standing,
            retained=self._retained,
        )
        return Listener(ingest.listener, ingest.batch_messages, verifier.authenticate, outside)

    def _broker(self) -> Broker:
        settings = self._settings.ingest.broker
        return Broker(
            settings,
            self._settings.ingest.batch_messages,
            parse=partial(parse, feeds=self._feeds),
            filters=subscriptions(self._settings),
            acquaintance=Acquaintance(self._store, self._clock, settings.client_id, f"{settings.host}:{settings.port}"),
        )

    def _web(self, verifier: Verifier, devices: Callable[[], Adoptions], vitals: Vitals) -> HttpDoor:
        credentials = Credentials(verifier.authenticate, verifier.bearer)
        judge = judging(self._settings.ingest, self._feeds, self._clock, devices)
        return HttpDoor(self._settings.web, credentials, judge, vitals, self._feeds)

    def _standing(self, vehicles: Sequence[VehicleId]) -> Sequence[Receipt]:
        with self._store.read() as transaction:
            return ledger.standing(transaction, vehicles)

    def _retained(self, carrier: str) -> Mapping[str, bytes]:
        with self._store.read() as transaction:
            return ledger.statuses(transaction, carrier)
