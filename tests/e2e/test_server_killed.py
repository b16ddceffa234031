"""The monitor on a database server that is killed under load: nothing acknowledged is lost, nothing is doubled, and it goes on by itself."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitor.signals import log_lines
from monitor.store import journal
from monitor.store.store import Store
from tests.e2e.device import Device
from tests.e2e.laid_down import lay_down
from tests.e2e.program import Monitor, eventually
from tests.e2e.test_kill import assert_told_once, assert_what_was_acknowledged_is_there, letters_of, undisturbed
from tests.postgres import Server, serving
from tests.tracks import random_world

KILLS = 6
SEED, SIZE = 12, 120


class OnServer(Monitor):
    """An installation whose database is on a server."""

    def __init__(self, folder: Path, url: str, *assignments: str) -> None:
        super().__init__(folder, f"store.url={url}", *assignments)
        self.url = url

    def log(self) -> list[str]:
        """The signal log as the database has it."""
        with closing(Store.open(self.url, timedelta(seconds=30))) as store, store.read() as transaction:
            return log_lines(transaction.signal_log())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own that waits for its disk."""
    with serving() as running:
        yield running


@pytest.mark.slow
def test_a_server_killed_under_load_costs_nothing(server: Server, tmp_path: Path) -> None:
    laid = lay_down(random_world(SEED, SIZE), tmp_path / "world")
    monitor = OnServer(tmp_path, server.bare(), f"geofences={laid.geofences}", f"trips={laid.trips}", *laid.assignments)
    try:
        letters = letters_of(random_world(SEED, SIZE), laid.records)
        device = Device(letters, "default", monitor.token("default"))
        chance = random.Random(SEED)
        deaths = set(chance.sample(range(1, len(letters) - 1), KILLS))

        def told(heard: int) -> None:
            if heard in deaths:
                deaths.remove(heard)
                server.kill()
                server.start()
                assert_what_was_acknowledged_is_there(monitor, device, laid)

        device.feed(monitor.start(), told)
        assert device.done
        assert not deaths
        expected = undisturbed(laid, laid.records, tmp_path)
        assert len(expected) > 10
        assert monitor.wait_for_log(expected) == expected
        assert monitor.rows("SELECT count(*) FROM fix") == [(len(laid.records),)]
        unsent = "SELECT count(*) FROM notice WHERE state IN ('queued', 'leased', 'unknown')"
        assert eventually(lambda: monitor.rows(unsent) == [(0,)])
        monitor.stop()
        rounds = monitor.rows("SELECT incident_id, contact, channel FROM notice WHERE kind = 'raised'")
        assert max(Counter(rounds).values()) == 1
        assert_told_once(monitor)
        with closing(Store.open(monitor.url, timedelta(seconds=30))) as store:
            assert journal.verify(store) is None
    finally:
        monitor.clear_away()
