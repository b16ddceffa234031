"""How the benchmarks time and print: the best of several turns, in which all contestants take part one after the other."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence


def machine() -> str:
    """The cores this process may use and how busy they are: figures from a busy machine are low ones."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def best_of(turns: int, contestants: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest of several turns of each; they alternate, so that other work on the machine meets all alike."""
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(turns):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - begun)
    return best


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one table, with the machine it was measured on."""
    cells = [list(heads), *([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    print(f"{title}\n{machine()}")
    for row in cells:
        print(
            "  "
            + "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    print(flush=True)
