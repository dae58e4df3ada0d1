"""Print what the package's kernels take on every kind of GPU; needs no GPU.

    python tools/kernel_report.py [FILE ...]

A row per kernel, a column per compute capability: registers per thread, then what is wrong, if
anything is. Exits with 1 if a kernel spills registers, has local memory, too much shared memory, or
too many registers for its block.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

from kernel_compiler import ARCHITECTURES, Kernel, compile_file, compiler, kernel_files


def main() -> int:
    """Print the table; 1 if anything is wrong with a kernel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="without .cu; else all")
    arguments = parser.parse_args()
    if compiler() is None:
        print("Install a compiler: pip install cuda-bindings nvidia-cuda-nvrtc", file=sys.stderr)
        return 2
    rows: dict[str, list[Kernel]] = defaultdict(list)
    for file in arguments.files or kernel_files():
        for architecture in ARCHITECTURES:
            for kernel in compile_file(file, architecture):
                rows[f"{file}.{kernel.name}"].append(kernel)
    print(table(rows))
    return int(any(kernel.faults() for kernels in rows.values() for kernel in kernels))


def table(rows: dict[str, list[Kernel]]) -> str:
    """The kernels as text.

    Args:
        rows: by name, the same kernel on every architecture.
    """
    width = max(map(len, rows), default=0)
    columns = "".join(f"{f'sm_{a}':>8}" for a in ARCHITECTURES)
    lines = [f"{'registers per thread':{width}}  threads  shared{columns}"]
    for name, kernels in rows.items():
        first = kernels[0]
        shared = max(kernel.shared for kernel in kernels)
        registers = "".join(f"{kernel.registers:8}" for kernel in kernels)
        lines.append(f"{name:{width}}{first.threads:9}{shared:8}{registers}")
        lines += [
            f"  sm_{kernel.architecture}: {fault}"
            for kernel in kernels
            for fault in kernel.faults()
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
