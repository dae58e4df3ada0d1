"""Sound and subtitles beside the picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from conftest import make_frames, make_info

from rtfocus.errors import InputCutShort
from rtfocus.writers import open_writer

Ffmpeg = Callable[..., bytes]


def packets(path: Path, kind: str) -> list[tuple[float, str]]:
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (float(p.pts * p.time_base), hashlib.md5(bytes(p)).hexdigest())
            for p in container.demux(stream)
            if p.pts is not None
        ]


@pytest.fixture
def sounding(tmp_path: Path, ffmpeg: Ffmpeg) -> Path:
    """Two seconds of video with sound, subtitles and a title."""
    words = tmp_path / "a.srt"
    words.write_text("1\n00:00:00,200 --> 00:00:01,000\nhello\n")
    path = tmp_path / "in.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2", "-i",
        words, "-map", 0, "-map", 1, "-map", 2, "-c:a", "aac", "-metadata", "title=Ours",
        "-metadata:s:a:0", "language=fra", "-disposition:a:0", "comment", path,
    )  # fmt: skip
    return path


def test_sound_subtitles_and_title_are_copied(sounding: Path, tmp_path: Path) -> None:
    info = make_info(media=str(sounding), time_base=Fraction(1, 1000))
    path = tmp_path / "out.mkv"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 50, step=40):
            writer.write(frame)
    for kind in ("audio", "subtitle"):
        assert packets(path, kind) == packets(sounding, kind)
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "Ours"


def test_what_the_container_cannot_hold_is_left_out_and_said(
    sounding: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    info = make_info(media=str(sounding), time_base=Fraction(1, 1000))
    path = tmp_path / "out.mp4"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 10, step=40):
            writer.write(frame)
    assert "subtitle" in caplog.text
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_sound_keeps_language_and_role(suffix: str, sounding: Path, tmp_path: Path) -> None:
    info = make_info(media=str(sounding), time_base=Fraction(1, 1000))
    path = tmp_path / f"out.{suffix}"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 50, step=40):
            writer.write(frame)
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        assert stream.language == "fra"
        assert suffix == "ts" or stream.disposition & Disposition.comment
        assert sum(packet.size > 0 for packet in container.demux(stream)) == len(
            packets(sounding, "audio")
        )


def test_a_codec_that_the_container_refuses_late(
    tmp_path: Path, ffmpeg: Ffmpeg, caplog: pytest.LogCaptureFixture
) -> None:
    """MOV lists Opus among what it holds, but does not begin a file with it."""
    source, path = tmp_path / "in.webm", tmp_path / "out.mov"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc=s=64x48:d=0.2", "-f", "lavfi", "-i", "sine=d=1", "-c:a",
        "libopus", source,
    )  # fmt: skip
    info = make_info(media=str(source))
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 3):
            writer.write(frame)
    assert "(opus) cannot be kept in mov" in caplog.text
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["video"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_damaged_sound_does_not_end_the_run(
    suffix: str, sounding: Path, tmp_path: Path, ffmpeg: Ffmpeg, caplog: pytest.LogCaptureFixture
) -> None:
    source, path = tmp_path / "in.ts", tmp_path / f"out.{suffix}"
    ffmpeg("-i", sounding, "-map", "0:v", "-map", "0:a", "-c", "copy", source)
    damaged = bytearray(source.read_bytes())
    random = np.random.default_rng(1)
    for place in random.integers(8000, len(damaged), 300):
        damaged[place] = random.integers(256)
    source.write_bytes(damaged)
    info = make_info(media=str(source), time_base=Fraction(1, 1000))
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 90, step=40):
            writer.write(frame)
    assert caplog.text.count("damaged sound") == 1
    assert len(packets(path, "video")) == 90
    assert 0 < len(packets(path, "audio")) < len(packets(sounding, "audio"))


def test_sound_ends_with_a_picture_that_was_cut_short(sounding: Path, tmp_path: Path) -> None:
    info = make_info(media=str(sounding), time_base=Fraction(1, 1000))
    path = tmp_path / "out.mkv"
    with pytest.raises(InputCutShort), open_writer(str(path), info) as writer:
        for frame in make_frames(info, 20, step=40):
            writer.write(frame)
        raise InputCutShort("here")
    assert 0.7 < packets(path, "audio")[-1][0] < 0.9


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_sound_moves_with_a_picture_that_starts_before_nought(
    suffix: str, sounding: Path, tmp_path: Path
) -> None:
    info = make_info(media=str(sounding))
    path = tmp_path / f"out.{suffix}"
    with open_writer(str(path), info) as writer:
        for frame in make_frames(info, 5, start=-5120):
            writer.write(frame)
    moved, original = packets(path, "audio"), packets(sounding, "audio")
    assert [digest for _, digest in moved] == [digest for _, digest in original]
    np.testing.assert_allclose(
        [time for time, _ in moved], [time + 0.4 for time, _ in original], atol=1.1e-3
    )


def test_sound_lasts_as_long_as_a_last_frame_that_does_not_say(
    sounding: Path, tmp_path: Path
) -> None:
    info = make_info(media=str(sounding), time_base=Fraction(1, 1000), rate=Fraction(5))
    path = tmp_path / "out.mkv"
    with pytest.raises(InputCutShort), open_writer(str(path), info) as writer:
        for frame in make_frames(info, 4, step=200):
            writer.write(replace(frame, duration=0))
        raise InputCutShort("here")
    assert 0.75 < packets(path, "audio")[-1][0] < 0.8
