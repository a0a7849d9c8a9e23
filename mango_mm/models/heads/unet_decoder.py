"""U-Net decoder: from the coarsest map to an image, with the finer maps on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.models.backbones.conv_pyramid import ResidualConv
from mango_mm.registry import MODELS

__all__ = ['UNetDecoder']


@MODELS.register_module()
class UNetDecoder(BaseModule):
    """Decodes a pyramid at strides 2, 4, 8, ... to an image in [-1, 1].

    Args:
        in_channels: Channels of every map, fine to coarse.
        out_channels: Of the image.
        init_cfg: The same as in mmengine.

    Source:
        Ronneberger et al., U-Net, https://arxiv.org/abs/1505.04597, with nearest-neighbour
        upsampling, which leaves no checkerboard.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 3,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        coarse_to_fine = self.in_channels[::-1]
        self.joins = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse + fine, fine, 3, padding=1), ResidualConv(fine))
            for coarse, fine in zip(coarse_to_fine[:-1], coarse_to_fine[1:])
        )
        self.last = nn.Sequential(
            ResidualConv(self.in_channels[0]),
            nn.Conv2d(self.in_channels[0], out_channels, 3, padding=1),
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
            raise ValueError(f'UNetDecoder was built for {self.in_channels}; got {channels}.')
        x = maps[-1]
        for join, finer in zip(self.joins, maps[-2::-1]):
            x = F.interpolate(x, finer.shape[-2:], mode='nearest')
            x = join(torch.cat([x, finer], dim=1))
        return torch.tanh(self.last(F.interpolate(x, size, mode='nearest')))
