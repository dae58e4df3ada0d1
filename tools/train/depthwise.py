"""Depth-wise convolutions that are trained in bfloat16 on a CPU.

Where a CPU has it (AMX), most of a network becomes two to four times as fast in bfloat16; but
PyTorch's gradients of depth-wise convolutions become up to five times as slow, if kernels are wide
or strides above 1. Those are computed in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Depthwise(nn.Conv2d):
    """One filter per channel."""

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        weight = self.weight.bfloat16()
        bias = None if self.bias is None else self.bias.bfloat16()
        answer: Tensor = _Convolve.apply(x.bfloat16(), weight, bias, self.stride[0])
        return answer


def widen_gradients(network: nn.Module) -> None:
    """Replace, in a network, the depth-wise convolutions that PyTorch is slow at."""
    for module in network.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.groups == module.in_channels > 1
            and (module.kernel_size[0] > 3 or module.stride[0] > 1)
        ):
            module.__class__ = Depthwise


class _Convolve(torch.autograd.Function):
    """On (n, c, h, w) bfloat16, with filters (c, 1, size, size)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.biased = stride, bias is not None
        half = weight.shape[-1] // 2
        with torch.autocast("cpu", enabled=False):
            return functional.conv2d(x, weight, bias, stride, half, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors

        def compute(gradient: Tensor, x: Tensor, weight: Tensor, which: list[bool]) -> Any:
            half = weight.shape[-1] // 2
            return torch.ops.aten.convolution_backward(
                gradient, x, weight, [len(weight)], [ctx.stride] * 2, [half] * 2, [1, 1], False,
                [0, 0], len(weight), which,
            )  # fmt: skip

        wide = gradient.float(), x.float(), weight.float()
        of_input = wide if ctx.stride > 1 else (gradient, x, weight)
        dx, *_ = compute(*of_input, [True, False, False])
        _, dweight, dbias = compute(*wide, [False, True, ctx.biased])
        return dx.to(x.dtype), dweight, dbias, None
