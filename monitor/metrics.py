"""Figures for Prometheus: counted as the program runs, and read from the database when they are asked for.

A label has few values, whatever is sent: reasons are put in classes, and of carriers the first are named, the rest are one. There are
no positions, vehicles, people or secrets in them. A registry is the program's own: several may run in one process.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from monitor.findings import Finding
from monitor.fixes import FixBatch, Reject
from monitor.ingest.delivery import Message
from monitor.store.figures import Figures

CARRIERS = 50
OTHERS = "(others)"
CLASSES = (
    ("identity", "identity"),
    ("register", "unknown_device"),
    ("topic", "topic"),
    ("Content-", "form"),
    ("gzip", "packing"),
    ("too large", "too_large"),
    ("larger", "too_large"),
    ("fixes in one message", "too_many"),
    ("time is", "time"),
    ("trip", "trip"),
)
"""A word of a reason, and the class that it tells, the first that applies; all others are the payload's."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Present(NamedTuple):
    """What is so at the moment, as far as it takes no database to know."""

    waiting: int = 0
    """Packets in the inbox."""
    connections: Mapping[str, int] = {}
    degraded: Sequence[str] = ()
    """Detectors that broke."""
    ready: bool = True
    vehicles: int = 0
    """That this process has met."""


class Committed(NamedTuple):
    """What was committed in one transaction."""

    messages: Sequence[Message]
    rejects: Sequence[Reject]
    findings: Sequence[Finding]
    fixes: FixBatch
    fresh: int
    """How many of the fixes were not stored before."""
    now: int
    """When they arrived, ms."""
    seconds: float
    """From the decoding to the commit."""


def reason_class(reason: str) -> str:
    """Put a reason in one of the classes that are counted."""
    return next((kind for word, kind in CLASSES if word in reason), "payload")


class Metrics:
    """The figures of one monitor; counted by the main loop, asked by any thread."""

    def __init__(self, present: Callable[[], Present], stored: Callable[[], Figures | None]) -> None:
        """`stored` gives what the database says, None where it cannot be read."""
        self.registry = CollectorRegistry()
        self._named: set[str] = set()
        self._deliveries = self._counter("monitor_deliveries", "Deliveries that were taken and committed.")
        self._messages = self._counter("monitor_messages", "Messages of deliveries that were committed.", "carrier")
        self._fixes = self._counter("monitor_fixes", "Fixes stored, duplicates not counted.")
        self._duplicates = self._counter("monitor_duplicate_fixes", "Fixes that were stored before.")
        self._rejects = self._counter("monitor_rejects", "Messages, or parts of them, that were not taken.", "reason")
        self._findings = self._counter("monitor_findings", "Observations noted as findings.", "kind")
        self._faults = self._counter("monitor_store_faults", "Times that the database went out of reach.")
        self._broke = self._counter("monitor_detector_faults", "Times that a detector broke over a delivery.", "detector")
        words = "From the decoding of a delivery to its commit, detection included."
        self._seconds = Histogram("monitor_delivery_seconds", words, registry=self.registry, buckets=SECONDS)
        words = "Age of a fix of the last delivery when it arrived."
        self._age = Gauge("monitor_fix_age_seconds", words, ("which",), registry=self.registry)
        self.registry.register(_Asked(present, stored))

    def took(self, committed: Committed) -> None:
        """Count what was committed together; what is empty is not counted."""
        if not (committed.messages or committed.rejects or committed.findings or len(committed.fixes)):
            return
        self._deliveries.inc()
        self._seconds.observe(committed.seconds)
        for carrier, count in Tally(message.carrier for message in committed.messages).items():
            self._messages.labels(self._carrier(carrier)).inc(count)
        for reject in committed.rejects:
            self._rejects.labels(reason_class(reject.reason)).inc()
        for found in committed.findings:
            self._findings.labels(found.kind).inc()
        if len(committed.fixes):
            self._count_fixes(committed)

    def _count_fixes(self, committed: Committed) -> None:
        self._fixes.inc(committed.fresh)
        self._duplicates.inc(len(committed.fixes) - committed.fresh)
        times = committed.fixes.time.view(np.int64)
        self._age.labels("oldest").set((committed.now - int(times.min())) / 1000)
        self._age.labels("newest").set((committed.now - int(times.max())) / 1000)

    def broke(self, detectors: Iterable[str]) -> None:
        """Count that detectors broke over a delivery."""
        for name in detectors:
            self._broke.labels(name).inc()

    def missed(self) -> None:
        """Count that the database went out of reach."""
        self._faults.inc()

    def exposition(self) -> bytes:
        """All of it in the text form of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(name, words, labels, registry=self.registry)

    def _carrier(self, name: str) -> str:
        if name not in self._named and len(self._named) < CARRIERS:
            self._named.add(name)
        return name if name in self._named else OTHERS


class _Asked(Collector):
    """What is looked up when it is asked for."""

    def __init__(self, present: Callable[[], Present], stored: Callable[[], Figures | None]) -> None:
        self._present, self._stored = present, stored

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing beforehand: to know the names would be to ask the database."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges as they are now."""
        present, stored = self._present(), self._stored()
        yield _gauge("monitor_inbox_waiting", "Packets that wait for the main loop.", present.waiting)
        yield _gauge("monitor_connections", "Connections, by door.", present.connections, "door")
        yield _gauge(
            "monitor_detectors_degraded",
            "Detectors that broke and judge nothing.",
            dict.fromkeys(present.degraded, 1),
            "detector",
        )
        yield _gauge("monitor_ready", "1 while all is well, as /readyz says.", int(present.ready))
        yield _gauge("monitor_vehicles_met", "Vehicles that this process has met.", present.vehicles)
        yield _gauge("monitor_database_read", "1 where the figures of the database could be read.", int(stored is not None))
        if stored is not None:
            yield from _of_the_database(stored)


def _of_the_database(stored: Figures) -> Iterator[GaugeMetricFamily]:
    yield _gauge("monitor_vehicles_heard", "Vehicles with a fix of the last hour.", bounded(stored.heard), "carrier")
    yield _gauge("monitor_incidents_open", "Incidents that are not resolved.", stored.incidents, "severity")
    yield _gauge("monitor_notices", "Notices, by how they stand.", stored.notices, "state")
    yield _gauge("monitor_findings_open", "Findings that nobody has closed.", stored.findings, "kind")
    yield _gauge("monitor_escalation_lag_seconds", "How long the oldest step that is due has been due.", stored.escalation_lag_s)
    yield _gauge("monitor_notice_lag_seconds", "How long the oldest notice that is due has been due.", stored.notice_lag_s)
    yield _gauge("monitor_vehicles_waiting", "Vehicles that wait to be judged anew.", stored.waiting)
    yield _gauge("monitor_devices_quarantined", "Payloads of devices that nobody has adopted.", stored.quarantined)
    yield _gauge("monitor_journal_entries", "Entries of the journal.", stored.journal)
    yield _gauge("monitor_database_bytes", "Size of the database.", stored.size)
    yield _gauge("monitor_archived_fixes", "Fixes in files of the archive.", stored.archived_fixes)
    yield _gauge("monitor_archived_files", "Files of the archive.", stored.archived_files)


def bounded(of_carriers: Mapping[str, int]) -> dict[str, int]:
    """Numbers of carriers, the largest by name and the rest as one."""
    ordered = sorted(of_carriers.items(), key=lambda item: (-item[1], item[0]))
    rest = {OTHERS: sum(count for _, count in ordered[CARRIERS:])} if len(ordered) > CARRIERS else {}
    return dict(ordered[:CARRIERS]) | rest


def _gauge(name: str, words: str, said: float | Mapping[str, int], label: str = "") -> GaugeMetricFamily:
    if not isinstance(said, Mapping):
        return GaugeMetricFamily(name, words, value=said)
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, amount in said.items():
        family.add_metric([value], amount)
    return family
