"""The least that stages could take, and what the GPU is measured to do in a second."""

from __future__ import annotations

import ctypes
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from make_onnx import write_card, write_network

from rtfocus.cuda import floor, network
from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.floor import Needs, measure_floors, stage_needs
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.network import CudaNetworkDepth
from rtfocus.cuda.rates import copy_rate, half_rate, single_rate
from rtfocus.cuda.render import CudaRenderer, blur_flops
from rtfocus.cuda.smooth import CudaSmoother
from rtfocus.cuda.upsample import CudaUpsampler
from rtfocus.device import Device
from rtfocus.frame import Frame
from rtfocus.kernels.layers import _blur
from rtfocus.lens import Lens
from rtfocus.render.aperture import Aperture
from rtfocus.render.layers import TIERS, plan_layers

PICTURE, GRID = (96, 128), (24, 32)


def test_small_sums_are_right(gpu: Gpu) -> None:
    """From thread + i, i = 0..7, by 5 steps of 2 * value + 3, which make 32 * value + 93."""
    out = gpu.empty(512, np.float32)
    gpu.launch("rates", "multiply_add", (512,), 5, 2.0, 3.0, out, block=(256,))
    thread = np.arange(512, dtype=np.float32)
    np.testing.assert_array_equal(gpu.download(out), 32 * (8 * thread + 28) + 8 * 93)


def test_rates(gpu: Gpu, cuda: str) -> None:
    rates = copy_rate(gpu), single_rate(gpu), half_rate(gpu)
    if cuda == "cuda":
        assert 1e10 < rates[0] < 1e14
        assert 1e12 < rates[1] < rates[2] < 1e16
    else:  # whose events say that everything takes 1 ms
        threads = gpu.multiprocessors * 2048
        np.testing.assert_allclose(rates, [2e6, 2e3 * 8 * threads, 2e3 * 10**3])


@pytest.mark.parametrize(
    ("need", "milliseconds"),
    [
        (Needs(8_000_000, 1_000, 1_000), 8),
        (Needs(1_000, 12_000_000, 1_000), 3),
        (Needs(1_000, 1_000, 80_000_000), 2),
    ],
)
def test_what_takes_longest_decides(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, need: Needs, milliseconds: float
) -> None:
    for name, rate in (("copy_rate", 1e9), ("single_rate", 4e9), ("half_rate", 4e10)):
        monkeypatch.setattr(floor, name, lambda _, rate=rate: rate)
    floors = measure_floors(gpu, {"stage": need})
    assert floors.stages["stage"]["floor_ms"] == milliseconds
    assert floors.rates == {"copy_gb_s": 1, "float32_tflop_s": 0, "float16_tflop_s": 0.04}


def test_tensor_cores_are_measured_where_they_are_used(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor, "half_rate", lambda _: pytest.fail("it was measured"))
    assert "float16_tflop_s" not in measure_floors(gpu, {"stage": Needs(10, 10)}).rates


def test_bytes_that_cannot_be_spared() -> None:
    """A picture of 4 x 6 pixels, 72 bytes; its map, 96 bytes; on a grid of 2 x 3, 24 bytes."""
    needs = stage_needs((4, 6), (2, 3))
    assert needs["smooth"].size == 72 + 8 * 24
    assert needs["upsample"].size == 72 + 24 + 96
    assert needs["render"].size == 72 + 96 + 72
    assert "upsample" not in stage_needs((4, 6), (4, 6))
    assert stage_needs((2, 3), (4, 6))["upsample"].size == 96 + 24


class Counted:
    """A number that counts what is done with it."""

    __array_ufunc__ = None
    operations = 0

    def _count(self, _: object) -> Counted:
        Counted.operations += 1
        return self

    __add__ = __radd__ = __sub__ = __mul__ = __rmul__ = _count


def test_blur_of_layers_is_counted_as_the_cpu_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for what the CPU does twice: two neighbouring sums differ by what was added to them."""
    plan = plan_layers(40, TIERS["fast"], Aperture())
    made = plan.kernels(np.zeros((len(plan.radius), 2)))
    spans = plan.across, made.top, made.top_part, made.bottom, made.bottom_part
    rows, columns, flops = 2, 3, blur_flops(made.stop - made.start, plan.scale)
    assert plan.scale.max() > 1
    for k, (first, last) in enumerate(zip(made.start, made.stop, strict=True)):
        monkeypatch.setattr(Counted, "operations", 0)
        values = 4 * rows * columns
        summing, twice = 0, 0
        if k != len(plan.radius) // 2:  # the one in focus
            reach = made.reach[k]
            shape = (4, rows + 2 * reach + 2, columns + 2 * reach)
            sums, out = np.full(shape, Counted()), np.empty((4, rows, columns), object)
            _blur.py_func(sums, spans, first, last, Counted(), reach, out, rows, columns)
            summing, twice = values, 2 * values * (last - first)
        counted = flops[k] * plan.scale[k] ** 2 * rows * columns
        assert Counted.operations + summing - twice == pytest.approx(counted)


@pytest.fixture
def counting(gpu: Gpu, cuda: str, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Counts what kernels compute in float; those of align.cu, mostly in double, excepted."""
    if cuda != "late":
        pytest.skip("once is enough")
    gpu._function("align", "brightness")
    monkeypatch.setenv("KERNEL_FLAGS", f"-include {Path(__file__).with_name('counted.h')}")

    def take() -> int:
        gpu.compute.synchronize()
        counters = [
            ctypes.c_longlong.in_dll(module._library, "shim_operations")
            for file, module in gpu._modules.items()
            if file != "align"
        ]
        total = sum(counter.value for counter in counters)
        for counter in counters:
            counter.value = 0
        return total

    return SimpleNamespace(take=take)


def test_smoothing_computes_at_least_its_floor(gpu: Gpu, counting: SimpleNamespace) -> None:
    image = gpu.upload(np.full((*PICTURE, 3), 90, np.uint8))
    smoother = CudaSmoother(gpu, "relative", strength=0.5)
    for i in range(2):
        counting.take()
        disparity = gpu.upload(np.full(GRID, 0.5, np.float32))
        smoother.update(disparity, Frame(image, i, i, Fraction(1, 30)))
    of_maps = stage_needs((0, 0), GRID)["smooth"].single
    assert of_maps <= counting.take() < 2 * of_maps


def test_enlarging_computes_at_least_its_floor(gpu: Gpu, counting: SimpleNamespace) -> None:
    image = gpu.upload(np.full((*PICTURE, 3), 90, np.uint8))
    CudaUpsampler(gpu)(flat(gpu, GRID), image)
    least = stage_needs(PICTURE, GRID)["upsample"].single
    assert least <= counting.take() < 3 * least


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("f_number", [0.1, 1, 4])
def test_rendering_computes_at_least_its_floor(
    gpu: Gpu, counting: SimpleNamespace, f_number: float, tier: str
) -> None:
    """Of a picture in one layer, which is blurred beyond its tiles, too."""
    image = gpu.upload(np.full((*PICTURE, 3), 90, np.uint8))
    renderer = CudaRenderer(gpu, TIERS[tier], Aperture(), highlights=0.0)
    plane = gpu.upload(np.array([0.5], np.float32))
    renderer.render(image, flat(gpu, PICTURE), plane, Lens(f_number=f_number))
    executed = counting.take()
    assert renderer.flops() <= executed < 12 * renderer.flops()


def flat(gpu: Gpu, size: tuple[int, int]) -> DeviceDisparity:
    values = gpu.upload(np.full(size, 0.2, np.float32))
    return DeviceDisparity(values, None, gpu.zeros(1, np.int32))


def test_what_is_in_focus_takes_no_arithmetic(gpu: Gpu) -> None:
    image = gpu.upload(np.full((*PICTURE, 3), 90, np.uint8))
    renderer = CudaRenderer(gpu, TIERS["high"], Aperture())
    assert renderer.flops() == 0
    renderer.render(image, flat(gpu, PICTURE), gpu.upload(np.array([0.2], np.float32)), Lens())
    assert renderer.flops() == 0


@pytest.mark.parametrize(
    ("flip", "by_tensorrt", "single", "half"),
    [(False, False, 10, 5), (True, False, 20, 10), (False, True, 0, 15)],
)
def test_needs_of_a_network(
    gpu: Gpu, gpu_device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    flip: bool, by_tensorrt: bool, single: int, half: int,
) -> None:  # fmt: skip
    """TensorRT may do all on tensor cores; mirrored pictures are a second run."""
    path = write_network(tmp_path / "mean.onnx", block=4)
    write_card(path)
    depth = CudaNetworkDepth(
        gpu, path, device=gpu_device, picture=PICTURE, size=(32, 48), flip=flip
    )
    monkeypatch.setattr(depth, "_by_tensorrt", by_tensorrt)

    def count(*arguments: object, options: object) -> Counter[str]:
        named, device, name, tensor = arguments
        assert (named, device, name, tensor.shape) == (path, gpu_device, "image", (1, 3, 32, 48))
        assert options["CUDAExecutionProvider"]["enable_cuda_graph"] == "0"
        return Counter({"float": 10, "float16": 5})

    monkeypatch.setattr(network, "network_flops", count)
    size = 3 * 96 * 128 + 4 * 8 * 12 + path.stat().st_size
    assert depth.needs(PICTURE) == Needs(size, single, half)
    depth.close()
