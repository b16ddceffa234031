"""What every payload format promises, run over the registry: whoever adds one adds samples here and golden payloads beside, no law.

A golden file has a payload, the quirks of its sender, and what it must be read as; known bits by their names, and nothing that is unknown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.fixes import EARLIEST_MS, LATEST_MS, Alarm, Fleet, Quality
from monitor.ingest.decode import decode
from monitor.ingest.delivery import Message
from monitor.ingest.formats import FORMATS, Fault, Quirks, Reading
from monitor.settings import Feed, Ingest

GOLDEN = sorted((Path(__file__).parent / "formats").glob("*/*.json"))
REAL = Path(__file__).resolve().parents[3] / "shared/data/payloads"
NOW = 1_772_352_000_000
AT = 1_772_344_800_000
each = pytest.mark.parametrize("name", sorted(FORMATS))
Said = dict[str, Any]


def _native(more: Said) -> Said:
    return {"time": "2026-03-01T06:00:00Z", "lat": 43.65123, "lon": -79.38123} | more


def _owntracks(more: Said) -> Said:
    return {"_type": "location", "tst": AT // 1000, "lat": 43.65123, "lon": -79.38123} | more


def _traccar(more: Said) -> Said:
    device = {"device": {"uniqueId": more.pop("uniqueId")}} if "uniqueId" in more else {}
    return {
        "position": {"fixTime": "2026-03-01T06:00:00.000+00:00", "latitude": 43.65123, "longitude": -79.38123} | more
    } | device


def _flespi(more: Said) -> Said:
    return {"timestamp": AT / 1000, "position.latitude": 43.65123, "position.longitude": -79.38123} | more


def _teltonika(more: Said) -> Said:
    return {"state": {"reported": {"ts": AT, "latlng": "43.65123,-79.38123"} | more}}


def _thingsboard(more: Said) -> Said:
    return {"ts": AT, "values": {"latitude": 43.65123, "longitude": -79.38123} | more}


SAMPLES: dict[str, Callable[[Said], Said]] = {
    "native": _native,
    "owntracks": _owntracks,
    "traccar": _traccar,
    "flespi": _flespi,
    "teltonika": _teltonika,
    "thingsboard": _thingsboard,
}
"""A fix of each form that says no more than where and when, and what is added."""
SPEED = {
    "native": "speed_mps",
    "owntracks": "vel",
    "traccar": "speed",
    "flespi": "position.speed",
    "teltonika": "sp",
    "thingsboard": "speed",
}
HEADING = {
    "owntracks": "cog",
    "traccar": "course",
    "flespi": "position.direction",
    "teltonika": "ang",
    "thingsboard": "heading",
}
"""Where a heading that makes no sense is unknown; in our own form it is refused."""
OWN_UNIT = {"native": 10.0, "owntracks": 36.0, "traccar": 36000 / 1852, "flespi": 36.0, "teltonika": 36.0}
"""Ten metres a second in the form's own unit; ThingsBoard has none."""


def read(name: str, payload: bytes | str | object, **quirks: Any) -> Sequence[Reading | Fault]:
    """What a payload says."""
    if not isinstance(payload, bytes | str):
        payload = json.dumps(payload)
    return FORMATS[name].reader(Quirks(**quirks))(payload.encode() if isinstance(payload, str) else payload)


def only(name: str, payload: bytes | str | object, **quirks: Any) -> Reading:
    """The one reading of a payload."""
    [found] = read(name, payload, **quirks)
    assert isinstance(found, Reading), found
    return found


def shown(item: Reading | Fault) -> Said:
    """What is known of a reading, or its fault."""
    if isinstance(item, Fault):
        return {"fault": item.reason} | {key: value for key, value in (("boot", item.boot), ("seq", item.seq)) if value}
    told = {key: value for key, value in msgspec.structs.asdict(item).items() if value is not None}
    told["alarms"] = [alarm.name.lower() for alarm in Alarm if alarm.name and item.alarms & alarm]
    told["quality"] = [flag.name.lower() for flag in Quality if flag.name and item.quality & flag]
    if "speed_mps" in told:
        told["speed_mps"] = round(told["speed_mps"], 9)
    return {key: value for key, value in told.items() if value != []}


def sound(found: Sequence[Reading | Fault]) -> None:
    """Whatever was read can be stored, and whatever was not is told in one line."""
    for item in found:
        if isinstance(item, Fault):
            assert item.reason
            assert "\n" not in item.reason
            continue
        assert EARLIEST_MS <= item.time < LATEST_MS
        assert (item.lat is None) == (item.lon is None)
        assert item.lat is None or -90 <= item.lat <= 90
        assert item.lon is None or -180 <= item.lon <= 180
        assert item.heading_deg is None or 0 <= item.heading_deg <= 360
        assert {item.ignition, item.door} <= {None, True, False}
        assert 0 <= item.alarms < 2**32


# ── golden payloads ──


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_golden_payload_is_read_as_it_says(file: Path) -> None:
    """The payload to the byte, the readings to the last field."""
    golden = json.loads(file.read_text(encoding="utf-8"))
    found = read(file.parent.name, golden["payload"], **golden.get("quirks", {}))
    assert [shown(item) for item in found] == golden["readings"]


@each
def test_every_format_has_samples_and_golden_payloads(name: str) -> None:
    """One of them is a fix with a position, and one is refused."""
    assert name == FORMATS[name].NAME
    readings = [
        item for file in GOLDEN if file.parent.name == name for item in json.loads(file.read_text(encoding="utf-8"))["readings"]
    ]
    assert any("lat" in item for item in readings)
    assert any("fault" in item for item in readings)


# ── what is said, and what is not ──


@each
def test_what_is_not_said_is_unknown(name: str) -> None:
    """Where and when, and nothing else; above all no zeros."""
    assert shown(only(name, SAMPLES[name]({}))) == {"time": AT, "lat": 43.65123, "lon": -79.38123}


@pytest.mark.parametrize("name", sorted(OWN_UNIT))
def test_a_speed_is_in_the_unit_of_the_form(name: str) -> None:
    """Ten metres a second."""
    found = only(name, SAMPLES[name]({SPEED[name]: OWN_UNIT[name]})).speed_mps
    assert found == pytest.approx(10.0)


@each
@pytest.mark.parametrize(("unit", "told"), [("mps", 10), ("kmh", 36), ("knots", 36000 / 1852), ("mph", 10 / 0.44704)])
def test_a_feed_may_have_another_unit_of_speed(name: str, unit: str, told: float) -> None:
    """The same ten metres a second."""
    assert only(name, SAMPLES[name]({SPEED[name]: told}), speed_unit=unit).speed_mps == pytest.approx(10.0)


@pytest.mark.parametrize("name", sorted(HEADING))
@pytest.mark.parametrize("told", [-1, 360.5, 1e30])
def test_a_heading_that_makes_no_sense_is_unknown(name: str, told: float) -> None:
    """It is a sender's way to say that it has none; the position counts all the same."""
    assert only(name, SAMPLES[name]({HEADING[name]: told})).heading_deg is None


@pytest.mark.parametrize(
    ("name", "key"), [("native", "device"), ("owntracks", "topic"), ("traccar", "uniqueId"), ("flespi", "ident")]
)
def test_the_device_is_told_as_it_stands(name: str, key: str) -> None:
    """Nothing is cut off an id, not even a space."""
    assert only(name, SAMPLES[name]({key: "north/86 0001"})).device == "north/86 0001"


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"native"}))
@pytest.mark.parametrize("year", [1980, 2000, 2004])
def test_a_clock_that_was_not_set_is_refused(name: str, year: int) -> None:
    """Trackers wake up in those years; our own form takes what it is told."""
    ms = (year - 1970) * 31_556_952_000 + 86_400_000 * 40
    keys: dict[str, Said] = {"owntracks": {"tst": ms // 1000}, "flespi": {"timestamp": ms / 1000}, "teltonika": {"ts": ms}}
    said = SAMPLES[name](keys.get(name, {}))
    if name == "traccar":
        said["position"]["fixTime"] = f"{year}-02-10T00:00:00.000+00:00"
    if name == "thingsboard":
        said["ts"] = ms
    [found] = read(name, said)
    assert isinstance(found, Fault)
    assert f"is of {year}: the device's clock was not set" in found.reason


@pytest.mark.parametrize(
    ("name", "key"),
    [("flespi", "gsm.jamming.event.trigger"), ("flespi", "custom.SOS"), ("teltonika", "249"), ("thingsboard", "alarms")],
)
def test_an_alarm_that_is_off_is_none(name: str, key: str) -> None:
    """However it is written; and one that is on is one."""
    off = [0, False, "0", "false", None, "", []]
    assert [only(name, SAMPLES[name]({key: value})).alarms for value in off] == [0] * len(off)
    assert only(name, SAMPLES[name]({key: "1"})).alarms


@each
def test_one_bad_fix_of_an_array_costs_only_itself(name: str) -> None:
    """The others are read."""
    good = SAMPLES[name]({})
    found = read(name, [good, 7, good])
    assert [type(item) for item in found] == [Reading, Fault, Reading]
    assert [item for item in found if isinstance(item, Reading)] == [only(name, good)] * 2


# ── bad bytes ──

NASTY = [
    *(
        b"",
        b" ",
        b"{",
        b"}",
        b"[",
        b"null",
        b"true",
        b"5",
        b'"text"',
        b"{}",
        b"[]",
        b"[[]]",
        b"[null]",
        b"[{}]",
        b"<xml/>",
        b"\0",
    ),
    *(
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"NaN",
        b"[NaN]",
        b'{"time": Infinity}',
        b"\xef\xbb\xbf{}",
        b'{"a": 1}{"b": 2}',
        b"-",
        b"1e999",
    ),
    *(
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"position":' * 5_000,
        b'{"state":{"reported":' * 5_000,
        b'"' + b"x" * 1_000_000 + b'"',
    ),
    *(
        b'{"_type": 5}',
        b'{"position": 5}',
        b'{"device": 5}',
        b'{"state": []}',
        b'{"values": 5}',
        b'{"A": [1]}',
        b'{"A": [{}, 5]}',
    ),
    *(
        b'{"RSP": 1}',
        b'{"RSP": "\xff"}',
        b'{"event": {}}',
        b'{"ts": 1, "values": {"latitude": {}}}',
        b"[" + b"7," * 9_999 + b"7]",
    ),
]


@each
@pytest.mark.parametrize("payload", NASTY, ids=lambda payload: ascii(payload[:24]))
def test_bad_bytes_are_faults_and_never_exceptions(name: str, payload: bytes) -> None:
    """Nor is anything read from them."""
    found = read(name, payload)
    sound(found)
    assert not [item for item in found if isinstance(item, Reading)]


@each
def test_a_text_that_is_not_utf_8_is_refused_even_where_it_is_ignored(name: str) -> None:
    """What is kept as evidence must be what was read."""
    whole = json.dumps(SAMPLES[name]({})).encode()
    [found] = read(name, whole[:-1] + b', "note": "\xff"}')
    assert isinstance(found, Fault)
    assert found.reason.startswith("not UTF-8: ")


ODD = [
    "1e999",
    "-1e999",
    "1" + "0" * 400,
    "1e308",
    "-1e308",
    "NaN",
    "Infinity",
    '"nan"',
    '"inf"',
    '"-inf"',
    '"1e999"',
    "null",
    "true",
    "[]",
    "{}",
]
ODD += [
    '""',
    '"x"',
    '"\\u0000"',
    '"٣"',
    "-0.0",
    "1e-320",
    "0.1e1",
    "[[[1]]]",
    '{"a": 1}',
    "9007199254740993",
    '"9223372036854775808"',
]


@each
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:12])
def test_no_value_of_any_key_breaks_the_reading(name: str, odd: str) -> None:
    """Each number, text and flag of a whole fix in turn is something odd."""
    whole = SAMPLES[name](
        {SPEED[name]: 5, "ident": "x", "239": 1, "249": 0, "sat": 5, "acc": 1, "seq": 5, "alarms": [], "door": 1}
    )
    text = json.dumps(whole)
    for value in _leaves(whole):
        found = read(name, text.replace(json.dumps(value), odd))
        sound(found)
        for item in found:
            numbers = (item.speed_mps, item.accuracy_m) if isinstance(item, Reading) else ()
            assert not any(math.isnan(number) for number in numbers if number is not None)


def _leaves(said: Any) -> list[Any]:
    """The values of a nested object that are no objects."""
    return [leaf for value in said.values() for leaf in (_leaves(value) if isinstance(value, dict) else [value])]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(GOLDEN), st.binary(max_size=12), st.integers(0, 400), st.integers(0, 8))
def test_whatever_bytes_arrive_are_readings_or_faults(file: Path, noise: bytes, where: int, length: int) -> None:
    """A golden payload with a piece replaced by noise."""
    whole = json.loads(file.read_text(encoding="utf-8"))["payload"].encode()
    sound(read(file.parent.name, whole[:where] + noise + whole[where + length :]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@each
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_a_key_holds_is_a_reading_or_a_fault(name: str, data: st.DataObject) -> None:
    """Keys that the form knows, with any JSON in them."""
    golden = data.draw(st.sampled_from([file for file in GOLDEN if file.parent.name == name]))
    text = json.loads(golden.read_text(encoding="utf-8"))["payload"]
    keys = sorted({key for key in text.replace("\\", "").split('"') if key.isascii() and key})
    sound(read(name, data.draw(st.dictionaries(st.sampled_from(keys), JSON, max_size=6)) if keys else {}))


# ── through the decoder ──


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_is_read_becomes_fixes_and_what_is_not_a_reject(file: Path) -> None:
    """Every format is a feed of its own name; nothing of a payload is lost between."""
    golden = json.loads(file.read_text(encoding="utf-8"))
    feed = Feed(format=file.parent.name, **golden.get("quirks", {}))
    message = Message("north", "T-1", "$http/golden/1", golden["payload"].encode(), "golden")
    decoded = decode([message], NOW, Fleet(), Ingest(feed={"golden": feed}))
    claims = [item for item in golden["readings"] if item.get("carrier")]
    assert len(decoded.fixes) == len([item for item in golden["readings"] if "fault" not in item])
    assert len(decoded.rejects) == (1 if any("fault" in item for item in golden["readings"]) else 0)
    assert not decoded.findings or claims


@pytest.mark.parametrize(
    ("name", "file"), [("owntracks", "owntracks_traccar_bodies.jsonl"), ("flespi", "flespi_traccar_bodies.jsonl")]
)
def test_payloads_of_others_are_read(name: str, file: str) -> None:
    """Bodies that another program's tests took from real senders: each holds a position."""
    if not (REAL / file).exists():
        pytest.skip("the payloads of others are not here")
    for line in (REAL / file).read_text(encoding="utf-8").splitlines():
        found = read(name, json.loads(line)["body"])
        sound(found)
        assert any(isinstance(item, Reading) and item.lat is not None for item in found)
