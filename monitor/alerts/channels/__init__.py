"""The channels: every way the monitor can tell somebody something. This list is all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from monitor.alerts.channels import console, email, logfile
from monitor.alerts.channels.channel import Channel
from monitor.errors import ConfigurationError
from monitor.settings import Alerts


class Kind(NamedTuple):
    """One channel: the pattern of its addresses (empty: it takes none), and how it is made, None where it is switched off."""

    address: str
    build: Callable[[Alerts, Console], Channel | None]


CHANNELS: Mapping[str, Kind] = {
    "console": Kind(console.ADDRESS, lambda _, screen: console.ConsoleChannel(screen)),
    "log": Kind(
        logfile.ADDRESS, lambda alerts, _: logfile.LogfileChannel(Path(alerts.notice_log)) if alerts.notice_log else None
    ),
    "email": Kind(email.ADDRESS, lambda alerts, _: email.EmailChannel(alerts.smtp) if alerts.smtp.host else None),
}

ADDRESSING: Mapping[str, str] = {name: kind.address for name, kind in CHANNELS.items()}
"""Channel -> pattern of its addresses, as the contacts are checked against."""


def build_channels(alerts: Alerts, screen: Console) -> dict[str, Channel]:
    """The channels that are switched on, by name; `screen` is where notices are shown.

    Raises
    ------
    ConfigurationError
        If e-mail is switched on without a sender, or with a user name but no readable password file.
    """
    faults = []
    smtp = alerts.smtp
    if smtp.host and "@" not in smtp.sender:
        faults.append(f"alerts.smtp.sender = {smtp.sender!r}: allowed is an e-mail address, because alerts.smtp.host is set")
    if smtp.host and smtp.username and not (smtp.password_file and Path(smtp.password_file).is_file()):
        faults.append(f"alerts.smtp.password_file = {smtp.password_file!r}: allowed is a file, because a user name is set")
    if faults:
        raise ConfigurationError(faults)
    built = {name: kind.build(alerts, screen) for name, kind in CHANNELS.items()}
    return {name: channel for name, channel in built.items() if channel is not None}
