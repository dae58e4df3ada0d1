"""Work that is replayed."""

import threading

import numpy as np
import pytest

from rtfocus.cuda import gpu as gpu_module
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.graphs import Graphs

CODE = """
extern "C" __global__ void twice(const float* from, float* to) {
    to[threadIdx.x] = 2 * from[threadIdx.x];
}
"""


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_module, "source", lambda _file: CODE)


def test_work_is_captured_when_it_comes_again(gpu: Gpu) -> None:
    graphs, done = Graphs(gpu), []
    values, between, result = (gpu.empty(4, np.float32) for _ in range(3))

    def work() -> None:
        done.append(1)
        gpu.launch("code", "twice", (4,), values, between, block=(4,))
        gpu.launch("code", "twice", (4,), between, result, block=(4,))

    for i in range(5):
        values.set(np.full(4, i, np.float32), stream=gpu.compute)
        graphs.run("key", work)
        np.testing.assert_array_equal(gpu.download(result), np.full(4, 4 * i))
    assert len(done) == 2


def test_other_work_is_not_replayed(gpu: Gpu) -> None:
    graphs = Graphs(gpu)
    values, results = gpu.upload(np.ones(1, np.float32)), gpu.zeros((100, 1), np.float32)
    for _ in range(3):
        for i in range(100):  # more than are kept
            graphs.run(i, lambda: gpu.launch("code", "twice", (1,), values, results[i], block=(1,)))  # noqa: B023
    np.testing.assert_array_equal(gpu.download(results), np.full((100, 1), 2))


def test_work_of_other_threads_is_not_captured(gpu: Gpu) -> None:
    values, result, other = (gpu.upload(np.ones(1, np.float32)) for _ in range(3))

    def beside() -> None:
        gpu.launch("code", "twice", (1,), values, other, block=(1,))

    def work() -> None:
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        gpu.launch("code", "twice", (1,), values, result, block=(1,))

    beside()  # loads the kernel
    other.set(np.zeros(1, np.float32), stream=gpu.compute)
    graph = gpu.capture(work)
    assert gpu.download(other) == 2
    assert gpu.download(result) == 1
    gpu.replay(graph)
    assert gpu.download(result) == 2
