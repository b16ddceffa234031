"""Decoding costs a few microseconds a fix in every form, digest and columns included; beside it `json.loads` of the same payloads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from benchmarks.table import best_of, show
from monitor.fixes import Fleet
from monitor.ingest.decode import decode
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import Feeds
from monitor.settings import Feed, Ingest

FIXES, VEHICLES, TURNS = 20_000, 500, 7
NOW = 1_772_352_000_000
FIRST = 1_772_344_800_000
LON = -79.381234


def text_of(ms: int, zone: str) -> str:
    """An RFC 3339 time with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", zone)


def native(ms: int, lat: float, seq: int) -> Any:
    """Our own form, numbered."""
    body = {"time": text_of(ms, "Z"), "lat": lat, "lon": LON, "speed_mps": 22.4, "heading_deg": 71, "accuracy_m": 4}
    return {**body, "ignition": True, "boot": "a7", "seq": seq}


def owntracks(ms: int, lat: float, _seq: int) -> Any:
    """A location of an app."""
    return {"_type": "location", "tst": ms // 1000, "lat": lat, "lon": LON, "vel": 80, "cog": 71, "acc": 4, "t": "u", "tid": "T7"}


def traccar(ms: int, lat: float, _seq: int) -> Any:
    """A forwarded position, with what a server adds."""
    time = text_of(ms, "+00:00")
    position = {"id": 0, "protocol": "teltonika", "serverTime": time, "deviceTime": time, "fixTime": time, "outdated": False}
    position |= {
        "valid": True,
        "latitude": lat,
        "longitude": LON,
        "altitude": 90.0,
        "speed": 43.5,
        "course": 71.0,
        "accuracy": 0.0,
    }
    position |= {"address": None, "network": None, "attributes": {"ignition": True, "sat": 12, "distance": 20.5, "motion": True}}
    return {"position": position, "device": {"id": 7, "name": "Truck 7", "uniqueId": "860000000000007", "status": "online"}}


def flespi(ms: int, lat: float, _seq: int) -> Any:
    """A message of a channel."""
    body = {"ident": "860000000000007", "timestamp": ms / 1000, "server.timestamp": ms / 1000 + 1, "position.latitude": lat}
    body |= {"position.longitude": LON, "position.speed": 80, "position.direction": 71, "position.valid": True}
    return body | {"position.satellites": 12, "engine.ignition.status": True, "battery.voltage": 4.1, "gsm.signal.level": 80}


def teltonika(ms: int, lat: float, _seq: int) -> Any:
    """A record of a tracker."""
    reported = {"ts": ms, "pr": 0, "latlng": f"{lat:.6f},{LON}", "alt": 90, "ang": 71, "sat": 12, "sp": 80, "evt": 0}
    return {"state": {"reported": reported | {"239": 1, "240": 1, "21": 5, "66": 13_800, "69": 1}}}


def thingsboard(ms: int, lat: float, _seq: int) -> Any:
    """Telemetry of a device."""
    return {"ts": ms, "values": {"latitude": lat, "longitude": LON, "speed": 80, "heading": 71, "ignition": True, "fuel": 61}}


FORMS: dict[str, Callable[[int, float, int], Any]] = {
    "native": native,
    "owntracks": owntracks,
    "traccar": traccar,
    "flespi": flespi,
    "teltonika": teltonika,
    "thingsboard": thingsboard,
}


def messages(in_one: int, form: str = "native") -> list[Message]:
    """The fixes of a fleet in one form, some of them in each message."""
    out = []
    for number in range(FIXES // in_one):
        vehicle = f"truck-{number % VEHICLES}"
        ticks = range(number * in_one, (number + 1) * in_one)
        said = [FORMS[form](FIRST + tick * 250 + 123, round(43.65 + tick * 1e-6, 6), tick + 1) for tick in ticks]
        payload = json.dumps(said[0] if in_one == 1 else said, separators=(",", ":")).encode()
        out.append(Message("acme", vehicle, f"telematics/v1/acme/{vehicle}/fix", payload, "" if form == "native" else form))
    return out


def parse(batch: Sequence[Message]) -> None:
    """The JSON alone, into dictionaries that nobody reads."""
    for message in batch:
        json.loads(message.payload)


def main() -> None:
    """Measure and print."""
    rows = []
    ingest = Ingest(feed={"thingsboard": Feed(format="thingsboard", speed_unit="kmh")})
    feeds = Feeds(ingest.feed)
    for form in FORMS:
        for in_one in (1, 100):
            batch, fleet = messages(in_one, form), Fleet()
            taken = decode(batch, NOW, fleet, ingest, {}, feeds)
            if taken.rejects or len(taken.fixes) != FIXES:
                raise SystemExit(f"{form}: {len(taken.fixes)} of {FIXES} fixes were taken: {taken.rejects[:1]}")
            work: dict[str, Callable[[], object]] = {
                "decode": partial(decode, batch, NOW, fleet, ingest, {}, feeds),
                "json": partial(parse, batch),
            }
            best = best_of(TURNS, work)
            micro = [best["decode"] / FIXES * 1e6, best["json"] / FIXES * 1e6]
            rows.append([form, in_one, *micro, best["decode"] / best["json"]])
    heads = ["form", "fixes a message", "decode us/fix", "json.loads us/fix", "ratio"]
    show(f"decoding {FIXES:,} fixes of {VEHICLES} vehicles into columns, best of {TURNS}", heads, rows)


if __name__ == "__main__":
    main()
