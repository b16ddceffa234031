"""The core's own tests once more without the compiler: what the kernels say as plain Python is what they say compiled.

This is how branch coverage and mutation testing reach the kernels (`docs/mutation.md`). Numbers that overflow or are divided by zero
in silence when compiled are warnings of numpy here, and errors.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = (
    "geodesy", "atlas", "order", "motion", "progress", "episodes", "visits", "hours", "trips", "separation", "pipeline", "memory",
    "reconcile", "core_edges",
)  # fmt: skip
AGREEMENT = "tests/contract/test_detectors.py::test_it_says_what_the_definitions_say"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_core_says_the_same_without_the_compiler() -> None:
    tests = [*(f"tests/test_{name}.py" for name in CORE), "tests/detectors", AGREEMENT]
    strict = ("-W", "error::RuntimeWarning", "-W", "ignore:invalid value encountered in line:RuntimeWarning")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--timeout=120", *strict, *tests],
        cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "1", "MONITOR_TESTS": "quick"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-1000:]
