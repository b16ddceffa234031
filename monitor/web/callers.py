"""Who calls: a credential of a carrier or of one of its vehicles, by `Authorization: Basic` or `Bearer`.

Basic takes what the MQTT listener takes: the user name CARRIER or CARRIER/VEHICLE, and the token or password. Bearer takes the token
alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple

from monitor.fixes import Identity
from monitor.web.problem import Problem, unauthorized

WANTED = "allowed are Basic with CARRIER or CARRIER/VEHICLE and its token, or Bearer with the token"


class Credentials(NamedTuple):
    """How callers are known; both may take a while, and raise MonitorError where they cannot tell."""

    basic: Callable[[str, bytes], Identity | None]
    bearer: Callable[[str], Identity | None]


def caller(header: str | None, credentials: Credentials) -> Identity | Problem:
    """Who an Authorization header says that it is; a Problem, always 401, where it is nobody."""
    if not header:
        return unauthorized(f"there is no Authorization header; {WANTED}")
    scheme, _, said = header.partition(" ")
    known: Identity | None = None
    if scheme.lower() == "bearer":
        known = credentials.bearer(said.strip())
    elif scheme.lower() == "basic":
        pair = _pair(said.strip())
        if pair is None:
            return unauthorized("Authorization: Basic is not base64 of USER:PASSWORD in UTF-8")
        known = credentials.basic(*pair)
    else:
        return unauthorized(f"Authorization by an unknown scheme; {WANTED}")
    return known or unauthorized("unknown user name or wrong secret")


def _pair(said: str) -> tuple[str, bytes] | None:
    try:
        user, colon, password = base64.b64decode(said, validate=True).partition(b":")
        return (user.decode("utf-8"), password) if colon else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
