"""Checks of who is told: contacts that somebody has verified, policies that end in ringing, somebody who notices a dead monitor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console

from monitor.alerts.channels import build_channels
from monitor.alerts.policies import switched_off
from monitor.doctor.lines import Installation, Line, fail, ok, warn
from monitor.errors import ConfigurationError

STALE_DAYS = 365
HERE = frozenset({"console", "log"})
"""Channels that reach nobody who is not at this machine."""


def contacts(installation: Installation) -> Iterator[Line]:
    """Somebody has checked the numbers of authorities, not too long ago."""
    today = datetime.fromtimestamp(installation.now / 1000, UTC).date()
    for contact in installation.configuration.contacts.values():
        if not contact.authority:
            continue
        if contact.verified_on is None:
            yield warn("contacts", f"{contact.id} was verified by nobody", "check it, then set verified_on and verified_by")
        elif (today - contact.verified_on).days > STALE_DAYS:
            yield warn("contacts", f"{contact.id} was verified on {contact.verified_on}", "check it again")
        else:
            yield ok("contacts", f"{contact.id} was verified on {contact.verified_on} by {contact.verified_by}")


def policies(installation: Installation) -> Iterator[Line]:
    """What is serious rings until somebody takes it, and reaches somebody who is not at this machine."""
    configuration = installation.configuration
    try:
        channels = build_channels(configuration.settings.alerts, Console(quiet=True))
    except ConfigurationError as error:
        for fault in error.faults:
            yield fail("channels", fault, "put it right in monitor.toml")
        return
    for text in switched_off(configuration.policies, configuration.contacts, channels):
        yield fail("policies", text, "set up the channel, or name another for the contact")
    ringing = {policy.name: policy for (_, severity), policy in configuration.policies.by_case.items() if severity != "note"}
    for name, policy in ringing.items():
        rung = [configuration.contacts[contact] for contact in policy.steps[-1].contacts]
        reached = {reach.channel for contact in rung for reach in contact.channels} & set(channels)
        if policy.repeat is None:
            yield warn("policies", f"{name} ends without ringing again", "set repeat, such as 10m")
        elif not reached - HERE:
            yield warn(
                "policies", f"{name} ends in nothing but {', '.join(sorted(reached)) or 'nobody'}", "name a contact with e-mail"
            )
        else:
            yield ok("policies", f"{name} ends in ringing {', '.join(contact.id for contact in rung)} again and again")


def health(installation: Installation) -> Iterator[Line]:
    """A dead monitor is noticed by somebody."""
    said, known = installation.configuration.settings.health, installation.configuration.contacts
    if said.heartbeat_url:
        yield ok("heartbeat", "is set; it was not asked, which would say that all is well")
    else:
        yield warn("heartbeat", "is not set: nobody notices a machine that is gone", "set health.heartbeat_url")
    if not said.alive_to:
        yield warn("daily word", "is told to nobody", "set health.alive_to to a contact")
    elif said.alive_to not in known or not known[said.alive_to].channels or known[said.alive_to].authority:
        ringable = ", ".join(contact.id for contact in known.values() if contact.channels and not contact.authority)
        yield fail("daily word", f"health.alive_to = {said.alive_to!r} cannot be told", f"allowed are {ringable or 'none yet'}")
    else:
        yield ok("daily word", f"is told to {said.alive_to} at {said.alive_at}")
