"""Masked autoencoder of several modalities: the E of the paper's Section 3.3, and its D.

    F_m = W_m E_m(x_m * visible)        a latent map per modality, at the stride of E
    x_m ~ D_m(F_m)

In training, square patches of some of the images are hidden, and all of every image has to be
reconstructed: E learns content where it is told nothing, and exactness where it is.
The paper takes E from MAE and trains no D; with D the latent can be shown, and sampled.

E is a ``MultiStreamBackbone`` under the prefix ``encoder.``, so that a segmentation model
starts from it by ``init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='encoder.')``.

Source:
    He et al., Masked Autoencoders Are Scalable Vision Learners, https://arxiv.org/abs/2111.06377;
    Xie et al., SimMIM, https://arxiv.org/abs/2111.09886: masking at the input, for encoders
    that cannot leave tokens out.
Differs from them:
    what is visible is reconstructed too, because D is used afterwards; only a share of the
    images is masked, so that whole images are no surprise then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.models.backbones import MultiStreamBackbone
from mango_mm.registry import MODELS, build_ours

__all__ = ['MaskedAutoencoder']


@MODELS.register_module()
class MaskedAutoencoder(BaseModel):
    """One autoencoder per modality, trained by masking patches.

    Args:
        encoder: Config of a ``MultiStreamBackbone``; the last map of every stream is used.
        feature_channels: Channels of that map.
        latent_dim: Channels of the latents.
        decoder: Config of a decoder like ``LatentDecoder``.
        patch_size: Side of a masked patch in pixels.
        mask_ratio: Share of the patches hidden in a masked image.
        masked_share: Share of the images that are masked, in training.
        data_preprocessor: The same as in mmengine. Its ``inputs`` are one image per modality,
            or one tensor with all of them as channels.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If a ratio lies outside [0, 1] or the patch size is not positive.
    """

    def __init__(
        self,
        encoder: dict[str, Any],
        feature_channels: int,
        latent_dim: int,
        decoder: dict[str, Any],
        patch_size: int = 8,
        mask_ratio: float = 0.5,
        masked_share: float = 0.5,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        for name, value in (('mask_ratio', mask_ratio), ('masked_share', masked_share)):
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must lie in [0, 1]; got {value}.')
        if patch_size < 1:
            raise ValueError(f'patch_size must be positive; got {patch_size}.')
        self.patch_size, self.mask_ratio = patch_size, mask_ratio
        self.masked_share, self.latent_dim = masked_share, latent_dim
        self.encoder = build_ours(MODELS, dict(encoder))
        if not isinstance(self.encoder, MultiStreamBackbone):
            raise TypeError(
                f'encoder must be a MultiStreamBackbone; got {type(self.encoder).__name__}.'
            )
        self.channels: dict[str, int] = self.encoder.channels
        self.enter = ModuleDict(
            {m: nn.Conv2d(feature_channels, latent_dim, 1) for m in self.channels}
        )
        self.decoders = ModuleDict(
            {
                m: build_ours(MODELS, dict(decoder), in_channels=latent_dim, out_channels=c)
                for m, c in self.channels.items()
            }
        )

    def encode(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The latents, (B, latent_dim, h, w) each, of images (B, C, H, W).

        Raises:
            KeyError: If a modality is missing.
        """
        missing = [m for m in self.channels if m not in images]
        if missing:
            raise KeyError(f'the model reads {list(self.channels)}; the input lacks {missing}.')
        maps = self.encoder(torch.cat([images[m] for m in self.channels], dim=1))
        if not isinstance(maps, Mapping):  # of a single modality
            maps = {next(iter(self.channels)): maps}
        return {m: self.enter[m](maps[m][-1]) for m in self.channels}

    def decode(self, latents: Mapping[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        """Images (B, C, *size) of the latents."""
        return {m: self.decoders[m](latents[m], size) for m in self.channels}

    def forward(
        self,
        inputs: Mapping[str, Tensor] | Tensor,
        data_samples: Sequence[Any] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Reconstructions, losses or samples with reconstructions, as mmengine's modes ask."""
        images = self.part(inputs)
        size = tuple(next(iter(images.values())).shape[-2:])
        seen = {m: x * self.draw_mask(x) for m, x in images.items()} if mode == 'loss' else images
        made = self.decode(self.encode(seen), size)
        if mode == 'tensor':
            return made
        if mode == 'loss':
            return {
                f'loss_{m}': F.l1_loss(x * (w := measured(data_samples, m, x)), images[m] * w)
                for m, x in made.items()
            }
        if mode != 'predict':
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict'; got {mode!r}.")
        return attach(data_samples, images, made)

    def part(self, inputs: Mapping[str, Tensor] | Tensor) -> dict[str, Tensor]:
        """One image per modality."""
        if isinstance(inputs, Mapping):
            return dict(inputs)
        return dict(zip(self.channels, inputs.split(list(self.channels.values()), dim=1)))

    def draw_mask(self, images: Tensor) -> Tensor:
        """1 where a pixel is shown, (B, 1, H, W): patches, independent per image."""
        batch, _, height, width = images.shape
        rows, columns = -(-height // self.patch_size), -(-width // self.patch_size)
        shown = torch.rand(batch, 1, rows, columns, device=images.device) >= self.mask_ratio
        whole = torch.rand(batch, 1, 1, 1, device=images.device) >= self.masked_share
        grid = (shown | whole).to(images.dtype)
        return F.interpolate(grid, scale_factor=float(self.patch_size), mode='nearest')[
            ..., :height, :width
        ]


def measured(data_samples: Sequence[Any] | None, modality: str, like: Tensor) -> Tensor:
    """Where a modality was measured, (B, 1, H, W); everywhere if the samples do not say."""
    masks = [getattr(sample, f'mask_{modality}', None) for sample in data_samples or ()]
    if not masks or any(mask is None for mask in masks):
        return like.new_ones(1, 1, 1, 1)
    return torch.stack(masks).to(like)


def attach(
    data_samples: Sequence[Any] | None, images: Mapping[str, Tensor], made: Mapping[str, Tensor]
) -> list[Any]:
    """Puts inputs and reconstructions on the samples, as ``source_m`` and ``made_m``."""
    if data_samples is None:
        raise ValueError("mode='predict' needs data_samples to put the result on; got none.")
    for i, sample in enumerate(data_samples):
        for m, image in images.items():
            sample.set_field(image[i], f'source_{m}', dtype=Tensor)
            sample.set_field(made[m][i].detach(), f'made_{m}', dtype=Tensor)
    return list(data_samples)
