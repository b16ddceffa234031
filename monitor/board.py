"""The live board: what a dispatcher sees on the terminal, the most urgent first.

A `Board` is a value; `render` makes it a picture of at most so many lines, `plain` the same as lines for a pipe or a log. Of
every incident: how severe, who, what and where in words, since when and for how long, in whose hands it is, what happens next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from monitor.alerts.handling import Desk, Entry, outlook
from monitor.alerts.incident import SEVERITIES, Incident, State
from monitor.alerts.notice import WORDS, principal, what, who
from monitor.alerts.notice import why as why_raised
from monitor.alerts.whereabouts import clock_time, landmark_words, length, span
from monitor.explain import explain
from monitor.signals import EPOCH, Signal
from monitor.store.notices_store import Told
from monitor.trips import DEFAULT_CARRIER
from monitor.world import World

COLOURS = {"note": "cyan", "warning": "black on yellow", "critical": "bold white on red"}
MARKS = {"sent": ("✓", "green"), "failed": ("✗ FAILED", "bold red"), "suppressed": ("– not needed", "dim")}
HEADER_LINES = 10
NOTICES = 4
NARROW = 100
"""Columns of a terminal below which since and next stand under what and where."""
WIDE = 120
"""Columns of a terminal from which there is room to say why each incident was raised, where they are few."""
WHY_LINES = 5
"""Lines that this takes at most there."""
LOW = 30
"""Lines of a terminal below which only half of the notices are shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """One incident on the board, in words; instants in ms."""

    id: int
    severity: str
    state: State
    who: str
    what: str
    where: str
    measure: str
    since: int
    why: str = ""
    """Why it was raised, in one sentence."""
    cleared: int | None = None
    withdrawn: bool = False
    handled_by: str = ""
    outcome: str = ""
    next_at: int | None = None
    next_names: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One notice on the board."""

    at: int
    state: str
    to: str
    subject: str


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that is shown at one instant."""

    now: int
    """ms; the program's clock."""
    zone: ZoneInfo
    vehicles: int
    fixes: int
    rows: tuple[Row, ...] = ()
    notices: tuple[Line, ...] = ()
    rate: float = 1.0
    """How many times as fast as the world's the program's clock runs."""
    warnings: tuple[str, ...] = ()
    """What is wrong with the monitor itself, one line each."""
    command: str = "monitor"
    """What people type to run the program here."""


def rows(entries: Sequence[Entry], desk: Desk, world: World | None = None) -> tuple[Row, ...]:
    """The incidents as rows, in their order; with the world, why each was raised."""
    out = []
    for incident, run in entries:
        signal, ahead = principal(incident), outlook(run, desk.contacts)
        place, where = desk.surroundings.name(signal.place) if signal.place else "", _where(signal, desk)
        others = len({member.signal.kind for member in incident.standing}) - 1
        out.append(
            Row(
                id=incident.id,
                severity=incident.severity,
                state=incident.state,
                who=_who(incident),
                what=what(incident, "en") + (f" (+{others} more)" if others > 0 else ""),
                where=f"at {place}" if place and place in where else f"at {place}, {where}" if place else where,
                measure=_measure(signal),
                since=incident.since,
                why="" if world is None else why_raised(incident, world, "en") if incident.operational else _why(signal, world),
                cleared=incident.cleared,
                withdrawn=incident.withdrawn,
                handled_by=incident.resolved_by or incident.acknowledged_by or "",
                outcome=incident.outcome or incident.why or "",
                next_at=ahead.at,
                next_names=", ".join(ahead.names),
            )
        )
    return tuple(out)


def _who(incident: Incident) -> str:
    """The vehicle, and its carrier below it where there is more than the one without a name."""
    if incident.operational:
        return who(incident, "en").replace(" of ", "\nof ")
    return incident.vehicle if incident.carrier == DEFAULT_CARRIER else f"{incident.vehicle}\n{incident.carrier}"


def _where(signal: Signal, desk: Desk) -> str:
    """The nearest landmark, else the coordinates."""
    if not (math.isfinite(signal.lon) and math.isfinite(signal.lat)):
        return WORDS["en"]["unknown"]
    return landmark_words(signal.lon, signal.lat, desk.surroundings, "en") or f"{signal.lat:.5f}, {signal.lon:.5f}"


@lru_cache(maxsize=1000)
def _why(signal: Signal, world: World) -> str:
    """Why a signal was raised; kept, because the board asks again twice a second."""
    return explain(signal, world, "en")


def notice_lines(told: Sequence[Told]) -> tuple[Line, ...]:
    """The notices as lines, in their order; what went to one contact by several channels is one line."""
    merged: dict[tuple[str, str, str, int], list[Told]] = {}
    for each in told:
        merged.setdefault((each.notice.subject, each.notice.contact, each.state, each.notice.created), []).append(each)
    return tuple(
        Line(max(each.at for each in same), state, f"{contact} by {', '.join(each.notice.channel for each in same)}", subject)
        for (subject, contact, state, _), same in merged.items()
    )


def render(board: Board, height: int = 40, width: int = 140) -> RenderableType:
    """The board, at most `height` lines high where its warnings are few, for a terminal of `width` columns."""
    notices, narrow = board.notices[: NOTICES if height >= LOW else NOTICES // 2], width < NARROW
    lines = height - HEADER_LINES - 2 * narrow - len(notices) - len(board.warnings)  # header and hint wrap where it is narrow
    tall = 4 if narrow else 3
    room = max(1, lines // tall)
    parts: list[RenderableType] = [_header(board)]
    parts += [Text(f" {warning} ", style="bold white on red") for warning in board.warnings]
    if board.rows:
        free = lines - (tall + 1) * len(board.rows)
        why = width >= WIDE and free >= WHY_LINES * len(board.rows)
        parts.append(table(board.rows[:room], board.now, board.zone, narrow=narrow, airy=free >= 0, why=why))
        hidden = len(board.rows) - room
        more = f"   … and {hidden} more: {board.command} incidents" if hidden > 0 else ""
        parts.append(Text(f"  Take one: {board.command} ack NUMBER --by YOUR-NAME{more}"))
    else:
        parts.append(_quiet(board))
    if notices:
        parts.append(Text("\n  Last notices", style="bold"))
        parts += [_notice(line, board.zone) for line in notices]
    return Group(*parts)


def _quiet(board: Board) -> Text:
    """What is said where there is no incident: silence is calm only once there are vehicles to be heard."""
    if not board.vehicles:
        return Text("\n  Nothing has been heard of any vehicle yet.\n", style="yellow")
    return Text("\n  All quiet: no incident needs anybody.\n", style="green")


def table(
    shown: Sequence[Row], now: int, zone: ZoneInfo, *, narrow: bool = False, airy: bool = False, why: bool = False
) -> Table:
    """The incidents as a table, two to four lines each, the urgent ones loud.

    `narrow` puts since and next below what and where, `airy` an empty line between two incidents; `why` says why they were raised.
    """
    out = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0), leading=int(airy))
    out.add_column("#", justify="right", style="bold", no_wrap=True)
    out.add_column("Severity", no_wrap=True)
    out.add_column("Vehicle", no_wrap=True, overflow="ellipsis", max_width=18)
    out.add_column("What and where", ratio=1)
    if not narrow:
        out.add_column("Since", no_wrap=True)
        out.add_column("Next", width=18)
    for row in shown:
        number, severity, who, title, since, then = _cells(row, now, zone)
        if why and row.why:
            title.append(f"\n{row.why}", style="dim")
        if narrow:
            title.append(f"\n{since.plain.splitlines()[0]}; ").append(then.plain.replace("\n", " "), style=then.style)
            out.add_row(number, severity, who, title)
        else:
            out.add_row(number, severity, who, title, since, then)
    return out


def plain(board: Board) -> list[str]:
    """The board as lines without colours or columns: one for the monitor, one an incident."""
    lines = [_summary(board).plain, *board.warnings]
    for row in board.rows:
        since = f"since {clock_time(row.since, board.zone, 'en')}, {row.why or row.measure}"
        who = row.who.replace("\n", " of ")
        then = _next(row, board.now, board.zone).replace("\n", " ")
        lines.append(f"#{row.id} {row.severity.upper()} {who}: {row.what}; {row.where}; {since}; {then}")
    return lines


def _header(board: Board) -> Panel:
    urgent = [row.severity for row in board.rows if row.state is State.OPEN]
    style = "green" if not urgent else "red" if SEVERITIES[-1] in urgent else "yellow"
    return Panel(_summary(board), title="Telematics monitor", title_align="left", border_style=style)


def _summary(board: Board) -> Text:
    local = (EPOCH + timedelta(milliseconds=board.now)).astimezone(board.zone)
    notes = sum(row.state is State.OPEN and row.severity == SEVERITIES[0] for row in board.rows)
    waiting = sum(row.state is State.OPEN for row in board.rows) - notes
    taken = sum(row.state is State.ACKNOWLEDGED for row in board.rows)
    text = Text(f"{local:%a %d %b %H:%M:%S} {local.tzname()}", style="bold")
    if board.rate != 1:
        text.append(f" (clock ×{board.rate:g})", style="magenta")
    text.append(f"  {_count(board.vehicles, 'vehicle')}  {_count(board.fixes, 'fix', 'fixes')}  ", style="default")
    text.append(f"{waiting} open", style="bold yellow" if waiting else "green")
    return text.append(f"  {taken} acknowledged  {_count(notes, 'note')}", style="default")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _cells(row: Row, now: int, zone: ZoneInfo) -> tuple[str, Text, Text, Text, Text, Text]:
    """The cells of one incident."""
    calm = row.state is not State.OPEN
    title = Text(row.what, style="dim" if calm else "bold")
    if row.cleared is not None:
        title.append(" (has ended)", style="dim")
    title.append("\n" + row.where, style="dim" if calm else "not bold")
    name, _, carrier = row.who.partition("\n")
    who = Text(name, style="dim" if calm else "bold")
    if carrier:
        who.append("\n" + carrier, style="dim")
    begin = _hour(row.since, zone)
    held = f"{begin}, {span(now - row.since)}" if row.cleared is None else f"{begin} to {_hour(row.cleared, zone)}"
    since = Text(held)
    since.append(f"\n{row.measure}", style="dim")
    severity = Text(f" {row.severity.upper()} ", style="dim" if calm else COLOURS[row.severity])
    return str(row.id), severity, who, title, since, Text(_next(row, now, zone), style="dim" if calm else "")


def _measure(signal: Signal) -> str:
    """How bad it is, short: "30 min allowed", "2.3 km off"."""
    if signal.unit == "m":
        return f"{length(signal.measure, 'en')} off"
    return f"{span(signal.limit * (60_000 if signal.unit == 'min' else 1000))} allowed"


def _next(row: Row, now: int, zone: ZoneInfo) -> str:
    """In whose hands it is, and what happens when."""
    if row.state is State.RESOLVED:
        return f"resolved by {row.handled_by}: {row.outcome}"
    if row.state is State.ACKNOWLEDGED:
        return f"{row.handled_by} has it"
    fact = "taken back by late data; " if row.withdrawn else ""
    if row.next_at is None:
        return fact + ("closes by itself" if row.severity == SEVERITIES[0] else "nobody is rung")
    wait = max(0, row.next_at - now) // 1000
    return f"{fact}rings {row.next_names}\nin {wait // 60}:{wait % 60:02d} ({_hour(row.next_at, zone)})"


def _hour(ms: int, zone: ZoneInfo) -> str:
    """Local time without its zone, which the header shows."""
    return f"{(EPOCH + timedelta(milliseconds=ms)).astimezone(zone):%H:%M}"


def _notice(line: Line, zone: ZoneInfo) -> Text:
    mark, style = MARKS.get(line.state, ("… waiting", "yellow"))
    text = Text(f"  {_hour(line.at, zone)} ", no_wrap=True, overflow="ellipsis")
    text.append(mark, style=style)
    return text.append(f" {line.to}: {line.subject}")
