"""Clipped lights over time."""

from collections.abc import Iterable

import numpy as np
import pytest
from reference import to_code, to_linear

from rtfocus.frame import Disparity, Image
from rtfocus.lens import Lens
from rtfocus.render import Renderer, make_renderer
from rtfocus.render.aperture import Aperture

SIZE, FINE = 96, 8
LENS = Lens(f_number=2.0)


def lamp(x: float, radius: float = 2.2, level: float = 20.0, paper: float = 0.02) -> Image:
    """A small lamp at (x, 48) as a sensor sees it: clipped after averaging over pixels."""
    at = (np.arange(SIZE * FINE) + 0.5) / FINE
    covered = np.hypot(at - x, at[:, None] - SIZE / 2) < radius
    light = np.where(covered, level, paper).reshape(SIZE, FINE, SIZE, FINE).mean(axis=(1, 3))
    return to_code(np.repeat(np.minimum(light, 1)[..., None], 3, axis=2))


def renderer(quality: str) -> Renderer:
    return make_renderer("lens", quality, aperture=Aperture())


def blurred(quality: str, image: Image, cut: bool = False, *, by: Renderer | None = None) -> Image:
    """The lamp far behind the plane of focus."""
    disparity = Disparity(np.zeros(image.shape[:2], np.float32), cut=cut)
    return (by or renderer(quality)).render(image, disparity, 1.0, LENS)


def light(picture: Image) -> float:
    """What the lamp adds to its surroundings, which are alike all over."""
    linear = to_linear(picture)
    return float((linear - linear[0, 0]).sum())


def flicker(pictures: Iterable[Image]) -> float:
    """Standard deviation of the lamp's light, over its mean."""
    lights = np.array([light(picture) for picture in pictures])
    return float(lights.std() / lights.mean())


@pytest.mark.parametrize("quality", ["high", "live"])
def test_a_small_lamp_does_not_flicker(quality: str) -> None:
    scale = 2 if quality == "live" else 1  # which picks every other pixel
    frames = [lamp(40 + scale * 0.23 * i, 2.2 * scale) for i in range(24)]
    same = renderer(quality)
    over_time = [blurred(quality, frame, by=same) for frame in frames]
    alone = [blurred(quality, frame) for frame in frames]
    assert flicker(alone) > 0.05
    assert flicker(over_time[4:]) < 0.4 * flicker(alone[4:])


@pytest.mark.parametrize("quality", ["high", "live"])
def test_a_new_shot_forgets_the_lights(quality: str) -> None:
    same = renderer(quality)
    for i in range(4):
        blurred(quality, lamp(44 + 0.3 * i, 4), by=same)
    frame = lamp(45, 4, level=3)
    new = blurred(quality, frame, cut=True, by=same)
    np.testing.assert_array_equal(new, blurred(quality, frame))


def test_a_lamp_that_comes_back_is_a_new_one() -> None:
    same = renderer("high")
    for i in range(4):
        blurred("high", lamp(44 + 0.3 * i), by=same)
    blurred("high", lamp(45, level=0.5), by=same)  # off
    frame = lamp(45, level=3)
    np.testing.assert_array_equal(blurred("high", frame, by=same), blurred("high", frame))


def test_paper_in_place_of_a_lamp_is_no_lamp() -> None:
    same = renderer("high")
    for i in range(4):
        blurred("high", lamp(44 + 0.3 * i), by=same)
    frame = lamp(45, radius=30, level=1)
    np.testing.assert_array_equal(blurred("high", frame, by=same), blurred("high", frame))


def test_light_of_a_lamp_that_grows_darker_follows() -> None:
    same = renderer("high")
    for i in range(6):
        bright = blurred("high", lamp(44 + 0.13 * i), by=same)
    for i in range(40):
        dark = blurred("high", lamp(44 + 0.13 * i, level=1.5), by=same)
    assert light(dark) < 0.5 * light(bright)
    alone = [light(blurred("high", lamp(44 + 0.13 * i, level=1.5))) for i in range(40)]
    assert light(dark) == pytest.approx(np.mean(alone), rel=0.3)
