"""The silence of a carrier in a real database: who was heard is what is stored, one incident rings, and it outlives a restart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from monitor.alerts.handling import list_incidents
from monitor.alerts.incident import Link, State
from monitor.fixes import Fleet, VehicleId, normalised
from monitor.store.store import Store
from tests.alerts.scenes import cleared, happens, hour, opened, raised, seen
from tests.alerts.test_handling import notices, ticked
from tests.alerts.test_silence import TRUCKS, lost


def heard(store: Store, time: str, vehicles: Sequence[str] = TRUCKS, *, carrier: str = "northline", lon: float = -79.88) -> None:
    """Each of the vehicles reports once, with a position unless `lon` is unknown."""
    fleet, count = Fleet(), len(vehicles)
    codes = np.array([fleet.code(VehicleId(carrier, vehicle)) for vehicle in vehicles], np.int32)
    times = np.full(count, hour(time)).astype("datetime64[ms]")
    fixes = normalised(fleet, codes, times, np.full(count, lon), np.full(count, 43.5))
    with store.begin() as transaction:
        transaction.add_fixes(fleet, fixes, np.ones(count, bool))


def about(store: Store) -> list[tuple[str, str]]:
    """Whom the unresolved incidents are about, the oldest first."""
    entries = sorted(list_incidents(store), key=lambda entry: entry.incident.id)
    return [(entry.incident.carrier, entry.incident.vehicle) for entry in entries]


def test_a_silent_carrier_rings_once(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        heard(store, "10:00")
        happens(store, [raised(lost(vehicle)) for vehicle in TRUCKS], hour("10:10"))
        assert about(store) == [("northline", "")]
        assert [told.notice.incident for told in notices(store)] == [1]
        [entry] = list_incidents(store)
        assert [member.signal.vehicle for member in entry.incident.members] == list(TRUCKS)
        assert ticked(store, hour("10:15")) == 1


def test_those_that_were_lost_one_by_one_stop_ringing_when_it_is_all_of_them(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        heard(store, "10:00")
        for vehicle in TRUCKS:
            happens(store, [raised(lost(vehicle))], hour("10:10"))
        assert about(store) == [("northline", "")]
        assert [told.notice.incident for told in notices(store)] == [1, 2, 3]
        assert ticked(store, hour("10:15")) == 1


def test_a_device_that_talks_but_has_no_position_is_silent_and_one_that_has_is_not(tmp_path: Path) -> None:
    for lon, expected in ((float("nan"), [("northline", "")]), (-79.88, [("northline", vehicle) for vehicle in TRUCKS])):
        with opened(tmp_path) as store:
            heard(store, "10:00")
            heard(store, "10:09", ["truck-8"], lon=lon)
            happens(store, [raised(lost(vehicle)) for vehicle in TRUCKS], hour("10:10"))
            assert about(store) == expected
        for file in tmp_path.glob("monitor.db*"):
            file.unlink()


def test_a_vehicle_that_stays_silent_rings_by_itself_five_minutes_after_the_others_returned(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        heard(store, "10:00")
        happens(store, [raised(lost(vehicle)) for vehicle in TRUCKS], hour("10:10"))
        heard(store, "10:30", TRUCKS[:2])
        happens(store, [cleared(lost(vehicle, until="10:30"), 1 + i) for i, vehicle in enumerate(TRUCKS[:2])], hour("10:30"))
        ticked(store, hour("10:31"))
        ticked(store, hour("10:35"))
        assert about(store) == [("northline", "")]
        ticked(store, hour("10:36"))
        assert about(store) == [("northline", ""), ("northline", "truck-3")]
        [common, alone] = sorted((entry.incident for entry in list_incidents(store)), key=lambda each: each.id)
        assert [member.link for member in common.members] == [Link.JOINED, Link.JOINED, Link.LINKED]
        assert (common.cleared, alone.state, alone.members[0].signal.vehicle) == (hour("10:30"), State.OPEN, "truck-3")
        assert notices(store)[-1].notice.incident == alone.id
        count = len(notices(store))
        ticked(store, hour("10:36"))
        assert len(notices(store)) == count


def test_two_carriers_are_one_matter_of_the_monitor(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        heard(store, "10:00")
        heard(store, "10:01", ["truck-1"], carrier="southline")
        happens(store, [raised(lost(vehicle)) for vehicle in TRUCKS], hour("10:10"))
        assert about(store) == [("", "")]
        happens(store, [raised(lost("truck-1", "10:01", carrier="southline"))], hour("10:11"))
        [entry] = list_incidents(store)
        assert {(member.signal.carrier, member.signal.vehicle) for member in entry.incident.members} == {
            *(("northline", vehicle) for vehicle in TRUCKS),
            ("southline", "truck-1"),
        }


def test_the_notice_says_of_whom(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        heard(store, "10:00")
        happens(store, [raised(lost(vehicle)) for vehicle in TRUCKS], hour("10:10"))
        [told] = notices(store)
        assert "all vehicles of northline" in told.notice.subject
        assert "all vehicles of northline" in told.notice.body.splitlines()[0]
        assert "LATE" not in told.notice.body


def test_the_notice_of_an_alarm_that_came_hours_late_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        alarm = dataclasses.replace(seen("10:00", "10:05", kind="device_alarm", severity="critical"), at=hour("10:00"))
        happens(store, [raised(alarm)], hour("14:00"))
        [told] = notices(store)
        assert told.notice.severity == "critical"
        assert "LATE: we learned of it only at" in told.notice.body
        assert "09:00 EST" in told.notice.body
