"""Follow the thing that was clicked, by its appearance and its depth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2

from rtfocus.focus import FocusPoint, disparity_at
from rtfocus.frame import Image, Map
from rtfocus.template import Match, Place, Template, View

_THUMBNAIL = 256
"""Longer side of the picture that is searched."""

_REACH, _FARTHEST = 12, 36
"""Half the width of the search, in 24ths of the thing; at most, after a while without it."""

_SPREAD = 8.0
"""Standard deviation of how far the thing strays from where its motion leads, likewise."""

_SCALE_STEP = 1.06
_LARGEST_SCALE = 3.0
"""How many times as large or small as at first the thing may become."""

_LEARNT_IN, _NEARED_IN, _SPEED_IN = 0.8, 0.1, 0.2
"""Seconds over which appearance, disparity and speed are averaged."""

_LOST_DEPTH, _FOUND_DEPTH = 0.5, 0.65
"""Share of the thing at its depth, below which it is lost, and above which found again."""

_WHOLE = 0.85
"""The same share, below which the thing is not seen whole, so that its size cannot be told."""

_NOISE, _TIMES, _DIFFERENT = 25.0, 4.0, 50.0
"""Difference of appearance, in levels, that is always allowed; times the usual one that is; and
that never is."""

_COASTING = 0.5
"""Seconds that a lost thing is expected to go on as it went."""


@dataclass(frozen=True, slots=True)
class Track:
    """Where the thing is; while it is lost, where it was seen last.

    Attributes:
        x: of the point that was clicked, on the thing, 0..1 of the width.
        y: likewise, of the height.
        box: left, top, right and bottom of the part that is followed, 0..1, for drawing.
        disparity: of the thing, normalised: where the plane of focus belongs. Held while lost.
        lost: the thing is hidden, has left the picture or looks different.
        confidence: share of the thing that is seen at its depth, 0..1.
    """

    x: float
    y: float
    box: tuple[float, float, float, float]
    disparity: float
    lost: bool
    confidence: float


class Follower:
    """Keeps to the thing that is at a point in the first frame it is given.

    The template is compared by colour and by disparity at once (see `Template`): colour alone
    slips onto what looks alike, and depth alone onto what is as near. When something nearer passes
    in front, the thing is not at its depth any more and counts as lost; it is then looked for in a
    window that grows, with the appearance and disparity it had, and has to be seen twice at the
    same place before it counts.

    After a cut it is lost, and the plane goes once to what is now at the point. It is found
    again if the scene comes back.
    """

    def __init__(self, point: FocusPoint) -> None:
        self._point = point
        self._template: Template | None = None

    def update(self, thumbnail: Image, disparity: Map, time: float, *, cut: bool = False) -> Track:
        """Where the thing is now.

        Args:
            thumbnail: (h, w, 3) uint8 RGB, the whole picture reduced; see `reduce`.
            disparity: (h, w) float32 normalised, the whole picture at any size.
            time: of the frame in seconds.
            cut: this frame begins another scene.
        """
        view = View(thumbnail, disparity)
        if self._template is None:
            self._begin(view, time)
            return self._track
        elapsed, self._time = max(time - self._time, 0.0), time
        if cut:
            self._at_cut(view, time)
        if self._track.lost:
            self._seek(view, time)
        else:
            self._keep_up(view, elapsed)
        return self._track

    def _begin(self, view: View, time: float) -> None:
        template = self._template = Template(view, self._point)
        self._time = time
        self._place, self._first_unit = template.place, template.place.unit
        self._speed = (0.0, 0.0)  # picture heights per second
        self._usual = 0.0  # difference of appearance, levels^2
        self._grow = True  # whether the next other scale to try is larger
        self._lost_since = -math.inf
        self._glimpse: Place | None = None  # where the lost thing seemed to be in the last frame
        # The point that was clicked need not be the middle of the box.
        self._offset = (
            (self._point.x * view.aspect - self._place.x) / self._place.unit,
            (self._point.y - self._place.y) / self._place.unit,
        )
        self._track = self._report(view, template.expected, 1.0)

    def _keep_up(self, view: View, elapsed: float) -> None:
        template = self._template
        assert template is not None
        middle = self._ahead(elapsed)
        match = self._fit_scale(view, template.search(view, middle, _REACH, _SPREAD))
        if self._is_it(match, _LOST_DEPTH):
            self._speed = _averaged(self._speed, self._place, match.place, elapsed)
            self._accept(view, match, elapsed)
        else:
            self._lost_since, self._glimpse = self._time, None
            self._track = replace(self._track, lost=True, confidence=match.at_depth)

    def _seek(self, view: View, time: float) -> None:
        template = self._template
        assert template is not None
        since = time - self._lost_since
        reach = round(min(_REACH * (1 + 2 * since), _FARTHEST))
        match = template.search(view, self._ahead(min(since, _COASTING)), reach, reach)
        before, self._glimpse = self._glimpse, None
        self._track = replace(self._track, confidence=match.at_depth)
        if not self._is_it(match, _FOUND_DEPTH):
            return
        if before is None or _apart(before, match.place) > _REACH / 2:
            self._glimpse = match.place
            return
        self._speed = (0.0, 0.0)
        self._accept(view, match, 0.0)

    def _at_cut(self, view: View, time: float) -> None:
        """Lose the thing, and put the plane on what is at its point now."""
        del time
        point = FocusPoint(self._track.x, self._track.y)
        self._speed, self._lost_since, self._glimpse = (0.0, 0.0), -math.inf, None
        self._track = replace(
            self._track, lost=True, confidence=0.0, disparity=disparity_at(point, view.disparity)
        )

    def _ahead(self, elapsed: float) -> Place:
        """Where the thing should be after some time."""
        place, (across, down) = self._place, self._speed
        return Place(place.x + across * elapsed, place.y + down * elapsed, place.unit)

    def _fit_scale(self, view: View, match: Match) -> Match:
        """The match, or a better one a little larger or smaller, tried in turns."""
        assert self._template is not None
        if match.at_depth < _WHOLE:
            return match
        step = _SCALE_STEP if self._grow else 1 / _SCALE_STEP
        self._grow = not self._grow
        unit = match.place.unit * step
        if not 1 / _LARGEST_SCALE < unit / self._first_unit < _LARGEST_SCALE:
            return match
        other = self._template.search(view, replace(match.place, unit=unit), 2, _SPREAD)
        return other if other.score > match.score + 0.02 else match

    def _is_it(self, match: Match, at_depth: float) -> bool:
        allowed = min(_NOISE**2 + _TIMES * self._usual, _DIFFERENT**2)
        return match.at_depth >= at_depth and match.difference <= allowed

    def _accept(self, view: View, match: Match, elapsed: float) -> None:
        template = self._template
        assert template is not None
        self._place = match.place
        self._usual += _share(elapsed, _LEARNT_IN) * (match.difference - self._usual)
        if match.at_depth >= _FOUND_DEPTH:  # what is half hidden teaches nothing
            template.learn(view, match.place, _share(elapsed, _LEARNT_IN))
        template.expected += _share(elapsed, _NEARED_IN) * (match.disparity - template.expected)
        self._track = self._report(view, match.disparity, match.at_depth)

    def _report(self, view: View, disparity: float, confidence: float) -> Track:
        template, place = self._template, self._place
        assert template is not None
        half = template.size[0] / 2 * place.unit, template.size[1] / 2 * place.unit
        x = (place.x + self._offset[0] * place.unit) / view.aspect
        y = place.y + self._offset[1] * place.unit
        box = (
            _inside((place.x - half[0]) / view.aspect),
            _inside(place.y - half[1]),
            _inside((place.x + half[0]) / view.aspect),
            _inside(place.y + half[1]),
        )
        return Track(_inside(x), _inside(y), box, disparity, False, min(confidence, 1.0))


def reduce(image: Image) -> Image:
    """The picture at a size to follow things in, by four samples for every pixel.

    Four are enough against aliasing here, and much cheaper than the mean of all.
    """
    height, width = image.shape[:2]
    scale = _THUMBNAIL / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    samples = cv2.resize(image, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_NEAREST)
    thumbnail: Image = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return thumbnail


def _share(elapsed: float, span: float) -> float:
    """Share of the new in a running mean over a span of time."""
    return 1 - math.exp(-elapsed / span)


def _averaged(
    speed: tuple[float, float], before: Place, now: Place, elapsed: float
) -> tuple[float, float]:
    if elapsed <= 0:
        return speed
    share = _share(elapsed, _SPEED_IN)
    return (
        speed[0] + share * ((now.x - before.x) / elapsed - speed[0]),
        speed[1] + share * ((now.y - before.y) / elapsed - speed[1]),
    )


def _apart(first: Place, second: Place) -> float:
    """Distance in pixels of the template."""
    return math.hypot(first.x - second.x, first.y - second.y) / first.unit


def _inside(value: float) -> float:
    return min(max(value, 0.0), 1.0)
