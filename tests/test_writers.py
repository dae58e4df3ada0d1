"""One contract for all writers, and what each has to cope with."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import make_frames, make_info

from rtfocus.errors import InputCutShort, OutputError, UsageError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.writers import check_output, open_writer

Ffmpeg = Callable[..., bytes]


@pytest.fixture(params=["out.mp4", "out.mkv", "out.png", "out/"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/{request.param}"


def frames_for(target: str, info: StreamInfo) -> list[Frame]:
    return make_frames(info, 1 if target.endswith(".png") else 5)


class TestContract:
    """What holds for all writers."""

    def test_nothing_has_the_final_name_before_the_end(self, target: str) -> None:
        info = make_info()
        with open_writer(target, info) as writer:
            for frame in frames_for(target, info):
                writer.write(frame)
                assert not Path(target).exists()
        assert Path(target).exists()
        assert [p.name for p in Path(target).parent.iterdir()] == [Path(target).name]

    def test_an_exception_leaves_nothing(self, target: str) -> None:
        info = make_info()
        with pytest.raises(RuntimeError), open_writer(target, info) as writer:
            writer.write(frames_for(target, info)[0])
            raise RuntimeError
        assert list(Path(target).parent.iterdir()) == []

    @pytest.mark.parametrize("reason", [InputCutShort("x"), KeyboardInterrupt()])
    def test_what_was_written_before_a_cut_is_kept(
        self, target: str, reason: BaseException
    ) -> None:
        info = make_info()
        with pytest.raises(type(reason)), open_writer(target, info) as writer:
            writer.write(frames_for(target, info)[0])
            raise reason
        assert Path(target).exists()

    @pytest.mark.parametrize("reason", [InputCutShort("x"), KeyboardInterrupt()])
    def test_a_cut_before_the_first_frame_leaves_nothing(
        self, target: str, reason: BaseException
    ) -> None:
        with pytest.raises(type(reason)), open_writer(target, make_info()):
            raise reason
        assert list(Path(target).parent.iterdir()) == []

    def test_what_a_link_leads_to_is_replaced(self, target: str, tmp_path: Path) -> None:
        info = make_info()
        place = tmp_path / "elsewhere"
        place.mkdir()
        link = Path(target)
        link.symlink_to(place / link.name, target_is_directory=target.endswith("/"))
        for _ in range(2):
            with open_writer(target, info, overwrite=True) as writer:
                writer.write(frames_for(target, info)[0])
        assert link.is_symlink()
        assert [p.name for p in place.iterdir()] == [link.name]

    def test_names_that_cannot_be(self, target: str) -> None:
        parent, name = os.path.split(target.rstrip("/"))
        suffix = "/" if target.endswith("/") else Path(name).suffix
        with pytest.raises(OutputError, match="too long"):
            check_output(f"{parent}/{'a' * 300}{suffix}", "in.mp4", overwrite=False)
        for bad, reason in (("a" * 300, "too long"), ("a\0b", "null")):
            with pytest.raises(OutputError, match=reason):
                open_writer(f"{parent}/{bad}{suffix}", make_info())

    def test_the_longest_name_that_fits(self, target: str) -> None:
        parent, name = os.path.split(target.rstrip("/"))
        long = f"{parent}/{'a' * (250 - len(name))}{name}" + "/" * target.endswith("/")
        info = make_info()
        with open_writer(long, info) as writer:
            writer.write(frames_for(long, info)[0])
        assert Path(long).exists()

    def test_closing_and_discarding_twice(self, target: str) -> None:
        info = make_info()
        writer = open_writer(target, info)
        writer.write(frames_for(target, info)[0])
        writer.close()
        writer.close()
        writer.discard()
        writer.discard()
        assert Path(target).exists()

    def test_what_exists_is_only_replaced_when_told(self, target: str) -> None:
        info = make_info()
        for overwrite in (False, True):
            with open_writer(target, info, overwrite=overwrite) as writer:
                writer.write(frames_for(target, info)[0])
        with pytest.raises(UsageError, match="-y"):
            check_output(target, "in.mp4", overwrite=False)
        with pytest.raises(UsageError, match="-y"):
            open_writer(target, info)


def streams(path: Path, ffmpeg: Ffmpeg, entries: str, *more: object) -> list[str]:
    out = ffmpeg(*more, "-show_entries", entries, "-of", "csv=p=0", path, program="ffprobe")
    return [line.strip(",") for line in out.decode().split()]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_times_are_kept(suffix: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    base = Fraction(1, 1000) if suffix in ("mkv", "webm") else Fraction(1, 90000)
    info = make_info(time_base=base, rate=Fraction(20))
    pts = np.cumsum([0, 40, 40, 80, 33, 100, 40, 41]) * int(Fraction(1, 1000) / base)
    path = tmp_path / f"out.{suffix}"
    with open_writer(str(path), info) as writer:
        for i, frame in enumerate(make_frames(info, len(pts))):
            writer.write(Frame(frame.image, i, int(pts[i]), base, 40))
    times = [float(t) for t in streams(path, ffmpeg, "frame=pts_time", "-select_streams", "v")]
    np.testing.assert_allclose(times, pts * float(base), atol=1e-6)


def test_first_frame_later_than_nought(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    info = make_info()
    path = tmp_path / "out.mp4"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 4, start=5120):
            writer.write(frame)
    times = [float(t) for t in streams(path, ffmpeg, "frame=pts_time", "-select_streams", "v")]
    np.testing.assert_allclose(times, 0.4 + 0.04 * np.arange(4), atol=1e-4)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_a_start_before_nought_moves_up(suffix: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    info = make_info()
    path = tmp_path / f"out.{suffix}"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 5, start=-5120):
            writer.write(frame)
    times = [float(t) for t in streams(path, ffmpeg, "frame=pts_time", "-select_streams", "v")]
    np.testing.assert_allclose(times, 0.04 * np.arange(5), atol=1e-6)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_the_start_is_exact_to_a_tick(suffix: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    info = make_info()
    path = tmp_path / f"out.{suffix}"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 3, start=37):
            writer.write(frame)
    times = [float(t) for t in streams(path, ffmpeg, "frame=pts_time", "-select_streams", "v")]
    np.testing.assert_allclose(times, 37 / 12800 + 0.04 * np.arange(3), atol=1e-6)


@pytest.mark.parametrize(
    "codec", ["h264", "hevc", "mpeg4", "ffv1", "prores", "vp8", "vp9", "libx264", "mjpeg"]
)
def test_codecs_and_colours(codec: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    info = make_info(96, 64)
    patches = np.zeros((64, 96, 3), np.uint8)
    colours = [(255, 255, 255), (0, 0, 0), (200, 40, 40), (40, 180, 60), (30, 60, 200), (128,) * 3]
    for i, colour in enumerate(colours):
        patches[(i // 3) * 32 : (i // 3) * 32 + 32, (i % 3) * 32 : (i % 3) * 32 + 32] = colour
    path, png = tmp_path / "out.mkv", tmp_path / "out.png"
    with open_writer(str(path), info, codec=codec) as writer:
        for i in range(3):
            writer.write(Frame(patches, i, i * 512, info.time_base, 512))
    ffmpeg("-i", path, "-frames:v", 1, png)
    read = cv2.imread(str(png))[..., ::-1].astype(int)
    for i, colour in enumerate(colours):
        y, x = (i // 3) * 32 + 16, (i % 3) * 32 + 16
        assert np.abs(read[y - 4 : y + 4, x - 4 : x + 4].mean((0, 1)) - colour).max() < 6


def test_colour_tags_size_and_aspect(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    info = make_info(sample_aspect_ratio=Fraction(4, 3))
    path = tmp_path / "out.mp4"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 3):
            writer.write(frame)
    entries = "stream=width,height,sample_aspect_ratio,pix_fmt,color_range,color_space," \
              "color_transfer,color_primaries"  # fmt: skip
    (line,) = streams(path, ffmpeg, entries)
    assert line == "64,48,4:3,yuv420p,tv,bt709,bt709,bt709"


@pytest.mark.parametrize(
    ("name", "codec"),
    [(f"o{suffix}", codec) for suffix in (".mkv", ".webm", ".mp4")
     for codec in (None, "ffv1", "hevc", "vp9", "av1", "prores", "mpeg4")],
)  # fmt: skip
def test_an_aspect_that_is_lost_is_told(
    tmp_path: Path, ffmpeg: Ffmpeg, caplog: pytest.LogCaptureFixture, name: str, codec: str | None
) -> None:
    info = make_info(180, 144, sample_aspect_ratio=Fraction(16, 11))
    try:
        with open_writer(str(tmp_path / name), info, codec=codec) as writer:
            for frame in make_frames(info, 4):
                writer.write(frame)
    except UsageError:
        pytest.skip("not in this container")
    (line,) = streams(tmp_path / name, ffmpeg, "stream=sample_aspect_ratio")
    assert (line != "16:11") == ("not square" in caplog.text)


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (64, 47), (2, 2)])
def test_odd_sizes_keep_their_size(size: tuple[int, int], tmp_path: Path) -> None:
    info = make_info(*size)
    path = tmp_path / "out.mp4"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 2):
            writer.write(frame)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "h265x"}, "Did you mean"),
        ({"codec": "aac"}, "no such video encoder"),
        ({"preset": "fastt"}, "Did you mean 'fast'"),
        ({"codec": "ffv1", "crf": 20.0}, "no constant quality"),
        ({"codec": "mpeg4", "preset": "fast"}, "no presets"),
        ({"codec": "h264", "crf": -1.0}, "0 to 51"),
        ({"codec": "h264", "crf": 52.0}, "0 to 51"),
        ({"codec": "vp9", "crf": 99.0}, "does not take"),
        ({"codec": "hevc", "crf": float("nan")}, "0 to 51"),
        ({"codec": "utvideo"}, "does not hold"),
    ],
)
def test_encoders_that_do_not_fit(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        open_writer(str(tmp_path / "o.mkv"), make_info(), **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_options_of_videos_are_refused_for_images(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no video"):
        open_writer(str(tmp_path / "o.png"), make_info(), crf=20.0)


def test_unknown_formats(tmp_path: Path) -> None:
    for name in ("out.xyz", "out", "out.avi"):
        with pytest.raises(UsageError, match=r"\.mp4"):
            check_output(str(tmp_path / name), "in.mp4", overwrite=False)


@pytest.mark.parametrize("link", ["same", "symlink", "hardlink"])
def test_the_input_is_never_overwritten(link: str, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(b"precious")
    target = source if link == "same" else tmp_path / "link.mp4"
    if link == "symlink":
        target.symlink_to(source)
    elif link == "hardlink":
        os.link(source, target)
    with pytest.raises(UsageError, match="never overwritten"):
        check_output(str(target), str(source), overwrite=True)


def test_images_of_the_input_are_never_overwritten(tmp_path: Path) -> None:
    frame = tmp_path / "000000.png"
    frame.write_bytes(b"precious")
    for output, source in ((tmp_path, frame), (frame, tmp_path)):
        with pytest.raises(UsageError, match="never overwritten"):
            check_output(str(output), str(source), overwrite=True)


def test_a_directory_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for call in (
        lambda: check_output(f"{tmp_path}/", "in.mp4", overwrite=True),
        lambda: open_writer(f"{tmp_path}/", make_info(), overwrite=True),
    ):
        with pytest.raises(UsageError, match=r"letter\.txt"):
            call()
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        check_output(str(tmp_path / "absent" / "o.mp4"), "in.mp4", overwrite=False)
    with pytest.raises(OutputError):
        open_writer(str(tmp_path / "absent" / "o.mp4"), make_info())


def test_several_frames_need_a_directory_or_video(tmp_path: Path) -> None:
    info = make_info()
    first, second = make_frames(info, 2)
    with (
        pytest.raises(UsageError, match="directory"),
        open_writer(str(tmp_path / "o.png"), info) as writer,
    ):
        writer.write(first)
        writer.write(second)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_images(suffix: str, tmp_path: Path) -> None:
    info = make_info(kind="image")
    path = tmp_path / f"o{suffix}"
    (frame,) = make_frames(info, 1)
    with open_writer(str(path), info) as writer:
        writer.write(frame)
    read = cv2.imread(str(path))[..., ::-1].astype(int)
    assert np.abs(read - frame.image).mean() < (3 if suffix in (".jpg", ".webp") else 0.01)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file size limits are POSIX's")
@pytest.mark.parametrize(
    ("name", "missing"), [("o.mkv", 60000), ("o.mkv", 1), ("o.mp4", 1), ("o.png", 1)]
)
def test_a_full_disk(name: str, missing: int, tmp_path: Path) -> None:
    """A limit on file size stands in for a full disk, down to the last byte of the trailer.

    It is set in a process of its own.
    """
    import subprocess
    import sys

    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import make_frames, make_info
from rtfocus.errors import OutputError
from rtfocus.writers import open_writer
import numpy as np
from rtfocus.frame import Frame
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
info = make_info(320, 240)
noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
def write(path):
    with open_writer(path, info) as writer:
        for i in range(1 if path.endswith("png") else 5):
            writer.write(Frame(noise, i, i * 512, info.time_base, 512))
path = Path({str(tmp_path / name)!r})
write(str(path))
limit = path.stat().st_size - {missing}
path.unlink()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write(str(path))
except OutputError as error:
    print("refused:", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "refused:" in done.stdout
    assert list(tmp_path.iterdir()) == []
