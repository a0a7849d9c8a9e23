"""Decoder of TokenFusion's translator: pixel shuffle, skip by addition, transformer blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.registry import MODELS, build_ours

__all__ = ['PixelShuffleDecoder']


@MODELS.register_module()
class PixelShuffleDecoder(BaseModule):
    """Decodes a pyramid at strides 2, 4, 8, ... to an image in [-1, 1].

    Every step doubles the size by a pixel shuffle and a 1 x 1 convolution, adds the finer map,
    and runs a block on the sum.

    Args:
        in_channels: Channels of every map, fine to coarse, multiples of 4.
        blocks: Config of a backbone per map but the coarsest, fine to coarse, that keeps
            size and channels and delivers one map; None: none.
        out_channels: Of the image.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If channels cannot be shuffled, or blocks are not one per join.

    Source:
        Wang et al., TokenFusion, CVPR 2022, https://arxiv.org/abs/2204.08721, Section 4.1 and
        its appendix.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        blocks: Sequence[dict[str, Any]] | None = None,
        out_channels: int = 3,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        if any(c % 4 for c in self.in_channels):
            raise ValueError(f'in_channels must be multiples of 4; got {self.in_channels}.')
        if blocks is not None and len(blocks) != len(self.in_channels) - 1:
            raise ValueError(
                f'{len(self.in_channels)} maps need {len(self.in_channels) - 1} blocks; '
                f'got {len(blocks)}.'
            )
        after = (out_channels, *self.in_channels[:-1])
        self.grow = nn.ModuleList(
            nn.Conv2d(c // 4, c_out, 1) for c, c_out in zip(self.in_channels, after)
        )
        self.blocks = nn.ModuleList(
            build_ours(MODELS, dict(b), in_channels=c)
            for b, c in zip(blocks or (), self.in_channels)
        )

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """The image.

        Args:
            maps: (B, C_i, H_i, W_i), fine to coarse.
            size: Height and width of the image.

        Returns:
            (B, out_channels, H, W) in [-1, 1].

        Raises:
            ValueError: If the maps' channels are not those it was built for.
        """
        channels = tuple(x.shape[1] for x in maps)
        if channels != self.in_channels:
            raise ValueError(
                f'PixelShuffleDecoder was built for {self.in_channels}; got {channels}.'
            )
        x = maps[-1]
        for i in reversed(range(1, len(maps))):
            # Odd sizes were rounded up on the way down; what is too much is cut.
            finer = maps[i - 1]
            x = self.grow[i](F.pixel_shuffle(x, 2)[..., : finer.shape[2], : finer.shape[3]])
            x = x + finer
            if len(self.blocks):
                x = self.blocks[i - 1](x)[-1]
        return torch.tanh(self.grow[0](F.pixel_shuffle(x, 2)[..., : size[0], : size[1]]))
