"""Identity: which vehicle a fix is of.

The carrier comes from the connection or the topic, the vehicle from the topic or the credential; behind a gateway the device's id,
which the topic or the payload names, is looked up in that carrier's register. What a payload says of itself is never believed, only
compared: a contradiction is refused, and somebody should look into it. An id in nobody's register is quarantined until it is adopted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from monitor.findings import FORGED_IDENTITY, Finding
from monitor.fixes import VehicleId
from monitor.ingest.delivery import Message
from monitor.ingest.formats.reading import device_fault

Adoptions = Mapping[tuple[str, str], str]
"""The register: carrier and device id to the vehicle it is on."""


class Claims(NamedTuple):
    """What a fix says of itself."""

    device: str | None = None
    vehicle: str | None = None
    carrier: str | None = None


class Stranger(NamedTuple):
    """An id that is in nobody's register."""

    device: str

    def reason(self, carrier: str) -> str:
        """Say what to do about it."""
        return f"device {self.device!r} is in nobody's register: monitor devices adopt {carrier} {self.device!r} VEHICLE"


class Forged(NamedTuple):
    """A contradiction between what is known and what is said."""

    subject: str
    """The vehicle or device that spoke."""
    detail: str

    def finding(self, carrier: str) -> Finding:
        """What somebody should look into."""
        return Finding(FORGED_IDENTITY, carrier, self.subject, self.detail)


Owner = VehicleId | Stranger | Forged | str
"""Whose a fix is; or the id that nobody has; or the contradiction; or why it cannot be told."""

NOTHING = Claims()


def owner(message: Message, claims: Claims, devices: Adoptions) -> Owner:
    """Say which vehicle a fix is of, from how its message came and what the fix claims."""
    ids = list(dict.fromkeys(device for device in (message.device, claims.device) if device))
    for device in ids:
        if fault := device_fault(device):
            return fault
    if not message.vehicle and not ids:
        return "device: neither the topic nor the payload names one; allowed is a topic, a credential or a payload that does"
    vehicle = message.vehicle or devices.get((message.carrier, ids[0]))
    if vehicle is None:
        return Stranger(ids[0])
    known = VehicleId(message.carrier, vehicle)
    return _contradiction(message, claims, known, devices) or known


def _contradiction(message: Message, claims: Claims, known: VehicleId, devices: Adoptions) -> Forged | None:
    """What of a fix speaks against the vehicle that it is known as."""
    for device in (message.device, claims.device):
        registered = devices.get((message.carrier, device)) if device else None
        if registered not in (None, known.vehicle):
            return Forged(known.vehicle, f"it came as {known.vehicle}, and its device {device!r} is registered as {registered}")
    if claims.carrier not in (None, known.carrier):
        return Forged(known.vehicle, f"it came from carrier {known.carrier}, and says that it is of {claims.carrier!r}")
    if claims.vehicle not in (None, known.vehicle):
        return Forged(known.vehicle, f"it came as {known.vehicle}, and says that it is {claims.vehicle!r}")
    return None
