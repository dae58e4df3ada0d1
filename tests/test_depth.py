"""Depth networks, their cards, and the choice of where depth comes from."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_onnx import write_card, write_network
from networks import CPU, SHARED, frame, load, noise, stream

from rtfocus.backend import CpuBackend
from rtfocus.depth.grid import grid_like
from rtfocus.depth.kinds import to_disparity
from rtfocus.depth.network import NetworkDepth
from rtfocus.depth.scene import SceneDepth
from rtfocus.errors import UsageError
from rtfocus.frame import Frame
from rtfocus.run import open_job
from rtfocus.settings import DepthKind, Quality, Settings


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


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"flip": True}, "--flip"),
        ({"depth_size": (64, 96)}, "--depth-size"),
        ({"depth_every": 2}, "--depth-every"),
        ({"flip": True, "depth_size": (64, 96)}, "--depth-size and --flip"),
    ],
)
def test_what_is_for_a_network_is_not_ignored(options: dict[str, Any], names: str) -> None:
    settings = Settings(depth="x.mkv", **options)
    with pytest.raises(UsageError, match=f"{names}: for a network only.*--depth 'x.mkv'"):
        CpuBackend(CPU).open_depth(settings, stream())
    with pytest.raises(UsageError, match=f"{names}: for a network only"):
        open_job("pattern", [], replace(settings, serve="0"))
