"""Contacts: who can be told, and how. Authorities are listed with their public source, and no policy may ring them.

`contacts.toml` holds one table a contact, `[contacts.NAME]`:
    name        as people read it
    role        dispatch, security, driver, record, police, border or tips; the last three are authorities
    language    en (default) or fr
    channels    list of { channel = "console" } or { channel = "email", address = "..." }; tried all at once
    phone       a number for people to dial, never dialled by the monitor
    source      where the number was published; an authority must have one
    verified_on, verified_by    date (YYYY-MM-DD) and name of the person who checked it; both or neither
Every fault names the file, the key, the value and what is allowed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from monitor.errors import ConfigurationError

AUTHORITIES = ("police", "border", "tips")
ROLES = ("dispatch", "security", "driver", "record", *AUTHORITIES)
LANGUAGES = ("en", "fr")
NAME = re.compile(r"[a-z0-9_-]{1,64}")
KEYS = ("name", "role", "language", "channels", "phone", "source", "verified_on", "verified_by")


@dataclass(frozen=True, slots=True)
class Reach:
    """One way to tell a contact; `address` is empty where the channel takes none."""

    channel: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who can be told."""

    id: str
    name: str
    role: str
    language: str = "en"
    channels: tuple[Reach, ...] = ()
    phone: str = ""
    source: str = ""
    verified_on: date | None = None
    verified_by: str = ""

    @property
    def authority(self) -> bool:
        """Whether only a named person may tell them."""
        return self.role in AUTHORITIES


Contacts = Mapping[str, Contact]


class Faults:
    """The faults of one configuration file, each with file, key, value and what is allowed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: list[str] = []

    def add(self, key: str, value: Any, allowed: str) -> None:
        """Note one fault."""
        self.lines.append(f"{self.file}: {key} = {value!r}: allowed is {allowed}")

    def unknown(self, table: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
        """Note the keys that nobody reads."""
        for key in table:
            if key not in known:
                self.lines.append(f"{self.file}: {prefix}{key}: there is no such key; one of {', '.join(known)}")

    def text(
        self, table: Mapping[str, Any], key: str, prefix: str, allowed: tuple[str, ...] = (), default: str | None = ""
    ) -> str:
        """Read a text, one of those allowed where there is a list; a `default` of None means that it must be there."""
        value = table.get(key, default)
        wish = " or ".join(f'"{word}"' for word in allowed) if allowed else "a text that is not empty"
        if value is None:
            self.lines.append(f"{self.file}: {prefix}{key} is missing: allowed is {wish}")
        elif key in table and (not isinstance(value, str) or not value.strip() or (allowed and value not in allowed)):
            self.add(prefix + key, value, wish)
        else:
            return str(value)
        return default or (allowed[0] if allowed else "")

    def stop(self) -> None:
        """Raise ConfigurationError if there are any."""
        if self.lines:
            raise ConfigurationError(self.lines)


def read_tables(file: Path, name: str, faults: Faults) -> Mapping[str, Mapping[str, Any]]:
    """The tables `[name.X]` of a TOML file by X; what is not such a table is a fault.

    Raises
    ------
    ConfigurationError
        If the file is missing or not TOML.
    """
    try:
        body = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError([f"{file}: there is no such file"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError([f"{file}: not readable as TOML: {error}"]) from None
    faults.unknown(body, (name,), "")
    tables = body.get(name, {})
    if not isinstance(tables, Mapping):
        faults.add(name, tables, f"tables [{name}.NAME]")
        return {}
    out = {}
    for key, table in tables.items():
        if not isinstance(table, Mapping) or not NAME.fullmatch(key):
            faults.add(f"{name}.{key}", table, f"a table [{name}.NAME], NAME of small letters, digits, - and _")
        else:
            out[key] = table
    return out


def load_contacts(file: Path, addressing: Mapping[str, str]) -> Contacts:
    """Read contacts.toml. `addressing`: channel -> pattern of its addresses, empty for a channel that takes none.

    Raises
    ------
    ConfigurationError
        With one line for each fault.
    """
    faults = Faults(file)
    tables = read_tables(file, "contacts", faults)
    contacts = {name: _contact(name, table, addressing, faults) for name, table in tables.items()}
    faults.stop()
    return contacts


def _contact(name: str, table: Mapping[str, Any], addressing: Mapping[str, str], faults: Faults) -> Contact:
    prefix = f"contacts.{name}."
    faults.unknown(table, KEYS, prefix)
    contact = Contact(
        id=name,
        name=faults.text(table, "name", prefix, default=None),
        role=faults.text(table, "role", prefix, ROLES, default=None),
        language=faults.text(table, "language", prefix, LANGUAGES, default="en"),
        channels=_reaches(table.get("channels", []), prefix, addressing, faults),
        phone=faults.text(table, "phone", prefix),
        source=faults.text(table, "source", prefix),
        verified_on=_date(table, prefix, faults),
        verified_by=faults.text(table, "verified_by", prefix),
    )
    if contact.authority and "source" not in table:
        faults.lines.append(f"{faults.file}: {prefix}source is missing: an authority needs the public source of its number")
    if contact.authority and contact.channels:
        faults.add(prefix + "channels", table["channels"], "none for an authority: a named person tells them")
    if ("verified_on" in table) != ("verified_by" in table):
        faults.lines.append(f"{faults.file}: {prefix}verified_on and verified_by: allowed is both or neither")
    return contact


def _date(table: Mapping[str, Any], prefix: str, faults: Faults) -> date | None:
    value = table.get("verified_on")
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif type(value) is date or value is None:
        return value
    faults.add(prefix + "verified_on", value, "a date such as 2026-03-31")
    return None


def _reaches(said: Any, prefix: str, addressing: Mapping[str, str], faults: Faults) -> tuple[Reach, ...]:
    key, wish = prefix + "channels", 'a list such as [{ channel = "console" }]'
    if not isinstance(said, list):
        faults.add(key, said, wish)
        return ()
    out = []
    for item in said:
        if not isinstance(item, Mapping) or not set(item) <= {"channel", "address"}:
            faults.add(key, item, wish)
            continue
        reach = Reach(str(item.get("channel", "")), str(item.get("address", "")))
        if reach.channel not in addressing:
            faults.add(key, reach.channel, " or ".join(f'"{channel}"' for channel in addressing))
        elif not addressing[reach.channel] and reach.address:
            faults.add(key, reach.address, f"no address for {reach.channel}")
        elif addressing[reach.channel] and not re.fullmatch(addressing[reach.channel], reach.address):
            faults.add(key, reach.address, f"an address for {reach.channel} that matches {addressing[reach.channel]}")
        else:
            out.append(reach)
    return tuple(out)
