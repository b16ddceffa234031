"""From the signal log to notices waiting to be sent: what is stored, what rings, what stops it. All in a real database."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as exercised
from hypothesis import strategies as st

from monitor.alerts.escalation import RunState
from monitor.alerts.handling import Desk, acknowledge, list_incidents, outlook, process, resolve, tick
from monitor.alerts.incident import State
from monitor.alerts.policies import Policies
from monitor.errors import MonitorError
from monitor.reconcile import reconcile
from monitor.settings import Settings
from monitor.signals import Change, ChangeKind, Signal
from monitor.store import alerts_store, notices_store
from monitor.store.journal import verify
from monitor.store.notices_store import Told
from monitor.store.store import Store
from tests.alerts.scenes import DESK, LADDER, MINUTE, cleared, happens, hour, opened, raised, seen, shipped, withdrawn


def ticked(store: Store, now: int, desk: Desk = DESK) -> int:
    with store.begin() as transaction:
        return tick(transaction, now, desk)


def notices(store: Store) -> list[Told]:
    """All notices, the oldest first."""
    with store.read() as transaction:
        return notices_store.recent_notices(transaction, 1000)[::-1]


def occasions(store: Store) -> list[str]:
    return [told.notice.occasion for told in notices(store)]


def test_a_warning_rings_dispatch_in_the_transaction_that_stores_it(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        _, [incident] = happens(store, [raised(seen("10:00"))], hour("10:30"))
        [told] = notices(store)
        assert (told.notice.contact, told.notice.occasion, told.state) == ("dispatch", "raised", "queued")
        assert "rings dispatch again at 05:35 EST unless acknowledged" in told.notice.body
        assert told.notice.why == "policy ladder, step 1"
        assert incident.id == 1


def test_what_is_stored_comes_back_as_it_was_folded(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        applied, [incident] = happens(
            store, [raised(seen("10:00")), raised(seen("10:10", "10:20", kind="door_open"))], hour("10:40")
        )
        [entry] = list_incidents(store)
        assert entry.incident == incident
        signals = {change.id: change.signal for change in applied}
        assert {member.id: member.signal for member in entry.incident.members} == signals


def test_a_rollback_leaves_neither_incident_nor_notice(tmp_path: Path) -> None:
    def fails(store: Store) -> None:
        with store.begin() as transaction:
            process(transaction, transaction.apply_changes([raised(seen("10:00"))], hour("10:30")), hour("10:30"), DESK)
            raise RuntimeError

    with opened(tmp_path) as store:
        with pytest.raises(RuntimeError):
            fails(store)
        assert (list_incidents(store), notices(store)) == ([], [])


def test_it_rings_until_somebody_acknowledges_and_not_once_after(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        rang = [minute for minute in range(1, 60) if ticked(store, hour("10:30") + minute * MINUTE)]
        assert rang == [5, 15, 25, 35, 45, 55]
        acknowledge(store, 1, "Ana", hour("11:31"))
        assert not any(ticked(store, hour("11:31") + minute * MINUTE) for minute in range(1, 600))
        assert occasions(store) == ["raised"] + ["repeat"] * 6
        [entry] = list_incidents(store)
        assert entry.run is not None
        assert (entry.incident.state, entry.run.state, entry.run.next_at) == (State.ACKNOWLEDGED, RunState.STOPPED, None)


def test_acknowledging_suppresses_what_waits_to_be_sent_and_says_why(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        acknowledge(store, 1, "Ana", hour("10:30"))
        [told] = notices(store)
        assert (told.state, told.notice.why) == ("suppressed", "acknowledged by Ana before it was sent")


def test_the_end_of_the_condition_is_told_once_and_the_ringing_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        happens(store, [cleared(seen("10:00", "10:33"), 1)], hour("10:33"))
        ticked(store, hour("10:35"))
        assert occasions(store) == ["raised", "cleared", "repeat"]
        assert "The condition has ended; the incident still needs a person." in notices(store)[1].notice.body


def test_once_acknowledged_not_even_the_end_is_told(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        acknowledge(store, 1, "Ana", hour("10:31"))
        happens(store, [cleared(seen("10:00", "10:33"), 1)], hour("10:33"))
        assert occasions(store) == ["raised"]


def test_a_withdrawal_is_told_with_its_reason(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        happens(store, [withdrawn(seen("10:00"), 1, "12 late fixes")], hour("10:33"))
        assert occasions(store) == ["raised", "withdrawn"]
        assert "Late data took it back (12 late fixes)" in notices(store)[1].notice.body


def test_graver_news_starts_the_ladder_again(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        acknowledge(store, 1, "Ana", hour("10:31"))
        happens(store, [raised(seen("10:10", severity="critical"))], hour("10:40"))
        assert occasions(store) == ["raised", "reopened"]
        assert ticked(store, hour("10:45")) == 1


def test_a_note_goes_to_the_record_alone_and_closes_by_itself(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        note = seen("10:00", severity="note", kind="long_dwell")
        happens(store, [raised(note)], hour("10:30"))
        happens(store, [cleared(seen("10:00", "10:40", severity="note", kind="long_dwell"), 1)], hour("10:40"))
        assert [(told.notice.contact, told.state) for told in notices(store)] == [("record", "queued")]
        assert list_incidents(store) == []


def test_a_note_that_was_over_when_we_learned_of_it_is_written_down_all_the_same(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00", "10:20", severity="note"))], hour("12:00"))
        [told] = notices(store)
        assert (told.notice.contact, told.notice.why) == ("record", "policy notes, already over")


def test_a_warning_that_late_data_makes_a_note_closes_and_rings_no_more(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        note = seen("10:00", "10:40", severity="note")
        happens(store, [Change(ChangeKind.REVISED, 1, note, reason="another trip")], hour("10:41"))
        assert (list_incidents(store), ticked(store, hour("10:50"))) == ([], 0)
        [entry] = list_incidents(store, limit=1)
        assert entry.run is not None
        assert (entry.incident.resolved_by, entry.run.state) == ("monitor", RunState.STOPPED)


def test_news_of_one_incident_leaves_another_of_the_same_vehicle_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00", "10:20")), raised(seen("11:00"))], hour("11:30"))
        _, touched = happens(store, [cleared(seen("11:00", "11:40"), 2)], hour("11:40"))
        assert [incident.id for incident in touched] == [2]
        assert [entry.incident.version for entry in list_incidents(store)] == [1, 2]


def test_the_desk_of_a_configuration_speaks_in_its_zone() -> None:
    desk = Desk.of(Settings(timezone="America/Vancouver"), DESK.policies, DESK.contacts, [("Yard", -123.1, 49.2)], {"p": "Dock"})
    assert (desk.surroundings.zone.key, desk.surroundings.name("p"), desk.surroundings.name("q")) == (
        "America/Vancouver",
        "Dock",
        "q",
    )


def test_a_measure_touches_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        _, touched = happens(store, [Change(ChangeKind.MEASURED, 1, seen("10:00", measure=2400.0))], hour("10:33"))
        [entry] = list_incidents(store)
        assert (touched, len(notices(store)), entry.incident.version) == ([], 1, 1)
        assert entry.incident.members[0].signal.measure == 2400.0


def test_editing_the_policy_does_not_touch_a_running_escalation(tmp_path: Path) -> None:
    slower = dataclasses.replace(LADDER, repeat=24 * 60 * MINUTE)
    edited = dataclasses.replace(DESK, policies=Policies({**DESK.policies.by_case, ("", "warning"): slower}))
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        assert [ticked(store, hour(at), edited) for at in ("10:35", "10:45", "10:55")] == [1, 1, 1]


def test_a_step_whose_contact_is_gone_rings_dispatch_instead_of_nobody(tmp_path: Path) -> None:
    night = Desk(
        DESK.alerts,
        Policies(
            {
                case: dataclasses.replace(LADDER, steps=(dataclasses.replace(LADDER.steps[0], contacts=("gone",)),))
                for case in DESK.policies.by_case
            }
        ),
        DESK.contacts,
        DESK.surroundings,
    )
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"), night)
        assert [told.notice.contact for told in notices(store)] == ["dispatch"]


def test_an_alarm_that_comes_hours_late_still_rings_marked_late(tmp_path: Path) -> None:
    """A jammed device tells of it once it can."""
    with opened(tmp_path) as store:
        alarm = dataclasses.replace(seen("10:00", "10:05", kind="device_alarm", severity="critical"), at=hour("10:00"))
        [change] = reconcile([], [dataclasses.replace(alarm, raised=hour("10:00"))], hour("14:00"), "")
        _, [incident] = happens(store, [change], hour("14:00"))
        assert (incident.severity, incident.state, incident.cleared) == ("critical", State.OPEN, hour("10:05"))
        [told] = notices(store)
        assert (told.notice.contact, told.notice.severity, told.notice.occasion) == ("dispatch", "critical", "raised")
        with store.read() as transaction:
            opening = alerts_store.timeline(transaction, 1)[0]
        assert (opening.what, opening.why) == ("incident.opened", "device_alarm, learned 240 min late")
        assert ticked(store, hour("14:05")) == 1


def test_resolving_ends_the_ringing_and_reopening_starts_it_again(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00", "10:40"))], hour("10:40"))
        resolve(store, 1, "Ana", "breakdown", "tyre changed", hour("10:41"))
        assert ticked(store, hour("10:50")) == 0
        happens(store, [raised(seen("10:45"))], hour("10:50"))
        assert occasions(store) == ["raised", "reopened"]
        assert ticked(store, hour("10:55")) == 1


def test_an_incident_that_does_not_exist_is_a_clear_line(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        with pytest.raises(MonitorError, match="there is no incident 9"):
            acknowledge(store, 9, "Ana", hour("10:00"))
        with pytest.raises(MonitorError, match="there is no incident 9"):
            resolve(store, 9, "Ana", "true", "why", hour("10:00"))


def test_the_most_urgent_incident_comes_first(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for number, severity in enumerate(["warning", "critical", "warning", "note"]):
            happens(store, [raised(seen("10:00", vehicle=f"truck-{number}", severity=severity))], hour("10:30") + number)
        acknowledge(store, 1, "Ana", hour("10:31"))
        assert [entry.incident.vehicle for entry in list_incidents(store)] == ["truck-1", "truck-2", "truck-0", "truck-3"]
        assert [entry.incident.id for entry in list_incidents(store, limit=2)] == [3, 4]


def test_everything_that_happened_is_in_the_journal_and_the_journal_holds(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        acknowledge(store, 1, "Ana", hour("10:31"))
        resolve(store, 1, "Ana", "congestion", "the 401 is closed", hour("10:40"))
        with store.read() as transaction:
            rows = transaction.connection.exec_driver_sql("SELECT actor, kind FROM journal ORDER BY seq").fetchall()
        assert [tuple(row) for row in rows] == [
            ("monitor", "signal.raised"),
            ("monitor", "incident.opened"),
            ("monitor", "notice.queued"),
            ("Ana", "incident.acknowledged"),
            ("Ana", "incident.resolved"),
        ]
        assert verify(store) is None


def test_the_timeline_tells_everything_that_happened_and_why(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"))
        happens(store, [raised(seen("10:00", vehicle="truck-18"))], hour("10:30"))
        happens(store, [withdrawn(seen("10:00"), 1, "late fixes")], hour("10:33"))
        acknowledge(store, 1, "Ana", hour("10:34"))
        with store.read() as transaction:
            told = alerts_store.timeline(transaction, 1)
        assert [(moment.actor, moment.what, moment.why) for moment in told] == [
            ("monitor", "incident.opened", "unauthorized_stop"),
            ("monitor", "notice.queued", "dispatch by log: policy ladder, step 1"),
            ("monitor", "incident.withdrawn", "late fixes"),
            ("monitor", "incident.all_withdrawn", "late fixes"),
            ("monitor", "notice.queued", "dispatch by log: they were told of it, and it is now withdrawn"),
            ("Ana", "incident.acknowledged", "by Ana"),
        ]


def test_the_shipped_configuration_rings_dispatch_on_the_terminal_and_in_the_log(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        happens(store, [raised(seen("10:00"))], hour("10:30"), shipped())
        assert [(told.notice.contact, told.notice.channel) for told in notices(store)] == [
            ("dispatch", "console"),
            ("dispatch", "log"),
        ]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["raise", "end", "withdraw", "revise", "acknowledge", "resolve", "tick"]),
        st.integers(0, 3),
        st.sampled_from(["note", "warning", "critical"]),
        st.integers(0, 40),
    ),
    max_size=14,
)


@exercised(max_examples=25, deadline=None)
@given(STEPS)
def test_whatever_happens_what_nobody_has_taken_will_ring_and_what_somebody_has_does_not(
    steps: Sequence[tuple[str, int, str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as store:
        now, signals = hour("10:00"), dict[int, Signal]()
        for what, which, severity, minutes in steps:
            now += minutes * MINUTE
            before = {told.notice.id for told in notices(store)}
            taken = {entry.incident.id for entry in list_incidents(store) if entry.incident.state is State.ACKNOWLEDGED}
            play(store, signals, what, which, severity, now)
            check_promises(store, now, before, taken)


def play(store: Store, signals: dict[int, Signal], what: str, which: int, severity: str, now: int) -> None:
    """One thing happens: to the signal log, by a person, or the clock ticks."""
    known = sorted(signals)
    incidents = [entry.incident for entry in list_incidents(store, limit=100)]
    if what == "raise":
        signal = dataclasses.replace(
            seen("10:00", severity=severity, vehicle=f"truck-{which % 2}"), since=now - 30 * MINUTE, at=now
        )
        applied, _ = happens(store, [raised(signal)], now)
        assert applied[0].id is not None
        signals[applied[0].id] = signal
    elif what in ("end", "withdraw", "revise") and known:
        number = known[which % len(known)]
        changed = dataclasses.replace(signals[number], until=max(now, signals[number].at) if what == "end" else None)
        if what == "revise":
            changed = dataclasses.replace(changed, severity=severity)
        kind = {"end": ChangeKind.CLEARED, "withdraw": ChangeKind.WITHDRAWN, "revise": ChangeKind.REVISED}[what]
        happens(store, [Change(kind, number, changed, reason="late fixes")], now)
        signals[number] = changed
        if what == "withdraw":
            del signals[number]
    elif what in ("acknowledge", "resolve") and incidents:
        chosen = incidents[which % len(incidents)]
        if what == "acknowledge" and chosen.state is State.OPEN:
            acknowledge(store, chosen.id, "Ana", now)
        elif what == "resolve" and chosen.state is not State.RESOLVED:
            resolve(store, chosen.id, "Ana", "true", "seen", now)
    elif what == "tick":
        ticked(store, now)


def check_promises(store: Store, now: int, before: set[int], taken: set[int]) -> None:
    """Every open latched incident has a next ring; none that stayed in somebody's hands got a notice; no two share a key."""
    for entry in list_incidents(store):
        if entry.incident.state is State.OPEN and entry.incident.latched:
            assert entry.run is not None
            assert entry.run.state is RunState.RUNNING
            assert outlook(entry.run, DESK.contacts).at is not None
        if entry.incident.state is State.ACKNOWLEDGED:
            assert entry.run is None or entry.run.next_at is None
    written = notices(store)
    still = {entry.incident.id for entry in list_incidents(store) if entry.incident.state is State.ACKNOWLEDGED} & taken
    assert not [told for told in written if told.notice.id not in before and told.notice.incident in still]
    assert len({told.notice.key for told in written}) == len(written)
    with store.read() as transaction:
        assert alerts_store.due_runs(transaction, now - 10**9, 10) == []
