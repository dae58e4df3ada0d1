"""The built-in scene as an input: `pattern`, or `pattern:1280x720@30,10s`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction

from rtfocus.errors import UsageError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers.base import Reader
from rtfocus.readers.scene import Scene
from rtfocus.readers.seeking import index_at

_SYNTAX = re.compile(
    r"pattern(?::(?:(?P<width>\d+)x(?P<height>\d+))?(?:@(?P<rate>\d+(?:\.\d+|/\d+)?))?"
    r"(?:,(?P<seconds>\d+(?:\.\d+)?)s)?)?"
)
_LARGEST = 16384


class PatternReader(Reader):
    """Frames of the built-in scene, each with its true disparity in 1/m."""

    def __init__(self, source: str, start: float = 0.0) -> None:
        """Args: see below.

        Args:
            source: pattern[:WxH][@RATE][,SECONDSs]; by default 1280x720@30,10s.
            start: see `open_reader`.

        Raises:
            UsageError: it is not of that form.
        """
        match = _SYNTAX.fullmatch(source)
        if match is None:
            raise UsageError(
                f"{source!r}: a pattern is written pattern:WIDTHxHEIGHT@RATE,SECONDSs, such as "
                "pattern:1280x720@30,10s; each part can be left out"
            )
        width, height = int(match["width"] or 1280), int(match["height"] or 720)
        if not (1 <= width <= _LARGEST and 1 <= height <= _LARGEST):
            raise UsageError(f"{source!r}: sides must be 1 to {_LARGEST}")
        try:
            rate = Fraction(match["rate"] or 30).limit_denominator(1001)
        except ZeroDivisionError:
            rate = Fraction(0)
        frames = math.ceil(Fraction(match["seconds"] or 10) * rate)
        if rate <= 0 or frames < 1:
            raise UsageError(f"{source!r}: rate and duration must give at least one frame")
        self._info = StreamInfo(
            source,
            "pattern",
            width,
            height,
            time_base=1 / rate,
            rate=rate,
            frames=frames,
            duration=float(frames / rate),
            has_depth=True,
        )
        self._numbers = range(index_at(start, rate, frames), frames)
        self._closed = False

    @property
    def info(self) -> StreamInfo:
        """What is known before the first frame."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order of time."""
        info = self._info
        scene = Scene(info.height, info.width)
        for index, number in enumerate(self._numbers):
            if self._closed:
                return
            image, disparity = scene.draw(float(number * info.time_base))
            yield Frame(image, index, number, info.time_base, 1, disparity)

    def close(self) -> None:
        """End an iteration that is under way."""
        self._closed = True
