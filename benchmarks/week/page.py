"""The page: how quiet the week was, by detector and cause, and the thefts. `docs/quiet.md` is written here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.week.habits import SOURCES
from benchmarks.week.scoring import Score, Told
from benchmarks.week.simulate import Week
from benchmarks.week.thefts import EXPECTED, HARDER

AIM, RINGING = 0.5, 0.1
HEAD = """# Quiet by default

Written by `python -m benchmarks.week`; do not edit by hand. A simulated ordinary week of {trucks} trucks ({haulers} long-haul, {couriers}
city) and {trailers} tracked trailers, {fixes:,} fixes, judged by the very step that runs live, with the shipped defaults. {known} of its
{places:,} stop places are known to the monitor, drawn without regard to how often they are visited; yards (with opening hours) and ports
of entry are known.

An *alert* is a signal of severity warning or critical; a critical one rings. Notes go into the log and the digest, and are counted apart.
A day is a truck's day, Sundays included, until it is stolen. What tells of a planted theft is no false alarm and is not in the tables.
"""


CHANGED = """Each row is the same week judged again with one thing changed; the last ones are another week of the same trucks, without
thefts, in which the places that were learned from this week are known besides. Doors say open while loading, and have a sensor in that
row alone."""
FIXED = """How long stops last and how often they happen was fixed before anything was measured. Three things were corrected after a first
look, at which jams made 38 alerts and nights in known places 89: halts within a jam are short ones now (they were those of a border queue,
which made a jam slower than 1 to 6 km/h); nobody spends the night at a fuel station (a truck stop is parking to whoever enters it; where it
is entered as fuel, an hour is its limit); and long-haul trucks drive more (they stood in their yard for half of the week). The thefts on
the road, but for the dropped trailers, moved from the first day to the third, when the monitor has seen how a truck's tracker sleeps."""
MISSING = """Not simulated: alarms of the devices, late uploads, drivers who change trucks, trailers that change tractors, lockdowns and
hours of movement (both would tell of the yard's thefts too), and whatever else an ordinary week has that nobody thought of."""


@dataclass(frozen=True)
class Other:
    """The same week, or another one of the same trucks, with something changed."""

    name: str
    score: Score


def page(week: Week, score: Score, others: Sequence[Other], known: tuple[int, int]) -> str:
    """The whole page; `known`: how many stop places of how many are known."""
    parts = [_head(week, known), _summary(score), _thefts(score), _causes(score), _others(score, others), _sources()]
    return "\n".join(parts)


def _head(week: Week, known: tuple[int, int]) -> str:
    sorts = [vehicle.sort for vehicle in week.vehicles]
    return HEAD.format(
        trucks=len(sorts) - sorts.count("trailer"),
        haulers=sorts.count("long-haul"),
        couriers=sorts.count("city"),
        trailers=sorts.count("trailer"),
        fixes=sum(len(vehicle.reports.time) for vehicle in week.vehicles),
        known=known[0],
        places=known[1],
    )


def headline(score: Score) -> list[str]:
    """What was aimed at, and what was measured."""
    alerts = score.trucks()
    rate, ringing = len(alerts) / score.truck_days, _critical(alerts) / max(1, len(alerts))
    promised = [found for found in score.found if found.theft.kind not in HARDER]
    harder = [found for found in score.found if found.theft.kind in HARDER]
    missed = sum(not found.expected for found in promised)
    lines = [
        f"{_verdict(rate <= AIM)}: {rate:.2f} alerts a truck and day (aim: at most {AIM})",
        f"{_verdict(ringing <= RINGING)}: {ringing:.1%} of them ring (aim: at most one in ten)",
        f"{_verdict(not missed)}: {len(promised) - missed} of {len(promised)} planted thefts found (aim: all)",
    ]
    for found in harder:
        by = "found" if found.expected else "not told by its silence"
        lines.append(f"beyond the aim, {found.theft.kind}: {by}; see below")
    return lines


def _verdict(kept: bool) -> str:  # noqa: FBT001 - reads as its argument
    return "met" if kept else "MISSED"


def _critical(told: Sequence[Told]) -> int:
    return sum(t.signal.severity == "critical" for t in told)


def _summary(score: Score) -> str:
    days = score.truck_days
    lines = ["## The aims", "", *(f"- {line}" for line in headline(score)), ""]
    rows = []
    for name, sort in (("long-haul trucks", "long-haul"), ("city trucks", "city"), ("their tracked trailers", "trailer")):
        alerts, notes = score.ordinary(sort=sort), len(score.notes(sort))
        own = score.days[sort]
        share = f"{_critical(alerts) / len(alerts):.1%}" if alerts else "-"
        rows.append((name, f"{own:.0f}", len(alerts), f"{len(alerts) / own:.2f}" if own else "-", share, notes))
    lines += _table(("of", "days", "alerts", "alerts a day", "critical", "notes besides"), rows)
    incidents, with_notes = score.incidents(), score.incidents(notes=True)
    lines += [
        "",
        f"Folded into incidents (a vehicle's signals within ten minutes are one), trailers included: {incidents} of them, "
        f"{incidents / days:.2f} a truck and day; {with_notes / days:.2f} with notes.",
        "",
    ]
    return "\n".join(lines)


def _thefts(score: Score) -> str:
    rows = []
    for found in score.found:
        must = EXPECTED[found.theft.kind]
        by = "; ".join(
            f"{'**' if signal.kind in must else ''}`{signal.kind}`{'**' if signal.kind in must else ''} "
            f"({signal.severity}) after {found.after_min(signal):.0f} min"
            for signal in found.told
        )
        rows.append((found.theft.kind, found.theft.vehicle, " or ".join(f"`{kind}`" for kind in must), by or "nothing"))
    told = "What must tell of it (in bold where it did), and the first alert of each kind while it was going on."
    return "\n".join(["## The planted thefts", "", told, "", *_table(("theft", "truck", "expected", "told by"), rows), ""])


def _causes(score: Score) -> str:
    rows = []
    for kind, cause, count, trailers in score.table():
        alerts = count["warning"] + count["critical"]
        share = f"{count['critical'] / alerts:.0%}" if alerts else "-"
        rows.append((f"`{kind}`", cause, alerts, f"{alerts / score.truck_days:.3f}", share, count["note"], trailers))
    heads = (
        "detector",
        "what was truly going on",
        "alerts of trucks",
        "a truck and day",
        "critical",
        "notes",
        "alerts of trailers",
    )
    return "\n".join(["## By detector and cause", "", *_table(heads, rows), ""])


def _others(score: Score, others: Sequence[Other]) -> str:
    rows = []
    for other in (Other("as above", score), *others):
        alerts = other.score.trucks()
        promised = [found.expected for found in other.score.found if found.theft.kind not in HARDER]
        share = f"{_critical(alerts) / len(alerts):.1%}" if alerts else "-"
        stolen = f"{sum(promised)} of {len(promised)}" if promised else "-"
        rows.append((other.name, len(alerts), f"{len(alerts) / other.score.truck_days:.2f}", share, stolen))
    heads = ("with", "alerts of trucks", "a truck and day", "critical", "thefts found")
    return "\n".join(["## With something changed", "", CHANGED, "", *_table(heads, rows), ""])


def _sources() -> str:
    lines = ["## Where the week comes from", "", FIXED, ""]
    return "\n".join([*lines, *(f"- **{what}**: {text}" for what, text in SOURCES), "", MISSING, ""])


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table; all columns but text are to the right."""
    sides = [
        "--:" if all(str(row[k])[:1].isdigit() or row[k] == "-" for row in rows) and rows else "---" for k in range(len(heads))
    ]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(sides) + " |"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
