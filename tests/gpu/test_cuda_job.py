"""Whole jobs on the GPU against the same on the CPU."""

import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import rtfocus
from rtfocus.backend import open_backend
from rtfocus.bench import measure
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.metrics import CudaMetrics
from rtfocus.cuda.transfer import Downloader, Uploader
from rtfocus.device import resolve
from rtfocus.frame import Frame
from rtfocus.models.registry import built_in
from rtfocus.readers import open_reader
from rtfocus.settings import Settings

from . import fake_cupy

SOURCE = "pattern:128x72@10,0.6s"


def pictures(folder: Path) -> list[np.ndarray]:
    return [cv2.imread(str(path)).astype(int) for path in sorted(folder.glob("*.png"))]  # type: ignore[union-attr]


def on_both(tmp_path: Path, **options: object) -> tuple[list[np.ndarray], list[np.ndarray]]:
    for device in ("cpu", "cuda"):
        summary = rtfocus.refocus(SOURCE, f"{tmp_path}/{device}/", device=device, **options)
        assert summary.device.startswith(device)
        assert summary.frames == 6
    return pictures(tmp_path / "cpu"), pictures(tmp_path / "cuda")


def assert_alike(wanted: list[np.ndarray], results: list[np.ndarray]) -> None:
    for a, b in zip(wanted, results, strict=True):
        assert (np.abs(a - b) > 1).mean() <= 0.001


@pytest.mark.usefixtures("gpu_device")
@pytest.mark.parametrize(
    "options",
    [
        {"focus": (0.5, 0.5), "f_number": 0.8},
        {"focus": (0.2, 0.3), "f_number": 1.0, "smooth": 0.5},
        {"f_number": 1.0, "smooth": 0.5, "look_ahead": 0, "quality": "fast"},
        {"focus_distance": 2.0, "focal_length": 50.0, "sensor_width": 36.0},
        {"method": "gaussian", "focus_disparity": 0.2},
        {"view": "coc"},
        {"view": "depth"},
        {"view": "split", "f_number": 0.8},
        {"view": "original"},
    ],
    ids=str,
)
def test_job_is_like_that_of_the_cpu(tmp_path: Path, options: dict[str, object]) -> None:
    assert_alike(*on_both(tmp_path, **options))


@pytest.mark.usefixtures("gpu_device")
def test_depth_is_saved_and_used_again(tmp_path: Path) -> None:
    saved = str(tmp_path / "depth.mkv")
    first = rtfocus.refocus(
        SOURCE, f"{tmp_path}/a/", device="cuda", smooth=0.5, save_depth=saved, f_number=1.0
    )
    assert first.frames == 6
    rtfocus.refocus(SOURCE, f"{tmp_path}/b/", device="cuda", depth=saved, f_number=1.0)
    for a, b in zip(pictures(tmp_path / "a"), pictures(tmp_path / "b"), strict=True):
        assert np.abs(a - b).mean() < 1


@pytest.mark.usefixtures("gpu_device")
def test_frame_by_frame() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    disparity = rng.random((15, 20), np.float32)
    results = []
    for device in ("cpu", "cuda"):
        with rtfocus.Refocus(device=device, f_number=1.0, focus=(0.5, 0.5)) as refocus:
            results.append([refocus(image, disparity).astype(int) for _ in range(3)])
    assert_alike(*results)


def test_pictures_survive_the_way_there_and_back(gpu: Gpu) -> None:
    """More of them on their way than there are buffers, each only looked at in the end."""
    with open_reader("pattern:64x48@10,1s") as reader:
        frames = list(reader)
    up, down = Uploader(gpu), Downloader(gpu)
    sent = [(f.index, down.start(f.image)) for f in up.stream(frames)]
    for index, picture in sent:
        np.testing.assert_array_equal(down.finish(picture), frames[index].image)


def test_pictures_stay_where_they_came_to(gpu: Gpu, cuda: str) -> None:
    """In page-locked memory, which is used for another one when nobody has them any more."""
    if cuda == "cuda":
        pytest.skip("CuPy does not tell")
    down, values = Downloader(gpu), (3, 5, 7)
    kept = [down.finish(down.start(gpu.upload(np.full((4, 6), v, np.uint8)))) for v in values]
    assert [(picture == v).all() for picture, v in zip(kept, values, strict=True)] == [True] * 3
    assert all(map(fake_cupy._is_pinned, kept))
    address = kept.pop().ctypes.data
    another = down.finish(down.start(gpu.upload(np.full((4, 6), 9, np.uint8))))
    assert another.ctypes.data == address
    assert (kept[0] == 3).all()


@pytest.mark.usefixtures("gpu_device")
@pytest.mark.parametrize("view", ["result", "original"])
def test_a_program_gets_memory_of_its_own(view: str) -> None:
    """Page-locked memory is scarce, and it may keep every picture."""
    image = np.full((20, 30, 3), 90, np.uint8)
    with rtfocus.Refocus(device="cuda", view=view, focus=(0.5, 0.5)) as refocus:
        picture = refocus(image, np.eye(20, 30, dtype=np.float32))
    assert picture.flags.owndata


def test_work_on_a_frame_waits_for_its_picture(gpu: Gpu) -> None:
    frames = [Frame(np.full((4, 4, 3), i, np.uint8), i, i, Fraction(1)) for i in (5, 6)]
    up = Uploader(gpu).stream(frames)
    for frame, uploaded in zip(frames, up, strict=True):
        np.testing.assert_array_equal(gpu.download(uploaded.image), frame.image)


@pytest.mark.usefixtures("gpu_device")
def test_the_same_map_is_placed_once() -> None:
    backend = open_backend(resolve("cuda"))
    first, second = (np.zeros((3, 4), np.float32) for _ in range(2))
    placed = backend.place(first)
    assert backend.place(first) is placed
    assert backend.place(second) is not placed


@pytest.mark.usefixtures("gpu_device")
def test_bench_says_how_long_the_gpu_was_busy_and_could_be() -> None:
    report = measure("64x36", 3, Settings(device="cuda", model=str(built_in()), quality="fast"))
    assert report["device"] == "cuda:0"
    assert "rtfocus-small 192x320 on cuda:0" in report["depth"]
    for stage in ("depth", "smooth", "upsample", "render"):
        times = report["stages"][stage]
        assert times["gpu_ms_p95"] >= times["gpu_ms_p50"] > 0
        assert times["megabytes"] > 0
        assert times["floor_ms"] > 0
        assert times["share"] == pytest.approx(times["floor_ms"] / times["gpu_ms_p50"], rel=1e-3)
    assert report["stages"]["depth"]["gflop"] == pytest.approx(
        1.3523, abs=1e-3
    )  # as PyTorch counts it
    assert set(report["rates"]) == {"copy_gb_s", "float32_tflop_s"}
    assert "floor_ms" not in report["stages"]["focus"]


def test_a_slow_host_does_not_count_however_small_the_work(gpu: Gpu) -> None:
    """But the pretended GPU says 1 ms of everything."""
    metrics, values = CudaMetrics(gpu), gpu.empty(10, np.uint8)
    for _ in range(5):
        with metrics.time("stage"):
            gpu.fill(values, 0)
            time.sleep(0.003)
            gpu.fill(values, 1)
    assert metrics.report()["stage"]["gpu_ms_p50"] <= 1


@pytest.mark.usefixtures("gpu_device")
@pytest.mark.parametrize("options", [{"view": "depth"}, {"method": "gaussian"}], ids=str)
def test_bench_of_what_the_gpu_does_not_render(options: dict[str, str]) -> None:
    stages = measure("64x36", 1, Settings(device="cuda", **options))["stages"]  # type: ignore[arg-type]
    assert stages["smooth"]["share"] > 0
    assert ("render" in stages) == ("method" in options)
    assert "floor_ms" not in stages["depth"]
