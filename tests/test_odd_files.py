"""Files as cameras, editors and other programs leave them, beside what FFmpeg makes of them."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

import rtfocus
from rtfocus.errors import InputCutShort, InputError
from rtfocus.readers import open_reader

Ffmpeg = Callable[..., bytes]

PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=d=1")
H264 = ("-c:v", "libx264", "-bf", 2, "-pix_fmt", "yuv420p", "-c:a", "aac")
OPTIONS = {"device": "cpu", "view": "original"}


@pytest.fixture
def clip(tmp_path: Path, ffmpeg: Ffmpeg) -> Path:
    """A second of 25 pictures, with B-frames and sound."""
    path = tmp_path / "clip.mp4"
    ffmpeg(*PICTURES, *SOUND, *H264, path)
    return path


@pytest.fixture
def depth(tmp_path: Path) -> str:
    path = tmp_path / "ramp.npy"
    np.save(path, np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1)))
    return str(path)


def times(path: Path) -> list[float]:
    with open_reader(str(path)) as reader:
        return [frame.time for frame in reader]


def count(path: Path, kind: str) -> int:
    """Packets of a kind of stream."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return sum(packet.size > 0 for packet in container.demux(stream))


def test_a_track_of_data(clip: Path, tmp_path: Path, depth: str, ffmpeg: Ffmpeg) -> None:
    """Such as the time code of an editor, or what an action camera measures."""
    coded, out = tmp_path / "coded.mov", tmp_path / "out.mov"
    ffmpeg("-i", clip, "-c", "copy", "-timecode", "01:02:03:04", coded)
    with av.open(str(coded)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "data"]
    assert rtfocus.refocus(str(coded), str(out), depth=depth, **OPTIONS).frames == 25
    assert count(out, "audio") == count(coded, "audio")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pictures_that_are_not_the_first_stream(
    clip: Path, tmp_path: Path, ffmpeg: Ffmpeg, suffix: str
) -> None:
    path = tmp_path / f"swapped.{suffix}"
    ffmpeg("-i", clip, "-map", "0:a", "-map", "0:v", "-c", "copy", path)
    assert len(times(path)) == 25


def test_times_before_nought(clip: Path, tmp_path: Path, depth: str, ffmpeg: Ffmpeg) -> None:
    """As of a broadcast's clock just before it starts over."""
    path, out = tmp_path / "late.ts", tmp_path / "out.mkv"
    ffmpeg("-i", clip, "-c", "copy", "-muxdelay", 0, "-output_ts_offset", 95443, path)
    found = times(path)
    assert len(found) == 25
    assert found[0] < -0.4
    np.testing.assert_allclose(np.diff(found), 0.04, atol=1e-4)
    assert rtfocus.refocus(str(path), str(out), depth=depth, **OPTIONS).frames == 25
    assert count(out, "audio") == count(path, "audio")


@pytest.mark.parametrize(
    "codec", [("libx264", "-bf", 2), ("libx264", "-bf", 0), ("mpeg4", "-bf", 2)]
)
def test_avi(tmp_path: Path, ffmpeg: Ffmpeg, codec: tuple[object, ...]) -> None:
    """It has no presentation times: those of B-frames must not be out of order."""
    path = tmp_path / "a.avi"
    ffmpeg(*PICTURES, "-c:v", *codec, path)
    found = times(path)
    assert len(found) == 25
    assert np.diff(found).max() <= 0.081
    told = ffmpeg(
        "-select_streams", "v", "-show_entries", "frame=best_effort_timestamp_time", "-of",
        "csv=p=0", path, program="ffprobe",
    )  # fmt: skip
    wanted = [float(line.strip(",")) for line in told.decode().split() if line.strip(",") != "N/A"]
    np.testing.assert_allclose(found[: len(wanted)], wanted, atol=1e-4)


def test_an_avi_that_is_cut_within_its_sound(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "a.avi"
    sound = "-f", "lavfi", "-i", "sine=duration=1"
    ffmpeg(*PICTURES, *sound, "-c:v", "mjpeg", "-c:a", "pcm_s16le", path)
    data = path.read_bytes()
    chunk = data.index(b"01wb", len(data) * 2 // 3)
    path.write_bytes(data[: chunk + 100])
    with pytest.raises(InputCutShort, match="last packet is incomplete"):
        times(path)


@pytest.mark.parametrize(
    ("suffix", "form", "size"),
    [("mkv", ("-c:v", "libx264rgb", "-qp", 0), "66x48"), ("mov", ("-c:v", "qtrle"), "66x48")],
)
def test_packed_pictures_with_padded_rows(
    tmp_path: Path, ffmpeg: Ffmpeg, suffix: str, form: tuple[object, ...], size: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.08", *form, path)
    raw = ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    width, height = map(int, size.split("x"))
    wanted = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    with open_reader(str(path)) as reader:
        images = [frame.image for frame in reader]
    assert len(images) == len(wanted) == 2
    for image, picture in zip(images, wanted, strict=True):
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, picture)


@pytest.mark.parametrize("name", ["Interview: Anna.mp4", "12:30:05.mp4", "file:x.mp4"])
def test_names_with_a_colon(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, depth: str
) -> None:
    monkeypatch.chdir(tmp_path)
    clip.rename(name)
    assert rtfocus.refocus(name, f"of {name}", depth=depth, **OPTIONS).frames == 25
    assert count(tmp_path / f"of {name}", "audio") > 40


def test_joined_recordings(clip: Path, tmp_path: Path, depth: str, ffmpeg: Ffmpeg) -> None:
    part, whole, out = (tmp_path / name for name in ("part.ts", "whole.ts", "out.mkv"))
    ffmpeg("-i", clip, "-c", "copy", "-output_ts_offset", 5, part)
    whole.write_bytes(part.read_bytes() * 3)
    assert rtfocus.refocus(str(whole), str(out), depth=depth, **OPTIONS).frames == 75
    assert count(out, "audio") == 3 * count(part, "audio")
    with av.open(str(out)) as container:
        pictures, sound = container.streams.video[0], container.streams.audio[0]
        ends = {pictures: 0.0, sound: 0.0}
        for packet in container.demux(pictures, sound):
            if packet.pts is not None:
                ends[packet.stream] = float(packet.pts * packet.time_base)
    assert ends[sound] == pytest.approx(ends[pictures], abs=0.15)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_chapters_are_kept(
    clip: Path, tmp_path: Path, depth: str, ffmpeg: Ffmpeg, suffix: str
) -> None:
    words, path = tmp_path / "words.txt", tmp_path / f"told.{suffix}"
    words.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\n"
    )
    ffmpeg("-i", clip, "-i", words, "-map_metadata", 1, "-c", "copy", path)
    for source, out in ((path, f"a.{suffix}"), (tmp_path / f"a.{suffix}", f"b.{suffix}")):
        assert (
            rtfocus.refocus(str(source), str(tmp_path / out), depth=depth, **OPTIONS).frames == 25
        )
        with av.open(str(tmp_path / out)) as container:
            chapters = [
                (float(c["start"] * c["time_base"]), c["metadata"]["title"])
                for c in container.chapters()
            ]
        assert chapters == [(0.0, "One"), (0.4, "Two")]


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_pictures_keep_language_and_role(
    clip: Path, tmp_path: Path, depth: str, ffmpeg: Ffmpeg, suffix: str
) -> None:
    path, out = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    ffmpeg("-i", clip, "-c", "copy", "-metadata:s:v", "language=fra", path)
    rtfocus.refocus(str(path), str(out), depth=depth, **OPTIONS)
    with av.open(str(out)) as container:
        video = container.streams.video[0]
        assert video.metadata["language"] == "fra"
        assert video.disposition & Disposition.default


def test_a_time_code_in_the_header(tmp_path: Path, depth: str, ffmpeg: Ffmpeg) -> None:
    """It would become a track that MP4 cannot hold at a camera's time base."""
    path, out = tmp_path / "a.mkv", tmp_path / "a.mp4"
    ffmpeg(*PICTURES, *H264[:-2], "-metadata", "timecode=01:00:00:00", path)
    assert rtfocus.refocus(str(path), str(out), depth=depth, **OPTIONS).frames == 25
    with av.open(str(out)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 1.0])
def test_a_fragmented_recording_that_broke_off(
    clip: Path, tmp_path: Path, ffmpeg: Ffmpeg, share: float
) -> None:
    path = tmp_path / "a.mp4"
    how = ("-movflags", "frag_keyframe+empty_moov", "-g", 5, "-an")
    ffmpeg("-i", clip, "-c:v", "libx264", *how, path)
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    with open_reader(str(path)) as reader:
        count = 0
        with pytest.raises(InputCutShort) if share < 1 else nullcontext():
            for _ in reader:
                count += 1
    assert 3 < count <= 25
    assert (count == 25) == (share == 1)


def test_interlaced_pictures_are_announced(
    tmp_path: Path, ffmpeg: Ffmpeg, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "rtfocus")
    path = tmp_path / "a.mp4"
    ffmpeg(*PICTURES, *H264[:-2], "-x264-params", "tff=1", path)
    assert len(times(path)) == 25
    assert caplog.text.count("interlaced;") == 1


def test_pictures_with_exif(tmp_path: Path) -> None:
    """Side data of which PyAV does not know every kind; a camera held upright, here."""
    path = tmp_path / "a.avi"
    _, jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4)
    block = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = jpeg.tobytes()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i in range(3):
            packet = av.Packet(data[:2] + block + data[2:])
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = i
            container.mux(packet)
    with open_reader(str(path)) as reader:
        assert (reader.info.width, reader.info.height) == (48, 64)
        assert [frame.image.shape for frame in reader] == [(64, 48, 3)] * 3


def test_a_codec_that_is_not_known(tmp_path: Path) -> None:
    """As JPEG XL is not to every FFmpeg; here one whose name is not known to any."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuvj420p")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"QQQQ"))
    with pytest.raises(InputError, match="cannot decode"):
        open_reader(str(path))
