"""The part of numba that the project uses, typed (numba ships no annotations)."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

def njit(*, cache: bool = ..., nogil: bool = ..., error_model: str = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
