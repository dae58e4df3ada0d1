"""Compile CUDA C++ on a machine without a GPU or driver, and read what every kernel takes.

By NVRTC, which CuPy uses too (`pip install cuda-bindings nvidia-cuda-nvrtc`), else by nvcc.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from rtfocus.cuda.gpu import OPTIONS, source

ARCHITECTURES = (75, 86, 89, 90, 120)
"""Compute capabilities, 10 times: Turing, Ampere, Ada, Hopper and Blackwell."""

MAX_SHARED = 48 << 10
"""Bytes of static shared memory that a kernel may have."""

REGISTERS = 1 << 16
"""Of a multiprocessor, 32 bits each."""

_LARGEST_BLOCK = 1024
_CUPYS = "-ftz=true"  # added by CuPy


class KernelError(Exception):
    """The text does not compile; the compiler's message."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What one kernel takes on one GPU.

    Attributes:
        architecture: compute capability, 10 times.
        threads: the most that a block may have, by __launch_bounds__.
        registers: per thread.
        shared: bytes of static shared memory.
        stack: bytes of local memory per thread, without those spilled.
        spilled: bytes of registers that are stored to and loaded from local memory.
    """

    name: str
    architecture: int
    threads: int
    registers: int
    shared: int
    stack: int
    spilled: int

    def faults(self) -> list[str]:
        """What must not be."""
        checks = {
            f"{self.spilled} bytes are spilled": self.spilled > 0,
            f"{self.stack} bytes of local memory": self.stack > 0,
            f"{self.shared} bytes of static shared memory": self.shared > MAX_SHARED,
            f"{self.registers} registers for {self.threads} threads": (
                -(-self.registers // 8) * 8 * self.threads > REGISTERS  # given 8 at a time
            ),
        }
        return [text for text, wrong in checks.items() if wrong]


def kernel_files() -> list[str]:
    """The package's kernel files, without suffix."""
    names = (Path(entry.name) for entry in files("rtfocus.cuda").iterdir())
    return sorted(name.stem for name in names if name.suffix == ".cu")


def compile_file(file: str, architecture: int) -> list[Kernel]:
    """Compile a kernel file of the package as CuPy would; else as `compile_text`."""
    return compile_text(source(file), architecture, (*OPTIONS, _CUPYS))


def compile_text(code: str, architecture: int, options: Sequence[str] = ()) -> list[Kernel]:
    """Compile a text and return its kernels, in order of their names.

    Args:
        code: CUDA C++.
        architecture: compute capability, 10 times.
        options: more for the compiler.

    Raises:
        KernelError: it does not compile.
        LookupError: there is no compiler.
    """
    tool = compiler()
    if tool is None:
        raise LookupError("neither cuda-bindings with nvidia-cuda-nvrtc nor nvcc is installed")
    wanted = [f"-arch=sm_{architecture}", *options]
    log, ptx = (_by_nvrtc if tool == "nvrtc" else _by_nvcc)(code, wanted)
    return _read(log, ptx, architecture)


def compiler() -> str | None:
    """Which one there is: nvrtc, nvcc or none."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError):  # the latter without its library
        return "nvcc" if shutil.which("nvcc") else None
    return "nvrtc"


def _by_nvrtc(code: str, options: list[str]) -> tuple[str, str]:
    """Log and PTX."""
    from cuda.bindings import nvrtc

    status, program = nvrtc.nvrtcCreateProgram(code.encode(), b"kernels.cu", 0, [], [])
    assert not status, status

    def text(name: str) -> str:
        _, size = getattr(nvrtc, f"nvrtcGet{name}Size")(program)
        buffer = bytes(size)
        getattr(nvrtc, f"nvrtcGet{name}")(program, buffer)
        return buffer.rstrip(b"\0").decode()

    try:
        flags = [option.encode() for option in (*options, "--ptxas-options=-v")]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        if status:
            raise KernelError(text("ProgramLog"))
        return text("ProgramLog"), text("PTX")
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _by_nvcc(code: str, options: list[str]) -> tuple[str, str]:
    """Log and PTX."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.cu"
        path.write_text(code)
        command = ["nvcc", "-cubin", "-Xptxas", "-v", "--keep", "--keep-dir", folder]
        done = subprocess.run(
            [*command, *options, str(path), "-o", f"{folder}/kernels.cubin"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KernelError(done.stderr)
        return done.stderr, path.with_suffix(".ptx").read_text()


def _read(log: str, ptx: str, architecture: int) -> list[Kernel]:
    blocks = re.findall(r"\.entry (\w+)\([^)]*\)([^{]*)", ptx)
    bounds = {name: re.search(r"\.maxntid (\d+)(?:, (\d+), (\d+))?", text) for name, text in blocks}
    kernels = []
    for part in log.split("Compiling entry function ")[1:]:
        name = part.split("'")[1]
        bound, threads = bounds[name], _LARGEST_BLOCK
        if bound is not None:
            x, y, z = (int(side or 1) for side in bound.groups())
            threads = x * y * z
        spilled = _number(r"(\d+) bytes spill stores", part) + _number(
            r"(\d+) bytes spill loads", part
        )
        kernels.append(
            Kernel(
                name,
                architecture,
                threads,
                _number(r"Used (\d+) registers", part),
                _number(r"(\d+) bytes smem", part, 0),
                _number(r"(\d+) bytes stack frame", part),
                spilled,
            )
        )
    if {kernel.name for kernel in kernels} != set(bounds):
        raise KernelError(f"the compiler's log does not name all kernels:\n{log}")
    return sorted(kernels, key=lambda kernel: kernel.name)


def _number(pattern: str, text: str, absent: int | None = None) -> int:
    found = re.search(pattern, text)
    if found is not None:
        return int(found[1])
    if absent is None:
        raise KernelError(f"the compiler's log has no {pattern!r}:\n{text}")
    return absent
