"""The commands of the register of devices: what they print, and what a monitor makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.fixes import Fleet
from monitor.ingest.decode import decode
from monitor.ingest.delivery import Message
from monitor.settings import Ingest, load_settings
from monitor.signals import instant
from monitor.store import devices_store
from monitor.store.store import Store

NOW = instant("2026-03-01T06:00:00Z")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with one payload of an unknown device in quarantine."""
    made = f"sqlite:///{tmp_path / 'monitor.db'}"
    settings = load_settings(None, [f"store.url={made}"]).store
    store = Store.of(settings)
    payload = json.dumps({"device": "86 0001", "time": "2026-03-01T05:59:00Z", "lat": 43.65123, "lon": -79.38123}).encode()
    decoded = decode([Message("north", "", "$http/native/1", payload, "native")], NOW, Fleet(), Ingest())
    with store.begin() as t:
        t.add_rejects(decoded.rejects, NOW)
    store.close()
    return made


@pytest.fixture
def run(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; gives its status and what it printed."""
    (tmp_path / "monitor.toml").touch()

    def command(*words: str) -> tuple[int, str]:
        status = main(["devices", *words, "--config", str(tmp_path), "--set", f"store.url={url}"])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return command


def test_an_unknown_device_is_listed_adopted_and_ended(run: Run) -> None:
    """One command each."""
    assert run("unknown") == (0, "north  '86 0001'  1 payloads  from 2026-03-01 06:00 UTC  to 2026-03-01 06:00 UTC\n")
    assert run("list") == (0, "no device was adopted\n")
    status, said = run("adopt", "north", "86 0001", "T-1", "--by", "A. Person")
    assert (status, said) == (0, "device '86 0001' of north is on T-1; 1 quarantined payload is taken by the monitor that runs\n")
    assert run("unknown") == (0, "no unknown device\n")
    status, said = run("list")
    assert said.startswith("north  '86 0001'  on T-1  since ")
    assert said.endswith("  in force  by A. Person\n")
    assert run("end", "north", "86 0001") == (0, "device '86 0001' of north is on T-1 no more\n")
    assert "  until " in run("list")[1]


def test_what_cannot_be_done_is_said_in_one_line(run: Run) -> None:
    """With status 2."""
    status, said = run("end", "north", "86 0001")
    assert status == 2
    assert "is in nobody's register" in said
    assert len(said.splitlines()) == 1


def test_an_adoption_is_in_the_register_of_the_database(run: Run, url: str) -> None:
    """The monitor that runs goes by it."""
    run("adopt", "north", "86 0001", "T-1")
    store = Store.of(load_settings(None, [f"store.url={url}"]).store)
    try:
        assert devices_store.Devices(store).adopted() == {("north", "86 0001"): "T-1"}
    finally:
        store.close()
