"""The page: what one run measured, as Markdown. Nothing on it is typed by hand but the words around the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy import deviations, real
from benchmarks.accuracy.contest import METRICS, MONITOR, Aim, Scores, aims, worse
from benchmarks.accuracy.peers import Finder

HEAD = """# Accuracy

Written by `python -m benchmarks.accuracy`; do not edit. The monitor and its peers on the same tracks: generated ones with known truth
from fixed seeds, and real ones that others recorded.

**Contestants.** The monitor with its defaults, but an alert after five minutes of standing anywhere. Three libraries, asked for stops of
five minutes, with their documented defaults where they have any and else with the size that the monitor is given (a diameter of twice
the radius; trackintel its own 100 m, scaled with the radius). None of them looks at reported speeds, and they see a whole track at
once; the monitor sees one fix after the other. In this run:

{libraries}

*Traccar rule*, *Fleetbase rule* and *OpenTMS rule* are **not these programs**: they are re-implementations, in our own words, of their
default rules as described. Traccar: standing is 180 s within 200 m (shorter than the five minutes of the others), the event bears the
time of the fix that showed it, nothing without a message. Fleetbase FleetOps: a deviation is 500 m to the nearest vertex of the route,
last position only. OpenTMS: a 5 km corridor in degrees without the cosine of the latitude, polled every ten minutes.

**Tracks.** Unless a scene says otherwise: 12 trucks, reports every 30 s, 15 m of noise (white, Gaussian, standard deviation on each
axis), honest speeds, 8 true stops of 5 to 40 minutes each. A true stop begins with the first second at rest. A border queue counts as
one true stop, although the vehicle creeps in it.
"""


@dataclass(frozen=True)
class Measured:
    """Everything one run measured."""

    scores: Scores
    on_route: Mapping[int, Mapping[str, int]]
    strayed: Sequence[deviations.Strayed]
    dark: str
    diary: Sequence[real.Claim]
    vans: Sequence[real.Claim]
    buses: str
    sparse: Sequence[Sequence[str]]

    @classmethod
    def now(cls, scores: Scores, finders: Mapping[str, Finder], data: Path) -> Measured:
        """Measure the deviations and the real tracks beside the scenes."""
        return cls(
            scores,
            deviations.false_deviations(),
            deviations.strayed(),
            deviations.dark(),
            real.diary(data, finders),
            real.deliveries(data, finders),
            real.duplicates(data),
            real.sparse(data),
        )


def page(measured: Measured, libraries: Mapping[str, str]) -> str:
    """The whole page."""
    said = "\n".join(f"- {name}: {version}" for name, version in libraries.items())
    parts = [HEAD.format(libraries=said), "## What was aimed at", "\n".join(aim_lines(all_aims(measured)))]
    parts.append("## Stops on generated tracks")
    parts += [metric_table(measured.scores, number) for number in range(len(METRICS))]
    parts += [*deviation_parts(measured), *real_parts(measured), "## What we are worse at"]
    lines = [*worse(measured.scores), *worse_claims("Diary", measured.diary), *worse_claims("Delivery vans", measured.vans)]
    parts += ["Where a contestant's figure is better than the monitor's:", "\n".join(f"- {line}" for line in lines) or "Nowhere."]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def all_aims(measured: Measured) -> list[Aim]:
    """What was aimed at on generated and on real tracks, and where it is missed."""
    us = deviations.CONTESTANTS[0]
    errors = [case for case in measured.strayed if not case.error(us) <= 0.005]
    beside = [
        Aim(
            "no false deviation at any spacing of vertices", [f"{m} m: {of[us]}" for m, of in measured.on_route.items() if of[us]]
        ),
        Aim(
            "deviations found, their distance within 0.5 % of the geodesic",
            [f"{case.lat}° {case.heading} {case.offset_m} m: {100 * case.error(us):.2f} %" for case in errors],
        ),
    ]
    for claim in measured.diary[:1]:
        missed = [f"{claim.f1:.3f} with the defaults"] if claim.f1 < 0.908 else []
        beside.append(Aim("the diary's per-fix F1 at least that of the best naive detector, .908", missed))
        missed = [f"{claim.found} of 10 found"] if claim.found < 10 else []
        beside.append(Aim("the diary's ten stops of 150 s and more found", missed))
    feeds = [row for row in measured.sparse if row[4]]
    silent = [f"{row[0]}, limit {row[1]}: {row[4]} alerts on one silence" for row in feeds if row[4] != "0"]
    beside += [Aim("no alert that the sampling cannot support", silent)] if feeds else []
    return [*aims(measured.scores), *beside]


def worse_claims(recording: str, claims: Sequence[real.Claim]) -> list[str]:
    """Where another contestant did better on a recording than the monitor with its defaults."""
    mine = [claim for claim in claims if claim.name == MONITOR]
    rivals = [claim for claim in claims if not claim.name.startswith(MONITOR)]
    out = []
    for us in mine:
        better = [f"{claim.name} {claim.f1:.3f}" for claim in rivals if claim.f1 > us.f1]
        out += [f"{recording}, F1: {us.f1:.3f}; {', '.join(better)}"] if better else []
        better = [f"{claim.name} {claim.found}" for claim in rivals if claim.found > us.found]
        out += [f"{recording}, stops found: {us.found}; {', '.join(better)}"] if better else []
    return out


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, figures to the right."""
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def aim_lines(said: Sequence[Aim]) -> list[str]:
    """Each aim, met or missed where."""
    return [f"- {aim.words}: {'**missed** in ' + '; '.join(aim.missed) if aim.missed else 'met'}" for aim in said]


def metric_table(scores: Scores, number: int) -> str:
    """One figure, scenes by contestants; scenes in which all of them agree share a line."""
    metric, names = METRICS[number], list(next(iter(scores.values())))
    rows: list[list[str]] = []
    agreed: dict[str, list[str]] = {}
    for scene, of in scores.items():
        values = [metric.read(of[name]) for name in names]
        cells = ["–" if value != value else metric.shown.format(value) for value in values]
        if len(set(cells)) == 1 and len(cells) > 1:
            agreed.setdefault(cells[0], []).append(scene)
        else:
            rows.append([scene, *cells])
    lines = [f"All contestants {figure}: {'; '.join(scenes)}." for figure, scenes in agreed.items() if figure != "–"]
    words = f"{metric.explained[0].upper()}{metric.explained[1:]}."
    return "\n\n".join([f"### {metric.title}", words, table(["", *names], rows), *lines])


def deviation_parts(measured: Measured) -> list[str]:
    """The route deviations."""
    counts = [[f"{spacing / 1000:g} km", *map(str, of.values())] for spacing, of in measured.on_route.items()]
    names, rows = list(deviations.CONTESTANTS), []
    for case in measured.strayed:
        cells = []
        for name in names:
            missed = case.said_m[name] != case.said_m[name]
            cells.append("not found" if missed else f"{case.said_m[name]:,.0f} m ({100 * case.error(name):.2f} %)")
        rows.append([f"{case.lat}° N, road runs {case.heading}, {case.true_m:,.0f} m off", *cells])
    return [
        "## Route deviations",
        "Trucks on their route, 15 m of noise, eight roads of 80 km a row (41, 49, 60 and 70° N, two headings): **false deviations** by "
        "the distance between the route's vertices.",
        table(["vertices every", *names], counts),
        "A truck beside its route for 15 km, vertices 5 km apart: the distance said, at the worst, and its error against the geodesic. "
        "The Fleetbase rule measures to a vertex, and finds as much on the route as beside it; the OpenTMS rule allows 5 km, so that "
        "1.5 km is not its to find.",
        table(["", *names], rows),
        f"Fifty dark minutes, reappearing 27 km on (30 minutes unaccounted for at 80 km/h): {measured.dark}.",
    ]


def real_parts(measured: Measured) -> list[str]:
    """The real tracks, or a sentence for each that is absent."""
    diary = [[claim.name, f"{claim.f1:.3f}", f"{claim.found} of 10", str(claim.claimed)] for claim in measured.diary]
    vans = [[claim.name, f"{claim.f1:.3f}"] for claim in measured.vans]
    return [
        "## Real tracks",
        "The libraries are asked for stops of 60 s here, as the monitor's trip log knows them; the radius is 75 m for all, but for the "
        "monitor's second row, whose settings were fitted to the very recording.",
        "**A diary** (697 fixes every 10 s, no speed, 15 stops from a diary, at walking pace between them): per-fix F1, stops of 150 s "
        "and longer found with an intersection over union of a half or more, and how many stops were claimed. The best naive stay-point "
        "detector is reported at .908 (its own parameters).",
        table(["", "F1", "found", "claimed"], diary) if diary else real.ABSENT,
        "**Delivery vans** (403 chunks of 6 minutes, a fix every 5 s, no speed): per-fix F1 of standing, taken as the driver being on "
        "foot. A naive threshold is reported at .882.",
        table(["", "F1"], vans) if vans else real.ABSENT,
        f"**A bus day with duplicates**, alerts after five minutes: {measured.buses}",
        "**Sparse and speedless feeds**: alerts by limit; those presumed, because the feed fell silent while the vehicle stood; of the "
        "others, those on one silence longer than the limit; and of these, those with a single fix before the silence.",
        table(["", "limit", "alerts", "presumed", "on one silence", "of one fix"], measured.sparse),
    ]
