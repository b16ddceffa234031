"""Contacts and policies: what is shipped is accepted, and each fault is named with file, key, value and what is allowed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from monitor.alerts.channels import ADDRESSING
from monitor.alerts.contacts import Contact, Contacts, Reach, load_contacts
from monitor.alerts.policies import load_policies, switched_off
from monitor.errors import ConfigurationError
from tests.alerts.scenes import DISPATCH, MINUTE, ROOT, shipped

BAD = ROOT / "tests" / "bad_config"
CONTACTS: Contacts = {
    "dispatch": DISPATCH,
    "silent": Contact("silent", "Silent", "security"),
    "opp": Contact("opp", "Ontario Provincial Police", "police", source="opp.ca"),
}


def fault_of(file: Path) -> str:
    """What the first line of a fixture says its fault is."""
    return file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# fault: ")


@pytest.mark.parametrize("file", sorted((BAD / "contacts").glob("*.toml")), ids=lambda file: str(file.stem))
def test_a_bad_contact_is_named_by_its_one_fault(file: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_contacts(file, ADDRESSING)
    [line] = caught.value.faults
    assert line.startswith(f"{file}: ")
    assert fault_of(file) in line


@pytest.mark.parametrize("file", sorted((BAD / "policies").glob("*.toml")), ids=lambda file: str(file.stem))
def test_a_bad_policy_is_named_by_its_fault(file: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_policies(file, CONTACTS)
    assert all(line.startswith(f"{file}: ") for line in caught.value.faults)
    assert fault_of(file) in caught.value.faults[0]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load_contacts(tmp_path / "contacts.toml", ADDRESSING)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "contacts.toml").write_text('[contacts.a]\nname = 3\nrole = "x"\n[contacts.b]\nrole = "dispatch"\n')
    with pytest.raises(ConfigurationError) as caught:
        load_contacts(tmp_path / "contacts.toml", ADDRESSING)
    assert len(caught.value.faults) == 3


def test_what_is_said_of_a_contact_is_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "contacts.toml").write_text(
        '[contacts.night]\nname = "Nuit"\nrole = "dispatch"\nlanguage = "fr"\nphone = "+1 514 555 0100"\n'
        'verified_on = 2026-01-31\nverified_by = "Ana"\n'
        'channels = [{ channel = "email", address = "nuit@carrier.example" }, { channel = "log" }]\n'
    )
    [contact] = load_contacts(tmp_path / "contacts.toml", ADDRESSING).values()
    assert (contact.id, contact.name, contact.language, contact.verified_on) == ("night", "Nuit", "fr", date(2026, 1, 31))
    assert contact.channels == (Reach("email", "nuit@carrier.example"), Reach("log"))


def test_a_carrier_with_a_policy_of_its_own_has_that_one(tmp_path: Path) -> None:
    (tmp_path / "policies.toml").write_text(
        '[policies.all]\nseverities = ["note", "warning", "critical"]\nrepeat = "10m"\n'
        'steps = [{ after = "0s", contacts = ["dispatch"] }]\n'
        '[policies.north]\nseverities = ["critical"]\ncarriers = ["northline"]\nrepeat = "1m"\n'
        'steps = [{ after = "30s", contacts = ["dispatch"] }]\n'
    )
    policies = load_policies(tmp_path / "policies.toml", CONTACTS)
    assert policies.of("northline", "critical").repeat == MINUTE
    assert policies.of("northline", "warning").name == policies.of("southline", "critical").name == "all"


def test_the_shipped_policies_ring_dispatch_at_once_after_five_minutes_and_then_every_ten() -> None:
    for severity in ("warning", "critical"):
        policy = shipped().policies.of("anybody", severity)
        assert [step.after for step in policy.steps] == [0, 5 * MINUTE]
        assert policy.repeat == 10 * MINUTE


def test_no_shipped_policy_rings_an_authority_and_no_shipped_authority_claims_to_be_verified() -> None:
    desk = shipped()
    authorities = [contact for contact in desk.contacts.values() if contact.authority]
    assert len(authorities) == 6
    assert all(contact.source and contact.verified_on is None for contact in authorities)
    rung = {name for policy in desk.policies.by_case.values() for step in policy.steps for name in step.contacts}
    assert not rung & {contact.id for contact in authorities}


def test_a_contact_whose_channel_is_switched_off_is_named() -> None:
    desk = shipped()
    assert switched_off(desk.policies, desk.contacts, ["console", "log"]) == []
    assert switched_off(desk.policies, desk.contacts, ["console"]) == [
        "policy default: contact dispatch cannot be told by log: that channel is switched off in the settings",
        "policy notes: contact record cannot be told by log: that channel is switched off in the settings",
    ]
