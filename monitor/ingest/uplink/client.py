"""The paho client as it is used here: MQTT 5, acknowledging by hand, with TLS and a password where the settings say so."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.errors import ServiceError
from monitor.settings import Broker as Address


class Client(paho.Client):
    """paho, with our stream in place of its socket."""

    def __init__(self, address: Address, stream: Callable[[Any], Any]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, address.client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True)
        self._stream = stream
        if address.username:
            self.username_pw_set(address.username, _password(address))
        if address.tls:
            self.tls_set_context(_tls(address))

    def _create_socket(self) -> Any:  # the seam at which paho itself puts a websocket in
        return self._stream(super()._create_socket())


def warnings(address: Address) -> list[str]:
    """What is allowed but unwise, or said in vain."""
    said = []
    if not address.tls:
        named = [name for name in ("ca_file", "certificate", "key") if getattr(address, name)]
        said += [f"ingest.broker.{name}: not used without ingest.broker.tls" for name in named]
        if not _on_this_machine(address.host):
            clear = "without ingest.broker.tls, the password and all positions cross the network in the clear"
            said.append(f"ingest.broker.host = {address.host}: {clear}")
    if address.key and not address.certificate:
        said.append("ingest.broker.key: not used without ingest.broker.certificate")
    if address.password_file and not address.username:
        said.append("ingest.broker.password_file: not used without ingest.broker.username")
    return said


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(address: Address) -> ssl.SSLContext:
    """Check the broker's certificate and name, show ours where there is one; files that are renewed are read anew each time."""
    for name, file in (("ca_file", address.ca_file), ("certificate", address.certificate), ("key", address.key)):
        if file and not Path(file).is_file():
            raise ServiceError(f"{file} (ingest.broker.{name}) cannot be read: there is no such file")
    try:
        context = ssl.create_default_context(cafile=address.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if address.certificate:
            context.load_cert_chain(address.certificate, address.key or None)
    except (OSError, ValueError) as error:
        files = ", ".join(file for file in (address.ca_file, address.certificate, address.key) if file)
        raise ServiceError(f"{files} (ingest.broker.ca_file, certificate, key) cannot be used: {error}") from error
    return context


def _password(address: Address) -> str | None:
    """The first line of the password file, None without one."""
    if not address.password_file:
        return None
    try:
        return Path(address.password_file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{address.password_file} (ingest.broker.password_file) cannot be read: {error}") from error
