"""The journal: one ordered record in which a later edit shows.

Every entry carries the hash of the one before it. Its own hash is SHA-256 over seq, at, actor, kind, body and previous, each
written as its length in bytes, a colon, and its UTF-8 text, so that no two entries share a text. The first entry's `previous` is
64 zeros. The head (seq and hash of the newest entry) is a row of its own that every writer locks: seq is the order of commits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from monitor.store.codec import encodable
from monitor.store.schema import journal, journal_head

if TYPE_CHECKING:
    from monitor.store.store import Store
    from monitor.store.transaction import Transaction

BEGINNING = "0" * 64
"""What stands for the hash before the first entry."""


HEAD = "SELECT seq, hash FROM journal_head"
INSERT = "INSERT INTO journal (seq, at, actor, kind, body, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"
MOVE_HEAD = "UPDATE journal_head SET seq = ?, hash = ?"
"""The writer holds the database's one write lock: nobody moves the head between the three."""


def canonical(body: Mapping[str, Any]) -> str:
    """The one JSON text of a body: sorted keys, no spaces.

    Raises
    ------
    ValueError
        If a number is not finite: JSON cannot say it.
    """
    return encodable(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def entry_hash(seq: int, at: int, actor: str, kind: str, body: str, previous: str) -> str:
    """The hash of one entry, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    for part in (str(seq), str(at), actor, kind, body, previous):
        text = part.encode()
        digest.update(b"%d:" % len(text) + text)
    return digest.hexdigest()


class Told(NamedTuple):
    """What an entry says: who, what kind of thing, and the thing itself."""

    actor: str
    kind: str
    body: Mapping[str, Any]


def append(transaction: Transaction, told: Sequence[Told], at: int) -> int:
    """Add entries after the head, inside the caller's transaction; returns the seq of the last."""
    seq, previous = transaction.run(HEAD).one()
    rows = []
    for item in told:
        actor, kind, body = encodable(item.actor), encodable(item.kind), canonical(item.body)
        seq += 1
        own = entry_hash(seq, at, actor, kind, body, previous)
        rows.append((seq, at, actor, kind, body, previous, own))
        previous = own
    if rows:
        transaction.run(INSERT, rows)
        transaction.run(MOVE_HEAD, (seq, previous))
    return int(seq)


def verify(store: Store) -> int | None:
    """The seq of the first entry that is missing, added, moved or edited; None if the chain holds up to its head."""
    with store.read() as transaction:
        connection = transaction.connection
        head = connection.execute(select(journal_head.c.seq, journal_head.c.hash)).one_or_none()
        expected, previous = 1, BEGINNING
        every = select(journal).order_by(journal.c.seq).execution_options(yield_per=1000)
        for row in connection.execute(every):
            own = entry_hash(expected, row.at, str(row.actor), str(row.kind), str(row.body), previous)
            if (row.seq, row.previous, row.hash) != (expected, previous, own):
                return expected
            expected, previous = expected + 1, row.hash
    if head is None or (head.seq, head.hash) != (expected - 1, previous):
        return expected if head is None or head.seq >= expected - 1 else int(head.seq) + 1
    return None
