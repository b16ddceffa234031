"""Decoding a message into columns, digest included, costs a few microseconds; beside it `json.loads` of the same payloads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from benchmarks.table import best_of, show
from monitor.fixes import Fleet
from monitor.ingest.decode import decode
from monitor.ingest.delivery import Message
from monitor.settings import Ingest

MESSAGES, VEHICLES, TURNS = 20_000, 500, 9
NOW = 1_772_352_000_000
PAYLOAD = (
    '{{"time":"2026-03-01T06:{minute:02d}:{second:02d}.123Z","lat":{lat:.6f},"lon":-79.381234,"speed_mps":22.4,'
    '"heading_deg":71,"accuracy_m":4,"ignition":true,"boot":"a7","seq":{seq}}}'
)


def messages(in_one: int) -> list[Message]:
    """The fixes of a fleet, some of them in each message."""
    out = []
    for number in range(MESSAGES // in_one):
        vehicle = f"truck-{number % VEHICLES}"
        ticks = range(number * in_one, (number + 1) * in_one)
        texts = [PAYLOAD.format(minute=k // 60 % 60, second=k % 60, lat=43.65 + k * 1e-6, seq=k) for k in ticks]
        body = texts[0] if in_one == 1 else f"[{','.join(texts)}]"
        out.append(Message("acme", vehicle, f"telematics/v1/acme/{vehicle}/fix", body.encode()))
    return out


def parse(batch: Sequence[Message]) -> None:
    """The JSON alone, into dictionaries that nobody reads."""
    for message in batch:
        json.loads(message.payload)


def main() -> None:
    """Measure and print."""
    rows = []
    for in_one in (1, 100):
        batch, fleet = messages(in_one), Fleet()
        taken = decode(batch, NOW, fleet, Ingest())
        if taken.rejects:
            raise SystemExit(f"a payload was refused: {taken.rejects[0].reason}")
        best = best_of(TURNS, {"decode": partial(decode, batch, NOW, fleet, Ingest()), "json": partial(parse, batch)})
        rows.append([in_one, best["decode"] / MESSAGES * 1e6, best["json"] / MESSAGES * 1e6, best["decode"] / best["json"]])
    heads = ["fixes a message", "decode us/fix", "json.loads us/fix", "ratio"]
    show(f"decoding {MESSAGES:,} fixes of {VEHICLES} vehicles into columns, best of {TURNS}", heads, rows)


if __name__ == "__main__":
    main()
