"""Follow the thing that was clicked, by its appearance and its depth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2

from rtfocus.focus.plane import FocusPoint, disparity_at
from rtfocus.focus.template import Glance, Match, Place, Template
from rtfocus.frame import Image, Map

_THUMBNAIL = 256
"""Longer side of the picture that is searched."""

_REACH, _PER_SECOND, _FARTHEST = 5, 100, 36
"""Half the width of the search, in 24ths of the thing, from one moment to the next; its growth in a
second; and the most, after a while without the thing."""

_WIDEST_STEP = 12
"""The same, at most, from one frame to the next."""

_SOMETIMES = 1 / 15
"""Seconds between what need not be done in every frame: another scale, a search for the lost."""

_SPREAD = 8.0
"""Standard deviation of how far the thing strays from where its motion leads, likewise."""

_SCALE_STEP = 1.06
_LARGEST_SCALE = 3.0
"""How many times as large or small as at first the thing may become."""

_LEARNT_IN, _NEARED_IN, _SPEED_IN = 0.8, 0.1, 0.2
"""Seconds over which appearance, disparity and speed are averaged."""

_FASTEST_APPROACH = 0.5
"""Change of normalised disparity per second that is believed: all the way in two seconds."""

_LOST_DEPTH, _FOUND_DEPTH = 0.4, 0.5
"""Share of the thing at its depth, below which it is lost, and above which found again."""

_WHOLE = 0.85
"""The same share, below which the thing is not seen whole, so that its size cannot be told."""

_UNLIKE, _ALIKE = 0.45, 0.55
"""Likeness of its colours, likewise."""

_COASTING = 0.5
"""Seconds that a thing that is not seen is expected to go on as it went."""


@dataclass(frozen=True, slots=True)
class Track:
    """Where the thing is; while it is lost, where it was seen last.

    Attributes:
        x: of the point that was clicked, on the thing, 0..1 of the width.
        y: likewise, of the height.
        box: left, top, right and bottom of the part that is followed, 0..1.
        disparity: of the thing, normalised: where the plane of focus belongs. Held while lost.
        lost: the thing is hidden, has left the picture or looks different.
    """

    x: float
    y: float
    box: tuple[float, float, float, float]
    disparity: float
    lost: bool


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
        self._pursuit: _Pursuit | None = None

    def update(self, thumbnail: Image, disparity: Map, time: float, *, cut: bool = False) -> Track:
        """Where the thing is now.

        Args:
            thumbnail: (h, w, 3) uint8 RGB, the whole picture reduced; see `reduce`.
            disparity: (h, w) float32 normalised, the whole picture at any size.
            time: of the frame in seconds.
            cut: this frame begins another scene.
        """
        glance = Glance(thumbnail, disparity)
        if self._pursuit is None:
            self._pursuit = _Pursuit(glance, self._point, time)
        else:
            self._pursuit.update(glance, time, cut=cut)
        return self._pursuit.track


class _Pursuit:
    """A thing on its way, from the first frame on."""

    def __init__(self, glance: Glance, point: FocusPoint, time: float) -> None:
        self._template = Template(glance, point)
        self._place = self._template.place
        self._first_unit = self._place.unit
        # The point that was clicked need not be the middle of the box.
        self._offset = (
            (point.x * glance.aspect - self._place.x) / self._place.unit,
            (point.y - self._place.y) / self._place.unit,
        )
        self._time = time
        self._speed = (0.0, 0.0)  # picture heights per second
        self._approach = 0.0  # disparity per second
        self._done_at = time  # what is done sometimes
        self._grow = True  # whether the next other scale to try is larger
        self._lost_since = -math.inf
        self._glimpse: Place | None = None  # where the lost thing seemed to be in the last frame
        self.track = self._report(glance, self._template.expected)

    def update(self, glance: Glance, time: float, *, cut: bool) -> None:
        """Take one more frame into account."""
        # After a long pause a motion says nothing any more.
        elapsed, self._time = min(max(time - self._time, 0.0), _COASTING), time
        if cut:
            self._at_cut(glance)
        if self.track.lost:
            self._seek(glance, time)
        else:
            self._keep_up(glance, elapsed)

    def _keep_up(self, glance: Glance, elapsed: float) -> None:
        template = self._template
        place, near = self._place, template.expected
        template.expected += self._approach * elapsed
        reach = round(min(_REACH + _PER_SECOND * elapsed, _WIDEST_STEP))
        match = template.search(glance, self._ahead(elapsed), reach, _SPREAD)
        if self._is_due():
            match = self._fit_scale(glance, match)
        if match.at_depth < _LOST_DEPTH or match.alike < _UNLIKE:
            template.expected = near
            self._lost_since, self._glimpse = self._time, None
            self.track = replace(self.track, lost=True)
            return
        self._accept(glance, match, elapsed)
        if elapsed > 0:
            self._learn_motion(place, near, match, elapsed)

    def _learn_motion(self, place: Place, near: float, match: Match, elapsed: float) -> None:
        """Update the speeds from where the thing was before and how near."""
        share = _share(elapsed, _SPEED_IN)
        now = (self._template.expected - near) / elapsed
        approach = self._approach + share * (now - self._approach)
        self._approach = min(max(approach, -_FASTEST_APPROACH), _FASTEST_APPROACH)
        if match.at_depth >= _WHOLE:  # what is half hidden seems to dodge
            across, down = self._speed
            self._speed = (
                across + share * ((match.place.x - place.x) / elapsed - across),
                down + share * ((match.place.y - place.y) / elapsed - down),
            )

    def _seek(self, glance: Glance, time: float) -> None:
        if not self._is_due():
            return
        since = max(time - self._lost_since, 0.0)
        reach = round(min(_WIDEST_STEP + _PER_SECOND / 4 * since, _FARTHEST))
        match = self._template.search(glance, self._ahead(min(since, _COASTING)), reach, reach)
        before, self._glimpse = self._glimpse, None
        if match.at_depth < _FOUND_DEPTH or match.alike < _ALIKE:
            return
        if before is None or _apart(before, match.place) > _WIDEST_STEP / 2:
            self._glimpse = match.place
            return
        self._speed, self._approach = (0.0, 0.0), 0.0
        self._accept(glance, match, 0.0)

    def _at_cut(self, glance: Glance) -> None:
        """Lose the thing, and put the plane on what is at its point now."""
        point = FocusPoint(self.track.x, self.track.y)
        self._speed, self._approach = (0.0, 0.0), 0.0
        self._lost_since, self._glimpse, self._done_at = -math.inf, None, -math.inf
        seen = disparity_at(point, glance.disparity)
        self.track = replace(self.track, lost=True, disparity=seen)

    def _ahead(self, elapsed: float) -> Place:
        """Where the thing should be after some time."""
        place, (across, down) = self._place, self._speed
        return Place(place.x + across * elapsed, place.y + down * elapsed, place.unit)

    def _is_due(self) -> bool:
        """Whether it is time again for what is done sometimes."""
        if 0 <= self._time - self._done_at < _SOMETIMES - 1e-6:
            return False
        self._done_at = self._time
        return True

    def _fit_scale(self, glance: Glance, match: Match) -> Match:
        """The match, or a better one a little larger or smaller, tried in turns."""
        if match.at_depth < _WHOLE:
            return match
        step = _SCALE_STEP if self._grow else 1 / _SCALE_STEP
        self._grow = not self._grow
        unit = match.place.unit * step
        if not 1 / _LARGEST_SCALE < unit / self._first_unit < _LARGEST_SCALE:
            return match
        other = self._template.search(glance, replace(match.place, unit=unit), 2, _SPREAD)
        return other if other.score > match.score + 0.02 else match

    def _accept(self, glance: Glance, match: Match, elapsed: float) -> None:
        template = self._template
        self._place = match.place
        if match.at_depth >= _FOUND_DEPTH:
            template.learn(glance, match.place, _share(elapsed, _LEARNT_IN))
        template.expected += _share(elapsed, _NEARED_IN) * (match.disparity - template.expected)
        self.track = self._report(glance, match.disparity)

    def _report(self, glance: Glance, disparity: float) -> Track:
        template, place = self._template, self._place
        half = template.size[0] / 2 * place.unit, template.size[1] / 2 * place.unit
        x = (place.x + self._offset[0] * place.unit) / glance.aspect
        y = place.y + self._offset[1] * place.unit
        box = (
            _inside((place.x - half[0]) / glance.aspect),
            _inside(place.y - half[1]),
            _inside((place.x + half[0]) / glance.aspect),
            _inside(place.y + half[1]),
        )
        return Track(_inside(x), _inside(y), box, disparity, lost=False)


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


def _apart(first: Place, second: Place) -> float:
    """Distance in pixels of the template."""
    return math.hypot(first.x - second.x, first.y - second.y) / first.unit


def _inside(value: float) -> float:
    return min(max(value, 0.0), 1.0)
