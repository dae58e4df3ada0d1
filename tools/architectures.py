"""The published DPT architectures, as configurations of Hugging Face transformers.

Figures are those of the config.json files beside the published weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    Dinov2Config,
    DPTConfig,
    PretrainedConfig,
    Swinv2Config,
)


def _dpt_large() -> DPTConfig:
    return DPTConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        image_size=384,
        backbone_out_indices=[5, 11, 17, 23],
        neck_hidden_sizes=[256, 512, 1024, 1024],
    )


def _dpt_hybrid() -> DPTConfig:
    return DPTConfig(
        is_hybrid=True,
        image_size=384,
        backbone_out_indices=[2, 5, 8, 11],
        neck_hidden_sizes=[256, 512, 768, 768],
        reassemble_factors=[1, 1, 1, 0.5],
        neck_ignore_stages=[0, 1],
    )


def _swinv2(image: int, window: int, embed: int, depths: list[int], heads: list[int]) -> DPTConfig:
    backbone = Swinv2Config(
        image_size=image,
        window_size=window,
        embed_dim=embed,
        depths=depths,
        num_heads=heads,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=True,
    )
    return DPTConfig(
        backbone_config=backbone,
        image_size=image,
        hidden_size=embed,
        neck_hidden_sizes=[embed * 2**i for i in range(4)],
        use_batch_norm_in_fusion_residual=False,
    )


def _beit(image: int, hidden: int, layers: int, heads: int, taps: list[int]) -> DPTConfig:
    backbone = BeitConfig(
        image_size=image,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        out_indices=taps,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
    )
    return DPTConfig(
        backbone_config=backbone,
        image_size=image,
        hidden_size=hidden,
        neck_hidden_sizes=[256, 512, hidden, hidden] if hidden > 768 else [96, 192, 384, 768],
    )


def _depth_anything(
    hidden: int, layers: int, neck: list[int], fusion: int, taps: list[int], **changes: Any
) -> DepthAnythingConfig:
    backbone = Dinov2Config(
        image_size=518,
        patch_size=14,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        out_indices=taps,
        reshape_hidden_states=False,
    )
    return DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=hidden,
        neck_hidden_sizes=neck,
        fusion_hidden_size=fusion,
        **changes,
    )


_SMALL = (384, 12, [48, 96, 192, 384], 64)
_BASE = (768, 12, [96, 192, 384, 768], 128)
_LARGE = (1024, 24, [256, 512, 1024, 1024], 256)

ALL: dict[str, Callable[[], PretrainedConfig]] = {
    "dpt-large": _dpt_large,
    "dpt-hybrid": _dpt_hybrid,
    "dpt-swinv2-tiny-256": lambda: _swinv2(256, 16, 96, [2, 2, 6, 2], [3, 6, 12, 24]),
    "dpt-swinv2-base-384": lambda: _swinv2(384, 24, 128, [2, 2, 18, 2], [4, 8, 16, 32]),
    "dpt-beit-base-384": lambda: _beit(384, 768, 12, 12, [3, 6, 9, 12]),
    "dpt-beit-large-512": lambda: _beit(512, 1024, 24, 16, [6, 12, 18, 24]),
    "depth-anything-small": lambda: _depth_anything(*_SMALL, [9, 10, 11, 12]),
    "depth-anything-base": lambda: _depth_anything(*_BASE, [9, 10, 11, 12]),
    "depth-anything-large": lambda: _depth_anything(*_LARGE, [21, 22, 23, 24]),
    "depth-anything-v2-small": lambda: _depth_anything(*_SMALL, [3, 6, 9, 12]),
    "depth-anything-v2-base": lambda: _depth_anything(*_BASE, [3, 6, 9, 12]),
    "depth-anything-v2-large": lambda: _depth_anything(*_LARGE, [5, 12, 18, 24]),
    "depth-anything-v2-metric-small": lambda: _depth_anything(
        *_SMALL, [3, 6, 9, 12], depth_estimation_type="metric", max_depth=20
    ),
}
