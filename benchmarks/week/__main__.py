"""Simulate the week, judge it, and write the page: `python -m benchmarks.week [--out FILE] [--seed N]`."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from benchmarks.week.country import ZONE, Country
from benchmarks.week.page import Other, headline, page
from benchmarks.week.scoring import Score, scored
from benchmarks.week.simulate import Week, simulated
from monitor.atlas import Atlas
from monitor.learning import learn
from monitor.places import Geofences

DRAFTS = 30


def main() -> None:
    """Measure, write the page, and print what was aimed at."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.week", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/quiet.md"), help="the page to write")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another country and another week")
    asked = parser.parse_args()
    begun = time.perf_counter()
    week = simulated(asked.seed)
    land, hidden = week.country, {halt.id for halt in week.country.hidden}
    told = land.geofences()
    score = scored(week, told)
    known = len([place for place in told.places if place.kind not in {"yard", "port_of_entry", "dead_zone"}])
    asked.out.write_text(page(week, score, others(week, told, score, asked.seed), (known, known + len(hidden))), encoding="utf-8")
    print("\n".join(headline(score)))
    print(f"wrote {asked.out} after {time.perf_counter() - begun:.0f} s")


def others(week: Week, told: Geofences, score: Score, seed: int) -> list[Other]:
    """What knowing more places would change, and what other limits would."""
    land, hidden = week.country, {halt.id for halt in week.country.hidden}
    docks = {dock.halt.id for road in land.roads for dock in road.docks}
    visits = Counter(span.place for vehicle in week.vehicles for span in vehicle.motion.spans if span.place)
    most = {place for place, _ in visits.most_common(sum(place.id in visits for place in told.places))}
    longer = ["detectors.unauthorized_stop.limit=45m"]
    return [
        Other("`detectors.unauthorized_stop.limit` at 45 min", scored(week, told, longer)),
        Other("every dock known, where the trips lead", scored(week, land.geofences(docks & hidden))),
        Other("both", scored(week, land.geofences(docks & hidden), longer)),
        Other("as many places known, but those visited most", scored(week, _only(land, most))),
        Other("every stop place known", scored(week, land.geofences(hidden))),
        Other("a door sensor on every truck and trailer", scored(week, told, doors=True)),
        *_learned(told, score, seed),
    ]


def _only(land: Country, known: set[str]) -> Geofences:
    """The places, but of the stop places these alone."""
    everything = land.geofences({halt.id for halt in land.hidden})
    stops = {halt.id for halt in land.halts}
    kept = tuple(place for place in everything.places if place.id in known or place.id not in stops)
    return Geofences(kept, everything.routes, "others known")


def _learned(told: Geofences, score: Score, seed: int) -> list[Other]:
    """The next week of the same trucks, before and after places learned in this one are confirmed."""
    following = simulated(seed, plots={}, turn=1)
    drafts = learn(score.stops, [t.signal for t in score.told], Atlas(told), Atlas(Geofences()), ZONE)
    out = [Other("the week after, nothing learned", scored(following, told))]
    for count in (DRAFTS, len(drafts)):
        places = Geofences((*told.places, *(draft.place for draft in drafts[:count])), told.routes, f"learned {count}")
        first = f"the first {count} of {len(drafts)}" if count < len(drafts) else f"all {count}"
        out.append(Other(f"the week after, {first} places learned in this one confirmed", scored(following, places)))
    return out


if __name__ == "__main__":
    main()
