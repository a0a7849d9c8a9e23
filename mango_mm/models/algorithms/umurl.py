"""UmURL: self-supervised pretraining of encoders that are fused early.

    e_m(x) = MLP_m(tokens of m in x)             Linear, LayerNorm, ReLU, Linear
    z_m    = P_m(pool(T(e_m(v_m(x)) + p)))       a modality alone, through the shared transformer T
    z'_m   = P_m(pool(T(W mean_k e_k(v(x)) + p)))    what the fused view holds of it
    loss   = intra(z, z') + inter(z) + VICReg(z, z')          ``fusion.teaching.umurl_loss``

v and every v_m are views drawn apart (``RandomView``): what the terms pull together are different
views of a sample, so that the features become invariant to what the views change. p are
sinusoidal positions. With several processes the terms are over the samples of all.

No labels. Afterwards the student's encoders are the result; a config starts from them by
``init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='student.backbone.')`` of its backbone,
or ``'student.encoders.image.'`` of an encoder.

Source:
    Sun et al., Unified Multi-modal Unsupervised Representation Learning for Skeleton-based
    Action Understanding, ACM MM 2023, https://arxiv.org/abs/2311.03106.
Differs from it:
    the modalities are images, depth, text instead of joints, bones and motion: each has an
    encoder, the student's, before its embedding; views of maps and texts instead of skeletons'; T
    is one transformer over positions (its is a temporal one, with positions, and a spatial one,
    without); W has a bias; projectors are linear, of a size for small data (its have three layers
    and 4096 channels). Compared with its release, HuiGuanLab/UmURL 744278b.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from mango_mm.fusion.tokens import masked_mean
from mango_mm.models.algorithms.algorithm import Algorithm
from mango_mm.models.algorithms.random_view import RandomView
from mango_mm.objectives import umurl_loss
from mango_mm.registry import MODELS

__all__ = ['UmURL']


@MODELS.register_module()
class UmURL(Algorithm):
    """Pretrains the encoders of a student; its fusion and its heads do not take part.

    Args:
        student: See :class:`Algorithm`.
        in_channels: Channels of the deepest tokens of every modality, one number or by name.
        dim: Channels of the embeddings and of the transformer.
        depth: Layers of the transformer.
        num_heads: Heads of each.
        out_dim: Channels of the projections.
        pool_first: Average every modality's tokens to one before they are fused, where
            modalities differ in length. Default: fuse position by position.
        view: Arguments of :class:`RandomView`.
        data_preprocessor: See :class:`Algorithm`.
        init_cfg: The same as in mmengine.

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
        view: Mapping[str, float] | None = None,
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
        self.draw_view = RandomView(**(view or {}))
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
        alone, parts = [_of_all(z) for z in alone], [_of_all(z) for z in parts]
        return {f'loss_{k}': v for k, v in umurl_loss(alone, parts).items()}

    def views(self, inputs: Any, data_samples: Any) -> tuple[list[Tensor], list[Tensor]]:
        """z_m and z'_m, (B, out_dim) of each modality, each of a view of its own.

        Raises:
            ValueError: If positions are to be fused and the modalities differ in length.
        """
        task, names = self.task, self.task.modalities
        alone = []
        for m in names:
            feature = task.encode_one(self.draw_view(inputs), data_samples, m)
            alone.append(self.projectors[m](self._encode(*self._embed(feature, m))))
        features, _ = task.encode(self.draw_view(inputs), data_samples)
        embedded, masks = zip(*(self._embed(features[m], m) for m in names))
        lengths = {m: x.shape[1] for m, x in zip(names, embedded)}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f'UmURL fuses position by position; got {lengths} tokens. Set pool_first=True.'
            )
        fused = self.fuse(torch.stack(embedded).mean(dim=0))
        whole = self._encode(fused, torch.stack(masks).any(dim=0))
        return alone, [self.projectors[m](whole) for m in names]

    def _embed(self, feature: Any, modality: str) -> tuple[Tensor, Tensor]:
        """Embedded tokens (B, N, dim) of a modality, and which are real, (B, N)."""
        tokens, mask = self.task.tokens(feature)
        if mask is None:
            mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
        if self.pool_first:
            tokens, mask = masked_mean(tokens, mask)[:, None], mask.any(dim=1, keepdim=True)
        return self.embed[modality](tokens), mask

    def _encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """One vector of tokens (B, N, dim), by the maximum over real positions."""
        # A sample without a real token is encoded from what stands there, not from nothing.
        mask = mask | ~mask.any(dim=1, keepdim=True)
        encoded = self.shared(tokens + positions(tokens), src_key_padding_mask=~mask)
        pooled: Tensor = encoded.masked_fill(~mask[..., None], float('-inf')).amax(dim=1)
        return pooled


def positions(tokens: Tensor) -> Tensor:
    """Sinusoids of the positions of tokens (B, N, D), (N, D): Vaswani et al., 2017, Section 3.5."""
    length, dim = tokens.shape[1:]
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    angles = (torch.arange(length)[:, None] * rates).to(tokens)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim]


def _of_all(z: Tensor) -> Tensor:
    """Embeddings (B, D) of all processes, (P B, D), with their gradients."""
    if get_world_size() == 1:
        return z
    return torch.cat(all_gather(z))
