"""Measure the monitor and its peers, and write the page: `python -m benchmarks.accuracy [--data FOLDER] [--out FILE]`.

The peers are optional (`pip install --editable ".[peers]"`); what cannot be imported is named on the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.accuracy import peers, rules
from benchmarks.accuracy.contest import contest
from benchmarks.accuracy.page import Measured, aim_lines, all_aims, page


def main() -> None:
    """Measure, write the page, and print what was aimed at."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the real tracks")
    parser.add_argument("--out", type=Path, default=Path("docs/accuracy.md"), help="the page to write")
    asked = parser.parse_args()
    libraries, said = peers.installed()
    finders = {**libraries, "Traccar rule": rules.traccar}
    measured = Measured.now(contest(finders), finders, asked.data)
    asked.out.write_text(page(measured, said), encoding="utf-8")
    for name, version in said.items():
        print(f"{name}: {version}")
    print("\n".join(aim_lines(all_aims(measured))))
    print(f"wrote {asked.out}")


if __name__ == "__main__":
    main()
