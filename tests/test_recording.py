"""Recorded depth: map files of any origin, and what `--save-depth` writes read back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from depth_maps import HEIGHT, STILL, WIDTH, frame, open_at, scene, stream

from rtfocus.depth.coding import decoder, encode
from rtfocus.depth.save import open_depth_writer
from rtfocus.errors import InputCutShort, InputError, OutputError, RtfocusError, UsageError
from rtfocus.frame import Disparity, Frame, StreamInfo

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
