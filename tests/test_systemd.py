"""What systemd is told, by a datagram to the socket that it names."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from monitor.systemd import ALIVE, READY, SOCKET, notify


@pytest.mark.parametrize("abstract", [False, True])
def test_it_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"@{tmp_path.name}-notify" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if abstract else name)
        listening.settimeout(10)
        monkeypatch.setenv(SOCKET, name)
        assert notify(READY, ALIVE)
        assert listening.recv(100) == b"READY=1\nWATCHDOG=1"


def test_nobody_is_told_where_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOCKET, raising=False)
    assert not notify(READY)
    monkeypatch.setenv(SOCKET, str(tmp_path / "gone"))
    assert not notify(READY)


def test_a_listener_that_does_not_read_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv(SOCKET, str(tmp_path / "notify"))
        assert not all(notify(ALIVE) for _ in range(10_000))
