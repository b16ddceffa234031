"""The archive's folder: files come into it whole, outlive the machine's end, and are changed by one program at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.errors import StoreError
from monitor.store.archive_file import Rows, content_hash, read_rows

UNFINISHED = ".new"
"""How the name of a file ends that is being written."""


def unobserved(_step: str) -> None:
    """Nobody wants to know."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """See to it that one program at a time moves fixes into a folder, or takes files from it; make it if need be.

    Raises
    ------
    StoreError
        If another program does, or the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder}: the folder of the archive cannot be used: {error.strerror}; store.archive names it"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"{folder}: another program moves fixes into this archive; try again when it is done") from None
        yield


def write(file: Path, contents: bytes, reached: Callable[[str], None] = unobserved) -> None:
    """Write a file whole or not at all, so that it outlives the machine's end.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    beside = file.with_suffix(UNFINISHED)
    try:
        _make(file.parent)
        try:
            with beside.open("wb") as out:
                out.write(contents)
                out.flush()
                os.fsync(out.fileno())
            reached("written")
            beside.replace(file)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        _flush(file.parent)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror or error}; nothing left the database") from None
    reached("renamed")


def verified(file: Path, carrier: str, fixes: int, content: str) -> Rows:
    """The rows of a file, which are as many as was said and have the hash that was said.

    Raises
    ------
    StoreError
        If they are not, or the file cannot be read.
    """
    rows = read_rows(file, carrier)
    if (len(rows), content_hash(carrier, rows)) != (fixes, content):
        said = f"{len(rows):,} fixes where there were {fixes:,}" if len(rows) != fixes else "other fixes than there were"
        raise StoreError(f"{file}: does not hold what was archived: {said}; put it back from a copy")
    return rows


def files(folder: Path, below: str = "fixes") -> list[str]:
    """The finished files below a part of the folder, named as the database lists them, in order."""
    return sorted(str(file.relative_to(folder)) for file in (folder / below).rglob("*.parquet"))


def remove(file: Path) -> None:
    """Take a file away, and the folders that this leaves empty; one that is gone already is.

    Raises
    ------
    StoreError
        If it cannot be removed.
    """
    try:
        file.unlink(missing_ok=True)
        for folder in (file.parent, file.parent.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise StoreError(f"{file}: cannot be removed: {error.strerror}") from None


def _make(folder: Path) -> None:
    """Make a folder and those above it, each flushed into the one that holds it; what an interrupted run left unfinished goes."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        _flush(made.parent)
    for left in folder.glob(f"*{UNFINISHED}"):
        left.unlink()


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
