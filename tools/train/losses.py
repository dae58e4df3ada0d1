"""What the network is punished for. Every map is (n, 1, h, w) float32 unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Penalty = Callable[[Tensor], Tensor]
_SCALES = 4


def absolute(x: Tensor) -> Tensor:
    """The size of an error."""
    return x.abs()


def berhu(x: Tensor) -> Tensor:
    """The reverse Huber penalty (Laina et al., 3DV 2016): linear below c, quadratic above.

    c is a fifth of the largest error in the batch.
    """
    size = x.abs()
    c = 0.2 * size.detach().max().clamp(min=1e-6)
    return torch.where(size <= c, size, (size**2 + c**2) / (2 * c))


def decided(x: Tensor) -> Tensor:
    """Linear below a quarter, then ever flatter: c log(1 + |x| / c).

    Beside an edge a pixel is either in front or behind. The absolute error is least anywhere
    between the two where both are as likely, which looks like blur; this one at one of them.
    """
    c = 0.25
    return c * torch.log1p(x.abs() / c)


PENALTIES: dict[str, Penalty] = {"absolute": absolute, "berhu": berhu, "decided": decided}


def normalised(depth: Tensor) -> Tensor:
    """Without its scale and shift: median 0, mean absolute deviation 1 (Ranftl et al., PAMI 2022).

    What is added to the deviation is tiny: otherwise a flat answer would be a cheap one.
    """
    flat = depth.flatten(1)
    median = flat[:, ::5].median(dim=1).values[:, None, None, None]
    spread = (depth - median).abs().mean(dim=(1, 2, 3), keepdim=True)
    return (depth - median) / (spread + 1e-4)


def scale_shift_invariant(residual: Tensor, confidence: Tensor, penalty: Penalty) -> Tensor:
    """Mean penalty of the difference of two normalised maps, by confidence."""
    return (confidence * penalty(residual)).mean()


def gradient_matching(residual: Tensor, confidence: Tensor, edges: Tensor) -> Tensor:
    """Multi-scale gradients of the difference of two normalised maps (Li and Snavely, CVPR 2018).

    Args:
        residual: the difference.
        confidence: weight of every pixel at the coarser scales.
        edges: weight of every pixel at full size, where a teacher's soft edges have none.
    """
    loss = _gradients(residual, edges)
    for level in range(1, _SCALES):
        step = 2**level
        loss = loss + _gradients(residual[..., ::step, ::step], confidence[..., ::step, ::step])
    return loss


def _gradients(residual: Tensor, weight: Tensor) -> Tensor:
    along = (residual.diff(dim=3).abs() * weight[..., 1:]).mean()
    down = (residual.diff(dim=2).abs() * weight[..., 1:, :]).mean()
    return along + down


def consistency(first: Tensor, second: Tensor, theta: Tensor, static: Tensor) -> Tensor:
    """Two frames of one scene must agree, in scale and shift too: else the video pumps.

    Args:
        first: prediction for the first frame.
        second: prediction for the second.
        theta: (n, 2, 3), takes the second's places, in -1..1, to the first's.
        static: 1 where the second frame shows what stood still and the first shows it too.
    """
    grid = functional.affine_grid(theta, list(second.shape), align_corners=False)
    warped = functional.grid_sample(first, grid, align_corners=False)
    spread = second.detach().flatten(1).std(dim=1)[:, None, None, None]
    return (static * (warped - second).abs() / (spread + 1e-2)).mean()
