"""How commands speak: results to the standard output, everything else to the error stream."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def say(*lines: str) -> None:
    """Write lines to the error stream."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def show(*lines: str) -> None:
    """Write lines to the standard output."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


@contextmanager
def progress_bar(words: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def typed_command() -> str:
    """Say what to type to run the program again: `monitor` where that finds it, else the path it was started by."""
    started = Path(sys.argv[0])
    found = shutil.which("monitor")
    if started.name != "monitor" or (found and Path(found).resolve() == started.resolve()):
        return "monitor"
    here = Path.cwd()
    return str(started.resolve().relative_to(here) if started.resolve().is_relative_to(here) else started)
