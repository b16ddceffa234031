"""A client id and a broker: met once, known ever after, and entered once."""

from __future__ import annotations

from monitor.store import journal
from monitor.store.acquaintance import Acquaintance
from monitor.store.store import Store


def test_who_has_met_is_known_and_nobody_else(store: Store) -> None:
    ours = Acquaintance(store, lambda: 1_772_431_200_000, "monitor", "here:1883")
    assert not ours.known()
    ours.met()
    ours.met()
    assert ours.known()
    assert not Acquaintance(store, lambda: 0, "monitor", "there:1883").known()
    assert not Acquaintance(store, lambda: 0, "monitor-2", "here:1883").known()
    with store.read() as transaction:
        [kinds] = transaction.connection.exec_driver_sql("SELECT count(*) FROM journal WHERE kind = 'broker.met'").one()
    assert kinds == 1
    assert journal.verify(store) is None
