"""How jobs on a GPU end when they do not end well."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest

from rtfocus.errors import DeviceError, InputCutShort, OutputError
from rtfocus.pipeline import Job
from rtfocus.run import refocus
from rtfocus.settings import Settings
from rtfocus.writers.video import VideoWriter

from . import fake_cupy

SOURCE = "pattern:64x36@10,1s"
OPTIONS = {"device": "cuda", "focus_disparity": 0.5, "f_number": 1.0}

pytestmark = pytest.mark.usefixtures("gpu_device")


@pytest.fixture(autouse=True)
def only_pretended(cuda: str) -> None:
    if cuda == "cuda":
        pytest.skip("a real GPU is not to be broken")


def assert_nothing_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []
    assert not [t.name for t in threading.enumerate() if t.name.startswith("rtfocus-")]


def count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def break_at(monkeypatch: pytest.MonkeyPatch, kernel: str, number: int, failure: Exception) -> None:
    """Have the launch of a kernel fail, the nth time."""
    real, launched = fake_cupy._Function.__call__, []

    def launch(self, *args: object, **options: object) -> None:  # type: ignore[no-untyped-def]
        if self.name == kernel:
            launched.append(self)
            if len(launched) == number:
                fake_cupy.machine.failure = failure
        real(self, *args, **options)

    monkeypatch.setattr(fake_cupy._Function, "__call__", launch)


@pytest.mark.parametrize(
    ("kernel", "where"), [("differ", "smoothing"), ("classify", "rendering"), ("to_yuv", "output")]
)
def test_a_gpu_that_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str, where: str
) -> None:
    del where
    lost = fake_cupy.CUDARuntimeError(46, "cudaErrorDevicesUnavailable: device is busy or gone")
    break_at(monkeypatch, kernel, 2, lost)
    with pytest.raises(DeviceError, match=r"device is busy or gone\. .*--device cpu") as caught:
        refocus(SOURCE, str(tmp_path / "out.mp4"), smooth=0.5, **OPTIONS)
    assert caught.value.exit_code == 4
    assert_nothing_left(tmp_path)


def test_kernels_that_do_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = fake_cupy.CUDADriverError(209, "CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image")
    break_at(monkeypatch, "classify", 1, refusal)
    with pytest.raises(DeviceError, match=r"no kernel image.*install a newer CuPy"):
        refocus(SOURCE, str(tmp_path / "out.mp4"), **OPTIONS)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    "failure",
    [
        fake_cupy.CompileException("kernels(3): error: expected a ';'"),
        RuntimeError("Failed to find CUDA headers"),
    ],
)
def test_kernels_that_do_not_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise failure

    monkeypatch.setattr(fake_cupy.RawModule, "get_function", refuse)
    with pytest.raises(DeviceError, match="cannot compile") as caught:
        refocus(SOURCE, str(tmp_path / "out.mp4"), **OPTIONS)
    assert str(failure) in str(caught.value)
    assert_nothing_left(tmp_path)


def test_memory_that_runs_out(tmp_path: Path) -> None:
    fake_cupy.machine.free = 300_000
    with pytest.raises(DeviceError, match=r"memory is full.*--depth-size"):
        refocus(SOURCE, str(tmp_path / "out.mp4"), **OPTIONS)
    assert_nothing_left(tmp_path)


def test_a_job_that_is_stopped_leaves_what_plays(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    job = Job("pattern:64x36@10,60s", [str(output)], Settings(**OPTIONS))  # type: ignore[arg-type]

    def stop_at(done: int, _: object) -> None:
        if done == 3:
            job.stop()

    with pytest.raises(KeyboardInterrupt):
        job.run(stop_at)
    assert 3 <= count(output) < 30


def test_a_clip_that_is_cut_short_keeps_what_was_read(tmp_path: Path) -> None:
    whole, cut, output = (tmp_path / name for name in ("whole.mkv", "cut.mkv", "out.mkv"))
    refocus("pattern:64x36@10,2s", str(whole), device="cpu", view="original", crf=1)
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    depth = tmp_path / "depth.npy"
    np.save(depth, np.full((36, 64), 0.5, np.float32) + np.eye(36, 64, dtype=np.float32))
    with pytest.raises(InputCutShort, match="cut short"):
        refocus(str(cut), str(output), depth=str(depth), **OPTIONS)
    assert 0 < count(output) < 20


def test_an_output_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: VideoWriter, _: object) -> None:
        with self._failures():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "_picture", full)
    with pytest.raises(OutputError, match="No space left"):
        refocus(SOURCE, str(tmp_path / "out.mp4"), **OPTIONS)
    assert_nothing_left(tmp_path)
