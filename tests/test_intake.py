"""Intake: what was quarantined is taken once its device is adopted, whenever it came; an archive that is away stops nobody."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from monitor import intake as module
from monitor.app import App
from monitor.configuration import load_configuration
from monitor.ingest.delivery import Delivery, Message
from monitor.ingest.topics import posted
from monitor.signals import timestamp
from monitor.store import devices_store

NOON = 1_772_366_400_000
SHIPPED = Path(__file__).resolve().parents[1]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A monitor that is not started: its deliveries are given to it by hand."""
    monkeypatch.setattr(module, "ADOPT_S", 0.0)
    monkeypatch.setattr(devices_store, "FRESH_SECONDS", 0.0)
    settings = [f"store.url=sqlite:///{tmp_path / 'monitor.db'}", "web.enabled=false", "ingest.listener.port=0"]
    settings += [f"geofences={SHIPPED / 'geofences'}", f"alerts.notice_log={tmp_path / 'notices.log'}"]
    app = App(load_configuration(SHIPPED / "config", settings), lambda: NOON, Console(file=io.StringIO()))
    yield app
    app.close()


def message(device: str, number: int) -> Message:
    """A fix of a device behind a gateway."""
    said = {"time": timestamp(NOON - 1000 * number), "lat": 45.0, "lon": -75.0, "device": device}
    return Message("north", "", posted("", "request"), json.dumps(said).encode())


def adopt(app: App, device: str) -> None:
    with app.store.begin() as transaction:
        devices_store.adopt(transaction, "north", device, f"truck-{device}", NOON, "somebody")


def take(app: App, *messages: Message) -> int:
    """Deliver; gives how many fixes were fresh."""
    took = app.intake.take(Delivery(messages), lambda act: act())
    assert took is not None
    return took.taken.fixes


def test_what_came_before_the_adoption_is_taken_once_and_what_comes_after_at_once(app: App) -> None:
    assert take(app, message("a", 1), message("b", 1), message("a", 2)) == 0
    assert app.intake.take_adopted() == 0
    adopt(app, "a")
    assert [app.intake.take_adopted() for _ in range(3)] == [2, 0, 0]
    assert take(app, message("a", 3)) == 1
    adopt(app, "b")
    assert [app.intake.take_adopted() for _ in range(3)] == [1, 0, 0]


def test_what_went_into_quarantine_while_its_device_was_adopted_is_taken_too(app: App) -> None:
    """The register is read before the payload is decoded; the adoption is committed before it is stored."""
    before = app.intake.devices.adopted()
    adopt(app, "late")
    while app.intake.take_adopted() or app.intake._looks:
        pass
    known = app.intake.devices.adopted
    app.intake.devices.adopted = iter([before, *[known()] * 9]).__next__  # type: ignore[method-assign]
    assert take(app, message("late", 1)) == 0
    app.intake.devices.adopted = known  # type: ignore[method-assign]
    assert app.intake.take_adopted() == 1
