"""Decoding: each message becomes fixes in columns, or a reject that says why, with its bytes; nothing that arrives is an exception."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.findings import FORGED_IDENTITY, UNKNOWN_DEVICE, Finding
from monitor.fixes import COLUMNS, Alarm, FixBatch, Fleet, Quality, Reject, VehicleId
from monitor.ingest.decode import Decoded, decode, in_parts
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import Feeds
from monitor.settings import Ingest, load_settings
from monitor.signals import instant

NOW = instant("2026-03-01T06:00:00Z")
TOPIC = "telematics/v1/north/T-1/fix"
T_1 = VehicleId("north", "T-1")
GOOD: dict[str, Any] = {"time": "2026-03-01T06:00:00Z", "lat": 43.65123, "lon": -79.38123}
WHOLE = GOOD | {
    "time": "2026-03-01T00:59:58.250-05:00",
    "speed_mps": 22.4, "heading_deg": 71, "accuracy_m": 4, "ignition": True, "door": False, "alarms": ["panic"],
    "boot": "a7", "seq": 1842,
}  # fmt: skip


def said(*payloads: bytes, ingest: Ingest | None = None) -> Decoded:
    """What messages of one truck hold that arrive at 06:00."""
    messages = [Message("north", "T-1", TOPIC, payload) for payload in payloads]
    return decode(messages, NOW, Fleet(), ingest or Ingest())


def told(fix: object, **changed: Any) -> bytes:
    """A payload."""
    return json.dumps(fix | changed if isinstance(fix, dict) else fix).encode()


def only(fixes: FixBatch) -> dict[str, Any]:
    """The columns of the only fix."""
    assert len(fixes) == 1
    return {name: getattr(fixes, name)[0] for name in COLUMNS}


def reason(payload: bytes, ingest: Ingest | None = None) -> str:
    """Why a message was refused, whole."""
    decoded = said(payload, ingest=ingest)
    [reject] = decoded.rejects
    assert len(decoded.fixes) == 0
    assert (reject.carrier, reject.vehicle, reject.topic, reject.payload) == ("north", "T-1", TOPIC, payload)
    return reject.reason


# ── what is taken ──


def test_a_fix_is_taken_whole() -> None:
    """Every key has its column; the zone is only where the clock stood."""
    decoded = said(told(WHOLE))
    fix = only(decoded.fixes)
    assert decoded.rejects == []
    assert fix["time"] == np.datetime64("2026-03-01T05:59:58.250", "ms")
    assert (fix["lon"], fix["lat"], fix["heading"], fix["accuracy"]) == (-79.38123, 43.65123, 71, 4)
    assert fix["speed"] == np.float32(22.4)
    assert (fix["ignition"], fix["door"], fix["alarms"], fix["quality"]) == (1, 0, Alarm.PANIC, 0)


def test_what_a_fix_does_not_say_is_unknown() -> None:
    """Unknown is NaN or -1, never 0; null is unknown too."""
    for payload in (
        told(GOOD),
        told(GOOD, speed_mps=None, heading_deg=None, accuracy_m=None, ignition=None, door=None, alarms=None),
    ):
        fix = only(said(payload).fixes)
        assert np.isnan([fix["speed"], fix["heading"], fix["accuracy"]]).all()
        assert (fix["ignition"], fix["door"], fix["alarms"]) == (-1, -1, 0)


def test_several_fixes_come_in_an_array() -> None:
    """They are sorted by time."""
    payload = json.dumps([GOOD | {"time": f"2026-03-01T05:59:{second}Z"} for second in (30, 10, 20)]).encode()
    assert np.diff(said(payload).fixes.time).tolist() == [np.timedelta64(10, "s").astype("timedelta64[ms]").item()] * 2


def test_the_same_fix_twice_is_one() -> None:
    """Exact duplicates collapse, in one message and over several."""
    assert len(said(told(GOOD), told([GOOD, GOOD]), told(GOOD, seq=7)).fixes) == 1


def test_who_sent_it_is_never_read_from_the_payload() -> None:
    """Carrier and vehicle come with the message; a payload that agrees with them says nothing new."""
    fleet = Fleet()
    decoded = decode([Message("north", "T-1", TOPIC, told(GOOD, vehicle="T-1", carrier="north"))], NOW, fleet, Ingest())
    assert fleet.ids == [VehicleId("north", "T-1")]
    assert not decoded.findings


@pytest.mark.parametrize(
    ("claim", "detail"),
    [
        ({"vehicle": "T-2"}, "it came as T-1, and says that it is 'T-2'"),
        ({"carrier": "south"}, "it came from carrier north, and says that it is of 'south'"),
        ({"vehicle": "T-1", "carrier": "south"}, "it came from carrier north, and says that it is of 'south'"),
        ({"device": "86"}, "it came as T-1, and its device '86' is registered as T-9"),
    ],
)
def test_a_payload_that_says_that_it_is_another_is_refused_and_found(claim: dict[str, str], detail: str) -> None:
    """Somebody may be at work; the other fixes of the message are taken."""
    payload = told([GOOD, GOOD | {"time": "2026-03-01T05:00:00Z", "seq": 2} | claim])
    decoded = decode([Message("north", "T-1", TOPIC, payload)], NOW, Fleet(), Ingest(), {("north", "86"): "T-9"})
    assert len(decoded.fixes) == 1
    assert [reject.reason for reject in decoded.rejects] == [f"identity: {detail}"]
    assert decoded.findings == [Finding(FORGED_IDENTITY, "north", "T-1", detail)]
    assert not decoded.numbered


# ── behind a gateway ──

DEVICES = {("north", "86-1"): "T-1", ("north", "86-2"): "T-2", ("south", "86-3"): "T-3"}


def behind(payload: bytes, *, vehicle: str = "", device: str = "", feed: str = "") -> Decoded:
    """What a message holds that came by the gateway of carrier north."""
    return decode([Message("north", vehicle, "gateway", payload, feed, device)], NOW, Fleet(), Ingest(), DEVICES)


def owners(decoded: Decoded, fleet: Fleet) -> list[str]:
    """The vehicles of the fixes, in order."""
    return [fleet.ids[code].vehicle for code in decoded.fixes.vehicle.tolist()]


def test_behind_a_gateway_the_register_says_which_vehicle_it_is() -> None:
    """By the id in the payload, of each fix by itself."""
    fleet = Fleet()
    payload = told(
        [GOOD | {"device": "86-1"}, GOOD | {"device": "86-2"}, GOOD | {"device": "86-1", "time": "2026-03-01T05:00:00Z"}]
    )
    decoded = decode([Message("north", "", "gateway", payload)], NOW, fleet, Ingest(), DEVICES)
    assert sorted(owners(decoded, fleet)) == ["T-1", "T-1", "T-2"]
    assert not decoded.rejects


def test_an_id_in_the_topic_is_looked_up_too() -> None:
    """It says whose the whole message is."""
    assert len(behind(told(GOOD), device="86-1").fixes) == 1


def test_an_id_that_nobody_has_is_quarantined_with_what_to_do() -> None:
    """What it sent is kept under it; another carrier's register does not count."""
    payload = told(GOOD, device="86-3", seq=4)
    decoded = behind(payload)
    reason = "device '86-3' is in nobody's register: monitor devices adopt north '86-3' VEHICLE"
    assert decoded.rejects == [Reject("north", "", "gateway", reason, payload, "86-3")]
    assert decoded.findings == [Finding(UNKNOWN_DEVICE, "north", "86-3", reason)]
    assert len(decoded.fixes) == len(decoded.numbered) == 0


def test_several_ids_that_nobody_has_are_each_kept() -> None:
    """Beside the one that is known, whose fixes are taken."""
    decoded = behind(told([GOOD | {"device": name} for name in ("x", "86-1", "y", "x")]))
    assert [reject.device for reject in decoded.rejects] == ["x", "y"]
    assert len(decoded.fixes) == 1


def test_a_message_of_a_thousand_unknown_ids_does_not_fill_the_disk() -> None:
    """Its bytes are kept for some of them, and that there are more is said."""
    payload = told([GOOD | {"device": f"d{number}"} for number in range(1000)])
    decoded = behind(payload)
    assert sum(len(reject.payload) for reject in decoded.rejects) < 2 * 1024 * 1024
    assert decoded.rejects[0].reason.startswith("1000 devices of one message are in nobody's register, listed are ")
    assert len(decoded.rejects) > 2


def test_where_neither_topic_nor_payload_names_anybody_it_is_refused() -> None:
    [reject] = behind(told(GOOD)).rejects
    assert (
        reject.reason
        == "device: neither the topic nor the payload names one; allowed is a topic, a credential or a payload that does"
    )
    assert reject.device is None


@pytest.mark.parametrize("device", ["a\nb", "x" * 129, "\u200b"])
def test_an_id_that_cannot_be_listed_is_refused(device: str) -> None:
    """128 printable characters at the most."""
    [reject] = behind(told(GOOD, device=device)).rejects
    assert "device" in reject.reason
    assert reject.device is None


def test_a_known_vehicle_may_have_a_device_that_nobody_knows() -> None:
    """The topic or the credential says who it is; an id more contradicts nothing."""
    assert len(behind(told(GOOD, device="whatever"), vehicle="T-1").fixes) == 1


def test_a_device_of_another_vehicle_contradicts_the_topic() -> None:
    """Also where the topic names the id."""
    decoded = behind(told(GOOD), vehicle="T-1", device="86-2")
    assert [finding.subject for finding in decoded.findings] == ["T-1"]
    assert len(decoded.fixes) == 0


def test_two_ids_that_are_on_two_vehicles_contradict_each_other() -> None:
    decoded = behind(told(GOOD, device="86-2"), device="86-1")
    assert [finding.kind for finding in decoded.findings] == [FORGED_IDENTITY]
    assert len(decoded.fixes) == 0


# ── numbers ──


def test_the_numbers_of_what_is_on_disk_are_told() -> None:
    """Of fixes that are taken, and of those that are kept as rejects: the device need not send them again."""
    future, wrong = GOOD | {"time": "2027-01-01T00:00:00Z"}, GOOD | {"lat": 91}
    payload = told(
        [
            GOOD | {"boot": "a7", "seq": 1},
            wrong | {"boot": "a7", "seq": 2},
            future | {"boot": "a7", "seq": 3},
            GOOD | {"seq": 9},
            GOOD,
        ]
    )
    numbered = said(payload).numbered
    assert sorted(numbered) == [(T_1, "", 9), (T_1, "a7", 1), (T_1, "a7", 2), (T_1, "a7", 3)]


@pytest.mark.parametrize(
    "number", [{"seq": 0}, {"seq": 2**53 + 1}, {"seq": "7"}, {"seq": 1.5}, {"boot": "x" * 65, "seq": 1}, {"boot": 7}]
)
def test_a_number_that_cannot_be_one_is_refused(number: dict[str, Any]) -> None:
    """From 1 to 2^53, of a boot of at most 64 characters."""
    assert "at $." in reason(told(GOOD, **number))


# ── times ──


@pytest.mark.parametrize(
    "time",
    [
        *(
            "2026-03-01T06:00:00Z",
            "2026-03-01T06:00:00.0Z",
            "2026-03-01T01:00:00-05:00",
            "2026-03-01t06:00:00z",
            "2026-03-01 06:00:00Z",
        ),
        *("2026-03-01T06:00:00.000000000Z", "2026-03-01T06:00:00.0009-00:00", "2026-03-01T11:30:00+05:30"),
    ],
)
def test_every_way_to_write_a_time_with_a_zone_is_read(time: str) -> None:
    """Together with others, and alone."""
    for payload in (told(GOOD, time=time), told([GOOD | {"time": "2026-03-01T05:00:00Z"}, GOOD | {"time": time}])):
        assert only_last(said(payload).fixes) == NOW


def only_last(fixes: FixBatch) -> int:
    """The newest time, ms."""
    return int(fixes.time.view(np.int64)[-1])


def test_a_bad_time_among_good_ones_is_said_with_its_place() -> None:
    """The good ones are taken."""
    decoded = said(told([GOOD, GOOD | {"time": "2026-02-30T06:00:00Z"}]), told(GOOD, time="2026-03-01T04:00:00Z"))
    assert len(decoded.fixes) == 2
    assert [reject.reason for reject in decoded.rejects] == ["fix 1: Invalid RFC3339 encoded datetime - at $.time"]


def test_one_message_of_each_of_two_vehicles_is_a_batch_of_both() -> None:
    """Codes are the fleet's."""
    fleet = Fleet()
    fleet.code(VehicleId("south", "A"))
    decoded = decode([Message("north", "B", TOPIC, told(GOOD)), Message("south", "A", TOPIC, told(GOOD))], NOW, fleet, Ingest())
    assert decoded.fixes.vehicle.tolist() == [0, 1]
    assert fleet.ids[1] == VehicleId("north", "B")


def test_unknown_keys_are_ignored() -> None:
    """A device may say more than we read."""
    assert len(said(told(GOOD, odometer={"km": [1, 2]}, boot=None)).fixes) == 1


def test_a_fix_without_a_position_keeps_its_time_and_its_alarms() -> None:
    """A panic button works in a tunnel."""
    fix = only(said(told({"time": GOOD["time"], "alarms": ["Panic", "jamming"]})).fixes)
    assert (fix["alarms"], fix["quality"]) == (Alarm.PANIC | Alarm.JAMMING, Quality.NO_POSITION)


def test_an_alarm_nobody_knows_is_another() -> None:
    """It is not forgotten."""
    assert only(said(told(GOOD, alarms=["crew_cut"])).fixes)["alarms"] == Alarm.OTHER


def test_gzip_is_taken() -> None:
    """It is known by its first bytes."""
    assert len(said(gzip.compress(told(GOOD))).fixes) == 1


@pytest.mark.parametrize(
    ("changed", "flag"),
    [
        ({"lat": 0, "lon": 0}, Quality.NULL_ISLAND),
        ({"speed_mps": 100}, Quality.SENTINEL_SPEED),
        ({"speed_mps": -1}, Quality.SENTINEL_SPEED),
        ({"accuracy_m": 200.5}, Quality.COARSE),
        ({"lat": 43.65, "lon": -79.38}, Quality.TWO_DECIMALS | Quality.COARSE),
    ],
)
def test_what_is_suspect_is_kept_and_flagged(changed: dict[str, Any], flag: Quality) -> None:
    """It is evidence."""
    assert only(said(told(GOOD, **changed)).fixes)["quality"] == flag


def test_a_sentinel_speed_becomes_unknown() -> None:
    """255 km/h from a device that has none is no speed."""
    assert np.isnan(only(said(told(GOOD, speed_mps=327.67)).fixes)["speed"])


def test_five_minutes_ahead_are_taken_and_not_a_millisecond_more() -> None:
    """The clock judges only the future; a fix of last year is history."""
    ahead = NOW + 300_000
    for time, taken in (("2026-03-01T06:05:00Z", 1), ("2026-03-01T06:05:00.001Z", 0), ("2001-01-01T00:00:00Z", 1)):
        assert len(said(told(GOOD, time=time)).fixes) == taken
    assert only(said(told(GOOD, time="2026-03-01T06:05:00Z")).fixes)["time"].astype(np.int64) == ahead


# ── what is refused ──


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "Input data was truncated"),
        (b"{", "Input data was truncated"),
        (b'{"time": "2026-03-01T06:00:00Z", "lat": 43.6', "Input data was truncated"),
        (b"<xml/>", "JSON is malformed: invalid character (byte 0)"),
        (told(GOOD) + b"x", "JSON is malformed: trailing characters"),
        (b"5", "Expected object | array, got int"),
        (b"null", "Expected object | array, got null"),
        (b"{}", "Object missing required field time"),
        (told(GOOD, time=None), "Expected datetime, got null - at $.time"),
        (told(GOOD, time=1_772_345_000), "Expected datetime, got int - at $.time"),
        (told(GOOD, time="yesterday"), "Invalid RFC3339 encoded datetime - at $.time"),
        (told(GOOD, time="2026-02-30T06:00:00Z"), "Invalid RFC3339 encoded datetime - at $.time"),
        (told(GOOD, time="2026-03-01T06:00:00"), "Expected datetime with a timezone component - at $.time"),
        (told(GOOD, lat="43.65"), "Expected float | null, got str - at $.lat"),
        (told(GOOD, lat=[43.65]), "Expected float | null, got array - at $.lat"),
        (told(GOOD, lat=90.001), "Expected float <= 90.0 - at $.lat"),
        (told(GOOD, lat=-91), "Expected float >= -90.0 - at $.lat"),
        (told(GOOD, lon=-180.5), "Expected float >= -180.0 - at $.lon"),
        (told(GOOD, lon=181), "Expected float <= 180.0 - at $.lon"),
        (told(GOOD, lat=float("nan")), "JSON is malformed: invalid character (byte 40)"),
        (told(GOOD, lon=float("inf")), "JSON is malformed: invalid character"),
        (b'{"time": "2026-03-01T06:00:00Z", "lat": 1e999, "lon": 2}', "Number out of range"),
        (told(GOOD, lat=None), "lat and lon: allowed are both or neither"),
        (told({"time": GOOD["time"], "lon": 2.5}), "lat and lon: allowed are both or neither"),
        (told(GOOD, speed_mps="fast"), "Expected float | null, got str - at $.speed_mps"),
        (told(GOOD, heading_deg=361), "Expected float <= 360.0 - at $.heading_deg"),
        (told(GOOD, accuracy_m=-1), "Expected float >= 0.0 - at $.accuracy_m"),
        (told(GOOD, ignition=1), "Expected bool | null, got int - at $.ignition"),
        (told(GOOD, door="open"), "Expected bool | null, got str - at $.door"),
        (told(GOOD, alarms="panic"), "Expected array | null, got str - at $.alarms"),
        (told(GOOD, alarms=[7]), "Expected str, got int - at $.alarms[0]"),
        (told(GOOD, alarms=["x" * 65]), "Expected str of length <= 64 - at $.alarms[0]"),
        (told(GOOD, alarms=["x"] * 65), "Expected array of length <= 64 - at $.alarms"),
        (b'{"time": "2026-03-01T06:00:00Z", "alarms": ["\xff"]}', "not UTF-8: "),
        (b'{"time": "2026-03-01T06:00:00Z", "lat": 1, "lon": 2, "note": "\xff"}', "not UTF-8: invalid start byte at byte 62"),
        (b"\xff\xfe", "not UTF-8: invalid start byte at byte 0"),
        (b"[" * 1000 + b"]" * 1000, "Expected object, got array"),
        (b'{"time": "2026-03-01T06:00:00Z", "more": ' + b"[" * 100_000, "nested too deep"),
        (b"[" * 100_000, "Expected object, got array"),
        (told(GOOD, time="2026-03-01T06:05:01Z"), "time is 301 s ahead of the clock; allowed are 5m"),
        (b"\x1f\x8bxx", "not readable as gzip: "),
        (gzip.compress(told(GOOD), mtime=0)[:20], "not readable as gzip: it ends too early"),
        (gzip.compress(b"no", mtime=0), "Input data was truncated"),
    ],
    ids=lambda value: value[:48] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_bad_payload_is_refused_with_its_reason_and_its_bytes(payload: bytes, why: str) -> None:
    """The sender can learn why."""
    assert why in reason(payload)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_no_calendar_can_show_is_refused(time: str) -> None:
    """In Toronto the first instant of the year 1 lies in the year 0, which cannot be told."""
    assert "time" in reason(told(GOOD, time=time))


def test_no_reason_is_of_more_than_one_line() -> None:
    """It goes into a table and a log."""
    assert "\n" not in reason(b'{"time":\n\n"x"}')


def test_ten_megabytes_of_nothing_are_refused() -> None:
    """A payload that is one long text."""
    assert reason(b'"' + b"x" * 10_000_000 + b'"') == "Expected object | array, got str"


def test_a_gzip_bomb_is_refused_before_it_goes_off() -> None:
    """A few kilobytes that unpack to more than 1 MB."""
    assert reason(gzip.compress(bytes(17 * 1024 * 1024))) == "not readable as gzip: more than 1048576 bytes when unpacked"


def test_too_many_fixes_in_one_message_are_refused_whole() -> None:
    """The setting says how many."""
    ingest = load_settings(None, ["ingest.max_fixes_per_message=2"]).ingest
    assert reason(told([GOOD] * 3), ingest) == "3 fixes in one message; allowed are 2"
    assert len(said(told([GOOD] * 2), ingest=ingest).fixes) == 1


def test_one_bad_fix_of_an_array_costs_only_itself() -> None:
    """Its number is in the reason; the others are taken."""
    decoded = said(told([GOOD, GOOD | {"lat": 91}, 7, GOOD | {"time": "2026-03-01T05:00:00Z"}]))
    assert len(decoded.fixes) == 2
    assert [reject.reason for reject in decoded.rejects] == [
        "fix 1: Expected float <= 90.0 - at $.lat; fix 2: Expected object, got int"
    ]


def test_a_message_is_kept_once_however_much_is_wrong_with_it() -> None:
    """Five reasons in full, the others counted: what is refused must not fill the disk."""
    [reject] = said(told([7] * 9000)).rejects
    assert reject.reason.startswith("fix 0: Expected object, got int; fix 1: ")
    assert reject.reason.endswith("; and 8995 more")


def test_messages_are_judged_in_parts_that_memory_can_hold() -> None:
    """A packed one counts as large as it may be; none is left out and their order stays."""
    packed, plain = gzip.compress(b"{}"), b"x" * 1000
    messages = [Message("north", "T-1", f"{n}", packed if n % 2 else plain) for n in range(40)]
    parts = list(in_parts(messages))
    assert [message for part in parts for message in part] == messages
    assert [sum(message.payload is packed for message in part) for part in parts][:2] == [7, 7]
    assert list(in_parts([])) == [[]]


def test_half_a_position_in_an_array_with_another_fault_is_refused_too() -> None:
    """A latitude alone is no position, whatever else is wrong in the message."""
    decoded = said(told([{"time": GOOD["time"], "lat": 43.5}, 7]))
    assert len(decoded.fixes) == 0
    assert [reject.reason for reject in decoded.rejects] == [
        "lat and lon: allowed are both or neither; fix 1: Expected object, got int"
    ]


def test_one_bad_message_costs_only_itself() -> None:
    """The others of a delivery are taken."""
    decoded = said(b"?", told(GOOD), told(GOOD, time="2026-03-01T05:59:00Z"))
    assert (len(decoded.fixes), len(decoded.rejects)) == (2, 1)


def test_nothing_is_nothing() -> None:
    """No messages are an empty batch."""
    decoded = said()
    assert (len(decoded.fixes), decoded.rejects) == (0, [])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 200), st.integers(0, 8))
def test_whatever_bytes_arrive_are_fixes_or_a_reason(noise: bytes, where: int, length: int) -> None:
    """A good payload with a piece replaced by noise."""
    whole = told(WHOLE)
    decoded = said(whole[:where] + noise + whole[where + length :])
    assert len(decoded.fixes) + len(decoded.rejects) == 1


def test_an_unusual_time_of_ours_may_come_before_a_message_of_another_form() -> None:
    """What is read apart is in no order of messages; which message it is of must not depend on that."""
    ours = Message("north", "T-1", TOPIC, told(GOOD, time="2026-03-01t05:59:30z"))
    other = json.dumps({"_type": "location", "tst": NOW // 1000 - 60, "lat": 45.0, "lon": -75.0}).encode()
    theirs = [Message("north", f"T-{n}", f"owntracks/T-{n}", other, "owntracks") for n in (2, 3)]
    for messages in ([ours, *theirs], [theirs[0], ours, theirs[1]], [*theirs, ours]):
        fleet = Fleet()
        decoded = decode(messages, NOW, fleet, Ingest())
        assert decoded.rejects == []
        found = {fleet.ids[code].vehicle: time for code, time in zip(decoded.fixes.vehicle, decoded.fixes.time, strict=True)}
        before = {name: (NOW - time.astype("int64")) // 1000 for name, time in found.items()}
        assert before == {"T-1": 30, "T-2": 60, "T-3": 60}


@pytest.mark.parametrize("time", ["2026-03-01 05:00:00Z", "2026-03-01t05:00:00z", "2026-03-01T05:00:00.1234567Z"])
def test_a_time_written_in_an_unusual_way_before_a_message_of_another_form(time: str) -> None:
    """Such a fix is read after those of the messages behind it."""
    ours = Message("north", "T-1", "t", json.dumps({"time": time, "lat": 50.0, "lon": -95.0}).encode())
    ident = {"ident": "x", "timestamp": 1_772_341_200, "position.latitude": 51.0, "position.longitude": -95.0}
    others = [Message("north", f"T-{number}", "u", json.dumps(ident).encode(), "flespi") for number in (2, 3)]
    fleet = Fleet()
    decoded = decode([ours, *others], NOW, fleet, Ingest(), {}, Feeds({}))
    assert decoded.rejects == []
    found = {
        (fleet.ids[code].vehicle, lat)
        for code, lat in zip(decoded.fixes.vehicle.tolist(), decoded.fixes.lat.tolist(), strict=True)
    }
    assert found == {("T-1", 50.0), ("T-2", 51.0), ("T-3", 51.0)}
