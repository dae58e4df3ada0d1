"""Depth networks on the GPU against the same on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from make_onnx import write_card, write_network
from onnx import TensorProto

from rtfocus.cuda import network as cuda_network
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.network import CudaNetworkDepth, engine_cache_folder, provider_options
from rtfocus.depth.kinds import to_disparity
from rtfocus.depth.network import NetworkDepth, prepare
from rtfocus.depth.session import open_session
from rtfocus.device import Device, resolve
from rtfocus.errors import DeviceError, ModelError, UsageError
from rtfocus.frame import Frame, Image
from rtfocus.models.registry import built_in

from .pretended import DEVICE, PretendedSession, open_pretended

CPU = resolve("cpu")
TENSORRT = "TensorrtExecutionProvider"


@pytest.fixture
def load(gpu: Gpu, gpu_device: Device) -> Callable[..., CudaNetworkDepth]:
    """Open a network on the GPU, for pictures of 32 x 48 unless told otherwise."""

    def open_network(path: Path, **options: Any) -> CudaNetworkDepth:
        options.setdefault("picture", (32, 48))
        return CudaNetworkDepth(gpu, path, device=gpu_device, **options)

    return open_network


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = write_network(tmp_path / "mean.onnx")
    write_card(path)
    return path


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height: int, width: int) -> Image:
    y, x = np.mgrid[:height, :width]
    channels = [127 + 120 * np.sin((a * x + b * y) / 9) for a, b in ((1, 2), (2, -1), (0.5, 0.3))]
    return np.stack(channels, -1).astype(np.uint8)


def frame(image: Any, index: int = 0) -> Frame:
    return Frame(image, index, index, Fraction(1, 25))


def both(
    gpu: Gpu, source: CudaNetworkDepth, path: Path, image: Image, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    result = gpu.download(source.estimate(frame(gpu.upload(image))))
    options = {"picture": (32, 48), "threads": 1, **options}
    return result, NetworkDepth(path, device=CPU, **options).estimate(frame(image))


# The input tensor


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((64, 96), (32, 48)),
        ((128, 192), (32, 48)),
        ((96, 144), (32, 48)),
        ((99, 141), (32, 48)),  # no whole factor
        ((120, 90), (32, 48)),
        ((68, 100), (32, 48)),  # half of it, and then no whole factor
        ((32, 48), (32, 48)),
        ((20, 30), (32, 48)),  # enlarged
        ((17, 47), (32, 48)),
        ((20, 120), (32, 48)),  # enlarged along one axis, but smaller in all
        ((200, 31), (32, 48)),
        ((1, 1), (16, 16)),
        ((1, 90), (16, 64)),
        ((90, 1), (64, 16)),
        ((1, 900), (16, 16)),
        ((3, 2), (7, 5)),
        ((33, 31), (1, 1)),
    ],
)
def test_tensor_at_any_size(
    gpu: Gpu,
    load: Callable[..., CudaNetworkDepth],
    tmp_path: Path,
    size: tuple[int, int],
    grid: tuple[int, int],
) -> None:
    path = write_network(tmp_path / "n.onnx", block=1)
    write_card(
        path, multiple="1", input_range="[-1.0, 1.0]", mean="[0.4, 0.5, 0.6]", std="[2, 3, 4]"
    )
    source = load(path, picture=size, size=grid)
    image = noise(*size)
    source.estimate(frame(gpu.upload(image)))
    wanted = np.empty((1, 3, *grid), np.float32)
    prepare(image, source._gain, source._bias, wanted)
    level = 2 / 255 / np.array([2, 3, 4])[:, None, None]
    off = np.abs(gpu.download(source._tensor) - wanted) / level
    assert off.max() <= 1.5
    assert abs(((gpu.download(source._tensor) - wanted) / level).mean()) < 0.4


def test_tensor_without_resizing_is_exact(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], network: Path
) -> None:
    source, image = load(network), noise(32, 48)
    source.estimate(frame(gpu.upload(image)))
    np.testing.assert_array_equal(gpu.download(source._tensor)[0], image.transpose(2, 0, 1))


# The answer


def test_built_in_network(gpu: Gpu, load: Callable[..., CudaNetworkDepth]) -> None:
    options = {"picture": (90, 160), "size": (64, 96)}
    source = load(built_in(), **options)
    result, wanted = both(gpu, source, built_in(), smooth(90, 160), **options)
    assert result.shape == wanted.shape
    assert result.dtype == np.float32
    assert np.abs(result - wanted).max() < 0.02 * np.ptp(wanted)
    assert source.description == "rtfocus-small 64x96 on cuda:0"
    source.close()


@pytest.mark.parametrize("kind", ["inverse_depth", "metric_depth", "depth"])
@pytest.mark.parametrize(
    "size", [(32, 48), (16, 16), (31, 37)]
)  # of even and odd numbers of values
@pytest.mark.parametrize("flip", [False, True])
def test_kinds_become_disparity_at_odd_sizes(
    gpu: Gpu,
    load: Callable[..., CudaNetworkDepth],
    tmp_path: Path,
    kind: str,
    size: tuple[int, int],
    flip: bool,
) -> None:
    path = write_network(tmp_path / "n.onnx", block=1)
    # Some values are below 1 cm, some below 1 % of the median, and some negative.
    write_card(path, kind=f'"{kind}"', multiple="1", input_range="[-0.02, 9.98]")
    image = noise(*size)
    image[:3] = 0
    options = {"picture": size, "size": size, "flip": flip}
    source = load(path, **options)
    result, wanted = both(gpu, source, path, image, **options)
    assert source.scale == ("metric" if kind == "metric_depth" else "relative")
    np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-6)


def test_median_of_many_values(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], tmp_path: Path
) -> None:
    """More than one block looks at, none alike, half of them negative."""
    path = write_network(tmp_path / "n.onnx", block=1)
    write_card(path, kind='"depth"', multiple="1")
    source = load(path, picture=(100, 90), size=(100, 90))
    values = np.random.default_rng(1).normal(0.3, 10, (100, 90)).astype(np.float32)
    source._answer = gpu.upload(values)
    for _ in range(2):
        result = gpu.empty((100, 90), np.float32)
        source._convert(result, mirror=False)
        np.testing.assert_array_equal(gpu.download(result), to_disparity(values, "depth"))


@pytest.mark.parametrize("flip", [False, True])
def test_half_precision(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], tmp_path: Path, flip: bool
) -> None:
    path = write_network(tmp_path / "n.onnx", element=TensorProto.FLOAT16)
    write_card(path, input_range="[0.0, 1.0]", mean="[0.4, 0.5, 0.6]")
    source = load(path, flip=flip)
    assert source._tensor.dtype == np.float16
    result, wanted = both(gpu, source, path, noise(64, 96), flip=flip)
    np.testing.assert_allclose(result, wanted, atol=1 / 255)


def test_half_precision_answer(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], tmp_path: Path
) -> None:
    path = write_network(tmp_path / "n.onnx", answer=TensorProto.FLOAT16)
    write_card(path, input_range="[0.0, 1.0]", kind='"depth"')
    result, wanted = both(gpu, load(path), path, noise(32, 48))
    np.testing.assert_allclose(result, wanted, rtol=1e-5)


@pytest.mark.parametrize("squeeze", [(), (1,), (0, 1)])
def test_answers_of_rank_4_3_and_2(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], tmp_path: Path, squeeze: tuple[int, ...]
) -> None:
    path = write_network(tmp_path / "n.onnx", squeeze=squeeze, batch=1)
    write_card(path)
    result, wanted = both(gpu, load(path), path, noise(32, 48))
    np.testing.assert_allclose(result, wanted, rtol=1e-5)


def test_frames_follow_each_other(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], network: Path
) -> None:
    """Their maps are looked at when all have been given to the GPU; pictures change their size."""
    source = load(network, flip=True)
    images = [noise(*size, i) for i, size in enumerate([(32, 48), (70, 90), (32, 48), (64, 96)])]
    maps = [source.estimate(frame(gpu.upload(image), i)) for i, image in enumerate(images)]
    source.close()
    source.close()
    reference = NetworkDepth(network, device=CPU, picture=(32, 48), flip=True)
    for i, image in enumerate(images):
        wanted = reference.estimate(frame(image, i))
        np.testing.assert_allclose(gpu.download(maps[i]), wanted, atol=0.4)


def test_every_third_frame_repeats_the_same_array(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], network: Path
) -> None:
    source = load(network, every=3)
    maps = [source.estimate(frame(gpu.upload(noise(32, 48, i)), i)) for i in range(7)]
    assert [i for i in range(7) if i == 0 or maps[i] is not maps[i - 1]] == [0, 3, 6]
    assert not np.array_equal(gpu.download(maps[0]), gpu.download(maps[3]))
    source.close()


def test_nothing_waits_for_the_gpu(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], network: Path, cuda: str
) -> None:
    if cuda != "late":
        pytest.skip("only a late stream shows it")
    source = load(network, flip=True)
    image = gpu.upload(noise(32, 48))
    gpu.compute.synchronize()
    before = gpu.compute._done
    for i in range(3):
        source.estimate(frame(image, i))
    assert gpu.compute._done == before


# What goes wrong


@pytest.mark.parametrize(("flip", "values"), [(False, 96), (True, 192)])
def test_nan_names_the_frame_when_it_is_known(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], tmp_path: Path, flip: bool, values: int
) -> None:
    path = write_network(tmp_path / "n.onnx", divide_by_zero=True)
    write_card(path)
    source = load(path, flip=flip)
    image = np.full((32, 48, 3), 9, np.uint8)
    source.estimate(frame(gpu.upload(image), 0))
    image[:4, :8] = 0
    source.estimate(frame(gpu.upload(image), 1))
    gpu.compute.synchronize()
    bad = 4 if flip else 2
    with pytest.raises(
        ModelError, match=f"NaN or infinity for {bad} of {values} values on frame 1"
    ):
        source.estimate(frame(gpu.upload(image), 2))
    source.close()


def test_nan_in_the_last_frame_is_told_in_the_end(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], tmp_path: Path
) -> None:
    path = write_network(tmp_path / "n.onnx", divide_by_zero=True)
    write_card(path)
    source = load(path)
    source.estimate(frame(gpu.upload(np.zeros((32, 48, 3), np.uint8)), 5))
    with pytest.raises(ModelError, match="96 of 96 values on frame 5"):
        source.close()
    source.close()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 1, 8, 12), r"has shape \[1, 1, 1, 8, 12\]; one depth map is wanted"),
        ((96,), r"has shape \[96\]; one depth map is wanted"),
        ((1, 1, 9, 9), r"failed on frame 0 at 32x48: .*size and multiple"),
    ],
)
def test_network_that_gives_no_map(
    load: Callable[..., CudaNetworkDepth], tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = write_network(tmp_path / "n.onnx", reshape=shape)
    write_card(path)
    with pytest.raises(ModelError, match=message):
        load(path)


def test_answer_of_another_type(load: Callable[..., CudaNetworkDepth], tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", answer=TensorProto.DOUBLE)
    write_card(path)
    with pytest.raises(ModelError, match=r"is tensor\(double\); it must be tensor\(float\) or"):
        load(path)


def test_absent_network_and_senseless_settings(
    load: Callable[..., CudaNetworkDepth], network: Path
) -> None:
    with pytest.raises(ModelError, match="no network file"):
        load(network.with_name("absent.onnx"))
    with pytest.raises(UsageError, match="every 0 frames"):
        load(network, every=0)
    with pytest.raises(UsageError, match="multiples of 16"):
        load(network, size=(30, 48))


def test_a_provider_that_is_absent_is_an_error(
    gpu: Gpu, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    device = Device("cuda", ("CUDAExecutionProvider",), "asked for", 0, "cuda")
    with pytest.raises(DeviceError, match="cannot run on cuda:0"):
        CudaNetworkDepth(gpu, network, device=device, picture=(32, 48))


@pytest.mark.parametrize(
    "fails", ["when it is loaded", "when it runs", "CUDA failure 900: capture"]
)
def test_network_that_cannot_be_captured_runs_without(
    gpu: Gpu, network: Path, monkeypatch: pytest.MonkeyPatch, cuda: str, fails: str
) -> None:
    if cuda == "cuda":
        pytest.skip("this is pretended")
    opened = []

    class Uncaptured(PretendedSession):
        def run_with_iobinding(self, binding: Any, options: Any) -> None:
            if len(opened) == 1 and options.get_run_config_entry("gpu_graph_id") == "0":
                raise onnxruntime.capi.onnxruntime_pybind11_state.Fail(fails)
            super().run_with_iobinding(binding, options)

    def open_it(path: Path, device: Device, options: Any) -> Any:
        opened.append(options["CUDAExecutionProvider"]["enable_cuda_graph"])
        if len(opened) == 1 and fails == "when it is loaded":
            raise ModelError("not all nodes are on the GPU")
        return Uncaptured(open_session(path, device, options=options), gpu.compute)

    monkeypatch.setattr(cuda_network, "open_session", open_it)
    source = CudaNetworkDepth(gpu, network, device=DEVICE, picture=(32, 48))
    assert opened == ["1", "0"]
    assert source.description.endswith("without a CUDA graph")
    result, wanted = both(gpu, source, network, noise(32, 48))
    np.testing.assert_allclose(result, wanted, rtol=1e-5)


def test_what_is_not_the_networks_fault(
    gpu: Gpu, load: Callable[..., CudaNetworkDepth], network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = load(network)

    def run(*_: object) -> None:
        raise onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException(
            "Failed to allocate memory for requested buffer of size 7"
        )

    monkeypatch.setattr(source, "_session", SimpleNamespace(run_with_iobinding=run))
    with pytest.raises(DeviceError, match=r"buffer of size 7\. Close other programs"):
        source.estimate(frame(gpu.upload(noise(32, 48))))


@pytest.mark.parametrize("works", [True, False])
def test_tensorrt_where_it_is_installed(
    load: Callable[..., CudaNetworkDepth],
    network: Path,
    monkeypatch: pytest.MonkeyPatch,
    cuda: str,
    caplog: pytest.LogCaptureFixture,
    works: bool,
) -> None:
    if cuda == "cuda":
        pytest.skip("this is pretended")
    caplog.set_level(logging.INFO, "rtfocus")
    asked = []

    def open_it(path: Path, device: Device, options: Any) -> Any:
        asked.append(device.providers[0])
        if "Tensorrt" in device.providers[0]:
            if not works:
                raise DeviceError("libnvinfer is of another version")
            device = DEVICE
        return open_pretended(path, device, options=options)

    offered = [TENSORRT, "CPUExecutionProvider"]
    monkeypatch.setattr(cuda_network, "open_session", open_it)
    monkeypatch.setattr(cuda_network, "tensorrt_version", lambda: "10.14")
    monkeypatch.setattr(cuda_network, "provider_options", provider_options_without_files)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    source = load(network)
    assert source.description.endswith("by TensorRT 10.14" if works else "on cuda:0")
    assert asked == [TENSORRT] if works else [TENSORRT, "CPUExecutionProvider"]
    assert ("since TensorRT 10.14 does not: libnvinfer" in caplog.text) == (not works)


def provider_options_without_files(gpu: Gpu, device: Device, path: Path, *, graph: bool) -> Any:
    return provider_options(gpu, replace(device, providers=DEVICE.providers), path, graph=graph)


# What ONNX Runtime is told


def test_options_of_the_providers(
    gpu: Gpu, network: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cuda_network, "user_cache_path", lambda _name: tmp_path)
    both = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    plain = provider_options(gpu, Device("cuda", both[1:], "", 2), network, graph=False)
    assert list(plain) == ["CUDAExecutionProvider"]
    assert plain["CUDAExecutionProvider"]["device_id"] == "2"
    assert plain["CUDAExecutionProvider"]["user_compute_stream"] == str(gpu.compute.ptr)
    assert plain["CUDAExecutionProvider"]["enable_cuda_graph"] == "0"
    options = provider_options(gpu, Device("cuda", both, "", 0), network, graph=True)
    folder = Path(options["TensorrtExecutionProvider"]["trt_engine_cache_path"])
    assert folder.is_dir()
    assert folder.parent == tmp_path / "tensorrt"
    assert options["TensorrtExecutionProvider"]["trt_cuda_graph_enable"] == "1"
    assert options["CUDAExecutionProvider"]["enable_cuda_graph"] == "0"  # one of the two captures
    options |= provider_options(gpu, Device("cuda", both[1:], "", 0), network, graph=True)
    assert options["CUDAExecutionProvider"]["enable_cuda_graph"] == "1"
    assert all(isinstance(v, str) for each in options.values() for v in each.values())


def test_engines_suit_only_what_they_were_built_for() -> None:
    given = {
        "digest": "ab12",
        "runtime": "1.28.0",
        "tensorrt": "10.13",
        "gpu": "NVIDIA H200",
        "driver": 13000,
    }
    folder = engine_cache_folder(**given)  # type: ignore[arg-type]
    assert folder == engine_cache_folder(**given)  # type: ignore[arg-type]
    others = {"digest": "cd34", "runtime": "1.29.0", "tensorrt": "10.14", "gpu": "T4"}
    for key, value in {**others, "driver": 12080}.items():
        assert engine_cache_folder(**{**given, key: value}) != folder  # type: ignore[arg-type]
