"""Payloads that nobody meant: however many come, nothing breaks, nothing leaks, and each is fixes, rejects, or legally nothing.

`MONITOR_FUZZ_PAYLOADS` says how many; a million is for the torture, some thousands are for every day.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.fixes import Fleet, VehicleId
from monitor.ingest.decode import LARGEST_BYTES, Decoded, decode
from monitor.ingest.delivery import Message
from monitor.ingest.feeds import Feeds
from monitor.ingest.formats import FORMATS
from monitor.settings import Ingest

COUNT = int(os.environ.get("MONITOR_FUZZ_PAYLOADS", "6000"))
BATCH = 500
NOW = 1_772_352_000_000
GOLDEN = sorted((Path(__file__).parent.parent / "contract/formats").glob("*/*.json"))
WHOLE = [(file.parent.name, json.loads(file.read_text(encoding="utf-8"))["payload"].encode()) for file in GOLDEN]
BOMB = gzip.compress(bytes(17 * LARGEST_BYTES))
PIECES = [
    b"",
    b"\x00",
    b"\xff",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"1e999",
    b"-",
    b"9" * 40,
    b"NaN",
    b"\x1f\x8b",
    b"[" * 2000,
]
INGEST = Ingest()
FEEDS = Feeds({})
DEVICES = {("north", "860000000000001"): "T-1", ("north", "Truck 7"): "T-2"}


def mutated(drawn: random.Random, payload: bytes) -> bytes:
    """A payload with a few pieces replaced, cut, doubled or packed."""
    for _ in range(drawn.choice([0, 1, 1, 2, 5])):
        at, length = drawn.randrange(len(payload) + 1), drawn.randrange(9)
        piece = drawn.choice(PIECES) if drawn.random() < 0.6 else drawn.randbytes(drawn.randrange(6))
        payload = payload[:at] + piece + payload[at + length :]
    fate = drawn.random()
    if fate < 0.03:
        return gzip.compress(payload, 1)
    if fate < 0.04:
        return gzip.compress(payload, 1)[: drawn.randrange(40)]
    if fate < 0.06:
        return b"[" + b",".join([payload] * drawn.randrange(1, 5)) + b"]"
    return BOMB if fate > 0.999 else payload


def messages(count: int, seed: int) -> Iterator[list[Message]]:
    """Batches of messages of all forms, from topics that name a vehicle, a device or nobody."""
    drawn = random.Random(seed)
    for _ in range(0, count, BATCH):
        batch = []
        for _ in range(BATCH):
            form, payload = drawn.choice(WHOLE)
            feed = drawn.choice([form, form, form, *FORMATS, "gone"])
            vehicle, device = drawn.choice([("T-1", ""), ("T-1", ""), ("", ""), ("", "Truck 7"), ("T-1", "Truck 7"), ("", "x")])
            batch.append(
                Message("north", vehicle, f"t/{form}", mutated(drawn, payload), "" if feed == "native" else feed, device)
            )
        yield batch


def read(batch: list[Message], fleet: Fleet) -> Decoded:
    """What a batch holds."""
    return decode(batch, NOW, fleet, INGEST, DEVICES, FEEDS)


def told(decoded: Decoded, fleet: Fleet) -> set[tuple[VehicleId, int, int]]:
    """Which fixes they are, whoever counts the vehicles."""
    times = decoded.fixes.time.view(np.int64).tolist()
    return {
        (fleet.ids[code], ms, digest)
        for code, ms, digest in zip(decoded.fixes.vehicle.tolist(), times, decoded.fixes.digest.tolist(), strict=True)
    }


def test_a_batch_is_what_its_messages_are_alone() -> None:
    """Nobody's payload changes what another's is read as, nor whose it is; every reject is counted."""
    for batch in messages(min(COUNT, 3000), seed=4):
        fleet = Fleet()
        together, apart = read(batch, fleet), [read([message], fleet) for message in batch]
        assert together.rejects == [reject for one in apart for reject in one.rejects]
        assert told(together, fleet) == {fix for one in apart for fix in told(one, fleet)}
        assert sorted(together.numbered) == sorted(numbered for one in apart for numbered in one.numbered)
        assert set(together.findings) == {finding for one in apart for finding in one.findings}
        assert all(one.rejects or len(one.fixes) or harmless(message) for one, message in zip(apart, batch, strict=True))


def harmless(message: Message) -> bool:
    """Whether a message without fixes and rejects is of a form in which that is legal."""
    return (
        message.feed in ("owntracks", "traccar", "teltonika", "thingsboard")
        or b"[" in message.payload
        or message.payload[:2] == b"\x1f\x8b"
    )


def test_no_payload_breaks_the_decoder_and_none_leaks() -> None:
    """The memory afterwards is that of before."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not say how much memory a process holds")
    fleet = Fleet()
    for batch in messages(COUNT // 2, seed=1):
        read(batch, fleet)
    gc.collect()
    before = resident()
    for batch in messages(COUNT, seed=2):
        read(batch, fleet)
    gc.collect()
    assert resident() - before < 24 * 2**20


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
