"""What signals make of incidents, and what people may do with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from monitor.alerts.fold import fold
from monitor.alerts.incident import Incident, IncidentChange, Link, Outcome, State, What, acknowledge, resolve
from monitor.errors import MonitorError
from monitor.settings import Alerts
from monitor.signals import Change, ChangeKind
from tests.alerts.scenes import cleared, hour, raised, seen, withdrawn

ALERTS = Alerts()


def folded(changes: Sequence[Change], *incidents: Incident, now: str = "12:00") -> list[IncidentChange]:
    return fold(incidents, changes, hour(now), ALERTS)


def incident(*changes: Change, number: int = 1, now: str = "10:31") -> Incident:
    """The one incident that some changes make, under a number of its own."""
    [change] = folded(changes, now=now)
    return dataclasses.replace(change.after, id=number)


def said(change: IncidentChange) -> list[What]:
    return [event.what for event in change.events]


def test_a_signal_of_a_vehicle_without_incidents_opens_one() -> None:
    [change] = folded([raised(seen("10:00"), 1)], now="10:31")
    after = change.after
    assert (after.state, after.severity, after.since, after.opened) == (State.OPEN, "warning", hour("10:00"), hour("10:31"))
    assert (change.before, said(change)) == (None, [What.OPENED])
    assert after.id < 0


def test_a_signal_that_overlaps_joins() -> None:
    open_one = incident(raised(seen("10:00"), 1))
    [change] = folded([raised(seen("11:00", kind="route_deviation"), 2)], open_one)
    assert said(change) == [What.JOINED]
    assert [member.id for member in change.after.joined] == [1, 2]


@pytest.mark.parametrize(("since", "count"), [("11:10", 1), ("11:11", 2)])
def test_a_signal_joins_up_to_ten_minutes_after_the_end_and_not_a_minute_later(since: str, count: int) -> None:
    over = incident(raised(seen("10:00", "11:00"), 1))
    changes = folded([raised(seen(since), 2)], over)
    assert len({change.after.id for change in changes} | {1}) == count


def test_a_late_signal_joins_up_to_ten_minutes_before_the_beginning_and_moves_it() -> None:
    over = incident(raised(seen("10:00", "11:00"), 1))
    [change] = folded([raised(seen("09:20", "09:50"), 2)], over)
    assert (change.after.id, change.after.since) == (1, hour("09:20"))


def test_signals_of_two_vehicles_never_meet() -> None:
    changes = folded([raised(seen("10:00"), 1), raised(seen("10:00", vehicle="truck-18"), 2)])
    assert [change.after.vehicle for change in changes] == ["truck-17", "truck-18"]


def test_vehicles_of_the_same_name_at_two_carriers_never_meet() -> None:
    changes = folded([raised(seen("10:00"), 1), raised(seen("10:00", carrier="southline"), 2)])
    assert [change.after.carrier for change in changes] == ["northline", "southline"]


def test_two_signals_of_one_delivery_make_one_incident() -> None:
    [change] = folded([raised(seen("10:20", kind="route_deviation"), 1), raised(seen("10:00"), 2)])
    assert said(change) == [What.OPENED, What.JOINED]


def test_a_signal_that_bridges_two_joins_the_older_and_links_the_other() -> None:
    older = incident(raised(seen("10:00", "10:40"), 1), number=4)
    newer = incident(raised(seen("11:30", "12:00"), 2), number=5)
    late = raised(seen("10:45", "11:25", severity="critical"), 3)
    first, second = folded([late], newer, older)
    assert (first.after.id, first.after.members[-1].link, first.after.severity) == (4, Link.JOINED, "critical")
    assert (second.after.id, second.after.members[-1].link, second.after.severity) == (5, Link.LINKED, "warning")
    assert said(second) == [What.LINKED]


def test_the_severity_is_the_worst_and_says_so_when_it_rises() -> None:
    open_one = incident(raised(seen("10:00"), 1))
    [change] = folded([raised(seen("10:30", severity="critical"), 2)], open_one)
    assert change.after.severity == "critical"
    assert said(change) == [What.JOINED, What.SEVERITY_RAISED]


def test_withdrawing_the_worst_lowers_the_severity() -> None:
    critical = seen("10:30", severity="critical")
    open_one = incident(raised(seen("10:00"), 1), raised(critical, 2))
    [change] = folded([withdrawn(critical, 2)], open_one)
    assert change.after.severity == "warning"
    assert said(change) == [What.WITHDRAWN, What.SEVERITY_LOWERED]
    assert change.events[0].why == "a late fix showed that it drove on"


def test_a_latched_incident_whose_conditions_end_stays_open_and_says_that_they_ended() -> None:
    open_one = incident(raised(seen("10:00"), 1))
    [change] = folded([cleared(seen("10:00", "11:00"), 1)], open_one)
    assert (change.after.state, change.after.cleared) == (State.OPEN, hour("11:00"))
    assert said(change) == [What.ENDED, What.CLEARED]


def test_a_late_fix_that_shows_the_condition_to_hold_still_takes_the_end_back() -> None:
    over = incident(raised(seen("10:00", "11:00"), 1))
    [change] = folded([Change(ChangeKind.REVISED, 1, seen("10:00"), reason="late fixes")], over)
    assert change.after.cleared is None
    assert said(change) == [What.REVISED, What.RESUMED]


def test_a_note_closes_by_itself_when_it_ends() -> None:
    note = incident(raised(seen("10:00", severity="note"), 1))
    [change] = folded([cleared(seen("10:00", "11:00", severity="note"), 1)], note)
    assert (change.after.state, change.after.resolved_by, change.after.outcome) == (State.RESOLVED, "monitor", None)
    assert said(change) == [What.ENDED, What.CLEARED, What.CLOSED]


def test_a_warning_that_joins_a_note_latches_it() -> None:
    note = incident(raised(seen("10:00", severity="note"), 1))
    [change] = folded([raised(seen("10:20", "10:50"), 2), cleared(seen("10:00", "10:55", severity="note"), 1)], note)
    assert (change.after.state, change.after.severity, change.after.latched) == (State.OPEN, "warning", True)


def test_an_incident_whose_signals_were_all_withdrawn_says_so_and_still_needs_a_human() -> None:
    open_one = incident(raised(seen("10:00"), 1))
    [change] = folded([withdrawn(seen("10:00"), 1)], open_one)
    assert (change.after.state, change.after.withdrawn, change.after.severity) == (State.OPEN, True, "warning")
    assert said(change) == [What.WITHDRAWN, What.ALL_WITHDRAWN]
    assert change.after.joined[0].withdrawn == "a late fix showed that it drove on"


def test_a_withdrawn_note_closes() -> None:
    note = incident(raised(seen("10:00", severity="note"), 1))
    [change] = folded([withdrawn(seen("10:00", severity="note"), 1)], note)
    assert change.after.state is State.RESOLVED


def test_a_signal_that_replaces_a_withdrawn_one_stays_in_its_incident() -> None:
    open_one = incident(raised(seen("10:00"), 1))
    [change] = folded([raised(seen("10:04"), 2), withdrawn(seen("10:00"), 1)], open_one)
    assert (change.after.withdrawn, change.after.since) == (False, hour("10:04"))
    assert said(change) == [What.WITHDRAWN, What.JOINED]


def test_a_new_measure_is_no_news() -> None:
    open_one = incident(raised(seen("10:00"), 1))
    assert folded([Change(ChangeKind.MEASURED, 1, seen("10:00", measure=3600.0))], open_one) == []


def test_a_signal_within_the_grace_reopens_what_a_person_resolved() -> None:
    over = incident(raised(seen("10:00", "10:40"), 1))
    resolved = resolve(over, "Ana", "breakdown", "tyre changed", hour("11:00")).after
    [change] = folded([raised(seen("11:14", "11:20"), 2)], resolved, now="11:15")
    assert (change.after.id, change.after.state, change.after.resolved_by) == (1, State.OPEN, None)
    assert said(change)[-1] is What.REOPENED


def test_a_signal_after_the_grace_opens_a_new_incident() -> None:
    over = incident(raised(seen("10:00", "10:40"), 1))
    resolved = resolve(over, "Ana", "breakdown", "tyre changed", hour("11:00")).after
    [change] = folded([raised(seen("10:45", "11:00"), 2)], resolved, now="11:16")
    assert said(change)[0] is What.OPENED


def test_an_unresolved_incident_is_joined_before_a_resolved_one_is_reopened() -> None:
    resolved = resolve(incident(raised(seen("10:00", "10:40"), 1)), "Ana", "true", "police", hour("10:45")).after
    open_one = incident(raised(seen("10:30"), 2), number=2)
    [change] = folded([raised(seen("10:50"), 3)], resolved, open_one, now="10:55")
    assert (change.after.id, said(change)) == (2, [What.JOINED])


def test_a_note_that_closed_by_itself_long_ago_in_event_time_is_not_reopened() -> None:
    """A device that uploads two days at once must not make one incident of them."""
    note = incident(raised(seen("01:00", "02:00", severity="note"), 1), now="12:00")
    [change] = folded([raised(seen("09:00", "09:30"), 2)], note, now="12:00")
    assert said(change)[0] is What.OPENED


def test_graver_news_takes_an_acknowledged_incident_out_of_the_hands_it_is_in() -> None:
    taken = acknowledge(incident(raised(seen("10:00"), 1)), "Ana", hour("10:35")).after
    [change] = folded([raised(seen("10:36", severity="critical"), 2)], taken)
    assert (change.after.state, change.after.acknowledged_by) == (State.OPEN, None)
    assert said(change) == [What.JOINED, What.SEVERITY_RAISED, What.REOPENED]


def test_news_no_graver_leaves_an_acknowledged_incident_in_its_hands() -> None:
    taken = acknowledge(incident(raised(seen("10:00"), 1)), "Ana", hour("10:35")).after
    [change] = folded([raised(seen("10:36"), 2)], taken)
    assert change.after.state is State.ACKNOWLEDGED


def test_a_closed_note_revised_to_a_warning_needs_a_human_after_all() -> None:
    closed = incident(raised(seen("10:00", "10:40", severity="note"), 1))
    [change] = folded([Change(ChangeKind.REVISED, 1, seen("10:00", "10:40"), reason="another trip")], closed, now="15:00")
    assert change.after.state is State.OPEN


def test_what_late_data_says_of_a_resolved_incident_is_written_down_and_changes_nothing() -> None:
    resolved = resolve(incident(raised(seen("10:00"), 1)), "Ana", "congestion", "401 closed", hour("11:00")).after
    [change] = folded([withdrawn(seen("10:00"), 1)], resolved, now="15:00")
    assert (change.after.state, change.after.outcome, change.after.withdrawn) == (State.RESOLVED, "congestion", True)


def test_acknowledging_names_a_person() -> None:
    change = acknowledge(incident(raised(seen("10:00"), 1)), " Ana ", hour("10:35"))
    assert (change.after.state, change.after.acknowledged_by) == (State.ACKNOWLEDGED, "Ana")
    with pytest.raises(MonitorError, match="named"):
        acknowledge(incident(raised(seen("10:00"), 1)), " ", hour("10:35"))


def test_acknowledging_twice_says_who_has_it() -> None:
    taken = acknowledge(incident(raised(seen("10:00"), 1)), "Ana", hour("10:35")).after
    with pytest.raises(MonitorError, match=r"already acknowledged, by Ana at 2026-02-04T10:35:00\.000Z"):
        acknowledge(taken, "Bo", hour("10:36"))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_resolves(outcome: Outcome) -> None:
    change = resolve(incident(raised(seen("10:00"), 1)), "Ana", outcome, "as the driver said", hour("11:00"))
    assert (change.after.state, change.after.outcome) == (State.RESOLVED, outcome)


def test_an_outcome_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(MonitorError, match="gps_error, congestion"):
        resolve(incident(raised(seen("10:00"), 1)), "Ana", "nothing", "why", hour("11:00"))


def test_a_latched_incident_is_not_resolved_without_a_reason_but_a_note_is() -> None:
    with pytest.raises(MonitorError, match="takes a reason"):
        resolve(incident(raised(seen("10:00"), 1)), "Ana", "true", " ", hour("11:00"))
    note = incident(raised(seen("10:00", severity="note"), 1))
    assert resolve(note, "Ana", "training", "", hour("11:00")).after.state is State.RESOLVED


def test_what_is_resolved_is_neither_acknowledged_nor_resolved_again() -> None:
    resolved = resolve(incident(raised(seen("10:00"), 1)), "Ana", "true", "police came", hour("11:00")).after
    with pytest.raises(MonitorError, match="is resolved, by Ana"):
        acknowledge(resolved, "Bo", hour("11:01"))
    with pytest.raises(MonitorError, match="already resolved, by Ana"):
        resolve(resolved, "Bo", "true", "again", hour("11:01"))


def test_a_signal_must_be_stored_before_it_is_folded() -> None:
    with pytest.raises(ValueError, match="stored"):
        folded([raised(seen("10:00"))])
