"""Whether a client id has met a broker before, as the journal has it: then the broker should have kept the session.

The first meeting is entered once. A monitor whose database is new has met nobody, and a session that is not there is then as it should
be.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import exists, select

from monitor.store.journal import canonical
from monitor.store.schema import journal
from monitor.store.store import Store

MET = "broker.met"


class Acquaintance:
    """One client id and one broker."""

    def __init__(self, store: Store, clock: Callable[[], int], client_id: str, where: str) -> None:
        self._store, self._clock = store, clock
        self._body = {"client_id": client_id, "broker": where}

    def known(self) -> bool:
        """Whether they have met."""
        entry = (journal.c.kind == MET) & (journal.c.body == canonical(self._body))
        with self._store.read() as transaction:
            return bool(transaction.connection.execute(select(exists().where(entry))).scalar_one())

    def met(self) -> None:
        """Remember that they have."""
        if not self.known():
            with self._store.begin() as transaction:
                transaction.record("monitor", MET, self._body, self._clock())
