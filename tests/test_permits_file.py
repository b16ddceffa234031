"""Authorizations and lockdowns read from files: each fault names file, line, field, value and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import ConfigurationError
from monitor.permits import SPOT_M, Authorization, Lockdown
from monitor.permits_file import load_authorizations, load_lockdowns

BEGIN, END = 1_772_445_600_000, 1_772_467_200_000
TIMES = "2026-03-02T10:00:00Z,2026-03-02T16:00:00Z"
HEADER = "id,vehicle,from,until,why,by,carrier,place,lat,lon,radius_m"


def authorizations(tmp_path: Path, *rows: str, header: str = HEADER) -> tuple[Authorization, ...]:
    file = tmp_path / "authorizations.csv"
    file.write_text("\n".join([header, *rows]), encoding="utf-8")
    return load_authorizations(file)


def test_an_authorization_is_for_a_place_a_spot_or_anywhere(tmp_path: Path) -> None:
    rows = [f"a,T-1,{TIMES},rest,Ana,north,mill,,,", f"b,T-1,{TIMES},rest,Ana,,,43.5,-79.5,90", f"c,T-1,{TIMES},rest,Ana,,,,,"]
    common = ("T-1", BEGIN, END, "rest", "Ana")
    assert authorizations(tmp_path, *rows) == (
        Authorization("a", "north", *common, place="mill"),
        Authorization("b", "default", *common, lon=-79.5, lat=43.5, radius_m=90.0),
        Authorization("c", "default", *common, radius_m=SPOT_M),
    )


def test_a_lockdown_is_of_a_place_a_vehicle_or_a_carrier(tmp_path: Path) -> None:
    file = tmp_path / "lockdowns.jsonl"
    words = '"from": "2026-03-02T10:00:00Z", "until": "2026-03-02T16:00:00Z", "why": "theft", "by": "Ana"'
    ways = ['"place": "mill"', '"vehicle": "T-1"', '"carrier": "north"']
    file.write_text("\n".join(f'{{"id": "{n}", {words}, {way}}}' for n, way in enumerate(ways)), encoding="utf-8")
    common = (BEGIN, END, "theft", "Ana")
    assert load_lockdowns(file) == (
        Lockdown("0", *common, place="mill"),
        Lockdown("1", *common, carrier="default", vehicle="T-1"),
        Lockdown("2", *common, carrier="north"),
    )


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (f",T-1,{TIMES},rest,Ana,,,,,", ":2: id: is required"),
        (f"a,,{TIMES},rest,Ana,,,,,", ":2: vehicle: is required"),
        (f"a,T-1,{TIMES},,Ana,,,,,", ":2: why: is required"),
        (f"a,T-1,{TIMES},rest,,,,,,", ":2: by: is required"),
        ("a,T-1,soon,2026-03-02T16:00:00Z,rest,Ana,,,,,", ":2: from = 'soon': allowed is an RFC 3339 time with a zone"),
        ("a,T-1,2026-03-02T16:00:00Z,2026-03-02T16:00:00Z,rest,Ana,,,,,", ":2: until = .* allowed is a time after from"),
        (f"a,T-1,{TIMES},rest,Ana,,,91,-79.5,", ":2: lat = '91': allowed is a number from -90 to 90"),
        (f"a,T-1,{TIMES},rest,Ana,,,43.5,,", ":2: lat = 43.5, lon = None: allowed are both or neither"),
        (f"a,T-1,{TIMES},rest,Ana,,mill,43.5,-79.5,", ":2: place = 'mill': allowed is a place or a spot"),
        (f"a,T-1,{TIMES},rest,Ana,,,43.5,-79.5,0.5", ":2: radius_m = '0.5': allowed is a number from 1 to 500,000"),
    ],
)
def test_an_authorization_that_cannot_be_is_one_line(tmp_path: Path, row: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as caught:
        authorizations(tmp_path, row)
    assert len(caught.value.faults) == 1


def test_each_id_stands_once_and_each_field_is_known(tmp_path: Path) -> None:
    rows = [f"a,T-1,{TIMES},rest,Ana,,,,,"] * 2
    with pytest.raises(ConfigurationError, match=":3: id = 'a': each id once; it stands in line 2 too"):
        authorizations(tmp_path, *rows)
    with pytest.raises(ConfigurationError, match=":2: reason: there is no such field; allowed are id, from"):
        authorizations(tmp_path, rows[0], header=HEADER.replace("radius_m", "reason"))
    with pytest.raises(ConfigurationError, match=":1: the header lacks by; allowed are"):
        authorizations(tmp_path, header="id,vehicle,from,until,why")


def test_a_lockdown_of_two_things_or_none_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "lockdowns.csv"
    for place, carrier in (("mill", "north"), ("", "")):
        file.write_text(f"id,from,until,why,by,place,carrier\nl,{TIMES},theft,Ana,{place},{carrier}\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r":2: place = .*: allowed is one of place, vehicle, carrier"):
            load_lockdowns(file)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.csv: not readable"):
        load_lockdowns(tmp_path / "nowhere.csv")
