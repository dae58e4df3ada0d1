"""All kernels, at odd sizes, under AddressSanitizer and UndefinedBehaviorSanitizer.

The tests of this folder whose names have one of `WORDS` run again in a process of their own.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from kernel_compiler import kernel_files
from kernel_sanitizer import sanitized_environment

from rtfocus.cuda.gpu import source

from .fake_cupy import KERNEL

HERE = Path(__file__).parent
WORDS = ("size", "odd", "small", "one_pixel", "degenerate", "edge", "border")

RUN_TESTS = """
import sys, pytest

class Recorder:
    launched = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self):
        self.launched.update(sys.modules["gpu.fake_cupy"].machine.launches)

status = pytest.main(sys.argv[1:], [Recorder()])
print("launched:", *sorted(Recorder.launched))
sys.exit(status)
"""

RUN_KERNEL = """
import sys
import numpy as np
from gpu import fake_cupy

cupy = fake_cupy
with cupy.Stream(non_blocking=True) as stream:
    kernel = cupy.RawModule(code=sys.argv[1]).get_function("f")
    values, result = cupy.zeros(33, np.float32), cupy.zeros(32, np.float32)
    kernel((1,), (32,), (values[:int(sys.argv[2])], result), shared_mem=128)
    stream.synchronize()
print("done")
"""


def run(script: str, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    try:
        environment = sanitized_environment()
    except LookupError as error:
        pytest.skip(str(error))
    environment["PYTHONPATH"] = str(HERE.parent)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_kernel_at_odd_sizes() -> None:
    tests = [str(path) for path in sorted(HERE.glob("test_cuda_*.py"))]
    choice = f"late and ({' or '.join(WORDS)})"
    options = ("-x", "-q", "-s", "-p", "no:cacheprovider", "-k", choice)  # reports need -s
    done = run(RUN_TESTS, *options, *tests, timeout=580)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    launched = set(done.stdout.split("launched:")[1].split())
    kernels = {match[3] for file in kernel_files() for match in KERNEL.finditer(source(file))}
    assert kernels <= launched, f"no test with one of {WORDS} in its name runs these"


def kernel(body: str) -> str:
    define = "#define DYNAMIC_SHARED(type, name) type* name = (type*)shim::dynamic_shared\n"
    return f'{define}extern "C" __global__ void f(const float* from, float* to) {{ {body} }}'


FAULTS = {
    "read past the end": ("to[threadIdx.x] = from[threadIdx.x + 2];", "heap-buffer-overflow"),
    "read before the start": ("to[threadIdx.x] = from[(int)threadIdx.x - 1];", "heap-buffer-over"),
    "write past the end": ("to[threadIdx.x + 1] = from[threadIdx.x];", "heap-buffer-overflow"),
    "static shared memory": (
        "__shared__ float s[32]; float* p = s; if (from[0] == 0) p += 32; to[0] = p[threadIdx.x];",
        "global-buffer-overflow",
    ),
    "dynamic shared memory": (
        "DYNAMIC_SHARED(float, s); s[threadIdx.x + 1] = 0; __syncthreads(); to[0] = s[0];",
        "use-after-poison",
    ),
    "local memory after a barrier": (
        "float a[4] = {1, 2, 3, 4}; __syncthreads(); to[threadIdx.x] = a[threadIdx.x / 6];",
        "out of bounds",
    ),
    "signed overflow": ("to[0] = (0x7fffffff - 30) + (int)threadIdx.x;", "overflow"),
    "shift too far": ("to[0] = 1 << (threadIdx.x + 1);", "shift exponent 32"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str) -> None:
    body, report = FAULTS[fault]
    done = run(RUN_KERNEL, kernel(body), "33", timeout=60)
    assert done.returncode != 0
    assert report in done.stderr


def test_right_kernel_passes() -> None:
    """With shared memory of both kinds, a shuffle and barriers, to the last element of each."""
    body = """
        DYNAMIC_SHARED(float, moved);
        __shared__ float part[32];
        float values[4];
        const int i = threadIdx.x;
        part[i] = from[i + 1];
        __syncthreads();
        for (int n = 0; n < 4; ++n) values[n] = part[31 - (i + n) % 32];
        moved[i] = __shfl_xor_sync(~0u, values[i % 4], 1);
        __syncthreads();
        to[i] = moved[31 - i];
    """
    done = run(RUN_KERNEL, kernel(body), "33", timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
