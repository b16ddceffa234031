"""The commands of places: learn drafts from a history, list what there is, confirm or dismiss drafts.

A draft becomes a place only by a named person. `learn` replaces the drafts of its file that nobody has touched and keeps all else in
it as it is; a spot that was dismissed, or whose draft somebody edited, is not drafted again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from monitor.atlas import Atlas
from monitor.clock import world_clock
from monitor.commands.geofence_file import Feature, GeofenceFile, files_of, identity_of
from monitor.commands.speaking import progress_bar, say, show, typed_command
from monitor.configuration import SETTINGS, load_world
from monitor.errors import ConfigurationError, InputError
from monitor.fixes import Fleet, concatenate, empty
from monitor.ingest.files import read_fixes
from monitor.learning import DRAFT, FINGERPRINT, Ranked, alerts_among, feature_of, learn, rank, replaceable
from monitor.pipeline import Outcome, fresh, step, stops_of
from monitor.places import KINDS, Geofences, load_geofences, require
from monitor.settings import Settings, load_settings
from monitor.signals import EPOCH
from monitor.trips import DEFAULT_CARRIER
from monitor.world import World

LEARNED = "learned.geojson"
DISMISSED = "dismissed"
DECISIONS = ("confirmed_by", "confirmed_on", "dismissed_by", "dismissed_on", "dismissed_why")
TOP = 12
LONGEST_WORDS = 500


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `monitor places` and what it takes."""
    words = "learn places from recorded fixes, list them, confirm or dismiss drafts"
    actions = commands.add_parser("places", help=words, description=words).add_subparsers(required=True, metavar="ACTION")

    def action(name: str, run: Callable[[argparse.Namespace], None], words: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        sub.add_argument(
            "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
        )
        sub.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml; may be repeated"
        )
        sub.add_argument(
            "--geofences", type=Path, metavar="DIR", help="GeoJSON files of places and routes (what the settings say)"
        )
        return sub

    learned = action("learn", learn_places, "draft the places where vehicles stood again and again")
    learned.add_argument("history", type=Path, nargs="+", metavar="HISTORY", help="fixes, CSV or Parquet, as replay takes them")
    learned.add_argument("--trips", type=Path, metavar="FILE", help="CSV or JSON lines (what the settings say)")
    learned.add_argument("--carrier", metavar="NAME", help="whose vehicles they are, and whose drafts (anybody's)")
    learned.add_argument("--out", type=Path, metavar="FILE", help=f"where the drafts go ({LEARNED}, among the geofences)")
    learned.add_argument("--top", type=int, default=TOP, metavar="N", help="how many drafts to show (%(default)s)")

    listed = action("list", list_places, "list places, routes and drafts")
    listed.add_argument("--drafts", action="store_true", help="only drafts")

    confirmed = _decision(action("confirm", confirm, "make a draft a place"))
    confirmed.add_argument("--name", metavar="TEXT", help="what people call it (what the draft says)")
    confirmed.add_argument("--kind", metavar="KIND", help="what it is (what the draft guesses)")

    dismissed = _decision(action("dismiss", dismiss, "say that a draft is no place"))
    dismissed.add_argument("--why", required=True, metavar="TEXT", help="in your words")


def _decision(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("id", metavar="ID", help="the draft")
    parser.add_argument("--by", required=True, metavar="NAME", help="who says so")
    return parser


def learn_places(options: argparse.Namespace) -> None:
    """Draft the spots where several vehicles, or one on three days, stood; those that explain the most alerts first."""
    if options.top < 1:
        raise InputError(f"--top {options.top}: allowed is a whole number from 1")
    settings = load_settings(options.config / SETTINGS, [*options.set, *([f"trips={options.trips}"] if options.trips else [])])
    folder = _folder(options, settings)
    out = options.out or folder / LEARNED
    if out.suffix != ".geojson" or not out.parent.is_dir():
        raise InputError(f"--out {out}: allowed is a file in a folder that there is, with a name that ends in .geojson")
    geofences = load_geofences(folder, settings.timezone)
    say(*(f"monitor: {warning}" for warning in geofences.warnings if not warning.startswith(f"{out}: ")))
    world, file = load_world(settings, geofences), GeofenceFile(out)
    kept = [feature for feature in file.features if not replaceable(feature)]
    others = [feature for other in files_of(folder) if other.path.resolve() != out.resolve() for feature in other.features]
    ids = {identity_of(feature) for feature in (*kept, *others)}
    settled, zone = _settled(file, world, settings), ZoneInfo(settings.timezone)
    with progress_bar("learning") as progress:
        history = _History(options.history, options.carrier or DEFAULT_CARRIER)
        progress(1, 4)
        found = history.judged(world)
        progress(2, 4)
        drafts = learn(found.stops, found.signals, world.atlas, settled, zone, ids=ids, carrier=options.carrier)
        progress(3, 4)
        confirmed = dataclasses.replace(geofences, places=(*geofences.places, *(draft.place for draft in drafts)))
        ranked = rank(drafts, found.signals, history.judged(load_world(settings, confirmed)).signals)
    file.features = [*kept, *map(feature_of, ranked)]
    if file.features:
        file.write()
    say(*(f"monitor: not taken: {reject}" for reject in history.rejects[:20]))
    say(*(f"monitor: degraded: {kind}: {fault}" for kind, fault in found.faults.items()))
    _show_drafts(ranked, options.top)
    alerts = alerts_among(found.signals)
    show(f"{len(history.fixes):,} fixes, {len(found.stops):,} stops, {_count(len(alerts), 'unauthorized stop')}")
    show(*_worth(ranked, len(alerts), options.top))
    show(f"{out}: {_count(len(ranked), 'draft')}; {_count(len(kept), 'feature')} that people have touched kept as they are")
    if ranked:
        show(f"none counts until a named person confirms it: {typed_command()} places confirm ID --by NAME")


class _History:
    """Recorded fixes, read once, to be judged more than once."""

    def __init__(self, files: Sequence[Path], carrier: str) -> None:
        self.fleet = Fleet()
        read = [read_fixes(file, self.fleet, carrier=carrier) for file in files]
        batches = [batch for each in read for batch in each.fixes]
        self.fixes = concatenate(batches) if batches else empty()
        self.rejects = [reject for each in read for reject in each.rejects]

    def judged(self, world: World) -> Outcome:
        """What a monitor would have found by the newest of them; all stops, also those not over."""
        vehicles, time = self.fleet.ids, self.fixes.time.view(np.int64)
        rows = fresh(vehicles, np.arange(len(vehicles), dtype=np.int32))
        outcome = step(rows, self.fixes, np.full(len(vehicles), time.max() if len(time) else 0), world)
        return dataclasses.replace(outcome, stops=[*outcome.stops, *stops_of(outcome.rows, outcome.rows.episodes, world)])


def _settled(file: GeofenceFile, world: World, settings: Settings) -> Atlas:
    """The spots of a file that a person has dismissed, edited or confirmed, as far as they are no places of the world yet."""
    known = {place.id for place in world.atlas.places}
    features = []
    for feature in file.features:
        counts = not replaceable(feature) and identity_of(feature) not in known
        properties = {name: value for name, value in feature["properties"].items() if name != "status"}
        features.append({**feature, "properties": properties if counts else {**properties, "status": DRAFT}})
    return Atlas(_as_read(file, features, settings))


def _as_read(file: GeofenceFile, features: list[Feature], settings: Settings) -> Geofences:
    """What the monitor would read if the file held these features.

    Raises
    ------
    ConfigurationError
        With one line for each fault.
    """
    with tempfile.TemporaryDirectory(prefix="monitor-places-") as folder:
        copy = GeofenceFile(Path(folder) / file.path.name)
        copy.members, copy.features = file.members, features
        copy.write()
        try:
            return load_geofences(Path(folder), settings.timezone)
        except ConfigurationError as error:
            raise ConfigurationError([fault.replace(str(copy.path), str(file.path)) for fault in error.faults]) from None


def _show_drafts(ranked: Sequence[Ranked], top: int) -> None:
    """Show the first drafts."""
    cells = [
        (str(number), each.draft.place.id, f"{each.explains}", f"{each.share:.0%}", each.draft.why)
        for number, each in enumerate(ranked[:top], 1)
    ]
    _print(("", "draft", "explains", "together", "why"), cells)


def _worth(ranked: Sequence[Ranked], alerts: int, top: int) -> Iterator[str]:
    """What the drafts are worth, in words."""
    if not ranked:
        yield "no spot outside the known places where two vehicles stood, or one on three days"
    elif alerts:
        first = ranked[:top]
        which = f"first {len(first)} of {len(ranked):,} drafts" if len(first) < len(ranked) else _count(len(ranked), "draft")
        yield f"the {which} would explain {100 * first[-1].share:.0f} % of {_count(alerts, 'alert')}"
    instead = sum(each.raises for each in ranked)
    if instead:
        yield f"as places of the kinds guessed, the drafts would raise {_count(instead, 'signal')} of their own, such as long dwells"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _print(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, one line a row elsewhere; what files say may hold anything, and only what can be read is shown."""
    shown = [["".join(c if c.isprintable() else "?" for c in cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        show(*("  ".join(cell for cell in row if cell) for row in shown))
    elif shown:
        table = Table(*titles, box=SIMPLE_HEAD, pad_edge=False)
        for row in shown:
            table.add_row(*row)
        Console(highlight=False, markup=False).print(table)


def list_places(options: argparse.Namespace) -> None:
    """List what the geofence files hold, drafts and all."""
    settings = load_settings(options.config / SETTINGS, options.set)
    features = [feature for file in files_of(_folder(options, settings)) for feature in file.features]
    chosen = [feature["properties"] | {"id": identity_of(feature)} for feature in features]
    chosen = [said for said in chosen if not options.drafts or said.get("status") == DRAFT]
    rows = [(said["id"], str(said.get("kind")), str(said.get("name") or said["id"]), _standing(said)) for said in chosen]
    if not rows:
        show("no drafts" if options.drafts else "no places")
    _print(("id", "kind", "name", "standing"), rows)


def _standing(said: Feature) -> str:
    """Whether a feature counts, and who said so."""
    if said.get("status") == DRAFT:
        worth = f", would explain {said['explains']}" if "explains" in said else ""
        return f"draft{worth}" + (f": {said['why']}" if "why" in said else "")
    if said.get("status") == DISMISSED:
        return f"dismissed by {said.get('dismissed_by')} on {said.get('dismissed_on')}: {said.get('dismissed_why')}"
    if "confirmed_by" in said:
        return f"confirmed by {said['confirmed_by']} on {said.get('confirmed_on')}"
    return "in force"


def confirm(options: argparse.Namespace) -> None:
    """Make a draft a place, or one that was dismissed: somebody says so by name."""
    by, name = _words(options.by, "--by"), None if options.name is None else _words(options.name, "--name")
    if options.kind not in {None, *KINDS}:
        near = get_close_matches(options.kind, KINDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"--kind {options.kind}: allowed is {', '.join(KINDS)}{hint}")
    said = {"confirmed_by": by, "confirmed_on": _today()} | ({"name": name} if name else {})
    after = _decide(options, (DRAFT, DISMISSED), said | ({"kind": options.kind} if options.kind else {}))
    heeded = "the monitor heeds it once restarted, or reloaded by kill -HUP"
    show(f"{options.id}: {after.get('name', options.id)}, {after['kind']}, confirmed by {by}; {heeded}")


def dismiss(options: argparse.Namespace) -> None:
    """Say that a draft is no place; it is remembered, and not drafted again."""
    by, why = _words(options.by, "--by"), _words(options.why, "--why")
    said = {"status": DISMISSED, "dismissed_by": by, "dismissed_on": _today(), "dismissed_why": why}
    _decide(options, (DRAFT,), said)
    show(f"{options.id}: dismissed by {by}; it is not drafted again")


def _decide(options: argparse.Namespace, allowed: Sequence[str], said: Feature) -> Feature:
    """Write a decision into the file that holds the draft; gives what it now says of itself.

    Raises
    ------
    InputError
        If there is none of that id, or it is in none of the `allowed` states.
    ConfigurationError
        If the monitor could not read it so.
    ServiceError
        If the file cannot be written.
    """
    settings = load_settings(options.config / SETTINGS, options.set)
    folder = _folder(options, settings)
    places = {identity_of(feature): (file, feature) for file in files_of(folder) for feature in file.features}
    fault = require(sorted(places), options.id, "id")
    if fault:
        raise InputError(f"{folder}: {fault}")
    file, feature = places[options.id]
    before = feature["properties"]
    if before.get("status") not in allowed:
        raise InputError(f"{file.path}: {options.id} is no draft: {_standing(before)}")
    properties = {name: value for name, value in before.items() if name not in {"status", FINGERPRINT, *DECISIONS}} | said
    file.features = [{**each, "properties": properties} if each is feature else each for each in file.features]
    _as_read(file, file.features, settings)
    file.write()
    return properties


def _folder(options: argparse.Namespace, settings: Settings) -> Path:
    return Path(options.geofences or settings.geofences)


def _words(text: str, option: str) -> str:
    """Words that people can read on any terminal."""
    words = " ".join(text.split())
    if not words or not words.isprintable() or len(words) > LONGEST_WORDS:
        raise InputError(f"{option} {text[:40]!a}: allowed are 1 to {LONGEST_WORDS} printable characters")
    return words


def _today() -> str:
    """The date, UTC."""
    return (EPOCH + timedelta(milliseconds=world_clock())).date().isoformat()
