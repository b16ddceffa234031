"""Who may use which topic, and what a topic is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.fixes import Identity
from monitor.ingest.topics import Address, Refusal, parse, publishable, subscribable, valid_pattern

VEHICLE = Identity("acme", "truck-1")
GATEWAY = Identity("acme")


def test_a_topic_names_carrier_vehicle_and_channel() -> None:
    topic = "telematics/v1/acme/truck-1/fix"
    assert parse(topic) == Address(topic, "acme", "truck-1", "fix")


@pytest.mark.parametrize("name", ["a", "A.b_c~d-9", "00:1A:2B:3C:4D:5E", "_x", "x" * 64])
def test_a_name_is_made_of_what_needs_no_quoting(name: str) -> None:
    assert isinstance(parse(f"telematics/v1/acme/{name}/fix"), Address)
    assert isinstance(parse(f"telematics/v1/{name}/truck/fix"), Address)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-x", ".hidden", "x" * 65, "a b", "a\n", "+", "#", "$SYS", "é", "٣", "a%2F", 'a"', "a\\b", "a\0"]
)
def test_any_other_name_is_refused_as_malformed(name: str) -> None:
    for topic in (f"telematics/v1/acme/{name}/fix", f"telematics/v1/{name}/truck/fix"):
        refusal = parse(topic)
        assert isinstance(refusal, Refusal)
        assert not refusal.foreign


@pytest.mark.parametrize(
    "topic",
    [
        *("", "/", "fix", "telematics/v1/acme/truck", "telematics/v2/acme/truck/fix", "telematics/v1/acme/truck/fix/", "$SYS/x"),
        *("/telematics/v1/acme/truck/fix", "Telematics/v1/acme/truck/fix", "telematics/v1/acme/truck/FIX", "telematics/v1/a/b/c"),
    ],
)
def test_what_is_not_a_topic_of_ours_is_refused_as_malformed(topic: str) -> None:
    assert isinstance(parse(topic), Refusal)


@given(st.text())
def test_any_text_is_an_address_or_a_refusal(topic: str) -> None:
    assert isinstance(parse(topic), Address | Refusal)


@pytest.mark.parametrize("channel", ["fix", "status"])
def test_a_device_publishes_its_own_fixes_and_status(channel: str) -> None:
    assert isinstance(publishable(VEHICLE, f"telematics/v1/acme/truck-1/{channel}"), Address)


def test_a_carriers_credential_publishes_for_any_of_its_vehicles() -> None:
    assert isinstance(publishable(GATEWAY, "telematics/v1/acme/truck-2/fix"), Address)


@pytest.mark.parametrize(
    ("identity", "topic", "reason"),
    [
        (VEHICLE, "telematics/v1/other/truck-1/fix", "topic of another carrier"),
        (GATEWAY, "telematics/v1/other/truck-1/fix", "topic of another carrier"),
        (VEHICLE, "telematics/v1/acme/truck-2/fix", "topic of another vehicle"),
        (VEHICLE, "telematics/v1/acme/truck-1/trip", "devices do not publish trip"),
        (GATEWAY, "telematics/v1/acme/truck-1/trip", "devices do not publish trip"),
        (VEHICLE, "telematics/v1/acme/truck-1/ack", "devices do not publish ack"),
    ],
)
def test_a_device_publishes_nothing_else(identity: Identity, topic: str, reason: str) -> None:
    assert publishable(identity, topic) == Refusal(reason, foreign=True)


def test_a_device_subscribes_to_its_own_ack_and_status_alone() -> None:
    assert subscribable(VEHICLE, "telematics/v1/acme/truck-1/ack")
    assert subscribable(VEHICLE, "telematics/v1/acme/truck-1/status")
    for other in (
        "acme/truck-2/ack",
        "other/truck-1/ack",
        "acme/+/ack",
        "acme/truck-1/fix",
        "acme/truck-1/#",
        "+/truck-1/ack",
        "acme/+/status",
    ):
        assert not subscribable(VEHICLE, f"telematics/v1/{other}")


def test_a_carriers_credential_subscribes_to_the_acks_of_its_vehicles() -> None:
    assert subscribable(GATEWAY, "telematics/v1/acme/truck-2/ack")
    assert subscribable(GATEWAY, "telematics/v1/acme/+/status")
    assert subscribable(GATEWAY, "telematics/v1/acme/+/ack")
    for other in ("other/+/ack", "other/+/status", "+/+/ack", "acme/+/fix", "acme/#", "acme/../ack", "acme/a+/ack"):
        assert not subscribable(GATEWAY, f"telematics/v1/{other}")
    assert not subscribable(GATEWAY, "#")


def test_a_pattern_has_its_wildcards_alone_in_their_level() -> None:
    assert all(map(valid_pattern, ["#", "+", "a/+/b", "a/#", "/", "a//b"]))
    assert not any(map(valid_pattern, ["", "a/#/b", "a+", "a/b#", "#/a"]))


@pytest.mark.parametrize(("channel", "allowed"), [("trip", True), ("fix", False), ("status", False), ("ack", False)])
def test_dispatch_publishes_trips_and_nothing_else(channel: str, allowed: bool) -> None:
    """For any vehicle of its own carrier."""
    office = Identity("acme", dispatch=True)
    found = publishable(office, f"telematics/v1/acme/truck-1/{channel}")
    assert isinstance(found, Address) is allowed
    assert isinstance(publishable(office, f"telematics/v1/other/truck-1/{channel}"), Refusal)


@pytest.mark.parametrize("identity", [VEHICLE, GATEWAY])
def test_no_device_publishes_a_trip(identity: Identity) -> None:
    """A stolen device must not authorize its own stop."""
    found = publishable(identity, "telematics/v1/acme/truck-1/trip")
    assert found == Refusal("devices do not publish trip", foreign=True)


@pytest.mark.parametrize("identity", [GATEWAY, Identity("acme", dispatch=True)])
def test_a_carrier_and_its_dispatch_hear_of_their_incidents(identity: Identity) -> None:
    """One, or all; of no other carrier, and nothing else of ours."""
    for last in ("+", "#", "17", "inc-4f"):
        assert subscribable(identity, f"monitor/v1/acme/incidents/{last}")
    for other in ("other/incidents/+", "+/incidents/+", "acme/+/+", "acme/incidents", "acme/#", "acme/incidents/a/b", "acme/x/+"):
        assert not subscribable(identity, f"monitor/v1/{other}")
    assert not subscribable(identity, "monitor/v2/acme/incidents/+")


def test_a_single_vehicle_hears_of_no_incidents() -> None:
    """A stolen device must not learn what is known of it."""
    for last in ("+", "#", "17"):
        assert not subscribable(VEHICLE, f"monitor/v1/acme/incidents/{last}")
