"""UmURL: self-supervised pretraining of encoders that are fused early.

    e_m  = MLP_m(tokens of m)                    Linear, LayerNorm, ReLU, Linear
    z_m  = P_m(pool(T(e_m)))                     a modality alone, through the shared transformer T
    z'_m = P_m(pool(T(W mean_k e_k)))            what the fused view holds of it: P_m decomposes
    loss = intra(z, z') + inter(z) + VICReg(z, z')            ``fusion.teaching.umurl_loss``

No labels. Afterwards the student's encoders are the result; a config starts from them by
``init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='student.backbone.')`` of its backbone,
or ``'student.encoders.image.'`` of an encoder.

Source:
    Sun et al., Unified Multi-modal Unsupervised Representation Learning for Skeleton-based
    Action Understanding, ACM MM 2023, https://arxiv.org/abs/2311.03106.
Differs from it:
    the modalities are images, depth, text instead of joints, bones and motion: each has an
    encoder, the student's, before its embedding; T is one transformer over positions (its is a
    temporal and a spatial one); projectors are linear, of a size for small data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.fusion.teaching import umurl_loss
from mango_mm.models.classifiers.multimodal_classifier import masked_mean
from mango_mm.models.strategies.strategy import Strategy
from mango_mm.registry import MODELS

__all__ = ['UmURL']


@MODELS.register_module()
class UmURL(Strategy):
    """Pretrains the encoders of a student; its fusion and its heads do not take part.

    Args:
        student: See :class:`Strategy`.
        in_channels: Channels of the deepest tokens of every modality, one number or by name.
        dim: Channels of the embeddings and of the transformer.
        depth: Layers of the transformer.
        num_heads: Heads of each.
        out_dim: Channels of the projections.
        pool_first: Average every modality's tokens to one before they are fused, where
            modalities differ in length. Default: fuse position by position.
        data_preprocessor: See :class:`Strategy`.
        init_cfg: As in mmengine.

    Raises:
        ValueError: If ``in_channels`` leaves out a modality.
    """

    def __init__(
        self,
        student: dict[str, Any],
        in_channels: int | Mapping[str, int],
        dim: int = 128,
        depth: int = 1,
        num_heads: int = 4,
        out_dim: int = 256,
        pool_first: bool = False,  # noqa: FBT001, FBT002  # a config names it
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(student, data_preprocessor, init_cfg)
        names = self.task.modalities
        widths = (
            in_channels if isinstance(in_channels, Mapping) else dict.fromkeys(names, in_channels)
        )
        if set(widths) != set(names):
            raise ValueError(f'in_channels must be given for each of {names}; got {dict(widths)}.')
        self.pool_first = pool_first
        self.embed = nn.ModuleDict(
            {
                m: nn.Sequential(
                    nn.Linear(widths[m], dim), nn.LayerNorm(dim), nn.ReLU(), nn.Linear(dim, dim)
                )
                for m in names
            }
        )
        self.fuse = nn.Linear(dim, dim)
        layer = nn.TransformerEncoderLayer(dim, num_heads, 2 * dim, 0.0, batch_first=True)
        self.shared = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.projectors = nn.ModuleDict({m: nn.Linear(dim, out_dim) for m in names})
        used = {id(p) for m in names for part in self.task.encoder_of(m) for p in part.parameters()}
        for p in self.student.parameters():
            p.requires_grad_(id(p) in used and p.requires_grad)

    def loss(self, inputs: Any, data_samples: Any) -> dict[str, Tensor]:
        alone, parts = self.views(inputs, data_samples)
        return {f'loss_{k}': v for k, v in umurl_loss(alone, parts).items()}

    def views(self, inputs: Any, data_samples: Any) -> tuple[list[Tensor], list[Tensor]]:
        """z_m and z'_m, (B, out_dim) of each modality.

        Raises:
            ValueError: If positions are to be fused and the modalities differ in length.
        """
        task = self.task
        features, _ = task.encode(inputs, data_samples)
        embedded = {}
        for m in task.modalities:
            tokens, mask = task.tokens(features[m])
            if self.pool_first:
                real = tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if mask is None else mask
                tokens = masked_mean(tokens, real)[:, None]
            embedded[m] = self.embed[m](tokens)
        lengths = {m: x.shape[1] for m, x in embedded.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f'UmURL fuses position by position; got {lengths} tokens. Set pool_first=True.'
            )
        fused = self.fuse(torch.stack(list(embedded.values())).mean(dim=0))
        whole = self._encode(fused)
        alone = [self.projectors[m](self._encode(x)) for m, x in embedded.items()]
        return alone, [self.projectors[m](whole) for m in embedded]

    def _encode(self, tokens: Tensor) -> Tensor:
        """One vector of tokens (B, N, dim), by the maximum over positions."""
        pooled: Tensor = self.shared(tokens).amax(dim=1)
        return pooled
