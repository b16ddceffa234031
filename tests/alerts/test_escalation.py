"""Who is rung when, and that it never ends by itself."""

from __future__ import annotations

import dataclasses

from monitor.alerts.escalation import Policy, Run, RunState, due, start, stop
from monitor.alerts.fold import fold
from monitor.alerts.incident import Incident, acknowledge
from monitor.settings import Alerts
from tests.alerts.scenes import LADDER, MINUTE, NOTES, hour, raised, seen


def an_incident() -> Incident:
    [change] = fold([], [raised(seen("10:00"), 1)], hour("10:30"), Alerts())
    return dataclasses.replace(change.after, id=1)


def rung(run: Run, until: str) -> tuple[list[str], Run]:
    """The minutes after 10:30 at which a run rings, ticked each second."""
    minutes, now, incident = [], hour("10:30"), an_incident()
    while now <= hour(until):
        rings, run = due(run, incident, now)
        minutes += [f"{(now - hour('10:30')) / MINUTE:g}" for _ in rings]
        now += 1000
    return minutes, run


def test_it_rings_at_once_then_after_five_minutes_then_every_ten_for_ever() -> None:
    minutes, run = rung(start(1, LADDER, hour("10:30")), "11:20")
    assert minutes == ["0", "5", "15", "25", "35", "45"]
    assert (run.state, run.next_at) == (RunState.RUNNING, hour("11:25"))


def test_no_two_rings_share_a_version_not_even_after_a_restart() -> None:
    [first], after = due(start(1, LADDER, hour("10:30")), an_incident(), hour("10:30"))
    again = start(1, LADDER, hour("10:40"), stop(after))
    [second], _ = due(again, an_incident(), hour("10:40"))
    assert second.version > first.version


def test_after_a_downtime_one_step_rings_and_the_next_waits_its_whole_time() -> None:
    _, run = due(start(1, LADDER, hour("10:30")), an_incident(), hour("10:30"))
    rings, run = due(run, an_incident(), hour("14:00"))
    assert ([ring.step for ring in rings], run.next_at) == ([1], hour("14:10"))


def test_an_acknowledged_incident_rings_nobody_and_its_run_stops() -> None:
    taken = acknowledge(an_incident(), "Ana", hour("10:31")).after
    rings, run = due(start(1, LADDER, hour("10:30")), taken, hour("10:40"))
    assert (rings, run.state, run.next_at) == ([], RunState.STOPPED, None)
    assert due(run, taken, hour("10:50")) == ([], run)


def test_nothing_rings_before_its_time() -> None:
    run = start(1, LADDER, hour("10:30"))
    assert due(run, an_incident(), hour("10:30") - 1) == ([], run)


def test_a_note_is_written_down_once() -> None:
    minutes, run = rung(start(1, NOTES, hour("10:30")), "11:20")
    assert (minutes, run.state, run.next_at) == (["0"], RunState.EXHAUSTED, None)


def test_a_stored_policy_comes_back_as_it_was() -> None:
    assert Policy.from_json(LADDER.as_json()) == LADDER
