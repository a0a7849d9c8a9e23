"""A stand-in for Inception where no weights can be had: convolutions with fixed random weights.

Random filters tell textures and layouts apart, but nobody has shown that distances on them
follow what people see, and they compare with no published number. They rank models trained
side by side on one data set, and no more; so they carry a name of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.registry import MODELS

__all__ = ['RandomFeatures']


@MODELS.register_module()
class RandomFeatures(nn.Module):
    """Means and deviations of every channel of a few random convolutions.

    Args:
        channels: Of every stage; a stage halves height and width.
        seed: Of the weights, drawn by numpy, so that every machine has the same.

    Attributes:
        metric_names: Names of the Frechet and of the kernel distance on these features.
        weights: What the features come from, for the log.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64), seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        widths = [3, *channels]
        for i, (c_in, c) in enumerate(zip(widths[:-1], widths[1:])):
            weight = rng.standard_normal((c, c_in, 3, 3)) * (2 / (9 * c_in)) ** 0.5
            self.register_buffer(f'weight_{i}', torch.from_numpy(weight).float())
        self.num_stages = len(channels)
        self.metric_names = ('frechet_random_features', 'kernel_random_features')
        self.weights = f'random convolutions {tuple(channels)}, seed {seed}: not FID, not KID'

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 2 * sum of channels) of images (B, 3, H, W) in [-1, 1]."""
        x, features = images.float(), []
        for i in range(self.num_stages):
            x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode='replicate'), getattr(self, f'weight_{i}'))
            features += [x.mean((2, 3)), x.std((2, 3), correction=0)]
            x = F.avg_pool2d(F.leaky_relu(x, 0.2), 2, ceil_mode=True)
        return torch.cat(features, dim=1)
