"""Training from stereo pairs: Godard, Mac Aodha and Brostow, "monodepth" (CVPR 2017).

Either picture of a pair is brought to the other's place by the disparity that the network sees;
what does not fit tells the network. Our network answers up to scale and shift, so a pair's gain and
shift to pixels are learned with it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_SCALES = 4
_SSIM_WEIGHT, _SMOOTHNESS_WEIGHT, _CONSISTENCY_WEIGHT = 0.85, 0.1, 1.0


class Pairs:
    """Rectified pairs in a folder: `left/NAME` and `right/NAME`."""

    def __init__(self, folder: Path) -> None:
        """List the pairs.

        Raises:
            FileNotFoundError: there are none.
        """
        self._lefts = sorted(p for p in (folder / "left").glob("*") if _right(p).is_file())
        if not self._lefts:
            raise FileNotFoundError(f"{folder} holds no left/NAME with a right/NAME")

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """A left and a right picture, (1, 3, h, w) float32 RGB 0..255."""
        left = self._lefts[rng.integers(len(self._lefts))]
        return _read(left, size), _read(_right(left), size)


class StereoLoss(nn.Module):
    """monodepth's loss of two predictions, with the gain and shift that make them pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.tensor(-3.0))  # of the width, per unit
        self.shift = nn.Parameter(torch.tensor(0.0))  # of the width

    def forward(self, left: Tensor, right: Tensor, at_left: Tensor, at_right: Tensor) -> Tensor:
        """The loss, summed over four scales.

        Args:
            left, right: (n, 3, h, w) RGB 0..255.
            at_left, at_right: (n, 1, h, w) inverse depth in the network's units.
        """
        gain = self.log_gain.exp()
        total = at_left.new_zeros(())
        for level in range(_SCALES):
            views = [_shrink(x / 255, level) for x in (left, right)]
            disparities = [_shrink(gain * x + self.shift, level) for x in (at_left, at_right)]
            total = total + stereo_loss(*views, *disparities, smoothness=0.5**level)
        return total


def stereo_loss(
    left: Tensor, right: Tensor, at_left: Tensor, at_right: Tensor, smoothness: float = 1.0
) -> Tensor:
    """Appearance, edge-aware smoothness and left-right consistency of one scale.

    Args:
        left, right: (n, 3, h, w) RGB 0..1.
        at_left, at_right: (n, 1, h, w) disparity as a fraction of the width: a point at x of the
            left picture is at x - disparity in the right one.
        smoothness: factor of the smoothness term.
    """
    total = at_left.new_zeros(())
    for own, other, disparity, far_side, sign in (
        (left, right, at_left, at_right, -1.0),
        (right, left, at_right, at_left, 1.0),
    ):
        moved = shift_by(other, sign * disparity)
        dissimilar = _dissimilarity(moved, own).mean()
        appearance = _SSIM_WEIGHT * dissimilar + (1 - _SSIM_WEIGHT) * (moved - own).abs().mean()
        agree = (shift_by(far_side, sign * disparity) - disparity).abs().mean()
        smooth = _roughness(disparity, own)
        total = total + appearance + _CONSISTENCY_WEIGHT * agree
        total = total + _SMOOTHNESS_WEIGHT * smoothness * smooth
    return total


def shift_by(picture: Tensor, offset: Tensor) -> Tensor:
    """The picture sampled `offset` of its width to the right of every place, linearly."""
    n, _, height, width = picture.shape
    identity = torch.eye(2, 3).expand(n, 2, 3)
    grid = functional.affine_grid(identity, [n, 1, height, width], align_corners=False)
    grid = torch.stack((grid[..., 0] + 2 * offset[:, 0], grid[..., 1]), dim=-1)
    return functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)


def _dissimilarity(a: Tensor, b: Tensor) -> Tensor:
    """(1 - SSIM) / 2 over 3x3 boxes (Wang et al., 2004)."""
    mean_a, mean_b = functional.avg_pool2d(a, 3, 1), functional.avg_pool2d(b, 3, 1)
    var_a = functional.avg_pool2d(a * a, 3, 1) - mean_a**2
    var_b = functional.avg_pool2d(b * b, 3, 1) - mean_b**2
    both = functional.avg_pool2d(a * b, 3, 1) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return ((1 - top / bottom) / 2).clamp(0, 1)


def _roughness(disparity: Tensor, picture: Tensor) -> Tensor:
    """Gradients of the disparity, less where the picture has an edge."""
    total = disparity.new_zeros(())
    for dim in (2, 3):
        edge = picture.diff(dim=dim).abs().mean(dim=1, keepdim=True)
        total = total + (disparity.diff(dim=dim).abs() * (-edge).exp()).mean()
    return total


def _shrink(x: Tensor, level: int) -> Tensor:
    return functional.avg_pool2d(x, 2**level) if level else x


def _right(left: Path) -> Path:
    return left.parent.parent / "right" / left.name


def _read(path: Path, size: tuple[int, int]) -> Tensor:
    picture = cv2.imread(str(path))
    if picture is None:
        raise ValueError(f"{path} is no picture")
    picture = cv2.resize(picture[..., ::-1], size[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(picture.astype(np.float32).transpose(2, 0, 1))[None]
