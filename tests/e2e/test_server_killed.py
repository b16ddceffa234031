"""A database server killed under load: nothing acknowledged is lost, nothing is doubled, and the monitor goes on by itself."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Install
from tests.e2e.device import Device
from tests.e2e.laid_down import lay_down
from tests.e2e.senders import fixes_in, letters_of, present
from tests.e2e.test_kill import SOON, assert_the_end, undisturbed
from tests.e2e.torture import TORTURE, figure
from tests.postgres import Server, serving
from tests.tracks import random_world

KILLS = 40 if TORTURE else 6
SEED, SIZE = 11, 600 if TORTURE else 220


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own that waits for its disk."""
    with serving() as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_server_killed_under_load_costs_nothing(install: Install, server: Server, tmp_path: Path) -> None:
    began, world = time.monotonic(), random_world(SEED, SIZE)
    laid = lay_down(world, tmp_path / "world")
    monitor = install(f"geofences={laid.geofences}", f"trips={laid.trips}", *laid.assignments, SOON, url=server.bare())
    device = Device(letters_of(SEED, world, laid.records), "default", monitor.token("default"))
    deaths = set(random.Random(SEED).sample(range(1, len(device.letters) - 1), KILLS))

    def told(heard: int) -> None:
        if heard in deaths:
            deaths.remove(heard)
            server.kill()
            server.start()
            there = present(monitor)
            assert all(fixes_in(device.letters[number]) <= there for number in device.acknowledged)

    device.feed(monitor.start(), told)
    assert device.done
    assert not deaths
    expected = undisturbed(laid, laid.records, tmp_path)
    assert_the_end(monitor, expected, laid)
    figure(
        "kill -9 of PostgreSQL under load", kills=KILLS, fixes=len(laid.records), signals=len(expected), lost=0, doubled=0,
        seconds=round(time.monotonic() - began),
    )  # fmt: skip
