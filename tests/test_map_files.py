"""Depth from files of any origin."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from depth_maps import frame, open_at, scene, stream

from rtfocus.errors import InputCutShort, InputError, UsageError


def save_as(path: Path, values: np.ndarray) -> Path:
    """Write a map as others would, with other libraries where there are any."""
    if path.suffix == ".npz":
        np.savez(path, disparity=values)
    elif path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".png":
        assert cv2.imwrite(str(path), np.rint(values * 65535).astype(np.uint16))
    else:
        assert cv2.imwrite(str(path), values)
    return path


# Map files of any origin


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".png", ".pfm"])
def test_a_map_is_relative_inverse_depth(tmp_path: Path, suffix: str) -> None:
    values = scene()
    source = open_at(save_as(tmp_path / f"d{suffix}", values))
    assert (source.scale, source.steady) == ("relative", True)
    disparity = source.estimate(frame(0))
    assert disparity.dtype == np.float32
    factor = 65535 if suffix == ".png" else 1
    np.testing.assert_allclose(disparity / factor, values, atol=1e-5)
    assert source.estimate(frame(7)) is disparity, "one map serves every frame"
    source.close()


def test_key_z_is_metres(tmp_path: Path) -> None:
    metres = scene() + 1
    np.savez(tmp_path / "d.npz", z=metres)
    source = open_at(tmp_path / "d.npz")
    assert source.scale == "metric"
    np.testing.assert_allclose(source.estimate(frame(0)), 1 / metres, rtol=1e-6)


def test_metric_png_is_millimetres(tmp_path: Path) -> None:
    millimetres = np.linspace(500, 8000, 32 * 48).reshape(32, 48).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "d.png"), millimetres)
    source = open_at(tmp_path / "d.png", "metric_depth")
    assert source.scale == "metric"
    np.testing.assert_allclose(source.estimate(frame(0)), 1000 / millimetres, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".npy", ".pfm"])
def test_metric_floats_are_metres(tmp_path: Path, suffix: str) -> None:
    source = open_at(save_as(tmp_path / f"d{suffix}", scene() + 2), "metric_depth")
    np.testing.assert_allclose(source.estimate(frame(0)), 1 / (scene() + 2), rtol=1e-6)


def test_relative_depth_is_turned_round(tmp_path: Path) -> None:
    depth = scene() + 1
    source = open_at(save_as(tmp_path / "d.npy", depth), "depth")
    assert source.scale == "relative"
    np.testing.assert_allclose(source.estimate(frame(0)), 1 / depth, rtol=1e-6)


@pytest.mark.parametrize("header", [b"Pf\n48 32\n-1\n", b"Pf 48 32 1.0\n", b"Pf\n48 32\n-0.0039\n"])
def test_pfm_by_its_definition(tmp_path: Path, header: bytes) -> None:
    order = "<f4" if b"-" in header else ">f4"
    (tmp_path / "d.pfm").write_bytes(header + scene()[::-1].astype(order).tobytes())
    np.testing.assert_array_equal(open_at(tmp_path / "d.pfm").estimate(frame(0)), scene())


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    for number in range(12):
        save_as(tmp_path / f"depth_{number}.npy", scene(number))
    (tmp_path / "readme.txt").write_text("not a map")
    source = open_at(tmp_path)
    for number in (0, 1, 2, 10, 11):
        np.testing.assert_array_equal(source.estimate(frame(number)), scene(number))
    source.close()


def test_a_folder_live_goes_by_time(tmp_path: Path) -> None:
    """There frames are numbered as they are shown: some are dropped, others shown again."""
    for number in range(4):
        save_as(tmp_path / f"{number}.npy", scene(number))
    source = open_at(tmp_path, info=replace(stream(4), live=True, start=2.0))
    for shown, number in enumerate((0, 0, 2, 3, 1)):
        given = frame(shown, pts=50 + number)  # of 25 a second, from 2 s on
        np.testing.assert_array_equal(source.estimate(given), scene(number))


def test_a_folder_that_is_too_short(tmp_path: Path) -> None:
    for number in range(3):
        save_as(tmp_path / f"{number}.npy", scene(number))
    source = open_at(tmp_path)
    source.estimate(frame(2))
    with pytest.raises(InputCutShort, match=r"ends after 3 maps, .*has 10.*frame 3, 0\.120 s"):
        source.estimate(frame(3))
    with pytest.raises(InputCutShort, match="has more frames"):
        open_at(tmp_path, info=stream(None)).estimate(frame(3))


def test_a_bad_map_in_a_folder_names_itself(tmp_path: Path) -> None:
    save_as(tmp_path / "0.npy", scene())
    save_as(tmp_path / "1.npy", np.full((32, 48), np.nan, np.float32))
    save_as(tmp_path / "2.npy", scene(0, 48, 32))
    source = open_at(tmp_path)
    with pytest.raises(InputError, match=r"1\.npy.*NaN"):
        source.estimate(frame(1))
    with pytest.raises(InputError, match=r"2\.npy.*is 32x48, but the picture .*96x64"):
        source.estimate(frame(2))


# Bad map files


def holed(value: float) -> np.ndarray:
    values = scene().astype(np.float64) + 1
    values[3, 5] = values[4, 0] = value
    return values


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (holed(np.nan), None, r"2 of 1536 values \(the first at x=5, y=3\) that are NaN"),
        (holed(np.inf), "metric_depth", "2 of 1536 .* NaN or infinite"),
        (holed(1e300), None, "NaN or infinite"),
        (holed(0), "metric_depth", r"2 of 1536 .*x=5, y=3.* at 0 m or less; 0 usually marks"),
        (holed(-1), "metric_depth", "at 0 m or less"),
        (np.full((32, 48), 3.25, np.float32), None, "is 3.25 everywhere"),
        (scene(0, 45, 46), None, "is 46x45, but the picture of 'clip.mp4' is 96x64"),
        (scene(0, 48, 32), None, "the shapes differ"),
        (scene()[None], None, r"float32 of shape \[1, 32, 48\]; one map"),
        (scene().astype(complex), None, "complex128"),
        (np.zeros((0, 4), np.float32), None, r"of shape \[0, 4\]"),
        (np.array(["far", "near"]), None, "one map of numbers"),
    ],
)
def test_bad_values(tmp_path: Path, values: np.ndarray, kind: str | None, message: str) -> None:
    np.save(tmp_path / "d.npy", values)
    with pytest.raises(InputError, match=message):
        open_at(tmp_path / "d.npy", kind)


@pytest.mark.parametrize(
    ("grid", "picture", "fits"),
    [
        ((192, 320), (1280, 720), True),
        ((320, 192), (720, 1280), True),
        ((384, 384), (1280, 720), False),
        ((270, 480), (1920, 1080), True),
        ((270, 481), (1920, 1080), True),
        ((518, 924), (1920, 1080), True),
        ((480, 640), (1920, 1080), False),
        ((720, 1280), (720, 1280), False),
        ((1, 1), (1, 1), True),
    ],
)
def test_shapes_that_rounding_explains(
    tmp_path: Path, grid: tuple[int, int], picture: tuple[int, int], fits: bool
) -> None:
    np.save(tmp_path / "d.npy", np.random.default_rng(0).random(grid, np.float32))
    info = stream(size=picture)
    if fits:
        assert open_at(tmp_path / "d.npy", None, info).estimate(frame(0)).shape == grid
    else:
        with pytest.raises(InputError, match=f"is {grid[1]}x{grid[0]}, but"):
            open_at(tmp_path / "d.npy", None, info)


def pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


def other_keys(path: Path) -> None:
    np.savez(path, rgb=scene(), mask=scene())


def grey8(path: Path) -> None:
    assert cv2.imwrite(str(path), np.eye(32, 48, dtype=np.uint8))


def colour16(path: Path) -> None:
    assert cv2.imwrite(str(path), np.zeros((32, 48, 3), np.uint16))


def text(path: Path) -> None:
    path.write_text("near near far far")


def archive_as_npy(path: Path) -> None:
    data = io.BytesIO()
    np.savez(data, z=scene())
    path.write_bytes(data.getvalue())


def array_as_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, scene())


def short_pfm(path: Path) -> None:
    path.write_bytes(b"Pf\n48 32\n-1\n" + b"\0" * 100)


def colour_pfm(path: Path) -> None:
    path.write_bytes(b"PF\n48 32\n-1\n" + b"\0" * 48 * 32 * 12)


def cut_npz(path: Path) -> None:
    np.savez_compressed(path, z=scene() + 1)
    path.write_bytes(path.read_bytes()[:-60])


def nothing(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("d.npy", pickled, "no objects"),
        ("d.npy", text, "cannot be read as .npy"),
        ("d.npy", nothing, "cannot be read as .npy"),
        ("d.npy", archive_as_npy, "give it the suffix .npz"),
        ("d.npz", array_as_npz, "give it the suffix .npy"),
        ("d.npz", other_keys, "no key 'z' .* its keys: 'rgb', 'mask'"),
        ("d.npz", text, "cannot be read as .npz"),
        ("d.npz", cut_npz, "cannot be read as .npz"),
        ("d.png", grey8, "has 8 bits and 1 channels"),
        ("d.png", colour16, "has 16 bits and 3 channels"),
        ("d.png", text, "not a PNG"),
        ("d.png", nothing, "not a PNG"),
        ("d.pfm", text, "not a PFM"),
        ("d.pfm", short_pfm, "100 bytes of values where 48x32 takes 6144"),
        ("d.pfm", colour_pfm, "colour PFM"),
        ("d.mkv", text, "cannot be read"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError, match=message):
        open_at(tmp_path / name)


def test_absent_depth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no depth file or folder"):
        open_at(tmp_path / "d.npy")


def test_folders_without_one_kind_of_map(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no depth maps"):
        open_at(tmp_path)
    save_as(tmp_path / "1.npy", scene())
    save_as(tmp_path / "2.png", scene())
    with pytest.raises(InputError, match=r"several types \(\.npy, \.png\)"):
        open_at(tmp_path)


@pytest.mark.parametrize(
    ("key", "kind"), [("z", "inverse_depth"), ("disparity", "metric_depth"), ("disparity", "depth")]
)
def test_kind_that_contradicts_the_key(tmp_path: Path, key: str, kind: str) -> None:
    np.savez(tmp_path / "d.npz", **{key: scene() + 1})
    with pytest.raises(UsageError, match=f"--depth-kind {kind} does not suit .*holds '{key}'"):
        open_at(tmp_path / "d.npz", kind)


def test_unknown_file_type(tmp_path: Path) -> None:
    text(tmp_path / "d.exr")
    with pytest.raises(UsageError, match=r"\.npy, \.npz, \.png, \.pfm"):
        open_at(tmp_path / "d.exr")
