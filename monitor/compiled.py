"""Scalar loops over arrays, compiled: the one door to numba.

A kernel is an ordinary function of arrays and numbers that reads like the rule it carries out; `NUMBA_DISABLE_JIT=1` runs it as
plain Python. Compiled code is cached beside the source; where that is not writable it is compiled anew in each process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
import numpy.typing as npt

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function at its first call for the types it is then given."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder that it may write its cache to
        return numba.njit(nogil=True, error_model="numpy")(function)


def advance(state: npt.NDArray[np.void], loop: Callable[..., R], *columns: Any) -> R:
    """Run a kernel over what is remembered of R vehicles, `state` (R,) of a structured type, which is advanced in place.

    The kernel is given the fields as one tuple of contiguous columns, so that one compiled loop serves one vehicle and many.
    """
    names = state.dtype.names or ()
    memory = tuple(np.array(state[name]) for name in names)
    found = loop(memory, *columns)
    for name, column in zip(names, memory, strict=True):
        state[name] = column
    return found
