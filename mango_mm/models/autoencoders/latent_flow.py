"""A flow over the latents of all modalities together: likelihood, samples, edits.

    F = E(x),  z = G(F),  ln p(F) = ln N(z; 0, I) + ln|det dG/dF|
    z ~ N(0, I),  F = G^-1(z),  x = D(F)                 generation by the inverse

E and D are those of a trained ``MaskedAutoencoder``, and stay as they are: the flow
is trained on its likelihood alone, which then has no way out in a constant E. Because
G is invertible, what D(G^-1(G(E(x)))) loses, D(E(x)) has lost before.

Source:
    Truong et al., MANGO, https://arxiv.org/abs/2508.10133, Section 3.3 and Eq. 2. The paper samples
    nothing; the latent space of its likelihood makes it possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mango_mm.fusion import MangoFusion
from mango_mm.fusion.tokens import map_to_tokens, tokens_to_map
from mango_mm.models.autoencoders.masked_autoencoder import MaskedAutoencoder, attach
from mango_mm.registry import FUSIONS, MODELS, build_ours

__all__ = ['LatentFlow']


@MODELS.register_module()
class LatentFlow(BaseModel):
    """Trains a flow on frozen latents; samples images from it.

    Args:
        autoencoder: Config of a ``MaskedAutoencoder``; trained weights by its ``init_cfg``.
        flow: Config of a ``MangoFusion`` with ``normalize=False``: samples have no token
            statistics to be undone.
        data_preprocessor: The same as in mmengine.
        init_cfg: The same as in mmengine.

    Raises:
        TypeError: If the parts are of other classes.
        ValueError: If the flow normalises its tokens.
    """

    def __init__(
        self,
        autoencoder: dict[str, Any],
        flow: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.autoencoder = build_ours(MODELS, dict(autoencoder))
        if not isinstance(self.autoencoder, MaskedAutoencoder):
            raise TypeError(
                f'autoencoder must be a MaskedAutoencoder; got {type(self.autoencoder).__name__}.'
            )
        self.autoencoder.requires_grad_(False)
        self.flow = build_ours(
            FUSIONS, dict(flow), modalities=list(self.autoencoder.channels),
            dim=self.autoencoder.latent_dim,
        )  # fmt: skip
        if not isinstance(self.flow, MangoFusion):
            raise TypeError(f'flow must be a MangoFusion; got {type(self.flow).__name__}.')
        if self.flow.norm.enabled:
            raise ValueError('a LatentFlow needs a flow with normalize=False, to sample from it.')
        # Nothing here predicts from the fused feature; DDP would wait for its gradient.
        self.flow.reduce.requires_grad_(False)

    def init_weights(self) -> None:
        """Initialise, then put the flow back to its own start."""
        super().init_weights()
        self.flow.reset_parameters()

    def train(self, mode: bool = True) -> LatentFlow:  # noqa: FBT001, FBT002  # torch's
        """The autoencoder stays in evaluation mode."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def encode(self, images: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Latents z of images as maps (B, latent_dim, h, w) each, and -ln p per dimension, (B,)."""
        with torch.no_grad():
            maps = self.autoencoder.encode(images)
        height, width = next(iter(maps.values())).shape[-2:]
        tokens = {m: map_to_tokens(x) for m, x in maps.items()}
        output = self.flow(tokens, grid=(int(height), int(width)))
        latents = {m: tokens_to_map(z, (height, width)) for m, z in output.latents.items()}
        nll = output.nll_per_dim()
        if nll is None:
            raise RuntimeError('MangoFusion gave no likelihood.')
        return latents, nll

    def features(self, latents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The autoencoder's maps of latents: G^-1."""
        height, width = next(iter(latents.values())).shape[-2:]
        tokens = {m: map_to_tokens(z) for m, z in latents.items()}
        made = self.flow.decode(tokens, grid=(int(height), int(width)))
        return {m: tokens_to_map(x, (height, width)) for m, x in made.items()}

    def decode(self, latents: Mapping[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        """Images (B, C, *size) of latents: D(G^-1(z))."""
        images: dict[str, Tensor] = self.autoencoder.decode(self.features(latents), size)
        return images

    @torch.no_grad()
    def sample(
        self,
        count: int,
        size: tuple[int, int],
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Draw images of all modalities, (count, C, *size), that belong together.

        Args:
            count: How many.
            size: Height and width in pixels.
            temperature: Standard deviation of z; below 1, likelier and plainer images.
            generator: Of z, on the CPU.

        Raises:
            ValueError: If the temperature is negative.
        """
        if temperature < 0:
            raise ValueError(f'temperature must not be negative; got {temperature}.')
        like = next(self.flow.parameters())
        channels = self.autoencoder.channels
        blank = {m: like.new_zeros(1, c, *size) for m, c in channels.items()}
        shape = next(iter(self.autoencoder.encode(blank).values())).shape[1:]
        z = {
            m: temperature * torch.randn(count, *shape, generator=generator).to(like)
            for m in channels
        }
        return self.decode(z, size)

    def forward(
        self,
        inputs: Mapping[str, Tensor] | Tensor,
        data_samples: Sequence[Any] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Latents, losses or samples with reconstructions, as mmengine's modes ask."""
        images = self.autoencoder.part(inputs)
        latents, nll = self.encode(images)
        if mode == 'tensor':
            return latents
        if mode == 'loss':
            return {'loss_nll': nll.mean()}
        if mode != 'predict':
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict'; got {mode!r}.")
        size = tuple(next(iter(images.values())).shape[-2:])
        samples = attach(data_samples, images, self.decode(latents, size))
        for i, sample in enumerate(samples):
            sample.set_field(nll[i].detach(), 'nll_per_dim', dtype=Tensor)
        return samples
