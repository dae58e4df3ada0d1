"""Live pictures for a device that converts them itself: they stay as they were decoded."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from rtfocus.errors import InputError
from rtfocus.planes import CodedPicture
from rtfocus.readers import open_reader
from rtfocus.readers.clock import LiveClock
from rtfocus.readers.feed import LiveFeed
from rtfocus.readers.reopening import ReopeningReader, fit


class Converting:
    """A device that converts pictures, and decodes none."""

    def open(self, source: str) -> None:
        assert "://" not in source  # what may never answer is opened with a timeout, elsewhere

    def planes(self, _: av.VideoFrame) -> None:
        return None


Clip = Callable[[str, str], str]


@pytest.fixture
def clip(ffmpeg: Callable[..., bytes], tmp_path: Path) -> Clip:
    def make(size: str, pixels: str) -> str:
        path = tmp_path / f"{size}{pixels}.mkv"
        codec = "ffv1" if pixels == "rgb" else "mjpeg" if pixels.startswith("yuvj") else "libx264"
        form = "bgr0" if pixels == "rgb" else pixels
        source = f"testsrc2=s={size}:r=10:d=0.3"
        live = ("-tune", "zerolatency") if codec == "libx264" else ()
        ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", form, "-c:v", codec, *live, path)
        return str(path)

    return make


def open_feed(path: str, device: Converting | None) -> LiveFeed:
    return LiveFeed(path, "stream", av.open(path), LiveClock(), device)


def read(path: str, device: Converting | None) -> list[object]:
    images: list[object] = []
    with pytest.raises(InputError, match="has ended"), open_feed(path, device) as feed:
        images += (frame.image for frame in feed)
    return images


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le", "yuvj422p"])
@pytest.mark.parametrize("size", ["96x64", "75x51"])
def test_it_is_left_as_it_was_decoded(clip: Clip, size: str, pixels: str) -> None:
    path = clip(size, pixels)
    coded, plain = read(path, Converting()), read(path, None)
    assert len(coded) == len(plain) == 3
    assert any((a != b).any() for a, b in pairwise(plain))
    for picture, image in zip(coded, plain, strict=True):
        assert isinstance(picture, CodedPicture)
        np.testing.assert_array_equal(picture.to_rgb(), image)


def test_what_the_device_cannot_convert_comes_as_rgb(clip: Clip) -> None:
    path = clip("96x64", "rgb")
    for image, plain in zip(read(path, Converting()), read(path, None), strict=True):
        np.testing.assert_array_equal(image, plain)


def test_a_source_that_comes_back_at_another_size(clip: Clip) -> None:
    paths = [clip("96x64", "yuv420p"), clip("64x64", "yuv420p")]
    plain = read(paths[1], None)
    left = iter(paths)

    with ReopeningReader("x", lambda: open_feed(next(left), Converting())) as reader:
        images = [frame.image for frame in islice(reader, 6)]
    assert [isinstance(image, CodedPicture) for image in images] == [True] * 3 + [False] * 3
    for image, wanted in zip(images[3:], plain, strict=True):
        np.testing.assert_array_equal(image, fit(wanted, (96, 64)))


def test_a_clip_on_a_web_server(clip: Clip) -> None:
    path = Path(clip("96x64", "yuv420p"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=path.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{path.name}"
        with open_reader(url, decoding=Converting()) as reader:
            pictures = [frame.image for frame in reader]
        server.shutdown()
    with open_reader(str(path)) as reader:
        plain = [frame.image for frame in reader]
    assert len(pictures) == len(plain) == 3
    for picture, image in zip(pictures, plain, strict=True):
        assert isinstance(picture, CodedPicture)
        np.testing.assert_array_equal(picture.to_rgb(), image)
