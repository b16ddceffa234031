"""The page: what one run measured, as Markdown. Nothing on it is typed by hand but the words around the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy import deviations, journeys, real
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
one true stop, although the vehicle creeps in it. A radius *suits* the noise that it is at least three standard deviations of; the drift of
a parked vehicle has the hold radius to itself (200 m or more) where the device says that it is slow.
"""

WHY = """What stands behind the figures below, and behind the aims that were missed:

- **Without speeds, a start is early.** Every position within the radius counts as evidence then, also the last seconds of braking: at 1
  m/s² the 75 m take 12 s. Only reports more frequent than that show it.
- **With speeds, a start is later than the libraries'**: the first report at rest lies half an interval after the standstill on average.
  The libraries take the last rolling reports within the radius for standing, and their errors cancel in the median.
- **Stops hardly longer than the limit, reports a minute or two apart.** Five minutes are claimed only where reports five minutes apart
  show them. Whoever lets a stop last until the first position outside, or asks for three minutes, finds more of them. The trip log has
  them all.
- **Drift of a parked vehicle beyond the radius, without speeds.** What holds a vehicle that says it is slow holds none that says nothing.
  40 m of drift (a standard deviation on each axis) leave 75 m in one position of five: the radius does not suit them (150 m does), so
  nothing is aimed at there; the figure stands.
- **A border queue that lies in no place** is many short stops, each an alert, one incident where they follow within ten minutes. Of a
  steady creep nothing but its slowest stretches stands still; to whom a queue is one thing, it lies in its port of entry, and is one
  dwell.
- **People on foot and vans between doors.** 75 m take a walker a minute, so that walking is standing at the defaults, which are for
  trucks; the rows with fitted settings show what a smaller radius does. No settings tried gave both the diary's F1 and all of its stops.
- **Sparse feeds.** A silence longer than the limit that is still no gap (at most ten minutes, or three of the feed's own intervals) can
  open a stop, and be the whole of an alert. A gap cannot: only a stop that was open, and was where the vehicle was last seen, goes on
  over one.
"""


@dataclass(frozen=True)
class Measured:
    """Everything one run measured."""

    scores: Scores
    on_route: Mapping[int, Mapping[str, int]]
    strayed: Sequence[deviations.Strayed]
    journeys: Sequence[journeys.Journey]
    queues: Mapping[str, tuple[int, int, int]]
    """For each scene of queues within their ports of entry: queues, alerts, incidents."""
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
            journeys.journeys(),
            journeys.queues(),
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
    parts += [*deviation_parts(measured), *journey_parts(measured), *real_parts(measured), "## What we are worse at", WHY]
    lines = [*worse(measured.scores), *worse_claims("Diary", measured.diary), *worse_claims("Delivery vans", measured.vans)]
    parts += [
        "Every figure of a contestant that is better than the monitor's:",
        "\n".join(f"- {line}" for line in lines) or "None.",
    ]
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
            "one incident per border queue that lies in its port of entry",
            [f"{name}: {incidents} of {of}" for name, (of, _, incidents) in measured.queues.items() if incidents != of],
        ),
        *(
            Aim(f"{told.words}: {told.kind} of {told.measure:,.1f} {told.unit} and nothing else", [] if told.met else [told.told])
            for told in measured.journeys
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
    ]


def journey_parts(measured: Measured) -> list[str]:
    """Journeys that end otherwise than planned, and queues in their places."""
    told = [[f"{j.words}", f"{j.kind}, {j.measure:,.1f} {j.unit}", j.told] for j in measured.journeys]
    queues = [[name, *map(str, counts)] for name, counts in measured.queues.items()]
    return [
        "## Other journeys",
        "One truck each, reports every 30 s, 15 m of noise; all that the monitor says of it with its defaults. What of the dark minutes "
        "is unaccounted for is what the way would not have taken at 80 km/h. None of the peers, nor the rules, looks for these.",
        table(["", "expected", "said"], told),
        "The border queues of above within a port of entry that reaches 200 m around them, half an hour of dwelling allowed: one alert and "
        "one incident a queue, creep or halt, is perfect.",
        table(["", "queues", "alerts", "incidents"], queues),
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
