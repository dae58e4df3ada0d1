"""Following a thing by its appearance and depth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from rtfocus.backend import open_backend
from rtfocus.device import resolve
from rtfocus.focus.follow import Follower, Track, reduce
from rtfocus.focus.plane import FocusPoint, SteadyPlane
from rtfocus.focus.rack import Rack
from rtfocus.frame import Frame, Image, Map, StreamInfo
from rtfocus.normalise import Normaliser
from rtfocus.readers.pattern import PatternReader
from rtfocus.readers.scene import BALLOON_M, ROBOT_M
from rtfocus.settings import Settings
from rtfocus.smooth import Smoother

HEIGHT, WIDTH = 144, 256
ASPECT = WIDTH / HEIGHT


Walk = Callable[[int, int], list[tuple[Frame, Map]]]
"""From the numbers of the first and last frame to those between, with their disparity."""


def texture(seed: int, height: int, width: int, tint: tuple[int, int, int]) -> Image:
    """Soft random patches around a colour."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 1, (height, width, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(np.array(tint) + 160 * noise, 0, 255).astype(np.uint8)


WALL = texture(0, HEIGHT, WIDTH, (120, 120, 120))
SKINS = [
    texture(1, 200, 200, (190, 120, 90)),
    texture(2, 200, 200, (70, 110, 160)),
    np.full((200, 200, 3), 120, np.uint8),
]


@dataclass
class Disc:
    """A disc with one of the textures; position and radius in pixels."""

    x: float
    y: float
    radius: float
    near: float
    skin: int = 0


def draw(*discs: Disc, wall: Image = WALL) -> tuple[Image, Map]:
    """The discs, the later ones in front, before a wall at disparity 0.2."""
    image, disparity = wall.copy(), np.full((HEIGHT, WIDTH), 0.2, np.float32)
    for disc in discs:
        scale = disc.radius / 40
        matrix = np.array([[scale, 0, disc.x - 100 * scale], [0, scale, disc.y - 100 * scale]])
        skin = cv2.warpAffine(
            SKINS[disc.skin], matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT
        )
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        inside = np.hypot(x - disc.x, y - disc.y) <= disc.radius
        image[inside] = skin[inside]
        disparity[inside] = disc.near
    return image, disparity


def away(track: Track, x: float, y: float) -> float:
    """Distance from a place in pixels, in pixels."""
    return float(np.hypot(track.x * WIDTH - x - 0.5, track.y * HEIGHT - y - 0.5))


def at(x: float, y: float) -> FocusPoint:
    return FocusPoint((x + 0.5) / WIDTH, (y + 0.5) / HEIGHT)


@pytest.mark.parametrize(("rate", "step"), [(10, 1), (30, 4), (60, 1)])
def test_a_moving_thing_is_followed(rate: int, step: int) -> None:
    """Around a circle, at different frame rates, with disparity of different sizes."""
    follower = Follower(at(170, 70))
    for i in range(3 * rate + 1):
        turn = 2 * np.pi * i / rate / 3
        x, y = 130 + 40 * np.cos(turn), 70 + 40 * np.sin(turn)
        image, disparity = draw(Disc(x, y, 20, 0.6))
        track = follower.update(image, disparity[step // 2 :: step, step // 2 :: step], i / rate)
        assert not track.lost
        assert away(track, x, y) < 2.5
        assert track.disparity == pytest.approx(0.6)


@pytest.mark.parametrize("width", [128, 160, 256])
def test_the_reduced_picture_may_have_any_size(width: int) -> None:
    size = width, round(width / ASPECT)
    follower = Follower(at(60, 70))
    for i in range(45):
        image, disparity = draw(Disc(60 + 2 * i, 70, 18, 0.6))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        track = follower.update(small, disparity, i / 30)
    assert not track.lost
    assert away(track, 148, 70) < 3


def test_the_point_stays_where_it_was_clicked_on_the_thing() -> None:
    follower = Follower(at(70, 60))  # above and to the right of the middle
    for i in range(40):
        track = follower.update(*draw(Disc(60 + 2 * i, 70, 24, 0.6)), i / 30)
    assert away(track, 148, 60) < 2


@pytest.mark.parametrize("growth", [2.0, 0.6])
def test_a_thing_that_comes_and_goes_is_followed(growth: float) -> None:
    follower = Follower(at(128, 72))
    box = None
    for i in range(91):
        share = i / 90
        near, radius = 0.7 + 0.3 * share * np.log2(growth), 18 * growth**share
        track = follower.update(*draw(Disc(128, 72, radius, near)), i / 30)
        box = box or track.box
        assert not track.lost
        assert away(track, 128, 72) < 4
        assert track.disparity == pytest.approx(near, abs=0.01)
    assert box is not None
    now = (track.box[3] - track.box[1]) / (box[3] - box[1])
    assert now == pytest.approx(growth, rel=0.25)


def test_it_does_not_slip_onto_what_looks_the_same_behind() -> None:
    """A twin further away stands still; the thing passes in front of it."""
    follower = Follower(at(60, 70))
    twin = Disc(130, 72, 20, 0.3)
    for i in range(70):
        track = follower.update(*draw(twin, Disc(60 + 2 * i, 70, 20, 0.7)), i / 30)
        assert away(track, 60 + 2 * i, 70) < 2.5
        assert track.disparity == pytest.approx(0.7)


def test_it_does_not_slip_onto_what_is_as_near() -> None:
    follower = Follower(at(60, 70))
    other = Disc(130, 86, 20, 0.7, 1)
    for i in range(70):
        track = follower.update(*draw(other, Disc(60 + 2 * i, 60, 20, 0.7)), i / 30)
        assert away(track, 60 + 2 * i, 70) < 3


def occluded(i: int) -> tuple[Image, Map]:
    """A larger and nearer thing passes over a still one: hides it from i = 33 to 57 or so."""
    return draw(Disc(128, 72, 14, 0.5), Disc(8 + 2.67 * i, 72, 42, 0.9, 1))


def test_while_it_is_hidden_the_plane_is_held_and_it_is_found_again() -> None:
    follower = Follower(at(128, 72))
    tracks = [follower.update(*occluded(i), i / 30) for i in range(110)]
    assert not any(track.lost for track in tracks[:26])
    assert all(track.lost for track in tracks[38:52])
    assert not any(track.lost for track in tracks[70:])
    assert {round(track.disparity, 6) for track in tracks} == {0.5}  # never that of the other
    assert max(away(track, 128, 72) for track in tracks) < 4


def test_a_thing_that_goes_on_moving_while_it_is_hidden_is_found_again() -> None:
    follower = Follower(at(40, 72))
    post = Disc(128, 72, 40, 0.95, 1)
    for i in range(80):
        track = follower.update(*draw(Disc(40 + 2.5 * i, 72, 14, 0.5), post), i / 30)
        if abs(40 + 2.5 * i - 128) < 20:
            assert track.lost
        assert track.disparity == pytest.approx(0.5)
    assert not track.lost
    assert away(track, 40 + 2.5 * 79, 72) < 3


def test_another_thing_at_its_place_is_not_taken_for_it() -> None:
    follower = Follower(at(128, 72))
    for i in range(20):
        follower.update(*draw(Disc(128, 72, 20, 0.6)), i / 30)
    for i in range(20, 80):
        track = follower.update(*draw(Disc(128, 72, 20, 0.6, 1)), i / 30)
    assert track.lost
    assert track.disparity == pytest.approx(0.6)


def test_a_long_pause_does_not_carry_it_away() -> None:
    follower = Follower(at(60, 72))
    for i in range(30):
        follower.update(*draw(Disc(60 + i, 72, 20, 0.6)), i / 30)
    track = follower.update(*draw(Disc(90, 72, 20, 0.6)), 20.0)
    assert not track.lost
    assert away(track, 90, 72) < 2


def test_one_glimpse_is_not_enough_to_find_it_again() -> None:
    follower = Follower(at(128, 72))
    there, gone = draw(Disc(128, 72, 20, 0.6)), draw()
    seen = [True] * 5 + [False] * 10 + [True] + [False] * 5 + [True] * 2
    lost = [follower.update(*(there if s else gone), i / 15).lost for i, s in enumerate(seen)]
    assert lost == [False] * 5 + [True] * 17 + [False]


@pytest.mark.parametrize("skin", [0, 2])
def test_what_passes_in_front_does_not_push_it_aside(skin: int) -> None:
    """Half of the thing is covered, and uncovered again; also of one without any texture."""
    follower = Follower(at(128, 72))
    for i in range(80):
        x = 20 + 1.5 * (i if i < 40 else 80 - i)
        thing, passing = Disc(128, 72, 36, 0.5, skin), Disc(x + 10, 72, 40, 0.9, 1)
        track = follower.update(*draw(thing, passing), i / 30)
        assert not track.lost
        assert away(track, 128, 72) < 5


def test_a_thing_without_texture_is_followed_by_its_outline() -> None:
    follower = Follower(at(60, 70))
    plain = np.full_like(WALL, 120)
    for i in range(60):
        track = follower.update(*draw(Disc(60 + 2 * i, 70, 18, 0.6, 2), wall=plain), i / 30)
        assert not track.lost
        assert away(track, 60 + 2 * i, 70) < 2


def test_one_that_leaves_the_picture_is_lost_until_it_comes_back() -> None:
    follower = Follower(at(200, 72))
    places = [200 + 3 * i for i in range(40)] + [317 - 3 * i for i in range(40)]
    tracks = [follower.update(*draw(Disc(x, 72, 20, 0.6)), i / 30) for i, x in enumerate(places)]
    assert all(track.lost for track in tracks[25:55])
    assert {round(track.disparity, 6) for track in tracks} == {0.6}
    assert all(0 <= v <= 1 for track in tracks for v in (track.x, track.y, *track.box))
    assert not tracks[-1].lost
    assert away(tracks[-1], places[-1], 72) < 3


def test_after_a_cut_it_is_lost_until_its_scene_comes_back() -> None:
    follower = Follower(at(100, 72))
    scene = draw(Disc(100, 72, 20, 0.6))
    elsewhere = draw(Disc(100, 80, 50, 0.8, 1), wall=texture(9, HEIGHT, WIDTH, (60, 90, 60)))
    for i in range(10):
        follower.update(*scene, i / 30)
    for i in range(10, 40):
        track = follower.update(*elsewhere, i / 30, cut=i == 10)
        assert track.lost
        assert track.disparity == pytest.approx(0.8)  # what is there now, not what was
    for i in range(40, 45):
        track = follower.update(*scene, i / 30, cut=i == 40)
    assert not track.lost
    assert track.disparity == pytest.approx(0.6)
    assert away(track, 100, 72) < 2


def test_brightness_may_change() -> None:
    follower = Follower(at(60, 70))
    for i in range(60):
        image, disparity = draw(Disc(60 + 2 * i, 70, 18, 0.6))
        darker = (image * (1 - 0.5 * i / 60)).astype(np.uint8)
        track = follower.update(darker, disparity, i / 30)
        assert away(track, 60 + 2 * i, 70) < 3


def test_noise_in_picture_and_depth_is_borne() -> None:
    random = np.random.default_rng(0)
    follower = Follower(at(60, 70))
    for i in range(60):
        image, disparity = draw(Disc(60 + 2 * i, 70, 18, 0.6))
        image = np.clip(image + random.normal(0, 10, image.shape), 0, 255).astype(np.uint8)
        disparity += random.normal(0, 0.05, disparity.shape).astype(np.float32)
        track = follower.update(image, disparity, i / 30)
        assert not track.lost
        assert away(track, 60 + 2 * i, 70) < 3
        assert track.disparity == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (9, 5)])
def test_tiny_pictures_do_no_harm(shape: tuple[int, int]) -> None:
    follower = Follower(FocusPoint(1.0, 0.0))
    for i in range(3):
        image = np.full((*shape, 3), 40 * i, np.uint8)
        track = follower.update(image, np.full(shape, 0.5, np.float32), i / 30, cut=i == 2)
    assert track.disparity == pytest.approx(0.5)


def test_reduce_keeps_the_whole_picture() -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    image[:, 640:] = 200
    small = reduce(image)
    assert small.shape == (144, 256, 3)
    np.testing.assert_array_equal(small[:, :128], 0)
    np.testing.assert_array_equal(small[:, 128:], 200)
    assert reduce(small) is small
    assert reduce(np.zeros((1000, 10, 3), np.uint8)).shape == (256, 3, 3)


def test_it_is_cheap() -> None:
    """Time of the processor, the best of many: about 1 ms, with room for slow machines."""
    image, disparity = draw(Disc(128, 72, 20, 0.6))
    image = cv2.resize(image, (1280, 720))
    disparity = cv2.resize(disparity, (1280, 720), interpolation=cv2.INTER_NEAREST)
    follower, spent = Follower(at(128, 72)), []
    for i in range(40):
        begun = time.thread_time()
        track = follower.update(reduce(image), disparity, i / 30)
        spent.append(time.thread_time() - begun)
    assert not track.lost
    assert min(spent[1:]) < 0.003


def pattern(seconds: int, rate: int = 15) -> Iterator[tuple[Frame, Map, tuple[float, float]]]:
    """Frames of the built-in scene, their normalised depth, and its (scale, offset)."""
    normaliser = Normaliser("metric")
    for frame in PatternReader(f"pattern:640x360@{rate},{seconds}s"):
        assert frame.disparity is not None
        disparity = normaliser.update(frame.disparity, cut=False)
        assert disparity.metric is not None
        yield frame, disparity.values, disparity.metric


def robot(t: float) -> tuple[float, float]:
    """How far the robot has moved, as `Scene.draw` does it; shares of width and height."""
    return 0.012 * np.sin(2 * np.pi * t / 4) * 9 / 16, 0.006 * np.sin(3 * t)


def balloon(t: float) -> tuple[float, float]:
    span = 16 / 9 + 0.5
    return ((t / 8 + 0.28) % 1 - 0.5) * span * 9 / 16 + 0.5, 0.42 + 0.03 * np.sin(1.3 * t)


@pytest.mark.parametrize("y", [0.47, 0.7])
def test_the_robot_of_the_scene_is_followed_while_a_balloon_passes(y: float) -> None:
    follower = Follower(FocusPoint(0.5, y))
    for frame, disparity, (scale, offset) in pattern(6):
        track = follower.update(reduce(frame.image), disparity, frame.time)
        dx, dy = robot(frame.time)
        assert np.hypot((track.x - 0.5 - dx) * 16 / 9, track.y - y - dy) < 0.02
        assert track.disparity * scale + offset == pytest.approx(1 / ROBOT_M, rel=0.02)
    assert not track.lost


def test_the_balloon_of_the_scene_is_followed_until_it_leaves() -> None:
    follower = Follower(FocusPoint(*balloon(0)))
    for frame, disparity, (scale, offset) in pattern(7):
        track = follower.update(reduce(frame.image), disparity, frame.time)
        x, y = balloon(frame.time)
        if frame.time < 4.6:
            assert not track.lost
            assert np.hypot((track.x - x) * 16 / 9, track.y - y) < 0.02
        if frame.time < 7 and not 4.6 < frame.time < 5.1:
            assert track.lost == (frame.time > 5)
        assert track.disparity * scale + offset == pytest.approx(1 / BALLOON_M, rel=0.02)


def test_focus_is_pulled_from_the_balloon_to_the_robot() -> None:
    """A click after two seconds: the plane leaves one and meets the other, without a jump."""
    follower, steady, rack = Follower(FocusPoint(*balloon(0))), SteadyPlane(), Rack(1.0)
    planes = []
    for frame, disparity, (scale, offset) in pattern(5, rate=30):
        clicked = frame.index == 60
        if clicked:
            follower, steady = Follower(FocusPoint(0.5, 0.7)), SteadyPlane()
        track = follower.update(reduce(frame.image), disparity, frame.time)
        seen = steady.update(track.disparity, frame.time, cut=False)
        plane = rack.update(seen, frame.time, new=clicked)
        planes.append(plane * scale + offset)
    near, far = 1 / BALLOON_M, 1 / ROBOT_M
    assert planes[59] == pytest.approx(near, rel=0.02)
    assert planes[75] == pytest.approx((near + far) / 2, rel=0.02)
    assert planes[91:] == pytest.approx([far] * len(planes[91:]), rel=0.02)
    assert np.abs(np.diff(planes)).max() < 1.6 * (near - far) / 30


@pytest.fixture(scope="module")
def walk(shared: Path) -> Walk:
    """Part of a clip of people who walk, with depth by the built-in network."""
    path = shared / "media" / "intel_one-by-one-person-detection.mp4"
    if not path.is_file():
        pytest.skip("the clip of people walking is not on this machine (RTFOCUS_SHARED)")
    pytest.importorskip("onnxruntime", reason="the network needs ONNX Runtime")

    def read(first: int, last: int) -> list[tuple[Frame, Map]]:
        base = Fraction(1, 10)
        info = StreamInfo("walk", "video", 768, 432, base, Fraction(10), None)
        depth = open_backend(resolve("cpu")).open_depth(Settings(threads=1), info)
        smoother, frames = Smoother(depth.scale, strength=0.5), []
        with av.open(str(path)) as container:
            for i, decoded in enumerate(container.decode(video=0)):
                if i > last:
                    break
                if i >= first:
                    frame = Frame(decoded.to_ndarray(format="rgb24"), i, i, base)
                    values = smoother.update(depth.estimate(frame), frame).values
                    frames.append((frame, values))
        depth.close()
        return frames

    return read


# The first and last frame, where to click, and between which x each torso lies, looked up by eye.
WALKS = [
    (427, 450, 0.58, {430: (0.54, 0.68), 434: (0.58, 0.70), 437: (0.67, 0.80), 440: (0.78, 0.92)}),
    (847, 868, 0.55, {853: (0.61, 0.74), 856: (0.70, 0.80), 858: (0.76, 0.84)}),
]


@pytest.mark.parametrize(("first", "last", "x", "torso"), WALKS)
def test_a_person_who_walks_away_is_followed(
    first: int, last: int, x: float, torso: dict[int, tuple[float, float]], walk: Walk
) -> None:
    follower = Follower(FocusPoint(x, 0.4))
    tracks = {}
    for frame, disparity in walk(first, last):
        tracks[frame.index] = follower.update(reduce(frame.image), disparity, frame.time)
    for index, (left, right) in torso.items():
        assert not tracks[index].lost
        assert left < tracks[index].x < right
        assert 0.2 < tracks[index].y < 0.55
        assert 0.4 < tracks[index].disparity < 1.2  # the wall is below 0.3
    assert all(tracks[i].lost for i in range(last - 2, last + 1))  # out of the picture
