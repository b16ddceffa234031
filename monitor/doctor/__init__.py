"""The doctor: looks at everything that a monitor needs, changes nothing, and says what to do.

Every check is a function of an installation that gives lines; `CHECKS` is all of them, in the order they are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from monitor.doctor import machine, people, services, stored
from monitor.doctor.lines import Installation, Line

CHECKS: tuple[Callable[[Installation], Iterator[Line]], ...] = (
    machine.clock,
    machine.zone,
    machine.open_files,
    machine.folders,
    machine.secrets,
    stored.database,
    services.ports,
    services.certificates,
    services.exposure,
    services.others,
    people.contacts,
    people.policies,
    people.health,
)


def examine(installation: Installation) -> Iterator[Line]:
    """Make every check."""
    for check in CHECKS:
        yield from check(installation)
