"""From a device's PUBLISH to the incident's row on disk, while 1,000 and 5,000 other messages arrive each second.

Twenty-five times a second a standing vehicle sends the fix that shows an unauthorized stop; the time runs from the call that
sends it to its PUBACK, which comes after the commit of signal, incident and notices.
"""

from __future__ import annotations

from benchmarks.running import running
from benchmarks.table import percentile, show
from monitor.clock import world_clock

CONNECTIONS, VEHICLES, PROBE_RATE, SECONDS = 101, 1000, 25, 20
RATES = (1000, 5000)
LIMITS = ("detectors.unauthorized_stop.limit=1s", "detectors.unauthorized_stop.no_stop_limit=1s", "motion.shortest_stop=1s")
HOUR_MS = 3_600_000


def measure(rate: int) -> list[object]:
    """One row of the table."""
    with running(LIMITS) as monitor:
        order = {"connections": CONNECTIONS, "vehicles": VEHICLES, "window": 1000, "probe_rate": PROBE_RATE}
        begin = world_clock() - 12 * HOUR_MS
        first = begin + 2 * HOUR_MS
        monitor.order(
            "benchmarks.publisher",
            first_ms=begin,
            messages=VEHICLES,
            rate=0,
            **{k: order[k] for k in ("connections", "vehicles", "window")},
        )
        probes = PROBE_RATE * SECONDS
        report, spent = monitor.order(
            "benchmarks.prober", first_ms=first, messages=rate * SECONDS, rate=rate, probes=probes, **order
        )
    if report["missing"]:
        raise SystemExit(f"{report['missing']} of {probes} probes have no incident")
    p50, p99 = (percentile(report["probes"], share) for share in (0.5, 0.99))
    every = [percentile(report["all"], share) for share in (0.5, 0.99)]
    return [f"{rate:,}/s", int(report["rate"]), probes, p50, p99, *every, spent / SECONDS]


def main() -> None:
    """Measure and print."""
    heads = ["asked", "reached", "incidents", "p50 ms", "p99 ms", "any fix p50", "any fix p99", "cores used"]
    title = f"PUBLISH to incident on disk, {SECONDS} s each, {CONNECTIONS} connections, {VEHICLES:,} vehicles, {PROBE_RATE} incidents/s"
    show(title, heads, [measure(rate) for rate in RATES])


if __name__ == "__main__":
    main()
