"""What a check is given, and what it says."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from monitor.configuration import Configuration


class State(StrEnum):
    """How it is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Line(NamedTuple):
    """One thing that was looked at."""

    state: State
    what: str
    found: str
    advice: str = ""
    """What to do; empty where nothing is."""

    def __str__(self) -> str:
        return f"{self.state:<4}  {self.what}: {self.found}" + (f"; {self.advice}" if self.advice else "")


class Installation(NamedTuple):
    """A monitor as it is configured."""

    configuration: Configuration
    now: int
    """ms."""


def ok(what: str, found: str) -> Line:
    """Nothing to do."""
    return Line(State.OK, what, found)


def warn(what: str, found: str, advice: str) -> Line:
    """It runs, but not as it should."""
    return Line(State.WARN, what, found, advice)


def fail(what: str, found: str, advice: str) -> Line:
    """It does not run like this."""
    return Line(State.FAIL, what, found, advice)
