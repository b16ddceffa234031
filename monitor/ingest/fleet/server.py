"""Where simulated devices connect to, as whom, and what they are told there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from monitor.errors import InputError
from monitor.ingest.fleet.link import Link, Login
from monitor.ingest.mqtt.packets import V5, V311

TOPIC, ACK_TOPIC = "telematics/v1/{carrier}/{vehicle}/fix", "telematics/v1/{carrier}/{vehicle}/ack"
WINDOW, GATEWAY_WINDOW = 10, 1000
"""Messages of one device, and of one gateway, that may wait for their acknowledgement."""
CONNECT_TIMEOUT_S = 5.0


class Server(NamedTuple):
    """A monitor or a broker; `{carrier}` and `{vehicle}` may stand in the user name and the topics."""

    host: str
    port: int
    password: str = ""
    username: str = "{carrier}/{vehicle}"
    topic: str = TOPIC
    ack_topic: str = ""
    """Where the monitor confirms what is on disk; empty: a PUBACK is enough."""
    gateway: bool = False
    """One connection for all devices."""
    context: ssl.SSLContext | None = None

    def named(self, pattern: str, carrier: str, vehicle: str) -> str:
        """A user name or a topic of one vehicle."""
        return pattern.replace("{carrier}", carrier).replace("{vehicle}", vehicle)

    async def connect(
        self,
        carrier: str,
        vehicle: str,
        number: int,
        confirmed: Callable[[Link, int, object, int], None],
        heard: Callable[[str, bytes], None],
    ) -> Link:
        """Open a connection: of a vehicle, or of the gateway; every second device speaks MQTT 5.

        Raises
        ------
        OSError
            If nobody answers, in time.
        RefusedError
            If the server says no.
        """
        client_id = f"gateway-{carrier}" if self.gateway else f"device-{vehicle}"
        username = self.named(self.username, carrier, vehicle)
        version = V5 if self.gateway or number % 2 else V311
        login = Login(client_id, username, self.password, version)
        window = GATEWAY_WINDOW if self.gateway else 2 * WINDOW
        link = Link(login, confirmed, heard, window)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: link, self.host, self.port, ssl=self.context)
                await link.opened
        except BaseException:
            link.close()
            raise
        return link


class Confirmation(msgspec.Struct):
    """What the monitor says on `/ack`: of one boot all numbers up to `through` are on disk, and these above are missing."""

    boot: str
    through: int
    missing: list[tuple[int, int]] = []


_CONFIRMATION = msgspec.json.Decoder(Confirmation, strict=False)


def confirmation(payload: bytes) -> Confirmation | None:
    """Read what the monitor says on `/ack`; None where it is no confirmation of a boot of ours."""
    try:
        said = _CONFIRMATION.decode(payload)
    except msgspec.DecodeError:
        return None
    return said if said.boot.isdecimal() else None


def tls(ca_file: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """How devices check the server, and show who they are where they have a certificate.

    Raises
    ------
    InputError
        If a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{certificate or ca_file}: not usable for TLS: {error}") from None
    return context
