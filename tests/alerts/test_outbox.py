"""Notices leave at least once, under one key, whatever dies when."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.alerts.channels.channel import Channel, Outcome, Permanent, Sent, Temporary, Unknown
from monitor.alerts.channels.logfile import LogfileChannel
from monitor.alerts.handling import acknowledge
from monitor.alerts.notice import Notice
from monitor.alerts.outbox import deliver_due, retry_wait
from monitor.settings import Alerts
from monitor.signals import Signal
from monitor.store import notices_store
from monitor.store.journal import verify
from monitor.store.notices_store import Told
from monitor.store.store import Store
from tests.alerts.scenes import ROOT, happens, hour, opened, raised, seen

ALERTS = Alerts()
LEASE = 60_000


class Scripted:
    """A channel that does as it is told, one outcome a notice, and remembers what it was given."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.given: list[Notice] = []

    def send(self, notice: Notice) -> Outcome:
        """The next outcome; sent, once they are used up."""
        self.given.append(notice)
        return self.outcomes.pop(0) if self.outcomes else Sent()


def round_at(store: Store, channel: Channel, now: int, alerts: Alerts = ALERTS) -> int:
    return deliver_due(store, {"log": channel}, lambda: now, alerts)


def opened_incidents(store: Store, *signals: Signal, now: int) -> None:
    happens(store, [raised(each) for each in signals or (seen("10:00"),)], now)


def told(store: Store) -> list[Told]:
    with store.read() as transaction:
        return notices_store.recent_notices(transaction, 100)[::-1]


def attempts(store: Store) -> list[tuple[str, str]]:
    with store.read() as transaction:
        rows = transaction.connection.exec_driver_sql("SELECT outcome, detail FROM attempt ORDER BY id")
        return [(row[0], row[1]) for row in rows]


def journal_kinds(store: Store) -> list[str]:
    with store.read() as transaction:
        return [row[0] for row in transaction.connection.exec_driver_sql("SELECT kind FROM journal ORDER BY seq")]


def test_what_is_due_is_sent_once(tmp_path: Path) -> None:
    channel, now = Scripted(), hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        assert [round_at(store, channel, now), round_at(store, channel, now + 10 * LEASE)] == [1, 0]
        assert ([each.state for each in told(store)], attempts(store)) == (["sent"], [("sent", "")])
        assert journal_kinds(store)[-1] == "notice.sent"


def test_the_gravest_is_sent_first(tmp_path: Path) -> None:
    channel, now = Scripted(), hour("10:30")
    severities = ("note", "warning", "critical")
    with opened(tmp_path) as store:
        opened_incidents(store, *(seen("10:00", vehicle=each, severity=each) for each in severities), now=now)
        round_at(store, channel, now)
        assert [given.severity for given in channel.given] == ["critical", "warning", "note"]


def test_a_temporary_failure_is_tried_again_after_waits_that_double(tmp_path: Path) -> None:
    channel, now = Scripted(*[Temporary("451 later")] * 4), hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        tried = []
        for second in range(120):
            before = len(channel.given)
            round_at(store, channel, now + second * 1000)
            tried += [second] if len(channel.given) > before else []
        assert tried == [0, 5, 15, 35, 75]
        assert {given.key for given in channel.given} == {channel.given[0].key}
        assert not any(given.repeat for given in channel.given)


def test_the_wait_between_tries_has_a_longest() -> None:
    assert retry_wait(1, ALERTS) == 5_000
    assert retry_wait(500, ALERTS) == 15 * 60_000


def test_a_permanent_failure_is_loud_and_final(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    channel, now = Scripted(Permanent("550 no such user")), hour("10:30")
    with opened(tmp_path) as store, caplog.at_level(logging.WARNING):
        opened_incidents(store, now=now)
        assert [round_at(store, channel, now), round_at(store, channel, now + 10 * LEASE)] == [0, 0]
        assert [(each.state, each.detail) for each in told(store)] == [("failed", "550 no such user")]
        assert journal_kinds(store)[-1] == "notice.failed"
    assert "FAILED by log: 550 no such user" in caplog.text


def test_what_cannot_be_sent_for_a_day_is_given_up_loudly(tmp_path: Path) -> None:
    now = hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        round_at(store, Scripted(Temporary("down")), now + 24 * 3600_000)
        assert [each.state for each in told(store)] == ["failed"]


def test_an_unknown_outcome_is_sent_again_marked_a_repeat(tmp_path: Path) -> None:
    channel, now = Scripted(Unknown("lost after the message")), hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        assert [round_at(store, channel, now), round_at(store, channel, now + 5000)] == [0, 1]
        assert [(given.key, given.repeat) for given in channel.given] == [
            ("1-raised-1-dispatch-1", False),
            ("1-raised-1-dispatch-1", True),
        ]


def test_what_somebody_acknowledged_after_the_lease_is_not_sent(tmp_path: Path) -> None:
    """The notice is leased and the incident acknowledged before the sender looks again."""
    now = hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        with store.begin() as transaction:
            lease = notices_store.lease_next(transaction, None, now, now + LEASE)
        acknowledge(store, 1, "Ana", now)
        channel = Scripted()
        round_at(store, channel, now + LEASE)  # the lease ran out: taken over, looked at again
        assert lease is not None
        assert (channel.given, [each.state for each in told(store)]) == ([], ["suppressed"])
        assert told(store)[0].notice.why == "the incident was acknowledged by Ana before it was sent"
        assert journal_kinds(store)[-1] == "notice.suppressed"


def test_a_note_is_recorded_though_it_closed_meanwhile(tmp_path: Path) -> None:
    channel, now = Scripted(), hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, seen("10:00", "10:20", severity="note"), now=now)
        assert round_at(store, channel, now) == 1


def test_a_lease_that_ran_out_belongs_to_whoever_took_it_over(tmp_path: Path) -> None:
    now = hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        with store.begin() as transaction:
            first = notices_store.lease_next(transaction, None, now, now + LEASE)
            assert notices_store.lease_next(transaction, None, now + LEASE - 1, now + 2 * LEASE) is None
            second = notices_store.lease_next(transaction, None, now + LEASE, now + 2 * LEASE)
            assert first is not None
            assert second is not None
            assert not notices_store.finish(transaction, first, "temporary", "slow", "queued", now)
            assert notices_store.finish(transaction, second, "sent", "", "sent", None)
        assert second.notice.repeat
        assert attempts(store) == [("temporary", "slow"), ("sent", "")]


def test_a_notice_for_a_channel_that_is_switched_off_fails_where_people_see_it(tmp_path: Path) -> None:
    now = hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        assert deliver_due(store, {}, lambda: now, ALERTS) == 0
        assert [(each.state, each.detail) for each in told(store)] == [
            ("failed", "the channel log is switched off in the settings")
        ]


def test_a_round_for_one_channel_leaves_the_others_alone(tmp_path: Path) -> None:
    now = hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        assert deliver_due(store, {"log": Scripted()}, lambda: now, ALERTS, only=["email"]) == 0
        assert deliver_due(store, {"log": Scripted()}, lambda: now, ALERTS, only=["log"]) == 1


SENDER = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from monitor.alerts.channels.logfile import LogfileChannel
from monitor.alerts.outbox import deliver_due
from monitor.settings import Alerts
from monitor.store.store import Store

database, log, now, moment, survived = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])

class Dying(LogfileChannel):
    count = 0
    def send(self, notice):
        self.count += 1
        if self.count > survived and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = super().send(notice)
        if self.count > survived and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome

store = Store.open("sqlite:///" + database, timedelta(seconds=10))
deliver_due(store, {"log": Dying(log)}, lambda: now, Alerts())
"""


def send_and_die(folder: Path, now: int, moment: str, survived: int) -> int:
    """A real process sends and kills itself at a moment; its exit status."""
    command = [sys.executable, "-c", SENDER, str(folder / "monitor.db"), str(folder / "log"), str(now), moment, str(survived)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode


def lines(folder: Path) -> Sequence[dict[str, object]]:
    file = folder / "log"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize(("moment", "survived"), [("before", 0), ("after", 0), ("after", 1)])
def test_a_sender_killed_between_sending_and_recording_loses_nothing_and_repeats_under_the_same_key(
    tmp_path: Path, moment: str, survived: int
) -> None:
    now = hour("10:30")
    with opened(tmp_path) as store:
        opened_incidents(store, *(seen("10:00", vehicle=f"truck-{number}") for number in range(3)), now=now)
        assert send_and_die(tmp_path, now, moment, survived) == -signal.SIGKILL
        assert round_at(store, LogfileChannel(tmp_path / "log"), now) == 2 - survived  # the leased one must wait
        assert round_at(store, LogfileChannel(tmp_path / "log"), now + LEASE) == 1
        keys = [str(line["key"]) for line in lines(tmp_path)]
        assert sorted(set(keys)) == [f"{number}-raised-1-dispatch-1" for number in (1, 2, 3)]
        assert len(keys) == (4 if moment == "after" else 3)
        last = lines(tmp_path)[-1]
        assert last["repeat"] is True
        assert sorted(outcome for outcome, _ in attempts(store)) == ["sent", "sent", "sent", "unknown"]
        assert {each.state for each in told(store)} == {"sent"}
        assert verify(store) is None


def test_a_lease_is_as_long_as_the_setting_says(tmp_path: Path) -> None:
    class Dies:
        def send(self, notice: Notice) -> Outcome:
            raise KeyboardInterrupt

    now, alerts = hour("10:30"), Alerts(lease=timedelta(seconds=5))
    with opened(tmp_path) as store:
        opened_incidents(store, now=now)
        with pytest.raises(KeyboardInterrupt):
            round_at(store, Dies(), now, alerts)
        assert [round_at(store, Scripted(), now + wait, alerts) for wait in (4_999, 5_000)] == [0, 1]
