"""No encoder at all: the pixels of every patch as the channels of one position.

What the paper's Table 6 calls the model without latents: its flow runs on the images.
"""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.registry import MODELS

__all__ = ['PatchPixels']


@MODELS.register_module()
class PatchPixels(BaseModule):
    """Images cut into patches. It has no parameters and loses nothing.

    Args:
        patch_size: Side of a patch, p.
        in_channels: Of the image, C; p * p * C channels come out.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If ``patch_size`` is not positive.
    """

    def __init__(
        self, patch_size: int, in_channels: int = 3, init_cfg: dict[str, Any] | None = None
    ) -> None:
        super().__init__(init_cfg)
        if patch_size < 1:
            raise ValueError(f'patch_size must be positive; got {patch_size}.')
        self.patch_size, self.out_channels = patch_size, patch_size**2 * in_channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One map (B, p * p * C, H / p, W / p), sizes rounded up by zeros at right and bottom."""
        p = self.patch_size
        x = nn.functional.pad(x, (0, -x.shape[-1] % p, 0, -x.shape[-2] % p))
        return (nn.functional.pixel_unshuffle(x, p),)
