"""Scalar loops over arrays, compiled: the one door to numba.

A kernel is an ordinary function of arrays and numbers that reads like the rule it carries out; `NUMBA_DISABLE_JIT=1` runs it as
plain Python. Compiled code is cached beside the source; where that is not writable it is compiled anew in each process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function at its first call for the types it is then given."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder that it may write its cache to
        return numba.njit(nogil=True, error_model="numpy")(function)
