"""The lens renderer against exact pictures of planes whose hidden parts are known."""

from __future__ import annotations

import numpy as np
import pytest
from reference import (
    compose,
    const,
    convolve,
    disc,
    psnr,
    texture,
    to_code,
    to_linear,
)

from rtfocus.render.layered import LensRenderer


class TestOwnLight:
    """How much of the result is every pixel's own light."""

    @staticmethod
    def of(renderer: LensRenderer, radius: np.ndarray) -> np.ndarray:
        image = texture(*radius.shape, 3)
        _, own = renderer.blur_reduced(image, radius, image)
        return own

    def test_all_in_focus_and_none_where_blurred(self, renderer: LensRenderer) -> None:
        y, x = np.mgrid[:150, :300]
        subject = np.hypot(y - 75, x - 150) < 50
        own = self.of(renderer, np.where(subject, 0.2, -8).astype(np.float32))
        assert (own == np.where(subject, 255, 0)).all()

    def test_what_a_blurred_foreground_leaves(self, renderer: LensRenderer) -> None:
        radius = const(150, 300, 0.0)
        radius[:, :120] = 9.0
        covered = convolve((radius > 0).astype(float), disc(9.0))
        off = np.abs(self.of(renderer, radius) / 255 - np.where(radius > 0, 0, 1 - covered))
        assert off.max() < 0.12  # 9 px is not the radius of its layer
        assert off.mean() < 0.01

    def test_what_two_foregrounds_leave(self, renderer: LensRenderer) -> None:
        radius = const(150, 300, 0.0)
        radius[:, :120], radius[:, 128:] = 12.0, 5.0
        gap = slice(120, 128)
        left = 1 - convolve((radius == 12).astype(float), disc(12.0))
        right = 1 - convolve((radius == 5).astype(float), disc(5.0))
        off = np.abs(self.of(renderer, radius) / 255 - left * right)[:, gap]
        assert off.max() < 0.08


BLUE, ORANGE, GREEN = (40, 90, 200), (220, 120, 40), (20, 200, 60)
SCENE = (100, 160)


def flat(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((*SCENE, 3), colour, np.uint8)


def waves(phase: float = 0.0) -> np.ndarray:
    """Smooth, so that what is hidden can be told from its surroundings."""
    y, x = np.mgrid[: SCENE[0], : SCENE[1]]
    channels = np.sin(x / 9 + y / 15 + phase), np.cos(y / 11 + phase), np.sin((x + y) / 13 + phase)
    return np.round(128 + 85 * np.stack(channels, axis=-1)).astype(np.uint8)


def photograph(
    planes: list[tuple[np.ndarray, np.ndarray, float]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All in focus, its radius, and the exact refocused picture, of planes from far to near."""
    image, radius = planes[0][0].copy(), const(*SCENE, planes[0][2])
    for colour, mask, r in planes[1:]:
        image[mask > 0] = colour[mask > 0]
        radius[mask > 0] = r
    truth = compose([(to_linear(colour), mask, r) for colour, mask, r in planes])
    return image, radius, to_code(truth)


class TestPlanes:
    """Scenes of planes whose hidden parts are known, against their exact picture."""

    everywhere = np.ones(SCENE)
    y, x = np.mgrid[: SCENE[0], : SCENE[1]]
    left = (x < 75).astype(float)
    bars = (x % 60 < 10).astype(float)
    subject = (np.hypot(y - 50, x - 80) < 28).astype(float)

    @pytest.mark.parametrize("back", [0, -6])
    @pytest.mark.parametrize("front", [3, 9, 18])
    def test_profile_of_a_soft_edge(self, plain: LensRenderer, front: int, back: int) -> None:
        image, radius, truth = photograph(
            [(flat(BLUE), self.everywhere, back), (flat(ORANGE), self.left, front)]
        )
        assert psnr(plain.blur(image, radius), truth) > psnr(image, truth) + 15

    def test_what_lies_behind_a_soft_edge(self, plain: LensRenderer) -> None:
        image, radius, truth = photograph(
            [(waves(), self.everywhere, 0), (flat(ORANGE), self.left, 9)]
        )
        out = plain.blur(image, radius)
        assert psnr(out, truth, self.left == 0) > 48
        assert psnr(out, truth, self.left > 0) > 38

    def test_background_beside_a_sharp_subject(self, plain: LensRenderer) -> None:
        planes = [(texture(*SCENE, 1, 4), self.everywhere, -10), (flat(ORANGE), self.subject, 0)]
        image, radius, truth = photograph(planes)
        out, beside = plain.blur(image, radius), self.subject == 0
        halo = to_code(convolve(to_linear(image), disc(10)))
        assert psnr(out, truth, beside) > 36
        assert psnr(out, truth, beside) > psnr(halo, truth, beside) + 5

    @pytest.mark.parametrize("radii", [(-8, 0, 7), (0, 5, 11), (-11, -5, 0)])
    def test_three_planes(self, plain: LensRenderer, radii: tuple[float, float, float]) -> None:
        # Bars hide pieces of the subject's outline: what is there nobody can know, hence 33 dB.
        colours = flat(BLUE), flat((230, 220, 60)), flat(GREEN)
        masks = self.everywhere, self.subject, self.bars
        image, radius, truth = photograph(list(zip(colours, masks, radii, strict=True)))
        out = plain.blur(image, radius)
        assert psnr(out, truth) > 33
        assert psnr(out, truth) > psnr(image, truth) + 9

    @pytest.mark.parametrize("radius", [6, 12])
    @pytest.mark.parametrize("width", [2, 3, 4])
    @pytest.mark.parametrize("slope", [0, 1])
    def test_wires_leave_no_ghost(
        self, plain: LensRenderer, width: int, radius: int, slope: int
    ) -> None:
        wires = ((self.x + slope * self.y) % 40 < width).astype(float)
        image, signed, truth = photograph(
            [(waves(), self.everywhere, 0), (flat((12, 12, 12)), wires, radius)]
        )
        out, there = plain.blur(image, signed), wires > 0
        assert psnr(out, truth, there) > 26
        # Their own colour, 80 to 110 levels darker, is gone.
        assert abs((out.astype(float) - truth)[there].mean()) < 6
        assert (truth.astype(float) - image)[there].mean() > 60
