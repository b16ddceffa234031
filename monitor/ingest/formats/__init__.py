"""The payload formats, by name. A new one is a module beside these and a line here.

Each module states its form and its source, and has `NAME` and `read(payload)`, which gives the fixes of a payload in our own form
and, for each that is wrong, the reason.
"""

from __future__ import annotations

from typing import Protocol

from monitor.ingest.formats import native


class Format(Protocol):
    """What a format's module has."""

    NAME: str

    def read(self, payload: bytes) -> list[native.Fix | str]:
        """Read one payload; bad bytes are reasons, never exceptions."""
        ...


FORMATS: dict[str, Format] = {native.NAME: native}
