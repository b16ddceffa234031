"""Vehicles that fall silent together: one operational incident, nothing of it lost, and who stays silent has an incident again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerts.fold import fold, part
from monitor.alerts.incident import MACHINE, Incident, IncidentChange, Link, State, What, acknowledge, resolve
from monitor.alerts.silence import TOGETHER, is_lost, silent_with
from monitor.settings import Alerts
from monitor.signals import Change, ChangeKind, Signal
from tests.alerts.scenes import MINUTE, cleared, hour, raised, seen

TRUCKS = ("truck-1", "truck-2", "truck-3")


def lost(vehicle: str = "truck-1", since: str = "10:00", until: str | None = None, **said: str) -> Signal:
    """A silence, raised ten minutes after it began."""
    signal = seen(since, until, vehicle=vehicle, kind="signal_lost", unit="min", measure=10.0, limit=10.0, presumed=True, **said)
    return dataclasses.replace(signal, at=hour(since) + 10 * MINUTE)


class Book:
    """The incidents that follow from what happens, with numbers as the store would give them."""

    def __init__(self, **heard: str) -> None:
        self.incidents: dict[int, Incident] = {}
        self.signals: dict[int, Signal] = {}
        self.heard = {carrier: hour(time) for carrier, time in heard.items()}

    def happens(self, now: str, *signals: Signal) -> list[IncidentChange]:
        """New signals, in one delivery."""
        first = len(self.signals) + 1
        self.signals |= dict(enumerate(signals, first))
        news = [raised(signal, first + index) for index, signal in enumerate(signals)]
        return self.keep(fold(list(self.incidents.values()), news, hour(now), Alerts(), self.heard))

    def changes(self, now: str, *signals: Signal) -> list[IncidentChange]:
        """Known signals as they are now, by vehicle."""
        news = []
        for signal in signals:
            [number] = [
                known for known, old in self.signals.items() if (old.carrier, old.vehicle) == (signal.carrier, signal.vehicle)
            ]
            self.signals[number] = signal
            news.append(cleared(signal, number))
        return self.keep(fold(list(self.incidents.values()), news, hour(now), Alerts(), self.heard))

    def passes(self, now: str) -> list[IncidentChange]:
        """The clock ticks."""
        return self.keep(part(list(self.incidents.values()), hour(now), Alerts(), self.heard))

    def keep(self, changes: Sequence[IncidentChange]) -> list[IncidentChange]:
        """Store what changed."""
        kept = []
        for change in changes:
            number = change.after.id if change.after.id > 0 else len(self.incidents) + 1
            self.incidents[number] = dataclasses.replace(change.after, id=number)
            kept.append(change._replace(after=self.incidents[number]))
        return kept

    @property
    def open(self) -> list[tuple[str, str]]:
        """Whom the unresolved incidents are about."""
        return [(each.carrier, each.vehicle) for each in self.incidents.values() if each.state is not State.RESOLVED]

    def of(self, vehicle: str, carrier: str = "northline") -> Incident:
        """The one incident about a vehicle, or "" about all."""
        [found] = [each for each in self.incidents.values() if (each.carrier, each.vehicle) == (carrier, vehicle)]
        return found


def grouped() -> Book:
    """Three trucks of a carrier fell silent at ten, which is one incident."""
    book = Book(northline="10:00")
    book.happens("10:10", *map(lost, TRUCKS))
    return book


def test_vehicles_of_a_silent_carrier_make_one_incident() -> None:
    book = Book(northline="10:00")
    [change] = book.happens("10:10", lost("truck-1", "09:58"), lost("truck-2", "10:00"), lost("truck-3", "09:59"))
    assert (change.after.carrier, change.after.vehicle, change.after.operational) == ("northline", "", True)
    assert (change.after.state, change.after.severity, change.after.since) == (State.OPEN, "warning", hour("09:58"))
    assert [member.signal.vehicle for member in change.after.joined] == list(TRUCKS)
    assert [event.what for event in change.events] == [What.OPENED, What.JOINED, What.JOINED, What.JOINED]


def test_however_the_deliveries_are_cut_it_comes_to_the_same() -> None:
    book = Book(northline="10:00")
    for vehicle in TRUCKS:
        book.happens("10:10", lost(vehicle))
    assert book.open == [("northline", "")]
    assert [member.id for member in book.of("").joined] == [1, 2, 3]
    first = book.of("truck-1")
    assert (first.state, first.resolved_by, first.why) == (
        State.RESOLVED,
        MACHINE,
        "all vehicles fell silent together: part of the operational incident",
    )


def test_what_is_lost_later_in_the_same_silence_joins_and_rings_nobody_anew() -> None:
    book = grouped()
    [change] = book.happens("12:20", dataclasses.replace(lost("trailer-9", "09:20", severity="note"), at=hour("12:20")))
    assert [event.what for event in change.events] == [What.JOINED]
    assert book.open == [("northline", "")]


@pytest.mark.parametrize(
    ("heard", "since", "vehicles"),
    [("10:08", "10:00", TRUCKS), ("10:00", "09:54:59", TRUCKS), ("10:00", "10:00", TRUCKS[:2])],
    ids=["the carrier is heard", "they fell silent long before the carrier did", "too few"],
)
def test_otherwise_each_has_an_incident_of_its_own(heard: str, since: str, vehicles: Sequence[str]) -> None:
    book = Book(northline=heard)
    book.happens("10:10", *(lost(vehicle, since) for vehicle in vehicles))
    assert book.open == [("northline", vehicle) for vehicle in vehicles]


def test_one_vehicle_that_was_silent_before_the_others_keeps_its_incident() -> None:
    book = Book(northline="10:00")
    book.happens("08:10", lost("truck-9", "08:00"))
    book.happens("10:10", *map(lost, TRUCKS))
    assert book.open == [("northline", "truck-9"), ("northline", "")]


def test_what_is_critical_is_never_grouped_away() -> None:
    book = Book(northline="10:00")
    book.happens("10:10", *map(lost, TRUCKS), seen("10:05", kind="device_alarm", severity="critical", vehicle="truck-1"))
    book.happens("10:20", lost("truck-4", severity="critical"))
    assert sorted(book.open) == [("northline", ""), ("northline", "truck-1"), ("northline", "truck-4")]


def test_an_incident_about_more_than_silence_or_in_somebodys_hands_stays_as_it_is() -> None:
    book = Book(northline="10:00")
    book.happens("10:09", lost("truck-1"), seen("09:50", vehicle="truck-1"))
    book.happens("10:09", lost("truck-2"))
    book.keep([acknowledge(book.of("truck-2"), "Ana", hour("10:09"))])
    book.happens("10:10", lost("truck-3"))
    assert book.open == [("northline", "truck-1"), ("northline", "truck-2"), ("northline", "")]
    assert [member.signal.vehicle for member in book.of("").joined] == list(TRUCKS)


def test_when_all_carriers_are_silent_it_is_one_incident_of_the_monitor() -> None:
    book = Book(northline="10:00", southline="09:58", long_gone="04:00")
    book.happens("10:09", lost("truck-1"))
    book.happens("10:10", lost("truck-1", "09:58", carrier="southline"), lost("truck-2"))
    assert book.open == [("", "")]
    assert len(book.of("", "").joined) == 3


def test_a_carrier_that_is_silent_while_another_is_heard_is_its_own_matter() -> None:
    assert silent_with("northline", {"northline": hour("10:00"), "southline": hour("10:09")}, hour("10:10")) == "northline"
    assert silent_with("southline", {"northline": hour("10:00"), "southline": hour("10:09")}, hour("10:10")) is None
    assert silent_with("northline", {}, hour("10:10")) is None


def test_when_all_are_heard_again_it_ends_and_stays_with_whom_it_rang() -> None:
    book = grouped()
    book.heard["northline"] = hour("10:30")
    book.changes("10:30", *(lost(vehicle, until="10:30") for vehicle in TRUCKS))
    assert (book.of("").state, book.of("").cleared) == (State.OPEN, hour("10:30"))
    assert book.passes("11:30") == []
    assert book.open == [("northline", "")]


def test_a_vehicle_that_stays_silent_after_the_others_returned_has_an_incident_again() -> None:
    book = grouped()
    book.heard["northline"] = hour("10:30")
    book.changes("10:30", *(lost(vehicle, until="10:30") for vehicle in TRUCKS[:2]))
    assert [event.what for change in book.passes("10:30") for event in change.events] == [What.HEARD_AGAIN]
    assert book.passes("10:34:59") == []
    changes = book.passes("10:35")
    assert [[event.what for event in change.events] for change in changes] == [[What.PARTED, What.CLEARED], [What.OPENED]]
    assert book.open == [("northline", ""), ("northline", "truck-3")]
    assert (book.of("").cleared, [member.link for member in book.of("").members]) == (
        hour("10:30"),
        [Link.JOINED, Link.JOINED, Link.LINKED],
    )
    assert book.passes("10:50") == []


def test_the_incident_that_a_vehicle_had_before_the_silence_was_common_is_opened_again() -> None:
    book = Book(northline="10:00")
    for vehicle in reversed(TRUCKS):
        book.happens("10:10", lost(vehicle))
    book.heard["northline"] = hour("10:30")
    book.changes("10:30", *(lost(vehicle, until="10:30") for vehicle in TRUCKS[:2]))
    book.passes("10:30")
    changes = book.passes("10:40")
    assert changes[-1].said(What.REOPENED)
    assert (book.of("truck-3").state, book.of("truck-3").resolved_by) == (State.OPEN, None)


def test_where_others_than_the_lost_are_heard_all_of_it_falls_apart_and_it_closes() -> None:
    book = grouped()
    book.heard["northline"] = hour("10:12")
    book.passes("10:12")
    book.passes("10:17")
    assert book.open == [("northline", vehicle) for vehicle in TRUCKS]
    assert (book.of("").resolved_by, book.of("").why) == (MACHINE, "each vehicle has an incident of its own")
    assert book.passes("10:30") == []


def test_a_late_position_of_one_that_was_lost_ends_the_common_silence_too() -> None:
    """It was heard once more soon after the others fell silent; that tells nothing of now, but not all were silent."""
    book = grouped()
    book.heard["northline"] = hour("10:02")
    book.changes("10:20", lost("truck-1", until="10:02"))
    assert [event.what for change in book.passes("10:20") for event in change.events] == [What.HEARD_AGAIN]


def test_a_person_who_resolved_the_outage_still_hears_of_the_vehicle_that_does_not_return() -> None:
    book = grouped()
    book.keep([resolve(book.of(""), "Ana", "true", "the gateway is down", hour("10:20"))])
    book.heard["northline"] = hour("10:30")
    book.changes("10:30", *(lost(vehicle, until="10:30") for vehicle in TRUCKS[:2]))
    book.passes("10:30")
    book.passes("10:35")
    assert book.open == [("northline", "truck-3")]


def test_a_vehicle_that_reappears_elsewhere_rings_by_itself_at_once() -> None:
    book = grouped()
    moved = dataclasses.replace(lost("truck-2", until="10:40"), severity="critical")
    book.changes("10:40", moved)
    assert book.open == [("northline", ""), ("northline", "truck-2")]
    assert (book.of("truck-2").severity, book.of("").severity) == ("critical", "warning")


def test_of_a_silent_monitor_what_stays_silent_is_again_its_carriers() -> None:
    book = Book(northline="10:00", southline="10:00")
    book.happens("10:10", *map(lost, TRUCKS), *(lost(vehicle, carrier="southline") for vehicle in TRUCKS))
    assert book.open == [("", "")]
    book.heard["southline"] = hour("10:30")
    book.changes("10:30", *(lost(vehicle, until="10:30", carrier="southline") for vehicle in TRUCKS))
    book.passes("10:30")
    book.passes("10:35")
    assert book.open == [("", ""), ("northline", "")]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lose", "lose", "lose", "return", "moved", "wait", "tick", "acknowledge"]),
        st.integers(0, 7),
        st.integers(0, 8),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_happens_every_silence_is_somebodys_and_what_is_critical_is_its_own(
    steps: Sequence[tuple[str, int, int]],
) -> None:
    book, now = Book(), hour("10:00")
    vehicles = [(carrier, f"truck-{number}") for carrier in ("northline", "southline") for number in range(4)]
    out: dict[tuple[str, str], int] = {}
    for what, which, minutes in steps:
        now += minutes * MINUTE
        carrier, vehicle = vehicles[which]
        known = list(book.incidents.values())
        if what == "lose" and (carrier, vehicle) not in out:
            since = now - 10 * MINUTE
            book.heard[carrier] = max(book.heard.get(carrier, 0), since)
            number = out[carrier, vehicle] = len(book.signals) + 1
            book.signals[number] = dataclasses.replace(lost(vehicle, carrier=carrier), since=since, at=now)
            book.keep(fold(known, [raised(book.signals[number], number)], now, Alerts(), book.heard))
        elif what in ("return", "moved") and (carrier, vehicle) in out:
            number, book.heard[carrier] = out.pop((carrier, vehicle)), now
            severity = "critical" if what == "moved" else "warning"
            book.signals[number] = dataclasses.replace(book.signals[number], until=now, severity=severity)
            book.keep(fold(known, [Change(ChangeKind.CLEARED, number, book.signals[number])], now, Alerts(), book.heard))
        elif what == "tick":
            book.keep(part(known, now, Alerts(), book.heard))
        elif what == "acknowledge" and known and known[which % len(known)].state is State.OPEN:
            book.keep([acknowledge(known[which % len(known)], "Ana", now)])
        unresolved = [each for each in book.incidents.values() if each.state is not State.RESOLVED]
        for number, signal in book.signals.items():
            theirs = [each for each in unresolved if number in {member.id for member in each.joined}]
            assert theirs or not is_lost(signal)
            assert signal.severity != "critical" or [each for each in theirs if each.vehicle == signal.vehicle]
        assert all(each.joined for each in book.incidents.values())
    assert TOGETHER == 5 * MINUTE
