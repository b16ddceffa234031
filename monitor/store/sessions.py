"""Sessions on a PostgreSQL server: how they are opened, what is said to them first, and what their faults mean.

Every session of one process names itself by the process, its machine and a token of its own, so that a session that was lost on the way
is known for ours by the next one, and ended: it may still hold the write lock.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from typing import Any

import psycopg
from psycopg.types.string import StrDumperUnknown
from sqlalchemy.exc import DBAPIError

LOCKS = 1_836_018_281
"""The first half of our advisory locks' keys; the second says which."""
WRITE, HOLD = 1, 2
OLDEST = 130000
"""The oldest server that is served, as it numbers itself."""

LOST = ("08", "57P01", "57P02", "57P03")
"""The states (their beginnings) in which the server is out of reach, not the statement wrong."""
STATES = {
    "55P03": "another program has held it locked for {patience}: end that program, or raise store.busy_timeout",
    "25006": "may not be written: the server only serves readers",
    "42501": "may not be used by this user: {said}",
    "53100": "the disk of the server is full",
    "53300": "the server has no connection left for us: {said}",
    "58030": "the disk of the server fails to read or write",
    "XX001": "is damaged; restore it from a backup",
    "XX002": "is damaged; restore it from a backup",
}
"""What the server's states mean to a person."""
REFUSALS = {
    "does not exist": "{said}; it must be made first (docs/store.md)",
    "password": "{said}; see store.url and store.password_file",
    "no pg_hba.conf entry": "{said}",
}
"""What a refused connection means to a person; the server gives no state with it."""
OUT_OF_REACH = "the server is out of reach: {said}"

HOLDER = """
SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = %s AND l.objid::bigint = %s
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
END_LOST = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.application_name = %s AND a.pid <> pg_backend_pid()
AND a.usename = current_user AND a.datname = current_database()
"""
SETTINGS = """
SELECT set_config('application_name', %s, false), set_config('lock_timeout', %s, false), set_config('jit', 'off', false),
set_config('TimeZone', 'UTC', false), set_config('client_min_messages', 'warning', false)
"""
KEEPALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A server that vanished is noticed within half a minute."""


class SpelledOut(StrDumperUnknown):
    """Text as the server can take it: what UTF-8 cannot carry, and NUL, are spelled out. Nothing a device sends may stop the writing."""

    def dump(self, obj: str) -> Any:
        """The bytes of a text."""
        try:
            return super().dump(obj.replace("\x00", "\\x00") if "\x00" in obj else obj)
        except UnicodeEncodeError:
            return super().dump(obj.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00"))


def own_name() -> str:
    """What the sessions of one store of this process are called."""
    return f"monitor {os.getpid()}@{socket.gethostname()[:32]} {secrets.token_hex(4)}"


def process_of(name: str) -> int | None:
    """The process of this machine that a session's name speaks of; None for one of elsewhere."""
    match = re.fullmatch(r"monitor (\d+)@(\S+) \w+(?: writing)?", name)
    return int(match[1]) if match and match[2] == socket.gethostname()[:32] else None


def greet(session: psycopg.Connection[Any], name: str, lock_timeout_ms: int) -> None:
    """Say what holds for the whole session; it is left outside of any transaction, and commits by itself until told otherwise."""
    session.autocommit = True
    session.adapters.register_dumper(str, SpelledOut)
    session.execute(SETTINGS, (name, str(lock_timeout_ms)))


def risks(session: psycopg.Connection[Any]) -> list[str]:
    """What about the server puts at risk what was acknowledged. Commits wait for the disk in this session, whatever its default."""
    told = []
    shown = {name: session.execute(f"SHOW {name}").fetchone() for name in ("fsync", "full_page_writes", "synchronous_commit")}
    if shown["fsync"] == ("off",):
        told.append("the server does not wait for its disk (fsync = off): a power cut loses what was acknowledged")
    if shown["full_page_writes"] == ("off",):
        told.append("full_page_writes is off on the server: a power cut can damage the database")
    if shown["synchronous_commit"] == ("off",):
        session.execute("SET synchronous_commit = on")
        told.append("synchronous_commit is off on the server; the monitor switches it on for what it writes")
    return told


def state_of(error: BaseException | None) -> str:
    """The server's five letters for what went wrong; empty where it gave none."""
    return (error.sqlstate or "") if isinstance(error, psycopg.Error) else ""


def meaning(error: DBAPIError, patience: str) -> str:
    """What a fault means to a person, in one line."""
    first = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
    said = first.removeprefix("connection failed: ").removesuffix(".")
    state = state_of(error.orig)
    if state in STATES:
        text = STATES[state]
    elif "connection" in said and (found := next((text for word, text in REFUSALS.items() if word in said), None)):
        text = found
    elif (
        error.connection_invalidated or state.startswith(LOST) or (not state and isinstance(error.orig, psycopg.OperationalError))
    ):
        text = OUT_OF_REACH
    else:
        text = "{said}"
    return text.format(said=said, patience=patience)
