"""The commands that keep the database safe: backup and restore."""

from __future__ import annotations

import argparse
from pathlib import Path

from monitor.clock import clock_beside
from monitor.commands.speaking import progress_bar, show
from monitor.configuration import SETTINGS
from monitor.errors import InputError
from monitor.settings import load_settings
from monitor.store import backup
from monitor.store.store import file_of


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands and what they take."""
    words = "copy the database into one verified file, while the monitor runs"
    copy = commands.add_parser("backup", help=words, description=words)
    copy.set_defaults(run=back_up)
    copy.add_argument("file", type=Path, metavar="FILE", help="where the copy goes; there must be none yet")
    _configured(copy)

    words = "verify a copy of the database and put it in its place, while no monitor runs"
    back = commands.add_parser("restore", help=words, description=words)
    back.set_defaults(run=restore)
    back.add_argument("file", type=Path, metavar="FILE", help="a copy that `monitor backup` made")
    back.add_argument("--replace", action="store_true", help="move the database that stands there aside")
    back.add_argument("--by", required=True, metavar="NAME", help="who says so")
    _configured(back)


def back_up(options: argparse.Namespace) -> None:
    """Copy the database."""
    file = _file(options, 'pg_dump --format=custom --file=FILE "URL"')
    with progress_bar("copying") as progress:
        entries = backup.back_up(file, options.file, progress)
    show(f"{options.file}: {options.file.stat().st_size} bytes; whole, its journal verifies, {entries} entries")


def restore(options: argparse.Namespace) -> None:
    """Put a copy in the place of the database."""
    file = _file(options, 'pg_restore --exit-on-error --single-transaction --dbname="URL" FILE')
    now = clock_beside(file)()
    with progress_bar("copying back") as progress:
        aside = backup.restore(options.file, file, options.by, now, progress, replace=options.replace)
    show(f"{file}: is what {options.file} holds", *([f"{aside}: what stood there before"] if aside else []))


def _file(options: argparse.Namespace, instead: str) -> Path:
    """The file of the database; for one on a server, what to use instead."""
    url = load_settings(options.config / SETTINGS, options.set).store.url
    file = file_of(url)
    if file is None:
        raise InputError(f"the database is on a server: use {instead} (docs/store.md)")
    return file


def _configured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml; may be repeated"
    )
