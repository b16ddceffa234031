"""The exceptions of the monitor, as a tree. Bad data is not here: it is a value with a reason (`fixes.Reject`).

MonitorError                  anything a user can act on; the command line prints its text in one line and exits 2
├── ConfigurationError        a setting, place, route, trip, contact or policy is wrong: names file, key or feature, value, what is allowed
├── InputError                a file given to a command cannot be used
├── StoreError                the database cannot be opened, is of another version, or was edited
└── ServiceError              a port is taken, a folder is not writable, a broker refuses us
"""

from __future__ import annotations


class MonitorError(Exception):
    """A failure that a person can act on; its text says what, where, and what is allowed."""


class ConfigurationError(MonitorError):
    """One or several faults in what the monitor was told; `faults` holds one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class InputError(MonitorError):
    """A file or an argument given to a command cannot be used."""


class StoreError(MonitorError):
    """The database cannot be opened, is of another version, or its journal does not verify."""


class ArchiveError(StoreError):
    """A file of the archive is missing or cannot be read; the database itself is in order."""


class ServiceError(MonitorError):
    """Something outside the program is in the way: a port in use, a folder not writable, a broker that refuses."""
