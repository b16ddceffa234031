"""The broker path when something goes wrong: it comes back by itself, says so, and loses nothing that can be kept."""

from __future__ import annotations

import gc
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.errors import ServiceError
from monitor.findings import FOREIGN_TOPIC, SESSION_LOST
from monitor.fixes import VehicleId
from monitor.ingest.broker import BROKER_LOST, NOT_PUBLISHED, QOS_0_DROPPED, Broker
from monitor.ingest.inbox import Arrival, Inbox
from monitor.ingest.ingress import Ingress
from monitor.ingest.sequence import Receipt
from monitor.ingest.topics import Address as Topic
from monitor.ingest.topics import Refusal
from monitor.ingest.uplink import uplink
from monitor.settings import Broker as Address
from tests.ingest.mosquitto import PASSWD, Mosquitto, finish, needs_mosquitto, numbered
from tests.ingest.proxy import Proxy
from tests.ingest.taking import Taker
from tests.ingest.wire import PATIENCE_S

pytestmark = needs_mosquitto
ACK = "telematics/v1/acme/truck/ack"


class Met:
    """Has met the broker before."""

    def __init__(self) -> None:
        self.told = 0

    def known(self) -> bool:
        """They have met."""
        return True

    def met(self) -> None:
        """Count it."""
        self.told += 1


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker for one test."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


Subscribe = Callable[..., tuple[Broker, Taker]]


@pytest.fixture
def subscribe(mosquitto: Mosquitto) -> Iterator[Subscribe]:
    """Subscribe with settings of the test's own; ended after it."""
    running: list[tuple[Ingress, Taker]] = []

    def subscribed(acquaintance: Met | None = None, batch: int = 100, port: int = 0, **settings: object) -> tuple[Broker, Taker]:
        address = Address(port=port or mosquitto.port, **settings)  # type: ignore[arg-type]
        door = Broker(address, batch, acquaintance=acquaintance)
        ingress = Ingress([door], batch)
        ingress.start()
        taker = Taker(ingress)
        running.append((ingress, taker))
        return door, taker

    yield subscribed
    for ingress, taker in running:
        finish(ingress, taker)


class Ear:
    """A foreign client that hears what is published."""

    def __init__(self, broker: Mosquitto, *patterns: str, client_id: str = "ear", keep: bool = False) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._news = threading.Condition()
        self._granted = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._message
        self._client.on_subscribe = self._subscribed
        said = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        said.SessionExpiryInterval = 600 if keep else 0
        self._client.connect("127.0.0.1", broker.port, clean_start=not keep, properties=said)
        for pattern in patterns:
            self._client.subscribe(pattern, 1)
        self._client.loop_start()
        self.listen(lambda: self._granted == len(patterns))

    def listen(self, claim: Callable[[], bool]) -> None:
        """Listen until it is so."""
        with self._news:
            assert self._news.wait_for(claim, PATIENCE_S), self.heard[:3]

    def close(self) -> None:
        """Hang up."""
        self._client.disconnect()
        self._client.loop_stop()

    def _message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._news:
            self.heard.append((message.topic, bytes(message.payload)))
            self._news.notify_all()

    def _subscribed(self, *_said: object) -> None:
        with self._news:
            self._granted += 1
            self._news.notify_all()


def kinds(taker: Taker) -> list[str]:
    return [finding.kind for finding in taker.findings]


# -- the session --


def test_a_first_meeting_without_a_session_is_as_it_should_be(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    _, taker = subscribe()
    mosquitto.publish([b"x"])
    taker.payloads(1)
    assert taker.findings == []


def test_a_session_that_the_broker_no_longer_has_is_a_finding_each_time(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    door, taker = subscribe()
    for times in (1, 2):
        mosquitto.kill()
        mosquitto.forget()
        mosquitto.start()
        taker.wait(lambda _, times=times: kinds(taker).count(SESSION_LOST) == times)  # type: ignore[misc]
    assert door.counts.sessions_lost == 2
    assert taker.findings[0].subject == "telematics-monitor"


def test_a_session_lost_while_we_were_away_is_a_finding_at_the_start(subscribe: Subscribe) -> None:
    before = Met()
    _, taker = subscribe(acquaintance=before)
    taker.wait(lambda _: kinds(taker) == [SESSION_LOST])
    assert before.told == 1


def test_a_session_that_was_kept_is_no_finding(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    door, taker = subscribe(acquaintance=None)
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    mosquitto.publish([b"x"])
    taker.payloads(1)
    assert (taker.findings, door.uplink.counts.losses) == ([], 1)


# -- the thread --


class Fragile(Inbox):
    """Breaks as often as it is told when something is put in."""

    def __init__(self, batch: int) -> None:
        super().__init__(batch)
        self.breaks = 0

    def put(self, arrival: Arrival) -> None:
        """Break, or not."""
        if self.breaks:
            self.breaks -= 1
            raise RuntimeError("broken on purpose")
        super().put(arrival)


def fragile(broker: Mosquitto) -> tuple[Broker, Ingress, Fragile]:
    """A subscription whose inbox breaks."""
    door = Broker(Address(port=broker.port), 100)
    ingress = Ingress([door], 100)
    ingress.inbox = inbox = Fragile(100)
    ingress.start()
    return door, ingress, inbox


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_started_anew_and_its_messages_come_again(mosquitto: Mosquitto) -> None:
    door, ingress, inbox = fragile(mosquitto)
    taker = Taker(ingress)
    inbox.breaks = 1
    mosquitto.publish(numbered(0, 20))
    taker.wait(lambda _: {message.payload for message in taker.messages} == set(numbered(0, 20)))
    assert door.uplink.counts.deaths == 1
    finish(ingress, taker)


class Sticky(Inbox):
    """Hangs in the first `put` until it is let go."""

    def __init__(self, batch: int) -> None:
        super().__init__(batch)
        self.stuck, self.let_go = threading.Event(), threading.Event()

    def put(self, arrival: Arrival) -> None:
        """Hang, the first time."""
        if not self.stuck.is_set():
            self.stuck.set()
            self.let_go.wait(3 * PATIENCE_S)
        super().put(arrival)


def test_a_thread_that_hangs_is_replaced_and_does_no_harm_when_it_comes_back(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "STUCK_S", 1.0)
    door = Broker(Address(port=mosquitto.port), 100)
    ingress = Ingress([door], 100)
    ingress.inbox = inbox = Sticky(100)
    ingress.start()
    taker = Taker(ingress)
    mosquitto.publish([b"first"])
    assert taker.payloads(1) == [b"first"]
    inbox.let_go.set()
    assert taker.payloads(2) == [b"first", b"first"]
    mosquitto.publish([b"second"])
    assert taker.payloads(3)[2] == b"second"
    assert door.uplink.counts.deaths == 1
    finish(ingress, taker)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_again_and_again_ends_the_monitor_with_a_clear_line(mosquitto: Mosquitto) -> None:
    _, ingress, inbox = fragile(mosquitto)
    inbox.breaks = 1000
    mosquitto.publish([b"poison"])
    with pytest.raises(ServiceError, match=r"^the MQTT client died 5 times in 5 minutes; see the log$"):
        for _ in ingress:
            pass


# -- the other side --


@pytest.mark.slow
def test_another_client_under_our_id_is_a_finding(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    _, taker = subscribe()
    rival = Ear(mosquitto, client_id="telematics-monitor", keep=True)
    taker.wait(lambda _: kinds(taker) == [BROKER_LOST])
    assert "another client seems to use our client id" in taker.findings[0].detail
    rival.close()


@pytest.mark.skipif(not PASSWD, reason="mosquitto_passwd is not installed")
def test_a_password_that_is_no_longer_right_is_one_finding_and_the_right_one_is_taken_up(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    def password(word: str) -> None:
        subprocess.run([str(PASSWD), "-b", str(tmp_path / "passwords"), "monitor", word], check=True, timeout=60)

    secret = tmp_path / "secret"
    secret.write_text("first\n")
    password("first")
    mosquitto.kill()
    mosquitto.configure("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    mosquitto.start()
    door = Broker(Address(port=mosquitto.port, username="monitor", password_file=str(secret)), 100)
    ingress = Ingress([door], 100)
    ingress.start()
    taker = Taker(ingress)
    password("second")
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    taker.wait(lambda _: kinds(taker) == [BROKER_LOST])
    assert taker.findings[0].detail.endswith("refuses us: Not authorized")
    attempts = door.uplink.counts.attempts
    taker.wait(lambda _: door.uplink.counts.attempts > attempts)
    secret.write_text("second\n")
    taker.wait(lambda _: door.connected)
    assert kinds(taker) == [BROKER_LOST]
    finish(ingress, taker)


def test_a_broker_that_is_away_for_long_is_one_finding(
    subscribe: Subscribe, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "LONG_S", 0.1)
    door, taker = subscribe()
    mosquitto.kill()
    taker.wait(lambda _: kinds(taker) == [BROKER_LOST])
    assert "cannot be reached: Connection refused" in taker.findings[0].detail
    assert not door.connected
    mosquitto.start()
    taker.wait(lambda _: door.connected)
    assert kinds(taker)[:1] == [BROKER_LOST]


def test_a_password_file_that_vanishes_is_one_finding_and_no_end(
    mosquitto: Mosquitto, subscribe: Subscribe, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("anything\n")
    door, taker = subscribe(username="monitor", password_file=str(secret))
    secret.unlink()
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    taker.wait(lambda _: kinds(taker) == [BROKER_LOST])
    assert "(ingest.broker.password_file) cannot be read" in taker.findings[0].detail
    secret.write_text("anything\n")
    taker.wait(lambda _: door.connected)


def test_a_subscription_that_is_not_granted_with_qos_1_ends_the_start(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    mosquitto.configure("allow_anonymous true", "max_qos 0")
    mosquitto.start()
    with pytest.raises(ServiceError, match=r"refuses the subscription to telematics/v1/\+/\+/fix: Granted QoS 0"):
        Ingress([Broker(Address(port=mosquitto.port), 100)], 100).start()


def test_a_line_that_is_cut_without_a_word_is_noticed_and_what_was_sent_meanwhile_comes(
    subscribe: Subscribe, mosquitto: Mosquitto
) -> None:
    proxy = Proxy(mosquitto.port)
    door, taker = subscribe(port=proxy.port, keepalive=timedelta(seconds=1))
    mosquitto.publish(numbered(0, 10))
    taker.payloads(10)
    proxy.cut()
    mosquitto.publish(numbered(10, 20))
    taker.wait(lambda _: {message.payload for message in taker.messages} == set(numbered(0, 20)))
    assert (proxy.connections, door.uplink.counts.losses) == (2, 1)
    proxy.close()


def test_while_a_commit_takes_long_no_more_than_the_receive_maximum_is_handed_over(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    mosquitto.configure("allow_anonymous true", "max_inflight_messages 0", "max_queued_messages 0")
    mosquitto.start()
    ingress = Ingress([Broker(Address(port=mosquitto.port, receive_maximum=50), 1000)], 1000)
    ingress.start()
    taker = Taker(ingress)
    taker.commit.clear()
    mosquitto.publish(numbered(0, 3000))
    assert len(taker.messages) + ingress.inbox.waiting == 50
    taker.commit.set()
    assert taker.payloads(3000) == numbered(0, 3000)
    finish(ingress, taker)


# -- what we publish --


def receipt(boot: str, through: int) -> Receipt:
    return Receipt(VehicleId("acme", "truck"), boot, through, ())


def test_of_the_receipts_that_wait_while_the_broker_is_away_the_newest_of_each_boot_goes_out(
    subscribe: Subscribe, mosquitto: Mosquitto
) -> None:
    door, _ = subscribe()
    ear = Ear(mosquitto, ACK, keep=True)
    ear.close()
    mosquitto.save()
    mosquitto.kill()
    for through in range(1, 500):
        door.acknowledge([], [receipt("a", through), receipt("b", 10 * through)])
    mosquitto.start()
    ear = Ear(mosquitto, ACK, keep=True)
    ear.listen(lambda: len(ear.heard) >= 2)
    said = [json.loads(payload) for _, payload in ear.heard]
    assert [(one["boot"], one["through"]) for one in said] == [("a", 499), ("b", 4990)]
    ear.close()


def test_without_acknowledge_no_device_is_told(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    door, _ = subscribe(acknowledge=False)
    ear = Ear(mosquitto, "#")
    door.acknowledge([], [receipt("a", 1)])
    door.publish("acme", "monitor/v1/acme/incidents/1", b"open", retain=False)
    ear.listen(lambda: bool(ear.heard))
    assert [topic for topic, _ in ear.heard] == ["monitor/v1/acme/incidents/1"]
    ear.close()


def test_more_letters_than_fit_at_once_all_arrive_in_order_and_retained_ones_are_retained(
    subscribe: Subscribe, mosquitto: Mosquitto
) -> None:
    door, _ = subscribe()
    ear = Ear(mosquitto, "monitor/#")
    for number in range(1000):
        door.publish("acme", f"monitor/v1/acme/incidents/{number}", b"%d" % number, retain=True)
    ear.listen(lambda: len(ear.heard) >= 1000)
    assert [payload for _, payload in ear.heard] == numbered(0, 1000)
    later = Ear(mosquitto, "monitor/v1/acme/incidents/7", client_id="later")
    later.listen(lambda: bool(later.heard))
    assert later.heard == [("monitor/v1/acme/incidents/7", b"7")]
    ear.close()
    later.close()


def test_what_the_broker_does_not_let_us_publish_is_one_finding(mosquitto: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic read telematics/#\n")
    mosquitto.kill()
    mosquitto.configure("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    mosquitto.start()
    door = Broker(Address(port=mosquitto.port), 100)
    ingress = Ingress([door], 100)
    ingress.start()
    taker = Taker(ingress)
    for boot in "abc":
        door.acknowledge([], [receipt(boot, 1)])
    taker.wait(lambda _: door.counts.refused == 3)
    taker.wait(lambda _: bool(taker.findings))
    assert [(finding.kind, finding.detail) for finding in taker.findings] == [
        (NOT_PUBLISHED, f"the broker does not take {ACK}: Not authorized")
    ]
    finish(ingress, taker)


def test_a_door_that_is_opened_and_closed_again_and_again_leaves_no_file_open(mosquitto: Mosquitto) -> None:
    def opened() -> int:
        ingress = Ingress([Broker(Address(port=mosquitto.port), 100)], 100)
        ingress.start()
        ingress.close()
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    first = opened()
    assert [opened() for _ in range(5)] == [first] * 5


# -- what comes --


def test_a_status_is_handed_over_as_one(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    _, taker = subscribe()
    mosquitto.publish([b'{"online":true}'], topic="telematics/v1/acme/truck/status", retain=True)
    taker.wait(lambda _: len(taker.statuses) == 1)
    assert (taker.statuses[0].carrier, taker.statuses[0].vehicle) == ("acme", "truck")
    assert taker.messages == []


def test_a_retained_position_comes_with_a_new_subscription_and_not_with_each_connection(
    subscribe: Subscribe, mosquitto: Mosquitto
) -> None:
    mosquitto.publish([b"retained"], retain=True)
    door, taker = subscribe()
    assert taker.payloads(1) == [b"retained"]
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    taker.wait(lambda _: door.uplink.counts.connections == 2)
    mosquitto.publish([b"live"])
    assert taker.payloads(2) == [b"retained", b"live"]


def test_trips_are_taken_only_where_the_settings_say_so(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    topic = "telematics/v1/acme/truck/trip"
    _, without = subscribe(topic="telematics/v1/+/+/+")
    mosquitto.publish([b"forged"], topic=topic)
    without.wait(lambda _: len(without.rejects) == 1)
    assert without.rejects[0].reason == "trip is not taken from the broker (ingest.broker.trips)"
    assert [(finding.kind, finding.carrier, finding.subject) for finding in without.findings] == [(FOREIGN_TOPIC, "acme", topic)]
    _, taker = subscribe(trips=True, client_id="with-trips")
    mosquitto.publish([b"by dispatch"], topic=topic)
    assert taker.payloads(1) == [b"by dispatch"]


def test_our_own_receipts_do_not_come_back_and_those_of_others_are_refused(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    door, taker = subscribe(topic="telematics/v1/+/+/+")
    door.acknowledge([], [receipt("a", 1)])
    mosquitto.publish([b"forged"], topic=ACK)
    taker.wait(lambda _: bool(taker.rejects))
    assert [reject.payload for reject in taker.rejects] == [b"forged"]
    assert kinds(taker) == [FOREIGN_TOPIC]


def test_messages_of_qos_0_that_come_too_fast_are_dropped_and_counted(subscribe: Subscribe, mosquitto: Mosquitto) -> None:
    door, taker = subscribe(batch=10)
    taker.commit.clear()
    mosquitto.publish([b"x" * 10_000] * 500, qos=0)
    mosquitto.publish([b"last"])
    taker.wait(lambda _: door.counts.dropped > 0)
    taker.commit.set()
    taker.wait(lambda _: any(message.payload == b"last" for message in taker.messages))
    assert len(taker.messages) + door.counts.dropped == 501
    assert kinds(taker) == [QOS_0_DROPPED]


def test_topics_of_other_forms_are_subscribed_to_and_parsed_as_told(mosquitto: Mosquitto) -> None:
    def parse(topic: str) -> Topic | Refusal:
        return Topic(topic, "acme", topic.split("/")[1], "fix") if topic.startswith("other/") else Refusal("what is that?")

    door = Broker(Address(port=mosquitto.port), 100, parse=parse, filters=("other/+", "strange"))
    ingress = Ingress([door], 100)
    ingress.start()
    taker = Taker(ingress)
    mosquitto.publish([b"1"], topic="other/truck")
    mosquitto.publish([b"2"], topic="strange")
    taker.wait(lambda _: bool(taker.messages and taker.rejects))
    assert (taker.messages[0].carrier, taker.messages[0].vehicle) == ("acme", "truck")
    assert taker.rejects[0].reason == "what is that?"
    finish(ingress, taker)


def test_a_topic_without_a_carrier_is_refused(mosquitto: Mosquitto) -> None:
    door = Broker(Address(port=mosquitto.port), 100, parse=lambda topic: Topic(topic, "", "truck", "fix"), filters=("other/+",))
    ingress = Ingress([door], 100)
    ingress.start()
    taker = Taker(ingress)
    mosquitto.publish([b"whose?"], topic="other/truck")
    taker.wait(lambda _: bool(taker.rejects))
    assert taker.rejects[0].reason == "neither the topic nor its feed names a carrier"
    assert taker.messages == []
    finish(ingress, taker)


def test_a_monitor_for_one_carrier_takes_that_ones_positions_statuses_and_trips_alone(
    subscribe: Subscribe, mosquitto: Mosquitto
) -> None:
    door, taker = subscribe(topic="telematics/v1/acme/+/fix", trips=True)
    assert door.filters == [f"telematics/v1/acme/+/{channel}" for channel in ("fix", "status", "trip")]
    mosquitto.publish([b"theirs"], topic="telematics/v1/other/truck/fix")
    mosquitto.publish([b"ours"])
    assert taker.payloads(1) == [b"ours"]
