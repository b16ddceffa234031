"""Truth and score: what a simulated fleet went through, one JSON object a line, and how much of it a signal log tells.

A *label* is one trouble of one vehicle and the kind of signal that it should cause. A signal tells of a label of its kind and vehicle
whose interval it overlaps, or comes near. Where the beginning of a label was not measured, or its end not yet, nobody can be asked to
know of it: it counts as *open* where nobody does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from monitor.errors import InputError
from monitor.ingest.fleet.plan import Plan
from monitor.signals import instant, json_line, timestamp

NEAR_MS = 5 * 60_000
"""A condition is measured from report to report, a detour from where it leaves the corridor."""
EVER = 2**62


class Episode(NamedTuple):
    """A label or a signal, as far as scoring is concerned; instants in ms."""

    kind: str
    carrier: str
    vehicle: str
    since: int
    until: int
    """EVER while it goes on."""
    whole: bool
    """Of a label, whether it was measured from its beginning to its end."""
    line: str


@dataclass
class Row:
    """One kind."""

    found: int = 0
    missed: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    open: int = 0
    repeated: int = 0
    """Signals that tell of a label which another told of."""

    @property
    def perfect(self) -> bool:
        """Whether all was told and nothing else."""
        return not self.missed and not self.extra


def truth_lines(plan: Plan, until: int) -> list[str]:
    """The labels of a plan that began before an instant (ms), in the order of their beginnings; `until` is null where one goes on."""
    return [
        json_line(
            kind=label.kind,
            vehicle=label.vehicle,
            carrier=plan.carrier,
            cause=label.cause,
            since=timestamp(label.since),
            until=None if label.until > until else timestamp(label.until),
            whole=label.since > plan.first and label.until <= until,
            lon=label.lon,
            lat=label.lat,
            where=label.where,
        )
        for label in plan.truth(plan.first, until)
    ]


def read_episodes(file: Path) -> list[Episode]:
    """Read a truth file or a signal log.

    Raises
    ------
    InputError
        If the file cannot be read; a line that is none is named.
    """
    found = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    found.append(_episode(file, number, line.strip()))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not readable: {error}") from None
    return found


def _episode(file: Path, number: int, line: str) -> Episode:
    try:
        said = json.loads(line)
        until = EVER if said["until"] is None else instant(said["until"])
        who = (str(said["kind"]), str(said["carrier"]), str(said["vehicle"]))
        return Episode(*who, instant(said["since"]), until, bool(said.get("whole", True)), line)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file}:{number}: {line[:80]!r}: allowed is a JSON object with kind, vehicle, carrier, since and until ({error!r})"
        ) from None


def score(truth: Sequence[Episode], signals: Iterable[Episode]) -> dict[str, Row]:
    """Compare, by kind: what was found, what was missed, what was told besides."""
    rows: dict[str, Row] = {}
    told: set[int] = set()
    labels: dict[tuple[str, str], list[int]] = {}
    for number, label in enumerate(truth):
        labels.setdefault((label.kind, label.vehicle), []).append(number)
    for signal in sorted(signals, key=lambda signal: signal.since):
        row = rows.setdefault(signal.kind, Row())
        about = [number for number in labels.get((signal.kind, signal.vehicle), ()) if _near(truth[number], signal)]
        first = next((number for number in about if number not in told), None)
        if first is not None:
            told.add(first)
        elif about:
            row.repeated += 1
        else:
            row.extra.append(signal.line)
    for number, label in enumerate(truth):
        row = rows.setdefault(label.kind, Row())
        if number in told:
            row.found += 1
        elif label.whole:
            row.missed.append(label.line)
        else:
            row.open += 1
    return dict(sorted(rows.items()))


def _near(label: Episode, signal: Episode) -> bool:
    return label.since - NEAR_MS <= signal.until and signal.since <= label.until + NEAR_MS


def table(rows: Mapping[str, Row]) -> list[str]:
    """The score as lines for people."""
    head = f"{'kind':24}{'found':>8}{'missed':>8}{'extra':>8}{'repeated':>10}{'open':>6}"
    return [
        head,
        *(
            f"{kind:24}{row.found:>8}{len(row.missed):>8}{len(row.extra):>8}{row.repeated:>10}{row.open:>6}"
            for kind, row in rows.items()
        ),
    ]
