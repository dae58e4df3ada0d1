"""Readers that begin midway, compared with reading everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtfocus.errors import InputCutShort
from rtfocus.planes import CodedPicture, Planes
from rtfocus.readers import open_reader
from rtfocus.readers.seeking import index_at, shown_from

RATE = 25
EVEN = range(60)
UNEVEN = [*range(10), *range(12, 40, 2), 90, *range(100, 160, 5)]  # one stays for two seconds


def encode(path: Path, times: Sequence[int] = EVEN, codec: str = "libx264", **options: str) -> Path:
    """Pictures of noise at so many 25ths of a second, a key frame every twelve at least."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options={"g": "12", "bf": "3", **options})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        rng = np.random.default_rng(1)
        for time in times:
            image = np.kron(rng.integers(0, 255, (24, 32, 3)), np.ones((2, 2, 1)))
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def check_seeks(source: str, numbers: Sequence[int]) -> None:
    """That every way to ask for one of those frames finds it and what follows."""
    with open_reader(source) as reader:
        everything, info = list(reader), reader.info
    assert len({f.image.tobytes() for f in everything}) == len(everything)
    ends = [f.time for f in everything[1:]] + [everything[-1].time + 1000]
    for number in numbers:
        time, end = everything[number].time, ends[number]
        for start in (time, round(time, 3), (time + end) / 2, end - 0.002):
            with open_reader(source, start=start) as reader:
                frames = list(islice(reader, 5))
                assert reader.info == info
            wanted = everything[number:][:5]
            assert [f.pts for f in frames] == [f.pts for f in wanted]
            assert [f.index for f in frames] == list(range(len(wanted)))
            for frame, same in zip(frames, wanted, strict=True):
                np.testing.assert_array_equal(frame.image, same.image)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.flv", {}),
        ("a.avi", {"codec": "mpeg4", "bf": "0"}),
        ("a.mpg", {"codec": "mpeg2video", "b": "4000000"}),
        ("mpeg4.ts", {"codec": "mpeg4", "g": "40"}),  # which begins grey between key frames
        ("open_gop.mp4", {"x264-params": "open-gop=1"}),
        ("open_gop.ts", {"x264-params": "open-gop=1"}),
        ("no_key_frames.ts", {"x264-params": "intra-refresh=1:keyint=20"}),
    ],
)
def test_every_container(name: str, options: dict[str, str], tmp_path: Path) -> None:
    check_seeks(str(encode(tmp_path / name, **options)), (0, 1, 11, 12, 13, 34, 58, 59))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_variable_frame_rate(name: str, tmp_path: Path) -> None:
    check_seeks(str(encode(tmp_path / name, UNEVEN)), (0, 9, 10, 22, 23, 24, 25, 36))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_stream_that_begins_late(name: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, range(1000, 1060))
    with open_reader(str(path)) as reader:
        first, info = next(iter(reader)), reader.info
    assert first.time >= 40
    assert info.start == first.time
    assert info.duration == pytest.approx(2.4, abs=0.1)
    check_seeks(str(path), (0, 1, 30, 59))
    for start in (0.0, 3.0, 39.0):
        with open_reader(str(path), start=start) as reader:
            assert next(iter(reader)).pts == first.pts


def test_pictures_without_times(tmp_path: Path) -> None:
    check_seeks(str(encode(tmp_path / "a.h264")), (0, 1, 30, 59))


def test_a_file_that_is_cut(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    whole = []
    with open_reader(str(path)) as reader, pytest.raises(InputCutShort):
        whole.extend(reader)
    frames = []
    with open_reader(str(path), start=2.3) as reader, pytest.raises(InputCutShort):
        frames.extend(reader)
    assert [f.pts for f in frames] == [whole[-1].pts]


class Elsewhere:
    """A device that decodes as the CPU does."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self, source: str) -> av.container.InputContainer:
        self.opened += 1
        return av.open(source)

    def holds(self, frame: av.VideoFrame) -> bool:  # noqa: ARG002
        return False

    def planes(self, frame: av.VideoFrame) -> Planes | None:  # noqa: ARG002
        return None


def test_pictures_that_a_device_decodes(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.ts")
    with open_reader(str(path)) as reader:
        times = [f.pts for f in reader]
    device = Elsewhere()
    with open_reader(str(path), decoding=device, start=reader.info.start + 0.2) as reader:
        frames = list(reader)
    assert device.opened == 2  # the key frame before is the first, which only a fresh start finds
    assert [f.pts for f in frames] == times[5:]
    assert all(isinstance(f.image, CodedPicture) for f in frames)


def test_closing_ends_the_search(tmp_path: Path) -> None:
    reader = open_reader(str(encode(tmp_path / "a.mp4")), start=2.0)
    reader.close()
    assert list(reader) == []


def test_sequences(tmp_path: Path) -> None:
    for i in range(7):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((8, 8, 3), i, np.uint8))
    check_seeks(str(tmp_path), range(7))
    (tmp_path / "5.png").write_bytes(b"no image")
    with (
        open_reader(str(tmp_path), start=3 / 25) as reader,
        pytest.raises(InputCutShort, match="The 2 of 7 images before"),
    ):
        list(reader)


@pytest.mark.parametrize("source", ["pattern:32x24@10,0.7s", "pattern:32x24@30000/1001,0.2s"])
def test_pattern(source: str) -> None:
    check_seeks(source, range(6))


def test_image(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    check_seeks(str(tmp_path / "a.png"), [0])


@pytest.mark.parametrize(
    ("source", "seconds"),
    [("a.mp4", 2.4), ("a.mkv", 2.4), ("a.ts", 2.4), ("pattern:8x8@30000/1001,2s", 60 * 1.001 / 30)],
)
def test_duration(source: str, seconds: float, tmp_path: Path) -> None:
    if not source.startswith("pattern"):
        source = str(encode(tmp_path / source))
    with open_reader(source) as reader:
        last = list(reader)[-1]
        info = reader.info
    assert info.duration == pytest.approx(seconds, abs=2e-3)
    assert info.start + info.duration == pytest.approx(last.time + 1 / float(info.rate), abs=2e-3)


@given(count=st.integers(1, 300), number=st.integers(0, 299), rate=st.fractions(1, 240))
def test_numbers_of_frames_at_an_even_rate(count: int, number: int, rate: Fraction) -> None:
    time = float(number / rate)
    assert index_at(time, rate, count) == min(number, count - 1)
    assert index_at(time + float(0.8 / rate), rate, count) == min(number, count - 1)


@given(
    times=st.lists(st.integers(1, 500), min_size=1, unique=True).map(sorted),
    keys=st.sets(st.integers(0, 30)),
    pts=st.integers(0, 600),
    step=st.integers(1, 40),
    late=st.booleans(),
)
def test_going_back_until_it_is_found(
    times: list[int], keys: set[int], pts: int, step: int, late: bool
) -> None:
    """With key frames at some places, and a container that goes to the one after or before."""
    starts = [times[k] for k in sorted({0, *keys}) if k < len(times)]

    def restart(near: int | None) -> Iterator[tuple[int, str]]:
        if near is None:
            first = times[0]
        elif late:
            first = next((t for t in starts if t >= near), 1000)
        else:
            first = max((t for t in starts if t <= near), default=starts[-1])
        return ((t, str(t)) for t in times if t >= first)

    shown = max((t for t in times if t <= pts), default=times[0])
    wanted = [(t, str(t)) for t in times if t >= shown]
    assert list(shown_from(pts, step, restart)) == wanted


def test_nothing_to_be_found() -> None:
    assert list(shown_from(5, 1, lambda _: iter(()))) == []
