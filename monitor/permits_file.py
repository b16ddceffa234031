"""Authorizations and lockdowns, read from CSV or JSON lines.

An authorization: `id`, `vehicle`, `from`, `until`, `why`, `by`, and optionally `carrier` ("default" where absent), `place`, or `lat` and
`lon` with `radius_m`; without a place or a spot it holds anywhere. A lockdown: `id`, `from`, `until`, `why`, `by`, and one of `place`,
`vehicle` (with its `carrier`), `carrier`. Both hold over `[from, until)`, RFC 3339 times with a zone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from monitor.errors import ConfigurationError
from monitor.permits import SPOT_M, Authorization, Lockdown
from monitor.records import instant_in, number_in, read_records, text_in
from monitor.trips import DEFAULT_CARRIER

REQUIRED = ("id", "from", "until", "why", "by")
AUTHORIZATION_FIELDS = (*REQUIRED, "carrier", "vehicle", "place", "lat", "lon", "radius_m")
LOCKDOWN_FIELDS = (*REQUIRED, "carrier", "vehicle", "place")

Permit = TypeVar("Permit", Authorization, Lockdown)


def load_authorizations(file: Path) -> tuple[Authorization, ...]:
    """Read a file of authorizations.

    Raises
    ------
    ConfigurationError
        With one line for each fault: file, line, field, value, what is allowed.
    """
    return _loaded(file, AUTHORIZATION_FIELDS, (*REQUIRED, "vehicle"), read_authorization)


def load_lockdowns(file: Path) -> tuple[Lockdown, ...]:
    """Read a file of lockdowns.

    Raises
    ------
    ConfigurationError
        With one line for each fault: file, line, field, value, what is allowed.
    """
    return _loaded(file, LOCKDOWN_FIELDS, REQUIRED, read_lockdown)


def read_authorization(record: Mapping[str, Any], where: str, faults: list[str]) -> Authorization | None:
    """Read one record; None, with the faults noted, where it is wrong; `where` names it in them."""
    before = len(faults)
    said = _said(record, where, (*REQUIRED, "vehicle"), faults)
    lat, lon = (number_in(record, name, where, faults, -most, most) for name, most in (("lat", 90), ("lon", 180)))
    radius = number_in(record, "radius_m", where, faults, 1, 500_000)
    start, end = _interval(said, where, faults)
    place = said["place"]
    if len(faults) == before and (lat is None) != (lon is None):
        faults.append(f"{where}: lat = {lat}, lon = {lon}: allowed are both or neither")
    if place and lat is not None:
        faults.append(f"{where}: place = {place!r}: allowed is a place or a spot (lat, lon), not both")
    if len(faults) > before or start is None or end is None:
        return None
    return Authorization(
        id=said["id"] or "",
        carrier=said["carrier"] or DEFAULT_CARRIER,
        vehicle=said["vehicle"] or "",
        starts_at=start,
        ends_at=end,
        why=said["why"] or "",
        by=said["by"] or "",
        place=place,
        lon=lon,
        lat=lat,
        radius_m=SPOT_M if radius is None else radius,
    )


def read_lockdown(record: Mapping[str, Any], where: str, faults: list[str]) -> Lockdown | None:
    """Read one record; None, with the faults noted, where it is wrong; `where` names it in them."""
    before = len(faults)
    said = _said(record, where, REQUIRED, faults)
    start, end = _interval(said, where, faults)
    carrier = said["carrier"] or (DEFAULT_CARRIER if said["vehicle"] else None)
    if len(faults) == before and (said["place"] is None) == (carrier is None):
        faults.append(f"{where}: place = {said['place']!r}, carrier = {carrier!r}: allowed is one of place, vehicle, carrier")
    if len(faults) > before or start is None or end is None:
        return None
    return Lockdown(
        id=said["id"] or "",
        starts_at=start,
        ends_at=end,
        why=said["why"] or "",
        by=said["by"] or "",
        carrier=carrier,
        vehicle=said["vehicle"],
        place=said["place"],
    )


def _loaded(
    file: Path,
    fields: tuple[str, ...],
    required: tuple[str, ...],
    read: Callable[[Mapping[str, Any], str, list[str]], Permit | None],
) -> tuple[Permit, ...]:
    faults: list[str] = []
    seen: dict[str, int] = {}
    out: list[Permit] = []
    for line, record in read_records(file, fields, required, faults):
        where = f"{file}:{line}"
        faults += [
            f"{where}: {name}: there is no such field; allowed are {', '.join(fields)}" for name in record if name not in fields
        ]
        permit = read(record, where, faults)
        if permit is None:
            continue
        if permit.id in seen:
            faults.append(f"{where}: id = {permit.id!r}: each id once; it stands in line {seen[permit.id]} too")
        seen[permit.id] = line
        out.append(permit)
    if faults:
        raise ConfigurationError(faults)
    return tuple(out)


def _said(record: Mapping[str, Any], where: str, required: tuple[str, ...], faults: list[str]) -> dict[str, str | None]:
    """The texts of a record, those required noted where they are missing."""
    before = len(faults)
    texts = {name: text_in(record, name, where, faults) for name in (*REQUIRED, "carrier", "vehicle", "place")}
    if len(faults) == before:
        faults += [f"{where}: {name}: is required" for name in required if not texts[name]]
    return texts


def _interval(said: Mapping[str, str | None], where: str, faults: list[str]) -> tuple[int | None, int | None]:
    start, end = (instant_in(said[name], f"{where}: {name}", faults) for name in ("from", "until"))
    if start is not None and end is not None and end <= start:
        faults.append(f"{where}: until = {said['until']!r}: allowed is a time after from = {said['from']!r}")
    return start, end
