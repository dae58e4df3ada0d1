"""How every CPU kernel is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., object])

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]


def kernel(function: Function) -> Function:
    """Compile to machine code that runs without the GIL, and keep that on disk.

    Multiplications may be fused, but sums are never reassociated: a sum of nothing must stay
    exactly zero, or pixels in focus would change.
    """
    compiled = numba.njit(nogil=True, cache=True, fastmath=_FASTMATH)(function)
    _kernels.append(compiled)
    return cast(Function, compiled)


def row_loop(function: Function) -> Function:
    """A loop over a row as a part of the kernels that call it, which are compiled with it.

    A call hands over every array and counts who holds it: as long as a short row takes.
    """
    return cast(Function, numba.njit(inline="always", fastmath=_FASTMATH)(function))


def has_compiled() -> bool:
    """Whether any kernel was not on disk, and had to be compiled."""
    return any(compiled.stats.cache_misses for compiled in _kernels)


_FASTMATH = {"contract", "arcp", "nsz"}
_kernels: list[Any] = []
