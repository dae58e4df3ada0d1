"""Run the tests' pretended GPU under AddressSanitizer and UndefinedBehaviorSanitizer.

A kernel that reads or writes past the ends of an array, in device or shared memory, or that does
what C++ does not define, ends the process with a report.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# Numbers beyond int may become int: unlike C++, CUDA says what that gives. Products and sums are
# fused where this processor can, as they are on a GPU.
_FLAGS = (
    "-O1 -g -fsanitize=address,undefined -fsanitize-sections=shim_shared -fno-sanitize-recover=all "
    "-march=native -ffp-contract=fast"
)


def sanitized_environment() -> dict[str, str]:
    """This process's environment with what a process of Python needs to run kernels sanitized.

    Raises:
        LookupError: this machine lacks a compiler or its sanitizers.
    """
    if shutil.which("g++") is None:
        raise LookupError("g++ is not installed")
    # AddressSanitizer must be there before NumPy takes memory, and the library of C++ before it.
    libraries = [_library("libasan.so"), _library("libstdc++.so")]
    return os.environ | {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "KERNEL_FLAGS": _FLAGS,
        "OMP_NUM_THREADS": "1",
    }


def _library(name: str) -> str:
    command = ["g++", f"-print-file-name={name}"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(path).is_absolute():  # unknown names come back as they are
        raise LookupError(f"{name} is not installed")
    return path
