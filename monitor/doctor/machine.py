"""Checks of the machine: its clock, its zones, how many files may be open, room and rights on its disks."""

from __future__ import annotations

import importlib.metadata
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

from monitor.doctor.lines import Installation, Line, fail, ok, warn
from monitor.settings import Settings
from monitor.store.store import file_of
from monitor.watchkeeping import LEAST_FREE_BYTES

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""No machine that runs this release lives before it."""
SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
OTHER_FILES = 500
"""Open files beside those of connections."""
COMFORTABLE = 4
"""So many times the least room that there must be is no reason to worry."""
MB = 2**20


def clock(installation: Installation) -> Iterator[Line]:
    """The clock is of this age, and somebody keeps it."""
    now = datetime.fromtimestamp(installation.now / 1000, UTC)
    told = now.strftime("%Y-%m-%d %H:%M:%S UTC")
    if now < EARLIEST:
        yield fail("clock", f"{told}, which is past", "set the clock, and have it synchronized")
    elif SYNCHRONIZED.parent.is_dir() and not SYNCHRONIZED.exists():
        yield warn("clock", f"{told}, not synchronized yet", "look at timedatectl; positions are judged by this clock")
    else:
        yield ok("clock", told)


def zone(installation: Installation) -> Iterator[Line]:
    """The time zone is known, by data of some edition."""
    name = installation.configuration.settings.timezone
    here = datetime.fromtimestamp(installation.now / 1000, ZoneInfo(name))
    source = next((path for path in TZPATH if Path(path, name).is_file()), None)
    yield ok(
        "time zone", f"{name}, now {here:%H:%M} {here.tzname()}, by {source or 'tzdata ' + importlib.metadata.version('tzdata')}"
    )


def open_files(installation: Installation) -> Iterator[Line]:
    """There may be as many open files as there may be connections."""
    settings = installation.configuration.settings
    needed = OTHER_FILES + (settings.ingest.listener.max_connections if settings.ingest.source != "broker" else 0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most not in (resource.RLIM_INFINITY, -1) and most < needed:
        advice = "raise LimitNOFILE of the unit (or `ulimit -Hn`), or lower ingest.listener.max_connections"
        yield warn("open files", f"at most {most}; {needed} are needed for every connection that is allowed", advice)
    else:
        yield ok("open files", f"at most {'any number' if most < 0 else most}")


def folders(installation: Installation) -> Iterator[Line]:
    """There is room, and the right to write, wherever the monitor writes."""
    for key, folder in _written(installation.configuration.settings):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield fail(key, f"{there} may not be written", f"give this user the right to write there, or set {key}")
            continue
        free = shutil.disk_usage(there).free
        found = f"{free // MB} MB are free in {folder}"
        if free < LEAST_FREE_BYTES:
            yield fail(key, found, f"make room: {LEAST_FREE_BYTES // MB} MB are needed")
        elif free < COMFORTABLE * LEAST_FREE_BYTES:
            yield warn(key, found, "make room soon")
        else:
            yield ok(key, found)


def secrets(installation: Installation) -> Iterator[Line]:
    """Files with secrets can be read, by nobody else."""
    settings = installation.configuration.settings
    database = file_of(settings.store.url)
    kept = [(key, Path(name)) for key, name in _named(settings) if name]
    if database is not None and database.exists():
        kept.append(("store.url", database))
    for key, file in kept:
        if not file.is_file() or not os.access(file, os.R_OK):
            yield fail(key, f"{file} cannot be read", "put the file there, readable for the user that runs the monitor")
        elif stat.S_IMODE(file.stat().st_mode) & 0o077:
            mode = stat.S_IMODE(file.stat().st_mode)
            yield warn(key, f"{file} is open to others (mode {mode:o})", f"chmod 600 {file}")
        else:
            yield ok(key, f"{file} is for its owner alone")


def _written(settings: Settings) -> Iterator[tuple[str, Path]]:
    database = file_of(settings.store.url)
    if database is not None:
        yield "store.url", database.absolute().parent
    if settings.store.archive:
        yield "store.archive", Path(settings.store.archive).absolute()
    if settings.alerts.notice_log:
        yield "alerts.notice_log", Path(settings.alerts.notice_log).absolute().parent


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    """The settings that name a file with a secret."""
    yield "store.password_file", settings.store.password_file
    yield "alerts.smtp.password_file", settings.alerts.smtp.password_file
    if settings.ingest.source != "listener":
        yield "ingest.broker.password_file", settings.ingest.broker.password_file
        yield "ingest.broker.key", settings.ingest.broker.key
    if settings.ingest.source != "broker":
        yield "ingest.listener.tls_key", settings.ingest.listener.tls_key
    if settings.web.enabled:
        yield "web.tls_key", settings.web.tls_key
        yield "web.token_file", settings.web.token_file
