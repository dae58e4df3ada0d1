"""The GPU wrapper, and that the pretended GPU catches what CUDA would."""

from importlib.resources import files

import numpy as np
import pytest

from rtfocus.cuda import gpu as gpu_module
from rtfocus.cuda.gpu import Gpu
from rtfocus.errors import DeviceError

from . import fake_cupy

CODE = """
extern "C" __global__ void reverse(const float* from, float* to, int n, float gain) {
    __shared__ float part[64];
    const int i = threadIdx.x;
    if (i < n) part[i] = from[i];
    __syncthreads();
    if (i < n) to[i] = gain * part[n - 1 - i];
}
extern "C" __global__ void sum(const float* from, float* to) {
    DYNAMIC_SHARED(float, total);
    float value = from[threadIdx.x];
    for (int by = 16; by; by /= 2) value += __shfl_xor_sync(~0u, value, by);
    if (threadIdx.x % 32 == 0) total[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x == 0) *to = total[0] + total[1];
}
"""


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    common = (files("rtfocus.cuda") / "common.cuh").read_text()
    monkeypatch.setattr(gpu_module, "source", lambda _file: common + CODE)


def test_kernel_with_a_barrier(gpu: Gpu) -> None:
    values = np.arange(50, dtype=np.float32)
    result = gpu.empty(50, np.float32)
    gpu.launch("code", "reverse", (64,), gpu.upload(values), result, 50, 0.5, block=(64,))
    np.testing.assert_array_equal(gpu.download(result), values[::-1] / 2)


def test_kernel_with_shuffles_and_shared_memory(gpu: Gpu) -> None:
    values = np.arange(64, dtype=np.float32)
    result = gpu.empty(1, np.float32)
    gpu.launch("code", "sum", (64,), gpu.upload(values), result, block=(64,), shared=8)
    assert gpu.download(result) == values.sum()


def test_no_gpu(gpu: Gpu, cuda: str) -> None:
    del gpu
    if cuda == "cuda":
        pytest.skip("there is one")
    fake_cupy.machine.devices = 0
    with pytest.raises(DeviceError, match="cpu"):
        Gpu()


def test_memory_full(gpu: Gpu) -> None:
    with pytest.raises(DeviceError, match="memory is full"):
        gpu.empty(1 << 50, np.uint8)
