"""The board: everything a dispatcher needs, in the width and height there is."""

from __future__ import annotations

import dataclasses
import io
import math
import re
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from monitor.alerts.escalation import start
from monitor.alerts.fold import fold
from monitor.alerts.handling import Entry
from monitor.alerts.incident import State, acknowledge, resolve
from monitor.board import Board, Line, Row, notice_lines, plain, render, rows
from monitor.explain import NOWHERE
from monitor.settings import Alerts
from monitor.signals import Signal
from monitor.store.notices_store import Told
from tests.alerts.scenes import DESK, LADDER, hour, notice, raised, seen

TORONTO = ZoneInfo("America/Toronto")
QUIET = Board(hour("10:35:30"), TORONTO, vehicles=50, fixes=123456)
WHY = "stood 31 min so far at 43.51234, -79.88123, and no place is on record where it may; limit 30 min as a rule"
ROW = Row(
    id=12,
    severity="warning",
    state=State.OPEN,
    who="truck-17\nnorthline",
    what="unscheduled stop, not yet explained",
    where="2.0 km NE of Milton yard",
    measure="30 min allowed",
    since=hour("10:00"),
    next_at=hour("10:37"),
    next_names="dispatch",
)


def entry(signal: Signal, number: int = 12) -> Entry:
    [change] = fold([], [raised(signal, 1)], hour("10:31"), Alerts())
    return Entry(dataclasses.replace(change.after, id=number), start(number, LADDER, hour("10:31")))


def shown(board: Board, width: int = 100, height: int = 40) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(render(board, height, width))
    return [line.rstrip() for line in console.export_text().splitlines()]


def squeezed(line: str) -> str:
    """The cells of a line, two spaces between them."""
    return re.sub(r" {2,}", "  ", line).strip()


def test_silence_is_called_calm_only_once_a_vehicle_was_heard() -> None:
    assert any("All quiet" in line for line in shown(QUIET))
    unheard = shown(dataclasses.replace(QUIET, vehicles=0, fixes=0))
    assert not any("All quiet" in line for line in unheard)
    assert any("Nothing has been heard of any vehicle yet" in line for line in unheard)


def test_on_a_narrow_terminal_since_and_next_stand_below() -> None:
    lines = [squeezed(line) for line in shown(dataclasses.replace(QUIET, rows=(ROW,)), width=80, height=24)]
    first = next(number for number, line in enumerate(lines) if line.startswith("12"))
    assert lines[first : first + 3] == [
        "12  WARNING  truck-17  unscheduled stop, not yet explained",
        "northline  2.0 km NE of Milton yard",
        "05:00, 35 min; rings dispatch in 1:30 (05:37)",
    ]


def test_a_small_terminal_shows_how_to_take_one_and_how_many_are_hidden() -> None:
    many = tuple(
        dataclasses.replace(ROW, id=number, where="4.1 km SE of " + "a yard with a long name " * 2) for number in range(9)
    )
    notices = (Line(hour("10:31"), "sent", "dispatch by console", "x" * 200),) * 9
    lines = shown(dataclasses.replace(QUIET, rows=many, notices=notices), width=80, height=24)
    assert len(lines) <= 24
    assert "Take one: monitor ack NUMBER" in "\n".join(lines)
    assert "more: monitor incidents" in "\n".join(lines)


def test_one_is_not_counted_in_the_plural() -> None:
    assert "1 vehicle  1 fix  0 open" in shown(dataclasses.replace(QUIET, vehicles=1, fixes=1))[1]


def test_an_incident_whose_condition_ended_says_so() -> None:
    board = dataclasses.replace(QUIET, rows=(dataclasses.replace(ROW, cleared=hour("10:34")),))
    assert any("unscheduled stop, not yet explained (has ended)" in line for line in shown(board, width=140))


def test_an_incident_is_told_in_two_lines() -> None:
    board = dataclasses.replace(QUIET, rows=(ROW,), rate=10.0)
    lines = shown(board)
    assert "Wed 04 Feb 05:35:30 EST (clock ×10)  50 vehicles  123,456 fixes  1 open  0 acknowledged  0 notes" in lines[1]
    first = next(number for number, line in enumerate(lines) if line.startswith(" 12"))
    assert [line.split("  ") for line in map(squeezed, lines[first : first + 2])] == [
        ["12", "WARNING", "truck-17", "unscheduled stop, not yet explained", "05:00, 35 min", "rings dispatch"],
        ["northline", "2.0 km NE of Milton yard", "30 min allowed", "in 1:30 (05:37)"],
    ]
    assert any("monitor ack NUMBER --by YOUR-NAME" in line for line in lines)


@pytest.mark.parametrize("width", [100, 140])
@pytest.mark.parametrize("count", [0, 1, 7, 200])
def test_it_fits(width: int, count: int) -> None:
    many = tuple(dataclasses.replace(ROW, id=number) for number in range(count))
    board = dataclasses.replace(QUIET, rows=many, notices=(Line(hour("10:31"), "sent", "dispatch by console", "x" * 200),) * 9)
    lines = shown(board, width, height=40)
    assert max(len(line) for line in lines) <= width
    assert len(lines) <= 40
    assert "200 open" in "\n".join(lines) or count != 200
    assert ("more: monitor incidents" in "\n".join(lines)) is (count == 200)


def test_a_quiet_board_says_so() -> None:
    assert "All quiet: no incident needs anybody." in "\n".join(shown(QUIET))


def test_what_is_wrong_with_the_monitor_itself_is_on_the_board() -> None:
    assert "the notice log is full" in "\n".join(shown(dataclasses.replace(QUIET, warnings=("the notice log is full",))))


def test_why_it_was_raised_is_told_where_there_is_room() -> None:
    told = dataclasses.replace(ROW, why=WHY)
    few, many = (dataclasses.replace(QUIET, rows=(told,) * count) for count in (2, 7))
    assert WHY in " ".join(squeezed(line) for line in shown(few, width=200))
    for crowded in (shown(few, width=100), shown(many, width=140), shown(few, width=140, height=24)):
        assert "no place is on record" not in " ".join(crowded)
        assert len(crowded) <= 40
    assert WHY in plain(few)[1]


def test_what_concerns_all_vehicles_of_a_carrier_or_has_no_position_is_told_so() -> None:
    one = entry(dataclasses.replace(seen(kind="signal_lost", unit="min"), lon=math.nan, lat=math.nan))
    many = dataclasses.replace(one.incident, vehicle="")
    alone, together = rows([one, Entry(many, None)], DESK, NOWHERE)
    assert (alone.where, alone.who) == ("position not known", "truck-17\nnorthline")
    assert (together.who, together.what) == ("all vehicles\nof northline", "1 vehicles fell silent together, not yet explained")
    assert "truck-17" in together.why


def test_words_that_look_like_markup_stay_words() -> None:
    board = dataclasses.replace(QUIET, rows=(dataclasses.replace(ROW, who="[red]x[/]", where="[/]"),))
    assert "[red]x[/]" in "\n".join(shown(board))


def test_rows_are_made_of_incidents_and_their_runs() -> None:
    [row] = rows([entry(seen("10:00"))], DESK, NOWHERE)
    assert row == dataclasses.replace(ROW, next_at=hour("10:31"), why=WHY)


def test_a_place_is_named_first_and_a_route_deviation_says_how_far() -> None:
    named = dataclasses.replace(DESK, surroundings=dataclasses.replace(DESK.surroundings, names={"c-3": "Dock 3"}, landmarks=()))
    [row] = rows([entry(seen("10:00", place="c-3", unit="m", measure=2340.0))], named)
    assert (row.where, row.measure) == ("at Dock 3, 43.51234, -79.88123", "2.3 km off")


def test_each_state_says_what_happens_next() -> None:
    open_one = entry(seen("10:00", "10:33"))
    taken = acknowledge(open_one.incident, "Ana", hour("10:32"))
    done = resolve(taken.after, "Ana", "breakdown", "tyre", hour("10:33"))
    note = entry(seen("10:00", severity="note"))
    made = rows([open_one, Entry(taken.after, None), Entry(done.after, None), Entry(note.incident, None)], DESK)
    board = dataclasses.replace(QUIET, now=hour("10:31"), rows=made)
    header, *lines = plain(board)
    assert header.endswith("1 open  1 acknowledged  1 note")
    assert [line.rsplit("; ", 1)[1] for line in lines] == [
        "rings dispatch in 0:00 (05:31)",
        "Ana has it",
        "resolved by Ana: breakdown",
        "closes by itself",
    ]
    assert "05:00 to 05:33" in "\n".join(shown(board))


def test_one_notice_by_two_channels_is_one_line() -> None:
    told = [Told(notice(channel=channel), "sent", hour("10:31"), "") for channel in ("log", "console")]
    [line] = notice_lines([*told])
    assert (line.to, line.subject) == ("dispatch by log, console", told[0].notice.subject)
    failed = notice_lines([told[0], told[1]._replace(state="failed")])
    assert [each.state for each in failed] == ["sent", "failed"]
    assert "✗ FAILED" in "\n".join(shown(dataclasses.replace(QUIET, notices=failed)))
