"""Depth networks, their cards, and the choice of where depth comes from."""

from __future__ import annotations

import builtins
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from make_onnx import CARD, write_card, write_network, write_with_external_data
from onnx import TensorProto

from rtfocus.backend import CpuBackend
from rtfocus.depth.grid import grid_like
from rtfocus.depth.kinds import to_disparity
from rtfocus.depth.network import NetworkDepth
from rtfocus.depth.scene import SceneDepth
from rtfocus.device import Device, resolve
from rtfocus.doctor import doctor_checks
from rtfocus.errors import DeviceError, ModelError, UnavailableError, UsageError
from rtfocus.frame import Frame, Image, StreamInfo
from rtfocus.settings import DepthKind, Quality, Settings

CPU = resolve("cpu")
SHARED = Path(os.environ.get("RTFOCUS_SHARED", Path(__file__).parents[2] / "shared"))


def frame(image: Image, index: int = 0) -> Frame:
    return Frame(image, index, index, Fraction(1, 25))


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def load(
    path: Path,
    picture: tuple[int, int] = (32, 48),
    size: tuple[int, int] | None = None,
    every: int = 1,
) -> NetworkDepth:
    return NetworkDepth(path, device=CPU, picture=picture, size=size, threads=1, every=every)


def stream(has_depth: bool = False) -> StreamInfo:
    return StreamInfo(
        "clip.mp4", "video", 48, 32, Fraction(1, 25), Fraction(25), 10, has_depth=has_depth
    )


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A good network with a good card."""
    path = write_network(tmp_path / "mean.onnx")
    write_card(path)
    return path


def blocks(values: np.ndarray, side: int) -> np.ndarray:
    """Mean over squares, in float64."""
    height, width = values.shape
    return values.reshape(height // side, side, width // side, side).mean((1, 3))


# What the network sees and answers


def test_answers_the_mean_of_the_channels(network: Path) -> None:
    image = noise(32, 48)
    disparity = load(network).estimate(frame(image))
    assert disparity.dtype == np.float32
    np.testing.assert_allclose(disparity, blocks(image.mean(2), 4), atol=1e-3)


def test_input_range_mean_and_std_are_applied_per_channel(network: Path) -> None:
    write_card(network, input_range="[-1.0, 1.0]", mean="[0.4, 0.5, 0.6]", std="[0.2, 0.25, 0.5]")
    image = noise(32, 48)
    wanted = ((image / 127.5 - 1 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.5]).mean(2)
    np.testing.assert_allclose(load(network).estimate(frame(image)), blocks(wanted, 4), atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 3])
def test_shrinking_averages_areas(network: Path, factor: int) -> None:
    image = noise(32 * factor, 48 * factor)
    disparity = load(network).estimate(frame(image))
    wanted = blocks(image.mean(2), 4 * factor)
    np.testing.assert_allclose(disparity, wanted, atol=0.5)  # every step rounds to 8 bits
    assert abs(float((disparity - wanted).mean())) < 0.3  # and OpenCV rounds halves up


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (33, 47), (101, 7), (8, 4096), (720, 1280)])
def test_every_picture_size_gives_a_map_of_its_mean(network: Path, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), (30, 60, 120), np.uint8)
    source = load(network, picture=size)
    np.testing.assert_allclose(source.estimate(frame(image)), 70.0, atol=1e-3)
    assert all(side % 16 == 0 for side in source.grid)
    assert source.grid[0] * source.grid[1] <= 2 * 32 * 48


@pytest.mark.parametrize(
    ("picture", "grid"),
    [
        ((720, 1280), (192, 320)),
        ((1280, 720), (320, 192)),
        ((480, 640), (224, 288)),
        ((9, 9), (256, 256)),
    ],
)
def test_grid_keeps_area_and_aspect(picture: tuple[int, int], grid: tuple[int, int]) -> None:
    assert grid_like(picture, (192, 320), 32) == grid


@pytest.mark.parametrize("squeeze", [(), (1,), (0, 1)])
def test_answers_of_rank_4_3_and_2(tmp_path: Path, squeeze: tuple[int, ...]) -> None:
    path = write_network(tmp_path / "n.onnx", squeeze=squeeze, batch=1)
    write_card(path)
    assert load(path).estimate(frame(noise(32, 48))).shape == (8, 12)


def test_a_fixed_size_is_used_for_every_picture(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", sides=(32, 32))
    write_card(path, size="[32, 32]")
    assert load(path, picture=(720, 1280)).grid == (32, 32)


def test_an_asked_for_size_is_exact(network: Path) -> None:
    source = load(network, picture=(720, 1280), size=(64, 64))
    assert source.grid == (64, 64)
    assert source.description == "mean 64x64 on cpu"


def test_every_third_frame_repeats_the_same_array(network: Path) -> None:
    source = load(network, every=3)
    maps = [source.estimate(frame(noise(320, 480, seed), seed)) for seed in range(7)]
    runs = [index for index in range(7) if index == 0 or maps[index] is not maps[index - 1]]
    assert runs == [0, 3, 6]
    source.close()


def test_what_may_be_a_cut_is_not_waited_for(network: Path) -> None:
    source = load(network, every=4)
    dark, bright = np.full((32, 48, 3), 40, np.uint8), np.full((32, 48, 3), 90, np.uint8)
    pictures = [dark, dark, bright, bright, bright, bright, bright, dark]
    maps = [source.estimate(frame(picture, index)) for index, picture in enumerate(pictures)]
    runs = [index for index in range(8) if index == 0 or maps[index] is not maps[index - 1]]
    assert runs == [0, 2, 6, 7]
    source.close()


def test_kinds_become_disparity() -> None:
    depth = np.array([[1, 2, 4, 0]], np.float32)
    assert to_disparity(depth, "inverse_depth") is depth
    np.testing.assert_allclose(to_disparity(depth, "metric_depth"), [[1, 0.5, 0.25, 100]])
    relative = to_disparity(depth, "depth")
    np.testing.assert_allclose(relative[0, :3], [1, 0.5, 0.25])
    assert np.isfinite(relative).all()
    assert relative.argmax() == 3


@pytest.mark.parametrize(
    ("kind", "scale"),
    [("inverse_depth", "relative"), ("depth", "relative"), ("metric_depth", "metric")],
)
def test_card_kind_sets_scale_and_direction(network: Path, kind: str, scale: str) -> None:
    write_card(network, kind=f'"{kind}"')
    source = load(network)
    assert source.scale == scale
    assert not source.steady
    image = np.full((32, 48, 3), 50, np.uint8)
    image[:, 24:] = 200
    left, right = source.estimate(frame(image))[4, [2, 9]]
    assert (left < right) == (kind == "inverse_depth")
    if kind != "inverse_depth":
        np.testing.assert_allclose([left, right], [1 / 50, 1 / 200], rtol=1e-5)


def test_real_network() -> None:
    path = SHARED / "models" / "tcmonodepth_small_dyn.onnx"
    if not path.is_file():
        pytest.skip("the TCMonoDepth network is not here")
    source = load(path, picture=(720, 1280))
    disparity = source.estimate(frame(noise(720, 1280)))
    assert source.description == "tcmonodepth-small 192x320 on cpu"
    assert disparity.shape == (192, 320)


# Cards


def test_card_in_the_metadata(tmp_path: Path) -> None:
    metadata = {**CARD, "kind": "metric_depth", "author": "somebody"}
    path = write_network(tmp_path / "n.onnx", metadata=metadata)
    card = load(path).card
    assert card.kind == "metric_depth"
    assert card.size == (32, 48)
    write_card(path, kind='"depth"')  # the file beside it wins
    assert load(path).card.kind == "depth"


def test_no_card_shows_one(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", metadata={"author": "somebody"})
    with pytest.raises(ModelError, match=r"no model card.*n\.toml(?s:.*)input_range ="):
        load(path)


@pytest.mark.parametrize("key", sorted(CARD))
def test_missing_keys_are_listed(network: Path, key: str) -> None:
    write_card(network, **{key: None})
    with pytest.raises(ModelError, match=f"lacks {key}"):
        load(network)


def test_unknown_key_suggests_the_near_one(network: Path) -> None:
    write_card(network, multiples="32")
    with pytest.raises(ModelError, match="unknown key 'multiples'; did you mean 'multiple'"):
        load(network)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "3"),
        ("kind", '"disparity"'),
        ("input_range", "[1.0, 1.0]"),
        ("input_range", "[0.0, inf]"),
        ("mean", "[0.5, 0.5]"),
        ("std", "[0.5, 0.0, 0.5]"),
        ("size", "[0, 32]"),
        ("size", "384"),
        ("fine_size", "[64]"),
        ("multiple", "true"),
        ("license", "[]"),
    ],
)
def test_senseless_values_name_the_key(network: Path, key: str, value: str) -> None:
    write_card(network, **{key: value})
    with pytest.raises(ModelError, match=f"{key} = .* makes no sense; it must be"):
        load(network)


@pytest.mark.parametrize("key", ["size", "fine_size"])
def test_card_size_must_be_a_multiple(network: Path, key: str) -> None:
    write_card(network, **{key: "[30, 48]"})
    with pytest.raises(ModelError, match=rf"{key} = \[30, 48\] contradicts multiple = 16"):
        load(network)


@pytest.mark.parametrize("text", [b"name = ", b"\xff\xfe"])
def test_card_that_is_not_toml(network: Path, text: bytes) -> None:
    network.with_suffix(".toml").write_bytes(text)
    with pytest.raises(ModelError, match="is not TOML"):
        load(network)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("input", '"img"', r'input = "img", but the network has no such input.*input = "image"'),
        ("output", '"d"', r'output = "d", but the network has no such output.*output = "depth"'),
        ("size", "[48, 48]", r"size = \[48, 48\], but the network's input has shape"),
    ],
)
def test_card_that_contradicts_the_network(
    tmp_path: Path, key: str, value: str, message: str
) -> None:
    path = write_network(tmp_path / "n.onnx", sides=(32, 48))
    write_card(path, **{key: value})
    with pytest.raises(ModelError, match=message):
        load(path)


@pytest.mark.parametrize("changes", [{"channels": 1}, {"channels": 4}, {"batch": 8}])
def test_network_with_another_input_shape(tmp_path: Path, changes: dict[str, int]) -> None:
    path = write_network(tmp_path / "n.onnx", **changes)  # type: ignore[arg-type]
    write_card(path)
    with pytest.raises(ModelError, match=r"it must be \[1, 3, height, width\]"):
        load(path)


def test_network_with_another_input_type(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", element=TensorProto.DOUBLE)
    write_card(path)
    with pytest.raises(ModelError, match=r"tensor\(double\); it must be tensor\(float\)"):
        load(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 1, 8, 12), r"has shape \[1, 1, 1, 8, 12\]; one depth map is wanted"),
        ((1, 2, 8, 6), r"has shape \[1, 2, 8, 6\]; one depth map is wanted"),
        ((96,), r"has shape \[96\]; one depth map is wanted"),
    ],
)
def test_network_with_another_output_shape(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = write_network(tmp_path / "n.onnx", reshape=shape)
    write_card(path)
    with pytest.raises(ModelError, match=message):
        load(path)


# Files that are no networks


def test_not_onnx(tmp_path: Path) -> None:
    path = tmp_path / "n.onnx"
    path.write_text("this is a text, not a network")
    write_card(path)
    with pytest.raises(ModelError, match=r"cannot be loaded: Protobuf parsing failed\. Give"):
        load(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_training_formats_are_to_be_exported(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"n{suffix}"
    path.write_bytes(b"weights")
    with pytest.raises(ModelError, match="Export it to ONNX"):
        load(path)


def test_absent_network(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no network file .*nowhere\.onnx"):
        load(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opset": 99}, "Opset 99 is under development"),
        ({"operator": "Frobnicate"}, "No Op registered"),
    ],
)
def test_network_that_needs_more_than_there_is(
    tmp_path: Path, changes: dict[str, object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_network(tmp_path / "n.onnx", **changes)  # type: ignore[arg-type]
    write_card(path)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "onnxruntime_src" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "absent.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(np.float32(1).tobytes())
    path = write_with_external_data(folder / "n.onnx", location)
    write_card(path)
    with pytest.raises(ModelError, match="cannot be loaded: External data path"):
        load(path)


def test_weights_inside_the_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(np.float32(2).tobytes())
    path = write_with_external_data(tmp_path / "n.onnx", "weights.bin")
    write_card(path)
    image = np.full((32, 48, 3), 50, np.uint8)
    np.testing.assert_allclose(load(path).estimate(frame(image)), 100)


def test_nan_names_the_frame(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", divide_by_zero=True)
    write_card(path)
    source = load(path)
    image = np.full((32, 48, 3), 9, np.uint8)
    source.estimate(frame(image, 0))
    image[:4, :8] = 0
    with pytest.raises(ModelError, match="NaN or infinity for 2 of 96 values on frame 1"):
        source.estimate(frame(image, 1))


def test_a_grid_the_network_cannot_run_at(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", reshape=(1, 1, 9, 9))
    write_card(path)
    with pytest.raises(ModelError, match=r"failed on frame 0 at 32x48: .*size and multiple"):
        load(path).estimate(frame(noise(32, 48)))


# Options


@pytest.mark.parametrize("size", [(30, 48), (0, 16), (-16, 16)])
def test_size_that_is_no_multiple(network: Path, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="must be multiples of 16"):
        load(network, size=size)


def test_size_for_a_network_of_fixed_size(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", sides=(32, 48))
    write_card(path)
    with pytest.raises(UsageError, match="runs at 32x48"):
        load(path, size=(64, 64))


def test_every_must_be_positive(network: Path) -> None:
    with pytest.raises(UsageError, match="every 0 frames"):
        load(network, every=0)


def test_missing_runtime_says_what_to_install(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, *args: object) -> object:
        if name == "onnxruntime":
            raise ImportError("No module named 'onnxruntime'")
        return real(name, *args)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UnavailableError, match=r'pip install "rtfocus\[cpu\]"'):
        load(network)


# Devices


CUDA = Device("cuda", ("CUDAExecutionProvider", "CPUExecutionProvider"), "asked for")


def test_a_provider_that_is_absent_is_an_error(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="cannot run on cuda:0"):
        NetworkDepth(network, device=CUDA, picture=(32, 48))


def test_a_silent_fallback_is_an_error(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed provider need not work: then the session runs on the CPU without a word."""
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(CUDA.providers))
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers, **_: real(path, options, providers=providers[1:]),
    )
    with pytest.raises(DeviceError, match="cannot run on cuda:0"):
        NetworkDepth(network, device=CUDA, picture=(32, 48))


def test_a_provider_that_cannot_start_is_an_error(
    network: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA failure 35: driver version is insufficient")

    name = "_create_inference_session"
    monkeypatch.setattr(onnxruntime.InferenceSession, name, refuse)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(CUDA.providers))
    with pytest.raises(DeviceError, match="cannot run on cuda:0: CUDA failure 35"):
        NetworkDepth(network, device=CUDA, picture=(32, 48))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_cpu_is_always_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtfocus.device.has_driver", lambda: False)
    device = resolve(name)
    assert device.kind == str(device) == "cpu"
    assert device.reason


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_is_refused_not_replaced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtfocus.device.has_driver", lambda: False)
    with pytest.raises(DeviceError, match=r"no NVIDIA driver.*--device cpu"):
        resolve(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "CPU "])
def test_unknown_device(name: str) -> None:
    with pytest.raises(UsageError, match="must be auto, cpu, cuda or cuda:N"):
        resolve(name)


def test_doctor_has_a_remedy_for_all_that_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    checks = doctor_checks()
    assert len({check.name for check in checks}) == len(checks) >= 8
    assert all(check.ok or check.remedy for check in checks)
    assert all(check.detail for check in checks)
    assert capfd.readouterr() == ("", "")


# Where depth comes from


def test_the_scene_knows_its_own_depth() -> None:
    source = CpuBackend(CPU).open_depth(Settings(), stream(has_depth=True))
    assert isinstance(source, SceneDepth)
    assert (source.scale, source.steady) == ("metric", True)
    disparity = np.ones((32, 48), np.float32)
    picture = Frame(noise(32, 48), 0, 0, Fraction(1, 25), disparity=disparity)
    assert source.estimate(picture) is disparity
    source.close()


def test_a_model_wins_over_the_scene(network: Path) -> None:
    source = CpuBackend(CPU).open_depth(Settings(model=str(network)), stream(has_depth=True))
    assert isinstance(source, NetworkDepth)
    source.close()


@pytest.mark.parametrize(
    ("quality", "grid"),
    [(None, (64, 96)), ("high", (64, 96)), ("fast", (32, 48)), ("live", (32, 48))],
)
def test_the_network_is_finer_where_the_picture_counts_more(
    network: Path, quality: Quality | None, grid: tuple[int, int]
) -> None:
    write_card(network, size="[32, 48]", fine_size="[64, 96]")
    settings = Settings(model=str(network), quality=quality)
    source = CpuBackend(CPU).open_depth(settings, stream())
    assert isinstance(source, NetworkDepth)
    assert source.grid == grid
    source.close()


def test_a_size_that_is_asked_for_wins_over_the_finer_one(network: Path) -> None:
    write_card(network, size="[32, 48]", fine_size="[64, 96]")
    settings = Settings(model=str(network), depth_size=(96, 96))
    source = CpuBackend(CPU).open_depth(settings, stream())
    assert isinstance(source, NetworkDepth)
    assert source.grid == (96, 96)
    source.close()


def test_the_built_in_network_is_the_default() -> None:
    source = CpuBackend(CPU).open_depth(Settings(), stream())
    assert isinstance(source, NetworkDepth)
    assert source.card.name == "rtfocus-small"
    source.close()


@pytest.mark.parametrize(
    ("model", "depth", "kind", "message"),
    [
        ("n.onnx", "d.npz", None, "give one of them"),
        ("n.onnx", None, "depth", "there is no --depth"),
    ],
)
def test_options_that_contradict(
    model: str | None, depth: str | None, kind: DepthKind | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        CpuBackend(CPU).open_depth(Settings(model=model, depth=depth, depth_kind=kind), stream())
