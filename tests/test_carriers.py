"""`monitor carrier`: what each action says, and what it does to a database that a monitor has open."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.fixes import Identity
from monitor.store.store import Store
from monitor.store.verifier import Verifier

CONFIG, GEOFENCES = Path("config"), Path("geofences")
TOKEN = re.compile(r"token: +([\w-]{43})\n")
FINGERPRINT = "ab" * 32

Carrier = Callable[..., tuple[int, str, str]]
"""Runs `monitor carrier ...`; gives status, standard output and error stream."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The database of a test."""
    return f"sqlite:///{tmp_path}/monitor.db"


@pytest.fixture
def carrier(url: str, capsys: pytest.CaptureFixture[str]) -> Carrier:
    """Run the command on the shipped configuration."""

    def run(*words: str) -> tuple[int, str, str]:
        own = ["--config", str(CONFIG), "--set", f"store.url={url}", "--set", f"geofences={GEOFENCES}"]
        status = main(["carrier", *words, *own])
        return status, *capsys.readouterr()

    return run


def token(answer: tuple[int, str, str]) -> str:
    """The token that was shown."""
    found = TOKEN.search(answer[1])
    assert found, answer
    return found[1]


def admitted(url: str, *tokens: str) -> list[Identity | None]:
    """Whom a monitor would take these for."""
    store = Store.open(url, timedelta(seconds=5))
    try:
        return [Verifier(store).bearer(each) for each in tokens]
    finally:
        store.close()


def test_after_a_rotation_both_are_in_force_and_the_list_says_until_when(carrier: Carrier, url: str) -> None:
    old = token(carrier("add", "north"))
    answer = carrier("rotate", "north", "--grace", "12h")
    assert answer[1].count("in force until") == 1
    assert admitted(url, old, token(answer)) == [Identity("north")] * 2
    lines = carrier("list")[1].splitlines()
    assert re.fullmatch(r"1  north  token  since .*  in force until .*", lines[0])
    assert re.fullmatch(r"2  north  token  since .*  in force", lines[1])


def test_a_rotation_at_once_ends_the_old_one(carrier: Carrier, url: str) -> None:
    old = token(carrier("add", "north/truck-1"))
    answer = carrier("rotate", "north/truck-1", "--now")
    assert admitted(url, old, token(answer)) == [None, Identity("north", "truck-1")]
    assert carrier("list")[1].splitlines()[0].endswith("revoked")


def test_dispatch_is_rotated_by_itself(carrier: Carrier, url: str) -> None:
    device, office = token(carrier("add", "north")), token(carrier("add", "north", "--dispatch"))
    answer = carrier("rotate", "north", "--dispatch", "--now")
    assert admitted(url, device, office, token(answer)) == [Identity("north"), None, Identity("north", None, dispatch=True)]


def test_all_credentials_of_a_subject_are_revoked_by_its_name(carrier: Carrier, url: str) -> None:
    tokens = [token(carrier("add", "north")), token(carrier("add", "north")), token(carrier("add", "north/truck-1"))]
    status, out, _ = carrier("revoke", "north")
    assert (status, out.count("revoked: ")) == (0, 2)
    assert admitted(url, *tokens) == [None, None, Identity("north", "truck-1")]


def test_a_certificate_is_denied_under_the_name_it_is_of(carrier: Carrier) -> None:
    carrier("add", "north")
    status, out, _ = carrier("revoke", "north/truck-1", "--certificate", FINGERPRINT)
    assert (status, out.startswith("revoked: 2  north/truck-1  certificate")) == (0, True)
    assert carrier("list")[1].splitlines()[1].endswith("revoked")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rotate"], "carrier rotate: names a carrier"),
        (["revoke"], "carrier revoke: names a credential number or a carrier"),
        (["rotate", "south"], "south: has no device credential in force"),
        (["rotate", "north", "--grace", "soon"], "--grace soon: allowed is a duration such as 12h or 7d"),
        (["rotate", "north/"], "carrier rotate north/: allowed is CARRIER or CARRIER/VEHICLE"),
        (["revoke", "south"], "south: has no credential in force"),
        (["revoke", "9"], "credential 9: there is none"),
        (["revoke", "north", "--certificate", "abc"], "fingerprint 'abc': allowed is a SHA-256"),
        (["add", "north", "--certificate", FINGERPRINT], "carrier add --certificate: allowed is carrier revoke"),
    ],
)
def test_what_cannot_be_done_is_one_line(carrier: Carrier, words: list[str], told: str) -> None:
    carrier("add", "north")
    status, out, err = carrier(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"monitor: {told}")
