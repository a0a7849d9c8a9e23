"""Decoder from one map alone: what an autoencoder needs, which has no finer maps to lean on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.models.backbones.conv_pyramid import ResidualConv
from mango_mm.registry import MODELS

__all__ = ['LatentDecoder']


@MODELS.register_module()
class LatentDecoder(BaseModule):
    """Decodes a latent map to an image, doubling its size once per stage.

    Args:
        in_channels: Of the latent.
        channels: Of every stage, coarse to fine, multiples of 8.
        out_channels: Of the image, whose values are not bounded.
        init_cfg: The same as in mmengine.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (128, 64, 32),
        out_channels: int = 3,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        before = [in_channels, *channels[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c_in, c, 3, padding=1), ResidualConv(c))
            for c_in, c in zip(before, channels)
        )
        self.last = nn.Conv2d(channels[-1], out_channels, 3, padding=1)

    def forward(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        """The image, (B, out_channels, H, W) of ``size``, of a latent (B, C, h, w)."""
        x = latent
        for stage in self.stages:
            x = F.interpolate(stage(x), scale_factor=2.0, mode='nearest')
        # Sizes were rounded up on the way down; what is too much is cut.
        image: Tensor = self.last(x)[..., : size[0], : size[1]]
        return image
