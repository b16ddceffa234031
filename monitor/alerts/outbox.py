"""The outbox: notices leave at least once, under one key however often; none is lost, and each says what became of it.

A round, notice by notice, the most urgent first:
    1. lease it and write the attempt, in one transaction;
    2. look again whether the incident still wants it: what somebody has acknowledged meanwhile is suppressed, with the reason;
    3. send it, outside of any transaction;
    4. record what came of it, in another transaction.
Whoever dies between 1 and 4 leaves an attempt of unknown outcome; when the lease runs out the notice is sent again, under the
same key, marked a repeat. A temporary failure is tried again after a wait that doubles; a permanent one, or one that lasts too
long, is failed loudly: in the program's log and in the journal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

from monitor.alerts.channels.channel import Channel, Outcome, Permanent, Sent, Unknown
from monitor.alerts.incident import MACHINE
from monitor.alerts.notice import Notice
from monitor.settings import Alerts, milliseconds
from monitor.store import notices_store
from monitor.store.notices_store import Lease
from monitor.store.store import Store
from monitor.store.transaction import Transaction

log = logging.getLogger(__name__)

MOST_A_ROUND = 1000


class SwitchedOff:
    """Stands in for a channel that the settings switch off: what is written to it fails at once, and is seen to fail."""

    def send(self, notice: Notice) -> Outcome:
        """Refuse."""
        return Permanent(f"the channel {notice.channel} is switched off in the settings")


def deliver_due(
    store: Store,
    channels: Mapping[str, Channel],
    clock: Callable[[], int],
    alerts: Alerts,
    only: Collection[str] | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> int:
    """One round: send what is due, while `wanted` says so; returns how many were sent. `channels` are those switched on, by name.

    A channel that hangs delays the rounds it is part of: with `only`, each can have rounds of its own, in a thread of its own.
    """
    sent = 0
    for _ in range(MOST_A_ROUND):
        if not wanted():
            break
        now = clock()
        with store.read() as transaction:
            if not notices_store.is_due(transaction, only, now):
                break
        with store.begin() as transaction:
            lease = notices_store.lease_next(transaction, only, now, now + milliseconds(alerts.lease))
        if lease is None:
            break
        sent += deliver(store, channels.get(lease.notice.channel, SwitchedOff()), lease, clock, alerts)
    return sent


def deliver(store: Store, channel: Channel, lease: Lease, clock: Callable[[], int], alerts: Alerts) -> bool:
    """Steps 2 to 4 for one leased notice; returns whether it was sent."""
    with store.read() as transaction:
        reason = notices_store.still_wanted(transaction, lease.notice)
    if reason:
        with store.begin() as transaction:
            notices_store.suppress(transaction, lease, reason)
            _record(transaction, lease, "suppressed", reason, clock())
        return False
    outcome = channel.send(lease.notice)
    with store.begin() as transaction:
        _conclude(transaction, lease, outcome, clock(), alerts)
    return isinstance(outcome, Sent)


def retry_wait(attempts: int, alerts: Alerts) -> int:
    """Milliseconds to wait after so many attempts: doubled each time, up to the longest."""
    first, last = milliseconds(alerts.first_retry), milliseconds(alerts.last_retry)
    return min(first << min(attempts - 1, 40), last)


def _conclude(transaction: Transaction, lease: Lease, outcome: Outcome, now: int, alerts: Alerts) -> None:
    """Record an outcome: sent, to be tried again, or failed."""
    word = type(outcome).__name__.lower()
    if isinstance(outcome, Sent):
        state, next_at = "sent", None
    elif isinstance(outcome, Permanent) or now - lease.notice.created >= milliseconds(alerts.give_up):
        state, next_at = "failed", None
    else:
        state = "unknown" if isinstance(outcome, Unknown) else "queued"
        next_at = now + retry_wait(lease.notice.attempts, alerts)
    if not notices_store.finish(transaction, lease, word, outcome.detail, state, next_at):
        return  # its lease ran out and another sender has it: that one's outcome counts
    if state == "failed":
        log.error(
            "notice %s to %s FAILED by %s: %s", lease.notice.key, lease.notice.contact, lease.notice.channel, outcome.detail
        )
    elif state != "sent":
        log.warning("notice %s to %s waits: %s", lease.notice.key, lease.notice.contact, outcome.detail)
    _record(transaction, lease, state if state in ("sent", "failed") else word, outcome.detail, now)


def _record(transaction: Transaction, lease: Lease, what: str, detail: str, now: int) -> None:
    notice = lease.notice
    body = {
        "incident": notice.incident,
        "key": notice.key,
        "contact": notice.contact,
        "channel": notice.channel,
        "attempt": notice.attempts,
        "repeat": notice.repeat,
        "detail": detail,
    }
    transaction.record(MACHINE, f"notice.{what}", body, now)
