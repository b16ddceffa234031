"""The inbox: carriers take turns, order is kept within each, and one that floods fills nobody else's room."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from monitor.findings import Finding
from monitor.fixes import Reject
from monitor.ingest.delivery import Message
from monitor.ingest.inbox import CARRIER_BYTES, DELIVERY_BYTES, PENDING_BYTES, Inbox


@dataclass
class Parcel:
    """An arrival."""

    carrier: str
    number: int = 0
    count: int = 1
    size: int = 10
    door: object = None
    messages: list[Message] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    statuses: list[Message] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def taken(inbox: Inbox) -> list[tuple[str, int]]:
    """The next delivery."""
    arrivals = inbox.take(0.0) or ()
    return [(arrival.carrier, arrival.number) for arrival in arrivals if isinstance(arrival, Parcel)]


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 10))
def test_everything_comes_out_once_and_in_its_carriers_order(carriers: list[str], batch: int) -> None:
    inbox, out = Inbox(batch), list[tuple[str, int]]()
    for number, carrier in enumerate(carriers):
        inbox.put(Parcel(carrier, number))
    while some := taken(inbox):
        assert len(some) <= batch
        out += some
    for carrier in "abc":
        assert [n for c, n in out if c == carrier] == [n for n, c in enumerate(carriers) if c == carrier]
    assert inbox.waiting == 0
    assert not any(inbox.full(carrier) for carrier in "abc")


def test_a_carrier_that_floods_does_not_keep_the_others_out_of_the_next_delivery() -> None:
    inbox = Inbox(10)
    for number in range(100):
        inbox.put(Parcel("flood", number, size=1))
    inbox.put(Parcel("calm", 0))
    assert ("calm", 0) in taken(inbox)
    assert (inbox.full("flood"), inbox.full("calm")) == (True, False)


def test_bytes_of_one_carrier_stop_that_carrier_and_of_all_everybody() -> None:
    inbox = Inbox(1000)
    inbox.put(Parcel("a", size=CARRIER_BYTES))
    assert (inbox.full("a"), inbox.full("b"), inbox.roomy("a"), inbox.roomy("b")) == (True, False, False, True)
    for carrier in "bcd":
        inbox.put(Parcel(carrier, size=(PENDING_BYTES - CARRIER_BYTES) // 3))
    inbox.put(Parcel("e", size=10))
    assert inbox.full("never seen")
    while taken(inbox):
        pass
    assert inbox.roomy("a")


def test_a_delivery_is_bounded_in_bytes_but_never_empty_for_one_that_is_large() -> None:
    inbox = Inbox(1000)
    for number in range(3):
        inbox.put(Parcel("a", number, size=DELIVERY_BYTES + 1))
    assert [taken(inbox) for _ in range(4)] == [[("a", 0)], [("a", 1)], [("a", 2)], []]


def test_after_closing_nothing_comes_out_and_nothing_goes_in() -> None:
    inbox = Inbox(10)
    inbox.put(Parcel("a"))
    inbox.close()
    assert inbox.take(0.0) is None
    inbox.put(Parcel("a"))
    assert inbox.waiting == 1
