"""Recorded depth: map files of any origin, and what `--save-depth` writes read back."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from rtfocus.backend import CpuBackend
from rtfocus.depth.base import DepthSource
from rtfocus.depth.coding import decoder, encode
from rtfocus.depth.save import open_depth_writer
from rtfocus.device import resolve
from rtfocus.errors import InputCutShort, InputError, OutputError, RtfocusError, UsageError
from rtfocus.frame import Disparity, Frame, StreamInfo
from rtfocus.settings import Settings

WIDTH, HEIGHT = 96, 64
TICK = Fraction(1, 25)


def stream(
    frames: int | None = 10,
    kind: Literal["video", "image"] = "video",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: Fraction | None = Fraction(25),
) -> StreamInfo:
    return StreamInfo("clip.mp4", kind, *size, TICK, None if kind == "image" else rate, frames)


STILL = stream(1, "image")


def frame(index: int, pts: int | None = None, tick: Fraction = TICK) -> Frame:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return Frame(image, index, index if pts is None else pts, tick, 1)


def scene(seed: int = 0, height: int = 32, width: int = 48) -> np.ndarray:
    """A smooth map over about 0..1, float32."""
    y, x = np.mgrid[0:height, 0:width]
    return (0.5 + 0.5 * np.sin(x / 9 + seed) * np.cos(y / 7)).astype(np.float32)


def open_at(path: Path, kind: str | None = None, info: StreamInfo | None = None) -> DepthSource:
    settings = Settings(depth=str(path), depth_kind=kind)
    return CpuBackend(resolve("cpu")).open_depth(settings, info or stream())


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


# Coding


def test_normalised_codes_are_exact_where_it_matters() -> None:
    table = decoder("normalised")
    assert {0.0, 0.5, 1.0} <= set(table.tolist())
    assert np.array_equal(encode(Disparity(table), "normalised"), np.arange(65536))
    values = np.random.default_rng(0).normal(0.5, 0.7, 4000).astype(np.float32)
    error = np.abs(table[encode(Disparity(values), "normalised")] - values)
    assert error.max() * 0.07 * 1080 < 0.005, "pixels of radius at 1080p and f/1"


def test_metric_codes_are_fine_where_lenses_look() -> None:
    metres = np.geomspace(0.06, 500, 4000)
    scale, offset = 0.8, 0.1
    disparity = Disparity(((1 / metres - offset) / scale).astype(np.float32), (scale, offset))
    decoded = decoder("metric")[encode(disparity, "metric")].astype(np.float64)
    assert np.all(np.abs(decoded - 1 / metres) <= 1.02 * np.sqrt(20 / metres) / 65535 + 1e-6)
    far = Disparity(np.full(3, -9, np.float32), (scale, offset))
    assert np.all(decoder("metric")[encode(far, "metric")] == 0)


# What --save-depth writes


METRIC = (0.4, 0.05)


@pytest.mark.parametrize("metric", [None, METRIC])
@pytest.mark.parametrize("suffix", [".npz", ".npy", ".png", ".pfm"])
def test_a_saved_still_reads_back_without_a_kind(
    tmp_path: Path, suffix: str, metric: tuple[float, float] | None
) -> None:
    path = tmp_path / f"d{suffix}"
    with open_depth_writer(str(path), STILL) as writer:
        writer.write(frame(0), Disparity(scene(), metric))
        assert not path.exists()
    source = open_at(path, info=STILL)
    units = suffix == ".npz"
    assert source.scale == (("metric" if metric else "normalised") if units else "relative")
    wanted = scene() * metric[0] + metric[1] if metric else scene()
    got = source.estimate(frame(0))
    if suffix == ".png":
        got = got / 65535 * np.ptp(wanted) + wanted.min()
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_square_grid_is_saved_in_the_shape_of_the_still(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    with open_depth_writer(str(path), STILL) as writer:
        writer.write(frame(0), Disparity(scene(0, 100, 100)))
    disparity = open_at(path, info=STILL).estimate(frame(0))
    assert disparity.shape == (HEIGHT, WIDTH)
    np.testing.assert_allclose(disparity[::63, ::95], scene(0, 100, 100)[::99, ::99], atol=0.03)


def record(
    path: str, info: StreamInfo, frames: list[Frame], metric: tuple[float, float] | None
) -> None:
    with open_depth_writer(path, info) as writer:
        for each in frames:
            writer.write(each, Disparity(scene(each.index), metric))


@pytest.fixture(params=["d.mkv", "d/"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A recording in one file, and in a folder."""
    return str(tmp_path / "d") + request.param[1:]


@pytest.mark.parametrize("metric", [None, METRIC])
def test_a_recording_reads_back(target: str, metric: tuple[float, float] | None) -> None:
    record(target, stream(), [frame(index) for index in range(10)], metric)
    source = open_at(Path(target))
    assert source.scale == ("metric" if metric else "normalised")
    assert source.steady
    for index in range(10):
        wanted = Disparity(scene(index), metric)
        table = decoder("metric" if metric else "normalised")
        exact = table[encode(wanted, "metric" if metric else "normalised")]
        np.testing.assert_array_equal(source.estimate(frame(index)), exact)
    source.close()
    source.close()


@pytest.mark.parametrize("start", [-40, 0, 90_000])
def test_frames_are_matched_by_time(target: str, start: int) -> None:
    """Variable rate, a pts that does not start at 0, and a cut of the clip in another time base."""
    tick = Fraction(1, 90_000)
    pts = [start, start + 3003, start + 9009, start + 12_012, start + 90_000, start + 91_502]
    record(target, stream(), [frame(i, each, tick) for i, each in enumerate(pts)], None)
    source = open_at(Path(target), info=stream(3, rate=Fraction(30)))
    fine = Fraction(1, 1_000_000)
    for index, original in enumerate((2, 3, 5, 3, 0, 4)):  # and back, as in a clip that is sought
        at = round(pts[original] * tick / fine)
        exact = decoder("normalised")[encode(Disparity(scene(original)), "normalised")]
        np.testing.assert_array_equal(source.estimate(frame(index, at, fine)), exact)
    source.close()


def test_a_recording_that_is_too_short(target: str) -> None:
    record(target, stream(), [frame(index) for index in range(4)], None)
    source = open_at(Path(target))
    source.estimate(frame(3))
    with pytest.raises(InputCutShort, match=r"ends after 4 maps, .*has 10.*frame 4, 0\.160 s"):
        source.estimate(frame(4))
    source.close()


def test_a_recording_with_a_gap(target: str) -> None:
    record(target, stream(), [frame(0), frame(1), frame(2, 20)], None)
    source = open_at(Path(target))
    source.estimate(frame(1))
    with pytest.raises(InputError, match=r"no depth for frame 5 at 0\.200 s; .* at 0\.040 s"):
        source.estimate(frame(5))
    source.close()


def test_a_recording_of_a_still(target: str) -> None:
    record(target, STILL, [frame(0, 33)], None)
    source = open_at(Path(target), info=STILL)
    assert source.estimate(frame(0)).shape == (32, 48)
    source.close()


def test_a_recording_serves_a_smaller_copy_only_of_the_same_aspect(target: str) -> None:
    record(target, stream(size=(1920, 1080)), [frame(0)], None)
    open_at(Path(target), info=stream(size=(854, 480))).close()
    with pytest.raises(InputError, match=r"a picture of 1920x1080, but 'clip\.mp4' is 1440x1080"):
        open_at(Path(target), info=stream(size=(1440, 1080)))


def test_a_recording_knows_its_kind(target: str) -> None:
    record(target, stream(), [frame(0)], None)
    with pytest.raises(UsageError, match="leave the kind out"):
        open_at(Path(target), "depth")


def test_a_file_recording_is_ffv1_that_ffmpeg_decodes(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg program is not installed")
    path = tmp_path / "d.mkv"
    record(str(path), stream(), [frame(index) for index in range(3)], None)
    command = ["ffmpeg", "-v", "error", "-i", str(path)]
    command += ["-f", "rawvideo", "-pix_fmt", "gray16le", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    codes = np.frombuffer(raw, "<u2").reshape(3, 32, 48)
    np.testing.assert_allclose(codes[2] / 8192 - 3.5, scene(2), atol=0.51 / 8192)


def test_a_cut_recording_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "d.mkv"
    frames = [frame(index) for index in range(10)]
    rng = np.random.default_rng(0)
    with open_depth_writer(str(path), stream()) as writer:
        for each in frames:
            writer.write(each, Disparity(rng.random((32, 48), np.float32)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    source = open_at(path)

    def read() -> None:
        for each in frames:
            source.estimate(each)
            came_through.append(each.index)

    came_through: list[int] = []
    with pytest.raises(InputCutShort):
        read()
    assert 4 <= len(came_through) <= 7
    source.close()


def test_a_folder_recording_that_lacks_maps(tmp_path: Path) -> None:
    record(f"{tmp_path}/d/", stream(), [frame(index) for index in range(3)], None)
    (tmp_path / "d" / "000001.png").unlink()
    with pytest.raises(InputError, match=r"lacks 1 of 3 maps, the first '000001\.png'"):
        open_at(tmp_path / "d")


@pytest.mark.parametrize("index", ["", "rtfocus_depth = 99", "scale = [", "pts = 3"])
def test_a_folder_with_another_index(tmp_path: Path, index: str) -> None:
    (tmp_path / "depth.toml").write_text(index)
    with pytest.raises(InputError, match="is not a depth recording"):
        open_at(tmp_path)


def test_a_video_that_is_no_recording(tmp_path: Path) -> None:
    record(str(tmp_path / "d.mkv"), stream(), [frame(0)], None)
    data = (tmp_path / "d.mkv").read_bytes()
    (tmp_path / "d.mkv").write_bytes(data.replace(b"RTFOCUS_SCALE", b"RTFOCUS_OTHER"))
    with pytest.raises(InputError, match="is not a depth recording"):
        open_at(tmp_path / "d.mkv")


# How writing ends


@pytest.mark.parametrize("ending", [InputCutShort("lost"), KeyboardInterrupt()])
def test_what_was_written_is_kept(target: str, ending: BaseException) -> None:
    def run() -> None:
        with open_depth_writer(target, stream()) as writer:
            writer.write(frame(0), Disparity(scene()))
            raise ending

    with pytest.raises(type(ending)):
        run()
    open_at(Path(target)).close()


def test_nothing_is_left_of_a_failed_run(target: str, tmp_path: Path) -> None:
    def run() -> None:
        with open_depth_writer(target, stream()) as writer:
            writer.write(frame(0), Disparity(scene()))
            raise RtfocusError("elsewhere")

    with pytest.raises(RtfocusError, match="elsewhere"):
        run()
    assert list(tmp_path.iterdir()) == []


def test_nothing_written_is_no_output(target: str, tmp_path: Path) -> None:
    with open_depth_writer(target, stream()):
        pass
    assert list(tmp_path.iterdir()) == []


def test_discard_after_close_keeps_the_result(target: str) -> None:
    writer = open_depth_writer(target, stream())
    writer.write(frame(0), Disparity(scene()))
    writer.close()
    writer.close()
    writer.discard()
    writer.discard()
    open_at(Path(target)).close()


def test_nothing_is_overwritten_unasked(target: str) -> None:
    record(target, stream(), [frame(0)], None)
    with pytest.raises(UsageError):
        open_depth_writer(target, stream())
    with open_depth_writer(target, stream(), overwrite=True) as writer:
        writer.write(frame(0), Disparity(scene(3)))
        writer.write(frame(1), Disparity(scene(4)))
    source = open_at(Path(target))
    exact = decoder("normalised")[encode(Disparity(scene(4)), "normalised")]
    np.testing.assert_array_equal(source.estimate(frame(1)), exact)
    source.close()


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files end at 100 kB, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="this system has no file size limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("name", ["d.mkv", "d/", "d.npy"])
@pytest.mark.parametrize("frames", [1, 20])
def test_a_full_disk_leaves_nothing(tmp_path: Path, name: str, frames: int) -> None:
    def run() -> None:
        info = STILL if name == "d.npy" else stream()
        with open_depth_writer(f"{tmp_path}/{name}", info) as writer:
            for index in range(frames):
                writer.write(frame(index), Disparity(rng.random((320, 480), np.float32)))

    rng = np.random.default_rng(0)
    with pytest.raises(OutputError, match="cannot be written"):
        run()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    record(f"{tmp_path}/", stream(), [frame(0)], None)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="holds things that are no depth recording"):
        open_depth_writer(str(tmp_path), stream(), overwrite=True)
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("name", ["d.mkv", "d.npy"])
def test_a_folder_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        open_depth_writer(str(tmp_path / "nowhere" / name), STILL)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("d.npy", r"one map, but 'clip\.mp4' has many frames"),
        ("d.mp4", r"kept as \.mkv or a folder"),
    ],
)
def test_names_that_say_no_fitting_format(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_depth_writer(str(tmp_path / name), stream())
