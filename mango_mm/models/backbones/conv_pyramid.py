"""A small convolutional encoder: a pyramid of features at strides 2, 4, 8, ...

Per stage a strided 3 x 3 convolution and a residual pair of 3 x 3 convolutions, with group
normalisation: it has no statistics, so that one process or many, one image or many, train
alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.registry import MODELS

__all__ = ['ConvPyramid', 'ResidualConv']

GROUPS = 8


class ResidualConv(nn.Module):
    """x + conv(gelu(norm(conv(gelu(norm(x)))))), channels unchanged, (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(GROUPS, channels), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.layers(x)
        return x + residual


@MODELS.register_module()
class ConvPyramid(BaseModule):
    """Convolutional feature pyramid.

    Args:
        in_channels: Of the image.
        channels: Of every stage, multiples of 8; stage i has stride 2^(i + 1).
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If a stage's channels are no multiple of 8.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (32, 64, 128),
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not channels or any(c % GROUPS or c < GROUPS for c in channels):
            raise ValueError(f'channels must be multiples of {GROUPS}; got {tuple(channels)}.')
        before = [in_channels, *channels[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c_in, c, 3, stride=2, padding=1), ResidualConv(c))
            for c_in, c in zip(before, channels)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps of all stages, (B, C_i, H / 2^(i+1), W / 2^(i+1)), sizes rounded up."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)
