"""What `rtfocus doctor` looks at: is everything here that rtfocus can use?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numba.core.caching import FunctionCache

from rtfocus.checks import Check, can_encode
from rtfocus.depth.network import NetworkDepth
from rtfocus.device import has_driver, resolve
from rtfocus.errors import RtfocusError
from rtfocus.frame import Frame
from rtfocus.models.registry import built_in
from rtfocus.settings import Settings

ENCODERS = ("libx264", "libx265")
"""Video encoders that are tried; only the first is needed."""

ENOUGH_MEMORY = 700
"""Free memory in MB that refocusing 1080p takes at most."""


def doctor_checks() -> list[Check]:
    """Look at everything; takes about a second, or some where there is a GPU. Nothing is raised."""
    return [*(check() for check in _CHECKS), *_gpu()]


def _python() -> Check:
    version = platform.python_version()
    ok = sys.version_info >= (3, 11)
    return Check(
        "Python", ok, f"{version}, {platform.platform()}", "" if ok else "Use 3.11 or newer."
    )


def _packages() -> Check:
    libraries = ("av", "numpy", "numba")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in libraries]
    return Check("Libraries", True, ", ".join([*versions, f"OpenCV {cv2.__version__}"]))


def _encoders() -> Check:
    usable = [name for name in ENCODERS if can_encode(name)]
    if ENCODERS[0] in usable:
        return Check("Video encoders", True, ", ".join(usable))
    return Check(
        "Video encoders",
        False,
        f"{ENCODERS[0]} cannot be opened; usable: {', '.join(usable) or 'none'}",
        "Install PyAV from its wheel (pip install --force-reinstall av), or use another --codec.",
    )


def _runtime() -> Check:
    try:
        import onnxruntime
    except ImportError as error:
        return Check(
            "ONNX Runtime",
            False,
            f"cannot be imported: {error}",
            'pip install "rtfocus[cpu]", or "rtfocus[cuda]" for an NVIDIA GPU.',
        )
    providers = ", ".join(onnxruntime.get_available_providers())
    return Check("ONNX Runtime", True, f"{onnxruntime.__version__} with {providers}")


def _network() -> Check:
    start = time.perf_counter()
    try:
        source = NetworkDepth(built_in(), device=resolve("cpu"), picture=(192, 320))
        source.estimate(Frame(np.zeros((192, 320, 3), np.uint8), 0, 0, Fraction(1, 25)))
    except RtfocusError as error:
        return Check("Depth network", False, str(error), "Install rtfocus again.")
    seconds = time.perf_counter() - start
    return Check("Depth network", True, f"{source.card.name}, first answer after {seconds:.2f} s")


def _kernel_cache() -> Check:
    try:
        folder = Path(FunctionCache(doctor_checks).cache_path)  # type: ignore[no-untyped-call]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError) as error:  # the latter where numba finds no folder at all
        return Check(
            "Kernel cache",
            False,
            str(error),
            "Every start compiles anew. Set NUMBA_CACHE_DIR to a folder that can be written.",
        )
    return Check("Kernel cache", True, str(folder))


def _cores() -> Check:
    return Check("CPU cores", True, f"{Settings().cores()} usable of {os.cpu_count()}")


def _memory() -> Check:
    free = _free_megabytes()
    if free is None:
        return Check("Free memory", True, "this system does not say")
    ok = free >= ENOUGH_MEMORY
    remedy = "" if ok else f"1080p takes up to {ENOUGH_MEMORY} MB; close other programs."
    return Check("Free memory", ok, f"{free} MB", remedy)


def _free_megabytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    entries = dict(line.split(":", 1) for line in lines)
    return int(entries["MemAvailable"].split()[0]) // 1024


def _gpu() -> list[Check]:
    """One line where there is no GPU, which is a bonus."""
    if not has_driver():
        return [Check("NVIDIA GPU", True, "none")]
    from rtfocus.cuda.doctor import gpu_checks

    return gpu_checks()


_CHECKS: tuple[Callable[[], Check], ...] = (
    _python,
    _packages,
    _encoders,
    _runtime,
    _network,
    _kernel_cache,
    _cores,
    _memory,
)
