"""The register of devices in the database: adopted, ended, listed, and what is quarantined given back once, after it was taken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from monitor.errors import MonitorError
from monitor.fixes import Fleet, Reject, VehicleId
from monitor.ingest.decode import decode
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import NO_FEEDS, Feeds
from monitor.ingest.topics import posted
from monitor.settings import Feed, Ingest
from monitor.signals import instant
from monitor.store import devices_store
from monitor.store.devices_store import Devices, Registered, Unknown
from monitor.store.schema import journal
from monitor.store.store import Store

NOW = instant("2026-03-01T06:00:00Z")
FEED = {"gateway": Feed(topic="gw/{device}", format="native", carrier="north")}
INGEST, FEEDS = Ingest(feed=FEED), Feeds(FEED)
FIX = {"time": "2026-03-01T05:59:00Z", "lat": 43.65123, "lon": -79.38123}


def adopt(store: Store, device: str = "86", vehicle: str = "T-1", carrier: str = "north", now: int = NOW) -> Registered:
    """Say which vehicle a device is on."""
    with store.begin() as t:
        return devices_store.adopt(t, carrier, device, vehicle, now, "A. Person")


def end(store: Store, device: str = "86", now: int = NOW) -> str:
    """Say that it is on none."""
    with store.begin() as t:
        return devices_store.end(t, "north", device, now, "A. Person")


def arrive(store: Store, *messages: Message, now: int = NOW) -> list[Reject]:
    """Decode messages by the register as it stands, and keep what is not taken."""
    with store.begin() as t:
        decoded = decode(messages, now, Fleet(), INGEST, devices_store.registered(t), FEEDS)
        t.add_rejects(decoded.rejects, now)
    return decoded.rejects


def message(device: str = "86", **more: Any) -> Message:
    """A fix that came by the gateway, whose topic names a device."""
    return Message("north", "", f"gw/{device}", json.dumps(FIX | more).encode(), "gateway", device)


def kinds(store: Store) -> list[str]:
    """What the journal tells."""
    with store.read() as t:
        return list(t.connection.execute(select(journal.c.kind).order_by(journal.c.seq)).scalars())


def test_a_device_that_is_adopted_is_in_the_register_until_that_ends(store: Store) -> None:
    """The journal tells both; the row stays."""
    assert adopt(store) == Registered("north", "86", "T-1", NOW, "A. Person", None)
    with store.read() as t:
        assert devices_store.registered(t) == {("north", "86"): "T-1"}
    assert end(store, now=NOW + 5) == "T-1"
    with store.read() as t:
        assert devices_store.registered(t) == {}
        assert devices_store.listed(t) == [Registered("north", "86", "T-1", NOW, "A. Person", NOW + 5)]
    assert kinds(store) == ["device.adopted", "device.ended"]


def test_a_device_changes_its_vehicle_by_an_end_and_another_adoption(store: Store) -> None:
    adopt(store)
    with pytest.raises(MonitorError, match="is on T-1: end that first: monitor devices end north '86'"):
        adopt(store, vehicle="T-2")
    end(store)
    adopt(store, vehicle="T-2", now=NOW + 1)
    with store.read() as t:
        assert [each.vehicle for each in devices_store.listed(t)] == ["T-1", "T-2"]


def test_two_carriers_may_have_devices_of_one_id(store: Store) -> None:
    """Each has a register of its own."""
    adopt(store)
    adopt(store, vehicle="X", carrier="south")
    with store.read() as t:
        assert devices_store.registered(t) == {("north", "86"): "T-1", ("south", "86"): "X"}


@pytest.mark.parametrize(
    ("carrier", "device", "vehicle", "why"),
    [
        ("no/rth", "86", "T-1", "carrier 'no/rth': allowed are"),
        ("north", "86", "", "vehicle '': allowed are"),
        ("north", "", "T-1", "device '': device id is not 1 to 128 printable characters"),
        ("north", "a\nb", "T-1", "printable"),
        ("north", "x" * 129, "T-1", "printable"),
    ],
)
def test_what_cannot_be_adopted_is_said_with_what_is_allowed(
    store: Store, carrier: str, device: str, vehicle: str, why: str
) -> None:
    with pytest.raises(MonitorError) as raised:
        adopt(store, device, vehicle, carrier)
    assert why in str(raised.value)
    assert kinds(store) == []


def test_what_is_on_no_vehicle_cannot_be_ended(store: Store) -> None:
    with pytest.raises(MonitorError, match="is in nobody's register"):
        end(store)


def test_unknown_devices_are_listed_with_what_came_of_them(store: Store) -> None:
    """The one heard last comes first; one that is adopted is unknown no more."""
    arrive(store, message("86"), now=NOW)
    arrive(store, message("87"), now=NOW + 1000)
    arrive(store, message("86"), now=NOW + 2000)
    arrive(store, Message("north", "", "gw/86", b"?", "gateway", "86"))  # not readable, and so not the device's
    with store.read() as t:
        assert devices_store.unknown(t) == [
            Unknown("north", "86", 2, NOW, NOW + 2000),
            Unknown("north", "87", 1, NOW + 1000, NOW + 1000),
        ]
    adopt(store, "86")
    with store.read() as t:
        assert [each.device for each in devices_store.unknown(t)] == ["87"]


def test_what_is_quarantined_is_given_back_once_its_device_is_adopted(store: Store) -> None:
    """As it came; decoded again it is that vehicle's; once released it is given back no more."""
    came = [message("86"), message("86", seq=7), message("87")]
    arrive(store, *came)
    with store.read() as t:
        assert devices_store.quarantined(t, FEEDS) == []
    adopt(store, "86")
    with store.read() as t:
        found = devices_store.quarantined(t, FEEDS)
        known = devices_store.registered(t)
    assert [each.message for each in found] == came[:2]
    decoded = decode([each.message for each in found], NOW, Fleet(), INGEST, known, FEEDS)
    assert decoded.rejects == []
    assert [numbered.vehicle for numbered in decoded.numbered] == [VehicleId("north", "T-1")]
    with store.begin() as t:
        devices_store.release(t, found, NOW)
    with store.read() as t:
        assert devices_store.quarantined(t, FEEDS) == []
        assert [each.device for each in devices_store.unknown(t)] == ["87"]


def test_what_was_not_said_to_be_taken_is_given_back_again(store: Store) -> None:
    """The program may end between taking and saying so: duplicates end at the fix."""
    arrive(store, message())
    adopt(store)
    with store.read() as t:
        assert devices_store.quarantined(t, FEEDS) == devices_store.quarantined(t, FEEDS) != []


def test_what_was_posted_is_given_back_by_its_feed(store: Store) -> None:
    """The topic of a request says which it was, and the device it named."""
    whole = json.dumps(FIX | {"device": "86"}).encode()
    arrive(store, Message("north", "", posted("gateway", "1"), whole, "gateway"))
    arrive(store, Message("north", "", posted("", "2", "86"), json.dumps(FIX).encode(), "native", "86"))
    adopt(store)
    with store.read() as t:
        found = [each.message for each in devices_store.quarantined(t, FEEDS)]
    assert [(each.feed, each.device) for each in found] == [("gateway", ""), ("native", "86")]


def test_what_came_by_a_feed_that_is_gone_stays_and_holds_up_nothing(store: Store) -> None:
    """However much of it there is."""
    arrive(store, *(message("86", seq=number) for number in range(1, 4)))
    arrive(store, Message("north", "", posted("", "2"), json.dumps(FIX | {"device": "86"}).encode(), "native"))
    adopt(store)
    with store.read() as t:
        assert [each.message.feed for each in devices_store.quarantined(t, NO_FEEDS, 1)] == ["native"]
        assert len(devices_store.quarantined(t, FEEDS, 3)) == 3


def test_more_than_a_page_is_given_back_in_order(store: Store) -> None:
    """Some at a time."""
    count = devices_store.PAGE + 5
    arrive(store, *(message("86", seq=number) for number in range(1, count + 1)))
    adopt(store)
    numbers: list[int] = []
    for _ in range(3):
        with store.begin() as t:
            found = devices_store.quarantined(t, FEEDS, 100)
            devices_store.release(t, found, NOW)
        numbers += [json.loads(each.message.payload)["seq"] for each in found]
    assert numbers == list(range(1, count + 1))


def test_more_than_a_page_is_given_back_at_once_if_asked_for(store: Store) -> None:
    """None between two pages is left out."""
    count = devices_store.PAGE + 5
    arrive(store, *(message("86", seq=number) for number in range(1, count + 1)))
    adopt(store)
    with store.read() as t:
        found = devices_store.quarantined(t, FEEDS, 10 * count)
    assert [json.loads(each.message.payload)["seq"] for each in found] == list(range(1, count + 1))


def test_what_comes_of_a_device_after_its_end_is_unknown_again(store: Store) -> None:
    """And is given back once, however often it was adopted."""
    adopt(store)
    end(store)
    arrive(store, message())
    with store.read() as t:
        assert [each.device for each in devices_store.unknown(t)] == ["86"]
        assert devices_store.quarantined(t, FEEDS) == []
    adopt(store, vehicle="T-2", now=NOW + 1)
    with store.read() as t:
        assert len(devices_store.quarantined(t, FEEDS)) == 1


def test_a_change_of_the_register_counts_within_a_second(store: Store) -> None:
    """It is read at most once a second."""
    seconds = 0.0
    devices = Devices(store, lambda: seconds)
    assert devices.adopted() == {}
    adopt(store)
    assert devices.adopted() == {}
    seconds = 1.0
    assert devices.adopted() == {("north", "86"): "T-1"}
    end(store)
    seconds = 2.0
    assert devices.adopted() == {}
