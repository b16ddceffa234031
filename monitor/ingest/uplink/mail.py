"""What is to be published: for each topic and subject the newest alone, because it says all that an older one said."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import NamedTuple

MOST = 200_000
"""Letters that wait; beyond it the oldest is dropped: whoever it was for is told again at the next occasion."""


class Letter(NamedTuple):
    """A message to be published with QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


class Mail:
    """Letters by key, in the order in which their keys were first posted; any thread may use it."""

    def __init__(self) -> None:
        self._letters: dict[Hashable, Letter] = {}
        self._lock = threading.Lock()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._letters)

    def post(self, key: Hashable, letter: Letter) -> None:
        """Post a letter in place of one that waits under the same key."""
        with self._lock:
            self._letters[key] = letter
            if len(self._letters) > MOST:
                del self._letters[next(iter(self._letters))]
                self.dropped += 1

    def next(self) -> tuple[Hashable, Letter] | None:
        """Take out the one that has waited longest; None where none does."""
        with self._lock:
            if not self._letters:
                return None
            key = next(iter(self._letters))
            return key, self._letters.pop(key)

    def returned(self, key: Hashable, letter: Letter) -> None:
        """Put back one that did not arrive, unless there is a newer one."""
        with self._lock:
            self._letters.setdefault(key, letter)
