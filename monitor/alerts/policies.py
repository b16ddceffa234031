"""Policies: who is rung for what, read from `policies.toml`. Warnings and criticals ring for ever; authorities are never rung.

One table a policy, `[policies.NAME]`:
    severities  which severities it is for: note, warning, critical
    carriers    for these carriers only; without it, for every carrier that no other policy names
    repeat      wait between repetitions of the last step ("10m"), or "none", for notes alone
    steps       list of { after = "5m", contacts = ["dispatch"] }; `after` counts from the step before
Each severity needs exactly one policy that is for every carrier. Every fault names the file, the key, the value and what is
allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.alerts.contacts import Contacts, Faults, read_tables
from monitor.alerts.escalation import Policy, Step
from monitor.alerts.incident import SEVERITIES
from monitor.settings import milliseconds, parse_duration

KEYS = ("severities", "carriers", "repeat", "steps")
LONGEST_WAIT_MS = 24 * 3600 * 1000
SHORTEST_REPEAT_MS = 1000


@dataclass(frozen=True, slots=True)
class Policies:
    """Which policy is for which severity of which carrier; "" stands for every other carrier."""

    by_case: Mapping[tuple[str, str], Policy]

    def of(self, carrier: str, severity: str) -> Policy:
        """The policy for an incident."""
        return self.by_case.get((carrier, severity)) or self.by_case["", severity]


def load_policies(file: Path, contacts: Contacts) -> Policies:
    """Read policies.toml against the contacts it names.

    Raises
    ------
    ConfigurationError
        With one line for each fault.
    """
    faults = Faults(file)
    cases: dict[tuple[str, str], Policy] = {}
    for name, table in read_tables(file, "policies", faults).items():
        prefix = f"policies.{name}."
        faults.unknown(table, KEYS, prefix)
        severities = _names(table, "severities", prefix, faults, SEVERITIES)
        carriers = _names(table, "carriers", prefix, faults) if "carriers" in table else ("",)
        repeat = _repeat(table, severities, prefix, faults)
        policy = Policy(name, _steps(table.get("steps"), prefix, contacts, faults), repeat)
        for case in [(carrier, severity) for carrier in carriers for severity in severities]:
            if case in cases:
                whose = f"carrier {case[0]}" if case[0] else "every carrier"
                faults.add(prefix + "severities", case[1], f"one policy a severity: {cases[case].name} has it for {whose}")
            cases[case] = policy
    for severity in SEVERITIES:
        if ("", severity) not in cases:
            faults.lines.append(f"{file}: policies: severity {severity} has no policy that is for every carrier")
    faults.stop()
    return Policies(cases)


def switched_off(policies: Policies, contacts: Contacts, channels: Collection[str]) -> list[str]:
    """What of the policies cannot be carried out, one line each; `channels` are those switched on."""
    rung = {name: policy.name for policy in policies.by_case.values() for step in policy.steps for name in step.contacts}
    return [
        f"policy {policy}: contact {name} cannot be told by {reach.channel}: that channel is switched off in the settings"
        for name, policy in rung.items()
        for reach in contacts[name].channels
        if reach.channel not in channels
    ]


def _names(table: Mapping[str, Any], key: str, prefix: str, faults: Faults, allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
    said = table.get(key)
    wish = f"a list of {', '.join(allowed) or 'names'}, not empty"
    if not isinstance(said, list) or not said or any(not isinstance(name, str) or not name for name in said):
        faults.add(prefix + key, said, wish)
        return ()
    for name in said:
        if allowed and name not in allowed:
            faults.add(prefix + key, name, wish)
    return tuple(name for name in said if not allowed or name in allowed)


def _repeat(table: Mapping[str, Any], severities: tuple[str, ...], prefix: str, faults: Faults) -> int | None:
    said = table.get("repeat")
    if said == "none":
        if set(severities) - {SEVERITIES[0]}:
            faults.add(prefix + "repeat", said, 'a duration such as "10m": only a policy for notes alone may end')
        return None
    wait = _wait(said)
    if wait is None or wait < SHORTEST_REPEAT_MS:
        faults.add(prefix + "repeat", said, 'a duration from "1s" to "24h", or "none" for notes')
        return LONGEST_WAIT_MS
    return wait


def _wait(said: Any) -> int | None:
    """Milliseconds of a duration of at most a day; None where it is none."""
    try:
        wait = milliseconds(parse_duration(said)) if isinstance(said, str) else None
    except (ValueError, OverflowError):
        return None
    return wait if wait is not None and wait <= LONGEST_WAIT_MS else None


def _steps(said: Any, prefix: str, contacts: Contacts, faults: Faults) -> tuple[Step, ...]:
    wish = 'a list such as [{ after = "5m", contacts = ["dispatch"] }], not empty'
    if not isinstance(said, list) or not said:
        faults.add(prefix + "steps", said, wish)
        return ()
    steps = []
    for number, item in enumerate(said):
        here = f"{prefix}steps[{number}]"
        if not isinstance(item, Mapping) or set(item) != {"after", "contacts"}:
            faults.add(here, item, 'a step such as { after = "5m", contacts = ["dispatch"] }')
            continue
        wait = _wait(item["after"])
        if wait is None:
            faults.add(here + ".after", item["after"], 'a duration from "0s" to "24h"')
        names = _names(item, "contacts", here + ".", faults)
        for name in names:
            _ringable(name, here + ".contacts", contacts, faults)
        steps.append(Step(wait or 0, names))
    return tuple(steps)


def _ringable(name: str, key: str, contacts: Contacts, faults: Faults) -> None:
    """Note why a contact cannot be rung by the monitor itself."""
    ours = [contact.id for contact in contacts.values() if contact.channels]
    if name not in contacts:
        faults.add(key, name, f"a contact of contacts.toml: {', '.join(ours) or 'it has none yet'}")
    elif contacts[name].authority:
        faults.add(key, name, "anybody but an authority: a named person tells them")
    elif not contacts[name].channels:
        faults.add(key, name, "a contact with at least one channel")
